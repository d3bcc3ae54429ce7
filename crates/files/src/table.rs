//! Tables: CSV and TSV with a header. A row is an object of its cells; what it means is the business of [`crate::fields`], save for
//! columns that are named after models.

use std::io::{self, BufRead};

use csv_core::ReadRecordResult;
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
    let mut records = Records::new(line, delimiter);
    records.next().ok()?.then_some(())?;
    let cell = |cell: &[u8]| String::from_utf8_lossy(cell).trim().to_ascii_lowercase();
    Some(records.cells().map(cell).collect())
}

/// The records of a table one after another, as bytes.
struct Records<R> {
    reader: R,
    parser: csv_core::Reader,
    /// The cells of the record that was read last, one after another, and where each ends.
    text: Vec<u8>,
    ends: Vec<usize>,
    count: usize,
    line: u64,
}

impl<R: BufRead> Records<R> {
    fn new(reader: R, delimiter: Delimiter) -> Self {
        let parser = csv_core::ReaderBuilder::new().delimiter(delimiter.byte()).build();
        Self { reader, parser, text: vec![0; 1 << 12], ends: vec![0; 64], count: 0, line: 1 }
    }

    /// Reads the next; false at the end.
    fn next(&mut self) -> io::Result<bool> {
        let (mut written, mut ended) = (0, 0);
        self.line = self.parser.line();
        loop {
            let input = self.reader.fill_buf()?;
            let (text, ends) = (&mut self.text[written..], &mut self.ends[ended..]);
            let (state, read, out, fields) = self.parser.read_record(input, text, ends);
            self.reader.consume(read);
            written += out;
            ended += fields;
            match state {
                ReadRecordResult::InputEmpty => {}
                ReadRecordResult::OutputFull => self.text.resize(self.text.len() * 2, 0),
                ReadRecordResult::OutputEndsFull => self.ends.resize(self.ends.len() * 2, 0),
                ReadRecordResult::Record => {
                    self.count = ended;
                    return Ok(true);
                }
                ReadRecordResult::End => return Ok(false),
            }
        }
    }

    fn cells(&self) -> impl Iterator<Item = &[u8]> {
        let starts = std::iter::once(0).chain(self.ends.iter().copied());
        let ends = self.ends.iter().take(self.count);
        starts.zip(ends).map(|(start, &end)| self.text.get(start..end).unwrap_or_default())
    }
}

/// The rows of a table as objects.
pub struct Rows<R> {
    records: Records<R>,
    columns: Option<Vec<Column>>,
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
        Self { records: Records::new(reader, delimiter), columns: None, ended: false }
    }

    fn element(&mut self) -> Result<Option<(u64, Value)>, (u64, String)> {
        let broken = |error: io::Error| format!("cannot read on: {error}");
        if self.columns.is_none() {
            if !self.records.next().map_err(|error| (1, broken(error)))? {
                return Ok(None);
            }
            let name = |cell: &[u8]| {
                let cell = cell.strip_prefix(b"\xef\xbb\xbf").unwrap_or(cell);
                std::str::from_utf8(cell)
                    .map(|name| name.trim().to_owned())
                    .map_err(|_| (1, utf8_fault(cell)))
            };
            self.columns = Some(columns(self.records.cells().map(name).collect::<Result<_, _>>()?));
        }
        let is_row = self.records.next();
        let line = self.records.line;
        if !is_row.map_err(|error| (line, broken(error)))? {
            return Ok(None);
        }
        let mut object = Map::new();
        let columns = self.columns.as_deref().unwrap_or_default();
        let mut models = Vec::new();
        for (column, cell) in columns.iter().zip(self.records.cells()) {
            let text = std::str::from_utf8(cell)
                .map_err(|_| (line, format!("`{}`: {}", column.name, utf8_fault(cell))))?;
            if column.is_model {
                models.push(serde_json::json!({"text": text, "model": column.name}));
            } else if !text.is_empty() {
                // As they are known, whatever case the header has them in.
                let lower = column.name.to_ascii_lowercase();
                let name = if is_known(&lower) { lower } else { column.name.clone() };
                object.insert(name, Value::String(text.to_owned()));
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

fn is_known(name: &str) -> bool {
    [names::PROBLEM, names::ID, names::REFERENCE, names::TEXT, names::LISTS]
        .iter()
        .any(|names| names.contains(&name))
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
                // A header that cannot be read leaves nothing to read rows by, and a stream that broke off has no more.
                self.ended = self.columns.is_none() || reason.starts_with("cannot read on");
                Some(Element { line, name: None, value: Err(reason) })
            }
        }
    }
}
