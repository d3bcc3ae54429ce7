//! Random weights of any configuration, from a seed.
//!
//! Matrices are near-normal with mean 0 and standard deviation 0.02 (Qwen2's `initializer_range`), norms 1, biases 0.
//! A value is the centred sum of four 16-bit uniforms (Irwin and Hall) of one 64-bit draw, so that it is the same to
//! the bit on every platform; each row of a tensor has its own place in the tensor's stream, so that rows can be read
//! in any order.

use std::collections::BTreeMap;
use std::ops::Range;

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use sha2::{Digest, Sha256};

use crate::config::Qwen2Config;
use crate::error::Error;
use crate::safetensors::{Dtype, TensorInfo};
use crate::tensor_bytes::TensorBytes;
use crate::weights::WeightSource;

/// Standard deviation of the matrices.
const INITIALIZER_RANGE: f32 = 0.02;

/// A [`WeightSource`] that makes its tensors up.
#[derive(Debug, Clone)]
pub struct RandomWeights {
    tensors: BTreeMap<String, TensorInfo>,
    seed: u64,
}

impl RandomWeights {
    /// The weights of `config` for `seed`.
    pub fn new(config: &Qwen2Config, seed: u64) -> Self {
        let tensors = tensor_shapes(config)
            .into_iter()
            .map(|(name, shape)| {
                let bytes = shape.iter().product::<usize>() as u64 * 4;
                (name, TensorInfo { dtype: Dtype::F32, shape, range: 0..bytes })
            })
            .collect();
        Self { tensors, seed }
    }
}

/// Names and shapes of every tensor of a checkpoint, in the order of the model.
pub fn tensor_shapes(config: &Qwen2Config) -> Vec<(String, Vec<usize>)> {
    let (hidden, intermediate) = (config.hidden_size, config.intermediate_size);
    let (query, key, head) = (config.query_size(), config.kv_size(), config.head_dim());
    let (input_bias, output_bias) = (config.has_input_bias(), config.has_output_bias());
    let mut tensors = vec![("model.embed_tokens.weight".to_owned(), vec![config.vocab_size, hidden])];
    for layer in 0..config.num_hidden_layers {
        let shapes: [(&str, &[usize], bool); 15] = [
            ("input_layernorm.weight", &[hidden], true),
            ("self_attn.q_proj.weight", &[query, hidden], true),
            ("self_attn.q_proj.bias", &[query], input_bias),
            ("self_attn.k_proj.weight", &[key, hidden], true),
            ("self_attn.k_proj.bias", &[key], input_bias),
            ("self_attn.v_proj.weight", &[key, hidden], true),
            ("self_attn.v_proj.bias", &[key], input_bias),
            ("self_attn.o_proj.weight", &[hidden, query], true),
            ("self_attn.o_proj.bias", &[hidden], output_bias),
            ("self_attn.q_norm.weight", &[head], config.has_head_norms()),
            ("self_attn.k_norm.weight", &[head], config.has_head_norms()),
            ("post_attention_layernorm.weight", &[hidden], true),
            ("mlp.gate_proj.weight", &[intermediate, hidden], true),
            ("mlp.up_proj.weight", &[intermediate, hidden], true),
            ("mlp.down_proj.weight", &[hidden, intermediate], true),
        ];
        let named = |(part, shape, _): (&str, &[usize], bool)| {
            (format!("model.layers.{layer}.{part}"), shape.to_vec())
        };
        tensors.extend(shapes.into_iter().filter(|(_, _, is_there)| *is_there).map(named));
    }
    tensors.push(("model.norm.weight".to_owned(), vec![hidden]));
    if !config.tie_word_embeddings {
        tensors.push(("lm_head.weight".to_owned(), vec![config.vocab_size, hidden]));
    }
    tensors
}

impl WeightSource for RandomWeights {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes, Error> {
        let Some(info) = self.tensors.get(name) else {
            return Err(Error::not_found(format!("the configuration has no tensor `{name}`")));
        };
        let mut shape = info.shape.clone();
        let rows = rows.unwrap_or(0..shape[0]);
        if rows.start > rows.end || rows.end > shape[0] {
            let message = format!("rows {rows:?} of `{name}`, which has {}", shape[0]);
            return Err(Error::input(message));
        }
        shape[0] = rows.len();
        let count: usize = shape.iter().product();
        let bytes = match shape.len() {
            1 if name.ends_with(".bias") => vec![0; count * 4],
            1 => 1f32.to_le_bytes().repeat(count),
            _ => self.near_normal(name, rows, shape[1]),
        };
        Ok(TensorBytes { dtype: Dtype::F32, shape, bytes })
    }
}

impl RandomWeights {
    fn near_normal(&self, name: &str, rows: Range<usize>, width: usize) -> Vec<u8> {
        let mut seed = Sha256::new();
        seed.update(self.seed.to_le_bytes());
        seed.update(name.as_bytes());
        let mut rng = ChaCha8Rng::from_seed(seed.finalize().into());
        // One 64-bit draw, two words of the stream, a value.
        rng.set_word_pos(rows.start as u128 * width as u128 * 2);
        let mut bytes = Vec::with_capacity(rows.len() * width * 4);
        // The sum of four uniforms on 0..=65535 has mean 2 * 65535 and variance 4 * (65536^2 - 1) / 12.
        let deviation = (4.0 * (65536.0f64.powi(2) - 1.0) / 12.0).sqrt();
        let scale = (f64::from(INITIALIZER_RANGE) / deviation) as f32;
        for _ in 0..rows.len() * width {
            let draw = rng.next_u64();
            let sum: i32 = (0..4).map(|part| ((draw >> (16 * part)) & 0xffff) as i32).sum();
            bytes.extend(((sum - 2 * 65535) as f32 * scale).to_le_bytes());
        }
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(weights: &RandomWeights, name: &str, rows: Option<Range<usize>>) -> Vec<f32> {
        pollster::block_on(weights.read(name, rows)).and_then(|tensor| tensor.to_f32()).unwrap()
    }

    #[test]
    fn values_have_the_stated_distribution_and_come_from_the_seed() {
        let config = Qwen2Config::tiny(64);
        let name = "model.layers.0.mlp.up_proj.weight";
        let values = read(&RandomWeights::new(&config, 1), name, None);
        let mean = values.iter().sum::<f32>() / values.len() as f32;
        let deviation = (values.iter().map(|v| (v - mean).powi(2)).sum::<f32>() / values.len() as f32).sqrt();
        assert!(mean.abs() < 5e-4 && (deviation - INITIALIZER_RANGE).abs() < 5e-4, "{mean} {deviation}");
        assert_eq!(values, read(&RandomWeights::new(&config, 1), name, None));
        assert_ne!(values, read(&RandomWeights::new(&config, 2), name, None));
        assert_ne!(values, read(&RandomWeights::new(&config, 1), "model.layers.1.mlp.up_proj.weight", None));
        assert!(read(&RandomWeights::new(&config, 1), "model.norm.weight", None).iter().all(|v| *v == 1.0));
        assert!(
            read(&RandomWeights::new(&config, 1), "model.layers.0.self_attn.q_proj.bias", None)
                .iter()
                .all(|v| *v == 0.0)
        );
    }

    #[test]
    fn rows_are_the_rows_of_the_whole() {
        let config = Qwen2Config::tiny(64);
        let weights = RandomWeights::new(&config, 7);
        let whole = read(&weights, "model.embed_tokens.weight", None);
        let width = config.hidden_size;
        for rows in [0..1, 5..9, 63..64, 3..3] {
            let part = read(&weights, "model.embed_tokens.weight", Some(rows.clone()));
            assert_eq!(part, &whole[rows.start * width..rows.end * width]);
        }
        assert!(pollster::block_on(weights.read("model.embed_tokens.weight", Some(60..65))).is_err());
        assert!(pollster::block_on(weights.read("lm_head.weight", None)).is_err());
    }
}
