//! Where the sets of a run go, and what they add up to.

use std::path::Path;

use anyhow::{Result, bail};
use conclave_core::sample_set::SampleSet;
use serde_json::Value;

use super::draw::FAILURES;
use crate::Outcome;
use crate::input::Tally;
use crate::messages::{count, say};
use crate::output::{Output, is_replaceable, to_json_line};
use crate::resume::ResumableOutput;

/// The sets made so far, those of an earlier run included.
pub struct Rows {
    sink: Sink,
    summary: Summary,
}

enum Sink {
    /// A file that a later run can continue.
    File(ResumableOutput),
    /// Each set at once.
    Json(Output),
}

#[derive(Default)]
struct Summary {
    sets: usize,
    candidates: u64,
    failed: u64,
}

impl Rows {
    /// Opens the output. Sets of an earlier run are counted, and must be those of the first problems.
    pub fn open(out: Option<&Path>, settings: &Value, problems: &[SampleSet]) -> Result<Self> {
        let mut summary = Summary::default();
        let sink = match out {
            Some(path) if path != Path::new("-") && is_replaceable(path) => {
                let mut same = true;
                let output = ResumableOutput::open(path, settings, &mut |set: SampleSet| {
                    same &= problems.get(summary.sets).is_some_and(|problem| problem.id == set.id);
                    summary.add(&set);
                })?;
                if !same {
                    bail!(
                        "the sets in {} are not of these problems: remove it to start anew, or choose another --out",
                        output.name()
                    );
                }
                Sink::File(output)
            }
            out => Sink::Json(Output::open(out)?),
        };
        Ok(Self { sink, summary })
    }

    /// How many of the problems are done.
    pub fn done(&self) -> usize {
        self.summary.sets
    }

    /// Takes the set of the next problem.
    pub fn push(&mut self, set: &SampleSet) -> Result<()> {
        match &mut self.sink {
            Sink::File(output) => output.row(&to_json_line(set)?)?,
            Sink::Json(output) => {
                output.json_line(set)?;
                output.flush()?;
            }
        }
        self.summary.add(set);
        Ok(())
    }

    /// Completes the output of a run that did all its problems.
    pub fn finish(self, tally: &Tally) -> Result<Outcome> {
        let outcome = if self.summary.failed > 0 { Outcome::Incomplete } else { Outcome::Done };
        let summary = self.summary.text();
        let finished = match self.sink {
            Sink::File(output) if tally.is_hopeless() => {
                say(&format!("{} is not written: there is nothing to write", output.target_name()));
                tally.finish()
            }
            Sink::File(output) => {
                output.finish()?;
                say(&summary);
                tally.finish()
            }
            Sink::Json(output) => output.finish_after(tally, Some(summary))?,
        };
        Ok(finished.and(outcome))
    }

    /// Keeps what a run made before it ended early, and says so.
    pub fn keep(self, problems: usize) {
        if let (Sink::File(output), 1..) = (&self.sink, self.summary.sets) {
            say(&format!(
                "{} of {} are kept in {}; the same command continues",
                self.summary.sets,
                count(problems as u64, "set"),
                output.name()
            ));
        }
    }
}

impl Summary {
    fn add(&mut self, set: &SampleSet) {
        self.sets += 1;
        self.candidates += set.candidates.len() as u64;
        self.failed += set.extra.get(FAILURES).and_then(Value::as_array).map_or(0, Vec::len) as u64;
    }

    fn text(&self) -> String {
        let failed = match self.failed {
            0 => String::new(),
            failed => format!("; {} did not arrive", count(failed, "candidate")),
        };
        format!("{}, {}{failed}", count(self.sets as u64, "set"), count(self.candidates, "candidate"))
    }
}
