//! Trees to exact values ([`Polynomial`]): arithmetic, roots of rationals, logarithms and trigonometry where the
//! result is known exactly. What is not becomes an opaque atom, written by its own canonical text.

mod known;

use super::budget::Budget;
use super::node::{Function, Node, Operation};
use super::number::{BigInt, BigRational, Rational64};
use super::polynomial::{Atom, Polynomial, bits};
use known::{factor, inverse_trigonometric, logarithm, multiple_of_pi, sine};

/// Digits and exponents beyond this are text.
const MAX_DIGITS: usize = 1_200;

/// Reads `123`, `.5`, `1.5e-3` exactly. `None` when it is no number or too long.
pub fn parse_number(digits: &str) -> Option<BigRational> {
    if digits.len() <= 18 && digits.bytes().all(|b| b.is_ascii_digit()) {
        return Some(BigRational::from_integer(digits.parse::<i64>().ok()?.into()));
    }
    let (mantissa, exponent) = match digits.split_once('e') {
        Some((mantissa, exponent)) => (mantissa, exponent.parse::<i64>().ok()?),
        None => (digits, 0),
    };
    let (whole, fraction) = mantissa.split_once('.').unwrap_or((mantissa, ""));
    let length = whole.len() + fraction.len();
    if length == 0 || length > MAX_DIGITS || exponent.unsigned_abs() > MAX_DIGITS as u64 {
        return None;
    }
    let value: BigInt = format!("{whole}{fraction}").parse().ok()?;
    let shift = exponent - fraction.len() as i64;
    let power = BigInt::from(10).pow(u32::try_from(shift.unsigned_abs()).ok()?);
    Some(if shift >= 0 { BigRational::from_integer(value * power) } else { BigRational::new(value, power) })
}

/// The exact value of an expression. `None` for structures, for undefined values and where a size cap is passed.
pub fn exact(node: &Node, budget: &mut Budget) -> Option<Polynomial> {
    budget.enter()?;
    let value = exact_inner(node, budget);
    budget.leave();
    value
}

fn exact_inner(node: &Node, budget: &mut Budget) -> Option<Polynomial> {
    Some(match node {
        Node::Number(value) => Polynomial::constant(value.clone()),
        Node::Pi => Polynomial::atom(Atom::Pi),
        Node::E => Polynomial::atom(Atom::E),
        Node::I => Polynomial::atom(Atom::I),
        Node::Variable(name) => Polynomial::atom(Atom::Variable(name.as_str().into())),
        Node::Sum(terms) => {
            let mut sum = Polynomial::default();
            for term in terms {
                let term = exact(term, budget)?;
                sum = sum.add(&term, budget)?;
            }
            sum
        }
        Node::Product(factors) => {
            let mut product = Polynomial::integer(1);
            for factor in factors {
                let factor = exact(factor, budget)?;
                product = product.multiply(&factor, budget)?;
            }
            product
        }
        Node::Negative(inner) => exact(inner, budget)?.negative(),
        Node::Inverse(inner) => {
            let inner = exact(inner, budget)?;
            inverse(&inner, budget)?
        }
        Node::Power(base, exponent) => {
            let (base, exponent) = (exact(base, budget)?, exact(exponent, budget)?);
            power(&base, &exponent, budget)?
        }
        Node::Root(index, radicand) => {
            let (index, radicand) = (exact(index, budget)?, exact(radicand, budget)?);
            let exponent = inverse(&index, budget)?;
            power(&radicand, &exponent, budget)?
        }
        Node::Call(function, argument) => {
            let argument = exact(argument, budget)?;
            call(*function, &argument, budget)?
        }
        Node::Log(base, argument) => {
            let argument = exact(argument, budget)?;
            let log = logarithm(&argument, budget)?;
            let Some(base) = base else { return log.multiply(&Polynomial::opaque("some log"), budget) };
            let base = exact(base, budget)?;
            let base = logarithm(&base, budget)?;
            log.multiply(&inverse(&base, budget)?, budget)?
        }
        Node::Apply(name, arguments) => {
            let mut keys = Vec::new();
            for argument in arguments {
                keys.push(exact(argument, budget)?.key());
            }
            opaque(name, &keys, budget)?
        }
        Node::Factorial(inner) => {
            let inner = exact(inner, budget)?;
            match inner.as_integer() {
                Some(n @ 0..=450) => Polynomial::constant(product_of(1, n).into()),
                _ => opaque("!", &[inner.key()], budget)?,
            }
        }
        Node::Binomial(n, k) => {
            let (n, k) = (exact(n, budget)?, exact(k, budget)?);
            binomial(&n, &k, budget)?
        }
        Node::Many(operation, items) => many(*operation, items, budget)?,
        Node::Repeated { index, from, to, body, is_product } => {
            repeated(index, from, to, body, *is_product, budget)?
        }
        Node::Integral { variable, from, to, body } => integral(variable, from, to, body, budget)?,
        Node::Degrees(inner) => {
            let value = exact(inner, budget)?.scale(&BigRational::new(1.into(), 180.into()))?;
            value.multiply(&Polynomial::atom(Atom::Pi), budget)?
        }
        Node::Percent(inner) => exact(inner, budget)?.scale(&BigRational::new(1.into(), 100.into()))?,
        _ => return None,
    })
}

/// An opaque atom; its text counts as steps, so that nesting cannot double it for free.
fn opaque(name: &str, arguments: &[String], budget: &mut Budget) -> Option<Polynomial> {
    let text = format!("{name}({})", arguments.join(","));
    budget.take(text.len() as u64 / 8)?;
    (text.len() <= 4_096).then(|| Polynomial::opaque(&text))
}

fn product_of(from: i64, to: i64) -> BigInt {
    (from..=to).fold(BigInt::one(), |product, factor| product * BigInt::from(factor))
}

fn binomial(n: &Polynomial, k: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    match (n.as_integer(), k.as_integer()) {
        (Some(n @ 0..=2_000), Some(k)) if k >= 0 => {
            if k > n {
                return Some(Polynomial::default());
            }
            let k = k.min(n - k);
            if k > 450 {
                return None;
            }
            budget.take(k.unsigned_abs())?;
            let (mut value, mut at) = (BigInt::one(), 0);
            while at < k {
                value = value * BigInt::from(n - at) / BigInt::from(at + 1);
                at += 1;
            }
            Some(Polynomial::constant(value.into()))
        }
        // n (n-1) ... (n-k+1) / k!
        (None, Some(k @ 0..=12)) => {
            let mut value = Polynomial::integer(1);
            for at in 0..k {
                let factor = n.add(&Polynomial::integer(-at), budget)?;
                value =
                    value.multiply(&factor, budget)?.scale(&BigRational::new(1.into(), (at + 1).into()))?;
            }
            Some(value)
        }
        _ => opaque("binomial", &[n.key(), k.key()], budget),
    }
}

/// The largest of numbers, a greatest common divisor, ...
fn many(operation: Operation, items: &[Node], budget: &mut Budget) -> Option<Polynomial> {
    let mut values = Vec::new();
    for item in items {
        values.push(exact(item, budget)?);
    }
    let numbers: Option<Vec<BigRational>> = values.iter().map(Polynomial::as_rational).collect();
    let known = numbers.and_then(|numbers| match operation {
        Operation::Max => numbers.into_iter().max(),
        Operation::Min => numbers.into_iter().min(),
        _ => {
            let whole = numbers.iter().map(|value| value.is_integer().then(|| value.to_integer()));
            whole_operation(operation, &whole.collect::<Option<Vec<_>>>()?).map(BigRational::from_integer)
        }
    });
    if let Some(value) = known {
        return Some(Polynomial::constant(value));
    }
    let mut keys: Vec<String> = values.iter().map(Polynomial::key).collect();
    if operation != Operation::Mod {
        crate::order::sort_texts(&mut keys);
        keys.dedup();
        if keys.len() == 1 && matches!(operation, Operation::Max | Operation::Min) {
            return values.pop();
        }
    }
    opaque(&format!("{operation:?}"), &keys, budget)
}

/// The greatest common divisor, the least common multiple, or the remainder of whole numbers.
pub(crate) fn whole_operation(operation: Operation, values: &[BigInt]) -> Option<BigInt> {
    let (first, rest) = values.split_first()?;
    match operation {
        Operation::Gcd => Some(rest.iter().fold(first.abs(), |all, value| all.gcd(value))),
        Operation::Lcm => Some(rest.iter().fold(first.abs(), |all, value| all.lcm(value))),
        Operation::Mod => match rest {
            [modulus] if !modulus.is_zero() => Some(first.mod_floor(modulus)),
            _ => None,
        },
        Operation::Max | Operation::Min => None,
    }
}

/// Sums and products of more terms than this are left as they are.
const MOST_REPEATED: i64 = 1_000;

fn repeated(
    index: &str,
    from: &Node,
    to: &Node,
    body: &Node,
    is_product: bool,
    budget: &mut Budget,
) -> Option<Polynomial> {
    let (first, last) = (exact(from, budget)?, exact(to, budget)?);
    let (Some(first), Some(last)) = (first.as_integer(), last.as_integer()) else {
        return None;
    };
    if last.checked_sub(first)? > MOST_REPEATED {
        return None;
    }
    let mut total = Polynomial::integer(i64::from(is_product));
    for at in first..=last {
        budget.take(body.size())?;
        let term = exact(&body.clone().substituted(index, &Node::integer(at)), budget)?;
        total = if is_product { total.multiply(&term, budget)? } else { total.add(&term, budget)? };
    }
    Some(total)
}

/// The integral of a sum of powers, term by term; `None` for anything else.
fn integral(variable: &str, from: &Node, to: &Node, body: &Node, budget: &mut Budget) -> Option<Polynomial> {
    let antiderivative = exact(body, budget)?.antiderivative(variable, budget)?.to_node()?;
    let at = |limit: &Node| antiderivative.clone().substituted(variable, limit);
    budget.take(antiderivative.size() * 2)?;
    exact(&Node::Sum(vec![at(to), Node::Negative(Box::new(at(from)))]), budget)
}

fn inverse(value: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    if value.is_zero() {
        return None;
    }
    if let Some(inverse) = value.inverse(budget) {
        return Some(inverse);
    }
    let (monic, leading) = value.monic()?;
    opaque("1/", &[monic.key()], budget)?.scale(&leading.recip())
}

/// `base^exponent` on the principal branch, with real odd roots of negative numbers.
fn power(base: &Polynomial, exponent: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    if let Some(n) = exponent.as_integer() {
        let n32 = u32::try_from(n.unsigned_abs()).ok()?;
        let raised = match single_term_power(base, n) {
            Some(raised) => return Some(raised),
            None if n < 0 => inverse(base, budget)?.power(n32, budget),
            None => base.power(n32, budget),
        };
        return match raised {
            Some(raised) => Some(raised),
            // A sum to a high power stays a power; a number too long stays nothing.
            None if base.as_rational().is_none() => opaque("^", &[base.key(), exponent.key()], budget),
            None => None,
        };
    }
    if let Some(exponent) = exponent.as_rational() {
        return rational_power(base, &exponent, budget);
    }
    if base.is_zero() {
        return None;
    }
    // a^(c + r) = a^c a^r for a rational c; the rest is opaque, or a root of unity.
    let constant = exponent.terms().find(|(monomial, _)| monomial.is_empty()).map(|(_, value)| value.clone());
    let constant = Polynomial::constant(constant.unwrap_or_else(BigRational::zero));
    let rest = exponent.add(&constant.negative(), budget)?;
    let fixed = if constant.is_zero() { Polynomial::integer(1) } else { power(base, &constant, budget)? };
    if *base == Polynomial::atom(Atom::E)
        && let Some(turn) = multiple_of_pi(&rest, true)
        && let (Some(cos), Some(sin)) = (sine(turn + Rational64::new(1, 2)), sine(turn))
    {
        let unit = cos.add(&sin.multiply(&Polynomial::atom(Atom::I), budget)?, budget)?;
        return fixed.multiply(&unit, budget);
    }
    fixed.multiply(&opaque("^", &[base.key(), rest.key()], budget)?, budget)
}

/// A whole power of a single term with a coefficient of ±1: exponents multiply, however large.
fn single_term_power(base: &Polynomial, n: i64) -> Option<Polynomial> {
    let (monomial, coefficient) = base.single_term()?;
    let [(atom @ (Atom::Variable(_) | Atom::Pi | Atom::E), exponent)] = monomial else { return None };
    if !coefficient.is_one() || n == 0 {
        return None;
    }
    let exponent = exponent.numer().checked_mul(n).map(|top| Rational64::new(top, *exponent.denom()))?;
    Polynomial::atom_power(atom.clone(), exponent)
}

fn rational_power(base: &Polynomial, exponent: &BigRational, budget: &mut Budget) -> Option<Polynomial> {
    // Far from the ends of the range, where fractions overflow.
    let part = |part: &BigInt| part.to_i64().filter(|part| part.unsigned_abs() < 1 << 32);
    let small = Rational64::new(part(exponent.numer())?, part(exponent.denom())?);
    let as_opaque = |budget: &mut Budget| opaque("^", &[base.key(), exponent.to_string()], budget);
    if base.is_zero() {
        return small.is_positive().then(Polynomial::default);
    }
    let Some((monomial, coefficient)) = base.single_term() else { return as_opaque(budget) };
    let splits = match monomial {
        [(Atom::Variable(_), power)] => power.is_one() && coefficient.is_positive(),
        _ => monomial.iter().all(|(atom, _)| matches!(atom, Atom::Prime(_) | Atom::Pi | Atom::E)),
    };
    if !splits || small.denom().abs() > 60 || small.numer().abs() > 2_000 {
        return as_opaque(budget);
    }
    // A number too large to factor may be a perfect power all the same.
    if monomial.is_empty()
        && coefficient.is_positive()
        && let Ok(index) = u32::try_from(*small.denom())
        && let Some(root) = perfect_root(coefficient, index)
    {
        return Polynomial::constant(root).power(u32::try_from(*small.numer()).ok()?, budget);
    }
    let Some(mut result) = constant_power(coefficient, small, budget) else { return as_opaque(budget) };
    for (atom, power) in monomial {
        let Some(exponent) = power
            .numer()
            .checked_mul(*small.numer())
            .and_then(|top| Some(Rational64::new(top, power.denom().checked_mul(*small.denom())?)))
        else {
            return as_opaque(budget);
        };
        result = result.multiply(&Polynomial::atom_power(atom.clone(), exponent)?, budget)?;
    }
    Some(result)
}

/// The root of a rational where it is rational.
fn perfect_root(value: &BigRational, index: u32) -> Option<BigRational> {
    let root = |part: &BigInt| {
        let root = part.nth_root(index);
        (root.pow(index) == *part).then_some(root)
    };
    (bits(value) < 4_096).then(|| Some(BigRational::new(root(value.numer())?, root(value.denom())?)))?
}

/// A rational to a rational power, by factoring: `8^{1/2} = 2 \cdot 2^{1/2}`.
fn constant_power(value: &BigRational, exponent: Rational64, budget: &mut Budget) -> Option<Polynomial> {
    let mut result = Polynomial::integer(1);
    if value.is_negative() {
        match exponent.denom() {
            2 => {
                let turns = exponent.numer().rem_euclid(4);
                result = Polynomial::atom(Atom::I).power(u32::try_from(turns).ok()?, budget)?;
            }
            odd if odd % 2 == 1 => {
                result = Polynomial::integer(if exponent.numer() % 2 == 0 { 1 } else { -1 });
            }
            _ => return None,
        }
    }
    for (part, sign) in [(value.numer().abs(), 1), (value.denom().clone(), -1)] {
        for (prime, multiplicity) in factor(&part, budget)? {
            let exponent = exponent * Rational64::from_integer(i64::from(multiplicity) * sign);
            result = result.multiply(&Polynomial::prime_power(prime, exponent)?, budget)?;
        }
    }
    Some(result)
}

/// floor(p + n) = floor(p) + n for whole n, so that the constant in the brackets lies between 0 and 1.
fn floor(argument: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    if let Some(value) = argument.as_rational() {
        return Some(Polynomial::constant(value.floor()));
    }
    let constant = argument.terms().find(|(monomial, _)| monomial.is_empty());
    let whole = constant.map(|(_, value)| value.floor()).unwrap_or_default();
    let inside = argument.add(&Polynomial::constant(-whole.clone()), budget)?;
    opaque(&format!("{:?}", Function::Floor), &[inside.key()], budget)?
        .add(&Polynomial::constant(whole), budget)
}

fn call(function: Function, argument: &Polynomial, budget: &mut Budget) -> Option<Polynomial> {
    let half = Rational64::new(1, 2);
    let turn = multiple_of_pi(argument, false);
    let known = match function {
        Function::Sin => turn.and_then(sine),
        Function::Cos => turn.and_then(|turn| sine(turn + half)),
        Function::Tan | Function::Cot | Function::Sec | Function::Csc => {
            match (turn.and_then(sine), turn.and_then(|turn| sine(turn + half))) {
                (Some(sin), Some(cos)) => {
                    let (top, bottom) = match function {
                        Function::Tan => (sin, cos),
                        Function::Cot => (cos, sin),
                        Function::Sec => (Polynomial::integer(1), cos),
                        _ => (Polynomial::integer(1), sin),
                    };
                    // A pole is undefined, not opaque.
                    return top.multiply(&inverse(&bottom, budget)?, budget);
                }
                _ => None,
            }
        }
        Function::Arcsin | Function::Arccos | Function::Arctan => {
            inverse_trigonometric(function, argument, budget)
        }
        Function::Ln => return logarithm(argument, budget),
        Function::Exp => return power(&Polynomial::atom(Atom::E), argument, budget),
        Function::Abs => argument.as_rational().map(|value| Polynomial::constant(value.abs())),
        Function::Sign => argument.as_rational().map(|value| {
            Polynomial::integer(if value.is_zero() {
                0
            } else if value.is_negative() {
                -1
            } else {
                1
            })
        }),
        Function::Floor => return floor(argument, budget),
        // ceil(x) = -floor(-x)
        Function::Ceil => return Some(floor(&argument.negative(), budget)?.negative()),
        Function::Sinh | Function::Tanh if argument.is_zero() => Some(Polynomial::default()),
        Function::Cosh if argument.is_zero() => Some(Polynomial::integer(1)),
        Function::Sinh | Function::Cosh | Function::Tanh => None,
    };
    match known {
        Some(value) => Some(value),
        None => opaque(&format!("{function:?}"), &[argument.key()], budget),
    }
}
