//! A file of each layout, as its tool writes it: what is read in it. The table of layouts in docs/files.md is made from this one:
//! `UPDATE_DOCS=1 cargo test -p conclave-files --test layouts` writes it again.

mod reading;

use std::path::{Path, PathBuf};

use conclave_files::{Layout, Options, read_problems};
use reading::{Read, read_all};

/// Files that are read together, and what they give.
struct Fixture {
    /// What writes such files; a row of the table.
    tool: &'static str,
    files: &'static [&'static str],
    /// The `--from` that it is found out to be.
    format: &'static str,
    /// For each set: id, reference, candidates.
    sets: &'static [(&'static str, Option<&'static str>, usize)],
}

const fn fixture(
    tool: &'static str,
    files: &'static [&'static str],
    format: &'static str,
    sets: &'static [(&'static str, Option<&'static str>, usize)],
) -> Fixture {
    Fixture { tool, files, format, sets }
}

const R18: Option<&str> = Some("18");
const R56: Option<&str> = Some("56");

const FIXTURES: &[Fixture] = &[
    fixture("Conclave", &["sets.jsonl"], "sets", &[("a", R18, 3), ("b", None, 3)]),
    fixture("the same, as one array", &["sets.json"], "sets", &[("a", R18, 3)]),
    fixture(
        "lm-evaluation-harness, `samples_*.jsonl`",
        &["samples_gsm8k_2026-01-01T00-00-00.jsonl"],
        "lm-eval",
        &[("0", R18, 3), ("1", R56, 3)],
    ),
    fixture("the same, of a chat", &["samples_aime_chat.jsonl"], "lm-eval", &[("0", R56, 3)]),
    fixture(
        "batch output of OpenAI and vLLM",
        &["batch_output.jsonl"],
        "openai-batch",
        &[("q-1", None, 3), ("q-2", None, 1), ("q-3", None, 1), ("q-4", None, 1)],
    ),
    fixture(
        "batch results of Anthropic",
        &["anthropic_batch.jsonl"],
        "anthropic-batch",
        &[("q-1", None, 1), ("q-2", None, 1), ("q-3", None, 1)],
    ),
    fixture("chat completions", &["chat_completions.jsonl"], "completions", &[("chatcmpl-1", None, 3)]),
    fixture("text completions", &["completions.jsonl"], "completions", &[("cmpl-1", None, 3)]),
    fixture("OpenAI's Responses API", &["responses.jsonl"], "responses", &[("resp_1", None, 1)]),
    fixture("vLLM, `LLM.generate`", &["vllm_outputs.json"], "vllm", &[("0", None, 3), ("1", None, 1)]),
    fixture("data sets with `generations` (OpenR1)", &["openr1.jsonl"], "hf-generations", &[("u-1", R18, 2)]),
    fixture("Qwen2.5-Math", &["qwen_math.jsonl"], "qwen2.5-math", &[("0", R18, 2)]),
    fixture(
        "NeMo-Skills, a file a seed",
        &["output-rs0.jsonl", "output-rs1.jsonl", "output-rs2.jsonl"],
        "nemo-skills",
        &[("1", R18, 3), ("2", R56, 3)],
    ),
    fixture(
        "the SSA paper's code, a file a pass",
        &["answers_pass0_rank0.json", "answers_pass1_rank0.json"],
        "transcripts",
        &[("1", None, 2), ("2", None, 2)],
    ),
    fixture("verl, rollouts", &["verl_rollout.jsonl"], "verl", &[("1", R18, 2), ("2", R56, 1)]),
    fixture("evalscope, reviews", &["evalscope_review.jsonl"], "evalscope", &[("0", R18, 2), ("1", R56, 2)]),
    fixture("evalscope, predictions", &["evalscope_prediction.jsonl"], "evalscope", &[("0", None, 2)]),
    fixture("inspect, `.json`", &["inspect.json"], "inspect", &[("1", R18, 2), ("2", Some("C"), 2)]),
    fixture("inspect, `.eval`", &["inspect.eval"], "inspect", &[("1", R18, 2), ("2", Some("C"), 2)]),
    fixture(
        "the same, packed by Zstandard",
        &["inspect-zstd.eval"],
        "inspect",
        &[("1", R18, 1), ("2", Some("C"), 1)],
    ),
    fixture("MathArena", &["matharena.json"], "matharena", &[("1", R18, 3)]),
    fixture("optillm", &["optillm.json"], "optillm", &[("0", R18, 1), ("1", R56, 1)]),
    fixture("promptfoo", &["promptfoo.json"], "promptfoo", &[("0", R18, 3)]),
    fixture("the same, with `outputs`", &["promptfoo_outputs.json"], "promptfoo", &[("1", R56, 2)]),
    fixture("SkyThought", &["skythought.json"], "skythought", &[("1", R18, 3), ("2", R56, 1)]),
    fixture("the same, newer", &["skythought_new.json"], "skythought", &[("0", R56, 3)]),
    fixture("MMLU-Pro", &["mmlu_pro.json"], "mmlu-pro", &[("70", Some("C"), 1)]),
    fixture(
        "LiveBench and FastChat, `model_answer`, a file a model",
        &["model_answer_a.jsonl", "model_answer_b.jsonl"],
        "model-answer",
        &[("q-1", None, 3)],
    ),
    fixture("simple-evals", &["simple_evals.jsonl"], "simple-evals", &[("1", R18, 2)]),
    fixture("conversations", &["messages.jsonl"], "rows", &[("c-1", R56, 2)]),
    fixture("conversations of ShareGPT", &["sharegpt.jsonl"], "rows", &[("s-1", None, 1)]),
    fixture("rows with a list of candidates", &["lists.jsonl"], "lists", &[("1", R18, 3), ("2", R56, 3)]),
    fixture("rows with a candidate each", &["rows.jsonl"], "rows", &[("1", R18, 2), ("2", R56, 1)]),
    fixture("rows with an input of their own", &["alpaca.jsonl"], "rows", &[("1", Some("15"), 1)]),
    fixture("options in columns", &["columns_abcd.jsonl"], "rows", &[("1", Some("C"), 1)]),
    fixture("rows within an object", &["wrapped.json"], "lists", &[("1", R56, 3)]),
    fixture("CSV, a row a problem", &["columns.csv"], "table", &[("1", R18, 3), ("2", R56, 3)]),
    fixture("CSV, a column a model", &["models.csv"], "table", &[("1", R18, 2)]),
    fixture("CSV, a column a rater", &["labels.csv"], "table", &[("1", None, 3)]),
    fixture("TSV, a row a candidate", &["rows.tsv"], "table", &[("1", R56, 2), ("2", R18, 1)]),
    fixture("gzip", &["lists.jsonl.gz"], "lists", &[("1", R18, 3), ("2", R56, 3)]),
    fixture("Zstandard", &["lists.jsonl.zst"], "lists", &[("1", R18, 3), ("2", R56, 3)]),
    fixture("UTF-16", &["utf16.jsonl"], "lists", &[("1", R18, 3), ("2", R56, 3)]),
];

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/layouts")
}

fn bytes(name: &str) -> Vec<u8> {
    std::fs::read(folder().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn read(names: &[&str], options: &Options) -> Read {
    if names[0].ends_with(".eval") {
        return reading::read_archive(std::io::Cursor::new(bytes(names[0])), options);
    }
    let files: Vec<(&str, Vec<u8>)> = names.iter().map(|name| (*name, bytes(name))).collect();
    let files: Vec<(&str, &[u8])> = files.iter().map(|(name, bytes)| (*name, bytes.as_slice())).collect();
    read_all(&files, options)
}

#[test]
fn every_layout_is_read() {
    for Fixture { files, format, sets, .. } in FIXTURES {
        let read = read(files, &Options::default());
        assert!(
            read.bad.is_empty() && read.refusal.is_none(),
            "{files:?}: {:?} {:?}",
            read.bad,
            read.refusal
        );
        let found: Vec<_> = read
            .sets
            .iter()
            .map(|set| (set.id.as_str(), set.reference_answer.as_deref(), set.candidates.len()))
            .collect();
        assert_eq!(found, *sets, "{files:?}: {:#?}", read.sets);
        assert_eq!(read.layout.map(Layout::name), Some(*format), "{files:?}");
        // Written and read again, they are the same.
        for set in &read.sets {
            let line = serde_json::to_string(set).unwrap();
            let again: conclave_core::SampleSet = serde_json::from_str(&line).unwrap();
            assert_eq!(&again, set, "{files:?}");
        }
    }
}

/// Where a format is named, it is taken, and gives the same.
#[test]
fn a_named_format_is_taken() {
    for Fixture { files, format, sets, .. } in FIXTURES {
        let options = Options { from: Layout::named(format), ..Options::default() };
        let read = read(files, &options);
        assert_eq!(read.sets.len(), sets.len(), "{files:?}: {:?} {:?}", read.bad, read.refusal);
    }
    assert!(Layout::names().all(|name| Layout::named(name).map(Layout::name) == Some(name)));
}

#[test]
fn parts_stand_where_they_belong() {
    let of = |name: &'static str| read(&[name], &Options::default()).sets;
    let inspect = &of("inspect.json")[1];
    assert_eq!(inspect.problem, "Which is prime?\n\nA. 4\nB. 6\nC. 7");
    let one = &inspect.candidates[0];
    assert_eq!((one.text.as_str(), one.model.as_deref()), ("ANSWER: C", Some("openai/gpt-4o")));
    assert_eq!(one.extra["scores"]["match"]["value"], "C");
    let batch = of("batch_output.jsonl");
    assert_eq!(batch[1].candidates[0].extra["error"]["code"], "batch_expired");
    assert_eq!(batch[3].candidates[0].extra["tool_calls"][0]["function"]["name"], "add");
    assert!(of("anthropic_batch.jsonl")[0].candidates[0].text.starts_with("9 eggs at $2"));
    assert_eq!(of("openr1.jsonl")[0].candidates[1].finish_reason.as_deref(), Some("length"));
    assert_eq!(of("models.csv")[0].candidates[1].model.as_deref(), Some("claude"));
    assert_eq!(of("labels.csv")[0].problem, "The film was a joy.");
    assert_eq!(of("promptfoo.json")[0].candidates[2].extra["error"], "timeout");
    assert_eq!(of("verl_rollout.jsonl")[1].problem, "What is 7 times 8?");
    assert_eq!(of("alpaca.jsonl")[0].problem, "Add the numbers.\n7 and 8");
    assert_eq!(of("samples_aime_chat.jsonl")[0].problem, "What is 7 times 8?");
    assert_eq!(of("responses.jsonl")[0].problem, "What is 7 times 8?");
    assert_eq!(of("model_answer_a.jsonl")[0].candidates[1].model.as_deref(), Some("model-a"));
    let skythought = &of("skythought.json")[0];
    assert_eq!(skythought.candidates[2].extra["setting"], "1.0");
}

#[test]
fn problems_are_joined_by_id() {
    let mut problems = std::collections::HashMap::new();
    let file = bytes("problems.jsonl");
    assert_eq!(read_problems(Box::new(&file[..]), "problems.jsonl", &mut problems).unwrap(), Ok(Vec::new()));
    assert_eq!(problems.len(), 3);
    let options = Options { problems: Some(problems), ..Options::default() };
    let set = &read(&["batch_output.jsonl"], &options).sets[0];
    assert!(set.problem.starts_with("A farm") && set.reference_answer.as_deref() == R18);
    assert!(
        read(&["batch_output.jsonl"], &options)
            .notes
            .iter()
            .any(|note| note.contains("2 ids that --problems does not have"))
    );

    let requests = bytes("batch_input.jsonl");
    let mut problems = std::collections::HashMap::new();
    read_problems(Box::new(&requests[..]), "batch_input.jsonl", &mut problems).unwrap().unwrap();
    assert!(problems["q-1"].problem.starts_with("A farm"));
}

#[test]
fn what_is_not_read_says_why() {
    let refusal = |name| read(&[name], &Options::default()).refusal.unwrap_or_default();
    assert!(refusal("batch_input.jsonl").contains("requests of a batch, not answers"));
    let read = read(&["samples_hellaswag.jsonl"], &Options::default());
    assert!(read.sets.is_empty() && read.bad[0].contains("log-likelihoods"), "{read:?}");
    let unknown = reading::read("a.json", br#"[{"foo": 1, "bar": 2}, {"foo": 3}]"#);
    assert!(unknown.refusal.unwrap().contains("`foo`, `bar`"));
}

#[test]
fn fields_can_be_named() {
    let fields =
        conclave_files::Fields::parse("id=nr,problem=frage,reference_answer=soll,candidates=antworten")
            .unwrap();
    let options = Options { fields, ..Options::default() };
    let read = read(&["chosen.jsonl"], &options);
    assert_eq!(read.sets.len(), 1, "{read:?}");
    assert_eq!((read.sets[0].id.as_str(), read.sets[0].candidates.len()), ("7", 3));
}

#[test]
fn the_table_of_layouts_is_that_of_the_documentation() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/files.md");
    let text = std::fs::read_to_string(&path).unwrap();
    let (begin, end) =
        ("<!-- layouts, made by crates/files/tests/layouts.rs -->\n", "<!-- end of layouts -->");
    let start = text.find(begin).unwrap() + begin.len();
    let stop = start + text[start..].find(end).unwrap();
    let mut table = String::from("\n| written by | `--from` | example | read as |\n|---|---|---|---|\n");
    for Fixture { tool, files, format, .. } in FIXTURES {
        let phrase = read(files, &Options::default()).phrase;
        let links: Vec<String> =
            files.iter().map(|name| format!("[{name}](../crates/files/tests/layouts/{name})")).collect();
        table += &format!("| {tool} | `{format}` | {} | {phrase} |\n", links.join(" "));
    }
    table += "\n";
    if std::env::var_os("UPDATE_DOCS").is_some() {
        std::fs::write(&path, format!("{}{table}{}", &text[..start], &text[stop..])).unwrap();
    } else {
        assert_eq!(
            text[start..stop],
            table,
            "UPDATE_DOCS=1 cargo test -p conclave-files --test layouts writes it again"
        );
    }
}
