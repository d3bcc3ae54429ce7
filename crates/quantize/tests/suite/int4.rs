//! Four bits: what is promised of scales and errors, for any weights.

use crate::random::{Random, any_weights, squared_error};
use conclave_quantize::Error;
use conclave_quantize::int4::{GROUP, Int4Rows, quantize_rows};
use half::f16;
use proptest::prelude::*;

/// What WebLLM and plain quantisers do: 15 levels, the largest magnitude becomes 7.
fn plain(group: &[f32]) -> Vec<f32> {
    let largest = group.iter().fold(0.0, |largest: f32, weight| largest.max(weight.abs()));
    let scale = f16::from_f32(largest / 7.0).to_f32();
    let rounded =
        |weight: &f32| if scale == 0.0 { 0.0 } else { (weight / scale).round().clamp(-7.0, 7.0) * scale };
    group.iter().map(rounded).collect()
}

fn check_scales(rows: &Int4Rows) {
    assert!(rows.scales().iter().all(|scale| scale.is_finite()), "{:?}", rows.scales());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2_000))]

    #[test]
    fn level_0_is_never_worse_than_plain_rounding(weights in any_weights(GROUP)) {
        let rows = quantize_rows(&weights, GROUP, None).unwrap();
        check_scales(&rows);
        let searched = squared_error(&weights, &rows.dequantize(), |_| 1.0);
        let rounded = squared_error(&weights, &plain(&weights), |_| 1.0);
        prop_assert!(searched <= rounded * (1.0 + 1e-9), "{searched} {rounded}");
    }

    #[test]
    fn level_1_is_never_worse_than_level_0_where_it_counts(weights in any_weights(2 * GROUP), seed: u64) {
        let mut moments = Random(seed).moments(2 * GROUP);
        // Some inputs never speak.
        moments.iter_mut().step_by(5).for_each(|moment| *moment = 0.0);
        let weighted = |rows: Int4Rows| {
            check_scales(&rows);
            let dequantized = rows.dequantize();
            // By groups: their errors differ by powers of ten.
            [0, GROUP].map(|start| {
                let part = start..start + GROUP;
                squared_error(&weights[part.clone()], &dequantized[part], |at| moments[start + at].into())
            })
        };
        let level_0 = weighted(quantize_rows(&weights, 2 * GROUP, None).unwrap());
        let level_1 = weighted(quantize_rows(&weights, 2 * GROUP, Some(&moments)).unwrap());
        for (level_1, level_0) in level_1.into_iter().zip(level_0) {
            prop_assert!(level_1 <= level_0 * (1.0 + 1e-5), "{level_1} {level_0}");
        }
    }

    #[test]
    fn weights_that_four_bits_can_hold_are_kept(
        mut values in proptest::collection::vec(-8_i8..=7, GROUP),
        at in 0..GROUP,
        scale in 1e-6_f32..1e3,
        sign in prop_oneof![Just(1.0_f32), Just(-1.0)],
    ) {
        values[at] = -8;
        let scale = sign * f16::from_f32(scale).to_f32();
        let weights: Vec<f32> = values.iter().map(|&value| scale * f32::from(value)).collect();
        prop_assert_eq!(quantize_rows(&weights, GROUP, None).unwrap().dequantize(), weights);
    }

    #[test]
    fn parts_make_the_same_rows(weights in any_weights(3 * GROUP)) {
        let rows = quantize_rows(&weights, GROUP, None).unwrap();
        prop_assert_eq!((rows.rows(), rows.columns()), (3, GROUP));
        let again = Int4Rows::new(GROUP, rows.packed().to_vec(), rows.scales().to_vec()).unwrap();
        prop_assert_eq!(&again, &rows);
        let from_values: Vec<f32> =
            rows.values().unwrap().iter().enumerate().map(|(at, &value)| f32::from(value) * rows.scales()[at / GROUP].to_f32()).collect();
        prop_assert_eq!(from_values, rows.dequantize());
    }
}

#[test]
fn level_0_loses_a_third_less_than_plain_rounding() {
    let weights = Random(1).weights(GROUP * 4_000);
    let searched =
        squared_error(&weights, &quantize_rows(&weights, GROUP, None).unwrap().dequantize(), |_| 1.0);
    let rounded: f64 = weights.chunks(GROUP).map(|group| squared_error(group, &plain(group), |_| 1.0)).sum();
    assert!(searched < 0.70 * rounded, "{} of it", searched / rounded);
}

#[test]
fn zeros_stay_zeros() {
    let rows = quantize_rows(&[0.0; 64], 32, None).unwrap();
    assert_eq!(rows.dequantize(), [0.0; 64]);
    assert_eq!(rows.scales(), [f16::ZERO; 2]);
    assert_eq!(rows.packed(), [0x8888_8888; 8]);
}

#[test]
fn equal_weights_keep_their_value() {
    for value in [0.25_f32, -0.25, 3e-3, -1e4] {
        for dequantized in quantize_rows(&[value; 32], 32, None).unwrap().dequantize() {
            assert!((dequantized - value).abs() <= value.abs() * 1e-3, "{dequantized} {value}");
        }
    }
}

#[test]
fn inputs_that_were_always_zero_count_alike() {
    let weights = Random(2).weights(64);
    let level_0 = quantize_rows(&weights, 64, None).unwrap();
    assert_eq!(quantize_rows(&weights, 64, Some(&[0.0; 64])).unwrap(), level_0);
}

#[test]
fn wrong_weights_are_named_by_row_and_column() {
    for (value, is_finite) in
        [(f32::NAN, false), (f32::INFINITY, false), (f32::NEG_INFINITY, false), (-4.6e5, true)]
    {
        let mut weights = vec![0.5; 3 * 64];
        weights[2 * 64 + 33] = value;
        let error = quantize_rows(&weights, 64, None).unwrap_err();
        match error.clone().from_row(100) {
            Error::NotFinite { row, column, .. } if !is_finite => assert_eq!((row, column), (102, 33)),
            Error::TooLarge { row, column, .. } if is_finite => assert_eq!((row, column), (102, 33)),
            other => panic!("{other}"),
        }
        assert!(error.to_string().contains("row 2, column 33"), "{error}");
    }
}

#[test]
fn sizes_that_do_not_fit_are_errors() {
    assert!(quantize_rows(&[0.0; 48], 48, None).is_err());
    assert!(quantize_rows(&[0.0; 33], 32, None).is_err());
    assert!(quantize_rows(&[], 0, None).is_err());
    assert!(quantize_rows(&[0.0; 32], 32, Some(&[1.0; 31])).is_err());
    for moment in [f32::NAN, f32::INFINITY, -1.0] {
        let mut moments = [1.0; 32];
        moments[7] = moment;
        let error = quantize_rows(&[0.0; 32], 32, Some(&moments)).unwrap_err();
        assert!(error.to_string().contains("input 7"), "{error}");
    }
    assert!(Int4Rows::new(32, vec![0; 4], vec![f16::ONE; 2]).is_err());
    assert!(Int4Rows::new(40, vec![0; 5], vec![f16::ONE; 1]).is_err());
    assert!(Int4Rows::new(0, vec![], vec![]).is_err());
    assert_eq!(quantize_rows(&[], 32, None).unwrap().rows(), 0);
}
