//! A tokenizer of 256 bytes and one end-of-text token: every text has tokens, and a test can count them.

use conclave_model::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};

/// Id of `<|endoftext|>`.
pub const END: u32 = 256;

/// The tokenizer: a byte is its own id.
pub fn tokenizer() -> Tokenizer {
    Tokenizer::from_json(json().to_string().as_bytes()).expect("a valid tokenizer")
}

/// Its `tokenizer.json`.
pub fn json() -> Value {
    // GPT-2's alphabet: printable bytes are themselves, the others follow from U+0100 on.
    let printable = |byte: u32| matches!(byte, 0x21..=0x7e | 0xa1..=0xac | 0xae..=0xff);
    let mut next = 0x100;
    let mut vocabulary = Map::new();
    for byte in 0..256u32 {
        let character = if printable(byte) {
            byte
        } else {
            next += 1;
            next - 1
        };
        vocabulary.insert(char::from_u32(character).expect("a character").to_string(), json!(byte));
    }
    let byte_level =
        json!({"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": false, "use_regex": false});
    json!({
        "version": "1.0",
        "truncation": null,
        "padding": null,
        "added_tokens": [{"id": END, "content": "<|endoftext|>", "single_word": false, "lstrip": false,
            "rstrip": false, "normalized": false, "special": true}],
        "normalizer": null,
        "pre_tokenizer": byte_level,
        "post_processor": null,
        "decoder": byte_level,
        "model": {"type": "BPE", "dropout": null, "unk_token": null, "continuing_subword_prefix": null,
            "end_of_word_suffix": null, "fuse_unk": false, "byte_fallback": false, "vocab": vocabulary, "merges": []}
    })
}
