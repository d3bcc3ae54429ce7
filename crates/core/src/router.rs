//! Whether the vote is enough or the model is asked.

use serde::{Deserialize, Serialize};

use crate::sample_set::SampleSet;
use crate::vote::Vote;

/// From this probability of being right on the vote's answer is taken without the model.
pub const ENOUGH_CORRECT: f64 = 0.9;

/// From this share of all candidates on the vote's winner is taken without the model, where nobody knows how probably it is right: from 3
/// to 0, 4 to 1, 8 to 2 and 16 to 4 on. The lead's probability would let more through with every candidate added, and candidates fall
/// into the same traps.
pub const ENOUGH_SHARE: f64 = 0.8;

/// When the model is asked.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Policy {
    /// Where the vote may well be wrong.
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

/// Who decides, by `policy`, the vote, and the probability that its answer is `correct`, where that is known.
pub fn route(policy: Policy, vote: &Vote, correct: Option<f64>) -> Route {
    let is_enough = match (policy, correct) {
        (Policy::Always, _) => false,
        (Policy::Vote, _) => true,
        (Policy::Auto, Some(correct)) => correct >= ENOUGH_CORRECT,
        (Policy::Auto, None) => vote.share() >= ENOUGH_SHARE,
    };
    if is_enough { Route::Vote } else { Route::Model }
}

/// Who decides `set`, whose vote this is: what every host asks. Where there are no candidates there is nothing to aggregate.
pub fn route_set(policy: Policy, set: &SampleSet, vote: &Vote) -> Route {
    match set.candidates.is_empty() {
        true => Route::Vote,
        false => route(policy, vote, None),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::{NoAnswer, Reading, Tier};
    use crate::vote::{majority_vote, vote_on};

    /// `a` votes against `b`, and `silent` candidates without an answer.
    fn vote(a: usize, b: usize, silent: usize) -> Vote {
        let of = |answer: &str, count| std::iter::repeat_n(Reading::found(answer, Tier::Boxed), count);
        let none = std::iter::repeat_n(Reading::none(NoAnswer::NotFound), silent);
        vote_on(of("7", a).chain(of("8", b)).chain(none).collect())
    }

    #[test]
    fn auto_follows_the_share_of_all_candidates() {
        for (a, b, silent) in [(1, 0, 0), (3, 0, 0), (4, 1, 0), (4, 0, 1), (8, 2, 0), (12, 2, 1), (16, 4, 0)]
        {
            assert_eq!(
                route(Policy::Auto, &vote(a, b, silent), None),
                Route::Vote,
                "{a}-{b}, {silent} silent"
            );
        }
        for (a, b, silent) in [(0, 0, 0), (0, 0, 3), (2, 1, 0), (3, 1, 0), (3, 0, 1), (6, 2, 0), (79, 1, 20)]
        {
            assert_eq!(
                route(Policy::Auto, &vote(a, b, silent), None),
                Route::Model,
                "{a}-{b}, {silent} silent"
            );
        }
    }

    #[test]
    fn auto_believes_the_probability_of_being_right_where_it_is_known() {
        assert_eq!(route(Policy::Auto, &vote(9, 0, 0), Some(0.5)), Route::Model);
        assert_eq!(route(Policy::Auto, &vote(2, 2, 5), Some(ENOUGH_CORRECT)), Route::Vote);
        assert_eq!(route(Policy::Auto, &vote(9, 0, 0), Some(f64::NAN)), Route::Model);
    }

    #[test]
    fn the_other_policies_do_not_look() {
        for correct in [None, Some(0.0), Some(1.0)] {
            assert_eq!(route(Policy::Always, &vote(9, 0, 0), correct), Route::Model);
            assert_eq!(route(Policy::Vote, &vote(1, 1, 0), correct), Route::Vote);
        }
    }

    #[test]
    fn nothing_is_asked_about_no_candidates() {
        let value = serde_json::json!({"id": "s", "problem": "p", "candidates": []});
        let set = SampleSet::try_from(value).unwrap();
        assert_eq!(route_set(Policy::Always, &set, &majority_vote(&set)), Route::Vote);
    }
}
