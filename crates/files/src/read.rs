//! The sets of one file: what it is is found out by its beginning, then its values become rows one after another.

use std::collections::HashSet;
use std::io::{self, BufRead, Cursor, Read};

use conclave_core::reference::Reference;
use conclave_core::sample_set::{LineError, SampleSet};
use serde_json::Value;

use crate::elements::{Element, Elements};
use crate::fields;
use crate::known::refusal;
use crate::layout::Layout;
use crate::options::Options;
use crate::prefix::{first, read_ahead};
use crate::row::{Context, Note, Notes, Row, Used, cleared, hash, with_texts};
use crate::shape::{Shape, beginning, layout};
use crate::shard::{ShardLines, Share};
use crate::{batch, chat, evalscope, inspect, lm_eval, presets, problems, promptfoo, table};

/// Names of a reference that a set of ours may have instead of its own.
const OTHER_REFERENCES: &[&str] = &[
    "answer",
    "gold_answer",
    "gold",
    "expected_answer",
    "correct_answer",
    "ground_truth",
    "gt",
    "target",
    "expected",
    "final_answer",
    "reference",
];

/// Ids that are remembered to notice one that comes again; more would be memory without a bound.
const MOST_IDS: usize = 2_000_000;

/// Reads the rows of a file.
pub struct SetReader<'a> {
    elements: Box<dyn Iterator<Item = Element> + 'a>,
    layout: Layout,
    /// What it is in, where that is worth a word.
    place: Option<&'static str>,
    context: Context<'a>,
    record: u64,
    line: u64,
    /// Whether only sets of the shard are given.
    is_sharded: bool,
}

impl<'a> SetReader<'a> {
    /// Finds out what the unpacked bytes of `reader` are, whose file has this name. The inner error is why they cannot be read.
    ///
    /// # Errors
    /// Of the reader.
    pub fn open(
        mut reader: Box<dyn BufRead + 'a>,
        name: &str,
        options: &'a Options,
    ) -> io::Result<Result<Self, String>> {
        let bytes = read_ahead(&mut *reader, is_ours)?;
        if let Some(reason) = refusal(&bytes, name) {
            return Ok(Err(reason));
        }
        let chosen = &options.fields;
        let has = |value: &Value, field: &Option<String>| {
            field.as_ref().is_some_and(|field| value.get(field).is_some())
        };
        let is_row = |value: &Value| {
            Layout::of(value, options.problems_only).is_some()
                || has(value, &chosen.candidates)
                || has(value, &chosen.problem)
        };
        // Who says that it is a table is believed.
        let is_table = options.from.is_some_and(|layout| layout.name() == "table");
        let beginning = beginning(&bytes, if is_table { ".csv" } else { name }, &is_row);
        let found = layout(&beginning, options.problems_only);
        let general = if beginning.table.is_some() { "table" } else { "lists" };
        let is_general = beginning.table.is_some() || !chosen.is_empty();
        let layout = match options.from {
            Some(layout) => layout,
            None if is_general => presets::general(general).map_or(Layout::Sets, Layout::Fields),
            None => found.unwrap_or(Layout::Sets),
        };
        if layout == Layout::BatchInput && !options.problems_only {
            return Ok(Err("these are requests of a batch, not answers: give the batch's output, and this file as --problems".to_owned()));
        }
        let is_inside = matches!(beginning.shape, Shape::Inside(_));
        if is_inside
            && found.is_none()
            && options.from.is_none()
            && chosen.is_empty()
            && !beginning.values.is_empty()
        {
            return Ok(Err(unknown(&beginning.values[0].1)));
        }
        let reader: Box<dyn BufRead + 'a> = Box::new(Cursor::new(bytes).chain(reader));
        let place = match (&beginning.shape, beginning.table) {
            (_, Some(_)) => None,
            (Shape::Inside(container), _) if container.is_members => Some("an object"),
            // A log's own array needs no word.
            (Shape::Inside(container), _) if !container.path.is_empty() && layout != Layout::Sets => None,
            (Shape::Inside(_), _) => Some("an array"),
            (Shape::Values, _) => Some("objects over several lines"),
            (Shape::Lines, _) => None,
        };
        // Where a line is a set, those of other shards need not be looked at.
        let is_line = layout == Layout::Sets && matches!(beginning.shape, Shape::Lines);
        let share = options.share.as_ref().filter(|_| is_line && beginning.table.is_none());
        let elements: Box<dyn Iterator<Item = Element> + 'a> = match (beginning.table, share) {
            (Some(delimiter), _) => Box::new(table::Rows::new(reader, delimiter)),
            (None, Some(share)) => {
                Box::new(Elements::new(ShardLines::new(reader, share.clone()), &beginning.shape))
            }
            (None, None) => Box::new(Elements::new(reader, &beginning.shape)),
        };
        let context = Context::new(options);
        Ok(Ok(Self { elements, layout, place, context, record: 0, line: 0, is_sharded: share.is_some() }))
    }

    /// Reads values that come from elsewhere, such as the files of an archive.
    pub fn of_elements(
        elements: Box<dyn Iterator<Item = Element> + 'a>,
        layout: Layout,
        place: &'static str,
        options: &'a Options,
    ) -> Self {
        let context = Context::new(options);
        Self { elements, layout, place: Some(place), context, record: 0, line: 0, is_sharded: false }
    }

    /// Whether only sets of the shard are given; else it is for the caller to leave out the others.
    pub fn is_sharded(&self) -> bool {
        self.is_sharded
    }

    /// The layout.
    pub fn layout(&self) -> Layout {
        self.layout
    }

    /// What the file is in, where that is worth a word.
    pub fn place(&self) -> Option<&'static str> {
        self.place
    }

    /// The line of the last row.
    pub fn line(&self) -> u64 {
        self.line
    }

    /// Which fields the parts of the sets came from so far.
    pub fn used(&self) -> &Used {
        &self.context.used
    }

    /// What was noticed.
    pub fn take_notes(&mut self) -> Notes {
        std::mem::take(&mut self.context.notes)
    }

    fn row(&mut self, value: Value, name: Option<String>) -> Result<Row, String> {
        let context = &mut self.context;
        match (self.layout, value) {
            (Layout::Sets, value) => sets(value, context),
            (Layout::Transcripts, Value::String(text)) => chat::transcript(&text, context),
            (_, Value::Array(list)) if crate::text::is_messages(&list) => chat::messages(list, context),
            (Layout::Transcripts, _) => Err("expected a text with a conversation".to_owned()),
            (layout, Value::Object(object)) => match layout {
                Layout::LmEval => lm_eval::row(object, context),
                Layout::OpenAiBatch => batch::openai(object, context),
                Layout::AnthropicBatch => batch::anthropic(object, context),
                Layout::BatchInput if context.is_problems() => Ok(Row::Set(problems::request(object))),
                Layout::BatchInput => Err(batch::input(&object)),
                Layout::Completions | Layout::Responses => chat::completion(object, context),
                Layout::ModelAnswer => chat::model_answer(object, context),
                Layout::Inspect => inspect::row(object, context),
                Layout::EvalScope => evalscope::row(object, context),
                Layout::Promptfoo => promptfoo::row(object, context),
                Layout::Messages => match presets::general("rows") {
                    Some(preset) => fields::row(object, preset, name, context),
                    None => Err("expected a conversation".to_owned()),
                },
                Layout::Fields(preset) => fields::row(object, preset, name, context),
                Layout::Sets | Layout::Transcripts => Err("expected a sample set".to_owned()),
            },
            (_, other) => Err(format!("expected an object, found {}", kind(&other))),
        }
    }
}

impl Iterator for SetReader<'_> {
    type Item = Result<Row, LineError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let Element { line, name, value } = self.elements.next()?;
            self.record += 1;
            self.line = line;
            let row = value.and_then(|value| self.row(value, name));
            return Some(match row {
                Ok(Row::Nothing) => continue,
                Ok(Row::Set(mut set)) if self.layout != Layout::Sets => {
                    if set.id.is_empty() {
                        set.id = self.record.to_string();
                    }
                    Ok(Row::Set(cleared(set)))
                }
                Ok(Row::Part(key, set)) => Ok(Row::Part(key, cleared(set))),
                Ok(row) => Ok(row),
                Err(reason) => Err(LineError { line, reason }),
            });
        }
    }
}

/// Whether the first line of a file is whole and a set of ours.
fn is_ours(bytes: &[u8]) -> bool {
    let line = bytes.split(|&byte| byte == b'\n').map(<[u8]>::trim_ascii).find(|line| !line.is_empty());
    let value =
        line.and_then(|line| first(line).filter(|first| first.is_whole && first.length == line.len()));
    value.is_some_and(|first| Layout::of(&first.value, false) == Some(Layout::Sets))
}

/// The values of a file of which each is a row of its own, wherever they stand; `is_row` says whether a value is one.
/// With a `share`, only those of its shard. The inner
/// error is why they cannot be read.
///
/// # Errors
/// Of the reader.
pub fn values<'a>(
    mut reader: Box<dyn BufRead + 'a>,
    name: &str,
    is_row: &dyn Fn(&Value) -> bool,
    share: Option<&Share>,
) -> io::Result<Result<Box<dyn Iterator<Item = Element> + 'a>, String>> {
    let is_enough = |bytes: &[u8]| first(bytes).is_some_and(|first| first.is_whole && is_row(&first.value));
    let bytes = read_ahead(&mut *reader, is_enough)?;
    if let Some(reason) = refusal(&bytes, name) {
        return Ok(Err(reason));
    }
    let beginning = beginning(&bytes, name, is_row);
    let reader: Box<dyn BufRead + 'a> = Box::new(Cursor::new(bytes).chain(reader));
    let share = share.cloned();
    Ok(Ok(match (beginning.table, share, &beginning.shape) {
        (Some(delimiter), None, _) => Box::new(table::Rows::new(reader, delimiter)),
        (Some(delimiter), Some(share), _) => {
            Box::new(table::Rows::new(reader, delimiter).filter(move |_| share.takes_next()))
        }
        (None, None, shape) => Box::new(Elements::new(reader, shape)),
        (None, Some(share), Shape::Lines) => {
            Box::new(Elements::new(ShardLines::new(reader, share), &Shape::Lines))
        }
        (None, Some(share), shape) => {
            Box::new(Elements::new(reader, shape).filter(move |_| share.takes_next()))
        }
    }))
}

/// A set of ours, or a result.
fn sets(mut value: Value, context: &mut Context<'_>) -> Result<Row, String> {
    let mut is_graded = true;
    if let Some(object) = value.as_object_mut() {
        if object.contains_key("clusters") && !object.contains_key("candidates") {
            return Ok(Row::Result(value));
        }
        is_graded = object.contains_key("reference_answer");
        if context.is_problems() {
            object.entry("candidates").or_insert_with(|| Value::Array(Vec::new()));
        }
        if let Some(Value::Array(candidates)) = object.get_mut("candidates") {
            with_texts(candidates);
        }
    }
    let mut set = SampleSet::try_from(value)?;
    if !is_graded && !["clusters", "readings"].iter().any(|name| set.extra.contains_key(*name)) {
        let other = OTHER_REFERENCES
            .iter()
            .find_map(|name| Some((*name, Reference::read(set.extra.get(*name)?.clone()).ok()??)));
        if let Some((name, reference)) = other {
            context.notes.add(Note::Renamed, || name.to_owned());
            set.reference_answer = Some(reference);
        }
    }
    Ok(Row::Set(set))
}

/// Why an array is not read, in one message.
fn unknown(first: &Value) -> String {
    match first.as_object() {
        Some(object) => {
            let fields: Vec<String> = object.keys().take(8).map(|name| format!("`{name}`")).collect();
            format!(
                "an array of objects without candidates that are known; they have {}: name them, as in --field problem=NAME,candidates=NAME",
                fields.join(", ")
            )
        }
        None => format!(
            "an array of which the first element is {}; expected objects with a problem and candidates",
            kind(first)
        ),
    }
}

fn kind(value: &Value) -> &'static str {
    match value {
        Value::Null => "null",
        Value::Bool(_) => "true or false",
        Value::Number(_) => "a number",
        Value::String(_) => "a text",
        Value::Array(_) => "an array",
        Value::Object(_) => "an object",
    }
}

/// Sets counted, for the line that says what was read.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Sets.
    pub sets: u64,
    /// Candidates of all.
    pub candidates: u64,
    /// Candidates of the set with the fewest, and with the most.
    pub range: Option<(u64, u64)>,
    /// Sets with a reference.
    pub graded: u64,
    ids: HashSet<u64>,
}

impl Counts {
    /// Counts one more, and notices an id that was there before, and a problem that is not.
    pub fn add(&mut self, set: &SampleSet, is_ours: bool, notes: &mut Notes) {
        let candidates = set.candidates.len() as u64;
        self.sets += 1;
        self.candidates += candidates;
        self.graded += u64::from(set.reference_answer.is_some());
        let (low, high) = self.range.unwrap_or((candidates, candidates));
        self.range = Some((low.min(candidates), high.max(candidates)));
        let id = hash(&[&set.id]);
        if self.ids.contains(&id) {
            notes.add(Note::SameId, || set.id.clone());
        } else if self.ids.len() < MOST_IDS {
            self.ids.insert(id);
        }
        if set.problem.is_empty() && !is_ours {
            notes.add(Note::NoProblem, || set.id.clone());
        }
    }

    /// What was read, as one phrase: `lm-eval samples, 1,319 problems, 4 candidates each; problem from doc.question`.
    pub fn phrase(&self, layout: Layout, place: Option<&str>, used: &Used) -> String {
        let mut text = layout.title().to_owned();
        if let Some(place) = place {
            text += &format!(" in {place}");
        }
        text += &format!(", {}", counted(self.sets, "problem"));
        match self.range {
            Some((_, 0)) | None => {}
            Some((low, high)) if low == high => text += &format!(", {} each", counted(high, "candidate")),
            Some((low, high)) => text += &format!(", {} to {}", grouped(low), counted(high, "candidate")),
        }
        let from =
            |what: &str, field: &Option<String>| field.as_ref().map(|field| format!("{what} from {field}"));
        let parts = [
            from("problem", &used.problem),
            from("reference", &used.reference),
            from("candidates", &used.candidates),
        ];
        let parts: Vec<String> = parts.into_iter().flatten().collect();
        if !parts.is_empty() {
            text += &format!("; {}", parts.join(", "));
        }
        text
    }
}

fn counted(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", grouped(number), if number == 1 { "" } else { "s" })
}

/// A number with a comma before each three digits.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}
