//! A random model, always the same, and what it answers.

use conclave_processor::{
    Activations, Cache, Error, Int4Matrix, Int8Matrix, Layer, Level, Linear, Matrix, Model, Output, Pass,
    Shape,
};
use half::f16;

/// Random weights in the shape of Qwen2.5-0.5B, with another depth and vocabulary.
pub fn model(is_int8: bool, layers: usize, vocabulary: usize) -> Result<Model, Error> {
    let shape = Shape {
        vocab_size: vocabulary,
        hidden_size: 896,
        intermediate_size: 4864,
        num_hidden_layers: layers,
        num_attention_heads: 14,
        num_key_value_heads: 2,
        head_dim: 64,
        rms_norm_eps: 1e-6,
        rope_theta: 1e6,
    };
    let mut seed = 1u64;
    let mut matrix = |rows: usize, columns: usize| -> Result<Matrix, Error> {
        let mut next = || {
            // xorshift64
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            seed
        };
        let scale = 0.2 / (columns as f32).sqrt();
        if is_int8 {
            let mut matrix = Int8Matrix::zeros(rows, columns)?;
            for row in 0..rows {
                let values: Vec<i8> =
                    (0..columns).map(|_| ((next() >> 32) % 255) as u8 as i8).map(|x| x.max(-127)).collect();
                matrix.set_rows(row, &values, &[scale / 16.0])?;
            }
            return Ok(Matrix::Int8(matrix));
        }
        let mut matrix = Int4Matrix::zeros(rows, columns)?;
        for row in 0..rows {
            let packed: Vec<u32> = (0..columns / 8).map(|_| (next() >> 32) as u32).collect();
            matrix.set_rows(row, &packed, &vec![f16::from_f32(scale); columns / 32])?;
        }
        Ok(Matrix::Int4(matrix))
    };
    let embed_tokens = matrix(shape.vocab_size, shape.hidden_size)?;
    let (hidden, inner) = (shape.hidden_size, shape.intermediate_size);
    let (query, key) = (shape.query_width(), shape.key_value_width());
    let mut layers = Vec::new();
    for _ in 0..shape.num_hidden_layers {
        let mut biased = |rows| -> Result<Linear, Error> {
            Ok(Linear { weight: matrix(rows, hidden)?, bias: Some(vec![0.1; rows]) })
        };
        layers.push(Layer {
            input_layernorm: vec![1.0; hidden],
            q_proj: biased(query)?,
            k_proj: biased(key)?,
            v_proj: biased(key)?,
            o_proj: matrix(hidden, query)?.into(),
            q_norm: None,
            k_norm: None,
            post_attention_layernorm: vec![1.0; hidden],
            gate_proj: matrix(inner, hidden)?,
            up_proj: matrix(inner, hidden)?,
            down_proj: matrix(hidden, inner)?,
        });
    }
    Model::new(shape, embed_tokens, layers, vec![1.0; hidden], None)
}

/// A number of all bits that small models answer at this level: the same everywhere.
#[allow(dead_code)] // not by each who has this module
pub fn digest(level: Level) -> Result<u32, Error> {
    let tokens: Vec<u32> = (0..13).map(|i| i * 19 % 64).collect();
    let mut digest = 0x811c_9dc5u32; // FNV-1a
    for (is_int8, activations) in [
        (false, Activations::Int8),
        (true, Activations::Int8),
        (false, Activations::F32),
        (true, Activations::F32),
    ] {
        let model = model(is_int8, 1, 64)?.with_level(level);
        let mut cache = Cache::new(model.shape(), 1, 16)?;
        let pass = || Pass { activations, output: Output::All, observer: None };
        let hidden = model.forward(&mut cache, &[(0, &tokens)], pass())?;
        let logits = model.logits(&hidden, pass())?;
        for byte in hidden.iter().chain(&logits).flat_map(|x| x.to_bits().to_le_bytes()) {
            digest = (digest ^ u32::from(byte)).wrapping_mul(0x0100_0193);
        }
    }
    Ok(digest)
}
