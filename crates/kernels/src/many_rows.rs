//! Many rows by a matrix, as in reading a prompt: each unit computes eight rows of four columns, in registers alone.

use burn_cubecl::cubecl::{self, prelude::*};

use crate::shape::Product;

/// Rows of a unit: each vector of the right side that it reads serves so many.
pub(crate) const ROWS: usize = 8;

/// Units of a cube along the columns, and along the rows.
pub(crate) const CUBE: [u32; 2] = [16, 4];

/// A product of every batch; see [`Product`].
#[cube(launch_unchecked)]
pub(crate) fn many_rows<F: Float, N: Size>(
    left: &Tensor<Vector<F, N>>,
    right: &Tensor<Vector<F, N>>,
    out: &mut Tensor<Vector<F, N>>,
    product: Product,
    #[define(F)] _dtype: ElemType,
) {
    let size = N::value();
    let batch = CUBE_POS_Z as usize;
    let (num_rows, steps, columns) = (product.rows(), product.depth() / size, product.columns() / size);
    let column = ABSOLUTE_POS_X as usize;
    let row = ABSOLUTE_POS_Y as usize * ROWS;
    if column >= columns || row >= num_rows {
        terminate!();
    }
    let right_step = product.right_row() / size;
    let mut from = batch * product.right_batch() / size + column;
    let mut sums = Sequence::<RuntimeCell<Vector<f32, N>>>::new();
    let mut starts = Sequence::<usize>::new();
    #[unroll]
    for r in 0..ROWS {
        sums.push(RuntimeCell::new(Vector::new(0.0)));
        // The last unit computes the last row several times rather than reading beyond it.
        starts.push((batch * num_rows + min(row + r, num_rows - 1)) * steps);
    }
    for step in 0..steps {
        let mut values = Sequence::<Vector<f32, N>>::new();
        #[unroll]
        for i in 0..size {
            values.push(Vector::cast_from(right[from + i * right_step]));
        }
        from += size * right_step;
        #[unroll]
        for r in 0..ROWS {
            let factors = Vector::<f32, N>::cast_from(left[starts[r] + step]);
            #[unroll]
            for i in 0..size {
                sums[r].store(sums[r].read() + values[i] * Vector::new(factors.extract(i)));
            }
        }
    }
    #[unroll]
    for r in 0..ROWS {
        if row + r < num_rows {
            out[(batch * num_rows + row + r) * columns + column] = Vector::cast_from(sums[r].read());
        }
    }
}
