//! What can be wrong with a model, a cache or the tokens of a forward pass.

/// Why something was refused. Nothing was changed when it is returned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Error {
    /// A buffer or a matrix of another size than its place asks for.
    #[error("{what} has {found}, expected {expected}")]
    Size {
        /// What was given, by its name in a checkpoint where it has one.
        what: String,
        /// The size that it has.
        found: String,
        /// The size that it must have.
        expected: String,
    },
    /// Sizes of a model that do not go together or cannot be computed with.
    #[error("the shape of the model cannot work: {0}")]
    Shape(String),
    /// A scale of a quantised matrix that is not a number to multiply by.
    #[error(
        "scale {index} of {what} is {value}, expected a finite number: the file is damaged, get it again"
    )]
    Scale {
        /// The matrix.
        what: String,
        /// Row-major.
        index: usize,
        /// As text, since it may be NaN.
        value: String,
    },
    /// Tokens that a forward pass cannot take.
    #[error("cannot append to row {row}: {reason}")]
    Append {
        /// The row of the cache.
        row: usize,
        /// What is wrong and what to do.
        reason: String,
    },
    /// A row of the cache or a token in it that is not there.
    #[error("the cache has no {what} {found}, only {count}")]
    Missing {
        /// Row, token or column.
        what: &'static str,
        /// Its index.
        found: usize,
        /// How many there are.
        count: usize,
    },
}

impl Error {
    pub(crate) fn size(what: &str, found: impl ToString, expected: impl ToString) -> Self {
        Self::Size { what: what.to_owned(), found: found.to_string(), expected: expected.to_string() }
    }

    /// Compares a length with what it must be.
    pub(crate) fn check(what: &str, found: usize, expected: usize) -> Result<(), Self> {
        if found == expected {
            return Ok(());
        }
        Err(Self::size(what, format!("{found} elements"), format!("{expected}")))
    }
}
