//! What kind of answers a set holds, where nobody says: by the shapes of its candidates and the options of its problem.
//!
//! A candidate's shape is what most of it is; the set's kind is what most of its candidates are. A set of code, of essays or of a
//! mixture is no kind: any answer of it would be a stray word or number.

use serde::{Deserialize, Serialize};

use crate::reader::{NoAnswer, Reading, Tier, concluded, said_nothing};
use crate::sample_set::{Candidate, SampleSet};

use super::code::{is_code, may_be_code};
use super::options;
use super::words::words;

/// What a candidate looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Shape {
    /// Nothing that votes: empty, an error, a refusal.
    Nothing,
    /// A call of a tool.
    Call,
    /// A JSON record without an answer field; `label`: it has a field that names a label.
    Record { label: bool },
    /// Program code.
    Code,
    /// A choice letter and nothing else; `upper`: written as one.
    Letter { upper: bool },
    /// An answer that is announced, or a text that is a value or calculates.
    Value,
    /// One to four words, or yes or no with a reason.
    Label,
    /// A short answer in words.
    Phrase,
    /// A longer text that announces nothing.
    Prose,
}

/// A kind without its details.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    Math,
    Choice,
    Labels,
    Json,
    ToolCall,
    Text,
}

/// What a set looks like that is not voted on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Undecided {
    /// Program code.
    Code,
    /// Longer texts without an answer in them.
    Prose,
    /// Several of these, none in the majority.
    Mixed,
}

impl Undecided {
    /// Its name in results: `code`.
    pub fn name(self) -> &'static str {
        match self {
            Undecided::Code => "code",
            Undecided::Prose => "prose",
            Undecided::Mixed => "mixed",
        }
    }

    /// What was seen, in words.
    pub fn words(self) -> &'static str {
        match self {
            Undecided::Code => "the candidates look like code",
            Undecided::Prose => "the candidates look like prose without an answer in it",
            Undecided::Mixed => "the candidates are of several kinds, none of them most",
        }
    }
}

/// The kind of a set, and why; `readings`: what the reader of answers found in its candidates.
pub(super) fn decide(set: &SampleSet, readings: &[Reading]) -> Result<(Found, &'static str), Undecided> {
    let asks = asks_for_a_value(&set.problem);
    // Where most are values beyond doubt, what the others are changes nothing.
    let sure = set
        .candidates
        .iter()
        .zip(readings)
        .filter(|(candidate, reading)| is_value(candidate, reading))
        .count();
    if 2 * sure > set.candidates.len() {
        return Ok(match options::has_options(&set.problem) {
            true => (Found::Choice, "the problem has options"),
            false => (Found::Math, VALUES),
        });
    }
    let shapes: Vec<Shape> = set
        .candidates
        .iter()
        .zip(readings)
        .map(|(candidate, reading)| shape(candidate, reading, asks))
        .filter(|shape| *shape != Shape::Nothing)
        .collect();
    let count = |wanted: &dyn Fn(&Shape) -> bool| shapes.iter().filter(|shape| wanted(shape)).count();
    let is_half = |number: usize| 2 * number >= shapes.len();
    let calls = count(&|shape| *shape == Shape::Call);
    let records = count(&|shape| matches!(shape, Shape::Record { .. }));
    let labelled = count(&|shape| matches!(shape, Shape::Record { label: true }));
    let code = count(&|shape| *shape == Shape::Code);
    let letters = count(&|shape| matches!(shape, Shape::Letter { .. }));
    let values = count(&|shape| *shape == Shape::Value);
    let labels = count(&|shape| *shape == Shape::Label);
    let phrases = count(&|shape| *shape == Shape::Phrase);
    let prose = count(&|shape| *shape == Shape::Prose);
    if shapes.is_empty() {
        return Ok((Found::Math, "no candidate says anything"));
    }
    if calls > 0 && is_half(calls) {
        return Ok((Found::ToolCall, "candidates call tools"));
    }
    // An object with a label among plain labels says the same as they do.
    if labels > 0 && is_half(labels + labelled) && labels + labelled > values + letters {
        return Ok((Found::Labels, "candidates are a few words"));
    }
    if records > 0 && is_half(records) {
        return Ok((Found::Json, "candidates are JSON without an answer field"));
    }
    if code > 0 && is_half(code) {
        return Err(Undecided::Code);
    }
    if (letters > 0 || values > 0) && is_half(letters + values) && options::has_options(&set.problem) {
        return Ok((Found::Choice, "the problem has options"));
    }
    let is_upper = shapes.contains(&Shape::Letter { upper: true });
    if letters > 0 && is_upper && is_half(letters) && letters > values {
        return Ok((Found::Choice, "candidates are letters"));
    }
    if letters + values > 0 && is_half(letters + values) {
        return Ok((Found::Math, VALUES));
    }
    if phrases + labels > 0 && is_half(phrases + labels) {
        let found = if labels > phrases { Found::Labels } else { Found::Text };
        return Ok((found, "candidates are short texts"));
    }
    if is_half(prose) {
        return Err(Undecided::Prose);
    }
    // One that announces its answer, among texts that say none.
    if letters + values > 0 && records + code + labels + phrases == 0 {
        return Ok((Found::Math, "some candidates announce or calculate a value"));
    }
    Err(Undecided::Mixed)
}

/// Why most sets are mathematics.
const VALUES: &str = "candidates announce or calculate a value";

/// Whether a candidate is a value beyond doubt.
fn is_value(candidate: &Candidate, reading: &Reading) -> bool {
    let (Some(answer), Some(tier)) = (&reading.answer, reading.found_by) else { return false };
    !may_call(candidate) && marked(candidate.text.trim_start(), answer, tier) == Some(Shape::Value)
}

/// Bytes of a short answer in words, and its words.
const MOST_BYTES: usize = 160;
const MOST_WORDS: usize = 16;

/// The shape of a candidate; `asks`: of an answer to a problem that asks for a value.
fn shape(candidate: &Candidate, reading: &Reading, asks: Asks) -> Shape {
    if may_call(candidate) && crate::tool_call::read_calls(candidate).is_ok() {
        return Shape::Call;
    }
    let by = reading.found_by;
    if let (Some(answer), Some(tier)) = (&reading.answer, by)
        && let Some(shape) = marked(candidate.text.trim_start(), answer, tier)
    {
        return shape;
    }
    // What says that it says nothing has no shape.
    use NoAnswer::{ApiError, Empty, Hedge, Placeholder, Refusal, Truncated, UnclosedThought};
    // (Within JSON such words are a field's.)
    let is_json = candidate.text.trim_start().starts_with(['{', '[', '`']);
    if !is_json
        && let Some(ApiError | Empty | Hedge | Placeholder | Refusal | Truncated | UnclosedThought) =
            reading.no_answer
    {
        return Shape::Nothing;
    }
    // A box or a blank that nothing was put into, or a prompt that asks for one.
    if reading.answer.is_none()
        && ["\\boxed", "\\fbox", "___", "<answer>"].iter().any(|mark| candidate.text.contains(mark))
    {
        return Shape::Nothing;
    }
    let normal = crate::letters::normal(&candidate.text);
    // Of a text with an answer and without marks of models the conclusion is all of it.
    let (text, is_cut) = match reading.answer.is_some() && !normal.contains(['<', '[', '\u{25c1}']) {
        true => (normal.trim(), candidate.is_truncated()),
        false => match concluded(&normal, candidate.is_truncated()) {
            Ok(conclusion) => conclusion,
            Err(_) => return Shape::Nothing,
        },
    };
    if looks_like_json(text) {
        // A JSON object with an answer in it answers; one that breaks off before says nothing.
        return match by {
            Some(Tier::Json | Tier::Boxed | Tier::AnswerTag) => Shape::Value,
            _ if is_cut || !text.trim_end().ends_with(['}', ']', '`']) => Shape::Nothing,
            _ => Shape::Record { label: has_label(text) },
        };
    }
    if matches!(by, Some(Tier::Boxed | Tier::AnswerTag)) {
        return if yes_or_no(reading.answer.as_deref().unwrap_or_default()) {
            Shape::Label
        } else {
            Shape::Value
        };
    }
    if is_code(text) {
        return if by == Some(Tier::Line) && !text.contains("```") { Shape::Value } else { Shape::Code };
    }
    if super::label::is_interjection(text) || said_nothing(text).is_some() && reading.answer.is_none() {
        return Shape::Nothing;
    }
    if super::label::bracketed(text).is_some() || super::label::capitals(text) > 0 {
        return Shape::Label;
    }
    if options::letters(text) {
        return Shape::Value;
    }
    if let Some(upper) = options::letter(text) {
        return Shape::Letter { upper };
    }
    let is_in_words = reading.answer.as_deref().is_some_and(in_words);
    match by {
        Some(Tier::Line | Tier::Phrase | Tier::Json) if is_in_words => {
            match words(reading.answer.as_deref().unwrap_or_default()) {
                0..=4 => Shape::Label,
                _ => Shape::Phrase,
            }
        }
        Some(Tier::Line | Tier::Phrase | Tier::Json) => Shape::Value,
        Some(Tier::Whole) if !is_in_words => Shape::Value,
        _ if begins_with_yes_or_no(text) => Shape::Label,
        _ if names_a_label(text) => Shape::Label,
        _ if !text.contains('\n')
            && text.len() <= 48
            && words(text) <= 4
            && !calculates(text, asks)
            && (in_words(text) || is_numbered(text)) =>
        {
            Shape::Label
        }
        _ if calculates(text, asks) => Shape::Value,
        _ if !text.contains('\n')
            && text.len() <= MOST_BYTES
            && words(text) <= MOST_WORDS
            && by != Some(Tier::Last) =>
        {
            Shape::Phrase
        }
        // A short sentence with a number in it: "It is 20", "It costs 5 euros."
        Some(Tier::Last) if asks != Asks::No && words(text) <= MOST_WORDS && !text.contains('\n') => {
            Shape::Value
        }
        _ if text.trim().is_empty() => Shape::Nothing,
        _ => Shape::Prose,
    }
}

/// The shape of a text whose answer is marked beyond doubt, or is all of it: most texts of mathematics need no second look.
fn marked(text: &str, answer: &str, tier: Tier) -> Option<Shape> {
    let is_json = text.starts_with(['{', '[', '`']);
    match tier {
        Tier::Boxed | Tier::AnswerTag => Some(if yes_or_no(answer) { Shape::Label } else { Shape::Value }),
        Tier::Json if is_json => Some(Shape::Value),
        _ if is_json || in_words(answer) || text.contains("```") => None,
        Tier::Json => Some(Shape::Value),
        Tier::Line | Tier::Whole if options::letter(text).is_none() => Some(Shape::Value),
        Tier::Phrase if ends_in_a_sentence(text, answer) || !may_be_code(text) => Some(Shape::Value),
        _ => None,
    }
}

/// Whether the last line of a text is a sentence, not a comment or a line of code, with the answer in it.
fn ends_in_a_sentence(text: &str, answer: &str) -> bool {
    let line = text.trim_end().rsplit('\n').next().unwrap_or_default().trim_start();
    line.starts_with(|c: char| c.is_uppercase() || c == '*')
        && !["(\"", "('", "=>", ";", "return ", "{\""].iter().any(|sign| line.contains(sign))
        && line.contains(answer)
}

/// Whether a candidate may call a tool: cheap, and never wrong where it does.
fn may_call(candidate: &Candidate) -> bool {
    const MARKS: [&str; 8] = [
        "\"name",
        "'name",
        "name\\\"",
        "tool_call",
        "TOOL_CALLS",
        "python_tag",
        "functionCall",
        "function_call",
    ];
    let text = &candidate.text;
    if ["tool_calls", "function_call"].iter().any(|name| candidate.extra.contains_key(*name)) {
        return true;
    }
    // LaTeX is full of braces, but has no quotes.
    let has_json = text.contains('{') && (text.contains('"') || text.contains("'name"));
    has_json && MARKS.iter().any(|mark| text.contains(mark)) || text.contains("<function=")
}

/// Whether an answer is made of words alone.
fn in_words(answer: &str) -> bool {
    let letters = answer.chars().filter(|c| c.is_alphabetic()).count();
    letters > 1 && !answer.contains(|c: char| c.is_ascii_digit() || matches!(c, '\\' | '=' | '^' | '_' | '$'))
}

fn yes_or_no(answer: &str) -> bool {
    let word: String = answer.trim_start_matches("\\text").chars().filter(|c| c.is_alphabetic()).collect();
    ["yes", "no", "true", "false"].iter().any(|known| word.eq_ignore_ascii_case(known))
}

fn begins_with_yes_or_no(text: &str) -> bool {
    let text = text.trim_start_matches(['*', '"', ' ', '#']);
    let word: String = text.chars().take_while(|c| c.is_alphabetic()).collect();
    let rest = text.get(word.len()..).unwrap_or_default();
    super::label::YES_OR_NO.contains(&crate::letters::lowercase(&word).as_str())
        && (rest.is_empty()
            || rest.starts_with([',', '.', ':', ';', '!', '*', '\n', '(', '"'])
            || rest.starts_with(" -")
            || rest.starts_with(" —"))
}

/// Whether a text is a word and a number behind it that is its name: `Label 2`, `Class 3`.
fn is_numbered(text: &str) -> bool {
    let text = text.trim_end_matches('.');
    let Some((word, number)) = text.split_once(' ') else { return false };
    word.len() >= 3
        && word.chars().all(char::is_alphabetic)
        && !number.is_empty()
        && number.bytes().all(|byte| byte.is_ascii_digit())
}

/// Words before a colon, or names of fields, that stand before a label.
const LABEL_NAMES: [&str; 12] = [
    "label",
    "verdict",
    "sentiment",
    "class",
    "category",
    "classification",
    "decision",
    "stance",
    "intent",
    "judgement",
    "judgment",
    "rating",
];

/// Whether a line is a label's name, a colon and a few words.
fn names_a_label(text: &str) -> bool {
    text.lines().any(|line| {
        let Some((name, said)) = line.split_once(':') else { return false };
        let name = crate::letters::lowercase(name.trim_matches(|c: char| !c.is_alphanumeric()));
        let said = said.trim_matches(|c: char| !c.is_alphanumeric());
        LABEL_NAMES.iter().any(|known| name == *known || name.ends_with(&format!(" {known}")))
            && (1..=4).contains(&words(said))
            && in_words(said)
    })
}

/// Whether a text is JSON: an object or a list of objects, alone or in a fence.
fn looks_like_json(text: &str) -> bool {
    let text = text.trim_start();
    let body = match text.find("```json").or_else(|| text.find("```JSON")) {
        // A fence behind a few words of introduction.
        Some(at) if at < 200 => text[at + 7..].trim_start(),
        _ => text.strip_prefix("```").map_or(text, |rest| rest.trim_start()),
    };
    let inner = body.strip_prefix('[').map_or(body, str::trim_start);
    let Some(rest) = inner.strip_prefix('{') else { return false };
    let rest = rest.trim_start();
    // A set `{1, 2}` and LaTeX's `{x}` are no objects.
    rest.starts_with('}') && inner.len() < body.len() || rest.starts_with(['"', '\'']) && rest.contains(':')
}

/// Whether JSON has a field that names a label, with a few words in it.
fn has_label(text: &str) -> bool {
    let lower = crate::letters::lowercase(text);
    LABEL_NAMES.iter().any(|name| {
        let Some(at) = lower.find(&format!("\"{name}\"")) else { return false };
        let rest = lower[at + name.len() + 2..].trim_start();
        let Some(value) = rest.strip_prefix(':').map(str::trim_start).and_then(|rest| rest.strip_prefix('"'))
        else {
            return false;
        };
        value.split('"').next().is_some_and(|value| (1..=4).contains(&words(value)))
    })
}

/// Whether a problem asks for a value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Asks {
    Yes,
    No,
    /// There is no problem.
    Perhaps,
}

/// Whether a problem asks for a value: it has numbers or formulas, or says so. An empty one may.
fn asks_for_a_value(problem: &str) -> Asks {
    if problem.trim().is_empty() {
        return Asks::Perhaps;
    }
    const WORDS: [&str; 10] = [
        "how many",
        "how much",
        "find",
        "solve",
        "compute",
        "calculate",
        "evaluate",
        "determine",
        "what is",
        "value",
    ];
    if problem.contains(|c: char| c.is_ascii_digit() || matches!(c, '$' | '\\' | '=')) {
        return Asks::Yes;
    }
    let lower = crate::letters::lowercase(problem);
    if WORDS.iter().any(|word| lower.contains(word)) { Asks::Yes } else { Asks::No }
}

/// Whether a text calculates: an equation or LaTeX; or it answers a problem that asks for a value, is about numbers and ends with
/// one.
fn calculates(text: &str, asks: Asks) -> bool {
    let is_side = |c: Option<char>| {
        c.is_some_and(|c| c.is_ascii_digit() || matches!(c, ')' | '(' | '}' | '$' | '\\' | '-'))
    };
    let is_equation = text.match_indices('=').any(|(at, _)| {
        let before = text[..at].trim_end().chars().next_back();
        is_side(before) || is_side(text[at + 1..].trim_start().chars().next())
    });
    if is_equation
        || ["\\frac", "\\(", "\\[", "\\sqrt", "\\cdot", "\\times"].iter().any(|mark| text.contains(mark))
    {
        return true;
    }
    let is_number = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
    let numbers = text.split_whitespace().filter(is_number).count();
    let line = text.trim_end().trim_end_matches('.').rsplit('\n').next().unwrap_or_default();
    let last = line.rsplit(". ").next().unwrap_or_default();
    let words_of_number = match asks {
        Asks::Yes => 12,
        Asks::Perhaps => 6,
        Asks::No => return false,
    };
    numbers >= 2
        && numbers * words_of_number >= words(text)
        && last.split_whitespace().any(|word| is_number(&word))
}
