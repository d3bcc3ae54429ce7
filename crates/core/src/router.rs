//! Whether the vote is enough or the model is asked.

use serde::{Deserialize, Serialize};

use crate::vote::Vote;

/// From this probability on the vote's lead is taken as stable: 4-0, 6-1, 8-2, 9-3 pass; 3-0, 5-1, 7-2, 8-3 do not.
pub const STABLE: f64 = 0.95;

/// When the model is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Where the vote is not stable.
    #[default]
    Auto,
    /// For every set that has candidates.
    Always,
    /// Never.
    Vote,
}

/// Who decides a set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Route {
    /// The majority vote.
    Vote,
    /// The aggregator.
    Model,
}

/// Who decides, by `policy` and the vote. (A set without candidates has nothing to aggregate: the prompt says so.)
pub fn route(policy: Policy, vote: &Vote) -> Route {
    match policy {
        Policy::Always => Route::Model,
        Policy::Vote => Route::Vote,
        Policy::Auto if vote.confidence >= STABLE => Route::Vote,
        Policy::Auto => Route::Model,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::vote::lead_probability;

    fn auto(a: u64, b: u64) -> Route {
        let vote = Vote {
            clusters: Vec::new(),
            winner: None,
            answered: 0,
            confidence: lead_probability(a, b),
            readings: Vec::new(),
        };
        route(Policy::Auto, &vote)
    }

    #[test]
    fn auto_follows_the_beta_rule() {
        for (a, b) in [(4, 0), (6, 1), (8, 2), (9, 3), (5, 0), (100, 50)] {
            assert_eq!(auto(a, b), Route::Vote, "{a}-{b}");
        }
        for (a, b) in [(3, 0), (5, 1), (7, 2), (8, 3), (0, 0), (1, 1), (50, 49)] {
            assert_eq!(auto(a, b), Route::Model, "{a}-{b}");
        }
    }

    #[test]
    fn the_other_policies_do_not_look() {
        let vote =
            Vote { clusters: Vec::new(), winner: None, answered: 0, confidence: 1.0, readings: Vec::new() };
        assert_eq!(route(Policy::Always, &vote), Route::Model);
        assert_eq!(route(Policy::Vote, &vote), Route::Vote);
    }
}
