//! Files of problems and references by id, for the answers of APIs, which name their problem by its id alone.

use std::collections::HashMap;
use std::io::{self, BufRead};

use conclave_core::sample_set::{LineError, SampleSet};
use serde_json::{Map, Value};

use crate::options::Options;
use crate::read::SetReader;
use crate::row::Row;
use crate::text::question;

/// Reads problems in any layout into `problems`, by their ids; requests of a batch are problems too. Gives what could not be read.
///
/// # Errors
/// Of the reader.
pub fn read_problems(
    reader: Box<dyn BufRead + '_>,
    name: &str,
    problems: &mut HashMap<String, SampleSet>,
) -> io::Result<Result<Vec<LineError>, String>> {
    let options = Options { problems_only: true, ..Options::default() };
    let reader = match SetReader::open(reader, name, &options)? {
        Ok(reader) => reader,
        Err(refusal) => return Ok(Err(refusal)),
    };
    let mut bad = Vec::new();
    for item in reader {
        match item {
            Ok(Row::Set(mut set) | Row::Part(_, mut set)) => {
                set.candidates.clear();
                problems.entry(set.id.clone()).or_insert(set);
            }
            Ok(_) => {}
            Err(error) => bad.push(error),
        }
    }
    Ok(Ok(bad))
}

/// The problem that a request of a batch asks.
pub fn request(mut object: Map<String, Value>) -> SampleSet {
    let id =
        object.shift_remove("custom_id").and_then(|id| id.as_str().map(str::to_owned)).unwrap_or_default();
    let body = object.shift_remove("body").or_else(|| object.shift_remove("params")).unwrap_or(Value::Null);
    let asked = ["messages", "input", "prompt"].iter().find_map(|name| body.get(*name));
    let problem = asked.and_then(question).unwrap_or_default();
    SampleSet { id, problem, reference_answer: None, candidates: Vec::new(), extra: Map::new() }
}
