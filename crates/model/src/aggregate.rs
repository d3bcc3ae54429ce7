//! The aggregator: one problem and its candidates in, one answer out.
//!
//! The vote is always taken first. Under the policy `auto` it is also the answer where it is stable; otherwise the
//! model reads the candidates and either *generates* the answer or *selects* one of theirs:
//!
//! - **generate**: the prompt is continued up to `</answer>`. Confidence is the product of the probabilities of the
//!   tokens of the answer. A completion without a well-formed answer falls back to the vote.
//! - **select**: one prefill, then each cluster of equal answers gets
//!   `P = sum over its distinct surface forms f of p(f + "</answer>" | prompt)`. The closing tag makes the forms
//!   prefix-free, so the sum over clusters is at most 1 and the rest is the mass on "none of these". Confidence is
//!   the winner's `P`. Probabilities are not normalised by length: such scores are not probabilities.
//!
//! Nothing here knows a device, a clock or a file: hosts fill in `elapsed_ms`.

use std::borrow::Cow;
use std::ops::ControlFlow;

use conclave_core::prompt::{Prompt, PromptOptions, PromptVariant, Segment, build_prompt, parse_completion};
use conclave_core::result::{AggregateResult, ClusterResult, ConfidenceKind, Method, Usage};
use conclave_core::router::{Policy, Route, route};
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::{Vote, majority_vote};
use conclave_core::{AnswerKind, VoteOptions, ballot};

use crate::decoder::Decoder;
use crate::error::{Error, ErrorKind};
use crate::generate::{Completion, SamplingParams, Stops, generate};
use crate::manifest::{Manifest, Mode};
use crate::tokenizer::Tokenizer;

/// Closes an answer, and with it the completion.
const CLOSING_TAG: &str = "</answer>";

/// Surface forms that select mode scores at most, those of the largest clusters first.
const MAX_FORMS: usize = 64;

/// Tokens of a surface form at most; a longer one is not an answer but a text, and gets no probability.
const MAX_FORM_TOKENS: usize = 256;

/// Cache capacity is a multiple of this, so that few sizes of buffers occur.
const CAPACITY_STEP: usize = 256;

/// What to do with a set.
#[derive(Debug, Clone, PartialEq)]
pub struct AggregateOptions {
    /// What the answers are; none: each set says or shows it. The model is asked for mathematics and choice only.
    pub kind: Option<AnswerKind>,
    /// When the model is asked.
    pub policy: Policy,
    /// Overrides the model's own mode.
    pub mode: Option<Mode>,
    /// Overrides the model's own prompt (generate only; select always prefills `<answer>`).
    pub variant: Option<PromptVariant>,
    /// How tokens are chosen; greedy by default. `max_new_tokens` of 0 means 128, or 512 with thinking, and at most
    /// a quarter of the context.
    pub sampling: SamplingParams,
    /// Shows the candidates in an order of this seed instead of theirs.
    pub permutation_seed: Option<u64>,
}

impl Default for AggregateOptions {
    fn default() -> Self {
        let sampling = SamplingParams::greedy(0);
        Self { kind: None, policy: Policy::Auto, mode: None, variant: None, sampling, permutation_seed: None }
    }
}

/// What is going on in a long aggregation.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Event<'a> {
    /// Tokens of the prompt read.
    Prompt {
        /// So far.
        done: usize,
        /// In all.
        total: usize,
    },
    /// Text of the completion.
    Text(&'a str),
    /// Surface forms scored.
    Scored {
        /// So far.
        done: usize,
        /// In all.
        total: usize,
    },
}

/// A model that aggregates.
pub struct Aggregator<D> {
    decoder: D,
    tokenizer: Tokenizer,
    manifest: Manifest,
    stop_ids: Vec<u32>,
}

/// A prompt, read: the decoder's only row stands at its end.
struct Read {
    prompt: Prompt,
    tokens: usize,
    max_new_tokens: usize,
}

impl<D: Decoder> Aggregator<D> {
    /// An aggregator on this decoder. `stop_ids` are the model's end-of-sequence tokens.
    pub fn new(decoder: D, tokenizer: Tokenizer, manifest: Manifest, stop_ids: Vec<u32>) -> Self {
        Self { decoder, tokenizer, manifest, stop_ids }
    }

    /// The decoder.
    pub fn decoder_mut(&mut self) -> &mut D {
        &mut self.decoder
    }

    /// The tokenizer.
    pub fn tokenizer(&self) -> &Tokenizer {
        &self.tokenizer
    }

    /// What the model says of itself.
    pub fn manifest(&self) -> &Manifest {
        &self.manifest
    }

    /// Turns a set into one answer. `on_event` is told of progress and cancels by breaking.
    ///
    /// # Errors
    ///
    /// `Cancelled`; `Input` when the problem does not fit the model's context; the decoder's.
    pub async fn aggregate(
        &mut self,
        set: &SampleSet,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<AggregateResult, Error> {
        let votes = VoteOptions { kind: options.kind.clone(), ..VoteOptions::default() };
        match ballot(set, &votes) {
            Ok(ballot) if ballot.kind.is_for_models() => {}
            Ok(ballot) => return Ok(AggregateResult::from_ballot(set, &ballot, &votes)),
            Err(reason) => return Ok(AggregateResult::not_voted(set, &reason)),
        }
        let vote = majority_vote(set);
        if set.candidates.is_empty() || route(options.policy, &vote) == Route::Vote {
            return Ok(AggregateResult::from_vote(set, &vote));
        }
        match options.mode.unwrap_or(self.manifest.mode) {
            Mode::Generate => self.generate(set, &vote, options, on_event).await,
            Mode::Select => self.select(set, &vote, options, on_event).await,
        }
    }

    async fn generate(
        &mut self,
        set: &SampleSet,
        vote: &Vote,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<AggregateResult, Error> {
        let variant = options.variant.unwrap_or(self.manifest.prompt_variant);
        let read = self.read_prompt(set, variant, "", options, on_event).await?;
        let params = SamplingParams { max_new_tokens: read.max_new_tokens, ..options.sampling.clone() };
        let stops = Stops { ids: self.stop_ids.clone(), strings: vec![CLOSING_TAG.to_owned()] };
        let mut on_text = |_: usize, text: &str| on_event(Event::Text(text));
        let mut completions =
            generate(&mut self.decoder, &self.tokenizer, &params, &stops, &mut on_text).await?;
        let completion =
            completions.pop().ok_or_else(|| Error::new(ErrorKind::Input, "the decoder has no row"))?;
        let parsed = parse_completion(read.prompt.prefill, &completion.text);
        let mut result = AggregateResult::from_vote(set, vote);
        if let Some(answer) = parsed.answer.filter(|_| parsed.well_formed) {
            result.method = Method::Generate;
            result.confidence = answer_probability(&completion);
            result.confidence_kind = ConfidenceKind::TokenProduct;
            result.set_answer(Some(answer));
        }
        result.usage =
            Usage { prompt_tokens: read.tokens as u64, completion_tokens: completion.tokens.len() as u64 };
        result.completion = Some(completion.text);
        note_omitted(&mut result, &read.prompt);
        Ok(result)
    }

    async fn select(
        &mut self,
        set: &SampleSet,
        vote: &Vote,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<AggregateResult, Error> {
        let forms = self.surface_forms(vote)?;
        let mut result = AggregateResult::from_vote(set, vote);
        if forms.is_empty() {
            return Ok(result); // nobody answered: there is nothing to select
        }
        // The question is what the answer is, whatever was thought. A compact model knows no other prompt than its own.
        let (variant, unthought) = match self.manifest.prompt_variant {
            PromptVariant::Compact => (PromptVariant::Compact, "</think><answer>"),
            PromptVariant::Think | PromptVariant::NoThink => (PromptVariant::NoThink, ""),
        };
        let read = self.read_prompt(set, variant, unthought, options, on_event).await?;
        let mut masses = vec![0.0; vote.clusters.len()];
        let mut scored = 0;
        for (done, (cluster, tokens)) in forms.iter().enumerate() {
            let log_prob: f64 = self.decoder.log_probs(0, tokens).await?.iter().sum();
            masses[*cluster] += log_prob.exp();
            scored += tokens.len() as u64;
            if on_event(Event::Scored { done: done + 1, total: forms.len() }).is_break() {
                return Err(Error::cancelled().context("scoring the answers"));
            }
        }
        let mut best = 0;
        for (cluster, mass) in masses.iter().enumerate() {
            if *mass > masses[best] {
                best = cluster;
            }
            let log_prob = (*mass > 0.0).then(|| mass.ln());
            result.clusters[cluster] = ClusterResult { log_prob, ..result.clusters[cluster].clone() };
        }
        let answer = vote.clusters[best].answer.clone();
        result.method = Method::Select;
        result.confidence = masses[best];
        result.confidence_kind = ConfidenceKind::AnswerMass;
        result.set_answer(Some(answer));
        result.usage = Usage { prompt_tokens: read.tokens as u64, completion_tokens: scored };
        note_omitted(&mut result, &read.prompt);
        Ok(result)
    }

    /// Tokens of a surface form at most: a quarter of the context where that is small.
    fn longest_form(&self) -> usize {
        MAX_FORM_TOKENS.min(self.decoder.context_length() / 4)
    }

    /// The tokens of each surface form that is scored, with its cluster: the form and the closing tag as a model that was
    /// trained to answer writes them, with the tag's own token where the vocabulary has one.
    fn surface_forms(&self, vote: &Vote) -> Result<Vec<(usize, Vec<u32>)>, Error> {
        let longest = self.longest_form();
        let tag = self.tokenizer.added_tokens().find(|(_, content)| *content == CLOSING_TAG);
        let tag = tag.map(|(id, _)| id);
        let encode = |form: &str| match tag {
            Some(id) => Ok([self.tokenizer.encode_untrusted(form)?, vec![id]].concat()),
            None => self.tokenizer.encode_untrusted(&format!("{form}{CLOSING_TAG}")),
        };
        vote.clusters
            .iter()
            .enumerate()
            .flat_map(|(index, cluster)| cluster.forms.iter().map(move |form| (index, form)))
            .filter(|(_, form)| form.len() <= MAX_FORM_TOKENS * 8)
            .map(|(index, form)| Ok((index, encode(form)?)))
            .filter(|form| form.as_ref().map_or(true, |(_, tokens)| tokens.len() <= longest))
            .take(MAX_FORMS)
            .collect()
    }

    /// Reads the prompt, and `behind` behind its prefill.
    async fn read_prompt(
        &mut self,
        set: &SampleSet,
        variant: PromptVariant,
        behind: &str,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Read, Error> {
        let context_length = self.decoder.context_length();
        let max_new_tokens = match (options.sampling.max_new_tokens, variant) {
            (0, PromptVariant::NoThink) => 128.min(context_length / 4),
            (0, PromptVariant::Think | PromptVariant::Compact) => 512.min(context_length / 4),
            (asked, _) => asked,
        };
        // Scoring a form in select mode needs room behind the prompt too.
        let reserve = max_new_tokens.max(self.longest_form());
        let prompt_options = PromptOptions {
            variant,
            context_length,
            max_new_tokens: reserve + self.tokenizer.count(behind),
            permutation_seed: options.permutation_seed,
        };
        let shown = match self.manifest.max_candidates {
            Some(most) if set.candidates.len() > most.max(1) => Cow::Owned(SampleSet {
                id: set.id.clone(),
                problem: set.problem.clone(),
                reference_answer: None,
                candidates: set.candidates[..most.max(1)].to_vec(),
                extra: Default::default(),
            }),
            _ => Cow::Borrowed(set),
        };
        let mut prompt = build_prompt(&shown, &prompt_options, &|text| self.tokenizer.count(text))
            .map_err(|error| Error::new(ErrorKind::Input, format!("set `{}`: {error}", set.id)))?;
        prompt.omitted += set.candidates.len() - shown.candidates.len();
        if !behind.is_empty() {
            prompt.segments.push(Segment { text: behind.to_owned(), trusted: true });
        }
        let tokens = self.tokenizer.encode_segments(&prompt.segments)?;
        let total = tokens.len();
        self.decoder.reset(1, (total + reserve).next_multiple_of(CAPACITY_STEP))?;
        self.decoder.append(&[&tokens], &mut |done| on_event(Event::Prompt { done, total })).await?;
        Ok(Read { prompt, tokens: total, max_new_tokens })
    }
}

/// Says in the result how many candidates the model did not see, where the context has no room for all or the model is not
/// for so many.
fn note_omitted(result: &mut AggregateResult, prompt: &Prompt) {
    if prompt.omitted > 0 {
        result.extra.insert("omitted_candidates".to_owned(), prompt.omitted.into());
    }
}

/// The product of the probabilities of the tokens that hold the answer: those that overlap what stands between the
/// last opening tag (or, with a prefilled one, the beginning) and the closing tag.
fn answer_probability(completion: &Completion) -> f64 {
    let text = &completion.text;
    let end = text.rfind(CLOSING_TAG).unwrap_or(text.len());
    let start = text[..end].rfind("<answer>").map_or(0, |at| at + "<answer>".len());
    let mut before = 0;
    let mut log_prob = 0.0;
    for token in &completion.tokens {
        // A token that ends no character (half of one) belongs where the next one ends.
        if token.text_end.max(before + 1) > start && before < end {
            log_prob += token.log_prob;
        }
        before = token.text_end;
    }
    log_prob.exp()
}
