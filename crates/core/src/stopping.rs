//! When enough candidates have been asked for: rules of stopping, and what more candidates would bring.
//!
//! A rule looks at a [`Tally`]: the three largest classes of equal answers, the candidates drawn and the budget. That is all
//! it needs: for a prior over shapes of answers, the two largest classes and the rest already stop as early as the whole
//! posterior would, in the limit (Huang, Ma and Zhou, arXiv 2602.05395).
//!
//! - [`StopRule::Beta`] has no prior: the leader against the second with a flat prior on their shares (adaptive
//!   consistency, [`lead_probability`]).
//! - [`StopRule::Learned`] knows from finished sets how answers spread: an urn of two numbers ([`urn`]), which
//!   [`fit_stop_prior`] fits without any reference ([`fit`]), and asks how probable it is that the candidates left would
//!   still change the winner.
//! - Both stop where the candidates left cannot change the winner at all ([`Tally::is_decided`]).
//!
//! [`forecast`] says from two labelled calls a problem what a majority of more calls is worth. Everything here is a pure
//! function of plain numbers. What does not live here: who asks for candidates (hosts), and whether the model decides
//! ([`crate::router`]).

pub mod fit;
pub mod forecast;
pub mod urn;

pub use fit::{History, fit_stop_prior};
pub use forecast::{Moments, VoteForecast};
pub use urn::{StopLevel, StopPrior};

use crate::vote::{Vote, lead_probability};

/// From this probability on the vote's lead is taken as stable: 4-0, 6-1, 8-2, 9-3 pass; 3-0, 5-1, 7-2, 8-3 do not.
pub const STABLE: f64 = 0.95;

/// Where a set stands while candidates come in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Tally {
    largest: [u64; 3],
    drawn: u64,
    budget: u64,
}

impl Tally {
    /// From the sizes of all classes of equal answers (or of the three largest), in any order; of `drawn` candidates, those
    /// without an answer too; `budget` is how many may be drawn in all.
    pub fn new(classes: impl IntoIterator<Item = u64>, drawn: u64, budget: u64) -> Self {
        let mut largest = [0; 3];
        for class in classes {
            let place = largest.iter().position(|&other| class > other);
            if let Some(place) = place {
                largest[place..].rotate_right(1);
                largest[place] = class;
            }
        }
        let counted = largest.iter().fold(0u64, |sum, &class| sum.saturating_add(class));
        Self { largest, drawn: drawn.max(counted), budget }
    }

    /// Where a vote stands of which `budget` candidates may be drawn.
    pub fn of(vote: &Vote, budget: u64) -> Self {
        let classes = vote.clusters.iter().map(|cluster| cluster.candidates.len() as u64);
        Self::new(classes, vote.readings.len() as u64, budget)
    }

    /// Candidates of the largest class.
    pub fn top(&self) -> u64 {
        self.largest[0]
    }

    /// Candidates of the second largest class.
    pub fn second(&self) -> u64 {
        self.largest[1]
    }

    /// Candidates of the third largest class.
    pub fn third(&self) -> u64 {
        self.largest[2]
    }

    /// Candidates of all other classes, and those without an answer.
    pub fn rest(&self) -> u64 {
        self.largest.iter().fold(self.drawn, |rest, &class| rest.saturating_sub(class))
    }

    /// Candidates drawn.
    pub fn drawn(&self) -> u64 {
        self.drawn
    }

    /// Candidates that may still be drawn.
    pub fn remaining(&self) -> u64 {
        self.budget.saturating_sub(self.drawn)
    }

    /// Whether no candidates to come can change the winner: nothing is left to draw, or the leader stays ahead even if all
    /// that are left agree with the second. (A tie would go to whoever was there first, which a tally does not know.)
    pub fn is_decided(&self) -> bool {
        self.remaining() == 0 || self.top() > self.second().saturating_add(self.remaining())
    }
}

/// When to stop asking for candidates.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum StopRule {
    /// Where P(share of the leader > share of the second) under a flat prior is at least `level`
    /// ([`lead_probability`]; Aggarwal et al., adaptive consistency, arXiv 2305.11860).
    Beta {
        /// From where on the lead is taken as stable.
        level: f64,
    },
    /// Where, under a prior learnt from finished sets, the candidates left change the winner with at most `level`
    /// ([`StopPrior::change_probability`]).
    Learned {
        /// How answers spread.
        prior: StopPrior,
        /// The most that is risked.
        level: f64,
    },
}

impl StopRule {
    /// The flat prior at the level [`STABLE`].
    pub const BETA: Self = Self::Beta { level: STABLE };

    /// The prior, at the level for which a share of `agreement` of stopped sets has the winner of the whole budget.
    pub fn learned(prior: StopPrior, agreement: f64) -> Self {
        Self::Learned { level: prior.level(agreement), prior }
    }

    /// Whether asking should stop.
    pub fn stops(&self, tally: &Tally) -> bool {
        tally.is_decided()
            || match self {
                Self::Beta { level } => lead_probability(tally.top(), tally.second()) >= *level,
                Self::Learned { prior, level } => {
                    prior.change_probability(tally, tally.remaining()) <= *level
                }
            }
    }
}

#[cfg(test)]
mod tests;
