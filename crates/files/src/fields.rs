//! Objects whose fields say by their names what they are: the fields of a user's choice, of a known tool, or of a list of usual
//! names. One row is a set with a list of candidates, or one candidate, and then rows of one problem belong together.

use conclave_core::reference::Reference;
use conclave_core::sample_set::{Candidate, SampleSet};
use serde_json::{Map, Value};

use crate::names::{self, is_numbered};
use crate::presets::{Preset, list_field, text_field};
use crate::row::{Context, Row, candidate, key};
use crate::text::{is_messages, last_question, options, question, with_options};

/// Signs of a key that may be a name and no problem.
const SHORT: usize = 12;

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

/// What an object has of candidates.
enum Found {
    /// A list of them, and the field's name.
    List(String, Value),
    /// Columns with one each.
    Columns(Vec<(String, Value)>),
    /// One alone, and the field's name.
    One(String, Value),
    Nothing,
}

impl Found {
    /// Takes them out of an object. They are taken first, as their name may be one of a problem or a reference elsewhere.
    fn take(object: &mut Map<String, Value>, preset: &Preset, chosen: Option<&str>) -> Self {
        let first: Vec<&str> = chosen.map_or_else(|| preset.candidates.to_vec(), |chosen| vec![chosen]);
        let is_chosen = |name: &&str| chosen.is_none_or(|chosen| chosen == *name);
        let list = list_field(object, &first).filter(is_chosen).map(str::to_owned);
        if let Some(name) = list
            && let Some(value) = object.shift_remove(&name)
        {
            return Self::List(name, value);
        }
        let numbered: Vec<String> = object.keys().filter(|name| is_numbered(name)).cloned().collect();
        if chosen.is_none() && numbered.len() > 1 {
            let columns =
                numbered.into_iter().filter_map(|name| object.shift_remove(&name).map(|value| (name, value)));
            return Self::Columns(columns.collect());
        }
        if chosen.is_none() && preset.name == "problems" {
            return Self::Nothing;
        }
        let text = text_field(object, &first).filter(is_chosen).map(str::to_owned);
        match text.and_then(|name| object.shift_remove(&name).map(|value| (name, value))) {
            Some((name, value)) => Self::One(name, value),
            None => Self::Nothing,
        }
    }

    fn name(&self) -> Option<String> {
        match self {
            Self::List(name, _) | Self::One(name, _) => Some(name.clone()),
            Self::Columns(columns) => columns.first().map(|(name, _)| format!("{name}, ...")),
            Self::Nothing => None,
        }
    }

    /// The question of the conversations that the candidates are.
    fn question(&self) -> Option<String> {
        let (Self::List(_, value) | Self::One(_, value)) = self else { return None };
        let list = value.as_array()?;
        let first = if is_messages(list) { list } else { list.first()?.as_array()? };
        last_question(first)
    }
}

/// The names to look for: the one that the user chose, or those of a tool and the usual ones.
fn wanted<'a>(chosen: &'a Option<String>, own: &[&'a str], usual: &[&'a str]) -> Vec<&'a str> {
    match chosen {
        Some(chosen) => vec![chosen],
        None => own.iter().chain(usual).copied().collect(),
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
    let found = Found::take(&mut object, preset, chosen.candidates.as_deref());
    let names = wanted(&chosen.problem, preset.problem, names::PROBLEM);
    let problem = problem(&mut object, &names, &found, name.as_deref(), context);
    let options = options(&mut object);
    let problem = with_options(&problem, &options);
    let names = wanted(&chosen.reference, preset.reference, names::REFERENCE);
    let reference_answer = match taken(&mut object, &names, is_something) {
        Some((name, value)) => {
            context.came_from(None, Some(&name));
            reference(value, &options)?
        }
        None => solution(&object, context),
    };
    let names = wanted(&chosen.id, &[], names::ID);
    let id = taken(&mut object, &names, |value| value.is_string() || value.is_number());
    let id = id.map(|(_, value)| value.as_str().map_or_else(|| value.to_string(), str::to_owned));
    let id = id.or_else(|| name.filter(|name| !problem.contains(name.as_str())));
    if context.used.candidates.is_none() {
        context.used.candidates = found.name();
    }
    let mut set = SampleSet {
        id: id.clone().unwrap_or_default(),
        problem,
        reference_answer,
        candidates: Vec::new(),
        extra: Map::new(),
    };
    let key = key(id.as_deref(), &set.problem);
    let is_named = !set.problem.is_empty() || id.is_some();
    if let Some(id) = id.filter(|_| set.problem.is_empty()) {
        context.join_problem(&id, &mut set);
    }
    match found {
        Found::List(name, list) => {
            set.candidates = listed(&name, list, &object)?;
            set.extra = object;
        }
        Found::Columns(columns) => {
            let said = columns.into_iter().filter(|(_, value)| !value.is_null());
            set.candidates = said.map(|(_, value)| candidate(value)).collect::<Result<_, _>>()?;
            set.extra = object;
        }
        Found::One(name, value) => {
            let mut one = candidate(value).map_err(|reason| format!("`{name}`: {reason}"))?;
            describe(&mut one, object);
            set.candidates.push(one);
            if is_named {
                return Ok(Row::Part(key, set));
            }
        }
        Found::Nothing if context.is_problems() => set.extra = object,
        Found::Nothing => return Err(missing(&object)),
    }
    Ok(Row::Set(set))
}

/// The problem of an object, by the names that are looked for, by what a conversation asks, or by the key that it stands under.
fn problem(
    object: &mut Map<String, Value>,
    names: &[&str],
    found: &Found,
    key: Option<&str>,
    context: &mut Context<'_>,
) -> String {
    let mut taken_from = taken(object, names, is_something);
    // What raters saw is a text.
    if taken_from.is_none() && !matches!(found, Found::One(..)) {
        taken_from = taken(object, &["text", "content", "sentence", "document"], is_something);
    }
    if let Some((name, value)) = taken_from {
        context.came_from(Some(&name), None);
        let mut problem = question(&value).unwrap_or_default();
        // Alpaca's instruction has its data beside it.
        if name == "instruction"
            && let Some((_, Value::String(input))) = taken(object, &["input"], is_something)
        {
            problem = format!("{problem}\n{input}");
        }
        return problem;
    }
    if let Some(question) = found.question() {
        context.came_from(Some("the conversation"), None);
        return question;
    }
    // A short key is a number or a name.
    let key = key.filter(|key| key.chars().count() > SHORT);
    context.came_from(key.map(|_| "the key"), None);
    key.unwrap_or_default().to_owned()
}

/// The candidates of a list, with what stands beside it for each or for all.
fn listed(name: &str, list: Value, object: &Map<String, Value>) -> Result<Vec<Candidate>, String> {
    let reasons = object.get("finish_reasons").and_then(Value::as_array);
    let model = object.get("model").or_else(|| object.get("model_name")).and_then(Value::as_str);
    let one = |(at, (value, setting)): (usize, (Value, Option<String>))| {
        let mut one =
            candidate(value).map_err(|reason| format!("candidate {} of `{name}`: {reason}", at + 1))?;
        if let Some(setting) = setting {
            one.extra.entry("setting").or_insert(setting.into());
        }
        let reason = reasons.and_then(|all| all.get(at)?.as_str());
        one.finish_reason = one.finish_reason.or_else(|| reason.map(str::to_owned));
        one.model = one.model.or_else(|| model.map(str::to_owned));
        Ok(one)
    };
    flat(list).into_iter().enumerate().map(one).collect()
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

/// The candidates of a list, of lists by a setting, or of texts by their models.
fn flat(value: Value) -> Vec<(Value, Option<String>)> {
    match value {
        Value::Array(list) => list.into_iter().map(|value| (value, None)).collect(),
        Value::Object(lists) => {
            let several = lists.len() > 1;
            let with = |(name, member): (String, Value)| {
                let (list, setting) = match member {
                    Value::Array(list) => (list, several.then_some(name)),
                    text => (vec![serde_json::json!({"text": text, "model": name})], None),
                };
                list.into_iter().map(move |value| (value, setting.clone()))
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
