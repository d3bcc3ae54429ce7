//! Weights of 4 and 8 bits: choosing scales, packing, the error they make.
