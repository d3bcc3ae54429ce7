//! Streamed text against the same text at once: any ids, any pieces, any stop strings.

use super::mutation::check_all;
use conclave_model::stream::{StopStrings, TextStream};
use conclave_model::tokenizer::Tokenizer;
use proptest::collection::vec;
use proptest::prelude::*;
use serde_json::json;

/// A byte-fallback vocabulary: every byte, a few words, a special token (260) and one that is shown (261).
fn byte_tokenizer(decoder: serde_json::Value) -> Tokenizer {
    let mut vocab: serde_json::Map<_, _> =
        (0..256).map(|byte| (format!("<0x{byte:02X}>"), byte.into())).collect();
    for (token, id) in [("é", 256), ("中🦙", 257), ("ab", 258), (" ", 259)] {
        vocab.insert(token.into(), id.into());
    }
    let json = json!({
        "added_tokens": [{"id": 260, "content": "<end>", "special": true}, {"id": 261, "content": "<tool>"}],
        "decoder": decoder,
        "model": {"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true},
    });
    Tokenizer::from_json(json.to_string().as_bytes()).expect("it is valid")
}

/// Ids of which many are bytes that begin, continue or break characters.
fn ids() -> impl Strategy<Value = Vec<u32>> {
    let bytes =
        prop::sample::select(vec![0x61u32, 0x80, 0xBF, 0xC3, 0xA9, 0xE4, 0xB8, 0xAD, 0xED, 0xF0, 0x9F, 0xF4]);
    vec(prop_oneof![4 => bytes, 1 => 0..256u32, 2 => 256..264u32], 0..24)
}

fn streamed(tokenizer: &Tokenizer, ids: &[u32]) -> String {
    let mut stream = TextStream::new(tokenizer);
    let text: String = ids.iter().map(|&id| stream.push(id)).collect();
    text + &stream.finish()
}

#[test]
fn streamed_text_is_the_text_at_once() {
    let decoders = [json!({"type": "ByteFallback"}), json!(null), json!({"type": "Fuse"})];
    let tokenizers = decoders.map(byte_tokenizer);
    check_all(ids(), |ids| {
        for tokenizer in &tokenizers {
            assert_eq!(streamed(tokenizer, &ids), tokenizer.decode(&ids));
        }
    });
}

#[test]
fn a_piece_never_ends_within_a_character() {
    let tokenizer = byte_tokenizer(json!({"type": "ByteFallback"}));
    check_all(".{0,12}", |text: String| {
        let ids = tokenizer.encode_untrusted(&text).expect("every byte has a token");
        let mut stream = TextStream::new(&tokenizer);
        let mut so_far = String::new();
        for id in ids {
            so_far += &stream.push(id);
            assert!(text.starts_with(&so_far), "{so_far:?} is not the beginning of {text:?}");
        }
        assert_eq!((so_far, stream.finish()), (text, String::new()));
    });
}

/// By definition: the first end of any stop string, of those the longest.
fn naive(text: &str, stops: &[String]) -> (String, Option<String>) {
    for end in (1..=text.len()).filter(|&end| text.is_char_boundary(end)) {
        let found = stops.iter().filter(|stop| !stop.is_empty() && text[..end].ends_with(stop.as_str()));
        if let Some(stop) = found.max_by_key(|stop| stop.len()) {
            return (text[..end - stop.len()].to_string(), Some(stop.clone()));
        }
    }
    (text.to_string(), None)
}

#[test]
fn stop_strings_do_not_depend_on_the_pieces() {
    check_all((vec("[abé]{0,5}", 0..12), vec("[abé]{0,5}", 0..4)), |(pieces, stops)| {
        let mut watch = StopStrings::new(stops.clone());
        let (mut text, mut stop) = (String::new(), None);
        let (end, expected_stop) = naive(&pieces.concat(), &stops);
        for piece in &pieces {
            let update = watch.push(piece);
            text += &update.text;
            stop = stop.or(update.stop);
            assert!(end.starts_with(&text), "{text:?} was returned too early");
        }
        text += &watch.finish();
        assert_eq!((text, stop), (end, expected_stop));
    });
}
