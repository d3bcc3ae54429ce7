//! GPTQ: the outputs' error against level 1's, and what it is given that makes no sense.

use crate::random::{Random, squared_error};
use conclave_quantize::gptq::{DAMPING, Gptq};
use conclave_quantize::{Error, int4};

/// Inputs `[count, columns]` that are mixtures of few causes, as those of a model are, with columns of unlike size.
fn inputs(random: &mut Random, count: usize, columns: usize) -> Vec<f32> {
    let causes = columns / 4;
    let mixture: Vec<f64> = (0..causes * columns).map(|_| random.normal()).collect();
    let sizes: Vec<f64> = (0..columns).map(|_| (0.7 * random.normal()).exp()).collect();
    let mut inputs = Vec::with_capacity(count * columns);
    for _ in 0..count {
        let present: Vec<f64> = (0..causes).map(|_| random.normal()).collect();
        for column in 0..columns {
            let mixed: f64 =
                (0..causes).map(|cause| present[cause] * mixture[cause * columns + column]).sum();
            inputs.push((sizes[column] * (mixed / (causes as f64).sqrt() + 0.3 * random.normal())) as f32);
        }
    }
    inputs
}

/// `X^T X / count`.
fn second_moments(inputs: &[f32], columns: usize) -> Vec<f32> {
    let mut moments = vec![0.0_f64; columns * columns];
    for input in inputs.chunks(columns) {
        for (i, &a) in input.iter().enumerate() {
            for (j, &b) in input.iter().enumerate() {
                moments[i * columns + j] += f64::from(a) * f64::from(b);
            }
        }
    }
    let count = (inputs.len() / columns) as f64;
    moments.iter().map(|moment| (moment / count) as f32).collect()
}

/// `||X (W - Q)^T||^2 / count`, by the second moments.
fn output_error(weights: &[f32], quantized: &[f32], moments: &[f32], columns: usize) -> f64 {
    let mut sum = 0.0;
    for (weights, quantized) in weights.chunks(columns).zip(quantized.chunks(columns)) {
        let error: Vec<f64> =
            weights.iter().zip(quantized).map(|(&w, &q)| f64::from(w) - f64::from(q)).collect();
        for (i, a) in error.iter().enumerate() {
            for (j, b) in error.iter().enumerate() {
                sum += a * b * f64::from(moments[i * columns + j]);
            }
        }
    }
    sum
}

fn diagonal(moments: &[f32], columns: usize) -> Vec<f32> {
    moments.iter().step_by(columns + 1).copied().collect()
}

#[test]
fn outputs_are_nearer_than_with_level_1() {
    let columns = 160;
    let (mut level_1, mut level_2) = (0.0, 0.0);
    for seed in 0..4 {
        let mut random = Random(seed);
        let moments = second_moments(&inputs(&mut random, 400, columns), columns);
        let weights = random.weights(24 * columns);
        let level_1_rows =
            int4::quantize_rows(&weights, columns, Some(&diagonal(&moments, columns))).unwrap();
        let level_2_rows = Gptq::new(&moments, columns, DAMPING).unwrap().quantize_rows(&weights).unwrap();
        assert!(level_2_rows.scales().iter().all(|scale| scale.is_finite()));
        level_1 += output_error(&weights, &level_1_rows.dequantize(), &moments, columns);
        level_2 += output_error(&weights, &level_2_rows.dequantize(), &moments, columns);
    }
    println!("GPTQ leaves {:.3} of level 1's error", level_2 / level_1);
    assert!(level_2 < 0.6 * level_1, "{}", level_2 / level_1);
}

#[test]
fn inputs_without_correlation_leave_level_1() {
    let columns = 96;
    let mut random = Random(9);
    let (weights, diagonal) = (random.weights(5 * columns), random.moments(columns));
    let mut moments = vec![0.0; columns * columns];
    for (column, moment) in diagonal.iter().enumerate() {
        moments[column * columns + column] = *moment;
    }
    let rows = Gptq::new(&moments, columns, DAMPING).unwrap().quantize_rows(&weights).unwrap();
    assert_eq!(rows, int4::quantize_rows(&weights, columns, Some(&diagonal)).unwrap());
}

#[test]
fn rows_do_not_depend_on_each_other() {
    let columns = 64;
    let mut random = Random(5);
    let moments = second_moments(&inputs(&mut random, 100, columns), columns);
    let weights = random.weights(6 * columns);
    let gptq = Gptq::new(&moments, columns, DAMPING).unwrap();
    let whole = gptq.quantize_rows(&weights).unwrap();
    let parts: Vec<f32> =
        weights.chunks(2 * columns).flat_map(|rows| gptq.quantize_rows(rows).unwrap().dequantize()).collect();
    assert_eq!(whole.dequantize(), parts);
}

#[test]
fn few_inputs_and_silent_ones_are_no_trouble() {
    let columns = 64;
    let mut random = Random(6);
    // Ten inputs span ten dimensions; every third column is silent.
    let mut few = inputs(&mut random, 10, columns);
    few.iter_mut().enumerate().for_each(|(at, value)| {
        if at % columns % 3 == 0 {
            *value = 0.0;
        }
    });
    let moments = second_moments(&few, columns);
    let weights = random.weights(4 * columns);
    for damping in [0.0, DAMPING] {
        let rows = Gptq::new(&moments, columns, damping).unwrap().quantize_rows(&weights).unwrap();
        let (error, size) = (
            squared_error(&weights, &rows.dequantize(), |_| 1.0),
            squared_error(&weights, &vec![0.0; weights.len()], |_| 1.0),
        );
        assert!(error < size, "{damping}: {}", error / size);
    }
    let rows =
        Gptq::new(&vec![0.0; columns * columns], columns, 0.0).unwrap().quantize_rows(&weights).unwrap();
    assert_eq!(rows, int4::quantize_rows(&weights, columns, None).unwrap());
}

#[test]
fn moments_that_cannot_be_are_errors() {
    assert!(matches!(Gptq::new(&[1.0; 32], 32, DAMPING), Err(Error::Size { .. })));
    assert!(matches!(Gptq::new(&[1.0; 16], 4, DAMPING), Err(Error::Size { .. })));
    assert!(matches!(Gptq::new(&[], 0, DAMPING), Err(Error::Size { .. })));
    let mut moments = vec![0.0; 32 * 32];
    (0..32).for_each(|at| moments[at * 33] = 1.0);
    let with = |at: usize, value: f32| {
        let mut moments = moments.clone();
        moments[at] = value;
        Gptq::new(&moments, 32, DAMPING)
    };
    assert!(matches!(with(5 * 32 + 3, f32::NAN), Err(Error::Moment { column: 3, .. })));
    assert!(matches!(with(5 * 33, -1.0), Err(Error::Moment { column: 5, .. })));
    // Correlated more than inputs can be.
    assert!(matches!(with(7 * 32 + 2, 100.0), Err(Error::NotPositiveDefinite { .. })));
    let gptq = Gptq::new(&moments, 32, DAMPING).unwrap();
    assert!(gptq.quantize_rows(&[0.0; 33]).is_err());
    assert!(matches!(gptq.quantize_rows(&[f32::NAN; 32]), Err(Error::NotFinite { row: 0, column: 0, .. })));
}
