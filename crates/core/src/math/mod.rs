//! Mathematics as text: lexer, parser, exact values and numeric evaluation.
//! What counts as the *same answer* is decided one level up, in [`crate::equivalence`].
//!
//! Everything here is total: hostile input ends in `None` or [`ParseError`], after at most [`Budget::STEPS`] steps and
//! at most [`Budget::DEPTH`] levels of recursion.

pub mod branches;
pub mod budget;
pub mod complex;
pub mod double;
pub mod exact;
pub mod functions;
pub mod infinity;
pub mod lexer;
pub mod node;
pub mod number;
pub mod numeric;
pub mod parser;
pub mod plain;
pub mod polynomial;
pub(crate) mod units;
pub mod verdict;

pub use budget::Budget;
pub use node::Node;
pub use parser::{ParseError, parse};
pub use verdict::Verdict;
