//! What a repository holds at a commit: the hub's answer to `/api/models/NAME/revision/REVISION?blobs=true`.

use serde::Deserialize;

use crate::checksum::BlobId;
use crate::error::{ErrorKind, HubError, Result};
use crate::name::{is_commit, is_safe_path};

/// The files of a repository at a commit.
#[derive(Clone, Debug)]
pub struct Listing {
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// Its files, without those whose names lead elsewhere.
    pub files: Vec<RemoteFile>,
}

/// A file of a repository.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteFile {
    /// Its name, with the folders within the repository.
    pub path: String,
    /// Its size, where the list says it.
    pub size: Option<u64>,
    /// What its blob is called, where the list says it: the sha256 of large files, the git hash of others.
    pub blob: Option<BlobId>,
}

#[derive(Deserialize)]
struct Answer {
    sha: Option<String>,
    siblings: Option<Vec<Sibling>>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sibling {
    rfilename: String,
    size: Option<u64>,
    blob_id: Option<String>,
    lfs: Option<Lfs>,
}

#[derive(Deserialize)]
struct Lfs {
    sha256: Option<String>,
    /// Older hubs call it so.
    oid: Option<String>,
    size: Option<u64>,
}

impl Listing {
    /// Reads the answer of a hub.
    ///
    /// # Errors
    /// [`ErrorKind::Answer`] for what is no such list.
    pub fn parse(bytes: &[u8], host: &str) -> Result<Self> {
        let broken = |why: &str| {
            let message =
                format!("`{host}` answered with something that is not a list of files ({why}): is it a hub?");
            HubError::new(ErrorKind::Answer, message)
        };
        let answer: Answer = serde_json::from_slice(bytes).map_err(|error| broken(&error.to_string()))?;
        let commit =
            answer.sha.filter(|commit| is_commit(commit)).ok_or_else(|| broken("it names no commit"))?;
        let siblings = answer.siblings.ok_or_else(|| broken("it has no files"))?;
        let files =
            siblings.into_iter().filter(|file| is_safe_path(&file.rfilename)).map(RemoteFile::from).collect();
        Ok(Self { commit, files })
    }

    /// The file of a name.
    pub fn find(&self, path: &str) -> Option<&RemoteFile> {
        self.files.iter().find(|file| file.path == path)
    }
}

impl From<Sibling> for RemoteFile {
    fn from(file: Sibling) -> Self {
        let Some(lfs) = file.lfs else {
            return Self {
                path: file.rfilename,
                size: file.size,
                blob: file.blob_id.and_then(|id| BlobId::parse(&id)),
            };
        };
        let sha256 = lfs.sha256.or(lfs.oid);
        Self {
            path: file.rfilename,
            size: lfs.size.or(file.size),
            blob: sha256.and_then(|id| BlobId::parse(&id)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_read() {
        let (commit, sha256, git) = ("c".repeat(40), "a".repeat(64), "b".repeat(40));
        let json = serde_json::json!({"id": "a/b", "sha": commit, "private": false, "siblings": [
            {"rfilename": "config.json", "size": 5, "blobId": git},
            {"rfilename": "model.safetensors", "size": 135, "blobId": git,
             "lfs": {"sha256": sha256, "size": 900, "pointerSize": 135}},
            {"rfilename": "../../.bashrc"}, {"rfilename": "/etc/passwd"}, {"rfilename": "plain"},
        ]});
        let listing = Listing::parse(json.to_string().as_bytes(), "hub").unwrap();
        assert_eq!(listing.commit, commit);
        let blob = |path: &str| listing.find(path).unwrap().blob.as_ref().map(BlobId::as_str);
        assert_eq!((blob("config.json"), blob("plain")), (Some(git.as_str()), None));
        assert_eq!(blob("model.safetensors"), Some(sha256.as_str()));
        assert_eq!(listing.find("model.safetensors").unwrap().size, Some(900));
        assert_eq!(listing.files.len(), 3);
    }

    #[test]
    fn what_is_no_list_is_named() {
        for wrong in ["", "<html>", "[]", "{}", r#"{"sha": "../..", "siblings": []}"#, r#"{"siblings": []}"#]
        {
            assert_eq!(
                Listing::parse(wrong.as_bytes(), "hub").unwrap_err().kind(),
                ErrorKind::Answer,
                "{wrong}"
            );
        }
    }
}
