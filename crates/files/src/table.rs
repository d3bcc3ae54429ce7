//! Tables: CSV and TSV with a header. A row is an object of its cells; what it means is the business of [`crate::fields`], save for
//! columns that are named after models.

use std::io::BufRead;

use serde_json::{Map, Value};

use crate::elements::Element;
use crate::names::{self, is_numbered};

/// What parts the cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delimiter {
    /// `,`
    Comma,
    /// `;`
    Semicolon,
    /// A tab
    Tab,
}

impl Delimiter {
    const ALL: [Self; 3] = [Self::Comma, Self::Tab, Self::Semicolon];

    fn byte(self) -> u8 {
        match self {
            Self::Comma => b',',
            Self::Semicolon => b';',
            Self::Tab => b'\t',
        }
    }

    /// The delimiter of a table that begins like this; nothing where it is none. A name that ends in `.csv` or `.tsv` says so, else a
    /// header with a usual name does.
    pub fn of(bytes: &[u8], name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        let name = [".gz", ".zst"].iter().find_map(|packed| name.strip_suffix(packed)).unwrap_or(&name);
        let text = bytes.trim_ascii_start();
        if matches!(text.first(), None | Some(b'{' | b'[')) {
            return None;
        }
        let is_named = name.ends_with(".csv") || name.ends_with(".tsv") || name.ends_with(".tab");
        let parted = |delimiter: Self| header(text, delimiter).filter(|cells| cells.len() > 1);
        let most = |left: &Self, right: &Self| {
            let cells = |delimiter: &Self| parted(*delimiter).map_or(0, |cells| cells.len());
            cells(left).cmp(&cells(right))
        };
        let best = Self::ALL.into_iter().rev().filter(|delimiter| parted(*delimiter).is_some()).max_by(most);
        if is_named {
            let by_name = if name.ends_with(".csv") { Self::Comma } else { Self::Tab };
            return Some(best.unwrap_or(by_name));
        }
        let is_usual = |cell: &String| {
            names::PROBLEM.iter().chain(names::ID).chain(names::REFERENCE).any(|name| cell == name)
        };
        best.filter(|delimiter| header(text, *delimiter).is_some_and(|cells| cells.iter().any(is_usual)))
    }
}

/// The cells of the first line, in lower case.
fn header(text: &[u8], delimiter: Delimiter) -> Option<Vec<String>> {
    let line = text.split(|byte| matches!(byte, b'\n' | b'\r')).next()?;
    let mut reader = csv::ReaderBuilder::new()
        .has_headers(false)
        .delimiter(delimiter.byte())
        .flexible(true)
        .from_reader(line);
    let record = reader.byte_records().next()?.ok()?;
    let cell = |cell: &[u8]| String::from_utf8_lossy(cell).trim().to_ascii_lowercase();
    Some(record.iter().map(cell).collect())
}

/// The rows of a table as objects.
pub struct Rows<R> {
    reader: csv::Reader<R>,
    columns: Option<Vec<Column>>,
    record: csv::ByteRecord,
    ended: bool,
}

struct Column {
    name: String,
    /// Whether the cells are what the model of that name said.
    is_model: bool,
}

impl<R: BufRead> Rows<R> {
    /// Reads from `reader`. Rows of other lengths than the header are read too.
    pub fn new(reader: R, delimiter: Delimiter) -> Self {
        let mut builder = csv::ReaderBuilder::new();
        builder.delimiter(delimiter.byte()).flexible(true).has_headers(true);
        Self {
            reader: builder.from_reader(reader),
            columns: None,
            record: csv::ByteRecord::new(),
            ended: false,
        }
    }

    fn element(&mut self) -> Result<Option<(u64, Value)>, (u64, String)> {
        if self.columns.is_none() {
            let header = self.reader.byte_headers().map_err(|error| (1, error.to_string()))?;
            let name = |cell: &[u8]| {
                let cell = cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell);
                std::str::from_utf8(cell)
                    .map(|name| name.trim().to_owned())
                    .map_err(|_| (1, utf8_fault(cell)))
            };
            let names = header.iter().map(name).collect::<Result<Vec<_>, _>>()?;
            self.columns = Some(columns(names));
        }
        let read = self.reader.read_byte_record(&mut self.record);
        let line = self.record.position().map_or(0, csv::Position::line);
        match read {
            Ok(true) => {}
            Ok(false) => return Ok(None),
            Err(error) => {
                let line = error.position().map_or(line, csv::Position::line);
                return Err((line, format!("not a row of a table: {error}")));
            }
        }
        let mut object = Map::new();
        let columns = self.columns.as_deref().unwrap_or_default();
        let mut models = Vec::new();
        for (column, cell) in columns.iter().zip(&self.record) {
            let text = std::str::from_utf8(cell)
                .map_err(|_| (line, format!("`{}`: {}", column.name, utf8_fault(cell))))?;
            if column.is_model {
                models.push(serde_json::json!({"text": text, "model": column.name}));
            } else if !text.is_empty() {
                // As they are known, whatever case the header has them in.
                let lower = column.name.to_ascii_lowercase();
                let is_known = names::PROBLEM
                    .iter()
                    .chain(names::ID)
                    .chain(names::REFERENCE)
                    .chain(names::TEXT)
                    .any(|name| *name == lower);
                object.insert(
                    if is_known { lower } else { column.name.clone() },
                    Value::String(text.to_owned()),
                );
            }
        }
        if !models.is_empty() {
            object.insert("candidates".to_owned(), Value::Array(models));
        }
        for name in ["candidates", "responses", "options", "choices", "messages"] {
            // A list that was written into a cell.
            if let Some(Value::String(text)) = object.get(name)
                && text.trim_start().starts_with('[')
                && let Ok(list @ Value::Array(_)) = serde_json::from_str(text)
            {
                object.insert(name.to_owned(), list);
            }
        }
        Ok(Some((line, Value::Object(object))))
    }
}

fn utf8_fault(cell: &[u8]) -> String {
    conclave_core::json_lines::utf8(cell).err().unwrap_or_default()
}

/// What the columns are. Where none is a candidate's by its name, those that are nothing else are models.
fn columns(names: Vec<String>) -> Vec<Column> {
    let lower = |name: &String| name.to_ascii_lowercase();
    let is_in = |name: &String, list: &[&str]| list.contains(&lower(name).as_str());
    let asks = names.iter().any(|name| is_in(name, names::PROBLEM));
    let is_option = |name: &String| name.len() == 1;
    let is_candidate =
        |name: &String| is_numbered(name) || is_in(name, names::TEXT) || is_in(name, names::LISTS);
    let by_name = names.iter().any(is_candidate);
    let is_model = |name: &String| {
        let is_other = is_in(name, names::PROBLEM)
            || is_in(name, names::REFERENCE)
            || is_in(name, names::ID)
            || is_in(name, names::ABOUT);
        asks && !by_name
            && !is_other
            && !is_option(name)
            && !is_in(name, names::REPEAT)
            && !name.is_empty()
            && !is_in(name, &["model"])
    };
    let models: Vec<bool> = names.iter().map(is_model).collect();
    names.into_iter().zip(models).map(|(name, is_model)| Column { name, is_model }).collect()
}

impl<R: BufRead> Iterator for Rows<R> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        if self.ended {
            return None;
        }
        match self.element() {
            Ok(Some((line, value))) => Some(Element { line, name: None, value: Ok(value) }),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err((line, reason)) => {
                // A header that cannot be read leaves nothing to read rows by.
                self.ended = self.columns.is_none();
                Some(Element { line, name: None, value: Err(reason) })
            }
        }
    }
}
