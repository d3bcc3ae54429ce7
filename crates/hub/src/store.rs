//! Writing into the cache: the one module of this crate that changes the disk.
//!
//! A blob is written as `ETAG.incomplete` under a lock that other programs know too, and renamed when it is whole and checked;
//! what stands under a final name is whole. A link or a ref is made beside its name and renamed over it.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use crate::cache::Layout;
use crate::checksum::BlobId;
use crate::error::{HubError, Result};

/// How much is read at a time.
const PIECE: usize = 1 << 20;

/// The folder of a model in the cache, for writing.
#[derive(Debug)]
pub struct Store {
    layout: Layout,
}

/// A lock that is held while a blob is written. Where the file system has none, nothing is held.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

/// The beginning of a blob.
#[derive(Debug)]
pub struct Incomplete {
    file: File,
    path: PathBuf,
    /// How much of it is there.
    pub length: u64,
}

impl Store {
    pub fn new(layout: Layout) -> Self {
        Self { layout }
    }

    /// Where things are.
    pub fn layout(&self) -> &Layout {
        &self.layout
    }

    /// The bytes that the file system of the cache has left for this user, where the system tells.
    pub fn free_bytes(&self) -> Option<u64> {
        self.layout.root.ancestors().find(|path| path.exists()).and_then(free_bytes)
    }

    /// The lock of a blob; none while another process has it.
    pub fn lock(&self, blob: &BlobId) -> Result<Option<Lock>> {
        let path = self.layout.lock(blob);
        make_parent(&path)?;
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let file = opened.map_err(|error| HubError::disk("open the lock", &path, &error))?;
        match file.try_lock() {
            Err(TryLockError::WouldBlock) => Ok(None),
            // A file system without locks: two pulls of one file at once are then found by its checksum.
            Ok(()) | Err(TryLockError::Error(_)) => Ok(Some(Lock { _file: file })),
        }
    }

    /// Opens what is there of a blob, or begins it.
    pub fn open(&self, blob: &BlobId) -> Result<Incomplete> {
        let path = self.layout.incomplete(blob);
        make_parent(&path)?;
        let opened = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(&path);
        let mut file = opened.map_err(|error| HubError::disk("write", &path, &error))?;
        let length = file.seek(SeekFrom::End(0)).map_err(|error| HubError::disk("write", &path, &error))?;
        Ok(Incomplete { file, path, length })
    }

    /// Gives a whole and checked blob its name.
    pub fn keep(&self, blob: &BlobId, incomplete: Incomplete) -> Result<()> {
        let path = self.layout.blob(blob);
        let failed = |error: io::Error| HubError::disk("write", &path, &error);
        // The name must not outlive a crash that the bytes do not.
        incomplete.file.sync_data().map_err(failed)?;
        drop(incomplete.file);
        fs::rename(&incomplete.path, &path).map_err(failed)
    }

    /// Removes what is there of a blob.
    pub fn discard(&self, incomplete: Incomplete) -> Result<()> {
        let path = incomplete.path;
        drop(incomplete.file);
        fs::remove_file(&path).map_err(|error| HubError::disk("remove", &path, &error))
    }

    /// Puts a blob into a snapshot under the name of its file: a link, or a copy where links are not possible.
    pub fn link(&self, commit: &str, file: &str, blob: &BlobId) -> Result<()> {
        let path = self.layout.snapshot(commit).join(file);
        let depth = file.split('/').count() + 1;
        let target = Path::new(&"../".repeat(depth)).join("blobs").join(blob.as_str());
        if fs::read_link(&path).is_ok_and(|there| there == target) {
            return Ok(());
        }
        make_parent(&path)?;
        let beside = beside(&path);
        let failed = |error: io::Error| HubError::disk("write", &path, &error);
        let made = symlink(&target, &beside).or_else(|_| copy(&self.layout.blob(blob), &beside));
        let made = made.and_then(|()| fs::rename(&beside, &path));
        made.inspect_err(|_| drop(fs::remove_file(&beside))).map_err(failed)
    }

    /// Notes which commit a revision is.
    pub fn write_ref(&self, revision: &str, commit: &str) -> Result<()> {
        let path = self.layout.reference(revision);
        if fs::read_to_string(&path).is_ok_and(|there| there == commit) {
            return Ok(());
        }
        make_parent(&path)?;
        let beside = beside(&path);
        let written = fs::write(&beside, commit).and_then(|()| fs::rename(&beside, &path));
        written
            .inspect_err(|_| drop(fs::remove_file(&beside)))
            .map_err(|error| HubError::disk("write", &path, &error))
    }
}

impl Incomplete {
    /// Drops what is there from `length` on.
    pub fn cut(&mut self, length: u64) -> Result<()> {
        if length == self.length {
            return Ok(());
        }
        let cut = self.file.set_len(length).and_then(|()| self.file.seek(SeekFrom::Start(length)));
        self.length = cut.map_err(|error| HubError::disk("write", &self.path, &error))?;
        Ok(())
    }

    /// Appends bytes.
    pub fn append(&mut self, bytes: &[u8]) -> Result<()> {
        self.file.write_all(bytes).map_err(|error| HubError::disk("write", &self.path, &error))?;
        self.length += bytes.len() as u64;
        Ok(())
    }

    /// Reads what is there from its beginning, in pieces.
    pub fn read(&mut self, on_piece: &mut dyn FnMut(&[u8]) -> Result<()>) -> Result<()> {
        let failed = |error: io::Error| HubError::disk("read", &self.path, &error);
        self.file.rewind().map_err(failed)?;
        let mut buffer = vec![0; PIECE];
        loop {
            match self.file.read(&mut buffer) {
                Ok(0) => return Ok(()),
                Ok(count) => on_piece(&buffer[..count])?,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(failed(error)),
            }
        }
    }
}

fn make_parent(path: &Path) -> Result<()> {
    let parent = path.parent().unwrap_or(path);
    fs::create_dir_all(parent).map_err(|error| HubError::disk("make the folder", parent, &error))
}

/// A name of this process alone, in the same folder.
fn beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_owned();
    name.push(format!(".{}.new", std::process::id()));
    path.with_file_name(name)
}

/// A copy, whole before it gets its name.
fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::copy(from, to)?;
    OpenOptions::new().write(true).open(to)?.sync_data()
}

#[cfg(unix)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::unix::fs::symlink(target, path)
}

#[cfg(windows)]
fn symlink(target: &Path, path: &Path) -> io::Result<()> {
    std::os::windows::fs::symlink_file(target, path)
}

#[cfg(not(any(unix, windows)))]
fn symlink(_: &Path, _: &Path) -> io::Result<()> {
    Err(io::ErrorKind::Unsupported.into())
}

#[cfg(unix)]
fn free_bytes(path: &Path) -> Option<u64> {
    let disk = rustix::fs::statvfs(path).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_bytes(_: &Path) -> Option<u64> {
    None
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::error::ErrorKind;
    use crate::name::ModelName;

    fn store(cache: &Path) -> Store {
        Store::new(Layout::new(cache, &ModelName::parse("a/b").unwrap()))
    }

    #[test]
    fn a_snapshot_points_to_blobs_and_is_put_right() {
        let folder = tempfile::tempdir().unwrap();
        let (store, commit) = (store(folder.path()), "c".repeat(40));
        for text in ["one", "two"] {
            let blob = BlobId::parse(text).unwrap();
            let mut incomplete = store.open(&blob).unwrap();
            incomplete.append(text.as_bytes()).unwrap();
            store.keep(&blob, incomplete).unwrap();
            store.link(&commit, "sub/file", &blob).unwrap();
            store.link(&commit, "sub/file", &blob).unwrap();
            assert_eq!(fs::read_to_string(store.layout().snapshot(&commit).join("sub/file")).unwrap(), text);
        }
        store.write_ref("refs/pr/1", &commit).unwrap();
        assert_eq!(fs::read_to_string(folder.path().join("models--a--b/refs/refs/pr/1")).unwrap(), commit);
        let left = fs::read_dir(store.layout().snapshot(&commit).join("sub")).unwrap().count();
        assert_eq!(left, 1, "nothing is left beside");
    }

    #[test]
    fn a_lock_keeps_others_away() {
        let folder = tempfile::tempdir().unwrap();
        let (store, blob) = (store(folder.path()), BlobId::parse("x").unwrap());
        let first = store.lock(&blob).unwrap();
        assert!(first.is_some() && store.lock(&blob).unwrap().is_none());
        drop(first);
        assert!(store.lock(&blob).unwrap().is_some());
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_full_disk_is_named_with_its_remedy() {
        let folder = tempfile::tempdir().unwrap();
        let (store, blob) = (store(folder.path()), BlobId::parse("x").unwrap());
        assert!(store.free_bytes().is_some_and(|bytes| bytes > 0));
        let path = store.layout().incomplete(&blob);
        make_parent(&path).unwrap();
        symlink(Path::new("/dev/full"), &path).unwrap();
        let error = store.open(&blob).unwrap().append(b"bytes").unwrap_err();
        assert_eq!(error.kind(), ErrorKind::NoRoom);
        assert!(error.to_string().contains("HF_HUB_CACHE"), "{error}");
    }
}
