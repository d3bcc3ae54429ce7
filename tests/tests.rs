//! The integration tests of the workspace.

mod aggregate;
mod binary;
mod builtin;
mod checkpoint;
mod cli;
mod confidence;
mod data_command;
mod disk;
mod files;
mod gguf;
mod kinds;
mod model;
mod quantize;
mod sample;
mod tidy;
mod train;
mod train_killed;
mod transcript;
mod voters;
#[cfg(feature = "wgpu")]
mod wgpu;
