//! HTTP/1.1 (RFC 9112), the reading half: the head of an answer, and its body by length, in chunks or to the end.
//! Here are bytes alone; where they come from is `connection`.

use crate::error::ErrorKind;
use crate::transport::TransportError;

/// Most bytes of a head.
const MAX_HEAD: usize = 64 << 10;

/// Most bytes of a line between chunks.
const MAX_LINE: usize = 4 << 10;

type Result<T, E = TransportError> = std::result::Result<T, E>;

/// The status and the headers of an answer.
#[derive(Debug, PartialEq, Eq)]
pub struct Head {
    pub status: u16,
    pub headers: Vec<(String, String)>,
}

impl Head {
    fn values<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a str> {
        let named = self.headers.iter().filter(move |(header, _)| header.eq_ignore_ascii_case(name));
        named.map(|(_, value)| value.as_str())
    }
}

/// The head at the beginning of `bytes` and its length; `None` where it is not all there yet.
pub fn head(bytes: &[u8]) -> Result<Option<(Head, usize)>> {
    let window = &bytes[..bytes.len().min(MAX_HEAD)];
    let Some((text, length)) = blank_line(window) else {
        let starts_well = bytes.starts_with(&b"HTTP/"[..bytes.len().min(5)]);
        return match () {
            () if !starts_well => Err(malformed("its answer does not begin with HTTP/")),
            () if bytes.len() >= MAX_HEAD => Err(malformed("its headers have no end")),
            () => Ok(None),
        };
    };
    let text = String::from_utf8_lossy(text);
    let mut lines = text.split('\n').map(|line| line.strip_suffix('\r').unwrap_or(line));
    let status = status(lines.next().unwrap_or_default())
        .ok_or_else(|| malformed("its answer does not begin with HTTP/1.1 and a status"))?;
    let mut headers = Vec::new();
    for line in lines.filter(|line| !line.is_empty()) {
        let (name, value) =
            line.split_once(':').ok_or_else(|| malformed("it sends a header without a colon"))?;
        headers.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(Some((Head { status, headers }, length)))
}

/// What stands before the first blank line, and the length with it.
fn blank_line(bytes: &[u8]) -> Option<(&[u8], usize)> {
    let mut begins = 0;
    loop {
        let end = begins + bytes[begins..].iter().position(|&byte| byte == b'\n')?;
        if matches!(&bytes[begins..end], b"" | b"\r") {
            return Some((&bytes[..begins], end + 1));
        }
        begins = end + 1;
    }
}

fn status(line: &str) -> Option<u16> {
    let (version, rest) = line.split_once(' ')?;
    let digits = rest.get(..3).filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    let ends = matches!(rest.as_bytes().get(3), None | Some(b' '));
    (matches!(version, "HTTP/1.1" | "HTTP/1.0") && ends).then(|| digits.parse().ok())?
}

/// Takes the framing off a body, in whatever pieces it comes.
#[derive(Debug)]
pub struct Decoder {
    framing: Framing,
    /// A line between chunks that is not all there yet.
    line: Vec<u8>,
}

#[derive(Debug, PartialEq, Eq)]
enum Framing {
    /// So many bytes are to come.
    Length(u64),
    /// Until the connection is closed.
    ToTheEnd,
    /// The line with the size of a chunk.
    ChunkSize,
    /// So many bytes of a chunk are to come.
    Chunk(u64),
    /// The line break behind a chunk.
    ChunkEnd,
    /// The lines behind the last chunk.
    Trailer,
    /// Nothing more.
    Done,
}

impl Decoder {
    /// For the body that belongs to `head`.
    pub fn new(head: &Head) -> Result<Self> {
        let mut codings = head.values("transfer-encoding").flat_map(|value| value.split(',')).map(str::trim);
        let framing = match (codings.next(), codings.next()) {
            _ if matches!(head.status, 204 | 304) => Framing::Done,
            (Some(coding), None) if coding.eq_ignore_ascii_case("chunked") => Framing::ChunkSize,
            (Some(_), _) => return Err(malformed("it sends a body in an encoding that was not asked for")),
            (None, _) => by_length(head)?,
        };
        let framing = if framing == Framing::Length(0) { Framing::Done } else { framing };
        Ok(Self { framing, line: Vec::new() })
    }

    /// Whether the body is complete.
    pub fn is_done(&self) -> bool {
        self.framing == Framing::Done
    }

    /// Reads `bytes` and adds what they carry to `body`.
    pub fn decode(&mut self, mut bytes: &[u8], body: &mut Vec<u8>) -> Result<()> {
        while !bytes.is_empty() {
            match self.framing {
                Framing::Done => return Ok(()),
                Framing::ToTheEnd => {
                    body.extend_from_slice(bytes);
                    return Ok(());
                }
                Framing::Length(left) | Framing::Chunk(left) => {
                    let taken = usize::try_from(left).unwrap_or(usize::MAX).min(bytes.len());
                    body.extend_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    self.framing = self.after(left - taken as u64);
                }
                Framing::ChunkSize | Framing::ChunkEnd | Framing::Trailer => {
                    let end = bytes.iter().position(|&byte| byte == b'\n');
                    let length = end.map_or(bytes.len(), |end| end + 1);
                    if self.line.len() + length > MAX_LINE {
                        return Err(malformed("a line between two chunks has no end"));
                    }
                    self.line.extend_from_slice(&bytes[..length]);
                    bytes = &bytes[length..];
                    if end.is_some() {
                        let line = std::mem::take(&mut self.line);
                        self.framing = self.after_line(line.trim_ascii())?;
                    }
                }
            }
        }
        Ok(())
    }

    /// The end of the connection: fine where the body says no more, or has no other end.
    pub fn end(&self) -> Result<()> {
        match self.framing {
            // The last chunk is there; some servers leave out the line behind it.
            Framing::Done | Framing::ToTheEnd | Framing::Trailer => Ok(()),
            _ => Err(TransportError::new(ErrorKind::Disconnected, "the body is not complete")),
        }
    }

    fn after(&self, left: u64) -> Framing {
        match (&self.framing, left) {
            (Framing::Length(_), 0) => Framing::Done,
            (Framing::Length(_), left) => Framing::Length(left),
            (_, 0) => Framing::ChunkEnd,
            (_, left) => Framing::Chunk(left),
        }
    }

    fn after_line(&self, line: &[u8]) -> Result<Framing> {
        match self.framing {
            Framing::ChunkSize => match chunk_size(line) {
                Some(0) => Ok(Framing::Trailer),
                Some(size) => Ok(Framing::Chunk(size)),
                None => Err(malformed("the size of a chunk is not a number")),
            },
            Framing::ChunkEnd if line.is_empty() => Ok(Framing::ChunkSize),
            Framing::ChunkEnd => Err(malformed("a chunk is longer than its size")),
            _ => Ok(if line.is_empty() { Framing::Done } else { Framing::Trailer }),
        }
    }
}

fn by_length(head: &Head) -> Result<Framing> {
    let mut lengths = head.values("content-length");
    let Some(length) = lengths.next() else { return Ok(Framing::ToTheEnd) };
    let same = lengths.all(|other| other == length);
    let digits = !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit());
    match length.parse() {
        Ok(length) if same && digits => Ok(Framing::Length(length)),
        _ => Err(malformed("the length of its body is not a number")),
    }
}

/// Hexadecimal digits; what stands behind a semicolon is of no interest.
fn chunk_size(line: &[u8]) -> Option<u64> {
    let digits = line.split(|&byte| byte == b';').next()?.trim_ascii();
    let digits = std::str::from_utf8(digits).ok()?;
    let is_hexadecimal = digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_hexadecimal { u64::from_str_radix(digits, 16).ok() } else { None }
}

fn malformed(what: &str) -> TransportError {
    TransportError::new(ErrorKind::Malformed, what)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// The body of a whole answer in pieces of `size`, and whether it is complete.
    fn body(answer: &[u8], size: usize) -> Result<(u16, Vec<u8>)> {
        let (head, length) = head(answer)?.ok_or_else(|| malformed("incomplete"))?;
        let (mut decoder, mut body) = (Decoder::new(&head)?, Vec::new());
        for piece in answer[length..].chunks(size) {
            decoder.decode(piece, &mut body)?;
        }
        decoder.end().map(|()| (head.status, body))
    }

    fn check(answer: &str, expected: std::result::Result<&str, &str>) {
        for size in [1, 2, 1000] {
            match (body(answer.as_bytes(), size), expected) {
                (Ok((200, body)), Ok(text)) => assert_eq!(body, text.as_bytes(), "{answer:?}"),
                (Err(error), Err(part)) => assert!(error.detail.contains(part), "{answer:?}: {error:?}"),
                (found, expected) => panic!("{answer:?}: {found:?}, expected {expected:?}"),
            }
        }
    }

    #[test]
    fn bodies_have_three_kinds_of_ends() {
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhellomore", Ok("hello"));
        check("HTTP/1.1 200\r\ncontent-length:0\r\n\r\n", Ok(""));
        check("HTTP/1.0 200 OK\n\nto the end", Ok("to the end"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(
            &format!("{chunked}5\r\nhello\r\n6;x=y\r\n world\r\n0\r\nTrailer: x\r\n\r\nmore"),
            Ok("hello world"),
        );
        check(&format!("{chunked}A\nhello worl\n0\n\n"), Ok("hello worl"));
        check(&format!("{chunked}0\r\n"), Ok(""));
    }

    #[test]
    fn broken_answers_are_named() {
        check("SSH-2.0-OpenSSH\r\n", Err("does not begin with HTTP/"));
        check("HTTP/2 200\r\n\r\n", Err("a status"));
        check("HTTP/1.1 2000 OK\r\n\r\n", Err("a status"));
        check("HTTP/1.1 OK\r\n\r\n", Err("a status"));
        check("HTTP/1.1 200 OK\r\nno colon\r\n\r\n", Err("without a colon"));
        check(&format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(MAX_HEAD)), Err("no end"));
        check("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nhello", Err("not complete"));
        check("HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello", Err("not a number"));
        check("HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello", Err("not a number"));
        check("HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n", Err("not asked for"));
        let chunked = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n";
        check(&format!("{chunked}5\r\nhel"), Err("not complete"));
        check(&format!("{chunked}5\r\nhello"), Err("not complete"));
        check(&format!("{chunked}5\r\nhello!\r\n"), Err("longer than its size"));
        check(&format!("{chunked}zz\r\n"), Err("not a number"));
        check(&format!("{chunked}\r\n"), Err("not a number"));
        check(&format!("{chunked}fffffffffffffffff\r\n"), Err("not a number"));
        check(&format!("{chunked}{}", "1".repeat(MAX_LINE + 1)), Err("no end"));
    }

    #[test]
    fn a_head_is_waited_for() {
        let whole = b"HTTP/1.1 429 Too Many\r\nRetry-After: 7\r\n\r\n";
        for length in 0..whole.len() {
            assert_eq!(head(&whole[..length]), Ok(None), "{length}");
        }
        let (found, length) = head(whole).unwrap().unwrap();
        assert_eq!((found.status, length), (429, whole.len()));
        assert_eq!(found.headers, [("Retry-After".to_owned(), "7".to_owned())]);
    }

    proptest! {
        #[test]
        fn any_bytes_in_any_pieces(bytes in prop::collection::vec(any::<u8>(), 0..200), size in 1usize..20) {
            for head in ["HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n", ""] {
                let answer = [head.as_bytes(), &bytes].concat();
                prop_assert_eq!(body(&answer, size), body(&answer, 1000));
            }
        }
    }
}
