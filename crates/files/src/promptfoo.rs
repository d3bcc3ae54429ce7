//! Results of promptfoo: one for each provider, prompt and repeat of a test, which belong together where prompt and variables are
//! the same.

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::fields::reference;
use crate::names;
use crate::row::{Context, Row, candidate};
use crate::text::question;

/// The row that a result is.
pub fn row(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let variables = object.get("vars").and_then(Value::as_object).cloned().unwrap_or_default();
    let test = object.get("testCase").cloned().unwrap_or(Value::Null);
    let prompt = object
        .get("prompt")
        .and_then(|prompt| prompt.get("raw").unwrap_or(prompt).as_str())
        .map(str::to_owned);
    let asked = names::PROBLEM.iter().find_map(|name| {
        Some((*name, variables.get(*name).filter(|value| value.is_string()).and_then(question)?))
    });
    let problem = match (asked, &prompt) {
        (Some((name, problem)), _) => {
            context.came_from(Some(&format!("vars.{name}")), None);
            problem
        }
        (None, Some(prompt)) => {
            context.came_from(Some("prompt"), None);
            question(&Value::String(prompt.clone())).unwrap_or_default()
        }
        (None, None) => Value::Object(variables.clone()).to_string(),
    };
    let known = names::REFERENCE
        .iter()
        .find_map(|name| Some((format!("vars.{name}"), variables.get(*name)?.clone())));
    let (from, known) = known.or_else(|| Some(("an assertion".to_owned(), asserted(&test)?))).unzip();
    let reference_answer = known.map(|known| reference(known, &[])).transpose()?.flatten();
    context.came_from(None, from.as_deref().filter(|_| reference_answer.is_some()));
    context.used.candidates.get_or_insert_with(|| "response.output".to_owned());

    let provider = object.get("provider");
    let named = |name: &str| {
        provider.and_then(|provider| provider.get(name)?.as_str()).filter(|name| !name.is_empty())
    };
    let model = named("label")
        .or_else(|| named("id"))
        .or_else(|| provider.and_then(Value::as_str))
        .map(str::to_owned);
    let response = object.shift_remove("response").unwrap_or(Value::Null);
    let text =
        response.get("output").or_else(|| object.get("output")).or_else(|| object.get("text")).cloned();
    let mut one = match text {
        // A structured output is its JSON.
        Some(value @ (Value::Object(_) | Value::Array(_))) => {
            Candidate { text: value.to_string(), ..Candidate::default() }
        }
        Some(value) => candidate(value)?,
        None => Candidate::default(),
    };
    one.model = model;
    let usage = response.get("tokenUsage").filter(|usage| usage.is_object());
    one.usage = usage.cloned();
    let error = object
        .get("error")
        .or_else(|| response.get("error"))
        .filter(|error| !error.is_null() && one.text.is_empty());
    if let Some(error) = error {
        one.extra.insert("error".to_owned(), error.clone());
    }
    for name in ["success", "score", "latencyMs", "cost", "finishReason"] {
        if let Some(value) = object.shift_remove(name).filter(|value| !value.is_null()) {
            one.extra.insert(name.to_owned(), value);
        }
    }
    let description = test.get("description").and_then(Value::as_str).unwrap_or_default();
    let index = object.get("testIdx").filter(|index| index.is_number()).map(ToString::to_string);
    let key = format!("{description}\u{0}{}\u{0}{problem}", Value::Object(variables));
    let id =
        index.or_else(|| object.get("id").and_then(Value::as_str).map(str::to_owned)).unwrap_or_default();
    Ok(Row::Part(key, SampleSet { id, problem, reference_answer, candidates: vec![one], extra: Map::new() }))
}

/// The value that a test expects word by word.
fn asserted(test: &Value) -> Option<Value> {
    let assertions = test.get("assert")?.as_array()?;
    let exact = ["equals", "contains", "icontains"];
    let is_exact =
        |one: &&Value| one.get("type").and_then(Value::as_str).is_some_and(|kind| exact.contains(&kind));
    // One that is a template says nothing here.
    let value = assertions.iter().find(is_exact)?.get("value")?;
    (!value.as_str().is_some_and(|text| text.contains("{{"))).then(|| value.clone())
}
