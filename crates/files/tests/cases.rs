//! The files that people reported as not read by some tool, each with what becomes of it here; those for `grade` are tested with
//! the command.

mod reading;

use conclave_core::vote::majority_vote;
use conclave_files::Options;
use reading::{Read, read_all};
use serde_json::Value;

/// What a file must give: sets with so many candidates each, and the vote of the first; or a part of a message.
enum Expected {
    Sets(&'static [usize], Option<&'static str>),
    Message(&'static str),
}
use Expected::{Message, Sets};

/// By the name of the file.
const EXPECTED: &[(&str, Expected)] = &[
    ("lm_eval_samples_gsm8k.jsonl", Sets(&[2], Some("18"))),
    ("openai_batch_output.jsonl", Sets(&[3, 1], None)),
    ("openai_batch_input.jsonl", Message("these are requests of a batch, not answers")),
    ("openai_chat_completions.jsonl", Sets(&[2], None)),
    ("vllm_outputs.json", Sets(&[2], None)),
    ("hf_generations.jsonl", Sets(&[2], Some("18"))),
    ("qwen_math_outputs.jsonl", Sets(&[2], Some("18"))),
    ("ssa_answers_pass0_rank0.json", Sets(&[1, 1], None)),
    ("optillm_results.json", Sets(&[1], Some("18"))),
    ("big_pretty.json", Sets(&[1; 40_000], Some("18"))),
    ("matharena_out.json", Sets(&[2], Some("18"))),
    ("skythought.json", Sets(&[2], Some("18"))),
    ("verl_rollout.jsonl", Sets(&[2], Some("18"))),
    ("evalscope_review.jsonl", Sets(&[1], Some("18"))),
    ("mmlu_pro_results.json", Sets(&[1], Some("C"))),
    ("livebench_model_answer.jsonl", Sets(&[2], None)),
    ("inspect_log.json", Sets(&[1], Some("18"))),
    ("candidates_as_strings.jsonl", Sets(&[3], Some("18"))),
    ("samples_list.jsonl", Sets(&[2], Some("18"))),
    ("answer_not_reference_answer.jsonl", Sets(&[2], Some("18"))),
    ("question_not_problem.jsonl", Sets(&[1], Some("18"))),
    ("content_not_text.jsonl", Sets(&[1], Some("18"))),
    ("reference_boxed_solution.jsonl", Sets(&[1], Some("18"))),
    ("reference_hash_only.jsonl", Sets(&[1], Some("18"))),
    ("reference_list.jsonl", Sets(&[1], Some("18"))),
    ("reference_bool.jsonl", Sets(&[1], Some("True"))),
    ("reference_null.jsonl", Sets(&[1], None)),
    ("candidates_null.jsonl", Message("`candidates`: expected an array, found null")),
    ("text_null.jsonl", Sets(&[2], Some("18"))),
    ("duplicate_ids.jsonl", Sets(&[1, 1], Some("18"))),
    ("sets_array.json", Sets(&[1], Some("18"))),
    ("sets_array_oneline.json", Sets(&[1], Some("18"))),
    ("latin1.jsonl", Message("1: not UTF-8 at byte 38 (0xA3): it looks like Latin-1")),
    ("nan.jsonl", Sets(&[1], Some("18"))),
    ("lone_surrogate.jsonl", Sets(&[2], Some("18"))),
    ("trailing_comma.jsonl", Message("1: not JSON at column 93: trailing comma")),
    // The bytes of this case are no frame that any decoder takes; one that is whole is read in layouts.rs.
    ("zst.jsonl.zst", Message("zstd: ")),
    ("zip.zip", Message("this is a zip archive")),
    ("details.parquet", Message("this is Parquet")),
    ("traces.pkl", Message("this is a Python pickle")),
    ("concatenated.jsonl", Sets(&[1, 1], Some("18"))),
    ("cr_only.jsonl", Sets(&[1, 1], Some("18"))),
];

/// Whether the vote of a set is its reference, as the case says.
fn check(name: &str, read: &Read, expected: &Expected) {
    match expected {
        Message(part) => {
            let messages: Vec<&String> = read.refusal.iter().chain(&read.bad).collect();
            assert!(
                read.sets.is_empty() && messages.len() == 1 && messages[0].contains(part),
                "{name}: {read:?}"
            );
        }
        Sets(sizes, answer) => {
            assert!(
                read.refusal.is_none() && read.bad.is_empty(),
                "{name}: {:?} {:?}",
                read.refusal,
                read.bad
            );
            let found: Vec<usize> = read.sets.iter().map(|set| set.candidates.len()).collect();
            assert_eq!(found, *sizes, "{name}");
            let Some(answer) = answer else {
                assert!(read.sets.iter().all(|set| set.reference_answer.is_none()), "{name}");
                return;
            };
            let set = &read.sets[0];
            assert_eq!(majority_vote(set).answer(), Some(*answer), "{name}");
            let reference = set.reference_answer.as_ref().unwrap_or_else(|| panic!("{name}: no reference"));
            let own = conclave_core::Answer::parse(answer);
            assert!(reference.accepts(&own), "{name}: {reference:?}");
        }
    }
}

#[test]
fn every_file_is_read_or_named() {
    let text = include_str!("../../../tests/data/cases/files.jsonl");
    let mut checked = 0;
    for line in text.lines() {
        let case: Value = serde_json::from_str(line).unwrap();
        let field = |name: &str| case[name].as_str().unwrap_or_else(|| panic!("{name} of {line}"));
        if field("command") != "vote" {
            continue;
        }
        let name = field("file");
        let bytes = match (name, field("encoding")) {
            ("big_pretty.json", _) => big(),
            (_, "base64") => reading::base64(field("content")),
            _ => field("content").as_bytes().to_vec(),
        };
        let (_, expected) =
            EXPECTED.iter().find(|(known, _)| *known == name).unwrap_or_else(|| panic!("{name}"));
        check(name, &read_all(&[(name, &bytes)], &Options::default()), expected);
        checked += 1;
    }
    assert_eq!(checked, EXPECTED.len());
}

/// The 40,000 objects of which the case has the first.
fn big() -> Vec<u8> {
    let row = |at: usize| {
        format!(
            "  {{\n    \"index\": {at},\n    \"problem\": \"p\",\n    \"response\": \"\\\\boxed{{18}}\",\n    \"correct_answer\": \"18\"\n  }}"
        )
    };
    let rows: Vec<String> = (0..40_000).map(row).collect();
    format!("[\n{}\n]\n", rows.join(",\n")).into_bytes()
}

/// What is said once about a file, beside what it holds.
#[test]
fn what_is_said_once() {
    let text = include_str!("../../../tests/data/cases/files.jsonl");
    for (name, part) in [
        ("lm_eval_samples_gsm8k.jsonl", "1 row left out"),
        ("openai_batch_output.jsonl", "1 request without an answer (`gsm8k-1`: batch_expired)"),
        ("openai_batch_output.jsonl", "--problems FILE"),
        ("openai_chat_completions.jsonl", "--problems FILE"),
        ("answer_not_reference_answer.jsonl", "`answer` is taken as the reference"),
        ("duplicate_ids.jsonl", "1 set with an id that an earlier one has, as `1`"),
    ] {
        let case = text
            .lines()
            .map(|line| serde_json::from_str::<Value>(line).unwrap())
            .find(|case| case["file"] == name);
        let content = case.unwrap()["content"].as_str().unwrap().to_owned();
        let read = reading::read(name, content.as_bytes());
        assert!(read.notes.iter().any(|note| note.contains(part)), "{name}: {:?}", read.notes);
    }
}
