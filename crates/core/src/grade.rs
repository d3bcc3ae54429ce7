//! Grading: one reference against one prediction. Extraction and equivalence do the work.

use crate::equivalence::{Answer, is_equivalent};
use crate::extract::{MAX_ANSWER_BYTES, Tier, clean_answer, extract_answer};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// One line of a file of pairs; unknown fields pass through.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct GradePair {
    /// What the answer should be.
    pub reference: String,
    /// What was answered: a bare answer or a whole solution.
    pub prediction: String,
    /// Every other field of the line.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// The verdict on one prediction.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Grade {
    /// The answer found in the prediction, if any.
    pub answer: Option<String>,
    /// Whether that answer is equivalent to the reference.
    pub equivalent: bool,
}

/// Grades `prediction` against `reference`. Either may be a bare answer or a whole text with an answer in it: what reads
/// as one answer is taken as it is, anything else goes through extraction.
pub fn grade(reference: &str, prediction: &str) -> Grade {
    let Some(answer) = answer_in(prediction) else { return Grade { answer: None, equivalent: false } };
    let equivalent = answer_in(reference).is_some_and(|reference| is_equivalent(&reference, &answer));
    Grade { answer: Some(answer.text().to_owned()), equivalent }
}

/// The answer that a reference is, or holds, read as [`grade`] reads it.
pub fn reference_answer(reference: &str) -> Answer {
    answer_in(reference).unwrap_or_else(|| Answer::parse(reference))
}

/// Words up to this many are an answer ("no real solution"); more are a text.
const MAX_WORDS: usize = 4;

/// What makes a text more than an answer, however short.
const MARKS: [&str; 8] = ["\\boxed", "\\fbox", "<answer", "</think>", "####", "\"answer\"", "\\(", "\\["];

/// The answer that `text` is, or holds.
fn answer_in(text: &str) -> Option<Answer> {
    if text.len() <= MAX_ANSWER_BYTES && !MARKS.iter().any(|mark| text.contains(mark)) {
        if text.trim().is_empty() {
            return None;
        }
        let whole = Answer::parse(text);
        if !is_prose(&whole) && (!whole.is_text() || !text.contains('$')) {
            return Some(whole);
        }
    }
    let found = extract_answer(text, false)?;
    if found.tier == Tier::Last
        && let Some(formula) = last_formula(text).map(Answer::parse)
        && !formula.is_text()
    {
        return Some(formula);
    }
    let answer = Answer::parse(&found.text);
    // A sentence that was announced as the answer: "The largest $n$ is 34".
    if found.tier == Tier::Phrase && is_prose(&answer) {
        return extract_answer(&found.text, false).map(|found| Answer::parse(&found.text)).or(Some(answer));
    }
    Some(answer)
}

fn is_prose(answer: &Answer) -> bool {
    answer.is_text() && clean_answer(answer.text()).split_whitespace().nth(MAX_WORDS).is_some()
}

/// The last `$...$`, `\(...\)` or `\[...\]` of a text, where no number stands behind it. The value that extraction finds
/// in it stands behind its last equals sign; the whole of it says more (`x \le 2`, a matrix).
fn last_formula(text: &str) -> Option<&str> {
    let window = &text[text.floor_char_boundary(text.len().saturating_sub(MAX_ANSWER_BYTES))..];
    let formula = |open: &str, close: &str| {
        let end = window.rfind(close)?;
        let start = window[..end].rfind(open)? + open.len();
        Some((end, &window[start..end], &window[end + close.len()..]))
    };
    let last = [("$", "$"), ("\\(", "\\)"), ("\\[", "\\]")].into_iter().filter_map(|(o, c)| formula(o, c));
    let (_, inside, behind) = last.max_by_key(|(end, ..)| *end)?;
    let even = window.matches('$').count().is_multiple_of(2);
    (even && !inside.trim().is_empty() && !behind.contains(|c: char| c.is_ascii_digit())).then_some(inside)
}
