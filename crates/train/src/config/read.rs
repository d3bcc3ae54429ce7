//! Reading a configuration: a TOML file, then `--set section.key=value`, each checked by itself, so that a message can
//! say which of them is wrong, in which line, and what was probably meant.

use std::path::Path;

use serde_json::Value;
use toml::Table;

use super::RunConfig;
use crate::error::{Result, TrainError};

/// How alike two keys must be for one to be suggested for the other, from 0 to 1.
const ALIKE: f64 = 0.6;

/// How serde begins its message about a key, and about one of several words.
const UNKNOWN_KEY: &str = "unknown field `";
const UNKNOWN_VALUE: &str = "unknown variant `";

impl RunConfig {
    /// Reads the file at `path` and applies `settings` (`section.key=value`) in their order.
    ///
    /// # Errors
    /// A file that cannot be read, and what [`from_toml`](Self::from_toml) refuses.
    pub fn read(path: &Path, settings: &[String]) -> Result<Self> {
        let text = std::fs::read_to_string(path).map_err(|error| TrainError::io(path, error))?;
        Self::from_toml(&text, &path.display().to_string(), settings)
    }

    /// The configuration in `text`, which messages call `name`, with `settings` applied in their order.
    ///
    /// # Errors
    /// `name:line` or the setting, the key, and the nearest valid key or what is expected.
    pub fn from_toml(text: &str, name: &str, settings: &[String]) -> Result<Self> {
        let mut config: Self = toml::from_str(text).map_err(|error| {
            let line =
                error.span().map_or(0, |span| 1 + text[..span.start.min(text.len())].matches('\n').count());
            let place = if line == 0 { name.to_owned() } else { format!("{name}:{line}") };
            TrainError::Config(format!("{place}: {}", explain(&error)))
        })?;
        if settings.is_empty() {
            return Ok(config);
        }
        let mut table: Table =
            toml::from_str(text).map_err(|error| TrainError::Config(format!("{name}: {error}")))?;
        for setting in settings {
            let refuse = |reason: String| TrainError::Config(format!("--set {setting}: {reason}"));
            set(&mut table, setting).map_err(refuse)?;
            // After each, so that the message names the one that is wrong.
            config = table.clone().try_into().map_err(|error| refuse(explain(&error)))?;
        }
        Ok(config)
    }
}

/// Puts `a.b.c=value` into the table.
fn set(table: &mut Table, setting: &str) -> Result<(), String> {
    let expected = "expected section.key=value, such as train.steps=500";
    let (path, value) = setting.split_once('=').ok_or(expected)?;
    let keys: Vec<&str> = path.split('.').map(str::trim).collect();
    let [sections @ .., last] = keys.as_slice() else { return Err(expected.to_owned()) };
    if sections.is_empty() || keys.iter().any(|key| key.is_empty()) {
        return Err(expected.to_owned());
    }
    let value = parse_value(value.trim())?;
    let mut table = table;
    for section in sections {
        let next = table.entry(section.to_string()).or_insert_with(|| toml::Value::Table(Table::new()));
        table = next.as_table_mut().ok_or_else(|| format!("`{section}` is a value and not a section"))?;
    }
    // One variant of several (`arithmetic` or `files`) takes the place of the other.
    if matches!(*last, "arithmetic" | "files") {
        table.clear();
    }
    table.insert(last.to_string(), value);
    Ok(())
}

/// A value as TOML writes it; a word without quotes is a text too, as a shell takes quotes away.
fn parse_value(text: &str) -> Result<toml::Value, String> {
    let parsed: Result<Table, _> = toml::from_str(&format!("value = {text}"));
    if let Ok(mut table) = parsed
        && table.len() == 1
        && let Some(value) = table.remove("value")
    {
        return Ok(value);
    }
    let is_word = |character: char| character.is_alphanumeric() || "_-./~:".contains(character);
    if !text.is_empty() && text.chars().all(is_word) {
        return Ok(toml::Value::String(text.to_owned()));
    }
    Err(format!("`{text}` is not a TOML value: expected a number, true, false, \"text\" or [1, 2]"))
}

/// An error of the parser in our words: the key, the section, the nearest valid key.
fn explain(error: &toml::de::Error) -> String {
    let section = section(error);
    let message = error.message().trim().replace('\n', ", ");
    let Some((key, known)) = unknown_key(&message) else {
        return if section.is_empty() { message } else { format!("[{section}]: {message}") };
    };
    let place = if section.is_empty() { String::new() } else { format!(" in [{section}]") };
    let is_value = message.starts_with(UNKNOWN_VALUE);
    let elsewhere = if is_value { Vec::new() } else { sections_with(key) };
    let remedy = match nearest(key, &known) {
        Some(near) => format!("did you mean `{near}`?"),
        None if !elsewhere.is_empty() => format!("it belongs into {}", elsewhere.join(" or ")),
        None => format!("expected one of {}", known.join(", ")),
    };
    if is_value {
        format!("`{key}` is not known{place}: {remedy}")
    } else {
        format!("unknown key `{key}`{place}: {remedy}")
    }
}

/// The path of the table that an error is in. The parser shows it only in the text of an error that has no document to
/// quote: the last line, ``in `train` ``.
fn section(error: &toml::de::Error) -> String {
    let mut error = error.clone();
    error.set_input(None);
    let text = error.to_string();
    let path = text.lines().rev().find_map(|line| line.strip_prefix("in `")?.strip_suffix('`'));
    path.unwrap_or_default().to_owned()
}

/// The key and the known ones, of serde's ``unknown field `a`, expected one of `b`, `c` ``.
fn unknown_key(message: &str) -> Option<(&str, Vec<&str>)> {
    let rest = message.strip_prefix(UNKNOWN_KEY).or_else(|| message.strip_prefix(UNKNOWN_VALUE))?;
    let (key, rest) = rest.split_once('`')?;
    let known = rest.split('`').skip(1).step_by(2).collect();
    Some((key, known))
}

fn nearest<'a>(key: &str, known: &[&'a str]) -> Option<&'a str> {
    let alike = |other: &str| {
        strsim::normalized_damerau_levenshtein(key, other).max(strsim::jaro_winkler(key, other) - 0.25)
    };
    let best = known.iter().map(|&other| (alike(other), other)).max_by(|a, b| a.0.total_cmp(&b.0))?;
    (best.0 >= ALIKE).then_some(best.1)
}

/// The sections that have a key of this name.
fn sections_with(key: &str) -> Vec<String> {
    fn search(value: &Value, key: &str, path: &str, found: &mut Vec<String>) {
        let Value::Object(keys) = value else { return };
        if !path.is_empty() && keys.contains_key(key) {
            found.push(format!("[{path}]"));
        }
        for (name, inner) in keys {
            let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
            search(inner, key, &path, found);
        }
    }
    let everything = RunConfig { lora: Some(super::LoraConfig::default()), ..RunConfig::default() };
    let mut found = Vec::new();
    search(&serde_json::to_value(everything).unwrap_or_default(), key, "", &mut found);
    found
}
