//! The known functions on complex numbers, from exponentials and logarithms.

use super::complex::Complex;
use super::double::{Double, PI};
use super::node::Function;

/// `function(x)`; `None` outside its domain or where the value is not certain (the floor of 3 ± error).
pub fn evaluate(function: Function, x: Complex) -> Option<Complex> {
    match function {
        Function::Sin => Some(x.sin_cos()?.0),
        Function::Cos => Some(x.sin_cos()?.1),
        Function::Tan => {
            let (sin, cos) = x.sin_cos()?;
            sin.multiply(cos.inverse()?)
        }
        Function::Cot => {
            let (sin, cos) = x.sin_cos()?;
            cos.multiply(sin.inverse()?)
        }
        Function::Sec => x.sin_cos()?.1.inverse(),
        Function::Csc => x.sin_cos()?.0.inverse(),
        Function::Sinh => half_sum(x, -1.0),
        Function::Cosh => half_sum(x, 1.0),
        Function::Tanh => half_sum(x, -1.0)?.multiply(half_sum(x, 1.0)?.inverse()?),
        Function::Ln => x.ln(),
        Function::Exp => x.exp(),
        Function::Arcsin => arcsin(x),
        Function::Arccos => Complex::real(PI.scale(0.5)).plus(arcsin(x)?.negative()),
        Function::Arctan => arctan(x),
        Function::Abs => absolute(x),
        Function::Sign => sign(x),
        Function::Floor => floor(x),
        Function::Ceil => Some(floor(x.negative())?.negative()),
    }
}

fn half_sum(x: Complex, sign: f64) -> Option<Complex> {
    let back = x.negative().exp()?.multiply(Complex::exact(sign))?;
    x.exp()?.plus(back)?.multiply(Complex::exact(0.5))
}

/// On the reals only, by the angle of (x, sqrt(1 - x^2)); elsewhere unknown.
fn arcsin(x: Complex) -> Option<Complex> {
    if x.im != Double::ZERO || x.re.hi.abs() > 1.0 {
        return None;
    }
    let cosine = (Double::ONE - x.re * x.re).abs().sqrt();
    if cosine.hi < 1e-6 {
        return None; // the slope is unbounded there; exact arithmetic knows the ends
    }
    let value = Complex::real(x.re.atan2(cosine)?);
    Some(Complex { error: value.error + 2.0 * x.error / cosine.hi, ..value })
}

fn arctan(x: Complex) -> Option<Complex> {
    if x.im != Double::ZERO {
        return None;
    }
    let value = Complex::real(x.re.atan2(Double::ONE)?);
    Some(Complex { error: value.error + x.error, ..value })
}

fn absolute(x: Complex) -> Option<Complex> {
    if x.im == Double::ZERO {
        return Some(Complex { re: x.re.abs(), ..x });
    }
    let length = Complex::real((x.re * x.re + x.im * x.im).sqrt());
    Some(Complex { error: length.error + x.error, ..length })
}

/// Of reals that are certainly not zero, or exactly zero.
fn sign(x: Complex) -> Option<Complex> {
    if x.im != Double::ZERO || x.error > 0.0 && x.re.hi.abs() <= x.error {
        return None;
    }
    Some(Complex::exact(if x.re.hi == 0.0 { 0.0 } else { x.re.hi.signum() }))
}

fn floor(x: Complex) -> Option<Complex> {
    if x.im != Double::ZERO || x.re.hi.abs() > 1e15 {
        return None;
    }
    let below = x.re.floor();
    let fraction = (x.re - below).hi;
    // Exact integers are known; a value within its error of one is not.
    if x.error > 0.0 && (fraction <= x.error || 1.0 - fraction <= x.error) {
        return None;
    }
    Some(Complex { re: below, im: Double::ZERO, error: 0.0 })
}
