//! The parity fixtures (small Qwen2 and Qwen3 models and what transformers computes for them), loaded from `tests/data`.
//!
//! A module of a test binary that says in its parent which `device()` is tested.

use std::ops::ControlFlow;
use std::path::Path;

use burn::tensor::Tensor;
use conclave_model::config::Qwen2Config;
use conclave_model::files::MemoryFiles;
use conclave_model::load::{LoadOptions, load};
use conclave_model::qwen2_decoder::Qwen2Decoder;
use conclave_model::self_test::{Case, read_cases};
use conclave_model::weights::{Safetensors, read_f32};

/// The fixtures: of Qwen2, a tied head and grouped queries in f32, and an untied head and one key head in bf16, in four
/// shards; of Qwen3, a tied head, and an untied one with biases on the attention's projections.
pub const NAMES: [&str; 4] = ["tied-gqa", "untied-mqa-bf16-sharded", "qwen3-tied-gqa", "qwen3-untied-bias"];

/// The files of a fixture.
pub fn files(name: &str) -> MemoryFiles {
    let directory = Path::new(super::DATA).join("parity").join(name);
    let mut files = MemoryFiles::default();
    for entry in std::fs::read_dir(&directory).expect("the parity fixtures stand in tests/data/parity") {
        let path = entry.expect("a readable directory").path();
        let name = path.file_name().and_then(|name| name.to_str()).expect("a UTF-8 name").to_owned();
        files.insert(name, std::fs::read(&path).expect("a readable fixture"));
    }
    files
}

/// The configuration of a fixture.
pub fn config(files: &MemoryFiles) -> Qwen2Config {
    let text =
        |name: &str| String::from_utf8(files.get(name).expect("the file is there").to_vec()).expect("UTF-8");
    Qwen2Config::from_json(&text("config.json"), Some(&text("generation_config.json")))
        .expect("a valid config")
}

/// A decoder of a fixture on the device under test.
pub fn decoder(name: &str, max_shard_bytes: usize) -> Qwen2Decoder {
    let files = files(name);
    let config = config(&files);
    let options = LoadOptions { max_shard_bytes, ..LoadOptions::default() };
    let model = pollster::block_on(async {
        let source = Safetensors::open(files).await?;
        load(&config, &source, &super::device(), &options, &mut |_| ControlFlow::Continue(())).await
    })
    .expect("the fixture loads");
    let vocab_size = config.vocab_size;
    Qwen2Decoder::new(model, config, vocab_size)
}

/// A decoder of the untied fixture in which the embedding of one token is no number; its head is as it was. It is damaged on
/// the device, as the loader would refuse it.
pub fn decoder_of_damaged(token: u32) -> Qwen2Decoder {
    let decoder = decoder("untied-mqa-bf16-sharded", usize::MAX);
    let config = decoder.config().clone();
    let mut model = decoder.model().clone();
    let row = token as usize;
    model.embed_tokens.shards = (model.embed_tokens.shards.into_iter())
        .map(|shard| {
            shard.map(|rows| {
                let nan = Tensor::full([1, config.hidden_size], f32::NAN, &rows.device());
                rows.slice_assign([row..row + 1, 0..config.hidden_size], nan)
            })
        })
        .collect();
    let vocab_size = config.vocab_size;
    Qwen2Decoder::new(model, config, vocab_size)
}

/// The head of a fixture, `[vocab_size, hidden_size]`.
pub fn head(name: &str) -> Vec<f32> {
    let files = files(name);
    let config = config(&files);
    let tensor = if config.tie_word_embeddings { "model.embed_tokens.weight" } else { "lm_head.weight" };
    let source = pollster::block_on(Safetensors::open(files)).expect("the fixture opens");
    let shape = [config.vocab_size, config.hidden_size];
    pollster::block_on(read_f32(&source, tensor, &shape, None)).expect("the head is there")
}

/// What transformers computes for a fixture.
pub fn cases(name: &str) -> Vec<Case> {
    pollster::block_on(read_cases(files(name), "expected.safetensors")).expect("the reference reads")
}
