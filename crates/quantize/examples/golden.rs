//! Prints `tests/ours.json`: small matrices and what this crate makes of them, for `tests/check_compressed_tensors.py` to
//! read with PyPI `compressed-tensors`. `cargo run -p conclave-quantize --example golden > crates/quantize/tests/ours.json`

use conclave_quantize::config::{Group, QuantizationConfig, Scheme};
use conclave_quantize::{Result, int4, int8};
use serde_json::{Value, json};

fn main() -> Result<()> {
    let linear = Group { targets: vec!["Linear".into()], scheme: Scheme::INT4 };
    let tables = Group { targets: vec!["model.embed_tokens".into(), "lm_head".into()], scheme: Scheme::Int8 };
    let config =
        QuantizationConfig { groups: vec![linear, tables], ignore: vec!["model.layers.0.mlp.gate".into()] };
    let matrices = [int4_matrix(3, 64)?, int8_matrix(3, 37)?];
    println!("{}", json!({ "quantization_config": config.to_json(), "matrices": matrices }));
    Ok(())
}

/// Weights of no pattern and unlike size, with a few zeros; exact in f32 and in JSON.
fn weights(rows: usize, columns: usize) -> Vec<f32> {
    (0..rows * columns).map(|at| ((at * at * 7 + at * 31) % 257) as f32 / 256.0 - 0.5).collect()
}

fn int4_matrix(rows: usize, columns: usize) -> Result<Value> {
    let weights = weights(rows, columns);
    let quantized = int4::quantize_rows(&weights, columns, None)?;
    let packed: Vec<i32> = quantized.packed().iter().map(|&word| word as i32).collect();
    let scales: Vec<f32> = quantized.scales().iter().map(|scale| scale.to_f32()).collect();
    Ok(json!({ "bits": 4, "shape": [rows, columns], "weights": weights, "packed": packed, "scales": scales,
        "dequantized": quantized.dequantize() }))
}

fn int8_matrix(rows: usize, columns: usize) -> Result<Value> {
    let weights = weights(rows, columns);
    let quantized = int8::quantize_rows(&weights, columns, None)?;
    let packed: Vec<i32> = quantized.packed()?.iter().map(|&word| word as i32).collect();
    Ok(json!({ "bits": 8, "shape": [rows, columns], "weights": weights, "packed": packed,
        "scales": quantized.scales(), "dequantized": quantized.dequantize() }))
}
