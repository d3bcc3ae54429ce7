//! What goes into the products of a model: for a quantiser that weighs its errors by it.

use std::collections::BTreeMap;

/// Vectors that some products of a layer share.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Input {
    /// Of queries, keys and values.
    Attention,
    /// Of the projection behind the attention.
    Output,
    /// Of gate and up.
    Mlp,
    /// Of down.
    Down,
    /// Of the head, whose layer is the number of layers.
    Head,
}

impl Input {
    /// The modules that take it, by their names in a checkpoint below `layers.N`.
    pub fn products(self) -> &'static [&'static str] {
        match self {
            Self::Attention => &["self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"],
            Self::Output => &["self_attn.o_proj"],
            Self::Mlp => &["mlp.gate_proj", "mlp.up_proj"],
            Self::Down => &["mlp.down_proj"],
            Self::Head => &["lm_head"],
        }
    }
}

/// Looks at the inputs of products.
pub trait Observer {
    /// The inputs of some products of a layer, `[tokens, width]`, before any rounding.
    fn observe(&mut self, layer: usize, input: Input, vectors: &[f32], width: usize);
}

/// Sums of squares of each input column.
#[derive(Debug, Clone, Default)]
pub struct Moments {
    sums: BTreeMap<(usize, Input), (Vec<f64>, u64)>,
}

impl Moments {
    /// The mean of `x_j^2` for each column of an input, or nothing where it was not seen.
    pub fn mean(&self, layer: usize, input: Input) -> Option<Vec<f64>> {
        let (sums, count) = self.sums.get(&(layer, input))?;
        Some(sums.iter().map(|sum| sum / *count as f64).collect())
    }

    /// How many vectors were seen.
    pub fn count(&self, layer: usize, input: Input) -> u64 {
        self.sums.get(&(layer, input)).map_or(0, |(_, count)| *count)
    }
}

impl Observer for Moments {
    fn observe(&mut self, layer: usize, input: Input, vectors: &[f32], width: usize) {
        let (sums, count) = self.sums.entry((layer, input)).or_insert_with(|| (vec![0.0; width], 0));
        for vector in vectors.chunks_exact(width) {
            for (sum, x) in sums.iter_mut().zip(vector) {
                *sum += f64::from(*x) * f64::from(*x);
            }
            *count += 1;
        }
    }
}
