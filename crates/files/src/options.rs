//! What a user may say about files that do not say it themselves: their layout, the names of their fields, where the problems are.

use std::collections::HashMap;

use conclave_core::sample_set::SampleSet;

use crate::layout::Layout;
use crate::shard::Share;

/// How files are read.
#[derive(Debug, Default)]
pub struct Options {
    /// The layout; found out where it is not said.
    pub from: Option<Layout>,
    /// The names of fields.
    pub fields: Fields,
    /// Problems and references by id, for layouts without them.
    pub problems: Option<HashMap<String, SampleSet>>,
    /// Whether sets without candidates are what is asked for.
    pub problems_only: bool,
    /// The shard that is read, where it is not all.
    pub share: Option<Share>,
}

/// Names of fields that a user gave.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Fields {
    /// Of the name of the problem.
    pub id: Option<String>,
    /// Of the problem.
    pub problem: Option<String>,
    /// Of the reference answer.
    pub reference: Option<String>,
    /// Of the candidates, or of one.
    pub candidates: Option<String>,
}

impl Fields {
    /// Reads `problem=question,candidates=outs`.
    ///
    /// # Errors
    /// What was expected.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut fields = Self::default();
        for pair in text.split(',') {
            let Some((ours, theirs)) =
                pair.split_once('=').map(|(ours, theirs)| (ours.trim(), theirs.trim()))
            else {
                return Err(format!("expected OURS=THEIRS, as in `problem=question`, found `{pair}`"));
            };
            let field = match ours {
                "id" => &mut fields.id,
                "problem" => &mut fields.problem,
                "reference_answer" | "reference" => &mut fields.reference,
                "candidates" | "candidate" | "text" | "prediction" => &mut fields.candidates,
                _ => {
                    return Err(format!(
                        "`{ours}` is no field of a set: `id`, `problem`, `reference_answer` or `candidates`"
                    ));
                }
            };
            if theirs.is_empty() {
                return Err(format!("`{ours}=` names no field of the file"));
            }
            *field = Some(theirs.to_owned());
        }
        Ok(fields)
    }

    /// Whether nothing was said.
    pub fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_pairs() {
        let fields = Fields::parse("problem=question, reference_answer=gold,candidates=outs").unwrap();
        assert_eq!(
            (fields.problem.as_deref(), fields.reference.as_deref()),
            (Some("question"), Some("gold"))
        );
        for bad in ["", "problem", "problem=", "prob=x"] {
            assert!(Fields::parse(bad).is_err(), "{bad}");
        }
    }
}
