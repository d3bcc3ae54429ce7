//! Opening a file for this process alone.

use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::time::{Duration, Instant};

use crate::error::{DiskError, Result};
use crate::name::is_at;
use crate::stop;

/// How long a lock of another process is waited for. One whose parent was killed needs a moment to notice that and to stop,
/// and whoever runs the command again in the meantime should not fail for it.
pub const PATIENCE: Duration = Duration::from_secs(if cfg!(test) { 0 } else { 5 });

/// How often the lock is looked at in this time.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A file that this process alone writes.
#[derive(Debug)]
pub struct Claimed {
    /// The file, as it was found.
    pub file: File,
    /// Whether a lock keeps other processes away. Not every file system has locks; without one they can only be told from the
    /// length of the file.
    pub is_locked: bool,
}

/// Opens or creates `path` for this process alone. Nothing in it is changed.
///
/// # Errors
/// A file that cannot be opened, or that another process writes.
pub fn claim(path: &Path, patience: Duration) -> Result<Claimed> {
    claim_by(path, patience, &mut File::try_lock)
}

fn claim_by(
    path: &Path,
    patience: Duration,
    try_lock: &mut dyn FnMut(&File) -> Result<(), TryLockError>,
) -> Result<Claimed> {
    let begun = Instant::now();
    loop {
        let file = OpenOptions::new().read(true).write(true).create(true).truncate(false).open(path);
        let file = file.map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                DiskError::io_with("create", path, " (does its directory exist?)", error)
            }
            _ => DiskError::io("create", path, error),
        })?;
        match try_lock(&file) {
            Ok(()) if is_at(&file, path) => return Ok(Claimed { file, is_locked: true }),
            // Between opening and locking its writer was done and gave it its final name: that one is not ours to write.
            Ok(()) => {}
            Err(TryLockError::Error(_)) => return Ok(Claimed { file, is_locked: false }),
            Err(TryLockError::WouldBlock) if begun.elapsed() >= patience || stop::is_requested() => {
                let name = path.display();
                return Err(DiskError::busy(format!(
                    "another run is writing `{name}`; wait for it or choose another name with --out"
                )));
            }
            Err(TryLockError::WouldBlock) => std::thread::sleep(LOOK_EVERY),
        }
    }
}

/// Says that somebody else has written to a file of ours, which only happens where there are no locks.
pub(crate) fn changed(path: &Path) -> DiskError {
    let name = path.display();
    DiskError::new(format!(
        "`{name}` was written by another process too (its file system may have no locks): remove it, and run the command \
         once and nowhere else"
    ))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Error, Read};

    #[test]
    fn a_file_that_got_its_final_name_before_the_lock_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let (path, target) = (folder.path().join("a.partial"), folder.path().join("a"));
        std::fs::write(&path, "finished\n").unwrap();
        let mut times = 0;
        // The other run renames its file between our opening and our locking, the first time.
        let claimed = claim_by(&path, Duration::ZERO, &mut |file| {
            times += 1;
            if times == 1 {
                std::fs::rename(&path, &target).unwrap();
            }
            file.try_lock()
        })
        .unwrap();
        claimed.file.set_len(0).unwrap();
        assert!(claimed.is_locked && times == 2);
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "finished\n");
        let mut text = String::new();
        (&claimed.file).read_to_string(&mut text).unwrap();
        assert_eq!(text, "", "a new file under the old name");
    }

    #[test]
    fn one_process_at_a_time() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.partial");
        let first = claim(&path, Duration::ZERO).unwrap();
        let error = claim(&path, Duration::ZERO).unwrap_err();
        assert!(error.to_string().contains("another run is writing"), "{error}");
        drop(first);
        assert!(claim(&path, Duration::ZERO).unwrap().is_locked);
    }

    #[test]
    fn a_file_system_without_locks_is_told() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("a.partial");
        let mut no_locks = |_: &File| Err(TryLockError::Error(Error::from(std::io::ErrorKind::Unsupported)));
        assert!(!claim_by(&path, Duration::ZERO, &mut no_locks).unwrap().is_locked);
    }
}
