//! `conclave aggregate`: one answer for each sample set, by the vote or by a model. Here is the run itself; that in rounds
//! is [`rounds`], where the rows go is [`rows`], what a run must have in common with the one that it continues is
//! [`settings`], which sets the built-in model cannot read is [`unknown`], and one set alone is [`single`].

pub mod arguments;
mod rounds;
mod rows;
pub mod settings;
pub mod single;
mod unknown;

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result};
use conclave_core::kinds::{AnswerKind, VoteOptions, ballot};
use conclave_core::result::AggregateResult;
use conclave_core::router::Policy;
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_model::aggregate::{AggregateOptions, Aggregator, Event};
use conclave_model::decoder::Qwen2Decoder;
use conclave_model::error::ErrorKind;
use conclave_model::generate::SamplingParams;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::device::Precision;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible_clipped};
use crate::model::{LoadBar, Opened, open, progress_bar};
use crate::sets::read_sets;
use crate::unsure::Unsure;
use crate::vote::Refusals;
use crate::{Outcome, UsageError};
use arguments::AggregateArguments;
use rows::Rows;
pub use rows::{by, confidence};

/// Characters of an id and of an answer that a table or a message shows.
const SHOWN: usize = 32;

/// The field that tells the rows of one set apart.
const PERMUTATION: &str = "permutation";

/// The field that says why the model was not asked about a set.
const ERROR: &str = "error";

/// The field that says which share of a set's words the built-in model does not know, where it was not asked therefore.
const UNKNOWN_WORDS: &str = "unknown_words";

/// Runs the command.
pub fn run(arguments: &AggregateArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.sets)?;
    let opened = open(&arguments.model)?;
    check_room(arguments, &opened)?;
    let schemas = Schemas::default();
    let votes = arguments.kinds.options(&schemas)?;
    let unsure = Unsure::open(&arguments.unsure, &votes)?;
    let mut tally = Tally::default();
    let sets = read(&sources, arguments, &mut tally)?;
    let generator = rounds::open_generator(arguments)?;
    let mut settings = settings::settings(arguments, &opened, generator.as_ref(), &sets)?;
    unsure.add_settings(&mut settings);
    // Rounds are asked for: nothing is left to the vote.
    let policy = arguments.rounds.map_or(arguments.policy.policy(), |_| Policy::Always);
    let mut refusals = Refusals::default();
    let decided = decided(&sets, &votes, &mut refusals)?;
    let unknown = unknown::shares(&opened, generator.as_ref(), policy, &sets, &decided)?;
    let jobs = jobs(arguments, &sets, &unknown, &decided);
    let mut rows = Rows::open(arguments, &settings, &jobs, unsure)?;
    if rows.done() > 0 {
        say(&format!("{} of {} were done by an earlier run", rows.done(), count(jobs.len() as u64, "row")));
    }
    unknown::report(&unknown);
    let worked = match arguments.rounds {
        Some(rounds) => rounds::work(arguments, rounds, &opened, generator.as_ref(), &jobs, &mut rows),
        None => work(arguments, opened, &jobs, &mut rows),
    };
    match worked {
        Ok(()) => Ok(rows.finish(&tally)?.and(refusals.finish())),
        Err(error) => {
            rows.keep(jobs.len());
            Err(error)
        }
    }
}

/// One row to make.
struct Job<'a> {
    set: &'a SampleSet,
    /// Which order of the candidates, where several are asked for.
    permutation: Option<u32>,
    /// Its row, where no model is asked: of labels, records, calls and texts.
    decided: Option<&'a AggregateResult>,
    /// Share of unknown words, where the model cannot be asked because of them.
    unknown: Option<f64>,
}

fn read(sources: &[Source], arguments: &AggregateArguments, tally: &mut Tally) -> Result<Vec<SampleSet>> {
    let options = arguments.reading.options(tally)?;
    let mut sets: Vec<SampleSet> = Vec::new();
    read_sets(sources, &options, tally, |set| {
        if arguments.limit.is_none_or(|limit| sets.len() < limit) {
            sets.push(set);
        }
        Ok(())
    })?;
    Ok(sets)
}

/// The rows of sets whose answers are no mathematics and no letters: the vote, until a model says that it can more. Sets that
/// cannot be voted on are named.
fn decided(
    sets: &[SampleSet],
    options: &VoteOptions,
    refusals: &mut Refusals,
) -> Result<Vec<Option<AggregateResult>>> {
    let one = |set: &SampleSet| match ballot(set, options) {
        Ok(ballot) if ballot.kind.is_for_models() => Ok(None),
        Ok(ballot) => Ok(Some(AggregateResult::from_ballot(set, &ballot, options))),
        Err(reason) => {
            refusals.add(&reason, &set.id, "sets")?;
            Ok(Some(AggregateResult::not_voted(set, &reason)))
        }
    };
    sets.iter().map(one).collect()
}

fn jobs<'a>(
    arguments: &AggregateArguments,
    sets: &'a [SampleSet],
    unknown: &[Option<f64>],
    decided: &'a [Option<AggregateResult>],
) -> Vec<Job<'a>> {
    let orders: Vec<Option<u32>> =
        arguments.permutations.map_or(vec![None], |orders| (0..orders).map(Some).collect());
    let jobs = sets.iter().zip(unknown).zip(decided).flat_map(|((set, &unknown), decided)| {
        let decided = decided.as_ref();
        orders.iter().map(move |&permutation| Job { set, permutation, unknown, decided })
    });
    jobs.collect()
}

/// A completion that leaves no room for any prompt is a wrong argument, not a fault of the sets.
fn check_room(arguments: &AggregateArguments, opened: &Opened) -> Result<()> {
    let context = opened.directory.config.max_position_embeddings;
    match arguments.max_new_tokens {
        Some(asked) if asked as usize >= context => Err(anyhow::Error::new(UsageError(format!(
            "--max-new-tokens {asked} leaves no room for a prompt in the model's context of {context} tokens"
        )))),
        _ => Ok(()),
    }
}

/// Makes the rows that are not there yet.
fn work(arguments: &AggregateArguments, opened: Opened, jobs: &[Job<'_>], rows: &mut Rows) -> Result<()> {
    let left = &jobs[rows.done()..];
    if left.is_empty() {
        return Ok(());
    }
    let mut aggregator = load(opened)?;
    let bar = progress_bar(jobs.len() as u64, "{pos}/{len} {bar:32} {per_sec}, {eta} left {msg}");
    bar.set_position(rows.done() as u64);
    bar.reset_eta();
    for job in left {
        let row = aggregate(&mut aggregator, job, arguments, &bar)?;
        bar.suspend(|| rows.push(&row))?;
        bar.inc(1);
    }
    bar.finish_and_clear();
    Ok(())
}

fn load(opened: Opened) -> Result<Aggregator<Qwen2Decoder>> {
    let bar = LoadBar::new(opened.directory.config.num_parameters());
    let Opened { directory, files, device, options } = opened;
    pollster::block_on(directory.aggregator(&device, &options, &mut bar.on_progress()))
        .with_context(|| format!("cannot load the model in {}", files.name()))
}

fn aggregate(
    aggregator: &mut Aggregator<Qwen2Decoder>,
    job: &Job<'_>,
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<AggregateResult> {
    let started = Instant::now();
    let mut result = match (job.decided, job.unknown) {
        (Some(row), _) => row.clone(),
        (None, None) => ask(aggregator, job, arguments, bar)?,
        (None, Some(share)) => vote_instead(job, UNKNOWN_WORDS, rounded(share)),
    };
    result.elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    if let Some(permutation) = job.permutation {
        result.extra.insert(PERMUTATION.to_owned(), permutation.into());
    }
    Ok(result)
}

fn ask(
    aggregator: &mut Aggregator<Qwen2Decoder>,
    job: &Job<'_>,
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<AggregateResult> {
    let result = pollster::block_on(aggregator.aggregate(job.set, &options(job, arguments), &mut |event| {
        match event {
            Event::Prompt { done, total } => bar.set_message(format!("· reading {done}/{total} tokens")),
            Event::Scored { done, total } => bar.set_message(format!("· scoring {done}/{total} answers")),
            Event::Text(_) => bar.set_message("· writing"),
        }
        ControlFlow::Continue(())
    }));
    match result {
        Ok(result) => Ok(result),
        // The set does not fit the model. The vote needs none, and the other sets must not suffer.
        Err(error) if error.kind() == ErrorKind::Input => {
            let reason = error.to_string();
            bar.suspend(|| say_vote_is_taken(&reason));
            Ok(vote_instead(job, ERROR, reason))
        }
        Err(error) => {
            let half = error.kind() == ErrorKind::NotFinite && arguments.model.dtype != Precision::F32;
            let remedy =
                if half { " (or the numbers are too large for 16 bits: try --dtype f32)" } else { "" };
            let place = format!("cannot aggregate set `{}`{remedy}", visible_clipped(&job.set.id, SHOWN));
            Err(anyhow::Error::new(error).context(place))
        }
    }
}

/// A share, to three digits.
fn rounded(share: f64) -> f64 {
    (share * 1e3).round() / 1e3
}

/// Says why the model cannot be asked about a set.
fn say_vote_is_taken(reason: &str) {
    say(&format!("{}; the vote is taken", visible_clipped(reason, 400)));
}

/// The vote of a set that the model cannot be asked about, and why.
fn vote_instead(job: &Job<'_>, field: &str, reason: impl Into<Value>) -> AggregateResult {
    let mut result = AggregateResult::from_vote(job.set, &majority_vote(job.set));
    result.extra.insert(field.to_owned(), reason.into());
    result
}

fn options(job: &Job<'_>, arguments: &AggregateArguments) -> AggregateOptions {
    AggregateOptions {
        // Sets of other kinds were decided before.
        kind: Some(AnswerKind::Math),
        policy: arguments.policy.policy(),
        mode: arguments.mode.map(|mode| mode.mode()),
        variant: arguments.variant.map(|variant| variant.variant()),
        sampling: SamplingParams {
            temperature: arguments.temperature,
            top_k: arguments.top_k.map(|k| k as usize),
            top_p: arguments.top_p,
            max_new_tokens: arguments.max_new_tokens.unwrap_or(0) as usize,
            seed: arguments.seed,
        },
        // The first order is the set's own, so that a single row is what a run without permutations gives.
        permutation_seed: job
            .permutation
            .filter(|&permutation| permutation > 0)
            .map(|permutation| arguments.seed.wrapping_add(u64::from(permutation))),
    }
}
