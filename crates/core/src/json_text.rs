//! JSON texts of values, as `serde_json` writes them: one small writer for all that write, where that crate's is made anew for
//! every place that it writes to.

use serde_json::Value;

use crate::float::number_text;
use crate::order::{in_order, taken};

/// The JSON of a value, without blanks.
pub fn json_text(value: &Value) -> String {
    let mut out = String::new();
    write(value, false, &write_scalar, &mut out);
    out
}

/// Writes a value; `scalar` writes what is no container.
pub(crate) fn write(value: &Value, is_sorted: bool, scalar: &dyn Fn(&Value, &mut String), out: &mut String) {
    match value {
        Value::Array(items) => {
            out.push('[');
            for (at, item) in items.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write(item, is_sorted, scalar, out);
            }
            out.push(']');
        }
        Value::Object(fields) => {
            let mut names: Vec<&str> = fields.keys().map(String::as_str).collect();
            if is_sorted {
                names = sorted_names(names);
            }
            out.push('{');
            for (at, name) in names.into_iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                write_text(name, out);
                out.push(':');
                write(&fields[name], is_sorted, scalar, out);
            }
            out.push('}');
        }
        _ => scalar(value, out),
    }
}

/// Names in the order of their letters.
pub(crate) fn sorted_names(mut names: Vec<&str>) -> Vec<&str> {
    let places = in_order(names.len(), &|a, b| names[a].cmp(names[b]));
    taken(&mut names, &places)
}

/// Writes what is no container.
pub(crate) fn write_scalar(value: &Value, out: &mut String) {
    match value {
        Value::String(text) => write_text(text, out),
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::Bool(true) => out.push_str("true"),
        Value::Bool(false) => out.push_str("false"),
        _ => out.push_str("null"),
    }
}

/// Writes a text in quotes.
pub(crate) fn write_text(text: &str, out: &mut String) {
    out.push('"');
    for c in text.chars() {
        let escaped = match c {
            '"' | '\\' => c,
            '\u{8}' => 'b',
            '\t' => 't',
            '\n' => 'n',
            '\u{c}' => 'f',
            '\r' => 'r',
            '\0'..' ' => {
                let hex = |digit: u32| char::from_digit(digit, 16).unwrap_or('0');
                out.push_str("\\u00");
                out.push(hex(c as u32 >> 4));
                out.push(hex(c as u32 & 15));
                continue;
            }
            _ => {
                out.push(c);
                continue;
            }
        };
        out.push('\\');
        out.push(escaped);
    }
    out.push('"');
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::json;

    proptest! {
        #[test]
        fn texts_are_escaped_as_json(text in "\\PC*[\\x00-\\x7f]*") {
            let value = json!({ text.clone(): [text, null, true, false, -1, 0.5, {}, []] });
            prop_assert_eq!(json_text(&value), value.to_string());
        }
    }
}
