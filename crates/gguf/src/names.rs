//! The tensors of a model: their names in a GGUF and in a Hugging Face checkpoint, and their shapes.

use std::fmt;

/// The dense models that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Architecture {
    /// Qwen2 and Qwen2.5: biases on queries, keys and values.
    Qwen2,
    /// Qwen3: norms on each head's queries and keys, no biases.
    Qwen3,
}

impl Architecture {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Qwen2, Self::Qwen3];

    /// Its name in `general.architecture`, and `model_type` of `config.json`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Qwen2 => "qwen2",
            Self::Qwen3 => "qwen3",
        }
    }

    /// Its name in `architectures` of `config.json`.
    pub fn class(self) -> &'static str {
        match self {
            Self::Qwen2 => "Qwen2ForCausalLM",
            Self::Qwen3 => "Qwen3ForCausalLM",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The sizes that the shapes of tensors are made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Sizes {
    /// Rows of the embedding.
    pub vocab_size: u64,
    /// Width of the residual stream.
    pub hidden_size: u64,
    /// Width within the feed-forward block.
    pub intermediate_size: u64,
    /// Number of layers.
    pub num_hidden_layers: u64,
    /// Number of query heads.
    pub num_attention_heads: u64,
    /// Number of key and value heads.
    pub num_key_value_heads: u64,
    /// Width of a head.
    pub head_dim: u64,
}

/// A tensor of a checkpoint, and the tensor of the GGUF it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mapped {
    /// Its name in a Hugging Face checkpoint.
    pub name: String,
    /// Its name in the GGUF.
    pub source: String,
    /// Its dimensions, slowest first.
    pub shape: Vec<u64>,
}

/// The embedding in a GGUF.
pub const EMBEDDING: &str = "token_embd.weight";

/// The output head in a GGUF.
pub const HEAD: &str = "output.weight";

/// Every tensor of a model but its head, in the order of the model; the embedding comes first.
pub fn tensors(architecture: Architecture, sizes: &Sizes) -> impl Iterator<Item = Mapped> {
    let sizes = *sizes;
    let first = mapped("model.embed_tokens.weight", EMBEDDING, &[sizes.vocab_size, sizes.hidden_size]);
    let last = mapped("model.norm.weight", "output_norm.weight", &[sizes.hidden_size]);
    let layers =
        (0..sizes.num_hidden_layers).flat_map(move |layer| layer_tensors(architecture, &sizes, layer));
    std::iter::once(first).chain(layers).chain(std::iter::once(last))
}

/// The output head, where it is a matrix of its own.
pub fn head(sizes: &Sizes) -> Mapped {
    mapped("lm_head.weight", HEAD, &[sizes.vocab_size, sizes.hidden_size])
}

fn layer_tensors(architecture: Architecture, sizes: &Sizes, layer: u64) -> Vec<Mapped> {
    let (hidden, inner, head) = (sizes.hidden_size, sizes.intermediate_size, sizes.head_dim);
    let (query, key) = (sizes.num_attention_heads * head, sizes.num_key_value_heads * head);
    let mut parts: Vec<(&str, &str, Vec<u64>)> = vec![
        ("input_layernorm.weight", "attn_norm.weight", vec![hidden]),
        ("self_attn.q_proj.weight", "attn_q.weight", vec![query, hidden]),
        ("self_attn.k_proj.weight", "attn_k.weight", vec![key, hidden]),
        ("self_attn.v_proj.weight", "attn_v.weight", vec![key, hidden]),
        ("self_attn.o_proj.weight", "attn_output.weight", vec![hidden, query]),
    ];
    parts.extend(match architecture {
        Architecture::Qwen2 => vec![
            ("self_attn.q_proj.bias", "attn_q.bias", vec![query]),
            ("self_attn.k_proj.bias", "attn_k.bias", vec![key]),
            ("self_attn.v_proj.bias", "attn_v.bias", vec![key]),
        ],
        Architecture::Qwen3 => vec![
            ("self_attn.q_norm.weight", "attn_q_norm.weight", vec![head]),
            ("self_attn.k_norm.weight", "attn_k_norm.weight", vec![head]),
        ],
    });
    parts.extend([
        ("post_attention_layernorm.weight", "ffn_norm.weight", vec![hidden]),
        ("mlp.gate_proj.weight", "ffn_gate.weight", vec![inner, hidden]),
        ("mlp.up_proj.weight", "ffn_up.weight", vec![inner, hidden]),
        ("mlp.down_proj.weight", "ffn_down.weight", vec![hidden, inner]),
    ]);
    let names = parts.into_iter().map(|(name, source, shape)| Mapped {
        name: format!("model.layers.{layer}.{name}"),
        source: format!("blk.{layer}.{source}"),
        shape,
    });
    names.collect()
}

fn mapped(name: &str, source: &str, shape: &[u64]) -> Mapped {
    Mapped { name: name.to_owned(), source: source.to_owned(), shape: shape.to_vec() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SIZES: Sizes = Sizes {
        vocab_size: 100,
        hidden_size: 64,
        intermediate_size: 96,
        num_hidden_layers: 2,
        num_attention_heads: 4,
        num_key_value_heads: 2,
        head_dim: 32,
    };

    #[test]
    fn every_tensor_has_two_names_and_a_shape() {
        let qwen2: Vec<Mapped> = tensors(Architecture::Qwen2, &SIZES).collect();
        assert_eq!(qwen2.len(), 2 + 2 * 12);
        let key = qwen2.iter().find(|tensor| tensor.source == "blk.1.attn_k.bias").expect("Qwen2 has biases");
        assert_eq!((key.name.as_str(), &key.shape[..]), ("model.layers.1.self_attn.k_proj.bias", &[64][..]));
        let down = qwen2.iter().find(|tensor| tensor.source == "blk.0.ffn_down.weight").expect("it is there");
        assert_eq!(
            (down.name.as_str(), &down.shape[..]),
            ("model.layers.0.mlp.down_proj.weight", &[64, 96][..])
        );
        let qwen3: Vec<Mapped> = tensors(Architecture::Qwen3, &SIZES).collect();
        assert_eq!(qwen3.len(), 2 + 2 * 11);
        let norm =
            qwen3.iter().find(|tensor| tensor.source == "blk.0.attn_q_norm.weight").expect("its norms");
        assert_eq!(
            (norm.name.as_str(), &norm.shape[..]),
            ("model.layers.0.self_attn.q_norm.weight", &[32][..])
        );
        let output =
            qwen3.iter().find(|tensor| tensor.source == "blk.0.attn_output.weight").expect("it is there");
        assert_eq!(output.shape, [64, 128]);
    }
}
