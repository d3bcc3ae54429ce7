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
mod sample;
mod tidy;
mod train;
mod train_killed;
mod transcript;
#[cfg(feature = "wgpu")]
mod voters;
mod wgpu;
