//! Votes and grades of plain values: what a page can do without a model.

use conclave_core::grade::grade as grade_pair;
use conclave_core::{Candidate, SampleSet, Tier, majority_vote as vote_on};
use js_sys::{Array, Object, Reflect};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::error;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A candidate solution: its text, or an object as in a file of sample sets. */
export type Candidate = string | { text: string; finish_reason?: string | null };

/** Candidates with equivalent answers. */
export interface AnswerCluster {
  /** The answer as the earliest of the candidates wrote it. */
  answer: string;
  /** Number of candidates. */
  votes: number;
  /** `votes` over the number of answered candidates. */
  share: number;
  /** Indices of the candidates, ascending. */
  candidates: number[];
  /** The distinct ways in which the answer was written, first seen first. */
  forms: string[];
  /** The answers of other clusters that this one's would fit, where it stands alone because they differ: `12` beside `12 cm` and `12 ft`. */
  fits?: string[];
}

/** Why a text has no answer. */
export type NoAnswer =
  | "empty" | "api_error" | "unclosed_thought" | "truncated" | "refusal" | "hedge" | "placeholder" | "not_found";

/** What was read in one candidate. */
export interface Reading {
  /** The answer; null where there is none. */
  answer: string | null;
  /** How it was found; null where there is none. */
  found_by: "answer_tag" | "line" | "boxed" | "json" | "phrase" | "whole" | "last" | null;
  /** Why there is none. */
  no_answer?: NoAnswer;
}

/** The outcome of a majority vote. */
export interface Vote {
  /** The winning answer; null where no candidate has one. */
  answer: string | null;
  /** Probability that the winner leads the second: the stability of the vote, not the probability of being right. */
  confidence: number;
  /** Number of candidates with an answer. */
  answered: number;
  /** More votes first, ties by the earliest candidate. */
  clusters: AnswerCluster[];
  /** What was read in each candidate, in order. */
  readings: Reading[];
}

/** The verdict on one prediction. */
export interface Grade {
  /** The answer found in the prediction; null where there is none. */
  answer: string | null;
  /** Why there is none. */
  no_answer?: NoAnswer;
  /** Whether it is equivalent to the reference: the verdict is "same". */
  equivalent: boolean;
  /** What is known of the two; "unknown" where neither could be shown. */
  verdict: "same" | "different" | "unknown";
}
"#;

/// Groups the answers of the candidates by equivalence and counts them.
///
/// # Errors
/// `input` where `candidates` is not an array of strings or of objects with a `text`.
#[wasm_bindgen(js_name = majorityVote, unchecked_return_type = "Vote")]
pub fn majority_vote(
    #[wasm_bindgen(unchecked_param_type = "Candidate[]")] candidates: &JsValue,
) -> Result<JsValue, JsValue> {
    let set = SampleSet {
        id: String::new(),
        problem: String::new(),
        reference_answer: None,
        candidates: read_candidates(candidates)?,
        extra: serde_json::Map::new(),
    };
    let vote = vote_on(&set);
    let clusters = vote.clusters.iter().map(|cluster| {
        let votes = cluster.candidates.len() as f64;
        let face = object(&[
            ("answer", cluster.answer.as_str().into()),
            ("votes", votes.into()),
            ("share", (votes / vote.answered.max(1) as f64).into()),
            (
                "candidates",
                cluster.candidates.iter().map(|at| JsValue::from(*at as f64)).collect::<Array>().into(),
            ),
            ("forms", texts(&cluster.forms)),
        ]);
        if !cluster.fits.is_empty() {
            put(&face, "fits", &texts(&cluster.fits));
        }
        face
    });
    let readings = vote.readings.iter().map(|reading| {
        let found_by = reading.found_by.map(Tier::name);
        let face = object(&[
            ("answer", text_or_null(reading.answer.as_deref())),
            ("found_by", text_or_null(found_by)),
        ]);
        if let Some(reason) = reading.no_answer {
            put(&face, "no_answer", &reason.name().into());
        }
        face
    });
    Ok(object(&[
        ("answer", text_or_null(vote.answer())),
        ("confidence", vote.confidence.into()),
        ("answered", (vote.answered as f64).into()),
        ("clusters", clusters.collect::<Array>().into()),
        ("readings", readings.collect::<Array>().into()),
    ]))
}

/// Whether the answer found in `prediction` is equivalent to `reference`.
///
/// # Errors
/// `input` where one of them is not a string.
#[wasm_bindgen(unchecked_return_type = "Grade")]
pub fn grade(
    #[wasm_bindgen(unchecked_param_type = "string")] reference: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "string")] prediction: &JsValue,
) -> Result<JsValue, JsValue> {
    let grade = grade_pair(&error::text(reference, "reference")?, &error::text(prediction, "prediction")?);
    let face = object(&[("answer", text_or_null(grade.answer.as_deref()))]);
    if let Some(reason) = grade.no_answer {
        put(&face, "no_answer", &reason.name().into());
    }
    put(&face, "equivalent", &grade.equivalent.into());
    put(&face, "verdict", &grade.verdict.name().into());
    Ok(face)
}

fn read_candidates(value: &JsValue) -> Result<Vec<Candidate>, JsValue> {
    let Some(array) = value.dyn_ref::<Array>() else {
        return Err(error::input("candidates: expected an array"));
    };
    array.iter().enumerate().map(|(index, item)| read_candidate(index, &item)).collect()
}

fn read_candidate(index: usize, item: &JsValue) -> Result<Candidate, JsValue> {
    if let Some(text) = item.as_string() {
        return Ok(Candidate { text, ..Candidate::default() });
    }
    let expected =
        || error::input(&format!("candidates[{index}]: expected a string or an object with a `text`"));
    // A property of null or undefined is an error of JavaScript, as is one whose getter throws.
    let field = |name: &str| Reflect::get(item, &name.into()).map_err(|_| expected());
    let text = field("text")?.as_string().ok_or_else(expected)?;
    Ok(Candidate { text, finish_reason: field("finish_reason")?.as_string(), ..Candidate::default() })
}

// Set by hand: `serde-wasm-bindgen` would be a larger part of the smallest module.

fn object(fields: &[(&str, JsValue)]) -> JsValue {
    let object = Object::new().into();
    for (name, value) in fields {
        put(&object, name, value);
    }
    object
}

fn put(object: &JsValue, name: &str, value: &JsValue) {
    // Setting a property of a plain new object cannot fail.
    let _set = Reflect::set(object, &name.into(), value);
}

fn texts(texts: &[String]) -> JsValue {
    texts.iter().map(JsValue::from).collect::<Array>().into()
}

fn text_or_null(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from)
}

/// A plain object, with null where there is nothing.
#[cfg(feature = "model")]
pub(crate) fn to_js(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| error::input(&error.to_string()))
}
