//! The decoder suite on the CPU.

use burn::tensor::Device;

#[path = "suite/decoder.rs"]
mod decoder;
#[path = "suite/fixtures.rs"]
mod fixtures;

/// What f32 arithmetic in another order may change.
const TOLERANCE: f64 = 1e-4;

/// The test data of the workspace.
const DATA: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data");

fn device() -> Device {
    Device::flex()
}
