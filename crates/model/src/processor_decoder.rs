//! The [`Decoder`] on the engine of `conclave-processor`: quantised weights, no tensor library.

use std::ops::ControlFlow;
use std::sync::Arc;

use conclave_processor::{Activations, Cache, Model, Output, Pass};

use crate::config::Qwen2Config;
use crate::decoder::Decoder;
use crate::error::{Error, Result};
use crate::processor::failed;
use crate::sampler::{self, Choice, Sampled};

/// Tokens that are read between two looks at whether to go on.
const CHUNK: usize = 64;

/// Positions whose logits are computed at once when scoring.
const SCORE_CHUNK: usize = 16;

/// A [`Decoder`] whose model may be shared with others.
#[derive(Debug, Clone)]
pub struct ProcessorDecoder {
    model: Arc<Model>,
    context_length: usize,
    /// Number of token ids that exist; rows of the vocabulary matrix above it are padding.
    limit: usize,
    cache: Cache,
    /// The residual stream at each row's end.
    ends: Vec<Vec<f32>>,
    /// Whether `ends` is that of the row's last token.
    at_end: Vec<bool>,
    activations: Activations,
}

impl ProcessorDecoder {
    /// A decoder without rows. `num_tokens` is the number of token ids that exist (the tokenizer's), at most the
    /// config's `vocab_size`.
    ///
    /// # Errors
    /// A shape that cannot work.
    pub fn new(model: Arc<Model>, config: &Qwen2Config, num_tokens: usize) -> Result<Self> {
        let cache = Cache::new(model.shape(), 0, 0).map_err(failed)?;
        Ok(Self {
            context_length: config.max_position_embeddings,
            limit: num_tokens.min(config.vocab_size),
            cache,
            ends: Vec::new(),
            at_end: Vec::new(),
            activations: Activations::default(),
            model,
        })
    }

    /// A decoder without rows, of the same model.
    ///
    /// # Errors
    /// None for a model that has a decoder already.
    pub fn another(&self) -> Result<Self> {
        let cache = Cache::new(self.model.shape(), 0, 0).map_err(failed)?;
        Ok(Self { cache, ends: Vec::new(), at_end: Vec::new(), ..self.clone() })
    }

    /// The model.
    pub fn model(&self) -> &Arc<Model> {
        &self.model
    }

    /// Whether activations are rounded to eight bits from now on (fast), or not at all (an oracle).
    pub fn set_activations(&mut self, activations: Activations) {
        self.activations = activations;
    }

    fn pass(&self, output: Output) -> Pass<'static> {
        Pass { activations: self.activations, output, observer: None }
    }

    fn logits(&self, hidden: &[f32]) -> Result<Vec<f32>> {
        self.model.logits(hidden, self.pass(Output::All)).map_err(failed)
    }

    /// Logits after the ends of `rows`, one after the other.
    fn end_logits(&self, rows: &[usize]) -> Result<Vec<f32>> {
        let mut hidden = Vec::new();
        for &row in rows {
            self.check_row(row)?;
            hidden.extend_from_slice(&self.ends[row]);
        }
        self.logits(&hidden)
    }

    fn width(&self) -> usize {
        self.model.shape().vocab_size
    }

    fn check_row(&self, row: usize) -> Result<()> {
        match self.at_end.get(row) {
            None => Err(Error::input(format!("there is no row {row} of {}", self.num_rows()))),
            Some(false) => Err(Error::input(format!("row {row} has no next token yet: append to it first"))),
            Some(true) => Ok(()),
        }
    }

    fn check_tokens(&self, tokens: &[u32], limit: usize) -> Result<()> {
        match tokens.iter().find(|&&token| token as usize >= limit) {
            None => Ok(()),
            Some(token) => Err(Error::input(format!(
                "token id {token} is not below {limit}: is the tokenizer this model's?"
            ))),
        }
    }

    /// Appends pieces of different rows in one pass and moves their ends.
    fn forward(&mut self, pieces: &[(usize, &[u32])]) -> Result<()> {
        let pass = self.pass(Output::Last);
        let ends = self.model.forward(&mut self.cache, pieces, pass).map_err(failed)?;
        for ((row, _), end) in pieces.iter().zip(ends.chunks_exact(self.model.shape().hidden_size)) {
            self.ends[*row] = end.to_vec();
            self.at_end[*row] = true;
        }
        Ok(())
    }

    /// Appends `tokens` to a row, piece by piece; `take` gets the logits after each piece's tokens.
    fn forward_row(
        &mut self,
        row: usize,
        tokens: &[u32],
        take: &mut dyn FnMut(&[f32]) -> Result<()>,
    ) -> Result<()> {
        let width = self.model.shape().hidden_size;
        for piece in tokens.chunks(SCORE_CHUNK) {
            let pass = self.pass(Output::All);
            let hidden = self.model.forward(&mut self.cache, &[(row, piece)], pass).map_err(failed)?;
            self.ends[row] = hidden[hidden.len() - width..].to_vec();
            self.at_end[row] = true;
            take(&self.logits(&hidden)?)?;
        }
        Ok(())
    }
}

impl Decoder for ProcessorDecoder {
    fn vocab_size(&self) -> usize {
        self.limit
    }

    fn context_length(&self) -> usize {
        self.context_length
    }

    fn num_rows(&self) -> usize {
        self.cache.rows()
    }

    fn len(&self, row: usize) -> usize {
        self.cache.length(row).unwrap_or(0)
    }

    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<()> {
        self.cache.reset(num_rows, capacity).map_err(failed)?;
        self.ends = vec![Vec::new(); num_rows];
        self.at_end = vec![false; num_rows];
        Ok(())
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<()> {
        if tokens.len() != self.num_rows() {
            let message = format!("{} slices of tokens for {} rows", tokens.len(), self.num_rows());
            return Err(Error::input(message));
        }
        for (row, tokens) in tokens.iter().enumerate() {
            self.check_tokens(tokens, self.width())?;
            if self.len(row) + tokens.len() > self.cache.capacity() {
                let (len, capacity) = (self.len(row), self.cache.capacity());
                let message = format!(
                    "row {row} has {len} tokens and no room for {} more: {capacity} were reserved",
                    tokens.len()
                );
                return Err(Error::input(message));
            }
        }
        let longest = tokens.iter().map(|row| row.len()).max().unwrap_or(0);
        for start in (0..longest).step_by(CHUNK) {
            let piece = |row: &&'_ [u32]| start.min(row.len())..(start + CHUNK).min(row.len());
            let pieces: Vec<(usize, &[u32])> = tokens
                .iter()
                .enumerate()
                .map(|(row, tokens)| (row, &tokens[piece(tokens)]))
                .filter(|(_, piece)| !piece.is_empty())
                .collect();
            self.forward(&pieces)?;
            if progress((start + CHUNK).min(longest)).is_break() {
                return Err(Error::cancelled().context("reading the prompt"));
            }
        }
        Ok(())
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>> {
        if rows.len() != choices.len() {
            return Err(Error::input(format!("{} choices for {} rows", choices.len(), rows.len())));
        }
        let logits = self.end_logits(rows)?;
        let of_rows = logits.chunks_exact(self.width()).zip(choices).enumerate();
        let chosen = of_rows.map(|(at, (logits, choice))| {
            sampler::choose(logits, self.limit, choice)
                .map_err(|error| error.context(format_args!("row {}", rows[at])))
        });
        chosen.collect()
    }

    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>> {
        sampler::top_k_of(&self.end_logits(&[row])?, self.limit, k)
    }

    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>> {
        self.check_row(row)?;
        self.check_tokens(tokens, self.limit)?;
        let Some((&first, rest)) = tokens.split_first() else { return Ok(Vec::new()) };
        let limit = self.limit;
        let mut log_probs = vec![sampler::log_prob_of(&self.end_logits(&[row])?, limit, first)?];
        let (len, end, width) = (self.len(row), self.ends[row].clone(), self.width());
        let given = &tokens[..tokens.len() - 1];
        let mut targets = rest.iter();
        let scored = self.forward_row(row, given, &mut |logits| {
            for (logits, &target) in logits.chunks_exact(width).zip(targets.by_ref()) {
                log_probs.push(sampler::log_prob_of(logits, limit, target)?);
            }
            Ok(())
        });
        self.cache.rewind(row, len).map_err(failed)?;
        self.ends[row] = end;
        scored.map(|()| log_probs)
    }

    async fn end_state(&mut self, row: usize) -> Result<Vec<f32>> {
        self.check_row(row)?;
        self.model.normed(&self.ends[row]).map_err(failed)
    }

    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>> {
        if row >= self.num_rows() {
            return Err(Error::input(format!("there is no row {row} of {}", self.num_rows())));
        }
        self.check_tokens(tokens, self.width())?;
        let mut all = Vec::new();
        self.forward_row(row, tokens, &mut |logits| {
            all.extend_from_slice(logits);
            Ok(())
        })?;
        Ok(all)
    }

    fn fork(&mut self, rows: &[usize]) -> Result<()> {
        self.cache.fork(rows).map_err(failed)?;
        self.ends = rows.iter().map(|&row| self.ends[row].clone()).collect();
        self.at_end = rows.iter().map(|&row| self.at_end[row]).collect();
        Ok(())
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<()> {
        if row >= self.num_rows() || len > self.len(row) {
            return Err(Error::input(format!("cannot rewind row {row} to {len} tokens")));
        }
        if len < self.len(row) {
            self.cache.rewind(row, len).map_err(failed)?;
            self.at_end[row] = false;
        }
        Ok(())
    }
}
