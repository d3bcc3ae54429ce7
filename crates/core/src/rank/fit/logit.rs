//! The conditional logit and its maximum, by L-BFGS (Nocedal 1980): convex, so that there is one.

use std::collections::HashMap;

use super::super::features::{PER_CLASS, PER_SET};
use super::super::weights::Weights;
use super::Seen;

/// Steps at most.
const STEPS: usize = 200;

/// Pairs of steps that the curvature is told from.
const MEMORY: usize = 12;

/// Where the gradient is this small, a row, the maximum is reached.
const FLAT: f64 = 1e-6;

const ALL: usize = PER_CLASS + PER_SET;

/// Fitted weights.
#[derive(Debug, Clone)]
pub struct Fit {
    pub(in crate::rank) weights: Weights,
}

/// Spread and middle of features.
struct Scale {
    middle: [f64; PER_SET],
    spread: [f64; ALL],
}

impl Fit {
    /// The fit on draws, each problem counting once, with a penalty for each feature.
    pub fn on(rows: &[&Seen], penalties: &[f64]) -> Self {
        let scale = Scale::of(rows);
        let mut draws: HashMap<(usize, u64), f64> = HashMap::new();
        rows.iter().for_each(|row| *draws.entry((row.file, row.problem)).or_default() += 1.0);
        let counts: Vec<f64> = rows.iter().map(|row| 1.0 / draws[&(row.file, row.problem)]).collect();
        let mut minimum = vec![0.0; ALL];
        lbfgs(&mut minimum, draws.len() as f64, &mut |at, gradient| {
            let weights = scale.unscaled(at);
            gradient.fill(0.0);
            let mut raw = vec![0.0; ALL];
            let mut loss = 0.0;
            for (row, count) in rows.iter().zip(&counts) {
                loss += count * add_gradient(row, &weights, *count, &mut raw);
            }
            // From the features as they are to standardised ones.
            for (at, gradient) in gradient.iter_mut().enumerate() {
                let middle = if at < PER_CLASS { 0.0 } else { scale.middle[at - PER_CLASS] };
                *gradient = (raw[at] - middle * raw[PER_CLASS]) / scale.spread[at];
            }
            for (feature, weight) in at.iter().enumerate() {
                // What is penalised beyond all bounds stays at 0.
                if penalties[feature].is_finite() {
                    loss += 0.5 * penalties[feature] * weight * weight;
                    gradient[feature] += penalties[feature] * weight;
                } else {
                    gradient[feature] = 0.0;
                }
            }
            loss
        });
        Self { weights: scale.unscaled(&minimum) }
    }

    /// The mean loss of draws, in nats.
    pub fn mean_loss(&self, rows: &[&Seen]) -> f64 {
        let mut unused = vec![0.0; ALL];
        let total: f64 = rows.iter().map(|row| add_gradient(row, &self.weights, 0.0, &mut unused)).sum();
        total / rows.len().max(1) as f64
    }
}

impl Scale {
    fn of(rows: &[&Seen]) -> Self {
        let mut sums = [0.0; ALL];
        let mut squares = [0.0; ALL];
        let (mut classes, sets) = (0.0, rows.len().max(1) as f64);
        for row in rows {
            for class in &row.features.classes {
                classes += 1.0;
                class.iter().enumerate().for_each(|(at, x)| {
                    sums[at] += x;
                    squares[at] += x * x;
                });
            }
            row.features.set.iter().enumerate().for_each(|(at, x)| {
                sums[PER_CLASS + at] += x;
                squares[PER_CLASS + at] += x * x;
            });
        }
        let mut scale = Self { middle: [0.0; PER_SET], spread: [1.0; ALL] };
        for at in 0..ALL {
            let n = if at < PER_CLASS { f64::max(classes, 1.0) } else { sets };
            let mean = sums[at] / n;
            let spread = (squares[at] / n - mean * mean).max(0.0).sqrt();
            // What never changes weighs nothing: its penalty keeps it at 0.
            scale.spread[at] = if spread > 1e-9 { spread } else { 1e9 };
            if at > PER_CLASS {
                scale.middle[at - PER_CLASS] = mean;
            }
        }
        scale.spread[PER_CLASS] = 1.0;
        scale
    }

    /// Weights of the features as they are.
    fn unscaled(&self, scaled: &[f64]) -> Weights {
        let mut weights = Weights::default();
        let mut raw = scaled.iter().zip(&self.spread).map(|(weight, spread)| weight / spread);
        weights
            .classes
            .iter_mut()
            .chain(&mut weights.set)
            .zip(&mut raw)
            .for_each(|(weight, raw)| *weight = raw);
        let middle: f64 = (1..PER_SET).map(|at| weights.set[at] * self.middle[at]).sum();
        weights.set[0] -= middle;
        weights
    }
}

/// The loss of a draw, -ln P(a right class, or none where none is right); its gradient, `count` times, is added.
fn add_gradient(row: &Seen, weights: &Weights, count: f64, gradient: &mut [f64]) -> f64 {
    let ranking = weights.rank(&row.features);
    let right: f64 =
        ranking.classes.iter().zip(&row.correct).filter(|(_, right)| **right).map(|(p, _)| p).sum();
    let is_none = !row.any_is_right();
    let hit = if is_none { ranking.none } else { right };
    if count > 0.0 {
        for ((class, p), is_right) in row.features.classes.iter().zip(&ranking.classes).zip(&row.correct) {
            let target = if *is_right { p / right.max(1e-300) } else { 0.0 };
            let error = count * (p - target);
            gradient.iter_mut().zip(class).for_each(|(sum, x)| *sum += error * x);
        }
        let error = count * (ranking.none - f64::from(u8::from(is_none)));
        gradient[PER_CLASS..].iter_mut().zip(&row.features.set).for_each(|(sum, x)| *sum += error * x);
    }
    -hit.max(1e-300).ln()
}

/// Minimises a convex function from `at`; `evaluate` gives the value and fills the gradient.
fn lbfgs(at: &mut Vec<f64>, scale: f64, evaluate: &mut dyn FnMut(&[f64], &mut [f64]) -> f64) {
    let n = at.len();
    let dot = |a: &[f64], b: &[f64]| a.iter().zip(b).map(|(x, y)| x * y).sum::<f64>();
    let mut gradient = vec![0.0; n];
    let mut value = evaluate(at, &mut gradient);
    let mut history: Vec<(Vec<f64>, Vec<f64>)> = Vec::new();
    for _ in 0..STEPS {
        if gradient.iter().fold(0.0, |most: f64, g| most.max(g.abs())) < FLAT * scale {
            return;
        }
        let mut direction: Vec<f64> = gradient.iter().map(|g| -g).collect();
        let mut factors = Vec::new();
        for (step, change) in history.iter().rev() {
            let factor = dot(step, &direction) / dot(step, change);
            direction.iter_mut().zip(change).for_each(|(d, c)| *d -= factor * c);
            factors.push(factor);
        }
        let first = 1.0 / dot(&gradient, &gradient).sqrt().max(1.0);
        let curvature =
            history.last().map_or(first, |(step, change)| dot(step, change) / dot(change, change));
        direction.iter_mut().for_each(|d| *d *= curvature);
        for ((step, change), factor) in history.iter().zip(factors.iter().rev()) {
            let back = factor - dot(change, &direction) / dot(step, change);
            direction.iter_mut().zip(step).for_each(|(d, s)| *d += back * s);
        }
        let slope = dot(&gradient, &direction);
        if slope >= 0.0 {
            return;
        }
        let mut length = 1.0;
        let (next, next_value, next_gradient) = loop {
            let next: Vec<f64> = at.iter().zip(&direction).map(|(x, d)| x + length * d).collect();
            let mut next_gradient = vec![0.0; n];
            let next_value = evaluate(&next, &mut next_gradient);
            if next_value <= value + 1e-4 * length * slope {
                break (next, next_value, next_gradient);
            }
            length /= 2.0;
            if length < 1e-10 {
                return;
            }
        };
        let step: Vec<f64> = next.iter().zip(at.iter()).map(|(a, b)| a - b).collect();
        let change: Vec<f64> = next_gradient.iter().zip(&gradient).map(|(a, b)| a - b).collect();
        if dot(&step, &change) > 1e-12 {
            history.push((step, change));
            if history.len() > MEMORY {
                history.remove(0);
            }
        }
        (*at, value, gradient) = (next, next_value, next_gradient);
    }
}
