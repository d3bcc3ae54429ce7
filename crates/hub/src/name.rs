//! Names of models on a hub: `owner/name[/file.gguf][@revision]`.
//!
//! A name becomes parts of an address and of a path on this disk, so nothing passes that could lead elsewhere.

use std::fmt;
use std::str::FromStr;

use crate::error::{ErrorKind, HubError, Result};

/// The revision where a name says none.
const DEFAULT_REVISION: &str = "main";

/// Longest name of a repository that hubs allow, with its owner.
const MAX_NAME: usize = 96;

const MAX_REVISION: usize = 200;

/// The name of a model on a hub.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelName {
    repository: String,
    file: Option<String>,
    revision: Option<String>,
}

impl ModelName {
    /// Reads `owner/name`, or `name` alone as the oldest models have it; behind it may stand the name of a GGUF file of the
    /// repository, and `@` with a branch, a tag or a commit.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] for what cannot be a name.
    pub fn parse(text: &str) -> Result<Self> {
        let refused = |why: &str| {
            HubError::new(
                ErrorKind::Name,
                format!(
                    "`{text}` cannot be the name of a model: {why} (expected OWNER/NAME or OWNER/NAME@REVISION, such \
                     as Qwen/Qwen2.5-0.5B-Instruct)"
                ),
            )
        };
        let (path, revision) = match text.split_once('@') {
            Some((path, revision)) => (path, Some(revision)),
            None => (text, None),
        };
        if let Some(revision) = revision {
            check_revision(revision).map_err(refused)?;
        }
        let (repository, file) = split_file(path);
        check_repository(repository).map_err(refused)?;
        let name = Self {
            repository: repository.to_owned(),
            file: None,
            revision: revision.filter(|&revision| revision != DEFAULT_REVISION).map(ToOwned::to_owned),
        };
        match file {
            Some(file) => name.with_file(file),
            None => Ok(name),
        }
    }

    /// The same name, for one GGUF file of the repository.
    ///
    /// # Errors
    /// [`ErrorKind::Name`] for what cannot be the name of such a file.
    pub fn with_file(self, file: &str) -> Result<Self> {
        if !is_safe_path(file) || !file.to_ascii_lowercase().ends_with(".gguf") {
            let message =
                format!("`{file}` cannot be a file of `{self}`: expected the name of a .gguf file in it");
            return Err(HubError::new(ErrorKind::Name, message));
        }
        Ok(Self { file: Some(file.to_owned()), ..self })
    }

    /// `owner/name`, or `name` alone.
    pub fn repository(&self) -> &str {
        &self.repository
    }

    /// The GGUF file of the repository that is meant, where the name says one.
    pub fn file(&self) -> Option<&str> {
        self.file.as_deref()
    }

    /// Branch, tag or commit.
    pub fn revision(&self) -> &str {
        self.revision.as_deref().unwrap_or(DEFAULT_REVISION)
    }

    /// The command that downloads it.
    pub fn pull_command(&self) -> String {
        format!("conclave model pull {self}")
    }
}

impl FromStr for ModelName {
    type Err = HubError;

    fn from_str(text: &str) -> Result<Self> {
        Self::parse(text)
    }
}

impl fmt::Display for ModelName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.repository)?;
        if let Some(file) = &self.file {
            write!(f, "/{file}")?;
        }
        self.revision.as_ref().map_or(Ok(()), |revision| write!(f, "@{revision}"))
    }
}

/// `owner/name` and what stands behind it, if that is a GGUF file.
fn split_file(path: &str) -> (&str, Option<&str>) {
    let Some((second_slash, _)) = path.match_indices('/').nth(1) else { return (path, None) };
    let file = &path[second_slash + 1..];
    if file.to_ascii_lowercase().ends_with(".gguf") {
        (&path[..second_slash], Some(file))
    } else {
        (path, None)
    }
}

fn check_repository(text: &str) -> Result<(), &'static str> {
    let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    let parts: Vec<&str> = text.split('/').collect();
    match () {
        () if text.is_empty() => Err("it is empty"),
        () if text.len() > MAX_NAME => Err("it is longer than 96 characters"),
        () if parts.len() > 2 => Err("it has more than one `/`"),
        () if parts.iter().any(|part| part.is_empty()) => Err("its owner or its name is empty"),
        () if !parts.iter().all(|part| part.bytes().all(is_allowed)) => {
            Err("it has other characters than letters, digits, `-`, `_` and `.`")
        }
        () if text.contains("--") || text.contains("..") => Err("it has `--` or `..`"),
        () if parts.iter().any(|part| part.starts_with(['-', '.']) || part.ends_with(['-', '.'])) => {
            Err("its owner or its name begins or ends with `-` or `.`")
        }
        () if text.ends_with(".git") => Err("it ends with `.git`"),
        () => Ok(()),
    }
}

fn check_revision(text: &str) -> Result<(), &'static str> {
    let is_allowed = |character: char| character.is_ascii_graphic() && !"\\:*?\"<>|@~^[%".contains(character);
    match () {
        () if text.is_empty() => Err("nothing stands behind its `@`"),
        () if text.len() > MAX_REVISION => Err("its revision is longer than 200 characters"),
        () if !text.chars().all(is_allowed) || !is_safe_path(text) || text.contains("..") => {
            Err("its revision is neither a branch, nor a tag, nor a commit")
        }
        () => Ok(()),
    }
}

/// Whether a name of a file of a repository stays within the folder that it is put into.
pub(crate) fn is_safe_path(path: &str) -> bool {
    let is_safe_part = |part: &str| {
        !part.is_empty() && part != "." && part != ".." && !part.ends_with(['.', ' ']) && part.len() <= 255
    };
    path.len() <= 1024
        && !path.chars().any(|character| character.is_control() || "\\:*?\"<>|".contains(character))
        && path.split('/').all(is_safe_part)
}

/// Whether a revision is a whole commit, which needs no file in `refs`.
pub(crate) fn is_commit(revision: &str) -> bool {
    revision.len() == 40
        && revision.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read() {
        let check = |text: &str, repository: &str, file: Option<&str>, revision: &str| {
            let name = ModelName::parse(text).unwrap();
            assert_eq!((name.repository(), name.file(), name.revision()), (repository, file, revision));
            assert_eq!(ModelName::parse(&name.to_string()).unwrap(), name);
        };
        check("Qwen/Qwen2.5-0.5B", "Qwen/Qwen2.5-0.5B", None, "main");
        check("gpt2", "gpt2", None, "main");
        check("a/b@refs/pr/1", "a/b", None, "refs/pr/1");
        check("a/b@main", "a/b", None, "main");
        check("a/b/c-q4_0.gguf@v1.0", "a/b", Some("c-q4_0.gguf"), "v1.0");
        check("a/b/sub/c.GGUF", "a/b", Some("sub/c.GGUF"), "main");
        assert_eq!(ModelName::parse("a/b@v1").unwrap().pull_command(), "conclave model pull a/b@v1");
    }

    #[test]
    fn what_leads_elsewhere_is_no_name() {
        for wrong in [
            "",
            "/",
            "a/",
            "/a",
            "a/b/c",
            "../b",
            "a/..",
            "a//b",
            "./model",
            "~/model",
            "a b/c",
            "a/b@",
            "a/b@..",
            "a/b@../../x",
            "a/b@x//y",
            "a/b@/x",
            "a/b@x@y",
            "a\\b/c",
            "C:/models",
            "a/b--c",
            "a/.git",
            "a/b.git",
            "a/b@x%2fy",
            "a/b/../c.gguf",
            "a/b//c.gguf",
            "é/b",
            "a/b\n",
            "a/b?x",
            "models/a/b",
            "a/-b",
        ] {
            let error = ModelName::parse(wrong).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Name, "{wrong}");
        }
        assert!(ModelName::parse(&format!("a/{}", "b".repeat(95))).is_err());
        let name = ModelName::parse("a/b").unwrap();
        for wrong in ["../x.gguf", "/x.gguf", "model.safetensors", "", "a\\x.gguf", "C:x.gguf"] {
            assert!(name.clone().with_file(wrong).is_err(), "{wrong}");
        }
    }
}
