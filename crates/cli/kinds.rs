//! What the answers of sets are, as flags say it, and JSON Schemas, which this host checks with a library.

use std::cell::RefCell;
use std::collections::HashMap;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use conclave_core::kinds::{AnswerKind, Rule, SchemaCheck, Ties, VoteOptions};
use conclave_core::record::RecordOptions;
use serde_json::{Value, json};

use crate::UsageError;
use crate::messages::visible_clipped;

/// Characters of a schema's message that are shown.
const SHOWN: usize = 200;

/// The flags that say what answers are and how they are compared.
#[derive(Args, Debug, Clone, Default)]
pub struct AnswerArguments {
    /// What the answers are: math, choice, labels=A,B,..., json, json=SCHEMA.json, tool-call, text, or auto, which sees it in
    /// each set [default: auto; for pairs math]
    #[arg(long, value_name = "KIND")]
    pub answers: Option<String>,

    /// Numbers of records are the same where they differ by at most this share of the larger
    #[arg(long, value_name = "SHARE", default_value_t = 0.0, value_parser = share)]
    pub tolerance: f64,

    /// Arguments of tool calls that are not compared: names, paths such as options.seed, or tool:name
    #[arg(long, value_name = "A,B", value_delimiter = ',')]
    pub ignore_arguments: Vec<String>,
}

/// The flags that say when votes decide.
#[derive(Args, Debug, Clone, Default)]
pub struct RuleArguments {
    /// Votes needed for an answer, of all candidates: plurality, strict (more than half), unanimous, at-least=M
    /// [default: strict for text, else plurality]
    #[arg(long, value_name = "RULE", value_parser = rule)]
    pub rule: Option<Rule>,

    /// Who wins a tie [default: first for math and choice, else abstain]
    #[arg(long, value_enum)]
    pub ties: Option<TiesName>,

    /// Take the median of the labels, in the order of their list
    #[arg(long)]
    pub ordinal: bool,
}

/// All that decides the vote of a set.
#[derive(Args, Debug, Clone, Default)]
pub struct KindArguments {
    /// What answers are.
    #[command(flatten)]
    pub answers: AnswerArguments,

    /// When votes decide.
    #[command(flatten)]
    pub rules: RuleArguments,

    /// Fields of records with a lower share of the votes are marked for review
    #[arg(long, value_name = "SHARE", default_value_t = 0.5, value_parser = share)]
    pub review_below: f64,
}

/// Who wins a tie.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum TiesName {
    /// The earliest candidate
    First,
    /// Nobody: there is no answer
    Abstain,
}

fn rule(text: &str) -> Result<Rule, String> {
    Rule::parse(text).ok_or_else(|| "must be plurality, strict, unanimous or at-least=M".to_owned())
}

/// A share, for all commands that have one.
pub fn share(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if (0.0..=1.0).contains(&value) => Ok(value),
        _ => Err("must be a number from 0 to 1".to_owned()),
    }
}

impl AnswerArguments {
    /// The options of comparisons; `schemas` checks records.
    pub fn options<'a>(&self, schemas: &'a Schemas) -> Result<VoteOptions<'a>> {
        let kind = match self.answers.as_deref() {
            None => None,
            Some(written) => self.kind(written, schemas)?,
        };
        Ok(VoteOptions {
            kind,
            record: RecordOptions { tolerance: self.tolerance, ..RecordOptions::default() },
            ignore_arguments: self.ignore_arguments.clone(),
            schema_check: Some(schemas),
            ..VoteOptions::default()
        })
    }

    fn kind(&self, written: &str, schemas: &Schemas) -> Result<Option<AnswerKind>> {
        // What stands behind `json=` is a file.
        if let Some(file) = written.trim().strip_prefix("json=") {
            let path = PathBuf::from(file);
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the JSON Schema `{}`", path.display()))?;
            let schema: Value = serde_json::from_str(&text)
                .with_context(|| format!("`{}` is not JSON: expected a JSON Schema", path.display()))?;
            if let Err(reason) = schemas.check(&schema, &Value::Null) {
                bail!("`{}` is no JSON Schema: {}", path.display(), visible_clipped(&reason, SHOWN));
            }
            return Ok(Some(AnswerKind::Json(Some(schema))));
        }
        AnswerKind::parse(written)
            .map_err(|error| anyhow::Error::new(UsageError(format!("--answers: {error}"))))
    }
}

impl AnswerArguments {
    /// The file of a schema, where one is named.
    pub fn schema(&self) -> Option<PathBuf> {
        self.answers.as_deref()?.trim().strip_prefix("json=").map(PathBuf::from)
    }

    /// What decides the rows of a run that is continued.
    pub fn settings(&self) -> Value {
        json!({
            "answers": self.answers,
            "tolerance": self.tolerance,
            "ignore_arguments": self.ignore_arguments,
        })
    }
}

impl RuleArguments {
    /// Whether any of them is given.
    pub fn are_given(&self) -> bool {
        self.rule.is_some() || self.ties.is_some() || self.ordinal
    }

    /// `options` with these rules.
    pub fn decide<'a>(&self, options: VoteOptions<'a>) -> Result<VoteOptions<'a>> {
        let has_order =
            matches!(&options.kind, Some(AnswerKind::Labels(labels)) if !labels.names().is_empty());
        if self.ordinal && !has_order {
            bail!(UsageError(
                "--ordinal needs the labels in their order: --answers labels=low,medium,high".to_owned()
            ));
        }
        let ties = self.ties.map(|ties| match ties {
            TiesName::First => Ties::First,
            TiesName::Abstain => Ties::Abstain,
        });
        Ok(VoteOptions { rule: self.rule, ties, is_ordinal: self.ordinal, ..options })
    }
}

impl KindArguments {
    /// The options of votes; `schemas` checks records.
    pub fn options<'a>(&self, schemas: &'a Schemas) -> Result<VoteOptions<'a>> {
        let mut options = self.rules.decide(self.answers.options(schemas)?)?;
        options.record.review_below = self.review_below;
        Ok(options)
    }

    /// What decides the rows of a run that is continued.
    pub fn settings(&self) -> Value {
        json!({
            "answers": self.answers.answers,
            "rule": self.rules.rule.map(|rule| format!("{rule:?}")),
            "ties": self.rules.ties.map(|ties| format!("{ties:?}")),
            "ordinal": self.rules.ordinal,
            "tolerance": self.answers.tolerance,
            "review_below": self.review_below,
            "ignore_arguments": self.answers.ignore_arguments,
        })
    }
}

/// JSON Schemas, each made ready once.
#[derive(Default)]
pub struct Schemas {
    ready: RefCell<HashMap<String, Result<jsonschema::Validator, String>>>,
}

impl SchemaCheck for Schemas {
    fn check(&self, schema: &Value, record: &Value) -> Result<Option<String>, String> {
        let mut ready = self.ready.borrow_mut();
        let validator = ready.entry(schema.to_string()).or_insert_with(|| {
            // Nothing is fetched: a schema that refers to another address is an error.
            jsonschema::validator_for(schema).map_err(|error| error.to_string())
        });
        match validator {
            Ok(validator) => Ok(validator.iter_errors(record).next().map(|error| {
                let place = error.instance_path().to_string();
                let place = if place.is_empty() { String::new() } else { format!("{place}: ") };
                visible_clipped(&format!("{place}{error}"), SHOWN)
            })),
            Err(reason) => Err(reason.clone()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schemas_say_what_is_wrong() {
        let schemas = Schemas::default();
        let schema = json!({"type": "object", "required": ["name"], "properties": {"age": {"type": "integer", "minimum": 0}}});
        assert_eq!(schemas.check(&schema, &json!({"name": "Ada", "age": 36})), Ok(None));
        let reason = schemas.check(&schema, &json!({"name": "Ada", "age": -1})).unwrap().unwrap();
        assert!(reason.starts_with("/age: "), "{reason}");
        assert!(schemas.check(&schema, &json!({})).unwrap().unwrap().contains("name"));
        assert!(schemas.check(&json!({"type": "strange"}), &Value::Null).is_err());
        let remote = json!({"$ref": "https://example.com/schema.json"});
        assert!(schemas.check(&remote, &Value::Null).is_err(), "nothing is fetched");
    }
}
