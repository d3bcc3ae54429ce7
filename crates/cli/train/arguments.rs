//! The flags of `conclave train`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use crate::arguments::EXIT_CODES;
use crate::device::DeviceName;

/// The commands of `conclave train`.
#[derive(Debug, Subcommand)]
pub enum TrainCommand {
    /// Fine-tune a model on what it should have answered
    Sft(TrainArguments),
    /// Reward a model for its own answers (GRPO, DAPO, Dr.GRPO)
    Grpo(TrainArguments),
    /// Train generator and aggregator in one model
    Paragator(TrainArguments),
    /// Draw the curves of runs
    Plot(PlotArguments),
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

    /// The picture to write (SVG); `-` is standard output
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,
}
