//! Clusters: the answered candidates of a set, grouped by equivalence.
//!
//! What lives here: the grouping and its order. What does not: when two answers are equal ([`crate::equivalence`]),
//! what the groups decide ([`crate::vote`]).

use serde::{Deserialize, Serialize};

use crate::equivalence::{Answer, equivalence_classes};
use crate::reader::{Reading, Tier};

/// Candidates with equivalent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The answer as the cluster's earliest candidate wrote it.
    pub answer: String,
    /// Indices of its candidates, ascending.
    pub candidates: Vec<usize>,
    /// The distinct ways the answer was written, first seen first.
    pub forms: Vec<String>,
    /// How the earliest candidate's answer was found.
    pub found_by: Option<Tier>,
    /// The answers of other clusters that this one's would fit, if it stands alone because they are different from each
    /// other (`12` beside `12 cm` and `12 ft`).
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fits: Vec<String>,
}

impl Cluster {
    /// The answer for comparisons.
    pub fn to_answer(&self) -> Answer {
        Answer::found_by(&self.answer, self.found_by)
    }
}

/// Groups readings by equivalence: more candidates first, ties by the earliest candidate. Candidates without an answer
/// are in no cluster. Which candidates share a cluster does not depend on their order.
pub fn cluster_readings(readings: &[Reading]) -> Vec<Cluster> {
    let answered: Vec<(usize, &Reading)> =
        readings.iter().enumerate().filter(|(_, reading)| reading.answer.is_some()).collect();
    let parsed: Vec<Answer> = answered.iter().filter_map(|(_, reading)| reading.to_answer()).collect();
    let classes = equivalence_classes(&parsed);
    // Classes are numbered by first appearance.
    let mut members: Vec<Vec<(usize, &Reading)>> = Vec::new();
    for (&class, &candidate) in classes.of.iter().zip(&answered) {
        if class == members.len() {
            members.push(Vec::new());
        }
        members[class].push(candidate);
    }
    let shown = |class: &usize| members[*class][0].1.answer.clone().unwrap_or_default();
    let clusters = members
        .iter()
        .zip(&classes.fits)
        .map(|(members, fits)| Cluster { fits: fits.iter().map(shown).collect(), ..cluster_of(members) });
    // By size; clusters stand by their earliest candidate, and equal sizes stay so.
    let mut of_size: Vec<Vec<Cluster>> = vec![Vec::new(); answered.len() + 1];
    for cluster in clusters {
        of_size[cluster.candidates.len()].push(cluster);
    }
    of_size.into_iter().rev().flatten().collect()
}

fn cluster_of(members: &[(usize, &Reading)]) -> Cluster {
    let answers: Vec<&str> = members.iter().filter_map(|(_, reading)| reading.answer.as_deref()).collect();
    let first = crate::order::are_first(&answers);
    let forms: Vec<String> = answers
        .iter()
        .zip(first)
        .filter(|(_, is_first)| *is_first)
        .map(|(text, _)| (*text).to_owned())
        .collect();
    Cluster {
        answer: forms.first().cloned().unwrap_or_default(),
        candidates: members.iter().map(|(candidate, _)| *candidate).collect(),
        found_by: members.first().and_then(|(_, reading)| reading.found_by),
        forms,
        fits: Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::reader::NoAnswer;

    fn clusters(answers: &[&str]) -> Vec<(String, Vec<usize>, Vec<String>)> {
        let reading = |text: &&str| match text.is_empty() {
            true => Reading::none(NoAnswer::Empty),
            false => Reading::found(*text, Tier::Boxed),
        };
        let readings: Vec<Reading> = answers.iter().map(reading).collect();
        cluster_readings(&readings).into_iter().map(|c| (c.answer, c.candidates, c.forms)).collect()
    }

    #[test]
    fn what_fits_two_answers_stands_alone_and_says_so() {
        let found = |answers: &[&str]| {
            let readings: Vec<Reading> =
                answers.iter().map(|text| Reading::found(*text, Tier::Boxed)).collect();
            cluster_readings(&readings)
                .into_iter()
                .map(|c| (c.answer, c.candidates, c.fits))
                .collect::<Vec<_>>()
        };
        let expected = [
            ("12 cm".to_owned(), vec![0, 1], vec![]),
            ("12".to_owned(), vec![2], owned(&["12 cm", "12 ft"])),
            ("12 ft".to_owned(), vec![3], vec![]),
        ];
        assert_eq!(found(&["12 cm", "12 cm", "12", "12 ft"]), expected);
        // With one of the two alone it is that one.
        assert_eq!(found(&["12 cm", "12"]), [("12 cm".to_owned(), vec![0, 1], vec![])]);
    }

    fn owned(forms: &[&str]) -> Vec<String> {
        forms.iter().map(|form| form.to_string()).collect()
    }

    #[test]
    fn larger_first_then_earlier() {
        let found = clusters(&["7", "", "0.5", "1/2", "7", "8", "0.50", "9"]);
        let expected = [
            ("0.5", vec![2, 3, 6], owned(&["0.5", "1/2", "0.50"])),
            ("7", vec![0, 4], owned(&["7"])),
            ("8", vec![5], owned(&["8"])),
            ("9", vec![7], owned(&["9"])),
        ];
        assert_eq!(
            found,
            expected.map(|(answer, candidates, forms)| (answer.to_string(), candidates, forms))
        );
    }

    #[test]
    fn no_answers_no_clusters() {
        assert!(clusters(&[]).is_empty());
        assert!(clusters(&["", ""]).is_empty());
    }
}
