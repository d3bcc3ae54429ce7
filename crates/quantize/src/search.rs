//! The search for one scale: the `s` that gives the least `sum h (w - s q)^2`, q = w / s rounded and clamped.
//!
//! For fixed whole numbers q the best scale is `s = sum h w q / sum h q^2` (least squares), and the error there is
//! `sum h w^2 - (sum h w q)^2 / sum h q^2`. So one pass over the weights rates a candidate: it makes the q of the
//! candidate and the two sums, and the largest `(sum h w q)^2 / sum h q^2` wins. From the winner, rounding and least
//! squares are repeated until the error stops falling, with the scale rounded to the type that is stored. Plain rounding
//! to the largest magnitude is another start, so that the result is never worse than it.
//!
//! Sums run over eight lanes in a fixed order: the compiler makes vector instructions of them, and every platform gets
//! the same bits.

/// The whole numbers and scales of a format.
pub(crate) trait Levels {
    /// The least whole number.
    const LOW: f32;
    /// The largest.
    const HIGH: f32;
    /// Candidates: which number the largest magnitude of the group is made to be.
    const CANDIDATES: &'static [f32];
    /// Whether negative scales are tried too, by which the largest magnitude may take the one more number below zero.
    const SIGNED: bool;
    /// The nearest finite scale that can be stored.
    fn stored(scale: f64) -> f32;
}

/// A scale and the error it makes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fit {
    pub scale: f32,
    pub error: f64,
}

/// Under this magnitude a quotient of a candidate would be infinite in f32; plain rounding has to do.
const LEAST_SEARCHED: f32 = 1e-30;

/// Rounds of rounding and least squares; two or three are usual.
const MOST_ROUNDS: usize = 8;

/// Adding and subtracting it rounds to the nearest whole number, ties to even, for magnitudes under 2^22; two additions
/// are vector instructions everywhere, `round` is a call on processors without SSE4.1.
const ROUNDING: f32 = 12_582_912.0;

/// The whole number nearest to `quotient` that the format has.
#[inline(always)]
pub(crate) fn nearest<L: Levels>(quotient: f32) -> f32 {
    // Not `max` and `min`, which have to look for NaN and are several instructions each.
    let quotient = if quotient < L::LOW { L::LOW } else { quotient };
    let quotient = if quotient > L::HIGH { L::HIGH } else { quotient };
    (quotient + ROUNDING) - ROUNDING
}

/// The whole number of `value` at `scale`.
#[inline(always)]
pub(crate) fn code<L: Levels>(value: f32, scale: f32) -> f32 {
    if scale == 0.0 { 0.0 } else { nearest::<L>(value / scale) }
}

/// The scale for `values` whose squared errors count by `importance` (of the same length). Both are finite, as
/// [`check_weights`](crate::error::check_weights) found.
#[inline(always)]
pub(crate) fn search<L: Levels>(values: &[f32], importance: &[f32]) -> Fit {
    search_from::<L>(values, importance, &[])
}

/// [`search`] that also starts at the scales `starts`: the result is no worse than any of them.
#[inline(always)]
pub(crate) fn search_from<L: Levels>(values: &[f32], importance: &[f32], starts: &[f32]) -> Fit {
    let largest = values.iter().fold(0.0, |largest: f32, value| largest.max(value.abs()));
    let mut best = Fit { scale: 0.0, error: f64::INFINITY };
    if largest == 0.0 {
        return Fit { scale: 0.0, error: 0.0 };
    }
    descend::<L>(values, importance, L::stored(f64::from(largest) / f64::from(L::HIGH)), &mut best);
    for &start in starts {
        descend::<L>(values, importance, start, &mut best);
    }
    if largest > LEAST_SEARCHED
        && let Some(scale) = best_candidate::<L>(values, importance, largest)
    {
        descend::<L>(values, importance, L::stored(scale), &mut best);
    }
    best
}

/// The least-squares scale of the candidate that leaves the least error.
#[inline(always)]
fn best_candidate<L: Levels>(values: &[f32], importance: &[f32], largest: f32) -> Option<f64> {
    let mut best = (0.0, None);
    for &candidate in L::CANDIDATES {
        for sign in [1.0, -1.0] {
            if sign < 0.0 && !L::SIGNED {
                continue;
            }
            let [products, squares] =
                sums::<L>(values, importance, sign * candidate / largest).map(f64::from);
            let explained = if squares > 0.0 { products * products / squares } else { 0.0 };
            if explained > best.0 {
                best = (explained, Some(products / squares));
            }
        }
    }
    best.1
}

/// `sum h w q` and `sum h q^2` for the q of an inverse scale.
#[inline(always)]
fn sums<L: Levels>(values: &[f32], importance: &[f32], inverse: f32) -> [f32; 2] {
    let (mut products, mut squares) = ([0.0_f32; 8], [0.0_f32; 8]);
    let mut add = |lane: usize, value: f32, weight: f32| {
        let code = nearest::<L>(value * inverse);
        let weighted = weight * code;
        products[lane] += weighted * value;
        squares[lane] += weighted * code;
    };
    let (chunks, rest) = values.as_chunks::<8>();
    let (weights, rest_weights) = importance.as_chunks::<8>();
    for (values, weights) in chunks.iter().zip(weights) {
        for lane in 0..8 {
            add(lane, values[lane], weights[lane]);
        }
    }
    for (lane, (&value, &weight)) in rest.iter().zip(rest_weights).enumerate() {
        add(lane, value, weight);
    }
    [total(products), total(squares)]
}

/// Rounds and fits in turn from `scale` on for as long as the error falls, and keeps what is better than `best`.
#[inline(always)]
fn descend<L: Levels>(values: &[f32], importance: &[f32], mut scale: f32, best: &mut Fit) {
    let mut last = f64::INFINITY;
    for _ in 0..MOST_ROUNDS {
        let [error, products, squares] = moments::<L>(values, importance, scale);
        if error < best.error {
            *best = Fit { scale, error };
        }
        if error >= last || squares == 0.0 {
            return;
        }
        last = error;
        let fitted = L::stored(products / squares);
        if fitted == scale {
            return;
        }
        scale = fitted;
    }
}

/// `sum h (w - s q)^2`, `sum h w q` and `sum h q^2` at a scale, in f64.
#[inline(always)]
fn moments<L: Levels>(values: &[f32], importance: &[f32], scale: f32) -> [f64; 3] {
    let mut sums = [[0.0_f64; 8]; 3];
    // At a scale of zero every number is zero, whatever it is multiplied by.
    let divisor = if scale == 0.0 { f32::INFINITY } else { scale };
    let mut add = |lane: usize, value: f32, weight: f32| {
        let code = f64::from(nearest::<L>(value / divisor));
        let (value, weight) = (f64::from(value), f64::from(weight));
        let difference = value - f64::from(scale) * code;
        sums[0][lane] += weight * difference * difference;
        sums[1][lane] += weight * value * code;
        sums[2][lane] += weight * code * code;
    };
    let (chunks, rest) = values.as_chunks::<8>();
    let (weights, rest_weights) = importance.as_chunks::<8>();
    for (values, weights) in chunks.iter().zip(weights) {
        for lane in 0..8 {
            add(lane, values[lane], weights[lane]);
        }
    }
    for (lane, (&value, &weight)) in rest.iter().zip(rest_weights).enumerate() {
        add(lane, value, weight);
    }
    sums.map(total)
}

/// Adds eight lanes in a fixed order.
#[inline(always)]
fn total<T: Copy + std::ops::Add<Output = T>>(lanes: [T; 8]) -> T {
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}
