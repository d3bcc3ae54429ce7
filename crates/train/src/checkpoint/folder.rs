//! Folders that appear whole or not at all, on any file system that renames.
//!
//! A folder is written as `.new-NAME`, each file and then the folder itself brought to the disk, and renamed to `NAME`.
//! Where there is a `NAME` already, it steps aside as `.old-NAME` first; what is to be removed is renamed to `.gone-NAME`
//! before its first file goes. So a folder without a dot in front is always whole, and [`clean`] knows from the name what
//! to do with the others. What is in the folders is not known here.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};

use conclave_model::export::ModelSink;
use conclave_model::files::{ModelFiles, missing_file, outside_file};
use conclave_model::{Error, Result as ModelResult};
use sha2::{Digest, Sha256};

use crate::error::{Result, TrainError};

const NEW: &str = ".new-";
const OLD: &str = ".old-";
const GONE: &str = ".gone-";
const LOCK: &str = ".lock";
const DAMAGED: &str = "damaged-";

/// Names of what is in a folder; nothing where there is no such folder.
pub(super) fn names(folder: &Path) -> Result<Vec<String>> {
    let entries = match std::fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(TrainError::io(folder, error)),
    };
    let mut names = Vec::new();
    for entry in entries {
        let entry = entry.map_err(|error| TrainError::io(folder, error))?;
        // Our own names are plain; what is not is not ours.
        names.extend(entry.file_name().into_string().ok());
    }
    Ok(names)
}

/// Ends what a killed process has begun. Only for the holder of the [`Lock`].
pub(super) fn clean(folder: &Path) -> Result<()> {
    for name in names(folder)? {
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
pub(super) fn remove(path: &Path) -> Result<()> {
    let gone = beside(path, GONE);
    rename(path, &gone)?;
    remove_all(&gone)
}

/// Takes a folder's name away without touching what is in it.
pub(super) fn put_aside(path: &Path) -> Result<()> {
    let aside = beside(path, DAMAGED);
    remove_all(&aside)?;
    rename(path, &aside)
}

/// The sha256 of a file, in hexadecimal.
pub(super) fn hash(path: &Path) -> io::Result<String> {
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
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    path.with_file_name(format!("{prefix}{name}"))
}

fn rename(from: &Path, to: &Path) -> Result<()> {
    std::fs::rename(from, to).map_err(|error| TrainError::io(to, error))
}

fn remove_all(path: &Path) -> Result<()> {
    match std::fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::io(path, error)),
        _ => Ok(()),
    }
}

/// Brings the names in a folder to the disk, on systems that open folders.
fn sync_folder(path: &Path) -> Result<()> {
    match File::open(path) {
        Ok(folder) => folder.sync_all().map_err(|error| TrainError::io(path, error)),
        Err(_) => Ok(()),
    }
}

/// The right to write in a folder; the system gives it back when the process ends, however it ends.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    pub(super) fn take(folder: &Path) -> Result<Self> {
        let path = folder.join(LOCK);
        let file = OpenOptions::new().write(true).create(true).truncate(false).open(&path);
        let file = file.map_err(|error| TrainError::io(&path, error))?;
        match file.try_lock() {
            // Not every file system knows locks.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Self { _file: file }),
            Err(TryLockError::WouldBlock) => {
                let folder = folder.display();
                Err(TrainError::Checkpoint(format!(
                    "another run is writing `{folder}`: wait for it, or name another folder"
                )))
            }
        }
    }
}

/// A folder that is being written; dropped before [`NewFolder::complete`] it is removed.
pub(super) struct NewFolder {
    path: PathBuf,
    target: PathBuf,
    open: Option<(PathBuf, BufWriter<File>)>,
    hash: Sha256,
    last_hash: String,
    complete: bool,
}

impl NewFolder {
    /// Begins `name` in `folder`.
    pub(super) fn create(folder: &Path, name: &str) -> Result<Self> {
        let target = folder.join(name);
        let path = beside(&target, NEW);
        remove_all(&path)?;
        std::fs::create_dir(&path).map_err(|error| TrainError::io(&path, error))?;
        Ok(Self { path, target, open: None, hash: Sha256::new(), last_hash: String::new(), complete: false })
    }

    /// The sha256 of the file that was finished last.
    pub(super) fn last_hash(&self) -> String {
        self.last_hash.clone()
    }

    /// Gives the folder its name.
    pub(super) fn complete(mut self) -> Result<PathBuf> {
        sync_folder(&self.path)?;
        let old = beside(&self.target, OLD);
        let replaces = self.target.exists();
        if replaces {
            remove_all(&old)?;
            rename(&self.target, &old)?;
        }
        rename(&self.path, &self.target)?;
        self.complete = true;
        if let Some(folder) = self.target.parent() {
            sync_folder(folder)?;
        }
        if replaces {
            remove_all(&old)?;
        }
        Ok(self.target.clone())
    }

    fn failure(path: &Path, error: io::Error) -> Error {
        Error::io(format!("cannot write `{}`: {error}", path.display())).with_source(error)
    }
}

impl ModelSink for NewFolder {
    fn create(&mut self, file: &str) -> ModelResult<()> {
        let path = self.path.join(file);
        let handle = File::create_new(&path).map_err(|error| Self::failure(&path, error))?;
        self.hash = Sha256::new();
        self.open = Some((path, BufWriter::with_capacity(1 << 20, handle)));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> ModelResult<()> {
        let Some((path, writer)) = &mut self.open else { return Err(Error::input("no file was begun")) };
        self.hash.update(bytes);
        writer.write_all(bytes).map_err(|error| Self::failure(path, error))
    }

    fn finish(&mut self) -> ModelResult<()> {
        let Some((path, mut writer)) = self.open.take() else {
            return Err(Error::input("no file was begun"));
        };
        let written = writer.flush().and_then(|()| writer.get_ref().sync_all());
        written.map_err(|error| Self::failure(&path, error))?;
        self.last_hash = format!("{:x}", std::mem::take(&mut self.hash).finalize());
        Ok(())
    }
}

impl Drop for NewFolder {
    fn drop(&mut self) {
        if !self.complete {
            // On a full disk its space is wanted; what is left is removed by the next run.
            self.open = None;
            let _ = std::fs::remove_dir_all(&self.path);
        }
    }
}

/// A folder to read from.
#[derive(Debug, Clone)]
pub(super) struct Folder {
    path: PathBuf,
}

impl Folder {
    pub(super) fn new(path: &Path) -> Self {
        Self { path: path.to_owned() }
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
