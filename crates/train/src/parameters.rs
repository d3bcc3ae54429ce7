//! Parameters by path: visited, and replaced. Those of a [`Qwen2`] are here, others have the trait [`Parameters`] too.
//!
//! A path is the checkpoint's name of the tensor (`model.layers.0.self_attn.q_proj.weight`); a row shard of the
//! vocabulary has its index behind it (`model.embed_tokens.weight#0`, also where there is one shard only). Gradients,
//! optimizer state and checkpoints are keyed by these. Values keep the model's own layout: `Linear` weights are
//! `[in, out]`. Turning them into a checkpoint's layout is `conclave_model::module_weights`.

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{Device, Tensor};
use conclave_model::qwen2::{DecoderLayer, Qwen2, RmsNorm};
use conclave_model::vocabulary::VocabularyMatrix;
use sha2::{Digest, Sha256};

use crate::error::Result;
use crate::host::read_f32;

/// What a parameter is for, which decides how it is trained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// The matrix of a layer's projection.
    Projection,
    /// The bias of a projection.
    Bias,
    /// The weight of a norm.
    Norm,
    /// A row shard of the embedding or of the head.
    Vocabulary,
}

impl ParameterKind {
    /// The kind of the parameter at `path`.
    pub fn of(path: &str) -> Self {
        if path.contains('#') {
            Self::Vocabulary
        } else if path.ends_with(".bias") {
            Self::Bias
        } else if path.ends_with("norm.weight") {
            Self::Norm
        } else {
            Self::Projection
        }
    }
}

/// A parameter's value, or something of its shape.
#[derive(Debug, Clone)]
pub enum ParameterTensor {
    /// A bias or the weight of a norm.
    Vector(Tensor<1>),
    /// A projection `[in, out]`, or a vocabulary shard `[rows, hidden_size]`.
    Matrix(Tensor<2>),
}

impl ParameterTensor {
    /// The shape.
    pub fn shape(&self) -> Vec<usize> {
        match self {
            Self::Vector(tensor) => tensor.dims().to_vec(),
            Self::Matrix(tensor) => tensor.dims().to_vec(),
        }
    }

    /// The device that holds it.
    pub fn device(&self) -> Device {
        match self {
            Self::Vector(tensor) => tensor.device(),
            Self::Matrix(tensor) => tensor.device(),
        }
    }

    /// As a matrix: a vector of `n` becomes `[1, n]`.
    pub fn into_rows(self) -> Tensor<2> {
        match self {
            Self::Vector(tensor) => tensor.unsqueeze(),
            Self::Matrix(tensor) => tensor,
        }
    }

    /// `rows`, as [`into_rows`](Self::into_rows) gives them, in the rank of `self`.
    #[must_use]
    pub fn with_rows(&self, rows: Tensor<2>) -> Self {
        match self {
            Self::Vector(tensor) => Self::Vector(rows.reshape(tensor.dims())),
            Self::Matrix(_) => Self::Matrix(rows),
        }
    }
}

/// Named tensors that an optimizer moves: a model, or what is trained in its place ([`Lora`](crate::lora::Lora)).
pub trait Parameters: Clone {
    /// Replaces every one by what `change` makes of it, always in the same order. Shapes stay as they are.
    #[must_use]
    fn map(self, change: Change<'_>) -> Self;

    /// Shows every one to `look`, in the order of [`map`](Self::map).
    fn visit(&self, look: &mut dyn FnMut(&str, ParameterTensor)) {
        // A clone shares the tensors.
        let _ = self.clone().map(&mut |path, tensor| {
            look(path, tensor.clone());
            tensor
        });
    }
}

impl Parameters for Qwen2 {
    fn map(self, change: Change<'_>) -> Self {
        map(self, change)
    }
}

/// What makes a parameter of a parameter, given its path.
pub type Change<'a> = &'a mut dyn FnMut(&str, ParameterTensor) -> ParameterTensor;

/// Shows every parameter to `look`, in the order of the model.
pub fn visit(model: &Qwen2, mut look: impl FnMut(&str, ParameterTensor)) {
    Parameters::visit(model, &mut look);
}

/// What a model is recognised by: the hash of its vectors and of the first row of each of its matrices, none of which stays as
/// it is when a model is trained.
///
/// # Errors
/// Where the device fails.
pub fn fingerprint(model: &Qwen2) -> Result<String> {
    let mut values = Vec::new();
    visit(model, |_, parameter| {
        values.push(match parameter {
            ParameterTensor::Vector(tensor) => read_f32(tensor),
            ParameterTensor::Matrix(tensor) => read_f32(tensor.narrow(0, 0, 1)),
        });
    });
    let mut hash = Sha256::new();
    for values in values {
        values?.iter().for_each(|value| hash.update(value.to_le_bytes()));
    }
    Ok(hash.finalize().iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Replaces every parameter by what `change` makes of it, in the order of the model. Shapes stay as they are.
///
/// # Panics
///
/// Where `change` returns another number of values.
pub fn map(model: Qwen2, mut change: impl FnMut(&str, ParameterTensor) -> ParameterTensor) -> Qwen2 {
    let change: Change<'_> = &mut change;
    let Qwen2 { embed_tokens, layers, norm, lm_head } = model;
    Qwen2 {
        embed_tokens: map_vocabulary("model.embed_tokens.weight", embed_tokens, change),
        layers: (0..).zip(layers).map(|(index, layer)| map_layer(index, layer, change)).collect(),
        norm: map_norm("model.norm", norm, change),
        lm_head: lm_head.map(|head| map_vocabulary("lm_head.weight", head, change)),
    }
}

fn map_layer(index: usize, mut layer: DecoderLayer, change: Change<'_>) -> DecoderLayer {
    let path = |part: &str| format!("model.layers.{index}.{part}");
    layer.input_layernorm = map_norm(&path("input_layernorm"), layer.input_layernorm, change);
    layer.self_attn.q_proj = map_linear(&path("self_attn.q_proj"), layer.self_attn.q_proj, change);
    layer.self_attn.k_proj = map_linear(&path("self_attn.k_proj"), layer.self_attn.k_proj, change);
    layer.self_attn.v_proj = map_linear(&path("self_attn.v_proj"), layer.self_attn.v_proj, change);
    layer.self_attn.o_proj = map_linear(&path("self_attn.o_proj"), layer.self_attn.o_proj, change);
    layer.self_attn.q_norm = map_head_norm(&path("self_attn.q_norm"), layer.self_attn.q_norm, change);
    layer.self_attn.k_norm = map_head_norm(&path("self_attn.k_norm"), layer.self_attn.k_norm, change);
    layer.post_attention_layernorm =
        map_norm(&path("post_attention_layernorm"), layer.post_attention_layernorm, change);
    layer.mlp.gate_proj = map_linear(&path("mlp.gate_proj"), layer.mlp.gate_proj, change);
    layer.mlp.up_proj = map_linear(&path("mlp.up_proj"), layer.mlp.up_proj, change);
    layer.mlp.down_proj = map_linear(&path("mlp.down_proj"), layer.mlp.down_proj, change);
    layer
}

fn map_norm(path: &str, mut norm: RmsNorm, change: Change<'_>) -> RmsNorm {
    norm.weight = map_vector(&format!("{path}.weight"), norm.weight, change);
    norm
}

fn map_head_norm(path: &str, norm: Option<RmsNorm>, change: Change<'_>) -> Option<RmsNorm> {
    norm.map(|norm| map_norm(path, norm, change))
}

fn map_linear(path: &str, linear: Linear, change: Change<'_>) -> Linear {
    let weight = map_matrix(&format!("{path}.weight"), linear.weight, change);
    let bias = linear.bias.map(|bias| map_vector(&format!("{path}.bias"), bias, change));
    Linear { weight, bias }
}

fn map_vocabulary(path: &str, mut matrix: VocabularyMatrix, change: Change<'_>) -> VocabularyMatrix {
    let shards = (0..).zip(matrix.shards);
    matrix.shards =
        shards.map(|(index, shard)| map_matrix(&format!("{path}#{index}"), shard, change)).collect();
    matrix
}

fn map_vector(path: &str, param: Param<Tensor<1>>, change: Change<'_>) -> Param<Tensor<1>> {
    param.map(|tensor| {
        let shape = tensor.dims();
        match change(path, ParameterTensor::Vector(tensor)) {
            ParameterTensor::Vector(tensor) => tensor.reshape(shape),
            ParameterTensor::Matrix(tensor) => tensor.reshape(shape),
        }
    })
}

fn map_matrix(path: &str, param: Param<Tensor<2>>, change: Change<'_>) -> Param<Tensor<2>> {
    param.map(|tensor| {
        let shape = tensor.dims();
        match change(path, ParameterTensor::Matrix(tensor)) {
            ParameterTensor::Vector(tensor) => tensor.reshape(shape),
            ParameterTensor::Matrix(tensor) => tensor.reshape(shape),
        }
    })
}

#[cfg(test)]
mod tests {
    use std::ops::ControlFlow;

    use conclave_model::config::{ModelType, Qwen2Config};
    use conclave_model::init::{RandomWeights, tensor_shapes};
    use conclave_model::load::{LoadOptions, load};

    use super::*;

    fn model(config: &Qwen2Config, max_shard_bytes: usize) -> Qwen2 {
        let (source, device) = (RandomWeights::new(config, 3), Device::flex());
        let options = LoadOptions { max_shard_bytes, ..LoadOptions::default() };
        let going_on = &mut |_| ControlFlow::Continue(());
        pollster::block_on(load(config, &source, &device, &options, going_on)).unwrap()
    }

    #[test]
    fn paths_are_the_names_of_a_checkpoint() {
        let qwen3 = Qwen2Config {
            model_type: ModelType::Qwen3,
            head_dim: Some(16),
            attention_bias: true,
            ..Qwen2Config::tiny(64)
        };
        let untied = Qwen2Config { tie_word_embeddings: false, ..Qwen2Config::tiny(64) };
        for config in [Qwen2Config::tiny(64), untied, qwen3] {
            let row_bytes = config.hidden_size * 4;
            let mut found = Vec::new();
            visit(&model(&config, 40 * row_bytes), |path, tensor| {
                let mut shape = tensor.shape();
                if ParameterKind::of(path) == ParameterKind::Projection {
                    shape.reverse();
                }
                found.push((path.to_owned(), shape));
            });
            // 64 rows in shards of 40.
            let shards = |name: &str, width| {
                [(format!("{name}#0"), vec![40, width]), (format!("{name}#1"), vec![24, width])]
            };
            let expected = tensor_shapes(&config).into_iter().flat_map(|(name, shape)| {
                let vocabulary = name.contains("embed_tokens") || name.contains("lm_head");
                if vocabulary { shards(&name, shape[1]).to_vec() } else { vec![(name, shape)] }
            });
            // A bias stands behind its weight in both.
            assert_eq!(found, expected.collect::<Vec<_>>());
        }
    }

    #[test]
    fn kinds_follow_from_paths() {
        for (path, kind) in [
            ("model.layers.0.self_attn.q_proj.weight", ParameterKind::Projection),
            ("model.layers.0.self_attn.q_proj.bias", ParameterKind::Bias),
            ("model.layers.11.input_layernorm.weight", ParameterKind::Norm),
            ("model.layers.2.self_attn.k_norm.weight", ParameterKind::Norm),
            ("model.layers.1.post_attention_layernorm.weight", ParameterKind::Norm),
            ("model.norm.weight", ParameterKind::Norm),
            ("model.embed_tokens.weight#0", ParameterKind::Vocabulary),
            ("lm_head.weight#3", ParameterKind::Vocabulary),
        ] {
            assert_eq!(ParameterKind::of(path), kind, "{path}");
        }
    }

    #[test]
    fn every_parameter_is_replaced() {
        let config = Qwen2Config { tie_word_embeddings: false, ..Qwen2Config::tiny(64) };
        let before = model(&config, 1 << 20);
        let after = map(before.clone(), |_, tensor| {
            let rows = tensor.clone().into_rows() + 1.0;
            tensor.with_rows(rows)
        });
        let values = |model: &Qwen2| {
            let mut values = Vec::new();
            visit(model, |_, tensor| {
                values.extend(tensor.into_rows().into_data().try_to_vec::<f32>().unwrap())
            });
            values
        };
        let (before, after) = (values(&before), values(&after));
        assert!(before.iter().zip(&after).all(|(before, after)| before + 1.0 == *after));
        assert_eq!(before.len() as u64, config.num_parameters());
    }
}
