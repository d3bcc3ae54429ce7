//! Models as a Hugging Face directory says them.

use conclave_gguf::model::Head;
use conclave_gguf::names::Architecture;
use conclave_gguf::{Gguf, Model, Options};
use serde_json::{Value as Json, json};

use crate::build::{F16, F32, File, Q8_0, Value, f32_bytes, q8_0_bytes, tiny_qwen2, weights};

fn read(file: &File, options: Options) -> Model {
    let gguf = Gguf::open(file.bytes()).expect("it is in order");
    Model::read(&gguf, options).expect("it is a model")
}

fn fixture(name: &str) -> (Gguf<Vec<u8>>, Model) {
    let path = format!("{}/tests/fixtures/{name}.gguf", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let gguf = Gguf::open(bytes).unwrap_or_else(|error| panic!("{path}: {error}"));
    let model = Model::read(&gguf, Options::default()).unwrap_or_else(|error| panic!("{path}: {error}"));
    (gguf, model)
}

fn json(text: &str) -> Json {
    serde_json::from_str(text).expect("it is JSON")
}

#[test]
fn qwen2_of_pypi_gguf() {
    let (gguf, model) = fixture("qwen2");
    let config = json(&model.config_json("float16"));
    for (key, value) in [
        ("model_type", json!("qwen2")),
        ("architectures", json!(["Qwen2ForCausalLM"])),
        ("hidden_size", json!(64)),
        ("intermediate_size", json!(96)),
        ("num_hidden_layers", json!(2)),
        ("num_attention_heads", json!(4)),
        ("num_key_value_heads", json!(2)),
        ("max_position_embeddings", json!(256)),
        ("rms_norm_eps", json!(1e-6)),
        ("rope_theta", json!(1e6)),
        ("tie_word_embeddings", json!(true)),
        ("vocab_size", json!(264)),
        ("eos_token_id", json!(260)),
        ("bos_token_id", json!(258)),
        ("torch_dtype", json!("float16")),
        ("sliding_window", json!(null)),
    ] {
        assert_eq!(config[key], value, "{key}");
    }
    assert!(config.get("head_dim").is_none());
    let generation = json(&model.generation_config_json());
    assert_eq!(generation["eos_token_id"], json!([258, 260]));
    assert!(matches!(model.head, Head::Copies { kept: "output.weight", dropped: "token_embd.weight", .. }));
    assert_eq!(model.tensors().len(), 26);
    assert_eq!(model.tensors()[0].source, "output.weight");
    for tensor in model.tensors() {
        let count = tensor.shape.iter().product::<u64>();
        let values = gguf.read_f32(&tensor.source, 0..count).expect("it is read");
        assert!(
            values.len() as u64 == count && values.iter().all(|value| value.is_finite()),
            "{}",
            tensor.name
        );
    }
    let note = model.head_note();
    assert!(note.contains("two copies of one matrix") && note.contains("--untied"), "{note}");
}

#[test]
fn qwen3_of_pypi_gguf() {
    let (_, model) = fixture("qwen3");
    assert_eq!((model.architecture, model.sizes.head_dim), (Architecture::Qwen3, 32));
    let config = json(&model.config_json("float32"));
    assert_eq!(config["architectures"], json!(["Qwen3ForCausalLM"]));
    assert_eq!((&config["head_dim"], &config["attention_bias"]), (&json!(32), &json!(false)));
    assert_eq!((&model.head, model.is_tied()), (&Head::Embedding, true));
    let names: Vec<&str> = model.tensors().iter().map(|tensor| tensor.name.as_str()).collect();
    assert_eq!(names.len(), 24);
    assert!(names.contains(&"model.layers.1.self_attn.k_norm.weight"));
    // The norms of Qwen3 do not belong to a Qwen2, nor the biases of Qwen2 to a Qwen3.
    let norm = tiny_qwen2().tensor("blk.0.attn_q_norm.weight", &[8], F32, vec![0; 32]);
    let gguf = Gguf::open(norm.bytes()).expect("it is in order");
    let error = Model::read(&gguf, Options::default()).expect_err("no Qwen2").to_string();
    assert!(error.contains("`blk.0.attn_q_norm.weight` does not belong"), "{error}");
}

#[test]
fn the_tokenizer_is_qwens() {
    let model = read(&tiny_qwen2(), Options::default());
    let tokenizer = json(&model.vocabulary.tokenizer_json);
    assert_eq!(tokenizer["model"]["vocab"], json!({"t": 0, "h": 1, "e": 2, "!": 3, "th": 4, "the": 5}));
    assert_eq!(tokenizer["model"]["merges"], json!([["t", "h"], ["th", "e"]]));
    assert_eq!(tokenizer["normalizer"], json!({"type": "NFC"}));
    let added: Vec<(u64, &str, bool)> = tokenizer["added_tokens"]
        .as_array()
        .expect("a list")
        .iter()
        .map(|token| {
            (
                token["id"].as_u64().unwrap_or(99),
                token["content"].as_str().unwrap_or(""),
                token["special"] == true,
            )
        })
        .collect();
    let expected = [
        (6, "<|endoftext|>", true),
        (7, "<|im_start|>", true),
        (8, "<|im_end|>", true),
        (9, "<tool_call>", false),
    ];
    assert_eq!(added, expected);
    let pattern = &tokenizer["pre_tokenizer"]["pretokenizers"][0]["pattern"]["Regex"];
    assert!(
        pattern.as_str().is_some_and(
            |pattern| pattern.starts_with("(?i:'s|'t|'re") && pattern.ends_with(r"|\s+(?!\S)|\s+")
        )
    );
}

#[test]
fn texts_with_any_character_stay_as_they_are() {
    let odd = ["\"", "\\", "\u{0}", "\n", "é🦙", "</script>"];
    let mut tokens = crate::build::tokens();
    for (token, text) in tokens.iter_mut().zip(odd) {
        *token = text.to_owned();
    }
    let file = tiny_qwen2()
        .set("tokenizer.ggml.tokens", Value::Texts(tokens))
        .set("tokenizer.ggml.merges", Value::Texts(vec!["\" \\".into()]));
    let tokenizer = json(&read(&file, Options::default()).vocabulary.tokenizer_json);
    for (id, text) in odd.iter().enumerate() {
        assert_eq!(tokenizer["model"]["vocab"][text], json!(id), "{text:?}");
    }
    assert_eq!(tokenizer["model"]["merges"], json!([["\"", "\\"]]));
}

#[test]
fn a_text_ends_where_the_metadata_or_a_control_token_says() {
    let stops = |file: File| read(&file, Options::default()).vocabulary.stops;
    assert_eq!(stops(tiny_qwen2()), [6, 8]);
    assert_eq!(stops(tiny_qwen2().set("tokenizer.ggml.eot_token_id", Value::U32(7))), [6, 7, 8]);
    assert_eq!(stops(tiny_qwen2().set("tokenizer.ggml.eom_token_id", Value::U32(3))), [3, 6, 8]);
    assert_eq!(stops(tiny_qwen2().without("tokenizer.ggml.eos_token_id")), [6, 8]);
    // The same text as a normal token is a text.
    let kinds = Value::I32s(vec![1, 1, 1, 1, 1, 1, 1, 3, 3, 4, 5, 5]);
    assert_eq!(stops(tiny_qwen2().set("tokenizer.ggml.token_type", kinds)), [8]);
}

#[test]
fn numbers_are_the_decimals_they_were() {
    let model = read(&tiny_qwen2(), Options::default());
    assert_eq!((model.rms_norm_eps, model.rope_theta), (1e-6, 1e6));
    let config = model.config_json("float32");
    assert!(
        config.contains("\"rms_norm_eps\": 1e-6,") && config.contains("\"rope_theta\": 1000000.0,"),
        "{config}"
    );
    let plain = read(&tiny_qwen2().without("qwen2.rope.freq_base"), Options::default());
    assert_eq!(plain.rope_theta, 10_000.0);
}

/// The embedding of [`tiny_qwen2`] before it was rounded.
fn embedding() -> Vec<f32> {
    weights(32 * 16, 0)
}

/// A file with a head of `values` in f16.
fn with_head(values: &[f32]) -> File {
    let bytes = values.iter().flat_map(|&value| half::f16::from_f32(value).to_le_bytes()).collect();
    tiny_qwen2().tensor("output.weight", &[32, 16], F16, bytes)
}

#[test]
fn copies_are_tied_on_the_finer_one() {
    let copies = read(&with_head(&embedding()), Options::default());
    let Head::Copies { kept: "output.weight", dropped: "token_embd.weight", difference } = copies.head else {
        panic!("{:?}", copies.head)
    };
    assert!((1e-4..0.01).contains(&difference), "{difference}");
    assert!(copies.is_tied() && copies.tensors().iter().all(|tensor| tensor.name != "lm_head.weight"));
    // The other way round.
    let file = tiny_qwen2().tensor("output.weight", &[32, 16], Q8_0, q8_0_bytes(&embedding())).tensor(
        "token_embd.weight",
        &[32, 16],
        F32,
        f32_bytes(&embedding()),
    );
    let other = read(&file, Options::default());
    assert!(matches!(other.head, Head::Copies { kept: "token_embd.weight", .. }), "{:?}", other.head);
    assert_eq!(other.tensors()[0].source, "token_embd.weight");
    // Exact copies.
    let exact = tiny_qwen2().tensor("output.weight", &[32, 16], Q8_0, q8_0_bytes(&embedding()));
    let exact = read(&exact, Options::default());
    assert!(
        matches!(exact.head, Head::Copies { kept: "output.weight", difference: 0.0, .. }),
        "{:?}",
        exact.head
    );
}

#[test]
fn matrices_that_differ_stay_apart() {
    let untied = Options { untied: true };
    let kept = read(&with_head(&embedding()), untied);
    assert_eq!((&kept.head, kept.is_tied()), (&Head::Own { difference: None }, false));
    assert_eq!(kept.tensors().last().map(|tensor| tensor.source.as_str()), Some("output.weight"));
    assert_eq!(json(&kept.config_json("float32"))["tie_word_embeddings"], json!(false));
    assert!(matches!(read(&tiny_qwen2(), untied).head, Head::Embedding));

    // One row of sixteen that was trained on, or set to zero, or is not a number.
    let row = |change: &dyn Fn(usize, f32) -> f32| {
        let mut values = embedding();
        for (index, value) in values[5 * 32..6 * 32].iter_mut().enumerate() {
            *value = change(index, *value);
        }
        read(&with_head(&values), Options::default()).head
    };
    for head in [
        row(&|index, value| value + if index % 2 == 0 { 0.004 } else { -0.004 }),
        row(&|_, _| 0.0),
        row(&|_, value| -value),
        row(&|_, _| f32::NAN),
    ] {
        assert!(matches!(head, Head::Own { difference: Some(_) }), "{head:?}");
    }
    assert!(matches!(row(&|_, value| value), Head::Copies { .. }));
    let other = read(&with_head(&weights(32 * 16, 99)), Options::default());
    let Head::Own { difference: Some(difference) } = other.head else { panic!("{:?}", other.head) };
    assert!(difference > 1.0, "{difference}");
    assert!(other.head_note().contains("two matrices"), "{}", other.head_note());
}
