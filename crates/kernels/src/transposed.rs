//! Rows by the transpose of a matrix, as in logits: the units of a cube share the sum of each column.

use burn_cubecl::cubecl::{self, prelude::*};

use crate::shape::Product;

/// Rows of a unit; more are taken by other cubes.
pub(crate) const ROWS: usize = 4;

/// Units of a cube along the sum.
pub(crate) const SLICES: u32 = 8;

/// Columns of a cube.
pub(crate) const COLUMNS: u32 = 8;

/// `left right^T`, one batch, `rows` rows a unit. `right` is `[columns, depth]`, contiguous; any number of columns.
#[cube(launch_unchecked)]
pub(crate) fn transposed<F: Float, N: Size>(
    left: &Tensor<Vector<F, N>>,
    right: &Tensor<Vector<F, N>>,
    out: &mut Tensor<F>,
    product: Product,
    #[comptime] rows: usize,
    #[define(F)] _dtype: ElemType,
) {
    let size = N::value();
    let (num_rows, steps, columns) = (product.rows(), product.depth() / size, product.columns());
    let slice = UNIT_POS_X as usize;
    let column = ABSOLUTE_POS_Y as usize;
    let row = CUBE_POS_Z as usize * rows;
    // Every unit has to come to the barrier: those beyond an end compute the last row or column once more.
    let from = min(column, columns - 1) * steps;
    let mut sums = Sequence::<RuntimeCell<Vector<f32, N>>>::new();
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for r in 0..rows {
        sums.push(RuntimeCell::new(Vector::new(0.0)));
        starts.push(min(row + r, num_rows - 1) * steps);
    }
    for step in range_stepped(slice, steps, SLICES as usize) {
        let values = Vector::<f32, N>::cast_from(right[from + step]);
        #[unroll]
        for r in 0..rows {
            sums[r].store(sums[r].read() + values * Vector::cast_from(left[starts[r] + step]));
        }
    }
    let units = (COLUMNS * SLICES) as usize;
    let mut shared = Shared::<[f32]>::new_slice(comptime!((COLUMNS * SLICES) as usize * rows));
    #[unroll]
    for r in 0..rows {
        let sum = sums[r].read();
        let mut total = f32::new(0.0);
        #[unroll]
        for i in 0..size {
            total += sum.extract(i);
        }
        shared[r * units + UNIT_POS as usize] = total;
    }
    sync_cube();
    if column < columns {
        for r in range_stepped(slice, rows, SLICES as usize) {
            if row + r < num_rows {
                let first = r * units + UNIT_POS_Y as usize * SLICES as usize;
                let mut total = f32::new(0.0);
                for s in 0..SLICES as usize {
                    total += shared[first + s];
                }
                out[(row + r) * columns + column] = F::cast_from(total);
            }
        }
    }
}
