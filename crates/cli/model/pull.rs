//! `conclave model pull`: a model by its name, from a hub of the Hugging Face kind into its shared cache.

use std::ops::ControlFlow;

use anyhow::Result;
use conclave_disk::stop;
use conclave_hub::{ErrorKind, Event, Hub};

use super::arguments::PullArguments;
use super::progress_bar;
use crate::messages::{say, visible};
use crate::output::Output;
use crate::{Outcome, UsageError};

/// Runs the command. Standard output gets the path of what was pulled.
pub fn run(arguments: &PullArguments) -> Result<Outcome> {
    let mut name = arguments.name.clone();
    if let Some(file) = &arguments.file {
        name = name.with_file(file).map_err(|error| UsageError(error.to_string()))?;
    }
    let hub = Hub::from_environment()?;
    stop::listen()?;
    let bar = progress_bar(0, "{bytes}/{total_bytes} {bar:32} {bytes_per_sec} ({eta} left) {msg}");
    let mut on_event = |event: Event<'_>| {
        match event {
            Event::Progress { file, done, total } => {
                bar.set_length(total);
                bar.set_position(done);
                bar.set_message(visible(file));
            }
            Event::Note(text) => bar.suspend(|| say(&visible(text))),
        }
        if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    };
    let pulled = conclave_hub::pull(&hub, &name, &mut on_event);
    bar.finish_and_clear();
    let pulled = match pulled {
        Err(error) if error.kind() == ErrorKind::Cancelled => {
            say(&error.to_string());
            return Ok(Outcome::Interrupted);
        }
        pulled => pulled?,
    };
    let mut output = Output::standard_output();
    output.line(&pulled.path().display().to_string())?;
    output.finish()?;
    say(&format!("`{name}` is there: commands take it as --model {name}"));
    Ok(Outcome::Done)
}
