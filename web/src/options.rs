//! What JavaScript gives to votes and grades: candidates, and options that say what the answers are.
//!
//! Objects come as JSON text: the module has a reader of it in any case, and what a getter of theirs does happens before anything
//! here has begun.

use conclave_core::kinds::{AnswerKind, Labels, Rule, SchemaCheck, Ties, VoteOptions};
use conclave_core::record::{RecordOptions, parse_all};
use conclave_core::{Candidate, SampleSet, json_text};
use js_sys::{Array, Function, JSON};
use serde_json::{Map, Value};
use wasm_bindgen::{JsCast, JsValue};

use crate::error::input;

/// The options of one call.
#[derive(Default)]
pub struct Options {
    /// None where it is seen in the candidates.
    pub kind: Option<AnswerKind>,
    /// Whether `answers` is said at all.
    pub is_said: bool,
    /// The problem that the candidates answer.
    pub problem: String,
    rule: Option<Rule>,
    ties: Option<Ties>,
    is_ordinal: bool,
    record: RecordOptions,
    ignore_arguments: Vec<String>,
    /// Labels and schema as fields of a set, for where the kind is seen.
    details: Map<String, Value>,
}

/// A function of JavaScript that says why a record, given as JSON, does not meet the schema.
pub struct Check<'a>(&'a Function);

impl<'a> Check<'a> {
    /// Of an argument that may be missing.
    pub fn of(value: &'a JsValue) -> Option<Self> {
        value.dyn_ref().map(Self)
    }
}

impl SchemaCheck for Check<'_> {
    fn check(&self, _: &Value, record: &Value) -> Result<Option<String>, String> {
        match self.0.call1(&JsValue::NULL, &json_text(record).into()) {
            Ok(reason) => Ok(reason.as_string()),
            Err(error) => Err(error
                .dyn_ref::<js_sys::Error>()
                .map_or_else(|| "the check failed".to_owned(), |error| String::from(error.message()))),
        }
    }
}

impl Options {
    /// Reads the options; undefined and null are none.
    ///
    /// # Errors
    /// `input` where one of them is not what it must be.
    pub fn read(options: &JsValue) -> Result<Self, JsValue> {
        if options.is_undefined() || options.is_null() {
            return Ok(Self::default());
        }
        let Some(Value::Object(fields)) = plain(options) else {
            return Err(input("options: expected an object"));
        };
        let mut read = Self { problem: text(&fields, "problem")?.unwrap_or_default(), ..Self::default() };
        read.set_kind(&fields)?;
        read.rule = rule(&fields)?;
        read.ties = match text(&fields, "ties")?.as_deref() {
            None => None,
            Some("first") => Some(Ties::First),
            Some("abstain") => Some(Ties::Abstain),
            Some(_) => return Err(input("ties: expected \"first\" or \"abstain\"")),
        };
        read.is_ordinal = match given(&fields, "ordinal") {
            None => false,
            Some(value) => value.as_bool().ok_or_else(|| input("ordinal: expected true or false"))?,
        };
        if let Some(tolerance) = share(&fields, "tolerance")? {
            read.record.tolerance = tolerance;
        }
        if let Some(below) = share(&fields, "reviewBelow")? {
            read.record.review_below = below;
        }
        read.ignore_arguments = texts(&fields, "ignoreArguments")?.unwrap_or_default();
        Ok(read)
    }

    fn set_kind(&mut self, fields: &Map<String, Value>) -> Result<(), JsValue> {
        let labels = texts(fields, "labels")?;
        let schema = given(fields, "schema");
        if schema.is_some_and(|schema| !schema.is_object() && !schema.is_boolean()) {
            return Err(input("schema: expected an object"));
        }
        let answers = text(fields, "answers")?;
        self.is_said = answers.is_some();
        let kind = match (answers.as_deref(), &labels, schema) {
            (Some(name), ..) => {
                AnswerKind::parse(name).map_err(|error| input(&format!("answers: {error}")))?
            }
            (None, Some(_), Some(_)) => {
                return Err(input("answers: there are labels and a schema; say \"labels\" or \"json\""));
            }
            (None, Some(_), None) => Some(AnswerKind::Labels(Labels::open())),
            (None, None, Some(_)) => Some(AnswerKind::Json(None)),
            (None, None, None) => None,
        };
        let list = match &labels {
            None => None,
            Some(names) => {
                Some(Labels::new(names.clone()).map_err(|error| input(&format!("labels: {error}")))?)
            }
        };
        self.kind = match (kind, list) {
            (Some(AnswerKind::Labels(said)), Some(list)) if said.names().is_empty() => {
                Some(AnswerKind::Labels(list))
            }
            (Some(AnswerKind::Json(None)), _) => Some(AnswerKind::Json(schema.cloned())),
            (kind, _) => kind,
        };
        if let Some(names) = labels {
            self.details.insert("labels".to_owned(), names.into());
        }
        if let Some(schema) = schema {
            self.details.insert("schema".to_owned(), schema.clone());
        }
        Ok(())
    }

    /// The options of a vote.
    pub fn vote<'a>(&self, check: Option<&'a Check<'a>>) -> VoteOptions<'a> {
        VoteOptions {
            kind: self.kind.clone(),
            rule: self.rule,
            ties: self.ties,
            is_ordinal: self.is_ordinal,
            record: self.record,
            ignore_arguments: self.ignore_arguments.clone(),
            schema_check: check.map(|check| check as &dyn SchemaCheck),
        }
    }

    /// Candidates as a set.
    pub fn set(&self, candidates: Vec<Candidate>) -> SampleSet {
        SampleSet {
            id: String::new(),
            problem: self.problem.clone(),
            reference_answer: None,
            candidates,
            extra: self.details.clone(),
        }
    }
}

fn rule(fields: &Map<String, Value>) -> Result<Option<Rule>, JsValue> {
    let expected =
        || input("rule: expected \"plurality\", \"strict\", \"unanimous\" or { atLeast: a whole number }");
    match given(fields, "rule") {
        None => Ok(None),
        Some(Value::String(name)) => Rule::parse(name).map(Some).ok_or_else(expected),
        Some(value) => {
            let least = value.get("atLeast").and_then(Value::as_u64).filter(|&least| least > 0);
            least.map(|least| Some(Rule::AtLeast(least as usize))).ok_or_else(expected)
        }
    }
}

/// A field that is there and is not null.
fn given<'a>(fields: &'a Map<String, Value>, name: &str) -> Option<&'a Value> {
    fields.get(name).filter(|value| !value.is_null())
}

fn text(fields: &Map<String, Value>, name: &str) -> Result<Option<String>, JsValue> {
    match given(fields, name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(input(&format!("{name}: expected a string"))),
    }
}

fn texts(fields: &Map<String, Value>, name: &str) -> Result<Option<Vec<String>>, JsValue> {
    let Some(value) = given(fields, name) else { return Ok(None) };
    let list = value
        .as_array()
        .and_then(|items| items.iter().map(|item| item.as_str().map(str::to_owned)).collect::<Option<_>>());
    list.map(Some).ok_or_else(|| input(&format!("{name}: expected an array of strings")))
}

fn share(fields: &Map<String, Value>, name: &str) -> Result<Option<f64>, JsValue> {
    match given(fields, name) {
        None => Ok(None),
        Some(value) => match value.as_f64().filter(|share| (0.0..=1.0).contains(share)) {
            Some(share) => Ok(Some(share)),
            None => Err(input(&format!("{name}: expected a number from 0 to 1"))),
        },
    }
}

/// Reads the candidates.
///
/// # Errors
/// `input` where they are not an array of texts and of objects as files have them.
pub fn read_candidates(value: &JsValue) -> Result<Vec<Candidate>, JsValue> {
    let Some(array) = value.dyn_ref::<Array>() else {
        return Err(input("candidates: expected an array"));
    };
    array
        .iter()
        .enumerate()
        .map(|(index, item)| {
            read_candidate(&item).ok_or_else(|| {
                input(&format!("candidates[{index}]: expected a string or an object with a `text`"))
            })
        })
        .collect()
}

/// A text, or an object as files have it. What is neither is a mistake of the caller here, though a file may have it.
pub fn read_candidate(item: &JsValue) -> Option<Candidate> {
    if let Some(text) = item.as_string() {
        return Some(Candidate { text, ..Candidate::default() });
    }
    let value = plain(item)?;
    let is_candidate =
        matches!(value.get("text"), None | Some(Value::Null | Value::String(_))) && value.is_object();
    if is_candidate { Candidate::try_from(value).ok() } else { None }
}

/// An object as plain data; none where it has none.
pub fn plain(value: &JsValue) -> Option<Value> {
    if !value.is_object() {
        return None;
    }
    // That reader knows halves of characters, which JavaScript's texts may have.
    parse_all(&String::from(JSON::stringify(value).ok()?))
}
