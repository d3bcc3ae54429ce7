//! Property tests of what reads hostile bytes: safetensors headers, config.json, streamed text and stop strings.
//!
//! `CONCLAVE_PROPTEST_CASES` sets the number of inputs of each test (2,000 otherwise).

mod property {
    mod allocation;
    mod formats;
    mod mutation;
    mod stream;
}
