//! What a command reads, so that it is never what it writes.

use std::fs::Metadata;
use std::path::{Path, PathBuf};

use crate::error::{DiskError, Result};
use crate::name::{begun_path, identity, partial_path, resolve_link, settings_path, unfinished_path};

/// The files that a command reads.
#[derive(Clone, Debug, Default)]
pub struct Inputs(Vec<PathBuf>);

impl Inputs {
    /// These; `-` is standard input.
    pub fn of<P: AsRef<Path>>(paths: impl IntoIterator<Item = P>) -> Self {
        Self::default().and(paths)
    }

    /// These too.
    pub fn and<P: AsRef<Path>>(mut self, paths: impl IntoIterator<Item = P>) -> Self {
        self.0.extend(paths.into_iter().map(|path| path.as_ref().to_owned()));
        self
    }

    /// Refuses an output that is an input under whatever name, or that would be written under the name of one. Only regular files
    /// count: a device can be both.
    ///
    /// # Errors
    /// A wrong argument.
    pub fn refuse(&self, out: &Path) -> Result<()> {
        let target = resolve_link(out);
        let names = [
            target.clone(),
            partial_path(&target),
            settings_path(&target),
            begun_path(&target),
            unfinished_path(&target),
        ];
        for written in &names {
            let Some(metadata) = regular(written.metadata().ok()) else { continue };
            let Some(input) = self.0.iter().find(|input| is_same(input, written, &metadata)) else {
                continue;
            };
            let (out, input) = (out.display(), input.display());
            let read = if *written == target {
                format!("it is the input `{input}`")
            } else {
                format!(
                    "on the way it would be written as `{}`, which is the input `{input}`",
                    written.display()
                )
            };
            return Err(DiskError::usage(format!(
                "`{out}` cannot be written: {read}; name another file with --out"
            )));
        }
        Ok(())
    }

    /// Refuses standard output where a shell has made an input of it (`conclave vote f >> f`).
    ///
    /// # Errors
    /// A wrong argument.
    #[cfg(unix)]
    pub fn refuse_standard_output(&self) -> Result<()> {
        let Some(metadata) = regular(open_metadata(&std::io::stdout())) else { return Ok(()) };
        match self.0.iter().find(|input| is_same(input, Path::new("-"), &metadata)) {
            Some(input) => Err(DiskError::usage(format!(
                "standard output goes to the input `{}`: send it to another file",
                input.display()
            ))),
            None => Ok(()),
        }
    }

    /// The same where standard output does not say which file it is.
    ///
    /// # Errors
    /// None.
    #[cfg(not(unix))]
    pub fn refuse_standard_output(&self) -> Result<()> {
        Ok(())
    }
}

fn regular(metadata: Option<Metadata>) -> Option<Metadata> {
    metadata.filter(Metadata::is_file)
}

fn is_same(input: &Path, written: &Path, metadata: &Metadata) -> bool {
    let read = if input == Path::new("-") { standard_input() } else { input.metadata().ok() };
    regular(read).is_some_and(|read| identity(&read, input) == identity(metadata, written))
}

#[cfg(unix)]
fn standard_input() -> Option<Metadata> {
    open_metadata(&std::io::stdin())
}

#[cfg(not(unix))]
fn standard_input() -> Option<Metadata> {
    None
}

/// The metadata of an open stream.
#[cfg(unix)]
fn open_metadata(stream: &impl std::os::fd::AsFd) -> Option<Metadata> {
    std::fs::File::from(stream.as_fd().try_clone_to_owned().ok()?).metadata().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(unix)]
    #[test]
    fn an_input_is_known_under_every_name() {
        let folder = tempfile::tempdir().unwrap();
        let path = |name: &str| folder.path().join(name);
        std::fs::write(path("a"), "1\n").unwrap();
        std::fs::write(path("c.partial"), "2\n").unwrap();
        std::os::unix::fs::symlink(path("a"), path("link")).unwrap();
        std::fs::hard_link(path("a"), path("hard")).unwrap();
        let inputs = Inputs::of([path("a"), path("c.partial")]);
        for out in ["a", "link", "hard"] {
            let error = inputs.refuse(&path(out)).unwrap_err();
            assert!(error.is_usage() && error.to_string().contains("it is the input"), "{error}");
        }
        let error = inputs.refuse(&path("c")).unwrap_err();
        assert!(error.to_string().contains("c.partial`, which is the input"), "{error}");
        inputs.refuse(&path("b")).unwrap();
        inputs.refuse(Path::new("/dev/null")).unwrap();
        Inputs::of(["/dev/null"]).refuse(Path::new("/dev/null")).unwrap();
    }
}
