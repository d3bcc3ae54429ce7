//! Batches of APIs: results by `custom_id`, of which some requests may have failed; and requests, which are no answers.

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value, json};

use crate::chat;
use crate::row::{Context, Note, Row};

fn identity(object: &Map<String, Value>) -> String {
    let id = object.get("custom_id").or_else(|| object.get("id"));
    id.map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned)).unwrap_or_default()
}

/// A line of OpenAI's or vLLM's batch output.
pub fn openai(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let id = identity(&object);
    let mut response = object.shift_remove("response").unwrap_or(Value::Null);
    let status = response.get("status_code").and_then(Value::as_u64);
    let body = response.as_object_mut().and_then(|response| response.shift_remove("body"));
    let error = object.shift_remove("error").filter(|error| !error.is_null());
    let error = error.or_else(|| {
        body.as_ref().and_then(|body| body.get("error")).filter(|error| !error.is_null()).cloned()
    });
    let candidates = match (body, error) {
        (Some(Value::Object(body)), None) if status.is_none_or(|status| status < 400) => chat::answers(body)?,
        (_, error) => {
            let error = error.unwrap_or_else(|| json!({"status_code": status}));
            vec![failed(&id, error, context)]
        }
    };
    context.used.candidates.get_or_insert_with(|| "response.body.choices".to_owned());
    finish(id, candidates, context)
}

/// A line of Anthropic's batch results.
pub fn anthropic(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let id = identity(&object);
    let mut result = object.shift_remove("result").unwrap_or(Value::Null);
    let message = result.as_object_mut().and_then(|result| result.shift_remove("message"));
    let candidates = match message {
        Some(Value::Object(message)) => chat::answers(message)?,
        _ => {
            let kind = result.get("type").cloned().unwrap_or(Value::Null);
            let error = result.get("error").cloned().unwrap_or_else(|| json!({"code": kind}));
            vec![failed(&id, error, context)]
        }
    };
    context.used.candidates.get_or_insert_with(|| "result.message.content".to_owned());
    finish(id, candidates, context)
}

/// A line of requests.
pub fn input(object: &Map<String, Value>) -> String {
    let id = identity(object);
    format!("`{id}` is a request, not an answer: give the batch's output (this file can be its --problems)")
}

/// Answers to a request or question that the file knows only by its id.
pub fn finish(id: String, candidates: Vec<Candidate>, context: &mut Context<'_>) -> Result<Row, String> {
    let mut set = SampleSet {
        id: id.clone(),
        problem: String::new(),
        reference_answer: None,
        candidates,
        extra: Map::new(),
    };
    context.join_problem(&id, &mut set);
    Ok(Row::Part(id, set))
}

/// A request without an answer, as the API says why.
fn failed(id: &str, error: Value, context: &mut Context<'_>) -> Candidate {
    let code = ["code", "type", "message", "status_code"]
        .iter()
        .find_map(|name| error.get(*name).filter(|code| !code.is_null()));
    let code = code.map_or_else(
        || error.to_string(),
        |code| code.as_str().map_or_else(|| code.to_string(), str::to_owned),
    );
    context.notes.add(Note::Failed, || format!("`{id}`: {code}"));
    Candidate { extra: Map::from_iter([("error".to_owned(), error)]), ..Candidate::default() }
}
