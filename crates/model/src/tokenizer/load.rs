//! Reading `tokenizer.json` without trust: the parts that are supported, checked, with the added tokens kept apart.
//!
//! The model part is built here rather than by the tokenizers crate: its own reader keeps the whole file a second
//! time as a JSON tree, and panics on merges that do not fit the vocabulary. Encoding and decoding are in
//! [`tokenizer`](super).

use super::byte_level;
use crate::error::{Error, Result};
use conclave_core::prompt::TAGS;
use serde::de::{Deserialize, Deserializer, SeqAccess, Visitor};
use serde_json::Value;
use std::collections::{BTreeMap, HashSet};
use std::fmt;
use tokenizers::models::bpe::{BPE, Vocab};
use tokenizers::models::wordlevel::WordLevel;
use tokenizers::{NormalizerWrapper, PreTokenizerWrapper};

/// Highest id that is taken: as many rows as an embedding may have.
const MAX_ID: u32 = (1 << 24) - 1;

/// Most added tokens that are taken: the largest known vocabularies have about a thousand.
const MAX_ADDED: usize = 1 << 16;

/// What a `tokenizer.json` comes down to.
pub struct Loaded {
    /// The tokenizer of plain text: it knows no added token.
    pub plain: tokenizers::Tokenizer,
    /// The added tokens by id.
    pub added: BTreeMap<u32, AddedToken>,
    /// How tokens become text.
    pub decoding: Decoding,
    /// Highest id + 1, added tokens included.
    pub vocab_size: usize,
    /// What stands for text outside the vocabulary; byte-level vocabularies have no such text.
    pub unknown: Option<u32>,
}

/// A token beside the vocabulary, such as `<|im_start|>`.
#[derive(serde::Deserialize)]
pub struct AddedToken {
    /// Its id.
    pub(super) id: u32,
    /// The text that stands for it in trusted text.
    pub content: String,
    /// Whether it is markup, which is not shown, rather than text.
    #[serde(default)]
    pub special: bool,
    /// Whether it is found only where no letter, digit or underscore stands beside it.
    #[serde(default)]
    pub single_word: bool,
    /// Whether it takes the white space before it with it.
    #[serde(default)]
    pub lstrip: bool,
    /// Whether it takes the white space behind it with it.
    #[serde(default)]
    pub rstrip: bool,
}

/// How tokens become text. Each kind turns a token into bytes by itself, whatever stands around it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Decoding {
    /// Each character stands for a byte.
    ByteLevel,
    /// Tokens are text, `<0x41>` is a byte.
    ByteFallback,
    /// Tokens are text.
    Fuse,
    /// Tokens are words with a space between them.
    Words,
}

pub fn load(json: &[u8]) -> Result<Loaded> {
    serde_json::from_slice::<TokenizerFile>(json)
        .map_err(|error| {
            Error::tokenizer(format!("not a valid tokenizer: {error}: download it again")).with_source(error)
        })?
        .load()
}

impl TokenizerFile {
    /// Checks every part and builds the tokenizer.
    pub(super) fn load(self) -> Result<Loaded> {
        let file = self;
        let added = added_tokens(file.added_tokens)?;
        let mut model = file.model;
        // Text must never reach an added token through the vocabulary either; the token for unknown text is no markup.
        for token in added.values() {
            if model.unk_token.as_ref() != Some(&token.content) {
                model.vocab.remove(&token.content);
            }
        }
        let byte_level = file.pre_tokenizer.as_ref().is_some_and(|part| has_type(part, "ByteLevel"));
        model.check(byte_level)?;
        let highest = model.vocab.values().chain(added.keys()).max().copied();
        let vocab_size = highest.ok_or_else(|| Error::tokenizer("has no tokens"))? as usize + 1;
        let decoding = decoding(file.decoder.as_ref())?;
        let unknown = model.unk_token.as_ref().and_then(|token| model.vocab.get(token)).copied();
        let mut plain = model.build(&added)?;
        let normalizer: Option<NormalizerWrapper> = part("normalizer", file.normalizer, &NORMALIZERS)?;
        plain.with_normalizer(normalizer).map_err(foreign)?;
        let pre_tokenizer: Option<PreTokenizerWrapper> =
            part("pre_tokenizer", file.pre_tokenizer, &PRE_TOKENIZERS)?;
        plain.with_pre_tokenizer(pre_tokenizer);
        Ok(Loaded { plain, added, decoding, vocab_size, unknown })
    }
}

/// An error of the tokenizers crate.
pub fn foreign(error: tokenizers::Error) -> Error {
    Error::tokenizer(error.to_string())
}

/// What of `tokenizer.json` is read.
#[derive(serde::Deserialize)]
pub(super) struct TokenizerFile {
    #[serde(default)]
    pub(super) added_tokens: Vec<AddedToken>,
    pub(super) normalizer: Option<Value>,
    pub(super) pre_tokenizer: Option<Value>,
    pub(super) decoder: Option<Value>,
    pub(super) model: ModelPart,
}

/// The vocabulary with its merges, and how they are used.
#[derive(Default, serde::Deserialize)]
pub(super) struct ModelPart {
    #[serde(rename = "type")]
    pub(super) kind: Option<String>,
    pub(super) vocab: Vocab,
    pub(super) merges: Option<Vec<Merge>>,
    pub(super) unk_token: Option<String>,
    pub(super) continuing_subword_prefix: Option<String>,
    pub(super) end_of_word_suffix: Option<String>,
    pub(super) dropout: Option<f32>,
    #[serde(default)]
    pub(super) fuse_unk: bool,
    #[serde(default)]
    pub(super) byte_fallback: bool,
    #[serde(default)]
    pub(super) ignore_merges: bool,
}

impl ModelPart {
    /// Checks what the model would otherwise find out in the middle of a text, by an error or by dropping characters.
    fn check(&self, byte_level: bool) -> Result<()> {
        let mut ids = HashSet::with_capacity(self.vocab.len());
        for (token, &id) in &self.vocab {
            if id > MAX_ID || !ids.insert(id) {
                let reason = if id > MAX_ID { "is over the limit" } else { "is another token's too" };
                return Err(Error::tokenizer(format!("the id {id} of token {token:?} {reason}")));
            }
        }
        match &self.unk_token {
            Some(token) if self.vocab.contains_key(token) => return Ok(()),
            Some(token) => {
                return Err(Error::tokenizer(format!("unk_token {token:?} is not in the vocabulary")));
            }
            None if self.byte_fallback && self.kind.as_deref() != Some("WordLevel") => {
                let missing = (0..=255u8).find(|byte| !self.vocab.contains_key(&format!("<0x{byte:02X}>")));
                return missing
                    .map_or(Ok(()), |byte| Err(lossy(format!("the token <0x{byte:02X}> is missing"))));
            }
            None if !byte_level => return Err(lossy("there is no unk_token".into())),
            None => {}
        }
        let mut alphabet = byte_level::alphabet();
        match alphabet.find(|character| !self.vocab.contains_key(character.encode_utf8(&mut [0; 4]) as &str))
        {
            Some(character) => Err(lossy(format!("the byte-level character {character:?} is missing"))),
            None => Ok(()),
        }
    }

    fn build(self, added: &BTreeMap<u32, AddedToken>) -> Result<tokenizers::Tokenizer> {
        match self.kind.as_deref() {
            Some("BPE") | None if self.merges.is_some() => self.build_bpe(added),
            Some("WordLevel") => {
                let unk_token = self.unk_token.unwrap_or_default();
                let model = WordLevel::builder().vocab(self.vocab).unk_token(unk_token).build();
                Ok(tokenizers::Tokenizer::new(model.map_err(foreign)?))
            }
            Some("BPE") => Err(Error::tokenizer("model of type BPE has no merges")),
            kind => Err(unsupported("model", kind.unwrap_or("unnamed"), &["BPE", "WordLevel"])),
        }
    }

    fn build_bpe(self, added: &BTreeMap<u32, AddedToken>) -> Result<tokenizers::Tokenizer> {
        if self.dropout.is_some_and(|dropout| dropout != 0.0) {
            return Err(Error::unsupported("model `dropout` makes encoding random, supported is null"));
        }
        let prefix_len = self.continuing_subword_prefix.as_ref().map_or(0, String::len);
        let taken_out: HashSet<&str> = added.values().map(|token| token.content.as_str()).collect();
        let mut merges = Vec::new();
        for Merge(left, right) in self.merges.unwrap_or_default() {
            let whole = format!("{left}{}", right.get(prefix_len..).unwrap_or_default());
            let missing = [&left, &right, &whole].into_iter().find(|token| !self.vocab.contains_key(*token));
            match missing {
                None => merges.push((left, right)),
                // The merges of a token that was taken out as an added one go with it.
                Some(token) if taken_out.contains(token.as_str()) => {}
                Some(token) => {
                    let message =
                        format!("merge of {left:?} and {right:?}: {token:?} is not in the vocabulary");
                    return Err(Error::tokenizer(message));
                }
            }
        }
        let mut builder = BPE::builder()
            .vocab_and_merges(self.vocab, merges)
            .fuse_unk(self.fuse_unk)
            .byte_fallback(self.byte_fallback)
            .ignore_merges(self.ignore_merges);
        if let Some(token) = self.unk_token {
            builder = builder.unk_token(token);
        }
        if let Some(prefix) = self.continuing_subword_prefix {
            builder = builder.continuing_subword_prefix(prefix);
        }
        if let Some(suffix) = self.end_of_word_suffix {
            builder = builder.end_of_word_suffix(suffix);
        }
        Ok(tokenizers::Tokenizer::new(builder.build().map_err(foreign)?))
    }
}

/// A merge in either dialect: `["a", "b"]` or `"a b"`.
pub(super) struct Merge(pub(super) String, pub(super) String);

impl<'de> Deserialize<'de> for Merge {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MergeVisitor;

        impl<'de> Visitor<'de> for MergeVisitor {
            type Value = Merge;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a merge of two tokens")
            }

            fn visit_str<E: serde::de::Error>(self, pair: &str) -> Result<Merge, E> {
                let (left, right) = pair.split_once(' ').ok_or_else(|| E::custom("a merge has one space"))?;
                Ok(Merge(left.into(), right.into()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut pair: A) -> Result<Merge, A::Error> {
                let mut next =
                    || pair.next_element()?.ok_or_else(|| serde::de::Error::custom("half a merge"));
                Ok(Merge(next()?, next()?))
            }
        }

        deserializer.deserialize_any(MergeVisitor)
    }
}

fn added_tokens(tokens: Vec<AddedToken>) -> Result<BTreeMap<u32, AddedToken>> {
    if tokens.len() > MAX_ADDED {
        return Err(Error::tokenizer(format!(
            "has {} added tokens, at most {MAX_ADDED} are taken",
            tokens.len()
        )));
    }
    let mut contents = HashSet::new();
    let mut added = BTreeMap::new();
    for mut token in tokens {
        let AddedToken { id, content, .. } = &token;
        if content.is_empty() || *id > MAX_ID || !contents.insert(content.clone()) {
            return Err(Error::tokenizer(format!(
                "added token {content:?} of id {id} is empty, doubled or too high"
            )));
        }
        // The tags that an answer is read by are text, whatever the file says of them: left out when the answer is
        // decoded, no answer would be found, ever.
        let id = *id;
        token.special &= !TAGS.contains(&token.content.as_str());
        if let Some(other) = added.insert(id, token) {
            return Err(Error::tokenizer(format!(
                "the id of added token {:?} is another's too",
                other.content
            )));
        }
    }
    Ok(added)
}

const NORMALIZERS: [&str; 7] = ["Sequence", "NFC", "NFD", "NFKC", "NFKD", "Lowercase", "Replace"];
const PRE_TOKENIZERS: [&str; 7] =
    ["Sequence", "Split", "ByteLevel", "Whitespace", "WhitespaceSplit", "Digits", "Punctuation"];
const DECODERS: [&str; 4] = ["ByteLevel", "ByteFallback", "Fuse", "Sequence (ByteFallback, Fuse)"];

/// One part of the pipeline, if all it is made of is supported.
fn part<T: serde::de::DeserializeOwned>(
    name: &str,
    value: Option<Value>,
    supported: &[&str],
) -> Result<Option<T>> {
    let Some(value) = value else { return Ok(None) };
    check_part(name, &value, supported)?;
    let read = serde_json::from_value(value);
    read.map(Some)
        .map_err(|error| Error::tokenizer(format!("its {name} is not valid: {error}")).with_source(error))
}

fn check_part(name: &str, value: &Value, supported: &[&str]) -> Result<()> {
    let kind = type_of(value);
    if !supported.contains(&kind) {
        return Err(unsupported(name, kind, supported));
    }
    // A space in front of every segment would change the text.
    if value["add_prefix_space"] == true {
        return Err(Error::unsupported(format!(
            "{name} {kind} has add_prefix_space true, supported is false"
        )));
    }
    children(value).try_for_each(|child| check_part(name, child, supported))
}

fn decoding(decoder: Option<&Value>) -> Result<Decoding> {
    let Some(decoder) = decoder else { return Ok(Decoding::Words) };
    let all_of = |kinds: &[&str]| children(decoder).all(|child| kinds.contains(&type_of(child)));
    match type_of(decoder) {
        "ByteLevel" => Ok(Decoding::ByteLevel),
        "ByteFallback" => Ok(Decoding::ByteFallback),
        "Fuse" => Ok(Decoding::Fuse),
        "Sequence" if all_of(&["ByteLevel"]) => Ok(Decoding::ByteLevel),
        "Sequence" if all_of(&["ByteFallback", "Fuse"]) => Ok(Decoding::ByteFallback),
        kind => Err(unsupported("decoder", kind, &DECODERS)),
    }
}

fn type_of(part: &Value) -> &str {
    part["type"].as_str().unwrap_or("unnamed")
}

/// The members of a `Sequence`.
fn children(part: &Value) -> impl Iterator<Item = &Value> {
    let lists = ["normalizers", "pretokenizers", "decoders"].into_iter();
    lists.filter_map(|list| part[list].as_array()).flatten()
}

fn has_type(part: &Value, kind: &str) -> bool {
    type_of(part) == kind || children(part).any(|child| has_type(child, kind))
}

fn unsupported(part: &str, kind: &str, supported: &[&str]) -> Error {
    Error::unsupported(format!("its {part} is of type {kind}, supported are {}", supported.join(", ")))
}

fn lossy(reason: String) -> Error {
    Error::tokenizer(format!("would lose text outside its vocabulary: {reason}"))
}
