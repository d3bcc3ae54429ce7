//! Weights of rankers, as a file: a JSON object that names each number.

use std::collections::BTreeMap;
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use super::features::{PER_CLASS, PER_SET, class_names, is_set_sign, is_sign, set_names};

/// The format that is written, and the only one that is read.
const FORMAT: u32 = 1;

/// Our own, fitted on the pools of docs/decision.md.
const BUILTIN: &str = include_str!("builtin.json");

/// Weights for the kinds of answers that a ranker can judge.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Ranker {
    /// 1.
    pub format: u32,
    /// One entry a kind.
    pub kinds: Vec<KindWeights>,
}

/// The weights for one kind of answers.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KindWeights {
    /// The kind, as [`crate::AnswerKind::name`] has it.
    pub kind: String,
    /// Problems that it was fitted on.
    pub problems: usize,
    /// The numbers of candidates of a set that were seen, least and most.
    pub candidates: (usize, usize),
    /// For sets whose voters are not known.
    pub without_voters: NamedWeights,
    /// For sets whose voters' reliabilities are known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub with_voters: Option<NamedWeights>,
}

/// Weights by the names of features; what is not named weighs nothing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct NamedWeights {
    /// Of each class.
    pub class: BTreeMap<String, f64>,
    /// Of "none of these".
    pub none: BTreeMap<String, f64>,
}

/// Why a file is no ranker.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RankerError {
    /// Not the JSON that was expected.
    #[error("not a ranker: {0}; expected what `conclave train ranker` writes")]
    Json(String),
    /// A format of another version.
    #[error(
        "format {found}: this program reads format {FORMAT}; fit the ranker again with `conclave train ranker`"
    )]
    Format {
        /// What it says.
        found: u32,
    },
    /// A feature that there is not, or a weight that is no number.
    #[error("`{0}` is no feature with a finite weight: fit the ranker again with `conclave train ranker`")]
    Feature(String),
    /// Two entries of one kind, or none.
    #[error("expected one entry a kind, found {0}")]
    Kinds(String),
}

/// Weights in the order of features.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub classes: [f64; PER_CLASS],
    pub set: [f64; PER_SET],
    pub candidates: (usize, usize),
}

impl Weights {
    /// Whether so many candidates can be judged: twice as many as were seen at most, as shares hardly change there.
    pub(super) fn is_for(&self, candidates: usize) -> bool {
        candidates >= self.candidates.0 && candidates <= 2 * self.candidates.1
    }

    /// Whether what texts look like matters.
    pub(super) fn has_signs(&self) -> bool {
        let of_classes = self.classes.iter().enumerate().any(|(at, weight)| is_sign(at) && *weight != 0.0);
        of_classes || self.set.iter().enumerate().any(|(at, weight)| is_set_sign(at) && *weight != 0.0)
    }

    pub(super) fn named(&self) -> NamedWeights {
        let named = |names: &mut dyn Iterator<Item = &'static str>, weights: &[f64]| {
            names
                .zip(weights)
                .filter(|(_, weight)| **weight != 0.0)
                .map(|(name, weight)| (name.to_owned(), *weight))
                .collect()
        };
        NamedWeights {
            class: named(&mut class_names(), &self.classes),
            none: named(&mut set_names(), &self.set),
        }
    }
}

impl KindWeights {
    /// The weights for sets with or without known voters.
    pub(super) fn of(&self, has_voters: bool) -> Option<Weights> {
        let named = if has_voters { self.with_voters.as_ref()? } else { &self.without_voters };
        named.weights(self.candidates).ok()
    }
}

impl NamedWeights {
    fn weights(&self, candidates: (usize, usize)) -> Result<Weights, RankerError> {
        let mut weights = Weights { classes: [0.0; PER_CLASS], set: [0.0; PER_SET], candidates };
        fill(&mut weights.classes, &mut class_names(), &self.class)?;
        fill(&mut weights.set, &mut set_names(), &self.none)?;
        Ok(weights)
    }
}

fn fill(
    weights: &mut [f64],
    names: &mut dyn Iterator<Item = &'static str>,
    named: &BTreeMap<String, f64>,
) -> Result<(), RankerError> {
    let mut known = 0;
    for (weight, name) in weights.iter_mut().zip(names) {
        if let Some(value) = named.get(name) {
            if !value.is_finite() {
                return Err(RankerError::Feature(name.to_owned()));
            }
            *weight = *value;
            known += 1;
        }
    }
    if known == named.len() {
        return Ok(());
    }
    let unknown =
        named.keys().find(|name| !class_names().chain(set_names()).any(|known| known == name.as_str()));
    Err(RankerError::Feature(unknown.or(named.keys().next()).cloned().unwrap_or_default()))
}

impl Ranker {
    /// The built-in one, for mathematics.
    pub fn builtin() -> &'static Self {
        static READ: OnceLock<Ranker> = OnceLock::new();
        // A test reads it; a program whose own file is broken has no ranker.
        READ.get_or_init(|| Self::read(BUILTIN).unwrap_or(Self { format: FORMAT, kinds: Vec::new() }))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where it is none, or of another version.
    pub fn read(text: &str) -> Result<Self, RankerError> {
        let ranker: Self =
            serde_json::from_str(text).map_err(|error| RankerError::Json(error.to_string()))?;
        if ranker.format != FORMAT {
            return Err(RankerError::Format { found: ranker.format });
        }
        for (at, kind) in ranker.kinds.iter().enumerate() {
            if ranker.kinds[..at].iter().any(|other| other.kind == kind.kind) {
                return Err(RankerError::Kinds(format!("two of `{}`", kind.kind)));
            }
            kind.without_voters.weights(kind.candidates)?;
            if let Some(weights) = &kind.with_voters {
                weights.weights(kind.candidates)?;
            }
        }
        if ranker.kinds.is_empty() {
            return Err(RankerError::Kinds("none".to_owned()));
        }
        Ok(ranker)
    }

    /// A ranker of these kinds.
    pub fn of(kinds: Vec<KindWeights>) -> Self {
        Self { format: FORMAT, kinds }
    }

    pub(super) fn of_kind(&self, kind: &str) -> Option<&KindWeights> {
        self.kinds.iter().find(|weights| weights.kind == kind)
    }

    /// Whether it can judge answers of a kind.
    pub fn is_for(&self, kind: &str) -> bool {
        self.of_kind(kind).is_some()
    }
}
