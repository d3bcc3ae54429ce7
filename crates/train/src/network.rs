//! Forward and backward through the network, up to the final norm; the vocabulary comes after it (`vocabulary`).
//!
//! [`Forward`] runs the layers over a batch and gives the normed residual stream; [`Forward::backward`] takes the
//! gradient of the loss with respect to that and gives the gradients of all parameters below. With `recompute`, only
//! the inputs of the layers are kept, and each layer is run again when its gradient is due: about a third more time
//! for the memory of one layer instead of all (Chen et al., arXiv 1604.06174).
//!
//! What is not here: losses, and the gradient of the vocabulary matrix as a head.

use burn::module::Module;
use burn::tensor::{DType, Tensor};
use conclave_model::config::Qwen2Config;
use conclave_model::qwen2::{Positions, Qwen2};

use crate::batch::Batch;
use crate::gradients::Gradients;
use crate::parameters::{ParameterTensor, map};

/// How the forward and backward passes compute.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ComputeOptions {
    /// The type of weights and activations: f32, or bf16 where the device has it.
    pub dtype: DType,
    /// Keep only the inputs of the layers and run each layer again for its gradient.
    pub recompute: bool,
}

impl Default for ComputeOptions {
    fn default() -> Self {
        Self { dtype: DType::F32, recompute: false }
    }
}

/// Added to the score of a token that is not seen: its exponential is 0, and a row of nothing else is no NaN.
const HIDDEN: f32 = -1e30;

/// A forward pass over a batch, ready to be gone back through.
#[derive(Debug)]
pub struct Forward {
    /// The compute copy, on the autodiff device.
    model: Qwen2,
    at: Positions,
    rows: usize,
    kept: Kept,
    normed: Tensor<2>,
}

#[derive(Debug)]
enum Kept {
    /// The normed stream with the whole graph behind it.
    Graph(Box<Tensor<2>>),
    /// The input of every layer and, last, the stream after them; plain tensors, with the tokens for the embedding.
    Inputs(Vec<Tensor<3>>, Vec<u32>),
}

impl Forward {
    /// Runs `model` (plain, in any type; it is cast to the compute type) over `batch`.
    pub fn new(model: &Qwen2, config: &Qwen2Config, batch: &Batch, options: ComputeOptions) -> Self {
        let plain = match model.dtype() == options.dtype {
            true => model.clone(),
            false => cast(model, options.dtype),
        };
        let device = model.device();
        let at = match batch.trees(HIDDEN) {
            None => Positions::causal(config, batch.rows, batch.seq, &device),
            Some((positions, mask)) => Positions::new(config, batch.rows, &positions, mask, &device),
        };
        let flat = |x: Tensor<3>| x.reshape([-1, config.hidden_size as i32]);
        if !options.recompute {
            let model = plain.train();
            let normed = model.norm.forward(flat(model.hidden(&batch.tokens, batch.rows, &at, None)));
            let value = normed.clone().without_autodiff();
            return Self { model, at, rows: batch.rows, kept: Kept::Graph(Box::new(normed)), normed: value };
        }
        let mut inputs = vec![plain.embed_tokens.embed(&batch.tokens).reshape([
            batch.rows,
            batch.seq,
            config.hidden_size,
        ])];
        for layer in &plain.layers {
            let last = inputs[inputs.len() - 1].clone();
            inputs.push(layer.forward(last, &at, None));
        }
        let normed = plain.norm.forward(flat(inputs[inputs.len() - 1].clone()));
        let kept = Kept::Inputs(inputs, batch.tokens.clone());
        Self { model: plain.train(), at, rows: batch.rows, kept, normed }
    }

    /// The residual stream after the final norm, `[rows * seq, hidden_size]`, on the plain device.
    pub fn normed(&self) -> &Tensor<2> {
        &self.normed
    }

    /// Gradients of all parameters that the stream depends on, given the gradient of the loss with respect to it,
    /// `[rows * seq, hidden_size]`.
    pub fn backward(self, d_normed: Tensor<2>) -> Gradients {
        let mut gradients = Gradients::new();
        let d_normed = d_normed.cast(self.normed.dtype());
        match self.kept {
            Kept::Graph(normed) => {
                let found = (*normed * d_normed).sum().backward();
                gradients.collect(&self.model, &found);
            }
            Kept::Inputs(mut inputs, tokens) => {
                let leaf = |x: Tensor<3>| x.autodiff().require_grad();
                let mut d_out;
                {
                    let Some(last) = inputs.pop() else { return gradients };
                    let [rows, seq, hidden] = last.dims();
                    let x = leaf(last);
                    let normed = self.model.norm.forward(x.clone().reshape([rows * seq, hidden]));
                    let mut found = (normed * d_normed).sum().backward();
                    d_out = x.grad_remove(&mut found);
                    gradients.collect(&self.model, &found);
                }
                for layer in self.model.layers.iter().rev() {
                    let (Some(input), Some(d)) = (inputs.pop(), d_out.take()) else { return gradients };
                    let x = leaf(input);
                    let mut found = (layer.forward(x.clone(), &self.at, None) * d).sum().backward();
                    d_out = x.grad_remove(&mut found);
                    gradients.collect(&self.model, &found);
                }
                if let Some(d) = d_out {
                    let [rows, seq, hidden] = d.dims();
                    debug_assert_eq!(rows, self.rows);
                    let embedded = self.model.embed_tokens.embed(&tokens);
                    let found = (embedded * d.reshape([rows * seq, hidden])).sum().backward();
                    gradients.collect(&self.model, &found);
                }
            }
        }
        gradients
    }
}

/// The model in another type.
pub fn cast(model: &Qwen2, dtype: DType) -> Qwen2 {
    map(model.clone(), |_, parameter| match parameter {
        ParameterTensor::Vector(a) => ParameterTensor::Vector(a.cast(dtype)),
        ParameterTensor::Matrix(a) => ParameterTensor::Matrix(a.cast(dtype)),
    })
}
