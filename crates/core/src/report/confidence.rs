//! How far the confidences of a file of results can be believed.
//!
//! Which rows count: graded ones with an answer, given or withheld because of its confidence. Where there is no answer, there is
//! none that the confidence could be about. Confidences of different kinds are never mixed. What a kind of confidence
//! says:
//! - `ece`, `brier`, `auroc`, `bins`, `yield`: see [`crate::calibration`]. The yield is a share of the rows that
//!   count.
//! - Several rows of one id count as they are: each states a confidence in its own answer, and a mean of
//!   confidences beside a mean of answers that are right is nobody's statement. For the interval of `auroc` they are drawn together.
//! - `out_of_range`: rows whose confidence is not between 0 and 1. They are in no figure.

use std::collections::HashMap;

use serde::{Deserialize, Serialize};

use super::results::ResultScore;
use crate::calibration::{
    Bin, Row, YieldPoint, accuracy_against_yield, auroc_figure, brier, expected_calibration_error,
    reliability,
};
use crate::metrics::Figure;
use crate::result::ConfidenceKind;

/// How far confidences of one kind can be believed.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CalibrationReport {
    /// What the confidences are.
    pub kind: ConfidenceKind,
    /// Rows that count.
    pub rows: usize,
    /// Rows whose confidence cannot be.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub out_of_range: usize,
    /// Expected calibration error.
    pub ece: Option<f64>,
    /// Probability that a right answer has more confidence than a wrong one.
    pub auroc: Option<Figure>,
    /// Mean squared distance from what was right.
    pub brier: Option<f64>,
    /// Rows by their confidence.
    pub bins: Vec<Bin>,
    /// Accuracy against yield, the strictest threshold first.
    #[serde(rename = "yield")]
    pub kept: Vec<YieldPoint>,
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

/// Graded answers with confidences of one kind.
#[derive(Debug, Clone, PartialEq)]
pub struct Claims {
    /// What the confidences are.
    pub kind: ConfidenceKind,
    /// The answers, in the order of the file.
    pub rows: Vec<Row>,
    /// The problem of each, numbered from 0 in the order of first appearance.
    pub problem_of: Vec<usize>,
    /// Rows left out because their confidence is not between 0 and 1.
    pub out_of_range: usize,
}

impl Claims {
    /// The first row of each problem: what can be taken as drawn independently.
    pub fn first_of_each_problem(&self) -> Vec<Row> {
        let mut next = 0;
        let is_first = |(row, &problem): (&Row, &usize)| {
            let is_first = problem == next;
            next += usize::from(is_first);
            is_first.then_some(*row)
        };
        self.rows.iter().zip(&self.problem_of).filter_map(is_first).collect()
    }

    /// What they are worth.
    pub(super) fn report(&self, seed: u64) -> CalibrationReport {
        CalibrationReport {
            kind: self.kind,
            rows: self.rows.len(),
            out_of_range: self.out_of_range,
            ece: expected_calibration_error(&self.rows),
            auroc: auroc_figure(&self.rows, &self.problem_of, seed),
            brier: brier(&self.rows),
            bins: reliability(&self.rows),
            kept: accuracy_against_yield(&self.rows),
        }
    }
}

/// The rows of each kind.
pub(super) fn claims(results: &[ResultScore]) -> Vec<Claims> {
    let mut all: Vec<(Claims, HashMap<&str, usize>)> = Vec::new();
    for result in results {
        let Some((kind, row)) = result.claim else { continue };
        let place = match all.iter().position(|(claims, _)| claims.kind == kind) {
            Some(place) => place,
            None => {
                let none = Claims { kind, rows: Vec::new(), problem_of: Vec::new(), out_of_range: 0 };
                all.push((none, HashMap::new()));
                all.len() - 1
            }
        };
        let (claims, problems) = &mut all[place];
        if !(0.0..=1.0).contains(&row.confidence) {
            claims.out_of_range += 1;
            continue;
        }
        let next = problems.len();
        claims.rows.push(row);
        claims.problem_of.push(*problems.entry(&result.id).or_insert(next));
    }
    all.into_iter().map(|(claims, _)| claims).collect()
}
