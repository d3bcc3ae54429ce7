//! Input files: standard input as `-`, gzip, and lines that cannot be read: reported, counted, never dropped in
//! silence. What a line means is core's business.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::rc::Rc;

use anyhow::{Context, Result, bail};
use conclave_core::sample_set::LineError;
use flate2::bufread::MultiGzDecoder;

use crate::messages::{count, say, visible, visible_clipped};
use crate::{Outcome, UsageError};

/// Characters of a reason that a message shows: it may quote the line.
const SHOWN_REASON: usize = 400;

/// One input, as named on the command line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Source {
    path: PathBuf,
    argument: String,
}

/// What has been read so far.
#[derive(Debug, Default)]
pub struct Tally {
    /// Lines that are not blank.
    lines: u64,
    /// Of these, the ones that could not be read.
    bad: u64,
    /// Inputs that broke off.
    broken: u64,
}

impl Source {
    /// The sources behind the arguments. All must exist before any is read: a misspelled name should not be found
    /// after an hour of work.
    pub fn resolve(paths: &[PathBuf]) -> Result<Vec<Source>> {
        let source =
            |path: &PathBuf| Source { path: path.clone(), argument: path.to_string_lossy().into_owned() };
        let sources: Vec<Source> = paths.iter().map(source).collect();
        if sources.iter().filter(|source| source.is_standard_input()).count() > 1 {
            bail!(UsageError("`-` (standard input) can be read only once; give it once".to_owned()));
        }
        for source in sources.iter().filter(|source| !source.is_standard_input()) {
            let metadata = std::fs::metadata(&source.path);
            let metadata = metadata.with_context(|| {
                format!("cannot read `{}` (is the name right? `-` is standard input)", source.name())
            })?;
            if metadata.is_dir() {
                bail!(
                    "cannot read `{0}`: it is a directory; give its files, as in `{0}/*.jsonl`",
                    source.name()
                );
            }
        }
        Ok(sources)
    }

    fn is_standard_input(&self) -> bool {
        self.path == Path::new("-")
    }

    /// The name as it was given.
    pub fn argument(&self) -> &str {
        &self.argument
    }

    /// The name in messages.
    pub fn name(&self) -> String {
        if self.is_standard_input() { "<stdin>".to_owned() } else { visible(&self.argument) }
    }

    /// Reads the source to its end with `parse` (from core), handing each item to `each`. A line that cannot be read
    /// is reported as `file:line: reason`, and reading goes on behind it. Errors are those of opening and of `each`.
    pub fn read<T, I>(
        &self,
        tally: &mut Tally,
        parse: impl FnOnce(Box<dyn BufRead>) -> I,
        mut each: impl FnMut(T) -> Result<()>,
    ) -> Result<()>
    where
        I: Iterator<Item = std::result::Result<T, LineError>>,
    {
        let name = self.name();
        let failure = Rc::new(RefCell::new(None));
        let opened = self.open().with_context(|| format!("cannot read `{name}`"))?;
        let reader = StopsAtError { reader: opened, failure: Rc::clone(&failure) };
        let before = tally.lines;
        for item in parse(Box::new(reader)) {
            tally.lines += 1;
            match item {
                Ok(item) => each(item)?,
                Err(LineError { line, reason, .. }) => {
                    tally.bad += 1;
                    say(&format!("{name}:{line}: {}", visible_clipped(&reason, SHOWN_REASON)));
                }
            }
        }
        if let Some(error) = failure.take() {
            tally.broken += 1;
            let lines = count(tally.lines - before, "line");
            say(&format!("{name}: cannot be read on after {lines}: {error} (is the file cut off?)"));
        } else if tally.lines == before {
            say(&format!("{name}: has no lines"));
        }
        Ok(())
    }

    fn open(&self) -> io::Result<Box<dyn BufRead>> {
        let mut reader: BufReader<Box<dyn Read>> = if self.is_standard_input() {
            BufReader::new(Box::new(io::stdin()))
        } else {
            BufReader::with_capacity(1 << 16, Box::new(File::open(&self.path)?))
        };
        let start = reader.fill_buf()?;
        // A name that ends in .gz promises gzip; standard input has no name, so its first bytes speak. (JSON cannot
        // start with them.) A file of zero bytes holds no lines, whatever its name.
        let zipped = start.starts_with(&[0x1f, 0x8b])
            || (!start.is_empty() && self.path.extension().is_some_and(|extension| extension == "gz"));
        Ok(if zipped {
            Box::new(BufReader::with_capacity(1 << 16, MultiGzDecoder::new(reader)))
        } else {
            Box::new(reader)
        })
    }
}

impl Tally {
    /// Whether there was something to read and none of it could be used: then nothing may replace an earlier output.
    pub fn is_hopeless(&self) -> bool {
        self.bad == self.lines && self.bad + self.broken > 0
    }

    /// Ends a command: says how many lines could not be read, if any.
    pub fn finish(&self) -> Outcome {
        if self.is_hopeless() && self.bad > 1 {
            let hint = "is it a file for this command, with one JSON object a line?";
            say(&format!("none of {} could be read: {hint}", count(self.lines, "line")));
        } else if self.bad > 0 {
            say(&format!("{} of {} could not be read", self.bad, count(self.lines, "line")));
        }
        if self.broken > 0 {
            say(&format!("{} broke off and could not be read to the end", count(self.broken, "file")));
        }
        if self.bad + self.broken > 0 { Outcome::Incomplete } else { Outcome::Done }
    }
}

/// Ends the stream at the first error, which is kept for the one who opened it, so that a broken stream is told from
/// a bad line and read no further.
struct StopsAtError {
    reader: Box<dyn BufRead>,
    failure: Rc<RefCell<Option<io::Error>>>,
}

impl StopsAtError {
    fn end<T>(&self, error: io::Error, end: T) -> io::Result<T> {
        if error.kind() == io::ErrorKind::Interrupted {
            return Err(error);
        }
        *self.failure.borrow_mut() = Some(error);
        Ok(end)
    }
}

impl Read for StopsAtError {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.borrow().is_some() {
            return Ok(0);
        }
        self.reader.read(buffer).or_else(|error| self.end(error, 0))
    }
}

impl BufRead for StopsAtError {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.failure.borrow().is_some() {
            return Ok(&[]);
        }
        // Asked for twice because of the borrow checker: the second call answers from the buffer.
        if let Err(error) = self.reader.fill_buf() {
            return self.end(error, &[]);
        }
        self.reader.fill_buf()
    }

    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
    }
}
