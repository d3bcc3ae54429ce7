//! The older form of Qwen2's tokenizer: `vocab.json` and `merges.txt`, with the added tokens in `tokenizer_config.json`.
//!
//! The two files have no rules: those are Qwen2's own, the only vocabulary in this form that our models have. What was read is
//! built and checked as a `tokenizer.json` is.

use std::collections::BTreeMap;

use serde_json::json;

use super::load::{AddedToken, Loaded, Merge, ModelPart, TokenizerFile};
use crate::error::{Error, Result};

/// What Qwen2 cuts text by before it merges bytes.
const PATTERN: &str = "(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\\r\\n\\p{L}\\p{N}]?\\p{L}+|\\p{N}| ?[^\\s\\p{L}\\p{N}]+[\\r\\n]*|\\s*[\\r\\n]+|\\s+(?!\\S)|\\s+";

/// The texts of the files.
#[derive(Debug, Clone, Copy)]
pub struct SplitFiles<'a> {
    /// `vocab.json`: token to id.
    pub vocab: &'a str,
    /// `merges.txt`: two tokens a line, after a line with the version.
    pub merges: &'a str,
    /// `tokenizer_config.json`, for its `added_tokens_decoder`.
    pub tokenizer_config: Option<&'a str>,
    /// `added_tokens.json`: content to id, for tokens that the other does not name.
    pub added_tokens: Option<&'a str>,
}

#[derive(Default, serde::Deserialize)]
struct TokenizerConfig {
    #[serde(default)]
    added_tokens_decoder: BTreeMap<u32, Flags>,
}

#[derive(serde::Deserialize)]
struct Flags {
    content: String,
    #[serde(default)]
    special: bool,
    #[serde(default)]
    single_word: bool,
    #[serde(default)]
    lstrip: bool,
    #[serde(default)]
    rstrip: bool,
}

/// Builds the tokenizer.
pub fn load(files: SplitFiles<'_>) -> Result<Loaded> {
    let model = ModelPart {
        kind: Some("BPE".to_owned()),
        vocab: parse("vocab.json", files.vocab)?,
        merges: Some(merges(files.merges)?),
        ..ModelPart::default()
    };
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    let split =
        json!({"type": "Split", "pattern": {"Regex": PATTERN}, "behavior": "Isolated", "invert": false});
    let file = TokenizerFile {
        added_tokens: added_tokens(files)?,
        normalizer: Some(json!({"type": "NFC"})),
        pre_tokenizer: Some(json!({"type": "Sequence", "pretokenizers": [split, byte_level]})),
        decoder: Some(byte_level),
        model,
    };
    file.load().map_err(|error| error.context("vocab.json with merges.txt"))
}

fn added_tokens(files: SplitFiles<'_>) -> Result<Vec<AddedToken>> {
    let config: TokenizerConfig = match files.tokenizer_config {
        Some(text) => parse("tokenizer_config.json", text)?,
        None => TokenizerConfig::default(),
    };
    let more: BTreeMap<String, u32> = match files.added_tokens {
        Some(text) => parse("added_tokens.json", text)?,
        None => BTreeMap::new(),
    };
    let mut tokens: BTreeMap<u32, AddedToken> = BTreeMap::new();
    for (id, Flags { content, special, single_word, lstrip, rstrip }) in config.added_tokens_decoder {
        tokens.insert(id, AddedToken { id, content, special, single_word, lstrip, rstrip });
    }
    for (content, id) in more {
        // Without flags: what looks like Qwen's markup is markup.
        let special = content.starts_with("<|") && content.ends_with("|>");
        let token = AddedToken { id, content, special, single_word: false, lstrip: false, rstrip: false };
        tokens.entry(id).or_insert(token);
    }
    Ok(tokens.into_values().collect())
}

fn merges(text: &str) -> Result<Vec<Merge>> {
    let merge = |(index, line): (usize, &str)| match line.split_once(' ') {
        Some((left, right)) if !right.contains(' ') => Ok(Merge(left.to_owned(), right.to_owned())),
        _ => {
            let place = index + 1;
            Err(Error::tokenizer(format!(
                "merges.txt: line {place} is not two tokens with a space between them"
            )))
        }
    };
    // Only the first line can be the version: `# #` is a merge.
    let is_merge =
        |(index, line): &(usize, &str)| !line.is_empty() && (*index > 0 || !line.starts_with("#version"));
    text.lines().enumerate().filter(is_merge).map(merge).collect()
}

fn parse<T: serde::de::DeserializeOwned>(file: &str, text: &str) -> Result<T> {
    serde_json::from_str(text.trim_start_matches('\u{feff}')).map_err(|error| {
        Error::tokenizer(format!("{file}: not valid: {error}: download it again")).with_source(error)
    })
}
