//! Words and descriptions: against what PyPI `compressed-tensors` wrote (`tests/theirs.json`), against bytes that it was
//! found to read (`tests/ours.json`), and bad input. `check_compressed_tensors.py` makes the one and checks the other.

use conclave_quantize::config::{FORMAT, Group, QuantizationConfig, Scheme, repeat_scales};
use conclave_quantize::int4::Int4Rows;
use conclave_quantize::int8::Int8Rows;
use conclave_quantize::pack::{pack, unpack};
use conclave_quantize::{int4, int8};
use half::f16;
use proptest::prelude::*;
use serde_json::{Value, json};

fn numbers(json: &Value) -> Vec<f64> {
    json.as_array().expect("a list").iter().map(|number| number.as_f64().expect("a number")).collect()
}

fn floats(json: &Value) -> Vec<f32> {
    numbers(json).into_iter().map(|number| number as f32).collect()
}

/// I32 words, as a file has them.
fn words(json: &Value) -> Vec<u32> {
    numbers(json).into_iter().map(|number| number as i32 as u32).collect()
}

fn size(json: &Value) -> usize {
    json.as_u64().expect("a size") as usize
}

#[test]
fn what_compressed_tensors_writes_is_read() {
    let theirs: Value = serde_json::from_str(include_str!("../theirs.json")).unwrap();
    let config = QuantizationConfig::from_json(&theirs["quantization_config"]).unwrap();
    let matrices = theirs["matrices"].as_array().unwrap();
    assert_eq!(matrices.len(), 3);
    for matrix in matrices {
        let [rows, columns] = [size(&matrix["shape"][0]), size(&matrix["shape"][1])];
        let (packed, scales) = (words(&matrix["packed"]), floats(&matrix["scales"]));
        let scheme = config
            .scheme_of([rows, columns], [rows, packed.len() / rows], [rows, scales.len() / rows])
            .unwrap();
        let weights = match scheme {
            Scheme::Int4 { group } => {
                let scales = repeat_scales(&scales, group).unwrap().into_iter().map(f16::from_f32).collect();
                Int4Rows::new(columns, packed, scales).unwrap().dequantize()
            }
            Scheme::Int8 => Int8Rows::new(columns, &packed, scales).unwrap().dequantize(),
        };
        assert_eq!(weights, floats(&matrix["weights"]), "{}", matrix["name"]);
    }
}

#[test]
fn what_is_written_has_the_bytes_that_compressed_tensors_reads() {
    let ours: Value = serde_json::from_str(include_str!("../ours.json")).unwrap();
    for matrix in ours["matrices"].as_array().unwrap() {
        let columns = size(&matrix["shape"][1]);
        let weights = floats(&matrix["weights"]);
        let (packed, scales, bits) = match size(&matrix["bits"]) {
            4 => {
                let rows = int4::quantize_rows(&weights, columns, None).unwrap();
                (
                    rows.packed().to_vec(),
                    rows.scales().iter().map(|scale| scale.to_f32()).collect::<Vec<_>>(),
                    4,
                )
            }
            _ => {
                let rows = int8::quantize_rows(&weights, columns, None).unwrap();
                (rows.packed().unwrap(), rows.scales().to_vec(), 8)
            }
        };
        assert_eq!(packed, words(&matrix["packed"]), "{bits} bits");
        assert_eq!(scales, floats(&matrix["scales"]), "{bits} bits");
    }
    assert_eq!(mixed().to_json(), ours["quantization_config"]);
}

/// Four bits with embedding and head in eight.
fn mixed() -> QuantizationConfig {
    let group = |targets: &[&str], scheme| Group {
        targets: targets.iter().map(|&name| name.into()).collect(),
        scheme,
    };
    QuantizationConfig {
        groups: vec![
            group(&["Linear"], Scheme::INT4),
            group(&["model.embed_tokens", "lm_head"], Scheme::Int8),
        ],
        ignore: vec!["model.layers.0.mlp.gate".into()],
    }
}

#[test]
fn a_config_is_read_as_it_was_written() {
    let config = mixed();
    assert_eq!(QuantizationConfig::from_json(&config.to_json()).unwrap(), config);
    assert_eq!(config.scheme_of([8, 64], [8, 8], [8, 2]).unwrap(), Scheme::INT4);
    assert_eq!(config.scheme_of([8, 64], [8, 16], [8, 1]).unwrap(), Scheme::Int8);
    for (packed, scales) in [([8, 8], [8, 1]), ([7, 8], [8, 2]), ([8, 16], [8, 2]), ([8, 0], [8, 0])] {
        assert!(config.scheme_of([8, 64], packed, scales).is_err(), "{packed:?} {scales:?}");
    }
    assert!(config.scheme_of([8, 0], [8, 0], [8, 1]).is_err());
}

#[test]
fn what_others_leave_out_or_add_is_read() {
    let config = json!({ "quant_method": "compressed-tensors", "format": "pack-quantized", "version": "0.9.4",
        "quantization_status": "compressed", "global_compression_ratio": 1.9, "kv_cache_scheme": null,
        "ignore": ["lm_head"], "sparsity_config": {}, "transform_config": {},
        "config_groups": { "group_0": { "targets": ["Linear"], "input_activations": null, "output_activations": null,
            "weights": { "num_bits": 4, "group_size": 128, "actorder": "weight", "observer": "mse",
                "observer_kwargs": {}, "block_structure": null, "dynamic": false, "strategy": "group",
                "symmetric": true, "type": "int" } } } });
    let read = QuantizationConfig::from_json(&config).unwrap();
    assert_eq!(read.groups[0].scheme, Scheme::Int4 { group: 128 });
    assert_eq!(read.ignore, ["lm_head"]);
    assert_eq!(repeat_scales(&[1, 2], 128).unwrap(), [1, 1, 1, 1, 2, 2, 2, 2]);
}

#[test]
fn what_is_not_supported_is_refused_by_key_and_value() {
    let weights = "/config_groups/group_0/weights";
    let cases = [
        ("", json!([]), "`quantization_config` is []"),
        ("/quant_method", json!("gptq"), "`quant_method` is \"gptq\", expected \"compressed-tensors\""),
        ("/format", json!("int-quantized"), "`format` is \"int-quantized\""),
        ("/quantization_status", json!("frozen"), "`quantization_status` is \"frozen\""),
        ("/kv_cache_scheme", json!({ "num_bits": 8 }), "`kv_cache_scheme`"),
        ("/sparsity_config", json!({ "format": "sparse-24-bitmask" }), "`sparsity_config`"),
        ("/some_new_key", json!(1), "`some_new_key` is 1"),
        ("/ignore", json!([1]), "`ignore` is [1]"),
        ("/config_groups", json!({}), "`config_groups` is {}"),
        ("/config_groups", json!(null), "`config_groups` is missing"),
        ("/config_groups/group_0", json!(["Linear"]), "`config_groups.group_0` is [\"Linear\"]"),
        ("/config_groups/group_0/input_activations", json!({ "num_bits": 8 }), "group_0.input_activations"),
        ("/config_groups/group_0/output_activations", json!({}), "group_0.output_activations"),
        ("/config_groups/group_0/format", json!("float-quantized"), "group_0.format"),
        ("/config_groups/group_0/targets", json!("Linear"), "group_0.targets"),
        ("/config_groups/group_0/weights", json!(null), "group_0.weights` is missing"),
        ("/config_groups/group_0/weights/num_bits", json!(3), "weights.num_bits` is 3, expected 4 or 8"),
        ("/config_groups/group_0/weights/num_bits", json!(8), "weights.strategy` is \"group\""),
        ("/config_groups/group_0/weights/type", json!("float"), "weights.type` is \"float\""),
        ("/config_groups/group_0/weights/symmetric", json!(false), "weights.symmetric` is false"),
        ("/config_groups/group_0/weights/dynamic", json!(true), "weights.dynamic` is true"),
        ("/config_groups/group_0/weights/actorder", json!("group"), "weights.actorder` is \"group\""),
        ("/config_groups/group_0/weights/strategy", json!("channel"), "weights.strategy` is \"channel\""),
        ("/config_groups/group_0/weights/strategy", json!(4), "weights.strategy` is 4"),
        ("/config_groups/group_0/weights/group_size", json!(48), "weights.group_size` is 48"),
        ("/config_groups/group_0/weights/group_size", json!(0), "weights.group_size` is 0"),
        ("/config_groups/group_0/weights/group_size", json!(-32), "weights.group_size` is -32"),
        ("/config_groups/group_0/weights/group_size", json!(1_u64 << 40), "weights.group_size"),
        ("/config_groups/group_0/weights/group_size", json!(null), "weights.group_size` is missing"),
        ("/config_groups/group_0/weights/codebook", json!("nf4"), "weights.codebook` is \"nf4\""),
    ];
    for (at, value, message) in cases {
        let mut config = mixed().to_json();
        let (object, key) = at.rsplit_once('/').unwrap_or(("", ""));
        match key {
            "" => config = value.clone(),
            _ => config.pointer_mut(object).unwrap()[key] = value.clone(),
        }
        let error = QuantizationConfig::from_json(&config).expect_err(at).to_string();
        assert!(error.contains(message), "{at} {value}: {error}");
    }
    let mut config = mixed().to_json();
    config.pointer_mut(weights).unwrap()["type"] = "x".repeat(10_000).into();
    assert!(QuantizationConfig::from_json(&config).unwrap_err().to_string().len() < 300);
}

proptest! {
    #[test]
    fn unpacked_is_what_was_packed(values in proptest::collection::vec(-8_i8..=7, 3 * 13), words: [u32; 12]) {
        for bits in [4, 8] {
            let packed = pack(&values, 13, bits).unwrap();
            prop_assert_eq!(packed.len(), 3 * 13_usize.div_ceil(32 / bits as usize));
            prop_assert_eq!(unpack(&packed, 13, bits).unwrap(), values.clone());
            let columns = 6 * 32 / bits as usize;
            prop_assert_eq!(pack(&unpack(&words, columns, bits).unwrap(), columns, bits).unwrap(), words.to_vec());
        }
    }

    #[test]
    fn no_json_is_too_strange(text in "[\\[\\]{}:,\"a-z0-9]{0,60}") {
        if let Ok(json) = serde_json::from_str::<Value>(&text) {
            prop_assert!(QuantizationConfig::from_json(&json).is_err());
        }
    }
}

#[test]
fn words_by_hand() {
    assert_eq!(pack(&[-8, -7, -6, -5, -4, -3, -2, 7], 8, 4).unwrap(), [0xf654_3210]);
    assert_eq!(pack(&[-127, 0, 127], 3, 8).unwrap(), [0x00ff_8001]);
}

#[test]
fn what_cannot_be_packed_is_an_error() {
    assert!(pack(&[8], 1, 4).is_err());
    assert!(pack(&[-9], 1, 4).is_err());
    assert!(pack(&[0; 7], 8, 4).is_err());
    assert!(pack(&[], 0, 4).is_err());
    assert!(unpack(&[0; 3], 16, 4).is_err());
    assert!(unpack(&[], 0, 4).is_err());
    for bits in [0, 3, 16, 40] {
        assert!(pack(&[0], 1, bits).is_err());
        assert!(unpack(&[0], 1, bits).is_err());
    }
    assert!(repeat_scales(&[1.0], 48).is_err());
    assert!(repeat_scales(&[1.0], 0).is_err());
    assert_eq!(FORMAT, "pack-quantized");
}
