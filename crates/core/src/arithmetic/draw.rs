//! Random draws, spelt out, so that a seed gives the same bytes on every platform and with every release of the random
//! number crates: they promise their streams of bits and not what their distributions make of them.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// The stream of problem `index` of `seed`: the seed is the key and the index the stream, so that no two meet.
pub(super) fn stream(seed: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// A whole number from `low` to `high`, both included.
pub(super) fn within<R: Rng + ?Sized>(rng: &mut R, low: i64, high: i64) -> i64 {
    debug_assert!(low <= high);
    // Multiply-shift: the bias is below 2^-40 for the small ranges here.
    low + ((u128::from(rng.next_u64()) * (high - low + 1) as u128) >> 64) as i64
}

/// One of `items`, which are not none.
pub(super) fn pick<'a, T, R: Rng + ?Sized>(rng: &mut R, items: &'a [T]) -> &'a T {
    &items[within(rng, 0, items.len() as i64 - 1) as usize]
}

/// True with probability `probability`.
pub(super) fn chance<R: Rng + ?Sized>(rng: &mut R, probability: f64) -> bool {
    unit(rng) < probability
}

/// An index, each as often as its weight among all says.
pub(super) fn weighted<R: Rng + ?Sized>(rng: &mut R, weights: &[f64]) -> usize {
    let mut rest = unit(rng) * weights.iter().sum::<f64>();
    for (index, weight) in weights.iter().enumerate() {
        rest -= weight;
        if rest < 0.0 {
            return index;
        }
    }
    weights.len() - 1
}

/// A number from 0 up to, and without, 1: 53 bits.
fn unit<R: Rng + ?Sized>(rng: &mut R) -> f64 {
    (rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64
}
