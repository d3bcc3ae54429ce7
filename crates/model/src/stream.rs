//! Text that arrives token by token: never half a character, and never past a stop string.
//!
//! [`TextStream`] turns ids into text as soon as whole characters are there; [`StopStrings`] watches that text for
//! the strings that end it, and holds back what may be the beginning of one. Both give, over any division into
//! pieces, what one pass over the whole would give.

use crate::tokenizer::Tokenizer;

/// Decodes a growing list of ids: the pieces together are what [`Tokenizer::decode`] gives for all ids at once.
pub struct TextStream<'t> {
    tokenizer: &'t Tokenizer,
    utf8: Utf8Stream,
    bytes: Vec<u8>,
    is_first: bool,
}

impl<'t> TextStream<'t> {
    /// An empty text.
    pub fn new(tokenizer: &'t Tokenizer) -> Self {
        Self { tokenizer, utf8: Utf8Stream::default(), bytes: Vec::new(), is_first: true }
    }

    /// Takes the next token and returns the text that is now complete; often a word, sometimes nothing.
    pub fn push(&mut self, id: u32) -> String {
        self.bytes.clear();
        self.is_first &= !self.tokenizer.append_bytes(id, false, self.is_first, &mut self.bytes);
        self.utf8.push(&self.bytes)
    }

    /// Ends the text: a character that was never completed becomes U+FFFD.
    pub fn finish(&mut self) -> String {
        self.is_first = true;
        self.utf8.finish()
    }
}

/// Bytes to text: as `String::from_utf8_lossy` over all of them, but piece by piece.
#[derive(Default)]
struct Utf8Stream {
    /// The beginning of a character, at most three bytes.
    pending: Vec<u8>,
}

impl Utf8Stream {
    fn push(&mut self, bytes: &[u8]) -> String {
        self.pending.extend(bytes);
        let mut text = String::new();
        let mut rest = self.pending.as_slice();
        let mut incomplete = 0;
        for chunk in rest.utf8_chunks() {
            text.push_str(chunk.valid());
            rest = &rest[chunk.valid().len()..];
            // `error_len` is `None` exactly where the bytes end in the middle of a character.
            match std::str::from_utf8(chunk.invalid()).map_err(|error| error.error_len()) {
                Ok(_) => {}
                Err(None) if rest.len() == chunk.invalid().len() => incomplete = rest.len(),
                Err(_) => text.push(char::REPLACEMENT_CHARACTER),
            }
            rest = &rest[chunk.invalid().len()..];
        }
        self.pending.drain(..self.pending.len() - incomplete);
        text
    }

    fn finish(&mut self) -> String {
        let text = String::from_utf8_lossy(&self.pending).into_owned();
        self.pending.clear();
        text
    }
}

/// Looks for strings that end a text, while the text arrives in pieces.
///
/// The text ends before the match that is *completed* first, of two completed by the same character the longer: so
/// the result does not depend on where the pieces were cut.
#[derive(Clone, Debug)]
pub struct StopStrings {
    stops: Vec<String>,
    /// Text that was not returned yet, as it may begin a stop string.
    held: String,
    stopped: bool,
}

/// What [`StopStrings::push`] found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StopUpdate {
    /// Text that certainly stands before any stop string.
    pub text: String,
    /// The stop string that ended the text, once one has.
    pub stop: Option<String>,
}

impl StopStrings {
    /// Watches for `stops`; empty strings are not stops.
    pub fn new<S: Into<String>>(stops: impl IntoIterator<Item = S>) -> Self {
        let stops = stops.into_iter().map(Into::into).filter(|stop: &String| !stop.is_empty()).collect();
        Self { stops, held: String::new(), stopped: false }
    }

    /// Takes the next piece. After a stop string has been found, everything else is ignored.
    pub fn push(&mut self, piece: &str) -> StopUpdate {
        if self.stopped {
            return StopUpdate { text: String::new(), stop: None };
        }
        self.held.push_str(piece);
        if let Some((start, stop)) = self.first_match() {
            let (text, stop) = (self.held[..start].to_string(), stop.to_string());
            self.held.clear();
            self.stopped = true;
            return StopUpdate { text, stop: Some(stop) };
        }
        let held_len = self.stops.iter().map(|stop| begun_len(&self.held, stop)).max().unwrap_or(0);
        let held = self.held.split_off(self.held.len() - held_len);
        StopUpdate { text: std::mem::replace(&mut self.held, held), stop: None }
    }

    /// Ends the text and returns what was held back.
    pub fn finish(&mut self) -> String {
        std::mem::take(&mut self.held)
    }

    /// Whether a stop string has been found.
    pub fn is_stopped(&self) -> bool {
        self.stopped
    }

    /// Start and string of the match that ends first. What is held begins where the earliest match can.
    fn first_match(&self) -> Option<(usize, &str)> {
        let matches = self.stops.iter().filter_map(|stop| Some((self.held.find(stop)?, stop.as_str())));
        matches.min_by_key(|(start, stop)| (start + stop.len(), *start))
    }
}

/// Length of the longest end of `text` that begins `stop` without being all of it.
fn begun_len(text: &str, stop: &str) -> usize {
    let longest = text.len().min(stop.len() - 1);
    let begins = |&len: &usize| stop.is_char_boundary(len) && text.ends_with(&stop[..len]);
    (1..=longest).rev().find(begins).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stop(stops: &[&str], pieces: &[&str]) -> (String, Option<String>) {
        let mut watch = StopStrings::new(stops.iter().copied());
        let mut text = String::new();
        let mut stop = None;
        for piece in pieces {
            let update = watch.push(piece);
            text += &update.text;
            stop = stop.or(update.stop);
        }
        text += &watch.finish();
        (text, stop)
    }

    #[test]
    fn stop_strings_over_pieces() {
        let found = |text: &str, stop: &str| (text.to_string(), Some(stop.to_string()));
        assert_eq!(stop(&["</answer>"], &["18</ans", "wer>", " more"]), found("18", "</answer>"));
        assert_eq!(stop(&["abcd", "bc"], &["ab", "cd"]), found("a", "bc"));
        assert_eq!(stop(&["bc", "abc"], &["a", "b", "c"]), found("", "abc"));
        assert_eq!(stop(&["aab"], &["aa", "ab"]), found("a", "aab"));
        assert_eq!(stop(&["stop"], &["st", "o", "re"]), ("store".into(), None));
        assert_eq!(stop(&["é!"], &["caf", "é"]), ("café".into(), None));
        assert_eq!(stop(&["", "x"], &["ax"]), found("a", "x"));
        assert_eq!(stop(&[], &["any", "thing"]), ("anything".into(), None));
    }

    #[test]
    fn what_cannot_begin_a_stop_string_is_returned_at_once() {
        let mut watch = StopStrings::new(["</answer>"]);
        assert_eq!(watch.push("1 < 2").text, "1 < 2");
        assert_eq!(watch.push(" </").text, " ");
        assert_eq!(watch.push("b>").text, "</b>");
        assert!(!watch.is_stopped());
    }

    #[test]
    fn characters_are_never_cut() {
        let mut utf8 = Utf8Stream::default();
        let pieces: Vec<String> = "aé🦙".as_bytes().iter().map(|&byte| utf8.push(&[byte])).collect();
        assert_eq!(pieces, ["a", "", "é", "", "", "", "🦙"]);
        assert_eq!(utf8.push(&[0xF0, 0x9F, b'a']), "\u{fffd}a");
        assert_eq!(utf8.push(&[0xE4, 0xB8]) + &utf8.finish(), "\u{fffd}");
        assert_eq!(utf8.finish(), "");
    }
}
