//! The Qwen2 language model on burn, and the aggregator on top of it.
//!
//! From the bottom: files of a model directory ([`files`], [`safetensors`], [`weights`], [`config`], [`manifest`],
//! [`tokenizer`]); the network ([`vocabulary`], [`rope`], [`kv_cache`], [`pass_layout`], [`qwen2`], [`load`], [`init`],
//! [`module_weights`]); tokens ([`decoder`] and [`sampler`], which know no tensor library; [`qwen2_decoder`] and
//! [`device_sampler`], which do; [`stream`], [`generate`]); answers ([`aggregate`]); and what keeps it honest
//! ([`self_test`], [`export`]); [`builtin`] is a small model within the program. What does not live here: devices by
//! name, files on disk, networks, clocks (hosts), votes and prompts (`conclave-core`), training.

pub mod aggregate;
pub mod builtin;
pub mod config;
pub mod decoder;
pub mod device_sampler;
pub mod error;
pub mod export;
pub mod files;
pub mod generate;
pub mod init;
pub mod kv_cache;
pub mod load;
pub mod manifest;
pub mod module_weights;
pub mod open;
pub mod pass_layout;
mod product;
pub mod qwen2;
pub mod qwen2_decoder;
pub mod rope;
pub mod safetensors;
pub mod sampler;
pub mod self_test;
mod stand_in;
pub mod stream;
pub mod tensor_bytes;
pub mod tokenizer;
pub mod vocabulary;
pub mod weights;

pub use error::{Error, ErrorKind, Result};
