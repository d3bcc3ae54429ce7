//! Tool calls: which calls an answer makes, and when two answers make the same.
//!
//! Calls are read from what the API gave (`tool_calls`, `function_call`) or, where there is none, from the
//! text, in the formats of the common models. Two answers are the same where they make the same calls with
//! the same arguments, in any order: calls that are made together have none. Keys have no order, numbers are
//! compared by value, texts as they stand without blanks around them.

mod read;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Number, Value};

use crate::json_text::{json_text, write, write_scalar, write_text};
use crate::order::{in_order, sorted, taken};
use crate::reader::NoAnswer;
use crate::record::similar::exact_text;
use crate::sample_set::Candidate;
pub use read::read_calls;

/// One call of a tool.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Call {
    /// The tool.
    pub name: String,
    /// What it is called with.
    pub arguments: Map<String, Value>,
}

/// Answers that make the same calls.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CallClass {
    /// The calls as most of them wrote them, as JSON: `{"name": .., "arguments": {..}}`, or an array of
    /// several.
    pub answer: String,
    /// Indices of its candidates, ascending.
    pub candidates: Vec<usize>,
}

/// The outcome of reading calls in several candidates.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CallClasses {
    /// Larger first; of equally large ones the first by its canonical form, whatever the order of the
    /// candidates.
    pub classes: Vec<CallClass>,
    /// Why each candidate makes no call, in their order; none where it makes one.
    pub no_answer: Vec<Option<NoAnswer>>,
}

/// The JSON text of calls, as they were written.
pub fn answer_text(calls: &[Call]) -> String {
    let one = |call: &Call| {
        let mut out = r#"{"name":"#.to_owned();
        write_text(&call.name, &mut out);
        out + r#","arguments":"# + &json_text(&Value::Object(call.arguments.clone())) + "}"
    };
    match calls {
        [call] => one(call),
        _ => "[".to_owned() + &calls.iter().map(one).collect::<Vec<_>>().join(",") + "]",
    }
}

/// A text that is the same for calls that are the same. `ignore`: arguments that do not count, by their name
/// or path: `id`, `options.seed`, and `items.id` for the `id` of each item. Those of one tool: `search:id`.
pub fn canonical(calls: &[Call], ignore: &[String]) -> String {
    let texts: Vec<String> = calls
        .iter()
        .map(|call| {
            let mut arguments = Value::Object(call.arguments.clone());
            for path in ignore {
                match path.split_once(':') {
                    Some((tool, path)) if tool == call.name => leave_out(&mut arguments, path),
                    Some(_) => {}
                    None => leave_out(&mut arguments, path),
                }
            }
            let mut out = String::new();
            write_text(call.name.trim(), &mut out);
            write(&arguments, true, &write_normal, &mut out);
            out
        })
        .collect();
    sorted(texts).join("\n")
}

/// Groups the calls of some candidates.
pub fn call_classes(candidates: &[Candidate], ignore: &[String]) -> CallClasses {
    let mut no_answer = vec![None; candidates.len()];
    let mut read: Vec<(String, String, String, usize)> = Vec::new();
    for (at, candidate) in candidates.iter().enumerate() {
        match read_calls(candidate) {
            Ok(calls) => {
                let answer = answer_text(&calls);
                // The order of keys is not another form.
                let exact = calls
                    .iter()
                    .map(|call| call.name.clone() + &exact_text(&Value::Object(call.arguments.clone())));
                read.push((canonical(&calls, ignore), exact.collect::<Vec<_>>().join("\n"), answer, at));
            }
            Err(reason) => no_answer[at] = Some(reason),
        }
    }
    let by_form = in_order(read.len(), &|a, b| read[a].cmp(&read[b]));
    let mut classes: Vec<CallClass> = Vec::new();
    for same in by_form.chunk_by(|a, b| read[*a].0 == read[*b].0) {
        let mut form: &[usize] = &[];
        for of_form in same.chunk_by(|a, b| read[*a].1 == read[*b].1) {
            if of_form.len() > form.len() {
                form = of_form;
            }
        }
        let answer = form.first().map(|first| read[*first].2.clone()).unwrap_or_default();
        let ascending = in_order(same.len(), &|a, b| read[same[a]].3.cmp(&read[same[b]].3));
        let candidates = ascending.into_iter().map(|at| read[same[at]].3).collect();
        classes.push(CallClass { answer, candidates });
    }
    let larger_first =
        in_order(classes.len(), &|a, b| classes[b].candidates.len().cmp(&classes[a].candidates.len()));
    let classes = taken(&mut classes, &larger_first);
    CallClasses { classes, no_answer }
}

/// Removes what stands at a dotted path, in each element of the lists on the way.
fn leave_out(value: &mut Value, path: &str) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(|item| leave_out(item, path)),
        Value::Object(fields) => {
            // A name may have dots in it.
            fields.shift_remove(path);
            for (at, _) in path.match_indices('.') {
                if let Some(inner) = fields.get_mut(&path[..at]) {
                    leave_out(inner, &path[at + 1..]);
                }
            }
        }
        _ => {}
    }
}

fn write_normal(value: &Value, out: &mut String) {
    match value {
        Value::Number(number) => out.push_str(&number_text(number)),
        Value::String(text) => write_text(text.trim(), out),
        other => write_scalar(other, out),
    }
}

/// A number by its value: `1.0` is 1.
fn number_text(number: &Number) -> String {
    match number.as_f64() {
        Some(float) if number.is_f64() && float.fract() == 0.0 && float.abs() < 9_007_199_254_740_992.0 => {
            (float as i64).to_string()
        }
        _ => crate::float::number_text(number),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn call(name: &str, arguments: Value) -> Call {
        Call { name: name.to_owned(), arguments: arguments.as_object().cloned().unwrap_or_default() }
    }

    #[test]
    fn the_same_calls_have_one_form() {
        let a = [call("search", json!({"query": " x ", "n": 1})), call("now", json!({}))];
        let b = [call("now", json!({})), call("search", json!({"n": 1.0, "query": "x"}))];
        assert_eq!(canonical(&a, &[]), canonical(&b, &[]));
        for other in [json!({"query": "X", "n": 1}), json!({"query": "x", "n": "1"}), json!({"query": "x"})] {
            let other = [call("search", other), call("now", json!({}))];
            assert_ne!(canonical(&a, &[]), canonical(&other, &[]));
        }
        assert_ne!(canonical(&a[..1], &[]), canonical(&a, &[]));
    }

    #[test]
    fn arguments_are_left_out_by_path() {
        let calls =
            |id: u32| [call("f", json!({"id": id, "a.b": id, "o": {"seed": id, "k": [{"id": id, "v": 1}]}}))];
        let same = |ignore: &[&str]| {
            let ignore: Vec<String> = ignore.iter().map(ToString::to_string).collect();
            canonical(&calls(1), &ignore) == canonical(&calls(2), &ignore)
        };
        assert!(same(&["id", "a.b", "o.seed", "o.k.id"]));
        assert!(same(&["f:id", "a.b", "o"]));
        assert!(!same(&["g:id", "a.b", "o"]));
        assert!(!same(&["id", "a.b", "o.seed"]));
    }

    #[test]
    fn classes_show_the_form_that_most_wrote() {
        let texts = [
            r#"{"name": "f", "arguments": {"a": 1.0, "b": 2}}"#,
            r#"{"name": "f", "arguments": {"b": 2, "a": 1}}"#,
            r#"<tool_call>{"name": "f", "arguments": {"a": 1, "b": 2}}</tool_call>"#,
            r#"{"name": "g", "arguments": {}}"#,
            "I cannot call anything.",
            r#"{"name": "f", "arguments": "{\"a\": "}"#,
        ];
        let candidates = texts.map(|text| Candidate { text: text.to_owned(), ..Default::default() });
        let found = call_classes(&candidates, &[]);
        assert_eq!(found.classes[0].candidates, [0, 1, 2]);
        assert_eq!(found.classes[0].answer, r#"{"name":"f","arguments":{"a":1,"b":2}}"#);
        assert_eq!(found.classes[1].answer, r#"{"name":"g","arguments":{}}"#);
        assert_eq!(found.no_answer[4..], [Some(NoAnswer::Refusal), Some(NoAnswer::Invalid)]);
    }
}
