//! Where a model is: a directory on disk, or this program itself.

use std::ops::Range;
use std::path::Path;

use anyhow::{Result, bail};
use conclave_disk::Folder;
use conclave_model::builtin;
use conclave_model::error::Error;
use conclave_model::files::{MemoryFiles, ModelFiles};

/// The files of a model that is asked for by name: what `--model` means.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// Those of a directory.
    Directory(Folder),
    /// Those within this program.
    Builtin(MemoryFiles),
}

impl ModelSource {
    /// The built-in model by its name, else the directory at `path`, which must be one.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new(builtin::NAME) {
            return Ok(Self::Builtin(builtin::files()));
        }
        if !path.is_dir() {
            let hint = "a model directory has config.json, tokenizer.json and model.safetensors";
            let problem = if path.exists() { "is not a directory" } else { "does not exist" };
            bail!("the model `{}` {problem} ({hint}; nothing is downloaded)", path.display());
        }
        Ok(Self::Directory(Folder::new(path)))
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) => format!("`{}`", directory.path().display()),
            Self::Builtin(_) => format!("`{}`", builtin::NAME),
        }
    }

    /// As [`Folder::modified`]; files within the program have no time.
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
