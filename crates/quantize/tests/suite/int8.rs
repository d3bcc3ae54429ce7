//! Eight bits: what is promised of scales and errors, for any weights.

use crate::random::{Random, any_weights, squared_error};
use conclave_quantize::Error;
use conclave_quantize::int8::{Int8Rows, quantize_rows};
use proptest::prelude::*;

/// The largest magnitude becomes 127.
fn plain(row: &[f32]) -> Vec<f32> {
    let scale = row.iter().fold(0.0, |largest: f32, weight| largest.max(weight.abs())) / 127.0;
    row.iter().map(|weight| if scale == 0.0 { 0.0 } else { (weight / scale).round() * scale }).collect()
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(500))]

    #[test]
    fn the_search_is_never_worse_than_plain_rounding(weights in any_weights(37)) {
        let rows = quantize_rows(&weights, 37, None).unwrap();
        prop_assert!(rows.scales().iter().all(|scale| scale.is_finite()));
        prop_assert!(rows.values().iter().all(|&value| value != i8::MIN));
        let searched = squared_error(&weights, &rows.dequantize(), |_| 1.0);
        let rounded = squared_error(&weights, &plain(&weights), |_| 1.0);
        // Products of a scale and a value are rounded to f32, in whole steps where they are subnormal.
        let size = squared_error(&weights, &[0.0; 37], |_| 1.0);
        prop_assert!(searched <= rounded * (1.0 + 1e-4) + 1e-12 * size + 1e-86, "{searched} {rounded}");
    }

    #[test]
    fn importance_is_never_worse_where_it_counts(weights in any_weights(37), seed: u64) {
        let moments = Random(seed).moments(37);
        let weighted = |rows: Int8Rows| squared_error(&weights, &rows.dequantize(), |at| moments[at].into());
        let level_0 = weighted(quantize_rows(&weights, 37, None).unwrap());
        let level_1 = weighted(quantize_rows(&weights, 37, Some(&moments)).unwrap());
        prop_assert!(level_1 <= level_0 * (1.0 + 1e-4), "{level_1} {level_0}");
    }

    #[test]
    fn parts_make_the_same_rows(weights in any_weights(3 * 37)) {
        let rows = quantize_rows(&weights, 37, None).unwrap();
        let packed = rows.packed().unwrap();
        prop_assert_eq!(packed.len(), 3 * 10);
        prop_assert_eq!(Int8Rows::new(37, &packed, rows.scales().to_vec()).unwrap(), rows);
    }
}

#[test]
fn eight_bits_lose_little() {
    let weights = Random(3).weights(896 * 16);
    let error = squared_error(&weights, &quantize_rows(&weights, 896, None).unwrap().dequantize(), |_| 1.0);
    let size = squared_error(&weights, &vec![0.0; weights.len()], |_| 1.0);
    assert!(error < 1e-4 * size, "{}", error / size);
}

#[test]
fn what_cannot_be_is_an_error() {
    for value in [f32::NAN, f32::INFINITY, 2e30] {
        let mut weights = [1.0; 20];
        weights[13] = value;
        let (Error::NotFinite { row, column, .. } | Error::TooLarge { row, column, .. }) =
            quantize_rows(&weights, 10, None).unwrap_err()
        else {
            panic!("another error")
        };
        assert_eq!((row, column), (1, 3));
    }
    assert!(quantize_rows(&[0.0; 9], 10, None).is_err());
    assert!(quantize_rows(&[], 0, None).is_err());
    assert!(quantize_rows(&[0.0; 10], 10, Some(&[-1.0; 10])).is_err());
    assert!(Int8Rows::new(10, &[0; 5], vec![1.0; 2]).is_err());
    assert!(Int8Rows::new(0, &[], vec![1.0; 2]).is_err());
    assert_eq!(quantize_rows(&[0.0; 10], 10, None).unwrap().dequantize(), [0.0; 10]);
}
