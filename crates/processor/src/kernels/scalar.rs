//! Products of quantised rows in plain Rust: what the other levels are compared with.

use super::widen;
use crate::elementwise::Group;
use crate::int4::{Int4Block, ROWS};
use crate::int8::Int8Block;

pub(super) fn int4<const R: usize>(
    blocks: &[Int4Block],
    scales: &[[u16; ROWS]],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mut total = [[0.0; ROWS]; R];
    for (index, (block, scales)) in blocks.iter().zip(scales).enumerate() {
        let scales = widen(scales);
        for (total, vector) in total.iter_mut().zip(vectors) {
            let group = &vector[index];
            let mut sums = [0i32; ROWS];
            for (step, bytes) in block.0.as_chunks::<32>().0.iter().enumerate() {
                let (low, high) = group.values[step * 8..step * 8 + 8].split_at(4);
                for (sum, bytes) in sums.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    for j in 0..4 {
                        *sum += (i32::from(bytes[j] & 15) - 8) * i32::from(low[j]);
                        *sum += (i32::from(bytes[j] >> 4) - 8) * i32::from(high[j]);
                    }
                }
            }
            for lane in 0..ROWS {
                total[lane] += sums[lane] as f32 * (scales[lane] * group.scale);
            }
        }
    }
    total
}

pub(super) fn int8<const R: usize>(
    blocks: &[Int8Block],
    scales: &[f32; ROWS],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mut total = [[0.0; ROWS]; R];
    for (index, block) in blocks.iter().enumerate() {
        for (total, vector) in total.iter_mut().zip(vectors) {
            let group = &vector[index];
            let mut sums = [0i32; ROWS];
            let words = group.values.as_chunks::<4>().0;
            for (bytes, word) in block.0.as_chunks::<32>().0.iter().zip(words) {
                for (sum, bytes) in sums.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    for j in 0..4 {
                        *sum += i32::from(bytes[j]) * i32::from(word[j]);
                    }
                }
            }
            for lane in 0..ROWS {
                total[lane] += sums[lane] as f32 * group.scale;
            }
        }
    }
    total.map(|total| std::array::from_fn(|lane| total[lane] * scales[lane]))
}
