//! Quantised weights of a directory: as they are stored, and as the f32 weights that they stand for.
//!
//! [`Quantized`] wraps a source whose matrices are in the compressed-tensors format ([`conclave_quantize::config`]) and
//! is a [`WeightSource`] itself, in which `X.weight_packed`, `X.weight_scale` and `X.weight_shape` are one f32 tensor
//! `X.weight`. That is the oracle of every product with quantised weights, and what `model export` writes. What the
//! products themselves are loaded from is [`Quantized::read_rows`].

use std::collections::BTreeMap;
use std::ops::Range;

use conclave_quantize::config::{QuantizationConfig, Scheme, repeat_scales};
use conclave_quantize::int4::Int4Rows;
use conclave_quantize::int8::Int8Rows;
use half::f16;

use crate::error::{Error, Result};
use crate::safetensors::{Dtype, TensorInfo};
use crate::tensor_bytes::TensorBytes;
use crate::weights::WeightSource;

/// Ends of the names of a quantised matrix's tensors.
pub const PACKED: &str = ".weight_packed";
/// See [`PACKED`].
pub const SCALE: &str = ".weight_scale";
/// See [`PACKED`].
pub const SHAPE: &str = ".weight_shape";

/// Rows of a quantised matrix.
#[derive(Clone, Debug, PartialEq)]
pub enum QuantizedRows {
    /// In four bits.
    Int4(Int4Rows),
    /// In eight bits.
    Int8(Int8Rows),
}

impl QuantizedRows {
    /// The weights that they stand for, `[rows, columns]`.
    pub fn dequantize(&self) -> Vec<f32> {
        match self {
            Self::Int4(rows) => rows.dequantize(),
            Self::Int8(rows) => rows.dequantize(),
        }
    }
}

/// A source whose quantised matrices can be read either way.
pub struct Quantized<S> {
    source: S,
    /// By the name of the weight, `X.weight`.
    matrices: BTreeMap<String, Matrix>,
}

struct Matrix {
    module: String,
    scheme: Scheme,
    /// Of the f32 weights; its range is that of no file.
    info: TensorInfo,
}

impl<S: WeightSource> Quantized<S> {
    /// Finds the quantised matrices of `source` and checks their shapes; reads 16 bytes of each.
    ///
    /// # Errors
    /// Names the tensor: one that is missing, of another type or shape than the others and `config` say, zero points or
    /// an order of columns, a weight that is there quantised and not.
    pub async fn new(source: S, config: &QuantizationConfig) -> Result<Self> {
        let mut matrices = BTreeMap::new();
        for name in source.names() {
            if name.ends_with(".weight_zero_point") || name.ends_with(".weight_g_idx") {
                return Err(Error::unsupported(format!(
                    "tensor `{name}`: weights with zero points or reordered columns are not supported, expected symmetric ones"
                )));
            }
            let Some(module) = name.strip_suffix(PACKED) else { continue };
            let matrix = Matrix::open(&source, module, config).await.map_err(|error| error.context(name))?;
            matrices.insert(format!("{module}.weight"), matrix);
        }
        if matrices.is_empty() {
            return Err(Error::format(
                "config.json says that the weights are quantised, but no tensor is called *.weight_packed: download it again",
            ));
        }
        Ok(Self { source, matrices })
    }

    /// The tensors as they are stored.
    pub fn source(&self) -> &S {
        &self.source
    }

    /// How the matrix `name` (`X.weight`) is quantised; `None` where it is not.
    pub fn scheme(&self, name: &str) -> Option<Scheme> {
        Some(self.matrices.get(name)?.scheme)
    }

    /// Rows of the matrix `name` (`X.weight`) as they are stored.
    ///
    /// # Errors
    /// A matrix that is not quantised; what reading reports.
    pub async fn read_rows(&self, name: &str, rows: Option<Range<usize>>) -> Result<QuantizedRows> {
        let matrix = self
            .matrices
            .get(name)
            .ok_or_else(|| Error::not_found(format!("no quantised weight is called `{name}`")))?;
        let packed = self.source.read(&(matrix.module.clone() + PACKED), rows.clone()).await?;
        let scales = self.source.read(&(matrix.module.clone() + SCALE), rows).await?.to_f32()?;
        let columns = matrix.info.shape[1];
        let words = packed.bytes.as_chunks().0.iter().map(|&bytes| u32::from_le_bytes(bytes)).collect();
        let rows = match matrix.scheme {
            Scheme::Int4 { group } => repeat_scales(&scales, group).and_then(|scales| {
                let scales = scales.into_iter().map(f16::from_f32).collect();
                Int4Rows::new(columns, words, scales).map(QuantizedRows::Int4)
            }),
            Scheme::Int8 => Int8Rows::new(columns, &words, scales).map(QuantizedRows::Int8),
        };
        rows.map_err(|error| Error::format(format!("`{name}`: {error}")))
    }
}

impl Matrix {
    async fn open(source: &impl WeightSource, module: &str, config: &QuantizationConfig) -> Result<Self> {
        let dimensions = source.read(&format!("{module}{SHAPE}"), None).await?.to_i64()?;
        let sizes: Vec<usize> = dimensions.iter().filter_map(|&size| usize::try_from(size).ok()).collect();
        let &[rows, columns] = sizes.as_slice() else {
            return Err(Error::format(format!(
                "its weight_shape is {dimensions:?}, expected rows and columns"
            )));
        };
        let packed = shape_of(source, &format!("{module}{PACKED}"), &[Dtype::I32])?;
        let scale = shape_of(source, &format!("{module}{SCALE}"), &[Dtype::F16, Dtype::BF16, Dtype::F32])?;
        if source.info(&format!("{module}.weight")).is_some() {
            return Err(Error::format(format!("`{module}.weight` is there too: expected only one of them")));
        }
        let scheme = config
            .scheme_of([rows, columns], packed, scale)
            .map_err(|error| Error::unsupported(error.to_string()))?;
        // The words are there, so this is no more than eight times the length of the file.
        let bytes = rows as u64 * columns as u64 * 4;
        let info = TensorInfo { dtype: Dtype::F32, shape: vec![rows, columns], range: 0..bytes };
        Ok(Self { module: module.to_owned(), scheme, info })
    }
}

fn shape_of(source: &impl WeightSource, name: &str, types: &[Dtype]) -> Result<[usize; 2]> {
    let info = source.info(name).ok_or_else(|| Error::format(format!("there is no tensor `{name}`")))?;
    if !types.contains(&info.dtype) {
        return Err(Error::unsupported(format!("`{name}` holds {}, expected one of {types:?}", info.dtype)));
    }
    <[usize; 2]>::try_from(info.shape.as_slice())
        .map_err(|_| Error::format(format!("`{name}` has shape {:?}, expected two dimensions", info.shape)))
}

impl<S: WeightSource> WeightSource for Quantized<S> {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.matrices.get(name).map(|matrix| &matrix.info).or_else(|| self.source.info(name))
    }

    fn names(&self) -> Vec<&str> {
        let is_part = |name: &&str| [PACKED, SCALE, SHAPE].iter().any(|end| name.ends_with(end));
        let others = self.source.names().into_iter().filter(|name| !is_part(name));
        let mut names: Vec<&str> = others.chain(self.matrices.keys().map(String::as_str)).collect();
        names.sort_unstable();
        names
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        let Some(matrix) = self.matrices.get(name) else { return self.source.read(name, rows).await };
        let [all, columns] = [matrix.info.shape[0], matrix.info.shape[1]];
        let count = rows.as_ref().map_or(all, Range::len);
        let weights = self.read_rows(name, rows).await?.dequantize();
        Ok(TensorBytes::from_f32(&[count, columns], &weights))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::weights::MemoryWeights;
    use conclave_quantize::config::Group;
    use conclave_quantize::{int4, int8};
    use pollster::block_on;

    fn config() -> QuantizationConfig {
        let group = |name: &str, scheme| Group { targets: vec![name.to_owned()], scheme };
        QuantizationConfig {
            groups: vec![group("a", Scheme::INT4), group("b", Scheme::Int8)],
            ignore: Vec::new(),
        }
    }

    fn words(shape: [usize; 2], words: &[u32]) -> TensorBytes {
        let bytes = words.iter().flat_map(|word| word.to_le_bytes()).collect();
        TensorBytes { dtype: Dtype::I32, shape: shape.to_vec(), bytes }
    }

    /// `a` in four bits, `b` in eight, and a norm; with the weights that they stand for.
    fn source() -> (MemoryWeights, Vec<f32>, Vec<f32>) {
        let weights: Vec<f32> = (0..3 * 64).map(|at| ((at * 37) % 101) as f32 / 100.0 - 0.5).collect();
        let (a, b) = (
            int4::quantize_rows(&weights, 64, None).unwrap(),
            int8::quantize_rows(&weights, 64, None).unwrap(),
        );
        let scales: Vec<f32> = a.scales().iter().map(|scale| scale.to_f32()).collect();
        let mut source = MemoryWeights::new();
        let mut insert = |name: &str, tensor| source.insert(name, tensor).unwrap();
        insert("a.weight_packed", words([3, 8], a.packed()));
        insert("a.weight_scale", TensorBytes::from_f32(&[3, 2], &scales).to_dtype(Dtype::F16).unwrap());
        insert("a.weight_shape", TensorBytes::from_i64(&[2], &[3, 64]));
        insert("b.weight_packed", words([3, 16], &b.packed().unwrap()));
        insert("b.weight_scale", TensorBytes::from_f32(&[3, 1], b.scales()));
        insert("b.weight_shape", TensorBytes::from_i64(&[2], &[3, 64]));
        insert("norm.weight", TensorBytes::from_f32(&[2], &[1.0, 2.0]));
        (source, a.dequantize(), b.dequantize())
    }

    #[test]
    fn matrices_are_read_as_the_weights_they_stand_for() {
        let (source, a, b) = source();
        let quantized = block_on(Quantized::new(source, &config())).unwrap();
        assert_eq!(quantized.names(), ["a.weight", "b.weight", "norm.weight"]);
        for (name, weights) in [("a.weight", a), ("b.weight", b)] {
            assert_eq!(quantized.info(name).unwrap().shape, [3, 64]);
            assert_eq!(block_on(quantized.read(name, None)).unwrap().to_f32().unwrap(), weights);
            let rows = block_on(quantized.read(name, Some(1..3))).unwrap();
            assert_eq!((rows.shape.clone(), rows.to_f32().unwrap()), (vec![2, 64], weights[64..].to_vec()));
            assert!(block_on(quantized.read(name, Some(2..4))).is_err());
        }
        assert_eq!(block_on(quantized.read("norm.weight", None)).unwrap().to_f32().unwrap(), [1.0, 2.0]);
        assert_eq!(quantized.scheme("b.weight"), Some(Scheme::Int8));
        assert_eq!(quantized.scheme("norm.weight"), None);
    }

    #[test]
    fn tensors_that_do_not_fit_are_refused() {
        let floats = |shape: &[usize]| TensorBytes::from_f32(shape, &vec![1.0; shape.iter().product()]);
        let cases = [
            ("a.weight_shape", TensorBytes::from_i64(&[2], &[3, 96])),
            ("a.weight_shape", TensorBytes::from_i64(&[2], &[-3, 64])),
            ("a.weight_shape", TensorBytes::from_i64(&[2], &[i64::MAX, i64::MAX])),
            ("a.weight_shape", TensorBytes::from_i64(&[3], &[3, 64, 1])),
            ("a.weight_shape", floats(&[2])),
            ("a.weight_packed", floats(&[3, 8])),
            ("a.weight_packed", words([24, 1], &[0; 24])),
            ("a.weight_scale", floats(&[3, 3])),
            ("a.weight_scale", TensorBytes::from_i64(&[3, 2], &[1; 6])),
            ("a.weight_zero_point", words([3, 1], &[0; 3])),
            ("a.weight_g_idx", words([64, 1], &[0; 64])),
            ("a.weight", floats(&[3, 64])),
            ("c.weight_packed", words([3, 8], &[0; 24])),
        ];
        for (name, tensor) in cases {
            let (mut source, ..) = source();
            source.insert(name, tensor).unwrap();
            assert!(block_on(Quantized::new(source, &config())).is_err(), "{name}");
        }
        let mut source = MemoryWeights::new();
        source.insert("norm.weight", floats(&[2])).unwrap();
        assert!(block_on(Quantized::new(source, &config())).is_err());
    }
}
