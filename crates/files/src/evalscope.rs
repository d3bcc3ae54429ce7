//! Predictions and reviews of evalscope: a line a repeat of a problem, which belong together.

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::fields::reference;
use crate::row::{Context, Row, candidate};
use crate::text::{last_question, options, question, with_options};

/// The row that a line is.
pub fn row(mut object: Map<String, Value>, context: &mut Context<'_>) -> Result<Row, String> {
    let index = object.shift_remove("index").map(|index| index.to_string()).unwrap_or_default();
    if object.get("sample_score").is_some_and(Value::is_object) {
        return review(object, index, context);
    }
    let model = object.get("model").and_then(Value::as_str).map(str::to_owned);
    let messages =
        object.get("messages").and_then(Value::as_array).and_then(|messages| last_question(messages));
    let problem = messages.unwrap_or_default();
    let output = object.shift_remove("model_output").unwrap_or(Value::Null);
    let choices = output.get("choices").and_then(Value::as_array).cloned().unwrap_or_default();
    let mut candidates = choices.into_iter().map(candidate).collect::<Result<Vec<_>, _>>()?;
    if candidates.is_empty() {
        let text = output.get("completion").and_then(Value::as_str).unwrap_or_default().to_owned();
        candidates.push(Candidate { text, ..Candidate::default() });
    }
    candidates.iter_mut().for_each(|one| one.model = one.model.take().or_else(|| model.clone()));
    context.came_from(Some("messages"), None);
    context.used.candidates.get_or_insert_with(|| "model_output.choices".to_owned());
    let mut set = SampleSet {
        id: index.clone(),
        problem: problem.clone(),
        reference_answer: None,
        candidates,
        extra: Map::new(),
    };
    context.join_problem(&index, &mut set);
    Ok(Row::Part(if problem.is_empty() { index } else { problem }, set))
}

fn review(mut object: Map<String, Value>, index: String, context: &mut Context<'_>) -> Result<Row, String> {
    let problem = object.shift_remove("input").as_ref().and_then(question).unwrap_or_default();
    let options = options(&mut object);
    let problem = with_options(&problem, &options);
    let reference_answer =
        object.shift_remove("target").map(|target| reference(target, &options)).transpose()?.flatten();
    context.came_from(Some("input"), reference_answer.is_some().then_some("target"));
    context.used.candidates.get_or_insert_with(|| "sample_score.score.prediction".to_owned());
    let mut scored = object
        .shift_remove("sample_score")
        .and_then(|scored| scored.as_object().cloned())
        .unwrap_or_default();
    let mut score =
        scored.shift_remove("score").and_then(|score| score.as_object().cloned()).unwrap_or_default();
    let text = score.shift_remove("prediction").or_else(|| score.get("extracted_prediction").cloned());
    let mut one = candidate(text.unwrap_or(Value::Null))?;
    one.extra.extend(score.into_iter().filter(|(name, value)| !value.is_null() && name != "text"));
    // Repeats have numbers of their own; the group is the problem's.
    let group = scored.get("group_id").filter(|group| !group.is_null()).map(ToString::to_string);
    let id = group.unwrap_or(index);
    let key = if problem.is_empty() { id.clone() } else { problem.clone() };
    let set = SampleSet { id, problem, reference_answer, candidates: vec![one], extra: Map::new() };
    Ok(Row::Part(key, set))
}
