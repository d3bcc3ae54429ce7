//! Everything decidable without a GPU, a network or a clock.
