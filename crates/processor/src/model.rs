//! The parts of a Qwen2 or Qwen3 model, named as in a checkpoint.

use crate::error::Error;
use crate::level::Level;
use crate::matrix::Matrix;
use crate::rotary::Rotary;
use crate::shape::Shape;
use crate::threads;

/// `W x + b`
#[derive(Debug, Clone)]
pub struct Linear {
    /// `[outputs, inputs]`
    pub weight: Matrix,
    /// `[outputs]`; Qwen2 has one for queries, keys and values, Qwen3 has none.
    pub bias: Option<Vec<f32>>,
}

impl From<Matrix> for Linear {
    fn from(weight: Matrix) -> Self {
        Self { weight, bias: None }
    }
}

/// One transformer layer, normalised before each half.
#[derive(Debug, Clone)]
pub struct Layer {
    /// `[hidden_size]`
    pub input_layernorm: Vec<f32>,
    /// `[heads * head_dim, hidden_size]`
    pub q_proj: Linear,
    /// `[kv_heads * head_dim, hidden_size]`
    pub k_proj: Linear,
    /// `[kv_heads * head_dim, hidden_size]`
    pub v_proj: Linear,
    /// `[hidden_size, heads * head_dim]`
    pub o_proj: Linear,
    /// Qwen3's norm of each query head before the rotation, `[head_dim]`.
    pub q_norm: Option<Vec<f32>>,
    /// Qwen3's norm of each key head before the rotation, `[head_dim]`.
    pub k_norm: Option<Vec<f32>>,
    /// `[hidden_size]`
    pub post_attention_layernorm: Vec<f32>,
    /// `[intermediate_size, hidden_size]`
    pub gate_proj: Matrix,
    /// `[intermediate_size, hidden_size]`
    pub up_proj: Matrix,
    /// `[hidden_size, intermediate_size]`
    pub down_proj: Matrix,
}

/// A model whose weights are in memory, with what computes it.
#[derive(Debug, Clone)]
pub struct Model {
    pub(crate) shape: Shape,
    pub(crate) embed_tokens: Matrix,
    pub(crate) layers: Vec<Layer>,
    pub(crate) norm: Vec<f32>,
    pub(crate) lm_head: Option<Matrix>,
    pub(crate) rotary: Rotary,
    pub(crate) level: Level,
    pub(crate) threads: usize,
}

impl Model {
    /// A model of these parts, computed at the best level of this processor by as many threads as it has.
    ///
    /// `embed_tokens` is `[vocab_size, hidden_size]`, `norm` is `[hidden_size]`, and `lm_head` is as the embedding, or
    /// nothing where the embedding is the head, too.
    ///
    /// # Errors
    ///
    /// A shape that cannot work, or a part of another size than the shape says.
    pub fn new(
        shape: Shape,
        embed_tokens: Matrix,
        layers: Vec<Layer>,
        norm: Vec<f32>,
        lm_head: Option<Matrix>,
    ) -> Result<Self, Error> {
        shape.check()?;
        let vocabulary = [shape.vocab_size, shape.hidden_size];
        check_matrix("embed_tokens.weight", &embed_tokens, vocabulary)?;
        if let Some(head) = &lm_head {
            check_matrix("lm_head.weight", head, vocabulary)?;
        }
        Error::check("norm.weight", norm.len(), shape.hidden_size)?;
        if layers.len() != shape.num_hidden_layers {
            let found = format!("{} layers", layers.len());
            return Err(Error::size("the model", found, shape.num_hidden_layers));
        }
        for (index, layer) in layers.iter().enumerate() {
            check_layer(&shape, index, layer)?;
        }
        let rotary = Rotary::new(&shape);
        let (level, threads) = (Level::best(), threads::available());
        Ok(Self { shape, embed_tokens, layers, norm, lm_head, rotary, level, threads })
    }

    /// The same, computed at this level. Results are the same at all.
    #[must_use]
    pub fn with_level(self, level: Level) -> Self {
        Self { level, ..self }
    }

    /// The same, computed by up to so many threads, the caller's among them. Results are the same for any number.
    #[must_use]
    pub fn with_threads(self, threads: usize) -> Self {
        Self { threads, ..self }
    }

    /// Its sizes.
    pub fn shape(&self) -> &Shape {
        &self.shape
    }

    /// The instructions that compute it.
    pub fn level(&self) -> Level {
        self.level
    }
}

fn check_matrix(name: &str, matrix: &Matrix, expected: [usize; 2]) -> Result<(), Error> {
    let found = [matrix.rows(), matrix.columns()];
    if found == expected {
        return Ok(());
    }
    Err(Error::size(name, format!("shape {found:?}"), format!("{expected:?}")))
}

fn check_layer(shape: &Shape, index: usize, layer: &Layer) -> Result<(), Error> {
    let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
    let (query, key) = (shape.query_width(), shape.key_value_width());
    let name = |part: &str| format!("layers.{index}.{part}");
    let linears = [
        ("self_attn.q_proj", &layer.q_proj, [query, hidden]),
        ("self_attn.k_proj", &layer.k_proj, [key, hidden]),
        ("self_attn.v_proj", &layer.v_proj, [key, hidden]),
        ("self_attn.o_proj", &layer.o_proj, [hidden, query]),
    ];
    for (part, linear, size) in linears {
        check_matrix(&name(&format!("{part}.weight")), &linear.weight, size)?;
        if let Some(bias) = &linear.bias {
            Error::check(&name(&format!("{part}.bias")), bias.len(), size[0])?;
        }
    }
    check_matrix(&name("mlp.gate_proj.weight"), &layer.gate_proj, [inner, hidden])?;
    check_matrix(&name("mlp.up_proj.weight"), &layer.up_proj, [inner, hidden])?;
    check_matrix(&name("mlp.down_proj.weight"), &layer.down_proj, [hidden, inner])?;
    let norms = [
        ("input_layernorm.weight", Some(&layer.input_layernorm), hidden),
        ("post_attention_layernorm.weight", Some(&layer.post_attention_layernorm), hidden),
        ("self_attn.q_norm.weight", layer.q_norm.as_ref(), shape.head_dim),
        ("self_attn.k_norm.weight", layer.k_norm.as_ref(), shape.head_dim),
    ];
    for (part, norm, size) in norms {
        norm.map_or(Ok(()), |norm| Error::check(&name(part), norm.len(), size))?;
    }
    Ok(())
}
