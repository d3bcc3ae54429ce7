//! The one error type of this crate: what could not be done, where, and what helps.

use std::io;
use std::path::Path;

/// `Result` with this crate's [`DiskError`].
pub type Result<T, E = DiskError> = std::result::Result<T, E>;

/// What kind of failure it is, where a caller asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// The arguments are wrong.
    Usage,
    /// Another process writes there.
    Busy,
    /// All else.
    Other,
}

/// Why something could not be written or read.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct DiskError {
    message: String,
    kind: Kind,
    #[source]
    source: Option<io::Error>,
}

impl DiskError {
    /// An error in words alone.
    pub fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), kind: Kind::Other, source: None }
    }

    /// A wrong argument of whoever called the program.
    pub fn usage(message: impl Into<String>) -> Self {
        Self { kind: Kind::Usage, ..Self::new(message) }
    }

    /// Another process writes there.
    pub fn busy(message: impl Into<String>) -> Self {
        Self { kind: Kind::Busy, ..Self::new(message) }
    }

    /// What the system said when something was to be done (`write`, `create`, ...) to `path`.
    pub fn io(action: &str, path: &Path, source: io::Error) -> Self {
        let message = format!("cannot {action} `{}`{}", path.display(), remedy(source.kind()));
        Self { message, kind: Kind::Other, source: Some(source) }
    }

    /// The same with a hint of the caller's.
    pub(crate) fn io_with(action: &str, path: &Path, hint: &str, source: io::Error) -> Self {
        let message = format!("cannot {action} `{}`{hint}", path.display());
        Self { message, kind: Kind::Other, source: Some(source) }
    }

    /// Whether the arguments are what is wrong.
    pub fn is_usage(&self) -> bool {
        self.kind == Kind::Usage
    }

    /// Whether another process writes there.
    pub fn is_busy(&self) -> bool {
        self.kind == Kind::Busy
    }
}

/// What helps, where that is not plain from what the system says.
fn remedy(kind: io::ErrorKind) -> &'static str {
    match kind {
        io::ErrorKind::StorageFull => " (free some space on its disk, then run the command again)",
        io::ErrorKind::QuotaExceeded => {
            " (your share of its disk is used up: free some, then run the command again)"
        }
        io::ErrorKind::ReadOnlyFilesystem | io::ErrorKind::PermissionDenied => {
            " (name a file in a folder that you may write to)"
        }
        _ => "",
    }
}
