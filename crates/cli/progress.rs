//! Progress for programs: `--progress json` writes a JSON object a line to standard error, beside the messages for people.

use std::time::{Duration, Instant};

use clap::{Args, ValueEnum};
use conclave_files::Shard;
use serde_json::{Value, json};

use crate::Outcome;
use crate::messages::say;

/// Lines about what goes on come at most so often.
const SAY_EVERY: Duration = Duration::from_secs(1);

/// How progress is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum ProgressFormat {
    /// A bar, on a terminal
    #[default]
    Bar,
    /// Lines {"progress": {"command", "shard", "done", "total", "seconds", "outcome"}} on standard error
    Json,
}

/// The flag of every command that engines run.
#[derive(Args, Clone, Debug, Default)]
pub struct ProgressArguments {
    /// How progress is shown
    #[arg(long, value_enum, value_name = "FORMAT", default_value_t = ProgressFormat::Bar)]
    pub progress: ProgressFormat,
}

/// Tells what a command has done. Dropped before [`Reporter::end`], it tells that the command failed.
pub struct Reporter {
    is_on: bool,
    command: &'static str,
    shard: Option<Shard>,
    total: Option<u64>,
    done: u64,
    begun: Instant,
    said: Instant,
    is_ended: bool,
}

impl Reporter {
    /// A reporter for `command`; where it is not known how much there is to do, without a total.
    pub fn new(arguments: &ProgressArguments, command: &'static str, shard: Option<Shard>) -> Self {
        let now = Instant::now();
        let is_on = arguments.progress == ProgressFormat::Json;
        let reporter =
            Self { is_on, command, shard, total: None, done: 0, begun: now, said: now, is_ended: !is_on };
        reporter.say(None);
        reporter
    }

    /// What there is to do in all, and how much of it is done.
    pub fn set(&mut self, done: u64, total: u64) {
        (self.done, self.total) = (done, Some(total));
        self.say(None);
    }

    /// One more is done.
    pub fn add(&mut self) {
        self.done += 1;
        if self.is_on && self.said.elapsed() >= SAY_EVERY {
            self.said = Instant::now();
            self.say(None);
        }
    }

    /// The command has ended.
    pub fn end(mut self, outcome: Outcome) -> Outcome {
        self.say(Some(match outcome {
            Outcome::Done => "done",
            Outcome::Incomplete => "incomplete",
            Outcome::Interrupted => "interrupted",
        }));
        self.is_ended = true;
        outcome
    }

    /// There was nothing to do: the output is complete.
    pub fn skip(mut self, outcome: Outcome) -> Outcome {
        self.say(Some("skipped"));
        self.is_ended = true;
        outcome
    }

    fn say(&self, outcome: Option<&str>) {
        if !self.is_on {
            return;
        }
        let mut progress = json!({
            "command": self.command,
            "shard": self.shard.map(|shard| shard.to_string()),
            "done": self.done,
            "total": self.total,
            "seconds": (self.begun.elapsed().as_secs_f64() * 1e3).round() / 1e3,
        });
        if let (Some(outcome), Value::Object(fields)) = (outcome, &mut progress) {
            fields.insert("outcome".to_owned(), outcome.into());
        }
        say(&json!({"progress": progress}).to_string());
    }
}

impl Drop for Reporter {
    fn drop(&mut self) {
        if !self.is_ended {
            self.say(Some("failed"));
        }
    }
}
