//! Tests of `conclave-quantize` through its public functions.

mod format;
mod gptq;
mod int4;
mod int8;
mod random;
