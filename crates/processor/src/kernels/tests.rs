//! Every kernel against sums in f64, against the other levels, and against itself with other vectors beside.

use half::f16;
use proptest::prelude::*;

use super::*;
use crate::elementwise::Round;
use crate::int4::Int4Matrix;
use crate::int8::Int8Matrix;
use crate::matrix::{F32Matrix, Matrix};
use crate::product::{Hands, Product, gated, products};
use crate::threads::{Scatter, Team};

/// xorshift64: numbers that a failure can be repeated with.
struct Random(u64);

impl Random {
    fn bits(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    /// -1 to 1
    fn number(&mut self) -> f32 {
        (self.bits() >> 40) as f32 / (1u64 << 23) as f32 - 1.0
    }

    /// Numbers with an outlier here and there.
    fn vector(&mut self, length: usize) -> Vec<f32> {
        let outlier = |random: &mut Self| if random.bits().is_multiple_of(97) { 1e3 } else { 1.0 };
        (0..length).map(|_| self.number() * outlier(self)).collect()
    }

    fn matrix(&mut self, kind: usize, rows: usize, columns: usize) -> Matrix {
        match kind {
            0 => {
                let packed: Vec<u32> = (0..rows * columns / 8).map(|_| self.bits() as u32).collect();
                let scale = |random: &mut Self| f16::from_f32(random.number() / 7.0);
                let scales: Vec<f16> = (0..rows * columns / GROUP).map(|_| scale(self)).collect();
                Matrix::Int4(Int4Matrix::new(rows, columns, &packed, &scales).expect("sizes fit"))
            }
            1 => {
                let value = |random: &mut Self| ((random.bits() % 255) as i16 - 127) as i8;
                let values: Vec<i8> = (0..rows * columns).map(|_| value(self)).collect();
                let scales: Vec<f32> = (0..rows).map(|_| self.number() / 127.0).collect();
                Matrix::Int8(Int8Matrix::new(rows, columns, &values, &scales).expect("sizes fit"))
            }
            _ => {
                let values = self.vector(rows * columns);
                Matrix::F32(F32Matrix::new(rows, columns, &values).expect("sizes fit"))
            }
        }
    }
}

fn rounded(level: Level, floats: &[f32]) -> Vec<Group> {
    let mut groups = vec![Group::default(); floats.len() / GROUP];
    level.run(Round { x: floats, out: &mut groups });
    groups
}

fn multiply(level: Level, threads: usize, matrix: &Matrix, inputs: &Inputs<'_>, is_exact: bool) -> Vec<f32> {
    let tokens = inputs.floats.len() / inputs.columns;
    let mut out = vec![f32::NAN; tokens * matrix.rows()];
    let team = Team::gather(threads);
    let hands = Hands { team: &team, level, is_exact };
    let product = Product { matrix, bias: None, out: Scatter::new(&mut out), is_added: false };
    products(hands, inputs, tokens, &[product]);
    out
}

/// Products in f64 of the numbers that the kernel has, and the sums of their magnitudes.
fn reference(matrix: &Matrix, inputs: &Inputs<'_>, is_exact: bool) -> Vec<(f64, f64)> {
    let columns = inputs.columns;
    let mut out = Vec::new();
    let rows: Vec<Vec<f32>> = (0..matrix.rows())
        .map(|row| {
            let mut weights = vec![0.0; columns];
            matrix.row(row, &mut weights).expect("a row of it");
            weights
        })
        .collect();
    for (token, vector) in inputs.floats.chunks_exact(columns).enumerate() {
        for weights in &rows {
            let mut sums = (0.0, 0.0);
            for column in 0..columns {
                let x = if is_exact || !matrix.is_quantised() {
                    f64::from(vector[column])
                } else {
                    let group = &inputs.groups[(token * columns + column) / GROUP];
                    f64::from(group.values[column % GROUP]) * f64::from(group.scale)
                };
                let product = x * f64::from(weights[column]);
                sums = (sums.0 + product, sums.1 + product.abs());
            }
            out.push(sums);
        }
    }
    out
}

fn compare(
    kind: usize,
    rows: usize,
    columns: usize,
    tokens: usize,
    is_exact: bool,
) -> Result<(), TestCaseError> {
    let mut random = Random(0x9E37_79B9 + (kind + 3 * rows + 1000 * columns) as u64);
    let matrix = random.matrix(kind, rows, columns);
    let floats = random.vector(tokens * columns);
    let groups = rounded(Level::scalar(), &floats);
    let inputs = Inputs { columns, floats: &floats, groups: &groups };
    let expected = reference(&matrix, &inputs, is_exact);
    let plain = multiply(Level::scalar(), 1, &matrix, &inputs, is_exact);
    for (index, (found, (expected, magnitude))) in plain.iter().zip(expected).enumerate() {
        let error = (f64::from(*found) - expected).abs();
        prop_assert!(error <= 1e-6 * magnitude + 1e-30, "{index}: {found} is not {expected} ({magnitude})");
    }
    for level in Level::all() {
        let together = multiply(level, 2, &matrix, &inputs, is_exact);
        prop_assert_eq!(&together, &plain, "{}", level.name());
        for token in 0..tokens {
            let floats = &floats[token * columns..(token + 1) * columns];
            let groups = rounded(level, floats);
            let alone = multiply(level, 1, &matrix, &Inputs { columns, floats, groups: &groups }, is_exact);
            prop_assert_eq!(&alone, &plain[token * rows..(token + 1) * rows], "{} alone", level.name());
        }
    }
    Ok(())
}

#[test]
fn products_of_a_models_sizes_are_those_of_f64_at_every_level() {
    for columns in [32, 128, 384, 896, 4864] {
        for (rows, tokens) in [(1, 1), (8, 2), (13, 5), (24, 9)] {
            for kind in 0..3 {
                for is_exact in [false, true] {
                    compare(kind, rows, columns, tokens, is_exact)
                        .unwrap_or_else(|error| panic!("{kind} [{rows}, {columns}] x {tokens}: {error}"));
                }
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn products_of_any_size_are_those_of_f64(
        kind in 0usize..3, rows in 1usize..70, groups in 1usize..8, tokens in 1usize..20, is_exact: bool,
    ) {
        compare(kind, rows, groups * GROUP, tokens, is_exact)?;
    }
}

#[test]
fn the_largest_numbers_do_not_overflow() {
    let columns = 64;
    for (value, word) in [(-127i8, 0u32), (127, u32::MAX)] {
        for sign in [1.0, -1.0] {
            let floats = vec![sign * 3.0; columns];
            let scales = [f16::ONE; 16];
            let int4 = Int4Matrix::new(8, columns, &[word; 64], &scales).expect("sizes fit");
            let int8 = Int8Matrix::new(8, columns, &[value; 512], &[1.0; 8]).expect("sizes fit");
            for level in Level::all() {
                let groups = rounded(level, &floats);
                let inputs = Inputs { columns, floats: &floats, groups: &groups };
                let expected = if word == 0 { -8.0 } else { 7.0 } * sign * 3.0 * columns as f32;
                let found = multiply(level, 1, &Matrix::Int4(int4.clone()), &inputs, false);
                assert!(found.iter().all(|x| (x / expected - 1.0).abs() < 1e-6), "{found:?} {expected}");
                let expected = f32::from(value) * sign * 3.0 * columns as f32;
                let found = multiply(level, 1, &Matrix::Int8(int8.clone()), &inputs, false);
                assert!(found.iter().all(|x| (x / expected - 1.0).abs() < 1e-6), "{found:?} {expected}");
            }
        }
    }
}

#[test]
fn gates_and_ups_are_two_products() {
    let (columns, rows, tokens) = (64, 20, 7);
    let mut random = Random(5);
    let (gate, up) = (random.matrix(0, rows, columns), random.matrix(1, rows, columns));
    let floats: Vec<f32> = (0..tokens * columns).map(|_| random.number()).collect();
    for level in Level::all() {
        let groups = rounded(level, &floats);
        let inputs = Inputs { columns, floats: &floats, groups: &groups };
        let gates = multiply(level, 1, &gate, &inputs, false);
        let ups = multiply(level, 1, &up, &inputs, false);
        let team = Team::gather(2);
        let mut out = vec![f32::NAN; tokens * rows];
        let hands = Hands { team: &team, level, is_exact: false };
        gated(hands, &inputs, tokens, [&gate, &up], &Scatter::new(&mut out));
        for ((out, gate), up) in out.iter().zip(gates).zip(ups) {
            let expected = f64::from(gate) / (1.0 + (-f64::from(gate)).exp()) * f64::from(up);
            assert!((f64::from(*out) - expected).abs() <= 1e-6 * expected.abs() + 1e-9, "{out} {expected}");
        }
    }
}

#[test]
fn scales_are_widened_as_f16_is_defined() {
    for bits in 0..=u16::MAX {
        let scale = f16::from_bits(bits);
        if scale.is_finite() {
            assert_eq!(widen(&[bits; ROWS])[0].to_bits(), scale.to_f32().to_bits(), "{bits:04x}");
        }
    }
}

#[test]
fn what_is_not_finite_is_not_hidden() {
    for bad in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY] {
        let mut floats = vec![0.5; 96];
        floats[40] = bad;
        let matrix = Random(3).matrix(0, 9, 96);
        for level in Level::all() {
            let groups = rounded(level, &floats);
            let inputs = Inputs { columns: 96, floats: &floats, groups: &groups };
            let found = multiply(level, 1, &matrix, &inputs, false);
            assert!(found.iter().all(|x| !x.is_finite()), "{found:?}");
        }
    }
}
