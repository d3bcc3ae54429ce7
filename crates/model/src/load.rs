//! Building a [`Qwen2`] from a [`WeightSource`], one tensor at a time.
//!
//! Nothing is held twice: a tensor's bytes are read, converted, moved to the device and dropped before the next is
//! read; the vocabulary matrix comes in row ranges. Peak memory is the model plus one tensor.

use std::ops::{ControlFlow, Range};

use burn::module::Param;
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData};
use half::f16;

use crate::config::Qwen2Config;
use crate::error::Error;
use crate::qwen2::{Attention, DecoderLayer, Mlp, Qwen2, RmsNorm};
use crate::vocabulary::{MAX_SHARD_BYTES, VocabularyMatrix, shard_ranges};
use crate::weights::{WeightSource, read_f32};

/// How to load.
#[derive(Debug, Clone)]
pub struct LoadOptions {
    /// The type to hold and compute in.
    pub dtype: DType,
    /// Largest shard of the vocabulary matrix, in bytes.
    pub max_shard_bytes: usize,
    /// Whether quantised weights are computed with as they are, by this processor: for hosts whose device is the processor. The
    /// type to compute in does not matter then.
    pub quantized_on_processor: bool,
}

impl Default for LoadOptions {
    fn default() -> Self {
        Self { dtype: DType::F32, max_shard_bytes: MAX_SHARD_BYTES, quantized_on_processor: false }
    }
}

/// Progress of a load.
#[derive(Debug, Clone, Copy)]
pub struct LoadProgress {
    /// Parameters on the device so far.
    pub loaded: u64,
    /// Parameters in all.
    pub total: u64,
}

/// Reads the model that `config` describes.
///
/// # Errors
///
/// A tensor that is missing, has another shape than the config says, or cannot be read; `NotFinite` for numbers that are
/// none; `Cancelled` when `progress`
/// breaks.
pub async fn load<S: WeightSource>(
    config: &Qwen2Config,
    source: &S,
    device: &Device,
    options: &LoadOptions,
    progress: &mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
) -> Result<Qwen2, Error> {
    let total = config.num_parameters();
    let mut loader = Loader {
        config,
        source,
        device,
        options,
        progress,
        at: LoadProgress { loaded: 0, total },
        pending: 0,
    };
    let embed_tokens = loader.vocabulary("model.embed_tokens.weight").await?;
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for index in 0..config.num_hidden_layers {
        layers.push(loader.layer(index).await?);
    }
    let norm = loader.norm("model.norm", config.hidden_size).await?;
    let lm_head = match config.tie_word_embeddings {
        true => None,
        false => Some(loader.vocabulary("lm_head.weight").await?),
    };
    Ok(Qwen2 { embed_tokens, layers, norm, lm_head })
}

/// Bytes after which the device is made to take what it was given. Without it a wasm module was seen to hold 698 MiB
/// while the 0.5B shape was loaded on WebGPU, with it and shards of this size 119.
const PENDING_BYTES: usize = 16 << 20;

struct Loader<'a, S> {
    config: &'a Qwen2Config,
    source: &'a S,
    device: &'a Device,
    options: &'a LoadOptions,
    progress: &'a mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
    at: LoadProgress,
    /// Bytes given to the device since it was last made to take them.
    pending: usize,
}

impl<S: WeightSource> Loader<'_, S> {
    async fn layer(&mut self, index: usize) -> Result<DecoderLayer, Error> {
        let (hidden, intermediate) = (self.config.hidden_size, self.config.intermediate_size);
        let (query, key) = (self.config.query_size(), self.config.kv_size());
        let (input_bias, output_bias) = (self.config.has_input_bias(), self.config.has_output_bias());
        let name = |part: &str| format!("model.layers.{index}.{part}");
        let projections = [
            self.linear(&name("self_attn.q_proj"), hidden, query, input_bias).await?,
            self.linear(&name("self_attn.k_proj"), hidden, key, input_bias).await?,
            self.linear(&name("self_attn.v_proj"), hidden, key, input_bias).await?,
            self.linear(&name("self_attn.o_proj"), query, hidden, output_bias).await?,
        ];
        let norms = match self.config.has_head_norms() {
            true => {
                let width = self.config.head_dim();
                let [query, key] = ["self_attn.q_norm", "self_attn.k_norm"].map(name);
                [Some(self.norm(&query, width).await?), Some(self.norm(&key, width).await?)]
            }
            false => [None, None],
        };
        Ok(DecoderLayer {
            input_layernorm: self.norm(&name("input_layernorm"), hidden).await?,
            self_attn: Attention::new(self.config, projections, norms),
            post_attention_layernorm: self.norm(&name("post_attention_layernorm"), hidden).await?,
            mlp: Mlp {
                gate_proj: self.linear(&name("mlp.gate_proj"), hidden, intermediate, false).await?,
                up_proj: self.linear(&name("mlp.up_proj"), hidden, intermediate, false).await?,
                down_proj: self.linear(&name("mlp.down_proj"), intermediate, hidden, false).await?,
            },
        })
    }

    async fn norm(&mut self, name: &str, width: usize) -> Result<RmsNorm, Error> {
        let values = self.values(&format!("{name}.weight"), &[width], None).await?;
        let weight = self.upload(values, [width]).await?;
        Ok(RmsNorm::new(weight, self.config.rms_norm_eps))
    }

    async fn linear(&mut self, name: &str, input: usize, output: usize, bias: bool) -> Result<Linear, Error> {
        let weight_name = format!("{name}.weight");
        let values = self.values(&weight_name, &[output, input], None).await?;
        let weight = self.upload(transpose(&values, output, input), [input, output]).await?;
        let bias = match bias {
            true => {
                let values = self.values(&format!("{name}.bias"), &[output], None).await?;
                Some(Param::from_tensor(self.upload(values, [output]).await?))
            }
            false => None,
        };
        Ok(Linear { weight: Param::from_tensor(weight), bias })
    }

    async fn vocabulary(&mut self, name: &str) -> Result<VocabularyMatrix, Error> {
        let shape = [self.config.vocab_size, self.config.hidden_size];
        let row_bytes = shape[1] * self.options.dtype.size();
        let mut shards = Vec::new();
        for range in shard_ranges(shape[0], row_bytes, self.options.max_shard_bytes) {
            let rows = range.len();
            let values = self.values(name, &shape, Some(range)).await?;
            shards.push(self.upload(values, [rows, shape[1]]).await?);
        }
        Ok(VocabularyMatrix::new(shards))
    }

    /// A tensor, or rows of it, all of whose numbers the type to compute in can hold.
    async fn values(
        &self,
        name: &str,
        shape: &[usize],
        rows: Option<Range<usize>>,
    ) -> Result<Vec<f32>, Error> {
        let values = read_f32(self.source, name, shape, rows).await?;
        match self.options.dtype {
            DType::F16 => check_numbers(name, &values, f16::MAX.to_f32())?,
            _ => check_numbers(name, &values, f32::MAX)?,
        }
        Ok(values)
    }

    async fn upload<const D: usize>(
        &mut self,
        values: Vec<f32>,
        shape: [usize; D],
    ) -> Result<Tensor<D>, Error> {
        self.at.loaded += values.len() as u64;
        let options = (self.device, self.options.dtype);
        self.pending += values.len() * size_of::<f32>();
        let tensor = Tensor::from_data(TensorData::new(values, shape), options);
        if self.pending >= PENDING_BYTES {
            self.pending = 0;
            // What comes back was there: nothing waits any more.
            let one = tensor.clone().reshape([-1]).narrow(0, 0, 1);
            one.into_data_async().await.map_err(|error| {
                Error::device(format!("the weights cannot be written to the device: {error}"))
            })?;
        }
        match (self.progress)(self.at) {
            ControlFlow::Continue(()) => Ok(tensor),
            ControlFlow::Break(()) => Err(Error::cancelled().context("loading the model")),
        }
    }
}

/// Refuses numbers that are NaN, infinite or beyond what the type to compute in holds: they would make every answer NaN.
fn check_numbers(name: &str, values: &[f32], largest: f32) -> Result<(), Error> {
    let fits = |value: &f32| value.abs() <= largest; // not for a NaN
    // Without a branch within the piece, so that the loop is vector instructions.
    if values.chunks(4_096).all(|piece| piece.iter().fold(true, |all, value| all & fits(value))) {
        return Ok(());
    }
    let value = values.iter().copied().find(|value| !fits(value)).unwrap_or(f32::NAN);
    Err(Error::not_finite(match value.is_finite() {
        true => format!(
            "cannot load weight: `{name}` holds {value}, float16 at most {largest}: load it as float32"
        ),
        false => format!(
            "cannot load weight: `{name}` holds {value}: the file is damaged, or was published so: download it again, or \
             use another revision of the model"
        ),
    }))
}

/// The transpose of a row-major `[rows, columns]` matrix, in square tiles so that both sides stay in cache.
pub(crate) fn transpose(values: &[f32], rows: usize, columns: usize) -> Vec<f32> {
    const TILE: usize = 32;
    let mut transposed = vec![0.0; values.len()];
    for row_tile in (0..rows).step_by(TILE) {
        for column_tile in (0..columns).step_by(TILE) {
            for row in row_tile..(row_tile + TILE).min(rows) {
                for column in column_tile..(column_tile + TILE).min(columns) {
                    transposed[column * rows + row] = values[row * columns + column];
                }
            }
        }
    }
    transposed
}
