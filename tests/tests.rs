//! The integration tests of the workspace.

mod cli;
#[cfg(feature = "wgpu")]
mod wgpu;
