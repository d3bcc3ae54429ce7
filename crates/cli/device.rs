//! Which device computes, and in what precision. This is the one place of the native host that names a backend.

use anyhow::{Result, bail};
use burn::tensor::{DType, Device};
use clap::ValueEnum;

/// A device by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum DeviceName {
    /// The processor, all cores
    Cpu,
    /// A GPU through Vulkan, Metal or DirectX 12 (Cargo feature `wgpu`)
    Wgpu,
    /// An NVIDIA GPU (Cargo feature `cuda`)
    Cuda,
}

/// A precision by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Precision {
    /// 32 bits
    F32,
    /// 16 bits, IEEE half
    F16,
    /// 16 bits, bfloat
    Bf16,
}

impl Precision {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        }
    }

    /// As burn names it.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }

    /// Bytes of a number.
    pub fn bytes(self) -> u64 {
        match self {
            Self::F32 => 4,
            Self::F16 | Self::Bf16 => 2,
        }
    }

    /// As safetensors names it.
    pub fn stored(self) -> conclave_model::safetensors::Dtype {
        use conclave_model::safetensors::Dtype;
        match self {
            Self::F32 => Dtype::F32,
            Self::F16 => Dtype::F16,
            Self::Bf16 => Dtype::BF16,
        }
    }
}

impl DeviceName {
    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Cpu => "cpu",
            Self::Wgpu => "wgpu",
            Self::Cuda => "cuda",
        }
    }

    /// Opens the device, which must be able to compute in `precision`.
    pub fn open(self, precision: Precision) -> Result<Device> {
        let device = match self {
            Self::Cpu => Device::flex(),
            Self::Wgpu => wgpu()?,
            Self::Cuda => cuda()?,
        };
        // Asked of the device, except for f32, which all have.
        if precision != Precision::F32 && !device.supports_dtype(precision.dtype()) {
            bail!("device `{}` cannot compute in {}: use --dtype f32", self.name(), precision.name());
        }
        Ok(device)
    }
}

#[cfg(feature = "wgpu")]
fn wgpu() -> Result<Device> {
    // wgpu panics deep inside where there is no adapter at all; ask first.
    use burn::tensor::{DeviceKind, DeviceType};
    if Device::enumerate(DeviceType::Wgpu).into_vec().is_empty() {
        bail!(
            "no GPU that wgpu can use was found: install its Vulkan driver (on Debian without a GPU: mesa-vulkan-drivers), or use --device cpu"
        );
    }
    Ok(Device::wgpu(DeviceKind::DefaultDevice))
}

#[cfg(not(feature = "wgpu"))]
fn wgpu() -> Result<Device> {
    bail!(
        "this binary was built without wgpu: build it with `cargo build --release --features wgpu`, or use --device cpu"
    )
}

#[cfg(feature = "cuda")]
fn cuda() -> Result<Device> {
    use burn::tensor::DeviceType;
    if Device::enumerate(DeviceType::Cuda).into_vec().is_empty() {
        bail!("no CUDA device was found: check the driver with nvidia-smi, or use --device cpu");
    }
    Ok(Device::cuda(0))
}

#[cfg(not(feature = "cuda"))]
fn cuda() -> Result<Device> {
    bail!(
        "this binary was built without CUDA: build it with `cargo build --release --features cuda`, or use --device cpu"
    )
}
