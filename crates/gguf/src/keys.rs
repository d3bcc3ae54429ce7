//! Reading the metadata of one architecture: keys without their prefix, values within bounds.
//!
//! Every error names the whole key, what is there, and what was expected. Which keys there are is in
//! [`model`](crate::model).

use std::ops::Range;

use crate::bytes::Bytes;
use crate::error::{Error, ErrorKind, Result};
use crate::metadata::Value;
use crate::reader::Gguf;

/// The metadata of one architecture: keys without their prefix.
pub struct Keys<'a, B> {
    /// The file.
    pub gguf: &'a Gguf<B>,
    /// What its keys begin with.
    pub prefix: &'static str,
}

impl<B: Bytes> Keys<'_, B> {
    /// The whole key.
    pub fn key(&self, key: &str) -> String {
        format!("{}.{key}", self.prefix)
    }

    fn get(&self, key: &str) -> Option<&Value> {
        self.gguf.metadata().get(&self.key(key))
    }

    /// A size that has to be there.
    pub fn size(&self, key: &str, most: u64) -> Result<u64> {
        let size = self.optional_size(key, most)?;
        size.ok_or_else(|| self.missing(key, &format!("a whole number from 1 to {most}")))
    }

    /// A size from 1 to `most`, where there is one.
    pub fn optional_size(&self, key: &str, most: u64) -> Result<Option<u64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64().filter(|size| (1..=most).contains(size)) {
            Some(size) => Ok(Some(size)),
            // Some models have a size for each layer.
            None => {
                let expected = format!("one whole number from 1 to {most}");
                Err(self.invalid(key, &value.describe(), &expected))
            }
        }
    }

    /// A number of `within`, where there is one.
    pub fn number(&self, key: &str, within: Range<f64>) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_f64().filter(|number| within.contains(number)) {
            Some(number) => Ok(Some(number)),
            None => {
                let expected = format!("a number from {} to {}", within.start, within.end);
                Err(self.invalid(key, &value.describe(), &expected))
            }
        }
    }

    /// Refuses a value that is there and not what is expected.
    pub fn expect(&self, key: &str, expected: &str, is_fine: impl Fn(&Value) -> bool) -> Result<()> {
        match self.get(key).filter(|value| !is_fine(value)) {
            None => Ok(()),
            Some(value) => Err(self.unsupported(key, &value.describe(), expected)),
        }
    }

    /// The error for a key that has to be there.
    pub fn missing(&self, key: &str, expected: &str) -> Error {
        let key = self.key(key);
        Error::metadata(format!("`{key}` is missing, expected {expected}: take a complete file of the model"))
    }

    /// The error for a value that cannot be.
    pub fn invalid(&self, key: &str, found: &str, expected: &str) -> Error {
        self.wrong(ErrorKind::Metadata, key, found, expected)
    }

    /// The error for a value that asks for what is not implemented.
    pub fn unsupported(&self, key: &str, found: &str, expected: &str) -> Error {
        self.wrong(ErrorKind::Unsupported, key, found, expected)
    }

    fn wrong(&self, kind: ErrorKind, key: &str, found: &str, expected: &str) -> Error {
        let key = self.key(key);
        Error::new(kind, format!("`{key}` is {found}, expected {expected}; take another file of the model"))
    }
}
