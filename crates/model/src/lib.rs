//! The Qwen2 language model on burn.

pub mod config;
pub mod decoder;
pub mod error;
pub mod files;
pub mod init;
pub mod kv_cache;
pub mod load;
pub mod qwen2;
pub mod rope;
pub mod safetensors;
pub mod sampler;
pub mod self_test;
pub mod stream;
pub mod tensor_bytes;
pub mod tokenizer;
pub mod vocabulary;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
