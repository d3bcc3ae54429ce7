//! Muon (Keller Jordan and others): momentum, made orthogonal by a few steps of Newton's and Schulz's iteration.
//!
//! Matrices are `[in, out]` here, the transpose of what Muon is usually written for. The iteration does not mind: the
//! nearest orthogonal matrix of a transpose is the transpose. The adjustment of the rate does.

use std::collections::BTreeMap;

use burn::tensor::Tensor;

use super::MuonAdjust;

/// Coefficients of `a X + b (X X^T) X + c (X X^T)^2 X`, chosen for the steepest slope at zero.
const COEFFICIENTS: [f64; 3] = [3.4445, -4.7750, 2.0315];
const ITERATIONS: usize = 5;
/// A norm is taken to be at least this, so that a gradient of zero stays zero.
const EPSILON: f64 = 1e-7;
/// Numbers in a stack of matrices at most, for the memory of the iteration.
const STACK_VALUES: usize = 1 << 25;

/// The rule of one update.
pub(super) struct MuonRule {
    pub(super) lr: f64,
    pub(super) adjust: MuonAdjust,
    pub(super) momentum: f64,
    pub(super) weight_decay: f64,
}

impl MuonRule {
    /// `m = b m + g`; gives `g + b m`, which is to be made orthogonal, and `m`.
    pub(super) fn direction(
        &self,
        gradient: Tensor<2>,
        momentum: Option<Tensor<2>>,
    ) -> (Tensor<2>, Tensor<2>) {
        let momentum = match momentum {
            Some(momentum) => momentum * self.momentum + gradient.clone(),
            None => gradient.clone(),
        };
        (gradient + momentum.clone() * self.momentum, momentum)
    }

    /// `x = (1 - lr decay) x - lr adjust o` with the orthogonal direction `o`.
    pub(super) fn apply(&self, value: Tensor<2>, orthogonal: Tensor<2>) -> Tensor<2> {
        let rate = self.lr * self.adjust.factor(value.dims());
        let decay = self.lr * self.weight_decay;
        let value = if decay == 0.0 { value } else { value * (1.0 - decay) };
        value - orthogonal * rate
    }
}

impl MuonAdjust {
    /// The factor of the rate for a matrix `[in, out]`.
    pub(super) fn factor(self, [input, output]: [usize; 2]) -> f64 {
        let (input, output) = (input as f64, output as f64);
        match self {
            Self::Original => (output / input).max(1.0).sqrt(),
            Self::MatchRmsAdamw => 0.2 * input.max(output).sqrt(),
        }
    }
}

/// Makes directions orthogonal. Those of one shape are stacked: on a processor they share its cores, and a GPU has fewer
/// and larger things to do.
pub(super) fn orthogonal_by_name(directions: Vec<(String, Tensor<2>)>) -> BTreeMap<String, Tensor<2>> {
    let mut by_shape: BTreeMap<[usize; 2], Vec<(String, Tensor<2>)>> = BTreeMap::new();
    for (name, direction) in directions {
        by_shape.entry(direction.dims()).or_default().push((name, direction));
    }
    let mut found = BTreeMap::new();
    for ([rows, columns], mut left) in by_shape {
        while !left.is_empty() {
            let rest = left.split_off((STACK_VALUES / (rows * columns).max(1)).clamp(1, left.len()));
            let (names, stack): (Vec<_>, Vec<_>) = std::mem::replace(&mut left, rest).into_iter().unzip();
            let stack = orthogonal(Tensor::stack(stack, 0));
            for (index, name) in names.into_iter().enumerate() {
                let one = stack.clone().slice([index..index + 1, 0..rows, 0..columns]);
                found.insert(name, one.reshape([rows, columns]));
            }
        }
    }
    found
}

/// For each matrix of a stack about the nearest whose shorter side is orthonormal: singular values come out between 0.7
/// and 1.2.
///
/// # Shapes
///
/// - `x`, output: `[matrices, rows, columns]`
pub(super) fn orthogonal(x: Tensor<3>) -> Tensor<3> {
    let [a, b, c] = COEFFICIENTS;
    let [_, rows, columns] = x.dims();
    // By rows first: a sum in a fixed order.
    let norm = x.clone().square().sum_dim(2).sum_dim(1).sqrt().clamp_min(EPSILON);
    let mut x = x / norm;
    for _ in 0..ITERATIONS {
        // The polynomial in the smaller of X X^T and X^T X.
        let wide = rows <= columns;
        let gram = match wide {
            true => x.clone().matmul(x.clone().transpose()),
            false => x.clone().transpose().matmul(x.clone()),
        };
        let polynomial = gram.clone().matmul(gram.clone()) * c + gram * b;
        let product = match wide {
            true => polynomial.matmul(x.clone()),
            false => x.clone().matmul(polynomial),
        };
        x = x * a + product;
    }
    x
}
