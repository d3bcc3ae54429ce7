//! Names of blobs, which are checksums of what is in them, and the check.

use std::fmt::Write as _;

use sha1::Sha1;
use sha2::{Digest, Sha256};

/// The first line of a pointer to a file in Git LFS.
const LFS_POINTER: &[u8] = b"version https://git-lfs.github.com/spec/";

/// The name of a blob: the etag that the hub gives a file. It is the name of a file on this disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct BlobId(String);

/// What a blob's name says of its bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Check {
    /// Their sha256 (files in Git LFS).
    Sha256,
    /// The hash that git gives a file: sha1 of `blob LENGTH\0` and the bytes.
    Git,
    /// Nothing that is known here (hubs that copy others); the length alone is checked.
    Length,
}

impl BlobId {
    /// An etag, without quotes and the mark of weak ones; none where it cannot be the name of a file.
    pub fn parse(etag: &str) -> Option<Self> {
        let id = etag.trim().trim_start_matches("W/").trim_matches('"');
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
        let is_name = (1..=128).contains(&id.len()) && id.bytes().all(is_allowed) && !id.starts_with('.');
        (is_name && !id.ends_with(".incomplete")).then(|| Self(id.to_owned()))
    }

    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// What can be checked by it.
    pub fn check(&self) -> Check {
        let is_hex = self.0.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
        match self.0.len() {
            64 if is_hex => Check::Sha256,
            40 if is_hex => Check::Git,
            _ => Check::Length,
        }
    }

    /// What tells whether `size` bytes are the blob's.
    pub fn verifier(&self, size: u64) -> Verifier {
        match self.check() {
            Check::Sha256 => Verifier::Sha256(Sha256::new()),
            Check::Git => Verifier::Git(Sha1::new().chain_update(format!("blob {size}\0"))),
            Check::Length => Verifier::Length,
        }
    }
}

/// Whether a file is a pointer to one in Git LFS, by how it begins.
pub fn is_lfs_pointer(begin: &[u8]) -> bool {
    begin.starts_with(LFS_POINTER)
}

/// A check under way.
#[derive(Clone, Debug)]
pub enum Verifier {
    /// By sha256.
    Sha256(Sha256),
    /// By git's hash.
    Git(Sha1),
    /// By nothing but the length, which others check.
    Length,
}

impl Verifier {
    /// The next bytes.
    pub fn update(&mut self, bytes: &[u8]) {
        match self {
            Self::Sha256(hasher) => hasher.update(bytes),
            Self::Git(hasher) => hasher.update(bytes),
            Self::Length => {}
        }
    }

    /// What was computed, where it is not what the blob is called.
    pub fn mismatch(self, blob: &BlobId) -> Option<String> {
        let sum = match self {
            Self::Sha256(hasher) => hexadecimal(&hasher.finalize()),
            Self::Git(hasher) => hexadecimal(&hasher.finalize()),
            Self::Length => return None,
        };
        (sum != blob.0).then_some(sum)
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        let _ = write!(text, "{byte:02x}");
        text
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn etags_become_names() {
        let parse = |etag: &str| BlobId::parse(etag).map(|id| id.0);
        assert_eq!(parse("\"abc\"").as_deref(), Some("abc"));
        assert_eq!(parse("W/\"abc-1\"").as_deref(), Some("abc-1"));
        for wrong in ["", "\"\"", "..", "../x", "a/b", "a\\b", ".x", "x.incomplete", "a b"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn known_checksums_are_recognised() {
        let is_of = |id: &str, bytes: &[u8]| {
            let id = BlobId::parse(id).unwrap();
            let mut verifier = id.verifier(bytes.len() as u64);
            bytes.chunks(2).for_each(|chunk| verifier.update(chunk));
            verifier.mismatch(&id).is_none()
        };
        // `git hash-object` and `sha256sum` of the file `hello\n`.
        let git = "ce013625030ba8dba906f756967f9e9ca394464a";
        let sha256 = "5891b5b522d5df086d0ff0b110fbd9d21bb4fc7163af34d08286a2e846f6be03";
        assert!(is_of(git, b"hello\n") && !is_of(git, b"hello"));
        assert!(is_of(sha256, b"hello\n") && !is_of(sha256, b"hellO\n"));
        assert!(is_of("some-etag", b"anything"));
    }
}
