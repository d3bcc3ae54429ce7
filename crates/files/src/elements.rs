//! The values of a file one after another, as a stream: those of JSON lines, the elements of an array wherever it stands in an
//! object, the members of an object. Memory is that of one of them. What they mean is not looked at.

use std::io::{self, BufRead};

use conclave_core::json_lines::{JsonLines, parse_json, utf8};
use serde_json::Value;

use crate::shape::{Container, Shape};

/// One value.
pub struct Element {
    /// Line on which it begins, from 1.
    pub line: u64,
    /// The key that it stands under, in an object of objects.
    pub name: Option<String>,
    /// The value, or why it cannot be read.
    pub value: Result<Value, String>,
}

/// The values of `reader`, laid out as `shape` says.
pub enum Elements<R> {
    /// One a line.
    Lines(JsonLines<R, Value>),
    /// In an array or an object, or one after another.
    Walk(Walk<R>),
}

impl<R: BufRead> Elements<R> {
    /// Reads from `reader`.
    pub fn new(reader: R, shape: &Shape) -> Self {
        match shape {
            Shape::Lines => Self::Lines(JsonLines::new(reader)),
            Shape::Values => Self::Walk(Walk::new(reader, None)),
            Shape::Inside(container) => Self::Walk(Walk::new(reader, Some(container.clone()))),
        }
    }
}

impl<R: BufRead> Iterator for Elements<R> {
    type Item = Element;

    fn next(&mut self) -> Option<Element> {
        match self {
            Self::Lines(lines) => Some(match lines.next()? {
                Ok(value) => Element { line: lines.line(), name: None, value: Ok(value) },
                Err(error) => Element { line: error.line, name: None, value: Err(error.reason) },
            }),
            Self::Walk(walk) => walk.next(),
        }
    }
}

/// A walk over JSON by its brackets.
pub struct Walk<R> {
    bytes: Bytes<R>,
    container: Option<Container>,
    state: State,
    buffer: Vec<u8>,
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    /// Before a value of the top.
    Top,
    /// Within the container, before an element; whether one came before.
    Within(bool),
    Ended,
}

/// Why a walk cannot go on.
enum Stop {
    Io(io::Error),
    Syntax(String),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl<R: BufRead> Walk<R> {
    fn new(reader: R, container: Option<Container>) -> Self {
        let bytes = Bytes { reader, line: 1, column: 0 };
        Self { bytes, container, state: State::Top, buffer: Vec::new() }
    }

    fn next(&mut self) -> Option<Element> {
        if self.state == State::Ended {
            return None;
        }
        let step = self.step();
        match step {
            Ok(element) => {
                if element.is_none() {
                    self.state = State::Ended;
                }
                element
            }
            Err(stop) => {
                self.state = State::Ended;
                let reason = match stop {
                    Stop::Io(error) => format!("cannot read on: {error}"),
                    Stop::Syntax(reason) => format!("{reason}; the rest of the file is not read"),
                };
                Some(Element { line: self.bytes.line, name: None, value: Err(reason) })
            }
        }
    }

    fn step(&mut self) -> Result<Option<Element>, Stop> {
        loop {
            let byte = self.bytes.skip_blanks()?;
            match (self.state, byte) {
                (State::Ended, _) | (State::Top, None) => return Ok(None),
                (State::Top, Some(0xef)) => self.bytes.byte_order_mark()?,
                (State::Top, Some(byte)) => {
                    let opens = match &self.container {
                        None => byte == b'[',
                        Some(container) => match container.path.is_empty() {
                            true => byte == container.opening(),
                            false => byte == b'{',
                        },
                    };
                    if !opens {
                        return Ok(Some(self.element(None)?));
                    }
                    let path =
                        self.container.as_ref().map(|container| container.path.clone()).unwrap_or_default();
                    let opening = self.container.as_ref().map_or(b'[', Container::opening);
                    if self.descend(&path, opening)? {
                        self.state = State::Within(false);
                    }
                }
                (State::Within(_), None) => {
                    return Err(Stop::Syntax("the file ends within its array: is it cut off?".to_owned()));
                }
                (State::Within(_), Some(b']' | b'}')) => {
                    self.bytes.consume(1);
                    let depth = self.container.as_ref().map_or(0, |container| container.path.len());
                    self.leave(depth)?;
                    self.state = State::Top;
                }
                (State::Within(true), Some(b',')) => {
                    self.bytes.consume(1);
                    self.state = State::Within(false);
                }
                (State::Within(true), Some(byte)) => {
                    let found = char::from(byte).escape_default();
                    return Err(Stop::Syntax(format!(
                        "not JSON: expected a comma or the end of the array, found `{found}`"
                    )));
                }
                (State::Within(false), Some(_)) => {
                    let is_members = self.container.as_ref().is_some_and(|container| container.is_members);
                    let name = if is_members { Some(self.key()?) } else { None };
                    self.bytes.skip_blanks()?;
                    let element = self.element(name)?;
                    self.state = State::Within(true);
                    return Ok(Some(element));
                }
            }
        }
    }

    /// Goes into the container; false where an object of the top has none.
    fn descend(&mut self, path: &[String], opening: u8) -> Result<bool, Stop> {
        let Some((name, rest)) = path.split_first() else {
            self.bytes.skip_blanks()?;
            if self.bytes.peek()? != Some(opening) {
                self.skip_value()?;
                return Ok(false);
            }
            self.bytes.consume(1);
            return Ok(true);
        };
        self.bytes.skip_blanks()?;
        if self.bytes.peek()? != Some(b'{') {
            self.skip_value()?;
            return Ok(false);
        }
        self.bytes.consume(1);
        loop {
            match self.bytes.skip_blanks()? {
                Some(b',') => self.bytes.consume(1),
                Some(b'"') => {
                    let key = self.key()?;
                    self.bytes.skip_blanks()?;
                    let next = if rest.is_empty() { opening } else { b'{' };
                    if key == *name && self.bytes.peek()? == Some(next) {
                        return self.descend(rest, opening);
                    }
                    self.skip_value()?;
                }
                Some(b'}') => {
                    self.bytes.consume(1);
                    return Ok(false);
                }
                _ => return Err(Stop::Syntax(format!("not JSON: the object that has `{name}` is broken"))),
            }
        }
    }

    /// Goes out of as many objects.
    fn leave(&mut self, depth: usize) -> Result<(), Stop> {
        let mut depth = depth;
        while depth > 0 {
            match self.bytes.skip_blanks()? {
                Some(b'}') => {
                    self.bytes.consume(1);
                    depth -= 1;
                }
                Some(b',' | b':') => self.bytes.consume(1),
                Some(_) => self.skip_value()?,
                None => {
                    return Err(Stop::Syntax("the file ends within an object: is it cut off?".to_owned()));
                }
            }
        }
        Ok(())
    }

    fn key(&mut self) -> Result<String, Stop> {
        self.buffer.clear();
        self.bytes.value(Some(&mut self.buffer))?;
        let key = utf8(&self.buffer).ok().and_then(|text| parse_json::<String>(text).ok());
        let key = key.ok_or_else(|| Stop::Syntax("not JSON: expected a key in quotes".to_owned()))?;
        match self.bytes.skip_blanks()? {
            Some(b':') => self.bytes.consume(1),
            _ => return Err(Stop::Syntax("not JSON: expected a colon behind a key".to_owned())),
        }
        Ok(key)
    }

    fn skip_value(&mut self) -> Result<(), Stop> {
        self.bytes.value(None)
    }

    fn element(&mut self, name: Option<String>) -> Result<Element, Stop> {
        self.buffer.clear();
        let (line, column) = (self.bytes.line, self.bytes.column);
        self.bytes.value(Some(&mut self.buffer))?;
        let value = utf8(&self.buffer).and_then(|text| {
            parse_json(text).map_err(|error| {
                let message = error.to_string();
                let message = message.split(" at line ").next().unwrap_or_default();
                let down = error.line().saturating_sub(1) as u64;
                let column = if down == 0 { column } else { 0 } + error.column();
                format!("not JSON at line {}, column {column}: {message}", line + down)
            })
        });
        Ok(Element { line, name, value })
    }
}

/// Bytes with their place.
struct Bytes<R> {
    reader: R,
    line: u64,
    /// Bytes of the line that were read.
    column: usize,
}

impl<R: BufRead> Bytes<R> {
    fn peek(&mut self) -> io::Result<Option<u8>> {
        Ok(self.reader.fill_buf()?.first().copied())
    }

    /// Goes over as many signs.
    fn consume(&mut self, amount: usize) {
        self.reader.consume(amount);
        self.column += amount;
    }

    /// A byte order mark, or whatever begins like one.
    fn byte_order_mark(&mut self) -> Result<(), Stop> {
        for expected in b"\xef\xbb\xbf" {
            if self.peek()? != Some(*expected) {
                return Err(Stop::Syntax("not UTF-8: convert the file to UTF-8".to_owned()));
            }
            self.consume(1);
        }
        Ok(())
    }

    /// The next byte that is no blank.
    fn skip_blanks(&mut self) -> io::Result<Option<u8>> {
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                return Ok(None);
            }
            let blanks = buffer.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
            (self.line, self.column) = place(self.line, self.column, &buffer[..blanks]);
            let next = buffer.get(blanks).copied();
            self.reader.consume(blanks);
            if next.is_some() {
                return Ok(next);
            }
        }
    }

    /// Goes over one value by its brackets and quotes, and copies it.
    fn value(&mut self, mut copy: Option<&mut Vec<u8>>) -> Result<(), Stop> {
        let (mut depth, mut in_string, mut escaped, mut in_scalar, mut any) =
            (0_u64, false, false, false, false);
        loop {
            let buffer = self.reader.fill_buf()?;
            if buffer.is_empty() {
                if in_scalar && depth == 0 {
                    return Ok(());
                }
                let reason = if any {
                    "the file ends within a value: is it cut off?"
                } else {
                    "the file ends where a value should be"
                };
                return Err(Stop::Syntax(reason.to_owned()));
            }
            let (mut end, mut used) = (None, buffer.len());
            for (at, &byte) in buffer.iter().enumerate() {
                if in_string {
                    match byte {
                        _ if escaped => escaped = false,
                        b'\\' => escaped = true,
                        b'"' => {
                            in_string = false;
                            if depth == 0 {
                                end = Some(at + 1);
                            }
                        }
                        _ => {}
                    }
                } else if depth == 0 && in_scalar {
                    if matches!(byte, b',' | b']' | b'}' | b'{' | b'[' | b'"' | b':')
                        || byte.is_ascii_whitespace()
                    {
                        end = Some(at);
                    }
                } else {
                    match byte {
                        b'"' => in_string = true,
                        b'{' | b'[' => depth += 1,
                        b'}' | b']' if depth > 0 => {
                            depth -= 1;
                            if depth == 0 {
                                end = Some(at + 1);
                            }
                        }
                        _ if depth > 0 => {}
                        b'}' | b']' | b',' | b':' => {
                            let found = char::from(byte);
                            return Err(Stop::Syntax(format!("not JSON: expected a value, found `{found}`")));
                        }
                        _ => in_scalar = true,
                    }
                }
                if end.is_some() {
                    used = end.unwrap_or(used);
                    break;
                }
            }
            any |= used > 0;
            (self.line, self.column) = place(self.line, self.column, &buffer[..used]);
            if let Some(copy) = copy.as_deref_mut() {
                copy.extend_from_slice(&buffer[..used]);
            }
            self.reader.consume(used);
            if end.is_some() {
                return Ok(());
            }
        }
    }
}

/// The line and column behind some bytes.
fn place(line: u64, column: usize, bytes: &[u8]) -> (u64, usize) {
    match bytes.iter().rposition(|&byte| byte == b'\n') {
        Some(last) => {
            let lines = bytes[..=last].iter().filter(|&&byte| byte == b'\n').count() as u64;
            (line + lines, bytes.len() - last - 1)
        }
        None => (line, column + bytes.len()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;
    use std::io::BufReader;

    fn read(text: &str, shape: &Shape) -> Vec<(u64, Option<String>, Result<Value, String>)> {
        let whole: Vec<_> =
            Elements::new(text.as_bytes(), shape).map(|e| (e.line, e.name, e.value)).collect();
        // However the reader is cut up, it reads the same.
        for size in [1, 2, 7] {
            let reader = BufReader::with_capacity(size, text.as_bytes());
            let parts: Vec<_> = Elements::new(reader, shape).map(|e| (e.line, e.name, e.value)).collect();
            assert_eq!(parts, whole, "{size}: {text}");
        }
        whole
    }

    fn inside(path: &[&str], is_members: bool) -> Shape {
        Shape::Inside(Container { path: path.iter().map(|name| (*name).to_owned()).collect(), is_members })
    }

    #[test]
    fn elements_of_arrays_have_their_lines() {
        let text = "\u{feff}[\n  {\"a\": \"]}\\\"\"},\n  {\"a\": NaN},\n 3, \"x\"\n]\n[4]";
        let found = read(text, &inside(&[], false));
        let lines: Vec<u64> = found.iter().map(|element| element.0).collect();
        assert_eq!(lines, [2, 3, 4, 4, 6]);
        assert_eq!(found[0].2, Ok(json!({"a": "]}\""})));
        assert_eq!(found[1].2, Ok(json!({"a": null})));
        assert_eq!(found[4].2, Ok(json!(4)));
    }

    #[test]
    fn a_bad_element_costs_itself_and_a_broken_array_one_message() {
        let found = read("[{\"a\": 1,},\n {\"a\":\n 2,}, {\"a\": 3}]", &inside(&[], false));
        assert_eq!(found.iter().filter(|element| element.2.is_err()).count(), 2);
        assert!(found[1].2.as_ref().unwrap_err().contains("line 3, column 4:"), "{found:?}");
        assert!(found[0].2.as_ref().unwrap_err().contains("line 1, column 10:"), "{found:?}");
        for text in ["[1 2 3]", "[1, {\"a\": 2", "[1", "[1}, 2", "[,]", "[1] nonsense]"] {
            let found = read(text, &inside(&[], false));
            assert!(found.iter().filter(|element| element.2.is_err()).count() <= 2, "{text}: {found:?}");
        }
    }

    #[test]
    fn arrays_within_objects_and_members() {
        let log = "{\"version\": [1, {\"results\": []}], \"results\": {\"stats\": {}, \"results\": [{\"a\": 1}, {\"a\": 2}], \"z\": 1}, \"b\": [3]}";
        let found = read(log, &inside(&["results", "results"], false));
        assert_eq!(
            found.iter().map(|element| element.2.clone()).collect::<Vec<_>>(),
            [Ok(json!({"a": 1})), Ok(json!({"a": 2}))]
        );
        let found = read("{\"q \\u0031\": {\"a\": 1}, \"q 2\": {\"a\": 2}}\n", &inside(&[], true));
        assert_eq!(found[0].1.as_deref(), Some("q 1"));
        assert_eq!(found[1], (1, Some("q 2".to_owned()), Ok(json!({"a": 2}))));
    }

    #[test]
    fn values_one_after_another() {
        let found = read("{\n\"a\": 1}\n{\n\"a\": 2}{\"a\": 3}", &Shape::Values);
        assert_eq!(found.iter().map(|element| element.0).collect::<Vec<_>>(), [1, 3, 4]);
        assert!(found.iter().all(|element| element.2.is_ok()));
    }
}
