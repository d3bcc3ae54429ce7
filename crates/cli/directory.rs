//! Where a model is: a directory on disk, a GGUF, the cache of what was pulled, or this program itself.

use std::fs::File;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use conclave_disk::Folder;
use conclave_hub::{Hub, ModelName, Pulled, locate};
use conclave_model::builtin;
use conclave_model::error::Error;
use conclave_model::files::{MemoryFiles, ModelFiles};
use conclave_model::gguf::{self, GgufFiles, Options, Seekable};

/// What a model directory is, for those who named something else.
const DIRECTORY: &str = "a model directory has config.json, tokenizer.json and model.safetensors, or name a .gguf file; nothing is downloaded unasked";

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
    /// The built-in model by its name, else the directory or the GGUF at `path`, else what was pulled under this name. Nothing is
    /// downloaded.
    pub fn open(path: &Path) -> Result<Self> {
        if path == Path::new(builtin::NAME) {
            return Ok(Self::Builtin(builtin::files()));
        }
        if path.is_dir() {
            return Ok(Self::Directory(Folder::new(path)));
        }
        if path.exists() {
            return Self::of_file(path);
        }
        match pulled(path)? {
            Some(Pulled::Directory(folder)) => Ok(Self::Directory(Folder::new(&folder))),
            Some(Pulled::Gguf(file)) => Self::of_file(&file),
            None => bail!(missing(path)),
        }
    }

    /// A model in one file.
    fn of_file(path: &Path) -> Result<Self> {
        if is_gguf(path) {
            return Ok(Self::Gguf(path.to_owned(), Arc::new(open_gguf(path, Options::default())?)));
        }
        let name = path.display();
        bail!("the model `{name}` is not a directory ({DIRECTORY})");
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

/// What was pulled under the name that stands in place of a path.
fn pulled(path: &Path) -> Result<Option<Pulled>> {
    // Where there is no cache, nothing was pulled.
    match (name_of(path), Hub::from_environment()) {
        (Some(name), Ok(hub)) => Ok(locate(&hub, &name)?),
        _ => Ok(None),
    }
}

fn name_of(path: &Path) -> Option<ModelName> {
    path.to_str().and_then(|text| text.parse().ok())
}

/// Why there is no model at a path. A path of one part is a directory that is not there rather than a name.
fn missing(path: &Path) -> String {
    let shown = path.display();
    match name_of(path).filter(|name| name.repository().contains('/')) {
        Some(name) => format!(
            "the model `{shown}` does not exist, neither as a directory nor in the cache of what was pulled ({DIRECTORY}); to \
             download the model of this name: {}",
            name.pull_command()
        ),
        None => format!("the model `{shown}` does not exist ({DIRECTORY})"),
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
