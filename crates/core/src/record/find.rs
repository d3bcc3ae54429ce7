//! JSON inside a text: which of its values is the record.

use serde_json::{Map, Value};

use super::parse::{Failure, Parser};
use crate::reader::{NoAnswer, nothing_said, said};
use crate::sample_set::Candidate;

/// What ends a search.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// The text, and all that began in it was read or is no JSON.
    Text,
    /// A value that the text breaks off in.
    Open,
    /// A value with keys that is no JSON.
    Broken,
}

/// Bytes that may be looked at for each byte of a text. More are needed only where thousands of values begin
/// and none ends.
const MOST_LOOKS: usize = 200;

/// Gives each object and array of `text` that stands in no other to `found`, with whether it stands alone (in
/// the text, or in a code fence). What begins inside a value that is broken or breaks off is a part of it,
/// and is not given.
pub(crate) fn top_values(text: &str, found: &mut dyn FnMut(Value, bool)) -> End {
    let mut at = 0;
    let mut end = End::Text;
    let mut looks = text.len().saturating_mul(MOST_LOOKS).max(1_000_000);
    while let Some(start) = text[at..].find(['{', '[']).map(|next| at + next) {
        let mut parser = Parser::new(text, start);
        let value = parser.value();
        let is_first = || is_fence_open(&text[..start]);
        match value {
            Ok(value) => {
                at = parser.at;
                end = End::Text;
                let behind = text[at..].trim_start();
                found(value, is_first() && (behind.is_empty() || behind.starts_with("```")));
            }
            Err(Failure::TooDeep) => return End::Broken,
            Err(Failure::Ends) if parser.keys > 0 || is_first() => return End::Open,
            Err(Failure::Broken) if parser.keys > 0 => {
                end = End::Broken;
                match closed(text, parser.at, parser.open) {
                    Some(behind) => at = behind,
                    None => return End::Broken,
                }
            }
            Err(_) => {
                looks = looks.saturating_sub(parser.at - start);
                if looks == 0 {
                    return End::Broken;
                }
                at = start + 1;
            }
        }
    }
    end
}

/// Where the last of `open` brackets closes, behind `at`.
fn closed(text: &str, at: usize, mut open: usize) -> Option<usize> {
    for (offset, byte) in text.as_bytes()[at..].iter().enumerate() {
        match byte {
            b'{' | b'[' => open += 1,
            b'}' | b']' => open = open.saturating_sub(1),
            _ => {}
        }
        if open == 0 {
            return Some(at + offset + 1);
        }
    }
    None
}

/// Whether nothing stands before a value, or the beginning of a code fence: "```json".
fn is_fence_open(before: &str) -> bool {
    let before = before.trim_end();
    let line = &before[before.rfind('\n').map_or(0, |line| line + 1)..];
    let fence = line.rfind("```").map(|fence| &line[fence + 3..]);
    before.is_empty() || fence.is_some_and(|name| name.chars().all(char::is_alphanumeric))
}

/// Reads the record of a text: its last complete object, or array of objects, that stands in no other; any
/// array where it stands alone. An empty one counts only where it stands alone. `truncated`: the text was cut
/// off at a length limit.
pub fn read_record(text: &str, truncated: bool) -> Result<Value, NoAnswer> {
    let (text, truncated) = said(text, truncated)?;
    let mut last = None;
    let end = top_values(text, &mut |value, is_alone| {
        let is_record = match &value {
            Value::Object(fields) => is_alone || !fields.is_empty(),
            Value::Array(items) => is_alone || !items.is_empty() && items.iter().all(Value::is_object),
            _ => false,
        };
        if is_record {
            last = Some(value);
        }
    });
    match last {
        _ if truncated && end == End::Open => Err(NoAnswer::Truncated),
        Some(Value::Object(fields)) if is_error(&fields) => Err(NoAnswer::ApiError),
        Some(record) => Ok(record),
        None => Err(match nothing_said(text) {
            _ if end == End::Open || truncated => NoAnswer::Truncated,
            Some(reason) if end == End::Text => reason,
            _ => NoAnswer::Invalid,
        }),
    }
}

/// Reads the record of a candidate.
pub fn read_record_candidate(candidate: &Candidate) -> Result<Value, NoAnswer> {
    match without_text(candidate) {
        Some(reason) => Err(reason),
        None => read_record(&candidate.text, candidate.is_truncated()),
    }
}

/// Why a candidate has no text, where its API says it.
pub(crate) fn without_text(candidate: &Candidate) -> Option<NoAnswer> {
    let has = |name: &str| candidate.extra.get(name).is_some_and(|value| !value.is_null());
    if !candidate.text.trim().is_empty() {
        return None;
    }
    if has("error") {
        return Some(NoAnswer::ApiError);
    }
    has("refusal").then_some(NoAnswer::Refusal)
}

/// Whether an object is the body of a failed request, `{"error": {"message": ..}}`. It has to be nothing
/// else: records of errors are records.
fn is_error(fields: &Map<String, Value>) -> bool {
    const KEYS: [&str; 8] = ["error", "message", "code", "status", "type", "object", "request_id", "param"];
    let is_error = match fields.get("error") {
        Some(Value::Object(error)) => error.contains_key("message"),
        Some(Value::String(_)) => fields.len() == 1,
        _ => fields.get("object").and_then(Value::as_str) == Some("error"),
    };
    is_error && fields.keys().all(|key| KEYS.contains(&key.as_str()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn the_last_complete_record_is_read() {
        for (text, expected) in [
            (r#"{"a":1}"#, json!({"a": 1})),
            ("Here it is:\n```json\n{\"a\": 1}\n```\nLet me know!", json!({"a": 1})),
            (r#"Draft {"a":1}, corrected: {"a":2}. Note: {x} and {} are left."#, json!({"a": 2})),
            (r#"<think>{"a":1}</think>{"a":2}<|im_end|>"#, json!({"a": 2})),
            (r#"The rows [{"a":1},{"a":2}] of table [3]"#, json!([{"a": 1}, {"a": 2}])),
            (r#"On [0, 1) and (see {"a":1}]"#, json!({"a": 1})),
            ("```\n[\"x\", \"y\"]\n```", json!(["x", "y"])),
            ("```json\n{}\n```", json!({})),
            (r#"<answer>{"a": [1, 2]}</answer>"#, json!({"a": [1, 2]})),
            (r#"{"a": {"b": 1} oops {"c": 2}} then {"d": 3}"#, json!({"d": 3})),
            (r#"{"error": "timeout", "host": "db1"}"#, json!({"error": "timeout", "host": "db1"})),
        ] {
            assert_eq!(read_record(text, false), Ok(expected), "{text}");
        }
    }

    #[test]
    fn what_has_no_record_says_why() {
        let deep = "[".repeat(100_000);
        for (text, truncated, expected) in [
            ("", false, NoAnswer::Empty),
            ("<think>{\"a\":1}", false, NoAnswer::UnclosedThought),
            ("<think>{\"a\":1}</think>", false, NoAnswer::Empty),
            ("42", false, NoAnswer::Invalid),
            ("\"a\"", false, NoAnswer::Invalid),
            ("It is 7, see [1, 2].", false, NoAnswer::Invalid),
            (r#"{"a": {"b": 1} oops}"#, false, NoAnswer::Invalid),
            (r#"{"a": [{"b": 1}, {"b""#, false, NoAnswer::Truncated),
            (r#"{"a": 1} {"a": 2, "#, true, NoAnswer::Truncated),
            ("I was about to", true, NoAnswer::Truncated),
            ("I'm sorry, but I can't help with that.", false, NoAnswer::Refusal),
            ("Error code: 429 - Rate limit reached", false, NoAnswer::ApiError),
            (r#"{"error": {"message": "m", "code": 500}}"#, false, NoAnswer::ApiError),
            (&deep, false, NoAnswer::Invalid),
        ] {
            let start = &text[..text.len().min(40)];
            assert_eq!(read_record(text, truncated), Err(expected), "{start}");
        }
        assert_eq!(read_record(r#"{"a": 1}"#, true), Ok(json!({"a": 1})));
    }
}
