//! `tokenizer.json` from the vocabulary in a GGUF's metadata: byte-level BPE as Qwen has it.
//!
//! Tokens are those of `tokenizer.ggml.tokens`, merges those of `tokenizer.ggml.merges`. `tokenizer.ggml.token_type`
//! says what a token is: normal (1) ones make the vocabulary, control (3) and user-defined (4) ones are added tokens,
//! the former special; unused (5) ones fill the embedding up and are left out. A GGUF names its splitting of text into
//! words by `tokenizer.ggml.pre` alone: only `qwen2` is known, which Qwen3 has too, and Qwen's NFC normalisation
//! belongs to it.
//!
//! A text ends with any id under `eos_token_id`, `eot_token_id` or `eom_token_id`, and with the control tokens
//! `<|im_end|>` and `<|endoftext|>`: a GGUF has room for one id where Qwen's `generation_config.json` has both, and
//! llama.cpp stops at them by their texts too.

use std::collections::HashSet;

use serde_json::json;

use crate::bytes::Bytes;
use crate::error::{AGAIN, Error, Result};
use crate::metadata::Elements;
use crate::reader::{Gguf, shown};

/// Qwen's pattern for words: contractions, letters with one sign before, single digits, signs, line ends, spaces.
const QWEN2_PATTERN: &str = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+";

/// Control tokens that end a text whatever the ids say.
const STOP_TEXTS: [&str; 2] = ["<|im_end|>", "<|endoftext|>"];

/// What the metadata says of a vocabulary.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Vocabulary {
    /// The text of `tokenizer.json`.
    pub tokenizer_json: String,
    /// The id that ends a text, by `eos_token_id`.
    pub eos: Option<u32>,
    /// All ids that end a text, ascending.
    pub stops: Vec<u32>,
    /// The id that begins a text, where there is one; nothing puts it there.
    pub bos: Option<u32>,
    /// The id that fills, where there is one.
    pub pad: Option<u32>,
}

/// What a token is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    Normal,
    Control,
    UserDefined,
    Unused,
}

/// Reads the vocabulary of a model with `vocab_size` rows.
///
/// # Errors
/// A vocabulary of another kind; lists that are missing or do not fit each other, the model, or the ids.
pub fn read<B: Bytes>(gguf: &Gguf<B>, vocab_size: u64) -> Result<Vocabulary> {
    check_kind(gguf)?;
    let tokens = list(gguf, "tokenizer.ggml.tokens")?;
    let tokens: Vec<&str> =
        tokens.strings().collect::<Result<_>>().map_err(in_key("tokenizer.ggml.tokens"))?;
    if tokens.len() as u64 > vocab_size {
        return Err(Error::tokenizer(format!(
            "`tokenizer.ggml.tokens` has {} tokens, expected at most the {vocab_size} rows of the embedding",
            tokens.len()
        )));
    }
    let kinds = kinds(gguf, tokens.len())?;
    check_texts(&tokens, &kinds)?;
    let merges = list(gguf, "tokenizer.ggml.merges")?;
    let tokenizer_json = to_json(&tokens, &kinds, &merges)?;
    let id = |name: &str| special_id(gguf, name, &tokens, &kinds);
    let (eos, bos, pad) = (id("eos_token_id")?, id("bos_token_id")?, id("padding_token_id")?);
    let mut stops: Vec<u32> = [eos, id("eot_token_id")?, id("eom_token_id")?].into_iter().flatten().collect();
    let is_stop =
        |(_, (token, kind)): &(u32, (&&str, &Kind))| **kind == Kind::Control && STOP_TEXTS.contains(*token);
    stops.extend((0..).zip(tokens.iter().zip(&kinds)).filter(is_stop).map(|(id, _)| id));
    stops.sort_unstable();
    stops.dedup();
    if stops.is_empty() {
        return Err(Error::tokenizer(
            "`tokenizer.ggml.eos_token_id` is missing, expected the id that ends a text: take another file of the \
             model",
        ));
    }
    Ok(Vocabulary { tokenizer_json, eos, stops, bos, pad })
}

fn check_kind<B: Bytes>(gguf: &Gguf<B>) -> Result<()> {
    for (key, expected, what) in [
        ("tokenizer.ggml.model", "gpt2", "a byte-level BPE vocabulary"),
        ("tokenizer.ggml.pre", "qwen2", "the splitting of Qwen2 and Qwen3"),
    ] {
        let found = gguf.string(key)?;
        if found.as_deref() != Some(expected) {
            let found = found.map_or("missing".to_owned(), |found| format!("\"{}\"", shown(&found)));
            return Err(Error::unsupported(format!(
                "`{key}` is {found}, expected \"{expected}\" ({what}): take another file of the model"
            )));
        }
    }
    for key in ["tokenizer.ggml.add_bos_token", "tokenizer.ggml.add_eos_token"] {
        if let Some(value) = gguf.metadata().get(key).filter(|value| value.as_bool() != Some(false)) {
            return Err(Error::unsupported(format!(
                "`{key}` is {}, expected false: nothing is put around a text",
                value.describe()
            )));
        }
    }
    Ok(())
}

fn list<B: Bytes>(gguf: &Gguf<B>, key: &str) -> Result<Elements> {
    gguf.array(key)?.ok_or_else(|| {
        Error::tokenizer(format!("`{key}` is missing, expected a list: take a file with its vocabulary"))
    })
}

fn in_key(key: &'static str) -> impl Fn(Error) -> Error {
    move |error| error.context(format_args!("`{key}`"))
}

fn kinds<B: Bytes>(gguf: &Gguf<B>, count: usize) -> Result<Vec<Kind>> {
    const KEY: &str = "tokenizer.ggml.token_type";
    let list = list(gguf, KEY)?;
    let mut kinds = Vec::new();
    for kind in list.integers() {
        kinds.push(match kind {
            Some(1) => Kind::Normal,
            Some(3) => Kind::Control,
            Some(4) => Kind::UserDefined,
            Some(5) => Kind::Unused,
            other => {
                let found = other.map_or("no whole number".to_owned(), |kind| kind.to_string());
                return Err(Error::tokenizer(format!(
                    "`{KEY}` of token {} is {found}, expected 1 (normal), 3 (control), 4 (user-defined) or 5 (unused)",
                    kinds.len()
                )));
            }
        });
    }
    if kinds.len() != count {
        return Err(Error::tokenizer(format!(
            "`{KEY}` has {} elements, expected one for each of the {count} tokens: {AGAIN}",
            kinds.len()
        )));
    }
    Ok(kinds)
}

/// Every token that is used has a text of its own.
fn check_texts(tokens: &[&str], kinds: &[Kind]) -> Result<()> {
    let mut texts = HashSet::with_capacity(tokens.len());
    let used = tokens.iter().zip(kinds).enumerate().filter(|(_, (_, kind))| **kind != Kind::Unused);
    for (id, (token, _)) in used {
        if token.is_empty() || !texts.insert(*token) {
            let problem = if token.is_empty() { "is empty" } else { "occurs twice" };
            return Err(Error::tokenizer(format!(
                "`tokenizer.ggml.tokens`: token {id}, \"{}\", {problem}: {AGAIN}",
                shown(token)
            )));
        }
    }
    Ok(())
}

/// The id under a key of the tokenizer, which has to be a token that is used.
fn special_id<B: Bytes>(gguf: &Gguf<B>, name: &str, tokens: &[&str], kinds: &[Kind]) -> Result<Option<u32>> {
    let key = format!("tokenizer.ggml.{name}");
    let Some(value) = gguf.metadata().get(&key) else { return Ok(None) };
    let id = value.as_u64().and_then(|id| u32::try_from(id).ok());
    let is_used = |id: &u32| kinds.get(*id as usize).is_some_and(|kind| *kind != Kind::Unused);
    match id.filter(is_used) {
        Some(id) => Ok(Some(id)),
        None => Err(Error::tokenizer(format!(
            "`{key}` is {}, expected the id of one of the {} tokens: take another file of the model",
            value.describe(),
            tokens.len()
        ))),
    }
}

fn to_json(tokens: &[&str], kinds: &[Kind], merges: &Elements) -> Result<String> {
    let of = |wanted: fn(Kind) -> bool| {
        let all = (0u32..).zip(tokens.iter().zip(kinds));
        all.filter(move |(_, (_, kind))| wanted(**kind)).map(|(id, (token, kind))| (id, *token, *kind))
    };
    let added: Vec<_> = of(|kind| matches!(kind, Kind::Control | Kind::UserDefined))
        .map(|(id, content, kind)| {
            json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
                "normalized": false, "special": kind == Kind::Control})
        })
        .collect();
    let split = json!({"type": "Split", "pattern": {"Regex": QWEN2_PATTERN}, "behavior": "Isolated", "invert": false});
    let byte_level = |add_prefix_space: bool, trim_offsets: bool, use_regex: bool| {
        json!({"type": "ByteLevel", "add_prefix_space": add_prefix_space, "trim_offsets": trim_offsets,
            "use_regex": use_regex})
    };
    let head = json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": added,
        "normalizer": {"type": "NFC"},
        "pre_tokenizer": {"type": "Sequence", "pretokenizers": [split, byte_level(false, true, false)]},
        "post_processor": byte_level(false, false, false),
        "decoder": byte_level(true, true, true),
    });
    // The vocabulary and the merges are large: they are written as they are read, without a tree of them.
    let mut json = head.to_string();
    json.pop();
    json += r#","model":{"type":"BPE","dropout":null,"unk_token":null,"continuing_subword_prefix":null,"#;
    json +=
        r#""end_of_word_suffix":null,"fuse_unk":false,"byte_fallback":false,"ignore_merges":false,"vocab":{"#;
    for (index, (id, token, _)) in of(|kind| kind == Kind::Normal).enumerate() {
        separate(&mut json, index);
        json += &format!("{}:{id}", quoted(token));
    }
    json += r#"},"merges":["#;
    for (index, merge) in merges.strings().enumerate() {
        let merge = merge.map_err(in_key("tokenizer.ggml.merges"))?;
        let (left, right) = merge.split_once(' ').filter(|(left, right)| !left.is_empty() && !right.is_empty())
            .ok_or_else(|| {
                Error::tokenizer(format!(
                    "`tokenizer.ggml.merges`: merge {index} is \"{}\", expected two tokens with a space between them: \
                     {AGAIN}",
                    shown(merge)
                ))
            })?;
        separate(&mut json, index);
        json += &format!("[{},{}]", quoted(left), quoted(right));
    }
    json += "]}}\n";
    Ok(json)
}

fn separate(json: &mut String, index: usize) {
    if index > 0 {
        json.push(',');
    }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    serde_json::Value::from(text).to_string()
}
