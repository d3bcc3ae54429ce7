//! The one error type of this crate: what was expected, where, and what to do about it.

use std::path::PathBuf;

/// Why a training cannot start or go on.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The configuration cannot be used: an unknown key, a value out of range, parts that contradict each other.
    #[error("{0}")]
    Config(String),
    /// A sample set, a target or a batch cannot be used.
    #[error("{0}")]
    Data(String),
    /// The model, its tokenizer or its device.
    #[error(transparent)]
    Model(#[from] conclave_model::Error),
    /// A checkpoint is damaged, or of another run.
    #[error("{0}")]
    Checkpoint(String),
    /// Reading or writing a file of the run failed.
    #[error("{}: {source}", path.display())]
    Io {
        /// The file or folder.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// Writing a file or folder of the run failed, or another process holds it.
    #[error(transparent)]
    Disk(#[from] conclave_disk::DiskError),
    /// A loss or a gradient is infinite or not a number.
    #[error("{0}")]
    NotFinite(String),
}

/// `Result` with this crate's [`TrainError`].
pub type Result<T, E = TrainError> = std::result::Result<T, E>;

impl TrainError {
    /// An input or output error at `path`.
    pub fn io(path: impl Into<PathBuf>, source: std::io::Error) -> Self {
        Self::Io { path: path.into(), source }
    }
}
