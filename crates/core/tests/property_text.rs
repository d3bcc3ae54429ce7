//! Properties of everything that reads untrusted text: the reader, JSONL, clusters and votes.
//!
//! `CONCLAVE_PROPTEST_CASES` sets the number of inputs for each property (default 2,000).

use std::collections::BTreeSet;

use conclave_core::cluster::cluster_readings;
use conclave_core::prompt::permutation;
use conclave_core::reader::{MAX_ANSWER_BYTES, read_candidates, read_counted};
use conclave_core::{
    Candidate, SampleSet, Tier, majority_vote, parse_completion, read, read_sample_sets, write_json_line,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn config() -> ProptestConfig {
    let cases =
        std::env::var("CONCLAVE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(2_000);
    ProptestConfig { cases, failure_persistence: None, ..ProptestConfig::default() }
}

/// What answers are announced, wrapped and broken with.
const PIECES: [&str; 64] = [
    "<answer>",
    "</answer>",
    "<answer",
    "< /ANSWER >",
    "<think>",
    "</think>",
    "\\boxed{",
    "\\boxed ",
    "\\fbox{",
    "\u{8}oxed{",
    "{",
    "}",
    "\\{",
    "\\}",
    "\\\\",
    "\\",
    "\"answer\":",
    "'answer' : ",
    "\"",
    "'",
    "\"answer\": \"",
    "\\\"",
    "null",
    "[",
    "]",
    "The answer is ",
    "Final answer: ",
    "#### ",
    "A: ",
    "Answer",
    "**",
    "(C)",
    "(",
    ")",
    "$",
    "$$",
    "\\(",
    "\\)",
    "\\[",
    "\\]",
    "\n",
    "\r\n",
    " ",
    ". ",
    ",",
    "-",
    "−",
    "1,234",
    "0.5",
    "3/4",
    "%",
    "\\%",
    "\\frac{1}{2}",
    "\\text{ cm}",
    "x = 5",
    "é",
    "\u{2028}",
    "😀",
    "</s>",
    "apples",
    "is",
    "```",
    "7",
    "ox",
];

fn text() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        9 => (0..PIECES.len()).prop_map(|piece| PIECES[piece].to_string()),
        1 => any::<char>().prop_map(String::from),
    ];
    proptest::collection::vec(piece, 0..24).prop_map(|pieces| pieces.concat())
}

fn answer() -> impl Strategy<Value = String> {
    let forms = [
        "7",
        "7.0",
        "$7$",
        "8",
        "1/2",
        "0.5",
        "\\frac{1}{2}",
        "\\frac12",
        "x+1",
        "1+x",
        "(1,2)",
        "no answer",
        "50\\%",
    ];
    prop_oneof![
        12 => (0..forms.len()).prop_map(move |form| format!("\\boxed{{{}}}", forms[form])),
        1 => text(),
    ]
}

fn json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        proptest::num::f64::NORMAL.prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_recursive(2, 6, 3, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::vec((key(), inner), 0..3)
                .prop_map(|fields| Value::Object(fields.into_iter().collect())),
        ]
    })
}

/// Names that no known field has.
fn key() -> impl Strategy<Value = String> {
    "[xyz][a-c\u{e9}\" ]{0,3}".prop_map(String::from)
}

fn extra() -> impl Strategy<Value = Map<String, Value>> {
    proptest::collection::vec((key(), json()), 0..3).prop_map(|fields| fields.into_iter().collect())
}

fn candidate() -> impl Strategy<Value = Candidate> {
    let reason = proptest::option::of(prop_oneof![Just("stop".to_string()), Just("length".to_string())]);
    let usage = proptest::option::of(json().prop_filter("null is no usage", |usage| !usage.is_null()));
    (text(), proptest::option::of(text()), reason, usage, extra()).prop_map(
        |(text, model, finish_reason, usage, extra)| Candidate { text, model, finish_reason, usage, extra },
    )
}

fn set() -> impl Strategy<Value = SampleSet> {
    let reference = proptest::option::of("[0-9]{1,3}");
    (text(), text(), reference, proptest::collection::vec(candidate(), 0..3), extra()).prop_map(
        |(id, problem, reference_answer, candidates, extra)| SampleSet {
            id,
            problem,
            reference_answer: reference_answer.map(Into::into),
            candidates,
            extra,
        },
    )
}

fn set_of(texts: &[String]) -> SampleSet {
    let candidates =
        texts.iter().map(|text| Candidate { text: text.clone(), ..Default::default() }).collect();
    SampleSet { id: "s".into(), problem: "p".into(), reference_answer: None, candidates, extra: Map::new() }
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_reader_never_panics_and_takes_linear_steps(text in text(), truncated in any::<bool>()) {
        let (reading, steps) = read_counted(&text, truncated);
        // Each of at most 64 tries at a field may look at the whole of a short text.
        prop_assert!(steps <= 100 * (text.len() as u64 + 10), "{steps} steps for {} bytes", text.len());
        prop_assert!(reading.answer.is_some() == reading.found_by.is_some());
        prop_assert!(reading.answer.is_none() == reading.no_answer.is_some());
        if let Some(answer) = &reading.answer {
            prop_assert!(!answer.trim().is_empty() && answer.len() <= MAX_ANSWER_BYTES);
            // Behind the token that ends a turn it does not matter how the text ends.
            let cut = truncated && !text.contains("</s>");
            prop_assert!(!(cut && reading.found_by == Some(Tier::Last)));
        }
    }

    #[test]
    fn completions_are_read_without_panic(prefill in 0..2usize, completion in text()) {
        let parsed = parse_completion(["<think>", "<answer>"][prefill], &completion);
        prop_assert!(!parsed.well_formed || parsed.answer.is_some());
    }

    #[test]
    fn a_set_survives_the_round_trip(set in set()) {
        let mut line = Vec::new();
        write_json_line(&mut line, &set).unwrap();
        prop_assert_eq!(line.iter().filter(|byte| **byte == b'\n').count(), 1);
        let read: Vec<_> = read_sample_sets(line.as_slice()).collect();
        prop_assert_eq!(read.len(), 1);
        let read = read[0].as_ref().unwrap();
        prop_assert_eq!(read, &set);
        // Equal, and in the same order.
        let mut again = Vec::new();
        write_json_line(&mut again, read).unwrap();
        prop_assert_eq!(again, line);
    }

    #[test]
    fn any_bytes_are_lines_or_errors(lines in proptest::collection::vec(line_of_bytes(), 0..6)) {
        let bytes = lines.join(&b'\n');
        let mut last = 0;
        let mut reader = read_sample_sets(bytes.as_slice());
        while let Some(item) = reader.next() {
            let line = reader.line();
            // Several objects may stand on a line.
            prop_assert!(line >= last);
            last = line;
            if let Err(error) = item {
                prop_assert_eq!(error.line, line);
                prop_assert!(!error.reason.is_empty());
            }
        }
        // A carriage return ends a line too.
        let ends = bytes.iter().filter(|byte| matches!(byte, b'\n' | b'\r')).count();
        prop_assert!(last <= ends as u64 + 1);
    }

    #[test]
    fn votes_do_not_depend_on_order_but_for_ties(texts in proptest::collection::vec(answer(), 0..8), seed in 0u64..1_000) {
        let order = permutation(texts.len(), seed);
        let moved: Vec<String> = order.iter().map(|&index| texts[index].clone()).collect();
        let (set, moved) = (set_of(&texts), set_of(&moved));
        let classes = |set: &SampleSet, name: &dyn Fn(usize) -> usize| -> BTreeSet<Vec<usize>> {
            let clusters = cluster_readings(&read_candidates(set)).into_iter();
            clusters.map(|c| { let mut names: Vec<usize> = c.candidates.into_iter().map(name).collect(); names.sort_unstable(); names }).collect()
        };
        prop_assert_eq!(classes(&set, &|index| index), classes(&moved, &|index| order[index]));
        let (vote, moved_vote) = (majority_vote(&set), majority_vote(&moved));
        prop_assert_eq!((vote.answered, vote.confidence), (moved_vote.answered, moved_vote.confidence));
        let most = |vote: &conclave_core::Vote| vote.winner.map(|winner| vote.clusters[winner].candidates.len());
        prop_assert_eq!(most(&vote), most(&moved_vote));
        // Without a tie, the same candidates win.
        if vote.confidence != 0.5 && let (Some(a), Some(b)) = (vote.winner, moved_vote.winner) {
            let mut names: Vec<usize> = moved_vote.clusters[b].candidates.iter().map(|&index| order[index]).collect();
            names.sort_unstable();
            prop_assert_eq!(&vote.clusters[a].candidates, &names);
        }
    }
}

fn line_of_bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        3 => set().prop_map(|set| serde_json::to_vec(&set).unwrap()),
        // A good line with one byte changed.
        3 => (set(), any::<prop::sample::Index>(), any::<u8>()).prop_map(|(set, place, byte)| {
            let mut line = serde_json::to_vec(&set).unwrap();
            let place = place.index(line.len());
            line[place] = if byte == b'\n' { b' ' } else { byte };
            line
        }),
        2 => proptest::collection::vec(any::<u8>().prop_filter("one line", |byte| *byte != b'\n'), 0..20),
        1 => Just(Vec::new()),
    ]
}

/// Large texts made to send a careless scanner back over what it has seen.
#[test]
fn large_texts_take_linear_steps() {
    let hostile = [
        "\\boxed{",
        "\\boxed{}",
        "{",
        "<answer>",
        "<answer></answer>",
        "</think>",
        "<answer",
        "\"answer\":\"",
        "\"answer\":[",
        "\"answer\": \"-\", ",
        "answer ",
        "answer is ",
        "the answer\n",
        "A:\n",
        "$",
        "\\(",
        "(",
        "**",
        "9",
        "1,",
        "\n",
        " ",
        "#### \n",
        "\\boxed ",
        "\\boxed{-}",
        "é",
        "\"answer\":                ",
        "The answer is $x ",
        "</s>",
        "'",
        "<answer>\\boxed{</answer>",
        "ox",
    ];
    for piece in hostile {
        let text = piece.repeat(2_000_000 / piece.len());
        for truncated in [false, true] {
            let (_, steps) = read_counted(&text, truncated);
            assert!(
                steps <= 12 * text.len() as u64 + 2_000_000,
                "{steps} steps for {piece:?} again and again"
            );
        }
    }
}

/// The value at the end of a text of 9 MB is found, whatever came before.
#[test]
fn the_end_of_a_long_text_counts() {
    let long = "The answer is 3. \\boxed{4} {\"answer\": \"5\"} ".repeat(200_000);
    for (end, expected) in
        [("\\boxed{42}", "42"), ("{\"answer\": \"43\"}", "43"), ("<answer>44</answer>", "44")]
    {
        assert_eq!(read(&format!("{long}{end}"), false).answer.unwrap(), expected);
    }
}
