//! The built-in model: within the module, or where that is to stay small a file of the package, which JavaScript brings when it
//! is needed for the first time.

use conclave_model::Result;
use conclave_model::files::MemoryFiles;

/// Its files.
///
/// # Errors
/// What went wrong with bringing it.
#[cfg(feature = "builtin")]
pub async fn files() -> Result<MemoryFiles> {
    Ok(conclave_model::builtin::files())
}

#[cfg(not(feature = "builtin"))]
pub use brought::files;

#[cfg(not(feature = "builtin"))]
mod brought {
    use std::cell::RefCell;

    use conclave_model::{Error, builtin};
    use js_sys::{Function, Promise, Uint8Array};
    use wasm_bindgen::prelude::wasm_bindgen;
    use wasm_bindgen::{JsCast, JsValue};
    use wasm_bindgen_futures::JsFuture;

    use super::{MemoryFiles, Result};
    use crate::files::message;

    thread_local! {
        static FETCH: RefCell<Option<Function>> = const { RefCell::new(None) };
    }

    /// Sets how the file with the built-in model is brought: a function that promises its bytes.
    #[wasm_bindgen(js_name = setBuiltin)]
    pub fn set_builtin(#[wasm_bindgen(unchecked_param_type = "() => Promise<Uint8Array>")] fetch: Function) {
        FETCH.with(|slot| *slot.borrow_mut() = Some(fetch));
    }

    /// Its files.
    ///
    /// # Errors
    /// What went wrong with bringing it.
    pub async fn files() -> Result<MemoryFiles> {
        let failed = |error: JsValue| Error::io(format!("the built-in model: {}", message(&error)));
        let fetch = FETCH.with(|slot| slot.borrow().clone());
        let fetch = fetch.ok_or_else(|| Error::io("the built-in model: nobody brings it".to_owned()))?;
        let promise = fetch.call0(&JsValue::UNDEFINED).map_err(failed)?;
        let bytes = JsFuture::from(Promise::resolve(&promise)).await.map_err(failed)?;
        let bytes = bytes
            .dyn_into::<Uint8Array>()
            .map_err(|_| Error::io("the built-in model: expected its bytes as a Uint8Array".to_owned()))?;
        builtin::unpack(&bytes.to_vec())
    }
}
