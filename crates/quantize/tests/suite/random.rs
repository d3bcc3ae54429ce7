//! Seeded numbers for the tests, and errors of weights.

use proptest::prelude::*;

/// A stream of numbers (splitmix64).
pub struct Random(pub u64);

impl Random {
    /// Uniform in 0..1.
    pub fn uniform(&mut self) -> f64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ bits >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ bits >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((bits ^ bits >> 31) >> 11) as f64 / (1_u64 << 53) as f64
    }

    /// Standard normal.
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * (1.0 - self.uniform()).ln()).sqrt();
        radius * (std::f64::consts::TAU * self.uniform()).cos()
    }

    /// Normal weights of the size that models have.
    pub fn weights(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (0.02 * self.normal()) as f32).collect()
    }

    /// Second moments over several powers of ten, as inputs of models have.
    pub fn moments(&mut self, len: usize) -> Vec<f32> {
        (0..len).map(|_| (1.5 * self.normal()).exp() as f32).collect()
    }
}

/// `sum h (a - b)^2`.
pub fn squared_error(a: &[f32], b: &[f32], importance: impl Fn(usize) -> f64) -> f64 {
    assert_eq!(a.len(), b.len());
    let term = |(at, (&a, &b)): (usize, (&f32, &f32))| {
        importance(at) * (f64::from(a) - f64::from(b)) * (f64::from(a) - f64::from(b))
    };
    a.iter().zip(b).enumerate().map(term).sum()
}

/// Rows of `len` weights of every kind that has been trouble somewhere.
pub fn any_weights(len: usize) -> impl Strategy<Value = Vec<f32>> {
    let shaped = move |shape: fn(&mut Random) -> f64| {
        (any::<u64>(), -6.0..2.0).prop_map(move |(seed, exponent): (u64, f64)| {
            let mut random = Random(seed);
            let size = 10_f64.powf(exponent);
            (0..len).map(|_| (size * shape(&mut random)) as f32).collect::<Vec<f32>>()
        })
    };
    prop_oneof![
        4 => shaped(Random::normal),
        // Heavy tails: Cauchy's.
        4 => shaped(|random| random.normal() / random.normal().abs().max(1e-2)),
        2 => shaped(|random| if random.uniform() < 0.7 { 0.0 } else { random.normal() }),
        2 => shaped(|random| random.uniform()),
        1 => (-1e3_f32..1e3).prop_map(move |value| vec![value; len]),
        1 => (any::<u64>(), 0..len, prop_oneof![Just(1e4_f32), Just(-3e5)]).prop_map(move |(seed, at, outlier)| {
            let mut weights = Random(seed).weights(len);
            weights[at] = outlier;
            weights
        }),
        // Around the least f16 and under it, down to subnormal f32.
        2 => (any::<u64>(), -45.0..-5.0).prop_map(move |(seed, exponent): (u64, f64)| {
            let size = 10_f64.powf(exponent);
            let mut random = Random(seed);
            (0..len).map(|_| (size * random.normal()) as f32).collect()
        }),
        // Up to what the largest f16 scale can hold.
        1 => proptest::collection::vec(-458_528.0_f32..458_528.0, len),
    ]
}
