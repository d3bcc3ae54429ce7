//! Reading back from a device, blocking: training is native, and a step ends when its numbers are there.

use burn::tensor::{DType, Tensor};

use crate::error::{Result, TrainError};

/// The values of a tensor, row-major.
///
/// # Errors
/// Where the device fails.
pub fn read_f32<const D: usize>(tensor: Tensor<D>) -> Result<Vec<f32>> {
    let failed = |error: String| {
        let message = format!("cannot read numbers back from the device: {error}");
        TrainError::Model(conclave_model::Error::new(conclave_model::ErrorKind::Device, message))
    };
    let data = pollster::block_on(tensor.cast(DType::F32).into_data_async())
        .map_err(|e| failed(format!("{e:?}")))?;
    data.try_into_vec::<f32>().map_err(|error| failed(format!("{error:?}")))
}
