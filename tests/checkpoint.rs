//! Model directories for tests: small random ones, damaged ones, and one that is known to write `7`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Value, json};

use crate::binary::conclave;

/// The tokenizer of 256 bytes and `<|endoftext|>`.
pub const TOKENIZER: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/examples/byte-tokenizer.json");

/// Makes a random model called `name`.
pub fn random_model(directory: &Path, name: &str) {
    let arguments =
        ["model", "init", "--preset", "tiny", "--tokenizer", TOKENIZER, "--seed", "1", "--out", name];
    conclave(directory, &arguments, b"").expect("model init", 0, &["821504 parameters"]);
}

/// Copies the files of a model directory.
pub fn copy(from: &Path, to: &Path) {
    std::fs::create_dir(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        std::fs::copy(entry.path(), to.join(entry.file_name())).unwrap();
    }
}

/// Changes a JSON file.
pub fn edit_json(path: &Path, edit: impl FnOnce(&mut Value)) {
    let mut json = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
    edit(&mut json);
    std::fs::write(path, json.to_string()).unwrap();
}

/// Puts `value` in front of the values of a f32 tensor.
pub fn overwrite(path: &Path, tensor: &str, value: f32) {
    let mut bytes = std::fs::read(path).unwrap();
    let header = 8 + u64::from_le_bytes(bytes[..8].try_into().unwrap()) as usize;
    let json: Value = serde_json::from_slice(&bytes[8..header]).unwrap();
    let at = header + json[tensor]["data_offsets"][0].as_u64().expect(tensor) as usize;
    bytes[at..at + 4].copy_from_slice(&value.to_le_bytes());
    std::fs::write(path, bytes).unwrap();
}

/// Makes a model that continues every prompt with `7</answer>`: its layers add nothing, so that the next token hangs
/// on the last one alone, and after the `>` of the prompt's opening tag come these bytes, each with certainty.
pub fn model_that_writes_7(directory: &Path) {
    const HIDDEN: usize = 16;
    const TEXT: &[u8] = b">7</answer>";
    std::fs::create_dir(directory).unwrap();
    std::fs::copy(TOKENIZER, directory.join("tokenizer.json")).unwrap();
    let config = json!({"architectures": ["Qwen2ForCausalLM"], "model_type": "qwen2", "hidden_act": "silu",
        "hidden_size": HIDDEN, "intermediate_size": HIDDEN, "num_hidden_layers": 1, "num_attention_heads": 2,
        "num_key_value_heads": 1, "max_position_embeddings": 2048, "rms_norm_eps": 1e-6, "rope_theta": 10000.0,
        "tie_word_embeddings": false, "torch_dtype": "float32", "vocab_size": 257, "eos_token_id": 256});
    std::fs::write(directory.join("config.json"), config.to_string()).unwrap();

    let mut embed = vec![0.0; 257 * HIDDEN];
    let mut head = vec![0.0; 257 * HIDDEN];
    for token in 0..257 {
        // Every byte of the text has a place of its own; all other tokens share the last.
        let place = TEXT.iter().position(|&byte| token == usize::from(byte)).unwrap_or(HIDDEN - 1);
        embed[token * HIDDEN + place] = 1.0;
    }
    for (place, &next) in TEXT[1..].iter().enumerate() {
        head[usize::from(next) * HIDDEN + place] = 100.0;
    }
    let layer = |part: &str| format!("model.layers.0.{part}");
    let mut tensors = BTreeMap::from([
        ("model.embed_tokens.weight".to_owned(), (vec![257, HIDDEN], embed)),
        ("lm_head.weight".to_owned(), (vec![257, HIDDEN], head)),
        ("model.norm.weight".to_owned(), (vec![HIDDEN], vec![1.0; HIDDEN])),
    ]);
    for (part, rows) in [("q", HIDDEN), ("k", HIDDEN / 2), ("v", HIDDEN / 2), ("o", HIDDEN)] {
        let name = layer(&format!("self_attn.{part}_proj"));
        tensors.insert(format!("{name}.weight"), (vec![rows, HIDDEN], vec![0.0; rows * HIDDEN]));
        tensors.insert(format!("{name}.bias"), (vec![rows], vec![0.0; rows]));
    }
    tensors.remove(&layer("self_attn.o_proj.bias"));
    for part in ["gate_proj", "up_proj", "down_proj"] {
        let name = layer(&format!("mlp.{part}.weight"));
        tensors.insert(name, (vec![HIDDEN, HIDDEN], vec![0.0; HIDDEN * HIDDEN]));
    }
    for part in ["input_layernorm", "post_attention_layernorm"] {
        tensors.insert(layer(&format!("{part}.weight")), (vec![HIDDEN], vec![1.0; HIDDEN]));
    }
    std::fs::write(directory.join("model.safetensors"), safetensors(&tensors)).unwrap();
}

fn safetensors(tensors: &BTreeMap<String, (Vec<usize>, Vec<f32>)>) -> Vec<u8> {
    let (mut header, mut data) = (serde_json::Map::new(), Vec::new());
    for (name, (shape, values)) in tensors {
        let start = data.len();
        data.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        let info = json!({"dtype": "F32", "shape": shape, "data_offsets": [start, data.len()]});
        header.insert(name.clone(), info);
    }
    let header = Value::Object(header).to_string();
    [&(header.len() as u64).to_le_bytes(), header.as_bytes(), &data].concat()
}
