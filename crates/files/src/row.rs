//! What one value of a file becomes: a set, a part of one, a result; and what was noticed on the way.

use std::collections::HashSet;
use std::hash::{DefaultHasher, Hash, Hasher};

use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::options::{Fields, Options};
use crate::text::{is_messages, last_answer};

/// What a value of a file is.
#[derive(Clone, Debug, PartialEq)]
pub enum Row {
    /// A whole set.
    Set(SampleSet),
    /// A part of the set that all rows with this key make.
    Part(String, SampleSet),
    /// A result of `vote` or `aggregate`.
    Result(Value),
    /// Nothing of its own: a row that only repeats another.
    Nothing,
}

/// Which fields the parts of a set came from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Used {
    /// The problem.
    pub problem: Option<String>,
    /// The reference.
    pub reference: Option<String>,
    /// The candidates.
    pub candidates: Option<String>,
}

/// Something to be said once a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Note {
    /// A set of ours whose reference stands under another name.
    Renamed,
    /// A request without an answer.
    Failed,
    /// Sets without a problem.
    NoProblem,
    /// A row that only repeats another, for another filter.
    Repeated,
    /// An id that several sets have.
    SameId,
    /// Ids that stand in no file of problems.
    Unknown,
}

/// What was noticed, how often, and where first.
#[derive(Clone, Debug, Default)]
pub struct Notes(Vec<(Note, u64, String)>);

impl Notes {
    /// Counts one more; `example` is that of the first.
    pub fn add(&mut self, note: Note, example: impl FnOnce() -> String) {
        match self.0.iter_mut().find(|(known, _, _)| *known == note) {
            Some((_, count, _)) => *count += 1,
            None => self.0.push((note, 1, example())),
        }
    }

    /// How often something was noticed.
    pub fn count(&self, note: Note) -> u64 {
        self.0.iter().find(|(known, _, _)| *known == note).map_or(0, |(_, count, _)| *count)
    }

    /// Takes those of another.
    pub fn append(&mut self, other: Notes) {
        for (note, count, example) in other.0 {
            match self.0.iter_mut().find(|(known, _, _)| *known == note) {
                Some((_, ours, _)) => *ours += count,
                None => self.0.push((note, count, example)),
            }
        }
    }

    /// A sentence for each.
    pub fn messages(&self) -> Vec<String> {
        self.0.iter().map(|(note, count, example)| sentence(*note, *count, example)).collect()
    }
}

fn sentence(note: Note, count: u64, example: &str) -> String {
    let s = if count == 1 { "" } else { "s" };
    match note {
        Note::Renamed => {
            format!("{count} set{s} without `reference_answer`: `{example}` is taken as the reference")
        }
        Note::Failed => format!(
            "{count} request{s} without an answer ({}{example}): counted as candidates without one",
            if count == 1 { "" } else { "the first is " }
        ),
        Note::NoProblem => format!(
            "{count} set{s} without a problem (`{example}`): give problems and references by their ids with --problems FILE"
        ),
        Note::Repeated => {
            format!("{count} row{s} left out: other filters of problems with the same candidates")
        }
        Note::SameId => format!(
            "{count} set{s} with an id that an earlier one has, as `{example}`: they stay apart; what goes by ids mixes them"
        ),
        Note::Unknown => format!("{count} id{s} that --problems does not have, as `{example}`"),
    }
}

/// What the readers of rows share over one file.
pub struct Context<'a> {
    options: &'a Options,
    /// Where the parts came from.
    pub used: Used,
    /// What was noticed.
    pub notes: Notes,
    /// The rows of a file that others of it repeat, by their hashes.
    pub seen: HashSet<u64>,
}

impl<'a> Context<'a> {
    /// At the beginning of a file.
    pub fn new(options: &'a Options) -> Self {
        Self { options, used: Used::default(), notes: Notes::default(), seen: HashSet::new() }
    }

    /// The fields that the user chose.
    pub fn fields(&self) -> &'a Fields {
        &self.options.fields
    }

    /// Whether sets without candidates are what is asked for.
    pub fn is_problems(&self) -> bool {
        self.options.problems_only
    }

    /// Fills in what a file of problems says of the set of this id.
    pub fn join_problem(&mut self, id: &str, set: &mut SampleSet) {
        let Some(problems) = &self.options.problems else { return };
        let Some(found) = problems.get(id) else {
            self.notes.add(Note::Unknown, || id.to_owned());
            return;
        };
        if !found.problem.is_empty() {
            set.problem.clone_from(&found.problem);
        }
        if found.reference_answer.is_some() {
            set.reference_answer.clone_from(&found.reference_answer);
        }
    }

    /// Where a part came from, if nothing said it before.
    pub fn came_from(&mut self, problem: Option<&str>, reference: Option<&str>) {
        let Used { problem: p, reference: r, .. } = &mut self.used;
        *p = p.take().or_else(|| problem.map(str::to_owned));
        *r = r.take().or_else(|| reference.map(str::to_owned));
    }
}

/// A hash that is the same in every run.
pub fn hash(parts: &[&str]) -> u64 {
    let mut hasher = DefaultHasher::new();
    parts.hash(&mut hasher);
    hasher.finish()
}

/// What rows of one set have in common: the id with the problem, so that the numbering of several files does no harm.
pub fn key(id: Option<&str>, problem: &str) -> String {
    match id {
        Some(id) => format!("{id}\u{0}{problem}"),
        None => problem.to_owned(),
    }
}

/// Names of a candidate's text, where it is an object.
const TEXTS: &[&str] = &[
    "text",
    "content",
    "generation",
    "output",
    "response",
    "completion",
    "generated_text",
    "message",
    "model_output",
    "prediction",
    "raw_text",
    "value",
    "answer",
    "solution",
];

/// A candidate as files have it: a text, an object, a conversation whose last answer it is.
pub fn candidate(value: Value) -> Result<Candidate, String> {
    match value {
        Value::Object(object) => object_candidate(object),
        Value::Array(list) if is_messages(&list) => {
            let answer = last_answer(&list).cloned().unwrap_or(Value::Null);
            let mut one = candidate(answer)?;
            one.extra.shift_remove("role");
            Ok(one)
        }
        // One text in a list of its own.
        Value::Array(mut list) if list.len() == 1 => candidate(list.pop().unwrap_or(Value::Null)),
        Value::Array(list)
            if list.iter().all(|part| part.get("type").is_some_and(Value::is_string)) && !list.is_empty() =>
        {
            Candidate::try_from(Value::Object(Map::from_iter([("text".to_owned(), Value::Array(list))])))
        }
        Value::Array(_) => Err("expected a text, an object or a conversation, found a list".to_owned()),
        bare => Candidate::try_from(bare),
    }
}

fn object_candidate(mut object: Map<String, Value>) -> Result<Candidate, String> {
    let name = TEXTS.iter().find(|name| object.get(**name).is_some_and(|value| !value.is_null()));
    let name = name.or_else(|| TEXTS.iter().find(|name| object.contains_key(**name)));
    let mut inner = None;
    if let Some(name) = name {
        match object.shift_remove(*name) {
            // A choice of a chat API, or one within another object.
            Some(value @ (Value::Object(_) | Value::Array(_))) if *name != "text" && *name != "content" => {
                let mut one = candidate(value)?;
                one.extra.shift_remove("role");
                inner = Some(one);
            }
            value => {
                object.insert("text".to_owned(), value.unwrap_or(Value::Null));
            }
        }
    }
    for role in ["role", "from"] {
        if object.get(role).is_some_and(Value::is_string) {
            object.shift_remove(role);
        }
    }
    for (theirs, ours) in [("stop_reason", "finish_reason"), ("model_id", "model"), ("model_name", "model")] {
        if !object.contains_key(ours)
            && object.get(theirs).is_some_and(Value::is_string)
            && let Some(value) = object.shift_remove(theirs)
        {
            object.insert(ours.to_owned(), value);
        }
    }
    for name in ["model", "finish_reason"] {
        if object.get(name).is_some_and(|value| !value.is_string() && !value.is_null())
            && let Some(value) = object.shift_remove(name)
        {
            object.insert(format!("source_{name}"), value);
        }
    }
    let Some(mut one) = inner else {
        if !object.contains_key("text") {
            let fields: Vec<String> = object.keys().take(6).map(|name| format!("`{name}`")).collect();
            if !["tool_calls", "function_call", "error", "refusal", "reasoning_content"]
                .iter()
                .any(|name| object.contains_key(*name))
            {
                return Err(format!("an object without a text; it has {}", fields.join(", ")));
            }
        }
        return Candidate::try_from(Value::Object(object));
    };
    one.model = one
        .model
        .or_else(|| object.shift_remove("model").and_then(|model| model.as_str().map(str::to_owned)));
    one.finish_reason = one.finish_reason.or_else(|| {
        object.shift_remove("finish_reason").and_then(|reason| reason.as_str().map(str::to_owned))
    });
    one.usage = one.usage.or_else(|| object.shift_remove("usage"));
    for (name, value) in object {
        if !["text", "content", "model", "finish_reason", "usage"].contains(&name.as_str()) {
            one.extra.entry(name).or_insert(value);
        }
    }
    Ok(one)
}

/// The candidates of a set of ours that some API wrote: choices with messages in place of texts.
pub fn with_texts(candidates: &mut [Value]) {
    for one in candidates {
        let has = |name: &&&str| one.get(**name).is_some_and(|value| !value.is_null());
        let is_bare = one.is_object() && one.get("text").is_none() && one.get("content").is_none();
        if is_bare
            && TEXTS.iter().any(|name| has(&name))
            && let Some(read) = candidate(one.clone()).ok().and_then(|read| serde_json::to_value(read).ok())
        {
            *one = read;
        }
    }
}

/// Takes the names that a set's own fields have out of the way of its other fields.
pub fn cleared(mut set: SampleSet) -> SampleSet {
    for name in ["id", "problem", "reference_answer", "candidates"] {
        if let Some(value) = set.extra.shift_remove(name).filter(|value| !value.is_null()) {
            set.extra.insert(format!("source_{name}"), value);
        }
    }
    set
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn candidates_come_in_many_forms() {
        let text = |value| candidate(value).unwrap().text;
        assert_eq!(text(json!("a")), "a");
        assert_eq!(text(json!(18)), "18");
        assert_eq!(text(json!(null)), "");
        assert_eq!(text(json!(["a"])), "a");
        assert_eq!(text(json!({"generation": "a"})), "a");
        assert_eq!(
            text(json!({"message": {"role": "assistant", "content": "a"}, "finish_reason": "length"})),
            "a"
        );
        assert_eq!(
            text(
                json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": [{"type": "text", "text": "a"}]}])
            ),
            "a"
        );
        assert_eq!(text(json!({"text": null, "content": "a"})), "a");
        let cut =
            candidate(json!({"message": {"content": "a"}, "stop_reason": "max_tokens", "index": 1})).unwrap();
        assert!(cut.is_truncated() && cut.extra["index"] == 1);
        assert!(candidate(json!({"score": 1})).is_err());
        assert!(candidate(json!([1, 2])).is_err());
    }
}
