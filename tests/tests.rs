//! The integration tests of the workspace.

mod cli;
mod tidy;
mod transcript;
#[cfg(feature = "wgpu")]
mod wgpu;
