//! Sample sets: one problem with the candidates drawn for it, read from and written to JSONL.
//!
//! What lives here: the types, the checks a line must pass, and the line reader that every JSONL format of Conclave
//! shares. What does not: opening files and unzipping (hosts), finding answers in texts ([`crate::extract`]).
//!
//! Decisions:
//! 1. Unknown fields are kept, in their order, behind the known ones, at the level of the set and of each candidate.
//! 2. What is meant is read: `id`, `reference_answer` and texts may be numbers, true or false and are read as their text (`18` is
//!    `"18"`), a reference may be a list of which any is right, a candidate may be its text alone, and a text that is null or
//!    missing is an empty one. A number that a 64-bit float or integer cannot hold exactly is refused, because its digits would
//!    change silently.
//! 3. A set with no candidates is valid (its vote has no answer), and so is one with ten thousand.
//! 4. A bad line is reported with its number and reading goes on; nothing is dropped silently.

use std::io::BufRead;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::float;

pub use crate::json_lines::{JsonLines, LineError, write_json_line};
pub use crate::reference::Reference;

/// One problem and the candidate solutions sampled for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct SampleSet {
    /// Name of the problem, unique in its file.
    pub id: String,
    /// The problem in plain text.
    pub problem: String,
    /// The known final answer, where there is one; several where any of them is right.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reference_answer: Option<Reference>,
    /// The candidates in the order they were drawn.
    pub candidates: Vec<Candidate>,
    /// Every other field of the line, in its order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

/// One text from a black box, untrusted everywhere.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(try_from = "Value")]
pub struct Candidate {
    /// What the model wrote.
    pub text: String,
    /// Which model wrote it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Why it stopped: `stop`, `length`, ... as the API said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub finish_reason: Option<String>,
    /// Token accounting as the API gave it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Value>,
    /// Every other field of the candidate, in its order.
    #[serde(flatten)]
    pub extra: Map<String, Value>,
}

impl Candidate {
    /// Whether the text was cut off at a length limit, in the words of the common APIs.
    pub fn is_truncated(&self) -> bool {
        self.finish_reason
            .as_deref()
            .is_some_and(|reason| ["length", "max_tokens"].iter().any(|cut| reason.eq_ignore_ascii_case(cut)))
    }
}

/// Reads sample sets, one a line, each checked as described at [`SampleSet`] and in the module's documentation.
pub fn read_sample_sets<R: BufRead>(reader: R) -> JsonLines<R, SampleSet> {
    JsonLines::new(reader)
}

impl TryFrom<Value> for SampleSet {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let Value::Object(mut fields) = value else {
            return Err(format!(
                "expected an object with `id`, `problem` and `candidates`, found {}",
                kind(&value)
            ));
        };
        let id = match fields.shift_remove("id") {
            Some(Value::Number(number)) => number_text(&number, "id")?,
            other => required_text(other, "id")?,
        };
        let problem = required_text(fields.shift_remove("problem"), "problem")?;
        let reference_answer = match fields.shift_remove("reference_answer") {
            None => None,
            Some(value) => Reference::read(value)
                .map_err(|reason| format!("`reference_answer` of set `{id}`: {reason}"))?,
        };
        let candidates = match fields.shift_remove("candidates") {
            Some(Value::Array(candidates)) => candidates,
            Some(other) => return Err(format!("`candidates`: expected an array, found {}", kind(&other))),
            None => return Err("`candidates`: missing; expected an array (it may be empty)".to_string()),
        };
        let candidates = candidates
            .into_iter()
            .enumerate()
            .map(|(i, value)| {
                Candidate::try_from(value).map_err(|reason| format!("candidate {}: {reason}", i + 1))
            })
            .collect::<Result<_, _>>()?;
        Ok(Self { id, problem, reference_answer, candidates, extra: fields })
    }
}

impl TryFrom<Value> for Candidate {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let mut fields = match value {
            Value::Object(fields) => fields,
            Value::Array(_) => {
                return Err("expected a text or an object {\"text\": \"...\"}, found an array".to_owned());
            }
            bare => return Ok(Self { text: text_of(Some(bare), "text")?, ..Self::default() }),
        };
        // The name that chat APIs have for it, where there is no other.
        let text = match fields.shift_remove("text") {
            None if fields.contains_key("content") => fields.shift_remove("content"),
            text => text,
        };
        if text.is_none() && !fields.keys().any(|name| WITHOUT_TEXT.contains(&name.as_str())) {
            return Err("`text`: missing; expected a string".to_owned());
        }
        Ok(Self {
            text: text_of(text, "text")?,
            model: optional_text(fields.shift_remove("model"), "model")?,
            finish_reason: optional_text(fields.shift_remove("finish_reason"), "finish_reason")?,
            usage: fields.shift_remove("usage").filter(|usage| !usage.is_null()),
            extra: fields,
        })
    }
}

/// What an answer of an API holds where it has no text: calls, a thought, a refusal, an error.
const WITHOUT_TEXT: &[&str] =
    &["tool_calls", "function_call", "reasoning_content", "reasoning", "refusal", "error", "finish_reason"];

/// The text of a value that is meant as one. Null is no text; an object or a list is its JSON, as an API's structured output.
fn text_of(value: Option<Value>, field: &str) -> Result<String, String> {
    match value {
        None | Some(Value::Null) => Ok(String::new()),
        Some(Value::String(text)) => Ok(text),
        Some(Value::Number(number)) => number_text(&number, field),
        Some(Value::Array(parts)) if is_parts(&parts) => Ok(joined(&parts)),
        Some(other) => Ok(crate::json_text(&other)),
    }
}

/// Whether a list is the content of a message in parts: `[{"type": "text", "text": "..."}]`.
fn is_parts(parts: &[Value]) -> bool {
    !parts.is_empty() && parts.iter().all(|part| part.get("type").is_some_and(Value::is_string))
}

fn joined(parts: &[Value]) -> String {
    parts.iter().filter_map(|part| part.get("text")?.as_str()).collect()
}

fn required_text(value: Option<Value>, field: &str) -> Result<String, String> {
    match value {
        Some(Value::String(text)) => Ok(text),
        Some(other) => Err(format!("`{field}`: expected a string, found {}", kind(&other))),
        None => Err(format!("`{field}`: missing; expected a string")),
    }
}

fn optional_text(value: Option<Value>, field: &str) -> Result<Option<String>, String> {
    match value {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text)),
        Some(other) => Err(format!("`{field}`: expected a string or null, found {}", kind(&other))),
    }
}

/// The text of a number whose digits are certain.
pub(crate) fn number_text(number: &serde_json::Number, field: &str) -> Result<String, String> {
    const EXACT: f64 = 9_007_199_254_740_992.0; // 2^53
    match number.as_f64() {
        Some(value) if number.is_f64() && value.abs() >= EXACT => Err(format!(
            "`{field}`: the number {} is too large to be read exactly: write it as a string",
            float::number_text(number)
        )),
        _ => Ok(float::number_text(number)),
    }
}

/// What a JSON value is, in words.
pub(crate) fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a string",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io;

    fn read(bytes: &[u8]) -> Vec<Result<SampleSet, LineError>> {
        read_sample_sets(bytes).collect()
    }

    fn reason(line: &str) -> String {
        read(line.as_bytes())[0].as_ref().unwrap_err().reason.clone()
    }

    #[test]
    fn bom_crlf_and_blank_lines() {
        let sets = read(b"\xEF\xBB\xBF{\"id\":\"a\",\"problem\":\"p\",\"candidates\":[]}\r\n\r\n  \n{\"id\":7,\"problem\":\"p\",\"reference_answer\":18,\"candidates\":[{\"text\":\"t\"}]}");
        assert_eq!(sets.len(), 2);
        assert_eq!(sets[0].as_ref().unwrap().candidates.len(), 0);
        let second = sets[1].as_ref().unwrap();
        assert_eq!((second.id.as_str(), second.reference_answer.as_deref()), ("7", Some("18")));
    }

    #[test]
    fn bad_lines_are_numbered_and_reading_goes_on() {
        let sets = read(b"{\"id\":\"a\",\"problem\":\"p\",\"candidates\":[]}\n\n\xFFx\n{]\n[1]\n{\"id\":\"b\",\"problem\":\"p\",\"candidates\":[]}\n");
        let lines: Vec<u64> = sets.iter().filter_map(|s| s.as_ref().err().map(|e| e.line)).collect();
        assert_eq!(lines, [3, 4, 5]);
        assert_eq!(sets.iter().filter(|s| s.is_ok()).count(), 2);
        assert!(sets[1].as_ref().unwrap_err().to_string().starts_with("line 3: not UTF-8 at byte 1"));
        assert!(sets[2].as_ref().unwrap_err().reason.starts_with("not JSON at column 2"));
    }

    #[test]
    fn an_empty_file_has_no_sets() {
        assert!(read(b"").is_empty());
        assert!(read(b"\n\r\n").is_empty());
    }

    #[test]
    fn errors_name_the_field() {
        assert_eq!(
            reason(r#"{"id":"a","problem":"p"}"#),
            "`candidates`: missing; expected an array (it may be empty)"
        );
        assert_eq!(
            reason(r#"{"id":"a","problem":"p","candidates":[{"text":"x"},[]]}"#),
            "candidate 2: expected a text or an object {\"text\": \"...\"}, found an array"
        );
        assert_eq!(reason(r#"{"problem":"p","candidates":[]}"#), "`id`: missing; expected a string");
        assert!(
            reason(r#"{"id":"gsm-4","problem":"p","candidates":[],"reference_answer":" "}"#)
                .contains("`gsm-4`")
        );
        assert!(
            reason(r#"{"id":"a","problem":"p","candidates":[],"reference_answer":123456789012345678901234}"#)
                .contains("string")
        );
        assert!(
            reason(r#"{"id":"a","problem":"p","candidates":[],"reference_answer":" "}"#)
                .contains("leave the field out")
        );
    }

    #[test]
    fn what_is_meant_is_read() {
        let candidates = r#"["a",7,true,null,{"text":null,"reasoning_content":"so"},{"content":"b"},{"tool_calls":[]},{"text":{"x":1}},{"content":[{"type":"text","text":"c"},{"type":"image"}]}]"#;
        let line =
            format!(r#"{{"id":"a","problem":"p","reference_answer":"\n#### 18","candidates":{candidates}}}"#);
        let set = read(line.as_bytes()).remove(0).unwrap();
        let texts: Vec<&str> = set.candidates.iter().map(|candidate| candidate.text.as_str()).collect();
        assert_eq!(texts, ["a", "7", "true", "", "", "b", "", r#"{"x":1}"#, "c"]);
        assert_eq!(set.reference_answer.unwrap().first(), "18");
        assert!(reason(r#"{"id":"a","problem":"p","candidates":[{}]}"#).contains("`text`: missing"));
    }

    #[test]
    fn unknown_fields_pass_through_in_order() {
        let line = r#"{"id":"a","problem":"p","reference_answer":"2","candidates":[{"text":"t","model":"m","finish_reason":"length","usage":{"b":1,"a":0.1},"z":1,"y":[null]}],"zz":{"k":1e-7},"aa":null}"#;
        let set = read(line.as_bytes()).remove(0).unwrap();
        assert!(set.candidates[0].is_truncated());
        let mut out = Vec::new();
        write_json_line(&mut out, &set).unwrap();
        assert_eq!(String::from_utf8(out).unwrap(), format!("{line}\n"));
    }

    #[test]
    fn a_failing_reader_is_reported_once() {
        struct Broken;
        impl io::Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::Error::other("the disk is gone"))
            }
        }
        let results: Vec<_> = read_sample_sets(io::BufReader::new(Broken)).collect();
        assert_eq!(results.len(), 1);
        assert!(results[0].as_ref().unwrap_err().reason.contains("the disk is gone"));
    }

    #[test]
    fn many_and_large_candidates_are_valid() {
        let text = "x".repeat(10_000_000);
        let line = format!(r#"{{"id":"a","problem":"p","candidates":[{{"text":"{text}"}}]}}"#);
        assert_eq!(read(line.as_bytes())[0].as_ref().unwrap().candidates[0].text.len(), 10_000_000);
        let many = vec![r#"{"text":"5"}"#; 10_000].join(",");
        let line = format!(r#"{{"id":"a","problem":"p","candidates":[{many}]}}"#);
        assert_eq!(read(line.as_bytes())[0].as_ref().unwrap().candidates.len(), 10_000);
    }
}
