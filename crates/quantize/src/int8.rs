//! Eight bits: -127..=127, symmetric, one f32 scale a row.
//!
//! -128 is left out, so that a product of two such numbers and its negation are alike on every processor. The scale is
//! searched as in four bits; as 255 levels lose little, that matters for rows with an outlier.

use crate::error::{Result, check_moments, check_weights, count_rows, expect_len};
use crate::pack::{pack, unpack};
use crate::search::{Levels, code, search, search_from};

/// Elements that share a word of the packed form.
pub const PER_WORD: usize = 4;

/// Largest magnitude of a weight; squares of more would not be finite.
pub const MOST: f32 = 1e30;

/// The levels of this format.
struct Int8;

impl Levels for Int8 {
    const LOW: f32 = -127.0;
    const HIGH: f32 = 127.0;
    const CANDIDATES: &'static [f32] =
        &[127.0, 128.5, 131.0, 134.0, 138.0, 143.0, 149.0, 156.0, 164.0, 174.0, 186.0, 200.0];
    const SIGNED: bool = false;

    fn stored(scale: f64) -> f32 {
        scale as f32
    }
}

/// Some rows of a matrix in eight bits.
#[derive(Clone, Debug, PartialEq)]
pub struct Int8Rows {
    columns: usize,
    values: Vec<i8>,
    scales: Vec<f32>,
}

impl Int8Rows {
    /// Rows from words and scales that were read.
    ///
    /// # Shapes
    /// `packed` `[rows, columns / 4]`, rounded up; `scales` `[rows]`.
    ///
    /// # Errors
    /// Counts that do not fit each other.
    pub fn new(columns: usize, packed: &[u32], scales: Vec<f32>) -> Result<Self> {
        expect_len("the number of words", packed.len(), scales.len() * columns.div_ceil(PER_WORD))?;
        Ok(Self { columns, values: unpack(packed, columns, 8)?, scales })
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.scales.len()
    }

    /// The number of columns.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The whole numbers, `[rows, columns]`.
    pub fn values(&self) -> &[i8] {
        &self.values
    }

    /// The scales, `[rows]`.
    pub fn scales(&self) -> &[f32] {
        &self.scales
    }

    /// The whole numbers and the scales.
    pub fn into_parts(self) -> (Vec<i8>, Vec<f32>) {
        (self.values, self.scales)
    }

    /// The values as they stand in a file, `[rows, columns / 4]`: byte i of a word is element i, stored as value + 128.
    ///
    /// # Errors
    /// None for rows that this crate made.
    pub fn packed(&self) -> Result<Vec<u32>> {
        pack(&self.values, self.columns, 8)
    }

    /// The weights that these rows stand for: `scale * value`.
    pub fn dequantize(&self) -> Vec<f32> {
        let rows = self.values.chunks(self.columns.max(1)).zip(&self.scales);
        rows.flat_map(|(row, scale)| row.iter().map(move |&value| scale * f32::from(value))).collect()
    }
}

/// Quantises rows of a matrix, `[rows, columns]`, by search of each row's scale; see
/// [`int4::quantize_rows`](crate::int4::quantize_rows) for `importance`.
///
/// # Errors
/// Values that do not fill their rows; a weight that is not finite or over [`MOST`], by row and column; moments that
/// are negative or not finite.
pub fn quantize_rows(values: &[f32], columns: usize, importance: Option<&[f32]>) -> Result<Int8Rows> {
    count_rows("the number of weights", values.len(), columns)?;
    check_weights(values, columns, MOST)?;
    let importance = importance.map(|moments| scaled(moments, columns)).transpose()?.flatten();
    let ones = vec![1.0; columns];
    let mut codes = Vec::with_capacity(values.len());
    let mut scales = Vec::with_capacity(values.len() / columns);
    for row in values.chunks_exact(columns) {
        let mut fit = search::<Int8>(row, &ones);
        if let Some(importance) = &importance {
            fit = search_from::<Int8>(row, importance, &[fit.scale]);
        }
        codes.extend(row.iter().map(|&value| code::<Int8>(value, fit.scale) as i8));
        scales.push(fit.scale);
    }
    Ok(Int8Rows { columns, values: codes, scales })
}

/// The moments divided by their largest; `None` where all are zero.
fn scaled(moments: &[f32], columns: usize) -> Result<Option<Vec<f32>>> {
    check_moments(moments, columns)?;
    let largest = moments.iter().fold(0.0, |largest: f32, moment| largest.max(*moment));
    Ok((largest > 0.0).then(|| moments.iter().map(|moment| moment / largest).collect()))
}
