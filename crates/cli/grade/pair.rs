//! A pair as files have it: a reference, or several of which any is right, and a prediction, or a list of them.

use conclave_core::reference::Reference;
use conclave_core::sample_set::Candidate;
use conclave_files::Fields;
use serde_json::{Map, Value};

use crate::messages::count;

const REFERENCE: &str = "reference";
const PREDICTION: &str = "prediction";

/// Other names of the two, which are taken where theirs are missing.
const REFERENCES: &[&str] = &[
    "reference_answer",
    "gold_answer",
    "gold",
    "expected_answer",
    "correct_answer",
    "ground_truth",
    "expected",
    "target",
    "answer",
    "label",
];
const PREDICTIONS: &[&str] = &[
    "response",
    "output",
    "pred",
    "predicted",
    "predicted_answer",
    "completion",
    "generation",
    "model_output",
    "model_answer",
];

/// A line of the input.
#[derive(Debug)]
pub struct Pair {
    row: Map<String, Value>,
    reference: Reference,
    /// What was predicted; of a list, its items.
    predictions: Vec<String>,
    is_list: bool,
}

/// Under which other names the two were found, and how often.
#[derive(Debug, Default)]
pub struct Named(Vec<(&'static str, String, u64)>);

impl Named {
    fn add(&mut self, ours: &'static str, theirs: &str) {
        match self.0.iter_mut().find(|(known, name, _)| *known == ours && name == theirs) {
            Some((_, _, times)) => *times += 1,
            None => self.0.push((ours, theirs.to_owned(), 1)),
        }
    }

    /// A sentence on them, where there are any.
    pub fn text(&self) -> Option<String> {
        let one = |(ours, theirs, times): &(&str, String, u64)| {
            format!("`{theirs}` is taken as the {ours} of {}", count(*times, "pair"))
        };
        let all: Vec<String> = self.0.iter().map(one).collect();
        (!all.is_empty()).then(|| all.join(", "))
    }
}

/// The name under which a row has one of the two.
fn field<'a>(
    row: &Map<String, Value>,
    chosen: &'a Option<String>,
    ours: &'a str,
    others: &[&'a str],
) -> Option<&'a str> {
    if let Some(chosen) = chosen {
        return row.contains_key(chosen).then_some(chosen);
    }
    std::iter::once(ours).chain(others.iter().copied()).find(|name| row.contains_key(*name))
}

impl Pair {
    /// Whether a value has both.
    pub fn is(value: &Value, fields: &Fields) -> bool {
        value.as_object().is_some_and(|row| {
            field(row, &fields.reference, REFERENCE, REFERENCES).is_some()
                && field(row, &fields.candidates, PREDICTION, PREDICTIONS).is_some()
        })
    }

    /// Reads one; what it has under other names gets its own.
    pub fn read(value: Value, fields: &Fields, named: &mut Named) -> Result<Self, String> {
        let Value::Object(row) = value else {
            return Err("expected an object with `reference` and `prediction`".to_owned());
        };
        let missing = |name: &str, chosen: &Option<String>| match chosen {
            Some(chosen) => format!("`{chosen}`: missing, which --field names as the {name}"),
            None => format!("`{name}`: missing; expected a string (--field {name}=NAME names another)"),
        };
        let reference = field(&row, &fields.reference, REFERENCE, REFERENCES);
        let reference = reference.ok_or_else(|| missing(REFERENCE, &fields.reference))?.to_owned();
        let prediction = field(&row, &fields.candidates, PREDICTION, PREDICTIONS);
        let prediction = prediction.ok_or_else(|| missing(PREDICTION, &fields.candidates))?.to_owned();
        let mut renamed = Map::new();
        for (name, value) in row {
            let ours = match name {
                name if name == reference => REFERENCE.to_owned(),
                name if name == prediction => PREDICTION.to_owned(),
                // The places are taken by what the user named.
                name if name == REFERENCE || name == PREDICTION => format!("input_{name}"),
                name => name,
            };
            renamed.insert(ours, value);
        }
        for (ours, theirs) in [(REFERENCE, &reference), (PREDICTION, &prediction)] {
            if ours != theirs.as_str() {
                named.add(ours, theirs);
            }
        }
        let row = renamed;
        let value = row.get(REFERENCE).cloned().unwrap_or(Value::Null);
        let reference = Reference::read(value.clone())
            .map_err(|reason| format!("`{REFERENCE}`: {reason}"))?
            .ok_or_else(|| format!("`{REFERENCE}`: expected an answer, found {value}"))?;
        let value = row.get(PREDICTION).cloned().unwrap_or(Value::Null);
        let text = |value: Value| match value {
            Value::Object(_) | Value::Array(_) => Ok(value.to_string()),
            value => Candidate::try_from(value)
                .map(|one| one.text)
                .map_err(|reason| format!("`{PREDICTION}`: {reason}")),
        };
        let (predictions, is_list) = match value {
            Value::Array(items) => (items.into_iter().map(text).collect::<Result<_, _>>()?, true),
            value => (vec![text(value)?], false),
        };
        Ok(Self { row, reference, predictions, is_list })
    }

    /// The answers that are right.
    pub fn references(&self) -> impl Iterator<Item = &str> {
        self.reference.answers()
    }

    /// The rows of the output, each with its prediction; those of a list have their `index`.
    pub fn rows(&self) -> impl Iterator<Item = (Map<String, Value>, String)> {
        self.predictions.iter().enumerate().map(|(at, text)| {
            let mut row = self.row.clone();
            if self.is_list {
                if let Some(Value::Array(items)) = row.get(PREDICTION) {
                    let item = items.get(at).cloned().unwrap_or(Value::Null);
                    row.insert(PREDICTION.to_owned(), item);
                }
                if let Some(theirs) = row.shift_remove("index") {
                    row.entry("input_index").or_insert(theirs);
                }
                row.insert("index".to_owned(), at.into());
            }
            (row, text.clone())
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(value: Value) -> Result<Pair, String> {
        Pair::read(value, &Fields::default(), &mut Named::default())
    }

    #[test]
    fn what_is_meant_is_read() {
        let pair = read(json!({"reference": 18, "prediction": 18.0})).unwrap();
        assert_eq!(
            (pair.references().collect::<Vec<_>>(), pair.predictions.as_slice()),
            (vec!["18"], &["18.0".to_owned()][..])
        );
        let pair = read(json!({"reference": ["a", "b"], "prediction": null})).unwrap();
        assert_eq!((pair.references().count(), pair.predictions.as_slice()), (2, &[String::new()][..]));
        let pair = read(json!({"reference": "18", "index": "x", "prediction": ["18", 20]})).unwrap();
        let rows: Vec<Value> = pair.rows().map(|(row, _)| Value::Object(row)).collect();
        assert_eq!(rows[1], json!({"reference": "18", "prediction": 20, "input_index": "x", "index": 1}));
        for bad in [json!([]), json!({"reference": null, "prediction": "1"}), json!({"reference": "1"})] {
            assert!(read(bad.clone()).is_err(), "{bad}");
        }
    }

    #[test]
    fn other_names_become_ours() {
        let mut named = Named::default();
        let pair =
            Pair::read(json!({"id": 1, "answer": "18", "output": "x"}), &Fields::default(), &mut named)
                .unwrap();
        let (row, _) = pair.rows().next().unwrap();
        assert_eq!(Value::Object(row).to_string(), r#"{"id":1,"reference":"18","prediction":"x"}"#);
        assert_eq!(
            named.text().unwrap(),
            "`answer` is taken as the reference of 1 pair, `output` is taken as the prediction of 1 pair"
        );
        let fields = Fields::parse("reference=a,prediction=b").unwrap();
        assert!(Pair::read(json!({"reference": "1", "prediction": "1"}), &fields, &mut named).is_err());
    }
}
