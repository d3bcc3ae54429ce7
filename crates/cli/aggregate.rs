//! `conclave aggregate`: one answer for each sample set, by the vote or by a model.

use std::ops::ControlFlow;
use std::time::Instant;

use anyhow::{Context, Result, bail};
use conclave_core::result::{AggregateResult, Method};
use conclave_core::sample_set::{SampleSet, read_sample_sets};
use conclave_model::aggregate::{AggregateOptions, Aggregator, Event};
use conclave_model::decoder::Qwen2Decoder;
use conclave_model::files::ModelFiles;
use conclave_model::generate::SamplingParams;
use indicatif::ProgressBar;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::Outcome;
use crate::aggregate_arguments::AggregateArguments;
use crate::input::{Source, Tally};
use crate::messages::{count, say, visible, visible_clipped};
use crate::model::{LoadBar, Opened, open, progress_bar};
use crate::output::{Output, to_json_line};
use crate::resume::ResumableOutput;
use crate::table::{Align, Table};
use crate::vote::verdict;

/// Characters of an id and of an answer that the table shows.
const SHOWN: usize = 32;

/// Name of the field that tells the rows of one set apart.
const PERMUTATION: &str = "permutation";

/// Runs the command.
pub fn run(arguments: &AggregateArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.sets)?;
    let opened = open(&arguments.model)?;
    let settings = settings(arguments, &opened)?;
    let mut tally = Tally::default();
    let mut sets: Vec<SampleSet> = Vec::new();
    for source in &sources {
        source.read(&mut tally, read_sample_sets, |set| {
            if arguments.limit.is_none_or(|limit| sets.len() < limit) {
                sets.push(set);
            }
            Ok(())
        })?;
    }
    let mut rows = Rows::open(arguments, &settings)?;
    let jobs = jobs(arguments, &sets);
    let done = rows.done(&jobs)?;
    if done > 0 {
        say(&format!("{} of {} rows were done by an earlier run", done, jobs.len()));
    }
    if done < jobs.len() {
        let mut aggregator = load(arguments, opened)?;
        let bar = progress_bar(jobs.len() as u64, "{pos}/{len} {bar:32} {per_sec}, {eta} left {msg}");
        bar.set_position(done as u64);
        bar.reset_eta();
        for job in &jobs[done..] {
            let row = aggregate(&mut aggregator, job, arguments, &bar)
                .with_context(|| format!("cannot aggregate set `{}`", visible_clipped(&job.set.id, SHOWN)))?;
            bar.suspend(|| rows.push(&row))?;
            bar.inc(1);
        }
        bar.finish_and_clear();
    }
    rows.finish(&tally)
}

/// One row to make.
struct Job<'a> {
    set: &'a SampleSet,
    /// Which order of the candidates, where several are asked for.
    permutation: Option<u32>,
}

fn jobs<'a>(arguments: &AggregateArguments, sets: &'a [SampleSet]) -> Vec<Job<'a>> {
    let orders: Vec<Option<u32>> =
        arguments.permutations.map_or(vec![None], |orders| (0..orders).map(Some).collect());
    sets.iter().flat_map(|set| orders.iter().map(move |&permutation| Job { set, permutation })).collect()
}

fn load(arguments: &AggregateArguments, opened: Opened) -> Result<Aggregator<Qwen2Decoder>> {
    let bar = LoadBar::new(opened.directory.config.num_parameters());
    let Opened { directory, device, options, .. } = opened;
    pollster::block_on(directory.aggregator(&device, &options, &mut bar.on_progress()))
        .with_context(|| format!("cannot load the model in `{}`", arguments.model.model.display()))
}

fn aggregate(
    aggregator: &mut Aggregator<Qwen2Decoder>,
    job: &Job<'_>,
    arguments: &AggregateArguments,
    bar: &ProgressBar,
) -> Result<AggregateResult> {
    let options = AggregateOptions {
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
            .filter(|&p| p > 0)
            .map(|p| arguments.seed.wrapping_add(u64::from(p))),
    };
    let started = Instant::now();
    let result = pollster::block_on(aggregator.aggregate(job.set, &options, &mut |event| {
        match event {
            Event::Prompt { done, total } => bar.set_message(format!("· reading {done}/{total} tokens")),
            Event::Scored { done, total } => bar.set_message(format!("· scoring {done}/{total} answers")),
            Event::Text(_) => bar.set_message("· writing"),
        }
        ControlFlow::Continue(())
    }));
    let mut result = result?;
    result.elapsed_ms = started.elapsed().as_secs_f64() * 1e3;
    if let Some(permutation) = job.permutation {
        result.extra.insert(PERMUTATION.to_owned(), permutation.into());
    }
    Ok(result)
}

/// Everything that decides what a row says; a run is continued only under the same.
fn settings(arguments: &AggregateArguments, opened: &Opened) -> Result<Value> {
    let mut hash = Sha256::new();
    for file in ["config.json", "generation_config.json", "conclave.json", "model.safetensors.index.json"] {
        if pollster::block_on(opened.files.len(file))?.is_some() {
            hash.update(pollster::block_on(opened.files.read(file, None))?);
        }
        hash.update([0]);
    }
    for file in opened.directory.weights.file_names() {
        hash.update(pollster::block_on(opened.files.len(file))?.unwrap_or(0).to_le_bytes());
    }
    Ok(json!({
        "command": "aggregate",
        "sets": arguments.sets,
        "limit": arguments.limit,
        "model": format!("{:x}", hash.finalize()),
        "device": arguments.model.device.name(),
        "dtype": format!("{:?}", arguments.model.dtype),
        "policy": format!("{:?}", arguments.policy),
        "mode": arguments.mode.map(|mode| format!("{mode:?}")),
        "variant": arguments.variant.map(|variant| format!("{variant:?}")),
        "temperature": arguments.temperature,
        "top_k": arguments.top_k,
        "top_p": arguments.top_p,
        "max_new_tokens": arguments.max_new_tokens,
        "seed": arguments.seed,
        "permutations": arguments.permutations,
    }))
}

/// Where the rows go, and what they add up to.
struct Rows {
    sink: Sink,
    summary: Summary,
}

enum Sink {
    File(ResumableOutput),
    Json(Output),
    Table(Output, Table),
}

#[derive(Default)]
struct Summary {
    rows: u64,
    by_model: u64,
    graded: u64,
    correct: u64,
    prompt_tokens: u64,
    completion_tokens: u64,
    elapsed_ms: f64,
}

impl Rows {
    fn open(arguments: &AggregateArguments, settings: &Value) -> Result<Self> {
        let sink = match &arguments.out {
            Some(path) if path.as_os_str() != "-" => Sink::File(ResumableOutput::open(path, settings)?),
            _ if arguments.json => Sink::Json(Output::open(None)?),
            _ => Sink::Table(Output::open(None)?, table()),
        };
        Ok(Self { sink, summary: Summary::default() })
    }

    /// How many of the jobs an earlier run did; its rows must be theirs.
    fn done(&self, jobs: &[Job<'_>]) -> Result<usize> {
        let Sink::File(output) = &self.sink else { return Ok(0) };
        let done = output.done();
        let same = done.iter().zip(jobs).all(|(id, job)| *id == job.set.id);
        if done.len() > jobs.len() || !same {
            bail!(
                "the rows in {} are not of these sets (the input has changed): remove it to start anew",
                output.name()
            );
        }
        Ok(done.len())
    }

    fn push(&mut self, row: &AggregateResult) -> Result<()> {
        self.summary.add(row);
        match &mut self.sink {
            Sink::File(output) => output.row(&to_json_line(row)?),
            Sink::Json(output) => output.json_line(row),
            Sink::Table(_, table) => {
                table.push(cells(row));
                Ok(())
            }
        }
    }

    fn finish(self, tally: &Tally) -> Result<Outcome> {
        let summary = Some(self.summary.text());
        match self.sink {
            Sink::File(_) if tally.is_hopeless() => Ok(tally.finish()),
            Sink::File(output) => {
                output.finish()?;
                summary.iter().for_each(|summary| say(summary));
                Ok(tally.finish())
            }
            Sink::Json(output) => output.finish_after(tally, summary),
            Sink::Table(mut output, table) => {
                let lines = if table.len() > 0 { table.lines() } else { Vec::new() };
                for line in lines {
                    output.line(&line)?;
                }
                output.finish_after(tally, summary)
            }
        }
    }
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
    let vote = row.clusters.first().map_or(String::new(), |first| {
        format!("{} ({}/{})", visible_clipped(&first.answer, SHOWN), first.votes, row.num_candidates)
    });
    let by = match (row.method, &row.completion) {
        (Method::Vote, None) => "vote",
        (Method::Vote, Some(_)) => "fallback vote",
        (Method::Select, _) => "select",
        (Method::Generate, _) => "generate",
    };
    vec![
        visible_clipped(&row.id, SHOWN),
        row.answer.as_deref().map_or("(none)".to_owned(), |answer| visible_clipped(answer, SHOWN)),
        by.to_owned(),
        format!("{:.3}", row.confidence),
        vote,
        verdict(row).unwrap_or_default(),
    ]
}

impl Summary {
    fn add(&mut self, row: &AggregateResult) {
        self.rows += 1;
        self.by_model += u64::from(row.method != Method::Vote);
        self.graded += u64::from(row.correct.is_some());
        self.correct += u64::from(row.correct == Some(true));
        self.prompt_tokens += row.usage.prompt_tokens;
        self.completion_tokens += row.usage.completion_tokens;
        self.elapsed_ms += row.elapsed_ms;
    }

    fn text(&self) -> String {
        let mut text = format!(
            "{}: {} by vote, {} by the model",
            count(self.rows, "row"),
            self.rows - self.by_model,
            self.by_model
        );
        if self.graded > 0 {
            text += &format!("; {} of {} correct", self.correct, self.graded);
        }
        text += &format!(
            "; {} read, {} written; {:.1} s",
            count(self.prompt_tokens, "token"),
            self.completion_tokens,
            self.elapsed_ms / 1e3
        );
        visible(&text)
    }
}
