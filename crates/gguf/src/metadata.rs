//! The metadata: values by key. Strings and arrays stay in the file until they are asked for.
//!
//! While the header is walked through, every length is checked and nothing is kept but where a string or an array
//! lies; so a metadata of any size costs little, and what nobody asks for is never allocated.

use std::ops::Range;

use crate::bytes::Bytes;
use crate::cursor::Cursor;
use crate::error::{AGAIN, Error, Result};

/// Arrays within arrays that are walked into, at most. llama.cpp writes none.
const MAX_DEPTH: usize = 4;

/// The type of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum ValueType {
    U8,
    I8,
    U16,
    I16,
    U32,
    I32,
    F32,
    Bool,
    String,
    Array,
    U64,
    I64,
    F64,
}

impl ValueType {
    /// In the order of their numbers in the file.
    const ALL: [Self; 13] = [
        Self::U8,
        Self::I8,
        Self::U16,
        Self::I16,
        Self::U32,
        Self::I32,
        Self::F32,
        Self::Bool,
        Self::String,
        Self::Array,
        Self::U64,
        Self::I64,
        Self::F64,
    ];

    fn read<B: Bytes + ?Sized>(cursor: &mut Cursor<'_, B>) -> Result<Self> {
        let at = cursor.position();
        let number = cursor.u32("the type of a value")?;
        let found = usize::try_from(number).ok().and_then(|number| Self::ALL.get(number));
        found.copied().ok_or_else(|| {
            Error::format(format!("byte {at}: a value of type {number}, expected 0 to 12: {AGAIN}"))
        })
    }

    /// Bytes of a value; of a string or an array, at least.
    fn smallest(self) -> u64 {
        match self {
            Self::U8 | Self::I8 | Self::Bool => 1,
            Self::U16 | Self::I16 => 2,
            Self::U32 | Self::I32 | Self::F32 => 4,
            Self::U64 | Self::I64 | Self::F64 | Self::String => 8,
            // A type and a count.
            Self::Array => 12,
        }
    }
}

/// A value.
#[derive(Clone, Debug, PartialEq)]
#[expect(missing_docs, reason = "the names say it")]
pub enum Value {
    U8(u8),
    I8(i8),
    U16(u16),
    I16(i16),
    U32(u32),
    I32(i32),
    F32(f32),
    Bool(bool),
    /// Where its bytes lie.
    String(Range<u64>),
    Array(Array),
    U64(u64),
    I64(i64),
    F64(f64),
}

/// An array, which lies in the file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Array {
    /// The type of each element.
    pub element: ValueType,
    /// How many there are.
    pub count: u64,
    /// Where their bytes lie.
    pub range: Range<u64>,
}

impl Value {
    /// The next value, its type first.
    pub(crate) fn read<B: Bytes + ?Sized>(cursor: &mut Cursor<'_, B>) -> Result<Self> {
        let what = "a value";
        Ok(match ValueType::read(cursor)? {
            ValueType::U8 => Self::U8(u8::from_le_bytes(cursor.take(what)?)),
            ValueType::I8 => Self::I8(i8::from_le_bytes(cursor.take(what)?)),
            ValueType::U16 => Self::U16(u16::from_le_bytes(cursor.take(what)?)),
            ValueType::I16 => Self::I16(i16::from_le_bytes(cursor.take(what)?)),
            ValueType::U32 => Self::U32(cursor.u32(what)?),
            ValueType::I32 => Self::I32(i32::from_le_bytes(cursor.take(what)?)),
            ValueType::F32 => Self::F32(f32::from_le_bytes(cursor.take(what)?)),
            ValueType::Bool => Self::Bool(read_bool(cursor)?),
            ValueType::String => Self::String(cursor.skip_string("a string")?),
            ValueType::Array => Self::Array(Array::read(cursor, 1)?),
            ValueType::U64 => Self::U64(cursor.u64(what)?),
            ValueType::I64 => Self::I64(i64::from_le_bytes(cursor.take(what)?)),
            ValueType::F64 => Self::F64(f64::from_le_bytes(cursor.take(what)?)),
        })
    }

    /// A whole number that is not negative, of whatever type.
    pub fn as_u64(&self) -> Option<u64> {
        match *self {
            Self::U8(value) => Some(value.into()),
            Self::U16(value) => Some(value.into()),
            Self::U32(value) => Some(value.into()),
            Self::U64(value) => Some(value),
            Self::I8(value) => value.try_into().ok(),
            Self::I16(value) => value.try_into().ok(),
            Self::I32(value) => value.try_into().ok(),
            Self::I64(value) => value.try_into().ok(),
            _ => None,
        }
    }

    /// A number as it was meant: an f32 becomes the f64 of its shortest decimal, so that 1e-6 stays 1e-6.
    pub fn as_f64(&self) -> Option<f64> {
        match *self {
            Self::F32(value) => value.to_string().parse().ok(),
            Self::F64(value) => Some(value),
            _ => self.as_u64().map(|value| value as f64),
        }
    }

    /// True or false.
    pub fn as_bool(&self) -> Option<bool> {
        match *self {
            Self::Bool(value) => Some(value),
            _ => None,
        }
    }

    /// How a message shows it.
    pub(crate) fn describe(&self) -> String {
        match self {
            Self::String(range) => format!("a string of {} bytes", range.end - range.start),
            Self::Array(array) => format!("an array of {}", array.count),
            Self::U8(value) => value.to_string(),
            Self::I8(value) => value.to_string(),
            Self::U16(value) => value.to_string(),
            Self::I16(value) => value.to_string(),
            Self::U32(value) => value.to_string(),
            Self::I32(value) => value.to_string(),
            Self::F32(value) => value.to_string(),
            Self::Bool(value) => value.to_string(),
            Self::U64(value) => value.to_string(),
            Self::I64(value) => value.to_string(),
            Self::F64(value) => value.to_string(),
        }
    }
}

fn read_bool<B: Bytes + ?Sized>(cursor: &mut Cursor<'_, B>) -> Result<bool> {
    let at = cursor.position();
    match cursor.take::<1>("a value")? {
        [0] => Ok(false),
        [1] => Ok(true),
        [byte] => Err(Error::format(format!("byte {at}: a bool of {byte}, expected 0 or 1: {AGAIN}"))),
    }
}

impl Array {
    /// Walks over an array; `depth` is 1 for one that lies in no other.
    fn read<B: Bytes + ?Sized>(cursor: &mut Cursor<'_, B>, depth: usize) -> Result<Self> {
        let at = cursor.position();
        if depth > MAX_DEPTH {
            let message = format!("byte {at}: arrays lie in each other more than {MAX_DEPTH} deep: {AGAIN}");
            return Err(Error::format(message));
        }
        let element = ValueType::read(cursor)?;
        let count = cursor.u64("the count of an array")?;
        cursor.check_count(count, element.smallest(), "elements of an array")?;
        let start = cursor.position();
        match element {
            ValueType::String => {
                for _ in 0..count {
                    cursor.skip_string("a string of an array")?;
                }
            }
            ValueType::Array => {
                for _ in 0..count {
                    Self::read(cursor, depth + 1)?;
                }
            }
            // No overflow: there is room for all, as was just checked.
            _ => {
                cursor.skip(count * element.smallest(), "an array")?;
            }
        }
        Ok(Self { element, count, range: start..cursor.position() })
    }
}

/// The elements of an array, brought from the file as they are.
#[derive(Clone, Debug)]
pub struct Elements {
    pub(crate) element: ValueType,
    pub(crate) start: u64,
    pub(crate) bytes: Vec<u8>,
}

impl Elements {
    /// The elements as texts.
    ///
    /// # Errors
    /// Each by itself: what is not a string, or not UTF-8.
    pub fn strings(&self) -> impl Iterator<Item = Result<&str>> {
        let mut rest = self.bytes.as_slice();
        let mut failed = false;
        std::iter::from_fn(move || {
            if rest.is_empty() || failed {
                return None;
            }
            let at = self.start + (self.bytes.len() - rest.len()) as u64;
            let next = self.next_string(&mut rest, at);
            failed = next.is_err();
            Some(next)
        })
    }

    fn next_string<'a>(&self, rest: &mut &'a [u8], at: u64) -> Result<&'a str> {
        if self.element != ValueType::String {
            return Err(Error::metadata(format!(
                "byte {at}: elements of type {:?}, expected strings",
                self.element
            )));
        }
        let cut = || Error::format(format!("byte {at}: a string of an array is cut: {AGAIN}"));
        let (len, after) = rest.split_first_chunk::<8>().ok_or_else(cut)?;
        let len = usize::try_from(u64::from_le_bytes(*len)).map_err(|_| cut())?;
        let (text, after) = after.split_at_checked(len).ok_or_else(cut)?;
        *rest = after;
        str::from_utf8(text)
            .map_err(|_| Error::format(format!("byte {at}: a string of an array is not UTF-8: {AGAIN}")))
    }

    /// The elements as whole numbers; those of other types as `None`.
    pub fn integers(&self) -> impl Iterator<Item = Option<i64>> {
        let size = self.element.smallest() as usize;
        self.bytes.chunks_exact(size).map(|bytes| match self.element {
            ValueType::U8 => bytes.first().map(|&byte| byte.into()),
            ValueType::I8 => bytes.first().map(|&byte| (byte as i8).into()),
            ValueType::U16 => bytes.first_chunk().map(|&bytes| u16::from_le_bytes(bytes).into()),
            ValueType::I16 => bytes.first_chunk().map(|&bytes| i16::from_le_bytes(bytes).into()),
            ValueType::U32 => bytes.first_chunk().map(|&bytes| u32::from_le_bytes(bytes).into()),
            ValueType::I32 => bytes.first_chunk().map(|&bytes| i32::from_le_bytes(bytes).into()),
            ValueType::U64 => {
                bytes.first_chunk().and_then(|&bytes| u64::from_le_bytes(bytes).try_into().ok())
            }
            ValueType::I64 => bytes.first_chunk().map(|&bytes| i64::from_le_bytes(bytes)),
            _ => None,
        })
    }
}
