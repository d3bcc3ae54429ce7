//! Kinds by example: what is read, what is seen, what is decided.

use serde_json::json;

use super::*;
use crate::sample_set::Candidate;

fn set(problem: &str, texts: &[&str]) -> SampleSet {
    let candidates = texts.iter().map(|text| Candidate { text: text.to_string(), ..Default::default() });
    SampleSet {
        id: "s".into(),
        problem: problem.into(),
        reference_answer: None,
        candidates: candidates.collect(),
        extra: Default::default(),
    }
}

fn labels(list: &str) -> Option<AnswerKind> {
    AnswerKind::parse(&format!("labels={list}")).unwrap()
}

fn kind(problem: &str, texts: &[&str]) -> Result<&'static str, Undecided> {
    match kind_of(&set(problem, texts), &VoteOptions::default()) {
        Ok((kind, _)) => Ok(kind.name()),
        Err(BallotError::Undecided(undecided)) => Err(undecided),
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn kinds_have_names() {
    for name in ["math", "choice", "labels=a,b", "labels", "json", "tool-call", "text"] {
        let kind = AnswerKind::parse(name).unwrap().unwrap();
        assert_eq!(kind.name(), name.split('=').next().unwrap());
    }
    assert_eq!(AnswerKind::parse("auto"), Ok(None));
    for wrong in ["", "maths", "labels=", "labels=a", "labels=a,,b", "labels=a,a", "text=x", "json={"] {
        assert!(AnswerKind::parse(wrong).is_err(), "{wrong}");
    }
    // Case tells two labels apart where nothing else does.
    let Some(AnswerKind::Labels(exact)) = labels("a,A") else { panic!() };
    assert_eq!((exact.place("a"), exact.place("A")), (Some(0), Some(1)));
}

#[test]
fn json_without_blanks_is_no_label() {
    let texts =
        ["positive", "positive", r#"{"label":"positive","score":0.9}"#, "negative", r#"{"score":0.9}"#];
    let ballot = ballot(&set("", &texts), &VoteOptions::default()).unwrap();
    let votes =
        ballot.vote.clusters.iter().map(|cluster| (cluster.answer.as_str(), cluster.candidates.len()));
    assert_eq!(votes.collect::<Vec<_>>(), [("positive", 3), ("negative", 1)]);
    assert_eq!(ballot.answer.as_deref(), Some("positive"));
}

#[test]
fn a_label_is_read_where_it_is_given() {
    let cases: &[(&str, &str, Option<&str>)] = &[
        ("positive,negative", "Positive.", Some("positive")),
        ("positive,negative", "**positive**", Some("positive")),
        ("positive,negative", r#"{"label": "positive", "score": 0.9}"#, Some("positive")),
        ("positive,negative", "```json\n{\"sentiment\": \"Negative\"}\n```", Some("negative")),
        ("positive,negative", "Sentiment: negative\nBecause 3 of 5 stars are missing.", Some("negative")),
        ("positive,negative", "The review praises the food, so the sentiment is positive.", Some("positive")),
        ("positive,negative", "It is not positive.", None),
        ("positive,negative", "It is positive in parts and negative in others, hard to say", None),
        ("positive,negative,neutral", "mixed", None),
        ("positive,negative", "<think>negative?</think>positive", Some("positive")),
        ("yes,no", "Yes, 17 is prime.", Some("yes")),
        ("yes,no", "No problem was found with the 3 parts", None),
        ("yes,no", "no - it fails 2 tests", Some("no")),
        ("supported,not supported", "The claim is not supported.", Some("not supported")),
        ("supported,not supported", "Verdict: Not Supported (2 sources)", Some("not supported")),
        ("not_entailment,entailment", "not-entailment", Some("not_entailment")),
        ("1,2,3,4,5", "Score: 4/5", Some("4")),
        ("1,2,3,4,5", "Rating: 4", Some("4")),
        ("1,2,3,4,5", "I looked at 3 things.\n\n4", None),
        ("1,2,3,4,5", "4.5", None),
        ("1,2,3,4,5", "7", None),
        ("PASS,FAIL", "All 12 tests ran. Final verdict: PASS", Some("PASS")),
        ("PASS,FAIL", "\\boxed{FAIL}", Some("FAIL")),
        ("A,B,tie", "[[A]]", Some("A")),
        ("A,B,tie", "Response A is better than response B. My final verdict is: [[B]]", Some("B")),
        ("A,B,tie", "Assistant A gave 3 examples, and is better.\n\n[[A]]", Some("A")),
        ("1,2,3,4,5", "Rating: [[4]]", Some("4")),
        ("1,2,3,4,5", "I'd give 3 out of 5", Some("3")),
        ("1,2,3,4,5", "Score: 4.0", Some("4")),
        ("positive,negative", "This is not a positive review", None),
        ("1,2,3,4,5", "I give it a 4", Some("4")),
        ("1,2,3,4,5", "4 stars", Some("4")),
        ("positive,negative", "", None),
        ("positive,negative", "Error code: 429 - rate limit", None),
        ("positive,negative", "I'm sorry, but I can't help with that.", None),
    ];
    for (list, text, expected) in cases {
        let Some(AnswerKind::Labels(labels)) = labels(list) else { panic!() };
        assert_eq!(labels.read(text, false).answer.as_deref(), *expected, "{text}");
    }
    let Some(AnswerKind::Labels(known)) = labels("positive,negative") else { panic!() };
    let open = |text: &str| Labels::open().read(text, false).answer;
    assert_eq!(open("Label: positive").as_deref(), Some("positive"));
    assert_eq!(open("The sentiment is positive.").as_deref(), Some("positive"));
    assert_eq!(open("ja, weil 3 > 2").as_deref(), Some("ja"));
    assert_eq!(open("<answer>yes</answer>").as_deref(), Some("yes"));
    assert_eq!(open("positive").as_deref(), Some("positive"));
    assert_eq!(open("Sentiment: very positive").as_deref(), Some("very positive"));
    assert_eq!(known.read("neutral", false).no_answer, Some(crate::reader::NoAnswer::OtherLabel));
    assert_eq!(known.read("The tone is posi", true).no_answer, Some(crate::reader::NoAnswer::Truncated));
}

#[test]
fn kinds_are_seen() {
    assert_eq!(
        kind("", &["positive", "positive", r#"{"label":"positive","score":0.9}"#, "negative"]),
        Ok("labels")
    );
    assert_eq!(
        kind("Is 17 a prime?", &["Yes, 17 is prime.", "Yes, 17 is prime.", "\\boxed{\\text{No}}"]),
        Ok("labels")
    );
    assert_eq!(kind("Is 17 a prime?", &["Yes", "Yes.", "No"]), Ok("labels"));
    assert_eq!(kind("Solve.", &["The answer is A.", "a", "(A)", "The answer is B.", "b", "B"]), Ok("choice"));
    assert_eq!(kind("Which?\nA) 4\nB) 7", &["B", "The answer is (B).", "7"]), Ok("choice"));
    assert_eq!(kind("2+2?", &["4", "The answer is 4.", "2+2=4"]), Ok("math"));
    assert_eq!(kind("?", &["$\\frac12$", "I think it is 20", ""]), Ok("math"));
    assert_eq!(kind("?", &[r#"{"name":"Ada","age":36}"#, r#"{"name":"Ada","age":37}"#]), Ok("json"));
    let hedged = r#"{"note":"greater than 12","name":"[insert name]","reason":"I cannot answer this."}"#;
    assert_eq!(kind("?", &[hedged, hedged]), Ok("json"));
    assert_eq!(kind("?", &[r#"{"reasoning":"2+2","answer":"4"}"#, "4"]), Ok("math"));
    assert_eq!(
        kind("Who wrote it?", &["Marie Curie, the physicist, wrote it", "It was written by Marie Curie"]),
        Ok("text")
    );
    assert_eq!(
        kind("?", &["def f(x):\n    return x + 42\n", "```python\nprint(42)\n```"]),
        Err(Undecided::Code)
    );
    let essay = "The war ended in 1945 and changed the continent for good. Cities had to be rebuilt, and people \
                 who had fled came home or found another one, which took many years and much patience of all.";
    assert_eq!(kind("Write an essay.", &[essay, essay]), Err(Undecided::Prose));
    let short = "The railway came in 1847 and the town grew around the station, which burned down once; it took 12 days \
                 to put the fire out.";
    assert_eq!(kind("", &[short, short]), Err(Undecided::Prose));
    assert_eq!(kind("?", &[]), Ok("math"));
    assert_eq!(kind("?", &["", "Error code: 500"]), Ok("math"));
}

#[test]
fn a_set_says_its_own_kind() {
    let mut set = set("?", &["low", "high", "low", "broken: 7"]);
    set.extra.insert("answer_kind".into(), json!("labels"));
    set.extra.insert("labels".into(), json!(["low", "medium", "high"]));
    let found = ballot(&set, &VoteOptions::default()).unwrap();
    assert_eq!(
        (found.answer.as_deref(), found.confidence, found.source),
        (Some("low"), 0.5, KindSource::Set)
    );
    // What is said for all sets counts more.
    let options = VoteOptions { kind: labels("high,low"), ..Default::default() };
    assert_eq!(ballot(&set, &options).unwrap().source, KindSource::Given);
    for (field, wrong) in [
        ("labels", json!("low")),
        ("labels", json!(["low"])),
        ("answer_kind", json!(["labels"])),
        ("answer_kind", json!("lables")),
    ] {
        let mut set = set.clone();
        set.extra.insert(field.into(), wrong);
        assert!(matches!(ballot(&set, &VoteOptions::default()), Err(BallotError::Kind(_))), "{field}");
    }
}

#[test]
fn labels_abstain_and_count_who_failed() {
    let options = |rule| VoteOptions { kind: labels("yes,no"), rule, ..Default::default() };
    let texts = ["yes", "yes", "no", "", "Error code: 429"];
    let plural = ballot(&set("?", &texts), &options(None)).unwrap();
    assert_eq!((plural.answer.as_deref(), plural.confidence), (Some("yes"), 0.4));
    assert_eq!(plural.confidence_kind, ConfidenceKind::Share);
    let strict = ballot(&set("?", &texts), &options(Some(Rule::Strict))).unwrap();
    assert_eq!((strict.answer, strict.abstained, strict.confidence), (None, Some(Abstention::TooFew), 0.0));
    let tie = ballot(&set("?", &["yes", "no"]), &options(None)).unwrap();
    assert_eq!((tie.answer, tie.abstained), (None, Some(Abstention::Tie)));
    let first = VoteOptions { ties: Some(Ties::First), ..options(None) };
    assert_eq!(ballot(&set("?", &["no", "yes"]), &first).unwrap().answer.as_deref(), Some("no"));
}

#[test]
fn the_median_needs_an_order() {
    let texts = ["1", "5", "4", "4", "Score: 2/5"];
    let options = VoteOptions { kind: labels("1,2,3,4,5"), is_ordinal: true, ..Default::default() };
    assert_eq!(ballot(&set("?", &texts), &options).unwrap().answer.as_deref(), Some("4"));
    let open = VoteOptions {
        kind: Some(AnswerKind::Labels(Labels::open())),
        is_ordinal: true,
        ..Default::default()
    };
    assert_eq!(ballot(&set("?", &["low", "high"]), &open), Err(BallotError::NoOrder));
}

#[test]
fn texts_need_a_strict_majority() {
    let options = VoteOptions { kind: Some(AnswerKind::Text), ..Default::default() };
    let found =
        ballot(&set("?", &["The Eiffel Tower", "Eiffel Tower.", "eiffel tower", "Big Ben"]), &options)
            .unwrap();
    assert_eq!((found.answer.as_deref(), found.confidence), (Some("Eiffel Tower."), 0.75));
    let split = ballot(&set("?", &["Paris", "Paris", "Lyon", "Rome"]), &options).unwrap();
    assert_eq!((split.answer, split.abstained), (None, Some(Abstention::TooFew)));
}

#[test]
fn mathematics_and_letters_keep_the_earliest() {
    let found = ballot(&set("?", &["\\boxed{7}", "\\boxed{8}"]), &VoteOptions::default()).unwrap();
    assert_eq!((found.answer.as_deref(), found.confidence_kind), (Some("7"), ConfidenceKind::Share));
    let letters = ["The answer is A.", "a", "(A)", "The answer is B.", "b", "B"];
    let found = ballot(&set("?", &letters), &VoteOptions::default()).unwrap();
    assert_eq!((found.answer.as_deref(), found.vote.clusters[0].candidates.len()), (Some("A"), 3));
}

#[test]
fn any_of_several_references_is_right() {
    let kind = labels("yes,no").unwrap();
    let reference = Reference::read(json!(["YES", "unsure"])).unwrap().unwrap();
    let right = |answer| kind.accepts(&reference, answer, None, &VoteOptions::default());
    assert!(right("yes") && !right("no"));
    let reference: Reference = "The Eiffel Tower".into();
    assert!(AnswerKind::Text.accepts(&reference, "eiffel tower", None, &VoteOptions::default()));
}
