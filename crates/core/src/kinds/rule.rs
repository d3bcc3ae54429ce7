//! When the votes decide: rules, ties and the median of an order.

use serde::{Deserialize, Serialize};

use crate::cluster::Cluster;
use crate::order::in_order;

/// How many votes a class of answers needs. All candidates are counted in `of`, those without an answer too: who failed to vote
/// did not agree.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Rule {
    /// More than any other class.
    #[default]
    Plurality,
    /// More than half of all candidates.
    Strict,
    /// All candidates.
    Unanimous,
    /// At least this number, and more than any other class.
    AtLeast(usize),
}

impl Rule {
    /// Reads `plurality`, `strict`, `unanimous` or `at-least 3` (also `at-least=3`).
    pub fn parse(text: &str) -> Option<Self> {
        match text.trim() {
            "plurality" => Some(Rule::Plurality),
            "strict" => Some(Rule::Strict),
            "unanimous" => Some(Rule::Unanimous),
            other => {
                let number = other.strip_prefix("at-least")?.trim_start_matches(['=', ' ', ':']);
                number.parse().ok().filter(|&least| least > 0).map(Rule::AtLeast)
            }
        }
    }
}

/// Who wins where several classes have the most votes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ties {
    /// Nobody.
    Abstain,
    /// The class of the earliest candidate.
    First,
}

/// Why a vote that has answers gives none.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Abstention {
    /// Several classes have the most votes.
    Tie,
    /// The largest class has too few votes for the rule.
    TooFew,
    /// The confidence is below what was asked for.
    Unsure,
}

impl Abstention {
    /// Its name in results: `too_few`.
    pub fn name(self) -> &'static str {
        match self {
            Abstention::Tie => "tie",
            Abstention::TooFew => "too_few",
            Abstention::Unsure => "unsure",
        }
    }
}

/// The class that wins by `rule`, of classes in the order of their votes; or why none does, where there are any.
pub fn decide(
    clusters: &[Cluster],
    num_candidates: usize,
    rule: Rule,
    ties: Ties,
) -> Result<Option<usize>, Abstention> {
    let votes = |at: usize| clusters.get(at).map_or(0, |cluster| cluster.candidates.len());
    decide_votes(votes(0), votes(1), num_candidates, rule, ties).map(|is_won| is_won.then_some(0))
}

/// As [`decide`], of the votes of the two largest classes: whether the first wins; false where there is none.
pub(crate) fn decide_votes(
    votes: usize,
    second: usize,
    num_candidates: usize,
    rule: Rule,
    ties: Ties,
) -> Result<bool, Abstention> {
    if votes == 0 {
        return Ok(false);
    }
    let is_enough = match rule {
        Rule::Plurality => true,
        Rule::Strict => 2 * votes > num_candidates,
        Rule::Unanimous => votes == num_candidates,
        Rule::AtLeast(least) => votes >= least,
    };
    let is_tied = second == votes;
    match (is_enough, is_tied, ties) {
        (false, ..) => Err(Abstention::TooFew),
        (true, true, Ties::Abstain) => Err(Abstention::Tie),
        _ => Ok(true),
    }
}

/// The class in the middle of an order: `places` are the classes' places in it. Where the two middle votes of an even number are
/// of two classes, that is a tie, which [`Ties::First`] gives to the lower one.
pub fn median(clusters: &[Cluster], places: &[usize], ties: Ties) -> Result<Option<usize>, Abstention> {
    let votes: Vec<usize> = clusters.iter().map(|cluster| cluster.candidates.len()).collect();
    median_votes(&votes, places, ties)
}

/// As [`median`], of the classes' votes.
pub(crate) fn median_votes(
    votes: &[usize],
    places: &[usize],
    ties: Ties,
) -> Result<Option<usize>, Abstention> {
    let order = in_order(votes.len(), &|a, b| places[a].cmp(&places[b]));
    let total: usize = votes.iter().sum();
    if total == 0 {
        return Ok(None);
    }
    let at = |vote: usize| {
        let mut seen = 0;
        order.iter().copied().find(|&class| {
            seen += votes[class];
            seen > vote
        })
    };
    let (lower, upper) = (at((total - 1) / 2), at(total / 2));
    match lower == upper || ties == Ties::First {
        true => Ok(lower),
        false => Err(Abstention::Tie),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn clusters(votes: &[usize]) -> Vec<Cluster> {
        let mut next = 0;
        votes
            .iter()
            .map(|&count| {
                let candidates: Vec<usize> = (next..next + count).collect();
                next += count;
                Cluster {
                    answer: String::new(),
                    candidates,
                    forms: Vec::new(),
                    found_by: None,
                    fits: Vec::new(),
                }
            })
            .collect()
    }

    #[test]
    fn rules_count_all_candidates() {
        use Abstention::{Tie, TooFew};
        use Ties::{Abstain, First};
        let decided = |votes: &[usize], of, rule, ties| decide(&clusters(votes), of, rule, ties);
        assert_eq!(decided(&[2, 1], 5, Rule::Plurality, Abstain), Ok(Some(0)));
        assert_eq!(decided(&[2, 2], 5, Rule::Plurality, Abstain), Err(Tie));
        assert_eq!(decided(&[2, 2], 5, Rule::Plurality, First), Ok(Some(0)));
        assert_eq!(decided(&[2], 4, Rule::Strict, Abstain), Err(TooFew), "two failed");
        assert_eq!(decided(&[3], 5, Rule::Strict, Abstain), Ok(Some(0)));
        assert_eq!(decided(&[3], 4, Rule::Unanimous, Abstain), Err(TooFew));
        assert_eq!(decided(&[4], 4, Rule::Unanimous, Abstain), Ok(Some(0)));
        assert_eq!(decided(&[3, 3], 6, Rule::AtLeast(3), Abstain), Err(Tie));
        assert_eq!(decided(&[3, 2], 6, Rule::AtLeast(4), Abstain), Err(TooFew));
        assert_eq!(decided(&[], 3, Rule::Strict, Abstain), Ok(None));
    }

    #[test]
    fn the_median_is_of_the_order() {
        let median = |votes: &[usize], places: &[usize], ties| median(&clusters(votes), places, ties);
        assert_eq!(median(&[2, 1, 2], &[0, 1, 2], Ties::Abstain), Ok(Some(1)));
        assert_eq!(median(&[3, 1, 1], &[4, 0, 1], Ties::Abstain), Ok(Some(0)));
        assert_eq!(median(&[1, 1], &[3, 1], Ties::Abstain), Err(Abstention::Tie));
        assert_eq!(median(&[1, 1], &[3, 1], Ties::First), Ok(Some(1)));
        assert_eq!(median(&[], &[], Ties::First), Ok(None));
    }

    #[test]
    fn rules_have_names() {
        assert_eq!(Rule::parse("at-least 3"), Some(Rule::AtLeast(3)));
        assert_eq!(Rule::parse("at-least=2"), Some(Rule::AtLeast(2)));
        assert_eq!(Rule::parse("strict"), Some(Rule::Strict));
        for none in ["", "majority", "at-least", "at-least 0", "at-least -1"] {
            assert_eq!(Rule::parse(none), None, "{none}");
        }
    }
}
