//! Rows of results: their kind, and those of one id together.

use std::collections::HashMap;

use super::pool::PoolScore;
use crate::calibration::Row;
use crate::equivalence::{Answer, equivalence_classes};
use crate::kinds::{AnswerKind, KindError, VoteOptions};
use crate::metrics::Majority;
use crate::result::{AggregateResult, ConfidenceKind};

/// One result row.
#[derive(Debug, Clone)]
pub(super) struct ResultScore {
    pub id: String,
    pub pool: PoolScore,
    pub answer: Option<String>,
    /// What the answer is compared by; none where it is mathematics.
    pub key: Option<String>,
    pub correct: f64,
    pub prompt_tokens: u64,
    pub completion_tokens: u64,
    /// What its confidence is, and whether the answer that it is about is right; none where there is no such answer.
    pub claim: Option<(ConfidenceKind, Row)>,
}

/// The kind of a result's answers: what somebody says for all, else what the row says, else mathematics.
/// Labels are any few words then: those outside of a list did not become answers.
pub(super) fn kind_of_result(result: &AggregateResult, votes: &VoteOptions) -> Result<AnswerKind, KindError> {
    if let Some(kind) = &votes.kind {
        return Ok(kind.clone());
    }
    let said = result.answer_kind.as_deref().map(AnswerKind::parse).transpose()?;
    Ok(said.flatten().unwrap_or(AnswerKind::Math))
}

/// Whether the row is that of a set which the vote refused: an error, and nothing was read. One that a model
/// could not be asked about has the readings of the vote.
pub(super) fn is_not_voted(result: &AggregateResult) -> bool {
    let is_said =
        result.undecided.is_some() || result.extra.get("error").is_some_and(serde_json::Value::is_string);
    is_said && result.answer.is_none() && result.clusters.is_empty() && result.readings.is_empty()
}

/// The rows of each id, ids in order of first appearance.
pub(super) fn by_id(rows: &[ResultScore]) -> Vec<Vec<&ResultScore>> {
    let mut groups: Vec<Vec<&ResultScore>> = Vec::new();
    let mut place_of: HashMap<&str, usize> = HashMap::new();
    for row in rows {
        let place = *place_of.entry(&row.id).or_insert(groups.len());
        match groups.get_mut(place) {
            Some(group) => group.push(row),
            None => groups.push(vec![row]),
        }
    }
    groups
}

pub(super) fn mean_pool(rows: &[&ResultScore]) -> PoolScore {
    let mean = |part: &dyn Fn(&PoolScore) -> f64| {
        rows.iter().map(|row| part(&row.pool)).sum::<f64>() / rows.len() as f64
    };
    PoolScore {
        candidates: rows.iter().map(|row| row.pool.candidates).max().unwrap_or(0),
        mean_at_1: mean(&|pool| pool.mean_at_1),
        majority: Majority {
            expected: mean(&|pool| pool.majority.expected),
            first: mean(&|pool| pool.majority.first),
        },
        any: mean(&|pool| pool.any),
    }
}

/// The share of pairs of rows whose answers differ; two rows without an answer agree.
pub(super) fn flips(rows: &[&ResultScore]) -> f64 {
    let mut sizes: HashMap<Same, usize> = HashMap::new();
    let mut plain = Vec::new();
    for row in rows {
        match (row.answer.as_deref(), row.key.as_deref()) {
            (None, _) => *sizes.entry(Same::Nothing).or_default() += 1,
            (_, Some(key)) => *sizes.entry(Same::Key(key)).or_default() += 1,
            (Some(answer), None) => plain.push(Answer::parse(answer)),
        }
    }
    for class in equivalence_classes(&plain).of {
        *sizes.entry(Same::Class(class)).or_default() += 1;
    }
    let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
    if rows.len() < 2 {
        0.0
    } else {
        1.0 - sizes.values().map(|&size| pairs(size)).sum::<f64>() / pairs(rows.len())
    }
}

/// What rows have in common that agree.
#[derive(PartialEq, Eq, Hash)]
enum Same<'a> {
    Nothing,
    Key(&'a str),
    Class(usize),
}
