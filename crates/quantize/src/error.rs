//! The one error type of this crate.

/// Why weights, words or a description could not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// A weight is infinite or not a number.
    #[error(
        "the weight of row {row}, column {column} is {value}, expected a finite number: is the checkpoint whole?"
    )]
    NotFinite {
        /// Row of the matrix.
        row: usize,
        /// Column of the matrix.
        column: usize,
        /// The weight.
        value: f32,
    },
    /// A weight is too large for any scale that the format can hold.
    #[error(
        "the weight of row {row}, column {column} is {value:e}, at most {most:e} can be quantised: keep this matrix as it is"
    )]
    TooLarge {
        /// Row of the matrix.
        row: usize,
        /// Column of the matrix.
        column: usize,
        /// The weight.
        value: f32,
        /// The largest magnitude that can be.
        most: f32,
    },
    /// Numbers that do not fill the shape they are said to have, or a shape that the format does not have.
    #[error("{what} is {found}, expected {expected}")]
    Size {
        /// What is counted.
        what: &'static str,
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: String,
    },
    /// A second moment of an input that cannot be one.
    #[error(
        "the second moment of input {column} is {value}, expected a finite number of 0 or more: calibrate again"
    )]
    Moment {
        /// The input, which is a column of the matrix.
        column: usize,
        /// The moment.
        value: f64,
    },
    /// The inputs' second moments are no positive definite matrix, even with a tenth of their mean added.
    #[error(
        "the second moments of the inputs are not positive definite at column {column}: calibrate with more text, or use level 1"
    )]
    NotPositiveDefinite {
        /// The column at which it shows.
        column: usize,
    },
    /// Logits that cannot be compared.
    #[error("the logit of token {token} is {value}, expected a number: the model that gave it does not work")]
    Logit {
        /// The token.
        token: usize,
        /// Its logit.
        value: f32,
    },
    /// A description of quantised weights that is incomplete or asks for something that is not implemented.
    #[error("quantization_config: `{key}` is {value}, expected {expected}")]
    Config {
        /// The key, with the keys above it.
        key: String,
        /// What it says, shortened.
        value: String,
        /// What is supported.
        expected: String,
    },
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// The same error where the rows that were looked at begin with row `first` of the whole matrix.
    #[must_use]
    pub fn from_row(mut self, first: usize) -> Self {
        if let Self::NotFinite { row, .. } | Self::TooLarge { row, .. } = &mut self {
            *row = row.saturating_add(first);
        }
        self
    }
}

/// The number of rows of `len` numbers in rows of `columns`.
///
/// # Errors
/// No columns, or a row that is not whole.
pub(crate) fn count_rows(what: &'static str, len: usize, columns: usize) -> Result<usize> {
    match len.checked_rem(columns) {
        Some(0) => Ok(len / columns),
        _ => Err(Error::Size { what, found: len, expected: format!("a multiple of the {columns} columns") }),
    }
}

/// Checks a count.
///
/// # Errors
/// Any other count.
pub(crate) fn expect_len(what: &'static str, found: usize, expected: usize) -> Result<()> {
    if found == expected { Ok(()) } else { Err(Error::Size { what, found, expected: expected.to_string() }) }
}

/// Checks that all weights are finite and of magnitude `most` or less.
///
/// # Errors
/// Names the first that is not, by row and column.
pub(crate) fn check_weights(values: &[f32], columns: usize, most: f32) -> Result<()> {
    let Some(at) = values.iter().position(|value| value.is_nan() || value.abs() > most) else {
        return Ok(());
    };
    let (row, column, value) = (at / columns.max(1), at % columns.max(1), values[at]);
    Err(match value.is_finite() {
        true => Error::TooLarge { row, column, value, most },
        false => Error::NotFinite { row, column, value },
    })
}

/// Checks second moments of the inputs, one a column.
///
/// # Errors
/// Another count, or a moment that is negative or not finite.
pub(crate) fn check_moments(moments: &[f32], columns: usize) -> Result<()> {
    expect_len("the number of second moments", moments.len(), columns)?;
    match moments.iter().position(|moment| !(moment.is_finite() && *moment >= 0.0)) {
        Some(column) => Err(Error::Moment { column, value: moments[column].into() }),
        None => Ok(()),
    }
}
