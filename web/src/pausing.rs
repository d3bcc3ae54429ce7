//! A decoder that lets the host's messages in between its steps.
//!
//! On a CPU a model never waits for anything, so the thread's event loop would stand still until the answer is there:
//! no request to stop would be seen, and a page without a worker would freeze. Prompts are cut into the decoder's own
//! chunks for the same reason.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use conclave_model::Error;
use conclave_model::decoder::{Decoder, PREFILL_CHUNK};
use conclave_model::sampler::{Choice, Sampled};

use crate::callbacks::Callbacks;

/// Whom to ask at present: each call of the engine brings its own options.
pub type Present = Rc<RefCell<Callbacks>>;

/// A decoder with pauses.
pub struct Pausing<D> {
    decoder: D,
    present: Present,
}

impl<D> Pausing<D> {
    /// Pauses before each step of `decoder`.
    pub fn new(decoder: D, present: Present) -> Self {
        Self { decoder, present }
    }

    /// The decoder itself.
    pub fn inner(&mut self) -> &mut D {
        &mut self.decoder
    }

    async fn pause(&self) -> Result<(), Error> {
        // Taken out first: nothing may be borrowed while others run.
        let callbacks = self.present.borrow().clone();
        callbacks.pause().await
    }
}

impl<D: Decoder> Decoder for Pausing<D> {
    fn vocab_size(&self) -> usize {
        self.decoder.vocab_size()
    }

    fn context_length(&self) -> usize {
        self.decoder.context_length()
    }

    fn num_rows(&self) -> usize {
        self.decoder.num_rows()
    }

    fn len(&self, row: usize) -> usize {
        self.decoder.len(row)
    }

    fn reset(&mut self, num_rows: usize, capacity: usize) -> Result<(), Error> {
        self.decoder.reset(num_rows, capacity)
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        let longest = tokens.iter().map(|row| row.len()).max().unwrap_or(0);
        for start in (0..longest.max(1)).step_by(PREFILL_CHUNK) {
            self.pause().await?;
            let pieces: Vec<&[u32]> = tokens
                .iter()
                .map(|row| &row[start.min(row.len())..(start + PREFILL_CHUNK).min(row.len())])
                .collect();
            self.decoder.append(&pieces, &mut |done| progress(start + done)).await?;
        }
        Ok(())
    }

    async fn sample(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        self.pause().await?;
        self.decoder.sample(rows, choices).await
    }

    async fn step(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        self.pause().await?;
        self.decoder.step(rows, choices).await
    }

    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>, Error> {
        self.pause().await?;
        self.decoder.top_k(row, k).await
    }

    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>, Error> {
        self.pause().await?;
        self.decoder.log_probs(row, tokens).await
    }

    async fn log_probs_many(&mut self, row: usize, continuations: &[&[u32]]) -> Result<Vec<Vec<f64>>, Error> {
        self.pause().await?;
        self.decoder.log_probs_many(row, continuations).await
    }

    async fn append_blocks(
        &mut self,
        row: usize,
        blocks: &[&[u32]],
        progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<f32>>, Error> {
        self.pause().await?;
        self.decoder.append_blocks(row, blocks, progress).await
    }

    async fn end_state(&mut self, row: usize) -> Result<Vec<f32>, Error> {
        self.pause().await?;
        self.decoder.end_state(row).await
    }

    async fn score_head(&mut self, row: usize, weights: &[f32], bias: f32) -> Result<f32, Error> {
        self.pause().await?;
        self.decoder.score_head(row, weights, bias).await
    }

    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>, Error> {
        self.pause().await?;
        self.decoder.forced_logits(row, tokens).await
    }

    fn fork(&mut self, rows: &[usize]) -> Result<(), Error> {
        self.decoder.fork(rows)
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error> {
        self.decoder.rewind(row, len)
    }
}
