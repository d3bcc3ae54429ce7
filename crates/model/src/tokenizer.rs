//! Text to token ids and back, with a wall between our own prompt and the text of others.
//!
//! The tokenizer that splits plain text knows no added token at all: `<|im_start|>` or `<tool_call>` in a candidate
//! comes out as the tokens of its characters, whatever the file says of it (`special` or not). Only trusted text is
//! searched for added tokens, here, before the rest of it is encoded as plain text too. What a `tokenizer.json` may
//! contain is in [`load`]; text that arrives token by token is in [`stream`](crate::stream).

mod byte_level;
mod load;
mod split_files;

use crate::config::Qwen2Config;
use crate::error::{Error, Result};
use conclave_core::prompt::Segment;
use load::{AddedToken, Decoding, Loaded, foreign};
pub use split_files::SplitFiles;
use std::collections::BTreeMap;

/// A vocabulary with its rules, read from a `tokenizer.json`.
pub struct Tokenizer {
    plain: tokenizers::Tokenizer,
    added: BTreeMap<u32, AddedToken>,
    /// Contents and ids of the added tokens, the longest first.
    added_by_len: Vec<(String, u32)>,
    decoding: Decoding,
    vocab_size: usize,
    /// What stands for text outside the vocabulary.
    unknown: Option<u32>,
}

impl Tokenizer {
    /// Reads a `tokenizer.json`: BPE or WordLevel.
    ///
    /// # Errors
    /// [`Tokenizer`](crate::ErrorKind::Tokenizer) for a file that is damaged, contradicts itself or would lose text
    /// silently, [`Unsupported`](crate::ErrorKind::Unsupported) for parts that are not implemented.
    pub fn from_json(json: &[u8]) -> Result<Self> {
        load::load(json).map(Self::new).map_err(|error| error.context("tokenizer.json"))
    }

    /// Reads `vocab.json` and `merges.txt`, the older form of Qwen2's tokenizer.
    ///
    /// # Errors
    /// As [`from_json`](Self::from_json), by file.
    pub fn from_split_files(files: SplitFiles<'_>) -> Result<Self> {
        split_files::load(files).map(Self::new)
    }

    fn new(loaded: Loaded) -> Self {
        let Loaded { plain, added, decoding, vocab_size, unknown } = loaded;
        let mut added_by_len: Vec<_> = added.iter().map(|(&id, token)| (token.content.clone(), id)).collect();
        added_by_len.sort_by_key(|(content, _)| std::cmp::Reverse(content.len()));
        Self { plain, added, added_by_len, decoding, vocab_size, unknown }
    }

    /// Encodes text as plain text: no id of it is an added token's.
    ///
    /// A stretch of more than 48 KiB is cut at the next space after a word (where Qwen2's rules cut anyway), or after
    /// 64 KiB at any character, so that time and memory stay in proportion to the length of any text.
    ///
    /// # Errors
    /// What the tokenizers crate reports; no text is known to cause it.
    pub fn encode_untrusted(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.append_plain(text, &mut ids)?;
        Ok(ids)
    }

    /// Encodes text of our own: the contents of added tokens in it become their ids.
    ///
    /// # Errors
    /// As [`encode_untrusted`](Self::encode_untrusted).
    pub fn encode_trusted(&self, text: &str) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        self.append_trusted(text, &mut ids)?;
        Ok(ids)
    }

    /// Encodes a prompt, each segment by itself: trusted ones with added tokens, untrusted ones without. No token spans
    /// two segments, so a segment has the same ids in every prompt.
    ///
    /// # Errors
    /// As [`encode_untrusted`](Self::encode_untrusted).
    pub fn encode_segments(&self, segments: &[Segment]) -> Result<Vec<u32>> {
        let mut ids = Vec::new();
        for segment in segments {
            match segment.trusted {
                true => self.append_trusted(&segment.text, &mut ids)?,
                false => self.append_plain(&segment.text, &mut ids)?,
            }
        }
        Ok(ids)
    }

    /// Number of tokens of plain text. Where encoding would fail it is the number of bytes.
    pub fn count(&self, text: &str) -> usize {
        self.encode_untrusted(text).map_or(text.len(), |ids| ids.len())
    }

    /// Share of the tokens of plain text that stand for something outside the vocabulary: between 0 (also for an empty
    /// text, and always where bytes are tokens) and 1. A model has learned nothing about such a token.
    pub fn unknown_share(&self, text: &str) -> f64 {
        let Some(unknown) = self.unknown else { return 0.0 };
        // No text is known to fail; one that did could not be read at all.
        let Ok(ids) = self.encode_untrusted(text) else { return 1.0 };
        let count = ids.iter().filter(|&&id| id == unknown).count();
        count as f64 / ids.len().max(1) as f64
    }

    /// The text of `ids` for a reader: without special tokens (`<|im_end|>`); ids that stand for nothing are left
    /// out, bytes that are not UTF-8 become U+FFFD.
    pub fn decode(&self, ids: &[u32]) -> String {
        self.decode_with(ids, false)
    }

    /// The text of `ids` with the special tokens in it, for a look at a prompt.
    pub fn decode_with_special(&self, ids: &[u32]) -> String {
        self.decode_with(ids, true)
    }

    fn decode_with(&self, ids: &[u32], special: bool) -> String {
        let mut bytes = Vec::new();
        let mut first = true;
        for &id in ids {
            first &= !self.append_bytes(id, special, first, &mut bytes);
        }
        String::from_utf8(bytes)
            .unwrap_or_else(|error| String::from_utf8_lossy(error.as_bytes()).into_owned())
    }

    /// Appends the bytes that `id` adds to a text, of which it is the `first` token or not; false where there are
    /// none.
    pub(crate) fn append_bytes(&self, id: u32, special: bool, first: bool, bytes: &mut Vec<u8>) -> bool {
        let added = self.added.get(&id);
        if added.is_some_and(|token| token.special && !special) {
            return false;
        }
        let Some(token) = added.map(|token| token.content.clone()).or_else(|| self.plain.id_to_token(id))
        else {
            return false;
        };
        match self.decoding {
            Decoding::Words if !first => bytes.push(b' '),
            // As in the tokenizers crate, a token with characters outside the alphabet stands for itself.
            Decoding::ByteLevel if added.is_none() => {
                let start = bytes.len();
                bytes.extend(token.chars().map_while(byte_level::byte_of));
                if bytes.len() - start == token.chars().count() {
                    return true;
                }
                bytes.truncate(start);
            }
            Decoding::ByteFallback => {
                if let Some(byte) = fallback_byte(&token) {
                    bytes.push(byte);
                    return true;
                }
            }
            Decoding::Words | Decoding::ByteLevel | Decoding::Fuse => {}
        }
        bytes.extend(token.as_bytes());
        true
    }

    /// The id of a token by its content, such as `<|endoftext|>`.
    pub fn token_id(&self, content: &str) -> Option<u32> {
        let added = self.added_by_len.iter().find(|(added, _)| added == content);
        added.map(|&(_, id)| id).or_else(|| self.plain.token_to_id(content))
    }

    /// The added tokens as (id, content), by id.
    pub fn added_tokens(&self) -> impl Iterator<Item = (u32, &str)> {
        self.added.iter().map(|(&id, token)| (id, token.content.as_str()))
    }

    /// Highest id + 1, added tokens included: 151,665 for Qwen2.5.
    pub fn vocab_size(&self) -> usize {
        self.vocab_size
    }

    /// Checks that a model has a row for every id. It may have more (Qwen2.5 has 271 more), which no text uses: mask
    /// the logits from [`vocab_size`](Self::vocab_size) on when sampling.
    ///
    /// # Errors
    /// [`Tokenizer`](crate::ErrorKind::Tokenizer) for a tokenizer that is larger than the model.
    pub fn check_fits(&self, config: &Qwen2Config) -> Result<()> {
        if self.vocab_size <= config.vocab_size {
            return Ok(());
        }
        let message = format!(
            "tokenizer.json has ids up to {}, config.json has `vocab_size` {}: they are not of the same model",
            self.vocab_size - 1,
            config.vocab_size
        );
        Err(Error::tokenizer(message))
    }

    fn append_trusted(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        let mut plain_start = 0;
        let mut at = 0;
        while let Some(rest) = text.get(at..).filter(|rest| !rest.is_empty()) {
            if let Some((token, id)) = self.added_at(text, at) {
                let before = &text[plain_start..at];
                self.append_plain(if token.lstrip { before.trim_end() } else { before }, ids)?;
                ids.push(id);
                at += token.content.len();
                if token.rstrip {
                    at = text.len() - text[at..].trim_start().len();
                }
                plain_start = at;
            } else {
                at += rest.chars().next().map_or(1, char::len_utf8);
            }
        }
        self.append_plain(&text[plain_start..], ids)
    }

    /// The longest added token that stands at byte `at` of trusted text.
    fn added_at(&self, text: &str, at: usize) -> Option<(&AddedToken, u32)> {
        let is_word = |c: char| c.is_alphanumeric() || c == '_';
        let (before, rest) = text.split_at(at);
        let mut standing = self.added_by_len.iter().filter(|(content, _)| rest.starts_with(content));
        standing.find_map(|(content, id)| {
            let token = self.added.get(id)?;
            let touches = before.ends_with(is_word) || rest[content.len()..].starts_with(is_word);
            (!token.single_word || !touches).then_some((token, *id))
        })
    }

    fn append_plain(&self, text: &str, ids: &mut Vec<u32>) -> Result<()> {
        for piece in pieces(text) {
            ids.extend(self.plain.encode_fast(piece, false).map_err(foreign)?.get_ids());
        }
        Ok(())
    }
}

/// From this length on a piece ends where the next space follows a word.
const SOFT_PIECE: usize = 48 << 10;

/// No piece is longer than this.
const HARD_PIECE: usize = 64 << 10;

/// Cuts long text into pieces of at most `HARD_PIECE` bytes; short text is one piece.
///
/// Qwen2's pattern always starts a new word at a space that follows something else, so a cut there changes nothing.
/// A longer piece would cost too much: regular expressions that give up after a million steps and then leave the rest
/// as one word, and merging a word of megabytes at about a hundred bytes of memory each.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let mut rest = text;
    std::iter::from_fn(move || {
        if rest.is_empty() {
            return None;
        }
        let (piece, tail) = rest.split_at(piece_end(rest));
        rest = tail;
        Some(piece)
    })
}

fn piece_end(text: &str) -> usize {
    if text.len() <= HARD_PIECE {
        return text.len();
    }
    let hard_end = text.floor_char_boundary(HARD_PIECE);
    let from = text.floor_char_boundary(SOFT_PIECE);
    let mut before = text[..from].chars().next_back();
    for (at, character) in text[from..hard_end].char_indices() {
        if character == ' ' && before.is_some_and(|before| !before.is_whitespace()) {
            return from + at;
        }
        before = Some(character);
    }
    hard_end
}

/// The byte of a token such as `<0x41>`.
fn fallback_byte(token: &str) -> Option<u8> {
    let hex = token.strip_prefix("<0x")?.strip_suffix('>')?;
    let digits = hex.len() == 2 && hex.bytes().all(|digit| digit.is_ascii_hexdigit());
    digits.then(|| u8::from_str_radix(hex, 16).ok())?
}

#[cfg(test)]
mod tests;
