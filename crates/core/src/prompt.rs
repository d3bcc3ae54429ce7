//! The aggregator's prompt, as segments of text, and the reading of what it writes.
//!
//! Plain text for a base model, no chat template:
//!
//! ```text
//! {instruction}
//!
//! Question:
//! {problem}
//!
//! Answer 1:
//! {candidate, its end, clipped to the cap}
//!
//! Answer 2:
//! ...
//!
//! {closing}
//! <answer>
//! ```
//!
//! 1. Three variants: *think* ends with a prefilled `<think>`, *no-think* with a prefilled `<answer>`. The wording is ours.
//!    *Compact* is for models trained from nothing, to which instructions say nothing: question, answers and a prefilled
//!    `<think>`, without instruction and closing sentence.
//! 2. The problem and the candidates are untrusted: they are segments of their own, which the tokenizer encodes without
//!    any added token, and whatever in them looks like our tags or headers is rewritten (`<answer>` to `[answer]`,
//!    `Answer 3:` at a line's start to `Answer 3 -`).
//! 3. Every candidate is clipped to one cap that depends only on the problem, the options and the number of candidates,
//!    so that a candidate can be prefilled before the others arrive. Its *end* is kept, where the answer is.
//! 4. Where the cap would be below [`MIN_CANDIDATE_TOKENS`], only the first so many candidates are shown; [`choose_by_class`] says
//!    which should be the first.
//! 5. The segments' tokens, counted one segment at a time as they are encoded, never exceed
//!    `context_length - max_new_tokens`. A problem that does not fit is an error; it is never cut.
//!
//! A model that solves a problem without candidates is asked by [`build_generator_prompt`].
//!
//! What does not live here: tokens (the counter comes in as a function) and the model.

mod choice;
mod generator;
mod neutral;
mod parse;

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::{Rng, SeedableRng};
use serde::{Deserialize, Serialize};

use crate::sample_set::SampleSet;
pub use choice::choose_by_class;
pub use generator::{build_generator_prompt, candidate_of_completion};
pub use neutral::neutralise;
pub use parse::{ParsedCompletion, parse_completion};

/// Fewest tokens worth showing of a candidate: below this not even a last sentence fits.
pub const MIN_CANDIDATE_TOKENS: usize = 32;

/// Put where the start of a candidate was cut off.
const CUT_MARK: &str = "[...] ";

/// The tags that a completion is read by.
pub const TAGS: [&str; 4] = ["<think>", "</think>", "<answer>", "</answer>"];

/// How the model is asked, and whether it thinks first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PromptVariant {
    /// Judge the answers inside `<think>`, then write `<answer>`.
    Think,
    /// Write `<answer>` at once.
    NoThink,
    /// Think first, without having been told to: no instruction and no closing sentence. Such a prompt has no word but
    /// `Question` and `Answer` that the set did not bring, which is what a vocabulary of a few dozen tokens can encode.
    Compact,
}

impl PromptVariant {
    /// The opening tag that ends the prompt.
    pub fn prefill(self) -> &'static str {
        match self {
            Self::Think | Self::Compact => "<think>",
            Self::NoThink => "<answer>",
        }
    }

    /// With what separates it from the question.
    fn instruction(self) -> &'static str {
        match self {
            Self::Think => {
                "Here are a question and several answers proposed for it. Any number of them may be wrong, even all.\n\
                 Check the reasoning of each answer, between <think> and </think>. Then decide: take over a final answer \
                 that is right, or, if none is, build the right one from the sound parts. Write the final answer alone \
                 between <answer> and </answer>.\n\n"
            }
            Self::NoThink => {
                "Here are a question and several answers proposed for it. Any number of them may be wrong, even all.\n\
                 Write the right final answer alone between <answer> and </answer>.\n\n"
            }
            Self::Compact => "",
        }
    }

    fn closing(self) -> &'static str {
        match self {
            Self::Think => "\n\nJudging the answers above, and the final answer to the question:\n",
            Self::NoThink => "\n\nThe final answer to the question:\n",
            Self::Compact => "\n\n",
        }
    }
}

/// A piece of a prompt, encoded on its own.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Segment {
    /// The text.
    pub text: String,
    /// Whether it is our own. Untrusted text is encoded without any added token.
    pub trusted: bool,
}

/// What a prompt is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptOptions {
    /// Which instruction and prefill.
    pub variant: PromptVariant,
    /// Tokens that the model can hold, prompt and completion together.
    pub context_length: usize,
    /// Tokens kept free for the completion.
    pub max_new_tokens: usize,
    /// Shows the candidates in a random order of this seed; none keeps their order.
    pub permutation_seed: Option<u64>,
}

/// A prompt ready to be encoded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prompt {
    /// The pieces in order; the last is the prefill.
    pub segments: Vec<Segment>,
    /// The text the completion continues.
    pub prefill: &'static str,
    /// Indices of the candidates shown, in the order shown.
    pub order: Vec<usize>,
    /// Candidates of the set that did not fit at all.
    pub omitted: usize,
    /// Most tokens a candidate could take.
    pub candidate_cap: usize,
    /// Tokens of all segments, each counted on its own.
    pub tokens: usize,
}

/// What is known about a prompt before any candidate is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PromptPlan {
    /// Candidates that will be shown: the first so many.
    pub shown: usize,
    /// Most tokens of each.
    pub candidate_cap: usize,
}

/// Why a prompt cannot be built.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PromptError {
    /// A set without candidates gives an aggregator nothing to do.
    #[error("the set has no candidates: there is nothing to aggregate")]
    NoCandidates,
    /// A generator's problem leaves no room for its solution.
    #[error(
        "the problem takes {tokens} tokens with what stands around it and {max_new_tokens} are kept for the solution: more \
         than the context of {context_length}: shorten the problem or lower max_new_tokens"
    )]
    ProblemTooLong {
        /// Tokens of the prompt.
        tokens: usize,
        /// From the options.
        max_new_tokens: usize,
        /// From the options.
        context_length: usize,
    },
    /// Nothing of a candidate would fit beside the problem.
    #[error(
        "the prompt without candidates takes {fixed} tokens and {max_new_tokens} are kept for the completion, which leaves \
         no room for a candidate in a context of {context_length}: shorten the problem or lower max_new_tokens"
    )]
    NoRoom {
        /// Tokens of instruction, problem, headers and prefill.
        fixed: usize,
        /// From the options.
        max_new_tokens: usize,
        /// From the options.
        context_length: usize,
    },
}

/// The prompt for `set`. `count_tokens` gives the number of tokens of one segment encoded on its own.
///
/// # Errors
/// Where there is no candidate, or no room for one beside the problem.
pub fn build_prompt(
    set: &SampleSet,
    options: &PromptOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Result<Prompt, PromptError> {
    let plan = plan_prompt(&set.problem, set.candidates.len(), options, count_tokens)?;
    let order = match options.permutation_seed {
        Some(seed) => permutation(plan.shown, seed),
        None => (0..plan.shown).collect(),
    };
    let mut segments = opening(&set.problem, options.variant);
    for (place, &index) in order.iter().enumerate() {
        segments.push(Segment { text: header(place), trusted: true });
        let text = clip_candidate(&set.candidates[index].text, plan.candidate_cap, count_tokens);
        segments.push(Segment { text, trusted: false });
    }
    segments.extend(ending(options.variant));
    Ok(Prompt {
        tokens: segments.iter().map(|segment| count_tokens(&segment.text)).sum(),
        segments,
        prefill: options.variant.prefill(),
        omitted: set.candidates.len() - order.len(),
        order,
        candidate_cap: plan.candidate_cap,
    })
}

/// How many candidates fit and how long each may be: (context - reserve) / candidates, where the reserve is the
/// instruction, the problem, the headers, the prefill and `max_new_tokens`. Needs no candidate.
///
/// # Errors
/// As [`build_prompt`].
pub fn plan_prompt(
    problem: &str,
    num_candidates: usize,
    options: &PromptOptions,
    count_tokens: &dyn Fn(&str) -> usize,
) -> Result<PromptPlan, PromptError> {
    if num_candidates == 0 {
        return Err(PromptError::NoCandidates);
    }
    let around = opening(problem, options.variant).into_iter().chain(ending(options.variant));
    let fixed: usize = around.map(|segment| count_tokens(&segment.text)).sum();
    let room = options.context_length.saturating_sub(options.max_new_tokens).saturating_sub(fixed);
    let mut plan = None;
    let mut headers = 0;
    for place in 0..num_candidates {
        headers += count_tokens(&header(place));
        let cap = room.saturating_sub(headers) / (place + 1);
        // A lone candidate may be shown with less: something is better than nothing.
        if cap < MIN_CANDIDATE_TOKENS && (place > 0 || cap == 0) {
            break;
        }
        plan = Some(PromptPlan { shown: place + 1, candidate_cap: cap });
    }
    plan.ok_or(PromptError::NoRoom {
        fixed: fixed + headers,
        max_new_tokens: options.max_new_tokens,
        context_length: options.context_length,
    })
}

/// The end of `text` in at most `cap` tokens, neutralised, with a mark where it was cut. A candidate that fits keeps its
/// start, blanks around it excepted.
pub fn clip_candidate(text: &str, cap: usize, count_tokens: &dyn Fn(&str) -> usize) -> String {
    /// No vocabulary packs ordinary text denser than this; a candidate of 10 MB is never counted whole.
    const MOST_BYTES_PER_TOKEN: usize = 16;
    let text = text.trim();
    let mut keep = text.len().min(cap.saturating_mul(MOST_BYTES_PER_TOKEN));
    while keep > 0 {
        let start = text.ceil_char_boundary(text.len() - keep);
        let mark = if start > 0 { CUT_MARK } else { "" };
        let clipped = format!("{mark}{}", neutralise(text[start..].trim_start()));
        let tokens = count_tokens(&clipped);
        if tokens <= cap {
            return clipped;
        }
        // In proportion, a little less, and always less: ends whatever the counter says.
        let aim = (text.len() - start) as f64 * cap as f64 / tokens as f64 * 0.98;
        keep = (aim as usize).min(keep - 1);
    }
    String::new()
}

/// A permutation of `0..length` by `seed`: Fisher-Yates on ChaCha8, the same on every platform.
pub fn permutation(length: usize, seed: u64) -> Vec<usize> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    let mut order: Vec<usize> = (0..length).collect();
    for last in (1..length).rev() {
        // The remainder's bias is below 2^-40 for any length that fits a context.
        let other = (rng.next_u64() % (last as u64 + 1)) as usize;
        order.swap(last, other);
    }
    order
}

fn opening(problem: &str, variant: PromptVariant) -> Vec<Segment> {
    vec![
        Segment { text: format!("{}Question:\n", variant.instruction()), trusted: true },
        Segment { text: neutralise(problem.trim()), trusted: false },
    ]
}

fn header(place: usize) -> String {
    format!("\n\nAnswer {}:\n", place + 1)
}

fn ending(variant: PromptVariant) -> [Segment; 2] {
    [variant.closing(), variant.prefill()].map(|text| Segment { text: text.to_string(), trusted: true })
}

#[cfg(test)]
mod tests;
