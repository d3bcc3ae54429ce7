//! Numeric evaluation of expressions at fixed points, and the comparison of two expressions by it.
//!
//! A variable's value at a point comes from its name alone, so the points are the same for every answer and on every
//! platform. Unknown functions (`f(2)`, `n!`) take values from a fixed analytic function of their arguments that no
//! identity of real mathematics respects: they agree only where their arguments do.

use super::budget::Budget;
use super::complex::Complex;
use super::double::Double;
use super::functions;
use super::node::{Function, Node};
use num_bigint::BigInt;
use num_rational::BigRational;
use num_traits::{Signed, ToPrimitive};

/// Evaluation points: all variables positive at the first three, of mixed signs at the next three, negative at the last.
pub const POINTS: usize = 7;
/// How many points must agree for expressions with variables.
const ENOUGH: usize = 3;
/// Two values are equal when they differ by less than this, relatively. Evaluation is good to about 1e-28; expressions
/// that differ do so, in answers people write, in the first fifteen digits (see docs/equivalence.md).
const TOLERANCE: f64 = 1e-22;
/// Where two values both vanish, what is left must be smaller than this.
const NOTHING: f64 = 1e-22;

/// FNV-1a, for values that must be the same everywhere.
pub(crate) fn hash(text: &str) -> u64 {
    text.bytes()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3))
}

fn scramble(seed: u64) -> u64 {
    let mut x = seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
    x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}

/// The value of a variable at a point: 0.3 to 2.9 in size, with 53 bits of it pseudo-random.
fn variable_value(name: &str, point: usize) -> f64 {
    let bits = scramble(hash(name).wrapping_add(point as u64 * 0x1234_5678_9abc_def1));
    let size = 0.3 + 2.6 * ((bits >> 11) as f64 / (1u64 << 53) as f64);
    let negative = match point {
        0..=2 => false,
        3..=5 => bits & 1 == 1,
        _ => true,
    };
    if negative { -size } else { size }
}

/// The value of an expression at a point; `None` where it is undefined, out of range or not known well enough.
pub fn evaluate(node: &Node, point: usize, budget: &mut Budget) -> Option<Complex> {
    budget.enter()?;
    let value = evaluate_inner(node, point, budget);
    budget.leave();
    value
}

fn evaluate_inner(node: &Node, point: usize, budget: &mut Budget) -> Option<Complex> {
    match node {
        Node::Number(value) => number(value),
        Node::Pi => Some(Complex::pi()),
        Node::E => Some(Complex::e()),
        Node::I => Some(Complex::i()),
        Node::Variable(name) if name == "∞" => Some(Complex::exact(1.234_567_891_234_567e99)),
        Node::Variable(name) => Some(Complex::exact(variable_value(name, point))),
        Node::Sum(terms) => {
            let mut sum = Complex::exact(0.0);
            for term in terms {
                sum = sum.plus(evaluate(term, point, budget)?)?;
            }
            Some(sum)
        }
        Node::Product(factors) => {
            let mut product = Complex::exact(1.0);
            for factor in factors {
                product = product.multiply(evaluate(factor, point, budget)?)?;
            }
            Some(product)
        }
        Node::Negative(inner) => Some(evaluate(inner, point, budget)?.negative()),
        Node::Inverse(inner) => evaluate(inner, point, budget)?.inverse(),
        Node::Power(base, exponent) => power(base, exponent, point, budget),
        Node::Root(index, radicand) => {
            let radicand = evaluate(radicand, point, budget)?;
            match integer(index) {
                Some(2) => radicand.sqrt(),
                Some(index) => odd_power(radicand, 1, index),
                None => radicand.power(evaluate(index, point, budget)?.inverse()?),
            }
        }
        Node::Call(function, argument) => {
            budget.take(8)?;
            functions::evaluate(*function, evaluate(argument, point, budget)?)
        }
        Node::Log(base, argument) => {
            budget.take(8)?;
            let log = evaluate(argument, point, budget)?.ln()?;
            let factor = match base {
                Some(base) => evaluate(base, point, budget)?.ln()?.inverse()?,
                None => Complex::exact(variable_value("some log", point)),
            };
            log.multiply(factor)
        }
        Node::Apply(name, arguments) => unknown_function(name, arguments, point, budget),
        Node::Factorial(inner) => match integer(inner) {
            Some(n @ 0..=60) => {
                let mut product = Complex::exact(1.0);
                for factor in 1..=n {
                    product = product.multiply(Complex::exact(factor as f64))?;
                }
                Some(product)
            }
            _ => unknown_function("!", std::slice::from_ref(&**inner), point, budget),
        },
        Node::Binomial(n, k) => {
            let arguments = [(**n).clone(), (**k).clone()];
            unknown_function("binomial", &arguments, point, budget)
        }
        Node::Degrees(inner) => evaluate(inner, point, budget)?
            .multiply(Complex::pi())?
            .multiply(Complex::exact(180.0).inverse()?),
        Node::Percent(inner) => evaluate(inner, point, budget)?.multiply(Complex::exact(100.0).inverse()?),
        _ => None,
    }
}

fn integer(node: &Node) -> Option<i64> {
    match node {
        Node::Number(value) if value.is_integer() => value.numer().to_i64(),
        Node::Negative(inner) => Some(-integer(inner)?),
        _ => None,
    }
}

/// `p/q` where the node is written as a fraction of integers.
fn fraction(node: &Node) -> Option<(i64, i64)> {
    match node {
        Node::Number(value) => Some((value.numer().to_i64()?, value.denom().to_i64()?)),
        Node::Negative(inner) => fraction(inner).map(|(top, bottom)| (-top, bottom)),
        Node::Product(parts) => match parts.as_slice() {
            [top, Node::Inverse(bottom)] => Some((integer(top)?, integer(bottom)?)),
            _ => None,
        },
        _ => None,
    }
}

fn power(base: &Node, exponent: &Node, point: usize, budget: &mut Budget) -> Option<Complex> {
    budget.take(8)?;
    let base = evaluate(base, point, budget)?;
    match fraction(exponent) {
        Some((n, 1)) => {
            budget.take(64)?;
            base.power_integer(n)
        }
        Some((top, 2)) => base.sqrt()?.power_integer(top),
        Some((top, bottom)) if bottom > 0 => odd_power(base, top, bottom),
        _ => base.power(evaluate(exponent, point, budget)?),
    }
}

/// `base^(top/bottom)`, real for negative reals and odd roots.
fn odd_power(base: Complex, top: i64, bottom: i64) -> Option<Complex> {
    let exponent = Complex::exact(top as f64).multiply(Complex::exact(bottom as f64).inverse()?)?;
    if base.im == Double::ZERO && base.re.hi < 0.0 && bottom % 2 != 0 {
        let size = base.negative().power(exponent)?;
        return Some(if top % 2 == 0 { size } else { size.negative() });
    }
    base.power(exponent)
}

/// A fixed analytic function of the arguments, different for each name.
fn unknown_function(name: &str, arguments: &[Node], point: usize, budget: &mut Budget) -> Option<Complex> {
    let mut total = Complex::exact(variable_value(name, point));
    for (at, argument) in arguments.iter().enumerate() {
        let factor = Complex::exact(variable_value(name, POINTS + at) / 3.0);
        let inner = evaluate(argument, point, budget)?.multiply(factor)?;
        let wave = functions::evaluate(Function::Sin, inner)?;
        total = total.multiply(wave.plus(inner)?.plus(Complex::exact(0.5))?)?;
    }
    Some(total)
}

fn number(value: &BigRational) -> Option<Complex> {
    if let (Some(top), Some(bottom)) = (value.numer().to_i64(), value.denom().to_i64())
        && top.abs() < 1 << 53
        && bottom < 1 << 53
    {
        let top = Complex::exact(top as f64);
        return if bottom == 1 { Some(top) } else { top.multiply(Complex::exact(bottom as f64).inverse()?) };
    }
    let top = big(value.numer())?;
    top.multiply(big(value.denom())?.inverse()?)
}

/// A long integer as double-double: its leading 106 bits.
fn big(value: &BigInt) -> Option<Complex> {
    let bits = value.bits();
    if bits > 450 {
        return None;
    }
    let shift = bits.saturating_sub(106);
    let lead = value.abs() >> shift;
    let high = (&lead >> 53u32).to_u64()? as f64;
    let low = (&lead & BigInt::from((1u64 << 53) - 1)).to_u64()? as f64;
    let scale = 2f64.powi(i32::try_from(shift).ok()?);
    let size = (Double::from(high).scale((1u64 << 53) as f64) + low.into()).scale(scale);
    Some(Complex::real(if value.is_negative() { -size } else { size }))
}

/// How two values compare.
enum Match {
    Equal,
    Different,
    Unknown,
}

fn compare(a: &Complex, b: &Complex) -> Match {
    let size = a.magnitude().max(b.magnitude());
    let error = a.error + b.error;
    let gap = (a.re - b.re).hi.hypot((a.im - b.im).hi);
    if a.magnitude() <= 4.0 * a.error && b.magnitude() <= 4.0 * b.error {
        // Both cancelled to nothing.
        return if error < NOTHING { Match::Equal } else { Match::Unknown };
    }
    if gap > 8.0 * error && gap > TOLERANCE * size {
        Match::Different
    } else if error <= TOLERANCE * size {
        Match::Equal
    } else {
        Match::Unknown
    }
}

/// Whether two expressions have the same value: one point for constants; with variables at least three points, none
/// of which may disagree. Points outside the real domain of both sides do not count, unless i is written.
pub fn same_value(a: &Node, b: &Node, budget: &mut Budget) -> bool {
    if !a.has_variables() && !b.has_variables() {
        let (Some(a), Some(b)) = (evaluate(a, 0, budget), evaluate(b, 0, budget)) else { return false };
        return matches!(compare(&a, &b), Match::Equal);
    }
    let writes_i = |node: &Node| node.any(&|node| *node == Node::I);
    let complex = writes_i(a) || writes_i(b);
    let mut agreed = 0;
    for point in 0..POINTS {
        let (Some(left), Some(right)) = (evaluate(a, point, budget), evaluate(b, point, budget)) else {
            continue;
        };
        match compare(&left, &right) {
            Match::Equal => agreed += 1,
            Match::Unknown => {}
            Match::Different if !complex && !left.is_real() && !right.is_real() => {}
            Match::Different => return false,
        }
    }
    agreed >= ENOUGH
}

/// Whether `b` is `a` times a constant: `Some(true)` for a positive constant, `Some(false)` for another one.
pub fn proportional(a: &Node, b: &Node, budget: &mut Budget) -> Option<bool> {
    let mut first: Option<(Complex, Complex)> = None;
    let mut agreed = 0;
    for point in 0..POINTS {
        let (Some(left), Some(right)) = (evaluate(a, point, budget), evaluate(b, point, budget)) else {
            continue;
        };
        if left.magnitude() <= 4.0 * left.error || right.magnitude() <= 4.0 * right.error {
            continue;
        }
        let Some((first_left, first_right)) = first else {
            first = Some((left, right));
            continue;
        };
        match compare(&left.multiply(first_right)?, &right.multiply(first_left)?) {
            Match::Equal => agreed += 1,
            Match::Unknown => {}
            Match::Different => return None,
        }
    }
    let (left, right) = first?;
    (agreed >= ENOUGH).then(|| left.is_real() && right.is_real() && (left.re.hi > 0.0) == (right.re.hi > 0.0))
}
