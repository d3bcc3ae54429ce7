//! Reading single keys of a JSON object, with errors that name the file, the key, the value and what is supported.
//! What the keys mean is in [`config`](super).

use crate::error::{Error, Result};
use serde_json::{Map, Value};

/// The keys of one JSON object, read with errors that name the file, the key and the value. `null` is as good as
/// absent.
pub struct Keys {
    pub file: &'static str,
    pub map: Map<String, Value>,
}

impl Keys {
    pub fn parse(file: &'static str, text: &str) -> Result<Self> {
        match serde_json::from_str(text.trim_start_matches('\u{feff}')) {
            Ok(Value::Object(map)) => Ok(Self { file, map }),
            Ok(_) => Err(Error::format(format!("{file}: expected a JSON object"))),
            Err(error) => Err(Error::format(format!("{file}: not valid JSON: {error}: download it again"))
                .with_source(error)),
        }
    }

    pub fn get(&self, key: &str) -> Option<&Value> {
        self.map.get(key).filter(|value| !value.is_null())
    }

    pub fn size(&self, key: &str, most: usize) -> Result<usize> {
        let expected = || format!("a whole number from 1 to {most}");
        self.optional_size(key, most)?.ok_or_else(|| self.missing(key, &expected()))
    }

    pub fn size_or(&self, key: &str, most: usize, default: usize) -> Result<usize> {
        Ok(self.optional_size(key, most)?.unwrap_or(default))
    }

    pub fn optional_size(&self, key: &str, most: usize) -> Result<Option<usize>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        match value.as_u64() {
            Some(size) if (1..=most as u64).contains(&size) => Ok(Some(size as usize)),
            _ => Err(self.wrong(key, &format!("a whole number from 1 to {most}"))),
        }
    }

    pub fn number(&self, key: &str) -> Result<Option<f64>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_f64().map(Some).ok_or_else(|| self.wrong(key, "a number"))
    }

    pub fn flag(&self, key: &str) -> Result<Option<bool>> {
        let Some(value) = self.get(key) else { return Ok(None) };
        value.as_bool().map(Some).ok_or_else(|| self.wrong(key, "true or false"))
    }

    /// One id or a list of them.
    pub fn token_ids(&self, key: &str) -> Result<Vec<u32>> {
        let values = match self.get(key) {
            None => return Ok(Vec::new()),
            Some(Value::Array(values)) => values.as_slice(),
            Some(value) => std::slice::from_ref(value),
        };
        let id = |value: &Value| value.as_u64().and_then(|id| u32::try_from(id).ok());
        let ids: Option<Vec<u32>> = values.iter().map(id).collect();
        ids.ok_or_else(|| self.wrong(key, "a token id or a list of token ids"))
    }

    /// An id that is only passed through: files in the wild say -1 for none.
    pub fn optional_token_id(&self, key: &str) -> Option<u32> {
        self.get(key)?.as_u64().and_then(|id| u32::try_from(id).ok())
    }

    pub fn missing(&self, key: &str, expected: &str) -> Error {
        Error::config(format!("{}: `{key}` is missing, expected {expected}", self.file))
    }

    pub fn wrong(&self, key: &str, expected: &str) -> Error {
        Error::config(format!("{}: `{key}` is {}, expected {expected}", self.file, self.shown(key)))
    }

    pub fn unsupported(&self, key: &str, supported: &str) -> Error {
        let value = self.shown(key);
        Error::unsupported(format!("{}: `{key}` is {value}, supported is {supported}", self.file))
    }

    pub fn contradiction(&self, key: &str, other: f64) -> Error {
        let message = "contradict each other: keep one of them";
        Error::config(format!(
            "{}: `{key}` ({}) and rope_theta {other} {message}",
            self.file,
            self.shown(key)
        ))
    }

    /// The value as JSON, cut to a length that fits into a message.
    pub fn shown(&self, key: &str) -> String {
        const LONGEST: usize = 60;
        let text = self.get(key).map_or_else(|| "null".into(), Value::to_string);
        match text.char_indices().nth(LONGEST) {
            Some((end, _)) => format!("{}...", &text[..end]),
            None => text,
        }
    }
}
