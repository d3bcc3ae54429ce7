//! The Qwen2 transformer on burn: one attention, one layer, one forward pass for training and for decoding.
//!
//! Fields carry the checkpoint's own names; `Linear` weights are `[in, out]` here and `[out, in]` in a checkpoint
//! (`load` and `export` transpose). What is not here: reading weights (`load`), the cache's bookkeeping
//! (`kv_cache`), choosing tokens (`sampler`), rows and prompts (`decoder`).
//!
//! Legend: `rows` sequences, `seq` new tokens each, `columns` cached tokens that attention reads, `heads` query
//! heads, `kv_heads` key-value heads, `groups = heads / kv_heads`.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, TensorData, activation};

use crate::config::Qwen2Config;
use crate::kv_cache::{Append, LayerCache};
use crate::product::{linear, product};
use crate::rope::Rotary;
use crate::vocabulary::VocabularyMatrix;

/// What every layer of one forward pass shares.
#[derive(Debug)]
pub struct Positions {
    rotary: Rotary,
    mask: Tensor<4>, // [rows, 1, groups * seq, columns], added to the scores
    is_causal: bool,
    column: usize,
    columns: usize,
}

impl Positions {
    /// From explicit positions and an additive mask.
    ///
    /// `positions` is `[rows * seq]`, `mask` is `[rows, 1, seq, columns]` with 0 where a column is seen and a large
    /// negative number where it is not; both row-major.
    pub fn new(
        config: &Qwen2Config,
        rows: usize,
        positions: &[usize],
        mask: Vec<f32>,
        device: &Device,
    ) -> Self {
        let seq = positions.len() / rows.max(1);
        let columns = mask.len() / positions.len().max(1);
        let groups = config.num_attention_heads / config.num_key_value_heads;
        let mask = Tensor::<4>::from_data(TensorData::new(mask, [rows, 1, seq, columns]), device);
        Self {
            rotary: Rotary::new(config, positions, rows, device),
            mask: if groups == 1 { mask } else { mask.repeat_dim(2, groups) },
            is_causal: false,
            column: 0,
            columns,
        }
    }

    /// Whole sequences of `seq` tokens, each token seeing itself and those before it: training and scoring.
    /// Padding goes to the right, where nothing that counts can see it.
    pub fn causal(config: &Qwen2Config, rows: usize, seq: usize, device: &Device) -> Self {
        let positions: Vec<usize> = (0..seq).collect::<Vec<_>>().repeat(rows);
        let line = |i: usize| (0..seq).map(move |j| if j <= i { 0.0 } else { -1e30 });
        let mask: Vec<f32> = (0..seq).flat_map(line).collect::<Vec<_>>().repeat(rows);
        Self { is_causal: true, ..Self::new(config, rows, &positions, mask, device) }
    }

    /// What is added to the scores, `[rows, 1, groups * seq, columns]`.
    pub fn mask(&self) -> &Tensor<4> {
        &self.mask
    }

    /// Whether the mask is known to hide what lies behind the diagonal and nothing else, so that nobody has to read it.
    pub fn is_causal(&self) -> bool {
        self.is_causal
    }

    /// The rotation of queries and keys.
    pub fn rotary(&self) -> &Rotary {
        &self.rotary
    }

    pub(crate) fn appended(config: &Qwen2Config, rows: usize, append: Append, device: &Device) -> Self {
        let (column, columns) = (append.column, append.columns);
        let positions = Self::new(config, rows, &append.positions, append.mask, device);
        Self { column, columns, ..positions }
    }
}

/// `x / sqrt(mean(x^2) + eps) * weight`, computed in f32 (Zhang and Sennrich, arXiv 1910.07467).
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[hidden_size]`
    pub weight: Param<Tensor<1>>,
    rms_norm_eps: f64,
}

impl RmsNorm {
    /// A norm with this weight.
    pub fn new(weight: Tensor<1>, rms_norm_eps: f64) -> Self {
        Self { weight: Param::from_tensor(weight), rms_norm_eps }
    }

    /// # Shapes
    ///
    /// - `x`, output: `[.., hidden_size]`
    pub fn forward<const D: usize>(&self, x: Tensor<D>) -> Tensor<D> {
        let dtype = x.dtype();
        let x = x.cast(DType::F32);
        let rms = self.root_mean_square(&x);
        (x / rms).cast(dtype) * self.weight.val().unsqueeze()
    }

    /// What the elements of each vector are divided by.
    ///
    /// # Shapes
    ///
    /// - `x`: `[.., hidden_size]`, f32
    /// - output: `[.., 1]`
    pub fn root_mean_square<const D: usize>(&self, x: &Tensor<D>) -> Tensor<D> {
        (x.clone().square().mean_dim(D - 1) + self.rms_norm_eps).sqrt()
    }
}

/// Grouped-query attention with rotary positions.
#[derive(Module, Debug)]
pub struct Attention {
    /// `[hidden_size, heads * head_dim]`, with bias
    pub q_proj: Linear,
    /// `[hidden_size, kv_heads * head_dim]`, with bias
    pub k_proj: Linear,
    /// `[hidden_size, kv_heads * head_dim]`, with bias
    pub v_proj: Linear,
    /// `[heads * head_dim, hidden_size]`, no bias
    pub o_proj: Linear,
    num_attention_heads: usize,
    num_key_value_heads: usize,
}

impl Attention {
    /// An attention of these projections.
    pub fn new(config: &Qwen2Config, [q_proj, k_proj, v_proj, o_proj]: [Linear; 4]) -> Self {
        let (num_attention_heads, num_key_value_heads) =
            (config.num_attention_heads, config.num_key_value_heads);
        Self { q_proj, k_proj, v_proj, o_proj, num_attention_heads, num_key_value_heads }
    }

    /// # Shapes
    ///
    /// - `x`, output: `[rows, seq, hidden_size]`
    pub fn forward(&self, x: Tensor<3>, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let Projected { query, key, value } = self.project(x, at);
        let (key, value) = match cache {
            Some(cache) => cache.append(key, value, at.column, at.columns),
            None => (key, value),
        };
        let scores = product(query, key).cast(DType::F32);
        let dtype = value.dtype();
        let weights = activation::softmax(scores + at.mask.clone(), 3).cast(dtype);
        linear(&self.o_proj, self.join(product(weights, value)))
    }

    /// What attention is taken of.
    ///
    /// # Shapes
    ///
    /// - `x`: `[rows, seq, hidden_size]`
    pub fn project(&self, x: Tensor<3>, at: &Positions) -> Projected {
        let [rows, seq, _] = x.dims();
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        let split = |x: Tensor<3>, heads: usize| {
            let [_, _, width] = x.dims();
            x.reshape([rows, seq, heads, width / heads]).swap_dims(1, 2) // [rows, heads, seq, head_dim]
        };
        let query = at.rotary.apply(split(linear(&self.q_proj, x.clone()), heads));
        let key = at.rotary.apply(split(linear(&self.k_proj, x.clone()), kv_heads)).transpose();
        let value = split(linear(&self.v_proj, x), kv_heads);
        let [_, _, _, head_dim] = query.dims();
        // Heads that share a key-value head are stacked along the sequence, so keys are not repeated.
        let query = query.reshape([rows, kv_heads, heads / kv_heads * seq, head_dim]);
        // The queries are scaled, not the scores, of which there are many more.
        Projected { query: query / (head_dim as f64).sqrt(), key, value }
    }

    /// What the heads found, side by side.
    ///
    /// # Shapes
    ///
    /// - `attended`: `[rows, kv_heads, groups * seq, head_dim]`
    /// - output: `[rows, seq, heads * head_dim]`
    pub fn join(&self, attended: Tensor<4>) -> Tensor<3> {
        let heads = self.num_attention_heads;
        let [rows, kv_heads, stacked, head_dim] = attended.dims();
        let seq = stacked * kv_heads / heads;
        let attended = attended.reshape([rows, heads, seq, head_dim]).swap_dims(1, 2);
        attended.reshape([rows, seq, heads * head_dim])
    }

    /// The way back of [`join`](Self::join).
    pub fn split(&self, joined: Tensor<3>) -> Tensor<4> {
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        let [rows, seq, width] = joined.dims();
        let apart = joined.reshape([rows, seq, heads, width / heads]).swap_dims(1, 2);
        apart.reshape([rows, kv_heads, heads / kv_heads * seq, width / heads])
    }
}

/// Queries, keys and values of one layer.
#[derive(Debug, Clone)]
pub struct Projected {
    /// `[rows, kv_heads, groups * seq, head_dim]`, rotated and divided by `sqrt(head_dim)`
    pub query: Tensor<4>,
    /// `[rows, kv_heads, head_dim, seq]`, rotated
    pub key: Tensor<4>,
    /// `[rows, kv_heads, seq, head_dim]`
    pub value: Tensor<4>,
}

/// `down(silu(gate(x)) * up(x))` (Shazeer, arXiv 2002.05202).
#[derive(Module, Debug)]
pub struct Mlp {
    /// `[hidden_size, intermediate_size]`
    pub gate_proj: Linear,
    /// `[hidden_size, intermediate_size]`
    pub up_proj: Linear,
    /// `[intermediate_size, hidden_size]`
    pub down_proj: Linear,
}

impl Mlp {
    /// # Shapes
    ///
    /// - `x`, output: `[rows, seq, hidden_size]`
    pub fn forward(&self, x: Tensor<3>) -> Tensor<3> {
        let gate = activation::silu(linear(&self.gate_proj, x.clone()));
        linear(&self.down_proj, gate * linear(&self.up_proj, x))
    }
}

/// One transformer layer, normalised before each half.
#[derive(Module, Debug)]
pub struct DecoderLayer {
    /// Norm before the attention.
    pub input_layernorm: RmsNorm,
    /// The attention.
    pub self_attn: Attention,
    /// Norm before the MLP.
    pub post_attention_layernorm: RmsNorm,
    /// The MLP.
    pub mlp: Mlp,
}

impl DecoderLayer {
    /// # Shapes
    ///
    /// - `x`, output: `[rows, seq, hidden_size]`
    pub fn forward(&self, x: Tensor<3>, at: &Positions, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let x = x.clone() + self.self_attn.forward(self.input_layernorm.forward(x), at, cache);
        x.clone() + self.mlp.forward(self.post_attention_layernorm.forward(x))
    }
}

/// The language model: `model.*` and `lm_head` of a checkpoint.
#[derive(Module, Debug)]
pub struct Qwen2 {
    /// Token embeddings; also the head where `tie_word_embeddings`.
    pub embed_tokens: VocabularyMatrix,
    /// The layers, in order.
    pub layers: Vec<DecoderLayer>,
    /// The final norm.
    pub norm: RmsNorm,
    /// The head of an untied model.
    pub lm_head: Option<VocabularyMatrix>,
}

impl Qwen2 {
    /// The residual stream after the last layer, before the final norm.
    ///
    /// `tokens` is `[rows * seq]`, row-major, each below `vocab_size`; `caches` has one entry a layer, or none for a
    /// pass over whole sequences.
    ///
    /// # Shapes
    ///
    /// - output: `[rows, seq, hidden_size]`
    pub fn hidden(
        &self,
        tokens: &[u32],
        rows: usize,
        at: &Positions,
        caches: Option<&mut [LayerCache]>,
    ) -> Tensor<3> {
        let embedded = self.embed_tokens.embed(tokens);
        let [count, hidden_size] = embedded.dims();
        let mut x = embedded.reshape([rows, count / rows, hidden_size]);
        let mut caches = caches.map(<[LayerCache]>::iter_mut);
        for layer in &self.layers {
            x = layer.forward(x, at, caches.as_mut().and_then(Iterator::next));
        }
        x
    }

    /// Logits of residual-stream vectors, in f32.
    ///
    /// # Shapes
    ///
    /// - `hidden`: `[tokens, hidden_size]`
    /// - output: `[tokens, vocab_size]`
    pub fn logits(&self, hidden: Tensor<2>) -> Tensor<2> {
        let head = self.lm_head.as_ref().unwrap_or(&self.embed_tokens);
        head.logits(self.norm.forward(hidden))
    }

    /// The device that holds the model.
    pub fn device(&self) -> Device {
        self.norm.weight.val().device()
    }

    /// The type that the model computes in.
    pub fn dtype(&self) -> DType {
        self.norm.weight.val().dtype()
    }
}
