//! The numbers of one tensor as the bytes of a file, and their conversion: f16 and bf16 to f32 and back, whole numbers.
//!
//! Conversion to f32 is exact; to half precision it rounds to nearest, ties to even. Where the bytes come from is in
//! [`weights`](crate::weights).

use crate::error::{Error, Result};
use crate::safetensors::Dtype;
use half::slice::HalfFloatSliceExt;
use half::{bf16, f16};

/// A tensor, or some rows of one, as the bytes that a file holds: row-major, little endian.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorBytes {
    /// Type of the numbers.
    pub dtype: Dtype,
    /// Dimensions; the first is the number of rows that were read.
    pub shape: Vec<usize>,
    /// The numbers.
    pub bytes: Vec<u8>,
}

impl TensorBytes {
    /// f32 numbers as they will stand in a file.
    pub fn from_f32(shape: &[usize], values: &[f32]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::F32, shape: shape.to_vec(), bytes }
    }

    /// i64 numbers as they will stand in a file.
    pub fn from_i64(shape: &[usize], values: &[i64]) -> Self {
        let bytes = values.iter().flat_map(|value| value.to_le_bytes()).collect();
        Self { dtype: Dtype::I64, shape: shape.to_vec(), bytes }
    }

    /// The numbers as f32: exact for f32, f16 and bf16.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for any other type.
    pub fn to_f32(&self) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.append_f32(&mut values)?;
        Ok(values)
    }

    /// [`to_f32`](Self::to_f32) onto the end of `values`.
    ///
    /// # Errors
    /// As `to_f32`.
    pub fn append_f32(&self, values: &mut Vec<f32>) -> Result<()> {
        values.reserve(self.bytes.len() / self.dtype.size());
        match self.dtype {
            Dtype::F32 => {
                values.extend(self.bytes.as_chunks().0.iter().map(|&bytes| f32::from_le_bytes(bytes)))
            }
            Dtype::F16 => append_half(&self.bytes, values, f16::from_le_bytes),
            Dtype::BF16 => append_half(&self.bytes, values, bf16::from_le_bytes),
            _ => return Err(self.unsupported("floating-point numbers (F32, F16 or BF16)")),
        }
        Ok(())
    }

    /// The numbers as i64.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for anything but I64 and I32.
    pub fn to_i64(&self) -> Result<Vec<i64>> {
        match self.dtype {
            Dtype::I64 => {
                Ok(self.bytes.as_chunks().0.iter().map(|&bytes| i64::from_le_bytes(bytes)).collect())
            }
            Dtype::I32 => {
                Ok(self.bytes.as_chunks().0.iter().map(|&bytes| i32::from_le_bytes(bytes).into()).collect())
            }
            _ => Err(self.unsupported("whole numbers (I64 or I32)")),
        }
    }

    /// The same numbers as `dtype` (F32, F16 or BF16), rounded to nearest, ties to even.
    ///
    /// # Errors
    /// [`Unsupported`](ErrorKind::Unsupported) for other types; [`NotFinite`](ErrorKind::NotFinite) where a finite
    /// number is too large for `dtype` and would become infinite.
    pub fn to_dtype(&self, dtype: Dtype) -> Result<Self> {
        let shape = self.shape.clone();
        if dtype == self.dtype && matches!(dtype, Dtype::F32 | Dtype::F16 | Dtype::BF16) {
            return Ok(self.clone());
        }
        let values = self.to_f32()?;
        let bytes = match dtype {
            Dtype::F32 => return Ok(Self::from_f32(&shape, &values)),
            Dtype::F16 => half_bytes(&values, f16::to_le_bytes, f16::is_infinite),
            Dtype::BF16 => half_bytes(&values, bf16::to_le_bytes, bf16::is_infinite),
            _ => {
                return Err(Error::unsupported(format!(
                    "cannot write weights as {dtype}, expected F32, F16 or BF16"
                )));
            }
        };
        let bytes = bytes.map_err(|value| {
            Error::not_finite(format!("holds {value:e}, which is too large for {dtype}: use BF16 or F32"))
        })?;
        Ok(Self { dtype, shape, bytes })
    }

    fn unsupported(&self, expected: &str) -> Error {
        Error::unsupported(format!("holds {}, expected {expected}", self.dtype))
    }
}

/// Half-precision numbers converted at once: enough for the vector instructions of `half`, little beside a block.
const HALF_BLOCK: usize = 4_096;

fn append_half<H: Copy>(bytes: &[u8], values: &mut Vec<f32>, from_le_bytes: fn([u8; 2]) -> H)
where
    [H]: HalfFloatSliceExt,
{
    let mut block = Vec::with_capacity(HALF_BLOCK);
    for bytes in bytes.as_chunks().0.chunks(HALF_BLOCK) {
        block.clear();
        block.extend(bytes.iter().map(|&bytes| from_le_bytes(bytes)));
        let start = values.len();
        values.resize(start + block.len(), 0.0);
        block.convert_to_f32_slice(&mut values[start..]);
    }
}

/// The bytes of `values` in half precision, or the first finite value that would become infinite.
fn half_bytes<H: Copy + Default>(
    values: &[f32],
    to_le_bytes: fn(H) -> [u8; 2],
    is_infinite: fn(H) -> bool,
) -> Result<Vec<u8>, f32>
where
    [H]: HalfFloatSliceExt,
{
    let mut bytes = Vec::with_capacity(values.len() * 2);
    let mut block = [H::default(); HALF_BLOCK];
    for values in values.chunks(HALF_BLOCK) {
        let block = &mut block[..values.len()];
        block.convert_from_f32_slice(values);
        for (&half, &value) in block.iter().zip(values) {
            if is_infinite(half) && value.is_finite() {
                return Err(value);
            }
            bytes.extend(to_le_bytes(half));
        }
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    const VALUES: [f32; 8] = [0.0, -1.5, 1.0 / 3.0, 65_504.0, 1e-7, f32::INFINITY, -0.0, 1.0 + 1.0 / 256.0];

    #[test]
    fn f32_goes_there_and_back_unchanged() {
        let values: Vec<f32> = VALUES.into_iter().cycle().take(10_001).collect();
        let tensor = TensorBytes::from_f32(&[10_001], &values);
        assert_eq!(tensor.to_f32().unwrap(), values);
        assert_eq!(tensor.to_dtype(Dtype::F32).unwrap(), tensor);
    }

    #[test]
    fn half_precision_rounds_to_nearest_even_across_blocks() {
        let values: Vec<f32> = VALUES.into_iter().cycle().take(HALF_BLOCK + 5).collect();
        let tensor = TensorBytes::from_f32(&[values.len()], &values);
        let f16s = tensor.to_dtype(Dtype::F16).unwrap().to_f32().unwrap();
        let bf16s = tensor.to_dtype(Dtype::BF16).unwrap().to_f32().unwrap();
        for (i, &value) in values.iter().enumerate() {
            assert_eq!(f16s[i].to_bits(), f16::from_f32(value).to_f32().to_bits(), "f16 of {value}");
            assert_eq!(bf16s[i].to_bits(), bf16::from_f32(value).to_f32().to_bits(), "bf16 of {value}");
        }
        // 1 + 2^-8 lies halfway between the bf16 numbers 1 and 1 + 2^-7.
        assert_eq!(bf16s[7], 1.0);
    }

    #[test]
    fn a_number_too_large_for_the_type_is_refused() {
        let tensor = TensorBytes::from_f32(&[2], &[1.0, -70_000.0]);
        let error = tensor.to_dtype(Dtype::F16).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NotFinite);
        assert_eq!(error.to_string(), "holds -7e4, which is too large for F16: use BF16 or F32");
        assert!(tensor.to_dtype(Dtype::BF16).is_ok());
        assert_eq!(tensor.to_dtype(Dtype::I64).unwrap_err().kind(), ErrorKind::Unsupported);
    }

    #[test]
    fn whole_numbers() {
        let tensor = TensorBytes::from_i64(&[1, 2], &[-3, i64::MAX]);
        assert_eq!(tensor.to_i64().unwrap(), [-3, i64::MAX]);
        assert_eq!(tensor.to_f32().unwrap_err().kind(), ErrorKind::Unsupported);
        let tensor = TensorBytes { dtype: Dtype::I32, shape: vec![1], bytes: vec![0xfe, 0xff, 0xff, 0xff] };
        assert_eq!(tensor.to_i64().unwrap(), [-2]);
    }
}
