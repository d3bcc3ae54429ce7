//! Choosing the next token on the device.
//!
//! The logits stay where they are. Each row of the vocabulary is cut into blocks of 256; the device reduces each
//! block to its maximum and to the sum of its exponentials, and only those two numbers a block come back (1,188 for
//! Qwen2's 151,936 tokens). From them the host knows which blocks hold the answer, and reads just these:
//!
//! - greedy: the block with the largest maximum;
//! - temperature alone: the block in which the inverse of the cumulative distribution falls;
//! - top-k: the k blocks with the largest maxima, which hold the k largest logits;
//! - top-p: blocks in order of their maxima until the mass above the next block's maximum reaches p.
//!
//! This is exact, needs no sort, and depends on nothing but the logits and one uniform number a row, so that the same
//! seed gives the same text on every device whose logits agree.

use burn::tensor::{Tensor, TensorData};

use crate::error::{Error, ErrorKind};
use crate::kv_cache::row_indices;

/// Logits per block.
const BLOCK: usize = 256;

/// Padding of the last block: below every logit, and finite, as infinities are unsafe under a shader's fast maths.
const PADDING: f32 = -1e30;

/// Temperatures above 0 are taken to be at least this, where only equal logits still share the choice: the inverse of a
/// smaller one is infinite in f32, and infinity times a difference of 0 is no number.
const MIN_TEMPERATURE: f64 = 1e-6;

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

    fn scale(&self) -> f64 {
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

/// The blocks of some rows of logits, with what the device reduced them to.
struct Blocks {
    values: Tensor<2>, // [rows * blocks, BLOCK]
    count: usize,
    /// `[rows][blocks]`
    maxima: Vec<Vec<f32>>,
    /// `[rows][blocks]`: sums of exp((logit - row maximum) / temperature)
    sums: Vec<Vec<f64>>,
}

/// Chooses a token for each row.
///
/// `limit` is the number of token ids that exist: logits above are padding of the matrix and never chosen.
///
/// # Shapes
///
/// - `logits`: `[rows, vocab_size]`, f32
///
/// # Errors
///
/// `NotFinite` when a row has a NaN or no finite logit.
pub async fn sample(logits: Tensor<2>, limit: usize, choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
    let scales: Vec<f64> = choices.iter().map(Choice::scale).collect();
    let blocks = Blocks::reduce(logits, limit, &scales).await?;
    let mut wanted: Vec<Vec<usize>> =
        choices.iter().enumerate().map(|(row, choice)| blocks.wanted(row, choice)).collect();
    let mut chosen: Vec<Option<Sampled>> = vec![None; choices.len()];
    while chosen.iter().any(Option::is_none) {
        let read = blocks.read(&wanted).await?;
        for (row, choice) in choices.iter().enumerate() {
            if chosen[row].is_some() {
                continue;
            }
            chosen[row] = blocks.choose(row, choice, &wanted[row], &read[row]);
            if chosen[row].is_none() {
                // Only top-p can come short: the nucleus reaches into blocks that were not read.
                let more = wanted[row].len() * 4;
                wanted[row] = blocks.largest(row, more);
            }
        }
    }
    Ok(chosen.into_iter().flatten().collect())
}

/// The `k` most probable tokens of each row with their log-probabilities, most probable first.
///
/// # Errors
///
/// As [`sample`].
pub async fn top_k(logits: Tensor<2>, limit: usize, k: usize) -> Result<Vec<Vec<(u32, f64)>>, Error> {
    let [rows, _] = logits.dims();
    let blocks = Blocks::reduce(logits, limit, &vec![1.0; rows]).await?;
    let wanted: Vec<Vec<usize>> = (0..rows).map(|row| blocks.largest(row, k)).collect();
    let read = blocks.read(&wanted).await?;
    Ok((0..rows)
        .map(|row| {
            let ranked = ranked(&wanted[row], &read[row], k);
            ranked.into_iter().map(|(token, logit)| (token, blocks.log_prob(row, logit, 1.0))).collect()
        })
        .collect())
}

impl Blocks {
    async fn reduce(logits: Tensor<2>, limit: usize, scales: &[f64]) -> Result<Self, Error> {
        let [rows, vocab_size] = logits.dims();
        let device = logits.device();
        let limit = limit.min(vocab_size);
        let count = limit.div_ceil(BLOCK);
        let mut logits = if limit < vocab_size { logits.narrow(1, 0, limit) } else { logits };
        if count * BLOCK > limit {
            let padding = Tensor::full([rows, count * BLOCK - limit], PADDING, &device);
            logits = Tensor::cat(vec![logits, padding], 1);
        }
        let values = logits.reshape([rows, count, BLOCK]);
        let inverse: Vec<f32> = scales.iter().map(|scale| (1.0 / scale) as f32).collect();
        let inverse = Tensor::<1>::from_data(TensorData::new(inverse, [rows]), &device).reshape([rows, 1, 1]);
        let maxima = values.clone().max_dim(2); // [rows, count, 1]
        let row_maximum = maxima.clone().max_dim(1);
        let sums = ((values.clone() - row_maximum) * inverse).exp().sum_dim(2);
        let reduced = read_f32(Tensor::cat(vec![maxima, sums], 2).reshape([rows * count, 2])).await?;
        let row = |row: usize| reduced[row * count * 2..(row + 1) * count * 2].chunks_exact(2);
        let blocks = Self {
            values: values.reshape([rows * count, BLOCK]),
            count,
            maxima: (0..rows).map(|r| row(r).map(|pair| pair[0]).collect()).collect(),
            sums: (0..rows).map(|r| row(r).map(|pair| f64::from(pair[1])).collect()).collect(),
        };
        blocks.check()?;
        Ok(blocks)
    }

    /// A NaN or an infinity among a row's logits makes its sum one.
    fn check(&self) -> Result<(), Error> {
        for (row, (maxima, sums)) in self.maxima.iter().zip(&self.sums).enumerate() {
            let total: f64 = sums.iter().sum();
            let maximum = maxima.iter().copied().fold(f32::NEG_INFINITY, f32::max);
            if !total.is_finite() || total <= 0.0 || !maximum.is_finite() || maximum <= PADDING {
                return Err(Error::new(
                    ErrorKind::NotFinite,
                    format!(
                        "the logits of row {row} are not finite: the weights are damaged or the device computes \
                         wrongly; run `conclave model check`"
                    ),
                ));
            }
        }
        Ok(())
    }

    /// The blocks to read for a choice, in increasing order.
    fn wanted(&self, row: usize, choice: &Choice) -> Vec<usize> {
        match (choice.top_k, choice.top_p) {
            _ if choice.temperature <= 0.0 => self.largest(row, 1),
            (Some(k), _) => self.largest(row, k.max(1)),
            (None, Some(_)) => self.largest(row, 4),
            (None, None) => vec![pick(&self.sums[row], choice.draw).0],
        }
    }

    /// The `n` blocks with the largest maxima (the first among equals), in increasing order.
    fn largest(&self, row: usize, n: usize) -> Vec<usize> {
        let maxima = &self.maxima[row];
        let mut order: Vec<usize> = (0..self.count).collect();
        let by_maximum = |a: &usize, b: &usize| maxima[*b].total_cmp(&maxima[*a]).then(a.cmp(b));
        if n < order.len() {
            order.select_nth_unstable_by(n, by_maximum);
            order.truncate(n);
        }
        order.sort_unstable();
        order
    }

    /// Reads the wanted blocks of every row in one transfer.
    async fn read(&self, wanted: &[Vec<usize>]) -> Result<Vec<Vec<f32>>, Error> {
        let indices: Vec<usize> = wanted
            .iter()
            .enumerate()
            .flat_map(|(row, blocks)| blocks.iter().map(move |block| row * self.count + block))
            .collect();
        let device = self.values.device();
        let values = read_f32(self.values.clone().select(0, row_indices(&indices, &device))).await?;
        let mut rest = values.as_slice();
        Ok(wanted
            .iter()
            .map(|blocks| {
                let (row, tail) = rest.split_at(blocks.len() * BLOCK);
                rest = tail;
                row.to_vec()
            })
            .collect())
    }

    /// The choice among the blocks read, or `None` when the nucleus needs more of them.
    fn choose(&self, row: usize, choice: &Choice, blocks: &[usize], read: &[f32]) -> Option<Sampled> {
        let scale = choice.scale();
        let found =
            |(token, logit): (u32, f32)| Sampled { token, log_prob: self.log_prob(row, logit, scale) };
        if choice.temperature <= 0.0 {
            return ranked(blocks, read, 1).first().copied().map(found);
        }
        if choice.top_k.is_none() && choice.top_p.is_none() {
            let (block, draw) = pick(&self.sums[row], choice.draw);
            let weights: Vec<f64> = read.iter().map(|logit| self.weight(row, *logit, scale)).collect();
            let (i, _) = pick(&weights, draw);
            return Some(found(((block * BLOCK + i) as u32, read[i])));
        }
        let keep = choice.top_k.unwrap_or(usize::MAX).max(1);
        let mut kept = ranked(blocks, read, keep);
        let weights: Vec<f64> = kept.iter().map(|(_, logit)| self.weight(row, *logit, scale)).collect();
        if let Some(top_p) = choice.top_p {
            let all: f64 = match choice.top_k {
                Some(_) => weights.iter().sum(),
                None => self.sums[row].iter().sum(),
            };
            let nucleus = nucleus(&weights, top_p * all);
            if choice.top_k.is_none() && blocks.len() < self.count {
                // What was read is complete only above the largest block that was not.
                let unread = (0..self.count).filter(|block| blocks.binary_search(block).is_err());
                let bound = unread.map(|block| self.maxima[row][block]).fold(f32::NEG_INFINITY, f32::max);
                if nucleus > kept.len() || kept[nucleus - 1].1 <= bound {
                    return None;
                }
            }
            kept.truncate(nucleus);
        }
        let (i, _) = pick(&weights[..kept.len()], choice.draw);
        Some(found(kept[i]))
    }

    /// exp((logit - row maximum) / temperature)
    fn weight(&self, row: usize, logit: f32, scale: f64) -> f64 {
        (f64::from(logit - self.maximum(row)) / scale).exp()
    }

    fn log_prob(&self, row: usize, logit: f32, scale: f64) -> f64 {
        f64::from(logit - self.maximum(row)) / scale - self.sums[row].iter().sum::<f64>().ln()
    }

    fn maximum(&self, row: usize) -> f32 {
        self.maxima[row].iter().copied().fold(f32::NEG_INFINITY, f32::max)
    }
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

/// Reads a tensor back as f32.
pub(crate) async fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>, Error> {
    let data = tensor.into_data_async().await.map_err(|error| {
        Error::new(ErrorKind::Device, format!("cannot read a result back from the device: {error:?}"))
    })?;
    Ok(data.iter::<f32>().collect())
}
