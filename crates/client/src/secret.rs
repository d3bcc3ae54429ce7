//! The key: where it may be seen, and how it is taken out of what a server sends back.
//!
//! A key is in memory and in one header of a request. A server that repeats it, in an error or in an answer, would put
//! it on a screen or in a file: it becomes `[key]` there.

use std::fmt;

use crate::error::{ClientError, ErrorKind, Result};

/// What stands in place of a key.
pub const REDACTED: &str = "[key]";

/// Keys shorter than this stand in for none (`ollama`, `sk-1234`): they are words that a candidate may well contain, and
/// replacing one could change an answer. In errors they are replaced all the same.
const MIN_SECRET: usize = 16;

/// A key of an API. Neither `Debug` nor `Display` shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// A key, without the white space around it.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for a key that no header can carry. The message does not quote it.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        let message = match text {
            "" => "the key is empty: leave it out where the server needs none",
            text if !text.bytes().all(|byte| byte.is_ascii_graphic()) => {
                "the key has blanks, line breaks or other characters that no key has: was more copied than the key?"
            }
            _ => return Ok(Self(text.to_owned())),
        };
        Err(ClientError::new(ErrorKind::Input, message))
    }

    /// The key itself. Only a [`Transport`](crate::Transport) has a use for it: in the header `Authorization`.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// `text` with the key replaced.
    pub fn redact(&self, text: &str) -> String {
        text.replace(&self.0, REDACTED)
    }

    fn is_secret(&self) -> bool {
        self.0.len() >= MIN_SECRET
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

impl fmt::Display for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(REDACTED)
    }
}

/// Takes a key out of a text that comes in pieces: what may be the beginning of the key waits for the next piece.
#[derive(Clone, Debug, Default)]
pub struct Redactor {
    key: Option<Secret>,
    held: String,
}

impl Redactor {
    /// For texts of a server that was given `key`. A key that is too short to be one changes nothing.
    pub fn new(key: Option<&Secret>) -> Self {
        Self { key: key.filter(|key| key.is_secret()).cloned(), held: String::new() }
    }

    /// What may be shown after this piece.
    pub fn push(&mut self, piece: &str) -> String {
        let Some(key) = &self.key else { return piece.to_owned() };
        self.held.push_str(piece);
        let mut shown = key.redact(&self.held);
        let waits = (1..key.0.len()).rev().find(|&length| shown.ends_with(&key.0[..length])).unwrap_or(0);
        self.held = shown.split_off(shown.len() - waits);
        shown
    }

    /// What was still waiting when the text ended.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether `text` is free of the key.
    pub fn allows(&self, text: &str) -> bool {
        self.key.as_ref().is_none_or(|key| !text.contains(&key.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const KEY: &str = "sk-abcabcabcabcabd";

    #[test]
    fn a_key_is_not_shown() {
        let key = Secret::new(&format!("  {KEY}\n")).unwrap();
        assert_eq!(key.expose(), KEY);
        assert_eq!(format!("{key} {key:?} {:?}", Some(&key)), "[key] [key] Some([key])");
        for wrong in ["", " ", "two words", "line\nbreak", "schlüssel"] {
            let error = Secret::new(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input);
            assert!(wrong.trim().is_empty() || !error.to_string().contains(wrong), "{error}");
        }
    }

    #[test]
    fn a_stand_in_changes_no_candidate() {
        let mut redactor = Redactor::new(Some(&Secret::new("none").unwrap()));
        assert_eq!(redactor.push("there are none"), "there are none");
        assert!(redactor.allows("none"));
    }

    proptest! {
        #[test]
        fn pieces_are_redacted_like_the_whole(
            parts in prop::collection::vec(prop_oneof![
                Just(KEY.to_owned()), Just("sk-abc".to_owned()), Just("abd".to_owned()), "[a-dsk é-]{0,6}",
            ], 0..8),
            cuts in prop::collection::vec(0usize..200, 0..12),
        ) {
            let key = Secret::new(KEY).unwrap();
            let text = parts.concat();
            let mut cuts: Vec<usize> =
                cuts.into_iter().filter(|&cut| cut <= text.len() && text.is_char_boundary(cut)).collect();
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let mut redactor = Redactor::new(Some(&key));
            let mut shown = String::new();
            for ends in cuts.windows(2) {
                shown += &redactor.push(&text[ends[0]..ends[1]]);
                prop_assert!(!shown.contains(KEY));
            }
            shown += &redactor.finish();
            prop_assert_eq!(shown, key.redact(&text));
        }
    }
}
