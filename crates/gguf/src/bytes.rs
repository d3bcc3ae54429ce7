//! The seam between a GGUF and whoever holds it: a length, and bytes by range.
//!
//! A host implements [`Bytes`], or passes in an open file as [`Seekable`]; a slice is one too. The reader asks for
//! small pieces of the header and for blocks of the tensors it is asked for, never for a whole file.

use std::io::{self, Read, Seek, SeekFrom};
use std::ops::Range;
use std::sync::{Mutex, PoisonError};

use crate::error::{AGAIN, Error, Result};

/// Read access to one file.
pub trait Bytes {
    /// Length of the file in bytes. The reader believes nothing beyond it.
    fn len(&self) -> u64;

    /// The bytes of `range`, which the reader keeps within [`len`](Self::len).
    ///
    /// # Errors
    /// What the host's own layer reports; a file that has become shorter.
    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>>;

    /// Whether there are no bytes.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

impl Bytes for [u8] {
    fn len(&self) -> u64 {
        <[u8]>::len(self) as u64
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| self.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| io::ErrorKind::UnexpectedEof.into())
    }
}

impl Bytes for Vec<u8> {
    fn len(&self) -> u64 {
        Bytes::len(self.as_slice())
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        self.as_slice().read(range)
    }
}

impl<B: Bytes + ?Sized> Bytes for &B {
    fn len(&self) -> u64 {
        (**self).len()
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        (**self).read(range)
    }
}

/// Anything with a position, such as an open file.
#[derive(Debug)]
pub struct Seekable<R> {
    reader: Mutex<R>,
    len: u64,
}

impl<R: Read + Seek> Seekable<R> {
    /// Takes `reader`, of which every byte belongs to the file.
    ///
    /// # Errors
    /// A reader whose end cannot be found.
    pub fn new(mut reader: R) -> io::Result<Self> {
        let len = reader.seek(SeekFrom::End(0))?;
        Ok(Self { reader: Mutex::new(reader), len })
    }
}

impl<R: Read + Seek> Bytes for Seekable<R> {
    fn len(&self) -> u64 {
        self.len
    }

    fn read(&self, range: Range<u64>) -> io::Result<Vec<u8>> {
        let len = range.end.checked_sub(range.start).filter(|_| range.end <= self.len);
        let len = len.and_then(|len| usize::try_from(len).ok()).ok_or(io::ErrorKind::UnexpectedEof)?;
        // Every read begins by seeking, so what a panic elsewhere left behind does not matter.
        let mut reader = self.reader.lock().unwrap_or_else(PoisonError::into_inner);
        reader.seek(SeekFrom::Start(range.start))?;
        let mut bytes = vec![0; len];
        reader.read_exact(&mut bytes)?;
        Ok(bytes)
    }
}

/// Reads `range` and holds the host to its promise, as every length behind this point is trusted.
pub(crate) fn read_exactly(bytes: &(impl Bytes + ?Sized), range: Range<u64>) -> Result<Vec<u8>> {
    let Range { start, end } = range;
    let len = bytes.len();
    if start > end || end > len {
        return Err(Error::format(format!(
            "ends at byte {len}, bytes {start} to {end} were expected: {AGAIN}"
        )));
    }
    if start == end {
        return Ok(Vec::new());
    }
    let read = bytes
        .read(range)
        .map_err(|error| Error::io(&format!("cannot read bytes {start} to {end}"), &error))?;
    if read.len() as u64 != end - start {
        let found = read.len();
        return Err(Error::format(format!(
            "bytes {start} to {end} were asked for and {found} came: the file changed while it was read: {AGAIN}"
        )));
    }
    Ok(read)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    #[test]
    fn a_slice_and_a_reader_give_exactly_what_was_asked_for() {
        let bytes = b"hello".to_vec();
        let seekable = Seekable::new(io::Cursor::new(bytes.clone())).expect("it has an end");
        let all: [&dyn Bytes; 2] = [&bytes, &seekable];
        for bytes in all {
            assert_eq!(bytes.len(), 5);
            assert_eq!(read_exactly(bytes, 1..3).expect("it is there"), b"el");
            assert_eq!(read_exactly(bytes, 5..5).expect("it is there"), b"");
            let reversed = Range { start: 4, end: 3 };
            for range in [3..6, 6..6, reversed, 0..u64::MAX] {
                assert!(bytes.read(range.clone()).is_err(), "{range:?}");
                assert_eq!(read_exactly(bytes, range).expect_err("outside").kind(), ErrorKind::Format);
            }
        }
    }

    /// Promises more than it has.
    struct Shrinking;

    impl Bytes for Shrinking {
        fn len(&self) -> u64 {
            10
        }

        fn read(&self, _: Range<u64>) -> io::Result<Vec<u8>> {
            Ok(vec![0; 3])
        }
    }

    #[test]
    fn a_short_read_is_an_error() {
        let error = read_exactly(&Shrinking, 0..8).expect_err("too short").to_string();
        assert!(error.contains("8 were asked for and 3 came"), "{error}");
    }
}
