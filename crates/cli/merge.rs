//! `conclave merge`: the outputs of shards become one file, in the order of the input. Nothing is written where a row stands twice
//! or one is missing.

use std::io::BufRead;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use conclave_core::json_lines::parse_json;
use conclave_disk::{Inputs, stop};
use conclave_files::Options;
use serde::Deserialize;
use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::arguments::MergeArguments;
use crate::input::{Opened, Source, Tally};
use crate::messages::{count, say, visible, visible_clipped};
use crate::output::Output;
use crate::progress::Reporter;
use crate::sets::{Item, read_items};
use crate::shard::Record;
use crate::{Outcome, UsageError};

/// Ids that a message names, and characters of one.
const MOST_NAMED: usize = 10;
const SHOWN: usize = 48;

/// Runs the command.
pub fn run(arguments: &MergeArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.files)?;
    if sources.iter().any(Source::is_standard_input) {
        bail!(UsageError("`-`: the files of shards are needed by their names".to_owned()));
    }
    let expected = Source::resolve(&arguments.of)?;
    let mut reporter = Reporter::new(&arguments.progress, "merge", None);
    let mut shards = shards(arguments, &sources)?;
    stop::listen()?;
    let inputs = Inputs::of(&arguments.files)
        .and(&arguments.of)
        .and(shards.iter().map(|shard| Record::path(&shard.path)));
    let mut output = Output::open(Some(&arguments.out), &inputs)?;
    let is_interleaved = is_interleaved(&shards);
    let mut ids = Ids::default();
    if is_interleaved {
        interleave(&mut shards, &mut output, &mut ids, &mut reporter)?;
    } else {
        for shard in &mut shards {
            while let Some(row) = shard.next_row()? {
                ids.add(&row);
                output.line(&row.line)?;
                reporter.add();
                if stop::is_requested() {
                    break;
                }
            }
        }
    }
    if stop::is_requested() {
        return Ok(reporter.end(output.keep(None)?));
    }
    check_rows(&shards)?;
    ids.check_once(&sources)?;
    if !expected.is_empty() {
        ids.check_all(&expected)?;
        if stop::is_requested() {
            return Ok(reporter.end(output.keep(None)?));
        }
    }
    output.finish()?;
    let rows: u64 = shards.iter().map(|shard| shard.rows).sum();
    let order = if is_interleaved { "in the order of the input" } else { "one file after another" };
    say(&format!("{} of {}, {order}", count(rows, "row"), count(shards.len() as u64, "file")));
    // A shard that could not be read to its end is whole as a file, and still lacks what it could not read.
    let unreadable: u64 =
        shards.iter().filter_map(|shard| shard.record.as_ref()).map(|record| record.unreadable).sum();
    if unreadable > 0 {
        say(&format!(
            "{} of the input could not be read when the shards were made",
            count(unreadable, "line")
        ));
        return Ok(reporter.end(Outcome::Incomplete));
    }
    Ok(reporter.end(Outcome::Done))
}

/// A file that is merged.
struct ShardFile {
    path: PathBuf,
    name: String,
    record: Option<Record>,
    /// From 0, where the record says it.
    number: u64,
    opened: Opened,
    rows: u64,
    /// A row that was read too far.
    waiting: Option<Row>,
}

/// A line with what tells it from the others.
struct Row {
    line: String,
    key: Option<Key>,
}

/// What tells a row from the others.
#[derive(Debug, Deserialize, PartialEq)]
struct Key {
    id: Option<Value>,
    permutation: Option<Value>,
    round: Option<Value>,
}

/// The files in the order of their shards, with their records, which must be of one run.
fn shards(arguments: &MergeArguments, sources: &[Source]) -> Result<Vec<ShardFile>> {
    let mut shards = Vec::new();
    for (path, source) in arguments.files.iter().zip(sources) {
        let record = Record::beside(path)?;
        let opened = source.open()?;
        let number = match record.as_ref().map(Record::shard) {
            Some(Ok(shard)) => shard.number - 1,
            _ => 0,
        };
        let (path, name) = (path.clone(), source.name());
        shards.push(ShardFile { path, name, record, number, opened, rows: 0, waiting: None });
    }
    if let Some(without) = shards.iter().find(|shard| shard.record.is_none()) {
        if arguments.of.is_empty() {
            let (name, record) = (&without.name, Record::path(&without.path));
            bail!(UsageError(format!(
                "whether something is missing cannot be told: `{name}` has no `{}` beside it; name the sets that went in with --of",
                record.display()
            )));
        }
        return Ok(shards);
    }
    check_records(&shards)?;
    shards.sort_by_key(|shard| shard.number);
    Ok(shards)
}

/// The records must be of all shards of one run, each once.
fn check_records(shards: &[ShardFile]) -> Result<()> {
    let records = || shards.iter().filter_map(|shard| Some((shard, shard.record.as_ref()?)));
    let Some((first, record)) = records().next() else { return Ok(()) };
    let of = record.shard().map_or(0, |shard| shard.of);
    for (shard, other) in records() {
        let is_same = other.shard().is_ok_and(|shard| shard.of == of);
        let counts = || Some(format!("shards: {}, now {}", record.shard, other.shard));
        let difference = if is_same { other.other_work(record) } else { counts() };
        if let Some(difference) = difference {
            bail!(
                "`{}` and `{}` are not of one run ({}): merge the shards of one command",
                first.name,
                shard.name,
                visible_clipped(&difference, 400)
            );
        }
    }
    let mut numbers: Vec<(u64, &str)> =
        shards.iter().map(|shard| (shard.number, shard.name.as_str())).collect();
    numbers.sort_unstable();
    if let Some(pair) = numbers.windows(2).find(|pair| pair[0].0 == pair[1].0) {
        let ((number, first), (_, second)) = (pair[0], pair[1]);
        bail!("shard {}/{of} stands twice: `{first}` and `{second}`", number + 1);
    }
    let missing = of - numbers.len() as u64;
    if missing > 0 {
        let is_missing = |number: &u64| numbers.binary_search_by_key(number, |(number, _)| *number).is_err();
        let named = (0..of).filter(is_missing).take(MOST_NAMED).map(|number| format!("{}/{of}", number + 1));
        let named: Vec<String> = named.collect();
        let more = missing - named.len() as u64;
        let more = if more > 0 { format!(" and {more} more") } else { String::new() };
        bail!(
            "{} missing: {}{more}; run them, or give their files too",
            count(missing, "shard"),
            named.join(", ")
        );
    }
    Ok(())
}

impl ShardFile {
    /// The next row.
    fn next_row(&mut self) -> Result<Option<Row>> {
        if let Some(row) = self.waiting.take() {
            return Ok(Some(row));
        }
        loop {
            let mut bytes = Vec::new();
            let read = self.opened.reader.read_until(b'\n', &mut bytes);
            let read = read.with_context(|| format!("cannot read `{}`", self.name))?;
            if let Some(error) = self.opened.failure.take() {
                return Err(error).with_context(|| format!("cannot read `{}` to its end", self.name));
            }
            if read == 0 {
                return Ok(None);
            }
            let place = format!("{}:{}", self.name, self.rows + 1);
            if !bytes.ends_with(b"\n") {
                bail!("{place}: the line has no end: is the file cut off?");
            }
            bytes.pop();
            let line = String::from_utf8(bytes).with_context(|| format!("{place}: not UTF-8"))?;
            if line.trim().is_empty() {
                continue;
            }
            let key: Key = parse_json(&line).map_err(|error| {
                anyhow::anyhow!("{place}: {}: expected a row of an output", visible(&error.to_string()))
            })?;
            self.rows += 1;
            let key = key.id.is_some().then_some(key);
            if key.is_none() && self.record.is_none() {
                bail!(
                    "{place}: no `id`: whether a row stands twice cannot be told; make the files with --shard"
                );
            }
            return Ok(Some(Row { line, key }));
        }
    }

    /// The rows of the next set: those with one id.
    fn next_set(&mut self) -> Result<Vec<Row>> {
        let Some(first) = self.next_row()? else { return Ok(Vec::new()) };
        let mut rows = vec![first];
        while let Some(row) = self.next_row()? {
            let id = |row: &Row| row.key.as_ref().and_then(|key| key.id.clone());
            if id(&row).is_none() || id(&row) != id(&rows[0]) {
                self.waiting = Some(row);
                break;
            }
            rows.push(row);
        }
        Ok(rows)
    }
}

/// Whether the rows of the shards can be put in the order of the input: every line of it became a row, or the same number of
/// rows.
fn is_interleaved(shards: &[ShardFile]) -> bool {
    let is_even = |shard: &ShardFile| {
        shard.record.as_ref().is_some_and(|record| {
            record.unreadable == 0 && (record.taken == 0 || record.rows.is_multiple_of(record.taken))
        })
    };
    shards.iter().all(is_even)
}

/// One set of each shard in turn.
fn interleave(
    shards: &mut [ShardFile],
    output: &mut Output,
    ids: &mut Ids,
    reporter: &mut Reporter,
) -> Result<()> {
    loop {
        let mut is_end = true;
        for shard in shards.iter_mut() {
            for row in shard.next_set()? {
                is_end = false;
                ids.add(&row);
                output.line(&row.line)?;
                reporter.add();
            }
        }
        if is_end || stop::is_requested() {
            return Ok(());
        }
    }
}

/// Each file must have the rows that it had when it was written.
fn check_rows(shards: &[ShardFile]) -> Result<()> {
    for shard in shards {
        if let Some(record) = shard.record.as_ref().filter(|record| record.rows != shard.rows) {
            bail!(
                "`{}` has {}, and {} when it was written: make it anew",
                shard.name,
                count(shard.rows, "row"),
                record.rows
            );
        }
    }
    Ok(())
}

/// The rows by a hash of what tells them apart, 16 bytes each, and their sets.
#[derive(Default)]
struct Ids {
    rows: Vec<u128>,
    /// With the number of rows, since most sets have one.
    sets: Vec<u128>,
}

impl Ids {
    fn add(&mut self, row: &Row) {
        let Some(key) = &row.key else { return };
        self.rows.push(hash_of(key));
        self.sets.push(hash_of_id(key.id.as_ref()));
    }

    /// No row may stand twice.
    fn check_once(&mut self, sources: &[Source]) -> Result<()> {
        self.rows.sort_unstable();
        let mut twice: Vec<u128> =
            self.rows.windows(2).filter(|pair| pair[0] == pair[1]).map(|pair| pair[0]).collect();
        twice.dedup();
        if twice.is_empty() {
            return Ok(());
        }
        // Only now is it worth to look for their places: of the first of them, in the order of the files.
        let mut named: Vec<(u128, String, Vec<String>)> = Vec::new();
        for source in sources {
            let mut reader = source.open()?.reader;
            let mut line = Vec::new();
            for number in 1.. {
                line.clear();
                if reader.read_until(b'\n', &mut line)? == 0 {
                    break;
                }
                let Ok(key) = serde_json::from_slice::<Key>(&line) else { continue };
                let hash = hash_of(&key);
                let place = format!("{}:{number}", source.name());
                let known = named.iter().position(|(other, _, _)| *other == hash);
                match known {
                    Some(at) => named[at].2.push(place),
                    None if named.len() < MOST_NAMED && twice.binary_search(&hash).is_ok() => {
                        named.push((hash, id_of(&key), vec![place]));
                    }
                    None => {}
                }
            }
        }
        for (_, id, places) in &named {
            let shown = places.iter().take(MOST_NAMED).map(String::as_str).collect::<Vec<_>>().join(", ");
            say(&format!("`{id}` stands {} times: {shown}", places.len()));
        }
        bail!(
            "{} more than once: nothing is written; give the output of each shard once",
            count(twice.len() as u64, "row") + if twice.len() == 1 { " stands" } else { " stand" }
        )
    }

    /// Each set that went in must have a row, and no row may be of another.
    fn check_all(&mut self, expected: &[Source]) -> Result<()> {
        self.sets.sort_unstable();
        self.sets.dedup();
        let mut seen = vec![false; self.sets.len()];
        let (mut missing, mut named) = (0_u64, Vec::new());
        let mut tally = Tally::default();
        let options = Options { problems_only: true, ..Options::default() };
        read_items(expected, &options, &mut tally, |_, item| {
            let Item::Set(set) = item else {
                return Ok(Err("a result: expected a sample set".to_owned()));
            };
            match self.sets.binary_search(&hash_of_id(Some(&Value::String(set.id.clone())))) {
                Ok(at) => seen[at] = true,
                Err(_) => {
                    missing += 1;
                    if named.len() < MOST_NAMED {
                        named.push(format!("`{}`", visible_clipped(&set.id, SHOWN)));
                    }
                }
            }
            Ok(Ok(()))
        })?;
        if stop::is_requested() {
            return Ok(());
        }
        if tally.unreadable() > 0 {
            bail!("the sets of --of could not all be read: whether something is missing cannot be told");
        }
        let strange = seen.iter().filter(|seen| !**seen).count();
        if missing > 0 {
            let more = missing - named.len() as u64;
            let more = if more > 0 { format!(" and {more} more") } else { String::new() };
            bail!("{} without a row: {}{more}; nothing is written", count(missing, "set"), named.join(", "));
        }
        if strange > 0 {
            bail!(
                "{} of sets that are not in those of --of: nothing is written",
                count(strange as u64, "row") + if strange == 1 { " is" } else { " are" }
            );
        }
        Ok(())
    }
}

/// An id as text: numbers are taken for what they look like, as the reader of sets takes them.
fn id_of(key: &Key) -> String {
    match &key.id {
        Some(Value::String(id)) => visible_clipped(id, SHOWN),
        Some(other) => visible_clipped(&other.to_string(), SHOWN),
        None => String::new(),
    }
}

fn hash_of_id(id: Option<&Value>) -> u128 {
    match id {
        Some(Value::String(id)) => hash(id.as_bytes()),
        Some(other) => hash(other.to_string().as_bytes()),
        None => hash(b""),
    }
}

fn hash_of(key: &Key) -> u128 {
    let parts = [&key.id, &key.permutation, &key.round];
    // Of one width, so that nothing of the id is taken for the rest.
    hash(&parts.map(|part| hash_of_id(part.as_ref()).to_le_bytes()).concat())
}

fn hash(bytes: &[u8]) -> u128 {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold(0, |hash, byte| (hash << 8) | u128::from(*byte))
}
