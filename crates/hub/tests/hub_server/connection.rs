//! One connection of the hub: a request read, an answer written.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::TcpStream;

use serde_json::Value;

use super::{Fault, StoredFile};

/// The head of a request.
pub struct Head {
    pub method: String,
    pub target: String,
    headers: Vec<(String, String)>,
}

impl Head {
    /// Reads a request, which has no body.
    pub fn read(stream: &TcpStream) -> Option<Self> {
        let mut lines = BufReader::new(stream).lines();
        let first = lines.next()?.ok()?;
        let mut words = first.split(' ');
        let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
        let mut headers = Vec::new();
        for line in lines {
            let line = line.ok()?;
            let Some((name, value)) = line.split_once(':') else { break };
            headers.push((name.to_ascii_lowercase(), value.trim().to_owned()));
        }
        Some(Self { method, target, headers })
    }

    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }

    /// The first byte of `Range: bytes=N-`.
    pub fn range_from(&self) -> u64 {
        let range = self
            .header("range")
            .and_then(|range| range.strip_prefix("bytes=")?.strip_suffix('-')?.parse().ok());
        range.unwrap_or(0)
    }
}

/// Writes an answer, with what is to go wrong with it.
pub struct Reply<'r> {
    pub stream: &'r TcpStream,
    pub is_head: bool,
    pub fault: Option<Fault>,
}

impl Reply<'_> {
    /// A text.
    pub fn text(&self, status: u16, headers: &str, text: &str) -> io::Result<()> {
        self.head(status, text.len() as u64, headers)?;
        if self.is_head { Ok(()) } else { self.stream().write_all(text.as_bytes()) }
    }

    /// A JSON value.
    pub fn json(&self, value: &Value) -> io::Result<()> {
        self.text(200, "Content-Type: application/json\r\n", &value.to_string())
    }

    /// A file from its byte `from` on.
    pub fn file(&self, file: &StoredFile, from: u64, headers: &str) -> io::Result<()> {
        let from = if matches!(self.fault, Some(Fault::IgnoreRange)) { 0 } else { from };
        if from > 0 && from >= file.size {
            return self.text(416, &format!("Content-Range: bytes */{}\r\n", file.size), "");
        }
        let length = file.size - from;
        if from > 0 {
            let range = format!("Content-Range: bytes {from}-{}/{}\r\n", file.size - 1, file.size);
            self.head(206, length, &format!("{headers}{range}"))?;
        } else {
            self.head(200, length, headers)?;
        }
        if self.is_head {
            return Ok(());
        }
        match self.fault {
            Some(Fault::Cut(bytes)) => self.copy(&mut file.open(from)?.take(bytes)),
            Some(Fault::Stall(bytes)) => {
                self.copy(&mut file.open(from)?.take(bytes))?;
                self.stream().read(&mut [0]).map(drop)
            }
            Some(Fault::Damage) => self.copy(&mut io::repeat(b'x').take(length)),
            _ => self.copy(&mut file.open(from)?),
        }
    }

    fn head(&self, status: u16, length: u64, headers: &str) -> io::Result<()> {
        let head =
            format!("HTTP/1.1 {status} -\r\nContent-Length: {length}\r\nConnection: close\r\n{headers}\r\n");
        self.stream().write_all(head.as_bytes())
    }

    fn copy(&self, reader: &mut impl Read) -> io::Result<()> {
        io::copy(reader, &mut self.stream()).and_then(|_| self.stream().flush())
    }

    fn stream(&self) -> &TcpStream {
        self.stream
    }
}
