//! What the model is to write behind a prompt, in supervised training.
//!
//! | variant | answer alone | with thinking |
//! |---|---|---|
//! | compact | `</think><answer>REF</answer>` | `THOUGHT</think><answer>REF</answer>` |
//! | think | `</think>\n<answer>REF</answer>` | `\nTHOUGHT\n</think>\n<answer>REF</answer>` |
//! | no-think | `REF</answer>` | as without |
//!
//! The thought is a derivation, behind verdicts on the candidates where that is asked for: `1+2-3+;DERIVATION`, a plus for
//! each that is right. Behind it all stands the model's stop token. Behind a problem that is shown alone, the target is the derivation as a candidate
//! would be written. Tags in a thought are rewritten as in a candidate. A field that holds an
//! `<answer>` is not a thought but the whole completion, and is taken as it is.

use conclave_core::grade::{grade, reference_answer};
use conclave_core::prompt::{PromptVariant, neutralise, parse_completion};
use conclave_core::sample_set::SampleSet;
use conclave_model::tokenizer::Tokenizer;
use serde_json::Value;

use super::filter::{Unusable, correct_candidates};
use super::prepare::{Preparation, TargetOrigin};
use crate::config::TargetKind;

/// The field that the arithmetic domain writes the right chain to.
const DERIVATION: &str = "derivation";

/// A completion to learn, and what it was made of.
pub(super) struct Target {
    pub tokens: Vec<u32>,
    pub origin: TargetOrigin,
}

/// The target for a set as it is shown.
pub(super) fn target(
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    set: &SampleSet,
) -> Result<Target, Unusable> {
    let finish = |text: &str, origin| finished(preparation, tokenizer, text, origin);
    let with_thought = |thought: &str, origin| {
        let text = layout(preparation.variant, thought, &answer(set)?);
        finish(&text, origin)
    };
    match &preparation.target {
        TargetKind::Field(name) => {
            let text = field(set, name).ok_or(Unusable::NoField)?;
            if preparation.variant == PromptVariant::NoThink || text.contains("<answer>") {
                whole(preparation, set, text).and_then(|text| finish(text, TargetOrigin::Field))
            } else {
                with_thought(text, TargetOrigin::Field)
            }
        }
        kind @ (TargetKind::Derivation | TargetKind::Verdicts)
            if preparation.variant != PromptVariant::NoThink =>
        {
            let verdicts = if *kind == TargetKind::Verdicts { verdicts(set)? } else { String::new() };
            let thought = match field(set, DERIVATION) {
                Some(text) => Some((text, TargetOrigin::Field)),
                None => shortest_right(set)
                    .map(|index| (set.candidates[index].text.as_str(), TargetOrigin::Candidate(index))),
            };
            let derived =
                thought.map(|(thought, origin)| with_thought(&format!("{verdicts}{thought}"), origin));
            match derived {
                Some(Ok(target)) => Ok(target),
                // One that is too long says more than it may; the answer still fits.
                Some(Err(_)) | None => with_thought(&verdicts, TargetOrigin::Answer),
            }
        }
        TargetKind::Derivation | TargetKind::Verdicts | TargetKind::Answer => {
            with_thought("", TargetOrigin::Answer)
        }
    }
}

/// The target behind a problem that is shown alone: a solution as a candidate is, without tags.
pub(super) fn solution(
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    set: &SampleSet,
) -> Result<Target, Unusable> {
    let derived = || match field(set, DERIVATION) {
        Some(text) => Some((text, TargetOrigin::Field)),
        None => shortest_right(set)
            .map(|index| (set.candidates[index].text.trim(), TargetOrigin::Candidate(index))),
    };
    let answer = answer(set);
    let bare = || Ok((answer.as_deref().map_err(|reason| *reason)?, TargetOrigin::Answer));
    let (text, origin) = match &preparation.target {
        TargetKind::Field(name) => (field(set, name).ok_or(Unusable::NoField)?, TargetOrigin::Field),
        TargetKind::Derivation | TargetKind::Verdicts => match derived() {
            Some(found) => found,
            None => bare()?,
        },
        TargetKind::Answer => bare()?,
    };
    let mut tokens = tokenizer.encode_untrusted(text).map_err(|_| Unusable::NotEncodable)?;
    tokens.push(preparation.stop_id);
    match tokens.len() > preparation.max_new_tokens {
        true => Err(Unusable::TargetTooLong),
        false => Ok(Target { tokens, origin }),
    }
}

/// What is wrong with a set whatever is shown of it.
pub(super) fn check(
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    set: &SampleSet,
) -> Result<(), Unusable> {
    let target = |target| self::target(&Preparation { target, ..preparation.clone() }, tokenizer, set);
    match &preparation.target {
        // Falls back to the answer, so that is what has to be there.
        TargetKind::Derivation | TargetKind::Verdicts => target(TargetKind::Answer),
        kind => target(kind.clone()),
    }
    .map(drop)
}

/// The answer that a completion is graded against: the one that the reference is, or holds.
fn answer(set: &SampleSet) -> Result<String, Unusable> {
    let reference = set.reference_answer.as_deref().ok_or(Unusable::NoReference)?;
    Ok(reference_answer(reference).text().trim().to_owned())
}

fn field<'a>(set: &'a SampleSet, name: &str) -> Option<&'a str> {
    set.extra.get(name).and_then(Value::as_str).map(str::trim).filter(|text| !text.is_empty())
}

/// Of each candidate, by its number in the prompt, whether its answer is right: `1+2-3+;`.
fn verdicts(set: &SampleSet) -> Result<String, Unusable> {
    let correct = correct_candidates(set).ok_or(Unusable::NoReference)?;
    let verdict = |(place, right): (usize, bool)| format!("{}{}", place + 1, if right { '+' } else { '-' });
    Ok(correct.into_iter().enumerate().map(verdict).collect::<String>() + ";")
}

/// The shortest of the candidates whose answer is right, the earliest of several.
fn shortest_right(set: &SampleSet) -> Option<usize> {
    let correct = correct_candidates(set)?;
    let right = (0..set.candidates.len()).filter(|&index| correct[index]);
    right.min_by_key(|&index| set.candidates[index].text.trim().chars().count())
}

fn layout(variant: PromptVariant, thought: &str, answer: &str) -> String {
    let thought = neutralise(thought.trim());
    match variant {
        PromptVariant::NoThink => format!("{answer}</answer>"),
        PromptVariant::Compact => format!("{thought}</think><answer>{answer}</answer>"),
        PromptVariant::Think if thought.is_empty() => format!("</think>\n<answer>{answer}</answer>"),
        PromptVariant::Think => format!("\n{thought}\n</think>\n<answer>{answer}</answer>"),
    }
}

/// A completion written by others, which may begin with the prefill, and has to give the right answer.
fn whole<'a>(preparation: &Preparation, set: &SampleSet, text: &'a str) -> Result<&'a str, Unusable> {
    let prefill = preparation.variant.prefill();
    let text = text.strip_prefix(prefill).unwrap_or(text);
    let written = parse_completion(prefill, text).answer.ok_or(Unusable::Malformed)?;
    let right = set
        .reference_answer
        .as_ref()
        .is_none_or(|reference| reference.answers().any(|reference| grade(reference, &written).equivalent));
    if right { Ok(text) } else { Err(Unusable::WrongTarget) }
}

fn finished(
    preparation: &Preparation,
    tokenizer: &Tokenizer,
    text: &str,
    origin: TargetOrigin,
) -> Result<Target, Unusable> {
    if !parse_completion(preparation.variant.prefill(), text).well_formed {
        return Err(Unusable::Malformed);
    }
    let mut tokens = encode(tokenizer, text)?;
    tokens.push(preparation.stop_id);
    if tokens.len() > preparation.max_new_tokens {
        return Err(Unusable::TargetTooLong);
    }
    Ok(Target { tokens, origin })
}

/// The tokens of a completion: plain text, as the aggregator encodes the answers that it scores, but for those of our tags
/// that the vocabulary has as added tokens.
fn encode(tokenizer: &Tokenizer, text: &str) -> Result<Vec<u32>, Unusable> {
    const TAGS: [&str; 4] = ["<think>", "</think>", "<answer>", "</answer>"];
    let added: Vec<(u32, &str)> =
        tokenizer.added_tokens().filter(|(_, content)| TAGS.contains(content)).collect();
    let plain = |text: &str| tokenizer.encode_untrusted(text).map_err(|_| Unusable::NotEncodable);
    let first =
        |text: &str| added.iter().filter_map(|(id, tag)| Some((text.find(tag)?, *id, tag.len()))).min();
    let (mut tokens, mut rest) = (Vec::new(), text);
    while let Some((at, id, length)) = first(rest) {
        tokens.extend(plain(&rest[..at])?);
        tokens.push(id);
        rest = &rest[at + length..];
    }
    tokens.extend(plain(rest)?);
    Ok(tokens)
}
