//! The `conclave` command line, the native host: it reads arguments and files, asks the libraries, and prints.
//! Here are the entry point and the exit codes; each command is a module of its own.

mod aggregate;
mod arguments;
mod ask;
mod convert;
mod data;
mod device;
mod directory;
mod eval;
mod grade;
mod input;
mod interrupt;
mod kinds;
mod merge;
mod messages;
mod model;
mod output;
mod picture;
mod progress;
mod sample;
mod sets;
mod shard;
mod table;
mod train;
mod unsure;
mod vote;
mod voters;

use std::process::ExitCode;

use anyhow::Result;
use arguments::{Arguments, Command};
use clap::Parser;
use conclave_disk::{DiskError, stop};
use messages::{say, visible};

/// How a command that ran to its end went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Everything was done.
    Done,
    /// The rest was done, but some input could not be read (it was reported where it happened).
    Incomplete,
    /// Someone asked for an end before it was reached; what was done is saved.
    Interrupted,
}

impl Outcome {
    /// Done only when both are.
    fn and(self, other: Outcome) -> Outcome {
        if self == Outcome::Done { other } else { self }
    }
}

/// The arguments are wrong in a way that the argument parser cannot see.
#[derive(Debug)]
struct UsageError(String);

impl std::fmt::Display for UsageError {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for UsageError {}

fn main() -> ExitCode {
    // Wrong arguments end here with exit code 2, --help and --version with 0.
    let arguments = Arguments::parse();
    stop::follow_parent();
    match run(arguments.command) {
        Ok(Outcome::Done) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::from(1),
        Ok(Outcome::Interrupted) => interrupted(),
        // Somebody asked to stop while a model was loaded or written: there is nothing to keep.
        Err(error) if stop::is_requested() && is_cancelled(&error) => interrupted(),
        // The reader of our output has seen enough (`conclave vote ... | head`): that is no failure.
        Err(error) if error.is::<output::ClosedPipe>() => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("conclave: {}", visible(&whole_message(&error))));
            let is_usage = error.downcast_ref::<DiskError>().is_some_and(DiskError::is_usage);
            ExitCode::from(if is_usage || error.is::<UsageError>() { 2 } else { 1 })
        }
    }
}

/// The exit code of a command that was asked to stop. Whose parent has died is told why: it may have been meant to outlive it.
fn interrupted() -> ExitCode {
    if stop::is_orphan() {
        say(
            "conclave: stopped, because the program that started it has ended (`nohup conclave ...` goes on)",
        );
    }
    ExitCode::from(stop::INTERRUPTED)
}

fn is_cancelled(error: &anyhow::Error) -> bool {
    let kind = |cause: &(dyn std::error::Error + 'static)| {
        cause.downcast_ref::<conclave_model::Error>().map(conclave_model::Error::kind)
    };
    error.chain().any(|cause| kind(cause) == Some(conclave_model::ErrorKind::Cancelled))
}

/// The message with its causes, without those that it quotes already.
fn whole_message(error: &anyhow::Error) -> String {
    let mut message = String::new();
    for cause in error.chain().map(ToString::to_string) {
        if message.is_empty() {
            message = cause;
        } else if !message.contains(&cause) {
            message = format!("{message}: {cause}");
        }
    }
    message
}

fn run(command: Command) -> Result<Outcome> {
    match command {
        Command::Vote(arguments) => vote::run(&arguments),
        Command::Grade(arguments) => grade::run(&arguments),
        Command::Eval(arguments) => eval::run(&arguments),
        Command::Aggregate(arguments) => aggregate::run(&arguments),
        Command::Convert(arguments) => convert::run(&arguments),
        Command::Merge(arguments) => merge::run(&arguments),
        Command::Sample(arguments) => sample::run(&arguments),
        Command::Ask(arguments) => ask::run(&arguments),
        Command::Data(command) => data::run(&command),
        Command::Model(command) => model::run(&command),
        Command::Train(command) => train::run(&command),
    }
}
