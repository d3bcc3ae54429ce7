//! Answers of chat APIs and conversations: completions, messages, Responses, turns, transcripts.

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::batch::finish;
use crate::row::{Context, Row, candidate};
use crate::text::{Transcript, last_question};

/// The candidates that one answer of an API holds.
pub fn answers(mut body: Map<String, Value>) -> Result<Vec<Candidate>, String> {
    let model = body.get("model").and_then(Value::as_str).map(str::to_owned);
    let mut candidates =
        match (body.shift_remove("choices"), body.shift_remove("output"), body.shift_remove("content")) {
            (Some(Value::Array(choices)), _, _) => {
                choices.into_iter().map(candidate).collect::<Result<Vec<_>, _>>()?
            }
            (_, Some(Value::Array(items)), _) => vec![response(items, &body)?],
            (_, _, Some(Value::Array(parts))) => vec![message(parts, &body)?],
            (_, Some(Value::String(text)), _) | (_, _, Some(Value::String(text))) => {
                vec![Candidate { text, ..Candidate::default() }]
            }
            _ => return Err("expected `choices`, `output` or `content` with an answer".to_owned()),
        };
    // What was used is for all together, so only a single answer has it.
    if let [one] = candidates.as_mut_slice() {
        one.usage = one.usage.take().or_else(|| body.shift_remove("usage")).filter(|usage| !usage.is_null());
    }
    candidates.iter_mut().for_each(|one| one.model = one.model.take().or_else(|| model.clone()));
    Ok(candidates)
}

/// A message of Anthropic's API: parts of text, and calls.
fn message(parts: Vec<Value>, body: &Map<String, Value>) -> Result<Candidate, String> {
    let calls: Vec<Value> = parts
        .iter()
        .filter(|part| part.get("type").and_then(Value::as_str) == Some("tool_use"))
        .cloned()
        .collect();
    let mut one = if parts.is_empty() { Candidate::default() } else { candidate(Value::Array(parts))? };
    if !calls.is_empty() {
        one.extra.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    one.finish_reason = body.get("stop_reason").and_then(Value::as_str).map(str::to_owned);
    Ok(one)
}

/// The items of a Responses object: messages, and calls.
fn response(items: Vec<Value>, body: &Map<String, Value>) -> Result<Candidate, String> {
    let (mut text, mut calls) = (String::new(), Vec::new());
    for item in items {
        match item.get("type").and_then(Value::as_str) {
            Some("message") => {
                let parts = item.get("content").and_then(Value::as_array).into_iter().flatten();
                text.extend(parts.filter_map(|part| part.get("text")?.as_str()));
            }
            Some("function_call") => calls.push(item),
            _ => {}
        }
    }
    let mut one = Candidate { text, ..Candidate::default() };
    if !calls.is_empty() {
        one.extra.insert("tool_calls".to_owned(), Value::Array(calls));
    }
    let reason =
        body.get("incomplete_details").and_then(|details| details.get("reason")).and_then(Value::as_str);
    // In the words of the other APIs.
    one.finish_reason =
        reason.map(|reason| if reason == "max_output_tokens" { "length" } else { reason }.to_owned());
    Ok(one)
}

/// An answer of a chat API on its own.
pub fn completion(object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let id = object
        .get("custom_id")
        .or_else(|| object.get("id"))
        .and_then(Value::as_str)
        .unwrap_or_default()
        .to_owned();
    let from = ["choices", "output", "content"].iter().find(|name| object.contains_key(**name));
    context.used.candidates.get_or_insert_with(|| match from {
        Some(&"choices") => "choices[].message.content".to_owned(),
        other => other.copied().unwrap_or_default().to_owned(),
    });
    let input = object
        .get("input")
        .or_else(|| object.get("prompt"))
        .or_else(|| object.get("messages"))
        .and_then(crate::text::question);
    let mut set = SampleSet {
        id: id.clone(),
        problem: input.unwrap_or_default(),
        reference_answer: None,
        candidates: answers(object)?,
        extra: Map::new(),
    };
    context.join_problem(&id, &mut set);
    Ok(Row::Set(set))
}

/// An answer by turns of FastChat or LiveBench: one model's, so that several files make a set.
pub fn model_answer(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let id = object
        .shift_remove("question_id")
        .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
        .unwrap_or_default();
    let model = object
        .shift_remove("model_id")
        .or_else(|| object.shift_remove("model"))
        .and_then(|model| model.as_str().map(str::to_owned));
    let choices =
        object.shift_remove("choices").and_then(|choices| choices.as_array().cloned()).unwrap_or_default();
    let mut candidates = Vec::new();
    for choice in choices {
        let turns = choice.get("turns").and_then(Value::as_array).cloned().unwrap_or_default();
        let last = turns.last().cloned().unwrap_or(Value::Null);
        let mut one = candidate(last)?;
        one.model = one.model.or_else(|| model.clone());
        if turns.len() > 1 {
            one.extra.insert("turns".to_owned(), Value::Array(turns));
        }
        candidates.push(one);
    }
    context.used.candidates.get_or_insert_with(|| "choices[].turns".to_owned());
    finish(id, candidates, context)
}

/// One answer to a question, by which it is joined with others.
fn asked(question: String, one: Candidate) -> Row {
    let set = SampleSet {
        id: String::new(),
        problem: question.clone(),
        reference_answer: None,
        candidates: vec![one],
        extra: Map::new(),
    };
    Row::Part(question, set)
}

/// A chat as one text.
pub fn transcript(text: &str, context: &mut Context<'_>) -> Result<Row, String> {
    let Some(Transcript { question, answer }) = Transcript::read(text) else {
        return Err(
            "expected a transcript: `user`, a question, `assistant`, an answer, each on lines of their own"
                .to_owned(),
        );
    };
    context.came_from(Some("the user's turn"), None);
    let one = Candidate { text: answer.trim_end().to_owned(), ..Candidate::default() };
    Ok(asked(question, one))
}

/// A conversation as a list of messages.
pub fn messages(messages: Vec<Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let question = last_question(&messages).unwrap_or_default();
    context.came_from(Some("the user's turn"), None);
    let one = candidate(Value::Array(messages))?;
    Ok(asked(question, one))
}
