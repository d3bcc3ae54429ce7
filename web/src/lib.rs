//! The browser host.
#![cfg(target_family = "wasm")]
