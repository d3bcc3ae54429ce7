//! Walking through a header: numbers and strings one after the other, through a small window of the file.
//!
//! Every step is checked against the file's length before anything is read or allocated.

use std::ops::Range;

use crate::bytes::{Bytes, read_exactly};
use crate::error::{AGAIN, Error, Result};

/// Bytes that are held at once, at most.
const WINDOW: u64 = 64 << 10;

/// A place in a file.
pub struct Cursor<'a, B: ?Sized> {
    bytes: &'a B,
    len: u64,
    at: u64,
    window: Vec<u8>,
    window_start: u64,
}

impl<'a, B: Bytes + ?Sized> Cursor<'a, B> {
    /// The beginning of the file.
    pub fn new(bytes: &'a B) -> Self {
        Self { bytes, len: bytes.len(), at: 0, window: Vec::new(), window_start: 0 }
    }

    /// Bytes before this place.
    pub fn position(&self) -> u64 {
        self.at
    }

    /// Bytes from this place on.
    pub fn remaining(&self) -> u64 {
        self.len - self.at
    }

    /// Passes `count` bytes; `what` names them in the error. Returns where they lie.
    pub fn skip(&mut self, count: u64, what: &str) -> Result<Range<u64>> {
        if count > self.remaining() {
            return Err(Error::format(format!(
                "byte {}: {what} needs {count} bytes, but the file ends after {}: {AGAIN}",
                self.at,
                self.remaining()
            )));
        }
        let start = self.at;
        self.at += count;
        Ok(start..self.at)
    }

    /// The next `N` bytes.
    pub fn take<const N: usize>(&mut self, what: &str) -> Result<[u8; N]> {
        let Range { start, end } = self.skip(N as u64, what)?;
        let window_end = self.window_start + self.window.len() as u64;
        if start < self.window_start || end > window_end {
            let window_end = self.len.min(start + WINDOW.max(N as u64));
            self.window = read_exactly(self.bytes, start..window_end)?;
            self.window_start = start;
        }
        // Within the window, as was just seen to.
        let offset = (start - self.window_start) as usize;
        let taken = self.window.get(offset..).and_then(|rest| rest.first_chunk::<N>());
        taken.copied().ok_or_else(|| Error::format(format!("byte {start}: {what} is missing: {AGAIN}")))
    }

    /// The next u32.
    pub fn u32(&mut self, what: &str) -> Result<u32> {
        self.take(what).map(u32::from_le_bytes)
    }

    /// The next u64.
    pub fn u64(&mut self, what: &str) -> Result<u64> {
        self.take(what).map(u64::from_le_bytes)
    }

    /// Passes a string (its length in a u64, then its bytes); returns where its bytes lie.
    pub fn skip_string(&mut self, what: &str) -> Result<Range<u64>> {
        let len = self.u64(what)?;
        self.skip(len, what)
    }

    /// The next string, of at most `longest` bytes of UTF-8.
    pub fn string(&mut self, longest: u64, what: &str) -> Result<String> {
        let start = self.at;
        let len = self.u64(what)?;
        if len > longest {
            return Err(Error::format(format!(
                "byte {start}: {what} claims {len} bytes, expected at most {longest}: {AGAIN}"
            )));
        }
        let range = self.skip(len, what)?;
        let window = (range.start.checked_sub(self.window_start))
            .and_then(|offset| self.window.get(offset as usize..)?.get(..len as usize))
            .map(<[u8]>::to_vec);
        let bytes = match window {
            Some(bytes) => bytes,
            None => read_exactly(self.bytes, range)?,
        };
        String::from_utf8(bytes).map_err(|error| {
            let place = start + 8 + error.utf8_error().valid_up_to() as u64;
            Error::format(format!("byte {place}: {what} is not UTF-8: {AGAIN}"))
        })
    }

    /// Checks a count of things of which each takes at least `smallest` bytes.
    pub fn check_count(&self, count: u64, smallest: u64, what: &str) -> Result<()> {
        let most = self.remaining() / smallest;
        if count > most {
            let at = self.at;
            return Err(Error::format(format!(
                "byte {at}: {count} {what} are announced, but there is room for {most} at most in the {} bytes that \
                 are left: {AGAIN}",
                self.remaining()
            )));
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn strings_longer_than_the_window_are_read() {
        let text = "é".repeat(WINDOW as usize);
        let mut file = vec![7u8, 0, 0, 0];
        file.extend((text.len() as u64).to_le_bytes());
        file.extend(text.bytes());
        file.push(9);
        let mut cursor = Cursor::new(&file);
        assert_eq!(cursor.u32("a number").expect("it is there"), 7);
        assert_eq!(cursor.string(1 << 20, "a text").expect("it is there"), text);
        assert_eq!(cursor.take::<1>("a byte").expect("it is there"), [9]);
        let error = cursor.take::<1>("a byte").expect_err("the end").to_string();
        assert!(error.contains(&format!("byte {}: a byte needs 1 bytes", file.len())), "{error}");
    }

    #[test]
    fn a_length_is_not_believed() {
        let file = u64::MAX.to_le_bytes().to_vec();
        assert!(Cursor::new(&file).skip_string("a text").is_err());
        assert!(Cursor::new(&file).string(100, "a text").is_err());
        assert!(Cursor::new(&file).check_count(2, 8, "things").is_err());
        assert!(Cursor::new(&file).check_count(1, 8, "things").is_ok());
    }
}
