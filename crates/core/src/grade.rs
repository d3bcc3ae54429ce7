//! Grading: one reference against one prediction. Extraction and equivalence do the work.

use crate::equivalence::{Answer, is_equivalent};
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

/// Grades `prediction` against `reference`.
pub fn grade(reference: &str, prediction: &str) -> Grade {
    let equivalent = is_equivalent(&Answer::parse(reference), &Answer::parse(prediction));
    Grade { answer: Some(prediction.to_owned()), equivalent }
}
