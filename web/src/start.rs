//! What runs once, when JavaScript has instantiated the module: static constructors and the panic message.

use std::cell::RefCell;

use js_sys::Function;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

thread_local! {
    /// Who wants to know of a panic.
    static ON_PANIC: RefCell<Option<Function>> = const { RefCell::new(None) };
}

unsafe extern "C" {
    /// Made by the linker: runs the static constructors of the crates below (the registries of `inventory`).
    fn __wasm_call_ctors();
}

#[wasm_bindgen]
unsafe extern "C" {
    #[wasm_bindgen(js_namespace = console, js_name = error)]
    fn console_error(message: &str);
}

/// Called by the bindings before anything else.
///
/// Where a module has static constructors and nothing in it calls them, the linker takes it for a command that runs once
/// and wraps *every* export so that the constructors run again at each call from JavaScript: ten times slower, and the
/// registries grow for ever. This one call is what prevents that; `tests/module.test.mjs` looks for the wrappers.
#[wasm_bindgen(start)]
pub fn start() {
    // SAFETY: the symbol is defined by the linker in every module, takes and returns nothing, and is called once: a
    // start function runs once an instance.
    unsafe { __wasm_call_ctors() };
    // A panic is a bug of ours; it reaches JavaScript as a trap without a message, so the message goes to the console,
    // and to whoever waits for a promise: that of a panicked task never settles.
    std::panic::set_hook(Box::new(|panic| {
        let message = panic.to_string();
        console_error(&message);
        let callback = ON_PANIC.with(|slot| slot.try_borrow().ok().and_then(|slot| slot.clone()));
        if let Some(callback) = callback {
            // What it throws has nowhere to go.
            let _told = callback.call1(&JsValue::UNDEFINED, &JsValue::from_str(&message));
        }
    }));
}

/// Sets what is told of a panic, in place of what was set before.
#[wasm_bindgen(js_name = onPanic)]
pub fn on_panic(callback: Function) {
    ON_PANIC.with(|slot| *slot.borrow_mut() = Some(callback));
}
