//! Forward and backward through the network, up to the final norm; the vocabulary comes after it (`vocabulary`).
//!
//! [`Forward`] runs the layers over a batch and gives the normed residual stream; [`Forward::backward`] takes the
//! gradient of the loss with respect to that and gives the gradients of all parameters below. With `recompute`, only
//! the inputs of the layers are kept, and each layer is run again when its gradient is due: about a third more time
//! for the memory of one layer instead of all (Chen et al., arXiv 1604.06174).
//!
//! What is not here: what happens within a layer (`layer`), losses, and the gradient of the vocabulary matrix as a head.

use burn::tensor::{DType, IndexingUpdateOp, Int, Tensor, TensorData};
use conclave_model::config::Qwen2Config;
use conclave_model::pass_layout::PassLayout;
use conclave_model::qwen2::Qwen2;

use crate::batch::Batch;
use crate::gradients::Gradients;
use crate::layer::{LayerPass, NormPass};
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
    /// The compute copy.
    model: Qwen2,
    at: PassLayout,
    rows: usize,
    tokens: Vec<u32>,
    layers: Vec<Kept>,
    norm: NormPass,
    normed: Tensor<2>,
}

/// What is kept of a layer for the way back.
#[derive(Debug)]
enum Kept {
    Pass(Box<LayerPass>),
    /// What goes into it, to run it again.
    Input(Box<Tensor<2>>),
}

impl Forward {
    /// Runs `model` (in any type; it is cast to the compute type) over `batch`.
    pub fn new(model: &Qwen2, config: &Qwen2Config, batch: &Batch, options: ComputeOptions) -> Self {
        let model = match model.dtype() == options.dtype {
            true => model.clone(),
            false => cast(model, options.dtype),
        };
        let device = model.device();
        let (rows, tokens) = (batch.rows, batch.tokens.clone());
        let at = match batch.trees(HIDDEN) {
            None => PassLayout::causal(config, rows, batch.seq, &device),
            Some((positions, mask)) => PassLayout::new(config, rows, &positions, mask, &device),
        };
        let mut x = model.embed_tokens.embed(&tokens);
        let mut layers = Vec::with_capacity(model.layers.len());
        for layer in &model.layers {
            // With `recompute` the pass is dropped here, and only what goes into it stays.
            let input = options.recompute.then(|| Box::new(x.clone()));
            let (out, pass) = LayerPass::new(layer, rows, x, &at);
            layers.push(input.map_or_else(|| Kept::Pass(Box::new(pass)), Kept::Input));
            x = out;
        }
        let norm = NormPass::new(&model.norm, &x);
        let normed = norm.output(&model.norm);
        Self { model, at, rows, tokens, layers, norm, normed }
    }

    /// The residual stream after the final norm, `[rows * seq, hidden_size]`.
    pub fn normed(&self) -> &Tensor<2> {
        &self.normed
    }

    /// Gradients of all parameters that the stream depends on, given the gradient of the loss with respect to it,
    /// `[rows * seq, hidden_size]`.
    pub fn backward(self, d_normed: Tensor<2>) -> Gradients {
        let mut gradients = Gradients::new();
        let model = &self.model;
        let d_normed = d_normed.cast(self.normed.dtype());
        let mut d = self.norm.backward(&model.norm, "model.norm", d_normed, &mut gradients);
        for ((index, layer), kept) in model.layers.iter().enumerate().zip(self.layers).rev() {
            let pass = match kept {
                Kept::Pass(pass) => *pass,
                Kept::Input(x) => LayerPass::new(layer, self.rows, *x, &self.at).1,
            };
            d = pass.backward(layer, &format!("model.layers.{index}"), &self.at, d, &mut gradients);
        }
        let d = d.cast(DType::F32);
        let mut start = 0;
        for (index, shard) in model.embed_tokens.shards.iter().enumerate() {
            let shape = shard.val().dims();
            let gradient = embedding_gradient(shape, start, &self.tokens, &d);
            gradients
                .add_one(&format!("model.embed_tokens.weight#{index}"), ParameterTensor::Matrix(gradient));
            start += shape[0];
        }
        gradients
    }
}

/// The gradient of a shard of the embedding, of this shape, whose first row is that of token `start`: the sum of the gradients
/// of each token's vectors.
fn embedding_gradient(shape: [usize; 2], start: usize, tokens: &[u32], d: &Tensor<2>) -> Tensor<2> {
    let device = d.device();
    let zeros = Tensor::zeros(shape, (&device, DType::F32));
    let row = |token: &u32| (*token as usize).checked_sub(start).filter(|row| *row < shape[0]);
    let (places, rows): (Vec<i32>, Vec<i32>) =
        (0..).zip(tokens).filter_map(|(place, token)| Some((place, row(token)? as i32))).unzip();
    if places.is_empty() {
        return zeros;
    }
    let int = |values: Vec<i32>| {
        let shape = [values.len()];
        Tensor::<1, Int>::from_data(TensorData::new(values, shape), &device)
    };
    let d = if places.len() == tokens.len() { d.clone() } else { d.clone().select(0, int(places)) };
    zeros.select_assign(0, int(rows), d, IndexingUpdateOp::Add)
}

/// The model in another type.
pub fn cast(model: &Qwen2, dtype: DType) -> Qwen2 {
    map(model.clone(), |_, parameter| match parameter {
        ParameterTensor::Vector(a) => ParameterTensor::Vector(a.cast(dtype)),
        ParameterTensor::Matrix(a) => ParameterTensor::Matrix(a.cast(dtype)),
    })
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use conclave_model::config::ModelType;

    use super::*;
    use crate::batch::Sequence;
    use crate::host::read_f32;
    use crate::parameters::visit;
    use crate::scripted::{random_model, small_model};

    /// The model's own forward pass under autodiff, with rows of different lengths, more than one block of attention, and
    /// heads that share keys.
    #[test]
    fn gradients_are_those_of_autodiff() {
        let (_, config) = small_model(1);
        let qwen3 = Qwen2Config {
            model_type: ModelType::Qwen3,
            head_dim: Some(12),
            attention_bias: true,
            ..config.clone()
        };
        let wide = Qwen2Config { num_key_value_heads: 4, ..config.clone() };
        for config in [config, wide, qwen3] {
            let model = random_model(&config, 3);
            let sequence = |seed: u32, len: u32| Sequence {
                tokens: (0..len).map(|i| (seed * 31 + i * 7) % 250).collect(),
                prompt_len: 1,
            };
            let batch = Batch::new(&[&sequence(1, 150), &sequence(2, 90)]);
            let device = model.device();
            let at = PassLayout::causal(&config, batch.rows, batch.seq, &device);
            let tokens = batch.rows * batch.seq;
            let weights: Vec<f32> =
                (0..tokens * config.hidden_size).map(|i| (i as f32 * 0.7).sin()).collect();
            let d = Tensor::<2>::from_data(TensorData::new(weights, [tokens, config.hidden_size]), &device);

            let tracked = model.clone().train();
            let hidden = tracked.hidden(&batch.tokens, batch.rows, &at, None);
            let normed = tracked.norm.forward(hidden.reshape([tokens, config.hidden_size]));
            let expected_normed = read_f32(normed.clone().without_autodiff()).unwrap();
            let found = (normed * d.clone()).sum().backward();

            for recompute in [false, true] {
                let options = ComputeOptions { recompute, ..ComputeOptions::default() };
                let forward = Forward::new(&model, &config, &batch, options);
                for (a, b) in read_f32(forward.normed().clone()).unwrap().iter().zip(&expected_normed) {
                    assert!((a - b).abs() < 1e-4, "{a} {b}");
                }
                let mut gradients = forward.backward(d.clone());
                visit(&tracked, |path, parameter| {
                    let expected = match parameter {
                        ParameterTensor::Vector(tensor) => tensor.grad(&found).map(Tensor::unsqueeze),
                        ParameterTensor::Matrix(tensor) => tensor.grad(&found),
                    };
                    let Some(expected) = expected else { return };
                    let gradient = gradients.remove(path).unwrap_or_else(|| panic!("no gradient of {path}"));
                    let (a, b) = (read_f32(gradient.into_rows()).unwrap(), read_f32(expected).unwrap());
                    let norm =
                        |values: &mut dyn Iterator<Item = f32>| values.map(|v| v * v).sum::<f32>().sqrt();
                    let off = norm(&mut a.iter().zip(&b).map(|(a, b)| a - b));
                    let size = norm(&mut b.iter().copied());
                    assert!(off <= 1e-4 * size + 1e-6, "{path}: off by {off} of {size}");
                });
                assert_eq!(gradients.names().next(), None, "gradients that autodiff does not have");
            }
        }
    }
}
