//! The answers that are known to be right.

use std::fmt;
use std::ops::Deref;

use serde::{Deserialize, Serialize, Serializer};
use serde_json::Value;

use crate::equivalence::{Answer, Verdict, compare};
use crate::grade::reference_answer;
use crate::sample_set::{kind, number_text};

/// What a set's answer should be: one answer, or several of which any is right. It stands for its first where one text is asked
/// for.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(try_from = "Value")]
pub struct Reference {
    first: String,
    others: Vec<String>,
}

impl Reference {
    /// Reads a reference as files have it: a text, a number, true or false, an object (a record, kept as its JSON), or a list of
    /// these; null and an empty list are none. Of a worked solution in the style of GSM8K, the answer behind `####`.
    ///
    /// # Errors
    /// What was expected, where there is an empty text, a list within a list, or a number whose digits would be lost.
    pub fn read(value: Value) -> Result<Option<Self>, String> {
        let mut answers = match value {
            Value::Null => return Ok(None),
            Value::Array(answers) => answers
                .into_iter()
                .filter(|answer| !answer.is_null())
                .map(one)
                .collect::<Result<Vec<_>, _>>()?,
            answer => vec![one(answer)?],
        };
        if answers.is_empty() {
            return Ok(None);
        }
        let first = answers.remove(0);
        Ok(Some(Self { first, others: answers }))
    }

    /// Any of several answers, as they stand; none where there are none.
    pub fn any_of<'a>(answers: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        let mut answers = answers.into_iter().map(str::to_owned);
        let first = answers.next()?;
        Some(Self { first, others: answers.collect() })
    }

    /// The answer that is shown and trained towards.
    pub fn first(&self) -> &str {
        &self.first
    }

    /// All answers that are right.
    pub fn answers(&self) -> impl Iterator<Item = &str> {
        std::iter::once(self.first.as_str()).chain(self.others.iter().map(String::as_str))
    }

    /// The answers as they are compared: parsed once for many comparisons.
    pub fn parsed(&self) -> ParsedReference {
        ParsedReference(self.answers().map(reference_answer).collect())
    }

    /// Whether `answer` is one of them.
    pub fn accepts(&self, answer: &Answer) -> bool {
        self.parsed().verdict(answer).is_same()
    }
}

/// A reference that was parsed.
#[derive(Debug, Clone)]
pub struct ParsedReference(Vec<Answer>);

impl ParsedReference {
    /// The best that is known of `answer` and any of the references: the same as one, else unknown for one, else different.
    pub fn verdict(&self, answer: &Answer) -> Verdict {
        let mut best = Verdict::Different;
        for reference in &self.0 {
            match compare(reference, answer) {
                Verdict::Same => return Verdict::Same,
                Verdict::Unknown => best = Verdict::Unknown,
                Verdict::Different => {}
            }
        }
        best
    }

    /// Whether `answer` is the same as one of them.
    pub fn accepts(&self, answer: &Answer) -> bool {
        self.verdict(answer).is_same()
    }
}

fn one(value: Value) -> Result<String, String> {
    let text = match value {
        Value::String(text) => text,
        Value::Number(number) => return number_text(&number, "reference_answer"),
        Value::Array(_) => return Err("expected a text, found a list within a list".to_owned()),
        other => crate::json_text(&other),
    };
    // GSM8K keeps the answer behind its worked solution.
    let marked = text.trim_start().starts_with("####") || text.contains("\n####");
    let answer = match text.rsplit_once("####") {
        Some((_, answer)) if marked => answer.trim().to_owned(),
        _ => text,
    };
    match answer.trim().is_empty() {
        true => Err("is empty: leave the field out where there is none".to_owned()),
        false => Ok(answer),
    }
}

impl Deref for Reference {
    type Target = str;

    fn deref(&self) -> &str {
        &self.first
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.first)
    }
}

impl From<String> for Reference {
    fn from(first: String) -> Self {
        Self { first, others: Vec::new() }
    }
}

impl From<&str> for Reference {
    fn from(first: &str) -> Self {
        first.to_owned().into()
    }
}

impl TryFrom<Value> for Reference {
    type Error = String;

    fn try_from(value: Value) -> Result<Self, String> {
        let found = kind(&value);
        Self::read(value)?.ok_or_else(|| format!("expected an answer, found {found} without one"))
    }
}

impl Serialize for Reference {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.others.is_empty() {
            true => serializer.serialize_str(&self.first),
            false => serializer.collect_seq(self.answers()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn reference(value: Value) -> Reference {
        Reference::read(value).unwrap().unwrap()
    }

    #[test]
    fn any_of_several_is_right() {
        let several = reference(json!(["18", 19, null]));
        let right = |text: &str| several.accepts(&Answer::parse(text));
        assert!(right("18.0") && right("19") && !right("20"));
        assert_eq!(serde_json::to_string(&several).unwrap(), r#"["18","19"]"#);
        assert_eq!(serde_json::from_str::<Reference>(r#"["18","19"]"#).unwrap(), several);
        assert_eq!(serde_json::to_string(&reference(json!("7"))).unwrap(), r#""7""#);
    }

    #[test]
    fn what_is_meant_is_read() {
        let first = |value| reference(value).first().to_owned();
        assert_eq!(first(json!("16 - 3 = 13\n#### 1,800 ")), "1,800");
        assert_eq!(first(json!(true)), "true");
        assert_eq!(first(json!({"a": [1]})), r#"{"a":[1]}"#);
        assert_eq!(Reference::read(json!([])), Ok(None));
        assert_eq!(Reference::read(Value::Null), Ok(None));
        for bad in [json!(" "), json!("####"), json!([["7"]]), json!(1e300)] {
            assert!(Reference::read(bad.clone()).is_err(), "{bad}");
        }
    }
}
