//! Whole numbers in 32-bit words, as compressed-tensors' `pack-quantized` has them.
//!
//! Element i of a word is its bits `bits * i..bits * (i + 1)`, stored as value + 2^(bits - 1). A row begins a word of
//! its own; the last word of a row is filled up with zero bits. In a file the words are I32.

use crate::error::{Error, Result, count_rows};

/// The words of `values` (`[rows, columns]`), `[rows, columns / (32 / bits)]`, rounded up.
///
/// # Errors
/// Bits other than 4 and 8, values that do not fill their rows, a value that does not fit its bits.
pub fn pack(values: &[i8], columns: usize, bits: u32) -> Result<Vec<u32>> {
    let per_word = per_word(bits)?;
    count_rows("the number of values", values.len(), columns)?;
    let offset = 1_i16 << (bits - 1);
    // As unsigned numbers those below the least are over all others.
    let largest = values.iter().map(|&value| (i16::from(value) + offset) as u16).max().unwrap_or(0);
    if largest >= 1 << bits {
        let expected = format!("within {} bits", bits);
        return Err(Error::Size { what: "a value that is to be packed", found: largest.into(), expected });
    }
    let word = |elements: &[i8]| {
        let element = |value: &i8| (i32::from(*value) + i32::from(offset)) as u32;
        elements.iter().rev().fold(0, |word, value| word << bits | element(value))
    };
    Ok(values.chunks(columns).flat_map(|row| row.chunks(per_word).map(word)).collect())
}

/// The values of `words` (`[rows, columns / (32 / bits)]`, rounded up), `[rows, columns]`.
///
/// # Errors
/// Bits other than 4 and 8, words that do not fill their rows.
pub fn unpack(words: &[u32], columns: usize, bits: u32) -> Result<Vec<i8>> {
    let per_word = per_word(bits)?;
    let words_a_row = columns.div_ceil(per_word);
    let rows = count_rows("the number of words", words.len(), words_a_row)?;
    let (mask, offset) = ((1_u32 << bits) - 1, 1_i16 << (bits - 1));
    let mut values = Vec::with_capacity(rows * columns);
    for row in words.chunks(words_a_row) {
        for element in 0..columns {
            let word = row[element / per_word] >> (bits * (element % per_word) as u32);
            values.push(((word & mask) as i16 - offset) as i8);
        }
    }
    Ok(values)
}

fn per_word(bits: u32) -> Result<usize> {
    match bits {
        4 | 8 => Ok((32 / bits) as usize),
        _ => Err(Error::Size { what: "the number of bits", found: bits as usize, expected: "4 or 8".into() }),
    }
}
