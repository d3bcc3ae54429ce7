//! The examples of labels and records: the same results as in a browser (`web/tests/kinds.test.mjs`), from one file.

use std::fs;
use std::path::Path;

use conclave_core::kinds::{SchemaCheck, VoteOptions, ballot};
use conclave_core::sample_set::read_sample_sets;
use serde_json::{Value, json};

/// As much of JSON Schema as the examples need; the hosts have libraries for all of it.
struct Check;

impl SchemaCheck for Check {
    fn check(&self, schema: &Value, record: &Value) -> Result<Option<String>, String> {
        let required = schema["required"].as_array().ok_or("expected `required`")?;
        let missing = required.iter().filter_map(Value::as_str).find(|name| record.get(name).is_none());
        let properties = schema["properties"].as_object().ok_or("expected `properties`")?;
        let large = properties.iter().find_map(|(name, rule)| {
            let value = record.get(name)?.as_f64()?;
            (value > rule.get("maximum")?.as_f64()?).then_some(name.as_str())
        });
        Ok(missing.or(large).map(str::to_owned))
    }
}

#[test]
fn the_examples_have_the_results_that_a_page_shows() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let read = |path: &str| fs::read_to_string(root.join(path)).expect(path);
    let sets = read("examples/labels.jsonl") + &read("examples/records.jsonl");
    let expected = read("tests/data/kinds/examples.jsonl");
    let mut expected = expected.lines().map(|line| serde_json::from_str::<Value>(line).expect(line));
    for set in read_sample_sets(sets.as_bytes()) {
        let set = set.expect("a sample set");
        let found = ballot(&set, &VoteOptions { schema_check: Some(&Check), ..VoteOptions::default() });
        let found = found.expect(&set.id);
        let votes: Vec<usize> = found.vote.clusters.iter().map(|cluster| cluster.candidates.len()).collect();
        let found = json!({
            "id": set.id,
            "kind": found.kind.name(),
            "answer": found.answer,
            "abstained": found.abstained,
            "confidence": found.confidence,
            "votes": votes,
            "fields": found.record.map(|record| record.fields),
        });
        assert_eq!(plain(found), plain(expected.next().expect("a line for each set")));
    }
    assert_eq!(expected.next(), None);
}

/// Numbers as JavaScript has them: all of one kind.
fn plain(value: Value) -> Value {
    match value {
        Value::Number(number) => json!(number.as_f64()),
        Value::Array(items) => items.into_iter().map(plain).collect(),
        Value::Object(fields) => fields.into_iter().map(|(name, value)| (name, plain(value))).collect(),
        other => other,
    }
}
