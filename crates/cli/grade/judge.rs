//! The verdict on a pair by the kind of its answers.

use anyhow::Result;
use conclave_core::kinds::{AnswerKind, KindGrade, VoteOptions, grade_as};
use conclave_core::record::FieldComparison;
use conclave_core::reference::Reference;
use serde_json::{Map, Value, json};

use crate::kinds::{AnswerArguments, Schemas};

/// Judges predictions by one kind; mathematics where none is said.
pub struct Judge<'a> {
    kind: AnswerKind,
    options: VoteOptions<'a>,
}

impl<'a> Judge<'a> {
    /// The judge that the flags ask for.
    pub fn new(arguments: &AnswerArguments, schemas: &'a Schemas) -> Result<Self> {
        let options = arguments.options(schemas)?;
        Ok(Self { kind: options.kind.clone().unwrap_or(AnswerKind::Math), options })
    }

    /// The verdict on a prediction; any of the references is right.
    pub fn verdict<'t>(
        &self,
        references: impl IntoIterator<Item = &'t str>,
        prediction: &str,
    ) -> Result<KindGrade> {
        let reference = Reference::any_of(references).unwrap_or_else(|| Reference::from(""));
        Ok(grade_as(&self.kind, &reference, prediction, &self.options)?)
    }
}

/// Puts which fields of a record say the same as the reference into a graded pair. Those of an earlier
/// grading go; what the input had under that name becomes `input_fields`.
pub fn put_fields(row: &mut Map<String, Value>, fields: Option<&[FieldComparison]>) {
    if row.get("fields").is_some_and(are_ours) {
        row.shift_remove("fields");
    }
    if let Some(fields) = fields {
        if let Some(theirs) = row.shift_remove("fields") {
            row.entry("input_fields").or_insert(theirs);
        }
        row.insert("fields".to_owned(), same_fields(fields));
    }
}

/// Whether the fields of an input are those of an earlier grading.
fn are_ours(fields: &Value) -> bool {
    let is_ours =
        |field: &Value| field.get("path").is_some() && field.get("same").is_some_and(Value::is_boolean);
    fields.as_array().is_some_and(|fields| !fields.is_empty() && fields.iter().all(is_ours))
}

/// Which fields of a record say the same as the reference.
fn same_fields(fields: &[FieldComparison]) -> Value {
    fields.iter().map(|field| json!({"path": field.path, "same": field.same})).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_of_the_input_are_kept() {
        let differs = [FieldComparison { path: "/a".to_owned(), expected: None, found: None, same: false }];
        let Value::Object(mut row) = json!({"fields": ["theirs"]}) else { panic!("an object") };
        put_fields(&mut row, None);
        assert_eq!(row["fields"], json!(["theirs"]));
        for _ in 0..2 {
            put_fields(&mut row, Some(&differs));
            assert_eq!(row["fields"], json!([{"path": "/a", "same": false}]));
            assert_eq!(row["input_fields"], json!(["theirs"]));
        }
        put_fields(&mut row, None);
        assert_eq!(row.get("fields"), None);
    }
}
