//! The Qwen2 language model on burn.

pub mod config;
pub mod error;
pub mod files;
pub mod safetensors;
pub mod tensor_bytes;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
