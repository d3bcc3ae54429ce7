//! Properties of votes on JSON records and of tool calls: no order of the candidates matters, a copy of a
//! candidate never lowers what it says, an invalid candidate never wins, and nothing panics on any text.
//!
//! `CONCLAVE_PROPTEST_CASES` sets the number of inputs for each property (default 2,000).

use conclave_core::Candidate;
use conclave_core::record::{
    FieldVote, RecordOptions, RecordVote, compare_records, read_record, same_record, vote_records,
};
use conclave_core::tool_call::{answer_text, call_classes, canonical, read_calls};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use serde_json::{Map, Value, json};

fn config() -> ProptestConfig {
    let cases = std::env::var("CONCLAVE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(2_000), failure_persistence: None, ..ProptestConfig::default() }
}

/// Few different values, so that votes agree and tie.
fn scalar() -> impl Strategy<Value = Value> {
    select(vec![
        json!(null),
        json!(true),
        json!("True"),
        json!(1),
        json!(1.0),
        json!("$1.00"),
        json!("€1"),
        json!(1.001),
        json!(2),
        json!("yes"),
        json!("Yes."),
        json!("no"),
        json!("2024-03-05"),
        json!("March 5, 2024"),
        json!("03/05/2024"),
        json!("Jon Smith"),
        json!("John Smith"),
        json!("the customer says that the screen of the phone flickers when it is warm"),
        json!("the customer says that the screen of the phone flickers when warm"),
        json!("the customer does not say that the screen of the phone flickers when warm"),
    ])
}

fn names() -> impl Strategy<Value = String> {
    select(vec!["a", "b", "c/~", ""]).prop_map(str::to_owned)
}

fn object(value: impl Strategy<Value = Value>) -> impl Strategy<Value = Value> {
    prop::collection::vec((names(), value), 0..4).prop_map(|fields| Value::Object(Map::from_iter(fields)))
}

/// Values without lists.
fn plain_value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(2, 12, 4, object)
}

/// Any value.
fn value() -> impl Strategy<Value = Value> {
    scalar().prop_recursive(3, 20, 4, |inner| {
        prop_oneof![object(inner.clone()), prop::collection::vec(inner, 0..4).prop_map(Value::Array)]
    })
}

fn options() -> impl Strategy<Value = RecordOptions> {
    select(vec![0.0, 0.01]).prop_map(|tolerance| RecordOptions { tolerance, ..RecordOptions::default() })
}

fn candidate(text: impl Into<String>) -> Candidate {
    Candidate { text: text.into(), ..Candidate::default() }
}

fn candidates(records: &[Value]) -> Vec<Candidate> {
    records.iter().map(|record| candidate(record.to_string())).collect()
}

/// A record, or a candidate that has none.
fn any_candidate() -> impl Strategy<Value = Candidate> {
    prop_oneof![
        4 => object(value()).prop_map(|record| candidate(record.to_string())),
        1 => prop::collection::vec(value(), 0..4).prop_map(|items| candidate(json!(items).to_string())),
        1 => select(vec!["", "no", "{\"a\":", "<think>{\"a\":1}"]).prop_map(candidate),
    ]
}

/// All scalars inside a value.
fn scalars(value: &Value, out: &mut Vec<Value>) {
    match value {
        Value::Array(items) => items.iter().for_each(|item| scalars(item, out)),
        Value::Object(fields) => fields.values().for_each(|field| scalars(field, out)),
        _ => out.push(value.clone()),
    }
}

fn at<'a>(vote: &'a RecordVote, path: &str) -> Option<&'a FieldVote> {
    vote.fields.iter().find(|field| field.path == path)
}

/// What a record has at a path: a scalar, or nothing.
fn held(record: &Value, path: &str) -> Option<Value> {
    record.pointer(path).cloned()
}

/// Texts that are nearly JSON, and nearly calls.
fn text() -> impl Strategy<Value = String> {
    const PIECES: [&str; 48] = [
        "{",
        "}",
        "[",
        "]",
        ",",
        ":",
        "\"",
        "'",
        "\\",
        "\\u",
        "d83d",
        "\\ud800",
        "\"a\"",
        "\"a\":",
        "a:",
        "1",
        "-",
        ".5",
        "1e999",
        "12345678901234567890123",
        "true",
        "None",
        "NaN",
        "//",
        "/*",
        "*/",
        "#",
        "\n",
        " ",
        "```json\n",
        "```",
        "<think>",
        "</think>",
        "<tool_call>",
        "</tool_call>",
        "<function=f>",
        "<parameter=a>",
        "</function>",
        "\"name\":\"f\",",
        "\"arguments\":",
        "\"tool_calls\":[",
        "\"function\":{",
        "<|python_tag|>",
        "é",
        "“",
        "\u{feff}",
        "[TOOL_CALLS]",
        "{\"a\":1}",
    ];
    prop::collection::vec(select(&PIECES[..]), 0..24).prop_map(|pieces| pieces.concat())
}

/// A value's JSON with one piece put in, taken out or cut.
fn mutated() -> impl Strategy<Value = String> {
    (value(), any::<Index>(), 0usize..4, text()).prop_map(|(value, at, length, piece)| {
        let mut out = value.to_string();
        let at = out.floor_char_boundary(at.index(out.len() + 1));
        let end = out.ceil_char_boundary((at + length).min(out.len()));
        out.replace_range(at..end, &piece);
        out
    })
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_order_of_candidates_does_not_matter(
        given in prop::collection::vec(any_candidate(), 0..8).prop_flat_map(|given| {
            let places: Vec<usize> = (0..given.len()).collect();
            (Just(given), Just(places).prop_shuffle())
        }),
        options in options(),
    ) {
        let (given, places) = given;
        let one = vote_records(&given, None, &options);
        let turned: Vec<Candidate> = places.iter().map(|place| given[*place].clone()).collect();
        let other = vote_records(&turned, None, &options);
        prop_assert_eq!(&one.fields, &other.fields);
        // As text: the order of the keys is a part of it.
        prop_assert_eq!(json!(one.record).to_string(), json!(other.record).to_string());
        prop_assert_eq!(one.valid, other.valid);
        for (at, place) in places.iter().enumerate() {
            prop_assert_eq!(&other.readings[at], &one.readings[*place]);
        }
    }

    #[test]
    fn a_copy_never_lowers_what_it_says(
        records in prop::collection::vec(object(plain_value()), 1..7),
        copied in any::<Index>(),
        options in options(),
    ) {
        let before = vote_records(&candidates(&records), None, &options);
        let copied = copied.get(&records).clone();
        let mut more = records.clone();
        more.push(copied.clone());
        let after = vote_records(&candidates(&more), None, &options);
        // Where the kind at a path was decided otherwise, other fields are there.
        for field in before.fields.iter().filter(|field| !is_container(&field.value)) {
            let Some(now) = at(&after, &field.path) else { continue };
            let said = held(&copied, &field.path);
            // What it says wins, and still does, with no smaller share.
            let parent = field.path.rsplit_once('/').map_or("", |(parent, _)| parent);
            if said == field.value && copied.pointer(parent).is_some_and(Value::is_object) {
                prop_assert!(now.votes > field.votes || now.value != field.value, "{field:?} {now:?}");
                prop_assert!(now.share >= field.share, "{field:?} {now:?}");
            }
        }
        // With an equality that is one, the votes of what it says rise, win or not.
        if options.tolerance == 0.0 && !is_fuzzy(&records) {
            for field in &before.fields {
                let Some(now) = at(&after, &field.path) else { continue };
                let said = held(&copied, &field.path);
                let votes = |field: &FieldVote| {
                    let all = std::iter::once((&field.value, field.votes))
                        .chain(field.others.iter().map(|(value, votes)| (value, *votes)));
                    all.filter(|(value, _)| **value == said).map(|(_, votes)| votes).max()
                };
                if let (Some(was), Some(is)) = (votes(field), votes(now)) {
                    prop_assert!(is >= was, "{field:?} {now:?}");
                }
            }
        }
    }

    #[test]
    fn a_copy_moves_no_element_of_a_list(
        lists in prop::collection::vec(prop::collection::vec(value(), 0..4), 1..6),
        copied in any::<Index>(),
    ) {
        let records: Vec<Value> = lists.into_iter().map(Value::Array).collect();
        let options = RecordOptions::default();
        let elements = |records: &[Value]| {
            let merged = vote_records(&candidates(records), None, &options);
            let dropped = merged.fields.iter().filter(|field| field.path == "/-").count();
            merged.record.and_then(|record| record.as_array().map(Vec::len)).unwrap_or_default() + dropped
        };
        let mut more = records.clone();
        more.push(copied.get(&records).clone());
        prop_assert_eq!(elements(&records), elements(&more));
    }

    #[test]
    fn all_that_agree_give_their_record(record in object(value()), times in 1usize..5, options in options()) {
        let vote = vote_records(&candidates(&vec![record.clone(); times]), None, &options);
        prop_assert_eq!(vote.record.as_ref(), Some(&record));
        let is_sure = |field: &FieldVote| field.votes == times && field.share == 1.0 && !field.review;
        prop_assert!(vote.fields.iter().all(is_sure));
        prop_assert!(same_record(&record, &record, &options));
    }

    #[test]
    fn an_invalid_candidate_never_wins(
        valid in prop::collection::vec(object(value()), 0..4),
        invalid in prop::collection::vec(object(value()), 1..5),
    ) {
        let invalid = invalid.into_iter().map(|mut record| {
            record["invalid"] = json!("stray");
            record["a"] = json!("stray too");
            record
        });
        let records: Vec<Value> = invalid.chain(valid.iter().cloned()).collect();
        let validate = |record: &Value| record.get("invalid").map(|_| "not allowed".to_owned());
        let vote = vote_records(&candidates(&records), Some(&validate), &RecordOptions::default());
        prop_assert_eq!(vote.valid, valid.len());
        prop_assert_eq!(vote.record.is_some(), !valid.is_empty());
        let shown = serde_json::to_string(&(&vote.record, &vote.fields)).unwrap();
        prop_assert!(!shown.contains("stray"), "{shown}");
        // Every value that is shown was given by a valid candidate.
        let mut given = Vec::new();
        valid.iter().for_each(|record| scalars(record, &mut given));
        let mut merged = Vec::new();
        vote.record.iter().for_each(|record| scalars(record, &mut merged));
        prop_assert!(merged.iter().all(|value| given.contains(value)));
    }

    #[test]
    fn results_are_lines(given in prop::collection::vec(any_candidate(), 0..5)) {
        let vote = vote_records(&given, None, &RecordOptions::default());
        let line = serde_json::to_string(&vote).unwrap();
        prop_assert_eq!(serde_json::from_str::<RecordVote>(&line).unwrap(), vote);
    }

    #[test]
    fn strict_json_is_read_as_it_is(
        record in object(value()),
        before in "[a-z .]{0,8}",
        is_pretty in any::<bool>(),
    ) {
        let text = if is_pretty { format!("{record:#}") } else { record.to_string() };
        let read = read_record(&format!("{before}\n```json\n{text}\n```\n"), false);
        prop_assert_eq!(read.map(|read| read.to_string()), Ok(record.to_string()));
    }

    #[test]
    fn no_text_breaks_anything(
        texts in prop::collection::vec(prop_oneof![text(), mutated(), any::<String>()], 1..5),
        truncated in any::<bool>(),
        options in options(),
    ) {
        let read: Vec<Value> = texts.iter().filter_map(|text| read_record(text, truncated).ok()).collect();
        for record in &read {
            prop_assert!(record.is_object() || record.is_array());
            let again = read_record(&format!("```\n{record}\n```"), false);
            prop_assert_eq!(again.as_ref(), Ok(record));
            compare_records(&read[0], record, &options);
        }
        let given: Vec<Candidate> = texts.into_iter().map(candidate).collect();
        vote_records(&given, None, &options);
        call_classes(&given, &["a".to_owned(), "a.b".to_owned()]);
    }

    #[test]
    fn calls_have_one_form_in_any_order(
        calls in prop::collection::vec((select(vec!["f", "g"]), object(value())), 1..4)
            .prop_flat_map(|calls| (Just(calls.clone()), Just(calls).prop_shuffle())),
        as_text in any::<bool>(),
    ) {
        let write = |calls: &[(&str, Value)]| {
            let calls: Vec<Value> = calls.iter().map(|(name, arguments)| {
                let arguments = if as_text { json!(arguments.to_string()) } else { arguments.clone() };
                json!({"type": "function", "function": {"name": name, "arguments": arguments}})
            }).collect();
            let mut given = candidate("");
            given.extra.insert("tool_calls".to_owned(), Value::Array(calls));
            given
        };
        let (one, other) = (write(&calls.0), write(&calls.1));
        let (read, turned) = (read_calls(&one).unwrap(), read_calls(&other).unwrap());
        prop_assert_eq!(canonical(&read, &[]), canonical(&turned, &[]));
        // What is shown reads as the same calls.
        let again = read_calls(&candidate(answer_text(&read))).unwrap();
        prop_assert_eq!(canonical(&again, &[]), canonical(&read, &[]));
        let classes = call_classes(&[one.clone(), candidate("no"), other.clone(), one], &[]);
        prop_assert_eq!(&classes.classes[0].candidates, &[0, 2, 3]);
        prop_assert_eq!(classes.classes.len(), 1);
    }

    #[test]
    fn the_order_of_calling_candidates_does_not_matter(
        texts in prop::collection::vec(prop_oneof![
            3 => (select(vec!["f", "g"]), object(scalar())).prop_map(|(name, arguments)| {
                json!({"name": name, "arguments": arguments}).to_string()
            }),
            1 => text(),
        ], 0..7).prop_flat_map(|texts| (Just(texts.clone()), Just(texts).prop_shuffle())),
    ) {
        let classes = |texts: &[String]| -> Vec<(String, usize)> {
            let given: Vec<Candidate> = texts.iter().map(candidate).collect();
            let found = call_classes(&given, &["b".to_owned()]);
            found.classes.into_iter().map(|class| (class.answer, class.candidates.len())).collect()
        };
        prop_assert_eq!(classes(&texts.0), classes(&texts.1));
    }
}

fn is_container(value: &Option<Value>) -> bool {
    value.as_ref().is_some_and(|value| value.is_object() || value.is_array())
}

/// Whether some values are the same without being equal: what has a sign of its currency, and free text.
fn is_fuzzy(records: &[Value]) -> bool {
    let text = json!(records).to_string();
    ["$", "€", "customer"].iter().any(|mark| text.contains(mark))
}

#[test]
fn what_is_deep_or_long_is_read_in_time() {
    for text in [
        "[".repeat(100_000),
        "{\"a\":".repeat(100_000),
        "[/*".repeat(50_000),
        "{\"a\":[".repeat(50_000) + "x",
        "['".repeat(50_000),
        "<tool_call>".repeat(20_000),
        "<function=f>".repeat(20_000),
        format!("[{}]", vec!["{\"a\":1}"; 20_000].join(",")),
        "{\"a\":1} ".repeat(20_000),
        "{\"a\":1 x} ".repeat(20_000),
        "{\"a\":1 x ".repeat(20_000),
        "```json ".repeat(20_000),
    ] {
        let given = [candidate(text.clone()), candidate(text)];
        vote_records(&given, None, &RecordOptions::default());
        call_classes(&given, &[]);
    }
    let many: Vec<Value> =
        (0..300).map(|n| json!({"n": n, "t": format!("{n} and {}", "so on ".repeat(2_000))})).collect();
    vote_records(&candidates(&many), None, &RecordOptions::default());
    let lists: Vec<Value> = (0..40)
        .map(|n| (0..40).map(|m| json!({"name": format!("thing {n} {m}"), "n": n})).collect())
        .collect();
    vote_records(&candidates(&lists), None, &RecordOptions::default());
}
