//! Where weights come from: tensors by name, whole or by rows, from safetensors files or from memory.
//!
//! [`WeightSource`] is the seam: whoever builds a model asks for a tensor or some of its rows and nothing more is
//! read. [`Safetensors`] implements it over one file or the shards of an index; [`MemoryWeights`] over a map. The
//! format of a header is in [`safetensors`](crate::safetensors), the numbers in
//! [`tensor_bytes`](crate::tensor_bytes).

use crate::error::{Error, ErrorKind, Result};
use crate::files::{ModelFiles, missing_file, outside_file, read_text};
use crate::safetensors::{Header, MAX_HEADER_LEN, PREFIX_LEN, TensorInfo};
use crate::stand_in::{TELLING_BYTES, refuse_stand_in};
pub use crate::tensor_bytes::TensorBytes;
use std::collections::BTreeMap;
use std::ops::Range;

/// The name of a model's only weight file.
pub const SINGLE_FILE: &str = "model.safetensors";

/// The name of the file that says which shard holds which tensor.
pub const INDEX_FILE: &str = "model.safetensors.index.json";

/// The only shard of an index that some tools leave away.
const ONLY_SHARD: &str = "model-00001-of-00001.safetensors";

/// What makes a directory an adapter's.
pub(crate) const ADAPTER_CONFIG: &str = "adapter_config.json";

/// Most bytes of a tensor that [`read_f32`] holds beside its result.
pub const READ_BLOCK: u64 = 16 << 20;

const MAX_INDEX_LEN: u64 = MAX_HEADER_LEN;
const MAX_SHARDS: usize = 10_000;

/// Most shards that are looked for where the index is missing, one name at a time.
const MAX_SOUGHT_SHARDS: usize = 48;

/// Tensors by name.
// No `Send` bound on the futures: see [`ModelFiles`].
#[allow(async_fn_in_trait)]
pub trait WeightSource {
    /// Type and shape of the tensor `name`; `None` where there is none.
    fn info(&self, name: &str) -> Option<&TensorInfo>;

    /// The names of all tensors, in order.
    fn names(&self) -> Vec<&str>;

    /// The tensor `name`, or its rows `rows` (of the first dimension); only those bytes are read.
    ///
    /// # Errors
    /// [`NotFound`](ErrorKind::NotFound) for an unknown name, `Input` for rows the tensor does not have, and what
    /// reading reports.
    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes>;
}

impl<W: WeightSource> WeightSource for &W {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        (**self).info(name)
    }

    fn names(&self) -> Vec<&str> {
        (**self).names()
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        (**self).read(name, rows).await
    }
}

/// Checks that the tensor `name` is there and has the shape `expected`.
///
/// # Errors
/// Names the tensor and both shapes.
pub fn expect_shape(source: &impl WeightSource, name: &str, expected: &[usize]) -> Result<()> {
    let info = source.info(name).ok_or_else(|| missing_or_quantised(source, name))?;
    if info.shape == expected { Ok(()) } else { Err(Error::weight_shape(name, &info.shape, expected)) }
}

/// Reads the tensor `name` of shape `expected`, or its rows `rows`, as f32, in blocks of rows: beside the result, no
/// more than [`READ_BLOCK`] bytes (or one row) are held.
///
/// # Errors
/// A tensor that is missing, of another shape or not of floating-point numbers; what reading reports.
pub async fn read_f32(
    source: &impl WeightSource,
    name: &str,
    expected: &[usize],
    rows: Option<Range<usize>>,
) -> Result<Vec<f32>> {
    expect_shape(source, name, expected)?;
    let info = source.info(name).ok_or_else(|| missing_tensor(name))?;
    let row_bytes = info.byte_len().checked_div(info.rows() as u64).unwrap_or(0).max(1);
    let block = usize::try_from((READ_BLOCK / row_bytes).max(1)).unwrap_or(usize::MAX);
    let total = rows.clone().unwrap_or(0..info.rows());
    if info.shape.is_empty() || total.len() <= block {
        return source.read(name, rows).await?.to_f32().map_err(|error| error.context(name));
    }
    let row_len = row_bytes as usize / info.dtype.size();
    let mut values = Vec::with_capacity(total.len() * row_len);
    for start in total.clone().step_by(block) {
        let part = start..total.end.min(start.saturating_add(block));
        source.read(name, Some(part)).await?.append_f32(&mut values).map_err(|error| error.context(name))?;
    }
    Ok(values)
}

/// The weights of a model directory: `model.safetensors`, or the shards that `model.safetensors.index.json` names, or the
/// only shard.
///
/// Opening reads and checks every header; no tensor is read before it is asked for.
pub struct Safetensors<F> {
    files: F,
    shards: Vec<Shard>,
    /// Tensor name to index in `shards`.
    shard_of: BTreeMap<String, usize>,
}

struct Shard {
    file: String,
    header: Header,
}

impl<F: ModelFiles> Safetensors<F> {
    /// Opens the weights of the directory `files`.
    ///
    /// # Errors
    /// No weight file (a LoRA adapter alone, shards without their index), a shard that is missing, a header that is not valid, a tensor that the index names and the
    /// shard does not have, shard names that leave the directory.
    pub async fn open(files: F) -> Result<Self> {
        if files.len(SINGLE_FILE).await?.is_some() {
            return Self::open_file(files, SINGLE_FILE).await;
        }
        let Some(index) = read_text(&files, INDEX_FILE, MAX_INDEX_LEN).await? else {
            if files.len(ONLY_SHARD).await?.is_some() {
                return Self::open_file(files, ONLY_SHARD).await;
            }
            return Err(no_weights(&files).await?);
        };
        let (names, shard_of) = parse_index(&index).map_err(|error| error.context(INDEX_FILE))?;
        let mut shards = Vec::with_capacity(names.len());
        for file in names {
            shards.push(Shard::open(&files, &file).await.map_err(|error| {
                let named = error.kind() == ErrorKind::NotFound;
                if named { error.context(format_args!("{INDEX_FILE} names a shard")) } else { error }
            })?);
        }
        for (name, &shard) in &shard_of {
            let Shard { file, header } = &shards[shard];
            if !header.tensors.contains_key(name) {
                return Err(Error::format(format!(
                    "{INDEX_FILE}: says `{name}` is in {file}, which has no such tensor"
                )));
            }
        }
        Ok(Self { files, shards, shard_of })
    }

    /// Opens one safetensors file of the directory, such as a file of reference values.
    ///
    /// # Errors
    /// A file that is not there, or whose header is not valid.
    pub async fn open_file(files: F, file: &str) -> Result<Self> {
        let shard = Shard::open(&files, file).await?;
        let shard_of = shard.header.tensors.keys().map(|name| (name.clone(), 0)).collect();
        Ok(Self { files, shards: vec![shard], shard_of })
    }

    /// Where the files come from.
    pub fn files(&self) -> &F {
        &self.files
    }

    /// The names of the weight files, in order.
    pub fn file_names(&self) -> impl Iterator<Item = &str> {
        self.shards.iter().map(|shard| shard.file.as_str())
    }
}

impl<F: ModelFiles> WeightSource for Safetensors<F> {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.shards[*self.shard_of.get(name)?].header.tensors.get(name)
    }

    fn names(&self) -> Vec<&str> {
        self.shard_of.keys().map(String::as_str).collect()
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        let info = self.info(name).ok_or_else(|| missing_tensor(name))?;
        let (range, shape) = part_of(name, info, rows)?;
        let file = &self.shards[self.shard_of[name]].file;
        let bytes = read_exactly(&self.files, file, range).await?;
        Ok(TensorBytes { dtype: info.dtype, shape, bytes })
    }
}

impl Shard {
    async fn open(files: &impl ModelFiles, file: &str) -> Result<Self> {
        let len = files.len(file).await?.ok_or_else(|| missing_file(file))?;
        let beginning = read_exactly(files, file, 0..len.min(TELLING_BYTES)).await?;
        if let Some(error) = refuse_stand_in(file, &beginning) {
            return Err(error);
        }
        let prefix = &beginning[..beginning.len().min(PREFIX_LEN as usize)];
        let json_len = Header::json_len(prefix, len).map_err(|error| error.context(file))?;
        let json = read_exactly(files, file, PREFIX_LEN..PREFIX_LEN + json_len).await?;
        let header = Header::parse(&json, len).map_err(|error| error.context(file))?;
        Ok(Self { file: file.into(), header })
    }
}

/// The error for a directory without weights, by what it has instead.
async fn no_weights(files: &impl ModelFiles) -> Result<Error> {
    if let Some(error) = refuse_adapter(files).await? {
        return Ok(error);
    }
    for count in 2..=MAX_SOUGHT_SHARDS {
        let shard = format!("model-00001-of-{count:05}.safetensors");
        if files.len(&shard).await?.is_some() {
            return Ok(Error::not_found(format!(
                "{INDEX_FILE}: no such file in the model directory, though {shard} is there: download the index too, it \
                 says which of the {count} shards holds which tensor"
            )));
        }
    }
    Ok(Error::not_found(format!(
        "no weights: expected {SINGLE_FILE}, or {INDEX_FILE} and its shards (other formats have to be converted to \
         safetensors first)"
    )))
}

/// The error for the directory of a LoRA adapter, which has weights for a base model and no model of its own.
pub(crate) async fn refuse_adapter(files: &impl ModelFiles) -> Result<Option<Error>> {
    #[derive(serde::Deserialize)]
    struct Adapter {
        base_model_name_or_path: Option<String>,
    }
    let Some(text) = read_text(files, ADAPTER_CONFIG, 1 << 20).await? else { return Ok(None) };
    let base =
        serde_json::from_str::<Adapter>(&text).ok().and_then(|adapter| adapter.base_model_name_or_path);
    let base = base.map_or_else(|| "its base model".to_owned(), |base| format!("its base model {base:?}"));
    Ok(Some(Error::unsupported(format!(
        "{ADAPTER_CONFIG}: this is a LoRA adapter, not a whole model: merge it into {base} first (peft: \
         `merge_and_unload`, then `save_pretrained`) and name the merged directory"
    ))))
}

/// Reads a range and holds the host to its promise, as every length behind this point is trusted.
async fn read_exactly(files: &impl ModelFiles, file: &str, range: Range<u64>) -> Result<Vec<u8>> {
    if range.is_empty() {
        return Ok(Vec::new());
    }
    let bytes = files.read(file, Some(range.clone())).await?;
    if bytes.len() as u64 == range.end - range.start {
        return Ok(bytes);
    }
    Err(outside_file(file, &range, range.start.saturating_add(bytes.len() as u64)))
}

/// Shards by name, each tensor with the index of its shard.
type Index = (Vec<String>, BTreeMap<String, usize>);

fn parse_index(text: &str) -> Result<Index> {
    #[derive(serde::Deserialize)]
    struct IndexFile {
        weight_map: BTreeMap<String, String>,
    }
    let IndexFile { weight_map } = serde_json::from_str(text).map_err(|error| {
        Error::format(format!("not a valid index: {error}: download it again")).with_source(error)
    })?;
    let mut shards: Vec<String> = weight_map.values().cloned().collect();
    shards.sort_unstable();
    shards.dedup();
    if shards.len() > MAX_SHARDS {
        return Err(Error::capacity(format!("names {} shards, at most {MAX_SHARDS} are read", shards.len())));
    }
    if let Some(file) = shards.iter().find(|file| !is_plain_file_name(file)) {
        return Err(Error::format(format!("shard name {file:?} is not a plain *.safetensors file name")));
    }
    // Every value is in the sorted list.
    let index_of = |file: String| shards.binary_search(&file).unwrap_or_default();
    let shard_of = weight_map.into_iter().map(|(tensor, file)| (tensor, index_of(file))).collect();
    Ok((shards, shard_of))
}

/// Whether a name from an index stays within the directory on every system.
fn is_plain_file_name(file: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.' | ' ' | '+');
    file.ends_with(".safetensors")
        && !file.starts_with(['.', ' '])
        && !file.contains("..")
        && file.chars().all(plain)
}

/// The bytes of `rows` of a tensor in its file, and the shape they make.
fn part_of(name: &str, info: &TensorInfo, rows: Option<Range<usize>>) -> Result<(Range<u64>, Vec<usize>)> {
    let Some(rows) = rows else { return Ok((info.range.clone(), info.shape.clone())) };
    let range = info.row_range(&rows).ok_or_else(|| {
        let Range { start, end } = rows;
        Error::input(format!("tensor `{name}` of shape {:?} has no rows {start} to {end}", info.shape))
    })?;
    let mut shape = info.shape.clone();
    shape[0] = rows.len();
    Ok((range, shape))
}

fn missing_tensor(name: &str) -> Error {
    Error::not_found(format!(
        "cannot load weight: no tensor is called `{name}`: is it a whole Qwen2 or Qwen3 model?"
    ))
}

/// The error for a tensor that is not there, or is there in a quantised form that is not read.
fn missing_or_quantised(source: &impl WeightSource, name: &str) -> Error {
    let Some(layer) = name.strip_suffix(".weight") else { return missing_tensor(name) };
    for (part, format) in [("qweight", "GPTQ or AWQ"), ("weight_packed", "compressed-tensors")] {
        let stored = format!("{layer}.{part}");
        if source.info(&stored).is_some() {
            return Error::unsupported(format!(
                "cannot load weight `{name}`: it is quantised ({format}: `{stored}` is stored instead): use the \
                 unquantised model"
            ));
        }
    }
    missing_tensor(name)
}

/// Weights in memory: for tests, for models made by seed, and for small files such as a self-test.
#[derive(Clone, Debug, Default)]
pub struct MemoryWeights {
    tensors: BTreeMap<String, (TensorInfo, Vec<u8>)>,
}

impl MemoryWeights {
    /// No weights.
    pub fn new() -> Self {
        Self::default()
    }

    /// Puts `tensor` under `name`, in place of what was there.
    ///
    /// # Errors
    /// [`Shape`](ErrorKind::Shape) where its bytes do not fill its shape.
    pub fn insert(&mut self, name: impl Into<String>, tensor: TensorBytes) -> Result<()> {
        let name = name.into();
        let TensorBytes { dtype, shape, bytes } = tensor;
        let expected = shape.iter().try_fold(dtype.size(), |product, &n| product.checked_mul(n));
        if expected != Some(bytes.len()) {
            let message =
                format!("tensor `{name}`: {} bytes do not fill {dtype} of shape {shape:?}", bytes.len());
            return Err(Error::new(ErrorKind::Shape, message));
        }
        let info = TensorInfo { dtype, shape, range: 0..bytes.len() as u64 };
        self.tensors.insert(name, (info, bytes));
        Ok(())
    }

    /// The whole safetensors file of these tensors, in the order of their names.
    ///
    /// # Errors
    /// A reserved name.
    pub fn to_file_bytes(&self, metadata: &BTreeMap<String, String>) -> Result<Vec<u8>> {
        let entries =
            self.tensors.iter().map(|(name, (info, _))| (name.as_str(), info.dtype, info.shape.as_slice()));
        let mut file = crate::safetensors::header_bytes(entries, metadata)?;
        for (_, bytes) in self.tensors.values() {
            file.extend(bytes);
        }
        Ok(file)
    }
}

impl WeightSource for MemoryWeights {
    fn info(&self, name: &str) -> Option<&TensorInfo> {
        self.tensors.get(name).map(|(info, _)| info)
    }

    fn names(&self) -> Vec<&str> {
        self.tensors.keys().map(String::as_str).collect()
    }

    async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
        let (info, bytes) = self.tensors.get(name).ok_or_else(|| missing_tensor(name))?;
        let (range, shape) = part_of(name, info, rows)?;
        // Within `bytes`, whose length is a usize.
        let bytes = bytes[range.start as usize..range.end as usize].to_vec();
        Ok(TensorBytes { dtype: info.dtype, shape, bytes })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::files::MemoryFiles;
    use crate::safetensors::Dtype;
    use pollster::block_on;

    /// Two tensors: `a` [3, 2] f32 and `b` [4] i64.
    fn weights() -> MemoryWeights {
        let mut weights = MemoryWeights::new();
        weights.insert("a", TensorBytes::from_f32(&[3, 2], &[0.0, 1.0, 2.0, 3.0, 4.0, 5.0])).unwrap();
        weights.insert("b", TensorBytes::from_i64(&[4], &[7, 8, 9, 10])).unwrap();
        weights
    }

    fn file_bytes(weights: &MemoryWeights) -> Vec<u8> {
        weights.to_file_bytes(&BTreeMap::new()).unwrap()
    }

    /// A directory of an index with this weight map and one shard, `s.safetensors`, with the two tensors.
    fn sharded(weight_map: &str) -> MemoryFiles {
        let index = format!("{{\"metadata\": {{}}, \"weight_map\": {weight_map}}}").into_bytes();
        [(INDEX_FILE, index), ("s.safetensors", file_bytes(&weights()))].into_iter().collect()
    }

    #[track_caller]
    fn check_refused(files: MemoryFiles, kind: ErrorKind, reason: &str) {
        let error = block_on(Safetensors::open(files)).err().expect("it is refused");
        assert_eq!(error.kind(), kind, "{error}");
        assert!(error.to_string().contains(reason), "{error}");
    }

    #[test]
    fn a_file_and_memory_give_the_same() {
        let files: MemoryFiles = [(SINGLE_FILE, file_bytes(&weights()))].into_iter().collect();
        let (memory, file) = (weights(), block_on(Safetensors::open(files)).unwrap());
        assert_eq!(memory.names(), file.names());
        for (name, rows) in
            [("a", None), ("a", Some(1..3)), ("a", Some(2..2)), ("b", Some(0..4)), ("b", Some(3..4))]
        {
            let read = block_on(file.read(name, rows.clone())).unwrap();
            assert_eq!(read, block_on(memory.read(name, rows)).unwrap());
        }
        let rows = block_on(file.read("a", Some(1..2))).unwrap();
        assert_eq!((rows.shape.as_slice(), rows.to_f32().unwrap()), ([1, 2].as_slice(), vec![2.0, 3.0]));
        assert_eq!(block_on(file.read("a", Some(2..4))).unwrap_err().kind(), ErrorKind::Input);
        assert_eq!(block_on(file.read("c", None)).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn shapes_are_checked_by_name() {
        let error = block_on(read_f32(&weights(), "a", &[2, 3], None)).unwrap_err();
        let message = "cannot load weight: `a` has shape [3, 2], expected [2, 3] by config.json";
        assert_eq!((error.kind(), error.to_string().as_str()), (ErrorKind::Shape, message));
        assert_eq!(
            block_on(read_f32(&weights(), "b", &[4], None)).unwrap_err().kind(),
            ErrorKind::Unsupported
        );
        let wrong = TensorBytes { dtype: Dtype::F32, shape: vec![3], bytes: vec![0; 8] };
        assert_eq!(MemoryWeights::new().insert("x", wrong).unwrap_err().kind(), ErrorKind::Shape);
    }

    /// Notes the longest read, to see that a large tensor comes in blocks.
    struct Longest<'a>(&'a MemoryWeights, std::cell::Cell<usize>);

    impl WeightSource for Longest<'_> {
        fn info(&self, name: &str) -> Option<&TensorInfo> {
            self.0.info(name)
        }

        fn names(&self) -> Vec<&str> {
            self.0.names()
        }

        async fn read(&self, name: &str, rows: Option<Range<usize>>) -> Result<TensorBytes> {
            let tensor = self.0.read(name, rows).await?;
            self.1.set(self.1.get().max(tensor.bytes.len()));
            Ok(tensor)
        }
    }

    #[test]
    fn large_tensors_are_read_in_blocks() {
        let rows = READ_BLOCK as usize / 4_000 + 500;
        let values: Vec<f32> = (0..rows * 1_000).map(|i| i as f32).collect();
        let mut weights = MemoryWeights::new();
        weights.insert("w", TensorBytes::from_f32(&[rows, 1_000], &values)).unwrap();
        let source = Longest(&weights, 0.into());
        assert!(block_on(read_f32(&source, "w", &[rows, 1_000], None)).unwrap() == values);
        assert!(source.1.get() <= READ_BLOCK as usize);
        let tail = block_on(read_f32(&source, "w", &[rows, 1_000], Some(100..rows))).unwrap();
        assert!(tail == values[100_000..]);
    }

    #[test]
    fn an_index_that_does_not_fit_is_refused() {
        let good = sharded(r#"{"a": "s.safetensors"}"#);
        assert_eq!(block_on(Safetensors::open(good)).unwrap().names(), ["a"]);
        check_refused(sharded(r#"{"c": "s.safetensors"}"#), ErrorKind::Format, "`c` is in s.safetensors");
        check_refused(
            sharded(r#"{"a": "t.safetensors"}"#),
            ErrorKind::NotFound,
            "names a shard: t.safetensors: no such",
        );
        check_refused(sharded("[1]"), ErrorKind::Format, "not a valid index");
        for name in ["../s.safetensors", "d/s.safetensors", "C:s.safetensors", "..safetensors", "s.bin", ""] {
            check_refused(sharded(&format!("{{\"a\": \"{name}\"}}")), ErrorKind::Format, "not a plain");
        }
        check_refused(sharded(r#"{"a": "d\\s.safetensors"}"#), ErrorKind::Format, "not a plain");
        check_refused(MemoryFiles::new(), ErrorKind::NotFound, "expected model.safetensors");
    }

    #[test]
    fn a_cut_file_is_refused_by_name() {
        let whole = file_bytes(&weights());
        for len in 0..whole.len() {
            let files = [(SINGLE_FILE, whole[..len].to_vec())].into_iter().collect();
            check_refused(files, ErrorKind::Format, &format!("model.safetensors: ends at byte {len}, "));
        }
    }
}
