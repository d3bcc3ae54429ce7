//! The ranker: which class of answers is right, and how sure that is, learned without a language model.
//!
//! A conditional logit (McFadden 1974) over the classes of a set and "none of these": each class has a utility, a weighted sum
//! of what can be seen of it (its votes, how its candidates' texts look and reckon, and how reliable its voters are where that
//! is known, never their names), "none" has one of what can be seen of the set, and the probabilities are their softmax.
//! The class with the largest probability is the answer, and its probability is the confidence: that of being right.
//!
//! Weights are a small JSON file ([`Ranker::read`]); the built-in ones are for mathematics ([`Ranker::builtin`]). [`fit`] makes
//! others from labelled sets. All of it is arithmetic on the texts, with the same bits natively and in wasm.

mod features;
pub mod fit;
mod signs;
#[cfg(test)]
mod tests;
pub mod votes;
mod weights;
mod working;

use crate::sample_set::SampleSet;
use crate::vote::Vote;
use crate::voters::Reliabilities;
use features::Features;
use signs::Look;

use weights::Weights;
pub use weights::{KindRanker, Ranker, RankerError};

/// Probabilities over the classes of a set.
#[derive(Debug, Clone, PartialEq)]
pub struct Ranking {
    /// That each class is right, in the order of the vote's clusters.
    pub classes: Vec<f64>,
    /// That none is.
    pub none: f64,
    /// The class with the largest probability; of equal ones the first.
    pub best: Option<usize>,
}

impl Ranking {
    /// Of utilities, that of none last: their softmax.
    fn of(logits: Vec<f64>) -> Self {
        let most = logits.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let mut classes: Vec<f64> = logits.iter().map(|logit| libm::exp(logit - most)).collect();
        let total: f64 = classes.iter().sum();
        classes.iter_mut().for_each(|weight| *weight /= total);
        let none = classes.pop().unwrap_or(1.0);
        let mut best = None;
        for (at, probability) in classes.iter().enumerate() {
            if best.is_none_or(|best: usize| *probability > classes[best]) {
                best = Some(at);
            }
        }
        Self { classes, none, best }
    }

    /// The probability that the best class is right; 0 where there is none.
    pub fn confidence(&self) -> f64 {
        self.best.map_or(0.0, |best| self.classes[best])
    }
}

/// Ranks the classes of sets: a ranker, and what is known of the voters.
#[derive(Debug, Clone, Copy)]
pub struct Judge<'a> {
    /// The weights.
    pub ranker: &'a Ranker,
    /// Reliabilities of voters, and the field of candidates that names them (none: `model`).
    pub voters: Option<(&'a Reliabilities, Option<&'a str>)>,
}

impl Judge<'_> {
    /// The probabilities of a vote's classes, of answers of a kind ([`crate::AnswerKind::name`]). None where the ranker has no
    /// weights for the kind, or the set is not like those it was fitted on: it has too few or too many candidates.
    pub fn rank(&self, kind: &str, set: &SampleSet, vote: &Vote) -> Option<Ranking> {
        let ranker = self.ranker.of_kind(kind)?;
        let weights = ranker.of(self.voters.is_some())?;
        if vote.clusters.is_empty() || !ranker.is_for(set.candidates.len()) {
            return None;
        }
        let of = self.voters.map(|(learned, field)| (learned, learned.of_set(set, field)));
        let voters = of.as_ref().map(|(learned, of)| (*learned, of.as_slice()));
        // Texts are looked at only where that counts: it takes as long as reading their answers.
        let looks = match weights.has_signs() {
            true => signs::looks(set, &vote.readings),
            false => vec![Look::default(); set.candidates.len()],
        };
        Some(weights.rank(&features::features(&looks.iter().collect::<Vec<_>>(), &vote.clusters, voters)))
    }
}

impl Weights {
    fn rank(&self, features: &Features) -> Ranking {
        let utility = |row: &[f64], weights: &[f64]| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
        let mut logits: Vec<f64> = features.classes.iter().map(|row| utility(row, &self.classes)).collect();
        logits.push(utility(&features.set, &self.set));
        Ranking::of(logits)
    }
}
