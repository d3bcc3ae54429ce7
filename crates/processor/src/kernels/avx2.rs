//! Products of quantised rows by AVX2: 32 products of bytes an instruction, sums of pairs in i16.
//!
//! Four-bit weights are multiplied as `value + 8`, without a sign. Over a group of 32 columns a lane of i16 adds 16
//! products: it starts at `-8` times the sum of their activations and ends below `8 * 127 * 16` in magnitude. On the way
//! it may wrap, which a sum in two's complement does not mind; one instruction adds two products, `2 * 15 * 127`, and does
//! not saturate.

use std::arch::x86_64::*;

use crate::elementwise::{GROUP, Group};
use crate::int4::{Int4Block, ROWS};
use crate::int8::Int8Block;

#[target_feature(enable = "avx2,f16c")]
pub(super) fn int4<const R: usize>(
    blocks: &[Int4Block],
    scales: &[[u16; ROWS]],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let (mask, ones) = (_mm256_set1_epi8(15), _mm256_set1_epi16(1));
    let mut total = [_mm256_setzero_ps(); R];
    for (index, (block, scales)) in blocks.iter().zip(scales).enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        if R == 1 {
            prefetch(block);
        }
        let mut sums: [__m256i; R] = std::array::from_fn(|r| _mm256_set1_epi32(groups[r].offset));
        for (step, bytes) in block.0.as_chunks::<32>().0.iter().enumerate() {
            let bytes = load(bytes);
            let low = _mm256_and_si256(bytes, mask);
            let high = _mm256_and_si256(_mm256_srli_epi16::<4>(bytes), mask);
            for r in 0..R {
                let pairs = _mm256_maddubs_epi16(low, word(&groups[r].values, 2 * step));
                sums[r] = _mm256_add_epi16(sums[r], pairs);
                let pairs = _mm256_maddubs_epi16(high, word(&groups[r].values, 2 * step + 1));
                sums[r] = _mm256_add_epi16(sums[r], pairs);
            }
        }
        let scales = widen(scales);
        for r in 0..R {
            let sum = _mm256_cvtepi32_ps(_mm256_madd_epi16(sums[r], ones));
            let scale = _mm256_mul_ps(scales, _mm256_set1_ps(groups[r].scale));
            total[r] = _mm256_add_ps(total[r], _mm256_mul_ps(sum, scale));
        }
    }
    let mut out = [[0.0; ROWS]; R];
    for r in 0..R {
        store(&mut out[r], total[r]);
    }
    out
}

#[target_feature(enable = "avx2,f16c")]
pub(super) fn int8<const R: usize>(
    blocks: &[Int8Block],
    scales: &[f32; ROWS],
    vectors: [&[Group]; R],
) -> [[f32; ROWS]; R] {
    let ones = _mm256_set1_epi16(1);
    let mut total = [_mm256_setzero_ps(); R];
    for (index, block) in blocks.iter().enumerate() {
        let groups: [&Group; R] = std::array::from_fn(|r| &vectors[r][index]);
        if R == 1 {
            prefetch(block);
        }
        let mut sums = [_mm256_setzero_si256(); R];
        for (step, bytes) in block.0.as_chunks::<32>().0.iter().enumerate() {
            let weights = load_signed(bytes);
            for r in 0..R {
                // One operand is taken without its sign, which goes to the other; 2 * 127 * 127 does not saturate.
                let values = word(&groups[r].values, step);
                let pairs = _mm256_maddubs_epi16(_mm256_abs_epi8(values), _mm256_sign_epi8(weights, values));
                sums[r] = _mm256_add_epi32(sums[r], _mm256_madd_epi16(pairs, ones));
            }
        }
        for r in 0..R {
            let sum = _mm256_cvtepi32_ps(sums[r]);
            total[r] = _mm256_add_ps(total[r], _mm256_mul_ps(sum, _mm256_set1_ps(groups[r].scale)));
        }
    }
    // SAFETY: eight numbers lie at the reference, and alignment is not asked for.
    let scales = unsafe { _mm256_loadu_ps(scales.as_ptr()) };
    let mut out = [[0.0; ROWS]; R];
    for r in 0..R {
        store(&mut out[r], _mm256_mul_ps(total[r], scales));
    }
    out
}

#[target_feature(enable = "avx2")]
#[inline]
fn load(bytes: &[u8; 32]) -> __m256i {
    // SAFETY: 32 bytes lie at the reference, and alignment is not asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

#[target_feature(enable = "avx2")]
#[inline]
fn load_signed(bytes: &[i8; 32]) -> __m256i {
    // SAFETY: 32 bytes lie at the reference, and alignment is not asked for.
    unsafe { _mm256_loadu_si256(bytes.as_ptr().cast()) }
}

/// Four activations, eight times.
#[target_feature(enable = "avx2")]
#[inline]
fn word(values: &[i8; GROUP], index: usize) -> __m256i {
    let [a, b, c, d] = values.as_chunks::<4>().0[index];
    _mm256_set1_epi32(i32::from_le_bytes([a as u8, b as u8, c as u8, d as u8]))
}

#[target_feature(enable = "avx2,f16c")]
#[inline]
fn widen(scales: &[u16; ROWS]) -> __m256 {
    // SAFETY: 16 bytes lie at the reference, and alignment is not asked for.
    _mm256_cvtph_ps(unsafe { _mm_loadu_si128(scales.as_ptr().cast()) })
}

#[target_feature(enable = "avx2")]
#[inline]
fn store(out: &mut [f32; ROWS], lanes: __m256) {
    // SAFETY: there is room for eight numbers, and alignment is not asked for.
    unsafe { _mm256_storeu_ps(out.as_mut_ptr(), lanes) }
}

/// Asks for the memory of a later block. One vector takes its weights faster than the processor foresees: its own
/// prefetching ends where a page does.
#[target_feature(enable = "avx2")]
#[inline]
fn prefetch<T>(block: &T) {
    const AHEAD: usize = 8192;
    for line in (0..size_of::<T>()).step_by(64) {
        // What lies there is not read, so it may be behind the last block.
        let address = std::ptr::from_ref(block).cast::<i8>().wrapping_add(AHEAD + line);
        _mm_prefetch::<_MM_HINT_T0>(address);
    }
}
