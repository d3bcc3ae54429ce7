//! Majority votes over classes of equal answers, and how stable they are.
//!
//! A vote counts *answered* candidates only and breaks ties by the earliest candidate. It always exists, as the fallback
//! for everything else; a set in which no candidate has an answer has a vote without a winner.

use crate::cluster::{Cluster, cluster_readings};
use crate::equivalence::{Answer, is_equivalent};
use crate::reader::{Reading, Tier, read_candidates};
use crate::sample_set::SampleSet;

/// The outcome of a vote.
#[derive(Debug, Clone, PartialEq)]
pub struct Vote {
    /// The candidates' answers by equivalence, larger first, ties by the earliest candidate.
    pub clusters: Vec<Cluster>,
    /// Index in `clusters` of the winner.
    pub winner: Option<usize>,
    /// Candidates with an answer.
    pub answered: usize,
    /// [`lead_probability`] of the winner over the strongest other cluster, by candidates (not weights); 0 without a
    /// winner. This is the stability of the vote, not the probability of being correct.
    pub confidence: f64,
    /// What was read in each candidate, in order.
    pub readings: Vec<Reading>,
}

impl Vote {
    /// The winning answer.
    pub fn answer(&self) -> Option<&str> {
        Some(self.clusters.get(self.winner?)?.answer.as_str())
    }

    /// The votes of the winner over all candidates, those without an answer too; 0 without a winner.
    pub fn share(&self) -> f64 {
        let winner = self.winner.and_then(|winner| self.clusters.get(winner));
        let votes = winner.map_or(0, |winner| winner.candidates.len());
        votes as f64 / self.readings.len().max(1) as f64
    }

    /// Whether a candidate has this answer, which was announced as one, in any of the forms in which it was written.
    pub fn has(&self, announced: &str) -> bool {
        let announced = Answer::found_by(announced, Some(Tier::AnswerTag));
        self.clusters.iter().any(|cluster| {
            let of_form = |form: &String| Answer::found_by(form, cluster.found_by);
            cluster.forms.iter().any(|form| is_equivalent(&of_form(form), &announced))
        })
    }
}

/// Why a weighted vote cannot be held.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum VoteError {
    /// Not one weight a candidate.
    #[error("expected one weight a candidate: {candidates} candidates, {weights} weights")]
    WrongLength {
        /// Candidates in the set.
        candidates: usize,
        /// Weights given.
        weights: usize,
    },
    /// A weight is negative, infinite or not a number.
    #[error("weight {index} is {weight}: expected a finite number that is not negative")]
    BadWeight {
        /// Which candidate's, from 0.
        index: usize,
        /// The weight.
        weight: f64,
    },
}

/// The majority vote of the candidates of `set`.
pub fn majority_vote(set: &SampleSet) -> Vote {
    vote_on(read_candidates(set))
}

/// The vote over what was read in the candidates.
pub fn vote_on(readings: Vec<Reading>) -> Vote {
    let clusters = cluster_readings(&readings);
    let winner = (!clusters.is_empty()).then_some(0);
    finished(readings, clusters, winner)
}

/// The vote in which each candidate counts as much as its weight. Ties go to the earliest candidate among the heaviest
/// clusters; where all weights are 0, the earliest answered candidate wins.
///
/// # Errors
/// Where there is not one finite, non-negative weight a candidate.
pub fn weighted_vote(set: &SampleSet, weights: &[f64]) -> Result<Vote, VoteError> {
    if weights.len() != set.candidates.len() {
        return Err(VoteError::WrongLength { candidates: set.candidates.len(), weights: weights.len() });
    }
    if let Some((index, &weight)) = weights.iter().enumerate().find(|(_, w)| !w.is_finite() || **w < 0.0) {
        return Err(VoteError::BadWeight { index, weight });
    }
    let readings = read_candidates(set);
    let clusters = cluster_readings(&readings);
    let mut winner: Option<(usize, f64)> = None;
    for (index, cluster) in clusters.iter().enumerate() {
        let weight: f64 = cluster.candidates.iter().map(|&candidate| weights[candidate]).sum();
        let earlier = |best: usize| cluster.candidates.first() < clusters[best].candidates.first();
        if winner.is_none_or(|(best, most)| weight > most || (weight == most && earlier(best))) {
            winner = Some((index, weight));
        }
    }
    Ok(finished(readings, clusters, winner.map(|(index, _)| index)))
}

pub(crate) fn finished(readings: Vec<Reading>, clusters: Vec<Cluster>, winner: Option<usize>) -> Vote {
    let votes = |index: usize| clusters[index].candidates.len() as u64;
    let confidence = winner.map_or(0.0, |winner| {
        let rival = (0..clusters.len()).filter(|&index| index != winner).map(votes).max().unwrap_or(0);
        lead_probability(votes(winner), rival)
    });
    Vote {
        answered: clusters.iter().map(|cluster| cluster.candidates.len()).sum(),
        winner,
        confidence,
        clusters,
        readings,
    }
}

/// P(p > 1/2) for p ~ Beta(a + 1, b + 1): how probable it is, after `a` votes against `b` and a flat prior, that more
/// draws would keep the first class ahead of the second (adaptive consistency's rule).
///
/// Exact: the tail of a Beta with whole parameters is a binomial sum, P = sum over j <= a of C(n, j) / 2^n with
/// n = a + b + 1. Computed outwards from the largest term by ratios, with the shorter tail summed, so that counts of any
/// size neither overflow nor lose digits; with the same bits natively and in wasm.
pub fn lead_probability(a: u64, b: u64) -> f64 {
    if a == b {
        return 0.5;
    }
    let (low, n) = bounded(a, b);
    // Symmetry: P(a, b) = 1 - P(b, a). The smaller tail is the sum over j <= low = min(a, b) of C(n, j), here in units
    // of its last and largest term.
    let (mut sum, mut term, mut j) = (1.0, 1.0, low);
    while j > 0.0 && term > sum * f64::EPSILON * 0.01 {
        term *= j / (n - j + 1.0); // C(n, j-1) / C(n, j)
        sum += term;
        j -= 1.0;
    }
    let tail = libm::exp(ln_binomial(n, low) + libm::log(sum));
    if a < b { tail } else { 1.0 - tail }
}

/// The smaller count and n = a + b + 1, as numbers. The sum takes about sqrt(n) steps, so beyond 2^40 votes both are
/// replaced by smaller counts with the same (a - b) / sqrt(n), on which alone the tail depends there (up to 1/n).
fn bounded(a: u64, b: u64) -> (f64, f64) {
    const MOST: f64 = (1u64 << 40) as f64;
    let n = a as f64 + b as f64 + 1.0;
    if n <= MOST {
        return (a.min(b) as f64, n);
    }
    let lead = a.abs_diff(b) as f64 * (MOST / n).sqrt();
    (((MOST - 1.0 - lead) / 2.0).floor().max(0.0), MOST)
}

/// ln (C(n, k) / 2^n) for k <= n / 2: a product for small k; else Stirling's series, with the large parts of the three
/// factorials combined before anything is rounded: -n ((1 + d) ln(1 + d) + (1 - d) ln(1 - d)) / 2 with d = 1 - 2 k / n.
fn ln_binomial(n: f64, k: f64) -> f64 {
    if k <= 64.0 {
        let choose: f64 = (1..=k as u64).map(|i| libm::log((n - k + i as f64) / i as f64)).sum();
        return choose - n * std::f64::consts::LN_2;
    }
    let d = (n - 2.0 * k) / n;
    let divergence = ((1.0 + d) * libm::log1p(d) + (1.0 - d) * libm::log1p(-d)) / 2.0;
    let spread = libm::log(2.0 * std::f64::consts::PI * k * (n - k) / n) / 2.0;
    stirling_rest(n) - stirling_rest(k) - stirling_rest(n - k) - n * divergence - spread
}

/// What Stirling's formula lacks of ln n!; the first term left out is below 1e-16 for n > 64.
fn stirling_rest(n: f64) -> f64 {
    let square = n * n;
    (1.0 / 12.0 - (1.0 / 360.0 - (1.0 / 1260.0 - 1.0 / (1680.0 * square)) / square) / square) / n
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::sample_set::Candidate;
    use num_bigint::BigUint;
    use num_traits::{One, ToPrimitive};

    fn set(answers: &[&str]) -> SampleSet {
        let candidates = answers
            .iter()
            .map(|answer| Candidate { text: answer.to_string(), ..Default::default() })
            .collect();
        SampleSet {
            id: "s".into(),
            problem: "p".into(),
            reference_answer: None,
            candidates,
            extra: Default::default(),
        }
    }

    /// The same sum in whole numbers, rounded once.
    fn exact(a: u64, b: u64) -> f64 {
        let n = a + b + 1;
        let (mut choose, mut sum) = (BigUint::one(), BigUint::one());
        for j in 1..=a {
            choose = choose * (n - j + 1) / j;
            sum += &choose;
        }
        ((sum << 64u32) >> n).to_f64().unwrap() / 2f64.powi(64)
    }

    #[test]
    fn lead_probability_is_exact() {
        for a in 0..40 {
            for b in 0..40 {
                let (found, expected) = (lead_probability(a, b), exact(a, b));
                assert!((found - expected).abs() < 1e-14, "{a}-{b}: {found} {expected}");
            }
        }
        for (a, b) in [(300, 250), (1_000, 990), (5_000, 4_900), (70, 900), (66, 65), (65, 64), (65, 300)] {
            let (found, expected) = (lead_probability(a, b), exact(a, b));
            assert!((found - expected).abs() < 1e-13, "{a}-{b}: {found} {expected}");
        }
    }

    #[test]
    fn lead_probability_at_the_extremes() {
        assert_eq!(lead_probability(0, 0), 0.5);
        assert_eq!(lead_probability(4, 0), 1.0 - 1.0 / 32.0);
        assert_eq!(lead_probability(1_000_000_000, 0), 1.0);
        assert_eq!(lead_probability(0, 1_000_000_000), 0.0);
        let close = lead_probability(1_000_000_001, 1_000_000_000);
        assert!((close - 0.500_008_920_620_580_8).abs() < 1e-11, "{close}");
        let even = lead_probability(u64::MAX, u64::MAX - 1);
        assert!((even - 0.5).abs() < 1e-6, "{even}");
        assert_eq!(lead_probability(u64::MAX, 0), 1.0);
    }

    #[test]
    fn ties_go_to_the_earliest() {
        let vote = majority_vote(&set(&["7", "8", "8.0", "7", "I cannot say."]));
        assert_eq!((vote.answer(), vote.answered, vote.confidence), (Some("7"), 4, 0.5));
        assert_eq!(majority_vote(&set(&["7", "8", "8"])).answer(), Some("8"));
    }

    #[test]
    fn no_answer_is_a_vote_without_winner() {
        for answers in [&[][..], &["I cannot say."][..]] {
            let vote = majority_vote(&set(answers));
            assert_eq!((vote.answer(), vote.winner, vote.answered, vote.confidence), (None, None, 0, 0.0));
            assert_eq!((vote.share(), vote.has("7")), (0.0, false));
        }
    }

    #[test]
    fn the_share_is_of_all_candidates_and_any_form_is_an_answer() {
        let vote = majority_vote(&set(&["0.5", "1/2", "3", "I cannot say."]));
        assert_eq!(vote.share(), 0.5);
        for (answer, expected) in [("\\frac12", true), ("3.0", true), ("4", false), ("0.51", false)] {
            assert_eq!(vote.has(answer), expected, "{answer}");
        }
    }

    #[test]
    fn weights_decide() {
        let set = set(&["7", "8", "8", "9"]);
        let winner =
            |weights: &[f64]| weighted_vote(&set, weights).map(|vote| vote.answer().map(str::to_string));
        assert_eq!(winner(&[1.0; 4]).unwrap().as_deref(), Some("8"));
        assert_eq!(winner(&[3.0, 1.0, 1.0, 0.0]).unwrap().as_deref(), Some("7"));
        assert_eq!(winner(&[2.0, 1.0, 1.0, 2.0]).unwrap().as_deref(), Some("7"));
        assert_eq!(winner(&[0.0; 4]).unwrap().as_deref(), Some("7"));
        assert_eq!(winner(&[1.0; 3]), Err(VoteError::WrongLength { candidates: 4, weights: 3 }));
        assert!(matches!(winner(&[1.0, -1.0, f64::NAN, 0.0]), Err(VoteError::BadWeight { index: 1, .. })));
        let vote = weighted_vote(&set, &[3.0, 1.0, 1.0, 0.0]).unwrap();
        assert_eq!(vote.confidence, lead_probability(1, 2), "the stability counts candidates");
    }
}
