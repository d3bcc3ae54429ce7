//! The device that computes: the processor, or a GPU through WebGPU with all that its adapter allows, watched for what
//! goes wrong behind our back. This is the one place of this host that names a backend.

use burn::tensor::Device;
use wasm_bindgen::JsValue;

use crate::callbacks::Callbacks;
use crate::error;

/// An open device.
pub struct OpenDevice {
    /// As burn knows it.
    pub device: Device,
    /// "webgpu" or "cpu".
    pub name: &'static str,
    /// What the GPU calls itself.
    pub adapter: Option<String>,
    #[cfg(feature = "webgpu")]
    gpu: Option<gpu::Gpu>,
}

impl OpenDevice {
    /// Opens the device `name`; `onLost` of the callbacks is told when a GPU goes away.
    ///
    /// # Errors
    /// `unsupported` for a name or a device that this build does not have; `no_webgpu` where the browser gives none.
    pub async fn open(name: &str, callbacks: &Callbacks) -> Result<Self, JsValue> {
        match name {
            #[cfg(feature = "cpu")]
            "cpu" => Ok(Self {
                device: Device::flex(),
                name: "cpu",
                adapter: None,
                #[cfg(feature = "webgpu")]
                gpu: None,
            }),
            #[cfg(feature = "webgpu")]
            "webgpu" => {
                let (device, gpu) = gpu::Gpu::open(callbacks.clone()).await?;
                Ok(Self { device, name: "webgpu", adapter: gpu.adapter(), gpu: Some(gpu) })
            }
            _ => {
                let _unused = callbacks;
                Err(error::new("unsupported", &format!("device `{name}` is not part of this build")))
            }
        }
    }

    /// What went wrong on the device meanwhile. Such a thing explains any other error, and without one it says that
    /// a result is not to be trusted.
    ///
    /// # Errors
    /// `device_lost` where the GPU went away; `device` where an operation on it was not valid.
    pub fn check(&self) -> Result<(), JsValue> {
        #[cfg(feature = "webgpu")]
        if let Some(gpu) = &self.gpu {
            return gpu.check();
        }
        Ok(())
    }
}

#[cfg(feature = "webgpu")]
mod gpu {
    use std::cell::{Cell, RefCell};
    use std::collections::BTreeMap;
    use std::sync::Arc;

    use burn::tensor::Device;
    use burn::tensor::wgpu::{WgpuSetup, wgpu};
    use wasm_bindgen::JsValue;

    use crate::callbacks::Callbacks;
    use crate::error;

    /// What is known of a GPU that is in use.
    struct Watch {
        callbacks: Callbacks,
        lost: Option<String>,
        failed: Option<String>,
    }

    thread_local! {
        /// By number: what wgpu calls back must be `Send`, which nothing of JavaScript is. There is one thread.
        static WATCHES: RefCell<BTreeMap<u32, Watch>> = const { RefCell::new(BTreeMap::new()) };
        /// Never used twice: a GPU that was given back is reported lost later on.
        static NEXT: Cell<u32> = const { Cell::new(0) };
    }

    /// A GPU, given back when it is dropped.
    pub struct Gpu {
        adapter: wgpu::Adapter,
        device: wgpu::Device,
        id: u32,
    }

    impl Gpu {
        /// Asks for an adapter and a device on it, by hand and not by burn's own names for devices: those can be opened
        /// once, and a GPU that was lost is opened again.
        pub async fn open(callbacks: Callbacks) -> Result<(Device, Self), JsValue> {
            let no_webgpu = |what: &str, error: &dyn std::fmt::Display| {
                error::new("no_webgpu", &format!("WebGPU gives no {what}: {error}"))
            };
            let instance = wgpu::Instance::new(wgpu::InstanceDescriptor {
                backends: wgpu::Backends::BROWSER_WEBGPU,
                ..wgpu::InstanceDescriptor::new_without_display_handle()
            });
            let options = wgpu::RequestAdapterOptions {
                power_preference: wgpu::PowerPreference::HighPerformance,
                ..Default::default()
            };
            let adapter =
                instance.request_adapter(&options).await.map_err(|error| no_webgpu("adapter", &error))?;
            let descriptor = wgpu::DeviceDescriptor {
                label: Some("conclave"),
                required_features: adapter.features().difference(wgpu::Features::MAPPABLE_PRIMARY_BUFFERS),
                // All of them: the default limits are those of the smallest GPUs.
                required_limits: adapter.limits(),
                memory_hints: wgpu::MemoryHints::MemoryUsage,
                ..Default::default()
            };
            let (device, queue) =
                adapter.request_device(&descriptor).await.map_err(|error| no_webgpu("device", &error))?;
            let setup = WgpuSetup {
                instance,
                adapter: adapter.clone(),
                device: device.clone(),
                queue,
                backend: wgpu::Backend::BrowserWebGpu,
            };
            let burn = Device::wgpu_options().setup(setup).init();
            let burn =
                burn.map_err(|error| error::new("limits", &format!("this GPU cannot be used: {error}")))?;
            // Behind burn, which sets hooks of its own: its hook for errors panics.
            let id = watch(&device, callbacks);
            Ok((burn, Self { adapter, device, id }))
        }

        /// The name; browsers often keep it to themselves.
        pub fn adapter(&self) -> Option<String> {
            Some(self.adapter.get_info().name).filter(|name| !name.is_empty())
        }

        /// See [`OpenDevice::check`](super::OpenDevice::check).
        pub fn check(&self) -> Result<(), JsValue> {
            WATCHES.with_borrow(|watches| match watches.get(&self.id) {
                Some(Watch { lost: Some(reason), .. }) => Err(error::new("device_lost", reason)),
                Some(Watch { failed: Some(reason), .. }) => {
                    Err(error::new("device", &format!("the GPU refused an operation: {reason}")))
                }
                _ => Ok(()),
            })
        }
    }

    impl Drop for Gpu {
        fn drop(&mut self) {
            // Nobody wants to hear that it is lost now. burn never lets go of a runtime; destroying the device below it
            // frees the memory.
            WATCHES.with_borrow_mut(|watches| watches.remove(&self.id));
            self.device.destroy();
        }
    }

    fn watch(device: &wgpu::Device, callbacks: Callbacks) -> u32 {
        let watch = Watch { callbacks, lost: None, failed: None };
        let id = NEXT.replace(NEXT.get() + 1);
        WATCHES.with_borrow_mut(|watches| watches.insert(id, watch));
        device.set_device_lost_callback(move |reason, message| {
            let text = format!("{reason:?}: {message}");
            let callbacks = WATCHES.with_borrow_mut(|watches| {
                let watch = watches.get_mut(&id)?;
                watch.lost.get_or_insert_with(|| text.clone());
                Some(watch.callbacks.clone())
            });
            if let Some(callbacks) = callbacks {
                callbacks.call("onLost", &[text.into()]);
            }
        });
        device.on_uncaptured_error(Arc::new(move |error: wgpu::Error| {
            WATCHES.with_borrow_mut(|watches| {
                if let Some(watch) = watches.get_mut(&id) {
                    // The first one: what follows follows from it.
                    watch.failed.get_or_insert_with(|| error.to_string());
                }
            });
        }));
        id
    }
}
