//! Votes and grades of plain values: what a page can do without a model.

use conclave_core::grade::{Grade, grade as grade_pair};
use conclave_core::kinds::{Abstention, Ballot, KindSource, Rule, Ties, Undecided, VoteOptions};
use conclave_core::rank::votes::correct;
use conclave_core::reader::{NoAnswer, Tier};
use conclave_core::record::FieldVote;
use conclave_core::{AnswerKind, BallotError, Candidate, Reference, Verdict, ballot, json_text};
use js_sys::{Array, JSON, Object, Reflect};
use serde_json::Value;
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::error::{input, text};
use crate::options::{Check, Options, read_candidate, read_candidates};

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A candidate solution: its text, or an object as in a file of sample sets or an answer of an API. */
export type Candidate = string | {
  text?: string | null;
  content?: unknown;
  finish_reason?: string | null;
  tool_calls?: unknown;
  [field: string]: unknown;
};

/** What answers are. */
export type AnswerKind = "math" | "choice" | "labels" | "json" | "tool-call" | "text";

/** What the answers are, and when votes decide. */
export interface VoteOptions {
  answers?: AnswerKind | "auto";
  labels?: readonly string[];
  schema?: object | boolean;
  rule?: "plurality" | "strict" | "unanimous" | { atLeast: number };
  ties?: "first" | "abstain";
  ordinal?: boolean;
  tolerance?: number;
  reviewBelow?: number;
  ignoreArguments?: readonly string[];
  problem?: string;
}

/** Says why a record, given as JSON, does not meet the schema of the options; undefined where it does. */
export type SchemaCheck = (record: string) => string | undefined;

/** Candidates with equivalent answers. */
export interface AnswerCluster {
  /** The answer as the earliest of the candidates wrote it; of labels, texts, records and calls as most of them did. */
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
  | "empty" | "api_error" | "unclosed_thought" | "truncated" | "refusal" | "hedge" | "placeholder" | "not_found"
  | "invalid" | "other_label";

/** What was read in one candidate. */
export interface Reading {
  /** The answer; null where there is none. */
  answer: string | null;
  /** How it was found; null where there is none. */
  found_by: "answer_tag" | "line" | "boxed" | "json" | "phrase" | "whole" | "last" | null;
  /** Why there is none. */
  no_answer?: NoAnswer;
  /** What the schema says about its record. */
  reason?: string;
}

/** What was decided for one place of a record. */
export interface FieldVote {
  /** JSON Pointer (RFC 6901). */
  path: string;
  /** What won; absent where the field is missing from the record. An object or a list is shown empty: its fields follow. */
  value?: unknown;
  /** Candidates that say the same. */
  votes: number;
  /** `votes` over all candidates. */
  share: number;
  /** A tie, here or above, or a share below `reviewBelow`. */
  review: boolean;
  /** What else was said, with its votes; of a missing field the votes alone. */
  others?: ([value: unknown, votes: number] | [votes: number])[];
}

/** The outcome of a majority vote. */
export interface Vote {
  /** The winning answer, of a record its JSON; null where there is none. */
  answer: string | null;
  /** Between 0 and 1; `confidence_kind` says what it is. */
  confidence: number;
  /** The probability that the answer is right, or the winner's share of all candidates (of a record the mean of its fields'). */
  confidence_kind: "correct" | "share";
  /** Of mathematics and choice: the probability that the winner leads the second. */
  lead_probability?: number;
  /** What the answers are; null where that cannot be told and nothing was voted on. */
  kind: AnswerKind | null;
  /** Where that comes from: what was seen in the candidates, or the options. */
  kind_reason: string;
  /** Number of candidates with an answer. */
  answered: number;
  /** More votes first, ties by the earliest candidate. */
  clusters: AnswerCluster[];
  /** What was read in each candidate, in order; empty where nothing was voted on. */
  readings: Reading[];
  /** Why there is no answer although candidates have some. */
  abstained?: "tie" | "too_few";
  /** The merged record. */
  record?: unknown;
  /** Its fields, in its order. */
  fields?: FieldVote[];
  /** Why the schema does not allow the merged record, though it allows each of those that it was made of. */
  record_reason?: string;
  /** What the candidates look like, where that is nothing to vote on. */
  undecided?: "code" | "prose" | "mixed";
  /** The same in words, with what to do. */
  message?: string;
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

/// Groups the answers of the candidates and counts them, by what the answers are. `check` is asked where there is a schema.
///
/// # Errors
/// `input` where `candidates` is not an array of strings and of objects with a `text`, or an option is not what it must be.
#[wasm_bindgen(js_name = majorityVote, unchecked_return_type = "Vote")]
pub fn majority_vote(
    #[wasm_bindgen(unchecked_param_type = "Candidate[]")] candidates: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "VoteOptions")] options: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "SchemaCheck")] check: &JsValue,
) -> Result<JsValue, JsValue> {
    let set = read_candidates(candidates)?;
    let options = Options::read(options)?;
    let set = options.set(set);
    let check = Check::of(check);
    match ballot(&set, &options.vote(check.as_ref())) {
        Ok(ballot) => Ok(face(&ballot)),
        Err(BallotError::Undecided(seen)) => Ok(not_voted(seen)),
        Err(error) => Err(refused(&error)),
    }
}

fn face(ballot: &Ballot) -> JsValue {
    let Ballot { vote, record, .. } = ballot;
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
    let readings = vote.readings.iter().enumerate().map(|(index, reading)| {
        let face = object(&[
            ("answer", text_or_null(reading.answer.as_deref())),
            ("found_by", text_or_null(reading.found_by.map(Tier::name))),
        ]);
        put_text(&face, "no_answer", reading.no_answer.map(NoAnswer::name));
        let of_record = record.as_ref().and_then(|record| record.readings.get(index));
        put_text(&face, "reason", of_record.and_then(|reading| reading.reason.as_deref()));
        face
    });
    let source = match ballot.source {
        KindSource::Given | KindSource::Set => "as the options say",
        KindSource::Shown(seen) => seen,
    };
    // How probably the answer is right, where that is known for its kind; else its share.
    let ranking = if ballot.kind == AnswerKind::Math { correct(vote) } else { None };
    let correct = ranking.zip(vote.winner).and_then(|(ranking, winner)| ranking.classes.get(winner).copied());
    let (confidence, confidence_kind) =
        correct.map_or((ballot.confidence, "share"), |correct| (correct, "correct"));
    let face = object(&[
        ("answer", text_or_null(ballot.answer.as_deref())),
        ("confidence", confidence.into()),
        ("confidence_kind", confidence_kind.into()),
        ("kind", ballot.kind.name().into()),
        ("kind_reason", source.into()),
        ("answered", (vote.answered as f64).into()),
        ("clusters", clusters.collect::<Array>().into()),
        ("readings", readings.collect::<Array>().into()),
    ]);
    if ballot.kind.is_for_models() {
        put(&face, "lead_probability", &vote.confidence.into());
    }
    put_text(&face, "abstained", ballot.abstained.map(Abstention::name));
    if let Some(vote) = record {
        if let Some(record) = &vote.record {
            put(&face, "record", &from_json(record));
        }
        put(&face, "fields", &vote.fields.iter().map(field_face).collect::<Array>());
        put_text(&face, "record_reason", vote.reason.as_deref());
    }
    face
}

fn field_face(field: &FieldVote) -> JsValue {
    let face = object(&[("path", field.path.as_str().into())]);
    if let Some(value) = &field.value {
        put(&face, "value", &from_json(value));
    }
    put(&face, "votes", &(field.votes as f64).into());
    put(&face, "share", &field.share.into());
    put(&face, "review", &field.review.into());
    if !field.others.is_empty() {
        let others = field.others.iter().map(|(value, votes)| {
            let other = value.iter().map(from_json).collect::<Array>();
            other.push(&(*votes as f64).into());
            other
        });
        put(&face, "others", &others.collect::<Array>());
    }
    face
}

/// Of candidates in which any answer would be a stray word or number.
fn not_voted(seen: Undecided) -> JsValue {
    let message = format!(
        "{}: not voted on; if that is wrong say what the answers are with the option `answers` (\"labels\", \"json\", \"text\", \"math\", ...)",
        seen.words()
    );
    object(&[
        ("answer", JsValue::NULL),
        ("confidence", 0.into()),
        ("confidence_kind", "share".into()),
        ("kind", JsValue::NULL),
        ("kind_reason", seen.words().into()),
        ("answered", 0.into()),
        ("clusters", Array::new().into()),
        ("readings", Array::new().into()),
        ("undecided", seen.name().into()),
        ("message", message.into()),
    ])
}

/// Options with which no vote can be taken.
fn refused(error: &BallotError) -> JsValue {
    input(&match error {
        BallotError::NoOrder => "ordinal: the median needs `labels`, in their order".to_owned(),
        BallotError::Schema(reason) => format!("schema: {reason}"),
        other => other.to_string(),
    })
}

/// Whether the answer found in `prediction` is the same as `reference`, or as one of several. Both are mathematics where nothing
/// else is said.
///
/// # Errors
/// `input` where one of them is not a string, or an option is not what it must be.
#[wasm_bindgen(unchecked_return_type = "Grade")]
pub fn grade(
    #[wasm_bindgen(unchecked_param_type = "string | readonly string[]")] reference: &JsValue,
    #[wasm_bindgen(unchecked_param_type = "Candidate")] prediction: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "VoteOptions")] options: &JsValue,
    #[wasm_bindgen(unchecked_optional_param_type = "SchemaCheck")] check: &JsValue,
) -> Result<JsValue, JsValue> {
    let references = read_references(reference)?;
    let candidate = read_candidate(prediction).ok_or_else(|| input("prediction: expected a string"))?;
    let options = Options::read(options)?;
    let grade = match &options.kind {
        None if options.is_said => {
            return Err(input("answers: a grade sees one text and cannot tell; say what the two are"));
        }
        None | Some(AnswerKind::Math) => best(&references, &candidate.text),
        Some(_) => {
            let check = Check::of(check);
            by_kind(references, candidate, &options, &options.vote(check.as_ref()))?
        }
    };
    let face = object(&[("answer", text_or_null(grade.answer.as_deref()))]);
    put_text(&face, "no_answer", grade.no_answer.map(NoAnswer::name));
    put(&face, "equivalent", &grade.equivalent.into());
    put(&face, "verdict", &grade.verdict.name().into());
    Ok(face)
}

/// The best that is known of a text and any of the references.
fn best(references: &[String], prediction: &str) -> Grade {
    let rank = |grade: &Grade| match grade.verdict {
        Verdict::Same => 2,
        Verdict::Unknown => 1,
        Verdict::Different => 0,
    };
    let mut best: Option<Grade> = None;
    for reference in references {
        let grade = grade_pair(reference, prediction);
        if best.as_ref().is_none_or(|best| rank(&grade) > rank(best)) {
            best = Some(grade);
        }
    }
    best.unwrap_or_else(|| grade_pair("", prediction))
}

/// The grade of what a vote of the candidate alone gives.
fn by_kind(
    references: Vec<String>,
    candidate: Candidate,
    options: &Options,
    vote: &VoteOptions,
) -> Result<Grade, JsValue> {
    let alone = VoteOptions { rule: Some(Rule::Plurality), ties: Some(Ties::First), ..vote.clone() };
    let ballot = ballot(&options.set(vec![candidate]), &alone).map_err(|error| refused(&error))?;
    let reading = ballot.vote.readings.first();
    let found_by = reading.and_then(|reading| reading.found_by);
    let is_same = ballot.answer.as_deref().is_some_and(|answer| {
        references
            .into_iter()
            .any(|reference| ballot.kind.accepts(&Reference::from(reference), answer, found_by, &alone))
    });
    Ok(Grade {
        no_answer: reading.and_then(|reading| reading.no_answer),
        answer: ballot.answer,
        equivalent: is_same,
        verdict: if is_same { Verdict::Same } else { Verdict::Different },
    })
}

/// One text, or a list of at least one.
fn read_references(value: &JsValue) -> Result<Vec<String>, JsValue> {
    let Some(array) = value.dyn_ref::<Array>() else { return Ok(vec![text(value, "reference")?]) };
    let list: Option<Vec<String>> = array.iter().map(|item| item.as_string()).collect();
    list.filter(|list| !list.is_empty()).ok_or_else(|| input("reference: expected a string, or several"))
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

fn put_text(object: &JsValue, name: &str, text: Option<&str>) {
    if let Some(text) = text {
        put(object, name, &text.into());
    }
}

fn texts(texts: &[String]) -> JsValue {
    texts.iter().map(JsValue::from).collect::<Array>().into()
}

fn text_or_null(text: Option<&str>) -> JsValue {
    text.map_or(JsValue::NULL, JsValue::from)
}

/// A value of a candidate, by way of its text: there a field may have any name, also one that means something to an object.
fn from_json(value: &Value) -> JsValue {
    JSON::parse(&json_text(value)).unwrap_or(JsValue::NULL)
}

/// A plain object, with null where there is nothing.
#[cfg(feature = "model")]
pub(crate) fn to_js(value: &impl serde::Serialize) -> Result<JsValue, JsValue> {
    value
        .serialize(&serde_wasm_bindgen::Serializer::json_compatible())
        .map_err(|error| input(&error.to_string()))
}
