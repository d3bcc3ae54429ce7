//! A [`Qwen2`] on its device as a [`WeightSource`]: the way back from `load`, for checkpoints and exports.
//!
//! Names and shapes are a checkpoint's: `Linear` weights `[out, in]`, the vocabulary in one piece. A tensor is read back
//! when it is asked for, so that a model of any size is written with the memory of one tensor (or the rows of it that are
//! asked for). Values are f32, exactly those of the module where that is its type.

use std::collections::BTreeMap;
use std::ops::Range;

use burn::nn::Linear;
use burn::tensor::{DType, Tensor};

use crate::error::{Error, ErrorKind, Result};
use crate::qwen2::{Qwen2, RmsNorm};
use crate::safetensors::{Dtype, TensorInfo};
use crate::tensor_bytes::TensorBytes;
use crate::vocabulary::VocabularyMatrix;
use crate::weights::WeightSource;

/// The weights of a module. It shares the module's tensors; a module that is trained on meanwhile has others.
#[derive(Debug, Clone)]
pub struct ModuleWeights {
    tensors: BTreeMap<String, (TensorInfo, Held)>,
}

/// A tensor in the module's layout.
#[derive(Debug, Clone)]
enum Held {
    Vector(Tensor<1>),
    /// `[in, out]`
    Linear(Tensor<2>),
    /// Consecutive rows.
    Shards(Vec<Tensor<2>>),
}

impl ModuleWeights {
    /// The weights of `model`, on a plain or an autodiff device.
    pub fn new(model: &Qwen2) -> Self {
        let mut weights = Self { tensors: BTreeMap::new() };
        weights.vocabulary("model.embed_tokens.weight", &model.embed_tokens);
        for (index, layer) in model.layers.iter().enumerate() {
            let name = |part: &str| format!("model.layers.{index}.{part}");
            weights.norm(&name("input_layernorm"), &layer.input_layernorm);
            weights.linear(&name("self_attn.q_proj"), &layer.self_attn.q_proj);
            weights.linear(&name("self_attn.k_proj"), &layer.self_attn.k_proj);
            weights.linear(&name("self_attn.v_proj"), &layer.self_attn.v_proj);
            weights.linear(&name("self_attn.o_proj"), &layer.self_attn.o_proj);
            for (part, norm) in [("q_norm", &layer.self_attn.q_norm), ("k_norm", &layer.self_attn.k_norm)] {
                if let Some(norm) = norm {
                    weights.norm(&name(&format!("self_attn.{part}")), norm);
                }
            }
            weights.norm(&name("post_attention_layernorm"), &layer.post_attention_layernorm);
            weights.linear(&name("mlp.gate_proj"), &layer.mlp.gate_proj);
            weights.linear(&name("mlp.up_proj"), &layer.mlp.up_proj);
            weights.linear(&name("mlp.down_proj"), &layer.mlp.down_proj);
        }
        weights.norm("model.norm", &model.norm);
        if let Some(head) = &model.lm_head {
            weights.vocabulary("lm_head.weight", head);
        }
        weights
    }

    fn norm(&mut self, name: &str, norm: &RmsNorm) {
        self.vector(format!("{name}.weight"), norm.weight.val());
    }

    fn linear(&mut self, name: &str, linear: &Linear) {
        let weight = linear.weight.val();
        let [input, output] = weight.dims();
        self.insert(format!("{name}.weight"), vec![output, input], Held::Linear(weight));
        if let Some(bias) = &linear.bias {
            self.vector(format!("{name}.bias"), bias.val());
        }
    }

    fn vocabulary(&mut self, name: &str, matrix: &VocabularyMatrix) {
        let shards: Vec<_> = matrix.shards.iter().map(|shard| shard.val()).collect();
        let rows = shards.iter().map(|shard| shard.dims()[0]).sum();
        let width = shards.first().map_or(0, |shard| shard.dims()[1]);
        self.insert(name.to_owned(), vec![rows, width], Held::Shards(shards));
    }

    fn vector(&mut self, name: String, tensor: Tensor<1>) {
        self.insert(name, tensor.dims().to_vec(), Held::Vector(tensor));
    }

    fn insert(&mut self, name: String, shape: Vec<usize>, held: Held) {
        let bytes = shape.iter().product::<usize>() as u64 * Dtype::F32.size() as u64;
        self.tensors.insert(name, (TensorInfo { dtype: Dtype::F32, shape, range: 0..bytes }, held));
    }
}

impl WeightSource for ModuleWeights {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        let Some((info, held)) = self.tensors.get(name) else {
            return Err(Error::not_found(format!("the model has no tensor `{name}`")));
        };
        let rows = rows.unwrap_or(0..info.rows());
        if rows.start > rows.end || rows.end > info.rows() {
            return Err(Error::input(format!("rows {rows:?} of `{name}`, which has {}", info.rows())));
        }
        let mut shape = info.shape.clone();
        shape[0] = rows.len();
        let mut values = Vec::with_capacity(shape.iter().product());
        match held {
            _ if rows.is_empty() => {}
            Held::Vector(tensor) => read_into(&mut values, name, tensor.clone().slice([rows])).await?,
            Held::Linear(tensor) => {
                let columns = tensor.clone().slice([0..info.shape[1], rows]);
                read_into(&mut values, name, columns.transpose()).await?;
            }
            Held::Shards(shards) => {
                let mut start = 0;
                for shard in shards {
                    let [count, width] = shard.dims();
                    let part = rows.start.max(start)..rows.end.min(start + count);
                    if !part.is_empty() {
                        let part = shard.clone().slice([part.start - start..part.end - start, 0..width]);
                        read_into(&mut values, name, part).await?;
                    }
                    start += count;
                }
            }
        }
        Ok(TensorBytes::from_f32(&shape, &values))
    }
}

async fn read_into<const D: usize>(values: &mut Vec<f32>, name: &str, tensor: Tensor<D>) -> Result<()> {
    let failed = |error: String| {
        let message = format!("cannot read `{name}` back from the device: {error}");
        Error::new(ErrorKind::Device, message)
    };
    let data =
        tensor.cast(DType::F32).into_data_async().await.map_err(|error| failed(format!("{error:?}")))?;
    values.extend(data.try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))?);
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use burn::tensor::Device;
    use pollster::block_on;

    use super::*;
    use crate::config::{ModelType, Qwen2Config};
    use crate::init::{RandomWeights, tensor_shapes};
    use crate::load::{LoadOptions, load};

    fn module(config: &Qwen2Config, options: &LoadOptions) -> Qwen2 {
        let source = RandomWeights::new(config, 5);
        let going_on = &mut |_| ControlFlow::Continue(());
        block_on(load(config, &source, &Device::flex(), options, going_on)).unwrap()
    }

    #[test]
    fn what_was_loaded_is_read_back_to_the_bit() {
        let qwen3 = Qwen2Config {
            model_type: ModelType::Qwen3,
            head_dim: Some(16),
            attention_bias: true,
            ..Qwen2Config::tiny(64)
        };
        let untied = Qwen2Config { tie_word_embeddings: false, ..Qwen2Config::tiny(64) };
        for config in [Qwen2Config::tiny(64), untied, qwen3] {
            // Shards of 40 and 24 rows.
            let options =
                LoadOptions { max_shard_bytes: 40 * config.hidden_size * 4, ..LoadOptions::default() };
            let (source, weights) =
                (RandomWeights::new(&config, 5), ModuleWeights::new(&module(&config, &options)));
            let shapes = tensor_shapes(&config);
            assert_eq!(weights.names().len(), shapes.len());
            for (name, shape) in shapes {
                assert_eq!(weights.info(&name).unwrap().shape, shape, "{name}");
                for rows in [None, Some(0..1), Some(3..shape[0] - 2), Some(38..42), Some(7..7)] {
                    let rows = rows.map(|rows| rows.start.min(shape[0])..rows.end.min(shape[0]));
                    let read = block_on(weights.read(&name, rows.clone())).unwrap();
                    let expected = block_on(source.read(&name, rows)).unwrap();
                    assert!(read == expected, "{name}");
                }
            }
            let beyond = block_on(weights.read("model.norm.weight", Some(0..config.hidden_size + 1)));
            assert_eq!(beyond.unwrap_err().kind(), ErrorKind::Input);
            assert_eq!(block_on(weights.read("model.x", None)).unwrap_err().kind(), ErrorKind::NotFound);
        }
    }

    #[test]
    fn a_model_in_bf16_is_read_as_f32() {
        let config = Qwen2Config::tiny(64);
        let options = LoadOptions { dtype: DType::BF16, ..LoadOptions::default() };
        let weights = ModuleWeights::new(&module(&config, &options));
        let name = "model.layers.1.mlp.down_proj.weight";
        let expected = block_on(RandomWeights::new(&config, 5).read(name, None)).unwrap();
        let expected = expected.to_dtype(Dtype::BF16).unwrap().to_dtype(Dtype::F32).unwrap();
        assert!(block_on(weights.read(name, None)).unwrap() == expected);
    }
}
