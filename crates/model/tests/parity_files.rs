//! Opens the directories that transformers wrote (tests/data/parity): configuration and weights, byte for byte.
//! What a model computes from them is tested elsewhere.

use conclave_model::config::{ModelType, Qwen2Config};
use conclave_model::files::{MemoryFiles, read_text};
use conclave_model::init::tensor_shapes;
use conclave_model::safetensors::Dtype;
use conclave_model::weights::{Safetensors, WeightSource, read_f32};
use pollster::block_on;
use std::path::Path;

/// Every file of the fixture `name`.
fn fixture(name: &str) -> MemoryFiles {
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/parity").join(name);
    let entries =
        std::fs::read_dir(&directory).unwrap_or_else(|error| panic!("{}: {error}", directory.display()));
    let file =
        |path: &Path| (path.file_name().unwrap().to_str().unwrap().to_string(), std::fs::read(path).unwrap());
    entries.map(|entry| file(&entry.unwrap().path())).collect()
}

fn config(files: &MemoryFiles) -> Qwen2Config {
    let text = |file| block_on(read_text(files, file, 1 << 20)).unwrap().unwrap();
    Qwen2Config::from_json(&text("config.json"), Some(&text("generation_config.json"))).unwrap()
}

#[test]
fn the_tied_model() {
    let files = fixture("tied-gqa");
    let config = config(&files);
    assert_eq!((config.hidden_size, config.head_dim(), config.kv_size()), (64, 16, 32));
    assert_eq!((config.rope_theta, config.tie_word_embeddings), (1e6, true));
    assert_eq!(config.eos_token_ids, [2]);
    let weights = block_on(Safetensors::open(&files)).unwrap();
    let parameters: usize = weights.names().iter().map(|name| numbers(&weights, name)).sum();
    assert_eq!(parameters as u64, config.num_parameters());
}

#[test]
fn the_sharded_bf16_model() {
    let files = fixture("untied-mqa-bf16-sharded");
    let config = config(&files);
    assert_eq!((config.vocab_size, config.num_key_value_heads, config.rope_theta), (389, 1, 1e4));
    let weights = block_on(Safetensors::open(&files)).unwrap();
    assert_eq!(weights.file_names().count(), 4);
    let parameters: usize = weights.names().iter().map(|name| numbers(&weights, name)).sum();
    assert_eq!(parameters as u64, config.num_parameters());
    assert_eq!(weights.info("lm_head.weight").unwrap().dtype, Dtype::BF16);

    let whole = block_on(read_f32(&weights, "model.embed_tokens.weight", &[389, 96], None)).unwrap();
    assert!(whole.iter().all(|value| value.is_finite()) && whole.iter().any(|&value| value != 0.0));
    let rows = block_on(weights.read("model.embed_tokens.weight", Some(100..117))).unwrap();
    assert_eq!(rows.bytes.len(), 17 * 96 * 2, "only the rows asked for are read");
    assert_eq!(rows.to_f32().unwrap(), whole[100 * 96..117 * 96]);
}

#[test]
fn the_qwen3_models() {
    for (name, tied, bias, head_dim, query) in
        [("qwen3-tied-gqa", true, false, 20, 80), ("qwen3-untied-bias", false, true, 16, 48)]
    {
        let files = fixture(name);
        let config = config(&files);
        assert_eq!((config.model_type, config.tie_word_embeddings), (ModelType::Qwen3, tied));
        assert_eq!((config.attention_bias, config.head_dim(), config.query_size()), (bias, head_dim, query));
        assert_ne!(config.query_size(), config.hidden_size, "the width of the heads is one of its own");
        let weights = block_on(Safetensors::open(&files)).unwrap();
        let parameters: usize = weights.names().iter().map(|name| numbers(&weights, name)).sum();
        assert_eq!(parameters as u64, config.num_parameters());
        let shapes = tensor_shapes(&config);
        assert_eq!(weights.names().len(), shapes.len());
        for (name, shape) in shapes {
            assert_eq!(weights.info(&name).unwrap().shape, shape, "{name}");
        }
    }
}

#[test]
fn the_reference_values() {
    for name in ["tied-gqa", "untied-mqa-bf16-sharded", "qwen3-tied-gqa", "qwen3-untied-bias"] {
        let files = fixture(name);
        let expected = block_on(Safetensors::open_file(&files, "expected.safetensors")).unwrap();
        let ids = block_on(expected.read("a.ids", None)).unwrap().to_i64().unwrap();
        assert!(ids.len() == 17 && ids.iter().all(|&id| (3..config(&files).vocab_size as i64).contains(&id)));
        let greedy = block_on(expected.read("b.greedy", None)).unwrap();
        assert_eq!((greedy.dtype, greedy.shape.as_slice()), (Dtype::I64, [24].as_slice()));
    }
}

fn numbers(weights: &impl WeightSource, name: &str) -> usize {
    weights.info(name).unwrap().shape.iter().product()
}
