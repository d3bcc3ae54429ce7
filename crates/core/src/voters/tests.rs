//! Voters who are known by what they say alone.

use super::*;
use crate::vote::majority_vote;
use rand::{RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;
use serde_json::json;

/// Sets of voters with these reliabilities; wrong answers are one of `wrong`.
fn simulated(reliabilities: &[f64], sets: usize, wrong: u64) -> Vec<SampleSet> {
    let mut random = ChaCha8Rng::seed_from_u64(7);
    (0..sets)
        .map(|at| {
            let candidates: Vec<_> = reliabilities
                .iter()
                .enumerate()
                .map(|(voter, reliability)| {
                    let is_right = random.random_range(0.0..1.0) < *reliability;
                    let answer = if is_right { 0 } else { 1 + random.random_range(0..wrong) };
                    json!({"text": answer.to_string(), "model": format!("v{voter}"), "by": voter})
                })
                .collect();
            let value = json!({"id": at.to_string(), "problem": "p", "reference_answer": "0", "candidates": candidates});
            SampleSet::try_from(value).unwrap()
        })
        .collect()
}

fn table(sets: &[SampleSet], field: Option<&str>) -> VoterTable {
    let mut table = VoterTable::default();
    sets.iter().for_each(|set| table.add(set, &majority_vote(set).clusters, field));
    table
}

#[test]
fn reliabilities_are_found_without_references() {
    let truth = [0.9, 0.7, 0.5, 0.4, 0.3];
    let sets = simulated(&truth, 800, 20);
    let table = table(&sets, None);
    let learned = table.learn().unwrap();
    for (voter, truth) in learned.voters.iter().zip(truth) {
        assert!((voter.reliability - truth).abs() < 0.06, "{voter:?}: {truth}");
    }
    let rows = table.rows(&learned);
    assert_eq!(rows[0].name, "v0");
    assert!(rows.iter().all(|row| row.low <= row.reliability && row.reliability <= row.high));
    // Independent voters are worth about as many votes as they are.
    let together = table.together(&learned).unwrap();
    assert!((together.votes - 5.0).abs() < 1e-9 && together.effective_votes > 4.0, "{together:?}");
    // The names are those of any field.
    let by = self::table(&sets, Some("by")).learn().unwrap();
    assert_eq!(by.voters[0].name, "0");
    assert_eq!(by.voters[0].reliability, learned.voters[0].reliability);
}

#[test]
fn weighed_votes_are_right_more_often() {
    let sets = simulated(&[0.9, 0.35, 0.35, 0.35, 0.35], 600, 3);
    let learned = table(&sets, None).learn().unwrap();
    let (mut plain, mut weighed) = (0, 0);
    for set in &sets {
        let options = crate::VoteOptions { kind: Some(crate::AnswerKind::Math), ..Default::default() };
        let ballot = crate::ballot(set, &options).unwrap();
        plain += usize::from(ballot.answer.as_deref() == Some("0"));
        let weights: Vec<f64> = learned.of_set(set, None).into_iter().map(weight).collect();
        weighed += usize::from(ballot.weighed(&weights).answer.as_deref() == Some("0"));
    }
    assert!(weighed > plain + 100, "{plain} {weighed}");
}

#[test]
fn what_shows_nothing_is_refused() {
    let named = |sets: &[SampleSet]| table(sets, None).learn().unwrap_err();
    let mut unnamed = simulated(&[0.9, 0.5], 50, 5);
    unnamed.iter_mut().flat_map(|set| &mut set.candidates).for_each(|candidate| candidate.model = None);
    assert_eq!(named(&unnamed), NotIdentified::NoNames);
    assert_eq!(named(&[]), NotIdentified::NoNames);
    assert_eq!(named(&simulated(&[0.9], 50, 5)), NotIdentified::OneVoter("v0".to_owned()));
    assert_eq!(named(&simulated(&[0.9, 0.5], 19, 5)), NotIdentified::TooFew { sets: 19, expected: 20 });
    assert_eq!(named(&simulated(&[0.6; 4], 200, 10)), NotIdentified::Alike);
    // All answers are different: nobody can be told right.
    let scattered = simulated(&[0.0; 4], 200, 1_000_000);
    assert!(matches!(named(&scattered), NotIdentified::NoAgreement | NotIdentified::Alike));
}

#[test]
fn files_are_checked() {
    let read = |text: &str| serde_json::from_str::<Reliabilities>(text).unwrap().check();
    let good = read(
        r#"{"voters":[{"name":"a","reliability":0.9,"answers":30},{"name":"b","reliability":0.5,"answers":10}]}"#,
    );
    let good = good.unwrap();
    assert_eq!((good.of(Some("a")), good.of(Some("nobody")), good.of(None)), (0.9, 0.8, 0.8));
    assert_eq!(read(r#"{"voters":[]}"#), Err(ReliabilityError::Empty));
    assert_eq!(
        read(r#"{"voters":[{"name":"a","reliability":1.5}]}"#),
        Err(ReliabilityError::NotAProbability { name: "a".to_owned(), value: 1.5 })
    );
    let twice = r#"{"voters":[{"name":"a","reliability":0.5},{"name":"a","reliability":0.6}]}"#;
    assert_eq!(read(twice), Err(ReliabilityError::Twice("a".to_owned())));
    assert_eq!(
        read(r#"{"voters":[{"name":"a","reliability":1}],"theta":0}"#),
        Err(ReliabilityError::Theta(0.0))
    );
    // Nobody decides alone, nobody counts for less than nothing.
    assert!(weight(1.0).is_finite() && weight(0.0) == 0.0);
}
