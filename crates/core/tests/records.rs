//! The ten record sets of docs/kinds.md, against the records that are expected of them.

use conclave_core::read_sample_sets;
use conclave_core::record::{RecordOptions, vote_records};
use serde_json::{Value, json};

#[test]
fn the_records_of_the_document_are_as_expected() {
    let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/kinds/records.jsonl");
    let text = std::fs::read(file).expect("the file of records");
    let sets: Vec<_> = read_sample_sets(text.as_slice()).map(|set| set.expect("a set")).collect();
    assert_eq!(sets.len(), 10);
    for set in sets {
        let vote = vote_records(&set.candidates, None, &RecordOptions::default());
        // [path, votes], with a mark where it is to be looked at.
        let fields: Vec<Value> = vote
            .fields
            .iter()
            .map(|field| match field.review {
                true => json!([field.path, field.votes, "review"]),
                false => json!([field.path, field.votes]),
            })
            .collect();
        let found = json!({"record": vote.record, "fields": fields});
        assert_eq!(found.to_string(), set.extra["expected"].to_string(), "{}", set.id);
        let turned: Vec<_> = set.candidates.iter().rev().cloned().collect();
        let turned = vote_records(&turned, None, &RecordOptions::default());
        assert_eq!(json!(turned.record).to_string(), json!(vote.record).to_string(), "{}", set.id);
    }
}
