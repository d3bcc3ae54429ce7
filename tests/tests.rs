//! The integration tests of the workspace.

#[cfg(feature = "wgpu")]
mod wgpu;
