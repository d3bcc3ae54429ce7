//! Clusters: the answered candidates of a set, grouped by equivalence.
//!
//! What lives here: the grouping and its order. What does not: when two answers are equal ([`crate::equivalence`]),
//! what the groups decide ([`crate::vote`]).

use serde::{Deserialize, Serialize};

use crate::equivalence::{Answer, equivalence_classes};
use crate::extract::{ExtractedAnswer, extract_answer};
use crate::sample_set::SampleSet;

/// Candidates with equivalent answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// The answer as the cluster's earliest candidate wrote it.
    pub answer: String,
    /// Indices of its candidates, ascending.
    pub candidates: Vec<usize>,
    /// The distinct ways the answer was written, first seen first.
    pub forms: Vec<String>,
}

/// The answer of each candidate of `set`, none where it has none.
pub fn extract_answers(set: &SampleSet) -> Vec<Option<ExtractedAnswer>> {
    set.candidates.iter().map(|candidate| extract_answer(&candidate.text, candidate.is_truncated())).collect()
}

/// Groups answers by equivalence: more candidates first, ties by the earliest candidate. Candidates without an answer
/// are in no cluster. Which candidates share a cluster does not depend on their order.
pub fn cluster_answers(answers: &[Option<ExtractedAnswer>]) -> Vec<Cluster> {
    let answered: Vec<(usize, &str)> = answers
        .iter()
        .enumerate()
        .filter_map(|(i, answer)| Some((i, answer.as_ref()?.text.as_str())))
        .collect();
    let parsed: Vec<Answer> = answered.iter().map(|(_, text)| Answer::parse(text)).collect();
    // Classes are numbered by first appearance.
    let mut members: Vec<Vec<(usize, &str)>> = Vec::new();
    for (class, &candidate) in equivalence_classes(&parsed).into_iter().zip(&answered) {
        if class == members.len() {
            members.push(Vec::new());
        }
        members[class].push(candidate);
    }
    // By size; clusters stand by their earliest candidate, and equal sizes stay so.
    let mut of_size: Vec<Vec<Cluster>> = vec![Vec::new(); answered.len() + 1];
    for members in members {
        of_size[members.len()].push(cluster_of(&members));
    }
    of_size.into_iter().rev().flatten().collect()
}

fn cluster_of(members: &[(usize, &str)]) -> Cluster {
    let mut seen = std::collections::HashSet::new();
    let forms = members.iter().map(|(_, text)| text.to_string()).filter(|text| seen.insert(text.clone()));
    Cluster {
        answer: members.first().map(|(_, text)| text.to_string()).unwrap_or_default(),
        candidates: members.iter().map(|(candidate, _)| *candidate).collect(),
        forms: forms.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::extract::Tier;

    fn clusters(answers: &[&str]) -> Vec<(String, Vec<usize>, Vec<String>)> {
        let answers: Vec<_> = answers
            .iter()
            .map(|text| {
                (!text.is_empty()).then(|| ExtractedAnswer { text: text.to_string(), tier: Tier::Boxed })
            })
            .collect();
        cluster_answers(&answers).into_iter().map(|c| (c.answer, c.candidates, c.forms)).collect()
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
