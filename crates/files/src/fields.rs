//! Objects whose fields say by their names what they are: the fields of a user's choice, of a known tool, or of a list of usual
//! names. One row is a set with a list of candidates, or one candidate, and then rows of one problem belong together.

use conclave_core::reference::Reference;
use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::names::{self, is_numbered};
use crate::row::{Context, Row, candidate, key};
use crate::text::{is_messages, last_question, options, question, with_options};

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

/// The field of a list of candidates, or of lists by a setting (SkyThought's temperatures).
fn list_field<'a>(object: &'a Map<String, Value>, first: &[&'a str]) -> Option<&'a str> {
    let is_list = |name: &str| match object.get(name) {
        // One conversation is one candidate.
        Some(Value::Array(list)) => !is_messages(list) && !is_parts(list),
        Some(Value::Object(lists)) => {
            name == "responses" && !lists.is_empty() && lists.values().all(Value::is_array)
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

fn text_field<'a>(object: &'a Map<String, Value>, first: &[&'a str]) -> Option<&'a str> {
    let mut named = first.iter().copied().chain(names::TEXT.iter().copied());
    named.find(|name| {
        object.get(*name).is_some_and(|value| match value {
            Value::Array(list) => is_messages(list) || is_parts(list),
            _ => true,
        })
    })
}

/// A field that is there and says something; a dotted name leads into objects.
fn taken(
    object: &mut Map<String, Value>,
    names: &[&str],
    says: impl Fn(&Value) -> bool,
) -> Option<(String, Value)> {
    for name in names {
        if let Some(value) = object.get(*name) {
            if says(value) {
                return object.shift_remove(*name).map(|value| ((*name).to_owned(), value));
            }
        } else if name.contains('.') {
            let mut at = None;
            for (depth, part) in name.split('.').enumerate() {
                at = if depth == 0 { object.get(part) } else { at.and_then(|value: &Value| value.get(part)) };
            }
            if let Some(value) = at.filter(|value| says(value)) {
                return Some(((*name).to_owned(), value.clone()));
            }
        }
    }
    None
}

fn is_something(value: &Value) -> bool {
    match value {
        Value::Null => false,
        Value::String(text) => !text.trim().is_empty(),
        Value::Array(list) => list.iter().any(is_something),
        _ => true,
    }
}

/// The row that an object is.
pub fn row(
    mut object: Map<String, Value>,
    preset: &'static Preset,
    name: Option<String>,
    context: &mut Context<'_>,
) -> Result<Row, String> {
    let chosen = context.fields();
    let one = |chosen: &Option<String>| chosen.clone().into_iter().collect::<Vec<_>>();
    let (own_problem, own_reference, own_list, own_id) =
        (one(&chosen.problem), one(&chosen.reference), one(&chosen.candidates), one(&chosen.id));
    let strs = |own: &[String], named: &[&'static str], usual: &'static [&'static str]| -> Vec<String> {
        if own.is_empty() {
            named.iter().chain(usual).map(|name| (*name).to_owned()).collect()
        } else {
            own.to_vec()
        }
    };
    let candidate_names = strs(&own_list, preset.candidates, &[]);
    let candidate_names: Vec<&str> = candidate_names.iter().map(String::as_str).collect();
    let numbered: Vec<String> = object.keys().filter(|name| is_numbered(name)).cloned().collect();
    let list = list_field(&object, &candidate_names)
        .filter(|name| own_list.is_empty() || own_list[0] == *name)
        .map(str::to_owned);
    let text = match own_list.is_empty() {
        true => text_field(&object, &candidate_names).map(str::to_owned),
        false => object.contains_key(&own_list[0]).then(|| own_list[0].clone()),
    };
    let is_numbered_set = list.is_none() && numbered.len() > 1 && own_list.is_empty();
    // The candidates are taken first: their name may be one of a problem or a reference elsewhere.
    let source = match (&list, is_numbered_set, &text) {
        (Some(name), _, _) => object.shift_remove(name).map(|value| (name.clone(), value)),
        (None, true, _) => None,
        (None, false, Some(name)) if preset.name != "problems" => {
            object.shift_remove(name).map(|value| (name.clone(), value))
        }
        _ => None,
    };
    let conversation = source.as_ref().and_then(|(_, value)| conversation(value)).map(<[Value]>::to_vec);
    let columns: Vec<(String, Value)> = match is_numbered_set {
        true => numbered
            .iter()
            .filter_map(|name| object.shift_remove(name).map(|value| (name.clone(), value)))
            .collect(),
        false => Vec::new(),
    };

    let problem_names = strs(&own_problem, preset.problem, names::PROBLEM);
    let problem_names: Vec<&str> = problem_names.iter().map(String::as_str).collect();
    let found = taken(&mut object, &problem_names, is_something);
    let found = found.or_else(|| {
        is_numbered_set.then(|| taken(&mut object, &["text", "content"], is_something)).flatten()
    });
    let (mut problem, from) = match &found {
        Some((name, value)) => (question(value).unwrap_or_default(), Some(name.clone())),
        None => match conversation.as_deref().and_then(last_question) {
            Some(question) => (question, Some("the conversation".to_owned())),
            None => match &name {
                Some(name) if name.len() > 12 => (name.clone(), Some("the key".to_owned())),
                _ => (String::new(), None),
            },
        },
    };
    // Alpaca's instruction has its data beside it.
    if from.as_deref() == Some("instruction")
        && let Some((_, Value::String(input))) = taken(&mut object, &["input"], is_something)
    {
        problem = format!("{problem}\n{input}");
    }
    context.used.problem = context.used.problem.take().or(from);
    let options = options(&mut object);
    problem = with_options(&problem, &options);

    let reference_names = strs(&own_reference, preset.reference, names::REFERENCE);
    let reference_names: Vec<&str> = reference_names.iter().map(String::as_str).collect();
    let reference = match taken(&mut object, &reference_names, is_something) {
        Some((name, value)) => {
            context.used.reference = context.used.reference.take().or(Some(name));
            reference(value, &options)?
        }
        None => solution(&object, context),
    };

    let id_names = strs(&own_id, &[], names::ID);
    let id_names: Vec<&str> = id_names.iter().map(String::as_str).collect();
    let id = taken(&mut object, &id_names, |value| value.is_string() || value.is_number());
    let id = id.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let id = id.or_else(|| name.filter(|name| !problem.contains(name.as_str())));

    let finish = object.get("finish_reasons").and_then(Value::as_array).cloned();
    let mut set = SampleSet {
        id: id.clone().unwrap_or_default(),
        problem,
        reference_answer: reference,
        candidates: Vec::new(),
        extra: Map::new(),
    };
    if let (Some((name, value)), true) = (&source, list.is_some()) {
        context.used.candidates = context.used.candidates.take().or(Some(name.clone()));
        for (at, (value, setting)) in flat(value.clone()).into_iter().enumerate() {
            let mut one =
                candidate(value).map_err(|reason| format!("candidate {} of `{name}`: {reason}", at + 1))?;
            if let Some(setting) = setting {
                one.extra.entry("setting").or_insert(setting.into());
            }
            if one.finish_reason.is_none() {
                one.finish_reason = finish.as_ref().and_then(|all| all.get(at)?.as_str()).map(str::to_owned);
            }
            set.candidates.push(one);
        }
        if let Some(model) = object.get("model").or_else(|| object.get("model_name")).and_then(Value::as_str)
        {
            set.candidates
                .iter_mut()
                .for_each(|one| one.model = one.model.take().or_else(|| Some(model.to_owned())));
        }
        set.extra = object;
        return Ok(Row::Set(set));
    }
    if is_numbered_set {
        context.used.candidates =
            context.used.candidates.take().or_else(|| Some(format!("{}, ...", numbered[0])));
        for (_, value) in columns.into_iter().filter(|(_, value)| !value.is_null()) {
            set.candidates.push(candidate(value)?);
        }
        set.extra = object;
        return Ok(Row::Set(set));
    }
    let Some((name, value)) = source else {
        set.extra = object;
        return match context.is_problems() {
            true => Ok(Row::Set(set)),
            false => Err(missing(&set.extra)),
        };
    };
    context.used.candidates = context.used.candidates.take().or(Some(name.clone()));
    let mut one = candidate(value).map_err(|reason| format!("`{name}`: {reason}"))?;
    describe(&mut one, object);
    set.candidates.push(one);
    if set.problem.is_empty() && id.is_none() {
        return Ok(Row::Set(set));
    }
    let key = key(id.as_deref(), &set.problem);
    Ok(Row::Part(key, set))
}

/// Gives the other fields of a row to its only candidate.
fn describe(one: &mut Candidate, object: Map<String, Value>) {
    for (name, value) in object {
        match (name.as_str(), value) {
            ("model" | "model_name" | "model_id", Value::String(model)) if one.model.is_none() => {
                one.model = Some(model)
            }
            ("finish_reason" | "stop_reason", Value::String(reason)) if one.finish_reason.is_none() => {
                one.finish_reason = Some(reason);
            }
            ("usage", usage @ Value::Object(_)) if one.usage.is_none() => one.usage = Some(usage),
            ("text" | "content" | "model" | "finish_reason" | "usage", value) => {
                one.extra.entry(format!("row_{name}")).or_insert(value);
            }
            (_, value) => {
                one.extra.entry(name).or_insert(value);
            }
        }
    }
}

fn conversation(value: &Value) -> Option<&[Value]> {
    let list = value.as_array()?;
    if is_messages(list) {
        return Some(list);
    }
    list.first()?.as_array().map(Vec::as_slice).filter(|list| is_messages(list))
}

/// The candidates of a list, or of lists by a setting.
fn flat(value: Value) -> Vec<(Value, Option<String>)> {
    match value {
        Value::Array(list) => list.into_iter().map(|value| (value, None)).collect(),
        Value::Object(lists) => {
            let several = lists.len() > 1;
            let with = |(setting, list): (String, Value)| {
                let list = list.as_array().cloned().unwrap_or_default();
                list.into_iter().map(move |value| (value, several.then(|| setting.clone())))
            };
            lists.into_iter().flat_map(with).collect()
        }
        _ => Vec::new(),
    }
}

/// A reference as files have it; the number of an option is its letter.
pub fn reference(value: Value, options: &[(String, String)]) -> Result<Option<Reference>, String> {
    let value = match &value {
        Value::Number(at) if !options.is_empty() => {
            let at = at.as_u64().and_then(|at| usize::try_from(at).ok());
            let option = at.and_then(|at| options.get(at)).map(|(letter, _)| letter.clone());
            option.map_or(value, Value::String)
        }
        Value::Array(list) => {
            Value::Array(list.iter().filter(|value| is_something(value)).cloned().collect())
        }
        _ => value,
    };
    if !is_something(&value) {
        return Ok(None);
    }
    Reference::read(value).map_err(|reason| format!("the reference: {reason}"))
}

/// The answer of a worked solution that marks it, where nothing else is a reference.
fn solution(object: &Map<String, Value>, context: &mut Context<'_>) -> Option<Reference> {
    let (name, text) = names::SOLUTION.iter().find_map(|name| Some((*name, object.get(*name)?.as_str()?)))?;
    let answer = match text.contains("####") {
        true => Reference::read(Value::String(text.to_owned())).ok().flatten()?,
        false => Reference::from(boxed(text)?),
    };
    context.used.reference = context.used.reference.take().or_else(|| Some(name.to_owned()));
    Some(answer)
}

/// What stands in the last box of a solution.
fn boxed(text: &str) -> Option<&str> {
    let start = text.rfind("\\boxed{")? + "\\boxed{".len();
    let mut depth = 1_u32;
    for (at, byte) in text.bytes().enumerate().skip(start) {
        match byte {
            b'{' => depth += 1,
            b'}' => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return text.get(start..at).filter(|answer| !answer.trim().is_empty());
        }
    }
    None
}

fn missing(object: &Map<String, Value>) -> String {
    let fields: Vec<String> = object.keys().take(8).map(|name| format!("`{name}`")).collect();
    format!("no field with candidates among {}: name it with --field candidates=NAME", fields.join(", "))
}
