//! The figures of a report on repeats; what they are is said in the module above.

use serde::{Deserialize, Serialize};

use crate::metrics::Figure;

/// How stable the answers of a file are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RepeatsReport {
    /// Items in the figures, with a reference or without.
    pub items: usize,
    /// Most candidates of an item.
    pub num_candidates: usize,
    /// Mean share of pairs of candidates that do not agree.
    pub flips: Option<Figure>,
    /// Krippendorff's alpha of the labels; none where there are no labels, or nothing to compare.
    pub alpha: Option<f64>,
    /// What each rule would decide.
    pub rules: Vec<RuleReport>,
    /// What fewer candidates would have said.
    pub by_candidates: Vec<StepReport>,
    /// Accuracy against yield.
    pub by_share: Vec<ShareReport>,
    /// Items, those that flip most first.
    pub by_item: Vec<ItemReport>,
}

/// What a rule decides.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RuleReport {
    /// `plurality`, `strict`, `unanimous`, `at-least 3` or `median`.
    pub rule: String,
    /// Share of items with an answer.
    #[serde(rename = "yield")]
    pub kept: Option<Figure>,
    /// Share of these that are right.
    pub accuracy: Option<Figure>,
    /// Share of votes without one candidate that have another outcome.
    pub flips: Option<Figure>,
}

/// What the first candidates say.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StepReport {
    /// How many.
    pub candidates: usize,
    /// Items that have so many.
    pub items: usize,
    /// Mean share of pairs that agree; none of one candidate.
    pub agreement: Option<f64>,
    /// Share of items whose vote has the outcome of all candidates.
    pub same: Option<f64>,
    /// Share of items with an answer that are right.
    pub accuracy: Option<f64>,
    /// Share of items with an answer.
    #[serde(rename = "yield")]
    pub kept: Option<f64>,
}

/// Items whose answer has a share of the candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ShareReport {
    /// The share.
    pub at_least: f64,
    /// Share of items kept.
    #[serde(rename = "yield")]
    pub kept: Option<f64>,
    /// Share of these that are right.
    pub accuracy: Option<f64>,
}

/// How stable one item is.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ItemReport {
    /// Its id.
    pub id: String,
    /// Its candidates.
    pub candidates: usize,
    /// Of these, the ones with an answer.
    pub answered: usize,
    /// Different answers.
    pub answers: usize,
    /// Share of pairs of candidates that do not agree.
    pub flips: Option<f64>,
}
