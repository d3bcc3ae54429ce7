//! Exact values: polynomials with rational coefficients over *atoms* (variables, π, e, i, roots of primes, and
//! opaque sub-expressions). Two polynomials are written alike exactly when they are the same polynomial.
//!
//! Roots of distinct primes are linearly independent over the rationals (Besicovitch 1940), and so are distinct
//! monomials in variables and π; so where no opaque atom occurs, different polynomials *are* different values.

use super::budget::Budget;
use super::node::Node;
use super::number::{BigInt, BigRational, Rational64};
use std::fmt::Write;
use std::sync::Arc;

/// What polynomials are made of.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Atom {
    /// The imaginary unit: exponent 0 or 1.
    I,
    /// A prime with a fractional exponent between 0 and 1: `2^(1/2)`.
    Prime(u64),
    /// The circle constant.
    Pi,
    /// Euler's number.
    E,
    /// A variable, by name.
    Variable(Arc<str>),
    /// Anything else, by its canonical text.
    Opaque(Arc<str>),
}

type Monomial = Vec<(Atom, Rational64)>;

/// More terms than this are refused: real answers have a dozen.
const MAX_TERMS: usize = 128;
/// Longer coefficients than this are refused.
const MAX_BITS: u64 = 8_192;
/// Larger exponents than this are refused.
const MAX_EXPONENT: i64 = 100_000;

/// A sum of coefficients times monomials, in the order of those; zero is the empty sum.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct Polynomial {
    terms: Vec<(Monomial, BigRational)>,
}

impl Polynomial {
    /// A rational constant.
    pub fn constant(value: BigRational) -> Self {
        if value.is_zero() { Self::default() } else { Self::term(Vec::new(), value) }
    }

    /// One term, whose coefficient is not zero.
    fn term(monomial: Monomial, coefficient: BigRational) -> Self {
        Self { terms: vec![(monomial, coefficient)] }
    }

    /// An integer constant.
    pub fn integer(value: i64) -> Self {
        Self::constant(BigRational::from_integer(value.into()))
    }

    /// One atom.
    pub fn atom(atom: Atom) -> Self {
        Self::term(vec![(atom, Rational64::one())], BigRational::one())
    }

    /// An opaque atom of this canonical text.
    pub fn opaque(text: &str) -> Self {
        Self::atom(Atom::Opaque(text.into()))
    }

    /// `prime^exponent`
    pub fn prime_power(prime: u64, exponent: Rational64) -> Option<Self> {
        Self::atom_power(Atom::Prime(prime), exponent)
    }

    /// `atom^exponent`
    pub fn atom_power(atom: Atom, exponent: Rational64) -> Option<Self> {
        let mut coefficient = BigRational::one();
        let mut monomial = Vec::new();
        push_power(&mut monomial, &mut coefficient, atom, exponent)?;
        check_bits(&coefficient)?;
        Some(Self::term(monomial, coefficient))
    }

    /// The terms: atoms with exponents, and the coefficient.
    pub fn terms(&self) -> impl ExactSizeIterator<Item = (&[(Atom, Rational64)], &BigRational)> {
        self.terms.iter().map(|(monomial, coefficient)| (monomial.as_slice(), coefficient))
    }

    /// Whether this is zero.
    pub fn is_zero(&self) -> bool {
        self.terms.is_empty()
    }

    /// The value, if it is rational.
    pub fn as_rational(&self) -> Option<BigRational> {
        if self.is_zero() { Some(BigRational::zero()) } else { self.rational().cloned() }
    }

    /// The value, if it is rational and not zero.
    pub fn rational(&self) -> Option<&BigRational> {
        match self.terms.as_slice() {
            [(monomial, value)] if monomial.is_empty() => Some(value),
            _ => None,
        }
    }

    /// The value, if it is a small integer.
    pub fn as_integer(&self) -> Option<i64> {
        let value = self.as_rational()?;
        if value.is_integer() { value.numer().to_i64() } else { None }
    }

    /// The only term.
    pub fn single_term(&self) -> Option<(&[(Atom, Rational64)], &BigRational)> {
        if self.terms.len() == 1 { self.terms().next() } else { None }
    }

    /// Whether a variable or an opaque atom occurs.
    pub fn is_constant(&self) -> bool {
        !self.has_atom(|atom| matches!(atom, Atom::Variable(_) | Atom::Opaque(_)))
    }

    fn atoms(&self) -> impl Iterator<Item = &(Atom, Rational64)> {
        self.terms.iter().flat_map(|(monomial, _)| monomial)
    }

    /// Whether some atom passes `test`.
    pub fn has_atom(&self, test: impl Fn(&Atom) -> bool) -> bool {
        self.atoms().any(|(atom, _)| test(atom))
    }

    /// Whether different polynomials of this kind are certainly different values (see the module's text). π and e
    /// together are not known to be independent.
    pub fn is_independent(&self) -> bool {
        let both = self.has_atom(|atom| *atom == Atom::Pi) && self.has_atom(|atom| *atom == Atom::E);
        !both && !self.has_atom(|atom| matches!(atom, Atom::Opaque(_)))
    }

    /// Whether no root, π, e or i occurs: variables with rational coefficients.
    pub fn has_rational_coefficients(&self) -> bool {
        !self.has_atom(|atom| !matches!(atom, Atom::Variable(_)))
    }

    /// Whether this is a multiple of a root of a rational that is no perfect power, and so irrational.
    pub fn is_irrational_root(&self) -> bool {
        let Some(([(Atom::Opaque(text), exponent)], _)) = self.single_term() else { return false };
        let digits = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
        let rational = |text: &str| text.split('/').all(digits);
        exponent.is_one()
            && text
                .strip_prefix("^(")
                .and_then(|rest| rest.strip_suffix(')'))
                .and_then(|rest| rest.split_once(','))
                .is_some_and(|(base, power)| {
                    rational(base) && power.split_once('/').is_some_and(|(n, d)| digits(n) && digits(d))
                })
    }

    /// The sum.
    pub fn add(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        let mut sum = self.clone();
        for (monomial, coefficient) in &other.terms {
            budget.take(cost(coefficient))?;
            sum.add_term(monomial.clone(), coefficient.clone())?;
        }
        Some(sum)
    }

    fn add_term(&mut self, monomial: Monomial, coefficient: BigRational) -> Option<()> {
        match self.terms.binary_search_by(|(own, _)| own.cmp(&monomial)) {
            Err(place) => self.terms.insert(place, (monomial, coefficient)),
            Ok(at) => {
                let sum = &self.terms[at].1 + &coefficient;
                if sum.is_zero() {
                    self.terms.remove(at);
                } else {
                    check_bits(&sum)?;
                    self.terms[at].1 = sum;
                }
            }
        }
        (self.terms.len() <= MAX_TERMS).then_some(())
    }

    /// Times a rational.
    pub fn scale(&self, factor: &BigRational) -> Option<Self> {
        if factor.is_zero() {
            return Some(Self::default());
        }
        let mut scaled = self.clone();
        for (_, coefficient) in &mut scaled.terms {
            *coefficient = &*coefficient * factor;
            check_bits(coefficient)?;
        }
        Some(scaled)
    }

    /// The negative.
    pub fn negative(&self) -> Self {
        let mut negative = self.clone();
        negative.terms.iter_mut().for_each(|(_, value)| *value = -&*value);
        negative
    }

    /// The product.
    pub fn multiply(&self, other: &Self, budget: &mut Budget) -> Option<Self> {
        if let Some(factor) = other.as_rational() {
            budget.take(cost(&factor) * (1 + self.terms.len() as u64))?;
            return self.scale(&factor);
        }
        if let Some(factor) = self.as_rational() {
            budget.take(cost(&factor) * (1 + other.terms.len() as u64))?;
            return other.scale(&factor);
        }
        let mut product = Self::default();
        for (left, left_value) in &self.terms {
            for (right, right_value) in &other.terms {
                budget.take(cost(left_value).max(cost(right_value)))?;
                let mut coefficient = left_value * right_value;
                let monomial = multiply_monomials(left, right, &mut coefficient)?;
                check_bits(&coefficient)?;
                product.add_term(monomial, coefficient)?;
            }
        }
        Some(product)
    }

    /// `self^n` for whole `n`.
    pub fn power(&self, n: u32, budget: &mut Budget) -> Option<Self> {
        let bits = self.terms.iter().map(|(_, value)| bits(value)).max().unwrap_or(0);
        if self.terms.len() > 1 && n > 64 || bits.saturating_mul(u64::from(n)) > MAX_BITS && bits > 1 {
            return None;
        }
        let mut result = Self::integer(1);
        let mut square = self.clone();
        let mut rest = n;
        while rest > 0 {
            if rest & 1 == 1 {
                result = result.multiply(&square, budget)?;
            }
            rest >>= 1;
            if rest > 0 {
                square = square.multiply(&square, budget)?;
            }
        }
        Some(result)
    }

    /// `1 / self` where that is again such a sum: single terms, and constants with square roots or i, whose
    /// denominator is made rational by multiplying with conjugates.
    pub fn inverse(&self, budget: &mut Budget) -> Option<Self> {
        if let Some((monomial, coefficient)) = self.single_term() {
            let mut inverse = coefficient.recip();
            let mut inverted = Vec::new();
            for (atom, exponent) in monomial {
                push_power(&mut inverted, &mut inverse, atom.clone(), -*exponent)?;
            }
            check_bits(&inverse)?;
            return Some(Self::term(inverted, inverse));
        }
        let mut numerator = Self::integer(1);
        let mut denominator = self.clone();
        for _ in 0..6 {
            if denominator.single_term().is_some() {
                return numerator.multiply(&denominator.inverse(budget)?, budget);
            }
            let conjugate = denominator.conjugate()?;
            numerator = numerator.multiply(&conjugate, budget)?;
            denominator = denominator.multiply(&conjugate, budget)?;
        }
        None
    }

    /// With the sign of one square root (or of i) flipped; `None` when other atoms occur.
    fn conjugate(&self) -> Option<Self> {
        let half = Rational64::new(1, 2);
        let mut pivot = None;
        for (atom, exponent) in self.atoms() {
            match atom {
                Atom::I => pivot = Some(Atom::I),
                Atom::Prime(_) if *exponent == half => pivot = pivot.max(Some(atom.clone())),
                _ => return None,
            }
        }
        let pivot = pivot?;
        let mut conjugate = self.clone();
        for (monomial, value) in &mut conjugate.terms {
            if monomial.iter().any(|(atom, _)| *atom == pivot) {
                *value = -&*value;
            }
        }
        Some(conjugate)
    }

    /// The terms without variables and opaque atoms.
    pub fn without_variables(&self) -> Self {
        let is_variable = |(atom, _): &(Atom, _)| matches!(atom, Atom::Variable(_) | Atom::Opaque(_));
        let mut rest = self.clone();
        rest.terms.retain(|(monomial, _)| !monomial.iter().any(is_variable));
        rest
    }

    /// An antiderivative in a variable; `None` where a term is no power of it that is zero or more.
    pub fn antiderivative(&self, variable: &str, budget: &mut Budget) -> Option<Self> {
        let mut sum = Self::default();
        for (monomial, coefficient) in &self.terms {
            let mut rest = Vec::new();
            let mut exponent = Rational64::zero();
            for (atom, power) in monomial {
                match atom {
                    Atom::Variable(own) if **own == *variable => exponent = *power,
                    Atom::Opaque(_) => return None,
                    _ => rest.push((atom.clone(), *power)),
                }
            }
            if exponent.is_negative() {
                return None; // it may have a pole between the limits
            }
            let raised = exponent + Rational64::one();
            let scale = BigRational::new((*raised.denom()).into(), (*raised.numer()).into());
            let power = Self::atom_power(Atom::Variable(variable.into()), raised)?;
            sum = sum.add(&Self::term(rest, coefficient * &scale).multiply(&power, budget)?, budget)?;
        }
        Some(sum)
    }

    /// The polynomial as an expression; `None` when it has opaque atoms.
    pub fn to_node(&self) -> Option<Node> {
        let mut terms = Vec::new();
        for (monomial, coefficient) in &self.terms {
            let mut factors = vec![Node::Number(coefficient.clone())];
            for (atom, exponent) in monomial {
                let base = match atom {
                    Atom::I => Node::I,
                    Atom::Pi => Node::Pi,
                    Atom::E => Node::E,
                    Atom::Prime(prime) => Node::Number(BigRational::from_integer((*prime).into())),
                    Atom::Variable(name) => Node::Variable(name.to_string()),
                    Atom::Opaque(_) => return None,
                };
                let exponent = BigRational::new((*exponent.numer()).into(), (*exponent.denom()).into());
                factors.push(Node::Power(Box::new(base), Box::new(Node::Number(exponent))));
            }
            terms.push(Node::Product(factors));
        }
        Some(Node::Sum(terms))
    }

    /// Divided by the leading coefficient, so that equal up to a factor means equal; and that coefficient.
    pub fn monic(&self) -> Option<(Self, BigRational)> {
        let (_, leading) = self.terms.last()?;
        let leading = leading.clone();
        Some((self.scale(&leading.recip())?, leading))
    }

    /// The canonical text: equal exactly for equal polynomials.
    pub fn key(&self) -> String {
        let mut key = String::new();
        if let Some(value) = self.as_rational() {
            write_rational(&mut key, &value);
            return key;
        }
        for (at, (monomial, coefficient)) in self.terms.iter().enumerate() {
            if at > 0 {
                key.push('+');
            }
            write_rational(&mut key, coefficient);
            for (atom, exponent) in monomial {
                key.push('*');
                write_atom(&mut key, atom);
                if !exponent.is_one() {
                    let _ = write!(key, "^{exponent}");
                }
            }
        }
        key
    }
}

fn write_rational(key: &mut String, value: &BigRational) {
    let _ = match value.is_integer() {
        true => write!(key, "{}", value.numer()),
        false => write!(key, "{}/{}", value.numer(), value.denom()),
    };
}

fn write_atom(key: &mut String, atom: &Atom) {
    let _ = match atom {
        Atom::I => write!(key, "i"),
        Atom::Prime(prime) => write!(key, "{prime}"),
        Atom::Pi => write!(key, "π"),
        Atom::E => write!(key, "e"),
        Atom::Variable(name) => write!(key, "<{name}>"),
        Atom::Opaque(text) => write!(key, "[{text}]"),
    };
}

/// The size of a rational in bits.
pub fn bits(value: &BigRational) -> u64 {
    value.numer().bits().max(value.denom().bits())
}

/// Steps for one operation with this number: reducing a fraction is quadratic in its length.
fn cost(value: &BigRational) -> u64 {
    let words = bits(value) / 64;
    1 + words * words / 16
}

fn check_bits(value: &BigRational) -> Option<()> {
    (bits(value) <= MAX_BITS).then_some(())
}

fn multiply_monomials(left: &Monomial, right: &Monomial, coefficient: &mut BigRational) -> Option<Monomial> {
    let (mut at, mut to) = (0, 0);
    let mut product = Vec::with_capacity(left.len() + right.len());
    while at < left.len() || to < right.len() {
        let order = match (left.get(at), right.get(to)) {
            (Some(l), Some(r)) => l.0.cmp(&r.0),
            (Some(_), None) => std::cmp::Ordering::Less,
            _ => std::cmp::Ordering::Greater,
        };
        match order {
            std::cmp::Ordering::Less => {
                product.push(left[at].clone());
                at += 1;
            }
            std::cmp::Ordering::Greater => {
                product.push(right[to].clone());
                to += 1;
            }
            std::cmp::Ordering::Equal => {
                let exponent = left[at].1 + right[to].1;
                push_power(&mut product, coefficient, left[at].0.clone(), exponent)?;
                (at, to) = (at + 1, to + 1);
            }
        }
    }
    Some(product)
}

/// Appends `atom^exponent` in normal form: whole powers of primes and the sign of i^2 go to the coefficient.
fn push_power(
    monomial: &mut Monomial,
    coefficient: &mut BigRational,
    atom: Atom,
    mut exponent: Rational64,
) -> Option<()> {
    if exponent.numer().abs() > MAX_EXPONENT || *exponent.denom() > 1_000 {
        return None;
    }
    match &atom {
        Atom::I => {
            if !exponent.is_integer() {
                return None;
            }
            let turns = exponent.numer().rem_euclid(4);
            if turns >= 2 {
                *coefficient = -&*coefficient;
            }
            exponent = Rational64::from_integer(turns % 2);
        }
        Atom::Prime(prime) => {
            let whole = exponent.floor();
            if whole != 0 {
                let power = integer_power(&BigInt::from(*prime), whole.unsigned_abs())?;
                *coefficient =
                    if whole > 0 { &*coefficient * &power.into() } else { &*coefficient / &power.into() };
                exponent = exponent - Rational64::from_integer(whole);
            }
        }
        _ => {}
    }
    if !exponent.is_zero() {
        monomial.push((atom, exponent));
    }
    Some(())
}

/// `base^n`, refused when it would be long.
pub fn integer_power(base: &BigInt, n: u64) -> Option<BigInt> {
    if base.is_zero() || base.abs().is_one() {
        return Some(if n == 0 {
            BigInt::one()
        } else if n.is_multiple_of(2) {
            base * base
        } else {
            base.clone()
        });
    }
    let n = u32::try_from(n).ok()?;
    (base.bits().saturating_mul(u64::from(n)) <= MAX_BITS).then(|| base.pow(n))
}
