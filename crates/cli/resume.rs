//! Output that survives an interruption: rows go to `FILE.partial` one by one, the settings that make them stand in
//! `FILE.partial.json`, and the same command again continues after the last whole row.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::output::{lock, partial_path};

/// Rows on their way to a file.
pub struct ResumableOutput {
    file: File,
    path: PathBuf,
    settings_path: PathBuf,
    target: PathBuf,
    /// Ids of the rows that an earlier run wrote, in order.
    done: Vec<String>,
}

impl ResumableOutput {
    /// Opens `FILE.partial`, new or left by an earlier run with the same settings.
    pub fn open(target: &Path, settings: &Value) -> Result<Self> {
        let path = partial_path(target);
        let mut settings_path = path.as_os_str().to_owned();
        settings_path.push(".json");
        let settings_path = PathBuf::from(settings_path);
        let name = format!("`{}`", path.display());
        if target.is_dir() {
            bail!("cannot write `{}`: it is a directory; name a file in it", target.display());
        }
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .with_context(|| format!("cannot create {name} (does its directory exist?)"))?;
        lock(&file, &path)?;
        let (done, len) = whole_rows(&file).with_context(|| format!("cannot read {name}"))?;
        if done.is_empty() {
            let json = serde_json::to_vec_pretty(settings).context("cannot write the settings as JSON")?;
            std::fs::write(&settings_path, json)
                .with_context(|| format!("cannot write `{}`", settings_path.display()))?;
        } else {
            let before = std::fs::read(&settings_path).ok();
            let before: Option<Value> = before.and_then(|json| serde_json::from_slice(&json).ok());
            if let Some(difference) = difference(before.as_ref(), settings) {
                bail!(
                    "{name} has {} rows of a run with other settings ({difference}): remove it to start anew, or \
                     choose another --out",
                    done.len()
                );
            }
        }
        // A torn last line is dropped; its set is done again.
        let cut = file.set_len(len).and_then(|()| file.seek(SeekFrom::Start(len)));
        cut.with_context(|| format!("cannot write {name}"))?;
        Ok(Self { file, path, settings_path, target: target.to_owned(), done })
    }

    /// Ids of the rows that are there already.
    pub fn done(&self) -> &[String] {
        &self.done
    }

    /// How messages name the unfinished file.
    pub fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    /// Writes a row; it is on disk when this returns.
    pub fn row(&mut self, json: &str) -> Result<()> {
        let mut line = Vec::with_capacity(json.len() + 1);
        line.extend_from_slice(json.as_bytes());
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| self.file.sync_data());
        written.with_context(|| {
            format!("cannot write {} (what is done is kept; the same command continues)", self.name())
        })
    }

    /// Gives the file its name.
    pub fn finish(self) -> Result<()> {
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, &self.target));
        renamed.with_context(|| format!("cannot complete `{}`", self.target.display()))?;
        let _ = std::fs::remove_file(&self.settings_path);
        Ok(())
    }
}

/// Ids of the whole rows of a partial file, and its length up to the last of them.
fn whole_rows(file: &File) -> Result<(Vec<String>, u64)> {
    let mut reader = BufReader::new(file);
    let (mut ids, mut len) = (Vec::new(), 0);
    let mut line = Vec::new();
    loop {
        line.clear();
        let read = reader.read_until(b'\n', &mut line)?;
        if read == 0 || line.last() != Some(&b'\n') {
            return Ok((ids, len));
        }
        let row: Option<Value> = serde_json::from_slice(&line).ok();
        let Some(id) = row.as_ref().and_then(|row| row.get("id")).and_then(Value::as_str) else {
            return Ok((ids, len));
        };
        ids.push(id.to_owned());
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
        .map(|(key, before, now)| format!("{key}: {before}, now {now}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn rows_survive_and_the_run_continues() {
        let directory = tempfile::tempdir().unwrap();
        let target = directory.path().join("rows.jsonl");
        let settings = json!({"policy": "auto"});
        let mut output = ResumableOutput::open(&target, &settings).unwrap();
        output.row(r#"{"id":"a"}"#).unwrap();
        output.row(r#"{"id":"b"}"#).unwrap();
        assert!(ResumableOutput::open(&target, &settings).is_err(), "one run at a time");
        drop(output);
        // The machine went down in the middle of a line.
        let mut partial = OpenOptions::new().append(true).open(partial_path(&target)).unwrap();
        partial.write_all(b"{\"id\":\"c\", \"ans").unwrap();
        drop(partial);

        let error = ResumableOutput::open(&target, &json!({"policy": "vote"})).map(|_| ()).unwrap_err();
        assert!(error.to_string().contains("policy: \"auto\", now \"vote\""), "{error}");

        let mut output = ResumableOutput::open(&target, &settings).unwrap();
        assert_eq!(output.done(), ["a", "b"]);
        output.row(r#"{"id":"c"}"#).unwrap();
        assert!(!target.exists());
        output.finish().unwrap();
        let rows = std::fs::read_to_string(&target).unwrap();
        assert_eq!(rows, "{\"id\":\"a\"}\n{\"id\":\"b\"}\n{\"id\":\"c\"}\n");
        assert_eq!(std::fs::read_dir(directory.path()).unwrap().count(), 1, "nothing is left beside it");
    }
}
