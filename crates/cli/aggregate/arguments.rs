//! The flags of `conclave aggregate`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use conclave_core::prompt::PromptVariant;
use conclave_core::router::Policy;
use conclave_model::manifest::Mode;

use crate::arguments::{EXIT_CODES, temperature};
use crate::kinds::KindArguments;
use crate::model::arguments::{ModelArguments, parse_size};
use crate::sets::FilesArguments;
use crate::shard::ShardArguments;
use crate::unsure::UnsureArguments;
use crate::voters::WeightsArguments;

/// Memory for keys and values where nothing else is said.
pub const DEFAULT_CACHE_MEMORY: u64 = 2 << 30;

/// When the model is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PolicyName {
    /// Where the vote may well be wrong
    Auto,
    /// For every set
    Always,
    /// Never
    Vote,
}

/// How the model answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ModeName {
    /// Writes the answer
    Generate,
    /// Chooses among the candidates' answers by their probability
    Select,
}

/// Whether the model thinks before it answers.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum VariantName {
    /// Thinks first
    Think,
    /// Answers at once
    NoThink,
    /// Thinks first, for a model trained from nothing: a prompt without instructions
    Compact,
}

/// `conclave aggregate`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct AggregateArguments {
    /// Sample sets: {"id", "problem", "reference_answer"?, "candidates": [{"text", ...}]} a line
    #[arg(required = true, value_name = "SETS")]
    pub sets: Vec<PathBuf>,

    /// How files of other tools are read.
    #[command(flatten)]
    pub reading: FilesArguments,

    /// The model and the device.
    #[command(flatten)]
    pub model: ModelArguments,

    /// What the answers are; the model is asked for mathematics and choice only.
    #[command(flatten)]
    pub kinds: KindArguments,

    /// Which answers are withheld.
    #[command(flatten)]
    pub unsure: UnsureArguments,

    /// What votes count, and what tells how probably they are right.
    #[command(flatten)]
    pub weights: WeightsArguments,

    /// When the model is asked; `auto` leaves votes alone in which four of five candidates agree, or with --weights or
    /// --ranker those whose probability of being right is at least .9
    #[arg(long, value_enum, default_value_t = PolicyName::Auto)]
    pub policy: PolicyName,

    /// How it answers [default: the model's own, else generate]
    #[arg(long, value_enum)]
    pub mode: Option<ModeName>,

    /// The prompt of generate mode [default: the model's own, else no-think]
    #[arg(long, value_enum)]
    pub variant: Option<VariantName>,

    /// 0 writes the most probable tokens
    #[arg(long, value_name = "T", default_value_t = 0.0, value_parser = temperature)]
    pub temperature: f64,

    /// Keep only the K most probable tokens
    #[arg(long, value_name = "K", value_parser = clap::value_parser!(u32).range(1..))]
    pub top_k: Option<u32>,

    /// Keep only the most probable tokens of mass P together
    #[arg(long, value_name = "P", value_parser = mass)]
    pub top_p: Option<f64>,

    /// Tokens of an answer at most [default: 128, or 512 with thinking, and at most a quarter of the context]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: Option<u32>,

    /// Seed of sampling and of candidate orders
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Aggregate each set under N orders of its candidates, a row each (`eval` then reports the flip rate)
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub permutations: Option<u32>,

    /// Aggregate in T rounds: each place of a new pool aggregates some candidates of the old one; the answer is the vote of
    /// the last pool (0: of the first)
    #[arg(long, value_name = "T", value_parser = clap::value_parser!(u32).range(0..),
        conflicts_with_all = ["policy", "mode", "top_k", "top_p", "permutations"])]
    pub rounds: Option<u32>,

    /// With --rounds: candidates that an aggregation reads
    #[arg(long, value_name = "M", default_value_t = 4, requires = "rounds", value_parser = clap::value_parser!(u32).range(1..))]
    pub pool_size: u32,

    /// With --rounds: candidates of a pool [default: as many as the set has, 8 with --generator]
    #[arg(long, value_name = "N", requires = "rounds", value_parser = clap::value_parser!(u32).range(1..))]
    pub num_candidates: Option<u32>,

    /// With --rounds: the model that writes the first pool, instead of the candidates in the sets
    #[arg(long, value_name = "DIR", requires = "rounds")]
    pub generator: Option<PathBuf>,

    /// With --rounds: memory for the keys and values of the completions that are written at once
    #[arg(long, value_name = "SIZE", requires = "rounds", value_parser = parse_size, default_value = "2GiB")]
    pub cache_memory: u64,

    /// With --rounds: write the pool of every round as sample sets to FILE, round by round; continued together with --out
    #[arg(long, value_name = "FILE", requires = "rounds")]
    pub pools: Option<PathBuf>,

    /// Sets that the model reads and answers together (generate mode, temperature 0): faster on a GPU, as its memory allows
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=1024),
        conflicts_with = "rounds")]
    pub batch_size: u32,

    /// Take the first N sets only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// In the table, show beneath each set what was read in each candidate, and how or why not
    #[arg(long, short)]
    pub verbose: bool,

    /// Print results as JSON lines instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write results as JSON lines to FILE, which appears when all are done; the same command again continues
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Which part of it is done, and how progress is shown.
    #[command(flatten)]
    pub work: ShardArguments,
}

impl PolicyName {
    /// As core names it.
    pub fn policy(self) -> Policy {
        match self {
            Self::Auto => Policy::Auto,
            Self::Always => Policy::Always,
            Self::Vote => Policy::Vote,
        }
    }
}

impl ModeName {
    /// As the model names it.
    pub fn mode(self) -> Mode {
        match self {
            Self::Generate => Mode::Generate,
            Self::Select => Mode::Select,
        }
    }
}

impl VariantName {
    /// As core names it.
    pub fn variant(self) -> PromptVariant {
        match self {
            Self::Think => PromptVariant::Think,
            Self::NoThink => PromptVariant::NoThink,
            Self::Compact => PromptVariant::Compact,
        }
    }
}

fn mass(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value > 0.0 && value <= 1.0 => Ok(value),
        _ => Err("must be a number above 0 and at most 1".to_owned()),
    }
}
