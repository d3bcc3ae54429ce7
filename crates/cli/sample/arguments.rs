//! The flags of `conclave sample`, and those that it shares with `conclave ask`: which API, and what is asked of it.

use std::path::PathBuf;

use clap::Args;

use crate::arguments::EXIT_CODES;
use crate::sets::LayoutArguments;
use crate::shard::ShardArguments;

/// The variable that holds a key where nothing else is said.
pub const KEY_VARIABLE: &str = "OPENAI_API_KEY";

/// An API and what is asked of it.
#[derive(Args, Clone, Debug)]
pub struct ApiArguments {
    /// OpenAI-compatible API, up to and without /chat/completions, such as https://api.openai.com/v1 or
    /// http://127.0.0.1:11434/v1
    #[arg(long, value_name = "URL")]
    pub base_url: String,

    /// The model that writes the candidates, as the API names it
    #[arg(long, value_name = "NAME")]
    pub model: String,

    /// Candidates for each problem
    #[arg(long, value_name = "N", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub num_candidates: u32,

    /// Requests at the same time, at most
    #[arg(long, value_name = "C", default_value_t = 8, value_parser = clap::value_parser!(u32).range(1..=1000))]
    pub concurrency: u32,

    /// Temperature of the candidates [default: the API's own]
    #[arg(long, value_name = "T", value_parser = crate::arguments::temperature)]
    pub temperature: Option<f64>,

    /// Tokens of a candidate at most [default: the API's own]
    #[arg(long, value_name = "M", value_parser = clap::value_parser!(u32).range(1..))]
    pub max_tokens: Option<u32>,

    /// Seed of the first candidate, the others have those after it [default: none is sent]
    #[arg(long, value_name = "S")]
    pub seed: Option<u64>,

    /// System prompt; an empty one sends none
    #[arg(long, value_name = "TEXT", default_value = conclave_client::chat::SYSTEM)]
    pub system: String,

    /// Environment variable that holds the key [default: OPENAI_API_KEY, where it is set]
    #[arg(long, value_name = "NAME", conflicts_with_all = ["key_file", "no_key"])]
    pub key_env: Option<String>,

    /// File that holds the key
    #[arg(long, value_name = "FILE", conflicts_with = "no_key")]
    pub key_file: Option<PathBuf>,

    /// Send no key
    #[arg(long)]
    pub no_key: bool,

    /// Send the key also over http:// to another machine
    #[arg(long)]
    pub allow_http_key: bool,

    /// Seconds to wait for a sign of the API
    #[arg(long, value_name = "SECONDS", default_value_t = 120, value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub timeout: u64,
}

/// `conclave sample`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct SampleArguments {
    /// Problems: {"id", "problem", "reference_answer"?} a line, or sample sets
    #[arg(required = true, value_name = "PROBLEMS")]
    pub problems: Vec<PathBuf>,

    /// How files of other tools are read.
    #[command(flatten)]
    pub reading: LayoutArguments,

    /// The API and what is asked of it.
    #[command(flatten)]
    pub api: ApiArguments,

    /// Keep the candidates that a sample set has, in front of the new ones
    #[arg(long)]
    pub keep: bool,

    /// Take the first N problems only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Write the sample sets to FILE, which appears when all are done; the same command again continues
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Which part of it is done, and how progress is shown.
    #[command(flatten)]
    pub work: ShardArguments,
}
