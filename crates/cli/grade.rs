//! `conclave grade`: judges pairs of a reference and a prediction.
//!
//! Every field of a pair passes through, in its place; the two that are judged get their own names where they had others. Where the
//! input already has a field called `answer` or `equivalent` (test suites have the expected verdict there), the output has ours
//! under that name and the input's as `input_answer` or `input_equivalent`; where that exists too, the file has been graded before
//! and the oldest is kept.

mod judge;
mod pair;

use anyhow::{Context, Result};
use conclave_core::Verdict;
use conclave_core::grade::Grade;
use conclave_core::kinds::KindGrade;
use conclave_disk::{Inputs, stop};
use serde_json::{Map, Value, json};

use crate::Outcome;
use crate::arguments::GradeArguments;
use crate::input::{Opened, Source, Tally};
use crate::kinds::Schemas;
use crate::messages::{count, say, visible_clipped};
use crate::output::Output;
use crate::shard::Part;
use judge::{Judge, put_fields};
use pair::{Named, Pair};

/// Characters of a reason that a message shows.
const SHOWN: usize = 400;

/// Runs the command.
pub fn run(arguments: &GradeArguments) -> Result<Outcome> {
    let sources = Source::resolve(&arguments.pairs)?;
    let out = arguments.out.as_deref();
    let inputs = Inputs::of(&arguments.pairs).and(arguments.answers.schema());
    let field = arguments.field.as_ref().map(|fields| format!("{fields:?}"));
    let settings = json!({"answers": arguments.answers.settings(), "field": field});
    let part = Part::new(&arguments.work, out, "grade", settings, &arguments.pairs);
    let mut reporter = arguments.work.reporter("grade");
    if let Some(outcome) = part.as_ref().map(|part| part.finished(&inputs)).transpose()?.flatten() {
        return Ok(reporter.skip(outcome));
    }
    stop::listen()?;
    let mut output = Output::open(out, &inputs)?;
    let fields = arguments.field.clone().unwrap_or_default();
    let mut tally = Tally::new(part.is_some());
    let mut summary = Summary::default();
    let schemas = Schemas::default();
    let judge = Judge::new(&arguments.answers, &schemas)?;
    let share = part.as_ref().map(|part| &part.share);
    for source in &sources {
        if stop::is_requested() {
            break;
        }
        let Opened { reader, failure } = source.open()?;
        let is_pair = |value: &Value| Pair::is(value, &fields);
        let values = conclave_files::values(reader, source.argument(), &is_pair, share);
        let values = match values.with_context(|| format!("cannot read `{}`", source.name()))? {
            Ok(values) => values,
            Err(reason) => {
                tally.refuse(source, &reason);
                continue;
            }
        };
        tally.begin(source);
        let mut named = Named::default();
        for element in values {
            if stop::is_requested() {
                break;
            }
            match element.value.and_then(|value| Pair::read(value, &fields, &mut named)) {
                Ok(pair) => {
                    tally.good();
                    reporter.add();
                    for (row, prediction) in pair.rows() {
                        let verdict = judge.verdict(pair.references(), &prediction)?;
                        let row = graded(row, &verdict);
                        summary.add(&row, &verdict.grade);
                        output.json_line(&row)?;
                    }
                }
                Err(reason) => tally.bad(element.line, &reason),
            }
        }
        if !stop::is_requested() {
            tally.end(&failure);
        }
        if let Some(text) = named.text() {
            say(&format!("{}: {}", source.name(), visible_clipped(&text, SHOWN)));
        }
    }
    let outcome = output.finish_part(part.as_ref(), &tally, Outcome::Done, Some(summary.text()))?;
    Ok(reporter.end(outcome))
}

fn graded(
    mut row: Map<String, Value>,
    KindGrade { grade: verdict, fields }: &KindGrade,
) -> Map<String, Value> {
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

    fn regrade(input: Value, equivalent: bool) -> Value {
        Value::Object(graded(
            input.as_object().cloned().unwrap(),
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
