//! Equivalence and grading against files of pairs, and the bounds of their work. The pairs are data:
//! `tests/data/equivalence/README.md` says where they come from.

use conclave_core::equivalence::{
    Answer, Verdict, compare, compare_within, equivalence_classes, is_equivalent,
};
use conclave_core::grade::{Grade, GradePair, grade};
use conclave_core::math::Budget;

/// The pairs of a file, with the verdict each line expects.
fn pairs(file: &str) -> Vec<(GradePair, bool)> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../../tests/data/equivalence/");
    let text =
        std::fs::read_to_string(format!("{path}{file}")).expect("the file of pairs is in the repository");
    let read = |line: &str| {
        let pair: GradePair = serde_json::from_str(line).expect("a line is a pair");
        let equivalent = pair.extra["equivalent"].as_bool().expect("a line has a verdict");
        (pair, equivalent)
    };
    text.lines().map(read).collect()
}

/// Pairs on which we and the file differ.
fn disagreements(pairs: &[(GradePair, bool)]) -> Vec<&(GradePair, bool)> {
    let differs = |(pair, expected): &&(GradePair, bool)| {
        grade(&pair.reference, &pair.prediction).equivalent != *expected
    };
    pairs.iter().filter(differs).collect()
}

fn describe(pairs: &[&(GradePair, bool)]) -> String {
    let line = |(pair, expected): &&(GradePair, bool)| {
        format!("expected {expected}: {:?} | {:?}\n", pair.reference, pair.prediction)
    };
    pairs.iter().map(line).collect()
}

#[test]
fn agrees_with_math_verify_and_accepts_none_of_its_negatives() {
    let pairs = pairs("math_verify.jsonl");
    assert_eq!(pairs.len(), 160);
    let wrong = disagreements(&pairs);
    assert!(wrong.iter().all(|(_, expected)| *expected), "accepted a negative:\n{}", describe(&wrong));
    assert!(wrong.len() <= 2, "docs/equivalence.md names two:\n{}", describe(&wrong));
}

#[test]
fn agrees_with_peers_on_mathematics_and_letters() {
    let mut pairs = pairs("peers.jsonl");
    assert_eq!(pairs.len(), 164);
    pairs.retain(|(pair, _)| pair.extra["kind"] == "math" || pair.extra["kind"] == "letters");
    let wrong = disagreements(&pairs);
    println!("{} of {} pairs", pairs.len() - wrong.len(), pairs.len());
    assert!(wrong.len() <= 13, "docs/equivalence.md names thirteen:\n{}", describe(&wrong));
}

#[test]
fn refuses_every_near_miss_both_ways_round() {
    let pairs = pairs("near_misses.jsonl");
    assert!(pairs.len() >= 300);
    let wrong = disagreements(&pairs);
    assert!(wrong.is_empty(), "{}", describe(&wrong));
    for (pair, _) in &pairs {
        let turned = grade(&pair.prediction, &pair.reference);
        assert!(!turned.equivalent, "{:?} | {:?}", pair.prediction, pair.reference);
    }
}

#[test]
fn accepts_every_match_both_ways_round() {
    let pairs = pairs("matches.jsonl");
    assert!(pairs.len() >= 150);
    let wrong = disagreements(&pairs);
    assert!(wrong.is_empty(), "{}", describe(&wrong));
    for (pair, _) in &pairs {
        let turned = grade(&pair.prediction, &pair.reference);
        assert!(turned.equivalent, "{:?} | {:?}", pair.prediction, pair.reference);
    }
}

#[test]
fn matching_answers_share_a_class_and_near_misses_do_not() {
    for (file, together) in [("matches.jsonl", true), ("near_misses.jsonl", false)] {
        for (pair, _) in pairs(file) {
            // The pair as grading reads it: some lines hold marked-up answers.
            let Grade { answer: Some(prediction), .. } = grade("", &pair.prediction) else { continue };
            let Grade { answer: Some(reference), .. } = grade("", &pair.reference) else { continue };
            let answers = [Answer::parse(&reference), Answer::parse(&prediction)];
            let classes = equivalence_classes(&answers).of;
            assert_eq!(classes[0] == classes[1], together, "{reference:?} | {prediction:?}");
        }
    }
}

#[test]
fn a_prediction_without_an_answer_is_not_equivalent() {
    for prediction in ["", "   ", "I do not know what to say about this problem at all."] {
        let grade = grade("5", prediction);
        assert_eq!((&grade.answer, grade.equivalent, grade.verdict), (&None, false, Verdict::Different));
        assert!(grade.no_answer.is_some(), "{prediction:?}");
    }
}

/// Texts made to cost time, memory or stack.
fn hostile() -> Vec<String> {
    let nest = |open: &str, close: &str, n: usize| format!("{}1{}", open.repeat(n), close.repeat(n));
    vec![
        "9^9^9^9".into(),
        "9^{9^{9^{9}}}".into(),
        "(((9^{99})^{99})^{99})^{99}".into(),
        "99999999999999999999!".into(),
        "5!!!!!!!!!!!!!!".into(),
        "\\binom{999999999}{499999999}".into(),
        "1e999999".into(),
        "10^{100000}".into(),
        "(a+b+c+d+e+f+g+h)^{60}".into(),
        "(1+\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7)^{64}".into(),
        "\\frac{1}{1+\\sqrt2+\\sqrt3+\\sqrt5+\\sqrt7+\\sqrt{11}+\\sqrt{13}}".into(),
        "\\sqrt{123456789012345678901234567890123456789012345678901234567890}".into(),
        nest("{", "}", 10_000),
        nest("{", "}", 900),
        nest("(", ")", 900),
        nest("\\sqrt{", "}", 250),
        nest("\\sin(", ")", 250),
        nest("\\frac{1}{", "}", 150),
        nest("|", "|", 900),
        "-".repeat(1_900) + "1",
        "\\pm ".repeat(400) + "1",
        "1^".repeat(900) + "1",
        "2/".repeat(900) + "3",
        "x_".repeat(900) + "1",
        "1,".repeat(900) + "1",
        "\\pm1,".repeat(300) + "1",
        "a=".repeat(900) + "1",
        "\\text{".repeat(300) + &"}".repeat(300),
        "\\begin{pmatrix}".to_owned() + &"1&".repeat(900) + "1\\end{pmatrix}",
        "\\begin{pmatrix}1&2\\\\3&4\\end{pmatrix}".repeat(45),
        "\\cup".repeat(400),
        "f(".repeat(600) + &")".repeat(600),
        "'".repeat(1_999),
        "f".to_owned() + &"'".repeat(1_900),
        "$".repeat(1_999),
        "\\".repeat(1_999),
        "\u{0}\u{1}\u{feff}".repeat(200),
    ]
}

/// In a quarter of the stack that a browser gives a module.
#[test]
fn hostile_answers_stay_within_budget_and_stack() {
    let thread = std::thread::Builder::new().stack_size(256 * 1024);
    thread.spawn(check_hostile).expect("a thread starts").join().expect("no check fails");
}

fn check_hostile() {
    let hostile = hostile();
    let parsed: Vec<Answer> = hostile
        .iter()
        .map(|text| {
            let mut budget = Budget::default();
            let answer = Answer::parse_within(text, &mut budget);
            assert!(budget.used() <= Budget::STEPS + 1, "{} steps for {:.40}", budget.used(), text);
            answer
        })
        .collect();
    for (a, left) in parsed.iter().zip(&hostile) {
        for (b, right) in parsed.iter().zip(&hostile) {
            let mut budget = Budget::default();
            let verdict = compare_within(a, b, &mut budget);
            assert!(
                budget.used() <= Budget::STEPS + 1,
                "{} steps for {left:.40} | {right:.40}",
                budget.used()
            );
            assert_eq!(verdict, compare(b, a), "{left:.40} | {right:.40}");
            assert!(verdict.is_same() || left != right, "{left:.40}");
        }
    }
}

#[test]
fn honest_answers_take_a_small_part_of_the_budget() {
    for (pair, _) in pairs("matches.jsonl") {
        let mut budget = Budget::default();
        let a = Answer::parse_within(&pair.reference, &mut budget);
        let b = Answer::parse_within(&pair.prediction, &mut budget);
        compare_within(&a, &b, &mut budget);
        assert!(budget.used() < Budget::STEPS / 10, "{} steps: {:?}", budget.used(), pair.reference);
    }
}

#[test]
fn a_candidate_of_ten_megabytes_is_text() {
    for piece in ["{", "1,", "\\frac{1}{2}+", "x ", "é"] {
        let text = piece.repeat(10_000_000 / piece.len());
        let mut budget = Budget::default();
        let answer = Answer::parse_within(&text, &mut budget);
        assert_eq!(budget.used(), 0, "long answers are not parsed");
        assert!(answer.is_text() && is_equivalent(&answer, &answer));
    }
}

#[test]
fn classes_hold_what_is_the_same_and_nothing_that_differs() {
    let classes = |texts: &[&str]| {
        equivalence_classes(&texts.iter().map(|text| Answer::parse(text)).collect::<Vec<_>>()).of
    };
    assert_eq!(classes(&["12 cm", "12\\text{ m}"]), [0, 1]);
    assert_eq!(classes(&["12 cm", "12", "12\\text{ cm}", "13"]), [0, 0, 0, 1]);
    // 12 fits both lengths, which differ, and stands alone.
    assert_eq!(classes(&["12 cm", "12", "12\\text{ ft}", "12", "12 cm"]), [0, 1, 2, 1, 0]);
    assert_eq!(classes(&["x=5", "5", "y=5"]), [0, 1, 2]);
    assert_eq!(classes(&["(1,2)", "1, 2", "(2,1)"]), [0, 0, 1]);
    assert_eq!(classes(&["(C) 60", "C", "60"]), [0, 0, 0]);
    assert_eq!(classes(&["(C) 60", "60", "(B) 60"]), [0, 1, 2]);
    assert_eq!(classes(&["1/2", "x", "0.5", "\\frac12", "y", "x"]), [0, 1, 0, 0, 2, 1]);
    assert_eq!(classes(&["\\sqrt{5+2\\sqrt6}", "\\sqrt2+\\sqrt3", "3.1462643699"]), [0, 0, 0]);
    assert_eq!(classes(&["\\sqrt{5+2\\sqrt6}", "\\sqrt2+\\sqrt3", "3.1462643698"]), [0, 0, 1]);
    assert_eq!(classes(&[]), [0; 0]);
}
