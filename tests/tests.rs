//! The integration tests of the workspace.

mod cli;
mod data_command;
mod tidy;
mod transcript;
#[cfg(feature = "wgpu")]
mod wgpu;
