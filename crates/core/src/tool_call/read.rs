//! Calls in the formats of APIs and models.

use serde_json::{Map, Value};

use super::Call;
use crate::reader::{NoAnswer, nothing_said, said};
use crate::record::{End, parse_all, top_values, without_text};
use crate::sample_set::Candidate;

/// Names under which a call has its arguments.
const ARGUMENTS: [&str; 5] = ["arguments", "parameters", "args", "input", "kwargs"];
/// Objects that hold calls: a message, its content, what a provider calls them.
const HOLDERS: [&str; 8] =
    ["tool_calls", "function_call", "functionCall", "message", "content", "output", "parts", "choices"];

/// Reads the calls that a candidate makes, in their order; at least one.
pub fn read_calls(candidate: &Candidate) -> Result<Vec<Call>, NoAnswer> {
    for name in ["tool_calls", "function_call"] {
        let given = candidate.extra.get(name);
        if let Some(given) = given.filter(|given| !matches!(given, Value::Null | Value::String(_))) {
            let mut calls = Vec::new();
            collect(given, true, &mut calls)?;
            if !calls.is_empty() {
                return Ok(calls);
            }
        }
    }
    if let Some(reason) = without_text(candidate) {
        return Err(reason);
    }
    let (text, truncated) = said(&candidate.text, candidate.is_truncated())?;
    let calls = match text.contains("<function=") {
        true => tagged(text)?,
        false => in_json(text, truncated)?,
    };
    if calls.is_empty() {
        let nothing = nothing_said(text).unwrap_or(NoAnswer::NotFound);
        return Err(if truncated { NoAnswer::Truncated } else { nothing });
    }
    Ok(calls)
}

/// The calls that stand in a text as JSON, with or without marks around them.
fn in_json(text: &str, truncated: bool) -> Result<Vec<Call>, NoAnswer> {
    // Where calls are marked, other JSON is an example or a result.
    let mark = ["<tool_call>", "<|python_tag|>", "[TOOL_CALLS]", "<|tool_call|>"]
        .iter()
        .find_map(|mark| text.find(mark).map(|at| at + mark.len()));
    let marked = &text[mark.unwrap_or(0)..];
    let mut calls = Vec::new();
    let mut failed = None;
    let end = top_values(marked, &mut |value, _| {
        let before = calls.len();
        if let Err(reason) = collect(&value, mark.is_some(), &mut calls) {
            failed = failed.or(Some(reason));
        } else if mark.is_some() && calls.len() == before && is_object_like(&value) {
            // It stands where a call has to.
            failed = failed.or(Some(NoAnswer::Invalid));
        }
    });
    match (failed, end) {
        (Some(reason), _) => Err(reason),
        // A call may be missing, and a call that is missing makes another answer.
        (None, End::Open) => Err(NoAnswer::Truncated),
        (None, End::Broken) => Err(NoAnswer::Invalid),
        (None, End::Text) if mark.is_some() && calls.is_empty() => {
            Err(if truncated { NoAnswer::Truncated } else { NoAnswer::Invalid })
        }
        (None, End::Text) => Ok(calls),
    }
}

fn is_object_like(value: &Value) -> bool {
    matches!(value, Value::Object(fields) if !fields.is_empty())
}

/// Adds the calls of a value. What is no call is passed over: a text between calls, a result. `is_call`: it
/// stands where calls stand, so that one without arguments is one.
fn collect(value: &Value, is_call: bool, calls: &mut Vec<Call>) -> Result<(), NoAnswer> {
    match value {
        Value::Array(items) => items.iter().try_for_each(|item| collect(item, is_call, calls)),
        Value::Object(fields) => {
            if let Some(function) = fields.get("function").filter(|function| function.is_object()) {
                // A tool that is described, not called, has this form too: its parameters are a schema.
                return collect(function, true, calls);
            }
            if let Some(call) = call(fields, is_call)? {
                calls.push(call);
                return Ok(());
            }
            for name in HOLDERS {
                if let Some(held) = fields.get(name).filter(|held| held.is_object() || held.is_array()) {
                    collect(held, name != "content" && name != "message" && name != "choices", calls)?;
                }
            }
            Ok(())
        }
        _ => Ok(()),
    }
}

/// The call that an object is.
fn call(fields: &Map<String, Value>, is_call: bool) -> Result<Option<Call>, NoAnswer> {
    let kind = fields.get("type").and_then(Value::as_str);
    let is_call = is_call && kind.is_none_or(|kind| kind != "text")
        || matches!(kind, Some("tool_use" | "function_call" | "tool_call"));
    let name = ["name", "tool_name", "tool"].iter().find_map(|key| fields.get(*key)?.as_str());
    let Some(name) = name.map(str::trim).filter(|name| !name.is_empty()) else { return Ok(None) };
    let given = ARGUMENTS.iter().find_map(|key| fields.get(*key));
    let arguments = match given {
        None if is_call => Map::new(),
        None => return Ok(None),
        Some(Value::Null) => Map::new(),
        Some(Value::Object(arguments)) => arguments.clone(),
        Some(Value::String(text)) if text.trim().is_empty() => Map::new(),
        Some(Value::String(text)) => match parse_all(text) {
            Some(Value::Object(arguments)) => arguments,
            _ => return Err(NoAnswer::Invalid),
        },
        Some(_) => return Err(NoAnswer::Invalid),
    };
    // `{"name": .., "parameters": {"type": "object", "properties": ..}}` describes a tool.
    if arguments.get("type").and_then(Value::as_str) == Some("object") && arguments.contains_key("properties")
    {
        return Ok(None);
    }
    Ok(Some(Call { name: name.to_owned(), arguments }))
}

/// Calls in tags: `<function=search>{"query": "x"}</function>`, or with `<parameter=query>x</parameter>`
/// inside.
fn tagged(text: &str) -> Result<Vec<Call>, NoAnswer> {
    let mut calls = Vec::new();
    let mut rest = text;
    while let Some((_, behind)) = rest.split_once("<function=") {
        let (name, behind) = behind.split_once('>').ok_or(NoAnswer::Truncated)?;
        let end = behind.find("</function>");
        let content = end.map_or(behind, |end| &behind[..end]);
        rest = end.map_or("", |end| &behind[end..]);
        let name = name.trim_matches(['"', '\'', ' ']).to_owned();
        let arguments = match content.contains("<parameter=") {
            true => parameters(content)?,
            false if content.trim().is_empty() && end.is_some() => Map::new(),
            // A server's stop string takes the closing tag away, and the JSON is complete without it.
            false => match parse_all(content.trim().trim_end_matches("</tool_call>")) {
                Some(Value::Object(arguments)) => arguments,
                _ if end.is_none() => return Err(NoAnswer::Truncated),
                _ => return Err(NoAnswer::Invalid),
            },
        };
        if name.is_empty() {
            return Err(NoAnswer::Invalid);
        }
        calls.push(Call { name, arguments });
    }
    Ok(calls)
}

fn parameters(content: &str) -> Result<Map<String, Value>, NoAnswer> {
    let mut arguments = Map::new();
    for part in content.split("<parameter=").skip(1) {
        let (name, value) = part.split_once('>').ok_or(NoAnswer::Truncated)?;
        let (value, _) = value.split_once("</parameter>").ok_or(NoAnswer::Truncated)?;
        let value = value.trim();
        // Numbers, lists and objects stand there as JSON, texts as themselves.
        let value = parse_all(value).filter(|read| !read.is_string()).unwrap_or_else(|| value.into());
        arguments.insert(name.trim().to_owned(), value);
    }
    Ok(arguments)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tool_call::answer_text;
    use serde_json::json;

    fn text(text: &str) -> Result<String, NoAnswer> {
        read_calls(&Candidate { text: text.to_owned(), ..Default::default() })
            .map(|calls| answer_text(&calls))
    }

    #[test]
    fn calls_are_read_in_the_formats_of_the_models() {
        let expected = r#"{"name":"f","arguments":{"a":1}}"#;
        for format in [
            r#"{"name": "f", "arguments": {"a": 1}}"#,
            r#"{"name": "f", "arguments": "{\"a\": 1}"}"#,
            "I will look it up.\n```json\n{\"name\": \"f\", \"parameters\": {\"a\": 1}}\n```",
            "<tool_call>\n{'name': 'f', 'arguments': {'a': 1}}\n</tool_call>",
            "<think>{\"name\": \"g\"}</think><tool_call>{\"name\": \"f\", \"arguments\": {\"a\": 1}}",
            r#"<|python_tag|>{"name": "f", "parameters": {"a": 1}}<|eom_id|>"#,
            r#"[TOOL_CALLS] [{"name": "f", "arguments": {"a": 1}}]"#,
            r#"<function=f>{"a": 1}</function>"#,
            "<tool_call>\n<function=f>\n<parameter=a>\n1\n</parameter>\n</function>\n</tool_call>",
            r#"{"role": "assistant", "content": null, "tool_calls": [{"id": "x", "type": "function",
                "function": {"name": "f", "arguments": "{\"a\": 1}"}}]}"#,
            r#"{"function_call": {"name": "f", "arguments": "{\"a\": 1}"}}"#,
            r#"[{"type": "text", "text": "So:"},
                {"type": "tool_use", "id": "x", "name": "f", "input": {"a": 1}}]"#,
            r#"{"type": "function_call", "call_id": "x", "name": "f", "arguments": "{\"a\": 1}"}"#,
            r#"{"functionCall": {"name": "f", "args": {"a": 1}}}"#,
            r#"{"choices": [{"message": {"tool_calls":
                [{"function": {"name": "f", "arguments": {"a": 1}}}]}}]}"#,
        ] {
            assert_eq!(text(format).as_deref(), Ok(expected), "{format}");
        }
        let two = r#"<tool_call>{"name": "f", "arguments": {}}</tool_call>
            <tool_call>{"name": "g"}</tool_call>"#;
        assert_eq!(text(two).unwrap(), r#"[{"name":"f","arguments":{}},{"name":"g","arguments":{}}]"#);
    }

    #[test]
    fn what_the_api_gave_comes_first() {
        let given =
            json!([{"id": "1", "type": "function", "function": {"name": "f", "arguments": "{\"a\":[1]}"}}]);
        let mut candidate = Candidate { text: "Let me see.".to_owned(), ..Default::default() };
        assert_eq!(read_calls(&candidate), Err(NoAnswer::NotFound));
        candidate.extra.insert("tool_calls".to_owned(), given);
        assert_eq!(answer_text(&read_calls(&candidate).unwrap()), r#"{"name":"f","arguments":{"a":[1]}}"#);
        candidate
            .extra
            .insert("tool_calls".to_owned(), json!([{"function": {"name": "f", "arguments": "{"}}]));
        assert_eq!(read_calls(&candidate), Err(NoAnswer::Invalid));
    }

    #[test]
    fn what_is_no_call_says_why() {
        for (answer, expected) in [
            ("", NoAnswer::Empty),
            ("It is 7.", NoAnswer::NotFound),
            (r#"{"name": "Ann", "age": 7}"#, NoAnswer::NotFound),
            (r#"{"name": "f", "arguments": [1]}"#, NoAnswer::Invalid),
            (r#"<tool_call>{"name": "f", "arguments": {"a": oops}}</tool_call>"#, NoAnswer::Invalid),
            (r#"<tool_call>{"tool": 1}</tool_call>"#, NoAnswer::Invalid),
            (r#"<tool_call>{"name": "f", "arguments": {"a": "#, NoAnswer::Truncated),
            ("<function=f>{\"a\": ", NoAnswer::Truncated),
            (
                r#"{"type": "function",
                    "function": {"name": "f", "parameters": {"type": "object", "properties": {}}}}"#,
                NoAnswer::NotFound,
            ),
            ("I'm sorry, but I can't help with that.", NoAnswer::Refusal),
        ] {
            assert_eq!(text(answer), Err(expected), "{answer}");
        }
    }
}
