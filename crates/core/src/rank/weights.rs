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
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(into = "File")]
pub struct Ranker {
    kinds: Vec<KindRanker>,
}

/// The weights for one kind of answers.
#[derive(Debug, Clone, PartialEq)]
pub struct KindRanker {
    /// The kind, as [`crate::AnswerKind::name`] has it.
    pub kind: String,
    /// Problems that it was fitted on.
    pub problems: usize,
    /// The numbers of candidates of a set that it was fitted for, least and most.
    pub candidates: (usize, usize),
    /// For sets whose voters are not known.
    pub(super) without_voters: Weights,
    /// For sets whose voters' reliabilities are known.
    pub(super) with_voters: Option<Weights>,
}

/// Weights in the order of features.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Weights {
    pub classes: [f64; PER_CLASS],
    pub set: [f64; PER_SET],
}

/// A ranker as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    kinds: Vec<KindFile>,
}

/// One kind as it is written.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct KindFile {
    kind: String,
    problems: usize,
    candidates: (usize, usize),
    without_voters: NamedWeights,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    with_voters: Option<NamedWeights>,
}

/// Weights by the names of features; what is not named weighs nothing.
#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NamedWeights {
    /// Of each class.
    class: BTreeMap<String, f64>,
    /// Of "none of these".
    none: BTreeMap<String, f64>,
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

impl Default for Weights {
    /// Nothing weighs anything.
    fn default() -> Self {
        Self { classes: [0.0; PER_CLASS], set: [0.0; PER_SET] }
    }
}

impl Weights {
    fn read(named: &NamedWeights) -> Result<Self, RankerError> {
        let mut weights = Self::default();
        fill(&mut weights.classes, &mut class_names(), &named.class)?;
        fill(&mut weights.set, &mut set_names(), &named.none)?;
        Ok(weights)
    }

    /// Whether what texts look like matters.
    pub(super) fn has_signs(&self) -> bool {
        let of_classes = self.classes.iter().enumerate().any(|(at, weight)| is_sign(at) && *weight != 0.0);
        of_classes || self.set.iter().enumerate().any(|(at, weight)| is_set_sign(at) && *weight != 0.0)
    }

    fn named(&self) -> NamedWeights {
        let named = |names: &mut dyn Iterator<Item = &'static str>, weights: &[f64]| {
            let weighing = names.zip(weights).filter(|(_, weight)| **weight != 0.0);
            weighing.map(|(name, weight)| (name.to_owned(), *weight)).collect()
        };
        NamedWeights {
            class: named(&mut class_names(), &self.classes),
            none: named(&mut set_names(), &self.set),
        }
    }
}

impl KindRanker {
    fn read(file: KindFile) -> Result<Self, RankerError> {
        Ok(Self {
            without_voters: Weights::read(&file.without_voters)?,
            with_voters: file.with_voters.as_ref().map(Weights::read).transpose()?,
            kind: file.kind,
            problems: file.problems,
            candidates: file.candidates,
        })
    }

    /// The weights for sets with or without known voters.
    pub(super) fn of(&self, has_voters: bool) -> Option<&Weights> {
        if has_voters { self.with_voters.as_ref() } else { Some(&self.without_voters) }
    }

    /// Whether so many candidates can be judged: twice as many as were seen at most, as shares hardly change there.
    pub(super) fn is_for(&self, candidates: usize) -> bool {
        candidates >= self.candidates.0 && candidates <= self.candidates.1.saturating_mul(2)
    }
}

impl From<Ranker> for File {
    fn from(ranker: Ranker) -> Self {
        let kind = |kind: KindRanker| KindFile {
            without_voters: kind.without_voters.named(),
            with_voters: kind.with_voters.as_ref().map(Weights::named),
            kind: kind.kind,
            problems: kind.problems,
            candidates: kind.candidates,
        };
        Self { format: FORMAT, kinds: ranker.kinds.into_iter().map(kind).collect() }
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
        READ.get_or_init(|| Self::read(BUILTIN).unwrap_or(Self { kinds: Vec::new() }))
    }

    /// Reads a file.
    ///
    /// # Errors
    /// Where it is none, or of another version.
    pub fn read(text: &str) -> Result<Self, RankerError> {
        let file: File = serde_json::from_str(text).map_err(|error| RankerError::Json(error.to_string()))?;
        if file.format != FORMAT {
            return Err(RankerError::Format { found: file.format });
        }
        if file.kinds.is_empty() {
            return Err(RankerError::Kinds("none".to_owned()));
        }
        for (at, kind) in file.kinds.iter().enumerate() {
            if file.kinds[..at].iter().any(|other| other.kind == kind.kind) {
                return Err(RankerError::Kinds(format!("two of `{}`", kind.kind)));
            }
        }
        Ok(Self { kinds: file.kinds.into_iter().map(KindRanker::read).collect::<Result<_, _>>()? })
    }

    /// A ranker of these kinds.
    pub fn of(kinds: Vec<KindRanker>) -> Self {
        Self { kinds }
    }

    pub(super) fn of_kind(&self, kind: &str) -> Option<&KindRanker> {
        self.kinds.iter().find(|weights| weights.kind == kind)
    }

    /// Whether it can judge answers of a kind.
    pub fn is_for(&self, kind: &str) -> bool {
        self.of_kind(kind).is_some()
    }
}
