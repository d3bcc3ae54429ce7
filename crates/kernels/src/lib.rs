//! Matrix products on WebGPU.
//!
//! Without autotuning, which a page cannot wait for, burn computes every product by one kernel, made for large square
//! matrices: a token that is decoded fills one row of its tiles, and an adapter in software pays for every barrier. Here
//! are kernels for the shapes of a language model: few rows by a matrix ([`product`] up to eight), many rows without
//! barriers, rows by the transpose of a matrix ([`product_transposed`]). Sums are taken in f32. What does not live here:
//! products of other devices and of sizes that are no multiples of four, which are burn's.

mod few_rows;
mod many_rows;
mod op;
mod shape;
mod transposed;

pub use op::{Products, product, product_transposed};
