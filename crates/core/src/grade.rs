//! Grading: one reference against one prediction. The reader and equivalence do the work.

use crate::equivalence::{Answer, Verdict, compare, compare_numbers};
use crate::reader::{NoAnswer, plain_number, read_parsed, read_reference};
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
    /// Why there is none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<NoAnswer>,
    /// Whether that answer is equivalent to the reference: the verdict is [`Verdict::Same`].
    pub equivalent: bool,
    /// What is known of the two. A prediction without an answer is different from every reference.
    pub verdict: Verdict,
}

/// Grades `prediction` against `reference`. Either may be a bare answer or a whole text with an answer in it; both are read by
/// the one reader that votes read by.
pub fn grade(reference: &str, prediction: &str) -> Grade {
    // Numbers need no scan and no canonical form.
    if let (Some(expected), Some(number)) = (plain_number(reference), plain_number(prediction)) {
        let verdict = compare_numbers(&expected, &number);
        let answer = Some(prediction.trim().to_owned());
        return Grade { answer, no_answer: None, equivalent: verdict.is_same(), verdict };
    }
    let (reading, answer) = read_parsed(prediction, false);
    // A text is the same as itself, even where nobody can read an answer in it.
    if answer.is_none() && !prediction.trim().is_empty() && prediction.trim() == reference.trim() {
        let answer = Some(prediction.trim().to_owned());
        return Grade { answer, no_answer: None, equivalent: true, verdict: Verdict::Same };
    }
    let verdict = match &answer {
        Some(answer) => compare(&reference_answer(reference), answer),
        None => Verdict::Different,
    };
    Grade { answer: reading.answer, no_answer: reading.no_answer, equivalent: verdict.is_same(), verdict }
}

/// The answer that a reference is, or holds; one in which no answer can be read is taken as it stands.
pub fn reference_answer(reference: &str) -> Answer {
    read_reference(reference)
}
