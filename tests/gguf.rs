//! `conclave model import`, and a GGUF where a model directory is asked for.

use serde_json::Value;

use crate::binary::{conclave_line, directory, names};

/// A tiny Qwen2 that PyPI gguf wrote, with two copies of its embedding.
const QWEN2: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/crates/gguf/tests/fixtures/qwen2.gguf");

const WHOLE: [&str; 6] = [
    "config.json",
    "conclave.json",
    "generation_config.json",
    "model.safetensors",
    "selftest.safetensors",
    "tokenizer.json",
];

#[test]
fn a_gguf_becomes_a_directory() {
    let directory = directory(&[]);
    let run =
        |line: &str, code, parts: &[&str]| conclave_line(directory.path(), line).expect(line, code, parts);
    let import = format!("model import {QWEN2} --out m");
    run(&import, 0, &["two copies of one matrix", "--untied keeps both", "`m`: 78912 parameters in f32"]);
    let mut whole = WHOLE.map(str::to_owned).to_vec();
    whole.sort();
    assert_eq!(names(&directory.path().join("m")), whole);
    run("model check --model m", 0, &[]);
    run("model inspect --verify --model m", 0, &[]);

    run(&import, 1, &["`m` is not empty"]);
    run(&format!("{import} --force --untied"), 0, &["are both kept", "95808 parameters in f32"]);
    assert_eq!(names(&directory.path().join("m")), whole);
    assert_eq!(names(directory.path()), ["m"]);
}

#[test]
fn a_gguf_is_taken_for_a_directory() {
    let directory = directory(&[]);
    let line = format!("model inspect --json --model {QWEN2}");
    let run = conclave_line(directory.path(), &line).expect(&line, 0, &[]);
    let shown: Value = serde_json::from_str(&run.stdout).expect("JSON on standard output");
    assert_eq!((&shown["parameters"], &shown["tokenizer_size"]), (&78_912.into(), &262.into()));
    let line = format!("model bench --model {QWEN2} --prompt-tokens 8 --new-tokens 2 --json");
    conclave_line(directory.path(), &line).expect(&line, 0, &[]);
}

#[test]
fn what_cannot_be_imported_is_told() {
    let whole = std::fs::read(QWEN2).expect("the fixture");
    let files: [(&str, &[u8]); 3] = [
        ("cut.gguf", &whole[..5000]),
        ("pointer.gguf", b"version https://git-lfs.github.com"),
        ("m.gguf", &whole),
    ];
    let directory = directory(&files);
    let before = names(directory.path());
    let cases: [(&str, i32, &[&str]); 8] = [
        ("model import", 2, &["<FILE.gguf>", "--out <DIR>"]),
        ("model import nowhere.gguf --out m", 1, &["cannot read the GGUF `nowhere.gguf`", "No such file"]),
        ("model import . --out m", 1, &["`.`: it is a directory; name the .gguf file in it"]),
        ("model import cut.gguf --out m", 1, &["cannot read the GGUF `cut.gguf`", "download the file again"]),
        ("model import pointer.gguf --out m", 1, &["Git LFS pointer", "git lfs pull"]),
        ("model import m.gguf --out . --force", 2, &["`.` has no config.json", "model directories only"]),
        ("model import m.gguf --out cut.gguf", 1, &["cannot create `cut.gguf`", "not a directory"]),
        ("model inspect --model nowhere.gguf", 1, &["the model `nowhere.gguf` does not exist", ".gguf file"]),
    ];
    for (line, code, parts) in cases {
        conclave_line(directory.path(), line).expect(line, code, parts);
        assert_eq!(names(directory.path()), before, "{line}");
    }
}
