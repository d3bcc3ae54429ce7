//! Rotary position embedding, as Qwen2 has it: the two *halves* of a head are rotated, not adjacent pairs.
//!
//! With `i` in `0..head_dim / 2`, `theta_i = rope_theta^(-2 i / head_dim)` and a token at position `p`:
//!
//! ```text
//! out[i]        = x[i] cos(p theta_i) - x[i + half] sin(p theta_i)
//! out[i + half] = x[i + half] cos(p theta_i) + x[i] sin(p theta_i)
//! ```
//!
//! (Su et al., arXiv 2104.09864; the half-split layout is GPT-NeoX's.) Angles are products of two f32 values, as in
//! the reference implementation, so that long positions agree with it; tables are f32 whatever the model computes in.

use burn::tensor::{Device, Tensor, TensorData};

use crate::config::Qwen2Config;

/// The rotation of one forward pass: cosines and sines of every (row, position).
#[derive(Debug, Clone)]
pub struct Rotary {
    cos: Tensor<4>, // [rows, 1, seq, head_dim / 2]
    sin: Tensor<4>, // [rows, 1, seq, head_dim / 2]
}

impl Rotary {
    /// Tables for `positions`, `[rows * seq]` in row-major order.
    pub fn new(config: &Qwen2Config, positions: &[usize], rows: usize, device: &Device) -> Self {
        let half = config.head_dim() / 2;
        let frequencies: Vec<f32> = (0..half)
            .map(|i| {
                let exponent = (2 * i) as f32 / config.head_dim() as f32;
                1.0 / (config.rope_theta as f32).powf(exponent)
            })
            .collect();
        let mut cos = Vec::with_capacity(positions.len() * half);
        let mut sin = Vec::with_capacity(positions.len() * half);
        for &position in positions {
            for &frequency in &frequencies {
                let angle = f64::from(position as f32 * frequency);
                cos.push(angle.cos() as f32);
                sin.push(angle.sin() as f32);
            }
        }
        let shape = [rows, 1, positions.len() / rows.max(1), half];
        Self {
            cos: Tensor::from_data(TensorData::new(cos, shape), device),
            sin: Tensor::from_data(TensorData::new(sin, shape), device),
        }
    }

    /// Rotates queries or keys.
    ///
    /// # Shapes
    ///
    /// - `x`: `[rows, heads, seq, head_dim]`
    /// - output: the same
    pub fn apply(&self, x: Tensor<4>) -> Tensor<4> {
        rotate(x, &self.cos, &self.sin)
    }

    /// Rotates back: the inverse of [`apply`](Self::apply), and so the way of a gradient.
    pub fn invert(&self, x: Tensor<4>) -> Tensor<4> {
        rotate(x, &self.cos, &self.sin.clone().neg())
    }
}

fn rotate(x: Tensor<4>, cos: &Tensor<4>, sin: &Tensor<4>) -> Tensor<4> {
    let [_, _, _, head_dim] = x.dims();
    let dtype = x.dtype();
    let x = x.cast(burn::tensor::DType::F32);
    let first = x.clone().narrow(3, 0, head_dim / 2);
    let second = x.narrow(3, head_dim / 2, head_dim / 2);
    let rotated_first = first.clone() * cos.clone() - second.clone() * sin.clone();
    let rotated_second = second * cos.clone() + first * sin.clone();
    Tensor::cat(vec![rotated_first, rotated_second], 3).cast(dtype)
}
