//! Output that survives an interruption: rows go to `FILE.partial` one by one, the settings that make them stand in
//! `FILE.partial.json`, and the same command again continues after the last whole row.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::messages::{count, visible};
use crate::output::{lock, partial_path, resolve_link};

/// Rows on their way to a file. Dropped unfinished, it leaves the rows for the next run; where there are none, nothing.
#[derive(Debug)]
pub struct ResumableOutput {
    file: File,
    path: PathBuf,
    settings_path: PathBuf,
    target: PathBuf,
    rows: u64,
    finished: bool,
}

impl ResumableOutput {
    /// Opens `FILE.partial`, new or left by an earlier run with the same settings, whose rows are shown to `each`.
    pub fn open<T: DeserializeOwned>(
        target: &Path,
        settings: &Value,
        each: &mut dyn FnMut(T),
    ) -> Result<Self> {
        if target.is_dir() {
            bail!("cannot write `{}`: it is a directory; name a file in it", target.display());
        }
        let target = resolve_link(target);
        let path = partial_path(&target);
        let mut settings_path = path.as_os_str().to_owned();
        settings_path.push(".json");
        let settings_path = PathBuf::from(settings_path);
        let name = format!("`{}`", path.display());
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot create {name} (does its directory exist?)"))?;
        lock(&file, &path)?;
        let mut output = Self { file, path, settings_path, target, rows: 0, finished: false };
        let found = whole_rows(&output.file, each).with_context(|| format!("cannot continue {name}"));
        let (rows, len) = found.inspect_err(|_| output.finished = true)?;
        output.rows = rows;
        match rows {
            0 => output.write_settings(settings)?,
            _ => output.check_settings(settings)?,
        }
        // A torn last line is dropped; its row is made again.
        let cut = output.file.set_len(len).and_then(|()| output.file.seek(SeekFrom::Start(len)));
        cut.with_context(|| format!("cannot write {name}"))?;
        Ok(output)
    }

    fn write_settings(&self, settings: &Value) -> Result<()> {
        let json = serde_json::to_vec_pretty(settings).context("cannot write the settings as JSON")?;
        let written = File::create(&self.settings_path)
            .and_then(|mut file| file.write_all(&json).and_then(|()| file.sync_all()));
        written.with_context(|| format!("cannot write `{}`", self.settings_path.display()))
    }

    fn check_settings(&self, settings: &Value) -> Result<()> {
        let before = std::fs::read(&self.settings_path).ok();
        let before: Option<Value> = before.and_then(|json| serde_json::from_slice(&json).ok());
        let Some(difference) = difference(before.as_ref(), settings) else { return Ok(()) };
        bail!(
            "{} has {} of a run with other settings ({difference}): remove it to start anew, or choose another --out",
            self.name(),
            count(self.rows, "row")
        )
    }

    /// How messages name the unfinished file.
    pub fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    /// How messages name the file that it becomes.
    pub fn target_name(&self) -> String {
        format!("`{}`", self.target.display())
    }

    /// Writes a row; it is on disk when this returns.
    pub fn row(&mut self, json: &str) -> Result<()> {
        let mut line = Vec::with_capacity(json.len() + 1);
        line.extend_from_slice(json.as_bytes());
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| format!("cannot write {}", self.name()))?;
        self.rows += 1;
        Ok(())
    }

    /// Gives the file its name.
    pub fn finish(mut self) -> Result<()> {
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, &self.target));
        renamed.with_context(|| format!("cannot complete {} from {}", self.target_name(), self.name()))?;
        self.finished = true;
        let _ = std::fs::remove_file(&self.settings_path);
        Ok(())
    }
}

impl Drop for ResumableOutput {
    fn drop(&mut self) {
        if !self.finished && self.rows == 0 {
            let _ = std::fs::remove_file(&self.path);
            let _ = std::fs::remove_file(&self.settings_path);
        }
    }
}

/// Number of the whole rows of a partial file, and its length up to the last of them. Only the last line may be torn:
/// anything else is no file of ours, and nothing in it may be lost.
fn whole_rows<T: DeserializeOwned>(file: &File, each: &mut dyn FnMut(T)) -> Result<(u64, u64)> {
    let mut reader = BufReader::new(file);
    let (mut rows, mut len) = (0, 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 {
            return Ok((rows, len));
        }
        match serde_json::from_slice(&line) {
            Ok(row) if line.ends_with(b"\n") => each(row),
            _ if reader.fill_buf()?.is_empty() => return Ok((rows, len)),
            Ok(_) => bail!("line {} has no end", rows + 1),
            Err(error) => bail!(
                "line {} is not one of its rows ({}): remove it to start anew, or choose another --out",
                rows + 1,
                visible(&error.to_string())
            ),
        }
        rows += 1;
        len += read as u64;
    }
}

/// The first setting that differs, in words.
fn difference(before: Option<&Value>, now: &Value) -> Option<String> {
    let Some(before) = before else { return Some("they are not recorded".to_owned()) };
    if before == now {
        return None;
    }
    let empty = serde_json::Map::new();
    let (before, now) = (before.as_object().unwrap_or(&empty), now.as_object().unwrap_or(&empty));
    let keys = now.keys().chain(before.keys());
    let null = Value::Null;
    keys.map(|key| (key, before.get(key).unwrap_or(&null), now.get(key).unwrap_or(&null)))
        .find(|(_, before, now)| before != now)
        .map(|(key, before, now)| visible(&format!("{key}: {before}, now {now}")))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    /// The output, and the ids of the rows that are there already.
    fn open(target: &Path, settings: &Value) -> Result<(ResumableOutput, Vec<Value>)> {
        let mut ids = Vec::new();
        let output = ResumableOutput::open(target, settings, &mut |row: Value| ids.push(row["id"].clone()))?;
        Ok((output, ids))
    }

    fn append(path: &Path, bytes: &[u8]) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    #[test]
    fn rows_survive_and_the_run_continues() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("rows.jsonl");
        let settings = json!({"policy": "auto"});
        let (mut output, ids) = open(&target, &settings).unwrap();
        assert_eq!(ids.len(), 0);
        output.row(r#"{"id":"a"}"#).unwrap();
        output.row(r#"{"id":"b"}"#).unwrap();
        assert!(open(&target, &settings).is_err(), "one run at a time");
        drop(output);
        // The machine went down in the middle of a line.
        append(&partial_path(&target), b"{\"id\":\"c\", \"ans");

        let error = open(&target, &json!({"policy": "vote"})).unwrap_err();
        assert!(error.to_string().contains("policy: \"auto\", now \"vote\""), "{error}");

        let (mut output, ids) = open(&target, &settings).unwrap();
        assert_eq!(ids, ["a", "b"]);
        output.row(r#"{"id":"c"}"#).unwrap();
        assert!(!target.exists());
        output.finish().unwrap();
        let rows = std::fs::read_to_string(&target).unwrap();
        assert_eq!(rows, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("rows.jsonl");
        let mine = b"{\"id\":\"a\"}\nmy notes\n{\"id\":\"b\"}\n";
        std::fs::write(partial_path(&target), mine).unwrap();
        let error = open(&target, &json!({})).unwrap_err();
        assert!(format!("{error:#}").contains("line 2 is not one of its rows"), "{error:#}");
        assert_eq!(std::fs::read(partial_path(&target)).unwrap(), mine);
    }

    #[test]
    fn a_run_without_rows_leaves_nothing() {
        let directory = tempfile::tempdir().unwrap();
        drop(open(&directory.path().join("rows.jsonl"), &json!({})).unwrap());
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 0);
    }
}
