//! Votes on the cases of `tests/data/votes.jsonl`, which the wasm build has to pass under Node.js too
//! (`web/tests/answers.test.mjs`). The confidences in it are sums of whole binomials, rounded once.

use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_core::vote::majority_vote;
use serde::Deserialize;
use serde_json::Value;

#[derive(Deserialize)]
struct Case {
    case: String,
    candidates: Vec<Value>,
    answer: Option<String>,
    votes: Vec<usize>,
    confidence: f64,
}

fn candidate(value: &Value) -> Candidate {
    match value.as_str() {
        Some(text) => Candidate { text: text.to_owned(), ..Candidate::default() },
        None => serde_json::from_value(value.clone()).expect("a candidate is a string or an object"),
    }
}

#[test]
fn votes_of_the_shared_cases() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/votes.jsonl");
    let text = std::fs::read_to_string(path).expect("the shared cases");
    let mut wrong = Vec::new();
    for line in text.lines() {
        let case: Case = serde_json::from_str(line).expect("a case a line");
        let set = SampleSet {
            id: case.case.clone(),
            problem: String::new(),
            reference_answer: None,
            candidates: case.candidates.iter().map(candidate).collect(),
            extra: serde_json::Map::new(),
        };
        let vote = majority_vote(&set);
        let votes: Vec<usize> = vote.clusters.iter().map(|cluster| cluster.candidates.len()).collect();
        let same_confidence = (vote.confidence - case.confidence).abs() < 1e-12;
        if vote.answer() != case.answer.as_deref() || votes != case.votes || !same_confidence {
            let found = (vote.answer(), votes, vote.confidence);
            wrong.push(format!("{}: {found:?}, expected {line}", case.case));
        }
    }
    assert!(text.lines().count() > 20 && wrong.is_empty(), "{}", wrong.join("\n"));
}
