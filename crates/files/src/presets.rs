//! Tools that are known by their fields, and which of them an object is of.

use serde_json::{Map, Value};

use crate::names;
use crate::text::is_messages;

const ANSWER: &str = "answer";

/// The fields of one tool.
#[derive(Debug, PartialEq)]
pub struct Preset {
    /// What a user names it by.
    pub name: &'static str,
    /// What it is, in words.
    pub title: &'static str,
    /// Fields by which it is known; all must be there.
    pub known_by: &'static [&'static str],
    /// Of these, the one that must be a list, or a list of lists.
    pub list: Option<&'static str>,
    /// Its problem, where the usual names do not say it.
    pub problem: &'static [&'static str],
    /// Its reference.
    pub reference: &'static [&'static str],
    /// Its candidates.
    pub candidates: &'static [&'static str],
}

const NONE: Preset =
    Preset { name: "", title: "", known_by: &[], list: None, problem: &[], reference: &[], candidates: &[] };

/// Tools by their fields; a file is of the first that fits.
pub const PRESETS: &[Preset] = &[
    Preset {
        name: "qwen2.5-math",
        title: "Qwen2.5-Math outputs",
        known_by: &["gt", "code"],
        list: Some("code"),
        reference: &["gt"],
        candidates: &["code"],
        ..NONE
    },
    Preset {
        name: "matharena",
        title: "MathArena runs",
        known_by: &["problem", "gold_answer", "messages"],
        list: Some("messages"),
        reference: &["gold_answer"],
        candidates: &["messages"],
        ..NONE
    },
    Preset {
        name: "verl",
        title: "verl rollouts",
        known_by: &["input", "output", "gts"],
        problem: &["input"],
        reference: &["gts"],
        candidates: &["output"],
        ..NONE
    },
    Preset {
        name: "nemo-skills",
        title: "NeMo-Skills outputs",
        known_by: &["generation", "expected_answer"],
        reference: &["expected_answer"],
        candidates: &["generation"],
        ..NONE
    },
    Preset {
        name: "optillm",
        title: "optillm results",
        known_by: &["problem", "response", "correct_answer"],
        reference: &["correct_answer"],
        candidates: &["response"],
        ..NONE
    },
    Preset {
        name: "mmlu-pro",
        title: "MMLU-Pro results",
        known_by: &["question", "options", "model_outputs"],
        reference: &["answer"],
        candidates: &["model_outputs"],
        ..NONE
    },
    Preset {
        name: "simple-evals",
        title: "simple-evals conversations",
        known_by: &["convo"],
        list: Some("convo"),
        candidates: &["convo"],
        ..NONE
    },
    Preset {
        name: "skythought",
        title: "SkyThought results",
        known_by: &["responses", "token_usages"],
        candidates: &["responses"],
        ..NONE
    },
    Preset {
        name: "vllm",
        title: "vLLM outputs",
        known_by: &["outputs", "prompt"],
        list: Some("outputs"),
        problem: &["prompt"],
        candidates: &["outputs"],
        ..NONE
    },
    Preset {
        name: "hf-generations",
        title: "generations of a data set",
        known_by: &["generations"],
        list: Some("generations"),
        candidates: &["generations"],
        ..NONE
    },
    Preset { name: "lists", title: "rows with a list of candidates", ..NONE },
    Preset { name: "rows", title: "rows with a candidate each", ..NONE },
    Preset { name: "table", title: "a table", ..NONE },
    Preset { name: "problems", title: "problems", ..NONE },
];

/// The preset of this name.
pub fn general(name: &str) -> Option<&'static Preset> {
    PRESETS.iter().find(|preset| preset.name == name)
}

/// The preset that an object is of: one that has a problem or a name, and candidates.
pub fn preset(object: &Map<String, Value>, is_problems: bool) -> Option<&'static Preset> {
    let has = |name: &&&str| object.contains_key(**name);
    let is_list =
        |preset: &&Preset| preset.list.is_none_or(|list| object.get(list).is_some_and(Value::is_array));
    let known = PRESETS.iter().filter(|preset| !preset.known_by.is_empty());
    if let Some(preset) =
        known.filter(is_list).find(|preset| preset.known_by.iter().all(|name| object.contains_key(*name)))
    {
        return Some(preset);
    }
    // By temperature.
    if object
        .get("responses")
        .and_then(Value::as_object)
        .is_some_and(|lists| !lists.is_empty() && lists.values().all(Value::is_array))
    {
        return general("skythought");
    }
    let named = names::PROBLEM.iter().chain(names::ID).any(|name| has(&name));
    let is_conversation = ["messages", "conversation", "conversations"]
        .iter()
        .any(|name| object.get(*name).and_then(Value::as_array).is_some_and(|list| is_messages(list)));
    if list_field(object, &[]).is_some() && named {
        return general("lists");
    }
    if (named && text_field(object, &[]).is_some()) || is_conversation {
        return general("rows");
    }
    let asks = names::PROBLEM.iter().any(|name| has(&name));
    (is_problems && asks).then(|| general("problems")).flatten()
}

/// The field of a list of candidates, or of what stands for one.
pub fn list_field<'a>(object: &'a Map<String, Value>, first: &[&'a str]) -> Option<&'a str> {
    let is_list = |name: &str| match object.get(name) {
        // One conversation is one candidate.
        Some(Value::Array(list)) => !is_messages(list) && !is_parts(list),
        // Lists by a setting (SkyThought's temperatures), or texts by their models.
        Some(Value::Object(members)) => {
            let is_plural = name == "candidates" || name.ends_with('s') && name != "messages";
            let is_all = |is: fn(&Value) -> bool| members.values().all(is);
            is_plural && !members.is_empty() && (is_all(Value::is_array) || is_all(Value::is_string))
        }
        _ => false,
    };
    let mut named = first.iter().copied().chain(names::LISTS.iter().copied());
    named.find(|name| is_list(name))
}

/// Whether a list is one text in parts.
fn is_parts(list: &[Value]) -> bool {
    !list.is_empty()
        && list
            .iter()
            .all(|part| part.get("type").is_some_and(Value::is_string) && part.get("text").is_some())
}

/// The field of one candidate: a text, an object, or a conversation.
pub fn text_field<'a>(object: &'a Map<String, Value>, first: &[&'a str]) -> Option<&'a str> {
    let mut named = first.iter().copied().chain(names::TEXT.iter().copied());
    let is_text = |name: &&str| {
        object.get(*name).is_some_and(|value| match value {
            Value::Array(list) => is_messages(list) || is_parts(list),
            _ => true,
        })
    };
    // Where the reference has another name, an answer is what the model said.
    let is_answered = || {
        names::REFERENCE.iter().any(|name| *name != ANSWER && *name != "label" && object.contains_key(*name))
    };
    named.find(is_text).or_else(|| Some(ANSWER).filter(is_text).filter(|_| is_answered()))
}
