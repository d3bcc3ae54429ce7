//! Files that are refused: each with what was expected, where, and what to do.

use conclave_gguf::{ErrorKind, Gguf, Model, Options};

use crate::build::{F32, File, Q8_0, Value, f32_bytes, tiny_qwen2};

/// Opening fails, with all of `parts` in the message.
#[track_caller]
fn check_closed(bytes: Vec<u8>, kind: ErrorKind, parts: &[&str]) {
    let error = Gguf::open(bytes).expect_err("it is refused");
    check_message(&error, kind, parts);
}

/// The file opens, and is no model.
#[track_caller]
fn check_no_model(file: &File, kind: ErrorKind, parts: &[&str]) {
    let gguf = Gguf::open(file.bytes()).expect("its structure is in order");
    let error = Model::read(&gguf, Options::default()).expect_err("it is refused");
    check_message(&error, kind, parts);
}

#[track_caller]
fn check_message(error: &conclave_gguf::Error, kind: ErrorKind, parts: &[&str]) {
    let message = error.to_string();
    assert_eq!(error.kind(), kind, "{message}");
    for part in parts {
        assert!(message.contains(part), "`{message}` does not say `{part}`");
    }
    assert!(message.len() < 700, "{message}");
}

use ErrorKind::{Format, Metadata, Tokenizer, Unsupported};

#[test]
fn other_formats() {
    check_closed(Vec::new(), Format, &["has 0 bytes, expected a GGUF file", "download"]);
    check_closed(b"GGU".to_vec(), Format, &["has 3 bytes"]);
    check_closed(b"version https://git-lfs".to_vec(), Format, &["Git LFS pointer", "git lfs pull"]);
    check_closed(b"<!DOCTYPE html>".to_vec(), Format, &["a web page"]);
    check_closed(b"lmgg\x01\0\0\0".to_vec(), Format, &["before GGUF"]);
    check_closed(b"PK\x03\x04 and so on".to_vec(), Format, &["zip archive"]);
    check_closed(b"\x1f\x8b\x08\x00".to_vec(), Format, &["gzip"]);
    check_closed(
        b"\x10\0\0\0\0\0\0\0{}".to_vec(),
        Format,
        &["begins with \"\\x10\\x00", "expected \"GGUF\""],
    );
    let version = |version: u32| File { version, ..tiny_qwen2() }.bytes();
    check_closed(version(1), Unsupported, &["version 1, expected 2 or 3"]);
    check_closed(version(4), Unsupported, &["byte 4", "version 4, expected 2 or 3"]);
    check_closed(version(3 << 24), Unsupported, &["big-endian", "gguf_convert_endian.py FILE.gguf little"]);
}

#[test]
fn every_cut_of_a_file_is_noticed() {
    let whole = tiny_qwen2().bytes();
    let gguf = Gguf::open(whole.clone()).expect("it is in order");
    let last = gguf.tensors().values().map(|tensor| tensor.range.end).max().expect("it has tensors");
    assert_eq!(last, whole.len() as u64);
    for len in 0..whole.len() {
        let error = Gguf::open(&whole[..len]).expect_err("it is cut");
        assert_eq!(error.kind(), Format, "{error}");
        assert!(error.to_string().contains("download the file again"), "{error}");
    }
}

#[test]
fn counts_and_lengths_that_lie() {
    let huge = [1 << 20, 10 << 30, 1 << 40, u64::MAX / 32, u64::MAX];
    for count in huge {
        let said = count.to_string();
        let file = File { counts: (Some(count), None), ..tiny_qwen2() };
        check_closed(file.bytes(), Format, &[&said, "tensors are announced", "room for"]);
        let file = File { counts: (None, Some(count)), ..tiny_qwen2() };
        check_closed(file.bytes(), Format, &["byte 24", &said, "metadata entries are announced"]);
        for element in [0u32, 4, 8, 9, 12] {
            let array = [&element.to_le_bytes()[..], &count.to_le_bytes()].concat();
            let file = tiny_qwen2().set("list", Value::Raw(9, array));
            check_closed(file.bytes(), Format, &["`list`", &said, "elements of an array are announced"]);
        }
        let file = tiny_qwen2().set("text", Value::Raw(8, count.to_le_bytes().to_vec()));
        check_closed(file.bytes(), Format, &["`text`", "a string needs", "the file ends after"]);
    }
    let long_key = File::empty().set(&"k".repeat(70_000), Value::Bool(true));
    check_closed(long_key.bytes(), Format, &["metadata entry 1 of 1", "a key claims 70000 bytes", "65535"]);
    let long_name = File::empty().tensor(&"t".repeat(300), &[1], F32, f32_bytes(&[1.0]));
    check_closed(long_name.bytes(), Format, &["tensor 1 of 1", "claims 300 bytes", "at most 255"]);
}

#[test]
fn values_that_are_none() {
    let with = |kind, bytes: &[u8]| tiny_qwen2().set("odd", Value::Raw(kind, bytes.to_vec())).bytes();
    check_closed(with(13, &[0; 64]), Format, &["`odd`", "a value of type 13, expected 0 to 12"]);
    check_closed(with(u32::MAX, &[0; 64]), Format, &["type 4294967295"]);
    check_closed(with(7, &[2]), Format, &["`odd`", "a bool of 2, expected 0 or 1"]);
    let mut deep = Vec::new();
    for _ in 0..5 {
        deep.extend(9u32.to_le_bytes());
        deep.extend(1u64.to_le_bytes());
    }
    deep.extend([0; 64]);
    check_closed(with(9, &deep), Format, &["`odd`", "more than 4 deep"]);
    let mut twice = tiny_qwen2();
    twice.entries.push(("general.type".into(), "model".into()));
    check_closed(twice.bytes(), Format, &["the key `general.type` occurs twice"]);
    let mut bytes = tiny_qwen2().set("kkkk", Value::Bool(true)).bytes();
    let at = bytes.windows(4).position(|four| four == b"kkkk").expect("the key");
    bytes[at + 1] = 0xff;
    check_closed(bytes, Format, &[&format!("byte {}: a key is not UTF-8", at + 1)]);
    for value in [Value::U32(0), Value::U32(48), Value::U32(1 << 31), "32".into()] {
        let file = tiny_qwen2().set("general.alignment", value);
        check_closed(file.bytes(), Format, &["`general.alignment`", "a power of two"]);
    }
}

#[test]
fn tensors_that_cannot_be() {
    const NAME: &str = "blk.0.attn_q.weight";
    let with = |change: &dyn Fn(&mut crate::build::Tensor)| tiny_qwen2().change(NAME, change).bytes();
    let named = "tensor `blk.0.attn_q.weight`";
    check_closed(with(&|t| t.dimensions = vec![]), Format, &[named, "0 dimensions, expected 1 to 4"]);
    check_closed(with(&|t| t.dimensions = vec![1; 5]), Format, &[named, "5 dimensions"]);
    check_closed(with(&|t| t.dimensions = vec![32, 0]), Format, &[named, "make no number of numbers"]);
    check_closed(with(&|t| t.dimensions = vec![0, u64::MAX, 8]), Format, &[named, "make no number"]);
    check_closed(with(&|t| t.dimensions = vec![1 << 33, 1 << 33]), Format, &[named, "make no number"]);
    check_closed(with(&|t| t.dimensions = vec![!31, 1]), Format, &[named, "] overflow"]);
    check_closed(
        with(&|t| t.dimensions = vec![33, 32]),
        Format,
        &[named, "rows of 33 numbers do not fill blocks of 32 (Q8_0)"],
    );
    check_closed(with(&|t| t.dimensions = vec![32, 1 << 30]), Format, &[named, "but the file ends at byte"]);
    check_closed(with(&|t| t.kind = 31), Unsupported, &[named, "Q4_0_4_4", "taken out", "Q6_K"]);
    check_closed(with(&|t| t.kind = 77), Unsupported, &[named, "number 77", "not known"]);
    check_closed(
        with(&|t| t.offset = Some(33)),
        Format,
        &[named, "offset 33 is no multiple of the alignment 32"],
    );
    check_closed(with(&|t| t.offset = Some(1 << 40)), Format, &[named, "but the file ends at byte"]);
    check_closed(with(&|t| t.offset = Some(!31)), Format, &[named, "passes the end"]);
    check_closed(with(&|t| t.offset = Some(0)), Format, &["starts at byte", "within `"]);
    let mut twice = tiny_qwen2();
    twice.tensors.push(twice.tensors[0].clone());
    check_closed(twice.bytes(), Format, &["the tensor `token_embd.weight` occurs twice"]);
    let mut bytes = tiny_qwen2().tensor("a\u{1b}[31m", &[1], F32, f32_bytes(&[1.0]));
    bytes = bytes.change("a\u{1b}[31m", |t| t.offset = Some(1));
    let error = Gguf::open(bytes.bytes()).expect_err("it is refused").to_string();
    assert!(!error.contains('\u{1b}'), "{error:?}");
}

#[test]
fn files_that_are_no_whole_model() {
    let adapter = tiny_qwen2().set("general.type", "adapter");
    check_no_model(&adapter, Unsupported, &["an adapter (LoRA) alone", "llama-export-lora"]);
    let unnamed =
        tiny_qwen2().without("general.type").tensor("blk.0.attn_q.weight.lora_a", &[4], F32, vec![0; 16]);
    check_no_model(&unnamed, Unsupported, &["an adapter (LoRA) alone"]);
    check_no_model(
        &tiny_qwen2().set("general.type", "mmproj"),
        Unsupported,
        &["\"mmproj\", expected \"model\""],
    );
    let split = tiny_qwen2().set("split.count", Value::Raw(2, vec![3, 0]));
    check_no_model(&split, Unsupported, &["one of 3 files", "llama-gguf-split", "--merge"]);
    let whole = Gguf::open(tiny_qwen2().set("split.count", Value::U32(1)).bytes()).expect("it is in order");
    assert!(Model::read(&whole, Options::default()).is_ok());
    let missing = tiny_qwen2().without_tensor("blk.0.ffn_up.weight");
    check_no_model(&missing, ErrorKind::Input, &["no tensor is called `blk.0.ffn_up.weight`"]);
    check_no_model(
        &tiny_qwen2().without_tensor("token_embd.weight"),
        ErrorKind::Input,
        &["`token_embd.weight`"],
    );
    let more = tiny_qwen2().tensor("blk.0.ffn_gate_exps.weight", &[1], F32, vec![0; 4]);
    check_no_model(
        &more,
        Unsupported,
        &["`blk.0.ffn_gate_exps.weight` does not belong", "qwen2 of 1 layers"],
    );
    let unread = tiny_qwen2().change("blk.0.attn_q.weight", |t| {
        t.kind = 39;
        t.data = vec![0; 17 * 32];
    });
    check_no_model(&unread, Unsupported, &["`blk.0.attn_q.weight`", "MXFP4, which is not read", "Q4_0"]);
    let shape = tiny_qwen2().change("blk.0.attn_k.weight", |t| t.dimensions = vec![32, 15]);
    check_no_model(&shape, Metadata, &["`blk.0.attn_k.weight` has the shape [15, 32]", "expected [16, 32]"]);
}

#[test]
fn other_architectures_and_computations() {
    for name in ["llama", "qwen2moe", "qwen3moe", "gemma3"] {
        let file = tiny_qwen2().set("general.architecture", name);
        check_no_model(
            &file,
            Unsupported,
            &[&format!("`general.architecture` is \"{name}\""), "Qwen2.5 or Qwen3"],
        );
    }
    check_no_model(
        &tiny_qwen2().without("general.architecture"),
        Metadata,
        &["is missing", "qwen2 or qwen3"],
    );
    let u32 = Value::U32;
    for (key, value, expected) in [
        ("rope.scaling.type", "yarn".into(), "\"yarn\", expected \"none\""),
        ("rope.scaling.factor", Value::F32(4.0), "4, expected 1"),
        ("rope.scale_linear", Value::F32(2.0), "2, expected 1"),
        ("attention.sliding_window", u32(4096), "4096, expected 0"),
        ("attention.causal", Value::Bool(false), "false, expected true"),
        ("expert_count", u32(8), "8, expected 0"),
        ("pooling_type", u32(3), "3, expected 0: a model that writes text"),
    ] {
        let key = format!("qwen2.{key}");
        check_no_model(&tiny_qwen2().set(&key, value), Unsupported, &[&format!("`{key}` is {expected}")]);
    }
    check_no_model(
        &tiny_qwen2().set("general.quantization_version", u32(1)),
        Unsupported,
        &["is 1, expected 2"],
    );
}

#[test]
fn sizes_that_do_not_fit() {
    let u32 = Value::U32;
    for (key, value, expected) in [
        ("block_count", u32(0), "0, expected one whole number from 1"),
        ("block_count", u32(1 << 30), "1073741824, expected"),
        ("block_count", "24".into(), "a string of 2 bytes, expected"),
        ("embedding_length", Value::Raw(5, (-32i32).to_le_bytes().to_vec()), "-32, expected"),
        ("attention.head_count", Value::I32s(vec![4, 4]), "an array of 2, expected one whole number"),
        ("attention.head_count_kv", u32(3), "3, expected a divisor of the 4 heads"),
        ("attention.key_length", u32(16), "16, expected 32 / 4 heads, as Qwen2 has it"),
        ("attention.key_length", u32(7), "7, expected an even number"),
        ("attention.layer_norm_rms_epsilon", Value::F32(f32::NAN), "NaN, expected a number from 0 to 1"),
        ("rope.freq_base", Value::F32(-1.0), "-1, expected a number from 1"),
        ("rope.freq_base", Value::F32(f32::INFINITY), "inf, expected a number"),
    ] {
        let key = format!("qwen2.{key}");
        check_no_model(&tiny_qwen2().set(&key, value), Metadata, &[&format!("`{key}` is {expected}")]);
    }
    for (key, value) in [("attention.value_length", 16), ("rope.dimension_count", 4), ("vocab_size", 17)] {
        let key = format!("qwen2.{key}");
        check_no_model(&tiny_qwen2().set(&key, u32(value)), Unsupported, &[&format!("`{key}` is {value}")]);
    }
    for key in [
        "block_count",
        "context_length",
        "embedding_length",
        "feed_forward_length",
        "attention.head_count",
        "attention.layer_norm_rms_epsilon",
    ] {
        let key = format!("qwen2.{key}");
        check_no_model(&tiny_qwen2().without(&key), Metadata, &[&format!("`{key}` is missing")]);
    }
}

#[test]
fn vocabularies_that_cannot_be_used() {
    let tokens = |change: &dyn Fn(&mut Vec<String>)| {
        let mut tokens = crate::build::tokens();
        change(&mut tokens);
        tiny_qwen2().set("tokenizer.ggml.tokens", Value::Texts(tokens))
    };
    check_no_model(
        &tiny_qwen2().set("tokenizer.ggml.model", "llama"),
        Unsupported,
        &["\"llama\", expected \"gpt2\""],
    );
    check_no_model(
        &tiny_qwen2().set("tokenizer.ggml.pre", "llama-bpe"),
        Unsupported,
        &["\"llama-bpe\", expected \"qwen2\""],
    );
    check_no_model(
        &tiny_qwen2().without("tokenizer.ggml.pre"),
        Unsupported,
        &["`tokenizer.ggml.pre` is missing"],
    );
    let bos = tiny_qwen2().set("tokenizer.ggml.add_bos_token", Value::Bool(true));
    check_no_model(&bos, Unsupported, &["`tokenizer.ggml.add_bos_token` is true, expected false"]);
    for key in ["tokens", "token_type", "merges"] {
        let key = format!("tokenizer.ggml.{key}");
        check_no_model(&tiny_qwen2().without(&key), Tokenizer, &[&format!("`{key}` is missing")]);
    }
    check_no_model(&tokens(&|t| t[3] = "h".into()), Tokenizer, &["token 3, \"h\", occurs twice"]);
    check_no_model(&tokens(&|t| t[3].clear()), Tokenizer, &["token 3", "is empty"]);
    check_no_model(
        &tokens(&|t| drop(t.pop())),
        Tokenizer,
        &["has 12 elements, expected one for each of the 11"],
    );
    check_no_model(
        &tokens(&|t| t.resize(17, "x".into())),
        Tokenizer,
        &["17 tokens, expected at most the 16 rows"],
    );
    let numbers = tiny_qwen2().set("tokenizer.ggml.tokens", Value::I32s(vec![1; 12]));
    check_no_model(&numbers, Metadata, &["elements of type I32, expected strings"]);
    for (kind, said) in [(2, "2, expected 1"), (6, "6, expected 1"), (-1, "-1, expected 1")] {
        let mut kinds = vec![1; 12];
        kinds[4] = kind;
        let file = tiny_qwen2().set("tokenizer.ggml.token_type", Value::I32s(kinds));
        check_no_model(&file, Tokenizer, &["of token 4", said]);
    }
    for merge in ["th", "t ", " h", ""] {
        let file = tiny_qwen2().set("tokenizer.ggml.merges", Value::Texts(vec!["t h".into(), merge.into()]));
        check_no_model(&file, Tokenizer, &["merge 1 is", "two tokens with a space between"]);
    }
    // 10 is a token that is not used, 12 is none.
    for id in [10, 12, u32::MAX] {
        let file = tiny_qwen2().set("tokenizer.ggml.eos_token_id", Value::U32(id));
        check_no_model(
            &file,
            Tokenizer,
            &[&format!("`tokenizer.ggml.eos_token_id` is {id}"), "one of the 12 tokens"],
        );
    }
    let endless = tiny_qwen2()
        .without("tokenizer.ggml.eos_token_id")
        .set("tokenizer.ggml.token_type", Value::I32s(vec![1; 12]));
    check_no_model(&endless, Tokenizer, &["`tokenizer.ggml.eos_token_id` is missing"]);
    let mut bytes = tiny_qwen2().bytes();
    let at = bytes.windows(10).position(|part| part == b"<tool_call").expect("the token");
    bytes[at] = 0xff;
    let error =
        Gguf::open(bytes).and_then(|gguf| Model::read(&gguf, Options::default())).expect_err("refused");
    check_message(&error, Format, &["`tokenizer.ggml.tokens`", "not UTF-8"]);
}

#[test]
fn a_head_of_another_shape() {
    let head = tiny_qwen2().tensor("output.weight", &[32, 15], Q8_0, vec![0; 34 * 15]);
    check_no_model(&head, Metadata, &["`output.weight` has the shape [15, 32]"]);
}
