//! Generation: a decoder's rows, continued until each stops.
//!
//! Works on any [`Decoder`] whose rows have been prefilled, one row or a batch; the aggregator and rollouts share it.
//! A row stops at a stop id, a stop string or the token limit, and costs nothing more than a hole in the cache from
//! then on.

use std::ops::ControlFlow;

use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};

use crate::decoder::Decoder;
use crate::error::Error;
use crate::sampler::Choice;
use crate::stream::{StopStrings, TextStream};
use crate::tokenizer::Tokenizer;

/// How tokens are chosen, and how many.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SamplingParams {
    /// 0 is greedy.
    pub temperature: f64,
    /// Keep only the k most probable tokens.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_k: Option<usize>,
    /// Then keep only the most probable that together reach this mass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub top_p: Option<f64>,
    /// Tokens at most.
    pub max_new_tokens: usize,
    /// Seed of the draws; row `i` has stream `i` of it.
    pub seed: u64,
}

impl SamplingParams {
    /// The most probable token at each step.
    pub fn greedy(max_new_tokens: usize) -> Self {
        Self { temperature: 0.0, top_k: None, top_p: None, max_new_tokens, seed: 0 }
    }
}

/// What ends a row.
#[derive(Debug, Clone, Default)]
pub struct Stops {
    /// Token ids; the one that stops is not part of the completion.
    pub ids: Vec<u32>,
    /// Texts; the one that stops is part of the completion, what follows it in the same token is not.
    pub strings: Vec<String>,
}

/// Why a row ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FinishReason {
    /// A stop id or stop string.
    Stop,
    /// `max_new_tokens`, or the context was full.
    Length,
}

/// One generated token.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Token {
    /// Its id.
    pub id: u32,
    /// Its log-probability, see [`crate::sampler::Sampled`].
    pub log_prob: f64,
    /// Length in bytes of the text up to and including it; half a character counts with the token that ends it.
    pub text_end: usize,
}

/// What a row was continued with.
#[derive(Debug, Clone, PartialEq)]
pub struct Completion {
    /// The text, up to and including a stop string.
    pub text: String,
    /// The tokens; the stop id is not among them.
    pub tokens: Vec<Token>,
    /// Why it ended.
    pub finish_reason: FinishReason,
}

/// A row while it is being continued.
struct Row<'a> {
    stream: TextStream<'a>,
    stops: StopStrings,
    rng: ChaCha8Rng,
    completion: Completion,
    done: bool,
    /// Bytes of text that `on_text` was told.
    shown: usize,
}

/// Continues every row of `decoder`, whose ends must be fresh, and returns one completion a row.
///
/// `on_text` is told of text as it becomes certain: never half a character, never what may be the beginning of a stop
/// string. It cancels by breaking.
///
/// # Errors
///
/// `Cancelled`, `NotFinite`, or the decoder's.
pub async fn generate<D: Decoder>(
    decoder: &mut D,
    tokenizer: &Tokenizer,
    params: &SamplingParams,
    stops: &Stops,
    on_text: &mut dyn FnMut(usize, &str) -> ControlFlow<()>,
) -> Result<Vec<Completion>, Error> {
    let mut rows: Vec<Row> =
        (0..decoder.num_rows()).map(|row| Row::new(tokenizer, params, stops, row)).collect();
    for step in 0..params.max_new_tokens {
        let going: Vec<usize> = (0..rows.len()).filter(|&row| !rows[row].done).collect();
        if going.is_empty() {
            break;
        }
        let choices: Vec<Choice> = going.iter().map(|&row| rows[row].choice(params)).collect();
        let sampled = decoder.sample(&going, &choices).await?;
        for (&row, sampled) in going.iter().zip(&sampled) {
            let text = rows[row].push(sampled.token, sampled.log_prob, stops);
            if !text.is_empty() && on_text(row, &text).is_break() {
                return Err(Error::cancelled().context("generation"));
            }
        }
        let last = step + 1 == params.max_new_tokens;
        let fits = |row: usize| decoder.len(row) < decoder.context_length();
        let next: Vec<Option<u32>> =
            (0..rows.len()).map(|row| rows[row].next().filter(|_| !last && fits(row))).collect();
        for (row, next) in rows.iter_mut().zip(&next) {
            row.done |= next.is_none();
        }
        if next.iter().any(Option::is_some) {
            let pieces: Vec<&[u32]> = next.iter().map(Option::as_slice).collect();
            decoder.append(&pieces, &mut |_| ControlFlow::Continue(())).await?;
        }
    }
    let mut completions = Vec::with_capacity(rows.len());
    for (index, row) in rows.into_iter().enumerate() {
        let (completion, rest) = row.finish();
        if !rest.is_empty() && on_text(index, &rest).is_break() {
            return Err(Error::cancelled().context("generation"));
        }
        completions.push(completion);
    }
    Ok(completions)
}

impl<'a> Row<'a> {
    fn new(tokenizer: &'a Tokenizer, params: &SamplingParams, stops: &Stops, row: usize) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(params.seed);
        rng.set_stream(row as u64);
        let completion =
            Completion { text: String::new(), tokens: Vec::new(), finish_reason: FinishReason::Length };
        Self {
            stream: TextStream::new(tokenizer),
            stops: StopStrings::new(stops.strings.iter().cloned()),
            rng,
            completion,
            done: false,
            shown: 0,
        }
    }

    fn choice(&mut self, params: &SamplingParams) -> Choice {
        let draw = self.rng.random();
        Choice { temperature: params.temperature, top_k: params.top_k, top_p: params.top_p, draw }
    }

    /// Takes a token in; returns the text that became certain by it.
    fn push(&mut self, id: u32, log_prob: f64, stops: &Stops) -> String {
        if stops.ids.contains(&id) {
            self.done = true;
            self.completion.finish_reason = FinishReason::Stop;
            return String::new();
        }
        let text = self.stream.push(id);
        self.completion.text.push_str(&text);
        let found = self.stops.push(&text);
        self.shown += found.text.len();
        if let Some(stop) = found.stop {
            self.done = true;
            self.completion.finish_reason = FinishReason::Stop;
            self.completion.text.truncate(self.shown + stop.len());
        }
        self.completion.tokens.push(Token { id, log_prob, text_end: self.completion.text.len() });
        found.text
    }

    /// The token to append, of a row that goes on.
    fn next(&self) -> Option<u32> {
        if self.done { None } else { self.completion.tokens.last().map(|token| token.id) }
    }

    /// The completion, and the text that was held back.
    fn finish(mut self) -> (Completion, String) {
        let mut rest = String::new();
        if !self.stops.is_stopped() {
            let tail = self.stream.finish();
            self.completion.text.push_str(&tail);
            rest = self.stops.finish() + &tail;
        }
        if let Some(last) = self.completion.tokens.last_mut() {
            last.text_end = self.completion.text.len();
        }
        (self.completion, rest)
    }
}
