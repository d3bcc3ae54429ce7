//! A WebAssembly module that computes a random model, for `module.mjs` beside it: whether its bits are those of other
//! processors, and how fast it is.
//!
//! `cargo build --profile small --target wasm32-unknown-unknown -p conclave-processor --example module`

mod random;

use std::cell::RefCell;

use conclave_processor::{Cache, Level, Model, Pass};

thread_local! {
    static STATE: RefCell<Option<(Model, Cache)>> = const { RefCell::new(None) };
}

/// [`random::digest`] at the best level, or the plainest; 0 where it failed.
#[unsafe(no_mangle)]
pub extern "C" fn digest(is_best: bool) -> u32 {
    let level = if is_best { Level::best() } else { Level::scalar() };
    random::digest(level).unwrap_or(0)
}

/// Makes the model that is measured.
#[unsafe(no_mangle)]
pub extern "C" fn load(is_int8: bool) -> bool {
    let state = random::model(is_int8, 24, 151_936).ok().and_then(|model| {
        let cache = Cache::new(model.shape(), 1, 1024).ok()?;
        Some((model, cache))
    });
    let is_loaded = state.is_some();
    STATE.set(state);
    is_loaded
}

/// Reads `tokens` tokens at once, or one by one, from an empty cache, with logits of the last or of each; true where that
/// went well.
#[unsafe(no_mangle)]
pub extern "C" fn run(tokens: u32, is_at_once: bool) -> bool {
    STATE.with_borrow_mut(|state| {
        let Some((model, cache)) = state else { return false };
        let tokens: Vec<u32> = (0..tokens).map(|i| i * 7919 % 151_936).collect();
        let size = if is_at_once { tokens.len() } else { 1 };
        cache.rewind(0, 0).is_ok()
            && tokens.chunks(size.max(1)).all(|tokens| {
                let hidden = model.forward(cache, &[(0, tokens)], Pass::default());
                hidden.and_then(|hidden| model.logits(&hidden, Pass::default())).is_ok()
            })
    })
}
