//! Input files: standard input as `-`, unpacked on the way, and lines that cannot be read: reported, counted, never dropped in
//! silence. What a line means is core's business, what a file is that of `conclave-files`.

use std::cell::RefCell;
use std::fs::File;
use std::io::{self, BufRead, BufReader, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use conclave_core::sample_set::LineError;
use conclave_disk::stop;

use crate::messages::{count, say, visible, visible_clipped};
use crate::{Outcome, UsageError};

/// Characters of a reason that a message shows: it may quote the line.
const SHOWN_REASON: usize = 400;

/// Messages of one kind about one input, and kinds.
const MOST_ALIKE: u64 = 10;
const MOST_KINDS: usize = 10;

/// Bytes of a stream that are read at once.
const PIECE: usize = 1 << 16;

/// How often a wish to stop is looked for where nothing comes.
const LOOK_EVERY: Duration = Duration::from_millis(50);

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
    /// Inputs that were not read at all.
    refused: u64,
    /// Whether a shard is read, of which an input may have no line.
    is_shard: bool,
    /// The input that is being read, and the lines before it.
    name: String,
    before: u64,
    /// Kinds of reasons why lines of it could not be read, and how often each.
    reasons: Vec<(String, u64)>,
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

    /// Whether it is standard input.
    pub fn is_standard_input(&self) -> bool {
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
        let Opened { reader, failure } = self.open()?;
        tally.begin(self);
        for item in parse(reader) {
            if stop::is_requested() {
                return Ok(());
            }
            match item {
                Ok(item) => {
                    tally.good();
                    each(item)?;
                }
                Err(error) => tally.bad(error.line, &error.reason),
            }
        }
        tally.end(&failure);
        Ok(())
    }

    /// Opens the source and unpacks it on the way.
    pub fn open(&self) -> Result<Opened> {
        let name = self.name();
        let file: Box<dyn Read> = match self.is_standard_input() {
            true => Box::new(Awaited::new(io::stdin())),
            false => {
                let file = File::open(&self.path).with_context(|| format!("cannot read `{name}`"))?;
                let is_file = file.metadata().is_ok_and(|metadata| metadata.is_file());
                if is_file { Box::new(file) } else { Box::new(Awaited::new(file)) }
            }
        };
        let packed = Box::new(BufReader::with_capacity(1 << 16, file));
        let unpacked = conclave_files::unpack(packed, &self.argument)
            .with_context(|| format!("cannot read `{name}`"))?;
        if let Some(encoding) = unpacked.encoding {
            say(&format!("{name}: {encoding}, read as UTF-8"));
        }
        let failure = Failure::default();
        let reader = StopsAtError { reader: unpacked.reader, failure: failure.clone() };
        Ok(Opened { reader: Box::new(reader), failure })
    }

    /// The file itself, where it is one and begins like this: for formats that are not read from front to back.
    pub fn open_beginning(&self, magic: &[u8]) -> Result<Option<File>> {
        if self.is_standard_input() || !self.path.is_file() {
            return Ok(None);
        }
        let open = || -> io::Result<Option<File>> {
            let mut file = File::open(&self.path)?;
            let mut start = Vec::new();
            Read::by_ref(&mut file).take(magic.len() as u64).read_to_end(&mut start)?;
            file.seek(SeekFrom::Start(0))?;
            Ok((start == magic).then_some(file))
        };
        open().with_context(|| format!("cannot read `{}`", self.name()))
    }
}

/// A source that is being read.
pub struct Opened {
    /// Its bytes, unpacked, up to the first error.
    pub reader: Box<dyn BufRead>,
    /// That error.
    pub failure: Failure,
}

/// A stream that may keep its reader waiting for ever, such as a terminal or a pipe. It is read by another thread, so that a wish
/// to stop ends it.
struct Awaited {
    pieces: Receiver<io::Result<Vec<u8>>>,
    piece: Vec<u8>,
    /// Bytes of `piece` that were given.
    given: usize,
}

impl Awaited {
    fn new(mut stream: impl Read + Send + 'static) -> Self {
        let (sender, pieces) = sync_channel(4);
        std::thread::spawn(move || {
            loop {
                let mut piece = vec![0; PIECE];
                let read = stream.read(&mut piece);
                let is_interrupted =
                    matches!(&read, Err(error) if error.kind() == io::ErrorKind::Interrupted);
                if is_interrupted {
                    continue;
                }
                let is_last = matches!(read, Ok(0) | Err(_));
                let piece = read.map(|length| {
                    piece.truncate(length);
                    piece
                });
                // Nobody reads any more.
                if sender.send(piece).is_err() || is_last {
                    return;
                }
            }
        });
        Self { pieces, piece: Vec::new(), given: 0 }
    }
}

impl Read for Awaited {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        while self.given == self.piece.len() {
            match self.pieces.recv_timeout(LOOK_EVERY) {
                Ok(piece) => (self.piece, self.given) = (piece?, 0),
                Err(RecvTimeoutError::Timeout) if !stop::is_requested() => continue,
                Err(_) => return Ok(0),
            }
            if self.piece.is_empty() {
                return Ok(0);
            }
        }
        let read = (&self.piece[self.given..]).read(buffer)?;
        self.given += read;
        Ok(read)
    }
}

/// The error that ended a stream, if any.
#[derive(Clone, Debug, Default)]
pub struct Failure(Rc<RefCell<Option<io::Error>>>);

impl Failure {
    /// Takes the error, where there is one.
    pub fn take(&self) -> Option<io::Error> {
        self.0.take()
    }
}

impl Tally {
    /// A tally of what is read, or of a shard of it.
    pub fn new(is_shard: bool) -> Self {
        Self { is_shard, ..Self::default() }
    }

    /// Begins with a source.
    pub fn begin(&mut self, source: &Source) {
        self.name = source.name();
        self.before = self.lines;
        self.reasons.clear();
    }

    /// Counts a line that could be read.
    pub fn good(&mut self) {
        self.lines += 1;
    }

    /// Counts a line that could not be read, and says why, as often as that helps.
    pub fn bad(&mut self, line: u64, reason: &str) {
        self.lines += 1;
        self.bad += 1;
        let kind = kind(reason);
        let known = self.reasons.iter_mut().find(|(known, _)| *known == kind);
        let times = match known {
            Some((_, times)) => {
                *times += 1;
                *times
            }
            None => {
                self.reasons.push((kind, 1));
                1
            }
        };
        // Of very many kinds too, no more is said than somebody reads.
        if times <= MOST_ALIKE && self.reasons.len() <= MOST_KINDS {
            say(&format!("{}:{line}: {}", self.name, visible_clipped(reason, SHOWN_REASON)));
        }
    }

    /// Counts a source that is no file for this, and says why.
    pub fn refuse(&mut self, source: &Source, reason: &str) {
        self.refused += 1;
        say(&format!("{}: {}", source.name(), visible_clipped(reason, SHOWN_REASON)));
    }

    /// Ends a source, which may have broken off.
    pub fn end(&mut self, failure: &Failure) {
        let said = |times: u64| times.min(MOST_ALIKE);
        let unsaid: u64 = self
            .reasons
            .iter()
            .enumerate()
            .map(|(at, (_, times))| if at < MOST_KINDS { times - said(*times) } else { *times })
            .sum();
        if unsaid > 0 {
            say(&format!("{}: {} like these", self.name, count(unsaid, "more line")));
        }
        let lines = self.lines - self.before;
        if let Some(error) = failure.take() {
            self.broken += 1;
            let lines = count(lines, "line");
            say(&format!("{}: cannot be read on after {lines}: {error} (is the file cut off?)", self.name));
        } else if lines == 0 && !self.is_shard {
            say(&format!("{}: has no lines", self.name));
        }
    }

    /// Whether there was something to read and none of it could be used: then nothing may replace an earlier output.
    pub fn is_hopeless(&self) -> bool {
        self.bad == self.lines && self.unreadable() > 0
    }

    /// Lines that could not be read, with files that could not be read to their end, or at all.
    pub fn unreadable(&self) -> u64 {
        self.bad + self.broken + self.refused
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
        if self.unreadable() > 0 { Outcome::Incomplete } else { Outcome::Done }
    }
}

/// What a reason says without what differs from line to line: numbers, and what it quotes.
fn kind(reason: &str) -> String {
    let quoted = reason.split('`').step_by(2);
    quoted.flat_map(str::chars).filter(|character| !character.is_ascii_digit()).take(80).collect()
}

/// Ends the stream at the first error, which is kept for the one who opened it, so that a broken stream is told from
/// a bad line and read no further.
struct StopsAtError {
    reader: Box<dyn BufRead>,
    failure: Failure,
}

impl StopsAtError {
    fn end<T>(&self, error: io::Error, end: T) -> io::Result<T> {
        if error.kind() == io::ErrorKind::Interrupted {
            return Err(error);
        }
        *self.failure.0.borrow_mut() = Some(error);
        Ok(end)
    }
}

impl Read for StopsAtError {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.failure.0.borrow().is_some() {
            return Ok(0);
        }
        self.reader.read(buffer).or_else(|error| self.end(error, 0))
    }
}

impl BufRead for StopsAtError {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        if self.failure.0.borrow().is_some() {
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
