//! Log-probabilities of tokens, and the way back, through the vocabulary matrix: a few positions at a time, and without
//! autodiff.
//!
//! The logits of 4,096 positions over 152k tokens are 2.5 GB, and autodiff would keep several such tensors. Here only
//! the positions that are asked for reach the matrix, `chunk` of them at once, and the gradient is written down:
//!
//! ```text
//! log_prob = x[target] - ln(sum(exp(x))),  x = normed W^T / temperature
//! d_x      = d_log_prob * (onehot(target) - softmax(x)) / temperature
//! d_normed = d_x W,   d_W = d_x^T normed
//! ```
//!
//! The matrix may be cut into shards of rows. Rows at `limit` and above belong to no token: they have no probability
//! and no gradient. What is not here: the network below the matrix (`network`), which positions count and how much
//! (`objective`).

use burn::module::Param;
use burn::tensor::{DType, Device, IndexingUpdateOp, Int, Tensor, TensorData};
use conclave_model::qwen2::Qwen2;

use crate::error::{Result, TrainError};
use crate::gradients::Gradients;
use crate::host::read_f32;
use crate::parameters::ParameterTensor;

/// The head of a model: the matrix from final norms to token probabilities.
#[derive(Debug)]
pub struct Head<'a> {
    name: &'static str,
    shards: Vec<Shard<'a>>,
    limit: usize,
    temperature: f64,
    chunk: usize,
}

/// Consecutive rows of the matrix.
#[derive(Debug)]
struct Shard<'a> {
    /// The token of its first row.
    start: usize,
    /// All its rows, `[rows, hidden_size]`.
    weight: &'a Param<Tensor<2>>,
    rows: usize,
    /// How many of them belong to a token.
    used: usize,
}

/// What is known of some targets.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Scores {
    /// Of each target, at the head's temperature.
    pub log_probs: Vec<f32>,
    /// Of the distribution that each target is drawn from, in nats.
    pub entropies: Vec<f32>,
}

/// Gradients of everything that a head multiplies, in f32.
#[derive(Debug)]
pub struct HeadGradients {
    /// As `normed`, zero where no target was.
    pub d_normed: Tensor<2>,
    /// Of each shard of the matrix, in order and in its whole shape.
    pub d_shards: Vec<Tensor<2>>,
    name: &'static str,
}

impl HeadGradients {
    /// The gradient that goes down into the network, and those of the matrix by name (a tied matrix has another
    /// gradient from the embedding, to be added).
    pub fn into_parts(self) -> (Tensor<2>, Gradients) {
        let mut gradients = Gradients::new();
        for (index, d_shard) in self.d_shards.into_iter().enumerate() {
            gradients.add_one(&format!("{}#{index}", self.name), ParameterTensor::Matrix(d_shard));
        }
        (self.d_normed, gradients)
    }
}

impl<'a> Head<'a> {
    /// The head of a model on a plain device. `limit` is the number of token ids that exist, `temperature` divides the
    /// logits, `chunk` is the number of positions whose logits are held at once.
    pub fn new(model: &'a Qwen2, limit: usize, temperature: f64, chunk: usize) -> Self {
        let (name, matrix) = match &model.lm_head {
            Some(lm_head) => ("lm_head.weight", lm_head),
            None => ("model.embed_tokens.weight", &model.embed_tokens),
        };
        let mut start = 0;
        let mut shards = Vec::with_capacity(matrix.shards.len());
        for weight in &matrix.shards {
            let [rows, _] = weight.val().dims();
            shards.push(Shard { start, weight, rows, used: limit.saturating_sub(start).min(rows) });
            start += rows;
        }
        Self { name, shards, limit: limit.min(start), temperature, chunk: chunk.max(1) }
    }

    /// Scores `targets[i]` as what follows position `positions[i]`, without a gradient.
    ///
    /// # Shapes
    ///
    /// - `normed`: `[rows * seq, hidden_size]`, after the final norm
    ///
    /// # Errors
    /// Positions that are not ascending or not there, targets that are no token, numbers that are not finite.
    pub fn score(&self, normed: &Tensor<2>, positions: &[usize], targets: &[u32]) -> Result<Scores> {
        self.check(normed, positions, targets)?;
        let mut statistics = Vec::new();
        for (positions, targets) in positions.chunks(self.chunk).zip(targets.chunks(self.chunk)) {
            statistics.push(self.distribution(normed, positions, targets, true).statistics);
        }
        self.scores(statistics)
    }

    /// The gradients of `sum(d_log_probs[i] * log_prob[i])`. Positions with a coefficient of 0 cost nothing.
    ///
    /// # Errors
    /// As [`score`](Self::score), and coefficients that are not finite.
    pub fn backward(
        &self,
        normed: &Tensor<2>,
        positions: &[usize],
        targets: &[u32],
        d_log_probs: &[f32],
    ) -> Result<HeadGradients> {
        self.check(normed, positions, targets)?;
        check_coefficients(targets, d_log_probs)?;
        let counting = |i: &usize| d_log_probs[*i] != 0.0;
        let positions: Vec<usize> = (0..positions.len()).filter(counting).map(|i| positions[i]).collect();
        let targets: Vec<u32> = (0..targets.len()).filter(counting).map(|i| targets[i]).collect();
        let d_log_probs: Vec<f32> = d_log_probs.iter().copied().filter(|d| *d != 0.0).collect();
        Ok(self.chunks(normed, &positions, &targets, &d_log_probs, false).0)
    }

    /// [`score`](Self::score) and [`backward`](Self::backward) from one look at the logits, for coefficients that do
    /// not depend on the scores. Every position is scored, also where the coefficient is 0.
    ///
    /// # Errors
    /// As those two.
    pub fn score_and_backward(
        &self,
        normed: &Tensor<2>,
        positions: &[usize],
        targets: &[u32],
        d_log_probs: &[f32],
    ) -> Result<(Scores, HeadGradients)> {
        self.check(normed, positions, targets)?;
        check_coefficients(targets, d_log_probs)?;
        let (gradients, statistics) = self.chunks(normed, positions, targets, d_log_probs, true);
        Ok((self.scores(statistics)?, gradients))
    }

    /// The gradients, chunk by chunk, and the statistics of each chunk.
    fn chunks(
        &self,
        normed: &Tensor<2>,
        positions: &[usize],
        targets: &[u32],
        d_log_probs: &[f32],
        scored: bool,
    ) -> (HeadGradients, Vec<Tensor<2>>) {
        let (device, [rows, hidden_size]) = (normed.device(), normed.dims());
        let mut statistics = Vec::new();
        let mut d_selected = Vec::new();
        let mut d_used: Vec<Option<Tensor<2>>> = vec![None; self.shards.len()];
        let chunks =
            positions.chunks(self.chunk).zip(targets.chunks(self.chunk)).zip(d_log_probs.chunks(self.chunk));
        for ((positions, targets), d_log_probs) in chunks {
            let distribution = self.distribution(normed, positions, targets, scored);
            statistics.push(distribution.statistics.clone());
            d_selected.push(self.chunk_backward(distribution, targets, d_log_probs, &mut d_used));
        }
        let mut d_normed = Tensor::zeros([rows, hidden_size], (&device, DType::F32));
        if !d_selected.is_empty() {
            let at = indices(positions.iter().copied(), &device);
            d_normed = d_normed.select_assign(0, at, Tensor::cat(d_selected, 0), IndexingUpdateOp::Add);
        }
        let whole = |(shard, d_used): (&Shard, Option<Tensor<2>>)| {
            let zeros = |rows: usize| Tensor::zeros([rows, hidden_size], (&device, DType::F32));
            match d_used {
                None => zeros(shard.rows),
                Some(d_used) if shard.used == shard.rows => d_used,
                Some(d_used) => Tensor::cat(vec![d_used, zeros(shard.rows - shard.used)], 0),
            }
        };
        let d_shards = self.shards.iter().zip(d_used).map(whole).collect();
        (HeadGradients { d_normed, d_shards, name: self.name }, statistics)
    }

    /// The shards that have a token.
    fn used(&self) -> impl Iterator<Item = (usize, &Shard<'a>)> {
        self.shards.iter().enumerate().filter(|(_, shard)| shard.used > 0)
    }

    /// The distribution over the tokens at some positions. On the CPU every operation is a pass over
    /// `[positions, tokens]`, in place where nobody else holds the tensor: hence the order of things.
    fn distribution(
        &self,
        normed: &Tensor<2>,
        positions: &[usize],
        targets: &[u32],
        scored: bool,
    ) -> Distribution {
        let device = normed.device();
        let normed = normed.clone().select(0, indices(positions.iter().copied(), &device));
        let dtype = self.shards.first().map_or(DType::F32, |shard| shard.weight.val().dtype());
        let normed = normed.cast(dtype);
        let mut logits = Vec::new();
        for (_, shard) in self.used() {
            let part = normed.clone().matmul(shard.used_weight().transpose()).cast(DType::F32);
            logits.push(if self.temperature == 1.0 { part } else { part * (1.0 / self.temperature) });
        }
        let maximum = join(logits.iter().map(|part| part.clone().max_dim(1)), |maxima| {
            Tensor::cat(maxima, 1).max_dim(1)
        });
        let sum_of = |parts: Vec<Tensor<2>>| join(parts, |parts| Tensor::cat(parts, 1).sum_dim(1));
        let (mut exponentials, mut sums, mut chosen, mut products) = (vec![], vec![], vec![], vec![]);
        for ((_, shard), part) in self.used().zip(logits) {
            let shifted = part - maximum.clone();
            if scored {
                let (at, inside) = shard.find(targets, &vec![1.0; targets.len()], &device);
                chosen.push(shifted.clone().gather(1, at) * inside);
                let exponential = shifted.clone().exp();
                products.push((shifted * exponential.clone()).sum_dim(1));
                exponentials.push(exponential);
            } else {
                exponentials.push(shifted.exp());
            }
            sums.extend(exponentials.last().map(|exponential| exponential.clone().sum_dim(1)));
        }
        let sum = sum_of(sums);
        let statistics = match scored {
            true => Tensor::cat(vec![sum_of(chosen), sum.clone(), sum_of(products)], 1),
            false => Tensor::zeros([0, 3], &device),
        };
        Distribution { normed, exponentials, sum, statistics }
    }

    /// Adds one chunk's gradient of the matrix to `d_used` and gives that of the chunk's norms.
    fn chunk_backward(
        &self,
        distribution: Distribution,
        targets: &[u32],
        d_log_probs: &[f32],
        d_used: &mut [Option<Tensor<2>>],
    ) -> Tensor<2> {
        let Distribution { normed, exponentials, sum, .. } = distribution;
        let device = normed.device();
        let d_log_probs: Vec<f32> =
            d_log_probs.iter().map(|d| (f64::from(*d) / self.temperature) as f32).collect();
        let d = TensorData::new(d_log_probs.clone(), [d_log_probs.len(), 1]);
        let spread = Tensor::<2>::from_data(d, &device).neg() / sum;
        let mut d_normed: Option<Tensor<2>> = None;
        for ((index, shard), exponential) in self.used().zip(exponentials) {
            let (at, inside) = shard.find(targets, &d_log_probs, &device);
            let d_logits = exponential * spread.clone();
            let d_logits = d_logits.scatter(1, at, inside, IndexingUpdateOp::Add).cast(normed.dtype());
            let d_weight = d_logits.clone().transpose().matmul(normed.clone()).cast(DType::F32);
            d_used[index] = Some(match d_used[index].take() {
                Some(sum) => sum + d_weight,
                None => d_weight,
            });
            let part = d_logits.matmul(shard.used_weight()).cast(DType::F32);
            d_normed = Some(match d_normed {
                Some(sum) => sum + part,
                None => part,
            });
        }
        d_normed.unwrap_or_else(|| normed.zeros_like().cast(DType::F32))
    }

    fn scores(&self, statistics: Vec<Tensor<2>>) -> Result<Scores> {
        if statistics.is_empty() {
            return Ok(Scores::default());
        }
        let read = read_f32(Tensor::cat(statistics, 0))?;
        let mut scores = Scores::default();
        for row in read.chunks_exact(3) {
            let [chosen, sum, product] = [row[0], row[1], row[2]].map(f64::from);
            scores.log_probs.push((chosen - sum.ln()) as f32);
            // -sum(p ln p) with p = exp(x) / sum, ln p = x - ln(sum)
            scores.entropies.push((sum.ln() - product / sum) as f32);
        }
        match scores.log_probs.iter().chain(&scores.entropies).all(|number| number.is_finite()) {
            true => Ok(scores),
            false => Err(TrainError::NotFinite(
                "log-probabilities are not finite: the training has diverged (lower the learning rate, clip gradients) \
                 or the weights are damaged (`conclave model check`)"
                    .to_owned(),
            )),
        }
    }

    fn check(&self, normed: &Tensor<2>, positions: &[usize], targets: &[u32]) -> Result<()> {
        let [rows, _] = normed.dims();
        let wrong = |what: String| Err(TrainError::Data(what));
        if positions.len() != targets.len() {
            return wrong(format!("{} positions for {} targets", positions.len(), targets.len()));
        }
        if !positions.is_sorted_by(|a, b| a < b) || positions.last().is_some_and(|last| *last >= rows) {
            return wrong(format!("positions must ascend and be below {rows}"));
        }
        if let Some(token) = targets.iter().find(|token| **token as usize >= self.limit) {
            return wrong(format!(
                "token id {token} is not below {}, the number of tokens: is the tokenizer this model's?",
                self.limit
            ));
        }
        match self.temperature > 0.0 && self.temperature.is_finite() {
            true => Ok(()),
            false => wrong(format!("the temperature must be above 0, and it is {}", self.temperature)),
        }
    }
}

fn check_coefficients(targets: &[u32], d_log_probs: &[f32]) -> Result<()> {
    if d_log_probs.len() != targets.len() {
        let what = format!("{} coefficients for {} targets", d_log_probs.len(), targets.len());
        return Err(TrainError::Data(what));
    }
    match d_log_probs.iter().all(|d| d.is_finite()) {
        true => Ok(()),
        false => Err(TrainError::NotFinite("the gradient of the loss is not finite".to_owned())),
    }
}

/// The distribution over the tokens at `n` positions, not yet divided by its sum.
struct Distribution {
    /// What reached the matrix, in its type, `[n, hidden_size]`
    normed: Tensor<2>,
    /// exp(logit - largest logit) of the tokens of each used shard, `[n, used]`
    exponentials: Vec<Tensor<2>>,
    /// Their sum over all tokens, `[n, 1]`
    sum: Tensor<2>,
    /// For the host: the target's logit below the largest, `sum`, and the sum of exponentials times logits, `[n, 3]`
    statistics: Tensor<2>,
}

impl Shard<'_> {
    /// The rows that belong to a token.
    fn used_weight(&self) -> Tensor<2> {
        let weight = self.weight.val();
        if self.used == self.rows { weight } else { weight.narrow(0, 0, self.used) }
    }

    /// Where each target stands in this shard, and its value: row 0 and nothing for a target of another shard.
    ///
    /// # Shapes
    ///
    /// - outputs: `[targets, 1]`
    fn find(&self, targets: &[u32], values: &[f32], device: &Device) -> (Tensor<2, Int>, Tensor<2>) {
        let place = |token: &u32| (*token as usize).checked_sub(self.start).filter(|row| *row < self.used);
        let at = targets.iter().map(|token| place(token).unwrap_or(0));
        let inside = |(token, value): (&u32, &f32)| if place(token).is_some() { *value } else { 0.0 };
        let inside: Vec<f32> = targets.iter().zip(values).map(inside).collect();
        let shape = [targets.len(), 1];
        (indices(at, device).reshape(shape), Tensor::from_data(TensorData::new(inside, shape), device))
    }
}

/// One tensor as it is, several by `how`: most matrices have one shard.
fn join(
    parts: impl IntoIterator<Item = Tensor<2>>,
    how: impl FnOnce(Vec<Tensor<2>>) -> Tensor<2>,
) -> Tensor<2> {
    let mut parts: Vec<Tensor<2>> = parts.into_iter().collect();
    if parts.len() == 1 { parts.remove(0) } else { how(parts) }
}

fn indices(values: impl Iterator<Item = usize>, device: &Device) -> Tensor<1, Int> {
    let values: Vec<i32> = values.map(|value| value as i32).collect();
    let shape = [values.len()];
    Tensor::from_data(TensorData::new(values, shape), device)
}

#[cfg(test)]
mod tests;
