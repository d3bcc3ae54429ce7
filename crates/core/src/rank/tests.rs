//! Rankers: what they choose, what they refuse, and what is learned.

use super::fit::{Example, FEWEST, SIZES, draw, fit, kind_ranker};
use super::*;
use crate::vote::majority_vote;
use crate::voters::Voter;
use serde_json::json;

fn set(problem: &str, texts: &[(&str, &str)]) -> SampleSet {
    let candidates: Vec<_> =
        texts.iter().map(|(model, text)| json!({"model": model, "text": text})).collect();
    let value = json!({"id": problem, "problem": problem, "reference_answer": "7", "candidates": candidates});
    SampleSet::try_from(value).unwrap()
}

fn builtin() -> Judge<'static> {
    Judge { ranker: Ranker::builtin(), voters: None }
}

#[test]
fn the_builtin_ranker_is_one_and_is_for_mathematics() {
    assert!(Ranker::builtin().is_for("math") && !Ranker::builtin().is_for("choice"));
    let text = serde_json::to_string(Ranker::builtin()).unwrap();
    assert_eq!(&Ranker::read(&text).unwrap(), Ranker::builtin());
}

#[test]
fn more_votes_are_more_probable_and_probabilities_are_a_distribution() {
    let mut before = 0.0;
    for votes in 1..=12 {
        let texts: Vec<(&str, &str)> = (0..12).map(|at| ("", if at < votes { "7" } else { "8" })).collect();
        let set = set("p", &texts);
        let vote = majority_vote(&set);
        let ranking = builtin().rank("math", &set, &vote).unwrap();
        let total: f64 = ranking.classes.iter().sum::<f64>() + ranking.none;
        assert!((total - 1.0).abs() < 1e-12);
        let of_seven = vote.clusters.iter().position(|cluster| cluster.answer == "7").unwrap();
        assert!(ranking.classes[of_seven] > before, "{votes}: {ranking:?}");
        before = ranking.classes[of_seven];
    }
    assert!(before > 0.95);
}

#[test]
fn what_it_was_not_fitted_on_is_not_judged() {
    let one = set("p", &[("", "7")]);
    let many = set("p", &[("", "7"); 40]);
    let none = set("p", &[("", "hm"), ("", "hm")]);
    for set in [one, many, none] {
        assert_eq!(builtin().rank("math", &set, &majority_vote(&set)), None);
    }
    let two = set("p", &[("", "7"), ("", "8")]);
    assert_eq!(builtin().rank("labels", &two, &majority_vote(&two)), None);
}

#[test]
fn who_is_believed_decides() {
    let voter = |name: &str, reliability| Voter { name: name.to_owned(), reliability, answers: 100 };
    let learned = Reliabilities { voters: vec![voter("good", 0.95), voter("bad", 0.2)], theta: 10.0 };
    let set = set("p", &[("bad", "8"), ("good", "7"), ("bad", "8")]);
    let vote = majority_vote(&set);
    let plain = builtin().rank("math", &set, &vote).unwrap();
    assert_eq!(vote.clusters[plain.best.unwrap()].answer, "8");
    let judge = Judge { voters: Some((&learned, None)), ..builtin() };
    let ranking = judge.rank("math", &set, &vote).unwrap();
    assert_eq!(vote.clusters[ranking.best.unwrap()].answer, "7", "{ranking:?}");
}

#[test]
fn files_that_are_no_rankers_are_refused() {
    let kind = |class: serde_json::Value| {
        json!({"format": 1, "kinds": [{"kind": "math", "problems": 9, "candidates": [2, 5], "without_voters": {"class": class, "none": {}}}]})
            .to_string()
    };
    assert!(Ranker::read(&kind(json!({"share": 1.0}))).is_ok());
    for (text, words) in [
        ("{".to_owned(), "not a ranker"),
        (kind(json!({"shares": 1.0})), "`shares` is no feature"),
        (r#"{"format": 2, "kinds": []}"#.to_owned(), "format 2"),
        (r#"{"format": 1, "kinds": []}"#.to_owned(), "found none"),
        (r#"{"format": 1, "kinds": [], "more": 1}"#.to_owned(), "unknown field"),
    ] {
        let error = Ranker::read(&text).unwrap_err().to_string();
        assert!(error.contains(words), "{error}");
    }
}

/// Sets in which two of three candidates are wrong alike, and the right one shows a right sum.
fn told_by_their_sums(count: usize) -> Vec<Example> {
    (0..count)
        .map(|at| {
            let set = set(
                &format!("problem {at}"),
                &[
                    ("a", "Because 3 + 4 = 8 it is\nANSWER: 8"),
                    ("b", "Because 3 + 4 = 7 it is\nANSWER: 7"),
                    ("c", "Because 3 + 5 = 9 it is\nANSWER: 8"),
                ],
            );
            let vote = majority_vote(&set);
            let correct = vote.clusters.iter().map(|cluster| cluster.answer == "7").collect();
            Example::new(&set, &vote, correct, None)
        })
        .collect()
}

#[test]
fn what_tells_right_from_wrong_is_learned_and_written() {
    let examples = told_by_their_sums(FEWEST * 2);
    let rows = draw(&examples, 0, &SIZES, 1, false);
    assert_eq!(rows.len(), FEWEST * 2, "one draw of three candidates each");
    assert!(rows.iter().all(|row| !row.vote_is_right() && row.any_is_right()));
    let (fitted, validated) = fit(&rows);
    assert!(validated.decided.iter().all(|decided| decided.is_right), "{:?}", validated.decided[0]);
    // The same rows give the same bits, and a file the same decisions.
    assert_eq!(fit(&rows).1.decided, validated.decided);
    let ranker = Ranker::of(vec![kind_ranker("math", 60, (2, 3), &fitted, None)]);
    let again = Ranker::read(&serde_json::to_string(&ranker).unwrap()).unwrap();
    let fresh = set(
        "another",
        &[("", "1 + 1 = 3\nANSWER: 3"), ("", "1 + 1 = 2\nANSWER: 2"), ("", "1 + 2 = 4\nANSWER: 3")],
    );
    let vote = majority_vote(&fresh);
    let ranking = Judge { ranker: &again, voters: None }.rank("math", &fresh, &vote).unwrap();
    assert_eq!(vote.clusters[ranking.best.unwrap()].answer, "2", "{ranking:?}");
}
