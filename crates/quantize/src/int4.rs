//! Four bits: -8..=7, symmetric, an f16 scale for each 32 neighbours of a row.
//!
//! A scale may be negative: then the largest magnitude can take -8 whichever sign it has, as in llama.cpp's Q4_0, which
//! is worth a sixth of the error. Searching the scale ([`search`](crate::search)) takes as much again: a third less
//! squared error than rounding to `largest / 7`.

use crate::error::{Result, check_moments, check_weights, count_rows, expect_len};
use crate::pack::{pack, unpack};
use crate::search::{Fit, Levels, code, search, search_from};
use half::f16;

/// Weights that share a scale.
pub const GROUP: usize = 32;

/// Elements that share a word of the packed form.
pub const PER_WORD: usize = 8;

/// Largest magnitude of a weight: 7 times the largest f16.
pub const MOST: f32 = 7.0 * 65504.0;

/// The levels of this format.
pub(crate) struct Int4;

impl Levels for Int4 {
    const LOW: f32 = -8.0;
    const HIGH: f32 = 7.0;
    const CANDIDATES: &'static [f32] =
        &[6.5, 6.8, 7.1, 7.4, 7.6, 7.8, 8.0, 8.2, 8.4, 8.6, 8.9, 9.2, 9.6, 10.0, 10.5, 11.0];
    const SIGNED: bool = true;

    fn stored(scale: f64) -> f32 {
        let largest = f64::from(f16::MAX);
        f16::from_f64(scale.clamp(-largest, largest)).to_f32()
    }
}

/// Some rows of a matrix in four bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Int4Rows {
    columns: usize,
    packed: Vec<u32>,
    scales: Vec<f16>,
}

impl Int4Rows {
    /// Rows from words and scales that were read.
    ///
    /// # Shapes
    /// `packed` `[rows, columns / 8]`, `scales` `[rows, columns / 32]`.
    ///
    /// # Errors
    /// Columns that are not a multiple of 32, counts that do not fit each other.
    pub fn new(columns: usize, packed: Vec<u32>, scales: Vec<f16>) -> Result<Self> {
        check_columns(columns)?;
        let rows = count_rows("the number of scales", scales.len(), columns / GROUP)?;
        expect_len("the number of words", packed.len(), rows * (columns / PER_WORD))?;
        Ok(Self { columns, packed, scales })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len() * GROUP / self.columns
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The values, `[rows, columns / 8]`: bits 4i..4i+4 of a word are element i, stored as value + 8.
    pub fn packed(&self) -> &[u32] {
        &self.packed
    }

    /// The scales, `[rows, columns / 32]`.
    pub fn scales(&self) -> &[f16] {
        &self.scales
    }

    /// The words and the scales.
    pub fn into_parts(self) -> (Vec<u32>, Vec<f16>) {
        (self.packed, self.scales)
    }

    /// The weights that these rows stand for: `scale * value`, exact in f32.
    pub fn dequantize(&self) -> Vec<f32> {
        let mut weights = Vec::with_capacity(self.scales.len() * GROUP);
        for (words, scale) in self.packed.as_chunks::<{ GROUP / PER_WORD }>().0.iter().zip(&self.scales) {
            let scale = scale.to_f32();
            for word in words {
                for element in 0..PER_WORD {
                    weights.push(scale * f32::from((word >> (4 * element) & 15) as i8 - 8));
                }
            }
        }
        weights
    }

    /// The whole numbers, -8..=7, `[rows, columns]`.
    ///
    /// # Errors
    /// None for rows that this crate made.
    pub fn values(&self) -> Result<Vec<i8>> {
        unpack(&self.packed, self.columns, 4)
    }
}

/// Quantises rows of a matrix, `[rows, columns]`, by search of each group's scale. `importance` is the second moment
/// `E[x^2]` of the input of each column (level 1); without it every column counts alike (level 0).
///
/// # Errors
/// Columns that are not a multiple of 32, values that do not fill their rows; a weight that is not finite or over
/// [`MOST`], by row and column; moments that are negative or not finite.
pub fn quantize_rows(values: &[f32], columns: usize, importance: Option<&[f32]>) -> Result<Int4Rows> {
    check_columns(columns)?;
    count_rows("the number of weights", values.len(), columns)?;
    check_weights(values, columns, MOST)?;
    let importance = importance.map(|moments| importance_of_groups(moments, columns)).transpose()?;
    let groups_a_row = columns / GROUP;
    let (groups, _) = values.as_chunks::<GROUP>();
    let mut codes = vec![0; values.len()];
    let mut scales = Vec::with_capacity(groups.len());
    for (at, (group, codes)) in groups.iter().zip(codes.as_chunks_mut::<GROUP>().0).enumerate() {
        let importance = importance.as_ref().and_then(|groups| groups[at % groups_a_row].as_ref());
        let fit = fit_group(group, importance);
        write_codes(group, fit.scale, codes);
        scales.push(f16::from_f32(fit.scale));
    }
    Ok(Int4Rows { columns, packed: pack(&codes, columns, 4)?, scales })
}

/// The scale of one group; with importance no worse, in weighted error, than without.
pub(crate) fn fit_group(group: &[f32; GROUP], importance: Option<&[f32; GROUP]>) -> Fit {
    let plain = search::<Int4>(group, &[1.0; GROUP]);
    match importance {
        Some(importance) => search_from::<Int4>(group, importance, &[plain.scale]),
        None => plain,
    }
}

/// The moments of each group divided by their largest, so that no square of them leaves f32; `None` for a group whose
/// inputs were all zero, which then counts each column alike.
pub(crate) fn importance_of_groups(moments: &[f32], columns: usize) -> Result<Vec<Option<[f32; GROUP]>>> {
    check_moments(moments, columns)?;
    let scaled = |group: &[f32; GROUP]| {
        let largest = group.iter().fold(0.0, |largest: f32, moment| largest.max(*moment));
        (largest > 0.0).then(|| group.map(|moment| moment / largest))
    };
    Ok(moments.as_chunks::<GROUP>().0.iter().map(scaled).collect())
}

pub(crate) fn check_columns(columns: usize) -> Result<()> {
    if columns > 0 && columns.is_multiple_of(GROUP) {
        return Ok(());
    }
    let expected = format!("a multiple of {GROUP}, as {GROUP} weights of a row share a scale");
    Err(crate::Error::Size { what: "the number of columns", found: columns, expected })
}

fn write_codes(group: &[f32; GROUP], scale: f32, codes: &mut [i8; GROUP]) {
    for (code_out, &value) in codes.iter_mut().zip(group) {
        *code_out = code::<Int4>(value, scale) as i8;
    }
}
