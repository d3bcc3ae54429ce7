//! `conclave grade`: judges pairs of a reference and a prediction, a line a pair.
//!
//! Every field of a pair passes through, in its place. Where the input already has a field called `answer` or `equivalent` (test
//! suites have the expected verdict there), the output has ours under that name and the input's as `input_answer` or
//! `input_equivalent`; where that exists too, the file has been graded before and the oldest is kept.

mod judge;

use anyhow::Result;
use conclave_core::Verdict;
use conclave_core::grade::Grade;
use conclave_core::kinds::KindGrade;
use conclave_core::sample_set::JsonLines;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::Outcome;
use crate::arguments::GradeArguments;
use crate::input::{Source, Tally};
use crate::kinds::Schemas;
use crate::messages::count;
use crate::output::Output;
use judge::{Judge, put_fields};

/// Runs the command.
pub fn run(arguments: &GradeArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.pairs)?;
    let mut output = Output::open(arguments.out.as_deref())?;
    let mut tally = Tally::default();
    let mut summary = Summary::default();
    let schemas = Schemas::default();
    let judge = Judge::new(&arguments.answers, &schemas)?;
    for source in &sources {
        source.read(&mut tally, JsonLines::new, |pair: Pair| {
            let verdict = judge.verdict([pair.text(REFERENCE)], pair.text(PREDICTION))?;
            let row = graded(pair, &verdict);
            summary.add(&row, &verdict.grade);
            output.json_line(&row)
        })?;
    }
    output.finish_after(&tally, Some(summary.text()))
}

const REFERENCE: &str = "reference";
const PREDICTION: &str = "prediction";

/// A line of the input: an object in which both texts are there.
#[derive(Debug, Deserialize)]
#[serde(try_from = "Value")]
struct Pair(Map<String, Value>);

impl TryFrom<Value> for Pair {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let Value::Object(row) = value else {
            return Err("expected an object with `reference` and `prediction`".to_owned());
        };
        for field in [REFERENCE, PREDICTION] {
            match row.get(field) {
                Some(Value::String(_)) => {}
                Some(other) => return Err(format!("`{field}`: expected a string, found {other}")),
                None => return Err(format!("`{field}`: missing; expected a string")),
            }
        }
        Ok(Pair(row))
    }
}

impl Pair {
    fn text(&self, field: &str) -> &str {
        self.0.get(field).and_then(Value::as_str).unwrap_or_default()
    }
}

fn graded(Pair(mut row): Pair, KindGrade { grade: verdict, fields }: &KindGrade) -> Map<String, Value> {
    for (name, ours) in [
        ("answer", Some(verdict.answer.clone().into())),
        ("no_answer", verdict.no_answer.map(|reason| reason.name().into())),
        ("equivalent", Some(Value::Bool(verdict.equivalent))),
        ("verdict", Some(name(verdict.verdict).into())),
    ] {
        // Of an earlier grading.
        let Some(ours) = ours else {
            row.shift_remove(name);
            continue;
        };
        if let Some(theirs) = row.shift_remove(name).filter(|_| matches!(name, "answer" | "equivalent")) {
            row.entry(format!("input_{name}")).or_insert(theirs);
        }
        row.insert(name.to_owned(), ours);
    }
    put_fields(&mut row, fields.as_deref());
    row
}

fn name(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Same => "same",
        Verdict::Different => "different",
        Verdict::Unknown => "unknown",
    }
}

/// Totals over all pairs, and how often the input's own verdict was the same.
#[derive(Default)]
struct Summary {
    pairs: u64,
    equivalent: u64,
    unknown: u64,
    labelled: u64,
    only_ours: u64,
    only_theirs: u64,
}

impl Summary {
    fn add(&mut self, row: &Map<String, Value>, verdict: &Grade) {
        self.pairs += 1;
        self.equivalent += u64::from(verdict.equivalent);
        self.unknown += u64::from(verdict.verdict == Verdict::Unknown);
        if let Some(label) = row.get("input_equivalent").and_then(Value::as_bool) {
            self.labelled += 1;
            self.only_ours += u64::from(verdict.equivalent && !label);
            self.only_theirs += u64::from(!verdict.equivalent && label);
        }
    }

    fn text(&self) -> String {
        let mut text = format!("{}, {} equivalent", count(self.pairs, "pair"), self.equivalent);
        if self.unknown > 0 {
            text += &format!(", {} unknown", self.unknown);
        }
        if self.labelled > 0 {
            text += &format!(
                "; agrees with the input's own `equivalent` on {} of {} ({} equivalent only here, {} only there)",
                self.labelled - self.only_ours - self.only_theirs,
                self.labelled,
                self.only_ours,
                self.only_theirs
            );
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn regrade(input: Value, equivalent: bool) -> Value {
        let pair: Pair = serde_json::from_value(input).unwrap();
        Value::Object(graded(
            pair,
            &KindGrade {
                grade: Grade {
                    answer: Some("2".to_owned()),
                    no_answer: None,
                    equivalent,
                    verdict: Verdict::known(equivalent),
                },
                fields: None,
            },
        ))
    }

    #[test]
    fn fields_pass_through() {
        let input = json!({"id": 7, "prediction": "two", "reference": "2", "nested": {"a": [1.5]}});
        let expected = json!({"id": 7, "prediction": "two", "reference": "2", "nested": {"a": [1.5]},
            "answer": "2", "equivalent": true, "verdict": "same"});
        // As text: the order of the fields is kept too.
        assert_eq!(regrade(input, true).to_string(), expected.to_string());
    }

    #[test]
    fn the_inputs_own_verdict_is_kept_however_often_it_is_graded() {
        let input = json!({"reference": "2", "prediction": "2", "equivalent": false, "answer": 3});
        let once = regrade(input, true);
        let expected = json!({"reference": "2", "prediction": "2", "input_answer": 3, "answer": "2",
            "input_equivalent": false, "equivalent": true, "verdict": "same"});
        assert_eq!(once, expected);
        assert_eq!(regrade(once.clone(), true), once);
    }
}
