//! Few rows by a matrix, as in decoding: the units of a cube compute its columns in slices of the sum, and add the slices
//! up at the end.

use burn_cubecl::cubecl::{self, prelude::*};

use crate::shape::Product;

/// The most rows that it is for.
pub(crate) const MAX_ROWS: usize = 8;

/// The most rows of a unit; more are taken by other cubes.
pub(crate) const ROWS: usize = 4;

/// Units of a cube along the columns.
pub(crate) const COLUMNS: u32 = 16;

/// Steps that are worth another slice: on an adapter in software a barrier costs as much.
const STEPS_PER_SLICE: usize = 16;

/// The most slices times rows: SwiftShader takes a millisecond to compile each vector of shared memory.
const MAX_SLICED_ROWS: usize = 8;

/// Units of a cube along the sum, for `rows` rows a unit: a narrow matrix has too few columns to keep a GPU busy. A power of
/// two, so that few kernels are compiled.
pub(crate) fn slices(steps: usize, rows: usize) -> usize {
    let most = (MAX_SLICED_ROWS / rows).max(1);
    steps.div_ceil(STEPS_PER_SLICE).next_power_of_two().min(1 << most.ilog2())
}

/// A product of every batch, `rows` rows a unit; see [`Product`].
#[cube(launch_unchecked)]
pub(crate) fn few_rows<F: Float, N: Size>(
    left: &Tensor<Vector<F, N>>,
    right: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    product: Product,
    #[comptime] rows: usize,
    #[comptime] slices: usize,
    #[define(F)] _dtype: ElemType,
) {
    let size = N::value();
    let batch = CUBE_POS_Z as usize;
    let (num_rows, steps, columns) = (product.rows(), product.depth() / size, product.columns() / size);
    let row = CUBE_POS_Y as usize * rows;
    let column = ABSOLUTE_POS_X as usize;
    let slice = UNIT_POS_Y as usize;
    let right_step = product.right_row() / size;
    // Every unit has to come to the barrier: those beyond the last column or row compute it once more.
    let from = batch * product.right_batch() / size + min(column, columns - 1);
    let mut sums = Sequence::<RuntimeCell<Vector<f32, N>>>::new();
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for r in 0..rows {
        sums.push(RuntimeCell::new(Vector::new(0.0)));
        starts.push((batch * num_rows + min(row + r, num_rows - 1)) * steps);
    }
    for step in range_stepped(slice, steps, slices) {
        let mut values = Sequence::<Vector<f32, N>>::new();
        #[unroll]
        for i in 0..size {
            values.push(Vector::cast_from(right[from + (step * size + i) * right_step]));
        }
        #[unroll]
        for r in 0..rows {
            let factors = Vector::<f32, N>::cast_from(left[starts[r] + step]);
            #[unroll]
            for i in 0..size {
                sums[r].store(sums[r].read() + values[i] * Vector::new(factors.extract(i)));
            }
        }
    }
    let out_from = (batch * num_rows + row) * columns + column;
    if comptime!(slices == 1) {
        #[unroll]
        for r in 0..rows {
            if column < columns && row + r < num_rows {
                out[out_from + r * columns] = Vector::cast_from(sums[r].read());
            }
        }
    } else {
        let width = COLUMNS as usize;
        let unit = UNIT_POS_X as usize;
        let mut shared = Shared::<[Vector<f32, N>]>::new_slice(comptime!(COLUMNS as usize * slices * rows));
        #[unroll]
        for r in 0..rows {
            shared[(r * slices + slice) * width + unit] = sums[r].read();
        }
        sync_cube();
        // The slices share the rows between them.
        for r in range_stepped(slice, rows, slices) {
            if column < columns && row + r < num_rows {
                let mut sum = Vector::<f32, N>::new(0.0);
                for s in 0..slices {
                    sum += shared[(r * slices + s) * width + unit];
                }
                out[out_from + r * columns] = Vector::cast_from(sum);
            }
        }
    }
}
