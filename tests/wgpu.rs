//! The decoder suite on wgpu, which on a machine without a GPU is Mesa's llvmpipe.

use burn::tensor::{Device, DeviceKind};

#[path = "../crates/model/tests/suite/decoder.rs"]
mod decoder;
#[path = "../crates/model/tests/suite/fixtures.rs"]
mod fixtures;

/// What another order and a GPU's own exponentials may change.
const TOLERANCE: f64 = 1e-3;

/// The test data of the workspace.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/data");

fn device() -> Device {
    Device::wgpu(DeviceKind::DefaultDevice)
}
