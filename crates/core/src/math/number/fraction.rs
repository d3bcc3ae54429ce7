//! Fractions of whole numbers of any length.

use std::cmp::Ordering;
use std::fmt;
use std::ops::{Add, Div, Mul, Neg, Sub};

use super::BigInt;

/// A fraction in lowest terms, with a denominator above zero.
#[derive(Clone, PartialEq, Eq, Hash)]
pub struct BigRational {
    numer: BigInt,
    denom: BigInt,
}

impl BigRational {
    /// `numer / denom`. Panics where that is zero.
    pub fn new(numer: BigInt, denom: BigInt) -> Self {
        assert!(!denom.is_zero(), "a fraction over zero");
        if denom.is_one() {
            return Self { numer, denom };
        }
        let divisor = numer.gcd(&denom);
        let divisor = if denom.is_negative() { -divisor } else { divisor };
        if divisor.is_one() {
            Self { numer, denom }
        } else {
            Self { numer: numer / &divisor, denom: denom / &divisor }
        }
    }

    /// `numer / denom`, which are in lowest terms, with a denominator above zero.
    pub(crate) fn of_lowest(numer: BigInt, denom: BigInt) -> Self {
        Self { numer, denom }
    }

    /// A whole number.
    pub fn from_integer(numer: BigInt) -> Self {
        Self { numer, denom: BigInt::one() }
    }

    /// Zero.
    pub fn zero() -> Self {
        Self::from_integer(BigInt::zero())
    }

    /// One.
    pub fn one() -> Self {
        Self::from_integer(BigInt::one())
    }

    /// What stands above the line.
    pub fn numer(&self) -> &BigInt {
        &self.numer
    }

    /// What stands below the line.
    pub fn denom(&self) -> &BigInt {
        &self.denom
    }

    /// Whether it is zero.
    pub fn is_zero(&self) -> bool {
        self.numer.is_zero()
    }

    /// Whether it is one.
    pub fn is_one(&self) -> bool {
        self.numer.is_one() && self.denom.is_one()
    }

    /// Whether it is less than zero.
    pub fn is_negative(&self) -> bool {
        self.numer.is_negative()
    }

    /// Whether it is more than zero.
    pub fn is_positive(&self) -> bool {
        !self.is_negative() && !self.is_zero()
    }

    /// Whether it is whole.
    pub fn is_integer(&self) -> bool {
        self.denom.is_one()
    }

    /// Rounded towards zero.
    pub fn to_integer(&self) -> BigInt {
        &self.numer / &self.denom
    }

    /// The largest whole number that is not above it.
    pub fn floor(&self) -> Self {
        Self::from_integer((&self.numer - &self.numer.mod_floor(&self.denom)) / &self.denom)
    }

    /// The whole number next to it, halves away from zero.
    pub fn round(&self) -> BigInt {
        let two = BigInt::from(2);
        let size = (&self.numer.abs() * &two + &self.denom) / (&self.denom * &two);
        if self.is_negative() { -size } else { size }
    }

    /// Its size.
    pub fn abs(&self) -> Self {
        Self { numer: self.numer.abs(), denom: self.denom.clone() }
    }

    /// `1 / self`. Panics where that is zero.
    pub fn recip(&self) -> Self {
        Self::new(self.denom.clone(), self.numer.clone())
    }

    /// Exactly a double; `None` where that is no number.
    pub fn from_f64(value: f64) -> Option<Self> {
        let bits = value.to_bits();
        let exponent = bits >> 52 & 0x7ff;
        if exponent == 0x7ff {
            return None;
        }
        // The least doubles have no leading bit that is not written.
        let size = BigInt::from(bits & ((1 << 52) - 1) | u64::from(exponent > 0) << 52);
        let exponent = exponent.max(1) as i64 - 1_075;
        let numer = if value < 0.0 { -size } else { size };
        let power = exponent.unsigned_abs();
        Some(match exponent < 0 {
            true => Self::new(numer, BigInt::one().shifted_left(power)),
            false => Self::from_integer(numer.shifted_left(power)),
        })
    }

    /// The double next to it, of two the even one; infinite where it is beyond them all.
    pub fn to_f64(&self) -> f64 {
        const EXACT: u64 = 1 << 53;
        let (top, bottom) = (self.numer.to_i64(), self.denom.to_i64());
        if let (Some(top), Some(bottom)) = (top, bottom)
            && top.unsigned_abs() <= EXACT
            && bottom.unsigned_abs() <= EXACT
        {
            return top as f64 / bottom as f64;
        }
        let sign = if self.is_negative() { -1.0 } else { 1.0 };
        let size = self.numer.bits() as i64 - self.denom.bits() as i64;
        if size > 1_024 {
            return sign * f64::INFINITY;
        }
        if size < -1_075 {
            return sign * 0.0;
        }
        // A quotient of 55 or 56 bits: those of a double, and the others for rounding. The least doubles have fewer.
        let shift = size.max(-1_021) - 55;
        let by = shift.unsigned_abs();
        let (top, bottom) = match shift < 0 {
            true => (self.numer.abs().shifted_left(by), self.denom.clone()),
            false => (self.numer.abs(), self.denom.shifted_left(by)),
        };
        let (quotient, rest) = top.div_rem(&bottom);
        // It fits.
        let quotient = quotient.to_u64().unwrap_or_default();
        let length = 64 - i64::from(quotient.leading_zeros());
        let spare = length.max(-1_021 - shift) - 53;
        let (half, unit) = (1u64 << (spare - 1), 1u64 << spare);
        let below = quotient & (unit - 1);
        let is_up = below > half || below == half && (!rest.is_zero() || quotient & unit != 0);
        let rounded = quotient - below + if is_up { unit } else { 0 };
        // By two powers of two, as one may be no double; both steps are exact.
        let power = |exponent: i64| f64::from_bits(((1_023 + exponent) as u64) << 52);
        sign * rounded as f64 * power(shift / 2) * power(shift - shift / 2)
    }
}

impl Default for BigRational {
    fn default() -> Self {
        Self::zero()
    }
}

impl From<BigInt> for BigRational {
    fn from(value: BigInt) -> Self {
        Self::from_integer(value)
    }
}

impl fmt::Display for BigRational {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(&self.numer, out)?;
        if self.is_integer() { Ok(()) } else { write!(out, "/{}", self.denom) }
    }
}

impl fmt::Debug for BigRational {
    fn fmt(&self, out: &mut fmt::Formatter) -> fmt::Result {
        fmt::Display::fmt(self, out)
    }
}

impl Ord for BigRational {
    fn cmp(&self, other: &Self) -> Ordering {
        (&self.numer * &other.denom).cmp(&(&other.numer * &self.denom))
    }
}

impl PartialOrd for BigRational {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Neg for &BigRational {
    type Output = BigRational;

    fn neg(self) -> BigRational {
        BigRational { numer: -&self.numer, denom: self.denom.clone() }
    }
}

impl Add for &BigRational {
    type Output = BigRational;

    fn add(self, other: Self) -> BigRational {
        if self.is_integer() && other.is_integer() {
            return BigRational::from_integer(&self.numer + &other.numer);
        }
        // Divisors of the denominators alone, which are found sooner than those of the sum.
        let divisor = self.denom.gcd(&other.denom);
        let (left, right) = (&self.denom / &divisor, &other.denom / &divisor);
        let top = &self.numer * &right + &other.numer * &left;
        let divisor = top.gcd(&divisor);
        BigRational { numer: top / &divisor, denom: left * (&other.denom / &divisor) }
    }
}

impl Sub for &BigRational {
    type Output = BigRational;

    fn sub(self, other: Self) -> BigRational {
        self + &-other
    }
}

impl Mul for &BigRational {
    type Output = BigRational;

    fn mul(self, other: Self) -> BigRational {
        BigRational::new(&self.numer * &other.numer, &self.denom * &other.denom)
    }
}

impl Div for &BigRational {
    type Output = BigRational;

    fn div(self, other: Self) -> BigRational {
        BigRational::new(&self.numer * &other.denom, &self.denom * &other.numer)
    }
}
