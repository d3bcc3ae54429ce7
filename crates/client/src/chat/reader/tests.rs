//! Answers as servers send them, whole and in pieces.

use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::endpoint::HttpUrl;
use crate::secret::Secret;

const KEY: &str = "sk-abcdefghijklmnop";

/// The outcome of an answer in chunks of `size`, and the pieces of its text and its reasoning that were shown.
fn read(stream: &[u8], size: usize) -> (Result<()>, Candidate, [Vec<String>; 2]) {
    let url = HttpUrl::parse("http://127.0.0.1/v1").unwrap();
    let key = Secret::new(KEY).unwrap();
    let mut reader = AnswerReader::new(Asked { url: &url, model: "asked", key: Some(&key) });
    let mut shown = [Vec::new(), Vec::new()];
    let mut each = |delta: Delta<'_>| match delta {
        Delta::Text(text) => shown[0].push(text.to_owned()),
        Delta::Reasoning(text) => shown[1].push(text.to_owned()),
    };
    let mut outcome = Ok(());
    for chunk in stream.chunks(size) {
        outcome = reader.push(chunk, &mut each);
        if outcome.is_err() || reader.is_done() {
            break;
        }
    }
    let outcome = outcome.and_then(|()| reader.finish(&mut each));
    (outcome, reader.candidate(), shown)
}

fn events(events: &[Value]) -> String {
    events.iter().map(|event| format!("data: {event}\n\n")).collect::<String>() + "data: [DONE]\n\n"
}

fn delta(delta: Value) -> Value {
    json!({"model": "said", "choices": [{"index": 0, "delta": delta, "finish_reason": null}]})
}

#[test]
fn a_stream_becomes_a_candidate() {
    let stream = events(&[
        delta(json!({"role": "assistant", "content": null})),
        delta(json!({"reasoning_content": "hm", "content": null})),
        delta(json!({"reasoning": ", so"})),
        json!({"choices": [{"index": 1, "delta": {"content": "of another choice"}}]}),
        delta(json!({"content": "é is "})),
        delta(json!({"content": [{"type": "text", "text": "7"}, {"type": "image"}]})),
        json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": null}),
        json!({"choices": [], "usage": {"completion_tokens": 3}}),
    ]);
    for size in [1, 7, 1000] {
        let (outcome, candidate, shown) = read(stream.as_bytes(), size);
        outcome.unwrap();
        assert_eq!((candidate.text.as_str(), candidate.model.as_deref()), ("é is 7", Some("said")));
        assert_eq!(candidate.finish_reason.as_deref(), Some("stop"));
        assert_eq!(candidate.usage, Some(json!({"completion_tokens": 3})));
        assert_eq!(candidate.extra["reasoning"], "hm, so");
        assert_eq!(shown.map(|shown| shown.concat()), ["é is 7", "hm, so"]);
    }
}

#[test]
fn an_answer_without_a_stream_counts_too() {
    let whole =
        json!({"choices": [{"message": {"content": "7"}, "finish_reason": "length"}], "usage": {"a": 1}});
    for text in [whole.to_string(), format!(" \r\n{whole}\n"), format!("data: {whole}\n\n")] {
        let (outcome, candidate, shown) = read(text.as_bytes(), 5);
        outcome.unwrap();
        assert!(candidate.is_truncated() && candidate.text == "7" && shown[0] == ["7"]);
        assert_eq!(candidate.model.as_deref(), Some("asked"));
    }
}

#[test]
fn what_is_no_answer_is_named() {
    use ErrorKind::*;
    let half = format!("data: {}\n\n", delta(json!({"content": "half"})));
    for (stream, kind, part) in [
        (String::new(), Malformed, "is empty"),
        (" \n".to_owned(), Malformed, "is empty"),
        ("<!doctype html>".to_owned(), Malformed, "a page of HTML"),
        ("garbage".to_owned(), Malformed, "no `choices`"),
        ("data: garbage\n\n".to_owned(), Malformed, "not JSON: \"garbage\""),
        ("data: [DONE]\n\n".to_owned(), Malformed, "no `choices`"),
        ("{\"choices\":[]}".to_owned(), Malformed, "no `choices`"),
        ("{\"choices\":[".to_owned(), Disconnected, "broke off"),
        ("{\"choices\":]}".to_owned(), Malformed, "not JSON"),
        ("{\"error\":{\"message\":\"no memory\"}}".to_owned(), Server, "no memory"),
        (half.clone(), Disconnected, "broke off"),
        (
            half.clone() + "data: {\"error\":{\"message\":\"no memory\",\"code\":500}}\n\n",
            Server,
            "no memory",
        ),
        (half.clone() + "event: error\ndata: {\"message\":\"no memory\"}\n\n", Server, "no memory"),
        (half + "event: error\ndata: no memory\n\n", Server, "no memory"),
        (format!("data: {KEY} is bad\n\n"), Malformed, "\"[key] is bad\""),
    ] {
        for size in [1, 1000] {
            let (outcome, candidate, _) = read(stream.as_bytes(), size);
            let error = outcome.unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(part), "{stream}: {error}");
            assert!(!error.to_string().contains(KEY), "{error}");
            assert_eq!(candidate.text, if stream.contains("half") { "half" } else { "" });
        }
    }
}

#[test]
fn what_stands_behind_the_end_is_not_read() {
    let stream = events(&[delta(json!({"content": "7"}))]) + "data: garbage\n\n";
    assert!(read(stream.as_bytes(), 1000).0.is_ok());
}

#[test]
fn a_server_that_repeats_the_key_does_not_get_it_recorded() {
    let pieces = KEY.chars().map(|piece| delta(json!({"content": piece.to_string(), "reasoning": KEY})));
    let mut all: Vec<Value> = pieces.collect();
    all.push(json!({"model": KEY, "usage": {"key": KEY}, "choices": [{"delta": {}, "finish_reason": KEY}]}));
    let (outcome, candidate, shown) = read(events(&all).as_bytes(), 1000);
    outcome.unwrap();
    assert_eq!(candidate.text, "[key]");
    assert_eq!(
        (candidate.model.as_deref(), candidate.finish_reason, candidate.usage),
        (Some("asked"), None, None)
    );
    assert_eq!(shown[0], ["[key]"]);
    assert!(!shown[1].concat().contains(KEY) && !candidate.extra["reasoning"].to_string().contains(KEY));
}

proptest! {
    #[test]
    fn any_chunking_gives_the_same_candidate(texts in prop::collection::vec("\\PC{0,6}", 0..8), size in 1usize..60) {
        let mut all: Vec<Value> = texts.iter().map(|text| delta(json!({"content": text}))).collect();
        all.push(json!({"choices": [{"delta": {}, "finish_reason": "stop"}]}));
        let (outcome, candidate, shown) = read(events(&all).as_bytes(), size);
        prop_assert!(outcome.is_ok());
        prop_assert_eq!(&candidate.text, &texts.concat());
        prop_assert_eq!(shown[0].concat(), candidate.text);
    }

    #[test]
    fn any_bytes_do_no_harm(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
        let (once, again) = (read(&bytes, size), read(&bytes, 1000));
        prop_assert_eq!(once.0.map_err(|error| error.kind()), again.0.map_err(|error| error.kind()));
    }
}
