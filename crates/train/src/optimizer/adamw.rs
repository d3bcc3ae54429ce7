//! AdamW (Loshchilov and Hutter, arXiv 1711.05101): averages of the gradient and of its square, decoupled decay.

use burn::tensor::Tensor;

/// The rule at one update.
pub(super) struct AdamWRule {
    pub(super) lr: f64,
    pub(super) betas: [f64; 2],
    pub(super) eps: f64,
    pub(super) weight_decay: f64,
    /// Counted from 1.
    pub(super) update: u64,
}

/// Running averages of the gradient and of its square.
#[derive(Debug, Clone)]
pub(super) struct Moments {
    pub(super) first: Tensor<2>,
    pub(super) second: Tensor<2>,
}

impl AdamWRule {
    /// `m = b1 m + (1 - b1) g`, `v = b2 v + (1 - b2) g^2`, and with both divided by what is missing to one in their sums
    /// of weights, `x = (1 - lr decay) x - lr m' / (sqrt(v') + eps)`.
    pub(super) fn apply(
        &self,
        value: Tensor<2>,
        gradient: Tensor<2>,
        state: Option<Moments>,
    ) -> (Tensor<2>, Moments) {
        let [beta_1, beta_2] = self.betas;
        let square = gradient.clone().square() * (1.0 - beta_2);
        let gradient = gradient * (1.0 - beta_1);
        let moments = match state {
            Some(Moments { first, second }) => {
                Moments { first: first * beta_1 + gradient, second: second * beta_2 + square }
            }
            None => Moments { first: gradient, second: square },
        };
        let weight_sum = |beta: f64| 1.0 - beta.powf(self.update as f64);
        // m' / (sqrt(v') + eps) with the corrections taken out of the tensors: two passes less.
        let root_sum = weight_sum(beta_2).sqrt();
        let rate = self.lr * root_sum / weight_sum(beta_1);
        let root = moments.second.clone().sqrt() + self.eps * root_sum;
        let change = moments.first.clone() * rate / root;
        let decay = self.lr * self.weight_decay;
        let value = if decay == 0.0 { value } else { value * (1.0 - decay) };
        (value - change, moments)
    }
}
