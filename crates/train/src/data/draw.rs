//! Random draws by (seed, purpose, index): no state that would have to be saved, and no two purposes share a stream.
//!
//! Spelt out, as in `conclave_core::arithmetic`: the random number crates promise their bits, not their distributions.

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};

/// What a stream is for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Purpose {
    /// The order of the sets in an epoch.
    Order = 1,
    /// What is shown of a set: number, choice, order and ends of its candidates.
    Example = 2,
    /// The order of the batches of a window.
    Batches = 3,
}

/// The stream of `index` for `purpose`.
pub(super) fn stream(seed: u64, purpose: Purpose, index: u64) -> ChaCha8Rng {
    let mut key = [0; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8] = purpose as u8;
    // Other streams of a run have numbers here.
    key[24..].copy_from_slice(b"the data");
    let mut rng = ChaCha8Rng::from_seed(key);
    rng.set_stream(index);
    rng
}

/// A number from 0 to `end`, without `end`, which is not 0.
pub(super) fn below(rng: &mut ChaCha8Rng, end: usize) -> usize {
    debug_assert!(end > 0);
    // Multiply-shift: the bias is below 2^-32 for everything that fits a memory.
    ((u128::from(rng.next_u64()) * end as u128) >> 64) as usize
}

/// True with probability `probability`.
pub(super) fn chance(rng: &mut ChaCha8Rng, probability: f64) -> bool {
    ((rng.next_u64() >> 11) as f64 / (1u64 << 53) as f64) < probability
}

/// Puts `items` into a random order.
pub(super) fn shuffle<T>(rng: &mut ChaCha8Rng, items: &mut [T]) {
    for last in (1..items.len()).rev() {
        items.swap(last, below(rng, last + 1));
    }
}

/// `count` of the numbers `0..length` in a random order; all of them where there are no more.
pub(super) fn choose(rng: &mut ChaCha8Rng, length: usize, count: usize) -> Vec<usize> {
    let mut numbers: Vec<usize> = (0..length).collect();
    let count = count.min(length);
    for place in 0..count {
        let other = place + below(rng, length - place);
        numbers.swap(place, other);
    }
    numbers.truncate(count);
    numbers
}
