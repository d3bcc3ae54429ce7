//! Where results go: standard output, or a file that appears under its name only when it is complete.
//! What the results look like is the commands' business.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::Serialize;

use crate::Outcome;
use crate::input::Tally;
use crate::messages::{is_unprintable, say};

/// Whoever read our standard output has closed it.
#[derive(Debug)]
pub struct ClosedPipe;

impl std::fmt::Display for ClosedPipe {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("standard output was closed")
    }
}

impl std::error::Error for ClosedPipe {}

/// A sink of lines. Nothing is complete before [`Output::finish`]; an output dropped without it leaves no file behind.
pub struct Output {
    writer: Box<dyn Write>,
    /// How messages name this output.
    name: String,
    partial: Option<Partial>,
}

/// The file that is written, and the name that it gets in the end.
struct Partial {
    file: File,
    path: PathBuf,
    target: PathBuf,
    finished: bool,
}

impl Output {
    /// Opens `out`; without one, or for `-`, standard output.
    pub fn open(out: Option<&Path>) -> Result<Self> {
        match out {
            None => Ok(Self::standard_output()),
            Some(path) if path == Path::new("-") => Ok(Self::standard_output()),
            Some(path) => Self::file(path),
        }
    }

    fn standard_output() -> Self {
        let stdout = io::stdout();
        // Someone who watches wants each line at once; a pipe wants large writes.
        let writer: Box<dyn Write> =
            if stdout.is_terminal() { Box::new(stdout) } else { Box::new(BufWriter::new(stdout.lock())) };
        Output { writer, name: "standard output".to_owned(), partial: None }
    }

    fn file(path: &Path) -> Result<Self> {
        let name = format!("`{}`", path.display());
        let target = resolve_link(path);
        if target.is_dir() {
            bail!("cannot write {name}: it is a directory; name a file in it");
        }
        if !is_replaceable(&target) {
            let file = OpenOptions::new().write(true).open(&target);
            let file = file.with_context(|| format!("cannot write {name}"))?;
            return Ok(Output { writer: Box::new(BufWriter::new(file)), name, partial: None });
        }
        let path = partial_path(&target);
        let partial_name = format!("`{}`", path.display());
        // Not truncated before it is ours: another run may be writing it.
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file =
            file.with_context(|| format!("cannot create {partial_name} (does its directory exist?)"))?;
        lock(&file, &path)?;
        file.set_len(0).with_context(|| format!("cannot write {partial_name}"))?;
        let writer = file.try_clone().with_context(|| format!("cannot write {partial_name}"))?;
        let partial = Partial { file, path, target, finished: false };
        Ok(Output { writer: Box::new(BufWriter::new(writer)), name, partial: Some(partial) })
    }

    /// Writes one line of text.
    pub fn line(&mut self, line: &str) -> Result<()> {
        let written = self.writer.write_all(line.as_bytes()).and_then(|()| self.writer.write_all(b"\n"));
        written.map_err(|error| self.failure(error))
    }

    /// Writes what is no text of lines: a picture.
    pub fn bytes(&mut self, bytes: &[u8]) -> Result<()> {
        self.writer.write_all(bytes).map_err(|error| self.failure(error))
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
    /// and what could not be read. Where nothing of the input could be used, an earlier file keeps its place.
    pub fn finish_after(self, tally: &Tally, summary: Option<String>) -> Result<Outcome> {
        if !tally.is_hopeless() {
            self.finish()?;
            summary.iter().for_each(|summary| say(summary));
        } else if self.partial.is_some() {
            say(&format!("{} is not written: there is nothing to write", self.name));
        }
        Ok(tally.finish())
    }

    /// Hands on what has been written so far.
    pub fn flush(&mut self) -> Result<()> {
        self.writer.flush().map_err(|error| self.failure(error))
    }

    /// Completes the output: everything is on disk, and the file has its name.
    pub fn finish(mut self) -> Result<()> {
        self.flush()?;
        if let Some(partial) = &mut self.partial {
            let renamed =
                partial.file.sync_all().and_then(|()| std::fs::rename(&partial.path, &partial.target));
            renamed.with_context(|| {
                format!("cannot complete `{}` from `{}`", partial.target.display(), partial.path.display())
            })?;
            partial.finished = true;
        }
        Ok(())
    }

    fn failure(&self, error: io::Error) -> anyhow::Error {
        if self.partial.is_none() && error.kind() == io::ErrorKind::BrokenPipe {
            return anyhow::Error::new(ClosedPipe);
        }
        let kept = self.partial.as_ref().is_some_and(|partial| partial.target.exists());
        let kept = if kept { " (the file is as it was before)" } else { "" };
        anyhow::Error::new(error).context(format!("cannot write {}{kept}", self.name))
    }
}

impl Drop for Partial {
    fn drop(&mut self) {
        if !self.finished {
            // It cannot be continued, and on a full disk its space is wanted.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Whether a file can take the place of `path` when it is complete. A device or a named pipe is written directly.
/// (A directory can be neither; it is refused when it is opened.)
pub fn is_replaceable(path: &Path) -> bool {
    path.metadata().map_or(true, |metadata| metadata.is_file() || metadata.is_dir())
}

/// What a link points to, so that a rename replaces that and not the link.
pub fn resolve_link(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

/// `FILE.partial`, beside `FILE`, so that the rename stays on one file system.
pub fn partial_path(target: &Path) -> PathBuf {
    let mut name = target.as_os_str().to_owned();
    name.push(".partial");
    PathBuf::from(name)
}

/// Takes the file for this process, so that two runs cannot mix their lines.
pub fn lock(file: &File, path: &Path) -> Result<()> {
    match file.try_lock() {
        // Not every file system knows locks; there the name alone has to do.
        Ok(()) | Err(std::fs::TryLockError::Error(_)) => Ok(()),
        Err(std::fs::TryLockError::WouldBlock) => {
            bail!("another run is writing `{}`; wait for it or choose another --out", path.display())
        }
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

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        std::fs::write(&path, "before\n").unwrap();

        let mut output = Output::open(Some(&path)).unwrap();
        output.line("dropped").unwrap();
        assert!(partial_path(&path).exists());
        drop(output);
        assert!(!partial_path(&path).exists());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n");

        let mut output = Output::open(Some(&path)).unwrap();
        output.json_line(&[1, 2]).unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n");
        output.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[1,2]\n");
        assert!(!partial_path(&path).exists());
    }

    #[test]
    fn two_runs_do_not_share_a_file() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("rows.jsonl");
        let first = Output::open(Some(&path)).unwrap();
        let second = Output::open(Some(&path)).map(|_| ()).unwrap_err();
        assert!(second.to_string().contains("another run is writing"), "{second}");
        // The loser does not take the winner's file away.
        assert!(partial_path(&path).exists());
        first.finish().unwrap();
        assert!(path.exists());
    }
}
