//! A configuration with every default in it, as TOML to read and to run again, and as JSON to keep.

use serde_json::{Map, Value};

use super::{Method, RunConfig};

impl RunConfig {
    /// Every key with its value, the sections that `method` does not use left out. A key that is not set is null.
    pub fn to_json(&self, method: Method) -> Value {
        let mut value = serde_json::to_value(self).unwrap_or_default();
        if let Value::Object(sections) = &mut value {
            let unused: &[&str] = match method {
                Method::Sft => &["grpo", "paragator"],
                Method::Grpo => &["paragator"],
                Method::Paragator => &[],
            };
            unused.iter().for_each(|name| drop(sections.shift_remove(*name)));
        }
        value
    }

    /// The same as TOML that can be read again. A key that is not set, which TOML has no word for, is a comment.
    pub fn to_toml(&self, method: Method) -> String {
        let mut text = String::new();
        if let Value::Object(sections) = self.to_json(method) {
            for (name, section) in &sections {
                match section {
                    Value::Object(keys) => table(&mut text, name, keys),
                    _ => text.push_str(&format!("# [{name}] is not set\n\n")),
                }
            }
        }
        text.truncate(text.trim_end().len());
        text + "\n"
    }
}

/// A section: its plain keys, then the tables in it.
fn table(text: &mut String, name: &str, keys: &Map<String, Value>) {
    let is_tables = |value: &Value| {
        value.as_array().is_some_and(|list| !list.is_empty() && list.iter().all(Value::is_object))
    };
    text.push_str(&format!("[{name}]\n"));
    let (mut tables, mut lists) = (Vec::new(), Vec::new());
    for (key, value) in keys {
        match value {
            Value::Null => text.push_str(&format!("# {key} is not set\n")),
            // `{ arithmetic = {...} }`, `{ field = "..." }`: one variant of several, easier to read on one line.
            Value::Object(inner) if inner.len() > 1 => tables.push((key, inner)),
            value if is_tables(value) => lists.extend(value.as_array().map(|list| (key, list))),
            value => text.push_str(&format!("{key} = {}\n", inline(value))),
        }
    }
    text.push('\n');
    for (key, inner) in tables {
        table(text, &format!("{name}.{key}"), inner);
    }
    for (key, list) in lists {
        for item in list.iter().filter_map(Value::as_object) {
            let mut one = String::new();
            table(&mut one, &format!("{name}.{key}"), item);
            // [[name]]: one of several.
            text.push_str(&one.replacen(&format!("[{name}.{key}]"), &format!("[[{name}.{key}]]"), 1));
        }
    }
}

/// A value on one line; keys that are not set are left out.
fn inline(value: &Value) -> String {
    match value {
        Value::Object(keys) => {
            let keys = keys.iter().filter(|(_, value)| !value.is_null());
            let keys: Vec<String> = keys.map(|(key, value)| format!("{key} = {}", inline(value))).collect();
            format!("{{ {} }}", keys.join(", "))
        }
        Value::Array(list) => format!("[{}]", list.iter().map(inline).collect::<Vec<_>>().join(", ")),
        Value::String(text) => toml::Value::String(text.clone()).to_string(),
        value => value.to_string(),
    }
}
