//! Output that survives an interruption: rows go to `FILE.partial` one by one, the settings that make them stand in
//! `FILE.partial.json`, and the same command again continues after the last whole row. What there is of the next row, where it
//! is made of parts that cost something, is kept in `FILE.partial.begun`.

use std::fs::{File, OpenOptions};
use std::io::{BufRead, BufReader, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::claim::{PATIENCE, changed, claim};
use crate::error::{DiskError, Result};
use crate::name::{begun_path, partial_path, resolve_link, settings_path};
use crate::whole::sync_parent;

/// Rows that follow one another faster are brought to the disk together. Each is with the system when [`Resumable::row`]
/// returns, and so survives this process; only a machine that loses its power loses what came within this time.
const SYNC_EVERY: Duration = Duration::from_millis(100);

/// Rows on their way to a file. Dropped unfinished, it leaves the rows for the next run; where there are none, nothing.
#[derive(Debug)]
pub struct Resumable {
    file: File,
    path: PathBuf,
    target: PathBuf,
    rows: u64,
    /// Bytes of the rows.
    len: u64,
    synced: Instant,
    begun: Begun,
    is_locked: bool,
    is_finished: bool,
}

/// What is there of the next row.
#[derive(Debug)]
struct Begun {
    path: PathBuf,
    file: Option<File>,
    /// What an earlier run left.
    found: Vec<u8>,
}

impl Resumable {
    /// Opens `FILE.partial`, new or left by an earlier run with the same settings, whose rows are shown to `each`. Of more
    /// than `most` rows, the rest is dropped.
    ///
    /// # Errors
    /// A place that cannot be written, a file that another process writes, rows of other settings, a file that has something else in it.
    pub fn open<T: DeserializeOwned>(
        target: &Path,
        settings: &Value,
        most: Option<u64>,
        each: &mut dyn FnMut(T),
    ) -> Result<Self> {
        if target.is_dir() {
            let name = target.display();
            return Err(DiskError::new(format!(
                "cannot write `{name}`: it is a directory; name a file in it"
            )));
        }
        let target = resolve_link(target);
        let path = partial_path(&target);
        let claimed = claim(&path, PATIENCE)?;
        let begun = Begun::read(begun_path(&target))?;
        let mut output = Self {
            file: claimed.file,
            path,
            target,
            rows: 0,
            len: 0,
            synced: Instant::now(),
            begun,
            is_locked: claimed.is_locked,
            // Until it is known to be ours nothing is taken away.
            is_finished: true,
        };
        (output.rows, output.len) = whole_rows(&output.file, most, each)
            .map_err(|reason| DiskError::new(format!("cannot continue {}: {reason}", output.name())))?;
        match output.is_empty() {
            true => output.write_settings(settings)?,
            false => output.check_settings(settings)?,
        }
        output.is_finished = false;
        // A torn last line is dropped; its row is made again.
        let cut =
            output.file.set_len(output.len).and_then(|()| output.file.seek(SeekFrom::Start(output.len)));
        cut.map_err(|error| DiskError::io("write", &output.path, error))?;
        Ok(output)
    }

    fn is_empty(&self) -> bool {
        self.rows == 0 && self.begun.found.is_empty()
    }

    fn write_settings(&self, settings: &Value) -> Result<()> {
        let path = settings_path(&self.target);
        let written = File::create(&path)
            .and_then(|mut file| write!(file, "{settings:#}").and_then(|()| file.sync_all()));
        written.map_err(|error| DiskError::io("write", &path, error))
    }

    fn check_settings(&self, settings: &Value) -> Result<()> {
        let before = std::fs::read(settings_path(&self.target)).ok();
        let before: Option<Value> = before.and_then(|json| serde_json::from_slice(&json).ok());
        let Some(difference) = difference(before.as_ref(), settings) else { return Ok(()) };
        let rows = if self.rows == 1 { "1 row".to_owned() } else { format!("{} rows", self.rows) };
        Err(DiskError::new(format!(
            "{} has {rows} of a run with other settings ({difference}): remove it to start anew, or choose another --out",
            self.name()
        )))
    }

    /// How messages name the unfinished file.
    pub fn name(&self) -> String {
        format!("`{}`", self.path.display())
    }

    /// How messages name the file that it becomes.
    pub fn target_name(&self) -> String {
        format!("`{}`", self.target.display())
    }

    /// The name that it gets.
    pub fn target(&self) -> &Path {
        &self.target
    }

    /// Rows that are there.
    pub fn rows(&self) -> u64 {
        self.rows
    }

    /// Bytes of these rows.
    pub fn bytes(&self) -> u64 {
        self.len
    }

    /// Whether a lock keeps other processes away.
    pub fn is_locked(&self) -> bool {
        self.is_locked
    }

    /// Writes a row; it survives this process when this returns.
    ///
    /// # Errors
    /// A full disk, a file that somebody else writes too.
    pub fn row(&mut self, json: &str) -> Result<()> {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() != self.len) {
            return Err(changed(&self.path));
        }
        let mut line = Vec::with_capacity(json.len() + 1);
        line.extend_from_slice(json.as_bytes());
        line.push(b'\n');
        let written = self.file.write_all(&line).and_then(|()| match self.synced.elapsed() >= SYNC_EVERY {
            true => self.file.sync_data().map(|()| self.synced = Instant::now()),
            false => Ok(()),
        });
        if let Err(error) = written {
            // The space of a torn line may be the last there is.
            let _ = self.file.set_len(self.len);
            return Err(DiskError::io("write", &self.path, error));
        }
        self.rows += 1;
        self.len += line.len() as u64;
        Ok(())
    }

    /// What an earlier run left of the row behind the last one, line by line, each with its line break.
    pub fn begun(&self) -> impl Iterator<Item = &[u8]> {
        self.begun.found.split_inclusive(|&byte| byte == b'\n').filter(|line| line.ends_with(b"\n"))
    }

    /// Writes a part of the next row; it is on the disk when this returns.
    ///
    /// # Errors
    /// A full disk.
    pub fn begin(&mut self, json: &str) -> Result<()> {
        self.begun.add(json)
    }

    /// Forgets what was begun: its row is written.
    ///
    /// # Errors
    /// What the system says.
    pub fn clear_begun(&mut self) -> Result<()> {
        self.begun.clear()
    }

    /// Gives the file its name.
    ///
    /// # Errors
    /// A full disk, a file that somebody else has written too; what had the name before keeps it.
    pub fn finish(mut self) -> Result<()> {
        if self.file.metadata().is_ok_and(|metadata| metadata.len() != self.len) {
            return Err(changed(&self.path));
        }
        let renamed = self.file.sync_all().and_then(|()| std::fs::rename(&self.path, &self.target));
        renamed.map_err(|error| {
            DiskError::io_with("complete", &self.target, &format!(" from {}", self.name()), error)
        })?;
        self.is_finished = true;
        let _ = std::fs::remove_file(settings_path(&self.target));
        let _ = std::fs::remove_file(&self.begun.path);
        sync_parent(&self.target)
    }
}

impl Drop for Resumable {
    fn drop(&mut self) {
        if !self.is_finished && self.is_empty() && self.begun.file.is_none() {
            let _ = std::fs::remove_file(settings_path(&self.target));
            let _ = std::fs::remove_file(&self.begun.path);
            let _ = std::fs::remove_file(&self.path);
        } else if !self.is_finished {
            let _ = self.file.sync_data();
        }
    }
}

impl Begun {
    fn read(path: PathBuf) -> Result<Self> {
        let found = match std::fs::read(&path) {
            Ok(found) => found,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(DiskError::io("read", &path, error)),
        };
        Ok(Self { path, file: None, found })
    }

    fn add(&mut self, json: &str) -> Result<()> {
        let written = self.open().and_then(|file| {
            // One write, so that a line is whole or torn at its end.
            file.write_all(format!("{json}\n").as_bytes())?;
            file.sync_data()
        });
        written.map_err(|error| DiskError::io("write", &self.path, error))
    }

    fn open(&mut self) -> std::io::Result<&mut File> {
        if self.file.is_none() {
            let mut file = OpenOptions::new().create(true).append(true).open(&self.path)?;
            if !self.found.is_empty() && !self.found.ends_with(b"\n") {
                file.write_all(b"\n")?;
            }
            self.file = Some(file);
        }
        self.file.as_mut().ok_or_else(|| std::io::Error::other("no file was opened"))
    }

    fn clear(&mut self) -> Result<()> {
        self.found.clear();
        if self.file.take().is_some() || self.path.exists() {
            match std::fs::remove_file(&self.path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
                    return Err(DiskError::io("remove", &self.path, error));
                }
                _ => {}
            }
        }
        Ok(())
    }
}

/// Number of the whole rows of a partial file, and its length up to the last of them. Only the last line may be torn:
/// anything else is no file of ours, and nothing in it may be lost.
fn whole_rows<T: DeserializeOwned>(
    file: &File,
    most: Option<u64>,
    each: &mut dyn FnMut(T),
) -> Result<(u64, u64), String> {
    let mut reader = BufReader::with_capacity(1 << 16, file);
    let (mut rows, mut len) = (0, 0);
    let mut line = Vec::new();
    while most.is_none_or(|most| rows < most) {
        line.clear();
        let read = reader.read_until(b'\n', &mut line).map_err(|error| error.to_string())?;
        if read == 0 {
            break;
        }
        let row = serde_json::from_slice(&line);
        let is_whole = line.ends_with(b"\n");
        if !is_whole || (row.is_err() && reader.fill_buf().map_err(|error| error.to_string())?.is_empty()) {
            break;
        }
        let row = row.map_err(|error| {
            let place = rows + 1;
            format!("line {place} is not one of its rows ({error}): remove it to start anew, or choose another --out")
        });
        each(row?);
        rows += 1;
        len += read as u64;
    }
    Ok((rows, len))
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

    /// The output, and the ids of the rows that are there already.
    fn open(target: &Path, settings: &Value) -> Result<(Resumable, Vec<Value>)> {
        open_first(target, settings, None)
    }

    fn open_first(target: &Path, settings: &Value, most: Option<u64>) -> Result<(Resumable, Vec<Value>)> {
        let mut ids = Vec::new();
        let output = Resumable::open(target, settings, most, &mut |row: Value| ids.push(row["id"].clone()))?;
        Ok((output, ids))
    }

    fn append(path: &Path, bytes: &[u8]) {
        OpenOptions::new().append(true).open(path).unwrap().write_all(bytes).unwrap();
    }

    fn count(folder: &Path) -> usize {
        std::fs::read_dir(folder).unwrap().count()
    }

    #[test]
    fn rows_survive_and_the_run_continues() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("rows.jsonl");
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
        assert_eq!(count(folder.path()), 1, "nothing is left beside it");
    }

    #[test]
    fn only_so_many_rows_are_kept() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("rows.jsonl");
        let (mut output, _) = open(&target, &json!({})).unwrap();
        ["a", "b", "c"].iter().for_each(|id| output.row(&json!({"id": id}).to_string()).unwrap());
        drop(output);
        let (output, ids) = open_first(&target, &json!({}), Some(2)).unwrap();
        assert_eq!((ids.len(), output.rows()), (2, 2));
        output.finish().unwrap();
        assert_eq!(std::fs::read_to_string(&target).unwrap(), "{\"id\":\"a\"}\n{\"id\":\"b\"}\n");
    }

    #[test]
    fn what_was_begun_is_there_for_the_next_run() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("rows.jsonl");
        let (mut output, _) = open(&target, &json!({"n": 1})).unwrap();
        output.begin(r#"{"candidate":1}"#).unwrap();
        drop(output);
        append(&begun_path(&target), b"{\"cand");
        let error = open(&target, &json!({"n": 2})).unwrap_err();
        assert!(error.to_string().contains("0 rows of a run with other settings (n: 1, now 2)"), "{error}");

        let (mut output, _) = open(&target, &json!({"n": 1})).unwrap();
        assert_eq!(output.begun().collect::<Vec<_>>(), [b"{\"candidate\":1}\n"]);
        output.begin(r#"{"candidate":2}"#).unwrap();
        drop(output);
        let (mut output, _) = open(&target, &json!({"n": 1})).unwrap();
        assert_eq!(output.begun().count(), 3, "the torn line is one of its own");
        output.row(r#"{"id":"a"}"#).unwrap();
        output.clear_begun().unwrap();
        assert_eq!(output.begun().count(), 0);
        output.finish().unwrap();
        assert_eq!(count(folder.path()), 1);
    }

    #[test]
    fn rows_of_somebody_else_are_noticed() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("rows.jsonl");
        for is_last in [false, true] {
            let (mut output, _) = open(&target, &json!({})).unwrap();
            output.row(r#"{"id":"a"}"#).unwrap();
            append(&partial_path(&target), b"{\"id\":\"theirs\"}\n");
            let result = if is_last { output.finish() } else { output.row(r#"{"id":"b"}"#) };
            let error = result.unwrap_err();
            assert!(error.to_string().contains("was written by another process too"), "{error}");
            assert!(!target.exists());
            std::fs::remove_file(partial_path(&target)).unwrap();
        }
    }

    #[test]
    fn a_file_of_something_else_is_left_alone() {
        let folder = tempfile::tempdir().unwrap();
        let target = folder.path().join("rows.jsonl");
        let mine = b"{\"id\":\"a\"}\nmy notes\n{\"id\":\"b\"}\n";
        std::fs::write(partial_path(&target), mine).unwrap();
        let error = open(&target, &json!({})).unwrap_err();
        assert!(error.to_string().contains("line 2 is not one of its rows"), "{error}");
        assert_eq!(std::fs::read(partial_path(&target)).unwrap(), mine);
    }

    #[test]
    fn a_run_without_rows_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        drop(open(&folder.path().join("rows.jsonl"), &json!({})).unwrap());
        assert_eq!(count(folder.path()), 0);
    }
}
