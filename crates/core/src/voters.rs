//! Who of several voters can be believed, learned from a file of sets alone, without a single reference.
//!
//! The model is the one-coin model of Dawid and Skene (1979) with room for "nobody is right": a voter is right with its own
//! probability; those who are right agree; those who are wrong fall into classes as guests of a Chinese restaurant do (a new
//! class with weight theta, a known one with weight its size), because popular mistakes exist and nobody knows how many wrong
//! answers there are. Expectation maximization over all sets gives each voter's reliability and theta.
//!
//! - Reliabilities have a prior, Beta with the file's mean and the weight of [`PRIOR`] answers, so that a voter with few
//!   answers counts as an ordinary one.
//! - The reliabilities are used only where they are identified ([`NotIdentified`]): with one voter, with hardly any answers
//!   in common, with answers that never agree, or where voters who differ explain the file no better than voters who are all
//!   alike (by BIC), nothing was learned and the plain vote stands.
//! - A vote then weighs `ln (r / (1 - r)) + ln (K - 1)`, the optimal weight of an independent voter with reliability `r`
//!   among `K` answers of which the wrong ones are equally likely (arXiv 2510.01499 builds on it); `ln (K - 1)` is
//!   [`WRONG_ANSWERS`].

mod em;
mod table;
#[cfg(test)]
mod tests;

use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::sample_set::{Candidate, SampleSet};

pub use table::{CoFailure, VoterRow, VoterTable};

/// Answers that the prior of a reliability is worth.
pub const PRIOR: f64 = 4.0;

/// `ln (K - 1)` of a vote's weight: about three wrong answers to choose from. Chosen in trials on the pools of docs/decision.md:
/// 1 and 2 differ by at most a point there, 0 is worse, on MATH by several points.
pub const WRONG_ANSWERS: f64 = 1.0;

/// Reliabilities are kept within these, so that no voter decides alone or counts for nothing.
const BOUNDS: (f64, f64) = (0.02, 0.98);

/// What a file shows of one voter.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Voter {
    /// Its name, as candidates say it.
    pub name: String,
    /// The probability that its answer is right.
    pub reliability: f64,
    /// How many answers that was learned from.
    #[serde(default)]
    pub answers: u64,
}

/// Voters with their reliabilities; as a file: `{"voters": [{"name", "reliability", "answers"?}], "theta"?}`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Reliabilities {
    /// Each voter once, by name.
    pub voters: Vec<Voter>,
    /// How readily wrong answers differ: the weight of a new class.
    #[serde(default = "usual_theta")]
    pub theta: f64,
}

fn usual_theta() -> f64 {
    10.0
}

/// Why reliabilities cannot be learned from a file.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum NotIdentified {
    /// Nobody says who wrote the candidates.
    #[error("no candidate names its voter: expected a field `model`, or name the field with --voter FIELD")]
    NoNames,
    /// One voter cannot be compared with anyone.
    #[error("all candidates are of one voter, `{0}`: there is nobody to compare it with")]
    OneVoter(String),
    /// Hardly any set has answers of two voters.
    #[error("only {sets} sets have answers of two or more voters: at least {expected} are needed")]
    TooFew {
        /// Sets with two voters' answers.
        sets: usize,
        /// How many are needed.
        expected: usize,
    },
    /// Answers agree no more than wrong ones do.
    #[error("the voters hardly ever agree, so nothing tells right from wrong")]
    NoAgreement,
    /// All voters look alike.
    #[error("the voters do not differ by more than chance")]
    Alike,
}

/// Why a file of reliabilities is none.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum ReliabilityError {
    /// Not between 0 and 1.
    #[error("the reliability of `{name}` is {value}: expected a probability between 0 and 1")]
    NotAProbability {
        /// Whose.
        name: String,
        /// What is there.
        value: f64,
    },
    /// Twice the same name.
    #[error("voter `{0}` stands twice")]
    Twice(String),
    /// Nobody.
    #[error("there are no voters")]
    Empty,
    /// Not a weight.
    #[error("`theta` is {0}: expected a positive number")]
    Theta(f64),
}

impl Reliabilities {
    /// Checks what was read from a file.
    ///
    /// # Errors
    /// Where a reliability is no probability or a name stands twice.
    pub fn check(mut self) -> Result<Self, ReliabilityError> {
        if self.voters.is_empty() {
            return Err(ReliabilityError::Empty);
        }
        if !(self.theta.is_finite() && self.theta > 0.0) {
            return Err(ReliabilityError::Theta(self.theta));
        }
        if let Some(voter) = self.voters.iter().find(|voter| !(0.0..=1.0).contains(&voter.reliability)) {
            let (name, value) = (voter.name.clone(), voter.reliability);
            return Err(ReliabilityError::NotAProbability { name, value });
        }
        self.sort();
        match self.voters.windows(2).find(|pair| pair[0].name == pair[1].name) {
            Some(pair) => Err(ReliabilityError::Twice(pair[0].name.clone())),
            None => Ok(self),
        }
    }

    /// Puts the voters in the order in which they are looked up: there may be as many as candidates.
    fn sort(&mut self) {
        self.voters.sort_by(|a, b| a.name.cmp(&b.name));
    }

    /// The reliability of a voter; of one that is not known, or has no name, the mean.
    pub fn of(&self, name: Option<&str>) -> f64 {
        let place =
            name.and_then(|name| self.voters.binary_search_by(|voter| voter.name.as_str().cmp(name)).ok());
        let reliability = place.map_or_else(|| self.mean(), |place| self.voters[place].reliability);
        reliability.clamp(BOUNDS.0, BOUNDS.1)
    }

    /// The mean reliability of an answer.
    pub fn mean(&self) -> f64 {
        let weight = |voter: &Voter| voter.answers.max(1) as f64;
        let total: f64 = self.voters.iter().map(weight).sum();
        self.voters.iter().map(|voter| voter.reliability * weight(voter)).sum::<f64>() / total
    }

    /// The reliabilities of the voters of a set's candidates, one a candidate.
    pub fn of_set(&self, set: &SampleSet, field: Option<&str>) -> Vec<f64> {
        set.candidates.iter().map(|candidate| self.of(voter_of(candidate, field).as_deref())).collect()
    }

    /// The probability of each class being right, and last that of none, of candidates with these reliabilities.
    pub fn posterior(&self, clusters: &[Cluster], reliabilities: &[f64]) -> Vec<f64> {
        let of = |candidate: &usize| reliabilities.get(*candidate).copied().unwrap_or(0.5);
        em::posterior(clusters.iter().map(|cluster| cluster.candidates.iter().map(of)), self.theta)
    }
}

/// The logarithm of the odds of a probability within [`BOUNDS`].
pub(crate) fn log_odds(probability: f64) -> f64 {
    let probability = probability.clamp(BOUNDS.0, BOUNDS.1);
    libm::log(probability / (1.0 - probability))
}

/// The weight of a vote of a voter with this reliability. Never negative: who is mostly wrong does not speak against what
/// it says.
pub fn weight(reliability: f64) -> f64 {
    (log_odds(reliability) + WRONG_ANSWERS).max(0.0)
}

/// Who wrote a candidate: its `model`, or what stands in `field`.
pub fn voter_of(candidate: &Candidate, field: Option<&str>) -> Option<String> {
    match field {
        None | Some("model") => candidate.model.clone(),
        Some(field) => match candidate.extra.get(field)? {
            serde_json::Value::String(name) => Some(name.clone()),
            serde_json::Value::Null => None,
            other => Some(crate::json_text(other)),
        },
    }
}
