//! Matrices of four-bit weights, repacked for integer dot products.
//!
//! A weight is `value * scale` with a value in `-8..=7` and a f16 scale for each 32 weights of a row. Eight rows by 32
//! columns make a block; within it, four steps of 32 bytes each: byte `4 r + j` of step `s` has the weight of row `r` and
//! column `8 s + j` in its low half, and column `8 s + 4 + j` in its high half. So one register of eight rows meets four
//! activations that are the same for all rows.

use half::f16;

use crate::elementwise::GROUP;
use crate::error::Error;
use crate::kernels::widen;
use crate::lanes::Lanes;
use crate::level::{Level, Loops};

/// Rows that are computed together.
pub(crate) const ROWS: usize = 8;

/// 8 rows by 32 columns, values stored as `value + 8`.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Int4Block(pub [u8; 128]);

/// A quantised matrix `[rows, columns]`: one row an output.
#[derive(Debug, Clone)]
pub struct Int4Matrix {
    rows: usize,
    columns: usize,
    /// `[rows / 8, columns / 32]`
    blocks: Vec<Int4Block>,
    /// `[rows / 8, columns / 32]` of 8 rows, bits of f16
    scales: Vec<[u16; ROWS]>,
}

impl Int4Matrix {
    /// A matrix from its rows.
    ///
    /// `packed` is `[rows, columns / 8]`: bits `4 i .. 4 i + 4` of a word are element `i` of its eight, plus 8.
    /// `scales` is `[rows, columns / 32]`.
    ///
    /// # Errors
    ///
    /// `columns` that are no multiple of 32, buffers of another size, scales that are not finite.
    pub fn new(rows: usize, columns: usize, packed: &[u32], scales: &[f16]) -> Result<Self, Error> {
        let mut matrix = Self::zeros(rows, columns)?;
        matrix.set_rows(0, packed, scales)?;
        Error::check("the packed matrix", packed.len(), rows * columns / 8)?;
        Ok(matrix)
    }

    /// A matrix of zeros, to be filled by [`set_rows`](Self::set_rows) as rows arrive: nothing is held twice.
    ///
    /// # Errors
    ///
    /// `columns` that are no multiple of 32; more weights than can be counted.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let blocks = block_count(rows, columns, GROUP)?;
        // A scale of 0 makes a zero of any value.
        let blocks = (vec![Int4Block([0; 128]); blocks], vec![[0; ROWS]; blocks]);
        Ok(Self { rows, columns, blocks: blocks.0, scales: blocks.1 })
    }

    /// Replaces the rows from `first` on: as many as are given. Sizes as in [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); rows beyond the last.
    pub fn set_rows(&mut self, first: usize, packed: &[u32], scales: &[f16]) -> Result<(), Error> {
        let groups = self.columns / GROUP;
        let count = scales.len().checked_div(groups).unwrap_or(0);
        Error::check("the scales of some rows", scales.len(), count * groups)?;
        Error::check("the packed rows", packed.len(), count * groups * 4)?;
        check_rows(first, count, self.rows)?;
        if let Some(index) = scales.iter().position(|scale| !scale.is_finite()) {
            let value = scales[index].to_string();
            return Err(Error::Scale { what: "a matrix of four bits".into(), index, value });
        }
        for row in 0..count {
            for group in 0..groups {
                let (block, lane) = ((first + row) / ROWS * groups + group, (first + row) % ROWS);
                let at = row * groups + group;
                self.scales[block][lane] = scales[at].to_bits();
                let words = &packed[at * 4..at * 4 + 4];
                for (step, word) in words.iter().enumerate() {
                    let bytes = &mut self.blocks[block].0[step * 32 + lane * 4..][..4];
                    for (j, byte) in bytes.iter_mut().enumerate() {
                        let (low, high) = (word >> (4 * j) & 15, word >> (16 + 4 * j) & 15);
                        *byte = (low | high << 4) as u8;
                    }
                }
            }
        }
        Ok(())
    }

    /// Outputs.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        self.columns
    }

    /// The weights of one row, exactly: `[columns]`.
    ///
    /// # Errors
    ///
    /// A row that is not there, `out` of another length.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), Error> {
        check_row(row, out.len(), self.rows, self.columns)?;
        let groups = self.columns / GROUP;
        let lane = row % ROWS;
        for (group, out) in out.as_chunks_mut::<GROUP>().0.iter_mut().enumerate() {
            let at = row / ROWS * groups + group;
            let scale = f16::from_bits(self.scales[at][lane]).to_f32();
            for (column, out) in out.iter_mut().enumerate() {
                *out = value(&self.blocks[at], lane, column) * scale;
            }
        }
        Ok(())
    }

    /// The blocks and scales of eight rows.
    pub(crate) fn block(&self, index: usize) -> (&[Int4Block], &[[u16; ROWS]]) {
        let groups = self.columns / GROUP;
        let range = index * groups..(index + 1) * groups;
        (&self.blocks[range.clone()], &self.scales[range])
    }

    /// Eight rows as f32: `[columns]` of 8 rows.
    pub(crate) fn panel(&self, level: Level, index: usize, out: &mut Vec<[f32; ROWS]>) {
        let (blocks, scales) = self.block(index);
        out.resize(self.columns, [0.0; ROWS]);
        level.run(Unpack { blocks, scales, out });
    }
}

struct Unpack<'a> {
    blocks: &'a [Int4Block],
    scales: &'a [[u16; ROWS]],
    out: &'a mut [[f32; ROWS]],
}

impl Loops for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let groups = self.out.as_chunks_mut::<GROUP>().0;
        for ((block, scales), out) in self.blocks.iter().zip(self.scales).zip(groups) {
            let scales = widen(scales);
            for (bytes, out) in block.0.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<8>().0) {
                let mut words = [0; ROWS];
                for (word, bytes) in words.iter_mut().zip(bytes.as_chunks::<4>().0) {
                    *word = u32::from_le_bytes(*bytes);
                }
                for (column, out) in out.iter_mut().enumerate() {
                    let shift = column % 4 * 8 + column / 4 * 4;
                    for lane in 0..ROWS {
                        out[lane] = ((words[lane] >> shift & 15) as i32 - 8) as f32 * scales[lane];
                    }
                }
            }
        }
    }
}

/// The integer of one weight.
#[inline(always)]
fn value(block: &Int4Block, lane: usize, column: usize) -> f32 {
    let byte = block.0[column / 8 * 32 + lane * 4 + column % 4];
    let nibble = if column % 8 < 4 { byte & 15 } else { byte >> 4 };
    f32::from(nibble) - 8.0
}

/// How many blocks of eight rows by `width` columns a matrix has.
pub(crate) fn block_count(rows: usize, columns: usize, width: usize) -> Result<usize, Error> {
    if columns == 0 || !columns.is_multiple_of(width) {
        let found = format!("{columns} columns");
        return Err(Error::size("a matrix", found, format!("a multiple of {width}")));
    }
    // Bytes of the largest kind of weights must be countable, too.
    let bytes = rows.checked_next_multiple_of(ROWS).and_then(|rows| rows.checked_mul(columns));
    match bytes.and_then(|weights| weights.checked_mul(4)) {
        Some(bytes) if isize::try_from(bytes).is_ok() => Ok(rows.div_ceil(ROWS) * (columns / width)),
        _ => Err(Error::size("a matrix", format!("[{rows}, {columns}]"), "what can be addressed")),
    }
}

/// Whether `count` rows from `first` on are among `rows`.
pub(crate) fn check_rows(first: usize, count: usize, rows: usize) -> Result<(), Error> {
    if first.checked_add(count).is_none_or(|end| end > rows) {
        let found = format!("rows from {first} on, {count} of them");
        return Err(Error::size("a matrix", found, format!("at most {rows} rows")));
    }
    Ok(())
}

pub(crate) fn check_row(row: usize, length: usize, rows: usize, columns: usize) -> Result<(), Error> {
    Error::check("the buffer of a row", length, columns)?;
    if row >= rows {
        return Err(Error::size("a matrix", format!("{rows} rows"), format!("more than {row}")));
    }
    Ok(())
}
