//! Folders that appear whole or not at all, on any file system that renames.
//!
//! A folder is written as `.new-NAME`, each file and then the folder itself brought to the disk, and renamed to `NAME`.
//! Where there is a `NAME` already, it steps aside as `.old-NAME` first; what is to be removed is renamed to `.gone-NAME`
//! before its first file goes. So a folder without a dot in front is always whole, and [`clean`] knows from the name what
//! to do with the others. What is in the folders is not known here.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

use conclave_model::export::ModelSink;
use conclave_model::files::{ModelFiles, missing_file, outside_file};
use conclave_model::{Error, Result as ModelResult};
use sha2::{Digest, Sha256};

use crate::claim::claim;
use crate::error::{DiskError, Result};
use crate::whole::sync_parent;

const NEW: &str = ".new-";
const OLD: &str = ".old-";
const GONE: &str = ".gone-";
const LOCK: &str = ".lock";
const DAMAGED: &str = "damaged-";

/// Creates a folder and those above it.
///
/// # Errors
/// A place that cannot be written.
pub fn create_folder(path: &Path) -> Result<()> {
    std::fs::create_dir_all(path).map_err(|error| DiskError::io("create", path, error))
}

/// Names of what is in a folder; nothing where there is no such folder.
///
/// # Errors
/// A folder that cannot be read.
pub fn entries(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(DiskError::io("read", folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| DiskError::io("read", folder, error))?;
        // Our own names are plain; what is not is not ours.
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

/// Ends what a killed process has begun. Only for the holder of the [`Lock`].
///
/// # Errors
/// A folder that cannot be written.
pub fn clean(folder: &Path) -> Result<()> {
    for name in entries(folder)? {
        let path = folder.join(&name);
        match name.strip_prefix(OLD) {
            // Its successor did not make it.
            Some(target) if !folder.join(target).exists() => rename(&path, &folder.join(target))?,
            Some(_) => remove_all(&path)?,
            None if name.starts_with(NEW) || name.starts_with(GONE) => remove_all(&path)?,
            None => {}
        }
    }
    sync_folder(folder)
}

/// Removes a whole folder, so that no half of it is ever seen under its name.
///
/// # Errors
/// A folder that cannot be written.
pub fn remove(path: &Path) -> Result<()> {
    let gone = beside(path, GONE);
    rename(path, &gone)?;
    remove_all(&gone)
}

/// Takes a folder's name away without touching what is in it.
///
/// # Errors
/// A folder that cannot be written.
pub fn put_aside(path: &Path) -> Result<()> {
    let aside = beside(path, DAMAGED);
    remove_all(&aside)?;
    rename(path, &aside)
}

/// The sha256 of a file, in hexadecimal.
///
/// # Errors
/// A file that cannot be read.
pub fn sha256(path: &Path) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut file = File::open(path)?;
    let mut block = vec![0; 1 << 20];
    loop {
        match file.read(&mut block)? {
            0 => return Ok(format!("{:x}", hash.finalize())),
            count => hash.update(&block[..count]),
        }
    }
}

fn beside(path: &Path, prefix: &str) -> PathBuf {
    let mut name = OsString::from(prefix);
    name.push(path.file_name().unwrap_or_default());
    path.with_file_name(name)
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| DiskError::io("write", to, error))
}

fn remove_all(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(DiskError::io("remove", path, error)),
        _ => Ok(()),
    }
}

/// Brings the names in a folder to the disk, on systems that open folders and file systems that can do so.
pub(crate) fn sync_folder(path: &Path) -> Result<()> {
    let Ok(folder) = File::open(path) else { return Ok(()) };
    match folder.sync_all() {
        Err(error) if matches!(error.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported) => {
            Ok(())
        }
        done => done.map_err(|error| DiskError::io("write", path, error)),
    }
}

/// The right to write in a folder; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub struct Lock {
    _file: File,
    /// Whether it keeps others away: not every file system has locks.
    pub is_locked: bool,
}

impl Lock {
    /// Takes the lock of `folder`, the file `name` in it.
    ///
    /// # Errors
    /// A folder that cannot be written; one that another process holds, which is told in words of the caller's.
    pub fn take(folder: &Path, name: &str, patience: Duration, held: &str) -> Result<Self> {
        let claimed = claim(&folder.join(name), patience).map_err(|error| match error.is_busy() {
            true => DiskError::busy(held),
            false => error,
        })?;
        Ok(Self { _file: claimed.file, is_locked: claimed.is_locked })
    }

    /// Takes the lock of a folder that nobody else knows the name of.
    ///
    /// # Errors
    /// See [`Lock::take`].
    pub fn of_checkpoints(folder: &Path) -> Result<Self> {
        let name = folder.display();
        let held = format!("another run is writing `{name}`: wait for it, or name another folder");
        Self::take(folder, LOCK, Duration::ZERO, &held)
    }
}

/// A folder that is being written; dropped before [`NewFolder::complete`] it is removed.
#[derive(Debug)]
pub struct NewFolder {
    path: PathBuf,
    target: PathBuf,
    /// Held until the folder has its name.
    _lock: Lock,
    open: Option<(PathBuf, BufWriter<File>)>,
    hash: Sha256,
    last_hash: String,
    /// Whether a folder that has the name already is replaced.
    replaces: bool,
    is_complete: bool,
}

impl NewFolder {
    /// Begins `name` in `folder`.
    ///
    /// # Errors
    /// A folder that cannot be written, or that another process is writing.
    pub fn create(folder: &Path, name: impl AsRef<OsStr>) -> Result<Self> {
        let target = folder.join(name.as_ref());
        let path = beside(&target, NEW);
        match std::fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                return Err(DiskError::io("create", &path, error));
            }
            _ => {}
        }
        let held =
            format!("another run is writing `{}`: wait for it, or name another folder", target.display());
        let lock = Lock::take(&path, LOCK, Duration::ZERO, &held)?;
        // A process was killed between the two renames of a replacement.
        let old = beside(&target, OLD);
        if !target.exists() && old.exists() {
            rename(&old, &target)?;
        }
        let mut new = Self {
            path,
            target,
            _lock: lock,
            open: None,
            hash: Sha256::new(),
            last_hash: String::new(),
            replaces: true,
            is_complete: false,
        };
        new.empty()?;
        Ok(new)
    }

    /// Begins the folder `path`, which must not exist or be empty: a model is never mixed with the files of another.
    ///
    /// # Errors
    /// Also a folder with something in it.
    pub fn create_alone(path: &Path) -> Result<Self> {
        let name = path.display();
        match std::fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    return Err(DiskError::new(format!(
                        "`{name}` is not empty: name a new directory with --out, or remove it first"
                    )));
                }
            }
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) if error.kind() == io::ErrorKind::NotADirectory => {
                return Err(DiskError::new(format!(
                    "cannot create `{name}`: it, or what it is in, is not a directory; name a new one with --out"
                )));
            }
            Err(error) => return Err(DiskError::io("write to", path, error)),
        }
        // `.` and `..` have their names only where they lead.
        let whole = path.canonicalize().unwrap_or_else(|_| path.to_owned());
        let (Some(folder), Some(last)) = (whole.parent(), whole.file_name()) else {
            return Err(DiskError::new(format!("cannot create `{name}`: name a new directory with --out")));
        };
        create_folder(folder)?;
        let mut new = Self::create(folder, last)?;
        new.replaces = false;
        Ok(new)
    }

    /// Takes away what a killed process left.
    fn empty(&mut self) -> Result<()> {
        for name in entries(&self.path)?.iter().filter(|name| *name != LOCK) {
            let path = self.path.join(name);
            std::fs::remove_file(&path).map_err(|error| DiskError::io("remove", &path, error))?;
        }
        Ok(())
    }

    /// Where it is while it is written.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The sha256 of the file that was finished last.
    pub fn last_hash(&self) -> String {
        self.last_hash.clone()
    }

    /// Gives the folder its name.
    ///
    /// # Errors
    /// A full disk; another process that has made a folder of this name meanwhile.
    pub fn complete(mut self) -> Result<PathBuf> {
        sync_folder(&self.path)?;
        let old = beside(&self.target, OLD);
        if self.replaces && self.target.exists() {
            remove_all(&old)?;
            rename(&self.target, &old)?;
        } else {
            // Goes only where it is empty.
            let _ = std::fs::remove_dir(&self.target);
        }
        rename(&self.path, &self.target)?;
        self.is_complete = true;
        // Only now: whoever finds the folder under its first name must find it locked.
        let lock = self.target.join(LOCK);
        std::fs::remove_file(&lock).map_err(|error| DiskError::io("remove", &lock, error))?;
        sync_folder(&self.target)?;
        sync_parent(&self.target)?;
        if self.replaces {
            remove_all(&old)?;
        }
        Ok(self.target.clone())
    }

    fn failure(path: &Path, error: io::Error) -> Error {
        Error::io(format!("cannot write `{}`: {error}", path.display())).with_source(error)
    }

    /// The file as it will be called, for messages.
    fn named(&self, path: &Path) -> PathBuf {
        self.target.join(path.file_name().unwrap_or_default())
    }
}

impl ModelSink for NewFolder {
    fn create(&mut self, file: &str) -> ModelResult<()> {
        let path = self.path.join(file);
        let handle = File::create_new(&path).map_err(|error| Self::failure(&self.named(&path), error))?;
        self.hash = Sha256::new();
        self.open = Some((path, BufWriter::with_capacity(1 << 20, handle)));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> ModelResult<()> {
        let Some((path, writer)) = &mut self.open else { return Err(Error::input("no file was begun")) };
        self.hash.update(bytes);
        let target = self.target.join(path.file_name().unwrap_or_default());
        writer.write_all(bytes).map_err(|error| Self::failure(&target, error))
    }

    fn finish(&mut self) -> ModelResult<()> {
        let Some((path, mut writer)) = self.open.take() else {
            return Err(Error::input("no file was begun"));
        };
        let written = writer.flush().and_then(|()| writer.get_ref().sync_all());
        written.map_err(|error| Self::failure(&self.named(&path), error))?;
        self.last_hash = format!("{:x}", std::mem::take(&mut self.hash).finalize());
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.is_complete {
            // On a full disk its space is wanted; what is left is removed by the next run.
            self.open = None;
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// The files of a folder, for reading.
#[derive(Debug, Clone)]
pub struct Folder {
    path: PathBuf,
}

impl Folder {
    /// The folder at `path`.
    pub fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// When `file` was last written, in nanoseconds of the file system's clock; 0 where it is not known.
    pub fn modified(&self, file: &str) -> u128 {
        let modified = std::fs::metadata(self.path.join(file)).and_then(|metadata| metadata.modified());
        modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_nanos())
    }

    fn failure(&self, file: &str, error: io::Error) -> Error {
        match error.kind() {
            io::ErrorKind::NotFound => missing_file(file),
            _ => Error::io(format!("cannot read `{}`: {error}", self.path.join(file).display())),
        }
    }
}

impl ModelFiles for Folder {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> ModelResult<Vec<u8>> {
        let failure = |error| self.failure(file, error);
        let mut handle = File::open(self.path.join(file)).map_err(failure)?;
        let len = handle.metadata().map_err(failure)?.len();
        let range = range.unwrap_or(0..len);
        if range.start > range.end || range.end > len {
            return Err(outside_file(file, &range, len));
        }
        let size = usize::try_from(range.end - range.start)
            .map_err(|_| Error::capacity(format!("`{file}` is larger than this machine can address")))?;
        let mut bytes = vec![0; size];
        handle
            .seek(SeekFrom::Start(range.start))
            .and_then(|_| handle.read_exact(&mut bytes))
            .map_err(failure)?;
        Ok(bytes)
    }

    async fn len(&self, file: &str) -> ModelResult<Option<u64>> {
        match std::fs::metadata(self.path.join(file)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure(file, error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(new: &mut NewFolder, file: &str) {
        new.create(file).unwrap();
        new.write(b"1").unwrap();
        new.finish().unwrap();
    }

    #[test]
    fn a_folder_appears_whole_or_not_at_all() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("m");
        let mut new = NewFolder::create_alone(&target).unwrap();
        write(&mut new, "a");
        let error = NewFolder::create_alone(&target).unwrap_err();
        assert!(error.is_busy() && error.to_string().contains("another run is writing"), "{error}");
        assert!(!target.exists());
        drop(new);
        assert_eq!(entries(folder.path()).unwrap(), [""; 0]);

        // Left by a process that was killed.
        std::fs::create_dir(folder.path().join(".new-m")).unwrap();
        std::fs::write(folder.path().join(".new-m/half"), "1").unwrap();
        std::fs::create_dir(&target).unwrap();
        let mut new = NewFolder::create_alone(&target).unwrap();
        write(&mut new, "a");
        new.complete().unwrap();
        assert_eq!(
            (entries(folder.path()).unwrap(), entries(&target).unwrap()),
            (vec!["m".into()], vec!["a".into()])
        );
        let error = NewFolder::create_alone(&target).unwrap_err();
        assert!(error.to_string().contains("`") && error.to_string().contains("is not empty"), "{error}");
    }
}
