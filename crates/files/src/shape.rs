//! How the values of a file are laid out: one a line, in an array wherever it stands, as the members of an object, as rows of a
//! table. What the values mean is [`crate::layout`]'s business.

use serde_json::{Map, Value};

use crate::layout::Layout;
use crate::prefix::{First, first};
use crate::table::Delimiter;

/// Where the values stand.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    /// One a line.
    Lines,
    /// One after another, each over several lines; arrays of the top count as their elements.
    Values,
    /// In an array or an object.
    Inside(Container),
}

/// An array of values, or an object of which each member is one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Container {
    /// The keys that lead to it from the top.
    pub path: Vec<String>,
    /// Whether it is an object.
    pub is_members: bool,
}

impl Container {
    /// What it begins with.
    pub fn opening(&self) -> u8 {
        if self.is_members { b'{' } else { b'[' }
    }

    fn array(path: &[&str]) -> Self {
        Self { path: path.iter().map(|name| (*name).to_owned()).collect(), is_members: false }
    }
}

/// Values at the beginning of a file that are looked at to find out what they mean.
const MOST_LOOKED_AT: usize = 32;

/// Arrays of rows have these names in the logs of many tools.
const ARRAYS: &[&[&str]] = &[
    &["results", "results"],
    &["results", "outputs"],
    &["results"],
    &["samples"],
    &["data"],
    &["rows"],
    &["records"],
    &["items"],
    &["examples"],
    &["instances"],
    &["predictions"],
    &["outputs"],
    &["responses"],
    &["generations"],
    &["details"],
    &["questions"],
    &["problems"],
    &["sets"],
];

/// Values, with the keys that they stand under in an object of objects.
pub type Values = Vec<(Option<String>, Value)>;

/// What a beginning says: where the values stand, and the first of them.
pub struct Beginning {
    /// Where they stand.
    pub shape: Shape,
    /// The first, as far as they are there.
    pub values: Values,
    /// How the cells of a table are parted, where this is one.
    pub table: Option<Delimiter>,
}

/// Finds out where the values of a file stand by its first bytes. `is_row` says whether a value is one that is read.
pub fn beginning(bytes: &[u8], name: &str, is_row: &dyn Fn(&Value) -> bool) -> Beginning {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    if let Some(delimiter) = Delimiter::of(bytes, name) {
        return Beginning { shape: Shape::Lines, values: Vec::new(), table: Some(delimiter) };
    }
    let lines = || Beginning { shape: Shape::Lines, values: line_values(bytes), table: None };
    let text = bytes.trim_ascii_start();
    match text.first() {
        Some(b'[') => {
            let top = Container::array(&[]);
            match first(text) {
                Some(First { value: Value::Array(values), length, is_whole }) => {
                    // Lines of which each is a conversation.
                    let is_conversation = values.first().is_some_and(|first| first.get("role").is_some());
                    if is_whole && is_conversation && !text[..length].contains(&b'\n') {
                        return lines();
                    }
                    let values = values.into_iter().take(MOST_LOOKED_AT).map(|value| (None, value));
                    Beginning { shape: Shape::Inside(top), values: values.collect(), table: None }
                }
                _ => Beginning { shape: Shape::Inside(top), values: Vec::new(), table: None },
            }
        }
        Some(b'{') => {
            let Some(root) = first(text) else { return lines() };
            if is_broken_line(text, &root) {
                return lines();
            }
            let inside = root.value.as_object().and_then(|object| container(object, is_row));
            let is_one_line = root.is_whole && !text[..root.length].trim_ascii_start().contains(&b'\n');
            match inside {
                Some((container, values)) => {
                    Beginning { shape: Shape::Inside(container), values, table: None }
                }
                None if is_one_line => lines(),
                None if root.is_whole => {
                    Beginning { shape: Shape::Values, values: values(text), table: None }
                }
                // Cut off: a line longer than what is looked at, or a value over more lines than that.
                None => {
                    let shape = if text.contains(&b'\n') { Shape::Values } else { Shape::Lines };
                    Beginning { shape, values: vec![(None, root.value)], table: None }
                }
            }
        }
        _ => lines(),
    }
}

/// Whether a first line that does not end is one that was cut off, as whole objects stand on the line below.
fn is_broken_line(text: &[u8], root: &First) -> bool {
    let Some(end) = text.iter().position(|&byte| byte == b'\n') else { return false };
    if root.is_whole && root.length <= end {
        return false;
    }
    let next = text[end..].trim_ascii_start();
    let line = next.split(|&byte| byte == b'\n').next().unwrap_or_default().trim_ascii();
    // A member of a pretty object begins with its key, so an object below is no part of it, save in an array.
    let in_array = text[..end].trim_ascii_end().ends_with(b"[");
    line.starts_with(b"{")
        && !in_array
        && first(line).is_some_and(|first| first.is_whole && first.length == line.len())
}

/// The container of an object that is no row itself, and its first values.
fn container(object: &Map<String, Value>, is_row: &dyn Fn(&Value) -> bool) -> Option<(Container, Values)> {
    let is_log = ["eval", "evalId", "stats"].iter().any(|key| object.contains_key(*key));
    let whole = Value::Object(object.clone());
    if !is_log && is_row(&whole) {
        return None;
    }
    for path in ARRAYS {
        let mut at = Some(&whole);
        for name in *path {
            at = at.and_then(|value| value.as_object()?.get(*name));
        }
        let rows = at.and_then(Value::as_array).filter(|rows| rows.iter().any(is_row));
        if let Some(rows) = rows {
            let values = rows.iter().take(MOST_LOOKED_AT).map(|value| (None, value.clone()));
            return Some((Container::array(path), values.collect()));
        }
    }
    // Rows by their question or their number.
    let mut members = object.iter().filter(|(_, value)| value.is_object() || value.is_array()).peekable();
    let is_mostly = object.values().filter(|value| is_row(value)).count() * 2 > object.len();
    if is_mostly && members.peek().is_some() {
        let values =
            object.iter().take(MOST_LOOKED_AT).map(|(name, value)| (Some(name.clone()), value.clone()));
        return Some((Container { path: Vec::new(), is_members: true }, values.collect()));
    }
    None
}

fn line_values(bytes: &[u8]) -> Values {
    let separator = if bytes.contains(&b'\n') { b'\n' } else { b'\r' };
    let lines =
        bytes.split(|&byte| byte == separator).map(<[u8]>::trim_ascii).filter(|line| !line.is_empty());
    lines.take(MOST_LOOKED_AT).filter_map(|line| Some((None, first(line)?.value))).collect()
}

fn values(text: &[u8]) -> Values {
    let (mut at, mut found) = (0, Vec::new());
    while found.len() < MOST_LOOKED_AT {
        let Some(next) = text.get(at..).and_then(first) else { break };
        at += next.length;
        found.push((None, next.value));
    }
    found
}

/// The layout that the first values of a file are of: that of the first of them that is of any.
pub fn layout(beginning: &Beginning, is_problems: bool) -> Option<Layout> {
    beginning.values.iter().find_map(|(_, value)| Layout::of(value, is_problems))
}
