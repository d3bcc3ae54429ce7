//! Complex numbers of two double-doubles, each with a running bound of its absolute error.
//!
//! The bound is a first-order one with a generous unit (2^-104 is 5e-32, we charge 1e-30 an operation), which is what
//! tells cancellation (`\sqrt{2}\sqrt{3}-\sqrt{6}`: nothing left but error) from a small value (`10^{-20}`).

use super::double::{Double, E, PI, UNIT};

/// `re + i im`, known to within `error`.
#[derive(Clone, Copy, Debug)]
pub struct Complex {
    /// Real part.
    pub re: Double,
    /// Imaginary part.
    pub im: Double,
    /// Bound of the absolute error.
    pub error: f64,
}

impl Complex {
    /// A real number that is exact but for the rounding to double-double.
    pub fn real(re: Double) -> Self {
        Self { re, im: Double::ZERO, error: UNIT * re.hi.abs() }
    }

    /// A small exact number.
    pub fn exact(value: f64) -> Self {
        Self { re: value.into(), im: Double::ZERO, error: 0.0 }
    }

    /// The imaginary unit.
    pub fn i() -> Self {
        Self { re: Double::ZERO, im: Double::ONE, error: 0.0 }
    }

    /// The circle constant.
    pub fn pi() -> Self {
        Self::real(PI)
    }

    /// Euler's number.
    pub fn e() -> Self {
        Self::real(E)
    }

    /// The absolute value, to `f64` precision.
    pub fn magnitude(&self) -> f64 {
        self.re.hi.hypot(self.im.hi)
    }

    /// Whether the imaginary part is no more than error.
    pub fn is_real(&self) -> bool {
        self.im.hi.abs() <= self.error
    }

    /// This value with so large an error that it is equal to nothing: something was added to it that is smaller than its last
    /// digits, and left no trace (`e^{100} + e^{-100}`).
    pub fn absorbed(self) -> Self {
        Self { error: self.error.max(1e-20 * self.magnitude()), ..self }
    }

    /// `None` where `f64` leaves its safe range, so that no infinity or NaN goes on.
    fn checked(self) -> Option<Self> {
        let size = self.magnitude();
        (size < 1e140 && self.error < 1e140 && (size == 0.0 || size > 1e-140)).then_some(self)
    }

    fn rounded(re: Double, im: Double, error: f64) -> Option<Self> {
        let value = Self { re, im, error };
        Self { error: error + UNIT * value.magnitude(), ..value }.checked()
    }

    /// The sum.
    pub fn plus(self, other: Self) -> Option<Self> {
        // Each part rounds by itself, so that an exact zero imaginary part stays exact.
        let sum = Self::rounded(self.re + other.re, self.im + other.im, self.error + other.error)?;
        let (small, large) =
            (self.magnitude().min(other.magnitude()), self.magnitude().max(other.magnitude()));
        Some(if small > 0.0 && small < 1e-22 * large { sum.absorbed() } else { sum })
    }

    /// The negative.
    pub fn negative(self) -> Self {
        Self { re: -self.re, im: -self.im, error: self.error }
    }

    /// The product.
    pub fn multiply(self, other: Self) -> Option<Self> {
        let error =
            self.magnitude() * other.error + other.magnitude() * self.error + self.error * other.error;
        if self.im == Double::ZERO && other.im == Double::ZERO {
            return Self::rounded(self.re * other.re, Double::ZERO, error);
        }
        let re = self.re * other.re - self.im * other.im;
        let im = self.re * other.im + self.im * other.re;
        Self::rounded(re, im, error + 2.0 * UNIT * self.magnitude() * other.magnitude())
    }

    /// `1 / self`; `None` where zero is within the error.
    pub fn inverse(self) -> Option<Self> {
        let size = self.magnitude();
        if size <= 2.0 * self.error {
            return None;
        }
        let error = 2.0 * self.error / (size * size);
        if self.im == Double::ZERO {
            return Self::rounded(Double::ONE / self.re, Double::ZERO, error);
        }
        let square = self.re * self.re + self.im * self.im;
        Self::rounded(self.re / square, -self.im / square, error + 4.0 * UNIT / size)
    }

    /// The square root in the right half plane.
    pub fn sqrt(self) -> Option<Self> {
        let size = self.magnitude();
        if size <= 2.0 * self.error {
            return (self.error == 0.0).then_some(self);
        }
        let error = self.error / size.sqrt();
        if self.im == Double::ZERO {
            let root = self.re.abs().sqrt();
            return if self.re.hi > 0.0 {
                Self::rounded(root, Double::ZERO, error)
            } else {
                Self::rounded(Double::ZERO, root, error)
            };
        }
        let length = (self.re * self.re + self.im * self.im).sqrt();
        let re = ((length + self.re.abs()).scale(0.5)).sqrt();
        let im = self.im.scale(0.5) / re;
        let (re, im) = match (self.re.hi >= 0.0, self.im.hi >= 0.0) {
            (true, _) => (re, im),
            (false, true) => (im.abs(), re),
            (false, false) => (im.abs(), -re),
        };
        Self::rounded(re, im, error + 4.0 * UNIT * size.sqrt())
    }

    /// `e^self`
    pub fn exp(self) -> Option<Self> {
        let length = self.re.exp()?;
        let grown = length.hi * (self.error + UNIT * (2.0 + self.magnitude()));
        if self.im == Double::ZERO {
            return Self::rounded(length, Double::ZERO, grown);
        }
        let (sin, cos) = self.im.sin_cos()?;
        Self::rounded(length * cos, length * sin, 2.0 * grown)
    }

    /// The principal logarithm.
    pub fn ln(self) -> Option<Self> {
        let size = self.magnitude();
        if size <= 4.0 * self.error {
            return None;
        }
        let error = 2.0 * self.error / size + UNIT * 4.0;
        if self.im == Double::ZERO && self.re.hi > 0.0 {
            return Self::rounded(self.re.ln()?, Double::ZERO, error);
        }
        if self.im == Double::ZERO {
            return Self::rounded((-self.re).ln()?, PI, error);
        }
        let length = (self.re * self.re + self.im * self.im).sqrt();
        Self::rounded(length.ln()?, self.im.atan2(self.re)?, error)
    }

    /// Sine and cosine.
    pub fn sin_cos(self) -> Option<(Self, Self)> {
        if self.im == Double::ZERO {
            let (sin, cos) = self.re.sin_cos()?;
            let error = self.error + UNIT * (2.0 + self.re.hi.abs());
            return Some((
                Self::rounded(sin, Double::ZERO, error)?,
                Self::rounded(cos, Double::ZERO, error)?,
            ));
        }
        let turned = self.multiply(Self::i())?;
        let (forth, back) = (turned.exp()?, turned.negative().exp()?);
        let half = Self::exact(0.5);
        let cos = forth.plus(back)?.multiply(half)?;
        let sin = forth.plus(back.negative())?.multiply(half)?.multiply(Self::i().negative())?;
        Some((sin, cos))
    }

    /// `self^n` by repeated squaring.
    pub fn power_integer(self, n: i64) -> Option<Self> {
        let mut result = Self::exact(1.0);
        let mut square = if n < 0 { self.inverse()? } else { self };
        let mut rest = n.unsigned_abs();
        while rest > 0 {
            if rest & 1 == 1 {
                result = result.multiply(square)?;
            }
            rest >>= 1;
            if rest > 0 {
                square = square.multiply(square)?;
            }
        }
        Some(result)
    }

    /// `self^exponent` on the principal branch.
    pub fn power(self, exponent: Self) -> Option<Self> {
        if self.magnitude() == 0.0 && self.error == 0.0 {
            return (exponent.re.hi > 0.0).then_some(self);
        }
        self.ln()?.multiply(exponent)?.exp()
    }
}
