//! Samples of inspect's logs: one for each epoch of a problem, which belong together.

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::fields::reference;
use crate::row::{Context, Row, candidate, key};
use crate::text::{is_messages, last_answer, options, question, with_options};

/// The row that a sample is.
pub fn row(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let id = object.shift_remove("id").map(|id| id.as_str().map_or_else(|| id.to_string(), str::to_owned));
    let problem = object.shift_remove("input").as_ref().and_then(question).unwrap_or_default();
    let options = options(&mut object);
    let problem = with_options(&problem, &options);
    let reference_answer =
        object.shift_remove("target").map(|target| reference(target, &[])).transpose()?.flatten();
    context.came_from(Some("input"), reference_answer.is_some().then_some("target"));
    context.used.candidates.get_or_insert_with(|| "output".to_owned());

    let mut output =
        object.shift_remove("output").and_then(|output| output.as_object().cloned()).unwrap_or_default();
    let messages =
        object.shift_remove("messages").and_then(|messages| messages.as_array().cloned()).unwrap_or_default();
    let model =
        output.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()).map(str::to_owned);
    let choices =
        output.shift_remove("choices").and_then(|choices| choices.as_array().cloned()).unwrap_or_default();
    let mut candidates = match (choices.is_empty(), output.shift_remove("completion")) {
        (false, _) => choices.into_iter().map(candidate).collect::<Result<Vec<_>, _>>()?,
        (true, Some(Value::String(text))) => vec![Candidate { text, ..Candidate::default() }],
        _ if is_messages(&messages) && last_answer(&messages).is_some() => {
            vec![candidate(Value::Array(messages))?]
        }
        _ => vec![Candidate::default()],
    };
    let about = ["epoch", "scores", "score", "error", "limit"].map(|name| (name, object.shift_remove(name)));
    for one in &mut candidates {
        one.model = one.model.take().or_else(|| model.clone());
        for (name, value) in &about {
            if let Some(value) = value.as_ref().filter(|value| !value.is_null()) {
                one.extra.entry(*name).or_insert_with(|| value.clone());
            }
        }
    }
    let extra = Map::from_iter(
        object
            .shift_remove("metadata")
            .filter(|data| data.as_object().is_some_and(|data| !data.is_empty()))
            .map(|data| ("metadata".to_owned(), data)),
    );
    let key = key(id.as_deref(), &problem);
    let set = SampleSet { id: id.unwrap_or_default(), problem, reference_answer, candidates, extra };
    Ok(Row::Part(key, set))
}
