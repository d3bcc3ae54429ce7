//! Sample sets to token sequences: a source of sets ([`sets`]), which of them are left out ([`filter`]), what a set
//! becomes ([`prepare`]), and which sequences go together ([`batches`]).
//!
//! Everything is a pure function of the seed and of a *position*, the number of the example in the run: nothing has to
//! be saved but the step to go on exactly where a run stopped. What does not live here: opening files (hosts), prompts
//! (`conclave_core::prompt`), losses.

pub mod batches;
mod draw;
pub mod filter;
mod parallel;
pub mod prepare;
pub mod sets;
mod target;
#[cfg(test)]
mod tests;

pub use batches::{Batches, Curriculum, StepData};
pub use filter::{FilterReport, Unusable, filter};
pub use prepare::{Examples, Preparation, Prepared, TargetOrigin};
pub use sets::Sets;
