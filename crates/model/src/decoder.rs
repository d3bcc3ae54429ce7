//! Decoding: the seam between everything that needs tokens from a model and the way they are computed.
//!
//! [`Decoder`] is the seam: rows of tokens that can be appended to, sampled from, scored, forked and rewound.
//! [`Qwen2Decoder`] is burn's implementation of it. The aggregator, rollouts and hosts use only the trait, so that a
//! faster decoder can stand beside this one.

use std::ops::ControlFlow;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::config::Qwen2Config;
use crate::error::{Error, ErrorKind};
use crate::kv_cache::{KvCache, row_indices};
use crate::qwen2::{Positions, Qwen2};
use crate::sampler::{self, Choice, Sampled, read_f32};

/// Tokens of one forward pass of a prefill. Bounds the attention scores: at 8k columns and 14 heads, 59 MB in f32.
pub const PREFILL_CHUNK: usize = 128;

/// Positions whose logits are computed at once when scoring: 64 rows of Qwen2's vocabulary are 39 MB.
const SCORE_CHUNK: usize = 64;

/// A language model that holds rows of tokens.
///
/// A row's *end* is where its next token goes. After [`append`](Self::append) a row's end can be sampled from; after
/// [`rewind`](Self::rewind) it cannot until something is appended.
#[allow(async_fn_in_trait)] // one thread drives a decoder, natively and in a browser: no Send bound is wanted
pub trait Decoder {
    /// Number of token ids that can be chosen.
    fn vocab_size(&self) -> usize;

    /// Longest sequence that the model was made for.
    fn context_length(&self) -> usize;

    /// Number of rows.
    fn num_rows(&self) -> usize;

    /// Number of tokens in a row.
    fn len(&self, row: usize) -> usize;

    /// Empties the decoder and makes room for `num_rows` rows of up to `capacity` columns. Rows that are appended to
    /// together share columns: the columns needed are the sum of the longest append of each call.
    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<(), Error>;

    /// Appends tokens: one slice a row, which may be empty. Prefill and decode are the same call. `progress` is told
    /// the tokens done of the longest row, and cancels by breaking.
    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error>;

    /// Chooses the token that follows each of `rows`, without appending it.
    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error>;

    /// The `k` most probable next tokens of a row with their log-probabilities, most probable first.
    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>, Error>;

    /// Log-probabilities of `tokens`, each given the row and the tokens before it. Leaves the row as it was.
    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>, Error>;

    /// Appends `tokens` to a row and returns the logits after each, `[tokens, vocab_size]` row-major with the rows
    /// that no token has. Reads whole vocabularies back: for checks, not for decoding.
    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>, Error>;

    /// Makes row `i` a copy of what was row `rows[i]`; rows that are not named are dropped.
    fn fork(&mut self, rows: &[usize]) -> Result<(), Error>;

    /// Forgets the tokens of a row past the first `len`.
    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error>;
}

/// The [`Decoder`] on burn's operations.
#[derive(Debug)]
pub struct Qwen2Decoder {
    model: Qwen2,
    config: Qwen2Config,
    device: Device,
    dtype: DType,
    /// Number of token ids that exist; rows of the vocabulary matrix above it are padding.
    limit: usize,
    chunk: usize,
    cache: KvCache,
    /// Residual stream at each row's end, `[rows, hidden_size]`.
    end: Tensor<2>,
    /// Whether `end` is that of the row's last token.
    at_end: Vec<bool>,
}

impl Qwen2Decoder {
    /// A decoder without rows. `num_tokens` is the number of token ids that exist (the tokenizer's), at most the
    /// config's `vocab_size`.
    pub fn new(model: Qwen2, config: Qwen2Config, num_tokens: usize) -> Self {
        let (device, dtype) = (model.device(), model.dtype());
        let cache = KvCache::new(&config, 0, 0, dtype, &device);
        let end = Tensor::zeros([0, config.hidden_size], (&device, dtype));
        let limit = num_tokens.min(config.vocab_size);
        Self { model, config, device, dtype, limit, chunk: PREFILL_CHUNK, cache, end, at_end: Vec::new() }
    }

    /// Sets the tokens of one forward pass of a prefill.
    pub fn with_prefill_chunk(mut self, chunk: usize) -> Self {
        self.chunk = chunk.max(1);
        self
    }

    /// The model.
    pub fn model(&self) -> &Qwen2 {
        &self.model
    }

    /// The model's configuration.
    pub fn config(&self) -> &Qwen2Config {
        &self.config
    }

    /// One forward pass: the residual stream of `pieces` (one a row), `[rows, seq, hidden_size]`.
    fn forward(&mut self, pieces: &[&[u32]]) -> Result<Tensor<3>, Error> {
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        let rows = pieces.len();
        let append = self.cache.plan(&lengths)?;
        let mut tokens = Vec::with_capacity(rows * append.seq);
        for piece in pieces {
            tokens.extend_from_slice(piece);
            tokens.extend(std::iter::repeat_n(0, append.seq - piece.len()));
        }
        let at = Positions::appended(&self.config, rows, append, &self.device);
        Ok(self.model.hidden(&tokens, rows, &at, Some(&mut self.cache.layers)))
    }

    /// Moves each row's end to the last token of its piece.
    fn advance(&mut self, pieces: &[&[u32]], hidden: &Tensor<3>) {
        let [rows, seq, hidden_size] = hidden.dims();
        let all = hidden.clone().reshape([rows * seq, hidden_size]);
        let new: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        self.end = if rows == 1 {
            all.narrow(0, new[0] - 1, 1)
        } else {
            let source: Vec<usize> = (0..rows)
                .map(|row| if new[row] == 0 { row } else { rows + row * seq + new[row] - 1 })
                .collect();
            let candidates = Tensor::cat(vec![self.end.clone(), all], 0);
            candidates.select(0, row_indices(&source, &self.device))
        };
        for (at_end, new) in self.at_end.iter_mut().zip(new) {
            *at_end |= new > 0;
        }
    }

    fn check_tokens(&self, tokens: &[&[u32]]) -> Result<(), Error> {
        let rows = self.num_rows();
        if tokens.len() != rows {
            return Err(input_error(format!("{} slices of tokens for {rows} rows", tokens.len())));
        }
        match tokens
            .iter()
            .flat_map(|row| row.iter())
            .find(|&&token| token as usize >= self.config.vocab_size)
        {
            Some(token) => Err(input_error(format!(
                "token id {token} is not below vocab_size {}: is the tokenizer this model's?",
                self.config.vocab_size
            ))),
            None => Ok(()),
        }
    }

    fn check_row(&self, row: usize) -> Result<(), Error> {
        match self.at_end.get(row) {
            None => Err(input_error(format!("there is no row {row} of {}", self.num_rows()))),
            Some(false) => Err(input_error(format!("row {row} has no next token yet: append to it first"))),
            Some(true) => Ok(()),
        }
    }

    /// Logits that follow the ends of `rows`, `[rows, vocab_size]`.
    fn end_logits(&self, rows: &[usize]) -> Result<Tensor<2>, Error> {
        for &row in rows {
            self.check_row(row)?;
        }
        let all = rows.len() == self.num_rows() && rows.iter().enumerate().all(|(i, row)| i == *row);
        let end = match all {
            true => self.end.clone(),
            false => self.end.clone().select(0, row_indices(rows, &self.device)),
        };
        Ok(self.model.logits(end))
    }

    /// The pieces of one pass in which only `row` gets tokens.
    fn only<'a>(&self, row: usize, tokens: &'a [u32]) -> Vec<&'a [u32]> {
        (0..self.num_rows()).map(|other| if other == row { tokens } else { &[] }).collect()
    }

    /// Residual streams after each of `tokens`, appended to `row`: `[tokens, hidden_size]` in pieces.
    fn forward_row(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<Tensor<2>>, Error> {
        let mut streams = Vec::new();
        for piece in tokens.chunks(self.chunk.min(SCORE_CHUNK)) {
            let pieces = self.only(row, piece);
            let hidden = self.forward(&pieces)?;
            self.advance(&pieces, &hidden);
            let [_, seq, hidden_size] = hidden.dims();
            streams.push(hidden.narrow(0, row, 1).reshape([seq, hidden_size]));
        }
        Ok(streams)
    }

    /// Log-probabilities of one token after each residual stream.
    async fn score(&self, streams: Tensor<2>, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        let logits = self.model.logits(streams).narrow(1, 0, self.limit);
        let maximum = logits.clone().max_dim(1);
        let sums = (logits.clone() - maximum.clone()).exp().sum_dim(1);
        let targets: Vec<i32> = tokens.iter().map(|&token| token as i32).collect();
        let targets = Tensor::from_data(TensorData::new(targets, [tokens.len(), 1]), &self.device);
        let chosen = logits.gather(1, targets) - maximum;
        let read = read_f32(Tensor::cat(vec![chosen, sums], 1)).await?;
        let scores: Vec<f64> =
            read.chunks_exact(2).map(|pair| f64::from(pair[0]) - f64::from(pair[1]).ln()).collect();
        match scores.iter().all(|score| score.is_finite() || *score == f64::NEG_INFINITY) {
            true => Ok(scores),
            false => Err(Error::new(
                ErrorKind::NotFinite,
                "log-probabilities are not finite: the weights are damaged or the device computes wrongly; run \
                 `conclave model check`",
            )),
        }
    }
}

fn input_error(message: String) -> Error {
    Error::new(ErrorKind::Input, message)
}

impl Decoder for Qwen2Decoder {
    fn vocab_size(&self) -> usize {
        self.limit
    }

    fn context_length(&self) -> usize {
        self.config.max_position_embeddings
    }

    fn num_rows(&self) -> usize {
        self.cache.num_rows()
    }

    fn len(&self, row: usize) -> usize {
        self.cache.len(row)
    }

    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<(), Error> {
        // An equal cache is emptied rather than allocated again: browsers keep every buffer of a new size.
        if self.cache.num_rows() == num_rows && self.cache.capacity() == capacity {
            (0..num_rows).for_each(|row| self.cache.rewind(row, 0));
        } else {
            // The old one goes first, so that both are never held.
            self.cache = KvCache::new(&self.config, 0, 0, self.dtype, &self.device);
            self.cache = KvCache::new(&self.config, num_rows, capacity, self.dtype, &self.device);
        }
        self.end = Tensor::zeros([num_rows, self.config.hidden_size], (&self.device, self.dtype));
        self.at_end = vec![false; num_rows];
        Ok(())
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.check_tokens(tokens)?;
        let longest = tokens.iter().map(|row| row.len()).max().unwrap_or(0);
        if self.cache.columns() + longest > self.cache.capacity() {
            let mut lengths = vec![0; tokens.len()];
            lengths[0] = longest;
            self.cache.plan(&lengths)?; // refuses, before anything was computed
        }
        for start in (0..longest).step_by(self.chunk) {
            let piece = |row: &&'_ [u32]| -> std::ops::Range<usize> {
                start.min(row.len())..(start + self.chunk).min(row.len())
            };
            let pieces: Vec<&[u32]> = tokens.iter().map(|row| &row[piece(row)]).collect();
            let hidden = self.forward(&pieces)?;
            self.advance(&pieces, &hidden);
            if progress((start + self.chunk).min(longest)).is_break() {
                return Err(Error::cancelled().context("reading the prompt"));
            }
        }
        Ok(())
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        if rows.len() != choices.len() {
            return Err(input_error(format!("{} choices for {} rows", choices.len(), rows.len())));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        sampler::sample(self.end_logits(rows)?, self.limit, choices).await
    }

    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>, Error> {
        let mut ranked = sampler::top_k(self.end_logits(&[row])?, self.limit, k).await?;
        Ok(ranked.pop().unwrap_or_default())
    }

    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        self.check_row(row)?;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= self.limit) {
            return Err(input_error(format!(
                "token id {token} is not below {}, the number of tokens",
                self.limit
            )));
        }
        let Some(given) = tokens.len().checked_sub(1) else { return Ok(Vec::new()) };
        let (len, end, at_end) = (self.len(row), self.end.clone(), self.at_end.clone());
        let first = end.clone().narrow(0, row, 1);
        let streams = self.forward_row(row, &tokens[..given]);
        self.cache.rewind(row, len);
        (self.end, self.at_end) = (end, at_end);
        let mut log_probs = self.score(first, &tokens[..1]).await?;
        let mut at = 1;
        for streams in streams? {
            let [count, _] = streams.dims();
            log_probs.extend(self.score(streams, &tokens[at..at + count]).await?);
            at += count;
        }
        Ok(log_probs)
    }

    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        if row >= self.num_rows() {
            return Err(input_error(format!("there is no row {row} of {}", self.num_rows())));
        }
        self.check_tokens(&self.only(row, tokens))?;
        let mut logits = Vec::new();
        for streams in self.forward_row(row, tokens)? {
            logits.extend(read_f32(self.model.logits(streams)).await?);
        }
        Ok(logits)
    }

    fn fork(&mut self, rows: &[usize]) -> Result<(), Error> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.num_rows()) {
            return Err(input_error(format!("there is no row {row} of {} to fork", self.num_rows())));
        }
        self.cache.fork(rows, &self.device);
        self.end = self.end.clone().select(0, row_indices(rows, &self.device));
        self.at_end = rows.iter().map(|&row| self.at_end[row]).collect();
        Ok(())
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error> {
        if row >= self.num_rows() || len > self.len(row) {
            return Err(input_error(format!("cannot rewind row {row} to {len} tokens")));
        }
        if len < self.len(row) {
            self.cache.rewind(row, len);
            self.at_end[row] = false;
        }
        Ok(())
    }
}
