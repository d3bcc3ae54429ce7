//! The command line's flags as plain data. What they mean is decided in the commands.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};
use conclave_files::Fields;

use crate::aggregate::arguments::AggregateArguments;
use crate::ask::AskArguments;
use crate::kinds::{AnswerArguments, KindArguments, RuleArguments};
use crate::model::arguments::ModelCommand;
use crate::progress::ProgressArguments;
use crate::sample::arguments::SampleArguments;
use crate::sets::FilesArguments;
use crate::shard::ShardArguments;
use crate::train::arguments::TrainCommand;
use crate::unsure::UnsureArguments;
use crate::voters::WeightsArguments;

const VERSION: &str = concat!(env!("CARGO_PKG_VERSION"), " (", env!("CONCLAVE_COMMIT"), ")");

/// Ends the help of every command.
pub const EXIT_CODES: &str = "\
Files are JSON lines, or those of other tools (docs/files.md); `-` is standard input; gzip and zstd are unpacked. Data goes to standard output, \
messages to standard error.\nExit codes: 0 done, 1 the work failed or some lines could not be read, 2 the arguments are wrong, 130 stopped (what was done is saved or printed).";

/// Turns many candidate solutions of black-box language models into one answer you can trust.
#[derive(Debug, Parser)]
#[command(name = "conclave", version = VERSION, after_help = EXIT_CODES, disable_help_subcommand = true)]
pub struct Arguments {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Take the majority vote of each sample set
    Vote(VoteArguments),
    /// Judge whether predictions give the same answer as their references
    Grade(GradeArguments),
    /// Report how good candidates, votes or results are, a row a file
    Eval(EvalArguments),
    /// Turn each sample set into one answer, by the vote or by a model
    Aggregate(AggregateArguments),
    /// Write files of other tools as sample sets
    Convert(ConvertArguments),
    /// Put the outputs of shards together, where nothing is missing and nothing stands twice
    Merge(MergeArguments),
    /// Draw candidates for each problem from a model behind an API
    Sample(SampleArguments),
    /// Draw candidates for one problem from a model behind an API, and turn them into one answer
    Ask(AskArguments),
    /// Make sample sets of simulated solvers
    #[command(subcommand)]
    Data(DataCommand),
    /// Make, look at, check, measure and rewrite model directories
    #[command(subcommand)]
    Model(ModelCommand),
    /// Train aggregators, and draw how it went
    #[command(subcommand)]
    Train(TrainCommand),
}

/// `conclave vote`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct VoteArguments {
    /// Sample sets: {"id", "problem", "reference_answer"?, "candidates": [{"text", ...}]} a line
    #[arg(required = true, value_name = "SETS")]
    pub sets: Vec<PathBuf>,

    /// How files of other tools are read.
    #[command(flatten)]
    pub reading: FilesArguments,

    /// Print results as JSON lines instead of a table
    #[arg(long)]
    pub json: bool,

    /// What the answers are
    #[command(flatten)]
    pub kinds: KindArguments,

    /// What votes count, and how sure an answer is.
    #[command(flatten)]
    pub weights: WeightsArguments,

    /// Which answers are withheld
    #[command(flatten)]
    pub unsure: UnsureArguments,

    /// In the table, show beneath each set what was read in each candidate, and how or why not; of a record, its fields
    #[arg(long, short)]
    pub verbose: bool,

    /// Write results as JSON lines to FILE, which appears when all are done
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Which part of it is done, and how progress is shown.
    #[command(flatten)]
    pub work: ShardArguments,
}

/// `conclave grade`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct GradeArguments {
    /// Pairs: {"reference", "prediction", ...} a line; {"answer", "equivalent", "verdict"} are added to each,
    /// and "fields" where records differ
    #[arg(required = true, value_name = "PAIRS")]
    pub pairs: Vec<PathBuf>,

    /// Names of the two fields, as in reference=gold,prediction=output
    #[arg(long, value_name = "OURS=THEIRS,...", value_parser = Fields::parse)]
    pub field: Option<Fields>,

    /// What the answers are
    #[command(flatten)]
    pub answers: AnswerArguments,

    /// Write the graded pairs to FILE, which appears when all are done
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Which part of it is done, and how progress is shown.
    #[command(flatten)]
    pub work: ShardArguments,
}

/// `conclave eval`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct EvalArguments {
    /// Sample sets, or results of `vote --json` and `aggregate` (told apart by their fields)
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// How files of other tools are read.
    #[command(flatten)]
    pub reading: FilesArguments,

    /// Look at the first N candidates of each set only
    #[arg(long, value_name = "N", value_parser = at_least_one)]
    pub num_candidates: Option<usize>,

    /// Take verdicts from this field of the candidates (true or false) instead of grading them
    #[arg(long, value_name = "FIELD")]
    pub labels: Option<String>,

    /// Report how stable answers are over repeats: the candidates of a set answer the same question
    #[arg(long, conflicts_with = "labels")]
    pub repeats: bool,

    /// What the answers are
    #[command(flatten)]
    pub answers: AnswerArguments,

    /// With --repeats, when votes decide
    #[command(flatten)]
    pub rules: RuleArguments,

    /// Print a JSON array instead of a table
    #[arg(long)]
    pub json: bool,

    /// Write the JSON array to FILE
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Of results, draw how often answers of each confidence are right, and accuracy against yield, to FILE.svg or FILE.png
    #[arg(long, value_name = "FILE")]
    pub plot: Option<PathBuf>,
}

/// `conclave convert`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct ConvertArguments {
    /// Files of any layout that is known; rows of one set are joined over all of them
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// How they are read.
    #[command(flatten)]
    pub reading: FilesArguments,

    /// Say what was read as JSON: on standard output with --out, else on standard error
    #[arg(long)]
    pub json: bool,

    /// Write the sample sets to FILE, which appears when all are done
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,

    /// Which part of it is done, and how progress is shown.
    #[command(flatten)]
    pub work: ShardArguments,
}

/// `conclave merge`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct MergeArguments {
    /// Outputs of `vote`, `grade`, `aggregate`, `sample` or `convert`, such as all shards of a run
    #[arg(required = true, value_name = "FILES")]
    pub files: Vec<PathBuf>,

    /// The sets that went in: each of them must have a row. Needed where the files were not made with --shard
    #[arg(long, value_name = "SETS", num_args = 1..)]
    pub of: Vec<PathBuf>,

    /// Write all rows to FILE, which appears when all are there
    #[arg(long, value_name = "FILE")]
    pub out: PathBuf,

    /// How progress is shown.
    #[command(flatten)]
    pub progress: ProgressArguments,
}

/// The commands of `conclave data`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// Make word problems of three to five steps, with candidates that get them wrong
    Arithmetic(ArithmeticArguments),
}

/// `conclave data arithmetic`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct ArithmeticArguments {
    /// What fixes every byte; problem i of a seed does not depend on how many are made
    #[arg(long, value_name = "S", default_value_t = 0)]
    pub seed: u64,

    /// Problems to make
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub problems: u64,

    /// Candidates for each; fewer are the first of more
    #[arg(long, value_name = "K", default_value_t = 8, value_parser = clap::value_parser!(u64).range(..=100_000))]
    pub num_candidates: u64,

    /// Who writes the candidates
    #[arg(long, value_enum, default_value_t = Solvers::Standard)]
    pub solvers: Solvers,

    /// How large the problems' numbers are
    #[arg(long, value_enum, default_value_t = Numbers::Standard)]
    pub numbers: Numbers,

    /// Write the sample sets to FILE, which appears when all are done
    #[arg(long, value_name = "FILE")]
    pub out: Option<PathBuf>,
}

/// Ranges of numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Numbers {
    /// Products of 12..199 x 12..89, which only the candidates can help with
    Standard,
    /// Products of 2..19 x 2..9, which a tiny model can learn to solve
    Small,
}

/// Simulated models.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Solvers {
    /// One with the error rates of the problems
    Standard,
    /// One of half these rates, one of these, one of one and a half times these
    Mixed,
}

/// A temperature, for all commands that have one.
pub fn temperature(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=100.0).contains(&value) => Ok(value),
        _ => Err("must be a number from 0 to 100".to_owned()),
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(_) => Err("must be a whole number".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn flags_are_consistent() {
        super::Arguments::command().debug_assert();
    }
}
