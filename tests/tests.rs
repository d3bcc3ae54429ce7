//! The integration tests of the workspace.

mod cli;
mod transcript;
#[cfg(feature = "wgpu")]
mod wgpu;
