//! JSON lines: the reader and the writer that every JSONL format of Conclave shares.
//!
//! A bad line is reported with its number and reading goes on; nothing is dropped silently.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufRead, Write};

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
/// Blank lines are skipped (and counted), a UTF-8 byte order mark and the line ends of Windows and of old Macs are accepted, and
/// several values on a line are read one after another. What Python writes beside JSON is read too, see [`parse_json`]. A line
/// that is not UTF-8, not JSON or not a `T` gives a [`LineError`] and reading goes on after it; a failing reader gives one
/// and ends.
pub struct JsonLines<R, T> {
    reader: R,
    line: u64,
    /// What ends a line; not known before the first.
    end: Option<u8>,
    buffer: Vec<u8>,
    failed: bool,
    /// The values that stand behind the first of their line.
    more: VecDeque<T>,
}

impl<R: BufRead, T: DeserializeOwned> JsonLines<R, T> {
    /// Reads from `reader`, whose first line is line 1.
    pub fn new(reader: R) -> Self {
        Self { reader, line: 0, end: None, buffer: Vec::new(), failed: false, more: VecDeque::new() }
    }

    /// Number of the line read last, from 1 (0 before the first).
    pub fn line(&self) -> u64 {
        self.line
    }

    fn read_line(&mut self) -> io::Result<usize> {
        let end = match self.end {
            Some(end) => end,
            None => *self.end.insert(line_end(self.reader.fill_buf()?)),
        };
        self.reader.read_until(end, &mut self.buffer)
    }
}

impl<R: BufRead, T: DeserializeOwned> Iterator for JsonLines<R, T> {
    type Item = Result<T, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        if let Some(value) = self.more.pop_front() {
            return Some(Ok(value));
        }
        while !self.failed {
            self.buffer.clear();
            self.line += 1;
            match self.read_line() {
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
                let value = parse_line(bytes, &mut self.more);
                return Some(value.map_err(|reason| LineError { line: self.line, reason }));
            }
        }
        None
    }
}

/// What ends the lines of a text that begins like this: a carriage return alone where the first line ends so.
pub fn line_end(start: &[u8]) -> u8 {
    let mut bytes = start.iter().skip_while(|byte| !matches!(byte, b'\n' | b'\r'));
    match (bytes.next(), bytes.next()) {
        (Some(b'\r'), Some(b'\n')) => b'\n',
        (Some(b'\r'), _) => b'\r',
        _ => b'\n',
    }
}

/// Parses one line that is not blank. What stands behind its first value goes to `more`.
fn parse_line<T: DeserializeOwned>(bytes: &[u8], more: &mut VecDeque<T>) -> Result<T, String> {
    let text = utf8(bytes)?;
    let error = match parse_json(text) {
        Ok(value) => return Ok(value),
        Err(error) => error,
    };
    // A line of JSONL is one JSON line: serde_json's "at line 1" would only confuse beside the file's line number.
    let message = error.to_string();
    let message = message.split(" at line 1 column ").next().unwrap_or_default();
    if error.classify() == serde_json::error::Category::Data {
        return Err(message.to_string());
    }
    if let Some(mut values) = several(text).filter(|values| values.len() > 1) {
        let first = values.pop_front();
        more.extend(values);
        if let Some(first) = first {
            return Ok(first);
        }
    }
    Err(format!("not JSON at column {}: {message} (expected one JSON object a line)", error.column()))
}

/// The text of bytes.
///
/// # Errors
/// Which byte is no UTF-8, what the text may be instead, and what to do.
pub fn utf8(bytes: &[u8]) -> Result<&str, String> {
    std::str::from_utf8(bytes).map_err(|error| {
        let at = error.valid_up_to();
        let byte = bytes.get(at).copied().unwrap_or_default();
        let utf16 = bytes.starts_with(b"\xFF\xFE") || bytes.starts_with(b"\xFE\xFF");
        let looks = match (utf16, error.error_len()) {
            (true, _) => "it looks like UTF-16; ",
            (false, Some(_)) => "it looks like Latin-1 or Windows-1252; ",
            (false, None) => "",
        };
        format!("not UTF-8 at byte {} (0x{byte:02X}): {looks}convert the file to UTF-8", at + 1)
    })
}

/// Parses JSON, and what Python's `json` writes beside it: `NaN`, `Infinity` and `-Infinity` are read as null, and half of a
/// surrogate pair (`\ud83d`) as U+FFFD. Strict JSON is parsed once and costs nothing more.
///
/// # Errors
/// What serde_json says.
pub fn parse_json<T: DeserializeOwned>(text: &str) -> Result<T, serde_json::Error> {
    serde_json::from_str(text).or_else(|error| match mended(text) {
        Some(mended) => serde_json::from_str(&mended),
        None => Err(error),
    })
}

/// The values of a line, where it is nothing but values.
fn several<T: DeserializeOwned>(text: &str) -> Option<VecDeque<T>> {
    let mended = mended(text);
    let text = mended.as_deref().unwrap_or(text);
    serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().ok()
}

/// The text with Python's numbers as null and halves of surrogate pairs replaced; nothing where there are none.
fn mended(text: &str) -> Option<String> {
    let mut mended = String::new();
    let (mut copied, mut at, mut in_string) = (0, 0, false);
    let bytes = text.as_bytes();
    while let Some(&byte) = bytes.get(at) {
        let rest = &bytes[at..];
        let (length, instead) = match byte {
            b'\\' if in_string => match half(rest) {
                Some(true) => (6, Some("\\ufffd")),
                Some(false) => (12, None),
                None => (2, None),
            },
            b'"' => {
                in_string = !in_string;
                (1, None)
            }
            b'N' | b'I' | b'-' if !in_string => {
                let names: [&[u8]; 3] = [b"NaN", b"Infinity", b"-Infinity"];
                match names.iter().find(|name| rest.starts_with(name)) {
                    Some(name) => (name.len(), Some("null")),
                    None => (1, None),
                }
            }
            _ => (1, None),
        };
        if let Some(instead) = instead {
            mended.push_str(text.get(copied..at)?);
            mended.push_str(instead);
            copied = at + length;
        }
        at += length;
    }
    mended.push_str(text.get(copied..)?);
    (copied > 0).then_some(mended)
}

/// Whether an escape is half of a surrogate pair (true) or a whole one (false); nothing where it is another.
fn half(escape: &[u8]) -> Option<bool> {
    let unit = |bytes: &[u8]| {
        let digits = bytes.strip_prefix(b"\\u")?.get(..4)?;
        u16::from_str_radix(std::str::from_utf8(digits).ok()?, 16).ok()
    };
    match unit(escape)? {
        0xD800..=0xDBFF => {
            let second = escape.get(6..).and_then(unit);
            Some(!second.is_some_and(|second| (0xDC00..=0xDFFF).contains(&second)))
        }
        0xDC00..=0xDFFF => Some(true),
        _ => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn read(text: &[u8]) -> Vec<Result<Value, LineError>> {
        JsonLines::new(text).collect()
    }

    fn values(text: &[u8]) -> Vec<Value> {
        read(text).into_iter().collect::<Result<_, _>>().unwrap()
    }

    #[test]
    fn what_python_writes_is_read() {
        let line = br#"{"a": NaN, "b": [-Infinity, Infinity, -1], "c": "NaN \ud83d \" \ud83d\ude00 \ude00 -Infinity"}"#;
        let expected =
            json!({"a": null, "b": [null, null, -1], "c": "NaN \u{fffd} \" \u{1f600} \u{fffd} -Infinity"});
        assert_eq!(values(line), [expected]);
        let bad = read(b"{\"a\": NaN,}\n[1]\n");
        assert!(bad[0].as_ref().unwrap_err().reason.starts_with("not JSON at column"), "{bad:?}");
        assert_eq!(bad[1], Ok(json!([1])));
    }

    #[test]
    fn several_values_on_a_line_and_other_line_ends() {
        assert_eq!(values(b"{\"a\":1}{\"a\":2} {\"a\":NaN}\n3\n").len(), 4);
        assert_eq!(values(b"{\"a\":1}\r{\"a\":2}\r"), [json!({"a": 1}), json!({"a": 2})]);
        assert_eq!(values(b"{\"a\":1}\r\n{\"a\":2}\r\n").len(), 2);
        let mixed = read(b"1\r{]\r3");
        assert_eq!(mixed[1].as_ref().unwrap_err().line, 2);
        assert_eq!(mixed.len(), 3);
        assert!(read(b"{\"a\":1}{\"a\":\n")[0].is_err());
    }

    #[test]
    fn other_encodings_are_named() {
        let reason = |bytes: &[u8]| read(bytes)[0].as_ref().unwrap_err().reason.clone();
        assert!(reason(b"\"caf\xe9\"").starts_with("not UTF-8 at byte 5 (0xE9): it looks like Latin-1"));
        assert!(reason(b"\xFF\xFE{\0").contains("UTF-16"));
    }
}
