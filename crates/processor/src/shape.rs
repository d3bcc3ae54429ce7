//! The sizes of a model.

use crate::error::Error;

/// Sizes and constants, by their names in `config.json`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shape {
    /// Rows of the embedding.
    pub vocab_size: usize,
    /// Width of the residual stream.
    pub hidden_size: usize,
    /// Width within an MLP.
    pub intermediate_size: usize,
    /// Layers.
    pub num_hidden_layers: usize,
    /// Query heads.
    pub num_attention_heads: usize,
    /// Key-value heads; the query heads are a multiple.
    pub num_key_value_heads: usize,
    /// Width of a head: a multiple of 8. Qwen3's is independent of `hidden_size`.
    pub head_dim: usize,
    /// Added to the mean square of a norm.
    pub rms_norm_eps: f64,
    /// Base of the rotary frequencies.
    pub rope_theta: f64,
}

impl Shape {
    /// Width of all query heads.
    pub fn query_width(&self) -> usize {
        self.num_attention_heads * self.head_dim
    }

    /// Width of all key heads, and of all value heads.
    pub fn key_value_width(&self) -> usize {
        self.num_key_value_heads * self.head_dim
    }

    /// # Errors
    ///
    /// A size of zero, or sizes that do not go together.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let sizes = [
            ("vocab_size", self.vocab_size),
            ("hidden_size", self.hidden_size),
            ("intermediate_size", self.intermediate_size),
            ("num_attention_heads", self.num_attention_heads),
            ("num_key_value_heads", self.num_key_value_heads),
            ("head_dim", self.head_dim),
        ];
        let most = 1 << 24; // so that products of two of them can be counted anywhere
        if let Some((name, size)) = sizes.into_iter().find(|(_, size)| *size == 0 || *size > most) {
            return Err(Error::Shape(format!("{name} is {size}, expected 1 to {most}")));
        }
        if !self.num_attention_heads.is_multiple_of(self.num_key_value_heads) {
            let (heads, kv_heads) = (self.num_attention_heads, self.num_key_value_heads);
            let message = format!("num_attention_heads is {heads}, expected a multiple of {kv_heads}");
            return Err(Error::Shape(message + ", the num_key_value_heads"));
        }
        if !self.head_dim.is_multiple_of(8) {
            let message = format!("head_dim is {}, expected a multiple of 8", self.head_dim);
            return Err(Error::Shape(message));
        }
        Ok(())
    }
}
