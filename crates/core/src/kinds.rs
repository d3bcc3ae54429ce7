//! Kinds of answers, and the vote of a set by its kind.
//!
//! A set's answers are mathematics, letters of options, labels, JSON records, calls of tools or short texts. Its kind is what a
//! person says for all sets ([`VoteOptions::kind`]), else what its own fields say ([`AnswerKind::of_set`]), else what its problem
//! and candidates show. Where they show nothing that can be voted on (code, essays) the set is refused
//! ([`BallotError::Undecided`]): any answer would be a stray word or number of it.
//!
//! What does not live here: how answers of mathematics are read and compared ([`crate::reader`], [`crate::equivalence`]), fields of
//! records ([`crate::record`]) and calls ([`crate::tool_call`]). Checking a record against a JSON Schema is the host's
//! ([`SchemaCheck`]): libraries for it are several times as large as all of this in a browser.

mod classes;
mod code;
mod decide;
mod grade;
mod label;
mod options;
mod rule;
mod text;
mod weighed;
mod words;

use serde_json::Value;

use crate::reader::{Reading, Tier, read_candidates};
use crate::record::similar::exact_text;
use crate::record::{RecordOptions, RecordVote, parse_all, same_record, vote_records};
use crate::reference::Reference;
use crate::result::ConfidenceKind;
use crate::sample_set::SampleSet;
use crate::tool_call;
use crate::vote::{Vote, finished};
use classes::{classes, grouped, record_reading};

pub use classes::classes_of;
pub use decide::Undecided;
pub use grade::{KindGrade, grade_as};
pub use label::{LabelError, Labels};
pub(crate) use options::is_letter;
pub use rule::{Abstention, Rule, Ties, decide, median};
pub(crate) use rule::{decide_votes, median_votes};
pub use text::{read_text, text_key};

/// What the answers of a set are.
#[derive(Debug, Clone, PartialEq)]
pub enum AnswerKind {
    /// Values, expressions and words, by [`crate::equivalence`].
    Math,
    /// Letters of options, in either case.
    Choice,
    /// A few words, of a list or any.
    Labels(Labels),
    /// Records, merged field by field; with the JSON Schema that they must meet.
    Json(Option<Value>),
    /// Calls of tools: a name and arguments.
    ToolCall,
    /// Short texts, by SQuAD's normal form.
    Text,
}

/// Why a kind cannot be what was written.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KindError {
    /// No such kind.
    #[error(
        "`{0}` is no kind of answer: expected math, choice, labels=A,B,..., json, tool-call, text or auto"
    )]
    Unknown(String),
    /// A list of labels that is none.
    #[error(transparent)]
    Labels(#[from] LabelError),
    /// A field of a set is not what it must be.
    #[error("`{field}` of set `{id}`: {reason}")]
    Field {
        /// Its name.
        field: &'static str,
        /// The set's.
        id: String,
        /// What was expected.
        reason: String,
    },
    /// Details where there can be none.
    #[error("`{0}` takes nothing behind `=`")]
    NoDetails(&'static str),
}

impl AnswerKind {
    /// Its name in files and flags.
    pub fn name(&self) -> &'static str {
        match self {
            AnswerKind::Math => "math",
            AnswerKind::Choice => "choice",
            AnswerKind::Labels(_) => "labels",
            AnswerKind::Json(_) => "json",
            AnswerKind::ToolCall => "tool-call",
            AnswerKind::Text => "text",
        }
    }

    /// The kind of a name, with its details where there are any: `labels=a,b`. None for `auto`. A schema is given as JSON.
    ///
    /// # Errors
    /// Where there is no such kind, or its details are not what they must be.
    pub fn parse(written: &str) -> Result<Option<Self>, KindError> {
        let (name, details) = match written.split_once('=') {
            Some((name, details)) => (name.trim(), Some(details.trim())),
            None => (written.trim(), None),
        };
        let kind = match name {
            "labels" => match details {
                None => AnswerKind::Labels(Labels::open()),
                Some(list) => AnswerKind::Labels(Labels::new(list.split(',').map(str::to_owned))?),
            },
            "json" => {
                let unknown = || KindError::Unknown(written.to_owned());
                AnswerKind::Json(details.map(|schema| parse_all(schema).ok_or_else(unknown)).transpose()?)
            }
            "auto" | "math" | "choice" | "tool-call" | "tool_call" | "text" => {
                let (kind, name) = match name {
                    "auto" => (None, "auto"),
                    "math" => (Some(AnswerKind::Math), "math"),
                    "choice" => (Some(AnswerKind::Choice), "choice"),
                    "text" => (Some(AnswerKind::Text), "text"),
                    _ => (Some(AnswerKind::ToolCall), "tool-call"),
                };
                return if details.is_some() { Err(KindError::NoDetails(name)) } else { Ok(kind) };
            }
            _ => return Err(KindError::Unknown(written.to_owned())),
        };
        Ok(Some(kind))
    }

    /// The kind that a set's own fields say: `answer_kind`, with `labels` and `schema` beside it.
    ///
    /// # Errors
    /// Where one of them is not what it must be.
    pub fn of_set(set: &SampleSet) -> Result<Option<Self>, KindError> {
        let field = |field, reason: String| KindError::Field { field, id: set.id.clone(), reason };
        let kind = match set.extra.get("answer_kind") {
            None | Some(Value::Null) => return Ok(None),
            Some(Value::String(name)) => {
                Self::parse(name).map_err(|error| field("answer_kind", error.to_string()))?
            }
            Some(_) => return Err(field("answer_kind", "expected a text such as \"labels\"".to_owned())),
        };
        Ok(match kind {
            Some(AnswerKind::Labels(labels)) if labels.names().is_empty() => {
                Some(AnswerKind::Labels(listed(set).map_err(|reason| field("labels", reason))?))
            }
            Some(AnswerKind::Json(None)) => Some(AnswerKind::Json(schema_of(set))),
            kind => kind,
        })
    }

    /// Who wins a tie where nobody says: the earliest candidate for mathematics and letters, nobody for the rest.
    pub fn default_ties(&self) -> Ties {
        match self {
            AnswerKind::Math | AnswerKind::Choice => Ties::First,
            _ => Ties::Abstain,
        }
    }

    /// The rule where nobody says: a strict majority for texts, plurality for the rest.
    pub fn default_rule(&self) -> Rule {
        match self {
            AnswerKind::Text => Rule::Strict,
            _ => Rule::Plurality,
        }
    }

    /// Whether a model may be asked for such an answer.
    pub fn is_for_models(&self) -> bool {
        matches!(self, AnswerKind::Math | AnswerKind::Choice)
    }
}

/// The labels that a set lists; any where it lists none.
fn listed(set: &SampleSet) -> Result<Labels, String> {
    let expected = || "expected a list of at least two texts".to_owned();
    match set.extra.get("labels") {
        None | Some(Value::Null) => Ok(Labels::open()),
        Some(Value::Array(names)) => {
            let names = names.iter().map(|name| match name {
                Value::String(name) => Ok(name.clone()),
                Value::Number(_) | Value::Bool(_) => Ok(crate::json_text(name)),
                _ => Err(expected()),
            });
            let names: Vec<String> = names.collect::<Result<_, _>>()?;
            Labels::new(names).map_err(|error| error.to_string())
        }
        Some(_) => Err(expected()),
    }
}

fn schema_of(set: &SampleSet) -> Option<Value> {
    set.extra.get("schema").filter(|schema| schema.is_object() || schema.is_boolean()).cloned()
}

/// Checks records against a JSON Schema; each host has its own library for it.
pub trait SchemaCheck {
    /// Why `record` does not meet `schema`; none where it does. Where the schema itself is none, the error says so.
    ///
    /// # Errors
    /// What is wrong with the schema.
    fn check(&self, schema: &Value, record: &Value) -> Result<Option<String>, String>;
}

/// How sets are voted on.
#[derive(Clone, Default)]
pub struct VoteOptions<'a> {
    /// The kind of all answers; none: each set's own.
    pub kind: Option<AnswerKind>,
    /// How many votes are needed; none: the kind's.
    pub rule: Option<Rule>,
    /// Who wins a tie; none: the kind's.
    pub ties: Option<Ties>,
    /// Take the median of the labels, in the order of their list, instead of counting votes.
    pub is_ordinal: bool,
    /// How fields of records are compared.
    pub record: RecordOptions,
    /// Arguments of calls that are not compared.
    pub ignore_arguments: Vec<String>,
    /// Who checks records against schemas; without one a schema is an error.
    pub schema_check: Option<&'a dyn SchemaCheck>,
}

/// Where a set's kind comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum KindSource {
    /// Somebody said it for all sets.
    Given,
    /// The set's own fields.
    Set,
    /// The set's problem and candidates, and what was seen there.
    Shown(&'static str),
}

/// Why a set is not voted on.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum BallotError {
    /// Its kind cannot be told.
    #[error("{}: not voted on; if that is wrong say what the answers are with --answers (labels=A,B,..., json, text, math, ...)", .0.words())]
    Undecided(Undecided),
    /// Its fields are wrong.
    #[error(transparent)]
    Kind(#[from] KindError),
    /// Its schema is no schema.
    #[error("the JSON Schema cannot be used: {0}")]
    Schema(String),
    /// `--ordinal` without an order.
    #[error("the median needs labels in an order: give the list, as in labels=low,medium,high")]
    NoOrder,
}

/// The outcome of a vote by kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Ballot {
    /// What the answers are.
    pub kind: AnswerKind,
    /// Who says so.
    pub source: KindSource,
    /// Classes of equal answers and what was read in each candidate. Its winner is the class of `answer`; for records it has
    /// none but where a class is the merged record.
    pub vote: Vote,
    /// The answer: of a record its JSON.
    pub answer: Option<String>,
    /// Between 0 and 1; see `confidence_kind`.
    pub confidence: f64,
    /// What `confidence` is.
    pub confidence_kind: ConfidenceKind,
    /// Why there is no answer although candidates have some.
    pub abstained: Option<Abstention>,
    /// The fields of a merged record.
    pub record: Option<RecordVote>,
}

/// Votes on a set by its kind.
///
/// # Errors
/// Where the kind cannot be told, or fields or options are wrong.
pub fn ballot(set: &SampleSet, options: &VoteOptions) -> Result<Ballot, BallotError> {
    let (kind, source, read) = kind_and_readings(set, options)?;
    let of = set.candidates.len();
    let rule = options.rule.unwrap_or(kind.default_rule());
    let ties = options.ties.unwrap_or(kind.default_ties());
    if options.is_ordinal && !matches!(&kind, AnswerKind::Labels(labels) if !labels.names().is_empty()) {
        return Err(BallotError::NoOrder);
    }
    if let AnswerKind::Json(schema) = &kind {
        return record_ballot(set, schema.as_ref(), options).map(|ballot| Ballot {
            source,
            kind: kind.clone(),
            ..ballot
        });
    }
    let (readings, clusters) = classes(set, &kind, options, usize::MAX, read);
    let decided = if options.is_ordinal {
        let AnswerKind::Labels(labels) = &kind else { return Err(BallotError::NoOrder) };
        let places: Vec<usize> =
            clusters.iter().map(|cluster| labels.place(&cluster.answer).unwrap_or(usize::MAX)).collect();
        median(&clusters, &places, ties)
    } else {
        decide(&clusters, of, rule, ties)
    };
    let (winner, abstained) = match decided {
        Ok(winner) => (winner, None),
        Err(reason) => (None, Some(reason)),
    };
    let vote = finished(readings, clusters, winner);
    let confidence = vote.share();
    let confidence_kind = ConfidenceKind::Share;
    let answer = vote.answer().map(str::to_owned);
    Ok(Ballot { kind, source, vote, answer, confidence, confidence_kind, abstained, record: None })
}

/// The kind of a set's answers, and who says so.
///
/// # Errors
/// Where it cannot be told, or the set's fields are wrong.
pub fn kind_of(set: &SampleSet, options: &VoteOptions) -> Result<(AnswerKind, KindSource), BallotError> {
    kind_and_readings(set, options).map(|(kind, source, _)| (kind, source))
}

/// As [`kind_of`], with the answers that were read for it, if they were: nothing is read twice.
fn kind_and_readings(
    set: &SampleSet,
    options: &VoteOptions,
) -> Result<(AnswerKind, KindSource, Option<Vec<Reading>>), BallotError> {
    let field = |field, reason| KindError::Field { field, id: set.id.clone(), reason };
    match &options.kind {
        // Labels and schemas of the set are details of what was said.
        Some(AnswerKind::Labels(labels)) if labels.names().is_empty() => {
            let labels = listed(set).map_err(|reason| field("labels", reason))?;
            return Ok((AnswerKind::Labels(labels), KindSource::Given, None));
        }
        Some(AnswerKind::Json(None)) => {
            return Ok((AnswerKind::Json(schema_of(set)), KindSource::Given, None));
        }
        Some(kind) => return Ok((kind.clone(), KindSource::Given, None)),
        None => {}
    }
    if let Some(kind) = AnswerKind::of_set(set)? {
        return Ok((kind, KindSource::Set, None));
    }
    let readings = read_candidates(set);
    let (found, why) = decide::decide(set, &readings).map_err(BallotError::Undecided)?;
    let kind = match found {
        decide::Found::Math => AnswerKind::Math,
        decide::Found::Choice => AnswerKind::Choice,
        decide::Found::Labels => AnswerKind::Labels(listed(set).unwrap_or_default()),
        decide::Found::Json => AnswerKind::Json(schema_of(set)),
        decide::Found::ToolCall => AnswerKind::ToolCall,
        decide::Found::Text => AnswerKind::Text,
    };
    Ok((kind, KindSource::Shown(why), Some(readings)))
}

/// Who checks the records of a set, and by which schema; none where there is none.
///
/// # Errors
/// Where the schema is none, or nobody here can check it.
fn schema_check<'a>(
    schema: Option<&'a Value>,
    options: &VoteOptions<'a>,
) -> Result<Option<impl Fn(&Value) -> Option<String> + use<'a>>, BallotError> {
    let Some(schema) = schema else { return Ok(None) };
    let missing = || BallotError::Schema("nothing here can check it".to_owned());
    let check = options.schema_check.ok_or_else(missing)?;
    // A schema that is none is everybody's fault, not each candidate's.
    check.check(schema, &Value::Null).map_err(BallotError::Schema)?;
    Ok(Some(move |record: &Value| check.check(schema, record).unwrap_or_else(Some)))
}

/// The merged record of a set, in the shape of a ballot.
fn record_ballot(
    set: &SampleSet,
    schema: Option<&Value>,
    options: &VoteOptions,
) -> Result<Ballot, BallotError> {
    let check = schema_check(schema, options)?;
    let validate = check.as_ref().map(|check| check as &dyn Fn(&Value) -> Option<String>);
    let record = vote_records(&set.candidates, validate, &options.record);
    let readings: Vec<Reading> = record.readings.iter().map(record_reading).collect();
    let keys: Vec<Option<String>> =
        record.readings.iter().map(|reading| reading.record.as_ref().map(exact_text)).collect();
    let clusters = grouped(&readings, &keys);
    let merged = record.record.as_ref().map(exact_text);
    let of_merged = keys.iter().position(|key| key.is_some() && *key == merged);
    let winner =
        of_merged.and_then(|at| clusters.iter().position(|cluster| cluster.candidates.contains(&at)));
    let answer = record.record.as_ref().map(crate::json_text);
    let vote = finished(readings, clusters, winner);
    Ok(Ballot {
        kind: AnswerKind::Json(None),
        source: KindSource::Given,
        vote,
        answer,
        confidence: record.mean_share(),
        confidence_kind: ConfidenceKind::Share,
        abstained: None,
        record: Some(record),
    })
}

impl AnswerKind {
    /// Whether `answer` is the same as one of the answers of `reference`, as this kind compares.
    pub fn accepts(
        &self,
        reference: &Reference,
        answer: &str,
        found_by: Option<Tier>,
        options: &VoteOptions,
    ) -> bool {
        let any = |same: &dyn Fn(&str) -> bool| reference.answers().any(same);
        match self {
            AnswerKind::Math => reference.accepts(&crate::equivalence::Answer::found_by(answer, found_by)),
            AnswerKind::Choice => {
                let answer = crate::equivalence::Answer::found_by(answer, found_by);
                reference.accepts(&answer)
                    || any(&|known| {
                        options::upper(known).is_some_and(|upper| Reference::from(upper).accepts(&answer))
                    })
            }
            AnswerKind::Labels(labels) => {
                let key = labels.key(answer);
                any(&|known| {
                    labels.key(known) == key
                        || labels.read(known, false).answer.is_some_and(|known| labels.key(&known) == key)
                })
            }
            AnswerKind::Text => any(&|known| text_key(known) == text_key(answer)),
            AnswerKind::Json(_) => {
                let Some(record) = parse_all(answer) else { return false };
                any(&|known| {
                    parse_all(known).is_some_and(|known| same_record(&known, &record, &options.record))
                })
            }
            AnswerKind::ToolCall => {
                let canonical = |text: &str| {
                    let candidate =
                        crate::sample_set::Candidate { text: text.to_owned(), ..Default::default() };
                    tool_call::read_calls(&candidate)
                        .ok()
                        .map(|calls| tool_call::canonical(&calls, &options.ignore_arguments))
                };
                let answer = canonical(answer);
                answer.is_some() && any(&|known| canonical(known) == answer)
            }
        }
    }
}

#[cfg(test)]
mod tests;
