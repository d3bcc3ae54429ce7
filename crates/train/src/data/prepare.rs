//! What a sample set becomes: the candidates that are shown, the prompt and the target, as tokens.
//!
//! An example is a pure function of (seed, position). In this order are drawn: how many candidates are shown, which ones
//! and in what order, which of them lose their end.

use std::borrow::Cow;
use std::cell::RefCell;
use std::collections::HashMap;
use std::ops::Range;

use conclave_core::prompt::{
    Prompt, PromptError, PromptOptions, PromptVariant, Segment, build_generator_prompt, build_prompt,
    plan_prompt,
};
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_model::config::Qwen2Config;
use conclave_model::tokenizer::Tokenizer;
use rand_chacha::ChaCha8Rng;

use super::draw::{Purpose, below, chance, choose, stream};
use super::filter::Unusable;
use super::parallel;
use super::sets::Sets;
use super::target::{self, Target};
use crate::batch::Sequence;
use crate::config::{DataConfig, PromptConfig, TargetKind, TruncationConfig};
use crate::error::{Result, TrainError};

/// How a set is shown and what is to be written behind it.
#[derive(Debug, Clone, PartialEq)]
pub struct Preparation {
    /// Which prompt.
    pub variant: PromptVariant,
    /// Tokens of prompt and target together, at most.
    pub context_length: usize,
    /// Tokens of the target, its stop token included, at most.
    pub max_new_tokens: usize,
    /// Shows candidates in a random order.
    pub permute: bool,
    /// Cuts off the ends of candidates.
    pub truncation: TruncationConfig,
    /// What is to be written. Reinforcement learning, which needs none, takes [`TargetKind::Answer`].
    pub target: TargetKind,
    /// Ends a target, so that the model learns to stop.
    pub stop_id: u32,
}

impl Preparation {
    /// What the sections `[data]` and `[prompt]` say, for this model.
    ///
    /// # Errors
    /// A model without a stop token, or of a shorter context than is asked for.
    pub fn new(data: &DataConfig, prompt: &PromptConfig, model: &Qwen2Config) -> Result<Self> {
        let stop_id = *model.eos_token_ids.first().ok_or_else(|| {
            let message = "the model's config.json has no `eos_token_id`: it could never learn to stop";
            TrainError::Config(message.to_owned())
        })?;
        let limit = model.max_position_embeddings;
        let context_length = prompt.context_length.unwrap_or(limit);
        if context_length > limit {
            let message =
                format!("`prompt.context_length` is {context_length}, more than the {limit} of the model");
            return Err(TrainError::Config(message));
        }
        Ok(Self {
            variant: prompt.variant,
            context_length,
            max_new_tokens: prompt.max_new_tokens,
            permute: data.permute,
            truncation: data.truncation.clone(),
            target: data.target.clone(),
            stop_id,
        })
    }

    /// Whether a set can be trained on, whatever is drawn.
    ///
    /// # Errors
    /// Why it cannot.
    pub fn check(&self, tokenizer: &Tokenizer, set: &SampleSet) -> Result<(), Unusable> {
        if set.candidates.is_empty() {
            return Err(Unusable::NoCandidates);
        }
        let count = |text: &str| tokenizer.count(text);
        plan_prompt(&set.problem, 1, &self.prompt_options(), &count).map_err(|error| unusable(&error))?;
        target::check(self, tokenizer, set)
    }

    fn prompt_options(&self) -> PromptOptions {
        PromptOptions {
            variant: self.variant,
            context_length: self.context_length,
            max_new_tokens: self.max_new_tokens,
            permutation_seed: None,
        }
    }
}

/// What a target was made of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum TargetOrigin {
    /// The reference answer alone.
    Answer,
    /// A field of the set.
    Field,
    /// The candidate shown at this place, from 0; of a problem that is shown alone, the set's.
    Candidate(usize),
}

/// An example.
#[derive(Debug, Clone, PartialEq)]
pub struct Prepared {
    /// Prompt and target.
    pub sequence: Sequence,
    /// The end of the prompt, which the completion continues.
    pub prefill: &'static str,
    /// The set as shown: the chosen candidates, in order, with what was cut off missing.
    pub set: SampleSet,
    /// Which candidates of the source these are.
    pub shown: Vec<usize>,
    /// What the target was made of.
    pub origin: TargetOrigin,
}

impl Prepared {
    /// The tokens of the prompt.
    pub fn prompt(&self) -> &[u32] {
        &self.sequence.tokens[..self.sequence.prompt_len]
    }
}

/// The examples of a run.
pub struct Examples<'t> {
    sets: Sets,
    tokenizer: &'t Tokenizer,
    preparation: Preparation,
    seed: u64,
    threads: usize,
}

impl<'t> Examples<'t> {
    /// Examples of `sets`, everything random by `seed`.
    pub fn new(sets: Sets, tokenizer: &'t Tokenizer, preparation: Preparation, seed: u64) -> Self {
        Self { sets, tokenizer, preparation, seed, threads: parallel::default_threads() }
    }

    /// Uses so many threads, where several examples are made at once. They are the same with any number.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// How sets are shown.
    pub fn preparation(&self) -> &Preparation {
        &self.preparation
    }

    /// The seed of everything random.
    pub fn seed(&self) -> u64 {
        self.seed
    }

    /// Where the sets come from.
    pub fn sets(&self) -> &Sets {
        &self.sets
    }

    /// The example at `position`, with a number of candidates drawn from `num_candidates`.
    ///
    /// # Errors
    /// A set that cannot be shown or has no target (those that [`filter`](super::filter::filter) leaves have), or an
    /// empty `num_candidates`.
    pub fn get(&self, position: u64, num_candidates: &[usize]) -> Result<Prepared> {
        if num_candidates.is_empty() {
            return Err(TrainError::Config("`num_candidates` is empty".to_owned()));
        }
        let mut rng = stream(self.seed, Purpose::Example, position);
        let count = num_candidates[below(&mut rng, num_candidates.len())];
        let set = self.sets.get(self.seed, position, count)?;
        self.preparation
            .prepare(self.tokenizer, &set, count, &mut rng)
            .map_err(|reason| TrainError::Data(format!("set `{}` at position {position}: {reason}", set.id)))
    }

    /// The examples at `positions`.
    ///
    /// # Errors
    /// As [`get`](Self::get).
    pub fn range(&self, positions: Range<u64>, num_candidates: &[usize]) -> Result<Vec<Prepared>> {
        let positions: Vec<u64> = positions.collect();
        parallel::map(&positions, self.threads, |&position| self.get(position, num_candidates))
            .into_iter()
            .collect()
    }
}

impl Preparation {
    fn prepare(
        &self,
        tokenizer: &Tokenizer,
        source: &SampleSet,
        count: usize,
        rng: &mut ChaCha8Rng,
    ) -> Result<Prepared, Unusable> {
        if count == 0 {
            return self.prepare_problem(tokenizer, source);
        }
        let mut shown = choose(rng, source.candidates.len(), count);
        if !self.permute {
            shown.sort_unstable();
        }
        let candidates = shown.iter().map(|&index| self.shorten(&source.candidates[index], rng)).collect();
        let mut set = SampleSet { candidates, ..without_candidates(source) };
        let encoder = Encoder::new(tokenizer);
        let prompt = build_prompt(&set, &self.prompt_options(), &|text| encoder.count(text))
            .map_err(|error| unusable(&error))?;
        // What did not fit is not shown, and what is not shown gives no target.
        set.candidates.truncate(prompt.order.len());
        shown.truncate(prompt.order.len());
        let mut tokens = encoder.encode(&prompt).ok_or(Unusable::NotEncodable)?;
        let prompt_len = tokens.len();
        let Target { tokens: target, origin } = target::target(self, tokenizer, &set)?;
        tokens.extend(target);
        let sequence = Sequence { tokens, prompt_len };
        Ok(Prepared { sequence, prefill: prompt.prefill, set, shown, origin })
    }

    /// The problem alone, as a generator is asked it, and a solution behind it.
    fn prepare_problem(&self, tokenizer: &Tokenizer, source: &SampleSet) -> Result<Prepared, Unusable> {
        let encoder = Encoder::new(tokenizer);
        let count = |text: &str| encoder.count(text);
        let prompt = build_generator_prompt(&source.problem, &self.prompt_options(), &count)
            .map_err(|error| unusable(&error))?;
        let mut tokens = encoder.encode(&prompt).ok_or(Unusable::NotEncodable)?;
        let prompt_len = tokens.len();
        let Target { tokens: target, origin } = target::solution(self, tokenizer, source)?;
        tokens.extend(target);
        let (sequence, set) = (Sequence { tokens, prompt_len }, without_candidates(source));
        Ok(Prepared { sequence, prefill: prompt.prefill, set, shown: Vec::new(), origin })
    }

    /// A candidate as it is shown: now and then without its end, as where its model ran into a limit.
    fn shorten(&self, candidate: &Candidate, rng: &mut ChaCha8Rng) -> Candidate {
        let mut candidate = candidate.clone();
        let length = candidate.text.chars().count();
        let cut = (length as f64 * self.truncation.share).ceil() as usize;
        if chance(rng, self.truncation.probability) && cut > 0 {
            let kept = length.saturating_sub(cut);
            let end = candidate.text.char_indices().nth(kept).map_or(candidate.text.len(), |(at, _)| at);
            candidate.text.truncate(end);
            candidate.finish_reason = Some("length".to_owned());
        }
        candidate
    }
}

/// Everything of a set but its candidates, of which there may be many.
fn without_candidates(set: &SampleSet) -> SampleSet {
    SampleSet {
        id: set.id.clone(),
        problem: set.problem.clone(),
        reference_answer: set.reference_answer.clone(),
        candidates: Vec::new(),
        extra: set.extra.clone(),
    }
}

fn unusable(error: &PromptError) -> Unusable {
    match error {
        PromptError::NoCandidates => Unusable::NoCandidates,
        PromptError::NoRoom { .. } | PromptError::ProblemTooLong { .. } => Unusable::NoRoom,
    }
}

/// Counts and encodes the segments of one prompt, each text once: building a prompt counts every candidate twice, and
/// encoding would be the third time.
struct Encoder<'t> {
    tokenizer: &'t Tokenizer,
    known: RefCell<HashMap<String, Vec<u32>>>,
}

impl<'t> Encoder<'t> {
    fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, known: RefCell::default() }
    }

    fn count(&self, text: &str) -> usize {
        if let Some(tokens) = self.known.borrow().get(text) {
            return tokens.len();
        }
        // As `Tokenizer::count` has it; encoding gives the error.
        let Ok(tokens) = self.tokenizer.encode_untrusted(text) else { return text.len() };
        let count = tokens.len();
        self.known.borrow_mut().insert(text.to_owned(), tokens);
        count
    }

    fn encode(&self, prompt: &Prompt) -> Option<Vec<u32>> {
        let known = self.known.borrow();
        let mut tokens = Vec::with_capacity(prompt.tokens);
        for Segment { text, trusted } in &prompt.segments {
            let found = known.get(text).filter(|_| !trusted).map(|tokens| Cow::Borrowed(tokens.as_slice()));
            tokens.extend_from_slice(&match (found, trusted) {
                (Some(found), _) => found,
                (None, false) => Cow::Owned(self.tokenizer.encode_untrusted(text).ok()?),
                (None, true) => Cow::Owned(self.tokenizer.encode_trusted(text).ok()?),
            });
        }
        Some(tokens)
    }
}
