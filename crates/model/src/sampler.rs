//! Choosing the next token from a row of logits, without a tensor library.
//!
//! Each row of the vocabulary is cut into blocks of 256, and each block is reduced to its maximum and to the sum of its
//! exponentials (1,188 numbers for Qwen2's 151,936 tokens). From them follows which blocks hold the answer, and only
//! these are looked at:
//!
//! - greedy: the block with the largest maximum;
//! - temperature alone: the block in which the inverse of the cumulative distribution falls;
//! - top-k: the k blocks with the largest maxima, which hold the k largest logits;
//! - top-p: blocks in order of their maxima until the mass above the next block's maximum reaches p.
//!
//! This is exact, needs no sort, and depends on nothing but the logits and one uniform number a row, so that the same
//! seed gives the same text wherever the logits agree. [`choose`], [`top_k_of`] and [`log_prob_of`] take a row of
//! logits in memory; where logits stay on a device, `device_sampler` has the device reduce and reads the few blocks.

use crate::error::{Error, ErrorKind};

/// Logits per block.
pub(crate) const BLOCK: usize = 256;

/// Padding of the last block: below every logit, and finite, as infinities are unsafe under a shader's fast maths.
pub(crate) const PADDING: f32 = -1e30;

/// Temperatures above 0 are taken to be at least this, where only equal logits still share the choice: the inverse of a
/// smaller one is infinite in f32, and infinity times a difference of 0 is no number.
const MIN_TEMPERATURE: f64 = 1e-6;

/// Blocks that top-p looks at first. A nucleus that reaches further asks for four times as many.
const FIRST_BLOCKS: usize = 4;

/// How one row's next token is chosen.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Choice {
    /// 0 is greedy; otherwise logits are divided by it.
    pub temperature: f64,
    /// Keep only the k most probable tokens.
    pub top_k: Option<usize>,
    /// Then keep only the most probable tokens that together reach this mass (of what top-k left).
    pub top_p: Option<f64>,
    /// A uniform number in `[0, 1)`.
    pub draw: f64,
}

impl Choice {
    /// The most probable token; the lowest id among equals.
    pub const GREEDY: Self = Self { temperature: 0.0, top_k: None, top_p: None, draw: 0.0 };

    /// What logits are divided by.
    pub(crate) fn scale(&self) -> f64 {
        if self.temperature > 0.0 { self.temperature.max(MIN_TEMPERATURE) } else { 1.0 }
    }
}

/// A chosen token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sampled {
    /// Its id.
    pub token: u32,
    /// Its log-probability under softmax(logits / temperature), before top-k and top-p; greedy counts as
    /// temperature 1.
    pub log_prob: f64,
}

/// Chooses a token of a row of logits, of which the first `limit` are tokens and the rest padding of the matrix.
///
/// # Errors
///
/// `NotFinite` when a token's logit is NaN or infinite, or there is no token.
pub fn choose(logits: &[f32], limit: usize, choice: &Choice) -> Result<Sampled, Error> {
    let logits = &logits[..limit.min(logits.len())];
    let row = RowBlocks::of(logits, choice.scale())?;
    let mut wanted = row.wanted(choice);
    loop {
        if let Some(sampled) = row.choose(choice, &wanted, &gather(logits, &wanted)) {
            return Ok(sampled);
        }
        wanted = row.more(&wanted);
    }
}

/// The `k` most probable tokens of a row of logits with their log-probabilities, most probable first and the lowest id
/// first among equals.
///
/// # Errors
///
/// As [`choose`].
pub fn top_k_of(logits: &[f32], limit: usize, k: usize) -> Result<Vec<(u32, f64)>, Error> {
    let logits = &logits[..limit.min(logits.len())];
    let row = RowBlocks::of(logits, 1.0)?;
    let wanted = row.largest(k);
    Ok(row.top_k(&wanted, &gather(logits, &wanted), k))
}

/// The log-probability of one token of a row of logits.
///
/// # Errors
///
/// As [`choose`], and `Input` for a token that is not below `limit`.
pub fn log_prob_of(logits: &[f32], limit: usize, token: u32) -> Result<f64, Error> {
    let logits = &logits[..limit.min(logits.len())];
    let Some(&logit) = logits.get(token as usize) else {
        return Err(unknown_token(token, logits.len()));
    };
    Ok(RowBlocks::of(logits, 1.0)?.log_prob(logit, 1.0))
}

/// The error for a token id that no row of logits has.
pub(crate) fn unknown_token(token: u32, limit: usize) -> Error {
    Error::input(format!("token id {token} is not below {limit}, the number of tokens"))
}

/// The wanted blocks of a row side by side, the last one padded.
fn gather(logits: &[f32], wanted: &[usize]) -> Vec<f32> {
    let mut read = Vec::with_capacity(wanted.len() * BLOCK);
    for block in wanted {
        read.extend_from_slice(&logits[block * BLOCK..logits.len().min((block + 1) * BLOCK)]);
        read.resize(read.len().next_multiple_of(BLOCK), PADDING);
    }
    read
}

/// One row of logits, reduced block by block.
#[derive(Debug)]
pub(crate) struct RowBlocks {
    /// The largest logit of each block.
    maxima: Vec<f32>,
    /// Of each block, the sum of exp((logit - row maximum) / temperature).
    sums: Vec<f64>,
    /// The largest logit of the row.
    maximum: f32,
    /// ln of the sum of all `sums`.
    log_sum: f64,
}

impl RowBlocks {
    /// Takes what each block was reduced to.
    ///
    /// # Errors
    ///
    /// A NaN or an infinity among a row's logits makes its sum one: `NotFinite`.
    pub fn new(maxima: Vec<f32>, sums: Vec<f64>) -> Result<Self, Error> {
        let total: f64 = sums.iter().sum();
        let maximum = maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        if !total.is_finite() || total <= 0.0 || !maximum.is_finite() || maximum <= PADDING {
            return Err(not_finite("the logits"));
        }
        Ok(Self { maxima, sums, maximum, log_sum: total.ln() })
    }

    /// Reduces a row in memory whose logits are divided by `scale`.
    fn of(logits: &[f32], scale: f64) -> Result<Self, Error> {
        let maxima: Vec<f32> = logits.chunks(BLOCK).map(largest_of).collect();
        let maximum = maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max);
        let inverse = (1.0 / scale) as f32;
        let sums = logits.chunks(BLOCK).map(|block| sum_of_exponentials(block, maximum, inverse)).collect();
        Self::new(maxima, sums)
    }

    /// The blocks to read for a choice, in increasing order.
    pub fn wanted(&self, choice: &Choice) -> Vec<usize> {
        match (choice.top_k, choice.top_p) {
            _ if choice.temperature <= 0.0 => self.largest(1),
            (Some(k), _) => self.largest(k.max(1)),
            (None, Some(_)) => self.largest(FIRST_BLOCKS),
            (None, None) => vec![pick(&self.sums, choice.draw).0],
        }
    }

    /// The blocks to read after [`choose`](Self::choose) came short with these. Only top-p can: the nucleus reaches into
    /// blocks that were not read.
    pub fn more(&self, wanted: &[usize]) -> Vec<usize> {
        self.largest(wanted.len() * 4)
    }

    /// The `n` blocks with the largest maxima (the first among equals), in increasing order.
    pub fn largest(&self, n: usize) -> Vec<usize> {
        let mut order: Vec<usize> = (0..self.maxima.len()).collect();
        let by_maximum = |a: &usize, b: &usize| self.maxima[*b].total_cmp(&self.maxima[*a]).then(a.cmp(b));
        if n < order.len() {
            order.select_nth_unstable_by(n, by_maximum);
            order.truncate(n);
        }
        order.sort_unstable();
        order
    }

    /// The choice among the blocks read, or `None` when the nucleus needs more of them.
    pub fn choose(&self, choice: &Choice, blocks: &[usize], read: &[f32]) -> Option<Sampled> {
        let scale = choice.scale();
        let found = |(token, logit): (u32, f32)| Sampled { token, log_prob: self.log_prob(logit, scale) };
        if choice.temperature <= 0.0 {
            return ranked(blocks, read, 1).first().copied().map(found);
        }
        if choice.top_k.is_none() && choice.top_p.is_none() {
            let (block, draw) = pick(&self.sums, choice.draw);
            let weights: Vec<f64> = read.iter().map(|logit| self.weight(*logit, scale)).collect();
            let (i, _) = pick(&weights, draw);
            return Some(found(((block * BLOCK + i) as u32, read[i])));
        }
        let keep = choice.top_k.unwrap_or(usize::MAX).max(1);
        let mut kept = ranked(blocks, read, keep);
        let weights: Vec<f64> = kept.iter().map(|(_, logit)| self.weight(*logit, scale)).collect();
        if let Some(top_p) = choice.top_p {
            let all: f64 = match choice.top_k {
                Some(_) => weights.iter().sum(),
                None => self.sums.iter().sum(),
            };
            let nucleus = nucleus(&weights, top_p * all);
            if choice.top_k.is_none() && blocks.len() < self.maxima.len() {
                // What was read is complete only above the largest block that was not.
                let unread = (0..self.maxima.len()).filter(|block| blocks.binary_search(block).is_err());
                let bound = unread.map(|block| self.maxima[block]).fold(f32::NEG_INFINITY, f32::max);
                if nucleus > kept.len() || kept[nucleus - 1].1 <= bound {
                    return None;
                }
            }
            kept.truncate(nucleus);
        }
        let (i, _) = pick(&weights[..kept.len()], choice.draw);
        Some(found(kept[i]))
    }

    /// The `k` most probable tokens of the blocks read, most probable first.
    pub fn top_k(&self, blocks: &[usize], read: &[f32], k: usize) -> Vec<(u32, f64)> {
        let ranked = ranked(blocks, read, k).into_iter();
        ranked.map(|(token, logit)| (token, self.log_prob(logit, 1.0))).collect()
    }

    /// exp((logit - row maximum) / temperature)
    fn weight(&self, logit: f32, scale: f64) -> f64 {
        (f64::from(logit - self.maximum) / scale).exp()
    }

    fn log_prob(&self, logit: f32, scale: f64) -> f64 {
        f64::from(logit - self.maximum) / scale - self.log_sum
    }
}

/// The error for a result that is NaN or infinite, and what to do about it.
pub(crate) fn not_finite(what: &str) -> Error {
    Error::new(
        ErrorKind::NotFinite,
        format!(
            "{what} are not finite, though the weights were when they were loaded: compute in float32, or on \
             another device"
        ),
    )
}

/// Lanes of the reductions: as many as any processor has in one register, so that the compiler uses them.
const LANES: usize = 16;

/// The largest of a block; a NaN is passed over, as it shows in the sum.
fn largest_of(block: &[f32]) -> f32 {
    let mut lanes = [f32::NEG_INFINITY; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, value) in lanes.iter_mut().zip(chunk) {
            *lane = if *value > *lane { *value } else { *lane };
        }
    }
    lanes.iter().chain(rest).copied().fold(f32::NEG_INFINITY, f32::max)
}

/// The sum of exp((logit - maximum) * inverse) over a block, in an order that does not depend on the processor.
fn sum_of_exponentials(block: &[f32], maximum: f32, inverse: f32) -> f64 {
    let mut lanes = [0.0f32; LANES];
    let (chunks, rest) = block.as_chunks::<LANES>();
    for chunk in chunks {
        for (lane, logit) in lanes.iter_mut().zip(chunk) {
            *lane += exponential((logit - maximum) * inverse);
        }
    }
    for (lane, logit) in lanes.iter_mut().zip(rest) {
        *lane += exponential((logit - maximum) * inverse);
    }
    lanes.iter().map(|lane| f64::from(*lane)).sum()
}

/// e^x for x <= 0 to 2 units in the last place, with the same bits on every platform, and such that a loop of it is
/// compiled to vector instructions. 0 below -87.3; NaN for NaN.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2, and e^r by the polynomial of Cephes' `expf`.
fn exponential(x: f32) -> f32 {
    /// Adding it rounds a small number to an integer, which the lowest bits then hold.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = if x < -87.3 { -87.3 } else { x };
    let shifted = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = shifted - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let mut p = 1.987_569_1e-4;
    for coefficient in [1.398_2e-3, 8.333_452e-3, 4.166_579_6e-2, 1.666_666_5e-1, 0.5] {
        p = p * r + coefficient;
    }
    let power = f32::from_bits((shifted.to_bits() << 23).wrapping_add(1.0f32.to_bits()));
    let value = (p * r * r + r + 1.0) * power;
    if x < -87.3 { 0.0 } else { value }
}

/// How many of the (descending) weights it takes to reach `mass`; one more than there are when they do not.
fn nucleus(weights: &[f64], mass: f64) -> usize {
    let mut sum = 0.0;
    for (i, weight) in weights.iter().enumerate() {
        sum += weight;
        if sum >= mass {
            return i + 1;
        }
    }
    weights.len() + 1
}

/// The `k` largest logits of the blocks read, largest first, lowest id first among equals.
fn ranked(blocks: &[usize], read: &[f32], k: usize) -> Vec<(u32, f32)> {
    let mut all: Vec<(u32, f32)> = blocks
        .iter()
        .zip(read.chunks_exact(BLOCK))
        .flat_map(|(block, values)| {
            values.iter().enumerate().map(move |(i, logit)| ((block * BLOCK + i) as u32, *logit))
        })
        .filter(|(_, logit)| *logit > PADDING)
        .collect();
    let order = |a: &(u32, f32), b: &(u32, f32)| b.1.total_cmp(&a.1).then(a.0.cmp(&b.0));
    if k < all.len() {
        all.select_nth_unstable_by(k, order);
        all.truncate(k);
    }
    all.sort_unstable_by(order);
    all
}

/// The index in which `draw` of the total weight falls, and where in it, as a new number in `[0, 1)`.
fn pick(weights: &[f64], draw: f64) -> (usize, f64) {
    let target = draw * weights.iter().sum::<f64>();
    let mut before = 0.0;
    let mut last = 0;
    for (i, &weight) in weights.iter().enumerate() {
        if weight > 0.0 {
            if target < before + weight {
                return (i, ((target - before) / weight).clamp(0.0, 1.0 - f64::EPSILON));
            }
            last = i;
        }
        before += weight;
    }
    (last, 1.0 - f64::EPSILON)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exponential_is_that_of_the_library() {
        let mut worst = 0.0f64;
        for step in 0..2_000_000 {
            let x = -(step as f32) * 43.6e-6;
            let exact = f64::from(x).exp();
            worst = worst.max((f64::from(exponential(x)) - exact).abs() / exact);
        }
        assert!(worst < 2.5e-7, "{worst}");
        assert_eq!([exponential(0.0), exponential(-88.0), exponential(-1e30)], [1.0, 0.0, 0.0]);
        assert_eq!(exponential(f32::NEG_INFINITY), 0.0);
        assert!(exponential(f32::NAN).is_nan());
    }

    #[test]
    fn a_block_is_reduced_whatever_its_length() {
        for len in [1, 15, 16, 17, 255, 256] {
            let block: Vec<f32> = (0..len).map(|i| ((i * 37) % 101) as f32 * 0.1 - 3.0).collect();
            let maximum = block.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            assert_eq!(largest_of(&block), maximum);
            let expected: f64 = block.iter().map(|x| (f64::from(x - maximum) * 0.5).exp()).sum();
            assert!((sum_of_exponentials(&block, maximum, 0.5) - expected).abs() < 1e-5 * expected);
            let mut damaged = block.clone();
            damaged[len - 1] = f32::NAN;
            assert!(sum_of_exponentials(&damaged, maximum, 0.5).is_nan());
        }
    }

    #[test]
    fn a_row_without_tokens_and_a_token_without_a_row_are_errors() {
        assert_eq!(choose(&[], 5, &Choice::GREEDY).unwrap_err().kind(), ErrorKind::NotFinite);
        assert_eq!(choose(&[1.0], 0, &Choice::GREEDY).unwrap_err().kind(), ErrorKind::NotFinite);
        assert_eq!(log_prob_of(&[1.0, 2.0], 1, 1).unwrap_err().kind(), ErrorKind::Input);
        assert!((log_prob_of(&[1.0, 1.0, 9.0], 2, 1).unwrap() - 0.5f64.ln()).abs() < 1e-7);
    }
}
