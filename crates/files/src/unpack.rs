//! What a file is packed in: gzip and Zstandard, found by their first bytes, and UTF-16, which becomes UTF-8. What is inside is not
//! looked at.

use std::io::{self, BufRead, BufReader, Read};

use flate2::bufread::MultiGzDecoder;
use ruzstd::decoding::StreamingDecoder;

/// Bytes of a buffer behind a decoder.
const BUFFER: usize = 1 << 16;

const GZIP: &[u8] = &[0x1f, 0x8b];
const ZSTD: &[u8] = &[0x28, 0xb5, 0x2f, 0xfd];

/// A reader of the bytes inside, and what they were in.
pub struct Unpacked<'a> {
    /// The bytes.
    pub reader: Box<dyn BufRead + 'a>,
    /// What the file was in that its user may not know: `UTF-16`.
    pub encoding: Option<&'static str>,
}

/// Unpacks `reader`, whose file has this name: one that ends in `.gz` or `.zst` promises to be packed so, and is an error where it
/// is not. A file of no bytes is empty, whatever its name.
///
/// # Errors
/// What the reader says. Damage inside is reported where it is read.
pub fn unpack<'a>(reader: Box<dyn BufRead + 'a>, name: &str) -> io::Result<Unpacked<'a>> {
    let mut reader = with_start(reader)?;
    let start = reader.fill_buf()?;
    let ends = |ending: &str| {
        name.len() > ending.len()
            && name.get(name.len() - ending.len()..).is_some_and(|end| end.eq_ignore_ascii_case(ending))
    };
    let (is_empty, gzip, zstd) = (start.is_empty(), start.starts_with(GZIP), start.starts_with(ZSTD));
    let mut inner: Box<dyn BufRead + 'a> = if gzip || (!is_empty && ends(".gz")) {
        Box::new(BufReader::with_capacity(BUFFER, MultiGzDecoder::new(reader)))
    } else if zstd || (!is_empty && (ends(".zst") || ends(".zstd"))) {
        Box::new(BufReader::with_capacity(BUFFER, Frames { reader: Some(reader), frame: None }))
    } else {
        reader
    };
    let first = match with_start(inner) {
        Ok(reader) => {
            inner = reader;
            inner.fill_buf()?
        }
        // Found by whoever reads, as damage further behind is.
        Err(error) => {
            let reader = Box::new(BufReader::new(Broken(Some(error))));
            return Ok(Unpacked { reader, encoding: None });
        }
    };
    let order = match first {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        // Without a mark: JSON begins with a sign of ASCII.
        [b'{' | b'[', 0, ..] => Some(u16::from_le_bytes as fn([u8; 2]) -> u16),
        [0, b'{' | b'[', ..] => Some(u16::from_be_bytes as fn([u8; 2]) -> u16),
        _ => None,
    };
    let encoding = order.map(|_| "UTF-16");
    if let Some(order) = order {
        inner = Box::new(BufReader::with_capacity(
            BUFFER,
            Utf16 { reader: inner, order, lead: None, out: Vec::new() },
        ));
    }
    Ok(Unpacked { reader: inner, encoding })
}

/// The same bytes, of which the first that decide stand in one buffer: a pipe may give them one by one.
fn with_start<'a>(mut reader: Box<dyn BufRead + 'a>) -> io::Result<Box<dyn BufRead + 'a>> {
    if reader.fill_buf()?.len() >= ZSTD.len() {
        return Ok(reader);
    }
    let mut start = Vec::new();
    Read::by_ref(&mut reader).take(ZSTD.len() as u64).read_to_end(&mut start)?;
    Ok(Box::new(io::Cursor::new(start).chain(reader)))
}

/// A reader that is broken from its first byte.
struct Broken(Option<io::Error>);

impl Read for Broken {
    fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
        self.0.take().map_or(Ok(0), Err)
    }
}

/// The frames of a Zstandard file one after another.
struct Frames<R: BufRead> {
    reader: Option<R>,
    frame: Option<Box<StreamingDecoder<R, ruzstd::decoding::FrameDecoder>>>,
}

impl<R: BufRead> Read for Frames<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        loop {
            if let Some(frame) = &mut self.frame {
                let read = frame.read(buffer).map_err(|error| damage(&error))?;
                if read > 0 || buffer.is_empty() {
                    return Ok(read);
                }
                self.reader = self.frame.take().map(|frame| frame.into_inner());
            }
            let Some(mut reader) = self.reader.take() else { return Ok(0) };
            if reader.fill_buf()?.is_empty() {
                return Ok(0);
            }
            match StreamingDecoder::new(reader) {
                Ok(frame) => self.frame = Some(Box::new(frame)),
                Err(error) => return Err(damage(&error)),
            }
        }
    }
}

fn damage(error: &dyn std::fmt::Display) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("zstd: {error}"))
}

/// UTF-16 as UTF-8; half a surrogate pair becomes U+FFFD.
struct Utf16<R> {
    reader: R,
    order: fn([u8; 2]) -> u16,
    /// The first half of a pair.
    lead: Option<u16>,
    /// What did not fit into the last buffer, in reverse.
    out: Vec<u8>,
}

impl<R: BufRead> Utf16<R> {
    fn unit(&mut self) -> io::Result<Option<u16>> {
        let mut bytes = [0; 2];
        for at in 0..2 {
            if self.reader.read(&mut bytes[at..=at])? == 0 {
                return Ok(None);
            }
        }
        Ok(Some((self.order)(bytes)))
    }

    fn push(&mut self, character: char) {
        let mut bytes = [0; 4];
        self.out.extend(character.encode_utf8(&mut bytes).bytes().rev());
    }

    /// Reads on until there is at least one byte to give; false at the end.
    fn fill(&mut self) -> io::Result<bool> {
        while self.out.is_empty() {
            let unit = self.unit()?;
            let lead = self.lead.take();
            let decoded = char::decode_utf16(lead.into_iter().chain(unit));
            let is_lead = unit.is_some_and(|unit| (0xd800..0xdc00).contains(&unit));
            let characters: Vec<char> =
                decoded.map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            let kept = if is_lead { characters.len().saturating_sub(1) } else { characters.len() };
            if is_lead {
                self.lead = unit;
            }
            // In reverse, as they are taken from the end.
            characters[..kept].iter().rev().for_each(|character| self.push(*character));
            if unit.is_none() {
                return Ok(!self.out.is_empty());
            }
        }
        Ok(true)
    }
}

impl<R: BufRead> Read for Utf16<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let mut read = 0;
        while read < buffer.len() && self.fill()? {
            while let Some(byte) = (read < buffer.len()).then(|| self.out.pop()).flatten() {
                buffer[read] = byte;
                read += 1;
            }
        }
        Ok(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(bytes: &[u8], name: &str) -> io::Result<(String, Option<&'static str>)> {
        let unpacked = unpack(Box::new(bytes), name)?;
        let (mut reader, encoding) = (unpacked.reader, unpacked.encoding);
        let mut text = String::new();
        reader.read_to_string(&mut text)?;
        Ok((text, encoding))
    }

    #[test]
    fn utf_16_becomes_utf_8() {
        let wide = |text: &str| text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<u8>>();
        let plain = "{\"a\": \"é 😀 角\"}\n";
        let (text, encoding) = text(&[&[0xff, 0xfe][..], &wide(plain)].concat(), "a").unwrap();
        assert_eq!((text.trim_start_matches('\u{feff}'), encoding), (plain, Some("UTF-16")));
        let halves: Vec<u8> =
            [0x7b, 0xd83d, 0x41, 0xde00].iter().flat_map(|unit: &u16| unit.to_le_bytes()).collect();
        assert_eq!(super::tests::text(&halves, "a").unwrap().0, "{\u{fffd}A\u{fffd}");
    }

    #[test]
    fn a_name_is_a_promise() {
        assert!(text(b"{}", "a.jsonl.gz").is_err());
        assert!(text(b"{}", "a.zst").is_err());
        assert_eq!(text(b"", "a.zst").unwrap().0, "");
        assert_eq!(text(b"{}", "a").unwrap(), ("{}".to_owned(), None));
    }
}
