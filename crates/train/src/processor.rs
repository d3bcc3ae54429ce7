//! What a layer does to every element, on a processor: in one pass over memory that is there already.
//!
//! A tensor operation reads and writes all of its memory, and burn's CPU backend takes exponentials one by one. On the
//! processor a tensor can be taken apart without a copy where nobody else holds it, so here the exponentials of attention
//! and of SwiGLU and what surrounds them are loops over slices, which the compiler makes vectors of. What is not here: the
//! same on other devices, which the callers have in tensor operations, and matrix products.
//!
//! The order of sums does not depend on the processor's vectors, so runs on all of them give the same bits.

use burn::tensor::{DType, Device, Tensor};

/// Lanes that a sum is taken in.
const LANES: usize = 16;

/// Whether tensors of this device and type are f32 in the processor's own memory.
pub fn is_here(device: &Device, dtype: DType) -> bool {
    #[cfg(feature = "processor")]
    let is_processor = matches!(device.as_dispatch(), burn::backend::DispatchDevice::Flex(_));
    #[cfg(not(feature = "processor"))]
    let is_processor = {
        let _ = device;
        false
    };
    is_processor && dtype == DType::F32
}

/// `softmax` of causal scores along the last dimension, in place.
///
/// # Shapes
///
/// - `scores`, output: `[.., queries, columns]`; of every `len` rows the first is query `start`, which sees the columns up
///   to its own, and each next one sees one more
pub fn causal_softmax(scores: Tensor<4>, start: usize, len: usize) -> Tensor<4> {
    let [_, _, _, columns] = scores.dims();
    in_place(scores, |scores| {
        for (row, scores) in scores.chunks_exact_mut(columns.max(1)).enumerate() {
            let seen = (start + row % len + 1).min(columns);
            softmax(&mut scores[..seen]);
            scores[seen..].fill(0.0);
        }
    })
}

/// `softmax` of scores along the last dimension with a mask added to them, in place.
///
/// # Shapes
///
/// - `scores`, output: `[rows, heads, queries, columns]`
/// - `mask`: `[rows, 1, len, columns]`, where `queries` is a multiple of `len`: the mask holds for each such group
pub fn masked_softmax(scores: Tensor<4>, mask: Tensor<4>) -> Tensor<4> {
    let ([_, heads, queries, columns], [_, _, len, _]) = (scores.dims(), mask.dims());
    let columns = columns.max(1);
    let (of_head, of_mask) = ((queries * columns).max(1), len * columns);
    let mask = mask.into_data();
    let mask = slice(&mask);
    in_place(scores, |scores| {
        for (head, scores) in scores.chunks_exact_mut(of_head).enumerate() {
            let mask = &mask[head / heads * of_mask..][..of_mask];
            let lines = mask.chunks_exact(columns).cycle();
            for (scores, mask) in scores.chunks_exact_mut(columns).zip(lines) {
                scores.iter_mut().zip(mask).for_each(|(score, hidden)| *score += hidden);
                softmax(scores);
            }
        }
    })
}

/// The gradient of the scores, given that of the weights: `weights * (d_weights - inner)`, in place.
///
/// # Shapes
///
/// - `d_weights`, `weights`, output: `[.., rows, columns]`
/// - `inner`: `[.., rows, 1]`
pub fn softmax_backward(d_weights: Tensor<4>, weights: Tensor<4>, inner: Tensor<4>) -> Tensor<4> {
    let [_, _, _, columns] = weights.dims();
    let (weights, inner) = (weights.into_data(), inner.into_data());
    let (weights, inner) = (slice(&weights), slice(&inner));
    in_place(d_weights, |d_weights| {
        let rows = d_weights.chunks_exact_mut(columns.max(1)).zip(weights.chunks_exact(columns.max(1)));
        for ((d_weights, weights), inner) in rows.zip(inner) {
            for (d_weight, weight) in d_weights.iter_mut().zip(weights) {
                *d_weight = (*d_weight - inner) * weight;
            }
        }
    })
}

/// `silu(gate) * up`, with its inputs as they were.
pub fn swiglu(gate: Tensor<2>, up: Tensor<2>) -> (Tensor<2>, [Tensor<2>; 2]) {
    let (shape, device) = (gate.dims(), gate.device());
    let (gate, up) = (gate.into_data(), up.into_data());
    let mut hidden = vec![0.0; shape[0] * shape[1]];
    vectorized(|| {
        for ((hidden, gate), up) in hidden.iter_mut().zip(slice(&gate)).zip(slice(&up)) {
            *hidden = gate * sigmoid(*gate) * up;
        }
    });
    let tensor = |data| Tensor::from_data(data, (&device, DType::F32));
    (tensor(burn::tensor::TensorData::new(hidden, shape)), [gate, up].map(tensor))
}

/// The gradients of the gate and of what it gates, given that of [`swiglu`], in the place of both.
pub fn swiglu_backward(gate: Tensor<2>, up: Tensor<2>, d_hidden: Tensor<2>) -> [Tensor<2>; 2] {
    let d_hidden = d_hidden.into_data();
    let (mut gate, up) = (gate.into_data(), up);
    let device = up.device();
    let d_up = in_place(up, |up| {
        // The gradients take the places of what they are of, each of which is read just before.
        let gate = gate.as_mut_slice::<f32>().expect(F32);
        for ((gate, up), d_hidden) in gate.iter_mut().zip(up).zip(slice(&d_hidden)) {
            let sigmoid = sigmoid(*gate);
            let act = *gate * sigmoid;
            *gate = d_hidden * *up * (sigmoid + act - act * sigmoid);
            *up = d_hidden * act;
        }
    });
    [Tensor::from_data(gate, (&device, DType::F32)), d_up]
}

const F32: &str = "callers asked `is_here`";

fn slice(data: &burn::tensor::TensorData) -> &[f32] {
    data.as_slice::<f32>().expect(F32)
}

/// `work` on the values of a tensor.
fn in_place<const D: usize>(tensor: Tensor<D>, work: impl FnOnce(&mut [f32])) -> Tensor<D> {
    let device = tensor.device();
    let mut data = tensor.into_data();
    let values = data.as_mut_slice::<f32>().expect(F32);
    vectorized(|| work(values));
    Tensor::from_data(data, (&device, DType::F32))
}

/// `work`, compiled for the widest vectors that the processor has.
fn vectorized(work: impl FnOnce()) {
    pulp::Arch::new().dispatch(work);
}

#[inline(always)]
fn softmax(values: &mut [f32]) {
    let mut maxima = [f32::NEG_INFINITY; LANES];
    let (blocks, rest) = values.as_chunks::<LANES>();
    for block in blocks {
        for (maximum, value) in maxima.iter_mut().zip(block) {
            *maximum = if *value > *maximum { *value } else { *maximum };
        }
    }
    let maximum = maxima.into_iter().chain(rest.iter().copied()).fold(f32::NEG_INFINITY, f32::max);
    let mut sums = [0.0; LANES];
    let (blocks, rest) = values.as_chunks_mut::<LANES>();
    for block in blocks {
        for (sum, value) in sums.iter_mut().zip(block) {
            *value = exp(*value - maximum);
            *sum += *value;
        }
    }
    let mut sum: f32 = sums.into_iter().sum();
    for value in rest {
        *value = exp(*value - maximum);
        sum += *value;
    }
    let scale = 1.0 / sum;
    for value in values {
        *value *= scale;
    }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

/// The exponential to about two units in the last place, without a branch: `2^n exp(r)` with `|r| <= ln(2) / 2` and the
/// polynomial of Cephes' `expf` (Moshier). Below the smallest normal number it is 0, above the largest that one.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Added and taken away again, it rounds to whole numbers; its last bits are that number.
    const ROUND: f32 = 12_582_912.0;
    const LN_2_HIGH: f32 = 0.693_359_4;
    const LN_2_LOW: f32 = -2.121_944_4e-4;
    let clamped = x.clamp(-87.0, 88.0);
    let rounded = clamped * std::f32::consts::LOG2_E + ROUND;
    let n = rounded - ROUND;
    let r = clamped - n * LN_2_HIGH - n * LN_2_LOW;
    let p = ((((1.987_569_1e-4 * r + 1.398_199_9e-3) * r + 8.333_452e-3) * r + 4.166_579_6e-2) * r
        + 1.666_666_5e-1)
        * r
        + 0.5;
    let power = f32::from_bits(rounded.to_bits().wrapping_add(127) << 23);
    let value = (p * r * r + r + 1.0) * power;
    if x < -87.0 { 0.0 } else { value }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Otherwise all tests of training would be of tensor operations, which hosts on a processor do not compute with.
    #[test]
    fn tests_are_built_with_it() {
        assert!(is_here(&Device::flex(), DType::F32));
        assert!(!is_here(&Device::flex(), DType::F64));
    }

    #[test]
    fn exponentials_are_those_of_the_library() {
        for i in -880_000..=880_000 {
            let x = i as f32 * 1e-4;
            let (got, expected) = (f64::from(exp(x)), f64::from(x).exp());
            let close = if x < -87.0 { got == 0.0 } else { (got / expected - 1.0).abs() < 2.5e-7 };
            assert!(close, "exp({x}) is {expected}, not {got}");
        }
        assert_eq!([exp(-1e30), exp(f32::NEG_INFINITY), exp(0.0)], [0.0, 0.0, 1.0]);
        assert!(exp(f32::NAN).is_nan());
        assert!(sigmoid(-200.0) < 1e-37 && sigmoid(200.0) == 1.0);
    }
}
