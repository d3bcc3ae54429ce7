//! Texts and pairs that people reported as read or judged wrongly, with their right values (`tests/data/cases`), and what
//! must hold of every text: one reading of it, whoever asks.

use std::collections::BTreeSet;
use std::io::Read;
use std::path::{Path, PathBuf};

use conclave_core::equivalence::{Answer, Verdict, compare, equivalence_classes, is_equivalent};
use conclave_core::grade::grade;
use conclave_core::reader::{NoAnswer, Tier, read};
use conclave_core::{AggregateResult, Candidate, SampleSet, majority_vote, read_sample_sets};
use serde_json::Value;

fn data(path: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/data").join(path)
}

fn lines(path: &str) -> Vec<Value> {
    let text = std::fs::read_to_string(data(path)).expect("a file of cases");
    text.lines().map(|line| serde_json::from_str(line).expect("a case a line")).collect()
}

fn text<'a>(case: &'a Value, field: &str) -> &'a str {
    case[field].as_str().expect("a text")
}

fn set_of(reference: &str, texts: &[&str]) -> SampleSet {
    SampleSet {
        id: "case".to_owned(),
        problem: String::new(),
        reference_answer: Some(reference.into()),
        candidates: texts
            .iter()
            .map(|text| Candidate { text: (*text).to_owned(), ..Candidate::default() })
            .collect(),
        extra: serde_json::Map::new(),
    }
}

/// The pairs of a file that are judged otherwise than they should be.
fn wrong_pairs(path: &str, marked: bool) -> Vec<(u64, String)> {
    let is_marked = |case: &Value| ["policy", "debatable"].iter().any(|mark| !case[*mark].is_null());
    let wrong = |case: &Value| {
        let (reference, prediction) = (text(case, "reference"), text(case, "prediction"));
        let (found, expected) =
            (grade(reference, prediction), case["equivalent"].as_bool().expect("a verdict"));
        (found.equivalent != expected).then(|| {
            let number = case["n"].as_u64().expect("a number");
            (
                number,
                format!("{number}: expected {expected}: {reference:.200?} | {prediction:.200?}: {found:?}"),
            )
        })
    };
    lines(path).iter().filter(|case| is_marked(case) == marked).filter_map(wrong).collect()
}

fn messages(wrong: Vec<(u64, String)>) -> String {
    wrong.into_iter().map(|(_, message)| message + "\n").collect()
}

#[test]
fn pairs_are_judged_rightly() {
    for file in ["cases/pairs.jsonl", "cases/kinds.jsonl"] {
        let wrong = wrong_pairs(file, false);
        assert!(wrong.is_empty(), "{file}:\n{}", messages(wrong));
    }
}

/// Where graders differ: the cases that we decide otherwise than their reporters, each by a policy of docs/equivalence.md.
#[test]
fn what_graders_differ_on_is_decided_by_policy() {
    let differ: BTreeSet<u64> =
        wrong_pairs("cases/pairs.jsonl", true).into_iter().map(|(number, _)| number).collect();
    assert_eq!(differ, BTreeSet::from(DECIDED_OTHERWISE), "docs/equivalence.md lists them");
}

/// As docs/equivalence.md lists them, under "Cases that we decide otherwise".
const DECIDED_OTHERWISE: [u64; 16] =
    [44, 58, 87, 88, 107, 110, 142, 159, 216, 252, 268, 269, 293, 297, 485, 501];

/// All but the two that need labels: letters in lower case (3), and a word with its reason (32).
#[test]
fn votes_are_held_rightly() {
    let mut wrong = Vec::new();
    for (file, left_out) in [("cases/sets.jsonl", &[3, 32][..]), ("cases/kinds_sets.jsonl", &[])] {
        for case in lines(file) {
            if left_out.contains(&case["n"].as_u64().expect("a number")) {
                continue;
            }
            let set: SampleSet = serde_json::from_value(case["set"].clone()).expect("a set");
            let vote = majority_vote(&set);
            let votes = vote.winner.map(|winner| vote.clusters[winner].candidates.len() as u64);
            let right = match case["expected"].as_str() {
                Some(expected) => {
                    vote.answer()
                        .is_some_and(|answer| is_equivalent(&Answer::parse(answer), &Answer::parse(expected)))
                        && case["expected_votes"].as_u64().is_none_or(|expected| votes == Some(expected))
                }
                None => vote.answer().is_none(),
            };
            if !right {
                wrong.push(format!("{}: {:?} with {votes:?}: {:?}", case["n"], vote.answer(), vote.readings));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// 200 wordings of an answer line in 10 texts around it: the answer is that line's.
#[test]
fn answer_lines_are_read_whatever_stands_around_them() {
    let file = std::fs::read_to_string(data("cases/answer_lines.json")).expect("the file");
    let file: Value = serde_json::from_str(&file).expect("JSON");
    let (wordings, wrappers) = (file["wordings"].as_array().unwrap(), file["wrappers"].as_array().unwrap());
    assert_eq!((wordings.len(), wrappers.len()), (200, 10));
    for value in ["116", "\\frac{3}{4}", "C", "-7", "12.5"] {
        let mut wrong = Vec::new();
        for wording in wordings {
            let line = wording.as_str().unwrap().replacen("{}", value, 1);
            for wrapper in wrappers {
                let text = wrapper.as_str().unwrap().replacen("{line}", &line, 1);
                let reading = read(&text, false);
                let right =
                    reading.to_answer().is_some_and(|found| is_equivalent(&found, &Answer::parse(value)));
                if !right {
                    wrong.push(format!("{text:?}: {reading:?}"));
                }
            }
        }
        assert!(wrong.len() <= 20, "{} of 2,000 for {value}:\n{}", wrong.len(), wrong.join("\n"));
    }
}

/// `grade` and `vote` on the same pair.
fn agree(reference: &str, prediction: &str) -> bool {
    let set = set_of(reference, &[prediction]);
    let result = AggregateResult::from_vote(&set, &majority_vote(&set));
    let grade = grade(reference, prediction);
    result.correct == Some(grade.equivalent) && result.answer == grade.answer
}

#[test]
fn grade_and_vote_read_alike() {
    let files = [
        "cases/pairs.jsonl",
        "cases/kinds.jsonl",
        "equivalence/math_verify.jsonl",
        "equivalence/peers.jsonl",
        "equivalence/matches.jsonl",
        "equivalence/near_misses.jsonl",
    ];
    for case in files.into_iter().flat_map(lines) {
        let (reference, prediction) = (text(&case, "reference"), text(&case, "prediction"));
        assert!(agree(reference, prediction), "{reference:.300?} | {prediction:.300?}");
    }
    let mut candidates = 0;
    for set in all_sets() {
        let Some(reference) = &set.reference_answer else { continue };
        for candidate in set.candidates.iter().filter(|candidate| !candidate.is_truncated()) {
            candidates += 1;
            assert!(
                agree(reference, &candidate.text),
                "{}: {reference:?} | {:.2000?}",
                set.id,
                candidate.text
            );
        }
    }
    assert!(candidates > 200);
}

/// The sets in the repository, and those of ../shared/data where that is there.
fn all_sets() -> Vec<SampleSet> {
    let shared = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/data/sets");
    let mut sets = Vec::new();
    for folder in [data("sets"), shared] {
        let Ok(entries) = folder.read_dir() else { continue };
        for entry in entries {
            let path = entry.expect("an entry").path();
            let Ok(bytes) = std::fs::read(&path) else { continue };
            let text = match path.extension().is_some_and(|ending| ending == "gz") {
                true => {
                    let mut text = Vec::new();
                    flate2::read::MultiGzDecoder::new(&bytes[..])
                        .read_to_end(&mut text)
                        .expect("a gzip file");
                    text
                }
                false => bytes,
            };
            let is_sets = path.to_string_lossy().contains(".jsonl");
            let read = read_sample_sets(&text[..]).filter_map(Result::ok);
            sets.extend(is_sets.then_some(read).into_iter().flatten());
        }
    }
    sets
}

/// Every answer string of the data, graded against itself.
#[test]
fn grading_is_reflexive() {
    let mut answers: BTreeSet<String> = BTreeSet::new();
    for set in all_sets() {
        answers.extend(set.reference_answer.iter().map(|reference| reference.first().to_owned()));
        for candidate in &set.candidates {
            for field in ["peer_answer", "source_answer"] {
                answers.extend(candidate.extra.get(field).and_then(Value::as_str).map(str::to_owned));
            }
            // What we read is an answer too, and is read as itself.
            answers.extend(read(&candidate.text, candidate.is_truncated()).answer);
        }
    }
    for file in
        ["cases/pairs.jsonl", "cases/kinds.jsonl", "equivalence/math_verify.jsonl", "equivalence/peers.jsonl"]
    {
        answers.extend(lines(file).iter().map(|case| text(case, "reference").to_owned()));
    }
    answers.retain(|answer| !answer.trim().is_empty());
    assert!(answers.len() > 500);
    let irreflexive: Vec<&String> =
        answers.iter().filter(|answer| !grade(answer, answer).equivalent).collect();
    assert!(irreflexive.is_empty(), "{} of {}: {irreflexive:#?}", irreflexive.len(), answers.len());
}

/// Pairs with the verdict that they have in the order given and in the other.
fn check(cases: &[(&str, &str, Verdict)]) {
    for (a, b, expected) in cases {
        let found = compare(&Answer::parse(a), &Answer::parse(b));
        assert_eq!(found, *expected, "{a} | {b}");
        assert_eq!(compare(&Answer::parse(b), &Answer::parse(a)), *expected, "{b} | {a}");
    }
}

use Verdict::{Different, Same, Unknown};

/// Functions of several pieces are other functions than one of their pieces, however far away the other piece begins.
#[test]
fn a_piece_is_not_the_whole_function() {
    check(&[
        ("|x-3|", "3-x", Different),
        ("|x-3|", "x-3", Different),
        ("|x-3|", "|3-x|", Same),
        ("\\sqrt{(x+3)^2}", "x+3", Different),
        ("\\sqrt{(x+3)^2}", "|x+3|", Same),
        ("\\sqrt{x^2-6x+9}", "3-x", Different),
        ("|x^2-9|", "9-x^2", Different),
        ("y=|x-3|", "y=3-x", Different),
        ("|x-3|+|x-5|", "8-2x", Different),
        ("|x+2|", "x+2", Different),
        ("|y+1|", "y+1", Different),
        ("|ab-10|", "10-ab", Different),
        ("|ab-10|", "|10-ab|", Same),
        ("\\arctan(\\tan(x/2))", "x/2", Different),
        ("|x-1000000|", "1000000-x", Different),
        ("|x^2+1|", "x^2+1", Same),
        ("\\max(x, 3)", "x", Different),
        ("\\max(x,y)", "\\frac{x+y+|x-y|}{2}", Same),
        ("\\lfloor x \\rfloor", "x", Different),
        ("\\lfloor x \\rfloor", "\\lceil x \\rceil - 1", Different),
        ("\\lfloor x+1 \\rfloor", "\\lfloor x \\rfloor + 1", Same),
        ("\\operatorname{sgn}(x)", "1", Different),
        ("\\operatorname{sgn}(x)\\cdot|x|", "x", Same),
        ("\\ln(x^2)", "2\\ln|x|", Same),
        ("\\ln((x+5)^2)", "2\\ln(x+5)", Unknown),
        ("||x|-3|", "3-|x|", Different),
    ]);
    // And so the function does not win the votes of two others.
    let set = set_of("x-3", &["\\boxed{x-3}"; 3]);
    let mut set = set;
    let more = ["\\boxed{|x-3|}", "\\boxed{|x-3|}", "\\boxed{3-x}", "\\boxed{3-x}"];
    set.candidates.extend(more.map(|text| Candidate { text: text.to_owned(), ..Candidate::default() }));
    let vote = majority_vote(&set);
    assert_eq!((vote.answer(), vote.clusters[0].candidates.len()), (Some("x-3"), 3));
}

#[test]
fn a_spent_budget_is_unknown() {
    let powers: Vec<String> = (2..=111).map(|n| format!("x^{{{n}}}")).collect();
    let (left, right) = (format!("\\sqrt{{x^2}}+{}", powers.join("+")), format!("x+{}", powers.join("+")));
    let verdict = compare(&Answer::parse(&left), &Answer::parse(&right));
    assert_ne!(verdict, Same);
    assert!(!grade(&left, &right).equivalent);
}

#[test]
fn infinity_is_no_number() {
    check(&[
        ("-\\infty+\\infty", "0", Unknown),
        ("\\frac{\\infty}{\\infty}", "1", Unknown),
        ("0\\cdot\\infty", "0", Unknown),
        ("\\infty+1", "\\infty", Same),
        ("-\\infty", "\\infty", Different),
        ("\\infty", "10^{99}", Different),
        ("(-\\infty, 3)", "(-\\infty, 3)", Same),
    ]);
}

/// What a greedy choice of partners would refuse, and slips that were taken for lists.
#[test]
fn lists_are_paired_as_well_as_can_be() {
    check(&[
        ("12, 12\\text{ cm}", "12\\text{ cm}, 12\\text{ m}", Same),
        ("1, 2, 3", "3, 1, 2", Same),
        ("1, 2, 2", "1, 1, 2", Different),
        ("(1;2,)", "(1;2)", Unknown),
    ]);
}

#[test]
fn a_letter_under_an_accent_is_another() {
    check(&[
        ("\\bar x", "x", Different),
        ("\\bar{x}", "\\overline{x}", Same),
        ("\\vec a", "a", Different),
        ("\\hat p", "p", Different),
        ("\\overline{AB}", "AB", Same),
    ]);
}

#[test]
fn json_is_decoded_as_it_was_meant() {
    for (text, expected) in [
        (r#"{"answer": "\ud83d\ude00"}"#, "😀"),
        (r#"{"answer": "12\nexactly"}"#, "12 exactly"),
        (r#"{"answer": "x \neq 2"}"#, "x \\neq 2"),
        (r#"{"answer": "caf\u00e9"}"#, "café"),
    ] {
        assert_eq!(read(text, false).answer.as_deref(), Some(expected), "{text}");
    }
    // Half a pair of surrogates is no character, and no panic.
    assert!(read(r#"{"answer": "\ud83d7"}"#, false).answer.is_some());
}

/// What was read wrongly in texts that had not been seen before.
#[test]
fn unseen_texts_are_read_rightly() {
    for (text, expected) in [
        ("\\[ \\text{ANSWER: 434} \\]", "434"),
        ("\\[ \\text{ANSWER: } 434 \\]", "434"),
        ("$$ANSWER: 113$$", "113"),
        ("\\boxed{\\frac{2}{3}}. So m+n = 5.\n\n**ANSWER: 005**", "5"),
        ("\\boxed{7} and so on\n#### 14", "14"),
        ("\\boxed{ANSWER: 199}", "199"),
        ("\\boxed{\\text{ANSWER: } 352}", "352"),
        ("\\boxed{\\text{the answer is 0}}", "0"),
        ("ANSWER: 5\n\n(Any answer written as 005 is acceptable.)", "5"),
        ("The answer is 13.\nThe answer is an integer between 000 and 999, as required.", "13"),
        ("**ANSWER: 62** (as this is the only one).", "62"),
        ("\\boxed{12^{\\text{th}}}", "12"),
        ("The side is 4S/3.", "4S/3"),
        ("so the power is 2 / 1", "2"),
        ("and then x = 8 / 2", "4"),
        ("Conclude the final answer \nThus, the magnitude of $(1-i)^8$ is $16$.", "16"),
        ("\\boxed{160 red roses}", "160"),
        ("Le prix est de 2,74 euros.", "2,74"),
        ("答案：每份应该是 (\\frac{2}{5}) 吨。", "\\frac{2}{5}"),
        ("So $a + b = 0 + 0 = 0$.", "0"),
    ] {
        let reading = read(text, false);
        let found = reading.to_answer();
        let right = found.is_some_and(|found| is_equivalent(&found, &Answer::parse(expected)));
        assert!(right, "{text:?}: {reading:?}, expected {expected}");
    }
    for (text, reason) in [
        ("Since $\\left(x + \\frac{4}{", NoAnswer::Truncated),
        ("<think>So far 35", NoAnswer::UnclosedThought),
        ("Error code: 429 - Rate limit reached, try again in 20s.", NoAnswer::ApiError),
        ("I'm sorry, but I can't help with that.", NoAnswer::Refusal),
        ("The answer is greater than 12.", NoAnswer::Hedge),
        ("it is 94106 or else 94107", NoAnswer::Hedge),
        ("\\boxed{[Insert your final answer here]}", NoAnswer::Placeholder),
        ("   ", NoAnswer::Empty),
        ("ANSWER: thus contingent upon additional details of the case", NoAnswer::NotFound),
    ] {
        assert_eq!(read(text, false).no_answer, Some(reason), "{text:?}");
    }
}

/// What `grade` and `vote` read differently, and what was not equal to itself.
#[test]
fn short_texts_are_read_as_long_ones() {
    for prediction in
        ["The answer is 116", "The answer is 116.", "ANSWER: 116", "A: 116", "Final answer: 116", "#### 116"]
    {
        assert!(grade("116", prediction).equivalent, "{prediction}");
    }
    assert!(grade("C", "The answer is (C).").equivalent);
    for text in [
        "There is no real root",
        "\\begin{cases} x+1 & \\text{if } x > 0 \\\\ 1 & \\text{otherwise and so on} \\end{cases}",
    ] {
        assert!(grade(text, text).equivalent, "{text}");
    }
}

/// Notations that were not understood.
#[test]
fn notations_are_understood() {
    check(&[
        ("-\\sqrt{3}", "-1.7320508075688772", Same),
        ("|x| < 3", "(-3, 3)", Same),
        ("|x-2| \\ge 5", "(-\\infty,-3]\\cup[7,\\infty)", Same),
        ("\\{x \\mid x>3\\}", "(3,\\infty)", Same),
        ("x < 3 \\text{ or } x > 5", "(-\\infty,3)\\cup(5,\\infty)", Same),
        ("a=1; b=2", "a=1, b=2", Same),
        ("x=3orx=-3", "3, -3", Same),
        ("\\sin(ab)", "\\sin(ba)", Same),
        ("28\\%", "28 percentage points", Same),
        ("C", "C Cecile", Unknown),
        ("C", "C. Cecile", Same),
        ("\\max(2,3)", "3", Same),
        ("7 \\bmod 3", "1", Same),
        ("343 \\pmod{1000}", "343", Same),
        ("\\textbf{(B) }4", "4", Same),
        ("\\textbf{(B) }4", "B", Same),
        ("\\sum_{k=1}^{5} k", "15", Same),
        ("\\sum_{k=1}^{n} k", "\\frac{n(n+1)}{2}", Same),
        ("E[X^2]=432", "432", Same),
        ("12 m", "12 \\text{ meters}", Same),
        ("12 m", "12", Different),
        ("2:00 PM", "2 p.m.", Same),
        ("12:00", "1:00", Different),
        ("1:2", "2:4", Same),
        ("x+y=2", "2", Unknown),
    ]);
    // In a box a sum of names says what it comes to; as a reference it does not.
    assert!(grade("17", "\\boxed{m+n=17}").equivalent);
    assert!(!grade("m+n=17", "17").equivalent);
    assert_eq!(read("\\boxed{m+n=17}", false).found_by, Some(Tier::Boxed));
    // The classes of a vote know that too.
    let read_all: Vec<Answer> =
        ["\\boxed{m+n=17}", "17"].iter().filter_map(|text| read(text, false).to_answer()).collect();
    assert_eq!(equivalence_classes(&read_all).of, [0, 0]);
}

/// Pairs that SymPy proved or refuted (`crates/xtask/scripts/check_sympy.py` makes more): no negative is accepted, and
/// nearly all positives are.
#[test]
fn agrees_with_sympy() {
    let (mut accepted, mut refused, mut positives) = (Vec::new(), Vec::new(), 0);
    for case in lines("equivalence/sympy.jsonl") {
        let (reference, prediction) = (text(&case, "reference"), text(&case, "prediction"));
        let expected = case["equivalent"].as_bool().expect("a verdict");
        let verdict = grade(reference, prediction).verdict;
        positives += usize::from(expected);
        if expected != verdict.is_same() {
            let line = format!("{verdict:?} {}: {reference} | {prediction}", case["kind"]);
            if expected { refused.push(line) } else { accepted.push(line) }
        }
    }
    assert!(accepted.is_empty(), "accepted:\n{}", accepted.join("\n"));
    assert!(refused.len() * 20 <= positives, "{} of {positives}:\n{}", refused.len(), refused.join("\n"));
}
