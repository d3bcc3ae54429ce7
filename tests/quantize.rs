//! `conclave model quantize`, and quantised directories where a model directory is asked for.

use serde_json::Value;

use crate::binary::{conclave_line, directory};
use crate::checkpoint::random_model;
use crate::disk::sets;

#[test]
fn a_quantised_model_is_checked_measured_and_asked() {
    let directory = directory(&[("sets.jsonl", sets(20).as_bytes()), ("few.jsonl", sets(4).as_bytes())]);
    random_model(directory.path(), "m");
    let run =
        |line: &str, code, parts: &[&str]| conclave_line(directory.path(), line).expect(line, code, parts);
    run(
        "model quantize --model m --bits 4 --out int4",
        0,
        &["821504 parameters in 4 bits, with a self-test"],
    );
    run("model quantize --model m --bits 8 --out int8", 0, &["in 8 bits"]);
    let calibrated = "model quantize --model m --bits 4 --calibrate sets.jsonl --out calibrated";
    run(calibrated, 0, &["prompts kept out: mean KL", "the same best token"]);

    let size = |name: &str| directory.path().join(name).join("model.safetensors").metadata().unwrap().len();
    assert!(
        size("int4") * 6 < size("m") && size("int8") * 3 < size("m"),
        "{} of {}",
        size("int4"),
        size("m")
    );
    let manifest = std::fs::read(directory.path().join("calibrated/conclave.json")).unwrap();
    let manifest: Value = serde_json::from_slice(&manifest).unwrap();
    let provenance = &manifest["provenance"];
    assert_eq!((&manifest["format"], &provenance["level"]), (&Value::from(2), &Value::from(1)));
    let quality = &provenance["quality"];
    let (kl, agreement) =
        (quality["mean_kl"].as_f64().unwrap(), quality["arg_max_agreement"].as_f64().unwrap());
    assert!(kl > 0.0 && kl < 0.5 && agreement > 0.5, "{quality}");
    assert!(provenance["calibration"].as_str().is_some_and(|hash| hash.len() == 64), "{provenance}");
    let blocks = &manifest["blocks"]["model.safetensors"];
    assert!(blocks.as_array().is_some_and(|blocks| !blocks.is_empty()), "{manifest}");

    for name in ["int4", "int8", "calibrated"] {
        run(&format!("model check --model {name}"), 0, &[]);
        run(&format!("model inspect --verify --model {name}"), 0, &[]);
        run(&format!("model bench --model {name} --prompt-tokens 32 --new-tokens 4"), 0, &[]);
        for mode in ["generate", "select"] {
            let line = format!("aggregate few.jsonl --model {name} --policy always --mode {mode} --json");
            assert_eq!(run(&line, 0, &[]).rows().len(), 4);
        }
    }
    // What it stands for, as numbers again.
    run("model export --model int4 --out numbers", 0, &["821504 parameters in f32"]);
    run("model check --model numbers --reference int4/selftest.safetensors", 0, &[]);
}

#[test]
fn what_cannot_be_quantised_is_told() {
    let directory = directory(&[("few.jsonl", sets(4).as_bytes())]);
    random_model(directory.path(), "m");
    let run =
        |line: &str, code, parts: &[&str]| conclave_line(directory.path(), line).expect(line, code, parts);
    run("model quantize --model m --bits 4 --out int4", 0, &[]);
    for (line, code, words) in [
        ("model quantize --model int4 --bits 8 --out again", 1, "quantised already"),
        ("model quantize --model m --bits 5 --out five", 2, "4 or 8"),
        ("model quantize --model m --bits 4 --level 1 --out one", 2, "--calibrate"),
        ("model quantize --model m --bits 4 --calibrate few.jsonl --out few", 2, "at least 16 are needed"),
        ("model quantize --model none --bits 4 --out none4", 1, "does not exist"),
        ("model quantize --model m --bits 4 --out int4", 1, "is not empty"),
    ] {
        run(line, code, &[words]);
    }
    let config = directory.path().join("int4/config.json");
    let text = std::fs::read_to_string(&config).unwrap();
    std::fs::write(&config, text.replace("\"group_size\": 32", "\"group_size\": 48")).unwrap();
    run("model check --model int4", 1, &["group_size"]);
    let plain: Value = serde_json::from_str(&text).unwrap();
    let mut plain = plain.as_object().unwrap().clone();
    plain.remove("quantization_config");
    std::fs::write(&config, serde_json::to_vec(&plain).unwrap()).unwrap();
    run("model check --model int4", 1, &["has no `quantization_config`"]);
}
