//! Where a model is: a directory on disk, a GGUF, or this program itself.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use conclave_disk::Folder;
use conclave_model::builtin;
use conclave_model::error::Error;
use conclave_model::files::{MemoryFiles, ModelFiles};
use conclave_model::gguf::{self, GgufFiles, Options, Seekable};

/// The files of a model that is asked for by name: what `--model` means.
#[derive(Debug, Clone)]
pub enum ModelSource {
    /// Those of a directory.
    Directory(Folder),
    /// Those that a GGUF stands for, and where it is.
    Gguf(PathBuf, Arc<GgufFiles<Seekable<File>>>),
    /// Those within this program.
    Builtin(MemoryFiles),
}

impl ModelSource {
    /// The built-in model by its name, else the GGUF or the directory at `path`, which must be one.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new(builtin::NAME) {
            return Ok(Self::Builtin(builtin::files()));
        }
        if path.is_file() && is_gguf(path) {
            let files = open_gguf(path, Options::default())?;
            return Ok(Self::Gguf(path.to_owned(), Arc::new(files)));
        }
        if !path.is_dir() {
            let hint = "a model directory has config.json, tokenizer.json and model.safetensors; or name a .gguf file";
            let problem = if path.exists() { "is not a directory" } else { "does not exist" };
            bail!("the model `{}` {problem} ({hint}; nothing is downloaded)", path.display());
        }
        Ok(Self::Directory(Folder::new(path)))
    }

    /// How messages name it.
    pub fn name(&self) -> String {
        match self {
            Self::Directory(directory) => format!("`{}`", directory.path().display()),
            Self::Gguf(path, _) => format!("`{}`", path.display()),
            Self::Builtin(_) => format!("`{}`", builtin::NAME),
        }
    }

    /// As [`Folder::modified`]; files within the program have no time.
    pub fn modified(&self, file: &str) -> u128 {
        match self {
            Self::Directory(directory) => directory.modified(file),
            // All its files are one.
            Self::Gguf(path, _) => Folder::new(Path::new("")).modified(&path.to_string_lossy()),
            Self::Builtin(_) => 0,
        }
    }
}

impl ModelFiles for ModelSource {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, Error> {
        match self {
            Self::Directory(directory) => directory.read(file, range).await,
            Self::Gguf(_, files) => files.read(file, range).await,
            Self::Builtin(files) => files.read(file, range).await,
        }
    }

    async fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        match self {
            Self::Directory(directory) => directory.len(file).await,
            Self::Gguf(_, files) => files.len(file).await,
            Self::Builtin(files) => files.len(file).await,
        }
    }
}

/// Whether a name is that of a GGUF.
fn is_gguf(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension.eq_ignore_ascii_case(gguf::EXTENSION))
}

/// Opens a GGUF and reads what its metadata says.
pub fn open_gguf(path: &Path, options: Options) -> Result<GgufFiles<Seekable<File>>> {
    let name = path.display();
    if path.is_dir() {
        bail!("cannot read the GGUF `{name}`: it is a directory; name the .gguf file in it");
    }
    let failure = || format!("cannot read the GGUF `{name}`");
    let bytes = File::open(path).and_then(Seekable::new).with_context(failure)?;
    GgufFiles::open(bytes, options).with_context(failure)
}
