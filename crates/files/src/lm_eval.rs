//! Samples of lm-evaluation-harness (`samples_*.jsonl`): a line a document and filter, of which all have the same answers.

use conclave_core::sample_set::SampleSet;
use serde_json::{Map, Value};

use crate::fields::reference;
use crate::names;
use crate::row::{Context, Note, Row, candidate, hash};
use crate::text::{options, question, with_options};

/// The row that an object is.
pub fn row(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let texts = match object.shift_remove("resps") {
        Some(Value::Array(requests)) => texts(requests)?,
        _ => return Err("`resps`: expected a list of lists of answers".to_owned()),
    };
    let id = object
        .get("doc_id")
        .map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned))
        .unwrap_or_default();
    let said = Value::Array(texts.clone()).to_string();
    let hash_of = |name: &str| object.get(name).and_then(Value::as_str).unwrap_or_default();
    if !context.seen.insert(hash(&[&id, hash_of("doc_hash"), &said])) {
        context.notes.add(Note::Repeated, || id.clone());
        return Ok(Row::Nothing);
    }
    let mut document =
        object.shift_remove("doc").and_then(|doc| doc.as_object().cloned()).unwrap_or_default();
    let asked = names::PROBLEM.iter().chain(&["Problem", "Question"]).find_map(|name| {
        Some((*name, document.get(*name).filter(|value| value.is_string()).and_then(question)?))
    });
    let problem = match asked {
        Some((name, problem)) => {
            context.came_from(Some(&format!("doc.{name}")), None);
            problem
        }
        None => {
            context.came_from(Some("arguments"), None);
            prompt(object.get("arguments")).unwrap_or_default()
        }
    };
    let options = options(&mut document);
    let target = object
        .shift_remove("target")
        .filter(|target| target.as_str().is_none_or(|text| !text.trim().is_empty()));
    let (from, target) = match target.filter(|target| !target.is_null()) {
        Some(target) => ("target", Some(target)),
        None => ("doc.answer", document.get("answer").cloned()),
    };
    let reference_answer = target.map(|target| reference(target, &options)).transpose()?.flatten();
    context.came_from(None, reference_answer.is_some().then_some(from));
    context.used.candidates = context.used.candidates.take().or_else(|| Some("resps".to_owned()));
    for name in ["arguments", "filtered_resps", "filter", "metrics"] {
        object.shift_remove(name);
    }
    let candidates = texts.into_iter().map(candidate).collect::<Result<_, _>>()?;
    Ok(Row::Set(SampleSet {
        id,
        problem: with_options(&problem, &options),
        reference_answer,
        candidates,
        extra: object,
    }))
}

/// The answers of all requests of a document.
fn texts(requests: Vec<Value>) -> Result<Vec<Value>, String> {
    let mut texts = Vec::new();
    for request in requests {
        match request {
            Value::Array(answers) => texts.extend(answers),
            answer => texts.push(answer),
        }
    }
    // Log-likelihoods are pairs of a number and whether it is the greedy choice.
    let is_number =
        |value: &Value| value.is_number() || value.as_str().is_some_and(|text| text.parse::<f64>().is_ok());
    let is_greedy = |value: &Value| {
        value.is_boolean() || value.as_str().is_some_and(|text| matches!(text, "True" | "False"))
    };
    let is_likelihood = texts.iter().any(Value::is_array)
        || (texts.len() > 1
            && texts.chunks(2).all(|pair| pair.len() == 2 && is_number(&pair[0]) && is_greedy(&pair[1])));
    match is_likelihood {
        true => {
            Err("`resps` holds log-likelihoods of a multiple choice, not texts: there is nothing to vote on"
                .to_owned())
        }
        false => Ok(texts),
    }
}

/// The prompt among the arguments, in the forms of old and new releases.
fn prompt(arguments: Option<&Value>) -> Option<String> {
    let first = match arguments? {
        Value::Object(requests) => requests.values().next()?.get("arg_0")?,
        Value::Array(requests) => match requests.first()? {
            Value::Array(request) => request.first()?,
            request => request.get("arg_0").unwrap_or(request),
        },
        _ => return None,
    };
    // A chat is a list whose only text is JSON.
    let first =
        first.as_array().and_then(|list| list.first()).filter(|text| text.is_string()).unwrap_or(first);
    question(first)
}
