//! A GGUF file, its header read and checked, its tensors read by ranges of numbers.
//!
//! The header is believed in nothing: each count is compared with the bytes that are left before anything is made for
//! it, each tensor has to lie within the file and beside every other. Opening holds the keys, the numbers among the
//! values, and the tensors' names; strings, arrays and tensors stay in the file.

use std::collections::BTreeMap;
use std::ops::Range;

use crate::bytes::{Bytes, read_exactly};
use crate::cursor::Cursor;
use crate::dequantize::append_f32;
use crate::error::{AGAIN, Error, ErrorKind, Result};
use crate::metadata::{Elements, Value};
use crate::types::GgmlType;

/// Longest key, as the format's description has it.
const MAX_KEY_LEN: u64 = 65_535;

/// Longest name of a tensor: four times what ggml itself takes.
const MAX_NAME_LEN: u64 = 255;

/// Most dimensions of a tensor, as in ggml.
const MAX_DIMENSIONS: u32 = 4;

/// Largest alignment: more than any file has, and small enough to be added to any length.
const MAX_ALIGNMENT: u64 = 1 << 20;

const DEFAULT_ALIGNMENT: u64 = 32;

/// Bytes of the smallest entry of the metadata: an empty key, a type, one byte.
const SMALLEST_ENTRY: u64 = 8 + 4 + 1;

/// Bytes of the smallest description of a tensor: an empty name, one dimension, a type, an offset.
const SMALLEST_TENSOR: u64 = 8 + 4 + 8 + 4 + 8;

/// Bytes of blocks that are read at once beside the numbers they become.
const PIECE_BYTES: u64 = 1 << 20;

/// What the header says of one tensor, checked against the length of the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TensorInfo {
    /// The type of its numbers.
    pub kind: GgmlType,
    /// Its dimensions, slowest first (a file has them fastest first): `[rows, columns]` for a matrix.
    pub shape: Vec<u64>,
    /// Where its blocks lie, counted from the start of the file.
    pub range: Range<u64>,
}

impl TensorInfo {
    /// How many numbers it has; at most `u64::MAX`, as was checked.
    pub fn len(&self) -> u64 {
        self.shape.iter().product()
    }

    /// Whether it has no numbers, which no tensor that was read has.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Numbers in a row: the last dimension.
    pub fn row_len(&self) -> u64 {
        self.shape.last().copied().unwrap_or(1)
    }
}

/// A file whose header is in order.
#[derive(Debug)]
pub struct Gguf<B> {
    bytes: B,
    metadata: BTreeMap<String, Value>,
    tensors: BTreeMap<String, TensorInfo>,
}

impl<B: Bytes> Gguf<B> {
    /// Reads and checks the header.
    ///
    /// # Errors
    /// Names the byte, the key or the tensor, what was expected there, and what to do.
    pub fn open(bytes: B) -> Result<Self> {
        let mut cursor = Cursor::new(&bytes);
        read_version(&mut cursor)?;
        let tensor_count = cursor.u64("the count of tensors")?;
        let entry_count = cursor.u64("the count of metadata entries")?;
        cursor.check_count(entry_count, SMALLEST_ENTRY, "metadata entries")?;
        cursor.check_count(tensor_count, SMALLEST_TENSOR, "tensors")?;
        let metadata = read_metadata(&mut cursor, entry_count)?;
        let alignment = alignment(&metadata)?;
        cursor.check_count(tensor_count, SMALLEST_TENSOR, "tensors")?;
        let mut tensors = read_tensors(&mut cursor, tensor_count)?;
        // Both are at most the file's length plus a mebibyte.
        let data_start = cursor.position().next_multiple_of(alignment);
        place(&mut tensors, data_start, alignment, bytes.len())?;
        Ok(Self { bytes, metadata, tensors })
    }

    /// Length of the file in bytes.
    pub fn file_len(&self) -> u64 {
        self.bytes.len()
    }

    /// The metadata by key.
    pub fn metadata(&self) -> &BTreeMap<String, Value> {
        &self.metadata
    }

    /// The tensors by name.
    pub fn tensors(&self) -> &BTreeMap<String, TensorInfo> {
        &self.tensors
    }

    /// The tensor `name`.
    ///
    /// # Errors
    /// There is none of this name.
    pub fn tensor(&self, name: &str) -> Result<&TensorInfo> {
        self.tensors.get(name).ok_or_else(|| {
            Error::new(
                ErrorKind::Input,
                format!("no tensor is called `{name}`: is it a language model in full, not a part of one?"),
            )
        })
    }

    /// The text under `key`; `None` where there is no such key.
    ///
    /// # Errors
    /// A value of another type, or not UTF-8; what reading reports.
    pub fn string(&self, key: &str) -> Result<Option<String>> {
        let range = match self.metadata.get(key) {
            None => return Ok(None),
            Some(Value::String(range)) => range.clone(),
            Some(other) => {
                let message = format!("`{key}` is {}, expected a string", other.describe());
                return Err(Error::metadata(message));
            }
        };
        let at = range.start;
        let bytes = read_exactly(&self.bytes, range)?;
        let text = String::from_utf8(bytes);
        text.map(Some).map_err(|_| Error::format(format!("byte {at}: `{key}` is not UTF-8: {AGAIN}")))
    }

    /// The array under `key`; `None` where there is no such key.
    ///
    /// # Errors
    /// A value of another type; what reading reports.
    pub fn array(&self, key: &str) -> Result<Option<Elements>> {
        let array = match self.metadata.get(key) {
            None => return Ok(None),
            Some(Value::Array(array)) => array,
            Some(other) => {
                let message = format!("`{key}` is {}, expected an array", other.describe());
                return Err(Error::metadata(message));
            }
        };
        let bytes = read_exactly(&self.bytes, array.range.clone())?;
        Ok(Some(Elements { element: array.element, start: array.range.start, bytes }))
    }

    /// The numbers `numbers` of the tensor `name`, counted row by row from its first, as f32; only the blocks they lie
    /// in are read, a mebibyte at a time.
    ///
    /// # Errors
    /// A tensor that is not there or of a type that is not read; numbers it does not have; what reading reports.
    pub fn read_f32(&self, name: &str, numbers: Range<u64>) -> Result<Vec<f32>> {
        let mut values = Vec::new();
        self.append_f32(name, numbers, &mut values)?;
        Ok(values)
    }

    /// [`read_f32`](Self::read_f32) onto the end of `values`.
    ///
    /// # Errors
    /// As `read_f32`.
    pub fn append_f32(&self, name: &str, numbers: Range<u64>, values: &mut Vec<f32>) -> Result<()> {
        let info = self.tensor(name)?;
        let in_tensor = |error: Error| error.context(format_args!("tensor `{name}`"));
        info.kind.check_read().map_err(in_tensor)?;
        let Range { start, end } = numbers;
        if start > end || end > info.len() {
            let message = format!("has {} numbers, numbers {start} to {end} were asked for", info.len());
            return Err(in_tensor(Error::input(message)));
        }
        if start == end {
            return Ok(());
        }
        let (block_len, block_bytes) = (info.kind.block_len(), info.kind.block_bytes());
        let (first, last) = (start / block_len, end.div_ceil(block_len));
        let count = usize::try_from(end - start)
            .map_err(|_| in_tensor(Error::input("has more numbers than this machine can address")))?;
        // What comes before the first number that was asked for is dropped again; a block at most.
        values.reserve(count.saturating_add(block_len as usize));
        let begin = values.len();
        let step = (PIECE_BYTES / block_bytes).max(1);
        for block in (first..last).step_by(step as usize) {
            let blocks = block..last.min(block + step);
            // Within the tensor, whose range lies within the file.
            let offset = info.range.start;
            let range = offset + blocks.start * block_bytes..offset + blocks.end * block_bytes;
            append_f32(info.kind, &read_exactly(&self.bytes, range)?, values).map_err(in_tensor)?;
        }
        let before = (start - first * block_len) as usize;
        values.drain(begin..begin + before);
        values.truncate(begin + count);
        Ok(())
    }
}

/// Reads the magic and the version.
fn read_version<B: Bytes>(cursor: &mut Cursor<'_, B>) -> Result<u32> {
    let len = cursor.remaining();
    let Ok(magic) = cursor.take::<4>("the magic") else {
        return Err(Error::format(format!("has {len} bytes, expected a GGUF file: {AGAIN}")));
    };
    if &magic != b"GGUF" {
        return Err(other_format(&magic));
    }
    let version = cursor.u32("the version")?;
    match version {
        2 | 3 => Ok(version),
        1 => Err(Error::unsupported(
            "byte 4: is GGUF of version 1, expected 2 or 3: take a newer file, or convert it with llama.cpp",
        )),
        _ if matches!(version.swap_bytes(), 1..=3) => Err(Error::unsupported(
            "byte 4: is a big-endian GGUF, expected a little-endian one: take the file for other machines, or turn it \
             with `gguf_convert_endian.py FILE.gguf little` of llama.cpp",
        )),
        _ => Err(Error::unsupported(format!(
            "byte 4: is GGUF of version {version}, expected 2 or 3: use a newer release of this program, or {AGAIN}"
        ))),
    }
}

/// What a file is that does not begin as a GGUF does.
fn other_format(magic: &[u8; 4]) -> Error {
    let found = match magic {
        b"vers" => "a Git LFS pointer, not the file itself: fetch it with `git lfs pull`",
        b"<!DO" | b"<!do" | b"<htm" | b"<HTM" => {
            "a web page, not the file itself: download the file by its link for downloads"
        }
        b"lmgg" | b"fmgg" | b"tjgg" | b"algg" => {
            "a file of ggml from before GGUF: take a newer file, or convert it with llama.cpp"
        }
        b"PK\x03\x04" => "a zip archive (PyTorch weights are such): convert it to GGUF, or take one",
        [0x1f, 0x8b, ..] => "packed with gzip: unpack it first",
        _ => {
            let shown = magic.escape_ascii();
            return Error::format(format!(
                "begins with \"{shown}\", expected \"GGUF\": is it another format?"
            ));
        }
    };
    Error::format(format!("is {found}"))
}

fn read_metadata<B: Bytes>(cursor: &mut Cursor<'_, B>, count: u64) -> Result<BTreeMap<String, Value>> {
    let mut metadata = BTreeMap::new();
    for number in 1..=count {
        let at = cursor.position();
        let entry = |error: Error| error.context(format_args!("metadata entry {number} of {count}"));
        let key = cursor.string(MAX_KEY_LEN, "a key").map_err(entry)?;
        let value = Value::read(cursor).map_err(|error| error.context(format_args!("`{}`", shown(&key))))?;
        if metadata.contains_key(&key) {
            let message = format!("byte {at}: the key `{}` occurs twice: {AGAIN}", shown(&key));
            return Err(Error::format(message));
        }
        metadata.insert(key, value);
    }
    Ok(metadata)
}

fn alignment(metadata: &BTreeMap<String, Value>) -> Result<u64> {
    let Some(value) = metadata.get("general.alignment") else { return Ok(DEFAULT_ALIGNMENT) };
    let alignment = value.as_u64().filter(|value| value.is_power_of_two() && *value <= MAX_ALIGNMENT);
    alignment.ok_or_else(|| {
        let found = value.describe();
        Error::format(format!(
            "`general.alignment` is {found}, expected a power of two of at most {MAX_ALIGNMENT}: {AGAIN}"
        ))
    })
}

/// Reads the descriptions of tensors; each range is counted from the start of the data still.
fn read_tensors<B: Bytes>(cursor: &mut Cursor<'_, B>, count: u64) -> Result<BTreeMap<String, TensorInfo>> {
    let mut tensors = BTreeMap::new();
    for number in 1..=count {
        let at = cursor.position();
        let name = cursor
            .string(MAX_NAME_LEN, "the name of a tensor")
            .map_err(|error| error.context(format_args!("tensor {number} of {count}")))?;
        let info =
            read_tensor(cursor).map_err(|error| error.context(format_args!("tensor `{}`", shown(&name))))?;
        if tensors.contains_key(&name) {
            let message = format!("byte {at}: the tensor `{}` occurs twice: {AGAIN}", shown(&name));
            return Err(Error::format(message));
        }
        tensors.insert(name, info);
    }
    Ok(tensors)
}

fn read_tensor<B: Bytes>(cursor: &mut Cursor<'_, B>) -> Result<TensorInfo> {
    let at = cursor.position();
    let dimensions = cursor.u32("the count of its dimensions")?;
    if !(1..=MAX_DIMENSIONS).contains(&dimensions) {
        return Err(Error::format(format!(
            "byte {at}: it has {dimensions} dimensions, expected 1 to {MAX_DIMENSIONS}: {AGAIN}"
        )));
    }
    let mut shape = Vec::with_capacity(MAX_DIMENSIONS as usize);
    for _ in 0..dimensions {
        shape.push(cursor.u64("a dimension")?);
    }
    shape.reverse();
    let kind = GgmlType::from_number(cursor.u32("its type")?)?;
    let offset = cursor.u64("its offset")?;
    let end = offset.checked_add(byte_len(&shape, kind)?);
    let end = end.ok_or_else(|| {
        Error::format(format!("byte {at}: its offset {offset} passes the end of any file: {AGAIN}"))
    })?;
    Ok(TensorInfo { kind, shape, range: offset..end })
}

/// Bytes of a tensor of `shape`.
fn byte_len(shape: &[u64], kind: GgmlType) -> Result<u64> {
    let count = shape.iter().try_fold(1u64, |product, &n| product.checked_mul(n));
    // A dimension of 0 would hide that others overflow.
    let Some(count) = count.filter(|_| !shape.contains(&0)) else {
        return Err(Error::format(format!("its dimensions {shape:?} make no number of numbers: {AGAIN}")));
    };
    let row = shape.last().copied().unwrap_or(1);
    if !row.is_multiple_of(kind.block_len()) {
        return Err(Error::format(format!(
            "its rows of {row} numbers do not fill blocks of {} ({kind}): {AGAIN}",
            kind.block_len()
        )));
    }
    let len = kind.byte_len(count);
    len.ok_or_else(|| Error::format(format!("its dimensions {shape:?} overflow: {AGAIN}")))
}

/// Gives each tensor its place, which has to be within the file and its own.
fn place(
    tensors: &mut BTreeMap<String, TensorInfo>,
    data_start: u64,
    alignment: u64,
    file_len: u64,
) -> Result<()> {
    for (name, info) in &mut *tensors {
        let Range { start: offset, end } = info.range;
        let refuse =
            |message: String| Err(Error::format(format!("tensor `{}`: {message}: {AGAIN}", shown(name))));
        if !offset.is_multiple_of(alignment) {
            return refuse(format!("its offset {offset} is no multiple of the alignment {alignment}"));
        }
        let end = end.checked_add(data_start).filter(|end| *end <= file_len);
        let Some(end) = end else {
            return refuse(format!(
                "takes bytes {offset} to {} after byte {data_start}, but the file ends at byte {file_len}",
                info.range.end
            ));
        };
        // No overflow: it is less than the end.
        info.range = offset + data_start..end;
    }
    // Not larger than the descriptions in the file.
    let mut places: Vec<(u64, u64, &str)> = Vec::with_capacity(tensors.len());
    places.extend(tensors.iter().map(|(name, info)| (info.range.start, info.range.end, name.as_str())));
    places.sort_unstable();
    for pair in places.windows(2) {
        if let [(_, end, before), (start, _, name)] = pair
            && start < end
        {
            return Err(Error::format(format!(
                "tensor `{}` starts at byte {start}, within `{}`, which ends at byte {end}: {AGAIN}",
                shown(name),
                shown(before)
            )));
        }
    }
    Ok(())
}

/// A name as a message shows it: a hostile one is neither long nor moves the cursor of a terminal.
pub(crate) fn shown(name: &str) -> String {
    const LONGEST: usize = 80;
    let visible = name.chars().map(|c| if c.is_control() { char::REPLACEMENT_CHARACTER } else { c });
    let mut text: String = visible.take(LONGEST).collect();
    if name.chars().nth(LONGEST).is_some() {
        text.push('…');
    }
    text
}
