//! `conclave convert`: files of other tools as sample sets, one a line.

use anyhow::Result;
use serde_json::json;

use crate::Outcome;
use crate::arguments::ConvertArguments;
use crate::input::{Source, Tally};
use crate::messages::{count, say};
use crate::output::{Output, to_json_line};
use crate::sets::{Summary, read_sets};

/// Runs the command.
pub fn run(arguments: &ConvertArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.files)?;
    let mut output = Output::open(arguments.out.as_deref())?;
    let mut tally = Tally::default();
    let options = arguments.reading.options(&mut tally)?;
    let (mut sets, mut candidates) = (0, 0);
    let read = read_sets(&sources, &options, &mut tally, |set| {
        sets += 1;
        candidates += set.candidates.len() as u64;
        output.json_line(&set)
    })?;
    let is_file = arguments.out.as_deref().is_some_and(|out| out.as_os_str() != "-");
    let summary =
        (!arguments.json).then(|| format!("{}, {}", count(sets, "set"), count(candidates, "candidate")));
    let is_hopeless = tally.is_hopeless();
    let outcome = output.finish_after(&tally, summary)?;
    if arguments.json {
        let files: Vec<_> = read.iter().map(Summary::json).collect();
        let line =
            json!({"sets": sets, "candidates": candidates, "unreadable": tally.unreadable(), "files": files});
        // Data goes to standard output, and the sets are it where they have no file of their own.
        if is_file && !is_hopeless {
            let mut output = Output::open(None)?;
            output.json_line(&line)?;
            output.finish()?;
        } else {
            say(&to_json_line(&line)?);
        }
    }
    Ok(outcome)
}
