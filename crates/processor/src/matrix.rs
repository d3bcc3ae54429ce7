//! The matrices of a model: four bits, eight bits or f32, one row an output.

use crate::error::Error;
use crate::int4::{Int4Block, Int4Matrix, ROWS, block_count, check_row, check_rows};
use crate::int8::{Int8Block, Int8Matrix};
use crate::product::Hands;

/// A matrix `[rows, columns]`: `y = W x` has `rows` outputs.
#[derive(Debug, Clone)]
pub enum Matrix {
    /// Four bits, f16 scales for groups of 32.
    Int4(Int4Matrix),
    /// Eight bits, one scale a row.
    Int8(Int8Matrix),
    /// Not quantised.
    F32(F32Matrix),
}

/// A matrix of f32, its rows interleaved by eight.
#[derive(Debug, Clone)]
pub struct F32Matrix {
    rows: usize,
    columns: usize,
    /// `[rows / 8, columns]` of 8 rows
    lanes: Vec<[f32; ROWS]>,
}

impl F32Matrix {
    /// A matrix of `values`, `[rows, columns]`.
    ///
    /// # Errors
    ///
    /// No columns, `values` of another length.
    pub fn new(rows: usize, columns: usize, values: &[f32]) -> Result<Self, Error> {
        let mut matrix = Self::zeros(rows, columns)?;
        matrix.set_rows(0, values)?;
        Error::check("a matrix", values.len(), rows * columns)?;
        Ok(matrix)
    }

    /// A matrix of zeros, to be filled by [`set_rows`](Self::set_rows) as rows arrive.
    ///
    /// # Errors
    ///
    /// No columns; more weights than can be counted.
    pub fn zeros(rows: usize, columns: usize) -> Result<Self, Error> {
        let count = block_count(rows, columns, 1)?;
        Ok(Self { rows, columns, lanes: vec![[0.0; ROWS]; count] })
    }

    /// Replaces the rows from `first` on: as many as are given.
    ///
    /// # Errors
    ///
    /// `values` that are no whole rows; rows beyond the last.
    pub fn set_rows(&mut self, first: usize, values: &[f32]) -> Result<(), Error> {
        let count = values.len() / self.columns;
        Error::check("some rows of a matrix", values.len(), count * self.columns)?;
        check_rows(first, count, self.rows)?;
        for (row, values) in values.chunks_exact(self.columns).enumerate() {
            let (block, lane) = ((first + row) / ROWS, (first + row) % ROWS);
            let block = &mut self.lanes[block * self.columns..][..self.columns];
            for (lanes, value) in block.iter_mut().zip(values) {
                lanes[lane] = *value;
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
        for (out, lanes) in out.iter_mut().zip(self.panel(row / ROWS)) {
            *out = lanes[row % ROWS];
        }
        Ok(())
    }

    fn panel(&self, index: usize) -> &[[f32; ROWS]] {
        &self.lanes[index * self.columns..(index + 1) * self.columns]
    }
}

/// Eight rows of a matrix, as a kernel takes them.
#[derive(Clone, Copy)]
pub(crate) enum Block<'a> {
    Int4(&'a [Int4Block], &'a [[u16; ROWS]]),
    Int8(&'a [Int8Block], &'a [f32; ROWS]),
    /// `[columns]` of 8 rows
    F32(&'a [[f32; ROWS]]),
}

impl Matrix {
    /// Outputs.
    pub fn rows(&self) -> usize {
        match self {
            Self::Int4(matrix) => matrix.rows(),
            Self::Int8(matrix) => matrix.rows(),
            Self::F32(matrix) => matrix.rows(),
        }
    }

    /// Inputs.
    pub fn columns(&self) -> usize {
        match self {
            Self::Int4(matrix) => matrix.columns(),
            Self::Int8(matrix) => matrix.columns(),
            Self::F32(matrix) => matrix.columns(),
        }
    }

    /// The weights of one row, dequantised, `[columns]`.
    ///
    /// # Errors
    ///
    /// A row that is not there, `out` of another length.
    pub fn row(&self, row: usize, out: &mut [f32]) -> Result<(), Error> {
        match self {
            Self::Int4(matrix) => matrix.row(row, out),
            Self::Int8(matrix) => matrix.row(row, out),
            Self::F32(matrix) => matrix.row(row, out),
        }
    }

    pub(crate) fn is_quantised(&self) -> bool {
        !matches!(self, Self::F32(_))
    }

    /// Eight rows; dequantised into `scratch` where the product is exact and they are not f32 anyway.
    pub(crate) fn block<'a>(
        &'a self,
        hands: Hands<'_>,
        index: usize,
        scratch: &'a mut Vec<[f32; ROWS]>,
    ) -> Block<'a> {
        match self {
            Self::Int4(matrix) if hands.is_exact => matrix.panel(hands.level, index, scratch),
            Self::Int8(matrix) if hands.is_exact => matrix.panel(hands.level, index, scratch),
            Self::Int4(matrix) => {
                let (blocks, scales) = matrix.block(index);
                return Block::Int4(blocks, scales);
            }
            Self::Int8(matrix) => {
                let (blocks, scales) = matrix.block(index);
                return Block::Int8(blocks, scales);
            }
            Self::F32(matrix) => return Block::F32(matrix.panel(index)),
        }
        Block::F32(scratch)
    }
}
