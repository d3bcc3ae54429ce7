//! Sample sets from files of any layout that `conclave-files` knows: files are opened, their rows joined over files where they
//! belong together, and what was read as what is said, once a file.

use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::Args;
use conclave_core::sample_set::{LineError, SampleSet};
use conclave_disk::{Inputs, stop, temporary_file};
use conclave_files::{Counts, Fields, Join, Layout, Notes, Options, Row, SetReader, Used, archive};
use serde_json::{Value, json};

use crate::UsageError;
use crate::input::{Failure, Opened, Source, Tally};
use crate::messages::{count, say, visible, visible_clipped};

/// Characters of a message that may quote the file.
const SHOWN: usize = 400;

/// The flags that say what files are which do not say it themselves.
#[derive(Args, Clone, Debug, Default)]
pub struct LayoutArguments {
    /// Layout of the files, such as lm-eval, openai-batch, inspect, lists, rows [default: found out]; docs/files.md has them all
    #[arg(long, value_name = "FORMAT", value_parser = layout_name)]
    pub from: Option<String>,

    /// Names of fields in the files, as in problem=question,reference_answer=gold,candidates=outs (and id=)
    #[arg(long, value_name = "OURS=THEIRS,...", value_parser = Fields::parse)]
    pub field: Option<Fields>,
}

/// The flags of every command that reads sample sets.
#[derive(Args, Clone, Debug, Default)]
pub struct FilesArguments {
    /// What the files are.
    #[command(flatten)]
    pub layout: LayoutArguments,

    /// Problems and references by id, for answers of APIs, which have neither
    #[arg(long = "problems", value_name = "FILE")]
    pub known_problems: Option<PathBuf>,
}

fn layout_name(name: &str) -> std::result::Result<String, String> {
    match Layout::named(name) {
        Some(_) => Ok(name.to_owned()),
        None => Err(format!("is none of {}", Layout::names().collect::<Vec<_>>().join(", "))),
    }
}

impl LayoutArguments {
    /// What they mean.
    pub fn options(&self) -> Options {
        let from = self.from.as_deref().and_then(Layout::named);
        Options { from, fields: self.field.clone().unwrap_or_default(), ..Options::default() }
    }

    /// What decides how files are read, for a run that is continued.
    pub fn settings(&self) -> Value {
        json!({"from": self.from, "field": self.field.as_ref().map(|fields| format!("{fields:?}"))})
    }
}

impl FilesArguments {
    /// As [`LayoutArguments::settings`].
    pub fn settings(&self) -> Value {
        let problems = self.known_problems.as_ref().map(|path| path.display().to_string());
        json!({"layout": self.layout.settings(), "problems": problems})
    }

    /// The files that a command with these flags reads.
    pub fn inputs(&self, files: &[PathBuf]) -> Inputs {
        Inputs::of(files).and(&self.known_problems)
    }

    /// What they mean. The file of problems is read.
    pub fn options(&self, tally: &mut Tally) -> Result<Options> {
        let mut options = self.layout.options();
        if let Some(path) = &self.known_problems {
            options.problems = Some(problems(path, tally)?);
        }
        Ok(options)
    }
}

fn problems(path: &std::path::Path, tally: &mut Tally) -> Result<HashMap<String, SampleSet>> {
    let sources = Source::resolve(&[path.to_owned()])?;
    let mut problems = HashMap::new();
    for source in &sources {
        let Opened { reader, failure } = source.open()?;
        tally.begin(source);
        let read = conclave_files::read_problems(reader, source.argument(), &mut problems);
        match read.with_context(|| format!("cannot read `{}`", source.name()))? {
            Ok(bad) => {
                problems.iter().for_each(|_| tally.good());
                bad.iter().for_each(|LineError { line, reason }| tally.bad(*line, reason));
                tally.end(&failure);
            }
            Err(reason) => bail!(UsageError(format!("--problems {}: {reason}", source.name()))),
        }
        say(&format!("{}: {} by id", source.name(), count(problems.len() as u64, "problem")));
    }
    Ok(problems)
}

/// What a file holds.
pub enum Item {
    /// A sample set.
    Set(SampleSet),
    /// A result of `vote` or `aggregate`.
    Result(Value),
}

/// Whether an item belongs where it is; if not, why.
pub type Accepted = std::result::Result<(), String>;

/// What was read as what.
pub struct Summary {
    names: Vec<String>,
    layout: Layout,
    place: Option<&'static str>,
    used: Used,
    notes: Notes,
    counts: Counts,
}

impl Summary {
    /// As an object for machines.
    pub fn json(&self) -> Value {
        json!({
            "files": self.names,
            "format": self.layout.name(),
            "sets": self.counts.sets,
            "candidates": self.counts.candidates,
            "fewest_candidates": self.counts.range.map(|range| range.0),
            "most_candidates": self.counts.range.map(|range| range.1),
            "with_reference": self.counts.graded,
            "problem_from": self.used.problem,
            "reference_from": self.used.reference,
            "candidates_from": self.used.candidates,
            "notes": self.notes.messages(),
        })
    }

    fn name(&self) -> String {
        let first = self.names.first().map(String::as_str).unwrap_or_default();
        match self.names.len().saturating_sub(1) {
            0 => first.to_owned(),
            more => format!("{first} and {}", count(more as u64, "more file")),
        }
    }

    /// Says it, save of sets of ours as they are written.
    fn say(&self) {
        let name = visible(&self.name());
        let is_ours = self.layout == Layout::Sets && self.place.is_none();
        if !is_ours && self.counts.sets > 0 {
            let phrase = self.counts.phrase(self.layout, self.place, &self.used);
            say(&format!("{name}: {}", visible_clipped(&phrase, SHOWN)));
        }
        for note in self.notes.messages() {
            say(&format!("{name}: {}", visible_clipped(&note, SHOWN)));
        }
    }
}

/// Reads the sets of all sources in order. Rows of one set are joined over files that follow one another in one layout.
pub fn read_sets(
    sources: &[Source],
    options: &Options,
    tally: &mut Tally,
    mut each: impl FnMut(SampleSet) -> Result<()>,
) -> Result<Vec<Summary>> {
    read_named_sets(sources, options, tally, |_, set| each(set))
}

/// The same, each with the name of its file as messages have it.
pub fn read_named_sets(
    sources: &[Source],
    options: &Options,
    tally: &mut Tally,
    mut each: impl FnMut(&str, SampleSet) -> Result<()>,
) -> Result<Vec<Summary>> {
    read_items(sources, options, tally, |name, item| match item {
        Item::Set(set) => each(name, set).map(Ok),
        Item::Result(_) => Ok(Err("a result, which has no candidates; expected a sample set".to_owned())),
    })
}

/// The same of sets and results. Where somebody asks to stop, it ends before all is read. `each` may refuse an item, which is then reported like a line that cannot be read.
pub fn read_items(
    sources: &[Source],
    options: &Options,
    tally: &mut Tally,
    mut each: impl FnMut(&str, Item) -> Result<Accepted>,
) -> Result<Vec<Summary>> {
    let mut summaries = Vec::new();
    let mut group: Option<Group> = None;
    for source in sources {
        let Some((mut reader, failure)) = open(source, options, tally)? else { continue };
        tally.begin(source);
        // Only rows wait for others; sets go on at once.
        if let Some(before) = group.take_if(|group| group.summary.layout != reader.layout()) {
            summaries.push(before.finish(options, &mut each, tally)?);
            tally.begin(source);
        }
        let mut current = group.take().unwrap_or_else(|| Group::new(&reader));
        current.summary.names.push(source.argument().to_owned());
        let name = source.name();
        let is_ours = reader.layout() == Layout::Sets;
        let share = options.share.as_ref().filter(|_| !reader.is_sharded());
        while let Some(row) = reader.next() {
            if stop::is_requested() {
                return Ok(summaries);
            }
            let item = match row {
                Ok(Row::Part(key, set)) => {
                    tally.good();
                    current.join.push(key, set).context("cannot write a temporary file")?;
                    continue;
                }
                Ok(Row::Set(set)) => {
                    current.summary.counts.add(&set, is_ours, &mut current.summary.notes);
                    if share.is_some_and(|share| !share.takes_next()) {
                        tally.good();
                        continue;
                    }
                    Item::Set(set)
                }
                Ok(Row::Result(value)) => Item::Result(value),
                Ok(Row::Nothing) => continue,
                Err(error) => {
                    tally.bad(error.line, &error.reason);
                    continue;
                }
            };
            match each(&name, item)? {
                Ok(()) => tally.good(),
                Err(reason) => tally.bad(reader.line(), &reason),
            }
        }
        if stop::is_requested() {
            return Ok(summaries);
        }
        current.summary.used = reader.used().clone();
        current.summary.notes.append(reader.take_notes());
        tally.end(&failure);
        if current.join.is_empty() {
            summaries.push(current.finish(options, &mut each, tally)?);
        } else {
            group = Some(current);
        }
    }
    if let Some(last) = group {
        summaries.push(last.finish(options, &mut each, tally)?);
    }
    Ok(summaries)
}

/// Files that are read together.
struct Group {
    summary: Summary,
    join: Join<'static>,
}

impl Group {
    fn new(reader: &SetReader<'_>) -> Self {
        let summary = Summary {
            names: Vec::new(),
            layout: reader.layout(),
            place: reader.place(),
            used: Used::default(),
            notes: Notes::default(),
            counts: Counts::default(),
        };
        Self { summary, join: Join::new(temporary_file) }
    }

    /// Hands on what was joined, and says what was read.
    fn finish(
        self,
        options: &Options,
        each: &mut impl FnMut(&str, Item) -> Result<Accepted>,
        tally: &mut Tally,
    ) -> Result<Summary> {
        let Self { mut summary, join } = self;
        let name = visible(&summary.name());
        for set in join.finish().context("cannot read a temporary file")? {
            if stop::is_requested() {
                break;
            }
            let mut set = set.context("cannot read a temporary file")?;
            if set.id.is_empty() {
                set.id = (summary.counts.sets + 1).to_string();
            }
            summary.counts.add(&set, false, &mut summary.notes);
            let at = summary.counts.sets;
            if options.share.as_ref().is_some_and(|share| !share.takes_next()) {
                continue;
            }
            if let Err(reason) = each(&name, Item::Set(set))? {
                tally.bad(at, &reason);
            }
        }
        summary.say();
        Ok(summary)
    }
}

/// A reader of a source; nothing where it is no file for this, which was said.
fn open<'a>(
    source: &Source,
    options: &'a Options,
    tally: &mut Tally,
) -> Result<Option<(SetReader<'a>, Failure)>> {
    let cannot = || format!("cannot read `{}`", source.name());
    if let Some(file) = source.open_beginning(b"PK\x03\x04")?
        && let Ok(Some(samples)) = archive::samples(file)
    {
        let reader = SetReader::of_elements(samples, Layout::Inspect, "an archive", options);
        return Ok(Some((reader, Failure::default())));
    }
    #[cfg(feature = "parquet")]
    if let Some(file) = source.open_beginning(b"PAR1")? {
        match conclave_files::parquet::rows(file) {
            Ok(rows) => {
                let layout = options.from.or_else(|| Layout::named("lists")).unwrap_or(Layout::Sets);
                let reader = SetReader::of_elements(rows, layout, "Parquet", options);
                return Ok(Some((reader, Failure::default())));
            }
            Err(reason) => {
                tally.refuse(source, &reason);
                return Ok(None);
            }
        }
    }
    let Opened { reader, failure } = source.open()?;
    match SetReader::open(reader, source.argument(), options).with_context(cannot)? {
        Ok(reader) => Ok(Some((reader, failure))),
        Err(reason) => {
            tally.refuse(source, &reason);
            Ok(None)
        }
    }
}
