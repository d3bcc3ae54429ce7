//! Loading the engine of `conclave-processor`: quantised matrices as they stand in the directory, in pieces of rows, so
//! that no weight is held twice and none is held as f32. Matrices that are not quantised are held as f32.

use std::ops::{ControlFlow, Range};

use conclave_processor::{F32Matrix, Int4Matrix, Int8Matrix, Layer, Linear, Matrix, Model, Shape};
use conclave_quantize::config::Scheme;

use crate::config::Qwen2Config;
use crate::directory_weights::DirectoryWeights;
use crate::error::{Error, ErrorKind, Result};
use crate::files::ModelFiles;
use crate::load::LoadProgress;
use crate::quantized::QuantizedRows;
use crate::weights::{READ_BLOCK, expect_shape, read_f32};

/// Reads the model that `config` describes.
///
/// # Errors
///
/// A tensor that is missing, has another shape than the config says, or cannot be read; `Cancelled` when `progress`
/// breaks.
pub async fn load<F: ModelFiles>(
    config: &Qwen2Config,
    source: &DirectoryWeights<F>,
    progress: &mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
) -> Result<Model> {
    let at = LoadProgress { loaded: 0, total: config.num_parameters() };
    let mut loader = Loader { config, source, progress, at };
    let vocabulary = [config.vocab_size, config.hidden_size];
    let embed_tokens = loader.matrix("model.embed_tokens.weight", vocabulary).await?;
    let mut layers = Vec::with_capacity(config.num_hidden_layers);
    for index in 0..config.num_hidden_layers {
        layers.push(loader.layer(index).await?);
    }
    let norm = loader.vector("model.norm.weight", config.hidden_size).await?;
    let lm_head = match config.tie_word_embeddings {
        true => None,
        false => Some(loader.matrix("lm_head.weight", vocabulary).await?),
    };
    Model::new(shape(config), embed_tokens, layers, norm, lm_head).map_err(failed)
}

/// The sizes as the engine has them.
pub fn shape(config: &Qwen2Config) -> Shape {
    Shape {
        vocab_size: config.vocab_size,
        hidden_size: config.hidden_size,
        intermediate_size: config.intermediate_size,
        num_hidden_layers: config.num_hidden_layers,
        num_attention_heads: config.num_attention_heads,
        num_key_value_heads: config.num_key_value_heads,
        head_dim: config.head_dim(),
        rms_norm_eps: config.rms_norm_eps,
        rope_theta: config.rope_theta,
    }
}

/// The engine's error as one of this crate.
pub(crate) fn failed(error: conclave_processor::Error) -> Error {
    use conclave_processor::Error as E;
    let kind = match &error {
        E::Size { .. } => ErrorKind::Shape,
        E::Shape(_) => ErrorKind::Config,
        E::Scale { .. } => ErrorKind::NotFinite,
        E::Append { .. } | E::Missing { .. } => ErrorKind::Input,
    };
    Error::new(kind, error.to_string())
}

struct Loader<'a, F> {
    config: &'a Qwen2Config,
    source: &'a DirectoryWeights<F>,
    progress: &'a mut dyn FnMut(LoadProgress) -> ControlFlow<()>,
    at: LoadProgress,
}

impl<F: ModelFiles> Loader<'_, F> {
    async fn layer(&mut self, index: usize) -> Result<Layer> {
        let config = self.config;
        let (hidden, inner) = (config.hidden_size, config.intermediate_size);
        let (query, key) = (config.query_size(), config.kv_size());
        let (biased, o_biased) = (config.has_input_bias(), config.has_output_bias());
        let name = |part: &str| format!("model.layers.{index}.{part}");
        Ok(Layer {
            input_layernorm: self.vector(&name("input_layernorm.weight"), hidden).await?,
            q_proj: self.linear(&name("self_attn.q_proj"), [query, hidden], biased).await?,
            k_proj: self.linear(&name("self_attn.k_proj"), [key, hidden], biased).await?,
            v_proj: self.linear(&name("self_attn.v_proj"), [key, hidden], biased).await?,
            o_proj: self.linear(&name("self_attn.o_proj"), [hidden, query], o_biased).await?,
            q_norm: self.head_norm(&name("self_attn.q_norm.weight")).await?,
            k_norm: self.head_norm(&name("self_attn.k_norm.weight")).await?,
            post_attention_layernorm: self.vector(&name("post_attention_layernorm.weight"), hidden).await?,
            gate_proj: self.matrix(&name("mlp.gate_proj.weight"), [inner, hidden]).await?,
            up_proj: self.matrix(&name("mlp.up_proj.weight"), [inner, hidden]).await?,
            down_proj: self.matrix(&name("mlp.down_proj.weight"), [hidden, inner]).await?,
        })
    }

    async fn head_norm(&mut self, name: &str) -> Result<Option<Vec<f32>>> {
        match self.config.has_head_norms() {
            true => self.vector(name, self.config.head_dim()).await.map(Some),
            false => Ok(None),
        }
    }

    async fn vector(&mut self, name: &str, len: usize) -> Result<Vec<f32>> {
        let values = read_f32(self.source, name, &[len], None).await?;
        self.tell(len)?;
        Ok(values)
    }

    async fn linear(&mut self, name: &str, shape: [usize; 2], has_bias: bool) -> Result<Linear> {
        let weight = self.matrix(&format!("{name}.weight"), shape).await?;
        let bias = match has_bias {
            true => Some(self.vector(&format!("{name}.bias"), shape[0]).await?),
            false => None,
        };
        Ok(Linear { weight, bias })
    }

    async fn matrix(&mut self, name: &str, [rows, columns]: [usize; 2]) -> Result<Matrix> {
        expect_shape(self.source, name, &[rows, columns])?;
        let named = |error| failed(error).context(name);
        let mut matrix = match self.source.scheme(name) {
            Some(Scheme::Int4 { .. }) => Matrix::Int4(Int4Matrix::zeros(rows, columns).map_err(named)?),
            Some(Scheme::Int8) => Matrix::Int8(Int8Matrix::zeros(rows, columns).map_err(named)?),
            None => Matrix::F32(F32Matrix::zeros(rows, columns).map_err(named)?),
        };
        for piece in pieces(rows, columns) {
            let (first, count) = (piece.start, piece.len() * columns);
            let read = self.source.read_rows(name, Some(piece.clone())).await?;
            match (&mut matrix, read) {
                (Matrix::Int4(matrix), Some(QuantizedRows::Int4(rows))) => {
                    matrix.set_rows(first, rows.packed(), rows.scales()).map_err(named)?;
                }
                (Matrix::Int8(matrix), Some(QuantizedRows::Int8(rows))) => {
                    matrix.set_rows(first, rows.values(), rows.scales()).map_err(named)?;
                }
                (Matrix::F32(matrix), None) => {
                    let values = read_f32(self.source, name, &[rows, columns], Some(piece)).await?;
                    matrix.set_rows(first, &values).map_err(named)?;
                }
                _ => return Err(Error::format(format!("`{name}` is quantised in two ways"))),
            }
            self.tell(count)?;
        }
        Ok(matrix)
    }

    fn tell(&mut self, parameters: usize) -> Result<()> {
        self.at.loaded += parameters as u64;
        match (self.progress)(self.at) {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(Error::cancelled().context("loading the model")),
        }
    }
}

/// Rows that are read at once: of f32, as many as [`READ_BLOCK`] holds.
fn pieces(rows: usize, columns: usize) -> impl Iterator<Item = Range<usize>> {
    let step = (READ_BLOCK as usize / (columns * size_of::<f32>()).max(1)).max(1);
    (0..rows).step_by(step).map(move |start| start..(start + step).min(rows))
}
