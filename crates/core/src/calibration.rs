//! How far a stated confidence can be believed: pure functions of rows of a confidence and whether the answer was right.
//!
//! Does it say how often answers are right ([`expected_calibration_error`], [`brier`], [`reliability`])? Does it tell the right
//! ones from the wrong ones ([`auroc`], [`accuracy_against_yield`])? Which threshold keeps the share of wrong answers
//! below a promised one ([`risk_threshold`])? What does not live here: which rows of a file count ([`crate::report`]).

mod risk;

use serde::{Deserialize, Serialize};

use crate::metrics::{Figure, interval, resamples};
use crate::order::in_order;
pub use risk::{RISK_CONFIDENCE, RiskThreshold, fewest_rows, risk_threshold};

/// Bins of equal width that confidences are counted in.
pub const BINS: usize = 10;

/// Points of accuracy against yield at most: one for each percent, and the strictest threshold.
const MOST_POINTS: usize = 101;

/// An answer, as far as its confidence goes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Row {
    /// From 0 to 1.
    pub confidence: f64,
    /// Whether the answer is right.
    pub is_right: bool,
}

/// The rows of one bin.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Where it begins. It ends where the next one begins; the last one holds 1 too.
    pub from: f64,
    /// Rows in it.
    pub rows: usize,
    /// Their mean confidence.
    pub confidence: Option<f64>,
    /// Share of them that is right.
    pub accuracy: Option<f64>,
}

/// What is left where rows of less confidence have no answer.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct YieldPoint {
    /// The smallest confidence that is kept.
    pub at_least: f64,
    /// Share of the rows that is kept.
    #[serde(rename = "yield")]
    pub kept: f64,
    /// Share of these that is right.
    pub accuracy: f64,
}

/// The rows by their confidence, in [`BINS`] bins of equal width.
pub fn reliability(rows: &[Row]) -> Vec<Bin> {
    let mut sums = [(0usize, 0.0, 0usize); BINS];
    for row in rows {
        let (count, confidence, right) = &mut sums[((row.confidence * BINS as f64) as usize).min(BINS - 1)];
        *count += 1;
        *confidence += row.confidence;
        *right += usize::from(row.is_right);
    }
    let bins = sums.iter().enumerate().map(|(at, &(count, confidence, right))| Bin {
        from: at as f64 / BINS as f64,
        rows: count,
        confidence: (count > 0).then(|| confidence / count as f64),
        accuracy: (count > 0).then(|| right as f64 / count as f64),
    });
    bins.collect()
}

/// The mean distance, over rows, between the accuracy of a row's bin and its mean confidence: the expected calibration error of
/// Naeini et al. (AAAI 2015) and Guo et al. (arXiv 1706.04599), in [`BINS`] bins of equal width. Null without rows.
pub fn expected_calibration_error(rows: &[Row]) -> Option<f64> {
    let distance = |bin: Bin| Some(bin.rows as f64 * (bin.accuracy? - bin.confidence?).abs());
    let sum: f64 = reliability(rows).into_iter().filter_map(distance).sum();
    (!rows.is_empty()).then(|| sum / rows.len() as f64)
}

/// The mean of (confidence - 1 if right, 0 if wrong) squared, by Brier (Monthly Weather Review 78, 1950). Null without rows.
pub fn brier(rows: &[Row]) -> Option<f64> {
    let square = |row: &Row| {
        let distance = row.confidence - f64::from(u8::from(row.is_right));
        distance * distance
    };
    (!rows.is_empty()).then(|| rows.iter().map(square).sum::<f64>() / rows.len() as f64)
}

/// The probability that a right answer has more confidence than a wrong one, where a tie counts half: the area under the ROC
/// curve (Hanley and McNeil, Radiology 143, 1982). Null where nothing is right, or nothing wrong.
pub fn auroc(rows: &[Row]) -> Option<f64> {
    area(rows, &descending(rows), &|_| 1)
}

/// [`auroc`] with its 95 % bootstrap interval. `problem_of` numbers the problem of each row, from 0: the rows of one problem are
/// drawn together. Resamples in which nothing is right, or nothing wrong, are left out. The seed fixes the resamples.
pub fn auroc_figure(rows: &[Row], problem_of: &[usize], seed: u64) -> Option<Figure> {
    let order = descending(rows);
    let value = area(rows, &order, &|_| 1)?;
    let problems = problem_of.iter().max().map_or(0, |last| last + 1);
    let mut resampled = Vec::new();
    resamples(problems, seed, &mut |counts| {
        let weight = |row: usize| problem_of.get(row).map_or(0, |&problem| u64::from(counts[problem]));
        resampled.extend(area(rows, &order, &weight));
    });
    Some(interval(value, &mut resampled))
}

/// For each confidence that occurs, the strictest first: what is left where rows of less have no answer. Where there are more of
/// them than 101, the strictest and those that first reach each percent of the rows.
pub fn accuracy_against_yield(rows: &[Row]) -> Vec<YieldPoint> {
    let order = descending(rows);
    let (mut kept, mut right) = (0usize, 0usize);
    let mut points = Vec::new();
    for group in groups(rows, &order) {
        kept += group.len();
        right += group.iter().filter(|&&at| rows[at].is_right).count();
        points.push((rows[group[0]].confidence, kept, right));
    }
    if points.len() > MOST_POINTS {
        let mut percent = 0;
        points.retain(|(_, kept, _)| {
            let reached = kept * (MOST_POINTS - 1) / rows.len();
            let is_first = reached > percent || *kept == 1;
            percent = percent.max(reached);
            is_first
        });
    }
    let point = |(at_least, kept, right): (f64, usize, usize)| YieldPoint {
        at_least,
        kept: kept as f64 / rows.len() as f64,
        accuracy: right as f64 / kept as f64,
    };
    points.into_iter().map(point).collect()
}

/// The rows, those of most confidence first.
fn descending(rows: &[Row]) -> Vec<usize> {
    in_order(rows.len(), &|a, b| rows[b].confidence.total_cmp(&rows[a].confidence))
}

/// Rows of one confidence together, none of them empty.
fn groups<'a>(rows: &'a [Row], order: &'a [usize]) -> impl Iterator<Item = &'a [usize]> {
    order.chunk_by(|&a, &b| rows[a].confidence == rows[b].confidence)
}

/// [`auroc`] of rows that count so often. Whole numbers, so that their order does not matter.
fn area(rows: &[Row], order: &[usize], weight: &dyn Fn(usize) -> u64) -> Option<f64> {
    // Pairs of a right and a wrong row, and twice those of them in which the right one has more confidence.
    let (mut right, mut wrong, mut twice) = (0u64, 0u64, 0u64);
    for group in groups(rows, order) {
        let (mut right_here, mut wrong_here) = (0, 0);
        for &at in group {
            *(if rows[at].is_right { &mut right_here } else { &mut wrong_here }) += weight(at);
        }
        twice += wrong_here * (2 * right + right_here);
        right += right_here;
        wrong += wrong_here;
    }
    (right > 0 && wrong > 0).then(|| twice as f64 / (2.0 * right as f64 * wrong as f64))
}

#[cfg(test)]
mod tests;
