//! Where the sets of a run go, and what they add up to.

use std::collections::HashMap;
use std::path::Path;

use anyhow::{Result, bail};
use conclave_client::Sampled;
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_disk::{Inputs, Resumable, is_replaceable};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::draw::{FAILURES, fill};
use crate::Outcome;
use crate::input::Tally;
use crate::messages::{count, say};
use crate::output::{Output, say_without_locks, to_json_line};
use crate::shard::Part;

/// The sets made so far, those of an earlier run included.
pub struct Rows {
    sink: Sink,
    summary: Summary,
    /// Candidates of sets that are not written, and the place of the last of these sets.
    begun: u64,
    last_begun: usize,
}

/// A candidate of a set that is not written yet.
#[derive(Serialize, Deserialize)]
struct Arrived {
    /// The set's place among the problems.
    set: usize,
    /// The candidate's place in its request.
    index: usize,
    candidate: Candidate,
}

enum Sink {
    /// A file that a later run can continue.
    File(Resumable),
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
    pub fn open(
        out: Option<&Path>,
        settings: &Value,
        problems: &[SampleSet],
        inputs: &Inputs,
    ) -> Result<Self> {
        let mut summary = Summary::default();
        let sink = match out {
            Some(path) if path != Path::new("-") && is_replaceable(path) => {
                let mut same = true;
                let output = Resumable::open(path, settings, None, &mut |set: SampleSet| {
                    same &= problems.get(summary.sets).is_some_and(|problem| problem.id == set.id);
                    summary.add(&set);
                })?;
                if !same {
                    bail!(
                        "the sets in {} are not of these problems: remove it to start anew, or choose another --out",
                        output.name()
                    );
                }
                say_without_locks(output.is_locked(), path);
                Sink::File(output)
            }
            out => Sink::Json(Output::open(out, inputs)?),
        };
        Ok(Self { sink, summary, begun: 0, last_begun: 0 })
    }

    /// The candidates that an earlier run left of sets that it did not write, by the set's place among the problems.
    pub fn take_begun(&mut self) -> HashMap<usize, Vec<(usize, Candidate)>> {
        let mut begun: HashMap<usize, Vec<(usize, Candidate)>> = HashMap::new();
        let Sink::File(output) = &self.sink else { return begun };
        let (done, lines) = (self.summary.sets, output.begun());
        let arrived = lines.filter_map(|line| serde_json::from_slice::<Arrived>(line).ok());
        for Arrived { set, index, candidate } in arrived.filter(|arrived| arrived.set >= done) {
            let of_set = begun.entry(set).or_default();
            if of_set.iter().all(|(other, _)| *other != index) {
                of_set.push((index, candidate));
                self.begun += 1;
                self.last_begun = self.last_begun.max(set);
            }
        }
        if self.begun > 0 {
            say(&format!("{} of an earlier run are there already", count(self.begun, "candidate")));
        }
        begun
    }

    /// Keeps a candidate of the set at this place, which is not written yet.
    pub fn begin(&mut self, set: usize, index: usize, candidate: &Candidate) -> Result<()> {
        if let Sink::File(output) = &mut self.sink {
            output.begin(&to_json_line(&Arrived { set, index, candidate: candidate.clone() })?)?;
            self.begun += 1;
            self.last_begun = self.last_begun.max(set);
        }
        Ok(())
    }

    /// Somebody asked to stop while candidates of this problem were drawn: those that arrived are printed, where they are not
    /// kept for the next run.
    pub fn stop_at(&mut self, problem: &SampleSet, sampled: Sampled) -> Result<()> {
        if matches!(self.sink, Sink::Json(_)) && !sampled.candidates.is_empty() {
            let mut set = problem.clone();
            fill(&mut set, sampled);
            self.push(&set)?;
        }
        Ok(())
    }

    /// How many of the problems are done.
    pub fn done(&self) -> usize {
        self.summary.sets
    }

    /// Takes the set of the next problem.
    pub fn push(&mut self, set: &SampleSet) -> Result<()> {
        match &mut self.sink {
            Sink::File(output) => {
                output.row(&to_json_line(set)?)?;
                // Sets without a candidate wait, so what was begun may be of a set further behind.
                if self.begun > 0 && self.summary.sets >= self.last_begun {
                    output.clear_begun()?;
                    self.begun = 0;
                }
            }
            Sink::Json(output) => {
                output.json_line(set)?;
                output.flush()?;
            }
        }
        self.summary.add(set);
        Ok(())
    }

    /// Completes the output of a run that did all its problems.
    pub fn finish(self, tally: &Tally, part: Option<&Part>) -> Result<Outcome> {
        let outcome = if self.summary.failed > 0 { Outcome::Incomplete } else { Outcome::Done };
        let summary = self.summary.text();
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
                say(&summary);
                tally.finish()
            }
            Sink::Json(output) => output.finish_after(tally, Some(summary))?,
        };
        Ok(finished.and(outcome))
    }

    /// Keeps what a run made before it ended early, and says so.
    pub fn keep(self, problems: usize) {
        let Sink::File(output) = &self.sink else { return };
        let begun = match self.begun {
            0 if self.summary.sets == 0 => return,
            0 => String::new(),
            begun => format!(" with {} of the next", count(begun, "candidate")),
        };
        let (sets, problems) = (self.summary.sets, count(problems as u64, "set"));
        say(&format!(
            "{sets} of {problems} are kept in {}{begun}; the same command continues",
            output.name()
        ));
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
