//! An answer on its way: chunks of bytes become pieces of text, and in the end a candidate.
//!
//! A server that was asked for a stream may answer with one JSON object all the same; the first byte tells which it is,
//! as no stream of events begins with `{`.

use conclave_core::sample_set::Candidate;
use serde_json::{Map, Value};

use super::refusal::{Asked, within_answer};
use crate::error::{ClientError, ErrorKind, Result, quote};
use crate::secret::Redactor;
use crate::sse::{SseEvent, SseParser};

/// Most bytes of an answer, as it comes over the network.
pub const MAX_ANSWER: usize = 64 << 20;

/// The field of a candidate with what the model wrote before its answer, where the server keeps the two apart.
pub const REASONING: &str = "reasoning";

/// The data that ends a stream.
const DONE: &str = "[DONE]";

/// A piece of an answer, fit to be shown: the key is not in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Delta<'a> {
    /// Of the text.
    Text(&'a str),
    /// Of the reasoning before it.
    Reasoning(&'a str),
}

enum Format {
    Unknown,
    Events(SseParser),
    Whole(Vec<u8>),
}

/// Reads one answer.
pub struct AnswerReader<'a> {
    asked: Asked<'a>,
    format: Format,
    bytes: usize,
    text: Growing,
    reasoning: Growing,
    model: Option<String>,
    finish_reason: Option<String>,
    usage: Option<Value>,
    has_choice: bool,
    is_done: bool,
}

/// A text that grows, without the key.
struct Growing {
    shown: String,
    redactor: Redactor,
}

impl Growing {
    /// Where in `shown` the new part begins.
    fn push(&mut self, piece: &str) -> usize {
        let begins = self.shown.len();
        self.shown += &self.redactor.push(piece);
        begins
    }

    fn finish(&mut self) -> usize {
        let begins = self.shown.len();
        self.shown += &self.redactor.finish();
        begins
    }
}

impl<'a> AnswerReader<'a> {
    /// At the start of an answer.
    pub fn new(asked: Asked<'a>) -> Self {
        let growing = || Growing { shown: String::new(), redactor: Redactor::new(asked.key) };
        Self {
            asked,
            format: Format::Unknown,
            bytes: 0,
            text: growing(),
            reasoning: growing(),
            model: None,
            finish_reason: None,
            usage: None,
            has_choice: false,
            is_done: false,
        }
    }

    /// Whether the server has said that this is all. What comes behind is not read.
    pub fn is_done(&self) -> bool {
        self.is_done
    }

    /// Reads the next bytes; what they add goes to `each`.
    ///
    /// # Errors
    /// [`Malformed`](ErrorKind::Malformed), or what the server says went wrong.
    pub fn push(&mut self, mut chunk: &[u8], each: &mut dyn FnMut(Delta<'_>)) -> Result<()> {
        self.bytes += chunk.len();
        if self.bytes > MAX_ANSWER {
            return Err(self.malformed(&format!("is longer than {} MiB", MAX_ANSWER >> 20)));
        }
        if let Format::Unknown = self.format {
            chunk = chunk.trim_ascii_start();
            match chunk.first() {
                Some(b'{') => self.format = Format::Whole(Vec::new()),
                Some(b'<') => return Err(self.malformed("is a page of HTML")),
                Some(_) => self.format = Format::Events(SseParser::new()),
                None => return Ok(()),
            }
        }
        match &mut self.format {
            Format::Whole(bytes) => {
                bytes.extend_from_slice(chunk);
                Ok(())
            }
            Format::Events(parser) => {
                let mut events = Vec::new();
                let pushed = parser.push(chunk, &mut events);
                self.events(&events, each)?;
                pushed.map_err(|_| self.malformed("has a line that is too long"))
            }
            Format::Unknown => Ok(()),
        }
    }

    /// Ends the answer.
    ///
    /// # Errors
    /// [`Disconnected`](ErrorKind::Disconnected) where it is not whole, [`Malformed`](ErrorKind::Malformed) where it is
    /// no answer, or what the server says went wrong.
    pub fn finish(&mut self, each: &mut dyn FnMut(Delta<'_>)) -> Result<()> {
        match std::mem::replace(&mut self.format, Format::Unknown) {
            Format::Unknown => return Err(self.malformed("is empty")),
            Format::Whole(bytes) => self.whole(&bytes, each)?,
            Format::Events(mut parser) => {
                let mut events = Vec::new();
                let finished = parser.finish(&mut events);
                self.events(&events, each)?;
                finished.map_err(|_| self.malformed("has a line that is too long"))?;
            }
        }
        self.flush(each);
        if !self.has_choice {
            return Err(self.malformed("has no `choices` with a message"));
        }
        if !self.is_done && self.finish_reason.is_none() {
            let message = format!("{} broke off its answer", self.asked.url);
            return Err(ClientError::new(ErrorKind::Disconnected, message));
        }
        Ok(())
    }

    /// What has arrived, as a candidate: whole after [`finish`](Self::finish), cut off before.
    pub fn candidate(&mut self) -> Candidate {
        self.flush(&mut |_| {});
        let mut extra = Map::new();
        if !self.reasoning.shown.is_empty() {
            extra.insert(REASONING.to_owned(), self.reasoning.shown.clone().into());
        }
        let redactor = &self.text.redactor;
        let allowed = |text: &String| redactor.allows(text);
        Candidate {
            text: self.text.shown.clone(),
            model: Some(self.model.clone().filter(allowed).unwrap_or_else(|| self.asked.model.to_owned())),
            finish_reason: self.finish_reason.clone().filter(allowed),
            usage: self.usage.clone().filter(|usage| redactor.allows(&usage.to_string())),
            extra,
        }
    }

    /// Whether nothing has arrived yet.
    pub fn is_empty(&self) -> bool {
        self.text.shown.is_empty() && self.reasoning.shown.is_empty()
    }

    fn flush(&mut self, each: &mut dyn FnMut(Delta<'_>)) {
        let begins = self.reasoning.finish();
        show(&self.reasoning.shown[begins..], Delta::Reasoning, each);
        let begins = self.text.finish();
        show(&self.text.shown[begins..], Delta::Text, each);
    }

    fn events(&mut self, events: &[SseEvent], each: &mut dyn FnMut(Delta<'_>)) -> Result<()> {
        for event in events {
            let data = event.data.trim();
            if self.is_done || data.is_empty() {
                continue;
            }
            if data == DONE {
                self.is_done = true;
                continue;
            }
            let Ok(json) = serde_json::from_str::<Value>(data) else {
                return Err(match event.event.as_str() {
                    "error" => within_answer(self.asked, &Value::from(data)),
                    _ => self.malformed(&format!("has an event that is not JSON: \"{}\"", self.quote(data))),
                });
            };
            if event.event == "error" && json.get("error").is_none() {
                return Err(within_answer(self.asked, &json));
            }
            self.chunk(&json, "delta", each)?;
        }
        Ok(())
    }

    fn whole(&mut self, bytes: &[u8], each: &mut dyn FnMut(Delta<'_>)) -> Result<()> {
        let json: Value = serde_json::from_slice(bytes).map_err(|error| {
            let text = String::from_utf8_lossy(&bytes[..bytes.len().min(super::refusal::MAX_REFUSAL)]);
            match error.is_eof() {
                true => ClientError::new(
                    ErrorKind::Disconnected,
                    format!("{} broke off its answer", self.asked.url),
                ),
                false => self.malformed(&format!("is not JSON: \"{}\"", self.quote(&text))),
            }
        })?;
        self.chunk(&json, "message", each)?;
        self.is_done = true;
        Ok(())
    }

    /// A whole answer has a `message` where a piece of one has a `delta`.
    fn chunk(&mut self, json: &Value, part: &str, each: &mut dyn FnMut(Delta<'_>)) -> Result<()> {
        if let Some(error) = json.get("error").filter(|error| !error.is_null()) {
            return Err(within_answer(self.asked, error));
        }
        if let Some(model) = json.get("model").and_then(Value::as_str).filter(|model| !model.is_empty()) {
            self.model = Some(model.to_owned());
        }
        if let Some(usage) = json.get("usage").filter(|usage| usage.is_object()) {
            self.usage = Some(usage.clone());
        }
        let of_first = |choice: &&Value| choice.get("index").and_then(Value::as_u64).unwrap_or(0) == 0;
        let choices = json.get("choices").and_then(Value::as_array);
        let Some(choice) = choices.and_then(|choices| choices.iter().find(of_first)) else { return Ok(()) };
        if let Some(reason) = choice.get("finish_reason").and_then(Value::as_str) {
            self.finish_reason = Some(reason.to_owned());
        }
        // Some servers send a whole message as the only event of a stream.
        let Some(message) = [part, "delta", "message"].iter().find_map(|name| choice.get(name)) else {
            return Ok(());
        };
        self.has_choice = true;
        let reasoning =
            ["reasoning_content", "reasoning"].iter().find_map(|name| message.get(name)?.as_str());
        let begins = self.reasoning.push(reasoning.unwrap_or_default());
        show(&self.reasoning.shown[begins..], Delta::Reasoning, each);
        let begins = self.text.push(&content(message.get("content")));
        show(&self.text.shown[begins..], Delta::Text, each);
        Ok(())
    }

    fn quote(&self, text: &str) -> String {
        quote(text, self.asked.key)
    }

    fn malformed(&self, what: &str) -> ClientError {
        ClientError::new(ErrorKind::Malformed, format!("the answer of {} {what}", self.asked.url))
    }
}

fn show<'t>(text: &'t str, as_delta: impl Fn(&'t str) -> Delta<'t>, each: &mut dyn FnMut(Delta<'_>)) {
    if !text.is_empty() {
        each(as_delta(text));
    }
}

/// A text, nothing (null), or a list of parts of which those with a `text` count.
fn content(content: Option<&Value>) -> String {
    match content {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Array(parts)) => parts.iter().filter_map(|part| part.get("text")?.as_str()).collect(),
        _ => String::new(),
    }
}

#[cfg(test)]
#[path = "reader/tests.rs"]
mod tests;
