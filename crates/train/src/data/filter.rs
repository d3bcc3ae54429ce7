//! Which sets are not trained on: those that cannot be (no reference, no room, no target), and by option those that are
//! too easy, too hard or too long.
//!
//! A finite source is gone through once before the run, so that its epochs are known and everything left out is counted
//! by reason. An endless stream replaces an unwanted problem by the next. Sets of a finite source are judged with all
//! their candidates (of an arithmetic one: the most that are asked for), not with those that one example shows.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::fmt;

use conclave_core::prompt::{PromptOptions, build_prompt};
use conclave_core::reader::{Reading, read_candidates};
use conclave_core::sample_set::SampleSet;
use conclave_model::tokenizer::Tokenizer;
use serde::Serialize;

use super::parallel;
use super::prepare::Preparation;
use super::sets::Sets;
use crate::config::FilterConfig;
use crate::error::{Result, TrainError};

/// Why a set is not trained on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, thiserror::Error)]
#[serde(rename_all = "snake_case")]
pub enum Unusable {
    /// There is nothing to aggregate.
    #[error("no candidates")]
    NoCandidates,
    /// Nothing says what is right.
    #[error("no reference answer")]
    NoReference,
    /// By `data.filters.drop_all_correct`.
    #[error("all candidates right")]
    AllCorrect,
    /// By `data.filters.drop_all_wrong`.
    #[error("all candidates wrong")]
    AllWrong,
    /// By `data.filters.max_prompt_tokens`.
    #[error("prompt too long")]
    PromptTooLong,
    /// Problem and completion do not fit the context.
    #[error("no room for a candidate beside the problem")]
    NoRoom,
    /// The field of `data.target` is missing, or no text.
    #[error("no text in the field of the target")]
    NoField,
    /// The target does not read as exactly one answer.
    #[error("target not well-formed")]
    Malformed,
    /// A completion in a field gives another answer than the reference.
    #[error("answer of the target not that of the reference")]
    WrongTarget,
    /// The target does not fit `prompt.max_new_tokens`.
    #[error("target longer than the tokens kept for it")]
    TargetTooLong,
    /// The tokenizer reports an error.
    #[error("text that the tokenizer refuses")]
    NotEncodable,
}

/// What was left out, and why.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct FilterReport {
    /// Sets looked at.
    pub sets: u64,
    /// Those of them that are trained on.
    pub kept: u64,
    /// The others by reason; a set counts for the first reason found.
    pub dropped: BTreeMap<Unusable, u64>,
    /// These are the first sets of an endless stream; the filters go on as it does.
    pub endless: bool,
}

impl fmt::Display for FilterReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scope = if self.endless { " of the first" } else { " of" };
        write!(f, "{}{scope} {} sets", self.kept, self.sets)?;
        for (place, (reason, count)) in self.dropped.iter().enumerate() {
            write!(f, "{} {count} {reason}", if place == 0 { "; left out:" } else { "," })?;
        }
        Ok(())
    }
}

/// The sets of `sets` that can be trained on. `most` is the largest number of candidates shown in the run.
///
/// # Errors
/// Where nothing is left; `max_prompt_tokens` for an endless stream, whose prompts are bounded by the number of candidates.
pub fn filter(
    sets: Sets,
    filters: &FilterConfig,
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    most: usize,
) -> Result<(Sets, FilterReport)> {
    let endless = sets.epoch_len().is_none();
    if endless && filters.max_prompt_tokens.is_some() {
        return Err(TrainError::Config(
            "`data.filters.max_prompt_tokens` is for files and for a number of problems: an endless stream has prompts \
             of one size, take it out"
                .to_owned(),
        ));
    }
    let judge = |set: &Cow<'_, SampleSet>| {
        let usable = preparation.check(tokenizer, set);
        usable.err().or_else(|| unwanted(filters, set)).or_else(|| {
            let longest = filters.max_prompt_tokens?;
            let tokens = unclipped_prompt_tokens(set, preparation, tokenizer, most);
            (tokens > longest).then_some(Unusable::PromptTooLong)
        })
    };
    let judge_all = |sets: &[Cow<'_, SampleSet>]| parallel::map(sets, parallel::default_threads(), judge);
    let (sets, verdicts) = sets.filtered(filters, most, &judge_all)?;
    let mut dropped = BTreeMap::new();
    for reason in verdicts.iter().flatten() {
        *dropped.entry(*reason).or_insert(0) += 1;
    }
    let kept = verdicts.iter().filter(|verdict| verdict.is_none()).count() as u64;
    Ok((sets, FilterReport { sets: verdicts.len() as u64, kept, dropped, endless }))
}

/// Whether each candidate is right; none where there is no reference.
pub fn correct_candidates(set: &SampleSet) -> Option<Vec<bool>> {
    let reference = set.reference_answer.as_ref()?.parsed();
    let right = |reading: &Reading| reading.to_answer().is_some_and(|answer| reference.accepts(&answer));
    Some(read_candidates(set).iter().map(right).collect())
}

/// What the options on difficulty have against a set.
pub(super) fn unwanted(filters: &FilterConfig, set: &SampleSet) -> Option<Unusable> {
    // A problem that is shown alone is neither.
    if (!filters.drop_all_correct && !filters.drop_all_wrong) || set.candidates.is_empty() {
        return None;
    }
    let Some(correct) = correct_candidates(set) else { return Some(Unusable::NoReference) };
    if filters.drop_all_correct && correct.iter().all(|&right| right) {
        return Some(Unusable::AllCorrect);
    }
    (filters.drop_all_wrong && !correct.contains(&true)).then_some(Unusable::AllWrong)
}

/// Tokens of the longest prompt that can be made of a set if nothing is clipped: with its `most` longest candidates.
fn unclipped_prompt_tokens(
    set: &SampleSet,
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    most: usize,
) -> usize {
    let mut candidates: Vec<_> = set.candidates.iter().collect();
    candidates.sort_by_key(|candidate| std::cmp::Reverse(candidate.text.len()));
    let candidates = candidates.into_iter().take(most).cloned().collect();
    let longest = SampleSet { candidates, ..set.clone() };
    let options = PromptOptions {
        variant: preparation.variant,
        // Room without end, from which sums can still be taken.
        context_length: usize::MAX >> 8,
        max_new_tokens: 0,
        permutation_seed: None,
    };
    build_prompt(&longest, &options, &|text| tokenizer.count(text)).map_or(usize::MAX, |prompt| prompt.tokens)
}
