//! Votes that do not count the same.

use super::Ballot;
use crate::result::ConfidenceKind;

impl Ballot {
    /// The vote with a weight a candidate: the class with the largest sum wins, of equal ones that of the earliest candidate.
    /// Records stay as they are: their fields are merged by count. Confidence is the winner's part of all weights.
    pub fn weighed(mut self, weights: &[f64]) -> Self {
        if self.record.is_some() || self.vote.clusters.is_empty() {
            return self;
        }
        let weight = |at: &usize| weights.get(*at).copied().unwrap_or(0.0);
        let mut best = 0;
        let mut most = f64::NEG_INFINITY;
        for (at, cluster) in self.vote.clusters.iter().enumerate() {
            let sum: f64 = cluster.candidates.iter().map(weight).sum();
            let is_earlier = cluster.candidates.first() < self.vote.clusters[best].candidates.first();
            if sum > most || sum == most && is_earlier {
                (best, most) = (at, sum);
            }
        }
        let total: f64 = weights.iter().sum();
        self.vote.winner = Some(best);
        self.answer = self.vote.answer().map(str::to_owned);
        self.abstained = None;
        self.confidence = if total > 0.0 { most / total } else { 0.0 };
        self.confidence_kind = ConfidenceKind::Share;
        self
    }
}
