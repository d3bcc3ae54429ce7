//! Few rows by a matrix, as in decoding: the units of a cube compute its columns in slices of the sum, and add the slices
//! up at the end.

use burn_cubecl::cubecl::{self, prelude::*};

use crate::shape::Product;

/// The most rows there may be.
pub(crate) const MAX_ROWS: usize = 8;

/// Units of a cube along the columns.
pub(crate) const COLUMNS: u32 = 16;

/// The most units of a cube along the sum: a narrow matrix has too few columns to keep a GPU busy.
pub(crate) const MAX_SLICES: usize = 16;

/// Steps that are worth another slice: on an adapter in software a barrier costs as much.
pub(crate) const STEPS_PER_SLICE: usize = 16;

/// A product of every batch, of `num_rows` rows; see [`Product`].
#[cube(launch_unchecked)]
pub(crate) fn few_rows<F: Float, N: Size>(
    left: &Tensor<Vector<F, N>>,
    right: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    product: Product,
    #[comptime] num_rows: usize,
    #[comptime] slices: usize,
    #[define(F)] _dtype: ElemType,
) {
    let size = N::value();
    let batch = CUBE_POS_Z as usize;
    let (steps, columns) = (product.depth() / size, product.columns() / size);
    let column = ABSOLUTE_POS_X as usize;
    let slice = UNIT_POS_Y as usize;
    let right_step = product.right_row() / size;
    // Every unit has to come to the barrier: those beyond the last column compute it once more.
    let from = batch * product.right_batch() / size + min(column, columns - 1);
    let left_from = batch * num_rows * steps;
    let mut sums = Sequence::<RuntimeCell<Vector<f32, N>>>::new();
    #[unroll]
    for _ in 0..num_rows {
        sums.push(RuntimeCell::new(Vector::new(0.0)));
    }
    for step in range_stepped(slice, steps, slices) {
        let mut values = Sequence::<Vector<f32, N>>::new();
        #[unroll]
        for i in 0..size {
            values.push(Vector::cast_from(right[from + (step * size + i) * right_step]));
        }
        #[unroll]
        for r in 0..num_rows {
            let factors = Vector::<f32, N>::cast_from(left[left_from + r * steps + step]);
            #[unroll]
            for i in 0..size {
                sums[r].store(sums[r].read() + values[i] * Vector::new(factors.extract(i)));
            }
        }
    }
    let out_from = batch * num_rows * columns + column;
    if comptime!(slices == 1) {
        if column < columns {
            #[unroll]
            for r in 0..num_rows {
                out[out_from + r * columns] = Vector::cast_from(sums[r].read());
            }
        }
    } else {
        let width = COLUMNS as usize;
        let unit = UNIT_POS_X as usize;
        let mut shared =
            Shared::<[Vector<f32, N>]>::new_slice(comptime!(COLUMNS as usize * slices * num_rows));
        #[unroll]
        for r in 0..num_rows {
            shared[(r * slices + slice) * width + unit] = sums[r].read();
        }
        sync_cube();
        if column < columns {
            // The slices share the rows between them.
            for r in range_stepped(slice, num_rows, slices) {
                let mut sum = Vector::<f32, N>::new(0.0);
                for s in 0..slices {
                    sum += shared[(r * slices + s) * width + unit];
                }
                out[out_from + r * columns] = Vector::cast_from(sum);
            }
        }
    }
}
