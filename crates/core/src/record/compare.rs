//! A record beside a reference, field by field.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::RecordOptions;
use super::lists::slots;
use super::scalar::Scalar;

/// One field of a record and its reference.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct FieldComparison {
    /// JSON Pointer; an element of a list that the reference does not have is `/items/-`.
    pub path: String,
    /// What the reference has; absent where it has no such field.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::present")]
    pub expected: Option<Value>,
    /// What the answer has; absent where it has no such field.
    #[serde(default, skip_serializing_if = "Option::is_none", with = "super::present")]
    pub found: Option<Value>,
    /// Whether both say the same.
    pub same: bool,
}

/// Whether a record says what its reference says, in every field, with no field more. Lists are the same in
/// any order.
pub fn same_record(reference: &Value, answer: &Value, options: &RecordOptions) -> bool {
    compare_records(reference, answer, options).iter().all(|field| field.same)
}

/// Compares the fields of a record with those of its reference, in the reference's order, then those that it
/// has not.
pub fn compare_records(reference: &Value, answer: &Value, options: &RecordOptions) -> Vec<FieldComparison> {
    let mut fields = Vec::new();
    compare("", Some(reference), Some(answer), options.tolerance, &mut fields);
    fields
}

fn compare(
    path: &str,
    expected: Option<&Value>,
    found: Option<&Value>,
    tolerance: f64,
    out: &mut Vec<FieldComparison>,
) {
    let before = out.len();
    match (expected, found) {
        (Some(Value::Object(expected)), Some(Value::Object(found))) => {
            let more = found.keys().filter(|name| !expected.contains_key(*name));
            for name in expected.keys().chain(more) {
                let path = super::child(path, name);
                compare(&path, expected.get(name), found.get(name), tolerance, out);
            }
        }
        (Some(Value::Array(expected)), Some(Value::Array(found))) => {
            for slot in slots(&[expected, found]) {
                let of =
                    |list: usize| slot.members.iter().find(|member| member.0 == list).map(|member| member.1);
                let path = match of(0) {
                    Some(item) => format!("{path}/{item}"),
                    None => format!("{path}/-"),
                };
                let found = of(1).and_then(|item| found.get(item));
                compare(&path, of(0).and_then(|item| expected.get(item)), found, tolerance, out);
            }
        }
        _ => {
            let same = match (expected.and_then(Scalar::of), found.and_then(Scalar::of)) {
                (Some(a), Some(b)) => a.key() == b.key() || a.is_near(&b, tolerance),
                _ => false,
            };
            out.push(FieldComparison {
                path: path.to_owned(),
                expected: expected.cloned(),
                found: found.cloned(),
                same,
            });
            return;
        }
    }
    // Both are empty.
    if out.len() == before {
        let (expected, found) = (expected.cloned(), found.cloned());
        out.push(FieldComparison { path: path.to_owned(), expected, found, same: true });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn fields_are_compared_one_by_one() {
        let reference =
            json!({"total": 12, "date": "2024-03-05", "tags": ["a", "b"], "none": [], "note": null});
        let answer =
            json!({"date": "March 5, 2024", "total": "$12.00", "tags": ["B", "a"], "none": [], "note": null});
        let options = RecordOptions::default();
        assert!(same_record(&reference, &answer, &options));
        let answer = json!({"total": 13, "date": "2024-03-05", "tags": ["a", "c"], "none": {}, "more": 1});
        let compared = compare_records(&reference, &answer, &options);
        let wrong: Vec<&str> =
            compared.iter().filter(|field| !field.same).map(|field| field.path.as_str()).collect();
        assert_eq!(wrong, ["/total", "/tags/1", "/tags/-", "/none", "/note", "/more"]);
        assert!(same_record(&json!([1]), &json!([1.0]), &options));
        assert!(!same_record(&json!({}), &json!([]), &options));
    }

    #[test]
    fn a_comparison_is_a_line() {
        let compared = compare_records(&json!({"a": null}), &json!({"b": 1}), &RecordOptions::default());
        let line = serde_json::to_string(&compared).unwrap();
        assert_eq!(
            line,
            r#"[{"path":"/a","expected":null,"same":false},{"path":"/b","found":1,"same":false}]"#
        );
        assert_eq!(serde_json::from_str::<Vec<FieldComparison>>(&line).unwrap(), compared);
    }
}
