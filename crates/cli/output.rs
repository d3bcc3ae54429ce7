//! Where results go: standard output, or a file that appears under its name only when it is complete (`conclave-disk` writes it).
//! What the results look like is the commands' business.

use std::fs::File;
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::Path;

use anyhow::{Context, Result};
use conclave_disk::{Inputs, WholeFile, is_replaceable, open_device, resolve_link, stop};
use serde::Serialize;

use crate::Outcome;
use crate::input::Tally;
use crate::messages::{count, is_unprintable, say};
use crate::shard::Part;

/// Whoever read our standard output has closed it.
#[derive(Debug)]
pub struct ClosedPipe;

impl std::fmt::Display for ClosedPipe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("standard output was closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// A sink of lines. Nothing is complete before [`Output::finish`]; a file dropped without it leaves nothing behind.
pub struct Output {
    sink: Sink,
    /// How messages name this output.
    name: String,
    lines: u64,
}

enum Sink {
    Standard(Box<dyn Write>),
    /// A device or a named pipe.
    Device(BufWriter<File>),
    File(WholeFile),
}

impl Output {
    /// Opens `out`; without one, or for `-`, standard output. It must be none of the inputs.
    pub fn open(out: Option<&Path>, inputs: &Inputs) -> Result<Self> {
        let Some(path) = out.filter(|path| *path != Path::new("-")) else {
            inputs.refuse_standard_output()?;
            return Ok(Self::standard_output());
        };
        inputs.refuse(path)?;
        let name = format!("`{}`", path.display());
        let target = resolve_link(path);
        let sink = if target.is_dir() || is_replaceable(&target) {
            let file = WholeFile::create(path)?;
            say_without_locks(file.is_locked(), file.path());
            Sink::File(file)
        } else {
            Sink::Device(BufWriter::new(open_device(&target)?))
        };
        Ok(Output { sink, name, lines: 0 })
    }

    /// Standard output of a command that reads nothing.
    pub fn standard_output() -> Self {
        let stdout = io::stdout();
        // Someone who watches wants each line at once; a pipe wants large writes.
        let writer: Box<dyn Write> =
            if stdout.is_terminal() { Box::new(stdout) } else { Box::new(BufWriter::new(stdout.lock())) };
        Output { sink: Sink::Standard(writer), name: "standard output".to_owned(), lines: 0 }
    }

    fn writer(&mut self) -> &mut dyn Write {
        match &mut self.sink {
            Sink::Standard(writer) => writer,
            Sink::Device(file) => file,
            Sink::File(file) => file,
        }
    }

    /// Writes one line of text.
    pub fn line(&mut self, line: &str) -> Result<()> {
        let writer = self.writer();
        let written = writer.write_all(line.as_bytes()).and_then(|()| writer.write_all(b"\n"));
        written.map_err(|error| self.failure(error))?;
        self.lines += 1;
        Ok(())
    }

    /// Writes what is no text of lines: a picture.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer().write_all(bytes).map_err(|error| self.failure(error))
    }

    /// Writes one value as a line of JSON.
    pub fn json_line<T: Serialize>(&mut self, value: &T) -> Result<()> {
        self.json_line_with(value, "")
    }

    /// Writes one value as a line of JSON with `end` behind it: the comma of an array.
    pub fn json_line_with<T: Serialize>(&mut self, value: &T, end: &str) -> Result<()> {
        self.line(&(to_json_line(value)? + end))
    }

    /// Ends a command that has read its input and written what it had: completes the output, then says the summary
    /// and what could not be read. Where nothing of the input could be used, an earlier file keeps its place. Where somebody asked
    /// to stop, what was done is kept.
    pub fn finish_after(self, tally: &Tally, summary: Option<String>) -> Result<Outcome> {
        self.finish_part(None, tally, Outcome::Done, summary)
    }

    /// The same of a shard, whose file gets its record first. `outcome` is what is known beside what could not be read.
    pub fn finish_part(
        self,
        part: Option<&Part>,
        tally: &Tally,
        outcome: Outcome,
        summary: Option<String>,
    ) -> Result<Outcome> {
        if stop::is_requested() {
            return self.keep(summary);
        }
        if !tally.is_hopeless() {
            if let (Some(part), Sink::File(file)) = (part, &self.sink) {
                let read = if tally.unreadable() > 0 { Outcome::Incomplete } else { Outcome::Done };
                part.record(self.lines, file.len(), tally.unreadable(), read.and(outcome))?;
            }
            self.finish()?;
            summary.iter().for_each(|summary| say(summary));
        } else if matches!(self.sink, Sink::File(_)) {
            say(&format!("{} is not written: there is nothing to write", self.name));
        }
        Ok(tally.finish().and(outcome))
    }

    /// Hands on what has been written so far.
    pub fn flush(&mut self) -> Result<()> {
        self.writer().flush().map_err(|error| self.failure(error))
    }

    /// Completes the output: everything is on disk, and the file has its name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        match self.sink {
            Sink::File(file) => Ok(file.finish()?),
            _ => Ok(()),
        }
    }

    /// Ends an output that somebody stopped: what there is is printed, or stays in the unfinished file.
    pub fn keep(mut self, summary: Option<String>) -> Result<Outcome> {
        self.flush()?;
        match self.sink {
            // Without a line nothing was done.
            Sink::File(_) if self.lines == 0 => {}
            Sink::File(file) => {
                let path = file.path().display().to_string();
                file.keep()?;
                say(&format!(
                    "stopped: {} kept in `{path}`; the same command begins anew",
                    count(self.lines, "line") + if self.lines == 1 { " is" } else { " are" }
                ));
            }
            _ => summary.iter().for_each(|summary| say(&format!("stopped: {summary}"))),
        }
        Ok(Outcome::Interrupted)
    }

    fn failure(&self, error: io::Error) -> anyhow::Error {
        if matches!(self.sink, Sink::Standard(_)) && error.kind() == io::ErrorKind::BrokenPipe {
            return anyhow::Error::new(ClosedPipe);
        }
        let is_kept = matches!(&self.sink, Sink::File(file) if file.target().exists());
        let kept = if is_kept { " (the file is as it was before)" } else { "" };
        anyhow::Error::new(error).context(format!("cannot write {}{kept}", self.name))
    }
}

/// Warns of a file system that cannot keep another run away from a file.
pub fn say_without_locks(is_locked: bool, path: &Path) {
    if !is_locked {
        let name = path.display();
        say(&format!("`{name}`: its file system has no locks; see to it that no other run writes it"));
    }
}

/// A value as a line of JSON that is harmless to a terminal, without the line break.
pub fn to_json_line<T: Serialize>(value: &T) -> Result<String> {
    let json = serde_json::to_string(value).context("cannot write a result as JSON")?;
    Ok(escape_unprintable(&json))
}

/// The same JSON, harmless to a terminal: characters that JSON lets through but a terminal obeys become `\u` escapes.
/// JSON has such characters inside strings only, so the value does not change.
fn escape_unprintable(json: &str) -> String {
    let mut escaped = String::with_capacity(json.len());
    for character in json.chars() {
        if is_unprintable(character) {
            let mut units = [0; 2];
            for unit in character.encode_utf16(&mut units) {
                escaped.push_str(&format!("\\u{unit:04x}"));
            }
        } else {
            escaped.push(character);
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn escaped_json_is_the_same_value() {
        let value = serde_json::json!({"answer": "\u{9b}2J\u{1b}[0m\u{202e} \u{e0041} é 角 \\ \""});
        let json = escape_unprintable(&serde_json::to_string(&value).unwrap());
        assert!(!json.chars().any(is_unprintable), "{json}");
        assert_eq!(serde_json::from_str::<serde_json::Value>(&json).unwrap(), value);
        assert!(json.contains("é 角"), "{json}");
    }
}
