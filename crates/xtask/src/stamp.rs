//! What is built already: a stamp says from which inputs something was made, and what came out.
//!
//! Times of files are not asked: a clone, a copy or a build of the same content counts as the same.

use std::fs;
use std::hash::{DefaultHasher, Hasher};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::steps::Outcome;
use crate::tools::root;

/// A fingerprint of texts and files. Another release of Rust may give other ones: then everything is made once more.
#[derive(Default)]
pub struct Fingerprint(DefaultHasher);

impl Fingerprint {
    /// With a text: a version, a flag.
    pub fn text(mut self, text: &str) -> Self {
        self.add(text.as_bytes());
        self
    }

    /// With the contents and names of these files, and of all files in these folders. A path that is not there counts as
    /// such, so that it is noticed when it comes.
    pub fn files(mut self, paths: &[PathBuf]) -> Result<Self> {
        for path in paths {
            self.path(path)?;
        }
        Ok(self)
    }

    /// The fingerprint.
    pub fn finish(self) -> String {
        format!("{:016x}", self.0.finish())
    }

    fn path(&mut self, path: &Path) -> Result<()> {
        // From the root, so that it is the same in another clone.
        let name = path.strip_prefix(root()).unwrap_or(path);
        self.add(name.to_string_lossy().as_bytes());
        if path.is_dir() {
            let entries =
                sorted_entries(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            self.0.write_usize(entries.len());
            entries.iter().try_for_each(|entry| self.path(entry))
        } else if path.exists() {
            let content = fs::read(path).with_context(|| format!("cannot read `{}`", path.display()))?;
            self.add(&content);
            Ok(())
        } else {
            self.0.write_u8(0);
            Ok(())
        }
    }

    /// With its length, so that the end of one text is not taken for the beginning of the next.
    fn add(&mut self, bytes: &[u8]) {
        self.0.write_usize(bytes.len());
        self.0.write(bytes);
    }
}

fn sorted_entries(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries: io::Result<Vec<_>> =
        folder.read_dir()?.map(|entry| entry.map(|entry| entry.path())).collect();
    let mut entries = entries?;
    entries.sort();
    Ok(entries)
}

/// What a stamp says: fingerprints of what went in and what came out.
fn line(inputs: &str, outputs: &[PathBuf]) -> Result<String> {
    Ok(format!("{inputs} {}", Fingerprint::default().files(outputs)?.finish()))
}

/// Whether `stamp` says that work was done with these `inputs`, and `outputs` are still what it made.
pub fn is_done(stamp: &Path, inputs: Fingerprint, outputs: &[PathBuf]) -> bool {
    says(stamp, &inputs.finish(), outputs)
}

fn says(stamp: &Path, inputs: &str, outputs: &[PathBuf]) -> bool {
    fs::read_to_string(stamp).is_ok_and(|done| line(inputs, outputs).is_ok_and(|now| now == done))
}

/// Does `work` unless it is done, as [`is_done`] says.
pub fn unless_done(
    stamp: &Path,
    inputs: Fingerprint,
    outputs: &[PathBuf],
    work: impl FnOnce() -> Result<Outcome>,
) -> Result<Outcome> {
    let inputs = inputs.finish();
    if says(stamp, &inputs, outputs) {
        println!("nothing has changed");
        return Ok(Outcome::Passed);
    }
    let outcome = work()?;
    if outcome == Outcome::Passed {
        if let Some(folder) = stamp.parent() {
            fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
        }
        fs::write(stamp, line(&inputs, outputs)?)
            .with_context(|| format!("cannot write `{}`", stamp.display()))?;
    }
    Ok(outcome)
}

/// Copies a file unless the other one is the same already, so that nobody takes it for a new one.
pub fn copy_changed(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read `{}`", from.display()))?;
    if fs::read(to).is_ok_and(|old| old == content) {
        return Ok(());
    }
    if let Some(folder) = to.parent() {
        fs::create_dir_all(folder).with_context(|| format!("cannot create `{}`", folder.display()))?;
    }
    fs::write(to, content).with_context(|| format!("cannot write `{}`", to.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tools::target_directory;

    /// A new folder for one test.
    fn folder(name: &str) -> PathBuf {
        let folder = target_directory().join("tmp/xtask-stamp").join(name);
        fs::remove_dir_all(&folder).ok();
        fs::create_dir_all(&folder).expect("a folder in the target directory");
        folder
    }

    fn write(path: &Path, text: &str) {
        fs::write(path, text).expect("a file in the target directory");
    }

    #[test]
    fn work_is_done_again_when_an_input_or_an_output_changes() {
        let folder = folder("again");
        let (sources, made) = (folder.join("sources"), folder.join("made"));
        fs::create_dir_all(sources.join("deep")).expect("a folder");
        write(&sources.join("a"), "1");
        let does_work = |flag: &str| {
            let mut worked = false;
            let inputs =
                Fingerprint::default().text(flag).files(std::slice::from_ref(&sources)).expect("inputs");
            let outcome =
                unless_done(&folder.join("stamps/one"), inputs, std::slice::from_ref(&made), || {
                    worked = true;
                    write(&made, "out");
                    Ok(Outcome::Passed)
                });
            assert_eq!(outcome.expect("no error"), Outcome::Passed);
            worked
        };
        assert!(!is_done(&folder.join("stamps/one"), Fingerprint::default(), std::slice::from_ref(&made)));
        assert!(does_work(""));
        assert!(!does_work(""));
        write(&sources.join("a"), "1");
        assert!(!does_work(""), "the same content");
        write(&sources.join("deep/b"), "");
        assert!(does_work(""), "a new file");
        fs::remove_file(sources.join("deep/b")).expect("the file");
        assert!(does_work(""), "one file less");
        assert!(does_work("-x"), "another flag");
        write(&made, "changed");
        assert!(does_work("-x"), "another output");
        fs::remove_file(&made).expect("the output");
        assert!(does_work("-x"), "no output");
        assert!(!does_work("-x"));
    }

    #[test]
    fn failed_work_is_not_done() {
        let stamp = folder("failed").join("stamp");
        let run =
            |outcome| unless_done(&stamp, Fingerprint::default(), &[], || Ok(outcome)).expect("no error");
        assert_eq!(run(Outcome::Failed), Outcome::Failed);
        assert_eq!(run(Outcome::Passed), Outcome::Passed);
        assert_eq!(run(Outcome::Failed), Outcome::Passed, "it is not done again");
    }

    #[test]
    fn a_file_that_is_the_same_is_not_written() {
        let folder = folder("copy");
        let (from, to) = (folder.join("from"), folder.join("to/here"));
        write(&from, "1");
        copy_changed(&from, &to).expect("a copy");
        let written = || fs::metadata(&to).and_then(|file| file.modified()).expect("a time");
        let first = written();
        copy_changed(&from, &to).expect("no copy");
        assert_eq!(written(), first);
        write(&from, "2");
        copy_changed(&from, &to).expect("a copy");
        assert_eq!(fs::read_to_string(&to).expect("the copy"), "2");
    }
}
