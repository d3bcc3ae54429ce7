//! Matrix products: by the kernels of `conclave-kernels` where the build has them, else by burn's.

use burn::nn::Linear;
use burn::tensor::Tensor;

/// `x weight + bias`.
///
/// # Shapes
///
/// - `x`: `[rows, seq, in]`
/// - output: `[rows, seq, out]`
pub(crate) fn linear(layer: &Linear, x: Tensor<3>) -> Tensor<3> {
    #[cfg(not(feature = "kernels"))]
    return layer.forward(x);
    #[cfg(feature = "kernels")]
    {
        let [rows, seq, input] = x.dims();
        let weight = layer.weight.val();
        let [_, output] = weight.dims();
        let product = conclave_kernels::product(x.reshape([rows * seq, input]), weight);
        let product = match &layer.bias {
            Some(bias) => product + bias.val().unsqueeze(),
            None => product,
        };
        product.reshape([rows, seq, output])
    }
}

/// `left right`, batch by batch.
///
/// # Shapes
///
/// - `left`: `[.., m, k]`
/// - `right`: `[.., k, n]`
/// - output: `[.., m, n]`
pub(crate) fn product<const D: usize>(left: Tensor<D>, right: Tensor<D>) -> Tensor<D> {
    #[cfg(feature = "kernels")]
    return conclave_kernels::product(left, right);
    #[cfg(not(feature = "kernels"))]
    return left.matmul(right);
}

/// `x matrix^T`.
///
/// # Shapes
///
/// - `x`: `[tokens, in]`
/// - `matrix`: `[out, in]`
/// - output: `[tokens, out]`
pub(crate) fn transposed(x: Tensor<2>, matrix: Tensor<2>) -> Tensor<2> {
    #[cfg(feature = "kernels")]
    return conclave_kernels::product_transposed(x, matrix);
    #[cfg(not(feature = "kernels"))]
    return x.matmul(matrix.transpose());
}
