//! The aggregator: one problem and its candidates in, one answer out.
//!
//! The vote is always taken first. Under the policy `auto` it is also the answer where enough candidates agree; otherwise the
//! model reads the candidates and either *generates* the answer or *selects* one of theirs:
//!
//! - **generate**: the prompt is continued up to `</answer>`. Confidence is the product of the probabilities of the
//!   tokens of the answer. A completion without a well-formed answer falls back to the vote, and so does an answer that no
//!   candidate has, unless the manifest says that the model has earned it and it saw all candidates.
//! - **select**: one prefill, then each cluster of equal answers gets
//!   `P = sum over its distinct surface forms f of p(f + "</answer>" | prompt)`. The closing tag makes the forms
//!   prefix-free, so the sum over clusters is at most 1 and the rest is the mass on "none of these". Confidence is
//!   the winner's `P`. Probabilities are not normalised by length: such scores are not probabilities.
//!
//! A prompt that has no room for all candidates, or is for a model of few, shows those that are chosen by class. What vote and
//! model said, and what it cost, is in the result's `layers`.
//!
//! Nothing here knows a device, a clock or a file: hosts fill in `elapsed_ms`.

use std::ops::ControlFlow;

use conclave_core::layer::{Layer, MODEL};
use conclave_core::prompt::{
    Prompt, PromptError, PromptOptions, PromptVariant, Segment, build_prompt, choose_by_class,
    parse_completion, plan_prompt,
};
use conclave_core::result::{AggregateResult, ClusterResult, ConfidenceKind, Method, Usage};
use conclave_core::router::{Policy, Route, route_set};
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

/// A prompt that is to be read.
struct Asked {
    prompt: Prompt,
    tokens: Vec<u32>,
    max_new_tokens: usize,
    /// Tokens for which there must be room behind it.
    reserve: usize,
}

/// What a set needs.
enum Need {
    /// Nothing more: this is its row.
    Nothing(Box<AggregateResult>),
    /// The model, which takes the vote's place.
    Model(Vote),
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
        let vote = match need(set, options) {
            Need::Nothing(row) => return Ok(*row),
            Need::Model(vote) => vote,
        };
        match options.mode.unwrap_or(self.manifest.mode) {
            Mode::Generate => self.generate(set, &vote, options, on_event).await,
            Mode::Select => self.select(set, &vote, options, on_event).await,
        }
    }

    /// The same of several sets, all with these options but for the order that each is shown in. Where the model writes, their
    /// prompts are read and continued together, which on a GPU costs little more than one. Draws would depend on who is
    /// together, so that sampling must be greedy; and as sums are not made in the same order for one row and for several, so may
    /// an answer where two are all but equally probable.
    ///
    /// # Errors
    ///
    /// Those of all together; those of one set (`Input`) are in its place.
    pub async fn aggregate_together(
        &mut self,
        sets: &[(&SampleSet, Option<u64>)],
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Result<AggregateResult, Error>>, Error> {
        if options.sampling.temperature > 0.0 {
            return Err(Error::new(
                ErrorKind::Input,
                "sets that are written together need a temperature of 0",
            ));
        }
        let of = |permutation_seed| AggregateOptions { permutation_seed, ..options.clone() };
        let mut rows: Vec<Option<Result<AggregateResult, Error>>> = Vec::with_capacity(sets.len());
        let mut asked: Vec<(usize, Vote, Asked)> = Vec::new();
        for (place, (set, permutation_seed)) in sets.iter().enumerate() {
            let options = of(*permutation_seed);
            rows.push(match need(set, &options) {
                Need::Nothing(row) => Some(Ok(*row)),
                Need::Model(vote) => match options.mode.unwrap_or(self.manifest.mode) {
                    Mode::Select => Some(match self.select(set, &vote, &options, on_event).await {
                        Err(error) if error.kind() != ErrorKind::Input => return Err(error),
                        row => row,
                    }),
                    Mode::Generate => {
                        let variant = options.variant.unwrap_or(self.manifest.prompt_variant);
                        match self.question(set, &vote, variant, "", &options) {
                            Ok(prompt) => {
                                asked.push((place, vote, prompt));
                                None
                            }
                            Err(error) => Some(Err(error)),
                        }
                    }
                },
            });
        }
        let completions = self.complete(&asked, options, on_event).await?;
        for ((place, vote, asked), completion) in asked.into_iter().zip(completions) {
            let read = Read {
                prompt: asked.prompt,
                tokens: asked.tokens.len(),
                max_new_tokens: asked.max_new_tokens,
            };
            rows[place] = Some(Ok(self.written(sets[place].0, &vote, &read, completion)));
        }
        let silent = || Err(Error::new(ErrorKind::Input, "the decoder has no row"));
        Ok(rows.into_iter().map(|row| row.unwrap_or_else(silent)).collect())
    }

    /// Reads prompts together and continues them.
    async fn complete(
        &mut self,
        asked: &[(usize, Vote, Asked)],
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Vec<Completion>, Error> {
        let room = |asked: &Asked| asked.tokens.len() + asked.reserve;
        let Some(longest) = asked.iter().map(|(_, _, asked)| room(asked)).max() else {
            return Ok(Vec::new());
        };
        let total = asked.iter().map(|(_, _, asked)| asked.tokens.len()).max().unwrap_or(0);
        let tokens: Vec<&[u32]> = asked.iter().map(|(_, _, asked)| asked.tokens.as_slice()).collect();
        self.decoder.reset(tokens.len(), longest.next_multiple_of(CAPACITY_STEP))?;
        self.decoder.append(&tokens, &mut |done| on_event(Event::Prompt { done, total })).await?;
        let max_new_tokens = asked.iter().map(|(_, _, asked)| asked.max_new_tokens).max().unwrap_or(0);
        let params = SamplingParams { max_new_tokens, ..options.sampling.clone() };
        let stops = self.stops();
        let mut on_text = |_: usize, text: &str| on_event(Event::Text(text));
        generate(&mut self.decoder, &self.tokenizer, &params, &stops, &mut on_text).await
    }

    /// What ends an answer.
    fn stops(&self) -> Stops {
        Stops { ids: self.stop_ids.clone(), strings: vec![CLOSING_TAG.to_owned()] }
    }

    async fn generate(
        &mut self,
        set: &SampleSet,
        vote: &Vote,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<AggregateResult, Error> {
        let variant = options.variant.unwrap_or(self.manifest.prompt_variant);
        let read = self.read_prompt(set, vote, variant, "", options, on_event).await?;
        let params = SamplingParams { max_new_tokens: read.max_new_tokens, ..options.sampling.clone() };
        let stops = self.stops();
        let mut on_text = |_: usize, text: &str| on_event(Event::Text(text));
        let mut completions =
            generate(&mut self.decoder, &self.tokenizer, &params, &stops, &mut on_text).await?;
        let completion =
            completions.pop().ok_or_else(|| Error::new(ErrorKind::Input, "the decoder has no row"))?;
        Ok(self.written(set, vote, &read, completion))
    }

    /// The row of a set that the model has answered.
    fn written(&self, set: &SampleSet, vote: &Vote, read: &Read, completion: Completion) -> AggregateResult {
        let parsed = parse_completion(read.prompt.prefill, &completion.text);
        let answer = parsed.answer.filter(|_| parsed.well_formed);
        let confidence = answer.as_ref().map_or(0.0, |_| answer_probability(&completion));
        let is_taken = answer.as_deref().is_some_and(|answer| self.is_taken(answer, vote, &read.prompt));
        let mut result = AggregateResult::from_vote(set, vote);
        note(&mut result, read, completion.tokens.len(), answer, confidence, ConfidenceKind::TokenProduct);
        if is_taken {
            result.take_last(Method::Generate);
        }
        result.completion = Some(completion.text);
        result
    }

    /// Whether a written answer is that of the set. One that no candidate has is where the model has earned it and saw all candidates,
    /// and where there is no vote to stand in for it.
    fn is_taken(&self, answer: &str, vote: &Vote, prompt: &Prompt) -> bool {
        let is_earned = self.manifest.novel_answers && prompt.omitted == 0;
        is_earned || vote.winner.is_none() || vote.has(answer)
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
        let read = self.read_prompt(set, vote, variant, unthought, options, on_event).await?;
        let mut masses = vec![0.0; vote.clusters.len()];
        let mut scored = 0;
        for (done, (cluster, tokens)) in forms.iter().enumerate() {
            let log_prob: f64 = self.decoder.log_probs(0, tokens).await?.iter().sum();
            masses[*cluster] += log_prob.exp();
            scored += tokens.len();
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
        let answer = Some(vote.clusters[best].answer.clone());
        note(&mut result, &read, scored, answer, masses[best], ConfidenceKind::AnswerMass);
        result.take_last(Method::Select);
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
        vote: &Vote,
        variant: PromptVariant,
        behind: &str,
        options: &AggregateOptions,
        on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    ) -> Result<Read, Error> {
        let Asked { prompt, tokens, max_new_tokens, reserve } =
            self.question(set, vote, variant, behind, options)?;
        let total = tokens.len();
        self.decoder.reset(1, (total + reserve).next_multiple_of(CAPACITY_STEP))?;
        self.decoder.append(&[&tokens], &mut |done| on_event(Event::Prompt { done, total })).await?;
        Ok(Read { prompt, tokens: total, max_new_tokens })
    }

    /// What is asked about a set, with `behind` behind its prefill.
    fn question(
        &self,
        set: &SampleSet,
        vote: &Vote,
        variant: PromptVariant,
        behind: &str,
        options: &AggregateOptions,
    ) -> Result<Asked, Error> {
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
        let mut prompt = self
            .prompt(set, vote, &prompt_options)
            .map_err(|error| Error::new(ErrorKind::Input, format!("set `{}`: {error}", set.id)))?;
        if !behind.is_empty() {
            prompt.segments.push(Segment { text: behind.to_owned(), trusted: true });
        }
        let tokens = self.tokenizer.encode_segments(&prompt.segments)?;
        Ok(Asked { prompt, tokens, max_new_tokens, reserve })
    }

    /// The prompt: with all candidates where the context has room for them and the model is for so many, else with those that are
    /// chosen by class.
    fn prompt(&self, set: &SampleSet, vote: &Vote, options: &PromptOptions) -> Result<Prompt, PromptError> {
        let count = |text: &str| self.tokenizer.count(text);
        let all = set.candidates.len();
        let fitting = plan_prompt(&set.problem, all, options, &count)?.shown;
        let most = self.manifest.max_candidates.map_or(fitting, |most| fitting.min(most.max(1)));
        if most >= all {
            return build_prompt(set, options, &count);
        }
        let chosen = choose_by_class(&vote.clusters, all, most);
        let shown = SampleSet {
            id: set.id.clone(),
            problem: set.problem.clone(),
            reference_answer: None,
            candidates: chosen.iter().map(|&candidate| set.candidates[candidate].clone()).collect(),
            extra: Default::default(),
        };
        let prompt = build_prompt(&shown, options, &count)?;
        let order: Vec<usize> = prompt.order.iter().map(|&place| chosen[place]).collect();
        Ok(Prompt { omitted: all - order.len(), order, ..prompt })
    }
}

/// Whether the model is to be asked about a set.
fn need(set: &SampleSet, options: &AggregateOptions) -> Need {
    let nothing = |row| Need::Nothing(Box::new(row));
    let votes = VoteOptions { kind: options.kind.clone(), ..VoteOptions::default() };
    match ballot(set, &votes) {
        Ok(ballot) if ballot.kind.is_for_models() => {}
        Ok(ballot) => return nothing(AggregateResult::from_ballot(set, &ballot, &votes)),
        Err(reason) => return nothing(AggregateResult::not_voted(set, &reason)),
    }
    let vote = majority_vote(set);
    match route_set(options.policy, set, &vote) {
        Route::Vote => nothing(AggregateResult::from_vote(set, &vote)),
        Route::Model => Need::Model(vote),
    }
}

/// Notes in the result what the model said: its answer, what reading and `written` (or scored) tokens cost, and how many candidates it
/// did not see, where the context has no room for all or the model is not for so many.
fn note(
    result: &mut AggregateResult,
    read: &Read,
    written: usize,
    answer: Option<String>,
    confidence: f64,
    confidence_kind: ConfidenceKind,
) {
    let omitted = read.prompt.omitted;
    if omitted > 0 {
        result.extra.insert("omitted_candidates".to_owned(), omitted.into());
    }
    result.note(Layer {
        layer: MODEL.to_owned(),
        answer,
        confidence,
        confidence_kind,
        usage: Some(Usage { prompt_tokens: read.tokens as u64, completion_tokens: written as u64 }),
        omitted: (omitted > 0).then_some(omitted),
    });
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
