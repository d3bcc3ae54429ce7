//! The kernels beside burn's products on the processor, over the shapes that their edges are at.

/// The test run leaves tests of this name out where there is no driver.
mod wgpu {
    use burn::tensor::{Device, Distribution, Tensor};
    use conclave_kernels::{product, product_transposed};

    fn random(shape: [usize; 2], device: &Device) -> (Tensor<2>, Tensor<2>) {
        let cpu = Tensor::<2>::random(shape, Distribution::Uniform(-1.0, 1.0), &Device::flex());
        (cpu.clone(), Tensor::from_data(cpu.into_data(), device))
    }

    fn assert_close(got: Tensor<2>, expected: Tensor<2>, what: &str) {
        assert_eq!(got.dims(), expected.dims(), "{what}");
        let got: Vec<f32> = got.into_data().try_to_vec().unwrap();
        let expected: Vec<f32> = expected.into_data().try_to_vec().unwrap();
        for (i, (a, b)) in got.iter().zip(&expected).enumerate() {
            assert!((a - b).abs() < 1e-4, "{what}: element {i} is {a}, expected {b}");
        }
    }

    #[test]
    fn products_are_those_of_the_processor() {
        let device = Device::wgpu(Default::default());
        for m in [1, 2, 3, 7, 8, 9, 16, 33, 100] {
            for [k, n] in [[4, 4], [12, 20], [128, 384], [384, 128], [132, 64], [896, 260], [6, 10]] {
                let (left, left_on_gpu) = random([m, k], &device);
                let (right, right_on_gpu) = random([k, n], &device);
                let what = format!("[{m}, {k}] by [{k}, {n}]");
                let expected = left.matmul(right);
                assert_close(product(left_on_gpu.clone(), right_on_gpu.clone()), expected.clone(), &what);
                assert_close(product_transposed(left_on_gpu, right_on_gpu.transpose()), expected, &what);
            }
        }
    }

    #[test]
    fn batches_and_views_are_read_as_they_lie() {
        let device = Device::wgpu(Default::default());
        for m in [1, 7, 8, 30] {
            let (left, left_on_gpu) = random([2 * 3 * m, 16], &device);
            let (left, left_on_gpu) = (left.reshape([2, 3, m, 16]), left_on_gpu.reshape([2, 3, m, 16]));
            let (right, right_on_gpu) = random([2 * 3 * 24, 40], &device);
            let (right, right_on_gpu) = (right.reshape([2, 3, 24, 40]), right_on_gpu.reshape([2, 3, 24, 40]));
            for columns in [4, 10, 28, 40] {
                let narrow = |all: &Tensor<4>| all.clone().narrow(2, 0, 16).narrow(3, 0, columns);
                let (got, expected) = (
                    product(left_on_gpu.clone(), narrow(&right_on_gpu)),
                    left.clone().matmul(narrow(&right)),
                );
                assert_close(
                    got.flatten(0, 2),
                    expected.flatten(0, 2),
                    &format!("{m} rows, {columns} columns"),
                );
            }
            // Values of one key-value head as attention turns them: contiguous, but with the stride of another shape along the
            // dimension of size 1.
            let turned = |all: &Tensor<4>| all.clone().reshape([6, 24, 1, 40]).swap_dims(1, 2);
            let wide = |all: Tensor<4>| Tensor::cat(vec![all.clone(), all.narrow(3, 0, 8)], 3);
            let wide = |all: &Tensor<4>| wide(all.clone().reshape([6, 1, m, 16]));
            let (got, expected) =
                (product(wide(&left_on_gpu), turned(&right_on_gpu)), wide(&left).matmul(turned(&right)));
            assert_close(got.flatten(0, 2), expected.flatten(0, 2), &format!("{m} rows, one head"));
            let transposed = |all: &Tensor<4>| all.clone().narrow(3, 0, 16).transpose();
            let (got, expected) =
                (product(left_on_gpu, transposed(&right_on_gpu)), left.matmul(transposed(&right)));
            assert_close(got.flatten(0, 2), expected.flatten(0, 2), &format!("{m} rows, transposed"));
        }
    }
}
