//! Evaluation reports: pure functions of the rows of a file of sample sets or of results.
//!
//! What the figures are, each a mean over problems where nothing else is said:
//! - `mean_at_1`: the share of correct candidates; one without an answer is not correct.
//! - `majority_expected`, `majority_first`: whether the largest class of equal answers is correct; where several are
//!   largest, their mean, or the one with the earliest candidate (which is what `vote` answers).
//! - `pass_at_k`: whether any candidate is correct: pass@k with k the problem's number of candidates.
//! - `accuracy` (results): whether the answer is correct, by our grading of the row's own `answer`.
//! - `gap_closed` (results): sum (answer - vote) / sum (any candidate - vote), with the tie-broken vote; null where the
//!   vote is already as good as any choice among the candidates.
//! - `flip_rate` (results with several rows of one id): the share of pairs of rows of an id whose answers differ.
//!
//! Which rows count:
//! 1. A candidate is correct where its class is equivalent to the reference; or, with `labels`, where the field of that
//!    name says so. Candidates without a label are left out, and problems without any. The correct ones are then one
//!    class, as all of them equal the reference; the others are classed by their answers. For labels `NAME_correct` an
//!    answer is what `NAME_answer` says, where that is a string that is not blank: the verdict was on that.
//! 2. `num_candidates` takes the first so many candidates of each set (labelled ones, with `labels`).
//! 3. Rows with nothing to grade by are counted in `skipped` and are in no figure.
//! 4. Several result rows of one id are averaged into one problem; the counts (`recoveries`, tokens) are sums over rows.

mod pool;

use std::collections::HashMap;

use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::equivalence::{Answer, equivalence_classes};
use crate::metrics::{Figure, Majority, Ratio, paired_bootstrap};
use crate::reference::Reference;
use crate::result::AggregateResult;
use crate::sample_set::SampleSet;
use pool::PoolScore;

/// The resamples of every report.
const SEED: u64 = 20_260_101;

/// What a file of sample sets is worth before any aggregator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetsReport {
    /// The file.
    pub file: String,
    /// Problems in the figures.
    pub problems: usize,
    /// Rows left out: nothing to grade them by.
    pub skipped: usize,
    /// Most candidates of a problem in the figures.
    pub num_candidates: usize,
    /// Share of correct candidates.
    pub mean_at_1: Option<Figure>,
    /// Majority, ties at their expected value.
    pub majority_expected: Option<Figure>,
    /// Majority, ties to the earliest candidate.
    pub majority_first: Option<Figure>,
    /// Any candidate correct.
    pub pass_at_k: Option<Figure>,
}

/// What a file of results is worth, beside what its candidates were.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResultsReport {
    /// The candidates' figures.
    #[serde(flatten)]
    pub sets: SetsReport,
    /// Share of correct answers.
    pub accuracy: Option<Figure>,
    /// Share of the gap between the vote and the best choice that the answers close.
    pub gap_closed: Option<Figure>,
    /// Rows where the vote is wrong and the answer right.
    pub recoveries: usize,
    /// Rows where the vote is right and the answer wrong.
    pub regressions: usize,
    /// Share of pairs of rows of one id that differ.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flip_rate: Option<Figure>,
    /// Tokens read, over the rows that are not skipped.
    pub prompt_tokens: u64,
    /// Tokens written, over the rows that are not skipped.
    pub completion_tokens: u64,
}

/// One file's report.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(untagged)]
pub enum Report {
    /// Of sample sets.
    Sets(SetsReport),
    /// Of results.
    Results(ResultsReport),
}

/// A row of a file to evaluate: results have `clusters`, sample sets have `candidates`.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(try_from = "Value")]
pub enum EvalRow {
    /// A sample set.
    Set(SampleSet),
    /// A result.
    Result(AggregateResult),
}

impl TryFrom<Value> for EvalRow {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        if value.get("clusters").is_some() && value.get("candidates").is_none() {
            return serde_json::from_value(value).map(Self::Result).map_err(|error| error.to_string());
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

/// How a file is evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvalOptions {
    /// Use the first so many candidates of each set.
    pub num_candidates: Option<usize>,
    /// Take verdicts from this field of the candidates instead of grading.
    pub labels: Option<String>,
}

/// An evaluation in progress: rows in, one report out. Holds a few numbers a row, not the rows.
#[derive(Debug, Clone, Default)]
pub struct Evaluation {
    options: EvalOptions,
    sets: Vec<PoolScore>,
    results: Vec<ResultScore>,
    skipped: usize,
    is_results: Option<bool>,
}

/// One result row.
#[derive(Debug, Clone)]
struct ResultScore {
    id: String,
    pool: PoolScore,
    answer: Option<String>,
    correct: f64,
    prompt_tokens: u64,
    completion_tokens: u64,
}

impl Evaluation {
    /// An evaluation of no rows yet.
    pub fn new(options: EvalOptions) -> Self {
        Self { options, ..Self::default() }
    }

    /// Adds a row.
    ///
    /// # Errors
    /// Where the row does not belong into the report; the evaluation is as before then.
    pub fn add(&mut self, row: &EvalRow) -> Result<(), ReportError> {
        match row {
            EvalRow::Set(set) => self.add_set(set),
            EvalRow::Result(result) => self.add_result(result),
        }
    }

    /// Adds a sample set.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_set(&mut self, set: &SampleSet) -> Result<(), ReportError> {
        self.expect_kind(false, &set.id)?;
        let pool = match &self.options.labels {
            Some(field) => pool::labelled(set, field, self.most_candidates())?,
            None => pool::graded(set, self.most_candidates()),
        };
        match pool {
            Some(pool) => self.sets.push(pool),
            None => self.skipped += 1,
        }
        Ok(())
    }

    /// Adds a result. `num_candidates` restricts its candidates as it does a set's.
    ///
    /// # Errors
    /// As [`Self::add`].
    pub fn add_result(&mut self, result: &AggregateResult) -> Result<(), ReportError> {
        self.expect_kind(true, &result.id)?;
        if let Some(field) = &self.options.labels {
            return Err(ReportError::LabelledResult { id: result.id.clone(), field: field.clone() });
        }
        let Some(reference) = result.reference_answer.as_ref().map(Reference::parsed) else {
            self.skipped += 1;
            return Ok(());
        };
        let correct = result.to_answer().is_some_and(|answer| reference.accepts(&answer));
        self.results.push(ResultScore {
            id: result.id.clone(),
            pool: pool::of_result(result, &reference, self.most_candidates()),
            answer: result.answer.clone(),
            correct: f64::from(u8::from(correct)),
            prompt_tokens: result.usage.prompt_tokens,
            completion_tokens: result.usage.completion_tokens,
        });
        Ok(())
    }

    fn expect_kind(&mut self, is_result: bool, id: &str) -> Result<(), ReportError> {
        if *self.is_results.get_or_insert(is_result) == is_result {
            return Ok(());
        }
        Err(ReportError::Mixed { id: id.to_string() })
    }

    fn most_candidates(&self) -> usize {
        self.options.num_candidates.unwrap_or(usize::MAX)
    }

    /// The report on the rows added so far.
    pub fn report(&self, file: &str) -> Report {
        if self.is_results != Some(true) {
            let figures = paired_bootstrap(&pool_ratios(&self.sets), SEED);
            return Report::Sets(self.sets_report(file, &self.sets, &figures));
        }
        let problems = by_id(&self.results);
        let pools: Vec<PoolScore> = problems.iter().map(|rows| mean_pool(rows)).collect();
        let mean = |value: &dyn Fn(&ResultScore) -> f64| -> Vec<f64> {
            problems
                .iter()
                .map(|rows| rows.iter().map(|row| value(row)).sum::<f64>() / rows.len() as f64)
                .collect()
        };
        let mut ratios = pool_ratios(&pools);
        ratios.push(Ratio::mean(mean(&|row| row.correct)));
        ratios.push(Ratio {
            above: mean(&|row| row.correct - row.pool.majority.first),
            below: mean(&|row| row.pool.any - row.pool.majority.first),
        });
        let repeated = || problems.iter().map(|rows| f64::from(u8::from(rows.len() > 1)));
        ratios.push(Ratio {
            above: problems.iter().map(|rows| flips(rows)).collect(),
            below: repeated().collect(),
        });
        let figures = paired_bootstrap(&ratios, SEED);
        let count = |won: f64| {
            self.results
                .iter()
                .filter(|row| row.correct == won && row.pool.majority.first == 1.0 - won)
                .count()
        };
        Report::Results(ResultsReport {
            sets: self.sets_report(file, &pools, &figures),
            accuracy: figures[4],
            gap_closed: figures[5],
            recoveries: count(1.0),
            regressions: count(0.0),
            flip_rate: figures[6],
            prompt_tokens: self.results.iter().map(|row| row.prompt_tokens).sum(),
            completion_tokens: self.results.iter().map(|row| row.completion_tokens).sum(),
        })
    }

    fn sets_report(&self, file: &str, pools: &[PoolScore], figures: &[Option<Figure>]) -> SetsReport {
        SetsReport {
            file: file.to_string(),
            problems: pools.len(),
            skipped: self.skipped,
            num_candidates: pools.iter().map(|pool| pool.candidates).max().unwrap_or(0),
            mean_at_1: figures[0],
            majority_expected: figures[1],
            majority_first: figures[2],
            pass_at_k: figures[3],
        }
    }
}

fn pool_ratios(pools: &[PoolScore]) -> Vec<Ratio> {
    let parts: [fn(&PoolScore) -> f64; 4] =
        [|pool| pool.mean_at_1, |pool| pool.majority.expected, |pool| pool.majority.first, |pool| pool.any];
    parts.into_iter().map(|part| Ratio::mean(pools.iter().map(part).collect())).collect()
}

/// The rows of each id, ids in order of first appearance.
fn by_id(rows: &[ResultScore]) -> Vec<Vec<&ResultScore>> {
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

fn mean_pool(rows: &[&ResultScore]) -> PoolScore {
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
fn flips(rows: &[&ResultScore]) -> f64 {
    let answers: Vec<Answer> =
        rows.iter().filter_map(|row| row.answer.as_deref()).map(Answer::parse).collect();
    let classes = equivalence_classes(&answers);
    let mut sizes: HashMap<Option<usize>, usize> = HashMap::new();
    classes.of.into_iter().for_each(|class| *sizes.entry(Some(class)).or_default() += 1);
    sizes.insert(None, rows.len() - answers.len());
    let pairs = |n: usize| (n * n.saturating_sub(1) / 2) as f64;
    if rows.len() < 2 {
        0.0
    } else {
        1.0 - sizes.values().map(|&size| pairs(size)).sum::<f64>() / pairs(rows.len())
    }
}

#[cfg(test)]
mod tests;
