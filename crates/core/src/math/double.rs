//! Double-double reals: a value as the unevaluated sum of two `f64`, about 31 significant digits.
//!
//! Why not `f64`: an answer such as `10^{10}` against `\sqrt{10^{20}+1}` agrees to 20 digits. And why not the `libm`
//! of the platform: verdicts must be the same natively and in a browser; here only IEEE addition, multiplication,
//! division and square root decide (`f64` logarithms and arctangents are seeds that are refined).
//! Formulas: Dekker 1971; Hida, Li and Bailey, "Library for double-double and quad-double arithmetic", 2001.

use std::ops::{Add, Div, Mul, Neg, Sub};

/// `hi + lo` with `|lo| <= ulp(hi) / 2`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Double {
    /// The nearest `f64`.
    pub hi: f64,
    /// What `hi` leaves out.
    pub lo: f64,
}

const fn double(hi: f64, lo: f64) -> Double {
    Double { hi, lo }
}

/// A bound of the relative error of one operation, with room to spare (2^-104 is about 5e-32).
pub const UNIT: f64 = 1e-30;

#[allow(clippy::approx_constant, reason = "the two halves of constants to 32 digits")]
mod constants {
    use super::{Double, double};
    /// The circle constant.
    pub const PI: Double = double(3.141592653589793, 1.2246467991473532e-16);
    /// Half of it.
    pub const HALF_PI: Double = double(1.5707963267948966, 6.123233995736766e-17);
    /// Euler's number.
    pub const E: Double = double(2.718281828459045, 1.4456468917292502e-16);
    /// The natural logarithm of two.
    pub const LN_2: Double = double(0.6931471805599453, 2.3190468138462996e-17);
}
pub use constants::{E, HALF_PI, LN_2, PI};

fn two_sum(a: f64, b: f64) -> Double {
    let sum = a + b;
    let shadow = sum - a;
    double(sum, (a - (sum - shadow)) + (b - shadow))
}

fn quick_two_sum(a: f64, b: f64) -> Double {
    let sum = a + b;
    double(sum, b - (sum - a))
}

fn split(a: f64) -> (f64, f64) {
    let shifted = a * 134_217_729.0; // 2^27 + 1
    let high = shifted - (shifted - a);
    (high, a - high)
}

fn two_product(a: f64, b: f64) -> Double {
    let product = a * b;
    let ((a_high, a_low), (b_high, b_low)) = (split(a), split(b));
    double(product, ((a_high * b_high - product) + a_high * b_low + a_low * b_high) + a_low * b_low)
}

impl From<f64> for Double {
    fn from(value: f64) -> Self {
        double(value, 0.0)
    }
}

impl Add for Double {
    type Output = Self;
    fn add(self, other: Self) -> Self {
        let high = two_sum(self.hi, other.hi);
        let low = two_sum(self.lo, other.lo);
        let sum = quick_two_sum(high.hi, high.lo + low.hi);
        quick_two_sum(sum.hi, sum.lo + low.lo)
    }
}

impl Neg for Double {
    type Output = Self;
    fn neg(self) -> Self {
        double(-self.hi, -self.lo)
    }
}

impl Sub for Double {
    type Output = Self;
    fn sub(self, other: Self) -> Self {
        self + -other
    }
}

impl Mul for Double {
    type Output = Self;
    fn mul(self, other: Self) -> Self {
        let product = two_product(self.hi, other.hi);
        quick_two_sum(product.hi, product.lo + self.hi * other.lo + self.lo * other.hi)
    }
}

impl Div for Double {
    type Output = Self;
    fn div(self, other: Self) -> Self {
        let first = self.hi / other.hi;
        let rest = self - other * first.into();
        let second = rest.hi / other.hi;
        let rest = rest - other * second.into();
        quick_two_sum(first, second) + (rest.hi / other.hi).into()
    }
}

impl Double {
    /// Zero.
    pub const ZERO: Double = double(0.0, 0.0);
    /// One.
    pub const ONE: Double = double(1.0, 0.0);

    /// `|self|`
    pub fn abs(self) -> Self {
        if self.hi < 0.0 { -self } else { self }
    }

    /// Multiplies by a power of two, exactly.
    pub fn scale(self, power: f64) -> Self {
        double(self.hi * power, self.lo * power)
    }

    /// The square root of a number that is not negative.
    pub fn sqrt(self) -> Self {
        if self.hi <= 0.0 {
            return Self::ZERO;
        }
        let root = self.hi.sqrt();
        let correction = (self - two_product(root, root)).hi / (2.0 * root);
        let better = two_sum(root, correction);
        // One more Newton step takes the error from 2^-100 to rounding.
        (better + self / better).scale(0.5)
    }

    /// The nearest integer below, as a `Double`.
    pub fn floor(self) -> Self {
        let high = self.hi.floor();
        if high == self.hi { quick_two_sum(high, self.lo.floor()) } else { double(high, 0.0) }
    }

    /// `e^self`; `None` outside of about 1e±260.
    pub fn exp(self) -> Option<Self> {
        if self.hi.is_nan() || self.hi.abs() >= 600.0 {
            return None;
        }
        let twos = (self.hi / LN_2.hi).round();
        let reduced = (self - LN_2 * twos.into()).scale(1.0 / 512.0);
        // e^r - 1 for |r| < 0.0007: eight terms reach 1e-32.
        let mut term = reduced;
        let mut sum = reduced;
        for n in 2..=9 {
            term = term * reduced / f64::from(n).into();
            sum = sum + term;
        }
        // (1 + s)^2 - 1 = 2s + s^2, nine times, keeps the small part accurate.
        for _ in 0..9 {
            sum = sum.scale(2.0) + sum * sum;
        }
        Some((sum + Self::ONE).scale(2f64.powi(twos as i32)))
    }

    /// The natural logarithm of a positive number: Newton's method on [`Double::exp`].
    pub fn ln(self) -> Option<Self> {
        if !(self.hi > 1e-250 && self.hi < 1e250) {
            return None;
        }
        let mut value: Self = self.hi.ln().into();
        for _ in 0..2 {
            value = value + self * (-value).exp()? - Self::ONE;
        }
        Some(value)
    }

    /// Sine and cosine; `None` for arguments too large to be reduced well.
    pub fn sin_cos(self) -> Option<(Self, Self)> {
        if self.hi.is_nan() || self.hi.abs() >= 1e6 {
            return None;
        }
        let quarters = (self.hi / HALF_PI.hi).round();
        let reduced = self - HALF_PI * quarters.into();
        let (sin, cos) = small_sin_cos(reduced);
        Some(match (quarters as i64).rem_euclid(4) {
            0 => (sin, cos),
            1 => (cos, -sin),
            2 => (-sin, -cos),
            _ => (-cos, sin),
        })
    }

    /// The angle of the point (`x`, `self`), refined from the `f64` angle by one rotation.
    pub fn atan2(self, x: Self) -> Option<Self> {
        let length = (self * self + x * x).sqrt();
        if !(length.hi > 1e-150 && length.hi < 1e150) {
            return None;
        }
        let (y, x) = (self / length, x / length);
        let mut angle: Self = y.hi.atan2(x.hi).into();
        for _ in 0..2 {
            let (sin, cos) = angle.sin_cos()?;
            angle = angle + (y * cos - x * sin);
        }
        Some(angle)
    }
}

/// Taylor series for `|x| <= pi/4`, halved twice first.
fn small_sin_cos(x: Double) -> (Double, Double) {
    let x = x.scale(0.25);
    let square = x * x;
    let (mut sin_term, mut sin) = (x, x);
    let (mut cos_term, mut versine) = (Double::ONE, Double::ZERO);
    for n in 1..=11 {
        let n = f64::from(2 * n);
        cos_term = -cos_term * square / (n * (n - 1.0)).into();
        versine = versine - cos_term;
        sin_term = -sin_term * square / (n * (n + 1.0)).into();
        sin = sin + sin_term;
    }
    let mut cos = Double::ONE - versine;
    for _ in 0..2 {
        (sin, cos) = ((sin * cos).scale(2.0), Double::ONE - (sin * sin).scale(2.0));
    }
    (sin, cos)
}

#[cfg(test)]
mod tests {
    use super::{Double, E, HALF_PI, LN_2, PI};

    fn close(a: Double, b: Double) -> bool {
        (a - b).hi.abs() <= 1e-29 * b.hi.abs().max(1e-3)
    }

    fn number(value: f64) -> Double {
        value.into()
    }

    #[test]
    fn functions_agree_with_constants_and_identities_to_29_digits() {
        assert!(close(Double::ONE.exp().unwrap(), E));
        assert!(close(number(2.0).ln().unwrap(), LN_2));
        assert!(close(Double::ONE.atan2(Double::ONE).unwrap(), PI.scale(0.25)));
        assert!(close(number(2.0).sqrt() * number(2.0).sqrt(), number(2.0)));
        assert!(close(HALF_PI, PI.scale(0.5)));
        for x in [0.001, 0.3, 0.77, 1.0, 2.5, 17.25, 300.125] {
            let x = number(x) / number(1.7);
            let (sin, cos) = x.sin_cos().unwrap();
            assert!(close(sin * sin + cos * cos, Double::ONE), "{x:?}");
            assert!(close(x.exp().unwrap().ln().unwrap(), x), "{x:?}");
            assert!(close(x.exp().unwrap() * (-x).exp().unwrap(), Double::ONE), "{x:?}");
            let (double_sin, _) = x.scale(2.0).sin_cos().unwrap();
            assert!((double_sin - (sin * cos).scale(2.0)).hi.abs() < 1e-28, "{x:?}");
        }
    }

    #[test]
    fn known_digits() {
        // sin 1 and e^2 to 32 digits, as hi + lo from their decimal expansions.
        let (sin, _) = Double::ONE.sin_cos().unwrap();
        let expect = number(8_414_709_848_078_965.0) + number(0.066_525_023_216_302_99);
        assert!(close(sin * number(1e16), expect), "{sin:?}");
    }
}
