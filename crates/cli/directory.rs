//! Where a model is: a directory on disk, read in ranges and written a whole file at a time, or this program itself.

use std::fs::File;
use std::io::{BufWriter, ErrorKind as IoErrorKind, Read, Seek, SeekFrom, Write};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

use anyhow::{Context, Result, bail};
use conclave_model::builtin;
use conclave_model::error::Error;
use conclave_model::export::ModelSink;
use conclave_model::files::{MemoryFiles, ModelFiles, missing_file, outside_file};

use crate::output::partial_path;

/// The files of a model that is asked for by name: what `--model` means.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// Those of a directory.
    Directory(Directory),
    /// Those within this program.
    Builtin(MemoryFiles),
}

impl ModelSource {
    /// The built-in model by its name, else the directory at `path`, which must be one.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new(builtin::NAME) {
            return Ok(Self::Builtin(builtin::files()));
        }
        Directory::open(path).map(Self::Directory)
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) => directory.name(),
            Self::Builtin(_) => format!("`{}`", builtin::NAME),
        }
    }

    /// As [`Directory::modified`]; files within the program have no time.
    pub fn modified(&self, file: &str) -> u128 {
        match self {
            Self::Directory(directory) => directory.modified(file),
            Self::Builtin(_) => 0,
        }
    }
}

impl ModelFiles for ModelSource {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, Error> {
        match self {
            Self::Directory(directory) => directory.read(file, range).await,
            Self::Builtin(files) => files.read(file, range).await,
        }
    }

    async fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        match self {
            Self::Directory(directory) => directory.len(file).await,
            Self::Builtin(files) => files.len(file).await,
        }
    }
}

/// The files of a directory, for reading.
#[derive(Debug, Clone)]
pub struct Directory {
    path: PathBuf,
}

impl Directory {
    /// The directory at `path`, which must be one.
    pub fn open(path: &Path) -> Result<Self> {
        if !path.is_dir() {
            let hint = "a model directory has config.json, tokenizer.json and model.safetensors";
            let problem = if path.exists() { "is not a directory" } else { "does not exist" };
            bail!("the model `{}` {problem} ({hint}; nothing is downloaded)", path.display());
        }
        Ok(Self { path: path.to_owned() })
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    /// When `file` was last written, in nanoseconds of the file system's clock; 0 where it is not known.
    pub fn modified(&self, file: &str) -> u128 {
        let modified = std::fs::metadata(self.path.join(file)).and_then(|metadata| metadata.modified());
        modified.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |time| time.as_nanos())
    }

    fn failure(&self, file: &str, error: std::io::Error) -> Error {
        if error.kind() == IoErrorKind::NotFound {
            return missing_file(file);
        }
        Error::io(format!("cannot read `{}`: {error}", self.path.join(file).display()))
    }
}

impl ModelFiles for Directory {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, Error> {
        let mut handle = File::open(self.path.join(file)).map_err(|error| self.failure(file, error))?;
        let len = handle.metadata().map_err(|error| self.failure(file, error))?.len();
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
            .map_err(|error| self.failure(file, error))?;
        Ok(bytes)
    }

    async fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        match std::fs::metadata(self.path.join(file)) {
            Ok(metadata) => Ok(Some(metadata.len())),
            Err(error) if error.kind() == IoErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failure(file, error)),
        }
    }
}

/// A new directory that is being written. Each file has its name only once it is whole and on disk, and dropped before
/// [`NewDirectory::complete`] it takes its files away again.
#[derive(Debug)]
pub struct NewDirectory {
    path: PathBuf,
    /// Whether it was not there before.
    created: bool,
    open: Option<(PathBuf, BufWriter<File>)>,
    written: Vec<PathBuf>,
    complete: bool,
}

impl NewDirectory {
    /// Creates `path`, which must not exist or be empty: a model is never mixed with another's files.
    pub fn create(path: &Path) -> Result<Self> {
        let name = path.display();
        let created = match std::fs::read_dir(path) {
            Ok(mut entries) => {
                if entries.next().is_some() {
                    bail!("`{name}` is not empty: name a new directory with --out, or remove it first");
                }
                false
            }
            Err(error) if error.kind() == IoErrorKind::NotFound => {
                std::fs::create_dir_all(path).with_context(|| format!("cannot create `{name}`"))?;
                true
            }
            Err(error) if error.kind() == IoErrorKind::NotADirectory => {
                bail!(
                    "cannot create `{name}`: it, or what it is in, is not a directory; name a new one with --out"
                )
            }
            Err(error) => return Err(error).with_context(|| format!("cannot write to `{name}`")),
        };
        Ok(Self { path: path.to_owned(), created, open: None, written: Vec::new(), complete: false })
    }

    /// Says that every file is there.
    pub fn complete(mut self) {
        self.complete = true;
    }

    fn failure(path: &Path, error: std::io::Error) -> Error {
        Error::io(format!("cannot write `{}`: {error}", path.display()))
    }
}

impl ModelSink for NewDirectory {
    fn create(&mut self, file: &str) -> Result<(), Error> {
        let target = self.path.join(file);
        let partial = partial_path(&target);
        let handle = File::create(&partial).map_err(|error| Self::failure(&partial, error))?;
        self.open = Some((target, BufWriter::with_capacity(1 << 20, handle)));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        match &mut self.open {
            Some((target, writer)) => writer.write_all(bytes).map_err(|error| Self::failure(target, error)),
            None => Err(Error::input("no file was begun")),
        }
    }

    fn finish(&mut self) -> Result<(), Error> {
        let Some((target, mut writer)) = self.open.take() else {
            return Err(Error::input("no file was begun"));
        };
        writer
            .flush()
            .and_then(|()| writer.get_ref().sync_all())
            .and_then(|()| std::fs::rename(partial_path(&target), &target))
            .map_err(|error| {
                let _ = std::fs::remove_file(partial_path(&target));
                Self::failure(&target, error)
            })?;
        self.written.push(target);
        Ok(())
    }
}

impl Drop for NewDirectory {
    fn drop(&mut self) {
        if self.complete {
            return;
        }
        // Half a model is of no use: its space is wanted on a full disk, and its name by the next try.
        if let Some((target, _)) = &self.open {
            let _ = std::fs::remove_file(partial_path(target));
        }
        for file in &self.written {
            let _ = std::fs::remove_file(file);
        }
        if self.created {
            let _ = std::fs::remove_dir(&self.path);
        }
    }
}
