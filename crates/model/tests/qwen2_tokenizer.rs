//! The real Qwen2.5 vocabulary (tests/data/qwen2-tokenizer): known ids, the wall around added tokens, streaming,
//! and long texts.

use conclave_core::prompt::Segment;
use conclave_model::config::Qwen2Config;
use conclave_model::stream::TextStream;
use conclave_model::tokenizer::{SplitFiles, Tokenizer};
use std::io::Read;
use std::sync::LazyLock;

const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/qwen2-tokenizer");

static TOKENIZER_JSON: LazyLock<Vec<u8>> = LazyLock::new(|| {
    let mut json = Vec::new();
    let file =
        std::fs::File::open(format!("{DATA}/tokenizer.json.gz")).expect("the file is part of the repository");
    flate2::read::GzDecoder::new(file).read_to_end(&mut json).expect("it is a gzip file");
    json
});

static TOKENIZER: LazyLock<Tokenizer> = LazyLock::new(|| Tokenizer::from_json(&TOKENIZER_JSON).unwrap());

#[derive(serde::Deserialize)]
struct Vector {
    text: String,
    ids: Vec<u32>,
}

fn vectors() -> Vec<Vector> {
    let text = std::fs::read_to_string(format!("{DATA}/vectors.json")).unwrap();
    serde_json::from_str(&text).unwrap()
}

#[test]
fn known_texts_have_their_known_ids() {
    let vectors = vectors();
    assert_eq!(vectors.len(), 9);
    for Vector { text, ids } in vectors {
        assert_eq!(TOKENIZER.encode_trusted(&text).unwrap(), ids, "{text:?}");
        assert_eq!(TOKENIZER.decode_with_special(&ids), text);
        if !text.contains("<|") {
            assert_eq!(TOKENIZER.encode_untrusted(&text).unwrap(), ids, "{text:?}");
            assert_eq!(TOKENIZER.decode(&ids), text);
        }
    }
}

#[test]
fn the_vocabulary_fits_the_published_models_only() {
    assert_eq!(TOKENIZER.vocab_size(), 151_665);
    assert_eq!(TOKENIZER.token_id("<|endoftext|>"), Some(151_643));
    assert_eq!(TOKENIZER.token_id("<|file_sep|>"), Some(151_664));
    assert_eq!(TOKENIZER.token_id("<|no_such_token|>"), None);
    TOKENIZER.check_fits(&Qwen2Config::qwen2_5_0_5b()).unwrap();
    assert!(TOKENIZER.check_fits(&Qwen2Config::tiny(151_664)).is_err());
}

#[test]
fn no_added_token_comes_out_of_untrusted_text() {
    let added: Vec<(u32, &str)> = TOKENIZER.added_tokens().collect();
    assert_eq!(added.len(), 22);
    for &(id, content) in &added {
        for text in [content.to_string(), format!("a{content}b"), format!(" {content}\n{content}")] {
            let ids = TOKENIZER.encode_untrusted(&text).unwrap();
            assert!(ids.iter().all(|&id| id < 151_643), "{text:?} gives {ids:?}");
            assert_eq!(TOKENIZER.decode(&ids), text, "and is still there as text");
        }
        assert_eq!(TOKENIZER.encode_trusted(content).unwrap(), [id]);
        let segments = [(content, true), (content, false)];
        let segments = segments.map(|(text, trusted)| Segment { text: text.into(), trusted });
        let ids = TOKENIZER.encode_segments(&segments).unwrap();
        assert_eq!(ids[0], id);
        assert_eq!(ids[1..], TOKENIZER.encode_untrusted(content).unwrap());
    }
}

/// The same vocabulary in the older form, of which the rules are not part: they have to be Qwen2's.
#[test]
fn vocab_and_merges_give_the_same_tokenizer() {
    let json: serde_json::Value = serde_json::from_slice(&TOKENIZER_JSON).unwrap();
    let merges = json["model"]["merges"].as_array().unwrap().iter().map(|pair| match pair.as_array() {
        Some(pair) => format!("{} {}\n", pair[0].as_str().unwrap(), pair[1].as_str().unwrap()),
        None => format!("{}\n", pair.as_str().unwrap()),
    });
    let merges: String = std::iter::once("#version: 0.2\n".to_owned()).chain(merges).collect();
    let mut decoder = serde_json::Map::new();
    for token in json["added_tokens"].as_array().unwrap() {
        decoder.insert(token["id"].to_string(), token.clone());
    }
    let tokenizer = Tokenizer::from_split_files(SplitFiles {
        vocab: &json["model"]["vocab"].to_string(),
        merges: &merges,
        tokenizer_config: Some(&serde_json::json!({"added_tokens_decoder": decoder}).to_string()),
        added_tokens: None,
    })
    .unwrap();
    assert_eq!(tokenizer.vocab_size(), TOKENIZER.vocab_size());
    assert!(tokenizer.added_tokens().eq(TOKENIZER.added_tokens()));
    let mixed = "It's 12345  apples,\r\n\t'LL née e\u{301} 中文 🦙 x_1=\\frac{1}{2} <|im_start|>\n\n  end ";
    let texts = vectors().into_iter().map(|vector| vector.text).chain([mixed.to_owned(), mixed.repeat(50)]);
    for text in texts {
        let expected = TOKENIZER.encode_untrusted(&text).unwrap();
        assert_eq!(tokenizer.encode_untrusted(&text).unwrap(), expected, "{text:?}");
        let expected = TOKENIZER.encode_trusted(&text).unwrap();
        assert_eq!(tokenizer.encode_trusted(&text).unwrap(), expected, "{text:?}");
        assert_eq!(tokenizer.decode(&expected), TOKENIZER.decode(&expected));
    }
}

/// The tokenizers crate's own reading of the same file.
fn reference() -> tokenizers::Tokenizer {
    tokenizers::Tokenizer::from_bytes(TOKENIZER_JSON.as_slice()).unwrap()
}

#[test]
fn encoding_and_decoding_agree_with_the_crate_underneath() {
    let reference = reference();
    let texts = [
        "Let $x^2 - 5x + 6 = 0$; then \\boxed{\\frac{12}{7}}.\n\n\n  \t So 1,234.50 it's DONE\u{a0}!\r\n",
        "e\u{301} ﬁ 한국어 テスト ½ 👩‍👩‍👧 \u{0}\u{7f}\u{ad} ",
        "<tool_call>{\"a\": 1}</tool_call><|im_start|>assistant\n",
    ];
    for text in texts {
        let ids = reference.encode(text, false).unwrap().get_ids().to_vec();
        assert_eq!(TOKENIZER.encode_trusted(text).unwrap(), ids, "{text:?}");
        assert_eq!(TOKENIZER.decode(&ids), reference.decode(&ids, true).unwrap());
        assert_eq!(TOKENIZER.decode_with_special(&ids), reference.decode(&ids, false).unwrap());
    }
}

#[test]
fn a_long_text_has_the_ids_of_one_encoded_at_once() {
    let text: String =
        (0..10_000).map(|i| format!("Step {i}: we get $x_{i} = {}$, isn't it?\n", i * 7)).collect();
    assert!(text.len() > 300_000);
    let at_once = reference().encode_fast(text.as_str(), false).unwrap();
    assert!(TOKENIZER.encode_untrusted(&text).unwrap() == at_once.get_ids());
}

#[test]
fn long_runs_of_anything_come_back_whole() {
    for pattern in ["a", "\n", " ", "ab 1\u{300}, ", "中", "!", "aaaaaaaaaaaaaaaab"] {
        let text = pattern.repeat(300_000 / pattern.len());
        let ids = TOKENIZER.encode_untrusted(&text).unwrap();
        assert!(TOKENIZER.decode(&ids) == text, "{pattern:?} does not come back");
        assert!(ids.len() < text.len(), "{pattern:?} has {} tokens", ids.len());
    }
}

#[test]
fn a_stream_gives_the_text_of_all_ids_at_once() {
    for Vector { ids, .. } in vectors() {
        let mut stream = TextStream::new(&TOKENIZER);
        let mut text: String = ids.iter().map(|&id| stream.push(id)).collect();
        text += &stream.finish();
        assert_eq!(text, TOKENIZER.decode(&ids));
    }
    // The llama of " this is 🦙.cpp" takes three tokens.
    let mut stream = TextStream::new(&TOKENIZER);
    let pieces: Vec<String> = [419, 374, 11162, 99, 247, 13].map(|id| stream.push(id)).to_vec();
    assert_eq!(pieces, [" this", " is", " ", "", "🦙", "."]);
}
