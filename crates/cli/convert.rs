//! `conclave convert`: files of other tools as sample sets, one a line.

use anyhow::Result;
use conclave_disk::stop;
use serde_json::json;

use crate::Outcome;
use crate::arguments::ConvertArguments;
use crate::input::{Source, Tally};
use crate::messages::{count, say};
use crate::output::{Output, to_json_line};
use crate::sets::{Summary, read_sets};
use crate::shard::Part;

/// Runs the command.
pub fn run(arguments: &ConvertArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.files)?;
    let out = arguments.out.as_deref();
    let inputs = arguments.reading.inputs(&arguments.files);
    let settings = json!({"reading": arguments.reading.settings()});
    let part = Part::new(&arguments.work, out, "convert", settings, &arguments.files);
    let mut reporter = arguments.work.reporter("convert");
    if let Some(outcome) = part.as_ref().map(|part| part.finished(&inputs)).transpose()?.flatten() {
        return Ok(reporter.skip(outcome));
    }
    stop::listen()?;
    let mut output = Output::open(out, &inputs)?;
    let mut tally = Tally::new(part.is_some());
    let mut options = arguments.reading.options(&mut tally)?;
    options.share = part.as_ref().map(|part| part.share.clone());
    let (mut sets, mut candidates) = (0, 0);
    let read = read_sets(&sources, &options, &mut tally, |set| {
        sets += 1;
        reporter.add();
        candidates += set.candidates.len() as u64;
        output.json_line(&set)
    })?;
    let is_file = out.is_some_and(|out| out.as_os_str() != "-");
    let summary =
        (!arguments.json).then(|| format!("{}, {}", count(sets, "set"), count(candidates, "candidate")));
    let is_hopeless = tally.is_hopeless();
    let outcome = output.finish_part(part.as_ref(), &tally, Outcome::Done, summary)?;
    if arguments.json && outcome != Outcome::Interrupted {
        let files: Vec<_> = read.iter().map(Summary::json).collect();
        let line =
            json!({"sets": sets, "candidates": candidates, "unreadable": tally.unreadable(), "files": files});
        // Data goes to standard output, and the sets are it where they have no file of their own.
        if is_file && !is_hopeless {
            let mut output = Output::standard_output();
            output.json_line(&line)?;
            output.finish()?;
        } else {
            say(&to_json_line(&line)?);
        }
    }
    Ok(reporter.end(outcome))
}
