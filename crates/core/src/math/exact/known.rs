//! Exact values of functions: sines of simple angles and back, logarithms over the primes, and factoring for both and
//! for roots.

use super::opaque;
use crate::math::budget::Budget;
use crate::math::node::Function;
use crate::math::number::{BigInt, BigRational, Rational64};
use crate::math::polynomial::{Atom, Polynomial};

/// Trial division up to 2^11, and squares of what is left; `None` when the factorisation is not certain.
pub(super) fn factor(value: &BigInt, budget: &mut Budget) -> Option<Vec<(u64, u32)>> {
    const LIMIT: u64 = 1 << 11;
    let mut factors = Vec::new();
    let mut rest = value.clone();
    let mut push = |prime: u64, multiplicity: u32| factors.push((prime, multiplicity));
    let mut divisor = 2u64;
    while divisor < LIMIT {
        if rest.is_one() {
            break;
        }
        if let Some(small) = rest.to_u64() {
            if divisor * divisor > small {
                break;
            }
            if small % divisor != 0 {
                divisor += 1 + (divisor & 1);
                continue;
            }
        }
        let mut multiplicity = 0;
        budget.take(1)?;
        loop {
            let (quotient, remainder) = rest.div_rem(&divisor.into());
            if !remainder.is_zero() {
                break;
            }
            budget.take(1)?;
            rest = quotient;
            multiplicity += 1;
        }
        if multiplicity > 0 {
            push(divisor, multiplicity);
        }
        divisor += 1 + (divisor & 1);
    }
    budget.take(divisor / 16)?;
    if !rest.is_one() {
        let root = rest.nth_root(2);
        let (rest, multiplicity) = if &root * &root == rest { (root, 2) } else { (rest, 1) };
        let prime = rest.to_u64()?;
        if prime >= LIMIT * LIMIT {
            return None;
        }
        push(prime, multiplicity);
    }
    Some(factors)
}

/// `q` where the value is `q π` (or `q π i`).
pub(super) fn multiple_of_pi(value: &Polynomial, imaginary: bool) -> Option<Rational64> {
    if value.is_zero() {
        return Some(Rational64::zero());
    }
    let (monomial, coefficient) = value.single_term()?;
    let atoms: Vec<_> =
        monomial.iter().filter(|(_, exponent)| exponent.is_one()).map(|(atom, _)| atom).collect();
    let expected: &[Atom] = if imaginary { &[Atom::I, Atom::Pi] } else { &[Atom::Pi] };
    let same = atoms.len() == monomial.len() && atoms.iter().copied().eq(expected.iter());
    let small = |part: &BigInt| part.to_i64().filter(|part| part.unsigned_abs() < 1_000_000);
    same.then(|| Some(Rational64::new(small(coefficient.numer())?, small(coefficient.denom())?)))?
}

/// `sin(q π)` for multiples of a sixth and a fourth.
pub(super) fn sine(turn: Rational64) -> Option<Polynomial> {
    let half_turns = (turn * Rational64::new(1, 2)).floor();
    let turn = turn - Rational64::from_integer(2 * half_turns);
    let (turn, sign) = if turn >= Rational64::one() { (turn - Rational64::one(), -1) } else { (turn, 1) };
    let turn = if turn > Rational64::new(1, 2) { Rational64::one() - turn } else { turn };
    let half = BigRational::new(sign.into(), 2.into());
    match (*turn.numer(), *turn.denom()) {
        (0, 1) => Some(Polynomial::default()),
        (1, 6) => Some(Polynomial::constant(half)),
        (1, 4) => Polynomial::prime_power(2, Rational64::new(1, 2))?.scale(&half),
        (1, 3) => Polynomial::prime_power(3, Rational64::new(1, 2))?.scale(&half),
        (1, 2) => Some(Polynomial::integer(sign)),
        _ => None,
    }
}

/// The known angle whose sine, cosine or tangent the argument is.
pub(super) fn inverse_trigonometric(
    function: Function,
    argument: &Polynomial,
    budget: &mut Budget,
) -> Option<Polynomial> {
    let half = Rational64::new(1, 2);
    for twelfths in -6..=12 {
        let turn = Rational64::new(twelfths, 12);
        let in_range = if function == Function::Arccos { twelfths >= 0 } else { twelfths <= 6 };
        let (Some(sin), Some(cos)) = (sine(turn), sine(turn + half)) else { continue };
        let value = match function {
            Function::Arcsin => sin,
            Function::Arccos => cos,
            _ if cos.is_zero() => continue,
            _ => sin.multiply(&cos.inverse(budget)?, budget)?,
        };
        if in_range && value == *argument {
            let turn = BigRational::new((*turn.numer()).into(), (*turn.denom()).into());
            return Polynomial::atom(Atom::Pi).scale(&turn);
        }
    }
    None
}

/// The natural logarithm: a sum over primes for positive rationals and roots, the exponent for powers of e.
pub(super) fn logarithm(value: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    if value.is_zero() {
        return None;
    }
    match logarithm_of_term(value, budget) {
        Some(sum) => Some(sum),
        None => opaque("ln", &[value.key()], budget),
    }
}

fn logarithm_of_term(value: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    let (monomial, coefficient) = value.single_term()?;
    if !coefficient.is_positive() {
        return None;
    }
    let mut sum = Polynomial::default();
    let mut add = |log: Polynomial, times: Rational64, budget: &mut Budget| {
        let times = BigRational::new((*times.numer()).into(), (*times.denom()).into());
        sum = sum.add(&log.scale(&times)?, budget)?;
        Some(())
    };
    let prime_log = |prime: u64| Polynomial::opaque(&format!("ln({prime})"));
    for (part, sign) in [(coefficient.numer(), 1), (coefficient.denom(), -1)] {
        for (prime, multiplicity) in factor(part, budget)? {
            add(prime_log(prime), Rational64::from_integer(i64::from(multiplicity) * sign), budget)?;
        }
    }
    for (atom, exponent) in monomial {
        match atom {
            Atom::Prime(prime) => add(prime_log(*prime), *exponent, budget)?,
            Atom::E => add(Polynomial::integer(1), *exponent, budget)?,
            _ => return None,
        }
    }
    Some(sum)
}
