//! Rotary positions: the two halves of a head are rotated against each other.
//!
//! With `i` in `0..head_dim / 2` and `theta_i = rope_theta^(-2 i / head_dim)`, at position `p`:
//!
//! ```text
//! out[i]        = x[i] cos(p theta_i) - x[i + half] sin(p theta_i)
//! out[i + half] = x[i + half] cos(p theta_i) + x[i] sin(p theta_i)
//! ```
//!
//! (Su et al., arXiv 2104.09864; the layout is GPT-NeoX's.) Angles are products of two f32, as in the reference
//! implementation, so that long positions agree with it. Rotations add up, so a rotated key is moved by a rotation, too.

use crate::shape::Shape;

/// The frequencies of a model.
#[derive(Debug, Clone)]
pub(crate) struct Rotary {
    frequencies: Vec<f32>,
}

/// Cosines and sines of some positions.
pub(crate) struct Angles {
    half: usize,
    cos: Vec<f32>, // [positions, half]
    sin: Vec<f32>, // [positions, half]
}

impl Rotary {
    pub(crate) fn new(shape: &Shape) -> Self {
        let theta = f64::from(shape.rope_theta as f32);
        // libm: the same bits everywhere.
        let frequency = |i: usize| {
            let exponent = (2 * i) as f32 / shape.head_dim as f32;
            1.0 / libm::pow(theta, f64::from(exponent)) as f32
        };
        Self { frequencies: (0..shape.head_dim / 2).map(frequency).collect() }
    }

    /// The rotation to each position; a negative one turns back.
    pub(crate) fn angles(&self, positions: impl Iterator<Item = i64>) -> Angles {
        let half = self.frequencies.len();
        let (mut cos, mut sin) = (Vec::new(), Vec::new());
        for position in positions {
            for frequency in &self.frequencies {
                let (s, c) = libm::sincos(f64::from(position as f32 * frequency));
                cos.push(c as f32);
                sin.push(s as f32);
            }
        }
        Angles { half, cos, sin }
    }
}

impl Angles {
    /// Rotates one head to the position of this index.
    #[inline]
    pub(crate) fn rotate(&self, index: usize, head: &mut [f32]) {
        let range = index * self.half..(index + 1) * self.half;
        let (first, second) = head.split_at_mut(self.half);
        let angles = self.cos[range.clone()].iter().zip(&self.sin[range]);
        for ((a, b), (cos, sin)) in first.iter_mut().zip(second).zip(angles) {
            (*a, *b) = (*a * cos - *b * sin, *b * cos + *a * sin);
        }
    }
}
