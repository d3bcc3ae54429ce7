//! Files and folders that nobody sees and that are gone with the process.

use std::fs::File;
use std::io;
use std::path::Path;

use crate::error::{DiskError, Result};

/// A file without a name.
///
/// # Errors
/// What the system says.
pub fn temporary_file() -> io::Result<File> {
    tempfile::tempfile()
}

/// A folder that is removed when this is dropped.
#[derive(Debug)]
pub struct TemporaryFolder(tempfile::TempDir);

impl TemporaryFolder {
    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }
}

/// A new folder for what is thrown away.
///
/// # Errors
/// What the system says.
pub fn temporary_folder() -> Result<TemporaryFolder> {
    let place = std::env::temp_dir();
    tempfile::tempdir()
        .map(TemporaryFolder)
        .map_err(|error| DiskError::io("create a folder in", &place, error))
}
