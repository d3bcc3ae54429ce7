//! The `conclave` command line.
fn main() {}
