//! The sizes of a product, as the kernels have them.

use burn_cubecl::cubecl::{self, prelude::*};

/// In every batch `out[rows, columns] = left[rows, depth] right[depth, columns]`, in elements.
///
/// `left` and `out` are contiguous; rows and batches of `right` may be further apart than they are long. `depth`,
/// `columns` and the distances are multiples of the vector that the kernels read at once.
#[derive(CubeType, CubeLaunch, Clone, Copy)]
pub(crate) struct Product {
    rows: u32,
    depth: u32,
    columns: u32,
    right_row: u32,
    right_batch: u32,
}

#[cube]
impl Product {
    pub(crate) fn rows(&self) -> usize {
        self.rows as usize
    }

    pub(crate) fn depth(&self) -> usize {
        self.depth as usize
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns as usize
    }

    /// From one row of `right` to the next.
    pub(crate) fn right_row(&self) -> usize {
        self.right_row as usize
    }

    /// From one batch of `right` to the next.
    pub(crate) fn right_batch(&self) -> usize {
        self.right_batch as usize
    }
}
