//! JSON records: one record from those of several candidates, decided field by field.
//!
//! Every path of the records is voted on by itself. Votes are counted out of *all* candidates: one without a
//! record, or with one that the host's schema does not allow, lowers every share and adds nothing. Nothing
//! depends on the order of the candidates; what no majority decides is decided by a fixed rule and marked for
//! review.
//!
//! What lives here: reading records in texts, the vote, and comparing a record with a reference. What does
//! not: JSON Schema (a callback of the host), and which kind of answer a set has.

mod classes;
mod compare;
mod find;
mod lists;
mod merge;
mod parse;
mod scalar;
pub(crate) mod similar;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::reader::NoAnswer;
use crate::sample_set::Candidate;
pub use compare::{FieldComparison, compare_records, same_record};
pub(crate) use find::{End, top_values, without_text};
pub use find::{read_record, read_record_candidate};
pub use parse::parse_all;

/// How records are compared.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct RecordOptions {
    /// Numbers are the same where they differ by no more than this part of the larger; 0: where they are
    /// equal.
    pub tolerance: f64,
    /// A field whose share is lower is marked for review.
    pub review_below: f64,
}

impl Default for RecordOptions {
    fn default() -> Self {
        Self { tolerance: 0.0, review_below: 0.5 }
    }
}

/// What was decided for one path.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldVote {
    /// JSON Pointer (RFC 6901); an element that too few lists have to be kept is `/items/-`.
    pub path: String,
    /// What won, in the form that most wrote; absent where the field is missing from the record. An object or
    /// a list is shown empty: its fields follow.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "present")]
    pub value: Option<Value>,
    /// Candidates that say the same.
    pub votes: usize,
    /// `votes` out of all candidates.
    pub share: f64,
    /// A tie, here or above, or a share that is too low.
    pub review: bool,
    /// What else was said, by votes; null is `[null, 1]`, a missing field `[1]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty", with = "present::list")]
    pub others: Vec<(Option<Value>, usize)>,
}

/// What was read in one candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordReading {
    /// Its record, if it has one that is allowed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<Value>,
    /// Why it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub no_answer: Option<NoAnswer>,
    /// What the schema says about it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// The outcome of a vote over records.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RecordVote {
    /// The merged record; none where no candidate has one.
    pub record: Option<Value>,
    /// What was decided for each path, in the order of the record.
    pub fields: Vec<FieldVote>,
    /// What was read in each candidate, in their order.
    pub readings: Vec<RecordReading>,
    /// Candidates with a record.
    pub valid: usize,
    /// Why the schema does not allow the merged record, though it allows each of those that it was made of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// What the host's schema says about a record: why it is not allowed.
pub type Validate<'a> = &'a dyn Fn(&Value) -> Option<String>;

impl RecordVote {
    /// The mean of the fields' shares; 0 without a record.
    pub fn mean_share(&self) -> f64 {
        match self.fields.len() {
            0 => 0.0,
            count => self.fields.iter().map(|field| field.share).sum::<f64>() / count as f64,
        }
    }

    /// The smallest share of a field; 0 without a record.
    pub fn least_share(&self) -> f64 {
        let least = self.fields.iter().map(|field| field.share).fold(f64::INFINITY, f64::min);
        if least.is_finite() { least } else { 0.0 }
    }

    /// Whether any part of the record is to be looked at by somebody.
    pub fn needs_review(&self) -> bool {
        self.record.is_none() || self.reason.is_some() || self.fields.iter().any(|field| field.review)
    }
}

/// Reads the records of some candidates and votes on them.
pub fn vote_records(
    candidates: &[Candidate],
    validate: Option<Validate>,
    options: &RecordOptions,
) -> RecordVote {
    vote_read(read_records(candidates, validate), validate, options)
}

/// Reads the records of some candidates.
pub fn read_records(candidates: &[Candidate], validate: Option<Validate>) -> Vec<RecordReading> {
    let read = |candidate: &Candidate| {
        let read = read_record_candidate(candidate);
        let reason = read.as_ref().ok().zip(validate).and_then(|(record, validate)| validate(record));
        match read {
            _ if reason.is_some() => {
                RecordReading { record: None, no_answer: Some(NoAnswer::Invalid), reason }
            }
            Ok(record) => RecordReading { record: Some(record), no_answer: None, reason },
            Err(no_answer) => RecordReading { record: None, no_answer: Some(no_answer), reason },
        }
    };
    candidates.iter().map(read).collect()
}

/// As [`vote_records`], for records that were read before.
pub fn vote_read(
    readings: Vec<RecordReading>,
    validate: Option<Validate>,
    options: &RecordOptions,
) -> RecordVote {
    let records: Vec<Option<&Value>> =
        readings.iter().map(|reading| reading.record.as_ref()).filter(Option::is_some).collect();
    let valid = records.len();
    let mut merge = merge::Merge { options, candidates: readings.len(), fields: Vec::new() };
    let record = if valid == 0 { None } else { merge.decide("", &records, false) };
    let fields = merge.fields;
    let reason = record.as_ref().zip(validate).and_then(|(record, validate)| validate(record));
    RecordVote { record, fields, readings, valid, reason }
}

/// The path of a field.
fn child(path: &str, name: &str) -> String {
    format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))
}

/// Values in which null and nothing are two things.
mod present {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};
    use serde_json::Value;

    pub(super) fn serialize<S: Serializer>(value: &Option<Value>, to: S) -> Result<S::Ok, S::Error> {
        value.serialize(to)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Value>, D::Error> {
        Value::deserialize(from).map(Some)
    }

    pub(super) mod list {
        use super::*;
        use serde::de::Error;

        pub(crate) fn serialize<S: Serializer>(
            others: &[(Option<Value>, usize)],
            to: S,
        ) -> Result<S::Ok, S::Error> {
            let rows = others.iter().map(|(value, votes)| -> Vec<Value> {
                value.iter().cloned().chain([Value::from(*votes)]).collect()
            });
            to.collect_seq(rows)
        }

        pub(crate) fn deserialize<'de, D: Deserializer<'de>>(
            from: D,
        ) -> Result<Vec<(Option<Value>, usize)>, D::Error> {
            let rows = Vec::<Vec<Value>>::deserialize(from)?;
            let row = |mut row: Vec<Value>| {
                let votes = row.pop().and_then(|votes| votes.as_u64());
                let votes = votes.ok_or_else(|| D::Error::custom("expected [value, votes] or [votes]"))?;
                Ok((row.pop(), votes as usize))
            };
            rows.into_iter().map(row).collect()
        }
    }
}

#[cfg(test)]
mod tests;
