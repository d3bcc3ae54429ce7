//! The safetensors format: a header read without trust, and headers for files to be written tensor by tensor.
//!
//! A file is the header's length (u64, little endian), the header (JSON: name to dtype, shape and byte range), then
//! the tensors, row-major and little endian. As in the format's own definition, the ranges must fill the file with no
//! overlap and no hole. Nothing is allocated by a length that the file only claims. Reading files and converting
//! numbers is in [`weights`](crate::weights).

use crate::error::{Error, Result};
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::fmt;
use std::ops::Range;

/// Longest header that is read: the limit of the format's own implementation.
pub const MAX_HEADER_LEN: u64 = 100_000_000;

/// Bytes before the header: its length.
pub const PREFIX_LEN: u64 = 8;

/// Type of the numbers of a tensor, by the names of the format.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, serde::Deserialize, serde::Serialize)]
#[expect(missing_docs, reason = "the names say it")]
#[allow(non_camel_case_types, reason = "the format's own names")]
#[non_exhaustive]
pub enum Dtype {
    BOOL,
    U8,
    I8,
    F8_E4M3,
    F8_E5M2,
    I16,
    U16,
    F16,
    BF16,
    I32,
    U32,
    F32,
    I64,
    U64,
    F64,
}

impl Dtype {
    /// Bytes a number takes.
    pub fn size(self) -> usize {
        match self {
            Self::BOOL | Self::U8 | Self::I8 | Self::F8_E4M3 | Self::F8_E5M2 => 1,
            Self::I16 | Self::U16 | Self::F16 | Self::BF16 => 2,
            Self::I32 | Self::U32 | Self::F32 => 4,
            Self::I64 | Self::U64 | Self::F64 => 8,
        }
    }

    /// The name `config.json` uses (`float32`), which is PyTorch's.
    pub fn torch_name(self) -> &'static str {
        match self {
            Self::BOOL => "bool",
            Self::U8 => "uint8",
            Self::I8 => "int8",
            Self::F8_E4M3 => "float8_e4m3fn",
            Self::F8_E5M2 => "float8_e5m2",
            Self::I16 => "int16",
            Self::U16 => "uint16",
            Self::F16 => "float16",
            Self::BF16 => "bfloat16",
            Self::I32 => "int32",
            Self::U32 => "uint32",
            Self::F32 => "float32",
            Self::I64 => "int64",
            Self::U64 => "uint64",
            Self::F64 => "float64",
        }
    }
}

impl fmt::Display for Dtype {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}

/// What a header says of one tensor, checked against the length of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// Type of its numbers.
    pub dtype: Dtype,
    /// Its dimensions, slowest first; empty for a single number.
    pub shape: Vec<usize>,
    /// Where its bytes lie, counted from the start of the file.
    pub range: Range<u64>,
}

impl TensorInfo {
    /// Number of rows: the first dimension, or 1 for a single number.
    pub fn rows(&self) -> usize {
        self.shape.first().copied().unwrap_or(1)
    }

    /// Bytes in all.
    pub fn byte_len(&self) -> u64 {
        self.range.end - self.range.start
    }

    /// Where rows `rows` lie in the file; `None` if it has no such rows.
    pub fn row_range(&self, rows: &Range<usize>) -> Option<Range<u64>> {
        if self.shape.is_empty() || rows.start > rows.end || rows.end > self.rows() {
            return None;
        }
        // Within the tensor, whose length in bytes is known to fit.
        let row_len = self.byte_len().checked_div(self.rows() as u64).unwrap_or(0);
        Some(self.range.start + rows.start as u64 * row_len..self.range.start + rows.end as u64 * row_len)
    }
}

/// A checked header.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Header {
    /// The tensors by name.
    pub tensors: BTreeMap<String, TensorInfo>,
    /// The free texts under `__metadata__`.
    pub metadata: BTreeMap<String, String>,
}

impl Header {
    /// Length of the header's JSON, from the first eight bytes of a file of `file_len` bytes.
    ///
    /// # Errors
    /// A file that is too short, or a length that is over the limit or past the end of the file.
    pub fn json_len(prefix: &[u8], file_len: u64) -> Result<u64> {
        let Some(prefix) = prefix.first_chunk::<8>() else {
            let message = format!("ends at byte {file_len}, before its header: download it again");
            return Err(Error::format(message));
        };
        let len = u64::from_le_bytes(*prefix);
        if len > MAX_HEADER_LEN {
            let message = format!("claims a header of {len} bytes, at most {MAX_HEADER_LEN} are allowed");
            return Err(Error::format(message + ": is it a safetensors file?"));
        }
        if len > file_len.saturating_sub(PREFIX_LEN) {
            let end = len + PREFIX_LEN;
            let message = format!("ends at byte {file_len}, its header alone at {end}: download it again");
            return Err(Error::format(message));
        }
        Ok(len)
    }

    /// Parses and checks the header's JSON, of a file of `file_len` bytes in all.
    ///
    /// # Errors
    /// Names the tensor and what is wrong: not JSON, a dtype that is not known, a shape that is not the byte range's
    /// length, ranges that overlap, leave a hole or pass the end of the file, a name that occurs twice.
    pub fn parse(json: &[u8], file_len: u64) -> Result<Self> {
        let raw: RawHeader = serde_json::from_slice(json).map_err(|error| {
            Error::format(format!("its header is not valid: {error}: download it again")).with_source(error)
        })?;
        let data_start = PREFIX_LEN + json.len() as u64;
        let mut entries = raw.tensors;
        entries.sort_by_key(|(_, tensor)| tensor.data_offsets);
        let mut header = Self { tensors: BTreeMap::new(), metadata: raw.metadata };
        let mut data_end = data_start;
        for (name, raw) in entries {
            let info =
                raw.check(data_start).map_err(|error| error.context(format_args!("tensor `{name}`")))?;
            if info.range.start != data_end {
                let what =
                    if info.range.start < data_end { "overlaps the one before it" } else { "leaves a hole" };
                let message =
                    format!("tensor `{name}` starts at byte {}, expected {data_end}", info.range.start);
                return Err(Error::format(format!("{message}: it {what}")));
            }
            data_end = info.range.end;
            if header.tensors.insert(name.clone(), info).is_some() {
                return Err(Error::format(format!("tensor `{name}` occurs twice in the header")));
            }
        }
        if data_end != file_len {
            let message = format!("ends at byte {file_len}, its header says {data_end}: download it again");
            return Err(Error::format(message));
        }
        Ok(header)
    }

    /// Parses and checks a whole file in memory.
    ///
    /// # Errors
    /// As [`json_len`](Self::json_len) and [`parse`](Self::parse).
    pub fn from_file_bytes(file: &[u8]) -> Result<Self> {
        let len = Self::json_len(file, file.len() as u64)?;
        // Within the file, as was just checked, so within a usize.
        Self::parse(&file[PREFIX_LEN as usize..(PREFIX_LEN + len) as usize], file.len() as u64)
    }
}

/// The first bytes of a file (length and header) whose tensors then follow in this order, each `shape` product times
/// `dtype` size bytes, with nothing between them. Padded so that the first tensor starts at a multiple of eight; put
/// wide types first to keep the others aligned too.
///
/// # Errors
/// A name that occurs twice or is reserved, or sizes that overflow.
pub fn header_bytes<'a>(
    tensors: impl IntoIterator<Item = (&'a str, Dtype, &'a [usize])>,
    metadata: &BTreeMap<String, String>,
) -> Result<Vec<u8>> {
    let mut json = serde_json::Map::new();
    if !metadata.is_empty() {
        json.insert(METADATA.into(), serde_json::json!(metadata));
    }
    let mut end = 0u64;
    for (name, dtype, shape) in tensors {
        let dimensions: Vec<u64> = shape.iter().map(|&n| n as u64).collect();
        let start = end;
        end = byte_len(dtype, &dimensions).and_then(|len| end.checked_add(len)).ok_or_else(|| {
            Error::capacity(format!("tensor `{name}` of shape {shape:?} does not fit into a file"))
        })?;
        let entry = serde_json::json!({"dtype": dtype, "shape": shape, "data_offsets": [start, end]});
        if name == METADATA || json.insert(name.into(), entry).is_some() {
            return Err(Error::input(format!("tensor name `{name}` is reserved or occurs twice")));
        }
    }
    let mut header = serde_json::Value::Object(json).to_string().into_bytes();
    header.resize(header.len().next_multiple_of(8), b' ');
    Ok([&(header.len() as u64).to_le_bytes(), header.as_slice()].concat())
}

const METADATA: &str = "__metadata__";

/// Bytes of a tensor; `None` on overflow.
fn byte_len(dtype: Dtype, shape: &[u64]) -> Option<u64> {
    // A dimension of 0 makes any product 0, even one that would overflow on the way.
    if shape.contains(&0) {
        return Some(0);
    }
    shape.iter().try_fold(dtype.size() as u64, |product, &n| product.checked_mul(n))
}

/// A header as it stands in the file, in its order, before any check.
#[derive(Default)]
struct RawHeader {
    tensors: Vec<(String, RawTensor)>,
    metadata: BTreeMap<String, String>,
}

#[derive(serde::Deserialize)]
struct RawTensor {
    dtype: Dtype,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

impl RawTensor {
    fn check(self, data_start: u64) -> Result<TensorInfo> {
        let Self { dtype, shape, data_offsets: (start, end) } = self;
        let (Some(start), Some(end)) = (start.checked_add(data_start), end.checked_add(data_start)) else {
            return Err(Error::format("its byte range passes the end of any file"));
        };
        let expected = byte_len(dtype, &shape).filter(|&len| end.checked_sub(start) == Some(len));
        let dimensions = shape.iter().map(|&n| usize::try_from(n).ok()).collect();
        match (expected, dimensions) {
            (Some(_), Some(shape)) => Ok(TensorInfo { dtype, shape, range: start..end }),
            _ => {
                let shape = &shape[..shape.len().min(8)];
                Err(Error::format(format!("{dtype} of shape {shape:?} does not fill bytes {start} to {end}")))
            }
        }
    }
}

impl<'de> Deserialize<'de> for RawHeader {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct HeaderVisitor;

        impl<'de> Visitor<'de> for HeaderVisitor {
            type Value = RawHeader;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object of tensors by name")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<RawHeader, A::Error> {
                let mut header = RawHeader::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == METADATA {
                        header.metadata = map.next_value::<Option<_>>()?.unwrap_or_default();
                    } else {
                        let tensor = map.next_value()?;
                        header.tensors.push((name, tensor));
                    }
                }
                Ok(header)
            }
        }

        deserializer.deserialize_map(HeaderVisitor)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;

    /// A file of `header` and `data_len` zero bytes.
    fn file(header: &str, data_len: usize) -> Vec<u8> {
        let mut file = (header.len() as u64).to_le_bytes().to_vec();
        file.extend(header.as_bytes());
        file.resize(file.len() + data_len, 0);
        file
    }

    #[track_caller]
    fn check_refused(header: &str, data_len: usize, reason: &str) {
        let error = Header::from_file_bytes(&file(header, data_len)).unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains(reason), "{error}");
    }

    const TWO: &str = r#"{"__metadata__":{"format":"pt"},"b":{"dtype":"F32","shape":[2],"data_offsets":[6,14]},
        "a":{"dtype":"BF16","shape":[3,1],"data_offsets":[0,6]}}"#;

    #[test]
    fn a_valid_header() {
        let header = Header::from_file_bytes(&file(TWO, 14)).unwrap();
        let start = 8 + TWO.len() as u64;
        let a = TensorInfo { dtype: Dtype::BF16, shape: vec![3, 1], range: start..start + 6 };
        assert_eq!(header.tensors["a"], a);
        assert_eq!(header.tensors["b"].range, start + 6..start + 14);
        assert_eq!(header.metadata["format"], "pt");
        assert_eq!(a.row_range(&(1..3)), Some(start + 2..start + 6));
        assert_eq!(a.row_range(&(3..3)), Some(start + 6..start + 6));
        assert_eq!(a.row_range(&(1..4)), None);
        let empty = Header::from_file_bytes(&file("{}", 0)).unwrap();
        assert_eq!(empty, Header::default());
    }

    #[test]
    fn every_cut_of_a_file_is_noticed() {
        let whole = file(TWO, 14);
        for len in 0..whole.len() {
            let error = Header::from_file_bytes(&whole[..len]).unwrap_err().to_string();
            assert!(error.starts_with(&format!("ends at byte {len}, ")), "{error}");
        }
        let longer = [whole.as_slice(), &[0]].concat();
        assert!(Header::from_file_bytes(&longer).is_err());
    }

    #[test]
    fn wrong_headers_are_refused_with_the_reason() {
        let one = |entry: &str| format!("{{\"x\":{entry}}}");
        check_refused("[]", 0, "expected an object of tensors");
        check_refused("{\"x\":1}", 0, "not valid");
        check_refused("{}{}", 0, "not valid");
        check_refused(&one(r#"{"dtype":"Q4","shape":[2],"data_offsets":[0,8]}"#), 8, "Q4");
        check_refused(
            &one(r#"{"dtype":"F32","shape":[2],"data_offsets":[0,4]}"#),
            8,
            "`x`: F32 of shape [2]",
        );
        check_refused(&one(r#"{"dtype":"F32","shape":[2],"data_offsets":[8,0]}"#), 8, "does not fill");
        check_refused(&one(r#"{"dtype":"F32","shape":[-2],"data_offsets":[0,8]}"#), 8, "not valid");
        check_refused(&one(r#"{"dtype":"U8","shape":[2],"data_offsets":[3,5]}"#), 5, "leaves a hole");
        check_refused(&one(r#"{"dtype":"U8","shape":[2],"data_offsets":[0,2]}"#), 5, "header says");
        let huge = r#"{"dtype":"U8","shape":[4294967296,4294967296],"data_offsets":[0,0]}"#;
        check_refused(&one(huge), 0, "does not fill");
        let far = r#"{"dtype":"U8","shape":[1],"data_offsets":[18446744073709551614,18446744073709551615]}"#;
        check_refused(&one(far), 0, "passes the end");
        let entry = r#"{"dtype":"U8","shape":[4],"data_offsets":[0,4]}"#;
        check_refused(&format!("{{\"x\":{entry},\"y\":{entry}}}"), 4, "overlaps");
        let empty = r#"{"dtype":"U8","shape":[0],"data_offsets":[0,0]}"#;
        check_refused(&format!("{{\"x\":{empty},\"x\":{empty}}}"), 0, "twice");
        check_refused("{\"__metadata__\":{\"a\":1}}", 0, "not valid");
        check_refused("{\"__metadata__\":{}", 0, "not valid");
    }

    #[test]
    fn claimed_lengths_are_refused_before_anything_is_read() {
        let claim = |len: u64| Header::from_file_bytes(&len.to_le_bytes()).unwrap_err().to_string();
        assert!(claim(u64::MAX).contains("at most 100000000 are allowed"));
        assert_eq!(claim(5), "ends at byte 8, its header alone at 13: download it again");
    }

    #[test]
    fn a_written_header_reads_back_aligned() {
        let metadata = BTreeMap::from([("format".to_string(), "pt".to_string())]);
        let tensors =
            [("b", Dtype::F32, [3usize, 2].as_slice()), ("a\"\n", Dtype::F16, &[5]), ("c", Dtype::U8, &[])];
        let mut file = header_bytes(tensors, &metadata).unwrap();
        assert_eq!(file.len() % 8, 0);
        file.resize(file.len() + 24 + 10 + 1, 7);
        let header = Header::from_file_bytes(&file).unwrap();
        assert_eq!(header.metadata, metadata);
        for (name, dtype, shape) in tensors {
            assert_eq!((header.tensors[name].dtype, header.tensors[name].shape.as_slice()), (dtype, shape));
        }
        let twice = [("b", Dtype::F32, [].as_slice()), ("b", Dtype::F32, &[])];
        assert!(header_bytes(twice, &metadata).is_err());
        assert!(header_bytes([(METADATA, Dtype::F32, [].as_slice())], &metadata).is_err());
    }
}
