//! The seam between a model directory and the host that holds it: named files, read whole or by byte range.
//!
//! A host implements [`ModelFiles`] over a disk, a browser store or HTTP ranges. [`MemoryFiles`] keeps the files in
//! memory: for tests, and for a model that is part of the program. What the files mean is not known here.

use crate::error::{Error, Result};
use crate::stand_in::refuse_stand_in;
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

/// Read access to the files of one model directory.
// Hosts in a browser run on one thread and their futures are not `Send`; native hosts block on the future. So the
// missing `Send` bound that the lint warns about is what is wanted.
#[allow(async_fn_in_trait)]
pub trait ModelFiles {
    /// The bytes of `range` of `file`, or of the whole file.
    ///
    /// # Errors
    /// [`NotFound`](crate::ErrorKind::NotFound) for a file that is not there; `Format` for a range that does not lie
    /// within the file (fewer bytes than asked for are never returned); `Io` for what the host's own layer reports.
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>>;

    /// Length of `file` in bytes; `None` where there is no such file.
    ///
    /// # Errors
    /// [`Io`](crate::ErrorKind::Io) when it cannot be found out.
    async fn len(&self, file: &str) -> Result<Option<u64>>;
}

impl<F: ModelFiles> ModelFiles for &F {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>> {
        (**self).read(file, range).await
    }

    async fn len(&self, file: &str) -> Result<Option<u64>> {
        (**self).len(file).await
    }
}

/// Reads a text file of at most `longest` bytes, such as `config.json`; `None` where there is no such file.
///
/// # Errors
/// A file that is longer or not UTF-8, a Git LFS pointer or a web page in its place, and what [`ModelFiles::read`]
/// reports.
pub async fn read_text(files: &impl ModelFiles, file: &str, longest: u64) -> Result<Option<String>> {
    let Some(len) = files.len(file).await? else { return Ok(None) };
    if len > longest {
        let message = format!("{file}: has {len} bytes, expected at most {longest}: is it another file?");
        return Err(Error::capacity(message));
    }
    let bytes = files.read(file, None).await?;
    if let Some(error) = refuse_stand_in(file, &bytes) {
        return Err(error);
    }
    let text = String::from_utf8(bytes).map_err(|error| {
        let place = error.utf8_error().valid_up_to();
        Error::format(format!("{file}: not UTF-8 at byte {place}: download it again")).with_source(error)
    })?;
    Ok(Some(text))
}

/// The error every implementation gives for a file that is not there.
pub fn missing_file(file: &str) -> Error {
    Error::not_found(format!("{file}: no such file in the model directory"))
}

/// The error every implementation gives for a range outside a file of `len` bytes.
pub fn outside_file(file: &str, range: &Range<u64>, len: u64) -> Error {
    let Range { start, end } = range;
    Error::format(format!(
        "{file}: ends at byte {len}, bytes {start} to {end} were asked for: download it again"
    ))
}

/// The files of a model directory in memory.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    files: BTreeMap<String, Cow<'static, [u8]>>,
}

impl MemoryFiles {
    /// An empty directory.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `bytes` (owned, or part of the program) under `file`, in place of what was there.
    pub fn insert(&mut self, file: impl Into<String>, bytes: impl Into<Cow<'static, [u8]>>) {
        self.files.insert(file.into(), bytes.into());
    }

    /// Takes `file` out.
    pub fn remove(&mut self, file: &str) -> Option<Cow<'static, [u8]>> {
        self.files.remove(file)
    }

    /// The bytes of `file`.
    pub fn get(&self, file: &str) -> Option<&[u8]> {
        self.files.get(file).map(AsRef::as_ref)
    }

    /// The names of all files, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.files.keys().map(String::as_str)
    }
}

impl<N: Into<String>, B: Into<Cow<'static, [u8]>>> FromIterator<(N, B)> for MemoryFiles {
    fn from_iter<I: IntoIterator<Item = (N, B)>>(files: I) -> Self {
        Self { files: files.into_iter().map(|(name, bytes)| (name.into(), bytes.into())).collect() }
    }
}

impl ModelFiles for MemoryFiles {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>> {
        let bytes = self.get(file).ok_or_else(|| missing_file(file))?;
        let Some(range) = range else { return Ok(bytes.to_vec()) };
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| bytes.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| outside_file(file, &range, bytes.len() as u64))
    }

    async fn len(&self, file: &str) -> Result<Option<u64>> {
        Ok(self.get(file).map(|bytes| bytes.len() as u64))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use pollster::block_on;

    #[test]
    fn memory_files_give_exactly_what_was_asked_for() {
        let files: MemoryFiles = [("a.txt", b"hello".as_slice())].into_iter().collect();
        let read = |range| block_on(files.read("a.txt", range));
        assert_eq!(read(None).unwrap(), b"hello");
        assert_eq!(read(Some(1..3)).unwrap(), b"el");
        assert_eq!(read(Some(5..5)).unwrap(), b"");
        let reversed = std::ops::Range { start: 4, end: 3 };
        for range in [3..6, 6..6, reversed, 0..u64::MAX] {
            assert_eq!(read(Some(range.clone())).unwrap_err().kind(), ErrorKind::Format, "{range:?}");
        }
        assert_eq!(block_on(files.len("a.txt")).unwrap(), Some(5));
        assert_eq!(block_on(files.len("b.txt")).unwrap(), None);
        assert_eq!(block_on(files.read("b.txt", None)).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn texts_are_checked() {
        let mut files = MemoryFiles::new();
        files.insert("good", b"{}".as_slice());
        files.insert("bad", vec![b'a', 0xff]);
        let read = |file: &str, longest| block_on(read_text(&&files, file, longest));
        assert_eq!(read("good", 10).unwrap().as_deref(), Some("{}"));
        assert_eq!(read("none", 10).unwrap(), None);
        assert_eq!(read("good", 1).unwrap_err().kind(), ErrorKind::Capacity);
        assert_eq!(read("bad", 10).unwrap_err().to_string(), "bad: not UTF-8 at byte 1: download it again");
    }
}
