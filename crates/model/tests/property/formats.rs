//! Hostile safetensors headers and config.json: whatever the bytes, an error or a value that keeps its promises, no
//! panic, and no allocation of a size that the file only claims.

use super::allocation::largest_allocation;
use super::mutation::{Mutation, check_all, check_cases, mutations};
use conclave_model::Error;
use conclave_model::config::Qwen2Config;
use conclave_model::files::MemoryFiles;
use conclave_model::safetensors::{Dtype, Header, PREFIX_LEN, header_bytes};
use conclave_model::weights::{INDEX_FILE, SINGLE_FILE, Safetensors, WeightSource};
use pollster::block_on;
use proptest::collection::vec;
use proptest::prelude::*;
use std::collections::BTreeMap;

const HEADER: &str = r#"{"__metadata__":{"format":"pt"},"model.norm.weight":{"dtype":"F32","shape":[2],"data_offsets":[12,20]},"model.embed_tokens.weight":{"dtype":"BF16","shape":[3,2],"data_offsets":[0,12]},"empty":{"dtype":"I64","shape":[4,0],"data_offsets":[20,20]}}"#;
const HEADER_DATA: usize = 20;

/// Headers that are tried where nothing is said: weights come from strangers, so these are tried more than the rest.
const HEADERS: u32 = 100_000;

const CONFIGS: [&str; 2] = [
    include_str!("../../../../tests/data/parity/tied-gqa/config.json"),
    include_str!("../../../../tests/data/parity/untied-mqa-bf16-sharded/config.json"),
];
const GENERATION_CONFIG: &str = include_str!("../../../../tests/data/parity/tied-gqa/generation_config.json");
const INDEX: &str = r#"{"metadata":{"total_size":20},"weight_map":{"model.norm.weight":"a.safetensors","model.embed_tokens.weight":"a.safetensors","empty":"a.safetensors"}}"#;

/// What a reader of a file may allocate at once: trees of small nodes are larger than their text, by a known factor.
fn allowed(input_len: usize) -> usize {
    64 * input_len + 4_096
}

/// A file of this header, with its true length or a claimed one in front.
fn file(header: &[u8], claimed_len: Option<u64>, data_len: usize) -> Vec<u8> {
    let mut file = claimed_len.unwrap_or(header.len() as u64).to_le_bytes().to_vec();
    file.extend(header);
    file.resize(file.len() + data_len, 0);
    file
}

/// What every accepted header promises to those who read tensors by it.
fn check_header(header: &Header, file_len: u64) {
    let mut ranges: Vec<_> = header.tensors.values().map(|tensor| tensor.range.clone()).collect();
    ranges.sort_by_key(|range| (range.start, range.end));
    for tensor in header.tensors.values() {
        let numbers: u64 = tensor.shape.iter().map(|&n| n as u64).product();
        assert_eq!(numbers * tensor.dtype.size() as u64, tensor.byte_len());
        assert_eq!(
            tensor.row_range(&(0..tensor.rows())),
            (!tensor.shape.is_empty()).then(|| tensor.range.clone())
        );
    }
    for pair in ranges.windows(2) {
        assert_eq!(pair[0].end, pair[1].start);
    }
    assert_eq!(ranges.last().map_or(file_len, |range| range.end), file_len);
}

/// Opens weights and reads every tensor, the last row of each too.
fn read_all(files: MemoryFiles) -> Result<(), Error> {
    let weights = block_on(Safetensors::open(files))?;
    for name in weights.names() {
        let info = weights.info(name).expect("it is in the list");
        let tensor = block_on(weights.read(name, None))?;
        assert_eq!(tensor.bytes.len() as u64, info.byte_len());
        if !info.shape.is_empty() && info.rows() > 0 {
            assert_eq!(block_on(weights.read(name, Some(info.rows() - 1..info.rows())))?.shape[0], 1);
        }
    }
    Ok(())
}

#[test]
fn mutated_headers() {
    let claimed =
        prop_oneof![4 => Just(None), 1 => any::<u64>().prop_map(Some), 1 => (0..400u64).prop_map(Some)];
    let data_len = prop_oneof![2 => Just(HEADER_DATA), 1 => 0..64usize];
    check_cases(HEADERS, (mutations(), claimed, data_len), |(mutations, claimed, data_len)| {
        let header = Mutation::apply_all(&mutations, HEADER.as_bytes());
        let file = file(&header, claimed, data_len);
        let (parsed, allocated) = largest_allocation(|| Header::from_file_bytes(&file));
        assert!(allocated <= allowed(file.len()), "{allocated} bytes allocated for a file of {}", file.len());
        if let Ok(header) = parsed {
            check_header(&header, file.len() as u64);
        }
        let len = file.len();
        let files: MemoryFiles = [(SINGLE_FILE, file)].into_iter().collect();
        let (_, allocated) = largest_allocation(|| read_all(files));
        assert!(allocated <= allowed(len), "{allocated} bytes allocated for a file of {len}");
    });
}

#[test]
fn arbitrary_bytes_are_no_header() {
    check_all((vec(any::<u8>(), 0..200), any::<bool>()), |(bytes, framed)| {
        let file = if framed { file(&bytes, None, 8) } else { bytes };
        if let Ok(header) = Header::from_file_bytes(&file) {
            check_header(&header, file.len() as u64);
        }
    });
}

#[test]
fn written_headers_read_back() {
    let dtype =
        prop::sample::select(vec![Dtype::F32, Dtype::F16, Dtype::BF16, Dtype::I64, Dtype::U8, Dtype::BOOL]);
    let tensors = prop::collection::btree_map("\\PC{0,12}", (dtype, vec(0..5usize, 0..4)), 0..6);
    check_all((tensors, prop::collection::btree_map(".{0,8}", ".{0,8}", 0..3)), |(tensors, metadata)| {
        let entries = tensors.iter().map(|(name, (dtype, shape))| (name.as_str(), *dtype, shape.as_slice()));
        let mut file = header_bytes(entries, &metadata).expect("no name is reserved");
        let data_len: usize =
            tensors.values().map(|(dtype, shape)| dtype.size() * shape.iter().product::<usize>()).sum();
        file.resize(file.len() + data_len, 0);
        let header = Header::from_file_bytes(&file).expect("it was written here");
        check_header(&header, file.len() as u64);
        assert_eq!(header.metadata, metadata);
        let read: BTreeMap<_, _> =
            header.tensors.into_iter().map(|(name, tensor)| (name, (tensor.dtype, tensor.shape))).collect();
        assert_eq!(read, tensors);
        assert_eq!((file.len() - data_len - PREFIX_LEN as usize) % 8, 0);
    });
}

#[test]
fn mutated_indices() {
    check_all(mutations(), |mutations| {
        let index = Mutation::apply_all(&mutations, INDEX.as_bytes());
        let shard = file(HEADER.as_bytes(), None, HEADER_DATA);
        let files: MemoryFiles = [(INDEX_FILE, index), ("a.safetensors", shard)].into_iter().collect();
        // An error or a success: it must only not panic.
        let _ = read_all(files);
    });
}

/// What every accepted configuration promises to those who size tensors by it.
fn check_config(config: &Qwen2Config) {
    config.validate().expect("what is read is valid");
    assert!(config.num_parameters() > 0 && config.head_dim().is_multiple_of(2));
    assert_eq!(config.head_dim() * config.num_attention_heads, config.query_size());
    assert!(config.head_dim.is_some() || config.query_size() == config.hidden_size);
    let written = config.to_json(Dtype::F32);
    let generation = config.generation_config_json();
    let read = Qwen2Config::from_json(&written, Some(&generation)).expect("what is written is valid");
    assert_eq!(&read, config);
}

#[test]
fn mutated_configs() {
    let strategy = (prop::sample::select(CONFIGS.to_vec()), mutations(), prop::option::of(mutations()));
    check_all(strategy, |(config, mutations, generation)| {
        let config = Mutation::apply_all(&mutations, config.as_bytes());
        let config = String::from_utf8_lossy(&config);
        let generation =
            generation.map(|mutations| Mutation::apply_all(&mutations, GENERATION_CONFIG.as_bytes()));
        let generation = generation.as_deref().map(String::from_utf8_lossy);
        let (read, allocated) = largest_allocation(|| Qwen2Config::from_json(&config, generation.as_deref()));
        let len = config.len() + generation.as_ref().map_or(0, |text| text.len());
        assert!(allocated <= allowed(len), "{allocated} bytes allocated for {len}");
        if let Ok(config) = read {
            check_config(&config);
        }
    });
}

#[test]
fn arbitrary_texts_are_no_config() {
    check_all((".{0,200}", prop::option::of(".{0,40}")), |(config, generation)| {
        assert!(Qwen2Config::from_json(&config, generation.as_deref()).is_err());
    });
}
