//! Small damages to a valid text, as strategies for property tests, and the number of cases to run.

use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{Config, TestCaseError, TestRunner};

/// Runs `check` on as many inputs as `CONCLAVE_PROPTEST_CASES` says, 2,000 otherwise; a failing input is shrunk and
/// printed.
pub fn check_all<S: Strategy>(strategy: S, check: impl Fn(S::Value)) {
    check_cases(2_000, strategy, check);
}

/// [`check_all`] on `otherwise` inputs where nothing is said.
pub fn check_cases<S: Strategy>(otherwise: u32, strategy: S, check: impl Fn(S::Value)) {
    let cases =
        std::env::var("CONCLAVE_PROPTEST_CASES").map_or(otherwise, |cases| cases.parse().expect("a number"));
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    let run = |value| {
        check(value);
        Ok::<(), TestCaseError>(())
    };
    if let Err(failure) = TestRunner::new(config).run(&strategy, run) {
        panic!("{failure}");
    }
}

/// Values that readers of numbers, shapes and names get wrong.
const TOKENS: [&str; 24] = [
    "0",
    "-1",
    "1.5",
    "2e9",
    "1e999",
    "4294967296",
    "9223372036854775807",
    "18446744073709551615",
    "99999999999999999999",
    "null",
    "true",
    "\"\"",
    "\"F32\"",
    "[]",
    "{}",
    "[0,0]",
    "[[[[[[[[",
    "\"",
    "\\",
    ",",
    ":",
    "\"../a.safetensors\"",
    "\"\\ud800\"",
    "\u{0}",
];

/// One damage; places are relative to the length, so that they stay within it after others.
#[derive(Clone, Debug)]
pub enum Mutation {
    /// One byte becomes another.
    Byte(Index, u8),
    /// A range is taken out.
    Cut(Index, usize),
    /// A range is put in a second time, elsewhere.
    Copy(Index, usize, Index),
    /// A token of `TOKENS` is put in.
    Insert(Index, &'static str),
    /// The value after the nth `:` becomes a token.
    Value(Index, &'static str),
}

/// Up to four damages.
pub fn mutations() -> impl Strategy<Value = Vec<Mutation>> {
    let token = || prop::sample::select(TOKENS.to_vec());
    let mutation = prop_oneof![
        1 => (any::<Index>(), any::<u8>()).prop_map(|(at, byte)| Mutation::Byte(at, byte)),
        1 => (any::<Index>(), 1..40usize).prop_map(|(at, len)| Mutation::Cut(at, len)),
        1 => (any::<Index>(), 1..80usize, any::<Index>()).prop_map(|(from, len, to)| Mutation::Copy(from, len, to)),
        1 => (any::<Index>(), token()).prop_map(|(at, token)| Mutation::Insert(at, token)),
        4 => (any::<Index>(), token()).prop_map(|(at, token)| Mutation::Value(at, token)),
        2 => (any::<Index>(), (0..300u32).prop_map(|n| &*n.to_string().leak())).prop_map(|(at, n)| Mutation::Value(at, n)),
    ];
    prop::collection::vec(mutation, 0..5)
}

impl Mutation {
    /// `text` after every damage, in order.
    pub fn apply_all(mutations: &[Self], text: &[u8]) -> Vec<u8> {
        mutations.iter().fold(text.to_vec(), |text, mutation| mutation.apply(text))
    }

    fn apply(&self, mut text: Vec<u8>) -> Vec<u8> {
        let range = |text: &[u8], at: &Index, len: usize| {
            let start = at.index(text.len() + 1);
            start..text.len().min(start + len)
        };
        match self {
            Self::Byte(at, byte) => {
                for i in range(&text, at, 1) {
                    text[i] = *byte;
                }
            }
            Self::Cut(at, len) => drop(text.drain(range(&text, at, *len))),
            Self::Copy(from, len, to) => {
                let copy = text[range(&text, from, *len)].to_vec();
                let at = to.index(text.len() + 1);
                text.splice(at..at, copy);
            }
            Self::Insert(at, token) => {
                let at = at.index(text.len() + 1);
                text.splice(at..at, token.bytes());
            }
            Self::Value(nth, token) => {
                let starts: Vec<usize> = (1..=text.len()).filter(|&i| text[i - 1] == b':').collect();
                if !starts.is_empty() {
                    let start = starts[nth.index(starts.len())];
                    text.splice(start..value_end(&text, start), token.bytes());
                }
            }
        }
        text
    }
}

/// End of the JSON value from `start`: before the comma or bracket at its own depth.
fn value_end(text: &[u8], start: usize) -> usize {
    let mut depth = 0;
    for (i, byte) in text.iter().enumerate().skip(start) {
        match byte {
            b'[' | b'{' => depth += 1,
            b']' | b'}' if depth > 0 => depth -= 1,
            b',' | b']' | b'}' if depth == 0 => return i,
            _ => {}
        }
    }
    text.len()
}
