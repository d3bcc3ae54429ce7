//! The Qwen2 language model on burn.

pub mod config;
pub mod error;
pub mod files;
pub mod safetensors;

pub use error::{Error, ErrorKind, Result};
