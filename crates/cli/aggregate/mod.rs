//! `conclave aggregate`: one answer for each sample set, by the vote or by a model. Here is the run itself; that in rounds
//! is [`rounds`], where the rows go is [`rows`], what a run must have in common with the one that it continues is
//! [`settings`], which sets need no model is [`decided`], which the built-in model cannot read is [`unknown`], and one set
//! alone is [`single`].

pub mod arguments;
mod decided;
mod rounds;
mod rows;
pub mod settings;
pub mod single;
mod unknown;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::time::Instant;

use anyhow::{Context, Result};
use conclave_core::kinds::{AnswerKind, VoteOptions};
use conclave_core::result::{AggregateResult, Method};
use conclave_core::router::Policy;
use conclave_core::sample_set::SampleSet;
use conclave_core::vote::majority_vote;
use conclave_disk::{Inputs, resolve_link, stop};
use conclave_files::{Options, Share};
use conclave_model::aggregate::{AggregateOptions, Aggregator, Event};
use conclave_model::any_decoder::AnyDecoder;
use conclave_model::error::ErrorKind;
use conclave_model::generate::SamplingParams;
use indicatif::ProgressBar;
use serde_json::Value;

use crate::device::Precision;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible_clipped};
use crate::model::{LoadBar, Opened, open, progress_bar};
use crate::progress::Reporter;
use crate::sets::read_sets;
use crate::shard::Part;
use crate::unsure::Unsure;
use crate::vote::Refusals;
use crate::voters::Weights;
use crate::{Outcome, UsageError, is_cancelled};
use arguments::AggregateArguments;
use decided::{Decided, Deciding};
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
    let generator = rounds::open_generator(arguments)?;
    let mut settings = settings::settings(arguments, &opened, generator.as_ref())?;
    unsure.add_settings(&mut settings);
    let inputs = arguments.reading.inputs(&arguments.sets).and(arguments.kinds.answers.schema());
    let inputs = inputs.and(arguments.weights.files()).and(arguments.unsure.calibrated_on.clone());
    refuse_outputs(arguments, &inputs)?;
    let part =
        Part::new(&arguments.work, arguments.out.as_deref(), "aggregate", settings.clone(), &arguments.sets);
    let mut reporter = arguments.work.reporter("aggregate");
    if let Some(outcome) = part.as_ref().map(|part| part.finished(&inputs)).transpose()?.flatten() {
        return Ok(reporter.skip(outcome));
    }
    let weights = weights(arguments, &votes, &inputs, part.is_some())?;
    stop::listen()?;
    let mut tally = Tally::new(part.is_some());
    let share = part.as_ref().map(|part| part.share.clone());
    let sets = read(&sources, arguments, share, &mut tally)?;
    if stop::is_requested() {
        return Ok(reporter.end(Outcome::Interrupted));
    }
    let settings = settings::with_sets(settings, &sets)?;
    // Rounds are asked for: nothing is left to the vote.
    let policy = arguments.rounds.map_or(arguments.policy.policy(), |_| Policy::Always);
    let mut refusals = Refusals::default();
    let mut deciding = Deciding { options: &votes, policy, weights, refusals: &mut refusals };
    let decided = deciding.decide(&sets)?;
    let voters = deciding.voters();
    let unknown = unknown::shares(&opened, generator.as_ref(), policy, &sets, &decided)?;
    let jobs = jobs(arguments, &sets, &unknown, &decided);
    let mut rows = Rows::open(arguments, &settings, &jobs, &inputs, unsure)?;
    if rows.done() > 0 {
        say(&format!("{} of {} were done by an earlier run", rows.done(), count(jobs.len() as u64, "row")));
    }
    reporter.set(rows.done() as u64, jobs.len() as u64);
    unknown::report(&unknown);
    let worked = match arguments.rounds {
        Some(rounds) => {
            let run = rounds::Run { arguments, rounds, settings: &settings, inputs: &inputs };
            run.work(&opened, generator.as_ref(), &jobs, &mut rows, &mut reporter)
        }
        None => work(arguments, opened, &jobs, &mut rows, &mut reporter),
    };
    match worked {
        Ok(Outcome::Interrupted) => {
            rows.keep(jobs.len());
            Ok(reporter.end(Outcome::Interrupted))
        }
        Ok(_) => {
            let outcome = rows.finish(&tally, part.as_ref(), refusals.finish())?;
            voters.iter().for_each(|line| say(line));
            Ok(reporter.end(outcome))
        }
        // Somebody asked to stop in the middle of a set.
        Err(error) if stop::is_requested() && is_cancelled(&error) => {
            rows.keep(jobs.len());
            Ok(reporter.end(Outcome::Interrupted))
        }
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
    /// Its row, where no model is asked: of labels, records, calls and texts, and of a weighed vote that is enough.
    decided: Option<&'a AggregateResult>,
    /// The weighed vote, which stands in for the model where that gives no answer.
    vote: Option<&'a AggregateResult>,
    /// Share of unknown words, where the model cannot be asked because of them.
    unknown: Option<f64>,
}

/// What votes count, where a flag asks for that.
fn weights(
    arguments: &AggregateArguments,
    votes: &VoteOptions,
    inputs: &Inputs,
    is_shard: bool,
) -> Result<Option<Weights>> {
    if !arguments.weights.are_given() {
        return Ok(None);
    }
    if arguments.rounds.is_some() {
        let message = "--weights and --ranker weigh the candidates of a set: they do not go with --rounds, whose pools the \
                       model writes";
        return Err(anyhow::Error::new(UsageError(message.to_owned())));
    }
    arguments.weights.refuse_learning(is_shard)?;
    Weights::open(&arguments.weights, votes, inputs).map(Some)
}

/// Refuses outputs that are inputs or each other.
fn refuse_outputs(arguments: &AggregateArguments, inputs: &Inputs) -> Result<()> {
    let is_file = |path: &&PathBuf| path.as_os_str() != "-";
    let (out, pools) = (arguments.out.as_ref().filter(is_file), arguments.pools.as_ref().filter(is_file));
    for path in [out, pools].into_iter().flatten() {
        inputs.refuse(path)?;
    }
    if out.is_some_and(|out| pools.is_some_and(|pools| resolve_link(out) == resolve_link(pools))) {
        return Err(anyhow::Error::new(UsageError("--pools and --out are one file: name two".to_owned())));
    }
    Ok(())
}

fn read(
    sources: &[Source],
    arguments: &AggregateArguments,
    share: Option<Share>,
    tally: &mut Tally,
) -> Result<Vec<SampleSet>> {
    let options = Options { share, ..arguments.reading.options(tally)? };
    let mut sets: Vec<SampleSet> = Vec::new();
    read_sets(sources, &options, tally, |set| {
        if arguments.limit.is_none_or(|limit| sets.len() < limit) {
            sets.push(set);
        }
        Ok(())
    })?;
    Ok(sets)
}

fn jobs<'a>(
    arguments: &AggregateArguments,
    sets: &'a [SampleSet],
    unknown: &[Option<f64>],
    decided: &'a [Decided],
) -> Vec<Job<'a>> {
    let orders: Vec<Option<u32>> =
        arguments.permutations.map_or(vec![None], |orders| (0..orders).map(Some).collect());
    let jobs = sets.iter().zip(unknown).zip(decided).flat_map(|((set, &unknown), decided)| {
        let (decided, vote) = match decided {
            Decided::Row(row) => (Some(row.as_ref()), None),
            Decided::Open(vote) => (None, vote.as_deref()),
        };
        orders.iter().map(move |&permutation| Job { set, permutation, unknown, decided, vote })
    });
    jobs.collect()
}

/// A completion that leaves no room for any prompt is a wrong argument, not a fault of the sets.
fn check_room(arguments: &AggregateArguments, opened: &Opened) -> Result<()> {
    if arguments.batch_size > 1 && arguments.temperature > 0.0 {
        let message = "--batch-size needs a --temperature of 0: draws would depend on which sets go together";
        return Err(anyhow::Error::new(UsageError(message.to_owned())));
    }
    let context = opened.directory.config.max_position_embeddings;
    match arguments.max_new_tokens {
        Some(asked) if asked as usize >= context => Err(anyhow::Error::new(UsageError(format!(
            "--max-new-tokens {asked} leaves no room for a prompt in the model's context of {context} tokens"
        )))),
        _ => Ok(()),
    }
}

/// Makes the rows that are not there yet.
fn work(
    arguments: &AggregateArguments,
    opened: Opened,
    jobs: &[Job<'_>],
    rows: &mut Rows,
    reporter: &mut Reporter,
) -> Result<Outcome> {
    if rows.done() == jobs.len() {
        return Ok(Outcome::Done);
    }
    let mut aggregator = load(opened)?;
    let bar = progress_bar(jobs.len() as u64, "{pos}/{len} {bar:32} {per_sec}, {eta} left {msg}");
    bar.set_position(rows.done() as u64);
    bar.reset_eta();
    // Batches begin at the same sets however often the run was broken off; what is there already is not written again.
    let size = arguments.batch_size as usize;
    let first = rows.done() - rows.done() % size;
    for (batch, begin) in jobs[first..].chunks(size).zip((first..).step_by(size)) {
        if stop::is_requested() {
            bar.finish_and_clear();
            return Ok(Outcome::Interrupted);
        }
        let made = match batch {
            [job] => vec![aggregate(&mut aggregator, job, arguments, &bar)?],
            jobs => aggregate_together(&mut aggregator, jobs, arguments, &bar)?,
        };
        for row in made.iter().skip(rows.done() - begin) {
            bar.suspend(|| rows.push(row))?;
            bar.inc(1);
            reporter.add();
        }
    }
    bar.finish_and_clear();
    Ok(Outcome::Done)
}

fn load(opened: Opened) -> Result<Aggregator<AnyDecoder>> {
    let bar = LoadBar::new(opened.directory.config.num_parameters());
    let Opened { directory, files, device, options } = opened;
    pollster::block_on(directory.aggregator(&device, &options, &mut bar.on_progress()))
        .with_context(|| format!("cannot load the model in {}", files.name()))
}

fn aggregate(
    aggregator: &mut Aggregator<AnyDecoder>,
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
    number(&mut result, job);
    Ok(result)
}

fn ask(
    aggregator: &mut Aggregator<AnyDecoder>,
    job: &Job<'_>,
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<AggregateResult> {
    let options = options(job, arguments);
    let result = pollster::block_on(aggregator.aggregate(job.set, &options, &mut |event| show(event, bar)));
    answered(result, job, arguments, bar)
}

/// What the bar says of an event; whether the model is to go on.
fn show(event: Event<'_>, bar: &ProgressBar) -> ControlFlow<()> {
    match event {
        Event::Prompt { done, total } => bar.set_message(format!("· reading {done}/{total} tokens")),
        Event::Scored { done, total } => bar.set_message(format!("· scoring {done}/{total} answers")),
        Event::Text(_) => bar.set_message("· writing"),
    }
    if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// The rows of several sets, of which the model answers together those that it is asked about.
fn aggregate_together(
    aggregator: &mut Aggregator<AnyDecoder>,
    jobs: &[Job<'_>],
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<Vec<AggregateResult>> {
    let started = Instant::now();
    let asked: Vec<&Job<'_>> =
        jobs.iter().filter(|job| job.decided.is_none() && job.unknown.is_none()).collect();
    let Some(first) = asked.first() else {
        return jobs.iter().map(|job| aggregate(aggregator, job, arguments, bar)).collect();
    };
    let sets: Vec<(&SampleSet, Option<u64>)> =
        asked.iter().map(|job| (job.set, options(job, arguments).permutation_seed)).collect();
    let options = options(first, arguments);
    let mut on_event = |event: Event<'_>| show(event, bar);
    let together = aggregator.aggregate_together(&sets, &options, &mut on_event);
    let results = match pollster::block_on(together) {
        Ok(results) => results,
        Err(error) => return Err(failure(error, first, arguments)),
    };
    let elapsed_ms = started.elapsed().as_secs_f64() * 1e3 / asked.len() as f64;
    let mut results = asked.iter().zip(results).map(|(job, result)| {
        let mut row = answered(result, job, arguments, bar)?;
        row.elapsed_ms = elapsed_ms;
        number(&mut row, job);
        anyhow::Ok(row)
    });
    let row = |job: &Job<'_>| match job.decided.is_none() && job.unknown.is_none() {
        true => results.next().unwrap_or_else(|| aggregate(aggregator, job, arguments, bar)),
        false => aggregate(aggregator, job, arguments, bar),
    };
    jobs.iter().map(row).collect()
}

/// Says which order of its set a row is of.
fn number(row: &mut AggregateResult, job: &Job<'_>) {
    if let Some(permutation) = job.permutation {
        row.extra.insert(PERMUTATION.to_owned(), permutation.into());
    }
}

/// The model's answer, or the vote of a set that does not fit it.
fn answered(
    result: std::result::Result<AggregateResult, conclave_model::Error>,
    job: &Job<'_>,
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<AggregateResult> {
    match result {
        Ok(result) => Ok(stand_in(result, job)),
        // The set does not fit the model. The vote needs none, and the other sets must not suffer.
        Err(error) if error.kind() == ErrorKind::Input => {
            let reason = error.to_string();
            bar.suspend(|| say_vote_is_taken(&reason));
            Ok(vote_instead(job, ERROR, reason))
        }
        Err(error) => Err(failure(error, job, arguments)),
    }
}

/// Where the vote stands in for the model, the weighed vote does; what the model wrote and cost stays.
fn stand_in(result: AggregateResult, job: &Job<'_>) -> AggregateResult {
    let Some(vote) = job.vote.filter(|_| result.method == Method::Vote) else { return result };
    let layers = vote.layers.iter().cloned().chain(result.layers.into_iter().skip(1)).collect();
    let AggregateResult { completion, usage, elapsed_ms, .. } = result;
    AggregateResult { layers, completion, usage, elapsed_ms, ..vote.clone() }
}

fn failure(error: conclave_model::Error, job: &Job<'_>, arguments: &AggregateArguments) -> anyhow::Error {
    let half = error.kind() == ErrorKind::NotFinite && arguments.model.dtype != Precision::F32;
    let remedy = if half { " (or the numbers are too large for 16 bits: try --dtype f32)" } else { "" };
    let others = if arguments.batch_size > 1 { " or one that is read with it" } else { "" };
    let place = format!("cannot aggregate set `{}`{others}{remedy}", visible_clipped(&job.set.id, SHOWN));
    anyhow::Error::new(error).context(place)
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
    let plain = || AggregateResult::from_vote(job.set, &majority_vote(job.set));
    let mut result = job.vote.cloned().unwrap_or_else(plain);
    result.extra.insert(field.to_owned(), reason.into());
    result
}

fn options(job: &Job<'_>, arguments: &AggregateArguments) -> AggregateOptions {
    AggregateOptions {
        // Sets of other kinds were decided before.
        kind: Some(AnswerKind::Math),
        // With weights those votes that are enough were taken before.
        policy: job.vote.map_or(arguments.policy.policy(), |_| Policy::Always),
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
