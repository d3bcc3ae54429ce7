//! Where the rows of an aggregation go, and what they add up to.

use std::path::Path;

use anyhow::{Result, bail};
use conclave_core::layer::MODEL;
use conclave_core::result::{AggregateResult, Method};
use conclave_disk::{Inputs, Resumable, is_replaceable};
use serde_json::Value;

use super::arguments::AggregateArguments;
use super::{ERROR, Job, PERMUTATION, SHOWN, UNKNOWN_WORDS};
use crate::Outcome;
use crate::input::Tally;
use crate::messages::{count, say, visible_clipped};
use crate::output::{Output, say_without_locks, to_json_line};
use crate::shard::Part;
use crate::table::{Align, Table};
use crate::unsure::{self, Unsure};
use crate::vote::{fields, is_refused, readings, verdict};

/// The rows made so far, those of an earlier run included.
pub struct Rows {
    sink: Sink,
    summary: Summary,
    unsure: Unsure,
    done: usize,
}

enum Sink {
    /// A file that a later run can continue.
    File(Resumable),
    /// Each row at once.
    Json(Output),
    /// All rows at the end.
    Table(Output, Table, bool),
}

impl Rows {
    /// Opens the output. Rows of an earlier run are counted, and must be those of the first jobs.
    pub fn open(
        arguments: &AggregateArguments,
        settings: &Value,
        jobs: &[Job<'_>],
        inputs: &Inputs,
        mut unsure: Unsure,
    ) -> Result<Self> {
        let mut summary = Summary::default();
        let mut done = 0;
        let sink = match &arguments.out {
            Some(path) if path != Path::new("-") && is_replaceable(path) => {
                let mut same = true;
                let output = Resumable::open(path, settings, None, &mut |row: AggregateResult| {
                    same &= jobs.get(done).is_some_and(|job| is_row_of(&row, job));
                    done += 1;
                    unsure.count(&row);
                    summary.add(&row);
                })?;
                if !same {
                    bail!(
                        "the rows in {} are not of these sets: remove it to start anew, or choose another --out",
                        output.name()
                    );
                }
                say_without_locks(output.is_locked(), path);
                Sink::File(output)
            }
            Some(path) => Sink::Json(Output::open(Some(path), inputs)?),
            None if arguments.json => Sink::Json(Output::open(None, inputs)?),
            None => Sink::Table(Output::open(None, inputs)?, table(), arguments.verbose),
        };
        Ok(Self { sink, summary, unsure, done })
    }

    /// How many of the jobs are done.
    pub fn done(&self) -> usize {
        self.done
    }

    /// Takes the row of the next job, and withholds its answer where it is not sure enough.
    pub fn push(&mut self, row: &AggregateResult) -> Result<()> {
        let row = &self.unsure.applied(row);
        match &mut self.sink {
            Sink::File(output) => output.row(&to_json_line(row)?)?,
            Sink::Json(output) => {
                // Rows are seconds apart: whoever reads them wants each as it comes, or has had enough.
                output.json_line(row)?;
                output.flush()?;
            }
            Sink::Table(_, table, verbose) => {
                table.push(cells(row));
                if *verbose {
                    readings(row).chain(fields(row)).for_each(|line| table.push_note(line));
                }
            }
        }
        self.summary.add(row);
        self.done += 1;
        Ok(())
    }

    /// Completes the output of a run that did all its jobs.
    pub fn finish(self, tally: &Tally, part: Option<&Part>, outcome: Outcome) -> Result<Outcome> {
        let outcome = if self.summary.errors > 0 { Outcome::Incomplete } else { outcome };
        let summary = Some(self.summary.text() + &self.unsure.text());
        let finished = match self.sink {
            Sink::File(output) if tally.is_hopeless() => {
                say(&format!("{} is not written: there is nothing to write", output.target_name()));
                tally.finish()
            }
            Sink::File(output) => {
                if let Some(part) = part {
                    let read = if tally.unreadable() > 0 { Outcome::Incomplete } else { Outcome::Done };
                    part.record(output.rows(), output.bytes(), tally.unreadable(), read.and(outcome))?;
                }
                output.finish()?;
                summary.iter().for_each(|summary| say(summary));
                tally.finish()
            }
            Sink::Json(output) => output.finish_after(tally, summary)?,
            Sink::Table(mut output, table, _) => {
                write_table(&mut output, &table)?;
                output.finish_after(tally, summary)?
            }
        };
        Ok(finished.and(outcome))
    }

    /// Keeps what a run made before it failed. The failure is reported elsewhere; one more here changes nothing.
    pub fn keep(self, jobs: usize) {
        if self.done == 0 {
            return;
        }
        match self.sink {
            Sink::File(output) => say(&format!(
                "{} of {} are kept in {}; the same command continues",
                self.done,
                count(jobs as u64, "row"),
                output.name()
            )),
            Sink::Json(_) => {}
            Sink::Table(mut output, table, _) => {
                let written = write_table(&mut output, &table).and_then(|()| output.finish());
                if written.is_ok() {
                    say(&(self.summary.text() + &self.unsure.text()));
                }
            }
        }
    }
}

fn is_row_of(row: &AggregateResult, job: &Job<'_>) -> bool {
    let permutation = row.extra.get(PERMUTATION).and_then(Value::as_u64);
    row.id == job.set.id && permutation == job.permutation.map(u64::from)
}

fn write_table(output: &mut Output, table: &Table) -> Result<()> {
    if table.len() == 0 {
        return Ok(());
    }
    table.lines().iter().try_for_each(|line| output.line(line))
}

fn table() -> Table {
    Table::new(&[
        ("id", Align::Left),
        ("answer", Align::Left),
        ("by", Align::Left),
        ("confidence", Align::Right),
        ("vote", Align::Left),
        ("note", Align::Left),
    ])
}

fn cells(row: &AggregateResult) -> Vec<String> {
    let vote = row.clusters.first().map_or("-".to_owned(), |first| {
        format!("{} ({}/{})", visible_clipped(&first.answer, SHOWN), first.votes, row.num_candidates)
    });
    let mut notes = Vec::from_iter(verdict(row));
    if row.num_candidates == 0 {
        notes.push("no candidates".to_owned());
    } else if is_refused(row) {
        notes.push("not voted on".to_owned());
    } else if row.clusters.is_empty() {
        notes.push("no candidate has an answer".to_owned());
    }
    notes.extend(unsure::note(row));
    vec![
        visible_clipped(&row.id, SHOWN),
        row.answer.as_deref().map_or("-".to_owned(), |answer| visible_clipped(answer, SHOWN)),
        by(row).to_owned(),
        confidence(row.confidence),
        vote,
        notes.join("; "),
    ]
}

/// What gave the answer, in words.
pub fn by(row: &AggregateResult) -> &'static str {
    match row.method {
        Method::Vote if is_fallback(row) => "fallback vote",
        Method::Vote => "vote",
        Method::Select => "select",
        Method::Generate => "generate",
    }
}

/// Whether the model was to answer, and the vote stands in for it.
fn is_fallback(row: &AggregateResult) -> bool {
    let was_not_asked = [ERROR, UNKNOWN_WORDS].iter().any(|&reason| row.extra.contains_key(reason));
    row.method == Method::Vote && (row.completion.is_some() || was_not_asked)
}

/// Whether the model wrote an answer that was not taken, because no candidate has it.
fn is_novel(row: &AggregateResult) -> bool {
    row.method == Method::Vote && row.layer(MODEL).is_some_and(|layer| layer.answer.is_some())
}

/// Three digits; a probability that they would round to nothing is not nothing.
pub fn confidence(value: f64) -> String {
    if value > 0.0 && value < 0.0005 { "<0.001".to_owned() } else { format!("{value:.3}") }
}

#[derive(Default)]
struct Summary {
    rows: u64,
    by_model: u64,
    /// Votes that stand in for the model because it wrote no answer.
    silent: u64,
    /// Because no candidate has its answer.
    novel: u64,
    /// Because it could not be asked.
    errors: u64,
    /// Because it does not know the words.
    unknown: u64,
    graded: u64,
    correct: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    elapsed_ms: f64,
}

impl Summary {
    fn add(&mut self, row: &AggregateResult) {
        self.rows += 1;
        self.by_model += u64::from(row.method != Method::Vote);
        let (is_error, is_unknown) = (row.extra.contains_key(ERROR), row.extra.contains_key(UNKNOWN_WORDS));
        self.errors += u64::from(is_error);
        self.unknown += u64::from(is_unknown);
        self.novel += u64::from(is_novel(row));
        self.silent += u64::from(is_fallback(row) && !is_novel(row) && !is_error && !is_unknown);
        self.graded += u64::from(row.correct.is_some());
        self.correct += u64::from(row.correct == Some(true));
        self.prompt_tokens += row.usage.prompt_tokens;
        self.completion_tokens += row.usage.completion_tokens;
        self.elapsed_ms += row.elapsed_ms;
    }

    fn text(&self) -> String {
        let mut text = format!("{}: {} by vote", count(self.rows, "row"), self.rows - self.by_model);
        let fallbacks = [
            (self.silent, "where the model wrote no answer"),
            (self.novel, "where no candidate has what the model wrote"),
            (self.errors, "that do not fit the model"),
            (self.unknown, "with words that it does not know"),
        ];
        let parts = fallbacks.iter().filter(|(number, _)| *number > 0);
        let parts: Vec<String> = parts.map(|(number, reason)| format!("{number} {reason}")).collect();
        if !parts.is_empty() {
            text += &format!(" ({})", parts.join(", "));
        }
        text += &format!(", {} by the model", self.by_model);
        if self.graded > 0 {
            text += &format!("; {} of {} correct", self.correct, self.graded);
        }
        text + &format!(
            "; tokens: {} in, {} out; {:.1} s",
            self.prompt_tokens,
            self.completion_tokens,
            self.elapsed_ms / 1e3
        )
    }
}
