//! How probably a vote on mathematics is right, of its counts alone: the built-in weights of a set whose voters are not known, as
//! numbers of the program, so that a page needs neither the file of weights nor what reads texts. A test holds them to the file.

use super::Ranking;
use super::features::{of_set, of_votes};
use crate::vote::Vote;

/// Of a class, in the order of its features of votes.
const CLASS: [f64; 6] = [0.769018, 0.532974, 1.15129, 0.330739, 0.174031, 0.37425];

/// Of "none of these", in the order of the features of a set.
const NONE: [f64; 7] = [6.16706, -1.41063, -2.02173, 1.30494, -0.221158, -4.94161, 0.0638039];

/// Candidates that can be judged.
const CANDIDATES: std::ops::RangeInclusive<usize> = 2..=28;

/// The probabilities of the classes of a vote on mathematics; none where it has too few or too many candidates.
pub fn correct(vote: &Vote) -> Option<Ranking> {
    if vote.clusters.is_empty() || !CANDIDATES.contains(&vote.readings.len()) {
        return None;
    }
    let k = vote.readings.len() as f64;
    let votes = |at: usize| vote.clusters.get(at).map_or(0.0, |cluster| cluster.candidates.len() as f64);
    let sum = |row: &[f64], weights: &[f64]| row.iter().zip(weights).map(|(x, w)| x * w).sum::<f64>();
    let classes = (0..vote.clusters.len()).map(|at| {
        let other = if at == 0 { votes(1) } else { votes(0) };
        sum(&of_votes(votes(at), other, k), &CLASS)
    });
    let none = of_set(votes(0), votes(1), vote.clusters.len(), vote.answered, k);
    Some(Ranking::of(classes.chain([sum(&none, &NONE)]).collect()))
}

#[cfg(test)]
mod tests {
    use crate::rank::{Judge, Ranker};
    use crate::sample_set::SampleSet;
    use crate::vote::majority_vote;
    use serde_json::json;

    #[test]
    fn the_numbers_are_those_of_the_file() {
        let judge = Judge { ranker: Ranker::builtin(), voters: None };
        for texts in [
            &["7", "8", "7", "hm"][..],
            &["7"; 2],
            &["1", "2", "3"],
            &["7"],
            &["hm", "hm"],
            &["7"; 29],
            &["8"; 28],
        ] {
            let candidates: Vec<_> = texts.iter().map(|text| json!({"text": text})).collect();
            let set =
                SampleSet::try_from(json!({"id": "s", "problem": "p", "candidates": candidates})).unwrap();
            let vote = majority_vote(&set);
            assert_eq!(super::correct(&vote), judge.rank("math", &set, &vote), "{texts:?}");
        }
    }
}
