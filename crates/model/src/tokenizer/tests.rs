//! Small tokenizers, made here, for each rule. The real vocabulary is tested in `tests/qwen2_tokenizer.rs`.

use super::*;
use crate::error::ErrorKind;
use serde_json::{Value, json};

/// One token a character of `0123456789+= ?`, with `<unk>`, and `<end>` in the vocabulary and among the added tokens.
fn word_level() -> Value {
    let tokens = ["<unk>", "<end>", "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "+", "=", " ", "?"];
    let vocab: serde_json::Map<_, _> =
        tokens.iter().enumerate().map(|(id, token)| (token.to_string(), id.into())).collect();
    json!({
        "version": "1.0", "truncation": null, "padding": null,
        "added_tokens": [
            {"id": 0, "content": "<unk>", "special": true},
            {"id": 1, "content": "<end>", "special": true, "lstrip": false, "rstrip": false, "single_word": false},
            {"id": 16, "content": "<note>", "special": false},
        ],
        "normalizer": null,
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "<end>|."}, "behavior": "Isolated", "invert": false},
        "post_processor": null,
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocab, "unk_token": "<unk>"},
    })
}

/// Byte-level BPE over the 256 bytes and the merges of "hello".
fn byte_level_bpe() -> Value {
    let mut tokens: Vec<String> = byte_level::alphabet().map(String::from).collect();
    tokens.extend(["he", "ll", "llo", "hello"].map(String::from));
    let vocab: serde_json::Map<_, _> =
        tokens.into_iter().enumerate().map(|(id, token)| (token, id.into())).collect();
    json!({
        "added_tokens": [{"id": 260, "content": "<eot>", "special": true}],
        "pre_tokenizer": {"type": "ByteLevel", "add_prefix_space": false, "trim_offsets": true},
        "decoder": {"type": "ByteLevel"},
        "model": {"type": "BPE", "vocab": vocab, "merges": ["h e", ["l", "l"], "ll o", "he llo"]},
    })
}

fn load(json: &Value) -> Result<Tokenizer> {
    Tokenizer::from_json(json.to_string().as_bytes())
}

/// `json` with the value at `pointer` replaced.
fn with(mut json: Value, pointer: &str, value: Value) -> Value {
    let (parent, key) = pointer.rsplit_once('/').unwrap();
    json.pointer_mut(parent).unwrap()[key] = value;
    json
}

#[track_caller]
fn check_refused(json: Value, kind: ErrorKind, reason: &str) {
    let error = load(&json).err().expect("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    assert!(
        error.to_string().starts_with("tokenizer.json: ") && error.to_string().contains(reason),
        "{error}"
    );
}

#[test]
fn word_level_both_ways() {
    let tokenizer = load(&word_level()).unwrap();
    let ids = tokenizer.encode_untrusted("12+7=?").unwrap();
    assert_eq!(ids, [3, 4, 12, 9, 13, 15]);
    assert_eq!(tokenizer.decode(&ids), "12+7=?");
    assert_eq!(tokenizer.vocab_size(), 17);
    assert_eq!(
        [tokenizer.token_id("<end>"), tokenizer.token_id("7"), tokenizer.token_id("x")],
        [Some(1), Some(9), None]
    );
}

#[test]
fn added_tokens_count_in_trusted_text_only() {
    let tokenizer = load(&word_level()).unwrap();
    assert_eq!(tokenizer.encode_trusted("1<end><note>2").unwrap(), [3, 1, 16, 4]);
    assert_eq!(tokenizer.encode_untrusted("1<end>").unwrap(), [3, 0], "as a word that is not known");
    let segments = [("1<end>", true), ("1<end>", false), ("", false), ("<note>", true)];
    let segments = segments.map(|(text, trusted)| Segment { text: text.into(), trusted });
    assert_eq!(tokenizer.encode_segments(&segments).unwrap(), [3, 1, 3, 0, 16]);
}

#[test]
fn an_added_token_takes_white_space_with_it_where_it_is_told_to() {
    let with_flags = |flags: &[&str]| {
        let json = word_level();
        load(
            &flags
                .iter()
                .fold(json, |json, flag| with(json, &format!("/added_tokens/1/{flag}"), json!(true))),
        )
        .unwrap()
    };
    let text = "1  <end> 2";
    let (one, two, end, space) = (3, 4, 1, 14);
    for (flags, expected) in [
        (&[][..], vec![one, space, space, end, space, two]),
        (&["lstrip"], vec![one, end, space, two]),
        (&["rstrip"], vec![one, space, space, end, two]),
        (&["lstrip", "rstrip"], vec![one, end, two]),
    ] {
        assert_eq!(with_flags(flags).encode_trusted(text).unwrap(), expected, "{flags:?}");
        assert!(!with_flags(flags).encode_untrusted(text).unwrap().contains(&end));
    }
    let alone = with_flags(&["single_word"]);
    assert_eq!(alone.encode_trusted("?<end>=").unwrap(), [15, end, 13]);
    assert!(!alone.encode_trusted("1<end>").unwrap().contains(&end));
    assert_eq!(with_flags(&["lstrip"]).encode_trusted("<end>").unwrap(), [end]);
}

/// M27: a model to which the tags were added as special tokens writes them all the same.
#[test]
fn the_tags_of_an_answer_are_text_also_as_special_tokens() {
    let mut json = word_level();
    let tags = conclave_core::prompt::TAGS.iter().zip(17..);
    json["added_tokens"]
        .as_array_mut()
        .unwrap()
        .extend(tags.map(|(tag, id)| json!({"id": id, "content": tag, "special": true})));
    let tokenizer = load(&json).unwrap();
    let ids = tokenizer.encode_trusted("<think>1+1</think><end><answer>2</answer>").unwrap();
    assert_eq!(ids, [17, 3, 12, 3, 18, 1, 19, 4, 20]);
    assert_eq!(tokenizer.decode(&ids), "<think>1+1</think><answer>2</answer>");
    assert!(!tokenizer.encode_untrusted("<answer>2</answer>").unwrap().contains(&19), "and of no candidate");
}

#[test]
fn words_outside_the_vocabulary_are_counted() {
    let tokenizer = load(&word_level()).unwrap();
    for (text, share) in [("", 0.0), ("12+7", 0.0), ("1x", 0.5), ("x<end>y1", 0.75), ("中", 1.0)] {
        assert_eq!(tokenizer.unknown_share(text), share, "{text}");
    }
    let tokenizer = load(&byte_level_bpe()).unwrap();
    assert_eq!(tokenizer.unknown_share("hello 中 <eot>"), 0.0, "bytes leave nothing out");
}

#[test]
fn special_tokens_are_shown_on_demand_and_unknown_ids_never() {
    let tokenizer = load(&word_level()).unwrap();
    let ids = [3, 1, 16, 99, u32::MAX, 4];
    assert_eq!(tokenizer.decode(&ids), "1<note>2");
    assert_eq!(tokenizer.decode_with_special(&ids), "1<end><note>2");
}

#[test]
fn without_a_decoder_words_have_spaces_between() {
    let tokenizer = load(&with(word_level(), "/decoder", Value::Null)).unwrap();
    assert_eq!(tokenizer.decode(&[1, 3, 1, 4]), "1 2");
}

#[test]
fn byte_level_both_ways() {
    let tokenizer = load(&byte_level_bpe()).unwrap();
    let text = "hello hello, né 中\u{0}\n<eot>";
    let ids = tokenizer.encode_untrusted(text).unwrap();
    assert_eq!(ids[0], 259);
    assert!(!ids.contains(&260));
    assert_eq!(tokenizer.decode(&ids), text);
    let half = tokenizer.encode_untrusted("中").unwrap();
    assert_eq!(tokenizer.decode(&half[..2]), "\u{fffd}");
}

#[test]
fn byte_fallback_both_ways() {
    let mut vocab: serde_json::Map<_, _> =
        (0..256).map(|byte| (format!("<0x{byte:02X}>"), byte.into())).collect();
    vocab.insert("a".into(), 256.into());
    let model = json!({"type": "BPE", "vocab": vocab, "merges": [], "byte_fallback": true});
    let decoder = json!({"type": "Sequence", "decoders": [{"type": "ByteFallback"}, {"type": "Fuse"}]});
    let tokenizer = load(&json!({"decoder": decoder, "model": model})).unwrap();
    let ids = tokenizer.encode_untrusted("aé").unwrap();
    assert_eq!(ids, [256, 0xC3, 0xA9]);
    assert_eq!(tokenizer.decode(&ids), "aé");
}

#[test]
fn long_text_is_cut_where_it_changes_nothing() {
    let words = "hello hellohe, ".repeat(20_000);
    let cut: Vec<&str> = pieces(&words).collect();
    assert!(cut.len() > 4 && cut.iter().all(|piece| piece.len() <= HARD_PIECE));
    assert_eq!(cut.concat(), words);
    assert!(cut[1..].iter().all(|piece| piece.starts_with(' ')));
    let no_space = "中".repeat(50_000);
    let cut: Vec<&str> = pieces(&no_space).collect();
    assert!(cut.iter().all(|piece| piece.len() <= HARD_PIECE));
    assert_eq!(cut.concat(), no_space);
    assert_eq!(pieces("").count(), 0);
}

#[test]
fn a_tokenizer_larger_than_the_model_does_not_fit() {
    let tokenizer = load(&word_level()).unwrap();
    assert!(tokenizer.check_fits(&Qwen2Config::tiny(17)).is_ok());
    assert!(tokenizer.check_fits(&Qwen2Config::tiny(300)).is_ok());
    let error = tokenizer.check_fits(&Qwen2Config::tiny(16)).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Tokenizer);
    assert!(error.to_string().contains("ids up to 16, config.json has `vocab_size` 16"), "{error}");
}

#[test]
fn what_is_not_supported_is_refused_by_name() {
    use ErrorKind::Unsupported;
    check_refused(with(word_level(), "/model/type", json!("WordPiece")), Unsupported, "WordPiece");
    check_refused(with(word_level(), "/decoder", json!({"type": "Metaspace"})), Unsupported, "Metaspace");
    check_refused(
        with(word_level(), "/normalizer", json!({"type": "Precompiled"})),
        Unsupported,
        "Precompiled",
    );
    let prefix =
        json!({"type": "Sequence", "pretokenizers": [{"type": "ByteLevel", "add_prefix_space": true}]});
    check_refused(with(word_level(), "/pre_tokenizer", prefix), Unsupported, "add_prefix_space");
    check_refused(with(byte_level_bpe(), "/model/dropout", json!(0.1)), Unsupported, "dropout");
}

#[test]
fn what_would_lose_text_or_panic_is_refused() {
    use ErrorKind::Tokenizer;
    check_refused(with(word_level(), "/model/unk_token", Value::Null), Tokenizer, "no unk_token");
    check_refused(
        with(word_level(), "/model/unk_token", json!("?!")),
        Tokenizer,
        "\"?!\" is not in the vocabulary",
    );
    check_refused(with(word_level(), "/model/vocab/7", json!(3)), Tokenizer, "another token's too");
    check_refused(with(word_level(), "/model/vocab/7", json!(u32::MAX)), Tokenizer, "over the limit");
    check_refused(with(word_level(), "/model/vocab/7", json!(-1)), Tokenizer, "not a valid tokenizer");
    check_refused(with(word_level(), "/added_tokens/1/id", json!(0)), Tokenizer, "another's too");
    check_refused(with(word_level(), "/added_tokens/1/content", json!("<unk>")), Tokenizer, "doubled");
    check_refused(with(byte_level_bpe(), "/model/vocab/a", Value::Null), Tokenizer, "not a valid tokenizer");
    let mut no_a = byte_level_bpe();
    no_a["model"]["vocab"].as_object_mut().unwrap().remove("a");
    check_refused(no_a, Tokenizer, "'a' is missing");
    check_refused(with(byte_level_bpe(), "/model/merges", Value::Null), Tokenizer, "no merges");
    check_refused(
        with(byte_level_bpe(), "/pre_tokenizer/type", json!(7)),
        ErrorKind::Tokenizer,
        "no unk_token",
    );
    check_refused(json!({"model": {"type": "WordLevel", "vocab": {}}}), Tokenizer, "no unk_token");
    assert_eq!(super::Tokenizer::from_json(b"").err().map(|error| error.kind()), Some(Tokenizer));
}

#[test]
fn merges_have_to_fit_the_vocabulary() {
    let long = "h".repeat(500);
    for pair in [json!([long, "e"]), json!(["h", long]), json!(["e", "h"])] {
        check_refused(
            with(byte_level_bpe(), "/model/merges", json!([pair])),
            ErrorKind::Tokenizer,
            "merge of",
        );
    }
    check_refused(with(byte_level_bpe(), "/model/merges", json!(["he"])), ErrorKind::Tokenizer, "one space");
}

#[test]
fn an_added_token_of_the_vocabulary_is_not_merged_out_of_text() {
    let added = json!([{"id": 259, "content": "hello", "special": false}]);
    let tokenizer = load(&with(byte_level_bpe(), "/added_tokens", added)).unwrap();
    let [he, llo] = ["he", "llo"].map(|token| tokenizer.token_id(token).unwrap());
    assert_eq!(tokenizer.encode_untrusted("hello").unwrap(), [he, llo]);
    assert_eq!(tokenizer.encode_trusted("hello").unwrap(), [259]);
}
