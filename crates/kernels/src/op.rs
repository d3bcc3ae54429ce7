//! The products as operations on tensors: which kernel takes which shape, and what is left to burn.

use burn::backend::tensor::FloatTensor;
use burn::backend::{
    Backend, BackendTensor, Dispatch, DispatchTensor, DispatchTensorKind, backend_extension,
};
use burn::tensor::{Shape, Tensor};
use burn_cubecl::CubeBackend;
use burn_cubecl::cubecl::ir::ElemType;
use burn_cubecl::cubecl::prelude::*;
use burn_cubecl::kernel::into_contiguous;
use burn_cubecl::ops::numeric::empty_device_contiguous_dtype;
use burn_cubecl::tensor::CubeTensor;

use crate::shape::ProductLaunch;
use crate::{few_rows, many_rows, transposed};

/// Elements that a unit reads at once: 16 bytes of f32.
const VECTOR: usize = 4;

/// Cubes along one axis that every device allows.
const MAX_CUBES: usize = 65_535;

/// `left right`, batch by batch.
///
/// # Shapes
///
/// - `left`: `[.., m, k]`
/// - `right`: `[.., k, n]`, the same leading dimensions
/// - output: `[.., m, n]`
///
/// # Panics
///
/// Where burn's `matmul` does: shapes that do not fit, tensors of two devices.
pub fn product<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    let (l, r) = (left.dims(), right.dims());
    let [m, k, n] = [l[D - 2], l[D - 1], r[D - 1]];
    let batches: usize = l[..D - 2].iter().product();
    let fits = left.dtype() == right.dtype()
        && l[..D - 2] == r[..D - 2]
        && r[D - 2] == k
        && [k, n].iter().all(|size| size % VECTOR == 0)
        && [batches, m, k, n].iter().all(|size| *size > 0)
        && batches.max(m.div_ceil(many_rows::ROWS)) <= MAX_CUBES;
    match (left.into_dispatch(), right.into_dispatch()) {
        (left, right) if fits && are_on_gpu(&left, &right) => {
            Tensor::from_dispatch(<Dispatch as Products>::product(left, right))
        }
        (left, right) => Tensor::<D>::from_dispatch(left).matmul(Tensor::from_dispatch(right)),
    }
}

/// `left right^T`.
///
/// # Shapes
///
/// - `left`: `[m, k]`
/// - `right`: `[n, k]`
/// - output: `[m, n]`
///
/// # Panics
///
/// As [`product`].
pub fn product_transposed(left: Tensor<2>, right: Tensor<2>) -> Tensor<2> {
    let ([m, k], [n, depth]) = (left.dims(), right.dims());
    let fits = left.dtype() == right.dtype()
        && k == depth
        && k % VECTOR == 0
        && [m, k, n].iter().all(|size| *size > 0)
        && n.div_ceil(transposed::COLUMNS as usize).max(m.div_ceil(transposed::ROWS)) <= MAX_CUBES;
    match (left.into_dispatch(), right.into_dispatch()) {
        (left, right) if fits && are_on_gpu(&left, &right) => {
            Tensor::from_dispatch(<Dispatch as Products>::product_transposed(left, right))
        }
        (left, right) => {
            Tensor::<2>::from_dispatch(left).matmul(Tensor::<2>::from_dispatch(right).transpose())
        }
    }
}

/// Whether they are tensors of floats on a GPU that nothing is differentiated through.
fn are_on_gpu(left: &DispatchTensor, right: &DispatchTensor) -> bool {
    let is_on_gpu =
        |tensor: &DispatchTensor| matches!(tensor.kind, DispatchTensorKind::Cube(BackendTensor::Float(_)));
    is_on_gpu(left) && is_on_gpu(right)
}

/// The products of a backend. Burn's own are the default: where it fuses, it chooses kernels itself.
#[backend_extension(Cube, Fusion: cfg(feature = "fusion"))]
pub trait Products: Backend {
    /// Sizes that [`product`](fn@product) has checked.
    #[fusion(default)]
    fn product(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(left, right)
    }

    /// Sizes that [`product_transposed`] has checked.
    #[fusion(default)]
    fn product_transposed(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        Self::float_matmul(left, Self::float_transpose(right))
    }
}

impl Products for CubeBackend {
    fn product(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        let left = into_contiguous(left);
        let as_it_lies = is_read_as_it_lies(&right);
        let right = if as_it_lies { right } else { into_contiguous(right) };
        let rank = left.meta.shape().len();
        let [m, k] = [rank - 2, rank - 1].map(|dimension| left.meta.shape()[dimension]);
        let n = right.meta.shape()[rank - 1];
        let batches: usize = left.meta.shape()[..rank - 2].iter().product();
        let mut shape = left.meta.shape().to_vec();
        shape[rank - 1] = n;
        let out = empty(&left, shape);
        let (client, dtype) = (left.client.clone(), element(&left));
        // What is contiguous may still have any stride along a dimension of size 1, which batches are counted by.
        let [row, batch] = match (as_it_lies, right.meta.strides()) {
            (true, strides) if batches > 1 => [strides[rank - 2], strides[rank - 3]],
            (true, strides) => [strides[rank - 2], 0],
            (false, _) => [n, k * n],
        };
        let product = launch([m, k, n, row, batch]);
        let arguments = (left.into_tensor_arg(), right.into_tensor_arg(), out.clone().into_tensor_arg());
        let (left, right, target) = arguments;
        if m <= few_rows::MAX_ROWS {
            let rows = m.min(few_rows::ROWS);
            let slices = few_rows::slices(k / VECTOR, rows);
            let columns = n.div_ceil(VECTOR * few_rows::COLUMNS as usize);
            let cubes = cubes([columns, m.div_ceil(rows), batches]);
            let dim = CubeDim::new_2d(few_rows::COLUMNS, slices as u32);
            // SAFETY: the kernel stays within the sizes of `product`, which the tensors have.
            unsafe {
                few_rows::few_rows::launch_unchecked(
                    &client, cubes, dim, VECTOR, left, right, target, product, rows, slices, dtype,
                );
            }
        } else {
            let [wide, high] = many_rows::CUBE;
            let columns = n.div_ceil(VECTOR * wide as usize);
            let cubes = cubes([columns, m.div_ceil(many_rows::ROWS * high as usize), batches]);
            // SAFETY: as above.
            unsafe {
                many_rows::many_rows::launch_unchecked(
                    &client,
                    cubes,
                    CubeDim::new_2d(wide, high),
                    VECTOR,
                    left,
                    right,
                    target,
                    product,
                    dtype,
                );
            }
        }
        out
    }

    fn product_transposed(left: FloatTensor<Self>, right: FloatTensor<Self>) -> FloatTensor<Self> {
        let (left, right) = (into_contiguous(left), into_contiguous(right));
        let [m, k] = [left.meta.shape()[0], left.meta.shape()[1]];
        let n = right.meta.shape()[0];
        let out = empty(&left, vec![m, n]);
        let (client, dtype) = (left.client.clone(), element(&left));
        let rows = m.min(transposed::ROWS);
        let cubes = cubes([1, n.div_ceil(transposed::COLUMNS as usize), m.div_ceil(rows)]);
        let dim = CubeDim::new_2d(transposed::SLICES, transposed::COLUMNS);
        let product = launch([m, k, n, k, 0]);
        // SAFETY: as above.
        unsafe {
            transposed::transposed::launch_unchecked(
                &client,
                cubes,
                dim,
                VECTOR,
                left.into_tensor_arg(),
                right.into_tensor_arg(),
                out.clone().into_tensor_arg(),
                product,
                rows,
                dtype,
            );
        }
        out
    }
}

/// Whether the kernels can read it on the right: vectors along its rows, batches at equal distances.
fn is_read_as_it_lies(tensor: &CubeTensor) -> bool {
    let (shape, strides) = (tensor.meta.shape(), tensor.meta.strides());
    let rank = shape.len();
    strides[rank - 1] == 1
        && strides[..rank - 1].iter().all(|stride| stride % VECTOR == 0)
        && (0..rank.saturating_sub(3)).all(|i| strides[i] == strides[i + 1] * shape[i + 1])
}

fn launch(sizes: [usize; 5]) -> ProductLaunch {
    let [rows, depth, columns, right_row, right_batch] = sizes.map(|size| size as u32);
    ProductLaunch::new(rows, depth, columns, right_row, right_batch)
}

fn cubes(counts: [usize; 3]) -> CubeCount {
    let [x, y, z] = counts.map(|count| count as u32);
    CubeCount::Static(x, y, z)
}

fn element(tensor: &CubeTensor) -> ElemType {
    burn::backend::cubecl::dtype_to_storage_type(tensor.dtype)
}

fn empty(like: &CubeTensor, shape: Vec<usize>) -> CubeTensor {
    empty_device_contiguous_dtype(like.client.clone(), like.device.clone(), Shape::from(shape), like.dtype)
}
