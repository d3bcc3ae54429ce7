//! The one error type of this crate: what was expected, where, and what to do about it.
//!
//! An [`Error`] is opaque: it has a [`kind`](Error::kind) to decide by and a message to show. Whoever passes it on
//! may put the place in front of it with [`context`](Error::context); hosts show it once and never parse the text.

use std::fmt;

/// What sort of thing went wrong, for a host that wants to decide (an exit code, a retry, another device).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// Reading or writing failed: a disk, a network, a browser store.
    Io,
    /// A file that has to be there is not.
    NotFound,
    /// A file is not what its name says: cut, damaged or of another format.
    Format,
    /// `config.json` or another description is incomplete or contradicts itself.
    Config,
    /// `tokenizer.json` cannot be used, or does not fit the model.
    Tokenizer,
    /// A tensor has another shape than the configuration asks for.
    Shape,
    /// The file is in order, but asks for something that is not implemented.
    Unsupported,
    /// A number is infinite or not a number where it must be finite.
    NotFinite,
    /// The caller asked to stop.
    Cancelled,
    /// Something is larger than there is room for: a context, a cache, a buffer.
    Capacity,
    /// What the caller passed in makes no sense.
    Input,
    /// The device (its driver, its memory, a read-back) failed.
    Device,
}

/// An error of this crate: a [kind](ErrorKind), a message, and the error below it where there is one.
///
/// `Display` gives the whole message, contexts first: ``cannot load weight: `model.norm.weight` has shape [3],
/// expected [896]``.
pub struct Error(Box<Inner>);

struct Inner {
    kind: ErrorKind,
    message: String,
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// `Result` with this crate's [`Error`].
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl Error {
    /// An error of `kind`; the message says what was expected, where, and the remedy.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Box::new(Inner { kind, message: message.into(), source: None }))
    }

    /// Keeps `source` as the cause, to be found through [`std::error::Error::source`]; the message stays as it is.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.0.source = Some(source.into());
        self
    }

    /// Puts the place or the purpose in front of the message: `context: message`.
    #[must_use]
    pub fn context(mut self, context: impl fmt::Display) -> Self {
        self.0.message = format!("{context}: {}", self.0.message);
        self
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// Whether the caller itself asked to stop, which is not a failure to report.
    pub fn is_cancelled(&self) -> bool {
        self.kind() == ErrorKind::Cancelled
    }

    /// [`ErrorKind::Io`], for what a host's file or network layer reports.
    pub fn io(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Io, message)
    }

    /// [`ErrorKind::NotFound`].
    pub fn not_found(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFound, message)
    }

    /// [`ErrorKind::Format`].
    pub fn format(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Format, message)
    }

    /// [`ErrorKind::Config`].
    pub fn config(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Config, message)
    }

    /// [`ErrorKind::Tokenizer`].
    pub fn tokenizer(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Tokenizer, message)
    }

    /// [`ErrorKind::Unsupported`].
    pub fn unsupported(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Unsupported, message)
    }

    /// [`ErrorKind::NotFinite`].
    pub fn not_finite(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::NotFinite, message)
    }

    /// [`ErrorKind::Capacity`].
    pub fn capacity(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Capacity, message)
    }

    /// [`ErrorKind::Input`].
    pub fn input(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Input, message)
    }

    /// [`ErrorKind::Device`].
    pub fn device(message: impl Into<String>) -> Self {
        Self::new(ErrorKind::Device, message)
    }

    /// [`ErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled by the caller")
    }

    /// [`ErrorKind::Shape`] of the weight `name`, in the words that every loader uses.
    pub fn weight_shape(name: &str, found: &[usize], expected: &[usize]) -> Self {
        let message =
            format!("cannot load weight: `{name}` has shape {found:?}, expected {expected:?} by config.json");
        Self::new(ErrorKind::Shape, message)
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.0.message)
    }
}

impl std::error::Error for Error {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.0.source.as_deref().map(|source| source as _)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn context_stands_in_front_and_the_kind_stays() {
        let error = Error::format("ends at byte 7").context("model.safetensors").context("cannot open model");
        assert_eq!(error.to_string(), "cannot open model: model.safetensors: ends at byte 7");
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(!error.is_cancelled() && Error::cancelled().is_cancelled());
    }

    #[test]
    fn the_cause_is_kept() {
        let cause = std::io::Error::other("disk on fire");
        let error = Error::io("cannot read").with_source(cause);
        assert_eq!(std::error::Error::source(&error).map(ToString::to_string), Some("disk on fire".into()));
    }

    #[test]
    fn an_error_is_one_pointer() {
        assert_eq!(size_of::<Result<()>>(), size_of::<usize>());
    }
}
