//! For tests: a decoder that follows a rule, a tokenizer of bytes, and a small random model.

use std::ops::ControlFlow;

use burn::tensor::Device;
use conclave_model::config::Qwen2Config;
use conclave_model::decoder::Decoder;
use conclave_model::error::Error;
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::qwen2::Qwen2;
use conclave_model::sampler::{Choice, Sampled};
use conclave_model::tokenizer::Tokenizer;
use serde_json::{Map, Value, json};

/// `<|endoftext|>` of [`bytes`].
pub const END: u32 = 256;

/// Each byte is a token; 256 ends a text.
pub fn bytes() -> Tokenizer {
    Tokenizer::from_json(include_bytes!("../../../examples/byte-tokenizer.json")).expect("a valid tokenizer")
}

/// Digits and our tags are tokens, `.` too; every other word is unknown.
pub fn toy_tokenizer() -> Tokenizer {
    let tags = ["<|endoftext|>", "<think>", "</think>", "<answer>", "</answer>"];
    let digits: Vec<String> = (0..10).map(|digit| digit.to_string()).collect();
    let words = tags.into_iter().chain(["[UNK]", "."]).chain(digits.iter().map(String::as_str));
    let vocabulary: Map<String, Value> =
        words.zip(0..).map(|(word, id)| (word.to_owned(), json!(id))).collect();
    let added = |(id, content): (usize, &str)| {
        json!({"id": id, "content": content, "single_word": false, "lstrip": false, "rstrip": false,
            "normalized": false, "special": id == 0})
    };
    let json = json!({
        "version": "1.0", "truncation": null, "padding": null, "normalizer": null, "post_processor": null,
        "added_tokens": tags.into_iter().enumerate().map(added).collect::<Vec<_>>(),
        "pre_tokenizer": {"type": "Split", "pattern": {"Regex": "\\d|[A-Za-z]+|[^\\sA-Za-z0-9]"},
            "behavior": "Removed", "invert": true},
        "decoder": {"type": "Fuse"},
        "model": {"type": "WordLevel", "vocab": vocabulary, "unk_token": "[UNK]"}
    });
    Tokenizer::from_json(json.to_string().as_bytes()).expect("a valid tokenizer")
}

/// A shape for [`toy_tokenizer`] that can learn something within seconds.
pub fn toy_config() -> Qwen2Config {
    Qwen2Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        max_position_embeddings: 256,
        eos_token_ids: vec![0],
        ..Qwen2Config::tiny(17)
    }
}

/// A random model for [`bytes`] of two narrow layers.
pub fn small_model(seed: u64) -> (Qwen2, Qwen2Config) {
    let config = Qwen2Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        ..Qwen2Config::tiny(257)
    };
    (random_model(&config, seed), config)
}

/// A random model.
pub fn random_model(config: &Qwen2Config, seed: u64) -> Qwen2 {
    let weights = RandomWeights::new(config, seed);
    let mut progress = |_| ControlFlow::Continue(());
    pollster::block_on(load(config, &weights, &Device::flex(), &LoadOptions::default(), &mut progress))
        .expect("random weights load")
}

/// A decoder that knows what follows each text, with certainty.
pub struct Rule<F> {
    /// The token after the tokens of a row.
    pub next: F,
    /// The rows.
    pub rows: Vec<Vec<u32>>,
    /// Most rows it ever had, and the tokens appended to it.
    pub most_rows: usize,
}

impl<F: Fn(&[u32]) -> u32> Rule<F> {
    pub fn new(next: F) -> Self {
        Self { next, rows: Vec::new(), most_rows: 0 }
    }
}

impl<F: Fn(&[u32]) -> u32> Decoder for Rule<F> {
    fn vocab_size(&self) -> usize {
        257
    }

    fn context_length(&self) -> usize {
        4_096
    }

    fn num_rows(&self) -> usize {
        self.rows.len()
    }

    fn len(&self, row: usize) -> usize {
        self.rows[row].len()
    }

    fn reset(&mut self, num_rows: usize, _: usize) -> Result<(), Error> {
        self.rows = vec![Vec::new(); num_rows];
        Ok(())
    }

    async fn append(
        &mut self,
        tokens: &[&[u32]],
        _: &mut dyn FnMut(usize) -> ControlFlow<()>,
    ) -> Result<(), Error> {
        for (row, tokens) in self.rows.iter_mut().zip(tokens) {
            row.extend_from_slice(tokens);
        }
        Ok(())
    }

    async fn sample(&mut self, rows: &[usize], _: &[Choice]) -> Result<Vec<Sampled>, Error> {
        Ok(rows.iter().map(|&row| Sampled { token: (self.next)(&self.rows[row]), log_prob: 0.0 }).collect())
    }

    async fn top_k(&mut self, _: usize, _: usize) -> Result<Vec<(u32, f64)>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    async fn log_probs(&mut self, _: usize, _: &[u32]) -> Result<Vec<f64>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    async fn end_state(&mut self, _: usize) -> Result<Vec<f32>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    async fn forced_logits(&mut self, _: usize, _: &[u32]) -> Result<Vec<f32>, Error> {
        Err(Error::unsupported("not scripted"))
    }

    fn fork(&mut self, rows: &[usize]) -> Result<(), Error> {
        self.rows = rows.iter().map(|&row| self.rows[row].clone()).collect();
        self.most_rows = self.most_rows.max(rows.len());
        Ok(())
    }

    fn rewind(&mut self, row: usize, len: usize) -> Result<(), Error> {
        self.rows[row].truncate(len);
        Ok(())
    }
}
