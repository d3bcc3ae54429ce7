//! Repeats whose figures can be counted by hand.

use super::*;
use crate::report::{EvalOptions, Evaluation, Report, SetsReport};
use crate::sample_set::read_sample_sets;

/// 2 to 1 and right; 1 to 3 and wrong; all the same; one against one beside a candidate that says nothing, without a reference.
const SETS: &str = r#"
{"id":"a","problem":"p","reference_answer":"pos","candidates":[{"text":"pos"},{"text":"pos"},{"text":"neg"}]}
{"id":"b","problem":"p","reference_answer":"pos","candidates":[{"text":"neg"},{"text":"pos"},{"text":"neg"},{"text":"neg"}]}
{"id":"c","problem":"p","reference_answer":"pos","candidates":[{"text":"pos"},{"text":"Pos."},{"text":"pos"},{"text":"pos"}]}
{"id":"d","problem":"p","candidates":[{"text":"pos"},{"text":"neg"},{"text":""}]}
"#;

fn report_of(sets: &str, kind: &str, votes: VoteOptions, options: EvalOptions) -> SetsReport {
    let votes = VoteOptions { kind: AnswerKind::parse(kind).unwrap(), ..votes };
    let mut evaluation = Evaluation::by_kind(options, votes).with_repeats();
    for set in read_sample_sets(sets.as_bytes()) {
        evaluation.add_set(&set.unwrap()).unwrap();
    }
    match evaluation.report("f") {
        Report::Sets(report) => report,
        Report::Results(_) => panic!("sets give a report on sets"),
    }
}

fn repeats_of(sets: &str, kind: &str, votes: VoteOptions) -> RepeatsReport {
    report_of(sets, kind, votes, EvalOptions::default()).repeats.unwrap()
}

fn near(found: Option<f64>, expected: f64) -> bool {
    found.is_some_and(|found| (found - expected).abs() < 1e-12)
}

fn value(figure: Option<Figure>) -> Option<f64> {
    figure.map(|figure| figure.value)
}

fn assert_rules(report: &RepeatsReport, expected: &[(&str, f64, f64, f64)]) {
    assert_eq!(report.rules.len(), expected.len());
    for (rule, (name, kept, accuracy, flips)) in report.rules.iter().zip(expected) {
        assert_eq!(rule.rule, *name);
        assert!(near(value(rule.kept), *kept), "{rule:?}");
        assert!(near(value(rule.accuracy), *accuracy), "{rule:?}");
        assert!(near(value(rule.flips), *flips), "{rule:?}");
    }
}

#[test]
fn flips_and_rules() {
    let report = repeats_of(SETS, "labels=pos,neg", VoteOptions::default());
    assert_eq!((report.items, report.num_candidates), (4, 4));
    // 2 of 3 pairs, 3 of 6, none, and all 3: who says nothing agrees with nobody.
    let by_item: Vec<(&str, Option<f64>)> =
        report.by_item.iter().map(|item| (item.id.as_str(), item.flips)).collect();
    assert_eq!(by_item[0], ("d", Some(1.0)));
    assert!(by_item[1].0 == "a" && near(by_item[1].1, 2.0 / 3.0));
    assert_eq!(by_item[2..], [("b", Some(0.5)), ("c", Some(0.0))]);
    assert!(near(value(report.flips), (1.0 + 2.0 / 3.0 + 0.5) / 4.0));
    let d = &report.by_item[0];
    assert_eq!((d.candidates, d.answered, d.answers), (3, 2, 2));
    assert_rules(
        &report,
        &[
            // Without one of a's two there is a tie; without one of d's two there is none.
            ("plurality", 0.75, 2.0 / 3.0, (2.0 / 3.0 + 2.0 / 3.0) / 4.0),
            // One of two is no majority, so d has no answer whoever is left out.
            ("strict", 0.75, 2.0 / 3.0, (2.0 / 3.0) / 4.0),
            // Without the one who differs, a and b agree.
            ("unanimous", 0.25, 1.0, (1.0 / 3.0 + 1.0 / 4.0) / 4.0),
        ],
    );
}

#[test]
fn a_rule_that_is_named() {
    let votes = VoteOptions { rule: Some(Rule::AtLeast(3)), ..VoteOptions::default() };
    let report = repeats_of(SETS, "labels=pos,neg", votes);
    let last = report.rules.last().unwrap();
    assert_eq!(last.rule, "at-least 3");
    assert!(near(value(last.kept), 0.5) && near(value(last.accuracy), 0.5));
    // b has three votes, and two without one of them.
    assert!(near(value(last.flips), 0.75 / 4.0));
    // It is the vote of the other tables: three candidates are enough for c alone.
    let three = &report.by_candidates[2];
    assert_eq!((three.candidates, three.kept, three.accuracy), (3, Some(0.25), Some(1.0)));
    // b's vote is not yet that of all.
    assert_eq!(three.same, Some(0.75));
}

#[test]
fn by_number_of_candidates() {
    let report = repeats_of(SETS, "labels=pos,neg", VoteOptions::default());
    let expected = [
        // candidates, items, agreement, same, accuracy, yield
        (1, 4, None, 0.75, 2.0 / 3.0, 1.0),
        (2, 4, Some((1.0 + 0.0 + 1.0 + 0.0) / 4.0), 0.75, 1.0, 0.5),
        (3, 4, Some((1.0 / 3.0 + 1.0 / 3.0 + 1.0) / 4.0), 1.0, 2.0 / 3.0, 0.75),
        (4, 2, Some((0.5 + 1.0) / 2.0), 1.0, 0.5, 1.0),
    ];
    assert_eq!(report.by_candidates.len(), expected.len());
    for (step, (candidates, items, agreement, same, accuracy, kept)) in
        report.by_candidates.iter().zip(expected)
    {
        assert_eq!((step.candidates, step.items), (candidates, items));
        assert!(agreement.map_or(step.agreement.is_none(), |value| near(step.agreement, value)), "{step:?}");
        assert!(near(step.same, same) && near(step.accuracy, accuracy) && near(step.kept, kept), "{step:?}");
    }
    let first = EvalOptions { num_candidates: Some(2), labels: None };
    let first = report_of(SETS, "labels=pos,neg", VoteOptions::default(), first).repeats.unwrap();
    assert_eq!(first.by_candidates.len(), 2);
    assert!(near(value(first.flips), 0.5));
}

#[test]
fn accuracy_against_yield() {
    let report = repeats_of(SETS, "labels=pos,neg", VoteOptions::default());
    // The winners have 2 of 3, 3 of 4 and 4 of 4; d has none.
    let expected = [
        (1.0, 0.25, 1.0),
        (0.9, 0.25, 1.0),
        (0.8, 0.25, 1.0),
        (0.7, 0.5, 0.5),
        (0.6, 0.75, 2.0 / 3.0),
        (0.5, 0.75, 2.0 / 3.0),
        (0.0, 0.75, 2.0 / 3.0),
    ];
    assert_eq!(report.by_share.len(), expected.len());
    for (share, (at_least, kept, accuracy)) in report.by_share.iter().zip(expected) {
        assert_eq!(share.at_least, at_least);
        assert!(near(share.kept, kept) && near(share.accuracy, accuracy), "{share:?}");
    }
}

#[test]
fn alpha_is_of_labels() {
    // 8 pos and 5 neg; 2 + 2 + 0 + 2 unequal pairs, where chance gives 80 of 12.
    let nominal = repeats_of(SETS, "labels=pos,neg", VoteOptions::default());
    assert!(near(nominal.alpha, 1.0 - 6.0 / (80.0 / 12.0)), "{:?}", nominal.alpha);
    let votes = VoteOptions { is_ordinal: true, ..VoteOptions::default() };
    let ordinal = repeats_of(SETS, "labels=pos,neg", votes);
    assert!(near(ordinal.alpha, 0.1), "two labels are as far apart either way");
    // Of any few words, case does not part labels of several sets.
    assert!(near(repeats_of(SETS, "labels", VoteOptions::default()).alpha, 0.1));
    assert_eq!(repeats_of(SETS, "text", VoteOptions::default()).alpha, None);
}

#[test]
fn the_median_is_a_rule_where_labels_have_an_order() {
    let set = r#"{"id":"a","problem":"p","reference_answer":"mid","candidates":[{"text":"high"},{"text":"low"},{"text":"mid"}]}"#;
    let votes = VoteOptions { is_ordinal: true, ..VoteOptions::default() };
    let report = repeats_of(set, "labels=low,mid,high", votes);
    let median = report.rules.last().unwrap();
    // Of any two of them neither is in the middle.
    let found = (median.rule.as_str(), value(median.kept), value(median.accuracy), value(median.flips));
    assert_eq!(found, ("median", Some(1.0), Some(1.0), Some(1.0)));
    assert_eq!(value(report.rules[0].kept), Some(0.0), "three of one vote each");
    assert_eq!(report.by_share[6].kept, Some(1.0), "the vote is the median");
}

#[test]
fn ties_of_mathematics_are_the_earliests() {
    // Without the first 7 there is a tie, and an 8 is the earliest; without another 7 the first is.
    let set = r#"{"id":"a","problem":"p","candidates":[{"text":"7"},{"text":"8"},{"text":"8.0"},{"text":"7"},{"text":"7"}]}"#;
    let report = repeats_of(set, "auto", VoteOptions::default());
    assert!(near(value(report.rules[0].flips), 0.2), "{:?}", report.rules[0]);
    assert_eq!(report.rules[0].accuracy, None, "no reference");
    assert_eq!(report.alpha, None);
    let steps: Vec<usize> = report.by_candidates.iter().map(|step| step.candidates).collect();
    assert_eq!(steps, [1, 2, 3, 4, 5], "the most that there are is a step");
    let same: Vec<Option<f64>> = report.by_candidates.iter().map(|step| step.same).collect();
    assert_eq!(same, [1.0, 1.0, 0.0, 1.0, 1.0].map(Some));
}

#[test]
fn few_candidates_have_no_pairs() {
    let sets = r#"
{"id":"none","problem":"p","candidates":[]}
{"id":"one","problem":"p","reference_answer":"7","candidates":[{"text":"7"}]}
"#;
    let report = repeats_of(sets, "math", VoteOptions::default());
    assert_eq!((report.items, report.num_candidates, report.flips), (2, 1, None));
    assert!(near(value(report.rules[0].kept), 0.5) && report.rules[0].flips.is_none());
    assert!(report.by_item.iter().all(|item| item.flips.is_none()));
    let empty = repeats_of("", "auto", VoteOptions::default());
    assert_eq!((empty.items, empty.by_candidates.len(), empty.by_share[0].kept), (0, 0, None));
}

#[test]
fn steps_are_few() {
    let all: Vec<usize> = steps().collect();
    assert_eq!(all[..9], [1, 2, 3, 4, 6, 8, 12, 16, 24]);
    assert!(all.len() == MOST_STEPS && all.windows(2).all(|pair| pair[0] < pair[1]));
}

#[test]
fn what_a_file_says_does_no_harm() {
    // Indices without order, twice and beyond the number of candidates.
    let class =
        |members: &[usize], is_right| Class { answer: "7".into(), members: members.to_vec(), is_right };
    let item = Item {
        candidates: usize::MAX,
        classes: vec![class(&[0, 5, 5], true), class(&[1, usize::MAX], false)],
        is_graded: true,
    };
    let mut repeats = Repeats::new(&VoteOptions::default());
    repeats.add("x", &AnswerKind::Math, &item);
    repeats.add("y", &AnswerKind::Math, &Item { candidates: 1, ..item });
    assert_eq!(repeats.report().items, 2);
}

#[test]
fn the_report_as_json() {
    let report = repeats_of(SETS, "labels=pos,neg", VoteOptions::default());
    let json = serde_json::to_value(&report).unwrap();
    assert_eq!(json["by_share"][0].to_string(), r#"{"at_least":1.0,"yield":0.25,"accuracy":1.0}"#);
    assert_eq!(json["by_item"][3]["id"], "c");
    assert_eq!(json["rules"][0]["yield"]["value"], 0.75);
    assert_eq!(serde_json::from_value::<RepeatsReport>(json).unwrap(), report);
}
