//! Everything decidable without a GPU, a network or a clock.

pub mod equivalence;
pub mod grade;
pub mod math;
