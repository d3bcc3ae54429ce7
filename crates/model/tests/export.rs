//! What is exported loads back: the same weights, in any precision and shard size, with hashes that hold.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use burn::tensor::Device;
use conclave_model::any_decoder::AnyDecoder;
use conclave_model::config::Qwen2Config;
use conclave_model::decoder::Decoder;
use conclave_model::error::{Error, ErrorKind};
use conclave_model::export::{Export, ModelSink, write_manifest, write_model, write_self_test};
use conclave_model::files::MemoryFiles;
use conclave_model::init::RandomWeights;
use conclave_model::load::LoadOptions;
use conclave_model::manifest::{Manifest, Mode};
use conclave_model::open::ModelDirectory;
use conclave_model::safetensors::Dtype;
use conclave_model::self_test::{read_cases, record_case, run_case};
use conclave_model::weights::WeightSource;
use pollster::block_on;
use sha2::{Digest, Sha256};

#[path = "suite/bytes.rs"]
mod bytes;

/// Files in memory, whole only once they are finished.
#[derive(Default)]
struct Memory {
    open: Option<(String, Vec<u8>)>,
    files: BTreeMap<String, Vec<u8>>,
}

impl ModelSink for Memory {
    fn create(&mut self, file: &str) -> Result<(), Error> {
        assert!(self.open.is_none(), "the last file was finished");
        self.open = Some((file.to_owned(), Vec::new()));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> Result<(), Error> {
        self.open.as_mut().expect("a file was begun").1.extend_from_slice(bytes);
        Ok(())
    }

    fn finish(&mut self) -> Result<(), Error> {
        self.files.extend(self.open.take());
        Ok(())
    }
}

impl Memory {
    fn files(&self) -> MemoryFiles {
        let mut files = MemoryFiles::new();
        for (name, bytes) in &self.files {
            files.insert(name.clone(), bytes.clone());
        }
        files
    }
}

fn config() -> Qwen2Config {
    Qwen2Config { eos_token_ids: vec![10], tie_word_embeddings: false, ..Qwen2Config::tiny(257) }
}

fn write(config: &Qwen2Config, dtype: Dtype, max_shard_size: u64) -> Memory {
    let mut sink = Memory::default();
    assert_eq!(bytes::tokenizer().vocab_size(), config.vocab_size);
    let tokenizer = bytes::json().to_string();
    let files = [("tokenizer.json", tokenizer.as_bytes())];
    let export = Export { config, dtype, max_shard_size, files: &files };
    let weights = RandomWeights::new(config, 11);
    let mut written = 0;
    let mut on_written = |count| {
        written += count;
        ControlFlow::Continue(())
    };
    let hashes = block_on(write_model(&export, &weights, &mut sink, &mut on_written)).unwrap();
    assert_eq!(written, config.num_parameters());
    let manifest = Manifest { mode: Mode::Select, files: hashes, ..Manifest::default() };
    write_manifest(&manifest, &mut sink).unwrap();
    sink
}

fn on<T>(_: T) -> ControlFlow<()> {
    ControlFlow::Continue(())
}

fn decoder(sink: &Memory) -> AnyDecoder {
    let directory = block_on(ModelDirectory::open(sink.files())).unwrap();
    block_on(directory.decoder(257, &Device::flex(), &LoadOptions::default(), &mut on)).unwrap()
}

#[test]
fn an_exported_directory_is_whole_and_loads_the_same_weights() {
    let config = config();
    for (max_shard_size, shards) in [(u64::MAX, 1), (1 << 20, 4), (1, 51)] {
        let sink = write(&config, Dtype::F32, max_shard_size);
        let weights = sink.files.keys().filter(|name| name.ends_with(".safetensors")).count();
        assert_eq!(weights, shards);
        let directory = block_on(ModelDirectory::open(sink.files())).unwrap();
        assert_eq!(directory.config, config);
        assert_eq!(directory.manifest.mode, Mode::Select);
        for (name, bytes) in sink.files.iter().filter(|(name, _)| *name != "conclave.json") {
            let hash = format!("{:x}", Sha256::digest(bytes));
            assert_eq!(directory.manifest.files.get(name), Some(&hash), "{name}");
        }
        let made = RandomWeights::new(&config, 11);
        assert_eq!(directory.weights.names().len(), made.names().len());
        for name in made.names() {
            let expected = block_on(made.read(name, None)).unwrap();
            assert_eq!(block_on(directory.weights.read(name, None)).unwrap(), expected, "{name}");
        }
    }
}

#[test]
fn writing_can_be_cancelled() {
    let config = config();
    let export = Export { config: &config, dtype: Dtype::F32, max_shard_size: u64::MAX, files: &[] };
    let mut sink = Memory::default();
    let weights = RandomWeights::new(&config, 11);
    let mut stop = |_| ControlFlow::Break(());
    let error = block_on(write_model(&export, &weights, &mut sink, &mut stop)).unwrap_err();
    assert!(error.is_cancelled(), "{error}");
    assert!(sink.files.is_empty(), "half a file is no file");
}

#[test]
fn a_recorded_self_test_holds_and_notices_another_model() {
    let config = config();
    let mut sink = write(&config, Dtype::BF16, u64::MAX);
    let mut rounded = decoder(&sink);
    let case = block_on(record_case(&mut rounded, "selftest", &[3, 1, 4, 1, 5], 8)).unwrap();
    write_self_test(std::slice::from_ref(&case), &mut sink).unwrap();
    let read = block_on(read_cases(sink.files(), "selftest.safetensors")).unwrap();
    assert_eq!(read, [case]);
    assert!(block_on(run_case(&mut rounded, &read[0])).unwrap().passes(1e-5));

    let mut other = decoder(&write(&config, Dtype::F32, u64::MAX)); // the same seed, not rounded
    let report = block_on(run_case(&mut other, &read[0])).unwrap();
    assert!(!report.passes(1e-5) && report.max_difference < 0.1, "{report:?}");
}

#[test]
fn an_aggregator_opens_from_a_directory_and_refuses_a_damaged_one() {
    let sink = write(&config(), Dtype::F16, 1 << 20);
    let open = |files: MemoryFiles| {
        block_on(async {
            let directory = ModelDirectory::open(files).await?;
            directory.aggregator(&Device::flex(), &LoadOptions::default(), &mut on).await
        })
    };
    let refused = |files: MemoryFiles| open(files).err().expect("a damaged directory");
    assert_eq!(open(sink.files()).unwrap().decoder_mut().vocab_size(), 257);

    for missing in ["config.json", "tokenizer.json", "model-00002-of-00002.safetensors"] {
        let mut files = sink.files();
        files.remove(missing).expect("the file was written");
        let error = refused(files);
        assert!(error.to_string().contains(missing), "{error}");
    }
    let shard = "model-00001-of-00002.safetensors";
    let half = sink.files[shard][..sink.files[shard].len() / 2].to_vec();
    let text = String::from_utf8(sink.files["config.json"].clone()).unwrap();
    let changes = [
        (shard, half, ErrorKind::Format),
        ("config.json", text.replace("384", "385").into_bytes(), ErrorKind::Shape),
        ("config.json", text.replace("257", "256").into_bytes(), ErrorKind::Tokenizer),
        ("conclave.json", b"{\"format\": 99}".to_vec(), ErrorKind::Unsupported),
        ("conclave.json", b"not JSON".to_vec(), ErrorKind::Format),
    ];
    for (file, bytes, kind) in changes {
        let mut files = sink.files();
        files.insert(file, bytes);
        let error = refused(files);
        assert_eq!(error.kind(), kind, "{file}: {error}");
    }
}

#[test]
fn damaged_weights_are_noticed_while_loading() {
    let mut sink = write(&config(), Dtype::F32, u64::MAX);
    let file = sink.files.get_mut("model.safetensors").unwrap();
    let len = file.len();
    file[len - 4..].copy_from_slice(&f32::NAN.to_le_bytes()); // the last weight of the last tensor, lm_head
    let directory = block_on(ModelDirectory::open(sink.files())).unwrap();
    let loaded = block_on(directory.decoder(257, &Device::flex(), &LoadOptions::default(), &mut on));
    let error = loaded.expect_err("it is refused");
    assert_eq!(error.kind(), ErrorKind::NotFinite, "{error}");
    assert!(error.to_string().contains("`lm_head.weight` holds NaN"), "{error}");
}
