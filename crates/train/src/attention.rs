//! Attention over whole sequences, forward and backward, outside autodiff.
//!
//! Autodiff takes a softmax apart and keeps or makes a dozen tensors of the scores' size, and scores are most of what a layer
//! of a small model holds. Here they are touched a few times, and the gradient is written down. With `S = Q K^T + mask`,
//! `P = softmax(S)`, `O = P V` and the gradient `dO` of `O`,
//!
//! ```text
//! dV = P^T dO,   dP = dO V^T,   dS = P * (dP - rowsum(dO * O)),   dQ = dS K,   dK = dS^T Q
//! ```
//!
//! (Dao et al., arXiv 2205.14135, appendix B). No token sees a later column, so queries go in blocks, each against the columns
//! up to its own last one: of long sequences, little more than half of the scores is computed at all.
//!
//! What is not here: projections and what surrounds them (`conclave_model::qwen2`), the backward pass of all else (`network`).

use burn::tensor::{DType, Tensor, activation};
use conclave_model::pass_layout::PassLayout;
use conclave_model::qwen2::{self, Projected};

use crate::processor;

/// Queries of a block. Smaller ones compute less in vain and start more matrix products.
const BLOCK: usize = 128;

/// A forward pass, with what its gradient needs.
#[derive(Debug)]
pub struct Attention {
    projected: Projected,
    output: Tensor<4>,
    /// The attention weights of each block, `[rows, kv_heads, groups * len, end]`.
    weights: Vec<Tensor<4>>,
}

/// The gradients of what the projections gave, before the rotation.
#[derive(Debug)]
pub struct AttentionGradients {
    /// `[rows * seq, heads * head_dim]`
    pub query: Tensor<2>,
    /// `[rows * seq, kv_heads * head_dim]`
    pub key: Tensor<2>,
    /// `[rows * seq, kv_heads * head_dim]`
    pub value: Tensor<2>,
}

/// The gradients of queries, keys and values, each in the shape `[rows, kv_heads, n, head_dim]`.
struct Inner {
    query: Tensor<4>,
    key: Tensor<4>,
    value: Tensor<4>,
}

/// Consecutive queries of every head.
#[derive(Debug, Clone, Copy)]
struct Block {
    start: usize,
    len: usize,
}

impl Block {
    /// The columns that its last query sees.
    fn end(self) -> usize {
        self.start + self.len
    }

    /// Its queries, or what is of their shape: `[rows, kv_heads, groups * seq, n]` to `[rows, kv_heads, groups * len, n]`.
    fn of(self, x: &Tensor<4>, seq: usize) -> Tensor<4> {
        let [rows, kv_heads, stacked, n] = x.dims();
        let groups = stacked / seq;
        if groups == 1 {
            return x.clone().narrow(2, self.start, self.len);
        }
        let x = x.clone().reshape([rows, kv_heads, groups, seq, n]);
        x.narrow(3, self.start, self.len).reshape([rows, kv_heads, groups * self.len, n])
    }
}

/// The blocks of so many queries.
fn blocks(seq: usize) -> impl DoubleEndedIterator<Item = Block> + ExactSizeIterator {
    let count = seq.div_ceil(BLOCK);
    (0..count).map(move |i| Block { start: i * BLOCK, len: BLOCK.min(seq - i * BLOCK) })
}

/// Blocks in the order of the sequence to all queries, the way back of [`Block::of`].
fn join(blocks: Vec<Tensor<4>>, groups: usize) -> Tensor<4> {
    if groups == 1 {
        return Tensor::cat(blocks, 2);
    }
    let apart = |x: Tensor<4>| {
        let [rows, kv_heads, stacked, n] = x.dims();
        x.reshape([rows, kv_heads, groups, stacked / groups, n])
    };
    let all = Tensor::cat(blocks.into_iter().map(apart).collect(), 3);
    let [rows, kv_heads, _, seq, n] = all.dims();
    all.reshape([rows, kv_heads, groups * seq, n])
}

impl Attention {
    /// Attends; all tensors are plain. The mask of `at` has to hide at least what lies behind the diagonal; where it hides
    /// nothing else, a processor does not read it.
    pub fn new(projected: Projected, at: &PassLayout) -> Self {
        let Projected { query, key, value } = &projected;
        let [_, _, seq, _] = value.dims();
        let [_, _, stacked, _] = query.dims();
        let dtype = value.dtype();
        let mut weights = Vec::new();
        let mut outputs = Vec::new();
        for block in blocks(seq) {
            let scores = block.of(query, seq).matmul(key.clone().narrow(3, 0, block.end())).cast(DType::F32);
            let queries = block.start..block.end();
            let block_weights = match processor::is_here(&scores.device(), dtype) {
                true if at.is_causal() => processor::causal_softmax(scores, block.start, block.len),
                true => processor::masked_softmax(scores, at.mask(queries, block.end())),
                false => activation::softmax(at.hide(scores, queries), 3).cast(dtype),
            };
            outputs.push(block_weights.clone().matmul(value.clone().narrow(2, 0, block.end())));
            weights.push(block_weights);
        }
        let output = join(outputs, stacked / seq.max(1));
        Self { projected, output, weights }
    }

    /// What was found, as the output projection of `layer` takes it: `[rows * seq, heads * head_dim]`.
    pub fn joined(&self, layer: &qwen2::Attention) -> Tensor<2> {
        layer.join(self.output.clone()).flatten(0, 1)
    }

    /// The gradients, given that of [`joined`](Self::joined).
    pub fn backward(
        self,
        layer: &qwen2::Attention,
        d_joined: Tensor<2>,
        at: &PassLayout,
    ) -> AttentionGradients {
        let ([rows, _, seq, _], [tokens, width]) = (self.projected.value.dims(), d_joined.dims());
        let d = self.inner_backward(&layer.split(d_joined.reshape([rows, seq, width])));
        let [_, kv_heads, stacked, head_dim] = d.query.dims();
        let query = (d.query / (head_dim as f64).sqrt()).reshape([rows, width / head_dim, seq, head_dim]);
        let query = at.rotary().invert(query).reshape([rows, kv_heads, stacked, head_dim]);
        let flat = |x: Tensor<4>| x.swap_dims(1, 2).reshape([tokens, kv_heads * head_dim]);
        AttentionGradients {
            query: layer.join(query).reshape([tokens, width]),
            key: flat(at.rotary().invert(d.key)),
            value: flat(d.value),
        }
    }

    fn inner_backward(self, d_output: &Tensor<4>) -> Inner {
        let Self { projected: Projected { query, key, value }, output, weights } = self;
        let [_, _, seq, _] = value.dims();
        let [_, _, stacked, _] = query.dims();
        let dtype = value.dtype();
        let key = key.transpose();
        let inner = (d_output.clone() * output).cast(DType::F32).sum_dim(3);
        let mut d_queries = Vec::new();
        // From the last block on, which sees every column: the others are added to the front.
        let (mut d_key, mut d_value): (Option<Tensor<4>>, Option<Tensor<4>>) = (None, None);
        for (block, weights) in blocks(seq).zip(weights).rev() {
            let d_block = block.of(d_output, seq);
            let seen = |x: &Tensor<4>| x.clone().narrow(2, 0, block.end());
            let d_weights = d_block.clone().matmul(seen(&value).transpose()).cast(DType::F32);
            add(&mut d_value, weights.clone().transpose().matmul(d_block));
            let inner = block.of(&inner, seq);
            let d_scores = if processor::is_here(&weights.device(), dtype) {
                processor::softmax_backward(d_weights, weights, inner)
            } else {
                ((d_weights - inner) * weights.cast(DType::F32)).cast(dtype)
            };
            add(&mut d_key, d_scores.clone().transpose().matmul(block.of(&query, seq)));
            d_queries.push(d_scores.matmul(seen(&key)));
        }
        d_queries.reverse();
        Inner {
            query: join(d_queries, stacked / seq.max(1)),
            key: d_key.unwrap_or_else(|| key.zeros_like()),
            value: d_value.unwrap_or_else(|| value.zeros_like()),
        }
    }
}

/// Adds `part`, which is of the first columns, to `sum`, which has all.
fn add(sum: &mut Option<Tensor<4>>, part: Tensor<4>) {
    *sum = Some(match sum.take() {
        None => part,
        Some(sum) => {
            let ([_, _, seq, _], [_, _, end, _]) = (sum.dims(), part.dims());
            let front = sum.clone().narrow(2, 0, end) + part;
            Tensor::cat(vec![front, sum.narrow(2, end, seq - end)], 2)
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::read_f32;
    use burn::tensor::{Device, Distribution, TensorData};
    use conclave_model::config::Qwen2Config;

    /// Autodiff on the formula as it stands in the model, for sequences shorter and longer than a block, causal ones and such
    /// of which a part does not see another.
    #[test]
    fn gradients_are_those_of_autodiff() {
        let device = Device::flex();
        let shapes = [(2, 2, 1, 5), (1, 1, 2, BLOCK), (2, 1, 3, 2 * BLOCK + 9), (1, 2, 1, 1)];
        // In f64, which is not computed in place.
        let kinds = [(DType::F32, true), (DType::F32, false), (DType::F64, true), (DType::F64, false)];
        let cases = shapes.into_iter().flat_map(|shape| kinds.map(|kind| (shape, kind)));
        for ((rows, kv_heads, groups, seq), (dtype, is_causal)) in cases {
            let random = |shape: [usize; 4]| {
                Tensor::<4>::random(shape, Distribution::Normal(0.0, 1.0), (&device, dtype))
            };
            let query = random([rows, kv_heads, groups * seq, 8]);
            let key = random([rows, kv_heads, 8, seq]);
            let value = random([rows, kv_heads, seq, 8]);
            let d_output = random([rows, kv_heads, groups * seq, 8]);
            // The second half does not see the second quarter; in the next row of the batch, not the first.
            let cut = |row: usize| if row == 0 { seq / 4..seq / 2 } else { 0..seq / 4 };
            let hides = |row, i, j| j > i || (!is_causal && i >= seq / 2 && cut(row).contains(&j) && i != j);
            let hides = &hides;
            let line = |row, i| (0..seq).map(move |j| if hides(row, i, j) { -1e30 } else { 0.0 });
            let of_row = |row| (0..seq).flat_map(move |i| line(row, i)).collect::<Vec<f32>>();
            let config = Qwen2Config {
                num_attention_heads: kv_heads * groups,
                num_key_value_heads: kv_heads,
                head_dim: Some(8),
                ..Qwen2Config::tiny(64)
            };
            let at = match is_causal {
                true => PassLayout::causal(&config, rows, seq, &device),
                false => {
                    let positions: Vec<usize> = (0..seq).collect::<Vec<_>>().repeat(rows);
                    PassLayout::new(&config, rows, &positions, (0..rows).flat_map(of_row).collect(), &device)
                }
            };
            let mask: Vec<f32> = (0..rows).flat_map(|row| of_row(row).repeat(groups)).collect();
            let mask = Tensor::<4>::from_data(TensorData::new(mask, [rows, 1, groups * seq, seq]), &device);

            let leaves = [&query, &key, &value].map(|x| x.clone().autodiff().require_grad());
            let [q, k, v] = leaves.clone();
            let expected = activation::softmax(q.matmul(k) + mask.cast(dtype), 3).matmul(v);
            let mut found = (expected.clone() * d_output.clone()).sum().backward();
            let expected_gradients = leaves.map(|leaf| leaf.grad_remove(&mut found).unwrap());

            let attention = Attention::new(Projected { query, key, value }, &at);
            let close = |a: &Tensor<4>, b: &Tensor<4>, what: &str| {
                assert_eq!(a.dims(), b.dims(), "{what}");
                for (a, b) in read_f32(a.clone()).unwrap().iter().zip(read_f32(b.clone()).unwrap()) {
                    assert!((a - b).abs() < 2e-5 * (1.0 + b.abs()), "{what} at {seq}: {a} {b}");
                }
            };
            close(&attention.output, &expected.without_autodiff(), "output");
            let Inner { query, key, value } = attention.inner_backward(&d_output);
            for ((found, expected), what) in
                [query, key.transpose(), value].iter().zip(&expected_gradients).zip(["query", "key", "value"])
            {
                close(found, expected, what);
            }
        }
    }
}
