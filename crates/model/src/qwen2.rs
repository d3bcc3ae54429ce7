//! The Qwen2 and Qwen3 transformer on burn: one attention, one layer, one forward pass for training and for decoding.
//!
//! ```text
//! x = embed_tokens[tokens]
//! for each layer:
//!     n = norm(x);  q, k, v = heads(n W_q + b_q), heads(n W_k + b_k), heads(n W_v + b_v)
//!     q, k = rotate(q, position), rotate(k, position)          Qwen3: of norm(q), norm(k), head by head
//!     x += join(softmax(q k^T / sqrt(head_dim) + mask) v) W_o
//!     n = norm(x);  x += (silu(n W_gate) * n W_up) W_down
//! logits = norm(x) lm_head^T
//! ```
//!
//! Fields carry the checkpoint's own names; `Linear` weights are `[in, out]` here and `[out, in]` in a checkpoint
//! (`load` and `export` transpose). What is not here: reading weights (`load`), the cache's bookkeeping
//! (`kv_cache`), where tokens stand and what they see (`pass_layout`), choosing tokens (`sampler`), rows and prompts
//! (`qwen2_decoder`).
//!
//! Legend: `rows` sequences, `seq` new tokens each, `columns` cached tokens that attention reads, `heads` query
//! heads, `kv_heads` key-value heads, `groups = heads / kv_heads`.

use burn::module::{Module, Param};
use burn::nn::Linear;
use burn::tensor::{DType, Device, Tensor, activation};

use crate::config::Qwen2Config;
use crate::kv_cache::LayerCache;
use crate::pass_layout::PassLayout;
use crate::product::{linear, product};
use crate::vocabulary::VocabularyMatrix;

/// `x / sqrt(mean(x^2) + eps) * weight`, computed in f32 (Zhang and Sennrich, arXiv 1910.07467).
#[derive(Module, Debug)]
pub struct RmsNorm {
    /// `[hidden_size]`, or `[head_dim]`
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

    /// Norms each head of vectors whose heads lie side by side.
    ///
    /// # Shapes
    ///
    /// - `x`, output: `[rows, seq, heads * head_dim]`, where `head_dim` is the length of `weight`
    pub fn forward_heads(&self, x: Tensor<3>) -> Tensor<3> {
        let [rows, seq, width] = x.dims();
        let [head_dim] = self.weight.val().dims();
        let heads = x.reshape([rows * seq * (width / head_dim), head_dim]);
        self.forward(heads).reshape([rows, seq, width])
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
    /// `[hidden_size, heads * head_dim]`
    pub q_proj: Linear,
    /// `[hidden_size, kv_heads * head_dim]`
    pub k_proj: Linear,
    /// `[hidden_size, kv_heads * head_dim]`
    pub v_proj: Linear,
    /// `[heads * head_dim, hidden_size]`
    pub o_proj: Linear,
    /// Norm of each query head, of a Qwen3.
    pub q_norm: Option<RmsNorm>,
    /// Norm of each key head, of a Qwen3.
    pub k_norm: Option<RmsNorm>,
    num_attention_heads: usize,
    num_key_value_heads: usize,
}

impl Attention {
    /// An attention of these projections, with the norms of query and key heads where there are any.
    pub fn new(
        config: &Qwen2Config,
        [q_proj, k_proj, v_proj, o_proj]: [Linear; 4],
        [q_norm, k_norm]: [Option<RmsNorm>; 2],
    ) -> Self {
        let (num_attention_heads, num_key_value_heads) =
            (config.num_attention_heads, config.num_key_value_heads);
        Self { q_proj, k_proj, v_proj, o_proj, q_norm, k_norm, num_attention_heads, num_key_value_heads }
    }

    /// # Shapes
    ///
    /// - `x`, output: `[rows, seq, hidden_size]`
    pub fn forward(&self, x: Tensor<3>, at: &PassLayout, cache: Option<&mut LayerCache>) -> Tensor<3> {
        let Projected { query, key, value } = self.project(x, at);
        let (key, value) = match cache {
            Some(cache) => cache.append(key, value, at.column(), at.columns()),
            None => (key, value),
        };
        let scores = product(query, key).cast(DType::F32);
        let dtype = value.dtype();
        let weights = activation::softmax(at.hide(scores, 0..at.seq()), 3).cast(dtype);
        linear(&self.o_proj, self.join(product(weights, value)))
    }

    /// What attention is taken of.
    ///
    /// # Shapes
    ///
    /// - `x`: `[rows, seq, hidden_size]`
    pub fn project(&self, x: Tensor<3>, at: &PassLayout) -> Projected {
        let [query, key, value] = self.projections(x);
        let query = self.q_norm.as_ref().map_or(query.clone(), |norm| norm.forward_heads(query));
        let key = self.k_norm.as_ref().map_or(key.clone(), |norm| norm.forward_heads(key));
        self.arrange([query, key, value], at)
    }

    /// The products with the three input projections, the heads side by side and not yet normed.
    ///
    /// # Shapes
    ///
    /// - `x`: `[rows, seq, hidden_size]`
    /// - output: `[rows, seq, heads * head_dim]`, and twice `[rows, seq, kv_heads * head_dim]`
    pub fn projections(&self, x: Tensor<3>) -> [Tensor<3>; 3] {
        [linear(&self.q_proj, x.clone()), linear(&self.k_proj, x.clone()), linear(&self.v_proj, x)]
    }

    /// Queries, keys and values head by head, rotated and scaled.
    ///
    /// # Shapes
    ///
    /// - inputs: as [`projections`](Self::projections) gives them, normed where the model norms heads
    pub fn arrange(&self, [query, key, value]: [Tensor<3>; 3], at: &PassLayout) -> Projected {
        let [rows, seq, _] = query.dims();
        let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
        let split = |x: Tensor<3>, heads: usize| {
            let [_, _, width] = x.dims();
            x.reshape([rows, seq, heads, width / heads]).swap_dims(1, 2) // [rows, heads, seq, head_dim]
        };
        let query = at.rotary().apply(split(query, heads));
        let key = at.rotary().apply(split(key, kv_heads)).transpose();
        let value = split(value, kv_heads);
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
    pub fn forward(&self, x: Tensor<3>, at: &PassLayout, cache: Option<&mut LayerCache>) -> Tensor<3> {
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
        at: &PassLayout,
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
