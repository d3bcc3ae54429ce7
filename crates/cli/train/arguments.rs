//! The flags of `conclave train`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::aggregate::arguments::VariantName;
use crate::arguments::EXIT_CODES;
use crate::device::DeviceName;
use crate::kinds::AnswerArguments;
use crate::model::arguments::ModelArguments;
use crate::sets::FilesArguments;

/// The commands of `conclave train`.
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// Fine-tune a model on what it should have answered
    Sft(TrainArguments),
    /// Reward a model for its own answers (GRPO, DAPO, Dr.GRPO)
    Grpo(TrainArguments),
    /// Train generator and aggregator in one model
    Paragator(TrainArguments),
    /// Measure a model on held-out sets, many at once
    Evaluate(EvaluateArguments),
    /// Draw the curves of runs
    Plot(PlotArguments),
    /// Fit what tells which answer is right and how sure that is, on labelled sets: minutes, no language model
    Ranker(RankerArguments),
}

/// `conclave train ranker`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct RankerArguments {
    /// Sample sets with references; with several files each is judged by weights fitted on the others
    #[arg(required = true, value_name = "SETS")]
    pub sets: Vec<PathBuf>,

    /// How files of other tools are read.
    #[command(flatten)]
    pub reading: FilesArguments,

    /// What the answers are
    #[command(flatten)]
    pub answers: AnswerArguments,

    /// The field of candidates that says who wrote them [default: model]
    #[arg(long, value_name = "FIELD")]
    pub voter: Option<String>,

    /// The ranker to write, for `vote --ranker FILE`
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `conclave train sft`, `grpo` and `paragator`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct TrainArguments {
    /// The run in TOML, such as those in crates/train/configs
    #[arg(long, value_name = "FILE")]
    pub config: PathBuf,

    /// Folder of the run: checkpoints, metrics.jsonl, and in the end model/ [default: runs/NAME of the file]
    #[arg(long, value_name = "DIR")]
    pub output: Option<PathBuf>,

    /// Go on from the newest checkpoint in the folder, if there is one
    #[arg(long)]
    pub resume: bool,

    /// Set a key of the file, as in train.steps=500 (may be given several times)
    #[arg(long, value_name = "KEY=VALUE")]
    pub set: Vec<String>,

    /// Print the configuration with every default, count tokens and estimate memory; train nothing
    #[arg(long, conflicts_with_all = ["resume", "rehearse"])]
    pub dry_run: bool,

    /// Run the largest step that the data can ask for once, report its memory and time, and keep nothing
    #[arg(long, conflicts_with = "resume")]
    pub rehearse: bool,

    /// What computes
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,
}

/// `conclave train plot`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct PlotArguments {
    /// Folders of runs, or their metrics.jsonl
    #[arg(required = true, value_name = "RUNS")]
    pub runs: Vec<PathBuf>,

    /// The picture to write, FILE.svg or FILE.png; `-` is standard output, as SVG
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}

/// `conclave train evaluate`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct EvaluateArguments {
    /// Held-out sample sets with reference answers
    #[arg(required = true, value_name = "SETS")]
    pub sets: Vec<PathBuf>,

    /// The model and the device.
    #[command(flatten)]
    pub model: ModelArguments,

    /// Show the first K candidates of each set; 0 is the control, the problem alone
    #[arg(long, value_name = "K", default_value_t = 5)]
    pub num_candidates: usize,

    /// Ask each set under N orders of its candidates: above 1 there is a flip rate
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    pub permutations: u32,

    /// The prompt [default: the model's own]
    #[arg(long, value_enum)]
    pub variant: Option<VariantName>,

    /// Tokens of a completion at most
    #[arg(long, value_name = "N", default_value_t = 128, value_parser = clap::value_parser!(u32).range(1..))]
    pub max_new_tokens: u32,

    /// Sets answered at once
    #[arg(long, value_name = "N", default_value_t = 64, value_parser = clap::value_parser!(u32).range(1..))]
    pub batch_size: u32,

    /// Threads that answer side by side, on a processor
    #[arg(long, value_name = "N", default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..))]
    pub threads: u32,

    /// Seed of the orders
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Take the first N sets only
    #[arg(long, value_name = "N")]
    pub limit: Option<usize>,

    /// Rows of another model on the same sets: prints the paired difference of the accuracies
    #[arg(long, value_name = "ROWS")]
    pub against: Option<PathBuf>,

    /// Write the rows, for `eval` and for `--against`
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Print the report as JSON
    #[arg(long)]
    pub json: bool,
}
