//! `conclave ask`: one problem, candidates from a model behind an API, and one answer with what speaks against it.

use std::io::Read;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use conclave_core::equivalence::{Answer, is_equivalent};
use conclave_core::kinds::Abstention;
use conclave_core::result::{AggregateResult, ClusterResult, ConfidenceKind};
use conclave_core::sample_set::SampleSet;
use conclave_disk::Inputs;
use conclave_model::builtin;
use serde_json::Map;

use crate::aggregate::arguments::{
    AggregateArguments, DEFAULT_CACHE_MEMORY, ModeName, PolicyName, VariantName,
};
use crate::aggregate::single::Single;
use crate::aggregate::{by, confidence};
use crate::arguments::EXIT_CODES;
use crate::device::{DeviceName, Precision};
use crate::kinds::KindArguments;
use crate::messages::{count, say, visible, visible_clipped};
use crate::model::arguments::ModelArguments;
use crate::model::progress_bar;
use crate::output::Output;
use crate::sample::arguments::ApiArguments;
use crate::sample::draw::{Drawer, fill, nothing, report};
use crate::sets::FilesArguments;
use crate::shard::ShardArguments;
use crate::unsure::UnsureArguments;
use crate::vote::is_refused;
use crate::voters::WeightsArguments;
use crate::{Outcome, UsageError};

/// Characters of an answer that is not the chosen one.
const SHOWN: usize = 60;

/// Other answers that are shown.
const DISSENT: usize = 5;

/// Most bytes of a problem on standard input.
const MAX_PROBLEM: u64 = 1 << 20;

/// The id of the set, where it is written.
const ID: &str = "ask";

/// `conclave ask`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct AskArguments {
    /// The problem; `-` reads it from standard input
    #[arg(value_name = "PROBLEM")]
    pub problem: String,

    /// The API and what is asked of it.
    #[command(flatten)]
    pub api: ApiArguments,

    /// Model directory of the aggregator, or `builtin`, the small model within this program
    #[arg(long, value_name = "DIR", default_value = builtin::NAME)]
    pub aggregator: PathBuf,

    /// What computes the aggregator
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,

    /// Precision to hold its weights and compute in
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub dtype: Precision,

    /// What the answer is; the aggregator is asked for mathematics and choice only.
    #[command(flatten)]
    pub kinds: KindArguments,

    /// When the aggregator is asked; `auto` leaves a vote alone in which four of five candidates agree
    #[arg(long, value_enum, default_value_t = PolicyName::Auto)]
    pub policy: PolicyName,

    /// How it answers [default: the model's own, else generate]
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,

    /// The prompt of generate mode [default: the model's own, else no-think]
    #[arg(long, value_enum)]
    pub variant: Option<VariantName>,

    /// Print the result as a JSON line
    #[arg(long)]
    pub json: bool,

    /// Write the sample set with the candidates to FILE
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Runs the command.
pub fn run(arguments: &AskArguments) -> Result<Outcome> {
    let problem = problem(&arguments.problem)?;
    let aggregator = Single::open(aggregation(arguments))?;
    let drawer = Drawer::open(&arguments.api)?;
    let inputs = Inputs::of(&arguments.api.key_file).and(arguments.kinds.answers.schema());
    let recording = arguments.out.as_deref().map(|path| Output::open(Some(path), &inputs)).transpose()?;

    let bar = progress_bar(1, "drawing {msg}");
    let sampled = drawer.draw(&problem, Vec::new(), &bar, &mut |_, _| Ok(()))?;
    bar.finish_and_clear();
    report("", &sampled.failures);
    let is_cancelled = sampled.is_cancelled();
    if sampled.candidates.is_empty() {
        return if is_cancelled { Ok(Outcome::Interrupted) } else { Err(nothing(&sampled.failures)) };
    }
    if is_cancelled {
        let arrived = count(sampled.candidates.len() as u64, "candidate");
        say(&format!("stopped: the answer is that of the {arrived} that arrived"));
    }
    let mut set = SampleSet {
        id: ID.to_owned(),
        problem,
        reference_answer: None,
        candidates: Vec::new(),
        extra: Map::new(),
    };
    fill(&mut set, sampled);
    // Before the aggregator is asked: what was paid for is not lost if that fails.
    if let Some(mut recording) = recording {
        recording.json_line(&set)?;
        recording.finish()?;
    }
    let result = aggregator.aggregate(&set)?;
    let mut output = Output::standard_output();
    if arguments.json {
        output.json_line(&result)?;
    } else {
        lines(&result).iter().try_for_each(|line| output.line(line))?;
    }
    output.finish()?;
    Ok(match result.answer {
        _ if is_cancelled => Outcome::Interrupted,
        Some(_) => Outcome::Done,
        None => Outcome::Incomplete,
    })
}

fn problem(argument: &str) -> Result<String> {
    if argument != "-" {
        return match argument.trim() {
            "" => Err(anyhow::Error::new(UsageError("the problem is empty".to_owned()))),
            _ => Ok(argument.to_owned()),
        };
    }
    let mut text = String::new();
    let read = std::io::stdin().take(MAX_PROBLEM + 1).read_to_string(&mut text);
    read.context("cannot read the problem from standard input (it must be UTF-8)")?;
    if text.len() as u64 > MAX_PROBLEM {
        bail!("the problem on standard input is longer than {MAX_PROBLEM} bytes");
    }
    if text.trim().is_empty() {
        bail!("the problem on standard input is empty");
    }
    Ok(text.trim().to_owned())
}

/// What `conclave aggregate` would have been told.
fn aggregation(arguments: &AskArguments) -> AggregateArguments {
    AggregateArguments {
        kinds: arguments.kinds.clone(),
        unsure: UnsureArguments::default(),
        weights: WeightsArguments::default(),
        reading: FilesArguments::default(),
        sets: Vec::new(),
        model: ModelArguments {
            model: arguments.aggregator.clone(),
            device: arguments.device,
            dtype: arguments.dtype,
        },
        policy: arguments.policy,
        mode: arguments.mode,
        variant: arguments.variant,
        temperature: 0.0,
        top_k: None,
        top_p: None,
        max_new_tokens: None,
        seed: 0,
        permutations: None,
        rounds: None,
        pool_size: 4,
        num_candidates: None,
        generator: None,
        pools: None,
        limit: None,
        verbose: false,
        json: false,
        out: None,
        work: ShardArguments::default(),
        cache_memory: DEFAULT_CACHE_MEMORY,
        batch_size: 1,
    }
}

/// The result for people: the answer, how it was found, and what speaks against it.
fn lines(result: &AggregateResult) -> Vec<String> {
    let Some(answer) = &result.answer else {
        let why = match result.abstained {
            Some(Abstention::Tie) => "several answers have the most votes".to_owned(),
            Some(Abstention::TooFew) => "no answer has enough votes".to_owned(),
            Some(Abstention::Unsure) => "the answer is not sure enough".to_owned(),
            None if is_refused(result) => "not voted on".to_owned(),
            None => format!("of {}, none has an answer", candidates(result)),
        };
        return vec![format!("answer      - ({why})")];
    };
    let chosen = Answer::parse(answer);
    let agrees = |cluster: &&ClusterResult| is_equivalent(&chosen, &Answer::parse(&cluster.answer));
    let votes = result.clusters.iter().find(agrees).map_or(0, |cluster| cluster.votes);
    let meaning = match result.confidence_kind {
        ConfidenceKind::Correct => "that the answer is right, as far as votes can tell",
        ConfidenceKind::Share => "share of the votes",
        ConfidenceKind::LeadProbability => "that the vote would stay the same, not that it is right",
        ConfidenceKind::AnswerMass => "the aggregator's probability of this answer",
        ConfidenceKind::TokenProduct => "the product of the probabilities of the answer's tokens",
    };
    vec![
        format!("answer      {}", visible(answer)),
        format!("by          {}", by(result)),
        format!("confidence  {} ({meaning})", confidence(result.confidence)),
        format!("votes       {votes} of {}", candidates(result)),
        format!("dissent     {}", dissent(result, &chosen)),
    ]
}

fn candidates(result: &AggregateResult) -> String {
    count(result.num_candidates as u64, "candidate")
}

/// The other answers with their votes, and how many candidates gave none.
fn dissent(result: &AggregateResult, chosen: &Answer) -> String {
    let others =
        || result.clusters.iter().filter(|cluster| !is_equivalent(chosen, &Answer::parse(&cluster.answer)));
    let shown = others().take(DISSENT);
    let mut parts: Vec<String> = shown
        .map(|cluster| format!("{} ({})", visible_clipped(&cluster.answer, SHOWN), cluster.votes))
        .collect();
    let more = others().count().saturating_sub(DISSENT);
    if more > 0 {
        parts.push(format!("{more} more"));
    }
    let answered: usize = result.clusters.iter().map(|cluster| cluster.votes).sum();
    let silent = result.num_candidates.saturating_sub(answered);
    if silent > 0 {
        parts.push(format!("no answer ({silent})"));
    }
    if parts.is_empty() { "none".to_owned() } else { parts.join(", ") }
}
