//! Signs of a candidate: what its text shows of how far it can be believed, each a number. No sign names who wrote it.

use crate::reader::{Reading, Tier};
use crate::sample_set::{Candidate, SampleSet};

use super::working::{sort, working};
use crate::math::numeric::hash;
use crate::order::in_order;

/// The signs, in the order of [`Signs`].
pub(crate) const NAMES: [&str; COUNT] = [
    "length",
    "lines",
    "numbers_used",
    "right_sums",
    "wrong_sums",
    "any_sum",
    "equals",
    "code",
    "output",
    "box",
    "full_stop",
    "explicit",
    "json",
    "phrase",
    "last",
    "whole",
    "truncated",
    "repeats",
    "whole_number",
    "long_decimal",
    "negative",
    "of_problem",
    "zero",
    "answer_length",
    "is_result",
    "central",
    "heard",
    "new_numbers",
];

/// How many there are.
pub(crate) const COUNT: usize = 28;

/// Places of the signs that need all candidates.
const CENTRAL: usize = 25;
const HEARD: usize = 26;

/// One candidate's.
pub(crate) type Signs = [f64; COUNT];

/// What is seen in one candidate alone, whoever stands beside it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Look {
    /// The signs that need the candidate alone; those of its company are 0.
    alone: Signs,
    /// The numbers of its text, ascending.
    numbers: Vec<f64>,
    /// Those of them that are not the problem's.
    steps: Vec<f64>,
    /// Its answer, where that is a plain number.
    value: Option<f64>,
    /// Whether it has an answer.
    is_answered: bool,
}

/// What is seen in each candidate of a set.
pub(crate) fn looks(set: &SampleSet, readings: &[Reading]) -> Vec<Look> {
    let problem = working(&set.problem).numbers;
    set.candidates
        .iter()
        .zip(readings)
        .map(|(candidate, reading)| look(candidate, reading, &problem))
        .collect()
}

/// The signs of candidates that stand together; zeros for those without an answer.
pub(crate) fn signs(looks: &[&Look]) -> Vec<Signs> {
    // How many candidates have each number: in order, so that two cuts find it.
    let mut all: Vec<f64> = looks.iter().flat_map(|look| look.numbers.iter().copied()).collect();
    sort(&mut all);
    let heard = |number: f64| {
        let from = all.partition_point(|other| *other < number);
        let to = all.partition_point(|other| *other <= number);
        (to - from) as f64
    };
    let others = looks.len().saturating_sub(1).max(1) as f64;
    looks
        .iter()
        .map(|look| if look.is_answered { together(look, &heard, others) } else { [0.0; COUNT] })
        .collect()
}

fn together(look: &Look, heard: &dyn Fn(f64) -> f64, others: f64) -> Signs {
    let mut signs = look.alone;
    if !look.steps.is_empty() {
        let sum: f64 = look.steps.iter().map(|step| (heard(*step) - 1.0) / others).sum();
        signs[CENTRAL] = sum / look.steps.len() as f64;
    }
    if let Some(value) = look.value {
        let own = f64::from(u8::from(has(&look.numbers, value)));
        signs[HEARD] = (heard(value) - own) / others;
    }
    signs
}

fn look(candidate: &Candidate, reading: &Reading, problem: &[f64]) -> Look {
    let Some(answer) = reading.answer.as_deref() else { return Look::default() };
    let text = candidate.text.as_str();
    let working = working(text);
    let ln = |count: usize| libm::log1p(count as f64);
    let is = |yes: bool| f64::from(u8::from(yes));
    let tier = |tiers: &[Tier]| is(reading.found_by.is_some_and(|tier| tiers.contains(&tier)));
    let share = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
    let value = plain_value(answer);
    let steps: Vec<f64> = working.numbers.iter().copied().filter(|number| !has(problem, *number)).collect();
    let words = text.split_whitespace().count();
    let alone = [
        libm::log(text.len() as f64 + 20.0),
        ln(text.bytes().filter(|b| *b == b'\n').count()),
        share(problem.iter().filter(|number| has(&working.numbers, **number)).count(), problem.len()),
        ln(working.right),
        ln(working.wrong),
        is(working.right + working.wrong > 0),
        ln(text.bytes().filter(|b| *b == b'=').count()),
        is(["```", "def ", "print("].iter().any(|mark| text.contains(mark))),
        is(text.contains("```output")),
        is(text.contains("\\boxed")),
        is(text.trim_end().ends_with(['.', '!'])),
        tier(&[Tier::AnswerTag, Tier::Line, Tier::Boxed]),
        tier(&[Tier::Json]),
        tier(&[Tier::Phrase]),
        tier(&[Tier::Last]),
        tier(&[Tier::Whole]),
        is(candidate.is_truncated()),
        repeats(text, words),
        is(value.is_some_and(|value| value.fract() == 0.0)),
        is(value.is_some_and(|value| (value * 1000.0).fract() != 0.0)),
        is(answer.starts_with(['-', '−'])),
        is(value.is_some_and(|value| has(problem, value))),
        is(value == Some(0.0)),
        ln(answer.chars().count()),
        is(value.is_some() && value == working.last_result),
        0.0,
        0.0,
        ln(steps.len()),
    ];
    Look { alone, numbers: working.numbers, steps, value, is_answered: true }
}

fn has(numbers: &[f64], number: f64) -> bool {
    numbers.binary_search_by(|other| other.total_cmp(&number)).is_ok()
}

/// The value of an answer that is a plain number.
fn plain_value(answer: &str) -> Option<f64> {
    let plain = answer.trim_matches(['$', ' ', '.']).replace([',', '$'], "").replace('−', "-");
    plain.parse().ok().filter(|value: &f64| value.is_finite())
}

/// The share of a text's runs of four words that were there before.
fn repeats(text: &str, words: usize) -> f64 {
    const RUN: usize = 4;
    if words <= RUN {
        return 0.0;
    }
    let words: Vec<u64> = text.split_whitespace().map(hash).collect();
    let runs: Vec<u64> =
        words.windows(RUN).map(|run| run.iter().fold(0, |sum, word| mixed(sum ^ word))).collect();
    let all = runs.len();
    // In order, so that the same runs stand side by side.
    let places = in_order(all, &|a, b| runs[a].cmp(&runs[b]));
    let known = places.windows(2).filter(|pair| runs[pair[0]] == runs[pair[1]]).count();
    known as f64 / all as f64
}

fn mixed(value: u64) -> u64 {
    let value = (value ^ (value >> 32)).wrapping_mul(0x9e37_79b9_7f4a_7c15);
    value ^ (value >> 29)
}
