//! burn's implementation of [`Decoder`]: forward passes of [`Qwen2`] over rows of one key-value cache.
//!
//! Rows share every pass: `append` runs all of them at once, and a row with less to append gets holes in the cache.

use std::ops::ControlFlow;

use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::config::Qwen2Config;
use crate::decoder::{Decoder, PREFILL_CHUNK};
use crate::device_sampler::{self, read_f32};
use crate::error::{Error, ErrorKind};
use crate::kv_cache::{BlockView, KvCache, row_indices};
use crate::pass_layout::PassLayout;
use crate::qwen2::Qwen2;
use crate::rope::Rotary;
use crate::sampler::{Choice, Sampled, not_finite, unknown_token};

/// Positions whose logits are computed at once when scoring: 64 rows of Qwen2's vocabulary are 39 MB.
const SCORE_CHUNK: usize = 64;

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
    /// Whether something went wrong since the last reset, so that stored keys and values may be no numbers.
    is_suspect: bool,
}

impl Qwen2Decoder {
    /// A decoder without rows. `num_tokens` is the number of token ids that exist (the tokenizer's), at most the
    /// config's `vocab_size`.
    pub fn new(model: Qwen2, config: Qwen2Config, num_tokens: usize) -> Self {
        let (device, dtype) = (model.device(), model.dtype());
        let cache = KvCache::new(&config, 0, 0, dtype, &device);
        let end = Tensor::zeros([0, config.hidden_size], (&device, dtype));
        let limit = num_tokens.min(config.vocab_size);
        Self {
            model,
            config,
            device,
            dtype,
            limit,
            chunk: PREFILL_CHUNK,
            cache,
            end,
            at_end: Vec::new(),
            is_suspect: false,
        }
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

    /// Takes note of a result: where numbers were not finite or the device failed, columns that no token stands in are zeroed
    /// from then on, so that nothing of it reaches what is computed later.
    fn noted<T>(&mut self, result: Result<T, Error>) -> Result<T, Error> {
        let failed = |error: &Error| matches!(error.kind(), ErrorKind::NotFinite | ErrorKind::Device);
        if result.as_ref().is_err_and(failed) {
            self.is_suspect = true;
            self.cache.clean();
        }
        result
    }

    /// One forward pass: the residual stream of `pieces` (one a row), `[rows, seq, hidden_size]`.
    fn forward(&mut self, pieces: &[&[u32]]) -> Result<Tensor<3>, Error> {
        self.forward_block(pieces, &BlockView::default())
    }

    /// As [`forward`](Self::forward), for tokens that see only a part of their row.
    fn forward_block(&mut self, pieces: &[&[u32]], view: &BlockView) -> Result<Tensor<3>, Error> {
        let lengths: Vec<usize> = pieces.iter().map(|piece| piece.len()).collect();
        let rows = pieces.len();
        let append = self.cache.plan(&lengths, view)?;
        let mut tokens = Vec::with_capacity(rows * append.seq);
        for piece in pieces {
            tokens.extend_from_slice(piece);
            tokens.extend(std::iter::repeat_n(0, append.seq - piece.len()));
        }
        let at = PassLayout::appended(&self.config, rows, append, &self.device);
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
            return Err(Error::input(format!("{} slices of tokens for {rows} rows", tokens.len())));
        }
        match tokens
            .iter()
            .flat_map(|row| row.iter())
            .find(|&&token| token as usize >= self.config.vocab_size)
        {
            Some(token) => Err(Error::input(format!(
                "token id {token} is not below vocab_size {}: is the tokenizer this model's?",
                self.config.vocab_size
            ))),
            None => Ok(()),
        }
    }

    fn check_row(&self, row: usize) -> Result<(), Error> {
        match self.at_end.get(row) {
            None => Err(Error::input(format!("there is no row {row} of {}", self.num_rows()))),
            Some(false) => Err(Error::input(format!("row {row} has no next token yet: append to it first"))),
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

    /// Residual streams after the final norm, `[count, hidden_size]`, read back.
    async fn states(&mut self, streams: Tensor<2>) -> Result<Vec<f32>, Error> {
        let read = read_f32(self.model.norm.forward(streams)).await;
        let states = read.and_then(|states| match states.iter().all(|value| value.is_finite()) {
            true => Ok(states),
            false => Err(not_finite("the states of the model")),
        });
        self.noted(states)
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
            false => Err(not_finite("log-probabilities")),
        }
    }
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
        let is_equal = self.cache.num_rows() == num_rows && self.cache.capacity() == capacity;
        if is_equal && !self.is_suspect {
            (0..num_rows).for_each(|row| self.cache.rewind(row, 0));
        } else {
            // The old one goes first, so that both are never held.
            self.cache = KvCache::new(&self.config, 0, 0, self.dtype, &self.device);
            self.cache = KvCache::new(&self.config, num_rows, capacity, self.dtype, &self.device);
        }
        self.end = Tensor::zeros([num_rows, self.config.hidden_size], (&self.device, self.dtype));
        self.at_end = vec![false; num_rows];
        self.is_suspect = false;
        Ok(())
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        self.check_tokens(tokens)?;
        let longest = tokens.iter().map(|row| row.len()).max().unwrap_or(0);
        self.cache.check_room(longest)?; // before anything is computed
        for start in (0..longest).step_by(self.chunk) {
            let piece = |row: &&'_ [u32]| -> std::ops::Range<usize> {
                start.min(row.len())..(start + self.chunk).min(row.len())
            };
            let pieces: Vec<&[u32]> = tokens.iter().map(|row| &row[piece(row)]).collect();
            let hidden = self.forward(&pieces)?;
            self.advance(&pieces, &hidden);
            if progress((start + self.chunk).min(longest)).is_break() {
                self.is_suspect = true; // nobody has looked at what was computed
                return Err(Error::cancelled().context("reading the prompt"));
            }
        }
        Ok(())
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        if rows.len() != choices.len() {
            return Err(Error::input(format!("{} choices for {} rows", choices.len(), rows.len())));
        }
        if rows.is_empty() {
            return Ok(Vec::new());
        }
        let sampled = device_sampler::sample(self.end_logits(rows)?, self.limit, choices).await;
        self.noted(sampled)
    }

    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>, Error> {
        let ranked = device_sampler::top_k(self.end_logits(&[row])?, self.limit, k).await;
        let mut ranked = self.noted(ranked)?;
        Ok(ranked.pop().unwrap_or_default())
    }

    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        self.check_row(row)?;
        if let Some(token) = tokens.iter().find(|&&token| token as usize >= self.limit) {
            return Err(unknown_token(*token, self.limit));
        }
        let Some(given) = tokens.len().checked_sub(1) else { return Ok(Vec::new()) };
        let (len, end, at_end) = (self.len(row), self.end.clone(), self.at_end.clone());
        let first = end.clone().narrow(0, row, 1);
        let streams = self.forward_row(row, &tokens[..given]);
        self.cache.rewind(row, len);
        (self.end, self.at_end) = (end, at_end);
        let scored = self.score(first, &tokens[..1]).await;
        let mut log_probs = self.noted(scored)?;
        let mut at = 1;
        for streams in streams? {
            let [count, _] = streams.dims();
            let scored = self.score(streams, &tokens[at..at + count]).await;
            log_probs.extend(self.noted(scored)?);
            at += count;
        }
        Ok(log_probs)
    }

    async fn append_blocks(
        &mut self,
        row: usize,
        blocks: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<f32>>, Error> {
        if row >= self.num_rows() {
            return Err(Error::input(format!("there is no row {row} of {}", self.num_rows())));
        }
        if let Some(index) = blocks.iter().position(|block| block.is_empty()) {
            return Err(Error::input(format!("block {index} is empty")));
        }
        let all: Vec<u32> = blocks.concat();
        self.check_tokens(&self.only(row, &all))?;
        self.cache.check_room(all.len())?;
        let first = self.cache.columns();
        let mut ends = Vec::with_capacity(blocks.len());
        let mut done = 0;
        for block in blocks {
            let start = self.cache.columns();
            let view = BlockView { hidden: first..start, shift: done };
            for piece in block.chunks(self.chunk) {
                let pieces = self.only(row, piece);
                let hidden = self.forward_block(&pieces, &view)?;
                self.advance(&pieces, &hidden);
                self.at_end[row] = false;
                done += piece.len();
                if progress(done).is_break() {
                    self.is_suspect = true; // nobody has looked at what was computed
                    return Err(Error::cancelled().context("reading the blocks"));
                }
            }
            ends.push(self.end.clone().narrow(0, row, 1));
            if view.shift > 0 {
                let columns = start..self.cache.columns();
                let shifts = vec![view.shift; columns.len()];
                let rotary = Rotary::new(&self.config, &shifts, 1, &self.device);
                self.cache.rotate_keys(row, columns, &rotary);
            }
        }
        if ends.is_empty() {
            return Ok(Vec::new());
        }
        let states = self.states(Tensor::cat(ends, 0)).await?;
        Ok(states.chunks(self.config.hidden_size).map(<[f32]>::to_vec).collect())
    }

    async fn end_state(&mut self, row: usize) -> Result<Vec<f32>, Error> {
        self.check_row(row)?;
        self.states(self.end.clone().narrow(0, row, 1)).await
    }

    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        if row >= self.num_rows() {
            return Err(Error::input(format!("there is no row {row} of {}", self.num_rows())));
        }
        self.check_tokens(&self.only(row, tokens))?;
        let mut logits = Vec::new();
        for streams in self.forward_row(row, tokens)? {
            let read = read_f32(self.model.logits(streams)).await;
            let read = self.noted(read)?;
            self.is_suspect |= !read.iter().all(|logit| logit.is_finite());
            logits.extend(read);
        }
        Ok(logits)
    }

    fn fork(&mut self, rows: &[usize]) -> Result<(), Error> {
        if let Some(row) = rows.iter().find(|&&row| row >= self.num_rows()) {
            return Err(Error::input(format!("there is no row {row} of {} to fork", self.num_rows())));
        }
        self.cache.fork(rows, &self.device);
        self.end = self.end.clone().select(0, row_indices(rows, &self.device));
        self.at_end = rows.iter().map(|&row| self.at_end[row]).collect();
        Ok(())
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error> {
        if row >= self.num_rows() || len > self.len(row) {
            return Err(Error::input(format!("cannot rewind row {row} to {len} tokens")));
        }
        if len < self.len(row) {
            self.cache.rewind(row, len);
            self.at_end[row] = false;
            if self.is_suspect {
                self.cache.clean();
            }
        }
        Ok(())
    }
}
