//! Kinds of answers on real and generated sets: nothing stray is voted on.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::Path;

use serde_json::Value;

use conclave_core::kinds::{BallotError, KindSource, kind_of};
use conclave_core::{Candidate, SampleSet, VoteOptions, ballot, read_sample_sets};

fn sets(path: &Path) -> Vec<SampleSet> {
    let file = File::open(path).unwrap();
    let reader: Box<dyn BufRead> = if path.extension().is_some_and(|extension| extension == "gz") {
        Box::new(BufReader::new(flate2::read::MultiGzDecoder::new(file)))
    } else {
        Box::new(BufReader::new(file))
    };
    read_sample_sets(reader).collect::<Result<_, _>>().unwrap()
}

/// Every file of sets named by `CONCLAVE_SETS` (folders, parted by `:`): which kind is taken.
#[test]
#[ignore = "looks at files that are not part of the project"]
fn kinds_of_files() {
    for folder in std::env::var("CONCLAVE_SETS").unwrap().split(':') {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let mut counts = std::collections::BTreeMap::<String, Vec<String>>::new();
            for set in sets(&path) {
                let kind = match kind_of(&set, &VoteOptions::default()) {
                    Ok((kind, KindSource::Shown(why))) => format!("{}: {why}", kind.name()),
                    Ok((kind, _)) => kind.name().to_owned(),
                    Err(BallotError::Undecided(undecided)) => format!("undecided: {}", undecided.name()),
                    Err(error) => error.to_string(),
                };
                counts.entry(kind).or_default().push(set.id);
            }
            println!("{}", path.display());
            for (kind, ids) in counts {
                println!("   {:>5}  {kind}  {:?}", ids.len(), &ids[..ids.len().min(8)]);
            }
        }
    }
}

/// Every set of the public cases, as a user votes on it: nobody says what its answers are.
#[test]
fn public_sets_by_kind() {
    let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data/cases");
    let mut wrong = Vec::new();
    for file in ["sets.jsonl", "kinds_sets.jsonl"] {
        for line in std::fs::read_to_string(data.join(file)).unwrap().lines() {
            let case: Value = serde_json::from_str(line).unwrap();
            let set: SampleSet = serde_json::from_value(case["set"].clone()).unwrap();
            let found = ballot(&set, &VoteOptions::default());
            let right = match (&found, case["expected"].as_str()) {
                (Ok(found), Some(expected)) => {
                    let votes =
                        found.vote.winner.map(|winner| found.vote.clusters[winner].candidates.len() as u64);
                    let is_right = |answer: &str| {
                        found.kind.accepts(&expected.into(), answer, None, &VoteOptions::default())
                    };
                    found.answer.as_deref().is_some_and(is_right)
                        && case["expected_votes"].as_u64().is_none_or(|expected| votes == Some(expected))
                }
                (Ok(found), None) => found.answer.is_none(),
                (Err(_), expected) => expected.is_none(),
            };
            if !right {
                let found = found.map(|found| (found.kind.name(), found.answer, found.vote.readings));
                wrong.push(format!("{file} {}, expected {}: {found:?}", case["n"], case["expected"]));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// A stream of numbers that does not depend on the platform.
struct Draw(u64);

impl Draw {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % n
    }

    fn of<'a>(&mut self, list: &[&'a str]) -> &'a str {
        list[self.below(list.len())]
    }
}

const SUBJECTS: &[&str] = &[
    "The harbour",
    "A small library",
    "Her grandfather",
    "The council",
    "Winter",
    "This old railway",
    "The orchestra",
];
const VERBS: &[&str] = &[
    "changed the valley",
    "opened again in 1954",
    "closed after 3 years",
    "was loved by about 200 people",
    "grew slowly",
    "kept its 12 doors open",
    "ran out of money",
];
const ENDS: &[&str] = &[
    "and nobody asked why",
    "although the letters say otherwise",
    "because the river rose by 2 metres",
    "which took the better part of 10 years",
    "while the town looked on",
    "so the archive keeps 45 boxes of it",
];

/// Sentences with numbers in them, and no answer.
fn essay(draw: &mut Draw) -> String {
    let sentences = 4 + draw.below(8);
    let one = |draw: &mut Draw| {
        format!("{} {} {}, {}.", draw.of(SUBJECTS), draw.of(VERBS), draw.of(ENDS), draw.of(ENDS))
    };
    (0..sentences).map(|_| one(draw)).collect::<Vec<_>>().join(if draw.below(3) == 0 { "\n\n" } else { " " })
}

fn code(draw: &mut Draw) -> String {
    let (a, b, name) =
        (draw.below(90) + 2, draw.below(900), draw.of(&["total", "solve", "count_up", "area", "parse_line"]));
    let body = match draw.below(8) {
        0 => format!("def {name}(x):\n    y = x * {a}\n    return y + {b}\n\nprint({name}({a}))"),
        1 => format!("function {name}(x) {{\n  const y = x * {a};\n  return y + {b};\n}}"),
        2 => format!("fn {name}(x: u32) -> u32 {{\n    let y = x * {a};\n    y + {b}\n}}"),
        3 => format!("SELECT {name}, COUNT(*)\nFROM orders\nWHERE price > {a}\nGROUP BY {name}\nLIMIT {b};"),
        4 => format!(
            "#include <stdio.h>\nint main() {{\n  int {name} = {a};\n  printf(\"%d\", {name} + {b});\n  return 0;\n}}"
        ),
        5 => format!(
            "import math\n\nclass Solver:\n    def {name}(self, n):\n        for i in range({a}):\n            n += i\n        return n % {b}"
        ),
        6 => format!(
            "public class Main {{\n  public static int {name}(int n) {{\n    return n * {a} + {b};\n  }}\n}}"
        ),
        _ => format!("for f in *.txt; do\n  head -n {a} \"$f\" > out_{b}.txt\n  echo \"$f\"\ndone"),
    };
    match draw.below(3) {
        0 => body,
        1 => format!("```python\n{body}\n```"),
        _ => format!("Here is the code:\n\n```\n{body}\n```\nIt runs in O(n)."),
    }
}

fn record(draw: &mut Draw) -> String {
    let (a, b) = (draw.below(90), draw.below(9000));
    let name = draw.of(&["Ada Lovelace", "Alan Turing", "Grace Hopper"]);
    let city = draw.of(&["Oslo", "Lima", "Pune"]);
    let body = match draw.below(3) {
        0 => format!(r#"{{"name": "{name}", "age": {a}, "city": "{city}"}}"#),
        1 => format!(
            "{{\n  \"invoice\": {{\"total\": {b}.50, \"items\": [{{\"sku\": \"X{a}\", \"qty\": {a}}}]}},\n  \"paid\": true\n}}"
        ),
        _ => format!(r#"[{{"city": "{city}", "population": {b}}}, {{"city": "Rome", "population": {a}}}]"#),
    };
    if draw.below(3) == 0 { format!("```json\n{body}\n```") } else { body }
}

fn call(draw: &mut Draw) -> String {
    let (a, city) = (draw.below(90), draw.of(&["Oslo", "Lima", "Pune"]));
    match draw.below(4) {
        0 => format!(r#"{{"name": "get_weather", "arguments": {{"city": "{city}", "days": {a}}}}}"#),
        1 => format!(
            "<tool_call>\n{{\"name\": \"get_weather\", \"arguments\": {{\"city\": \"{city}\", \"days\": {a}}}}}\n</tool_call>"
        ),
        2 => format!(
            r#"[{{"type": "function", "function": {{"name": "get_weather", "arguments": "{{\"city\": \"{city}\", \"days\": {a}}}"}}}}]"#
        ),
        _ => format!(r#"{{"name": "get_weather", "parameters": {{"city": "{city}", "days": {a}}}}}"#),
    }
}

fn label(draw: &mut Draw) -> String {
    let (word, a) = (draw.of(&["positive", "negative", "neutral"]), draw.below(100));
    match draw.below(6) {
        0 => word.to_owned(),
        1 => format!("{}.", word.to_uppercase()),
        2 => format!(r#"{{"label": "{word}", "score": 0.{a:02}}}"#),
        3 => format!("Sentiment: {word}\nThe reviewer gives {a} of 100."),
        4 => format!("**{word}**"),
        _ => format!("Label: {word}"),
    }
}

/// Whether `answer` is a number, or a piece of text with nothing but a number in it.
fn is_number(answer: &str) -> bool {
    answer.chars().any(|c| c.is_ascii_digit()) && !answer.chars().any(char::is_alphabetic)
}

/// A name, what writes a candidate, and the kinds that such sets may be taken for.
type Maker = (&'static str, fn(&mut Draw) -> String, &'static [&'static str]);

/// Nobody says what the answers are, and none of these sets has a number for one.
#[test]
fn no_stray_number_is_voted_on() {
    let makers: [Maker; 5] = [
        ("code", code, &[]),
        ("essays", essay, &[]),
        ("records", record, &["json"]),
        ("calls", call, &["tool-call"]),
        ("labels", label, &["labels"]),
    ];
    let mut draw = Draw(7);
    for (name, make, kinds) in makers {
        for number in 0..60 {
            let texts: Vec<String> = (0..3 + draw.below(5)).map(|_| make(&mut draw)).collect();
            let candidates =
                texts.iter().map(|text| Candidate { text: text.clone(), ..Candidate::default() });
            let set = SampleSet {
                id: format!("{name} {number}"),
                problem: "Do the task.".into(),
                reference_answer: None,
                candidates: candidates.collect(),
                extra: Default::default(),
            };
            match ballot(&set, &VoteOptions::default()) {
                Ok(ballot) => {
                    assert!(
                        kinds.contains(&ballot.kind.name()),
                        "{}: {} of {texts:#?}",
                        set.id,
                        ballot.kind.name()
                    );
                    assert!(
                        !ballot.answer.as_deref().is_some_and(is_number),
                        "{}: {:?}",
                        set.id,
                        ballot.answer
                    );
                }
                Err(BallotError::Undecided(_)) => assert!(kinds.is_empty(), "{}: {texts:#?}", set.id),
                Err(error) => panic!("{}: {error}", set.id),
            }
        }
    }
}
