//! Numeric evaluation of expressions at fixed points, and the comparison of two expressions by it.
//!
//! A variable's value at a point comes from its name alone, so the points are the same for every answer and on every
//! platform. Where an expression is put together of pieces ([`super::branches`]) there are points on both sides of every
//! place where one piece ends. Unknown functions (`f(2)`) take values from a fixed analytic function of their arguments
//! that no identity of real mathematics respects: they agree only where their arguments do.

use super::branches;
use super::budget::Budget;
use super::complex::Complex;
use super::double::Double;
use super::functions;
use super::node::{Function, Node, Operation};
use super::number::{BigInt, BigRational};
use super::verdict::Verdict;

/// Evaluation points: all variables positive at the first three, of mixed signs at the next three, negative at the last.
pub const POINTS: usize = 7;
/// A point at which expressions are evaluated: a number of [`POINTS`], and values that some variables have instead.
#[derive(Clone, Copy, Debug)]
pub struct Point<'a> {
    /// Which of the fixed points.
    pub seed: usize,
    /// Variables with values of their own here.
    pub set: &'a [(String, f64)],
}

impl From<usize> for Point<'_> {
    fn from(seed: usize) -> Self {
        Point { seed, set: &[] }
    }
}

impl Point<'_> {
    /// The value of a variable here.
    pub(super) fn value(&self, name: &str) -> f64 {
        match self.set.iter().find(|(set, _)| set == name) {
            Some((_, value)) => *value,
            None => variable_value(name, self.seed),
        }
    }
}

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
pub fn evaluate(node: &Node, point: Point, budget: &mut Budget) -> Option<Complex> {
    budget.enter()?;
    let value = evaluate_inner(node, point, budget);
    budget.leave();
    value
}

fn evaluate_inner(node: &Node, point: Point, budget: &mut Budget) -> Option<Complex> {
    match node {
        Node::Number(value) => number(value),
        Node::Pi => Some(Complex::pi()),
        Node::E => Some(Complex::e()),
        Node::I => Some(Complex::i()),
        // Arithmetic with it is [`super::infinity`]'s.
        Node::Variable(name) if name == "∞" => None,
        Node::Variable(name) => Some(Complex::exact(point.value(name))),
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
                None => Complex::exact(variable_value("some log", point.seed)),
            };
            log.multiply(factor)
        }
        Node::Apply(name, arguments) => unknown_function(name, arguments, point, budget),
        Node::Factorial(inner) => match whole(evaluate(inner, point, budget)?) {
            Some(n @ 0..=90) => falling(n, n, budget),
            _ => None,
        },
        Node::Binomial(n, k) => {
            match (whole(evaluate(n, point, budget)?), whole(evaluate(k, point, budget)?)) {
                (Some(n @ 0..=400), Some(k)) if k < 0 || k > n => Some(Complex::exact(0.0 * n as f64)),
                (Some(n @ 0..=400), Some(k)) => {
                    let k = k.min(n - k);
                    falling(n, k, budget)?.multiply(falling(k, k, budget)?.inverse()?)
                }
                _ => None,
            }
        }
        Node::Many(operation, items) => many(*operation, items, point, budget),
        Node::Repeated { index, from, to, body, is_product } => {
            let (from, to) = (whole(evaluate(from, point, budget)?)?, whole(evaluate(to, point, budget)?)?);
            if to - from > 1_000 {
                return None;
            }
            let mut set = point.set.to_vec();
            set.retain(|(name, _)| name != index);
            let mut total = Complex::exact(if *is_product { 1.0 } else { 0.0 });
            for at in from..=to {
                budget.take(1)?;
                set.push((index.clone(), at as f64));
                let term = evaluate(body, Point { seed: point.seed, set: &set }, budget)?;
                total = if *is_product { total.multiply(term)? } else { total.plus(term)? };
                set.pop();
            }
            Some(total)
        }
        Node::Degrees(inner) => evaluate(inner, point, budget)?
            .multiply(Complex::pi())?
            .multiply(Complex::exact(180.0).inverse()?),
        Node::Percent(inner) => evaluate(inner, point, budget)?.multiply(Complex::exact(100.0).inverse()?),
        _ => None,
    }
}

/// The integer that a value is exactly.
fn whole(value: Complex) -> Option<i64> {
    let is_whole = value.im == Double::ZERO && value.re.lo == 0.0 && value.error < 1e-9;
    (is_whole && value.re.hi.fract() == 0.0 && value.re.hi.abs() < 1e9).then_some(value.re.hi as i64)
}

/// `n (n - 1) ... (n - k + 1)`
fn falling(n: i64, k: i64, budget: &mut Budget) -> Option<Complex> {
    budget.take(k.unsigned_abs())?;
    (0..k).try_fold(Complex::exact(1.0), |product, at| product.multiply(Complex::exact((n - at) as f64)))
}

fn many(operation: Operation, items: &[Node], point: Point, budget: &mut Budget) -> Option<Complex> {
    let mut values = Vec::new();
    for item in items {
        values.push(evaluate(item, point, budget)?);
    }
    match operation {
        Operation::Max | Operation::Min => {
            let mut best = *values.first()?;
            for value in values {
                if value.im != Double::ZERO || best.im != Double::ZERO {
                    return None;
                }
                let above = (value.re - best.re).hi > 0.0;
                if above == (operation == Operation::Max) {
                    best = Complex { error: best.error.max(value.error), ..value };
                }
            }
            Some(best)
        }
        Operation::Gcd | Operation::Lcm | Operation::Mod => {
            let whole: Option<Vec<i64>> = values.into_iter().map(whole).collect();
            let value = super::exact::whole_operation(
                operation,
                &whole?.into_iter().map(BigInt::from).collect::<Vec<_>>(),
            )?;
            number(&BigRational::from_integer(value))
        }
    }
}

fn integer(node: &Node) -> Option<i64> {
    match node {
        Node::Number(value) if value.is_integer() => value.numer().to_i64(),
        Node::Negative(inner) => integer(inner)?.checked_neg(),
        _ => None,
    }
}

/// `p/q` where the node is written as a fraction of integers.
fn fraction(node: &Node) -> Option<(i64, i64)> {
    match node {
        Node::Number(value) => Some((value.numer().to_i64()?, value.denom().to_i64()?)),
        Node::Negative(inner) => fraction(inner).and_then(|(top, bottom)| Some((top.checked_neg()?, bottom))),
        Node::Product(parts) => match parts.as_slice() {
            [top, Node::Inverse(bottom)] => Some((integer(top)?, integer(bottom)?)),
            _ => None,
        },
        _ => None,
    }
}

fn power(base: &Node, exponent: &Node, point: Point, budget: &mut Budget) -> Option<Complex> {
    budget.take(2)?;
    let base = evaluate(base, point, budget)?;
    match fraction(exponent) {
        Some((n, 1)) => {
            budget.take(u64::from(n.unsigned_abs().max(1).ilog2()))?;
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
fn unknown_function(name: &str, arguments: &[Node], point: Point, budget: &mut Budget) -> Option<Complex> {
    let mut total = Complex::exact(variable_value(name, point.seed));
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
        && top.unsigned_abs() < 1 << 53
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
    let lead = value.shifted_right(shift).to_u128()?;
    let high = (lead >> 53) as f64;
    let low = (lead & ((1 << 53) - 1)) as f64;
    let scale = 2f64.powi(i32::try_from(shift).ok()?);
    let size = (Double::from(high).scale((1u64 << 53) as f64) + low.into()).scale(scale);
    let real = Complex::real(if value.is_negative() { -size } else { size });
    // What does not fit is lost, and nobody can tell it from its neighbours any more.
    let is_whole = value.trailing_zeros().is_none_or(|zeros| zeros >= shift);
    Some(if is_whole { real } else { real.absorbed() })
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
    } else if gap > 8.0 * error {
        // Closer than expressions differ by chance, but not equal as far as the digits go: `\cos(10^{-12})` and 1.
        Match::Unknown
    } else if error <= TOLERANCE * size {
        Match::Equal
    } else {
        Match::Unknown
    }
}

/// Whether two expressions have the same value: one point for constants; with variables at least three points, none
/// of which may disagree, and points on both sides of every place where a piece of either ends. Points outside the real
/// domain of both sides do not count, unless i is written.
pub fn same_value(a: &Node, b: &Node, budget: &mut Budget) -> Verdict {
    if !a.has_variables() && !b.has_variables() {
        let (Some(a), Some(b)) = (evaluate(a, 0.into(), budget), evaluate(b, 0.into(), budget)) else {
            return Verdict::Unknown;
        };
        return match compare(&a, &b) {
            Match::Equal => Verdict::Same,
            Match::Different => Verdict::Different,
            Match::Unknown => Verdict::Unknown,
        };
    }
    let writes_i = |node: &Node| node.any(&|node| *node == Node::I);
    let complex = writes_i(a) || writes_i(b);
    let samples = branches::samples(a, b, budget);
    let (mut agreed, mut uncertain) = (0, !samples.is_complete);
    for sample in &samples.points {
        if sample.is_step {
            match (at_step(a, &sample.set, budget), at_step(b, &sample.set, budget)) {
                (Some(left), Some(right)) if left != right => return Verdict::Different,
                (Some(_), Some(_)) => {}
                _ => uncertain = true,
            }
            continue;
        }
        let point = Point { seed: sample.seed, set: &sample.set };
        let (left, right) = (evaluate(a, point, budget), evaluate(b, point, budget));
        if budget.is_spent() {
            return Verdict::Unknown;
        }
        let (left, right) = match (left, right) {
            (Some(left), Some(right)) => (left, right),
            // Outside of both domains: a root gives an imaginary number there, an inverse sine nothing.
            (Some(value), None) | (None, Some(value)) if !complex && !value.is_real() => continue,
            _ => {
                uncertain |= sample.is_needed;
                continue;
            }
        };
        match compare(&left, &right) {
            Match::Equal => agreed += 1,
            Match::Unknown => uncertain |= sample.is_needed,
            Match::Different if complex || left.is_real() && right.is_real() => {
                return if is_unknown_function(a) || is_unknown_function(b) {
                    Verdict::Unknown
                } else {
                    Verdict::Different
                };
            }
            // Outside of both domains; or of one alone, and then they are not the same.
            Match::Different => uncertain |= left.is_real() != right.is_real(),
        }
    }
    if agreed >= ENOUGH && !uncertain { Verdict::Same } else { Verdict::Unknown }
}

/// The exact value of an expression where a floor or a ceiling takes a step.
fn at_step(node: &Node, set: &[(String, f64)], budget: &mut Budget) -> Option<BigRational> {
    let mut node = node.clone();
    for (name, value) in set {
        node = node.substituted(name, &Node::Number(BigRational::from_f64(*value)?));
    }
    super::exact::exact(&node, budget)?.as_rational()
}

/// Whether a value was made up for something in the expression: then two values may be equal after all.
fn is_unknown_function(node: &Node) -> bool {
    node.any(&|node| matches!(node, Node::Apply(..) | Node::Log(None, _)))
}

/// Whether `value`, a decimal of `places` places, is what the constant `node` rounds to: half a unit of its last place away at
/// most.
pub fn is_rounding(value: &BigRational, places: u32, node: &Node, budget: &mut Budget) -> bool {
    let (Some(value), Some(exact)) = (number(value), evaluate(node, 0.into(), budget)) else { return false };
    let Ok(places) = i32::try_from(places) else { return false };
    let gap = (value.re - exact.re).hi.abs();
    let half = 0.5 * 10f64.powi(-places);
    exact.im == Double::ZERO && gap + value.error + exact.error <= half * (1.0 + 1e-9)
}

/// Whether a decimal is what a program prints of the constant `node` as a double: the shortest decimal of the double next to it.
pub fn is_double(value: &BigRational, node: &Node, budget: &mut Budget) -> bool {
    if !is_printed_double(value) {
        return false;
    }
    let double = value.to_f64();
    evaluate(node, 0.into(), budget).is_some_and(|exact| {
        let gap = (exact.re - double.into()).hi.abs();
        let ulp = f64::from_bits(double.abs().to_bits() + 1) - double.abs();
        exact.im == Double::ZERO && gap + exact.error <= ulp * (0.5 + 1e-9)
    })
}

/// Whether a decimal is the shortest one of its double: with a digit less it would be another double.
pub fn is_printed_double(value: &BigRational) -> bool {
    let ten = BigInt::from(10);
    let mut places = 0u32;
    let mut scaled = value.abs();
    while !scaled.is_integer() && places < 30 {
        scaled = scaled * BigRational::from(ten.clone());
        places += 1;
    }
    let shorter = (scaled / BigRational::from(ten.clone())).round() * &ten;
    let shorter = BigRational::new(shorter, ten.pow(places));
    places > 0 && shorter.to_f64() != value.abs().to_f64()
}

/// How `b` is a multiple of `a`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Proportion {
    /// By a positive constant.
    Positive,
    /// By another constant.
    Other,
    /// Not at all.
    None,
    /// That could not be found out.
    Unknown,
}

/// Whether `b` is `a` times a constant.
pub fn proportional(a: &Node, b: &Node, budget: &mut Budget) -> Proportion {
    let mut samples = branches::samples(a, b, budget);
    samples.is_complete &= samples.points.iter().all(|sample| !sample.is_step);
    samples.points.retain(|sample| !sample.is_step);
    let mut first: Option<(Complex, Complex)> = None;
    let (mut agreed, mut uncertain) = (0, !samples.is_complete);
    for sample in &samples.points {
        let point = Point { seed: sample.seed, set: &sample.set };
        let (left, right) = (evaluate(a, point, budget), evaluate(b, point, budget));
        if budget.is_spent() {
            return Proportion::Unknown;
        }
        let (Some(left), Some(right)) = (left, right) else {
            uncertain |= sample.is_needed;
            continue;
        };
        let is_nothing = |value: &Complex| value.magnitude() <= 4.0 * value.error;
        match (is_nothing(&left), is_nothing(&right)) {
            (true, true) => continue,
            // Exactly zero on one side alone.
            (true, false) if left.error < NOTHING => return Proportion::None,
            (false, true) if right.error < NOTHING => return Proportion::None,
            (false, false) => {}
            _ => {
                uncertain |= sample.is_needed;
                continue;
            }
        }
        let Some((first_left, first_right)) = first else {
            first = Some((left, right));
            continue;
        };
        let (Some(across), Some(back)) = (left.multiply(first_right), right.multiply(first_left)) else {
            uncertain |= sample.is_needed;
            continue;
        };
        match compare(&across, &back) {
            Match::Equal => agreed += 1,
            Match::Unknown => uncertain |= sample.is_needed,
            Match::Different => return Proportion::None,
        }
    }
    match first {
        Some((left, right)) if agreed >= ENOUGH && !uncertain => {
            let positive = left.is_real() && right.is_real() && (left.re.hi > 0.0) == (right.re.hi > 0.0);
            if positive { Proportion::Positive } else { Proportion::Other }
        }
        _ => Proportion::Unknown,
    }
}
