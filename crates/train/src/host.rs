//! Between device and host. Reading back blocks: training is native, and a step ends when its numbers are there.

use burn::tensor::{DType, Device, Tensor, TensorData};
use conclave_model::weights::{self, WeightSource};

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

/// The tensor `name` of a file of tensors, f32.
///
/// # Errors
/// A tensor that is not there, of another shape, or cannot be read.
pub async fn read_tensor(
    source: &impl WeightSource,
    name: &str,
    shape: [usize; 2],
    device: &Device,
) -> conclave_model::Result<Tensor<2>> {
    let values = weights::read_f32(source, name, &shape, None).await?;
    Ok(Tensor::from_data(TensorData::new(values, shape), device))
}
