//! Files that appear under their name when they are complete. They cannot be continued, so while they are written they never have
//! the name of rows that can.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use crate::claim::{PATIENCE, changed, claim};
use crate::error::{DiskError, Result};
use crate::folder::sync_folder;
use crate::name::{resolve_link, unfinished_path};

/// A file on its way to its name. Dropped before [`WholeFile::finish`] or [`WholeFile::keep`], it leaves nothing behind.
#[derive(Debug)]
pub struct WholeFile {
    writer: BufWriter<File>,
    /// Bytes that were handed to `writer`.
    written: u64,
    path: PathBuf,
    target: PathBuf,
    is_locked: bool,
    is_done: bool,
}

impl WholeFile {
    /// Begins the file that is to be `target`, as `FILE.unfinished`.
    ///
    /// # Errors
    /// A directory, a place that cannot be written, a file that another process writes.
    pub fn create(target: &Path) -> Result<Self> {
        if target.is_dir() {
            let name = target.display();
            return Err(DiskError::new(format!(
                "cannot write `{name}`: it is a directory; name a file in it"
            )));
        }
        let target = resolve_link(target);
        let path = unfinished_path(&target);
        let claimed = claim(&path, PATIENCE)?;
        // Left by a process that was killed.
        claimed.file.set_len(0).map_err(|error| DiskError::io("write", &path, error))?;
        let writer = BufWriter::with_capacity(1 << 16, claimed.file);
        Ok(Self { writer, written: 0, path, target, is_locked: claimed.is_locked, is_done: false })
    }

    /// Where it is while it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The name that it gets.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Bytes written so far.
    pub fn len(&self) -> u64 {
        self.written
    }

    /// Whether nothing was written yet.
    pub fn is_empty(&self) -> bool {
        self.written == 0
    }

    /// Whether a lock keeps other processes away.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Gives the file its name: everything is on the disk then.
    ///
    /// # Errors
    /// A full disk, a file that somebody else has written too; what had the name before keeps it.
    pub fn finish(mut self) -> Result<()> {
        self.flush().map_err(|error| DiskError::io("write", &self.path, error))?;
        let found =
            self.writer.get_ref().metadata().map_err(|error| DiskError::io("write", &self.path, error))?;
        if found.len() != self.written {
            return Err(changed(&self.path));
        }
        let renamed =
            self.writer.get_ref().sync_all().and_then(|()| std::fs::rename(&self.path, &self.target));
        renamed.map_err(|error| {
            DiskError::io_with("complete", &self.target, &format!(" from `{}`", self.path.display()), error)
        })?;
        self.is_done = true;
        sync_parent(&self.target)
    }

    /// Leaves what was written under the name that it has, for whoever stopped the command.
    ///
    /// # Errors
    /// A full disk.
    pub fn keep(mut self) -> Result<()> {
        self.flush().map_err(|error| DiskError::io("write", &self.path, error))?;
        self.is_done = true;
        Ok(())
    }
}

impl Write for WholeFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.writer.write_all(bytes)?;
        self.written += bytes.len() as u64;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.writer.flush()
    }
}

impl Drop for WholeFile {
    fn drop(&mut self) {
        if !self.is_done {
            // It cannot be continued, and on a full disk its space is wanted.
            let _ = std::fs::remove_file(&self.path);
        }
    }
}

/// Writes a small file whole.
///
/// # Errors
/// See [`WholeFile`].
pub fn write_whole(target: &Path, bytes: &[u8]) -> Result<()> {
    let mut file = WholeFile::create(target)?;
    file.write_all(bytes).map_err(|error| DiskError::io("write", target, error))?;
    file.finish()
}

/// Opens what no file can take the place of, such as a device or a named pipe, for writing.
///
/// # Errors
/// What the system says.
pub fn open_device(path: &Path) -> Result<File> {
    OpenOptions::new().write(true).open(path).map_err(|error| DiskError::io("write", path, error))
}

/// Brings the name of a file to the disk.
pub(crate) fn sync_parent(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) if folder != Path::new("") => sync_folder(folder),
        _ => sync_folder(Path::new(".")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_appears_when_it_is_finished() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let unfinished = unfinished_path(&path);
        std::fs::write(&path, "before\n").unwrap();
        // Left by a process that was killed.
        std::fs::write(&unfinished, "half a").unwrap();

        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"dropped").unwrap();
        file.flush().unwrap();
        assert_eq!(std::fs::read_to_string(&unfinished).unwrap(), "dropped");
        assert!(WholeFile::create(&path).unwrap_err().to_string().contains("another run is writing"));
        drop(file);
        assert!(!unfinished.exists());
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "before\n");

        write_whole(&path, b"after\n").unwrap();
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "after\n");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"kept").unwrap();
        file.keep().unwrap();
        assert_eq!(std::fs::read_to_string(&unfinished).unwrap(), "kept");
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 2);
    }

    #[test]
    fn what_somebody_else_has_written_too_does_not_get_the_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rows.jsonl");
        let mut file = WholeFile::create(&path).unwrap();
        file.write_all(b"mine\n").unwrap();
        file.flush().unwrap();
        OpenOptions::new().append(true).open(unfinished_path(&path)).unwrap().write_all(b"theirs\n").unwrap();
        let error = file.finish().unwrap_err();
        assert!(error.to_string().contains("was written by another process too"), "{error}");
        assert!(!path.exists());
    }
}
