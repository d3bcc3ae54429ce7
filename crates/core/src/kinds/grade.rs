//! Grading by kind: one prediction against the answers that are right.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::classes::record_reading;
use super::{AnswerKind, BallotError, VoteOptions, options, read_text, schema_check};
use crate::equivalence::Verdict;
use crate::grade::{Grade, grade};
use crate::reader::{Reading, Tier, read};
use crate::record::{FieldComparison, compare_records, read_records};
use crate::reference::Reference;
use crate::sample_set::Candidate;
use crate::tool_call::{answer_text, read_calls};

/// The verdict on one prediction by its kind.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct KindGrade {
    /// Answer and verdict. `unknown` is of mathematics alone.
    #[serde(flatten)]
    pub grade: Grade,
    /// The fields of a record that is not the same as its reference; of several references the one with most
    /// fields the same.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fields: Option<Vec<FieldComparison>>,
}

/// Grades a prediction, a bare answer or a whole text, against a reference, of whose answers any is right.
///
/// # Errors
/// Where a schema cannot be used.
pub fn grade_as(
    kind: &AnswerKind,
    reference: &Reference,
    prediction: &str,
    options: &VoteOptions,
) -> Result<KindGrade, BallotError> {
    if *kind == AnswerKind::Math {
        return Ok(KindGrade { grade: grade_math(reference, prediction), fields: None });
    }
    let candidate = Candidate { text: prediction.to_owned(), ..Default::default() };
    let reading = match kind {
        AnswerKind::Math | AnswerKind::Choice => options::chosen(read(prediction, false)),
        AnswerKind::Labels(labels) => labels.read(prediction, false),
        AnswerKind::Text => read_text(prediction, false),
        AnswerKind::ToolCall => match read_calls(&candidate) {
            Ok(calls) => Reading::found(answer_text(&calls), Tier::Json),
            Err(reason) => Reading::none(reason),
        },
        AnswerKind::Json(schema) => {
            let check = schema_check(schema.as_ref(), options)?;
            let validate = check.as_ref().map(|check| check as &dyn Fn(&Value) -> Option<String>);
            let records = read_records(std::slice::from_ref(&candidate), validate);
            records.first().map_or_else(|| read(prediction, false), record_reading)
        }
    };
    let answer = reading.answer.as_deref();
    let equivalent = answer.is_some_and(|answer| kind.accepts(reference, answer, reading.found_by, options));
    let fields = match (kind, answer, equivalent) {
        (AnswerKind::Json(_), Some(answer), false) => nearest(reference, answer, options),
        _ => None,
    };
    let grade = Grade {
        answer: reading.answer,
        no_answer: reading.no_answer,
        equivalent,
        verdict: Verdict::known(equivalent),
    };
    Ok(KindGrade { grade, fields })
}

/// The best verdict of several references: the same as one, else unknown for one, else different.
fn grade_math(reference: &Reference, prediction: &str) -> Grade {
    let mut best = grade(reference.first(), prediction);
    for answer in reference.answers().skip(1) {
        if best.equivalent {
            break;
        }
        let other = grade(answer, prediction);
        // The first of equals: what is read in the prediction is the same for all.
        if other.equivalent || other.verdict == Verdict::Unknown && best.verdict == Verdict::Different {
            best = other;
        }
    }
    best
}

/// The fields beside those of the reference that has most of them; none where no reference is a record.
fn nearest(reference: &Reference, answer: &str, options: &VoteOptions) -> Option<Vec<FieldComparison>> {
    let answer: Value = serde_json::from_str(answer).ok()?;
    let known = reference.answers().filter_map(|known| serde_json::from_str::<Value>(known).ok());
    let compared = known.map(|known| compare_records(&known, &answer, &options.record));
    let same = |fields: &Vec<FieldComparison>| fields.iter().filter(|field| field.same).count();
    let mut best: Option<Vec<FieldComparison>> = None;
    for fields in compared {
        if best.as_ref().is_none_or(|best| same(&fields) > same(best)) {
            best = Some(fields);
        }
    }
    best
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn graded(kind: &str, reference: Value, prediction: &str) -> KindGrade {
        let kind = AnswerKind::parse(kind).unwrap().unwrap();
        let reference = Reference::read(reference).unwrap().unwrap();
        grade_as(&kind, &reference, prediction, &VoteOptions::default()).unwrap()
    }

    fn verdict(kind: &str, reference: Value, prediction: &str) -> (Option<String>, &'static str) {
        let KindGrade { grade, .. } = graded(kind, reference, prediction);
        assert_eq!(grade.equivalent, grade.verdict.is_same());
        let name = match grade.verdict {
            Verdict::Same => "same",
            Verdict::Different => "different",
            Verdict::Unknown => "unknown",
        };
        (grade.answer, name)
    }

    #[test]
    fn each_kind_has_its_verdict() {
        let cases = [
            ("labels=spam,ham", json!("spam"), "Label: SPAM", Some("spam"), "same"),
            ("labels=spam,ham", json!("spam"), "ham, because it is short", Some("ham"), "different"),
            ("labels=spam,ham", json!(["spam", "ham"]), "ham", Some("ham"), "same"),
            ("labels=spam,ham", json!("spam"), "perhaps", None, "different"),
            ("text", json!("the Eiffel Tower"), "Eiffel tower.", Some("Eiffel tower."), "same"),
            ("text", json!("Paris"), "Lyon", Some("Lyon"), "different"),
            ("choice", json!("b"), "The answer is B", Some("B"), "same"),
            ("choice", json!("C"), "(b)", Some("B"), "different"),
            ("math", json!(["18", "19"]), "19.0", Some("19.0"), "same"),
            ("math", json!(["18", "19"]), "20", Some("20"), "different"),
            ("json", json!({"a": 1, "b": "x"}), r#"{"b":"x","a":1.0}"#, Some(r#"{"b":"x","a":1.0}"#), "same"),
        ];
        for (kind, reference, prediction, answer, name) in cases {
            let expected = (answer.map(str::to_owned), name);
            assert_eq!(
                verdict(kind, reference.clone(), prediction),
                expected,
                "{kind} {reference} {prediction}"
            );
        }
        let call = |day: &str| format!(r#"{{"name":"book","arguments":{{"day":"{day}"}}}}"#);
        let reference: Value = serde_json::from_str(&call("Mon")).unwrap();
        assert_eq!(verdict("tool-call", reference.clone(), &call("Mon")).1, "same");
        assert_eq!(verdict("tool-call", reference, &call("Tue")).1, "different");
    }

    #[test]
    fn fields_say_where_a_record_differs() {
        let reference = json!([{"a": 2, "b": "y"}, {"a": 1, "b": "x"}]);
        let grade = graded("json", reference.clone(), r#"{"a":1,"b":"z"}"#);
        let fields: Vec<(String, bool)> =
            grade.fields.unwrap().into_iter().map(|field| (field.path, field.same)).collect();
        assert_eq!(fields, [("/a".to_owned(), true), ("/b".to_owned(), false)]);
        assert_eq!(graded("json", reference.clone(), r#"{"a":1,"b":"x"}"#).fields, None);
        assert_eq!(graded("json", reference, "no record").fields, None);
    }
}
