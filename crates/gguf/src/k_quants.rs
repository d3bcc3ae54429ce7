//! The types with blocks of 256 numbers ("k-quants"): scales within scales.
//!
//! A block has an f16 scale `d` (and one `dmin` for minima), and for each 16 or 32 of its numbers a small whole scale
//! `s` (and minimum `m`): a number is `(d s) q - (dmin m)` in Q2_K, Q4_K and Q5_K and `(d s) q` in Q3_K and Q6_K, where
//! `s` and `q` are signed. The order of operations is ggml's (`dequantize_row_q*_K`), so that results have the same
//! bits.

use crate::dequantize::half_at;

/// Numbers in a block.
const LEN: usize = 256;

/// 16 bytes of 4-bit scale and minimum, 64 bytes of 2-bit numbers, `d`, `dmin`. In each 32 bytes of numbers the lowest
/// two bits are the first 32 numbers, and so on.
pub fn q2_k(bytes: &[u8; 84], out: &mut [f32; LEN]) {
    let (scales, qs) = (&bytes[..16], &bytes[16..80]);
    let (d, dmin) = (half_at(bytes, 80), half_at(bytes, 82));
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(scales[group] & 0x0f);
        let minimum = dmin * f32::from(scales[group] >> 4);
        let (start, shift) = two_bit_place(group);
        for (out, q) in out.iter_mut().zip(&qs[start..]) {
            *out = scale * f32::from(q >> shift & 3) - minimum;
        }
    }
}

/// Where the 16 two-bit numbers of a group lie among 64 bytes: the first byte and the shift.
fn two_bit_place(group: usize) -> (usize, usize) {
    let (half, within) = (group / 8, group % 8);
    (half * 32 + within % 2 * 16, within / 2 * 2)
}

/// 32 bytes of third bits, 64 bytes of low two bits as in Q2_K, 12 bytes of 6-bit scales, `d`. A number is its low bits
/// less 4 where its third bit is not set.
pub fn q3_k(bytes: &[u8; 110], out: &mut [f32; LEN]) {
    let (high, qs) = (&bytes[..32], &bytes[32..96]);
    let scales = q3_k_scales(&bytes[96..108]);
    let d = half_at(bytes, 108);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(scales[group]);
        let (start, shift) = two_bit_place(group);
        let lows = &qs[start..];
        // The bit of the group's 32 numbers, in the byte of each.
        let highs = &high[group % 2 * 16..];
        for ((out, low), high) in out.iter_mut().zip(lows).zip(highs) {
            let low = (low >> shift & 3) as i8;
            let q = if high >> (group / 2) & 1 == 1 { low } else { low - 4 };
            *out = scale * f32::from(q);
        }
    }
}

/// The 16 signed scales of Q3_K: low nibbles of the first eight bytes, then their high nibbles, each with two bits of
/// the last four bytes above, less 32.
fn q3_k_scales(packed: &[u8]) -> [i8; 16] {
    std::array::from_fn(|group| {
        let low = packed[group % 8] >> (group / 8 * 4) & 0x0f;
        let high = packed[8 + group % 4] >> (group / 4 * 2) & 3;
        (low | high << 4) as i8 - 32
    })
}

/// `d`, `dmin`, 12 bytes of 6-bit scales and minima, 128 bytes of numbers: in each 32 bytes the low nibbles are 32
/// numbers and the high nibbles the next 32.
pub fn q4_k(bytes: &[u8; 144], out: &mut [f32; LEN]) {
    let (d, dmin) = (half_at(bytes, 0), half_at(bytes, 2));
    let qs = &bytes[16..];
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
        let shift = group % 2 * 4;
        for (out, q) in out.iter_mut().zip(&qs[group / 2 * 32..]) {
            *out = scale * f32::from(q >> shift & 0x0f) - minimum;
        }
    }
}

/// As Q4_K, with 32 bytes of fifth bits before the numbers: bit `group` of a byte belongs to that group of 32.
pub fn q5_k(bytes: &[u8; 176], out: &mut [f32; LEN]) {
    let (d, dmin) = (half_at(bytes, 0), half_at(bytes, 2));
    let (high, qs) = (&bytes[16..48], &bytes[48..]);
    for (group, out) in out.as_chunks_mut::<32>().0.iter_mut().enumerate() {
        let (scale, minimum) = scale_and_minimum(&bytes[4..16], group);
        let (scale, minimum) = (d * f32::from(scale), dmin * f32::from(minimum));
        let shift = group % 2 * 4;
        let lows = &qs[group / 2 * 32..];
        for ((out, low), high) in out.iter_mut().zip(lows).zip(high) {
            let q = low >> shift & 0x0f | (high >> group & 1) << 4;
            *out = scale * f32::from(q) - minimum;
        }
    }
}

/// The 6-bit scale and minimum of a group of Q4_K and Q5_K: those of the first four groups stand in the first eight
/// bytes, in whose upper two bits the others have their own.
fn scale_and_minimum(packed: &[u8], group: usize) -> (u8, u8) {
    match group {
        0..4 => (packed[group] & 63, packed[group + 4] & 63),
        _ => (
            packed[group + 4] & 0x0f | packed[group - 4] >> 6 << 4,
            packed[group + 4] >> 4 | packed[group] >> 6 << 4,
        ),
    }
}

/// 128 bytes of low nibbles, 64 bytes of upper two bits, 16 signed scales, `d`. Of each 128 numbers, four times 32: the
/// nibbles of 64 bytes, low ones first, and the bits of 32 bytes, lowest first; less 32.
pub fn q6_k(bytes: &[u8; 210], out: &mut [f32; LEN]) {
    let (lows, highs, scales) = (&bytes[..128], &bytes[128..192], &bytes[192..208]);
    let d = half_at(bytes, 208);
    for (group, out) in out.as_chunks_mut::<16>().0.iter_mut().enumerate() {
        let scale = d * f32::from(scales[group] as i8);
        // Eight groups of 16 make 128 numbers.
        let (half, within) = (group / 8, group % 8);
        let low_start = half * 64 + within % 4 * 16;
        let high_start = half * 32 + within % 2 * 16;
        let (low_shift, high_shift) = (within / 4 * 4, within / 2 * 2);
        for ((out, low), high) in out.iter_mut().zip(&lows[low_start..]).zip(&highs[high_start..]) {
            let q = (low >> low_shift & 0x0f | (high >> high_shift & 3) << 4) as i8 - 32;
            *out = scale * f32::from(q);
        }
    }
}
