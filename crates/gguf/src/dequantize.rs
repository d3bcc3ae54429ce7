//! From the bytes of a tensor to f32: plain numbers and the types with blocks of 32.
//!
//! A block is one or two f16 scales and its numbers as small whole ones. With `d` the scale, `m` the minimum and `q` a
//! number: Q4_0 `d (q - 8)`, Q5_0 `d (q - 16)`, Q8_0 `d q`, Q4_1 and Q5_1 `d q + m`, IQ4_NL `d table[q]`. In types of 4
//! and 5 bits the low nibbles of a block's bytes are its first 16 numbers and the high nibbles the others; the fifth
//! bits stand apart. Every product is rounded to f32 as in ggml's `dequantize_row_*` (`ggml/src/ggml-quants.c`), so
//! the results have the same bits. Types with blocks of 256 are in `k_quants`.

use half::{bf16, f16};

use crate::error::{AGAIN, Error, Result};
use crate::k_quants;
use crate::types::GgmlType;

/// The numbers of IQ4_NL.
const IQ4_NL_VALUES: [i8; 16] = [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113];

/// Appends the numbers of whole blocks of `kind` to `values`.
///
/// # Errors
/// A type that is not read; bytes that are no whole number of blocks.
pub fn append_f32(kind: GgmlType, bytes: &[u8], values: &mut Vec<f32>) -> Result<()> {
    kind.check_read()?;
    let (len, block) = (bytes.len(), kind.block_bytes());
    if !(len as u64).is_multiple_of(block) {
        return Err(Error::format(format!("{len} bytes are no whole blocks of {block} ({kind}): {AGAIN}")));
    }
    match kind {
        GgmlType::F32 => each(bytes, values, |bytes: &[u8; 4], [out]| *out = f32::from_le_bytes(*bytes)),
        GgmlType::F16 => each(bytes, values, |bytes: &[u8; 2], [out]| *out = half_at(bytes, 0)),
        GgmlType::BF16 => {
            each(bytes, values, |bytes: &[u8; 2], [out]| *out = bf16::from_le_bytes(*bytes).to_f32());
        }
        GgmlType::Q8_0 => each(bytes, values, q8_0),
        GgmlType::Q4_0 => each(bytes, values, q4_0),
        GgmlType::Q4_1 => each(bytes, values, q4_1),
        GgmlType::Q5_0 => each(bytes, values, q5_0),
        GgmlType::Q5_1 => each(bytes, values, q5_1),
        GgmlType::IQ4_NL => each(bytes, values, iq4_nl),
        GgmlType::Q2_K => each(bytes, values, k_quants::q2_k),
        GgmlType::Q3_K => each(bytes, values, k_quants::q3_k),
        GgmlType::Q4_K => each(bytes, values, k_quants::q4_k),
        GgmlType::Q5_K => each(bytes, values, k_quants::q5_k),
        GgmlType::Q6_K => each(bytes, values, k_quants::q6_k),
        // Refused above.
        _ => kind.check_read()?,
    }
    Ok(())
}

/// Turns each block of `N` bytes into `M` numbers.
fn each<const N: usize, const M: usize>(
    bytes: &[u8],
    values: &mut Vec<f32>,
    block: impl Fn(&[u8; N], &mut [f32; M]),
) {
    let blocks = bytes.as_chunks::<N>().0;
    let start = values.len();
    values.resize(start + blocks.len() * M, 0.0);
    let (out, _) = values[start..].as_chunks_mut::<M>();
    for (bytes, out) in blocks.iter().zip(out) {
        block(bytes, out);
    }
}

/// The f16 at byte `at`.
pub(crate) fn half_at(bytes: &[u8], at: usize) -> f32 {
    f16::from_le_bytes([bytes[at], bytes[at + 1]]).to_f32()
}

/// The 4-bit numbers of a block of 32: `qs` has 16 bytes.
fn nibbles(qs: &[u8], mut write: impl FnMut(usize, u8)) {
    for (index, byte) in qs.iter().enumerate() {
        write(index, byte & 0x0f);
        write(index + 16, byte >> 4);
    }
}

/// The 5-bit numbers of a block of 32: `qh` has 4 bytes with the fifth bits, `qs` 16.
fn five_bits(qh: [u8; 4], qs: &[u8], mut write: impl FnMut(usize, u8)) {
    let high = u32::from_le_bytes(qh);
    nibbles(qs, |index, low| write(index, low | ((high >> index & 1) as u8) << 4));
}

fn q8_0(bytes: &[u8; 34], out: &mut [f32; 32]) {
    let d = half_at(bytes, 0);
    for (out, &q) in out.iter_mut().zip(&bytes[2..]) {
        *out = f32::from(q as i8) * d;
    }
}

fn q4_0(bytes: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(bytes, 0);
    nibbles(&bytes[2..], |index, q| out[index] = d * (f32::from(q) - 8.0));
}

fn q4_1(bytes: &[u8; 20], out: &mut [f32; 32]) {
    let (d, m) = (half_at(bytes, 0), half_at(bytes, 2));
    nibbles(&bytes[4..], |index, q| out[index] = d * f32::from(q) + m);
}

fn q5_0(bytes: &[u8; 22], out: &mut [f32; 32]) {
    let d = half_at(bytes, 0);
    let [_, _, a, b, c, e, ..] = *bytes;
    five_bits([a, b, c, e], &bytes[6..], |index, q| out[index] = d * (f32::from(q) - 16.0));
}

fn q5_1(bytes: &[u8; 24], out: &mut [f32; 32]) {
    let (d, m) = (half_at(bytes, 0), half_at(bytes, 2));
    let [_, _, _, _, a, b, c, e, ..] = *bytes;
    five_bits([a, b, c, e], &bytes[8..], |index, q| out[index] = d * f32::from(q) + m);
}

fn iq4_nl(bytes: &[u8; 18], out: &mut [f32; 32]) {
    let d = half_at(bytes, 0);
    nibbles(&bytes[2..], |index, q| out[index] = d * f32::from(IQ4_NL_VALUES[usize::from(q)]));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_a_block_is_refused() {
        for kind in crate::types::READ {
            let bytes = vec![0; kind.block_bytes() as usize * 2 - 1];
            let error = append_f32(kind, &bytes, &mut Vec::new()).expect_err("half a block").to_string();
            assert!(
                error.contains(&format!("no whole blocks of {} ({kind})", kind.block_bytes())),
                "{error}"
            );
            let mut values = vec![7.0];
            let bytes = vec![0; kind.block_bytes() as usize * 3];
            append_f32(kind, &bytes, &mut values).expect("whole blocks");
            assert_eq!(values.len() as u64, 1 + 3 * kind.block_len(), "{kind}");
        }
        assert!(append_f32(GgmlType::IQ2_S, &[0; 82], &mut Vec::new()).is_err());
    }

    #[test]
    fn a_block_by_hand() {
        // Scale 0.5, then the number 3 + 16 * index in each byte.
        let mut q4_0 = vec![0x00, 0x38];
        q4_0.extend((0..16).map(|index: u8| 3 | index << 4));
        let mut values = Vec::new();
        append_f32(GgmlType::Q4_0, &q4_0, &mut values).expect("one block");
        let expected: Vec<f32> =
            [-2.5; 16].into_iter().chain((0..16).map(|index| 0.5 * (index as f32 - 8.0))).collect();
        assert_eq!(values, expected);
    }
}
