//! Where things are in the cache, and finding what was pulled. Nothing is written here, and no network is asked.

use std::fs;
use std::io::Read;
use std::path::{Path, PathBuf};

use crate::checksum::BlobId;
use crate::environment::Hub;
use crate::error::{ErrorKind, HubError, Result};
use crate::name::{ModelName, is_commit};
use crate::selection::{CONFIG, INDEX, ONLY_SHARD, WEIGHTS, shards_of_index};

/// An index is a list of names; beyond this it is something else.
const MAX_INDEX: u64 = 64 << 20;

/// Something that was pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Pulled {
    /// A model directory.
    Directory(PathBuf),
    /// A GGUF file.
    Gguf(PathBuf),
}

impl Pulled {
    /// The directory or the file.
    pub fn path(&self) -> &Path {
        match self {
            Self::Directory(path) | Self::Gguf(path) => path,
        }
    }
}

/// The model of a name in the cache, if it is there and whole.
///
/// # Errors
/// [`ErrorKind::Selection`] where several GGUF files of a repository were pulled and the name does not say which.
pub fn locate(hub: &Hub, name: &ModelName) -> Result<Option<Pulled>> {
    let layout = Layout::new(&hub.cache, name);
    let Some(commit) = layout.commit(name.revision()) else { return Ok(None) };
    in_snapshot(&layout.snapshot(&commit), name)
}

/// What a snapshot holds for a name.
pub fn in_snapshot(snapshot: &Path, name: &ModelName) -> Result<Option<Pulled>> {
    if let Some(file) = name.file() {
        let path = snapshot.join(file);
        return Ok(path.is_file().then_some(Pulled::Gguf(path)));
    }
    if is_whole_directory(snapshot) {
        return Ok(Some(Pulled::Directory(snapshot.to_owned())));
    }
    let mut files = Vec::new();
    find_ggufs(snapshot, &mut files);
    files.sort();
    match &files[..] {
        [] => Ok(None),
        [file] => Ok(Some(Pulled::Gguf(file.clone()))),
        _ => {
            let names = files.iter().filter_map(|file| file.strip_prefix(snapshot).ok());
            let names: Vec<String> =
                names.map(|file| format!("{}/{}", name.repository(), file.display())).collect();
            Err(HubError::new(
                ErrorKind::Selection,
                format!("several GGUF files of `{name}` were pulled: name one of them: {}", names.join(", ")),
            ))
        }
    }
}

/// Whether a snapshot has a configuration and all its weights. Links to blobs that are not there do not count.
fn is_whole_directory(snapshot: &Path) -> bool {
    let has = |file: &str| snapshot.join(file).is_file();
    let has_shards = || {
        let index = read_index(&snapshot.join(INDEX)).and_then(|index| shards_of_index(&index).ok());
        index.is_some_and(|shards| shards.iter().all(|shard| has(shard)))
    };
    has(CONFIG) && (has(WEIGHTS) || has(ONLY_SHARD) || has_shards())
}

/// The bytes of an index, unless it is too long to be one.
pub fn read_index(path: &Path) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    fs::File::open(path).ok()?.take(MAX_INDEX + 1).read_to_end(&mut bytes).ok()?;
    (bytes.len() as u64 <= MAX_INDEX).then_some(bytes)
}

/// GGUF files of a snapshot, which may have folders.
fn find_ggufs(folder: &Path, files: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).into_iter().flatten().flatten() {
        let path = entry.path();
        // A folder in a snapshot is one; a link to one is nothing that a pull makes.
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            find_ggufs(&path, files);
        } else if path.is_file() && path.extension().is_some_and(|end| end.eq_ignore_ascii_case("gguf")) {
            files.push(path);
        }
    }
}

/// The places of a model in a cache.
#[derive(Clone, Debug)]
pub struct Layout {
    locks: PathBuf,
    /// The folder of the model.
    pub root: PathBuf,
}

impl Layout {
    pub fn new(cache: &Path, name: &ModelName) -> Self {
        let folder = format!("models--{}", name.repository().replace('/', "--"));
        Self { locks: cache.join(".locks").join(&folder), root: cache.join(folder) }
    }

    pub fn blob(&self, blob: &BlobId) -> PathBuf {
        self.root.join("blobs").join(blob.as_str())
    }

    pub fn incomplete(&self, blob: &BlobId) -> PathBuf {
        self.root.join("blobs").join(format!("{}.incomplete", blob.as_str()))
    }

    pub fn lock(&self, blob: &BlobId) -> PathBuf {
        self.locks.join(format!("{}.lock", blob.as_str()))
    }

    pub fn snapshot(&self, commit: &str) -> PathBuf {
        self.root.join("snapshots").join(commit)
    }

    pub fn reference(&self, revision: &str) -> PathBuf {
        self.root.join("refs").join(revision)
    }

    /// Whether a whole blob of this size is there.
    pub fn has_blob(&self, blob: &BlobId, size: u64) -> bool {
        fs::metadata(self.blob(blob)).is_ok_and(|there| there.is_file() && there.len() == size)
    }

    /// Bytes that are there of a blob that is not whole.
    pub fn begun(&self, blob: &BlobId) -> u64 {
        fs::metadata(self.incomplete(blob)).map_or(0, |there| there.len())
    }

    /// The commit that a revision was when it was pulled.
    pub fn commit(&self, revision: &str) -> Option<String> {
        if is_commit(revision) {
            return Some(revision.to_owned());
        }
        let text = fs::read_to_string(self.reference(revision)).ok()?;
        Some(text.trim().to_owned()).filter(|commit| is_commit(commit))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_whole_is_found() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new("https://hub.example", folder.path()).unwrap();
        let find = |name: &str| locate(&hub, &ModelName::parse(name).unwrap());
        let commit = "c".repeat(40);
        let snapshot = folder.path().join("models--a--b/snapshots").join(&commit);
        let write = |path: &str, text: &str| fs::write(snapshot.join(path), text).unwrap();
        fs::create_dir_all(snapshot.join("sub")).unwrap();
        assert_eq!(find("a/b").unwrap(), None);
        write("config.json", "{}");
        write(INDEX, r#"{"weight_map": {"a": "1.safetensors", "b": "2.safetensors"}}"#);
        write("1.safetensors", "");
        let name = format!("a/b@{commit}");
        assert_eq!(find(&name).unwrap(), None, "a shard is missing");
        write("2.safetensors", "");
        assert_eq!(find(&name).unwrap(), Some(Pulled::Directory(snapshot.clone())));
        assert_eq!(find("a/b").unwrap(), None, "no revision of that name was pulled");
        fs::create_dir_all(folder.path().join("models--a--b/refs")).unwrap();
        fs::write(folder.path().join("models--a--b/refs/main"), &commit).unwrap();
        assert!(find("a/b").unwrap().is_some());
        fs::write(folder.path().join("models--a--b/refs/main"), "../../etc").unwrap();
        assert_eq!(find("a/b").unwrap(), None);
    }

    #[test]
    fn of_several_ggufs_one_is_named() {
        let folder = tempfile::tempdir().unwrap();
        let hub = Hub::new("https://hub.example", folder.path()).unwrap();
        let commit = "c".repeat(40);
        let find = |name: &str| locate(&hub, &ModelName::parse(&format!("{name}@{commit}")).unwrap());
        let snapshot = folder.path().join("models--a--b/snapshots").join(&commit);
        fs::create_dir_all(snapshot.join("sub")).unwrap();
        fs::write(snapshot.join("m.gguf"), "").unwrap();
        assert_eq!(find("a/b").unwrap(), Some(Pulled::Gguf(snapshot.join("m.gguf"))));
        assert_eq!(find("a/b/n.gguf").unwrap(), None);
        fs::write(snapshot.join("sub/n.gguf"), "").unwrap();
        let error = find("a/b").unwrap_err();
        assert!(error.to_string().ends_with(": a/b/m.gguf, a/b/sub/n.gguf"), "{error}");
        assert_eq!(find("a/b/sub/n.gguf").unwrap(), Some(Pulled::Gguf(snapshot.join("sub/n.gguf"))));
    }
}
