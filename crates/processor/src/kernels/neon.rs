//! Products of quantised rows by NEON, as every processor of the target has it: bytes times bytes, added in i16.
//!
//! Over a group of 32 columns a lane of i16 adds eight products of at most `8 * 127` (four-bit weights), or two of at most
//! `127 * 127`: neither overflows. Processors with the dot product extension would take half the instructions; it is not
//! used.

use std::arch::aarch64::*;

use super::widen;
use crate::elementwise::{GROUP, Group};
use crate::int4::{Int4Block, ROWS};
use crate::int8::Int8Block;

#[target_feature(enable = "neon")]
pub(super) fn int4<const R: usize>(
    blocks: &[Int4Block],
    scales: &[[u16; ROWS]],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mut total = [Total::new(); R];
    for (index, (block, scales)) in blocks.iter().zip(scales).enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        // Each of two rows, four columns a row.
        let mut sums = [[vdupq_n_s16(0); 4]; R];
        for (half, bytes) in block.0.as_chunks::<16>().0.iter().enumerate() {
            // SAFETY: 16 bytes lie at the reference.
            let bytes = unsafe { vld1q_u8(bytes.as_ptr()) };
            let eight = vdupq_n_s8(8);
            let low = vsubq_s8(vreinterpretq_s8_u8(vandq_u8(bytes, vdupq_n_u8(15))), eight);
            let high = vsubq_s8(vreinterpretq_s8_u8(vshrq_n_u8::<4>(bytes)), eight);
            let (step, rows) = (half / 2, half % 2 * 2);
            for (sums, group) in sums.iter_mut().zip(groups) {
                for (weights, values) in
                    [(low, word(&group.values, 2 * step)), (high, word(&group.values, 2 * step + 1))]
                {
                    sums[rows] = vmlal_s8(sums[rows], vget_low_s8(weights), values);
                    sums[rows + 1] = vmlal_s8(sums[rows + 1], vget_high_s8(weights), values);
                }
            }
        }
        let scales = widen(scales);
        for r in 0..R {
            let sums = sums[r].map(|sum| vpaddlq_s16(sum));
            total[r].add(sums, &scales.map(|scale| scale * groups[r].scale));
        }
    }
    total.map(|total| total.store())
}

#[target_feature(enable = "neon")]
pub(super) fn int8<const R: usize>(
    blocks: &[Int8Block],
    scales: &[f32; ROWS],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mut total = [Total::new(); R];
    for (index, block) in blocks.iter().enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        let mut sums = [[vdupq_n_s32(0); 4]; R];
        // Two steps of four columns at a time; 16 bytes are four rows.
        for (pair, bytes) in block.0.as_chunks::<64>().0.iter().enumerate() {
            let bytes = bytes.as_chunks::<16>().0;
            for half in 0..2 {
                // SAFETY: 16 bytes lie at each reference.
                let (first, second) =
                    unsafe { (vld1q_s8(bytes[half].as_ptr()), vld1q_s8(bytes[half + 2].as_ptr())) };
                for (sums, group) in sums.iter_mut().zip(groups) {
                    let (a, b) = (word(&group.values, 2 * pair), word(&group.values, 2 * pair + 1));
                    let low = vmlal_s8(vmull_s8(vget_low_s8(first), a), vget_low_s8(second), b);
                    let high = vmlal_s8(vmull_s8(vget_high_s8(first), a), vget_high_s8(second), b);
                    sums[2 * half] = vpadalq_s16(sums[2 * half], low);
                    sums[2 * half + 1] = vpadalq_s16(sums[2 * half + 1], high);
                }
            }
        }
        for r in 0..R {
            total[r].add(sums[r], &[groups[r].scale; ROWS]);
        }
    }
    total.map(|total| {
        let total = total.store();
        std::array::from_fn(|lane| total[lane] * scales[lane])
    })
}

/// Four activations, twice.
#[target_feature(enable = "neon")]
#[inline]
fn word(values: &[i8; GROUP], index: usize) -> int8x8_t {
    let [a, b, c, d] = values.as_chunks::<4>().0[index];
    vreinterpret_s8_s32(vdup_n_s32(i32::from_le_bytes([a as u8, b as u8, c as u8, d as u8])))
}

/// Sums of eight rows in f32.
#[derive(Clone, Copy)]
struct Total(float32x4_t, float32x4_t);

impl Total {
    #[target_feature(enable = "neon")]
    #[inline]
    fn new() -> Self {
        Self(vdupq_n_f32(0.0), vdupq_n_f32(0.0))
    }

    /// Adds integer sums, two neighbours a row, times scales.
    #[target_feature(enable = "neon")]
    #[inline]
    fn add(&mut self, sums: [int32x4_t; 4], scales: &[f32; ROWS]) {
        let first = vcvtq_f32_s32(vpaddq_s32(sums[0], sums[1]));
        let second = vcvtq_f32_s32(vpaddq_s32(sums[2], sums[3]));
        // SAFETY: eight numbers lie at the reference.
        let scales = unsafe { (vld1q_f32(scales.as_ptr()), vld1q_f32(scales.as_ptr().add(4))) };
        self.0 = vaddq_f32(self.0, vmulq_f32(first, scales.0));
        self.1 = vaddq_f32(self.1, vmulq_f32(second, scales.1));
    }

    #[target_feature(enable = "neon")]
    #[inline]
    fn store(self) -> [f32; ROWS] {
        let mut out = [0.0; ROWS];
        // SAFETY: there is room for eight numbers.
        unsafe {
            vst1q_f32(out.as_mut_ptr(), self.0);
            vst1q_f32(out.as_mut_ptr().add(4), self.1);
        }
        out
    }
}
