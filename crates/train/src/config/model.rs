//! `[model]` and `[lora]`: what is trained.

use std::path::PathBuf;

use conclave_model::config::Qwen2Config;
use serde::{Deserialize, Serialize};

use crate::error::TrainError;

/// `[model]`: a directory to start from, or a shape and a tokenizer to start from nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ModelConfig {
    /// Model directory to start from.
    pub path: Option<PathBuf>,
    /// For a random start: a shape by name (qwen2.5-0.5b, qwen2.5-1.5b, qwen2.5-3b, tiny).
    pub preset: Option<String>,
    /// For a random start: a `config.json` with the shape.
    pub config: Option<PathBuf>,
    /// For a random start: `tokenizer.json`, gzipped or not.
    pub tokenizer: Option<PathBuf>,
    /// Sizes in place of the preset's.
    pub shape: ShapeConfig,
    /// Precision of the model that is written in the end.
    pub dtype: ModelDtype,
}

/// `[model.shape]`: sizes that differ from the preset's, under their names in `config.json`.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct ShapeConfig {
    /// Width of the residual stream.
    pub hidden_size: Option<usize>,
    /// Width inside the feed-forward block.
    pub intermediate_size: Option<usize>,
    /// Decoder layers.
    pub num_hidden_layers: Option<usize>,
    /// Query heads.
    pub num_attention_heads: Option<usize>,
    /// Key and value heads.
    pub num_key_value_heads: Option<usize>,
    /// Longest sequence.
    pub max_position_embeddings: Option<usize>,
    /// Base of the rotary angles: the larger, the more of a head's dimensions turn so slowly that they can compare tokens
    /// by what they are, however far apart.
    pub rope_theta: Option<f64>,
}

impl ShapeConfig {
    /// `config` with these sizes in it.
    pub fn apply(&self, config: &mut Qwen2Config) {
        for (size, value) in [
            (&mut config.hidden_size, self.hidden_size),
            (&mut config.intermediate_size, self.intermediate_size),
            (&mut config.num_hidden_layers, self.num_hidden_layers),
            (&mut config.num_attention_heads, self.num_attention_heads),
            (&mut config.num_key_value_heads, self.num_key_value_heads),
            (&mut config.max_position_embeddings, self.max_position_embeddings),
        ] {
            *size = value.unwrap_or(*size);
        }
        config.rope_theta = self.rope_theta.unwrap_or(config.rope_theta);
    }
}

/// Precision that weights are stored in.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ModelDtype {
    /// 32 bits.
    #[default]
    F32,
    /// 16 bits, IEEE half.
    F16,
    /// 16 bits, bfloat.
    Bf16,
}

impl ModelDtype {
    /// As safetensors names it.
    pub fn stored(self) -> conclave_model::safetensors::Dtype {
        use conclave_model::safetensors::Dtype;
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }
}

/// Where the weights of step 0 come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ModelStart<'a> {
    /// A model directory.
    Directory(&'a PathBuf),
    /// Random weights of a shape by name, drawn by the run's seed.
    Preset {
        /// The name.
        preset: &'a str,
        /// The tokenizer's file.
        tokenizer: &'a PathBuf,
    },
    /// Random weights of the shape in a `config.json`, drawn by the run's seed.
    Config {
        /// That file.
        config: &'a PathBuf,
        /// The tokenizer's file.
        tokenizer: &'a PathBuf,
    },
}

impl ModelConfig {
    /// Which of the ways to start is asked for.
    ///
    /// # Errors
    /// None, more than one, or half of one.
    pub fn start(&self) -> Result<ModelStart<'_>, TrainError> {
        let refuse = |message: &str| Err(TrainError::Config(format!("[model]: {message}")));
        let random = self.preset.is_some() || self.config.is_some();
        match self {
            Self { path: Some(_), .. } if random || self.tokenizer.is_some() => refuse(
                "`path` starts from a model directory, which has its own shape and tokenizer: take out `preset`, `config` \
                 and `tokenizer`, or take out `path`",
            ),
            Self { path: Some(path), .. } if self.shape == ShapeConfig::default() => {
                Ok(ModelStart::Directory(path))
            }
            Self { preset: None, .. } if self.shape != ShapeConfig::default() => {
                refuse("[model.shape] changes a preset: give `preset`, or write the sizes into config.json")
            }
            Self { preset: Some(_), config: Some(_), .. } => {
                refuse("`preset` and `config` both name a shape: take one out")
            }
            Self { tokenizer: None, .. } if random => {
                refuse("a random start needs `tokenizer = \"tokenizer.json\"`")
            }
            Self { preset: Some(preset), tokenizer: Some(tokenizer), .. } => {
                Ok(ModelStart::Preset { preset, tokenizer })
            }
            Self { config: Some(config), tokenizer: Some(tokenizer), .. } => {
                Ok(ModelStart::Config { config, tokenizer })
            }
            _ => refuse(
                "give `path`, a model directory to start from, or `preset` and `tokenizer` for a random start",
            ),
        }
    }
}

/// `[lora]`: low-rank updates W + (alpha / rank) A B of some matrices; everything else is frozen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct LoraConfig {
    /// The rank of the updates.
    pub rank: usize,
    /// Their scale, before it is divided by the rank.
    pub alpha: f64,
    /// Names of the matrices, in every layer.
    pub targets: Vec<String>,
}

/// The matrices of a layer that an update can be put on.
pub(super) const LORA_TARGETS: [&str; 7] =
    ["q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj"];

impl Default for LoraConfig {
    fn default() -> Self {
        Self { rank: 16, alpha: 32.0, targets: LORA_TARGETS.map(str::to_owned).to_vec() }
    }
}
