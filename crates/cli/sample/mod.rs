//! `conclave sample`: problems become sample sets, with candidates of a model behind an API. Here is the run; what it
//! shares with `conclave ask`, the drawing itself, is [`draw`], and where the sets go is [`rows`].

pub mod arguments;
pub mod draw;
mod rows;

use anyhow::{Result, bail};
use conclave_client::{ErrorKind, Failure};
use conclave_core::sample_set::{Candidate, SampleSet};
use conclave_disk::{Inputs, stop};
use conclave_files::{Options, Share};
use serde_json::{Value, json};

use crate::Outcome;
use crate::aggregate::settings::sets_as_read;
use crate::input::{Source, Tally};
use crate::messages::{count, say, visible_clipped};
use crate::model::progress_bar;
use crate::progress::Reporter;
use crate::sets::{Item, read_items};
use crate::shard::Part;
use arguments::SampleArguments;
use draw::{Drawer, fill, nothing, report};
use rows::Rows;

/// Characters of an id that a message shows.
const SHOWN: usize = 32;

/// Problems in a row without a candidate after which the API is taken to be out of order.
const MAX_SUSPICIOUS: usize = 3;

/// Runs the command.
pub fn run(arguments: &SampleArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.problems)?;
    let out = arguments.out.as_deref();
    let inputs = Inputs::of(&arguments.problems).and(&arguments.api.key_file);
    if let Some(path) = out.filter(|path| path.as_os_str() != "-") {
        inputs.refuse(path)?;
    }
    let drawer = Drawer::open(&arguments.api)?;
    let part =
        Part::new(&arguments.work, out, "sample", shard_settings(arguments, &drawer), &arguments.problems);
    let mut reporter = arguments.work.reporter("sample");
    if let Some(outcome) = part.as_ref().map(|part| part.finished(&inputs)).transpose()?.flatten() {
        return Ok(reporter.skip(outcome));
    }
    let mut tally = Tally::new(part.is_some());
    let share = part.as_ref().map(|part| part.share.clone());
    let problems = read(&sources, arguments, share, &mut tally)?;
    if stop::is_requested() {
        return Ok(reporter.end(Outcome::Interrupted));
    }
    let mut rows = Rows::open(out, &settings(arguments, &drawer, &problems)?, &problems, &inputs)?;
    reporter.set(rows.done() as u64, problems.len() as u64);
    if rows.done() > 0 {
        say(&format!(
            "{} of {} were done by an earlier run",
            rows.done(),
            count(problems.len() as u64, "set")
        ));
    }
    match work(&drawer, &problems, &mut rows, &mut reporter) {
        Ok(Outcome::Interrupted) => {
            rows.keep(problems.len());
            Ok(reporter.end(Outcome::Interrupted))
        }
        Ok(_) => {
            let outcome = rows.finish(&tally, part.as_ref())?;
            Ok(reporter.end(outcome))
        }
        Err(error) => {
            rows.keep(problems.len());
            Err(error)
        }
    }
}

/// The problems as sets, with the candidates that are to be kept.
fn read(
    sources: &[Source],
    arguments: &SampleArguments,
    share: Option<Share>,
    tally: &mut Tally,
) -> Result<Vec<SampleSet>> {
    let (mut sets, mut dropped) = (Vec::new(), 0);
    let options = Options { problems_only: true, share, ..arguments.reading.options() };
    read_items(sources, &options, tally, |_, item| {
        let Item::Set(mut set) = item else {
            return Ok(Err("a result: expected a problem, or a sample set".to_owned()));
        };
        // Nobody pays for an answer to nothing.
        if set.problem.trim().is_empty() {
            return Ok(Err("`problem`: missing; expected a string".to_owned()));
        }
        if arguments.limit.is_none_or(|limit| sets.len() < limit) {
            if !arguments.keep {
                dropped += set.candidates.len() as u64;
                set.candidates.clear();
            }
            sets.push(set);
        }
        Ok(Ok(()))
    })?;
    if dropped > 0 {
        say(&format!("{} of the input are left out; --keep keeps them", count(dropped, "candidate")));
    }
    Ok(sets)
}

/// What decides the rows: a run is continued only where all of it is the same.
fn settings(arguments: &SampleArguments, drawer: &Drawer, problems: &[SampleSet]) -> Result<Value> {
    Ok(json!({
        "command": "sample",
        "version": env!("CARGO_PKG_VERSION"),
        "problems": sets_as_read(problems)?,
        "api": draw::settings(&arguments.api, drawer),
    }))
}

/// What decides the rows of a shard, before the problems are read.
fn shard_settings(arguments: &SampleArguments, drawer: &Drawer) -> Value {
    json!({
        "api": draw::settings(&arguments.api, drawer),
        "keep": arguments.keep,
        "limit": arguments.limit,
        "reading": arguments.reading.settings(),
    })
}

/// Makes the sets that are not there yet. A problem without any candidate has a row without; where the next would fare
/// no better, the run ends instead. Such rows wait for one with candidates: until then nobody knows which of the two it is.
fn work(
    drawer: &Drawer,
    problems: &[SampleSet],
    rows: &mut Rows,
    reporter: &mut Reporter,
) -> Result<Outcome> {
    let bar = progress_bar(problems.len() as u64, "{pos}/{len} {bar:32} {eta} left {msg}");
    bar.set_position(rows.done() as u64);
    bar.reset_eta();
    let mut silence = Silence::default();
    let mut begun = rows.take_begun();
    for (place, problem) in problems.iter().enumerate().skip(rows.done()) {
        // What was paid for is kept as it arrives, whatever happens to the rest.
        let there = begun.remove(&place).unwrap_or_default();
        let mut arrived = |index: usize, candidate: &Candidate| rows.begin(place, index, candidate);
        let sampled = drawer.draw(&problem.problem, there, &bar, &mut arrived)?;
        let name = format!("`{}`", visible_clipped(&problem.id, SHOWN));
        bar.suspend(|| report(&format!("{name}: "), &sampled.failures));
        if sampled.is_cancelled() {
            bar.finish_and_clear();
            rows.stop_at(problem, sampled)?;
            return Ok(Outcome::Interrupted);
        }
        let is_silent = sampled.candidates.is_empty();
        if is_silent {
            let message = format!("no candidate for {name}");
            if silence.is_lasting(&sampled.failures, rows.done() > 0) {
                bar.finish_and_clear();
                return Err(nothing(&sampled.failures).context(message));
            }
            bar.suspend(|| say(&message));
        }
        let mut set = problem.clone();
        fill(&mut set, sampled);
        silence.sets.push(set);
        if !is_silent {
            let sets = std::mem::take(&mut silence).sets;
            bar.suspend(|| sets.iter().try_for_each(|set| rows.push(set)))?;
        }
        bar.inc(1);
        reporter.add();
    }
    bar.finish_and_clear();
    if rows.done() == 0 && !silence.sets.is_empty() {
        bail!("no candidate for any of the problems");
    }
    silence.sets.iter().try_for_each(|set| rows.push(set))?;
    Ok(Outcome::Done)
}

/// Problems in a row without a candidate.
#[derive(Default)]
struct Silence {
    /// Their sets, not written yet.
    sets: Vec<SampleSet>,
    /// How many of them speak against the API rather than against the problem.
    suspicious: usize,
}

impl Silence {
    /// Takes the failures of one more; whether the next problem would fare no better.
    fn is_lasting(&mut self, failures: &[Failure], has_rows: bool) -> bool {
        let mut kinds = failures.iter().map(|failure| failure.error.kind());
        let is_refused = failures.iter().all(|failure| failure.error.kind() == ErrorKind::Rejected);
        self.suspicious += usize::from(!(is_refused && has_rows));
        kinds.any(ErrorKind::is_lasting) || self.suspicious >= MAX_SUSPICIOUS
    }
}
