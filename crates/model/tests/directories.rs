//! Model directories as people bring them: those that can be used are, the others say what they are and what to do.
//!
//! The names of the cases (M7, M10, ..) are those of the table of public reports that they were written after.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use burn::tensor::{DType, Device};
use conclave_model::any_decoder::AnyDecoder;
use conclave_model::config::Qwen2Config;
use conclave_model::error::{Error, ErrorKind};
use conclave_model::files::MemoryFiles;
use conclave_model::init::RandomWeights;
use conclave_model::load::LoadOptions;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::safetensors::Dtype;
use conclave_model::tensor_bytes::TensorBytes;
use conclave_model::weights::{INDEX_FILE, MemoryWeights, SINGLE_FILE, WeightSource};
use pollster::block_on;
use serde_json::{Value, json};

#[path = "suite/bytes.rs"]
mod bytes;

fn config() -> Qwen2Config {
    Qwen2Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        eos_token_ids: vec![bytes::END],
        ..Qwen2Config::tiny(257)
    }
}

fn weights() -> MemoryWeights {
    let random = RandomWeights::new(&config(), 1);
    let mut weights = MemoryWeights::new();
    for name in random.names() {
        weights.insert(name, block_on(random.read(name, None)).unwrap()).unwrap();
    }
    weights
}

fn file_bytes(weights: &MemoryWeights) -> Vec<u8> {
    weights.to_file_bytes(&BTreeMap::new()).unwrap()
}

/// A directory in order, of two layers and bytes for tokens.
fn plain() -> MemoryFiles {
    directory_of(&weights())
}

fn directory_of(weights: &MemoryWeights) -> MemoryFiles {
    let mut files = MemoryFiles::new();
    files.insert("config.json", config().to_json(Dtype::F32).into_bytes());
    files.insert("tokenizer.json", bytes::json().to_string().into_bytes());
    files.insert(SINGLE_FILE, file_bytes(weights));
    files
}

/// `plain` with `tensor` of these numbers stored too, or in place of what was there.
fn with_tensor(tensor: &str, shape: &[usize], numbers: &[f32]) -> MemoryFiles {
    let mut weights = weights();
    weights.insert(tensor, TensorBytes::from_f32(shape, numbers)).unwrap();
    directory_of(&weights)
}

/// Everything that a command does before it computes.
fn open_and_load(files: MemoryFiles) -> Result<ModelDirectory<MemoryFiles>, Error> {
    open_and_load_as(files, DType::F32)
}

fn open_and_load_as(files: MemoryFiles, dtype: DType) -> Result<ModelDirectory<MemoryFiles>, Error> {
    let directory = block_on(ModelDirectory::open(files))?;
    let tokenizer = block_on(read_tokenizer(directory.weights.files(), &directory.config))?;
    let options = LoadOptions { dtype, ..LoadOptions::default() };
    let on = &mut |_| ControlFlow::Continue(());
    block_on(directory.decoder(tokenizer.vocab_size(), &Device::flex(), &options, on))?;
    Ok(directory)
}

#[track_caller]
fn check_refused(files: MemoryFiles, kind: ErrorKind, words: &[&str]) {
    let error = open_and_load(files).err().expect("it is refused");
    assert_eq!(error.kind(), kind, "{error}");
    for word in words {
        assert!(error.to_string().contains(word), "`{word}` is missing: {error}");
    }
}

#[test]
fn a_directory_in_order_loads_without_a_note() {
    assert!(open_and_load(plain()).unwrap().notes.is_empty());
}

/// M6 and M7: a tied model with a head stored beside the embeddings.
#[test]
fn a_stored_head_of_other_values_is_used_and_said() {
    let embeddings = block_on(weights().read("model.embed_tokens.weight", None)).unwrap().to_f32().unwrap();
    let shape = [257, 32];
    let same = open_and_load(with_tensor("lm_head.weight", &shape, &embeddings)).unwrap();
    assert!(same.config.tie_word_embeddings && same.notes.is_empty());

    let mut other = embeddings.clone();
    other[256 * 32 + 31] += 1.0;
    let files = with_tensor("lm_head.weight", &shape, &other);
    let directory = open_and_load(files).unwrap();
    assert!(!directory.config.tie_word_embeddings, "so that export and training keep the head");
    let [note] = directory.notes.as_slice() else { panic!("one note: {:?}", directory.notes) };
    assert!(note.contains("`lm_head.weight`") && note.contains("the stored head is used"), "{note}");
    let on = &mut |_| ControlFlow::Continue(());
    let decoder = block_on(directory.decoder(257, &Device::flex(), &LoadOptions::default(), on)).unwrap();
    let AnyDecoder::Burn(decoder) = decoder else { panic!("it is not quantised") };
    let head = decoder.model().lm_head.as_ref().expect("a head of its own");
    let stored: Vec<f32> = head
        .shards
        .iter()
        .flat_map(|shard| shard.val().into_data().iter::<f32>().collect::<Vec<_>>())
        .collect();
    assert_eq!(stored, other);
}

/// M10: shards without an index.
#[test]
fn shards_without_an_index() {
    let mut files = plain();
    let whole = files.remove(SINGLE_FILE).unwrap();
    let mut one = files.clone();
    one.insert("model-00001-of-00001.safetensors", whole.clone());
    let directory = open_and_load(one).unwrap();
    assert!(directory.weights.file_names().eq(["model-00001-of-00001.safetensors"]));
    let mut several = files.clone();
    several.insert("model-00001-of-00003.safetensors", whole);
    let words = [INDEX_FILE, "model-00001-of-00003.safetensors is there", "download the index", "3 shards"];
    check_refused(several, ErrorKind::NotFound, &words);
    check_refused(files, ErrorKind::NotFound, &["expected model.safetensors"]);
}

/// M13: a Git LFS pointer or a web page in place of a file.
#[test]
fn pointers_and_web_pages_in_place_of_files() {
    let pointer = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 988097824\n".as_slice();
    let page = b"<!DOCTYPE html>\n<html lang=\"en\"><head><title>Sign in</title></head></html>".as_slice();
    for file in [SINGLE_FILE, "tokenizer.json", "config.json", "generation_config.json", "conclave.json"] {
        let mut files = plain();
        files.insert(file, pointer);
        check_refused(files.clone(), ErrorKind::Format, &[file, "Git LFS pointer", "git lfs pull"]);
        files.insert(file, page);
        check_refused(files, ErrorKind::Format, &[file, "web page", "download it again"]);
    }
    let mut sharded = plain();
    sharded.remove(SINGLE_FILE);
    sharded.insert(
        INDEX_FILE,
        br#"{"weight_map": {"model.norm.weight": "model-00001-of-00002.safetensors"}}"#.as_slice(),
    );
    sharded.insert("model-00001-of-00002.safetensors", pointer);
    check_refused(sharded, ErrorKind::Format, &["model-00001-of-00002.safetensors", "git lfs pull"]);
}

/// M15: a LoRA adapter, alone or with its base's configuration.
#[test]
fn an_adapter_is_named() {
    let adapter =
        br#"{"peft_type": "LORA", "base_model_name_or_path": "Qwen/Qwen2.5-0.5B-Instruct"}"#.as_slice();
    let mut with_config = plain();
    with_config.remove(SINGLE_FILE);
    with_config.insert("adapter_config.json", adapter);
    with_config.insert("adapter_model.safetensors", file_bytes(&MemoryWeights::new()));
    let mut alone = with_config.clone();
    alone.remove("config.json");
    for files in [with_config, alone] {
        let words = ["adapter_config.json", "LoRA adapter", "merge it into", "Qwen/Qwen2.5-0.5B-Instruct"];
        check_refused(files, ErrorKind::Unsupported, &words);
    }
    // Beside whole weights it is nobody's concern.
    let mut merged = plain();
    merged.insert("adapter_config.json", adapter);
    open_and_load(merged).unwrap();
}

/// M18: quantised tensors that config.json does not speak of.
#[test]
fn quantised_weights_are_named() {
    let q_proj = "model.layers.0.self_attn.q_proj.weight";
    let gptq = [q_proj, "quantised", "GPTQ or AWQ", "unquantised model"];
    let packed = [q_proj, "quantised", "has no `quantization_config`", "the config.json that belongs"];
    let cases = [("qweight", ErrorKind::Unsupported, gptq), ("weight_packed", ErrorKind::Config, packed)];
    for (part, kind, words) in cases {
        let all = weights();
        let mut quantised = MemoryWeights::new();
        for name in all.names() {
            match name.strip_suffix("q_proj.weight") {
                Some(layer) => {
                    let numbers = TensorBytes::from_i64(&[1], &[1]);
                    quantised.insert(format!("{layer}q_proj.{part}"), numbers).unwrap();
                }
                None => quantised.insert(name, block_on(all.read(name, None)).unwrap()).unwrap(),
            }
        }
        check_refused(directory_of(&quantised), kind, &words);
    }
}

/// M22: a weight that is no number.
#[test]
fn weights_that_are_not_finite_are_named_when_they_are_loaded() {
    let name = "model.layers.1.mlp.down_proj.weight";
    let mut numbers = block_on(weights().read(name, None)).unwrap().to_f32().unwrap();
    for bad in [f32::NAN, f32::INFINITY] {
        numbers[77] = bad;
        let words = [name, "download it again"];
        check_refused(with_tensor(name, &[32, 64], &numbers), ErrorKind::NotFinite, &words);
    }
    numbers[77] = 1e5;
    let files = with_tensor(name, &[32, 64], &numbers);
    open_and_load(files.clone()).unwrap();
    let error = open_and_load_as(files, DType::F16).err().expect("more than an f16 holds");
    assert_eq!(error.kind(), ErrorKind::NotFinite);
    assert!(error.to_string().contains(name) && error.to_string().contains("load it as float32"), "{error}");
}

/// M26: `vocab.json` and `merges.txt` in place of `tokenizer.json`.
#[test]
fn the_older_form_of_the_tokenizer() {
    let vocab = bytes::json()["model"]["vocab"].clone();
    let mut files = plain();
    files.remove("tokenizer.json");
    check_refused(files.clone(), ErrorKind::NotFound, &["tokenizer.json: no such file"]);
    files.insert("vocab.json", vocab.to_string().into_bytes());
    check_refused(files.clone(), ErrorKind::NotFound, &["merges.txt: no such file", "vocab.json"]);
    files.insert("merges.txt", b"#version: 0.2\n".as_slice());
    let added = json!({"added_tokens_decoder": {"256": {"content": "<|endoftext|>", "special": true}}});
    let mut configured = files.clone();
    configured.insert("tokenizer_config.json", added.to_string().into_bytes());
    let mut listed = files.clone();
    listed.insert("added_tokens.json", br#"{"<|endoftext|>": 256}"#.as_slice());
    for files in [configured, listed] {
        let directory = open_and_load(files).unwrap();
        let tokenizer = block_on(read_tokenizer(directory.weights.files(), &directory.config)).unwrap();
        assert_eq!(tokenizer.vocab_size(), 257);
        let text = "It's 12 apples,\n né 中";
        assert_eq!(
            tokenizer.encode_untrusted(text).unwrap(),
            bytes::tokenizer().encode_untrusted(text).unwrap()
        );
        assert_eq!(tokenizer.encode_trusted("a<|endoftext|>").unwrap(), [97, 256]);
        assert_eq!(tokenizer.decode(&[97, 256, 98]), "ab");
    }
    files.insert("merges.txt", b"#version: 0.2\na b\nabc\n".as_slice());
    check_refused(files.clone(), ErrorKind::Tokenizer, &["merges.txt: line 3"]);
    files.insert("merges.txt", b"a b\n".as_slice());
    check_refused(files, ErrorKind::Tokenizer, &["vocab.json with merges.txt", "is not in the vocabulary"]);
}

/// M29: another model of the same `model_type`.
#[test]
fn a_reward_model_is_refused_by_name() {
    let mut config: Value = serde_json::from_str(&config().to_json(Dtype::F32)).unwrap();
    config["architectures"] = json!(["Qwen2ForSequenceClassification"]);
    let mut files = plain();
    files.insert("config.json", config.to_string().into_bytes());
    let words = ["config.json", "`architectures`", "Qwen2ForSequenceClassification", "Qwen2ForCausalLM"];
    check_refused(files, ErrorKind::Unsupported, &words);
}

/// M34: an added token with `lstrip`, as encoders' trainers add it.
#[test]
fn an_added_token_that_strips_is_no_hindrance() {
    let mut json = bytes::json();
    let mask = json!({"id": 257, "content": "<mask>", "lstrip": true, "rstrip": true, "special": true});
    json["added_tokens"].as_array_mut().unwrap().push(mask);
    let mut files = plain();
    let wide = Qwen2Config { vocab_size: 258, ..config() };
    let random = RandomWeights::new(&wide, 1);
    let embeddings = block_on(random.read("model.embed_tokens.weight", None)).unwrap();
    let mut weights = weights();
    weights.insert("model.embed_tokens.weight", embeddings).unwrap();
    files.insert("config.json", wide.to_json(Dtype::F32).into_bytes());
    files.insert(SINGLE_FILE, file_bytes(&weights));
    files.insert("tokenizer.json", json.to_string().into_bytes());
    open_and_load(files).unwrap();
}
