//! The bits of a random model, which are the same at every level and on every processor.

#[path = "../examples/random/mod.rs"]
mod random;

use conclave_processor::Level;

/// Also what `examples/module.mjs` finds in WebAssembly.
const DIGEST: u32 = 0x92f4_9b20;

#[test]
fn a_pass_has_the_same_bits_on_every_processor() {
    for level in Level::all() {
        assert_eq!(
            format!("{:08x}", random::digest(level).expect("it runs")),
            format!("{DIGEST:08x}"),
            "{level:?}"
        );
    }
}
