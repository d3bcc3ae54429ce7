//! The one error type of this crate: what was expected, where, and what to do about it.

use std::fmt;

/// What sort of thing went wrong, for a caller that wants to decide.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading failed.
    Io,
    /// The file is not what its name says: cut, damaged, lying, or of another format.
    Format,
    /// The metadata is incomplete, or contradicts itself or the tensors.
    Metadata,
    /// The vocabulary cannot be used.
    Tokenizer,
    /// The file is in order, but asks for something that is not implemented.
    Unsupported,
    /// What the caller asked for is not in the file.
    Input,
}

/// An error of this crate: a [kind](ErrorKind) and a message, which has what the system said in it.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct Error {
    kind: ErrorKind,
    message: String,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What helps where bytes are missing or wrong.
pub(crate) const AGAIN: &str = "download the file again";

impl Error {
    /// An error of `kind`; the message says what was expected, where, and the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// Puts the place in front of the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.message = format!("{context}: {}", self.message);
        self
    }

    pub(crate) fn io(message: &str, source: &std::io::Error) -> Self {
        Self::new(ErrorKind::Io, format!("{message}: {source}"))
    }

    pub(crate) fn format(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, message)
    }

    pub(crate) fn metadata(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Metadata, message)
    }

    pub(crate) fn tokenizer(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Tokenizer, message)
    }

    pub(crate) fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    pub(crate) fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }
}
