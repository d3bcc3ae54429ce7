//! GGUF files of llama.cpp: what is in them, their numbers, and what their metadata says of a model.
//!
//! [`Gguf`] reads a file without trust ([`reader`], [`metadata`], [`types`]) from any [`Bytes`]; [`dequantize`] turns
//! blocks into f32; [`Model`] says which model a file holds, as the texts of a Hugging Face directory
//! ([`model`], [`tokenizer`], [`names`], [`tying`]). What does not live here: files on disk (the host passes in
//! [`Bytes`]), safetensors, and computing a model.
//!
//! A file is: `GGUF`, a version, the counts of tensors and of metadata entries, the metadata (key, type, value), the
//! tensors' names, dimensions, types and offsets, padding to `general.alignment`, then the tensors. Everything is
//! little endian. The format: <https://github.com/ggml-org/ggml/blob/master/docs/gguf.md>.

pub mod bytes;
mod cursor;
pub mod dequantize;
pub mod error;
mod k_quants;
mod keys;
pub mod metadata;
pub mod model;
pub mod names;
pub mod reader;
pub mod tokenizer;
pub mod tying;
pub mod types;

pub use bytes::{Bytes, Seekable};
pub use error::{Error, ErrorKind, Result};
pub use model::{Model, Options};
pub use reader::{Gguf, TensorInfo};
pub use types::GgmlType;
