//! What the hub has: repositories of files, in memory or in a folder.

use std::fs::{self, File};
use std::io::{self, Cursor, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// Files beyond this are large ones (in Git LFS), as the names of weights say of others.
const LARGE: u64 = 10 << 20;

/// A repository at its only commit, which is also `main`.
#[derive(Clone, Debug)]
pub struct Repository {
    pub name: String,
    pub commit: String,
    pub files: Vec<StoredFile>,
    /// Whoever has no other is let in; without one, everybody.
    pub token: Option<String>,
    /// Whether lists say sizes and checksums, as those of some copies of the hub do not.
    pub has_blobs: bool,
}

/// A file of a repository.
#[derive(Clone, Debug)]
pub struct StoredFile {
    pub path: String,
    /// The sha256 of a large file, git's hash of a small one.
    pub blob: String,
    pub size: u64,
    /// Whether it is in Git LFS, and comes from the other port.
    pub is_large: bool,
    bytes: Bytes,
}

#[derive(Clone, Debug)]
enum Bytes {
    Memory(Vec<u8>),
    Disk(PathBuf),
}

impl Repository {
    /// A repository of files in memory.
    pub fn of_bytes(name: &str, files: &[(&str, &[u8])]) -> io::Result<Self> {
        let files = files.iter().map(|(path, bytes)| StoredFile::new(path, Bytes::Memory(bytes.to_vec())));
        Ok(Self::new(name, files.collect::<io::Result<_>>()?))
    }

    /// A repository of the files of a folder, without those in folders of it.
    pub fn of_folder(name: &str, folder: &Path) -> io::Result<Self> {
        let mut files = Vec::new();
        for entry in fs::read_dir(folder)? {
            let path = entry?.path();
            if let (true, Some(name)) = (path.is_file(), path.file_name().and_then(|name| name.to_str())) {
                files.push(StoredFile::new(name, Bytes::Disk(path.clone()))?);
            }
        }
        files.sort_by(|left, right| left.path.cmp(&right.path));
        Ok(Self::new(name, files))
    }

    fn new(name: &str, files: Vec<StoredFile>) -> Self {
        let mut commit = Sha1::new();
        files.iter().for_each(|file| commit.update(format!("{} {}\n", file.path, file.blob)));
        let commit = hexadecimal(&commit.finalize());
        Self { name: name.to_owned(), commit, files, token: None, has_blobs: true }
    }
}

impl StoredFile {
    fn new(path: &str, bytes: Bytes) -> io::Result<Self> {
        let size = match &bytes {
            Bytes::Memory(bytes) => bytes.len() as u64,
            Bytes::Disk(path) => fs::metadata(path)?.len(),
        };
        let is_large = [".safetensors", ".gguf"].iter().any(|end| path.ends_with(end)) || size > LARGE;
        let mut file = Self { path: path.to_owned(), blob: String::new(), size, is_large, bytes };
        file.blob = match is_large {
            true => hash(Sha256::new(), &mut file.open(0)?)?,
            false => hash(Sha1::new().chain_update(format!("blob {size}\0")), &mut file.open(0)?)?,
        };
        Ok(file)
    }

    /// Its bytes from `from` on.
    pub fn open(&self, from: u64) -> io::Result<Box<dyn Read + '_>> {
        match &self.bytes {
            Bytes::Memory(bytes) => {
                let mut cursor = Cursor::new(bytes);
                cursor.set_position(from);
                Ok(Box::new(cursor))
            }
            Bytes::Disk(path) => {
                let mut file = File::open(path)?;
                file.seek(SeekFrom::Start(from))?;
                Ok(Box::new(file))
            }
        }
    }
}

fn hash(mut hasher: impl Digest, reader: &mut impl Read) -> io::Result<String> {
    let mut buffer = vec![0; 1 << 20];
    loop {
        match reader.read(&mut buffer)? {
            0 => return Ok(hexadecimal(&hasher.finalize())),
            count => hasher.update(&buffer[..count]),
        }
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}
