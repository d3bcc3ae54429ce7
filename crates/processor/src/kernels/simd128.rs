//! Products of quantised rows by WebAssembly's vectors: bytes widened to i16, dot products of pairs in i32.
//!
//! Not relaxed-simd, which has dot products of bytes: not every engine has it.

use std::arch::wasm32::*;

use super::widen;
use crate::elementwise::{GROUP, Group};
use crate::int4::{Int4Block, ROWS};
use crate::int8::Int8Block;

pub(super) fn int4<const R: usize>(
    blocks: &[Int4Block],
    scales: &[[u16; ROWS]],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mask = u8x16_splat(15);
    let mut total = [Total::new(); R];
    for (index, (block, scales)) in blocks.iter().zip(scales).enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        // Each of two rows, two sums of pairs a row: where the offset of 8 of the weights is taken off.
        let mut sums = groups.map(|group| {
            let (low, high) = (i32::from(group.offset as i16), group.offset >> 16);
            [i32x4(low, high, low, high); 4]
        });
        for (step, bytes) in block.0.as_chunks::<32>().0.iter().enumerate() {
            let words = groups.map(|group| words(&group.values, step));
            for (half, bytes) in bytes.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: 16 bytes lie at the reference, and alignment is not asked for.
                let bytes = unsafe { v128_load(bytes.as_ptr().cast()) };
                let (low, high) = (v128_and(bytes, mask), u8x16_shr(bytes, 4));
                let first = (u16x8_extend_low_u8x16(low), u16x8_extend_low_u8x16(high));
                let second = (u16x8_extend_high_u8x16(low), u16x8_extend_high_u8x16(high));
                for (sums, words) in sums.iter_mut().zip(words) {
                    let add = |sum, (low, high)| {
                        let sum = i32x4_add(sum, i32x4_dot_i16x8(low, words[0]));
                        i32x4_add(sum, i32x4_dot_i16x8(high, words[1]))
                    };
                    sums[2 * half] = add(sums[2 * half], first);
                    sums[2 * half + 1] = add(sums[2 * half + 1], second);
                }
            }
        }
        let scales = widen(scales);
        for r in 0..R {
            total[r].add(sums[r], &scales.map(|scale| scale * groups[r].scale));
        }
    }
    total.map(Total::store)
}

pub(super) fn int8<const R: usize>(
    blocks: &[Int8Block],
    scales: &[f32; ROWS],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let mut total = [Total::new(); R];
    for (index, block) in blocks.iter().enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        let mut sums = [[i32x4_splat(0); 4]; R];
        // Two steps of four columns at a time; 16 bytes are four rows.
        for (pair, bytes) in block.0.as_chunks::<64>().0.iter().enumerate() {
            let words = groups.map(|group| words(&group.values, pair));
            for (quarter, bytes) in bytes.as_chunks::<16>().0.iter().enumerate() {
                // SAFETY: 16 bytes lie at the reference, and alignment is not asked for.
                let bytes = unsafe { v128_load(bytes.as_ptr().cast()) };
                let (first, second) = (i16x8_extend_low_i8x16(bytes), i16x8_extend_high_i8x16(bytes));
                let rows = quarter % 2 * 2;
                for (sums, words) in sums.iter_mut().zip(words) {
                    let word = words[quarter / 2];
                    sums[rows] = i32x4_add(sums[rows], i32x4_dot_i16x8(first, word));
                    sums[rows + 1] = i32x4_add(sums[rows + 1], i32x4_dot_i16x8(second, word));
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

/// Eight activations from `8 * index` on, as two times four, each twice.
#[inline(always)]
fn words(values: &[i8; GROUP], index: usize) -> [v128; 2] {
    let values = &values.as_chunks::<8>().0[index];
    // SAFETY: eight bytes lie at the reference, and alignment is not asked for.
    let wide = unsafe { i16x8_load_extend_i8x8(values.as_ptr()) };
    [i64x2_shuffle::<0, 0>(wide, wide), i64x2_shuffle::<1, 1>(wide, wide)]
}

/// Sums of eight rows in f32.
#[derive(Clone, Copy)]
struct Total(v128, v128);

impl Total {
    #[inline(always)]
    fn new() -> Self {
        Self(f32x4_splat(0.0), f32x4_splat(0.0))
    }

    /// Adds integer sums, two neighbours a row, times scales.
    #[inline(always)]
    fn add(&mut self, sums: [v128; 4], scales: &[f32; ROWS]) {
        let rows = |a, b| {
            let (even, odd) = (i32x4_shuffle::<0, 2, 4, 6>(a, b), i32x4_shuffle::<1, 3, 5, 7>(a, b));
            f32x4_convert_i32x4(i32x4_add(even, odd))
        };
        let [a, b, c, d, e, f, g, h] = *scales;
        let (first, second) = (rows(sums[0], sums[1]), rows(sums[2], sums[3]));
        self.0 = f32x4_add(self.0, f32x4_mul(first, f32x4(a, b, c, d)));
        self.1 = f32x4_add(self.1, f32x4_mul(second, f32x4(e, f, g, h)));
    }

    #[inline(always)]
    fn store(self) -> [f32; ROWS] {
        let mut out = [0.0; ROWS];
        // SAFETY: there is room for eight numbers, and alignment is not asked for.
        unsafe {
            v128_store(out.as_mut_ptr().cast(), self.0);
            v128_store(out.as_mut_ptr().add(4).cast(), self.1);
        }
        out
    }
}
