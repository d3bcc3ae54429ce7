//! Decoding: the seam between everything that needs tokens from a model and the way they are computed.
//!
//! [`Decoder`] is the seam: rows of tokens that can be appended to, sampled from, scored, forked and rewound. The
//! aggregator, rollouts and hosts use only the trait. `qwen2_decoder` implements it on burn; this file names no tensor,
//! so that a decoder without a tensor library can stand beside that one.

use std::ops::ControlFlow;

use crate::error::Error;
use crate::sampler::{Choice, Sampled};

/// Tokens of one forward pass of a prefill. Bounds the attention scores: at 8k columns and 14 heads, 59 MB in f32.
pub const PREFILL_CHUNK: usize = 128;

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

    /// Chooses the token that follows each of `rows`, which are different ones, and appends it. It is
    /// [`sample`](Self::sample) and [`append`](Self::append) in one, for decoders that can do without a stop between the
    /// two.
    async fn step(&mut self, rows: &[usize], choices: &[Choice]) -> Result<Vec<Sampled>, Error> {
        let mut place: Vec<Option<usize>> = vec![None; self.num_rows()];
        for (i, &row) in rows.iter().enumerate() {
            match place.get_mut(row) {
                Some(place @ None) => *place = Some(i),
                Some(_) => return Err(Error::input(format!("row {row} is given twice"))),
                None => return Err(Error::input(format!("there is no row {row} of {}", place.len()))),
            }
        }
        let sampled = self.sample(rows, choices).await?;
        let piece = |i: &Option<usize>| i.map_or(&[][..], |i: usize| std::slice::from_ref(&sampled[i].token));
        let pieces: Vec<&[u32]> = place.iter().map(piece).collect();
        self.append(&pieces, &mut |_| ControlFlow::Continue(())).await?;
        Ok(sampled)
    }

    /// The `k` most probable next tokens of a row with their log-probabilities, most probable first.
    async fn top_k(&mut self, row: usize, k: usize) -> Result<Vec<(u32, f64)>, Error>;

    /// Log-probabilities of `tokens`, each given the row and the tokens before it. Leaves the row as it was.
    async fn log_probs(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f64>, Error>;

    /// [`log_probs`](Self::log_probs) of several continuations of a row, each by itself.
    async fn log_probs_many(&mut self, row: usize, continuations: &[&[u32]]) -> Result<Vec<Vec<f64>>, Error> {
        let mut all = Vec::with_capacity(continuations.len());
        for tokens in continuations {
            all.push(self.log_probs(row, tokens).await?);
        }
        Ok(all)
    }

    /// The residual stream at a row's end after the final norm, `[hidden_size]`: what the head takes.
    async fn end_state(&mut self, row: usize) -> Result<Vec<f32>, Error>;

    /// A linear head on [`end_state`](Self::end_state): `weights . state + bias`, summed in f64.
    ///
    /// Its errors are those of the state, and `Input` for weights of another length than the state's.
    async fn score_head(&mut self, row: usize, weights: &[f32], bias: f32) -> Result<f32, Error> {
        let state = self.end_state(row).await?;
        if state.len() != weights.len() {
            let message = format!("a head of {} weights for a model {} wide", weights.len(), state.len());
            return Err(Error::input(message));
        }
        let products = state.iter().zip(weights).map(|(&x, &weight)| f64::from(x) * f64::from(weight));
        Ok((products.sum::<f64>() + f64::from(bias)) as f32)
    }

    /// Appends blocks that do not see each other, and returns the state at the end of each, as [`end_state`](Self::end_state)
    /// has it.
    ///
    /// 1. A block's token sees what the row held before and its own block up to itself, at the positions that it would have if
    ///    its block were the only one. So nothing of a block depends on the others, nor on their order.
    /// 2. For what is appended later the blocks lie one after the other: their keys are rotated on to those positions, and all
    ///    of them are seen (Block-Attention, Ma et al., arXiv 2409.15355, there without a shared beginning).
    ///
    /// The row has no next token until something is appended. No block may be empty. `progress` is told the tokens done of
    /// all blocks, and cancels by breaking. A decoder that has no blocks refuses them as `Unsupported`.
    async fn append_blocks(
        &mut self,
        _row: usize,
        _blocks: &[&[u32]],
        _progress: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<Vec<Vec<f32>>, Error> {
        Err(Error::unsupported("this decoder cannot hold blocks that do not see each other"))
    }

    /// Appends `tokens` to a row and returns the logits after each, `[tokens, vocab_size]` row-major with the rows
    /// that no token has. Reads whole vocabularies back: for checks, not for decoding.
    async fn forced_logits(&mut self, row: usize, tokens: &[u32]) -> Result<Vec<f32>, Error>;

    /// Makes row `i` a copy of what was row `rows[i]`; rows that are not named are dropped.
    fn fork(&mut self, rows: &[usize]) -> Result<(), Error>;

    /// Forgets the tokens of a row past the first `len`.
    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error>;
}
