//! The votes on one item: over all its candidates, the first of them, or all but one.

use crate::kinds::{Rule, Ties, decide_votes, median_votes};

/// How a vote is decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Decision {
    Rule(Rule),
    Median,
}

impl Decision {
    pub(super) fn name(self) -> String {
        match self {
            Decision::Rule(Rule::Plurality) => "plurality".to_owned(),
            Decision::Rule(Rule::Strict) => "strict".to_owned(),
            Decision::Rule(Rule::Unanimous) => "unanimous".to_owned(),
            Decision::Rule(Rule::AtLeast(least)) => format!("at-least {least}"),
            Decision::Median => "median".to_owned(),
        }
    }
}

/// The votes of an item's classes, and what else decides.
pub(super) struct Votes {
    /// Candidates of each class, ascending.
    pub members: Vec<Vec<usize>>,
    /// Places of the classes in an order of labels; empty where they have none.
    pub places: Vec<usize>,
    pub ties: Ties,
}

impl Votes {
    /// The class that wins where each has so many votes, the earliest of them so early, of `of` candidates.
    fn outcome(&self, votes: &[usize], earliest: &[usize], of: usize, decision: Decision) -> Option<usize> {
        let rule = match decision {
            Decision::Median => return median_votes(votes, &self.places, self.ties).ok().flatten(),
            Decision::Rule(rule) => rule,
        };
        let (mut first, mut second) = (None::<usize>, 0);
        for (class, &count) in votes.iter().enumerate() {
            let Some(best) = first else {
                first = Some(class);
                continue;
            };
            if (count, earliest[best]) > (votes[best], earliest[class]) {
                second = votes[best];
                first = Some(class);
            } else {
                second = second.max(count);
            }
        }
        let best = first?;
        decide_votes(votes[best], second, of, rule, self.ties).is_ok_and(|is_won| is_won).then_some(best)
    }

    /// The outcome over the first `n` candidates.
    pub(super) fn of_first(&self, n: usize, decision: Decision) -> Option<usize> {
        let votes: Vec<usize> =
            self.members.iter().map(|members| members.partition_point(|&member| member < n)).collect();
        self.outcome(&votes, &self.earliest(), n, decision)
    }

    fn earliest(&self) -> Vec<usize> {
        self.members.iter().map(|members| members.first().copied().unwrap_or(usize::MAX)).collect()
    }

    /// The share of the votes with one candidate left out whose outcome is not `all`.
    pub(super) fn left_out(&self, candidates: usize, decision: Decision, all: Option<usize>) -> f64 {
        let mut votes: Vec<usize> = self.members.iter().map(Vec::len).collect();
        let mut earliest = self.earliest();
        let answered: usize = votes.iter().sum();
        let mut others = 0;
        for class in 0..votes.len() {
            votes[class] -= 1;
            // All but the earliest of a class leave the same behind.
            let rest = votes[class];
            if rest > 0 && self.outcome(&votes, &earliest, candidates - 1, decision) != all {
                others += rest;
            }
            let first = earliest[class];
            earliest[class] = self.members[class].get(1).copied().unwrap_or(usize::MAX);
            others += usize::from(self.outcome(&votes, &earliest, candidates - 1, decision) != all);
            earliest[class] = first;
            votes[class] += 1;
        }
        let silent = candidates.saturating_sub(answered);
        if silent > 0 && self.outcome(&votes, &earliest, candidates - 1, decision) != all {
            others += silent;
        }
        others as f64 / candidates as f64
    }
}

/// The share of pairs of the first `n` candidates that are in one class; none where there are no pairs.
pub(super) fn agreement(members: &[Vec<usize>], n: usize) -> Option<f64> {
    let pairs = |n: usize| n as f64 * (n as f64 - 1.0) / 2.0;
    let first = |members: &Vec<usize>| members.partition_point(|&member| member < n);
    (n > 1).then(|| members.iter().map(|members| pairs(first(members))).sum::<f64>() / pairs(n))
}
