//! Matrices of eight-bit weights with one scale a row, repacked for integer dot products.
//!
//! Eight rows by 32 columns make a block; within it, eight steps of 32 bytes each: byte `4 r + j` of step `s` is the weight
//! of row `r` and column `4 s + j`.

use crate::elementwise::GROUP;
use crate::error::Error;
use crate::int4::{ROWS, block_count, check_row, check_rows};
use crate::lanes::Lanes;
use crate::level::{Level, Loops};

/// 8 rows by 32 columns.
#[derive(Debug, Clone, Copy)]
#[repr(C, align(64))]
pub(crate) struct Int8Block(pub [i8; 256]);

/// A quantised matrix `[rows, columns]`: one row an output.
#[derive(Debug, Clone)]
pub struct Int8Matrix {
    rows: usize,
    columns: usize,
    /// `[rows / 8, columns / 32]`
    blocks: Vec<Int8Block>,
    /// `[rows / 8]` of 8 rows
    scales: Vec<[f32; ROWS]>,
}

impl Int8Matrix {
    /// A matrix from its rows: `values` is `[rows, columns]`, `scales` is `[rows]`.
    ///
    /// # Errors
    ///
    /// `columns` that are no multiple of 32, buffers of another size, a value of -128 (integer products have no room for
    /// it; a symmetric quantiser does not make it), scales that are not finite.
    pub fn new(rows: usize, columns: usize, values: &[i8], scales: &[f32]) -> Result<Self, Error> {
        let mut matrix = Self::zeros(rows, columns)?;
        matrix.set_rows(0, values, scales)?;
        Error::check("the scales of a matrix", scales.len(), rows)?;
        Ok(matrix)
    }

    /// A matrix of zeros, to be filled by [`set_rows`](Self::set_rows) as rows arrive: nothing is held twice.
    ///
    /// # Errors
    ///
    /// `columns` that are no multiple of 32; more weights than can be counted.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let blocks = block_count(rows, columns, GROUP)?;
        let scales = vec![[0.0; ROWS]; rows.div_ceil(ROWS)];
        Ok(Self { rows, columns, blocks: vec![Int8Block([0; 256]); blocks], scales })
    }

    /// Replaces the rows from `first` on: as many as are given. Sizes as in [`new`](Self::new).
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new); rows beyond the last.
    pub fn set_rows(&mut self, first: usize, values: &[i8], scales: &[f32]) -> Result<(), Error> {
        let count = scales.len();
        Error::check("the values of some rows", values.len(), count.saturating_mul(self.columns))?;
        check_rows(first, count, self.rows)?;
        if let Some(index) = scales.iter().position(|scale| !scale.is_finite()) {
            let value = scales[index].to_string();
            return Err(Error::Scale { what: "a matrix of eight bits".into(), index, value });
        }
        if values.contains(&i8::MIN) {
            return Err(Error::size("a matrix of eight bits", "a value of -128", "-127 to 127"));
        }
        let groups = self.columns / GROUP;
        for (row, (values, &scale)) in values.chunks_exact(self.columns).zip(scales).enumerate() {
            let (block, lane) = ((first + row) / ROWS, (first + row) % ROWS);
            self.scales[block][lane] = scale;
            for (group, values) in values.as_chunks::<GROUP>().0.iter().enumerate() {
                let block = &mut self.blocks[block * groups + group].0;
                for (step, values) in values.as_chunks::<4>().0.iter().enumerate() {
                    block[step * 32 + lane * 4..][..4].copy_from_slice(values);
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

    /// The weights of one row, `[columns]`.
    ///
    /// # Errors
    ///
    /// A row that is not there, `out` of another length.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), Error> {
        check_row(row, out.len(), self.rows, self.columns)?;
        let (blocks, scales) = self.block(row / ROWS);
        let lane = row % ROWS;
        for (out, block) in out.as_chunks_mut::<GROUP>().0.iter_mut().zip(blocks) {
            for (column, out) in out.iter_mut().enumerate() {
                *out = value(block, lane, column) * scales[lane];
            }
        }
        Ok(())
    }

    /// The blocks and scales of eight rows.
    pub(crate) fn block(&self, index: usize) -> (&[Int8Block], &[f32; ROWS]) {
        let groups = self.columns / GROUP;
        (&self.blocks[index * groups..(index + 1) * groups], &self.scales[index])
    }

    /// Eight rows as f32: `[columns]` of 8 rows.
    pub(crate) fn panel(&self, level: Level, index: usize, out: &mut Vec<[f32; ROWS]>) {
        let (blocks, scales) = self.block(index);
        out.resize(self.columns, [0.0; ROWS]);
        level.run(Unpack { blocks, scales, out });
    }
}

struct Unpack<'a> {
    blocks: &'a [Int8Block],
    scales: &'a [f32; ROWS],
    out: &'a mut [[f32; ROWS]],
}

impl Loops for Unpack<'_> {
    type Output = ();

    #[inline(always)]
    fn run<V: Lanes>(self) {
        let groups = self.out.as_chunks_mut::<GROUP>().0;
        for (block, out) in self.blocks.iter().zip(groups) {
            for (bytes, out) in block.0.as_chunks::<32>().0.iter().zip(out.as_chunks_mut::<4>().0) {
                let bytes = bytes.as_chunks::<4>().0;
                for (column, out) in out.iter_mut().enumerate() {
                    for lane in 0..ROWS {
                        out[lane] = f32::from(bytes[lane][column]) * self.scales[lane];
                    }
                }
            }
        }
    }
}

/// The integer of one weight.
#[inline(always)]
fn value(block: &Int8Block, lane: usize, column: usize) -> f32 {
    f32::from(block.0[column / 4 * 32 + lane * 4 + column % 4])
}
