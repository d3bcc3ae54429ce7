//! Rows of files to evaluate, and why one cannot be in a report.

use serde::Deserialize;
use serde_json::Value;

use crate::kinds::{BallotError, KindError};
use crate::result::AggregateResult;
use crate::sample_set::SampleSet;

/// A row of a file to evaluate: results have `clusters`, sample sets have `candidates`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum EvalRow {
    /// A sample set.
    Set(SampleSet),
    /// A result.
    Result(Box<AggregateResult>),
}

impl TryFrom<Value> for EvalRow {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value.get("clusters").is_some() && value.get("candidates").is_none() {
            return serde_json::from_value(value)
                .map(Box::new)
                .map(Self::Result)
                .map_err(|error| error.to_string());
        }
        SampleSet::try_from(value).map(Self::Set)
    }
}

/// Why a row cannot be in a report.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ReportError {
    /// A label that is no verdict.
    #[error(
        "set `{id}`, candidate {candidate}: `{field}` is {found}; expected true, false, null or no such field"
    )]
    BadLabel {
        /// The set.
        id: String,
        /// From 1.
        candidate: usize,
        /// The label's field.
        field: String,
        /// What is there.
        found: String,
    },
    /// A set whose fields say what cannot be.
    #[error("set `{id}`: {error}")]
    Ballot {
        /// The set.
        id: String,
        /// What is wrong.
        error: BallotError,
    },
    /// A result of a kind that there is not.
    #[error("`answer_kind` of `{id}`: {error}")]
    Kind {
        /// The row.
        id: String,
        /// What is wrong.
        error: KindError,
    },
    /// A file of both kinds of rows.
    #[error(
        "`{id}` is a result and earlier rows are sample sets, or the other way round: expected one kind a file"
    )]
    Mixed {
        /// The row.
        id: String,
    },
    /// Labels belong to candidates, which results do not have.
    #[error("`{id}` is a result: labels (`{field}`) can only be read from sample sets")]
    LabelledResult {
        /// The row.
        id: String,
        /// The label's field.
        field: String,
    },
}
