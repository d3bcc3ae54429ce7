//! Fractions of short numbers.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Mul, Neg, Sub};

use super::gcd;

/// A fraction of short numbers, in lowest terms with a denominator above zero: an exponent. What does not fit becomes the
/// largest that does, which is refused as an exponent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rational64 {
    numer: i64,
    denom: i64,
}

impl Rational64 {
    /// `numer / denom`. Panics where that is zero.
    pub fn new(numer: i64, denom: i64) -> Self {
        Self::of(numer.into(), denom.into())
    }

    fn of(numer: i128, denom: i128) -> Self {
        let divisor = if denom == 1 { 1 } else { gcd(numer.unsigned_abs(), denom.unsigned_abs()) as i128 };
        let divisor = divisor * denom.signum();
        let short = |value: i128| value.clamp(i64::MIN.into(), i64::MAX.into()) as i64;
        Self { numer: short(numer / divisor), denom: short(denom / divisor) }
    }

    /// A whole number.
    pub fn from_integer(numer: i64) -> Self {
        Self { numer, denom: 1 }
    }

    /// Zero.
    pub fn zero() -> Self {
        Self::from_integer(0)
    }

    /// One.
    pub fn one() -> Self {
        Self::from_integer(1)
    }

    /// What stands above the line.
    pub fn numer(&self) -> &i64 {
        &self.numer
    }

    /// What stands below the line.
    pub fn denom(&self) -> &i64 {
        &self.denom
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.numer == 0
    }

    /// Whether it is one.
    pub fn is_one(&self) -> bool {
        *self == Self::one()
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.numer < 0
    }

    /// Whether it is more than zero.
    pub fn is_positive(&self) -> bool {
        self.numer > 0
    }

    /// Whether it is whole.
    pub fn is_integer(&self) -> bool {
        self.denom == 1
    }

    /// The largest whole number that is not above it.
    pub fn floor(self) -> i64 {
        self.numer.div_euclid(self.denom)
    }
}

impl Ord for Rational64 {
    fn cmp(&self, other: &Self) -> Ordering {
        let across = |a: i64, b: i64| i128::from(a) * i128::from(b);
        across(self.numer, other.denom).cmp(&across(other.numer, self.denom))
    }
}

impl PartialOrd for Rational64 {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Neg for Rational64 {
    type Output = Self;

    fn neg(self) -> Self {
        Self { numer: -self.numer, ..self }
    }
}

impl Add for Rational64 {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        let [a, b, c, d] = [self.numer, self.denom, other.numer, other.denom].map(i128::from);
        Self::of(a * d + c * b, b * d)
    }
}

impl Sub for Rational64 {
    type Output = Self;

    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Rational64 {
    type Output = Self;

    fn mul(self, other: Self) -> Self {
        let [a, b, c, d] = [self.numer, self.denom, other.numer, other.denom].map(i128::from);
        Self::of(a * c, b * d)
    }
}

impl fmt::Display for Rational64 {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        self.numer.fmt(out)?;
        if self.is_integer() { Ok(()) } else { write!(out, "/{}", self.denom) }
    }
}
