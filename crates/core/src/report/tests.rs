//! Reports on small files whose figures can be counted by hand.

use super::*;
use crate::result::{ConfidenceKind, Usage};
use crate::sample_set::read_sample_sets;
use crate::vote::majority_vote;

/// Three problems: 3-1 right, a 2-2 tie with the wrong class first, and 1 right among 4 with one unanswered.
const SETS: &str = r#"
{"id":"a","problem":"p","reference_answer":"7","candidates":[{"text":"7","ok":true},{"text":"7","ok":true},{"text":"8","ok":false},{"text":"7.0","ok":true}]}
{"id":"b","problem":"p","reference_answer":"7","candidates":[{"text":"8","ok":false},{"text":"7"},{"text":"7","ok":true},{"text":"8","ok":false}]}
{"id":"c","problem":"p","reference_answer":"7","candidates":[{"text":"8","ok":null},{"text":"8","ok":false},{"text":"none"},{"text":"7","ok":false}]}
{"id":"d","problem":"p","candidates":[{"text":"8"}]}
"#;

fn sets() -> Vec<SampleSet> {
    read_sample_sets(SETS.as_bytes()).collect::<Result<_, _>>().unwrap()
}

fn sets_report(options: EvalOptions) -> SetsReport {
    let mut evaluation = Evaluation::new(options);
    sets().iter().for_each(|set| evaluation.add_set(set).unwrap());
    match evaluation.report("f") {
        Report::Sets(report) => report,
        Report::Results(_) => panic!("sets give a report on sets"),
    }
}

fn values(report: &SetsReport) -> [f64; 4] {
    [report.mean_at_1, report.majority_expected, report.majority_first, report.pass_at_k]
        .map(|f| f.unwrap().value)
}

fn assert_near(found: [f64; 4], expected: [f64; 4]) {
    assert!(
        found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-12),
        "{found:?}, expected {expected:?}"
    );
}

#[test]
fn sets_by_our_grading() {
    let report = sets_report(EvalOptions::default());
    assert_eq!((report.problems, report.skipped, report.num_candidates), (3, 1, 4));
    assert_near(values(&report), [1.5 / 3.0, 1.5 / 3.0, 1.0 / 3.0, 1.0]);
}

#[test]
fn the_first_candidates_only() {
    let report = sets_report(EvalOptions { num_candidates: Some(2), labels: None });
    assert_eq!(report.num_candidates, 2);
    assert_near(values(&report), [1.5 / 3.0, 1.5 / 3.0, 1.0 / 3.0, 2.0 / 3.0]);
}

#[test]
fn sets_by_labels() {
    let report = sets_report(EvalOptions { num_candidates: None, labels: Some("ok".into()) });
    // b has 3 labels (8 8 7), c has 2, both false; d has none.
    assert_eq!((report.problems, report.skipped, report.num_candidates), (3, 1, 4));
    assert_near(values(&report), [(0.75 + 1.0 / 3.0) / 3.0, 1.0 / 3.0, 1.0 / 3.0, 2.0 / 3.0]);
}

#[test]
fn labels_decide_the_classes() {
    // By its own words the majority is 9; the labels were given on other answers.
    let set = r#"{"id":"a","problem":"p","candidates":[{"text":"9","s_correct":false,"s_answer":"8"},
        {"text":"9","s_correct":false,"s_answer":null},{"text":"1/2","s_correct":true},{"text":"9","s_correct":true}]}"#;
    let set = read_sample_sets(set.replace('\n', " ").as_bytes()).next().unwrap().unwrap();
    let mut evaluation =
        Evaluation::new(EvalOptions { num_candidates: None, labels: Some("s_correct".into()) });
    evaluation.add_set(&set).unwrap();
    let Report::Sets(report) = evaluation.report("f") else { panic!("sets give a report on sets") };
    assert_near(values(&report), [0.5, 1.0, 1.0, 1.0]);
}

#[test]
fn a_label_that_is_no_verdict_is_refused() {
    let set = r#"{"id":"a","problem":"p","candidates":[{"text":"7"},{"text":"7","ok":"yes"}]}"#;
    let set = read_sample_sets(set.as_bytes()).next().unwrap().unwrap();
    let mut evaluation = Evaluation::new(EvalOptions { num_candidates: None, labels: Some("ok".into()) });
    assert_eq!(
        evaluation.add_set(&set).unwrap_err().to_string(),
        "set `a`, candidate 2: `ok` is \"yes\"; expected true, false, null or no such field"
    );
}

#[test]
fn no_rows_are_a_report_without_figures() {
    let json = serde_json::to_string(&Evaluation::default().report("f")).unwrap();
    assert_eq!(
        json,
        r#"{"file":"f","problems":0,"skipped":0,"num_candidates":0,"mean_at_1":null,"majority_expected":null,"majority_first":null,"pass_at_k":null}"#
    );
}

fn result(set: &SampleSet, answer: Option<&str>) -> AggregateResult {
    let mut result = AggregateResult::from_vote(set, &majority_vote(set));
    result.usage = Usage { prompt_tokens: 10, completion_tokens: 2 };
    result.set_answer(answer.map(str::to_string));
    result
}

fn results_report(rows: &[AggregateResult]) -> ResultsReport {
    let mut evaluation = Evaluation::default();
    for row in rows {
        // Through the format: a report is a function of what stands in the file.
        let line = serde_json::to_string(row).unwrap();
        evaluation.add(&serde_json::from_str(&line).unwrap()).unwrap();
    }
    match evaluation.report("r") {
        Report::Results(report) => report,
        Report::Sets(_) => panic!("results give a report on results"),
    }
}

#[test]
fn results_against_the_vote() {
    let sets = sets();
    let rows = [
        result(&sets[0], Some("8")),
        result(&sets[1], Some("7")),
        result(&sets[2], Some("7")),
        result(&sets[3], None),
    ];
    let report = results_report(&rows);
    assert_near(values(&report.sets), values(&sets_report(EvalOptions::default())));
    assert_eq!((report.sets.problems, report.sets.skipped), (3, 1));
    assert_eq!((report.recoveries, report.regressions), (2, 1));
    assert_eq!(report.accuracy.unwrap().value, 2.0 / 3.0);
    // The vote has 1 of 3, the best choice 3 of 3, the answers 2 of 3.
    assert!((report.gap_closed.unwrap().value - 0.5).abs() < 1e-12);
    assert_eq!((report.prompt_tokens, report.completion_tokens), (30, 6));
    assert_eq!(report.flip_rate, None);
}

#[test]
fn no_gap_is_null() {
    let report = results_report(&[result(&sets()[0], Some("7"))]);
    assert_eq!(report.gap_closed, None);
    assert!(serde_json::to_string(&report).unwrap().contains(r#""gap_closed":null,"recoveries":0"#));
}

#[test]
fn several_rows_of_an_id_are_one_problem() {
    let sets = sets();
    let rows = [
        result(&sets[0], Some("7")),
        result(&sets[1], Some("7")),
        result(&sets[0], Some("7.0")),
        result(&sets[0], None),
        result(&sets[0], Some("9")),
    ];
    let report = results_report(&rows);
    assert_eq!(report.sets.problems, 2);
    assert_eq!(report.accuracy.unwrap().value, (0.5 + 1.0) / 2.0);
    // Of the six pairs of a's rows one agrees; b has one row and is no evidence.
    assert!((report.flip_rate.unwrap().value - 5.0 / 6.0).abs() < 1e-12);
}

#[test]
fn kinds_do_not_mix() {
    let sets = sets();
    let mut evaluation = Evaluation::default();
    evaluation.add_set(&sets[0]).unwrap();
    assert_eq!(evaluation.add_result(&result(&sets[1], None)), Err(ReportError::Mixed { id: "b".into() }));
    let mut labelled = Evaluation::new(EvalOptions { num_candidates: None, labels: Some("ok".into()) });
    assert!(matches!(labelled.add_result(&result(&sets[1], None)), Err(ReportError::LabelledResult { .. })));
}

#[test]
fn a_row_that_is_neither_says_what_is_missing() {
    let error = serde_json::from_str::<EvalRow>(r#"{"id":"a"}"#).unwrap_err().to_string();
    assert_eq!(error, "`problem`: missing; expected a string");
    let error = serde_json::from_str::<EvalRow>(r#"{"id":"a","clusters":[]}"#).unwrap_err().to_string();
    assert!(error.contains("missing field"), "{error}");
}

/// Labels with an abstention; a record that two write in their own way; code; mathematics.
const KINDS: &str = r#"
{"id":"label","problem":"p","reference_answer":"positive","candidates":[{"text":"Positive"},{"text":"positive."},{"text":"negative"},{"text":"**Positive**"}]}
{"id":"tie","problem":"p","reference_answer":"yes","candidates":[{"text":"yes"},{"text":"no"}]}
{"id":"record","problem":"p","reference_answer":{"a":1,"b":"x"},"candidates":[{"text":"{\"a\":1,\"b\":\"x\"}"},{"text":"{\"b\":\"x\",\"a\":1.0}"},{"text":"{\"a\":2,\"b\":\"x\"}"}]}
{"id":"code","problem":"p","reference_answer":"def f(): return 1","candidates":[{"text":"def f(x):\n    return x + 1\n"},{"text":"def f(x):\n    y = x\n    return y + 1\n"}]}
{"id":"math","problem":"p","reference_answer":"7","candidates":[{"text":"7"},{"text":"7.0"},{"text":"8"}]}
"#;

fn kinds() -> Vec<SampleSet> {
    read_sample_sets(KINDS.as_bytes()).collect::<Result<_, _>>().unwrap()
}

#[test]
fn every_set_by_its_kind() {
    let mut evaluation = Evaluation::by_kind(EvalOptions::default(), VoteOptions::default());
    kinds().iter().for_each(|set| evaluation.add_set(set).unwrap());
    let Report::Sets(report) = evaluation.report("f") else { panic!("sets give a report on sets") };
    assert_eq!((report.problems, report.skipped), (4, 1));
    let reason = "the candidates look like code".to_owned();
    assert_eq!(report.not_voted, [NotVoted { reason, rows: 1, first: "code".to_owned() }]);
    assert_near(
        values(&report),
        // 3 of 4, 1 of 2, 2 of 3, 2 of 3; the tie is half right, and its earliest is right.
        [(0.75 + 0.5 + 2.0 / 3.0 + 2.0 / 3.0) / 4.0, 3.5 / 4.0, 1.0, 1.0],
    );
}

#[test]
fn mathematics_is_as_it_was() {
    let old = sets_report(EvalOptions::default());
    let mut evaluation = Evaluation::by_kind(EvalOptions::default(), VoteOptions::default());
    sets().iter().for_each(|set| evaluation.add_set(set).unwrap());
    assert_eq!(evaluation.report("f"), Report::Sets(old.clone()));
    let mut repeated = Evaluation::by_kind(EvalOptions::default(), VoteOptions::default()).with_repeats();
    sets().iter().for_each(|set| repeated.add_set(set).unwrap());
    let Report::Sets(report) = repeated.report("f") else { panic!("sets give a report on sets") };
    assert_eq!(SetsReport { repeats: None, ..report.clone() }, old);
    assert_eq!(report.repeats.unwrap().items, 4, "one has no reference");
}

/// The rows that `vote --json` writes.
fn voted(sets: &[SampleSet]) -> Vec<AggregateResult> {
    let options = VoteOptions::default();
    let row = |set: &SampleSet| match crate::kinds::ballot(set, &options) {
        Ok(ballot) => AggregateResult::from_ballot(set, &ballot, &options),
        Err(error) => {
            let empty = SampleSet { candidates: Vec::new(), ..set.clone() };
            let mut result = AggregateResult::from_vote(&empty, &majority_vote(&empty));
            result.num_candidates = set.candidates.len();
            result.extra.insert("error".to_owned(), error.to_string().into());
            result
        }
    };
    sets.iter().map(row).collect()
}

#[test]
fn every_result_by_its_kind() {
    let mut evaluation = Evaluation::by_kind(EvalOptions::default(), VoteOptions::default()).with_repeats();
    let rows = voted(&kinds());
    for row in &rows {
        let line = serde_json::to_string(row).unwrap();
        evaluation.add(&serde_json::from_str(&line).unwrap()).unwrap();
    }
    let Report::Results(report) = evaluation.report("r") else { panic!("results give a report on results") };
    assert_eq!((report.sets.problems, report.sets.skipped), (4, 1));
    assert_eq!(report.sets.not_voted[0].first, "code");
    // The labels and the merged record are right; the tie abstains, and no answer is not correct.
    assert_eq!(report.accuracy.unwrap().value, 0.75);
    let correct = rows.iter().filter(|row| row.correct == Some(true)).count();
    assert_eq!(correct, 3, "what the rows say themselves");
    assert_eq!(values(&report.sets)[2], 1.0, "of the records two are one class");
    let repeats = report.sets.repeats.unwrap();
    assert_eq!(repeats.items, 4);
    assert_eq!(repeats.rules[0].kept.unwrap().value, 0.75);
}

#[test]
fn rows_of_an_id_flip_by_their_kind() {
    let row = |answer: &str| {
        let mut row = voted(&kinds()[..1]).remove(0);
        row.answer = Some(answer.to_owned());
        row
    };
    let mut evaluation = Evaluation::by_kind(EvalOptions::default(), VoteOptions::default());
    for answer in ["positive", "Positive.", "negative"] {
        evaluation.add_result(&row(answer)).unwrap();
    }
    let Report::Results(report) = evaluation.report("r") else { panic!("results give a report on results") };
    assert!((report.flip_rate.unwrap().value - 2.0 / 3.0).abs() < 1e-12);
    let strange = AggregateResult { answer_kind: Some("verse".to_owned()), ..row("positive") };
    let error = evaluation.add_result(&strange).unwrap_err().to_string();
    assert!(error.starts_with("`answer_kind` of `label`: `verse` is no kind of answer: expected"), "{error}");
}

#[test]
fn confidences_are_judged_by_kind() {
    let sets = sets();
    let row = |set: &SampleSet, answer: Option<&str>, confidence: f64, kind: ConfidenceKind| {
        let mut row = result(set, answer);
        (row.confidence, row.confidence_kind) = (confidence, kind);
        row
    };
    let (share, mass) = (ConfidenceKind::Share, ConfidenceKind::AnswerMass);
    let mut rows = vec![
        row(&sets[0], Some("7"), 0.9, share),
        row(&sets[0], Some("8"), 0.9, share),
        row(&sets[1], Some("7"), 0.95, share),
        row(&sets[1], Some("7"), -0.0, mass),
        // No answer, no reference, and a confidence that cannot be.
        row(&sets[1], None, 0.3, share),
        row(&sets[3], Some("7"), 0.3, share),
        row(&sets[2], Some("7"), 1.5, share),
    ];
    let report = results_report(&rows);
    let [first, second] = report.calibration.as_slice() else { panic!("two kinds: {report:?}") };
    assert_eq!((first.kind, first.rows, first.out_of_range), (share, 3, 1));
    assert_eq!((second.kind, second.rows, second.auroc), (mass, 1, None));
    assert_eq!(first.auroc.unwrap().value, 1.0 - 0.25, "{first:?}");
    assert_eq!(first.bins[9].rows, 3);
    assert!((first.brier.unwrap() - (0.01 + 0.81 + 0.0025) / 3.0).abs() < 1e-12);
    assert_eq!(first.kept.len(), 2);
    let line = serde_json::to_string(&report).unwrap();
    assert!(line.contains(r#""calibration":[{"kind":"share","rows":3,"out_of_range":1,"ece":"#), "{line}");
    assert!(
        line.contains(r#""yield":[{"at_least":0.95,"yield":0.3333333333333333,"accuracy":1.0}"#),
        "{line}"
    );
    assert!(!line[line.find("answer_mass").unwrap()..].contains("out_of_range"), "{line}");
    assert_eq!(serde_json::from_str::<ResultsReport>(&line).unwrap(), report);

    // What is withheld is judged as if it were not; the accuracy is that of what is given.
    rows.iter_mut().for_each(|row| row.abstain_below(None));
    let withheld = results_report(&rows);
    assert_eq!(withheld.calibration, report.calibration);
    assert_eq!((withheld.accuracy.unwrap().value, report.accuracy.unwrap().value > 0.0), (0.0, true));
}

#[test]
fn one_row_of_each_problem_is_independent() {
    let sets = sets();
    let mut evaluation = Evaluation::default();
    for (set, answer) in [(0, "7"), (0, "8"), (1, "7"), (0, "7"), (2, "9")] {
        evaluation.add_result(&result(&sets[set], Some(answer))).unwrap();
    }
    let [claims] = evaluation.claims().try_into().unwrap();
    assert_eq!(claims.problem_of, [0, 0, 1, 0, 2]);
    let first: Vec<Row> = [0, 2, 4].map(|at| claims.rows[at]).to_vec();
    assert_eq!(claims.first_of_each_problem(), first);
}
