//! JSON lines: the reader and the writer that every JSONL format of Conclave shares.
//!
//! A bad line is reported with its number and reading goes on; nothing is dropped silently.

use std::fmt;
use std::io::{self, BufRead, Write};
use std::marker::PhantomData;

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A line of a JSONL file that could not be used, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineError {
    /// Line number, from 1.
    pub line: u64,
    /// What was expected, what was found, and what to do about it.
    pub reason: String,
}

impl fmt::Display for LineError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.reason)
    }
}

impl std::error::Error for LineError {}

/// The values of a JSONL stream, one a line.
///
/// Blank lines are skipped (and counted), a UTF-8 byte order mark and CRLF line ends are accepted. A line that is not
/// UTF-8, not JSON or not a `T` gives a [`LineError`] and reading goes on after it; a failing reader gives one and ends.
pub struct JsonLines<R, T> {
    reader: R,
    line: u64,
    buffer: Vec<u8>,
    failed: bool,
    value: PhantomData<fn() -> T>,
}

impl<R: BufRead, T: DeserializeOwned> JsonLines<R, T> {
    /// Reads from `reader`, whose first line is line 1.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, buffer: Vec::new(), failed: false, value: PhantomData }
    }

    /// Number of the line read last, from 1 (0 before the first).
    pub fn line(&self) -> u64 {
        self.line
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for JsonLines<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.failed {
            self.buffer.clear();
            self.line += 1;
            match self.reader.read_until(b'\n', &mut self.buffer) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.failed = true;
                    let reason = format!("cannot read on: {error}");
                    return Some(Err(LineError { line: self.line, reason }));
                }
            }
            let mut bytes = self.buffer.as_slice();
            if self.line == 1 {
                bytes = bytes.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(bytes);
            }
            let bytes = bytes.trim_ascii();
            if !bytes.is_empty() {
                return Some(parse_line(bytes).map_err(|reason| LineError { line: self.line, reason }));
            }
        }
        None
    }
}

/// Parses one line that is not blank.
fn parse_line<T: DeserializeOwned>(bytes: &[u8]) -> Result<T, String> {
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
        let looks = if utf16 { "it looks like UTF-16; " } else { "" };
        format!("not UTF-8 at byte {}: {looks}convert the file to UTF-8", error.valid_up_to() + 1)
    })?;
    serde_json::from_str(text).map_err(|error| {
        // A line of JSONL is one JSON line: serde_json's "at line 1" would only confuse beside the file's line number.
        let message = error.to_string();
        let message = message.split(" at line 1 column ").next().unwrap_or_default();
        match error.classify() {
            serde_json::error::Category::Data => message.to_string(),
            _ => {
                format!("not JSON at column {}: {message} (expected one JSON object a line)", error.column())
            }
        }
    })
}

/// Writes `value` as one line of JSON.
///
/// # Errors
/// What the writer reports: a full disk, a closed pipe.
pub fn write_json_line<W: Write, T: Serialize>(writer: &mut W, value: &T) -> io::Result<()> {
    // Serialised first, so that a value that cannot be serialised leaves no half line behind.
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    writer.write_all(&line)
}
