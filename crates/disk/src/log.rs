//! Files that only grow: the log of a run.

use std::fs::{File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use crate::error::{DiskError, Result};
use crate::whole::write_whole;

/// A file that lines are appended to.
#[derive(Debug)]
pub struct AppendedLog {
    path: PathBuf,
    file: File,
}

impl AppendedLog {
    /// Opens `path`; what is in it already becomes `kept`, all at once.
    ///
    /// # Errors
    /// A place that cannot be written.
    pub fn open(path: &Path, kept: Option<&str>) -> Result<Self> {
        if let Some(kept) = kept {
            write_whole(path, kept.as_bytes())?;
        }
        let file = OpenOptions::new().create(true).append(true).open(path);
        let file = file.map_err(|error| DiskError::io("write", path, error))?;
        Ok(Self { path: path.to_owned(), file })
    }

    /// Appends a line; it survives the end of the process when this returns.
    ///
    /// # Errors
    /// A full disk.
    pub fn line(&mut self, line: &str) -> Result<()> {
        let written = self.file.write_all(format!("{line}\n").as_bytes());
        written.map_err(|error| DiskError::io("write", &self.path, error))
    }
}
