//! What can go wrong, by kind; the message says what to do.

use std::io;
use std::path::Path;
use std::time::Duration;

/// The result of this crate's functions.
pub type Result<T, E = HubError> = std::result::Result<T, E>;

/// Kinds of errors, for callers that treat them differently.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ErrorKind {
    /// A name, a revision or a file name that cannot be one.
    Name,
    /// A variable of the environment that cannot be used.
    Environment,
    /// The network was forbidden (`HF_HUB_OFFLINE`) and the model is not in the cache.
    Offline,
    /// The hub wants a token, or another one.
    Unauthorized,
    /// The token is right and may not read this model: its conditions have to be accepted first.
    Forbidden,
    /// The hub has no such model, revision or file.
    NotFound,
    /// The repository has nothing that can be used, or several things to choose from.
    Selection,
    /// The hub wants fewer requests.
    RateLimited,
    /// The hub is out of order.
    Server,
    /// No connection, or one that broke off.
    Network,
    /// A connection that cannot be trusted.
    Tls,
    /// A redirection that is not followed.
    Redirect,
    /// An answer that is not what was asked for: a web page, a pointer, a wrong length.
    Answer,
    /// A file whose checksum is wrong. It was removed.
    Checksum,
    /// The disk is full, or has too little room.
    NoRoom,
    /// The disk refused something else.
    Disk,
    /// Cancelled by the caller.
    Cancelled,
}

/// Whether the same request may succeed when it is made again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    /// It will not.
    Never,
    /// It may, after a moment.
    Soon,
    /// The hub says when, or that it does not know.
    Limited(Option<Duration>),
}

/// An error: what was expected, where, and what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{message}")]
pub struct HubError {
    kind: ErrorKind,
    message: String,
    pub(crate) again: Again,
}

impl HubError {
    pub(crate) fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into(), again: Again::Never }
    }

    pub(crate) fn again(self, again: Again) -> Self {
        Self { again, ..self }
    }

    /// A failure of the disk while `doing` something with `path`.
    pub(crate) fn disk(doing: &str, path: &Path, error: &io::Error) -> Self {
        let name = path.display();
        match error.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::new(
                ErrorKind::NoRoom,
                format!(
                    "cannot {doing} `{name}`: the disk is full. Make room, or name a cache elsewhere with HF_HUB_CACHE; \
                     the same command then goes on where this one stopped"
                ),
            ),
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => Self::new(
                ErrorKind::Disk,
                format!(
                    "cannot {doing} `{name}`: {error}. Name a cache that can be written with HF_HUB_CACHE"
                ),
            ),
            _ => Self::new(ErrorKind::Disk, format!("cannot {doing} `{name}`: {error}")),
        }
    }

    /// What kind of error it is.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }
}
