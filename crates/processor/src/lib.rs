//! The transformer on a processor, on quantised weights, without a tensor library.
