//! One layer forward and backward, the gradient written down: the same functions as `conclave_model::qwen2` has.
//!
//! Autodiff gives the same gradients (a test compares them), but for every operation it keeps or makes tensors of its own, and
//! on a CPU those passes over memory cost as much as the matrix products. Activations are matrices of `tokens = rows * seq`
//! vectors. What is not here: attention (`attention`), the order of the layers (`network`).

use burn::nn::Linear;
use burn::tensor::{DType, Tensor, activation};
use conclave_model::pass_layout::PassLayout;
use conclave_model::qwen2::{DecoderLayer, RmsNorm};

use crate::attention::{Attention, AttentionGradients};
use crate::gradients::Gradients;
use crate::parameters::ParameterTensor;
use crate::processor;

/// Adds a gradient, in f32.
fn add_matrix(gradients: &mut Gradients, path: &str, gradient: Tensor<2>) {
    gradients.add_one(path, ParameterTensor::Matrix(gradient.cast(DType::F32)));
}

fn add_vector(gradients: &mut Gradients, path: &str, gradient: Tensor<2>) {
    let [_, width] = gradient.dims();
    gradients.add_one(path, ParameterTensor::Vector(gradient.cast(DType::F32).reshape([width])));
}

/// Gradients of `y = x W + b`: those of `W` and `b` are added under `path`, that of `x` is given back.
fn linear_backward(
    linear: &Linear,
    path: &str,
    x: &Tensor<2>,
    d_y: Tensor<2>,
    gradients: &mut Gradients,
) -> Tensor<2> {
    add_matrix(gradients, &format!("{path}.weight"), x.clone().transpose().matmul(d_y.clone()));
    if linear.bias.is_some() {
        add_vector(gradients, &format!("{path}.bias"), d_y.clone().cast(DType::F32).sum_dim(0));
    }
    d_y.matmul(linear.weight.val().transpose())
}

/// A norm's forward pass, `y = n * weight` with `n = x / rms`.
#[derive(Debug)]
pub struct NormPass {
    /// `n`, `[tokens, hidden_size]`
    normed: Tensor<2>,
    /// `rms`, f32, `[tokens, 1]`
    rms: Tensor<2>,
}

impl NormPass {
    /// Norms `x`, `[tokens, hidden_size]`.
    pub fn new(norm: &RmsNorm, x: &Tensor<2>) -> Self {
        let dtype = x.dtype();
        let x = x.clone().cast(DType::F32);
        let rms = norm.root_mean_square(&x);
        Self { normed: (x / rms.clone()).cast(dtype), rms }
    }

    /// `y`
    pub fn output(&self, norm: &RmsNorm) -> Tensor<2> {
        self.normed.clone() * norm.weight.val().unsqueeze()
    }

    /// The gradient of `x`, given that of `y`; the weight's is added under `path`. With `dn = dy * weight`,
    /// `dx = (dn - n mean(dn * n)) / rms`.
    pub fn backward(
        self,
        norm: &RmsNorm,
        path: &str,
        d_y: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let dtype = d_y.dtype();
        let (normed, d_y) = (self.normed.cast(DType::F32), d_y.cast(DType::F32));
        let product = d_y.clone() * normed.clone();
        add_vector(gradients, &format!("{path}.weight"), product.clone().sum_dim(0));
        let weight: Tensor<2> = norm.weight.val().cast(DType::F32).unsqueeze();
        let mean = (product * weight.clone()).mean_dim(1);
        ((d_y * weight - normed * mean) / self.rms).cast(dtype)
    }
}

/// The norm of each head's query or key.
#[derive(Debug)]
struct HeadNormPass(NormPass);

impl HeadNormPass {
    /// Norms the heads of `x`, `[rows, seq, heads * head_dim]`, where there is a norm.
    fn of(norm: Option<&RmsNorm>, x: Tensor<3>) -> (Tensor<3>, Option<Self>) {
        let Some(norm) = norm else { return (x, None) };
        let shape = x.dims();
        let pass = NormPass::new(norm, &heads(norm, x));
        (pass.output(norm).reshape(shape), Some(Self(pass)))
    }

    /// The gradient of what went in, given that of what came out, both `[tokens, heads * head_dim]`.
    fn backward(
        pass: Option<Self>,
        norm: Option<&RmsNorm>,
        path: &str,
        d_y: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let (Some(Self(pass)), Some(norm)) = (pass, norm) else { return d_y };
        let shape = d_y.dims();
        pass.backward(norm, path, heads(norm, d_y), gradients).reshape(shape)
    }
}

/// Heads that lie side by side, each as a vector by itself: `[.., heads * head_dim]` to `[.., head_dim]`.
fn heads<const D: usize>(norm: &RmsNorm, x: Tensor<D>) -> Tensor<2> {
    let [head_dim] = norm.weight.val().dims();
    let count = x.shape().num_elements() / head_dim;
    x.reshape([count, head_dim])
}

/// A layer's forward pass, with what its gradient needs; all tensors are plain.
#[derive(Debug)]
pub struct LayerPass {
    input_norm: NormPass,
    /// Of queries and of keys, of a Qwen3.
    head_norms: [Option<HeadNormPass>; 2],
    attention: Attention,
    post_attention_norm: NormPass,
    /// `[tokens, intermediate_size]`
    gate: Tensor<2>,
    /// `[tokens, intermediate_size]`
    up: Tensor<2>,
    /// `silu(gate) * up`, `[tokens, intermediate_size]`
    hidden: Tensor<2>,
}

impl LayerPass {
    /// What comes out of the layer, and the pass.
    ///
    /// # Shapes
    ///
    /// - `x`, output: `[rows * seq, hidden_size]`
    pub fn new(layer: &DecoderLayer, rows: usize, x: Tensor<2>, at: &PassLayout) -> (Tensor<2>, Self) {
        let [tokens, hidden_size] = x.dims();
        let shape = [rows, tokens / rows.max(1), hidden_size];
        let attn = &layer.self_attn;
        let input_norm = NormPass::new(&layer.input_layernorm, &x);
        let [query, key, value] = attn.projections(input_norm.output(&layer.input_layernorm).reshape(shape));
        let (query, query_norm) = HeadNormPass::of(attn.q_norm.as_ref(), query);
        let (key, key_norm) = HeadNormPass::of(attn.k_norm.as_ref(), key);
        let head_norms = [query_norm, key_norm];
        let attention = Attention::new(attn.arrange([query, key, value], at), at);
        let x = x + attn.o_proj.forward(attention.joined(attn));
        let post_attention_norm = NormPass::new(&layer.post_attention_layernorm, &x);
        let y = post_attention_norm.output(&layer.post_attention_layernorm);
        let gate = layer.mlp.gate_proj.forward(y.clone());
        let up = layer.mlp.up_proj.forward(y);
        let (hidden, [gate, up]) = swiglu(gate, up);
        let out = x + layer.mlp.down_proj.forward(hidden.clone());
        (out, Self { input_norm, head_norms, attention, post_attention_norm, gate, up, hidden })
    }

    /// The gradient of what went in, given that of what came out; those of the parameters are added under `path`, which is
    /// that of the layer.
    pub fn backward(
        self,
        layer: &DecoderLayer,
        path: &str,
        at: &PassLayout,
        d_out: Tensor<2>,
        gradients: &mut Gradients,
    ) -> Tensor<2> {
        let mut linear = |linear: &Linear, part: &str, x: &Tensor<2>, d_y: Tensor<2>| {
            linear_backward(linear, &format!("{path}.{part}"), x, d_y, gradients)
        };
        let (mlp, attn) = (&layer.mlp, &layer.self_attn);

        let d_hidden = linear(&mlp.down_proj, "mlp.down_proj", &self.hidden, d_out.clone());
        drop(self.hidden);
        let [d_gate, d_up] = swiglu_backward(self.gate, self.up, d_hidden);
        let y = self.post_attention_norm.output(&layer.post_attention_layernorm);
        let d_y = linear(&mlp.gate_proj, "mlp.gate_proj", &y, d_gate)
            + linear(&mlp.up_proj, "mlp.up_proj", &y, d_up);
        drop(y);
        let norm = format!("{path}.post_attention_layernorm");
        let d_x =
            d_out + self.post_attention_norm.backward(&layer.post_attention_layernorm, &norm, d_y, gradients);

        let mut linear = |linear: &Linear, part: &str, x: &Tensor<2>, d_y: Tensor<2>| {
            linear_backward(linear, &format!("{path}.{part}"), x, d_y, gradients)
        };
        let d_joined = linear(&attn.o_proj, "self_attn.o_proj", &self.attention.joined(attn), d_x.clone());
        let AttentionGradients { query, key, value } = self.attention.backward(attn, d_joined, at);
        let [query_norm, key_norm] = self.head_norms;
        let norm = |part: &str| format!("{path}.self_attn.{part}");
        let query =
            HeadNormPass::backward(query_norm, attn.q_norm.as_ref(), &norm("q_norm"), query, gradients);
        let key = HeadNormPass::backward(key_norm, attn.k_norm.as_ref(), &norm("k_norm"), key, gradients);
        let mut linear = |linear: &Linear, part: &str, x: &Tensor<2>, d_y: Tensor<2>| {
            linear_backward(linear, &format!("{path}.{part}"), x, d_y, gradients)
        };
        let y = self.input_norm.output(&layer.input_layernorm);
        let d_y = linear(&attn.q_proj, "self_attn.q_proj", &y, query)
            + linear(&attn.k_proj, "self_attn.k_proj", &y, key)
            + linear(&attn.v_proj, "self_attn.v_proj", &y, value);
        drop(y);
        let norm = format!("{path}.input_layernorm");
        d_x + self.input_norm.backward(&layer.input_layernorm, &norm, d_y, gradients)
    }
}

/// `silu(gate) * up`, with its inputs.
fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> (Tensor<2>, [Tensor<2>; 2]) {
    if processor::is_here(&gate.device(), gate.dtype()) {
        return processor::swiglu(gate, up);
    }
    (activation::silu(gate.clone()) * up.clone(), [gate, up])
}

/// The gradients of `gate` and `up`, given that of [`swiglu`]: with `s = sigmoid(gate)` and `act = gate * s`, the slope of
/// `act` is `s + act - act * s`.
fn swiglu_backward(gate: Tensor<2>, up: Tensor<2>, d_hidden: Tensor<2>) -> [Tensor<2>; 2] {
    if processor::is_here(&gate.device(), gate.dtype()) {
        return processor::swiglu_backward(gate, up, d_hidden);
    }
    let s = activation::sigmoid(gate.clone());
    let act = gate * s.clone();
    let d_up = d_hidden.clone() * act.clone();
    let slope = s.clone() + act.clone() - act * s;
    [d_hidden * up * slope, d_up]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::read_f32;
    use burn::tensor::{Device, Distribution};

    /// In f64 it is computed by tensor operations, and by autodiff.
    #[test]
    fn swiglu_in_place_is_that_of_tensor_operations() {
        let device = Device::flex();
        let random = || Tensor::<2>::random([7, 45], Distribution::Normal(0.0, 3.0), &device);
        let (gate, up, d_hidden) = (random(), random(), random());
        let double = |x: &Tensor<2>| x.clone().cast(DType::F64);
        let leaves = [&gate, &up].map(|x| double(x).autodiff().require_grad());
        let expected = activation::silu(leaves[0].clone()) * leaves[1].clone();
        let mut found = (expected.clone() * double(&d_hidden).autodiff()).sum().backward();
        let expected_gradients = leaves.map(|leaf| leaf.grad_remove(&mut found).unwrap());
        let close = |a: &Tensor<2>, b: &Tensor<2>, what: &str| {
            for (a, b) in read_f32(a.clone()).unwrap().iter().zip(read_f32(b.clone()).unwrap()) {
                assert!((a - b).abs() < 3e-6 * (1.0 + b.abs()), "{what}: {a} {b}");
            }
        };
        for (gate, up, d_hidden) in
            [(double(&gate), double(&up), double(&d_hidden)), (gate.clone(), up.clone(), d_hidden.clone())]
        {
            let before = [&gate, &up].map(|x| read_f32(x.clone()).unwrap());
            let (hidden, [same_gate, same_up]) = swiglu(gate.clone(), up.clone());
            close(&hidden, &expected.clone().without_autodiff(), "hidden");
            close(&same_gate, &gate, "gate");
            close(&same_up, &up, "up");
            let gradients = swiglu_backward(same_gate, same_up, d_hidden);
            for (gradient, expected) in gradients.iter().zip(&expected_gradients) {
                close(gradient, expected, "gradient");
            }
            assert_eq!([gate, up].map(|x| read_f32(x).unwrap()), before, "held here, so not written to");
        }
    }
}
