//! Mathematics as text: lexer, parser, exact values and numeric evaluation.
//! What counts as the *same answer* is decided one level up, in [`crate::equivalence`].

pub mod plain;
