//! Properties of votes by kind: no order of the candidates matters, a copy of a candidate never takes votes from its answer, what
//! is no label never wins, and nothing panics on any text.
//!
//! `CONCLAVE_PROPTEST_CASES` sets the number of inputs for each property (default 2,000).

use std::collections::BTreeSet;

use conclave_core::agreement::Alpha;
use conclave_core::kinds::{AnswerKind, Ballot, Labels, Rule, Ties};
use conclave_core::{Candidate, SampleSet, VoteOptions, ballot};
use proptest::prelude::*;
use proptest::sample::{Index, select};

fn config() -> ProptestConfig {
    let cases = std::env::var("CONCLAVE_PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok());
    ProptestConfig { cases: cases.unwrap_or(2_000), failure_persistence: None, ..ProptestConfig::default() }
}

const LABELS: [&str; 4] = ["supported", "not supported", "unclear", "5"];

/// Texts that give a label, that give another and that give none.
fn labelled() -> impl Strategy<Value = String> {
    let words = select(vec![
        "supported",
        "Supported",
        "not supported",
        "NOT SUPPORTED",
        "unclear",
        "5",
        "mixed",
        "7",
        "no",
    ]);
    let shapes = select(vec![
        "{}",
        "{}.",
        "**{}**",
        "Verdict: {}",
        "{{\"label\": \"{}\", \"score\": 0.9}}",
        "{}, because 3 of 4 say so.",
        "The claim is {}.",
        "<think>unclear</think>{}",
        "It is not {}",
        "Label: {}\nReason: 2 + 2 = 4",
        "\\boxed{{}}",
    ]);
    let said = (words, shapes)
        .prop_map(|(word, shape)| shape.replace("{{", "{").replace("}}", "}").replace("{}", word));
    prop_oneof![
        8 => said,
        1 => select(vec!["", "Error code: 429 - rate limit", "I cannot answer this.", "<think>supported"]).prop_map(str::to_owned),
        1 => ".{0,60}",
    ]
}

fn texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(labelled(), 0..9)
}

fn some_texts() -> impl Strategy<Value = Vec<String>> {
    prop::collection::vec(labelled(), 1..9)
}

fn set(texts: &[String]) -> SampleSet {
    let candidates = texts.iter().map(|text| Candidate { text: text.clone(), ..Candidate::default() });
    SampleSet {
        id: "s".into(),
        problem: "Is the claim supported?".into(),
        reference_answer: None,
        candidates: candidates.collect(),
        extra: Default::default(),
    }
}

fn kinds() -> impl Strategy<Value = AnswerKind> {
    let listed = AnswerKind::Labels(Labels::new(LABELS.map(str::to_owned)).unwrap());
    select(vec![
        listed,
        AnswerKind::Labels(Labels::open()),
        AnswerKind::Text,
        AnswerKind::ToolCall,
        AnswerKind::Choice,
    ])
}

fn rules() -> impl Strategy<Value = Rule> {
    select(vec![Rule::Plurality, Rule::Strict, Rule::Unanimous, Rule::AtLeast(2)])
}

fn vote(texts: &[String], kind: &AnswerKind, rule: Rule) -> Ballot {
    let options = VoteOptions {
        kind: Some(kind.clone()),
        rule: Some(rule),
        ties: Some(Ties::Abstain),
        ..VoteOptions::default()
    };
    ballot(&set(texts), &options).unwrap()
}

/// Which texts stand together, whatever their order.
fn classes(ballot: &Ballot, places: &[usize]) -> BTreeSet<BTreeSet<usize>> {
    let class = |candidates: &[usize]| candidates.iter().map(|&candidate| places[candidate]).collect();
    ballot.vote.clusters.iter().map(|cluster| class(&cluster.candidates)).collect()
}

/// How many candidates stand with candidate `index`.
fn votes_of(ballot: &Ballot, index: usize) -> usize {
    let mut clusters = ballot.vote.clusters.iter();
    clusters.find(|cluster| cluster.candidates.contains(&index)).map_or(0, |cluster| cluster.candidates.len())
}

proptest! {
    #![proptest_config(config())]

    #[test]
    fn the_order_of_candidates_does_not_matter(
        texts in texts(), kind in kinds(), rule in rules(), moves in prop::collection::vec(any::<Index>(), 9)
    ) {
        let mut order: Vec<usize> = (0..texts.len()).collect();
        for at in (1..order.len()).rev() {
            order.swap(at, moves[at].index(at + 1));
        }
        let shuffled: Vec<String> = order.iter().map(|&at| texts[at].clone()).collect();
        let (first, second) = (vote(&texts, &kind, rule), vote(&shuffled, &kind, rule));
        let straight: Vec<usize> = (0..texts.len()).collect();
        prop_assert_eq!(classes(&first, &straight), classes(&second, &order));
        prop_assert_eq!(first.abstained, second.abstained);
        prop_assert_eq!(first.confidence, second.confidence);
        // Letters are shown as the earliest wrote them; which won is the same.
        if kind != AnswerKind::Choice {
            prop_assert_eq!(first.answer, second.answer);
        }
    }

    #[test]
    fn a_copy_never_takes_votes_from_its_answer(texts in some_texts(), kind in kinds(), of in any::<Index>()) {
        let index = of.index(texts.len());
        let before = vote(&texts, &kind, Rule::Plurality);
        let mut more = texts.clone();
        more.push(texts[index].clone());
        let after = vote(&more, &kind, Rule::Plurality);
        let votes = votes_of(&before, index);
        prop_assert_eq!(votes_of(&after, index), if votes == 0 { 0 } else { votes + 1 });
        // Who won with it still wins, with a share that is no smaller.
        if before.vote.winner.is_some_and(|winner| before.vote.clusters[winner].candidates.contains(&index)) {
            prop_assert!(after.vote.winner.is_some_and(|winner| after.vote.clusters[winner].candidates.contains(&index)));
            prop_assert!(kind == AnswerKind::Choice || after.confidence >= before.confidence);
        }
    }

    #[test]
    fn what_is_no_label_never_wins(texts in texts(), rule in rules(), is_ordinal in any::<bool>()) {
        let kind = AnswerKind::Labels(Labels::new(LABELS.map(str::to_owned)).unwrap());
        let options = VoteOptions { kind: Some(kind), rule: Some(rule), is_ordinal, ..VoteOptions::default() };
        let ballot = ballot(&set(&texts), &options).unwrap();
        prop_assert!(ballot.answer.as_deref().is_none_or(|answer| LABELS.contains(&answer)), "{:?}", ballot.answer);
        for (reading, text) in ballot.vote.readings.iter().zip(&texts) {
            prop_assert!(reading.answer.is_some() != reading.no_answer.is_some(), "{text}");
        }
    }

    #[test]
    fn no_text_is_read_twice_or_panics(text in "(?s).{0,300}", truncated in any::<bool>(), kind in kinds()) {
        let mut set = set(&[text]);
        set.candidates[0].finish_reason = truncated.then(|| "length".to_owned());
        let _ = ballot(&set, &VoteOptions::default());
        let options = VoteOptions { kind: Some(kind), ..VoteOptions::default() };
        let found = ballot(&set, &options).unwrap();
        let standing: usize = found.vote.clusters.iter().map(|cluster| cluster.candidates.len()).sum();
        prop_assert!(standing <= 1);
        prop_assert_eq!(standing, usize::from(found.vote.readings[0].answer.is_some()));
    }

    #[test]
    fn alpha_is_at_most_one(units in prop::collection::vec(prop::collection::vec(0usize..5, 3), 1..8)) {
        let order = ["a", "b", "c"].map(str::to_owned).to_vec();
        for mut alpha in [Alpha::nominal(), Alpha::ordinal(order)] {
            for unit in &units {
                alpha.add(["a", "b", "c"].into_iter().zip(unit.iter().copied()));
            }
            prop_assert!(alpha.value().is_none_or(|value| value.is_finite() && value <= 1.0 + 1e-12));
        }
    }
}
