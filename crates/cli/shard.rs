//! One shard of an input and the file that it becomes: `--shard I/N`. Beside the complete `FILE` stands `FILE.shard.json`, which
//! says of which shard of which input it is, so that a second run leaves it alone and `conclave merge` can tell what is missing.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use conclave_disk::{Inputs, resolve_link, write_whole};
use conclave_files::{Shard, Share};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::Outcome;
use crate::messages::{count, say, visible};
use crate::progress::{ProgressArguments, Reporter};

/// The flags of every command that does a shard of an input.
#[derive(Args, Clone, Debug, Default)]
pub struct ShardArguments {
    /// Do shard I of N only: of the lines (or sets, where a line is none) every Nth, beginning with the Ith; with --out, FILE is
    /// left alone where it is complete
    #[arg(long, value_name = "I/N")]
    pub shard: Option<Shard>,

    /// How progress is shown.
    #[command(flatten)]
    pub progress: ProgressArguments,
}

impl ShardArguments {
    /// A reporter for `command`.
    pub fn reporter(&self, command: &'static str) -> Reporter {
        Reporter::new(&self.progress, command, self.shard)
    }
}

/// What stands beside the file of a shard.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Record {
    /// The command that made it, and its release.
    pub command: String,
    /// The release.
    pub version: String,
    /// Which shard of how many, as `I/N`.
    pub shard: String,
    /// What decides the rows.
    pub settings: Value,
    /// Bytes of each input; none for standard input.
    pub inputs: Vec<Option<u64>>,
    /// Lines or sets that were of the shard.
    pub taken: u64,
    /// Rows that became of them.
    pub rows: u64,
    /// Lines, sets or files that could not be read.
    pub unreadable: u64,
    /// Bytes of the file.
    pub bytes: u64,
    /// Whether all could be done.
    pub is_done: bool,
}

/// A shard with the file that it becomes.
#[derive(Clone, Debug)]
pub struct Part {
    /// What of the input is of the shard.
    pub share: Share,
    record: Record,
    target: Option<PathBuf>,
}

impl Part {
    /// The shard that is asked for. `settings` decide the rows, `inputs` are the files as they were named.
    pub fn new(
        arguments: &ShardArguments,
        out: Option<&Path>,
        command: &str,
        settings: Value,
        inputs: &[PathBuf],
    ) -> Option<Self> {
        let shard = arguments.shard?;
        let length =
            |path: &PathBuf| path.metadata().ok().filter(std::fs::Metadata::is_file).map(|file| file.len());
        let record = Record {
            command: command.to_owned(),
            version: env!("CARGO_PKG_VERSION").to_owned(),
            shard: shard.to_string(),
            settings,
            inputs: inputs.iter().map(length).collect(),
            taken: 0,
            rows: 0,
            unreadable: 0,
            bytes: 0,
            is_done: false,
        };
        let target = out.filter(|out| *out != Path::new("-")).map(resolve_link);
        let target = target.filter(|target| !target.exists() || target.is_file());
        Some(Self { share: Share::new(shard), record, target })
    }

    /// How the earlier run ended, where the file is complete.
    pub fn finished(&self, inputs: &Inputs) -> Result<Option<Outcome>> {
        self.target.as_ref().map_or(Ok(()), |target| inputs.refuse(target))?;
        let Some(target) = self.target.as_ref().filter(|target| target.exists()) else { return Ok(None) };
        let name = visible(&target.display().to_string());
        let remedy = "choose another --out, or remove it to make it anew";
        let Some(record) = Record::beside(target)? else {
            bail!("`{name}` is there, and nothing beside it says that it is this shard: {remedy}");
        };
        let now = Record {
            taken: record.taken,
            rows: record.rows,
            unreadable: record.unreadable,
            bytes: record.bytes,
            is_done: record.is_done,
            ..self.record.clone()
        };
        if let Some(difference) = now.difference(&record) {
            bail!("`{name}` is complete, but of something else ({}): {remedy}", visible(&difference));
        }
        say(&format!(
            "`{name}` is complete: shard {}, {}; nothing is to be done",
            record.shard,
            count(record.rows, "row")
        ));
        Ok(Some(if record.is_done { Outcome::Done } else { Outcome::Incomplete }))
    }

    /// Writes down what the file is, before it gets its name.
    pub fn record(&self, rows: u64, bytes: u64, unreadable: u64, outcome: Outcome) -> Result<()> {
        let Some(target) = &self.target else { return Ok(()) };
        let taken = self.share.taken();
        let is_done = outcome == Outcome::Done;
        let record = Record { taken, rows, bytes, unreadable, is_done, ..self.record.clone() };
        let json = serde_json::to_string_pretty(&record).context("cannot write a record as JSON")?;
        Ok(write_whole(&Record::path(target), format!("{json}\n").as_bytes())?)
    }
}

impl Record {
    /// Where the record of `file` is.
    pub fn path(file: &Path) -> PathBuf {
        let mut name = file.as_os_str().to_owned();
        name.push(".shard.json");
        PathBuf::from(name)
    }

    /// The record beside `file`, where there is one and it is of this file.
    pub fn beside(file: &Path) -> Result<Option<Self>> {
        let path = Self::path(file);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error).with_context(|| format!("cannot read `{}`", path.display())),
        };
        let record: Self = serde_json::from_str(&text)
            .with_context(|| format!("`{}` is no record of a shard: remove it", path.display()))?;
        let bytes = file.metadata().map(|metadata| metadata.len()).ok();
        if bytes != Some(record.bytes) {
            bail!(
                "`{}` has {} bytes, but {} when it was written: make it anew",
                file.display(),
                bytes.unwrap_or(0),
                record.bytes
            );
        }
        Ok(Some(record))
    }

    /// Which shard it is.
    pub fn shard(&self) -> Result<Shard, String> {
        self.shard.parse()
    }

    /// The first thing in which this and `before` are of different work, in words.
    pub fn difference(&self, before: &Self) -> Option<String> {
        let shard =
            (self.shard != before.shard).then(|| format!("shard: {}, now {}", before.shard, self.shard));
        shard.or_else(|| self.other_work(before))
    }

    /// The same, whichever shards they are.
    pub fn other_work(&self, before: &Self) -> Option<String> {
        let words = |what: &str, before: &dyn std::fmt::Display, now: &dyn std::fmt::Display| {
            Some(format!("{what}: {before}, now {now}"))
        };
        if self.command != before.command {
            return words("command", &before.command, &self.command);
        }
        if self.version != before.version {
            return words("version", &before.version, &self.version);
        }
        if self.inputs != before.inputs {
            let bytes = |record: &Self| format!("{:?}", record.inputs.iter().flatten().collect::<Vec<_>>());
            return words("bytes of the inputs", &bytes(before), &bytes(self));
        }
        let (settings, settings_before) = (shared(&self.settings), shared(&before.settings));
        if settings == settings_before {
            return None;
        }
        let null = Value::Null;
        let keys = settings.as_object().into_iter().flatten().map(|(key, _)| key);
        let changed = keys.map(|key| (key, settings_before.get(key).unwrap_or(&null), &settings[key]));
        match changed.into_iter().find(|(_, before, now)| before != now) {
            Some((key, before, now)) => words(key, before, now),
            None => Some("the settings".to_owned()),
        }
    }
}
/// Settings that all shards of a run have in common: which shard it is is none of them.
fn shared(settings: &Value) -> Value {
    let mut shared = settings.clone();
    if let Some(fields) = shared.as_object_mut() {
        fields.shift_remove("shard");
    }
    shared
}
