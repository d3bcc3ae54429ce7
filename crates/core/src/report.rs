//! Evaluation reports: pure functions of the rows of a file of sample sets or of results.
//!
//! What the figures are, each a mean over problems where nothing else is said:
//! - `mean_at_1`: the share of correct candidates; one without an answer is not correct.
//! - `majority_expected`, `majority_first`: whether the largest class of equal answers is correct; where
//!   several are largest, their mean, or the one with the earliest candidate (which is what `vote` answers).
//! - `pass_at_k`: whether any candidate is correct: pass@k with k the problem's number of candidates.
//! - `accuracy` (results): whether the answer is correct, by our grading of the row's own `answer`.
//! - `gap_closed` (results): sum (answer - vote) / sum (any candidate - vote), with the tie-broken vote; null
//!   where the vote is already as good as any choice among the candidates.
//! - `flip_rate` (results with several rows of one id): the share of pairs of rows of an id whose answers
//!   differ.
//! - `calibration` (results): how far the confidences can be believed, one entry a kind of confidence
//!   ([`confidence`]).
//!
//! Answers are read, classed and graded by the kind of each row ([`crate::kinds`]): that of a set as the vote
//! on it decides it, that of a result as it says. Of records the classes here are whole records; what a vote
//! merges of them is judged in a file of results. How stable answers are over repeats is in [`repeats`].
//!
//! Which rows count:
//! 1. A candidate is correct where its class is equivalent to the reference; or, with `labels`, where the
//!    field of that name says so. Candidates without a label are left out, and problems without any. The
//!    correct ones are then one class, as all of them equal the reference; the others are classed by their
//!    answers. For labels `NAME_correct` an answer is what `NAME_answer` says, where that is a string that is
//!    not blank: the verdict was on that.
//! 2. `num_candidates` takes the first so many candidates of each set (labelled ones, with `labels`).
//! 3. Rows with nothing to grade by are counted in `skipped` and are in no figure. So are sets whose kind
//!    cannot be told (code, essays) and results that say that their set was not voted on: they are neither
//!    right nor wrong, and `not_voted` says why. With `labels` there are verdicts, and answers are classed as
//!    mathematics where their kind cannot be told.
//! 4. Several result rows of one id are averaged into one problem; the counts (`recoveries`, tokens) are sums
//!    over rows.
//! 5. A vote that abstains has no answer, and no answer is not correct.

pub mod confidence;
mod pool;
pub mod repeats;
mod results;
mod row;

use serde::{Deserialize, Serialize};

use crate::calibration::Row;
use crate::kinds::{AnswerKind, BallotError, VoteOptions, kind_of};
use crate::metrics::{Figure, Ratio, paired_bootstrap};
use crate::result::AggregateResult;
use crate::sample_set::SampleSet;
use confidence::{CalibrationReport, Claims};
use pool::{Item, Judge, PoolScore};
use repeats::{Repeats, RepeatsReport};
use results::{ResultScore, by_id, flips, mean_pool};
pub use row::{EvalRow, ReportError};

/// The resamples of every report.
const SEED: u64 = 20_260_101;

/// What a file of sample sets is worth before any aggregator.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SetsReport {
    /// The file.
    pub file: String,
    /// Problems in the figures.
    pub problems: usize,
    /// Rows left out: nothing to grade them by, or not voted on.
    pub skipped: usize,
    /// Of these, the rows that are not voted on, by reason.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub not_voted: Vec<NotVoted>,
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
    /// How stable answers are over repeats, where that was asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub repeats: Option<RepeatsReport>,
}

/// Rows that are not voted on, for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotVoted {
    /// Why.
    pub reason: String,
    /// How many.
    pub rows: usize,
    /// The first one's id.
    pub first: String,
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
    /// How far the confidences can be believed, by kind in the order of their first rows.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub calibration: Vec<CalibrationReport>,
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

/// How a file is evaluated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct EvalOptions {
    /// Use the first so many candidates of each set.
    pub num_candidates: Option<usize>,
    /// Take verdicts from this field of the candidates instead of grading.
    pub labels: Option<String>,
}

/// An evaluation in progress: rows in, one report out. Holds a few numbers a row, not the rows.
#[derive(Clone)]
pub struct Evaluation<'a> {
    options: EvalOptions,
    votes: VoteOptions<'a>,
    sets: Vec<PoolScore>,
    results: Vec<ResultScore>,
    skipped: usize,
    not_voted: Vec<NotVoted>,
    is_results: Option<bool>,
    repeats: Option<Repeats>,
}

/// Why results are left out whose set was not voted on.
const NOT_VOTED: &str = "the vote says that it was not voted on";

impl Default for Evaluation<'_> {
    fn default() -> Self {
        Self::new(EvalOptions::default())
    }
}

impl<'a> Evaluation<'a> {
    /// An evaluation of no rows yet, whose answers are mathematics.
    pub fn new(options: EvalOptions) -> Self {
        Self::by_kind(options, VoteOptions { kind: Some(AnswerKind::Math), ..VoteOptions::default() })
    }

    /// An evaluation of no rows yet, by the kind of each. Rules and ties of `votes` matter for repeats alone.
    pub fn by_kind(options: EvalOptions, votes: VoteOptions<'a>) -> Self {
        Self {
            options,
            votes,
            sets: Vec::new(),
            results: Vec::new(),
            skipped: 0,
            not_voted: Vec::new(),
            is_results: None,
            repeats: None,
        }
    }

    /// Reports too how stable answers are over repeats. Not with verdicts from a field: they are no answers.
    pub fn with_repeats(mut self) -> Self {
        self.repeats = Some(Repeats::new(&self.votes));
        self
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
        let wrong = |error| ReportError::Ballot { id: set.id.clone(), error };
        let most = self.most_candidates();
        if let Some(field) = &self.options.labels {
            let kind = match kind_of(set, &self.votes) {
                Ok((kind, _)) => kind,
                Err(BallotError::Undecided(_)) => AnswerKind::Math,
                Err(error) => return Err(wrong(error)),
            };
            match pool::labelled(set, field, &kind, &self.votes, most)? {
                Some(pool) => self.sets.push(pool),
                None => self.skipped += 1,
            }
            return Ok(());
        }
        if set.reference_answer.is_none() && self.repeats.is_none() {
            self.skipped += 1;
            return Ok(());
        }
        let kind = match kind_of(set, &self.votes) {
            Ok((kind, _)) => kind,
            Err(BallotError::Undecided(shown)) => {
                self.leave_out(shown.words(), &set.id);
                return Ok(());
            }
            Err(error) => return Err(wrong(error)),
        };
        let item = Item::of_set(set, &kind, &self.votes, most).map_err(wrong)?;
        if let Some(repeats) = &mut self.repeats {
            repeats.add(&set.id, &kind, &item);
        }
        match item.is_graded {
            true => self.sets.push(item.score()),
            false => self.skipped += 1,
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
        let kind = results::kind_of_result(result, &self.votes)
            .map_err(|error| ReportError::Kind { id: result.id.clone(), error })?;
        if results::is_not_voted(result) {
            self.leave_out(NOT_VOTED, &result.id);
            return Ok(());
        }
        if result.reference_answer.is_none() && self.repeats.is_none() {
            self.skipped += 1;
            return Ok(());
        }
        let item = Item::of_result(result, &kind, &self.votes, self.most_candidates());
        if let Some(repeats) = &mut self.repeats {
            repeats.add(&result.id, &kind, &item);
        }
        let Some(reference) = &result.reference_answer else {
            self.skipped += 1;
            return Ok(());
        };
        let judge = Judge::new(&kind, &self.votes, reference);
        let answer = result.answer.as_deref();
        let is_right = result.claimed().map(|claimed| judge.accepts(claimed, result.answer_tier()));
        let correct = answer.is_some() && is_right == Some(true);
        self.results.push(ResultScore {
            id: result.id.clone(),
            pool: item.score(),
            answer: result.answer.clone(),
            key: answer.and_then(|answer| kind.key(answer, &self.votes)),
            correct: f64::from(u8::from(correct)),
            prompt_tokens: result.usage.prompt_tokens,
            completion_tokens: result.usage.completion_tokens,
            // + 0.0: a zero with a sign is zero.
            claim: is_right.map(|is_right| {
                (result.confidence_kind, Row { confidence: result.confidence + 0.0, is_right })
            }),
        });
        Ok(())
    }

    /// Counts a row that is not voted on.
    fn leave_out(&mut self, reason: &str, id: &str) {
        self.skipped += 1;
        match self.not_voted.iter_mut().find(|known| known.reason == reason) {
            Some(known) => known.rows += 1,
            None => {
                self.not_voted.push(NotVoted { reason: reason.to_owned(), rows: 1, first: id.to_owned() });
            }
        }
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

    /// The graded answers of the results added so far with their confidences, by kind in the order of their first rows.
    pub fn claims(&self) -> Vec<Claims> {
        confidence::claims(&self.results)
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
            calibration: self.claims().iter().map(|claims| claims.report(SEED)).collect(),
        })
    }

    fn sets_report(&self, file: &str, pools: &[PoolScore], figures: &[Option<Figure>]) -> SetsReport {
        SetsReport {
            file: file.to_string(),
            problems: pools.len(),
            skipped: self.skipped,
            not_voted: self.not_voted.clone(),
            num_candidates: pools.iter().map(|pool| pool.candidates).max().unwrap_or(0),
            mean_at_1: figures[0],
            majority_expected: figures[1],
            majority_first: figures[2],
            pass_at_k: figures[3],
            repeats: self.repeats.as_ref().map(Repeats::report),
        }
    }
}

fn pool_ratios(pools: &[PoolScore]) -> Vec<Ratio> {
    let parts: [fn(&PoolScore) -> f64; 4] =
        [|pool| pool.mean_at_1, |pool| pool.majority.expected, |pool| pool.majority.first, |pool| pool.any];
    parts.into_iter().map(|part| Ratio::mean(pools.iter().map(part).collect())).collect()
}

#[cfg(test)]
mod tests;
