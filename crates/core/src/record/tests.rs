//! Records by example.

use super::*;
use serde_json::json;

fn texts(texts: &[&str]) -> Vec<Candidate> {
    texts.iter().map(|text| Candidate { text: (*text).to_owned(), ..Default::default() }).collect()
}

fn vote(records: &[Value]) -> RecordVote {
    let records: Vec<String> = records.iter().map(Value::to_string).collect();
    let records: Vec<&str> = records.iter().map(String::as_str).collect();
    vote_records(&texts(&records), None, &RecordOptions::default())
}

fn field<'a>(vote: &'a RecordVote, path: &str) -> &'a FieldVote {
    vote.fields.iter().find(|field| field.path == path).expect("a vote at the path")
}

#[test]
fn each_field_is_decided_by_itself() {
    let vote = vote(&[
        json!({"status": "Approved", "total": 12, "date": "2024-03-05"}),
        json!({"status": "approved", "total": "$12.00", "date": "March 5, 2024"}),
        json!({"status": "rejected", "total": 12, "date": "2024-03-06"}),
    ]);
    assert_eq!(vote.record, Some(json!({"status": "Approved", "total": 12, "date": "2024-03-05"})));
    let shares: Vec<usize> = vote.fields.iter().map(|field| field.votes).collect();
    assert_eq!(shares, [2, 3, 2]);
    assert!(!vote.needs_review());
    assert_eq!(field(&vote, "/status").others, [(Some(json!("rejected")), 1)]);
    assert!((vote.mean_share() - 7.0 / 9.0).abs() < 1e-12);
    assert!((vote.least_share() - 2.0 / 3.0).abs() < 1e-12);
}

#[test]
fn failed_candidates_stay_in_the_denominator() {
    let candidates = texts(&[r#"{"a": 1}"#, "no", "", r#"{"a": 9}"#]);
    let validate = |record: &Value| (record["a"] == 9).then(|| "a is too large".to_owned());
    let vote = vote_records(&candidates, Some(&validate), &RecordOptions::default());
    assert_eq!((vote.record.clone(), vote.valid), (Some(json!({"a": 1})), 1));
    assert_eq!((vote.fields[0].votes, vote.fields[0].share, vote.fields[0].review), (1, 0.25, true));
    let reasons: Vec<Option<NoAnswer>> = vote.readings.iter().map(|reading| reading.no_answer).collect();
    assert_eq!(reasons, [None, Some(NoAnswer::Invalid), Some(NoAnswer::Empty), Some(NoAnswer::Invalid)]);
    assert_eq!(vote.readings[3].reason.as_deref(), Some("a is too large"));
    let nothing = vote_records(&texts(&["no"]), None, &RecordOptions::default());
    assert_eq!((nothing.record, nothing.fields.len(), nothing.valid), (None, 0, 0));
}

#[test]
fn a_missing_field_and_null_are_two_values() {
    let records = [json!({"a": 1}), json!({"a": 1, "b": null}), json!({"a": 1}), json!({"a": 1, "b": 2})];
    let vote = vote(&records);
    assert_eq!(vote.record, Some(json!({"a": 1})));
    let missing = field(&vote, "/b");
    assert_eq!((missing.value.as_ref(), missing.votes, missing.review), (None, 2, false));
    assert_eq!(missing.others, [(Some(json!(2)), 1), (Some(json!(null)), 1)]);
    let line = serde_json::to_string(missing).unwrap();
    assert_eq!(line, r#"{"path":"/b","votes":2,"share":0.5,"review":false,"others":[[2,1],[null,1]]}"#);
    assert_eq!(&serde_json::from_str::<FieldVote>(&line).unwrap(), missing);
}

#[test]
fn what_a_path_holds_is_decided_first() {
    let vote =
        vote(&[json!({"a": {"x": 1}}), json!({"a": {"x": 2}}), json!({"a": "1"}), json!({"a": {"x": 2}})]);
    assert_eq!(vote.record, Some(json!({"a": {"x": 2}})));
    let kind = field(&vote, "/a");
    assert_eq!((kind.value.clone(), kind.votes), (Some(json!({})), 3));
    assert_eq!(kind.others, [(Some(json!("1")), 1)]);
    let tied = vote_tied();
    assert!(field(&tied, "/a/x").review && field(&tied, "/a").review);
}

fn vote_tied() -> RecordVote {
    let tied = vote(&[json!({"a": {"x": 1}}), json!({"a": "1"})]);
    assert_eq!(tied.record, Some(json!({"a": {"x": 1}})));
    tied
}

#[test]
fn elements_of_lists_stay_where_half_of_the_lists_have_them() {
    let vote = vote(&[
        json!({"items": [{"name": "Bread", "price": 3}, {"name": "Milk", "price": 1}]}),
        json!({"items": [{"name": "Milk", "price": 1}, {"name": "bread", "price": 3}]}),
        json!({"items": [
            {"name": "Bread", "price": 4}, {"name": "Milk", "price": 1}, {"name": "Salt", "price": 9},
        ]}),
    ]);
    let expected = json!({"items": [{"name": "Bread", "price": 3}, {"name": "Milk", "price": 1}]});
    assert_eq!(vote.record, Some(expected));
    let dropped = field(&vote, "/items/-");
    assert_eq!((dropped.value.as_ref(), dropped.votes), (None, 2));
    assert_eq!(dropped.others, [(Some(json!({"name": "Salt", "price": 9})), 1)]);
    let tied = super::tests::vote(&[json!(["a", "b"]), json!(["a"])]);
    assert_eq!(tied.record, Some(json!(["a", "b"])));
    assert_eq!((field(&tied, "/0").review, field(&tied, "/1").review), (false, true));
    let empty = super::tests::vote(&[json!({"tags": []}), json!({"tags": []})]);
    assert_eq!((field(&empty, "/tags").value.clone(), field(&empty, "/tags").votes), (Some(json!([])), 2));
}

#[test]
fn a_tie_is_marked_and_decided_by_rule() {
    let one = vote(&[json!({"a": "b"}), json!({"a": "a"})]);
    let two = vote(&[json!({"a": "a"}), json!({"a": "b"})]);
    assert_eq!((&one.record, &one.fields), (&two.record, &two.fields));
    assert_eq!(one.record, Some(json!({"a": "a"})));
    assert!(one.fields[0].review && one.needs_review());
}

#[test]
fn paths_are_json_pointers_in_the_order_of_the_records() {
    let vote = vote(&[json!({"b/c": 1, "a~": {"": 2}}), json!({"b/c": 1, "x": 0, "a~": {"": 2}})]);
    let paths: Vec<&str> = vote.fields.iter().map(|field| field.path.as_str()).collect();
    assert_eq!(paths, ["/b~1c", "/x", "/a~0/"]);
}

#[test]
fn a_merged_record_that_the_schema_does_not_allow_says_so() {
    let validate = |record: &Value| (record["a"] == record["b"]).then(|| "a is b".to_owned());
    let records = [r#"{"a":1,"b":2}"#, r#"{"a":1,"b":3}"#, r#"{"a":4,"b":1}"#, r#"{"a":5,"b":1}"#];
    let vote = vote_records(&texts(&records), Some(&validate), &RecordOptions::default());
    assert_eq!((vote.valid, vote.reason.as_deref()), (4, Some("a is b")));
    assert!(vote.needs_review());
}
