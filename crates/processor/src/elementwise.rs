//! What happens between two products: norm, exponentials, SwiGLU, rounding to eight bits.
//!
//! Sums over a vector are taken in eight lanes (element `i` in lane `i % 8`), which are then added in a fixed order.

use crate::lanes::Lanes;
use crate::level::Loops;

/// `1.5 * 2^23`: adding it rounds to the nearest integer (ties to even), which then stands in the low bits.
const MAGIC: f32 = 12_582_912.0;

/// `e^x`, to two units in the last place, for `-87 <= x <= 88` and the bounds beyond; NaN of NaN.
///
/// `x = n ln 2 + r` with `|r| <= ln 2 / 2`; the polynomial of `e^r` is that of Cephes' `expf`.
#[inline(always)]
pub(crate) fn exponential<V: Lanes>(x: V) -> V {
    let constant = V::splat;
    // Written so that NaN goes through: `max` answers its second argument then. min(x, 88) is -max(-88, -x).
    let x = constant(-87.0).max(x);
    let x = constant(0.0).sub(constant(-88.0).max(constant(0.0).sub(x)));
    let shifted = x.mul(constant(std::f32::consts::LOG2_E)).add(constant(MAGIC));
    let n = shifted.sub(constant(MAGIC));
    let r = x.sub(n.mul(constant(0.693_359_4))).sub(n.mul(constant(-2.121_944_4e-4)));
    let mut sum = constant(1.987_569_1e-4);
    for coefficient in [1.398_199_9e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        sum = sum.mul(r).add(constant(coefficient));
    }
    let fraction = sum.mul(r.mul(r)).add(r).add(constant(1.0));
    fraction.mul(shifted.power_of_two())
}

/// The lanes, added in pairs.
#[inline(always)]
pub(crate) fn total<V: Lanes>(sum: V) -> f32 {
    let mut lanes = [0.0; 8];
    sum.store(&mut lanes);
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + e) + (c + g)) + ((b + f) + (d + h))
}

/// The last elements that fill no vector, with `fill` behind them.
#[inline(always)]
fn padded(rest: &[f32], fill: f32) -> [f32; 8] {
    let mut lanes = [fill; 8];
    lanes[..rest.len()].copy_from_slice(rest);
    lanes
}

/// `x / sqrt(mean(x^2) + eps) * weight` of each vector (Zhang and Sennrich, arXiv 1910.07467).
pub(crate) struct RmsNorm<'a> {
    /// One vector, as long as the weight.
    pub x: &'a [f32],
    pub weight: &'a [f32],
    pub eps: f32,
    pub out: &'a mut [f32],
}

impl Loops for RmsNorm<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let (vectors, rest) = self.x.as_chunks::<8>();
        let mut sum = V::splat(0.0);
        for vector in vectors {
            let vector = V::load(vector);
            sum = sum.add(vector.mul(vector));
        }
        let last = V::load(&padded(rest, 0.0));
        let mean = total(sum.add(last.mul(last))) / self.x.len() as f32;
        let factor = 1.0 / (mean + self.eps).sqrt();
        for ((out, x), weight) in self.out.iter_mut().zip(self.x).zip(self.weight) {
            *out = x * factor * weight;
        }
    }
}

/// Replaces scores by `e^(score - largest)` and answers their sum.
pub(crate) struct Exponentials<'a> {
    pub scores: &'a mut [f32],
}

impl Loops for Exponentials<'_> {
    type Output = f32;

    #[inline(always)]
    fn run<V: Lanes>(self) -> f32 {
        let (vectors, rest) = self.scores.as_chunks_mut::<8>();
        let mut largest = V::load(&padded(rest, f32::NEG_INFINITY));
        for vector in vectors.iter() {
            largest = V::load(vector).max(largest);
        }
        let mut lanes = [0.0; 8];
        largest.store(&mut lanes);
        let largest = V::splat(lanes.into_iter().fold(f32::NEG_INFINITY, f32::max));
        let mut sum = V::splat(0.0);
        for vector in vectors {
            let e = exponential(V::load(vector).sub(largest));
            e.store(vector);
            sum = sum.add(e);
        }
        let mut last = [0.0; 8];
        exponential(V::load(&padded(rest, 0.0)).sub(largest)).store(&mut last);
        last[rest.len()..].fill(0.0);
        rest.copy_from_slice(&last[..rest.len()]);
        total(sum.add(V::load(&last)))
    }
}

/// `silu(gate) * up` with `silu(x) = x / (1 + e^-x)` (Shazeer, arXiv 2002.05202).
#[inline(always)]
pub(crate) fn gated<V: Lanes>(gate: V, up: V) -> V {
    let one = V::splat(1.0);
    gate.div(one.add(exponential(V::splat(0.0).sub(gate)))).mul(up)
}

/// [`gated`] of many lines of eight, in place of the gates.
pub(crate) struct Gated<'a> {
    pub gate: &'a mut [[f32; 8]],
    pub up: &'a [[f32; 8]],
}

impl Loops for Gated<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        for (gate, up) in self.gate.iter_mut().zip(self.up) {
            gated(V::load(gate), V::load(up)).store(gate);
        }
    }
}

/// How many activations share a scale, and weights of four bits too.
pub(crate) const GROUP: usize = 32;

/// 32 activations, rounded: `x` is about `values * scale`.
#[derive(Debug, Clone, Copy, Default)]
#[repr(C, align(8))]
pub(crate) struct Group {
    /// -127 to 127
    pub values: [i8; GROUP],
    /// NaN or infinite where an activation is.
    pub scale: f32,
    /// Two sums of `-8 * value`: of those with `i % 4 < 2` in the low half, of the others in the high half. It takes the
    /// 8 out of four-bit weights that are stored without a sign.
    pub offset: i32,
}

/// Rounds activations to eight bits, a scale for each 32.
pub(crate) struct Round<'a> {
    /// A multiple of 32.
    pub x: &'a [f32],
    pub out: &'a mut [Group],
}

impl Loops for Round<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let (groups, _) = self.x.as_chunks::<GROUP>();
        for (out, x) in self.out.iter_mut().zip(groups) {
            round(x, out);
        }
    }
}

#[inline(always)]
fn round(x: &[f32; GROUP], out: &mut Group) {
    // As integers, absolute values are in order, with NaN above infinity: neither gets lost.
    let largest = x.iter().fold(0, |largest, x| (x.to_bits() & 0x7fff_ffff).max(largest));
    let largest = f32::from_bits(largest);
    // Below, 127 / largest may be infinite.
    let is_zero = largest < 1e-30;
    out.scale = if is_zero { 0.0 } else { largest / 127.0 };
    let inverse = if is_zero || !largest.is_finite() { 0.0 } else { 127.0 / largest };
    for (value, x) in out.values.iter_mut().zip(x) {
        *value = (x * inverse + MAGIC).to_bits() as i8;
    }
    let mut sums = [0i32; 4];
    let (words, _) = out.values.as_chunks::<4>();
    for word in words {
        for (sum, value) in sums.iter_mut().zip(word) {
            *sum += i32::from(*value);
        }
    }
    let half = |sum: i32| (-8 * sum) as u32 & 0xffff;
    out.offset = (half(sums[0] + sums[1]) | half(sums[2] + sums[3]) << 16) as i32;
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::level::Level;

    struct Exp<'a>(&'a mut [f32]);

    impl Loops for Exp<'_> {
        type Output = ();

        #[inline(always)]
        fn run<V: Lanes>(self) {
            for vector in self.0.as_chunks_mut::<8>().0 {
                exponential(V::load(vector)).store(vector);
            }
        }
    }

    #[test]
    fn exponentials_are_those_of_f64_at_every_level() {
        let x: Vec<f32> = (0..80_000).map(|i| (i as f32 - 39_000.0) / 450.0).collect();
        let mut first = None;
        for level in Level::all() {
            let mut found = x.clone();
            level.run(Exp(&mut found));
            for (x, found) in x.iter().zip(&found).filter(|(x, _)| (-87.0..88.0).contains(*x)) {
                let expected = f64::from(*x).exp();
                assert!((f64::from(*found) / expected - 1.0).abs() < 2.5e-7, "e^{x} is not {found}");
            }
            assert_eq!(&found, first.get_or_insert(found.clone()), "{}", level.name());
            let mut odd = [f32::NAN, 1e9, -1e9, f32::INFINITY, f32::NEG_INFINITY, 0.0, -0.0, 1.0];
            level.run(Exp(&mut odd));
            assert!(odd[0].is_nan() && odd[1..].iter().all(|x| x.is_finite()), "{odd:?}");
            assert_eq!((odd[5], odd[6]), (1.0, 1.0));
        }
    }

    #[test]
    fn softmax_of_any_length_is_that_of_f64() {
        for level in Level::all() {
            for length in 1..40 {
                let scores: Vec<f32> = (0..length).map(|i| ((i * 37) % 23) as f32 * 3.0 - 20.0).collect();
                let mut found = scores.clone();
                let sum = level.run(Exponentials { scores: &mut found });
                let largest = scores.iter().copied().fold(f32::MIN, f32::max);
                let expected: Vec<f64> = scores.iter().map(|x| f64::from(x - largest).exp()).collect();
                assert!((f64::from(sum) / expected.iter().sum::<f64>() - 1.0).abs() < 1e-6);
                for (found, expected) in found.iter().zip(expected) {
                    assert!((f64::from(*found) - expected).abs() < 1e-6);
                }
            }
        }
    }

    #[test]
    fn rounding_is_to_the_nearest() {
        let x: Vec<f32> = (0..320).map(|i| ((i * 7919) % 641) as f32 / 100.0 - 3.0).collect();
        let mut first: Option<Vec<[i8; GROUP]>> = None;
        for level in Level::all() {
            let mut groups = [Group::default(); 10];
            level.run(Round { x: &x, out: &mut groups });
            for (i, x) in x.iter().enumerate() {
                let group = &groups[i / GROUP];
                let found = f32::from(group.values[i % GROUP]) * group.scale;
                assert!((found - x).abs() <= group.scale * 0.500_01, "{x} is not {found}");
            }
            let values = groups.iter().map(|group| group.values).collect::<Vec<_>>();
            assert_eq!(&values, first.get_or_insert(values.clone()));
        }
    }
}
