//! A GGUF as a model directory: `config.json`, `generation_config.json` and `tokenizer.json` by its metadata, and a
//! `model.safetensors` that is nowhere.
//!
//! [`GgufFiles`] implements [`ModelFiles`], so whatever takes a directory takes a GGUF: it is opened, loaded, exported
//! and inspected by the code for directories. Its `model.safetensors` has a header of Hugging Face names in F32, and a
//! range of it is dequantised when it is read: exactly the blocks it lies in, so memory stays at what the reader asks
//! for. How a GGUF is read, and what its metadata means, is in `conclave-gguf`.

use std::collections::BTreeMap;
use std::ops::Range;

pub use conclave_gguf::{Bytes, Options, Seekable};
use conclave_gguf::{Gguf, Model};

use crate::error::{Error, ErrorKind, Result};
use crate::files::{ModelFiles, missing_file, outside_file};
use crate::safetensors::{Dtype, header_bytes};
use crate::weights::SINGLE_FILE;

/// The end of the names of such files.
pub const EXTENSION: &str = "gguf";

/// Bytes of a number in the weights.
const NUMBER_BYTES: u64 = 4;

/// The files of a model directory that a GGUF stands for.
#[derive(Debug)]
pub struct GgufFiles<B> {
    gguf: Gguf<B>,
    /// The small files, by name.
    texts: BTreeMap<&'static str, Vec<u8>>,
    /// The first bytes of the weights.
    header: Vec<u8>,
    /// The tensors behind them, in order, with nothing between them.
    tensors: Vec<Placed>,
    head_note: String,
}

/// A tensor in the weights.
#[derive(Debug)]
struct Placed {
    /// Its name in the GGUF.
    source: String,
    /// Its bytes in the weights.
    range: Range<u64>,
}

impl<B: Bytes> GgufFiles<B> {
    /// Reads the header and the metadata, and compares the head with the embedding where the file has both.
    ///
    /// # Errors
    /// What the file is, if it is no Qwen2 or Qwen3 in full; see [`Gguf::open`] and [`Model::read`].
    pub fn open(bytes: B, options: Options) -> Result<Self> {
        let gguf = Gguf::open(bytes).map_err(foreign)?;
        let model = Model::read(&gguf, options).map_err(foreign)?;
        let texts = BTreeMap::from([
            ("config.json", model.config_json(Dtype::F32.torch_name()).into_bytes()),
            ("generation_config.json", model.generation_config_json().into_bytes()),
            ("tokenizer.json", model.vocabulary.tokenizer_json.clone().into_bytes()),
        ]);
        let mut shapes = Vec::with_capacity(model.tensors().len());
        for tensor in model.tensors() {
            let shape: Option<Vec<usize>> = tensor.shape.iter().map(|&n| usize::try_from(n).ok()).collect();
            let shape = shape.ok_or_else(|| {
                Error::capacity(format!("tensor `{}` is larger than this machine can address", tensor.name))
            })?;
            shapes.push((tensor.name.as_str(), shape));
        }
        // What transformers writes, and some readers ask for.
        let metadata = BTreeMap::from([("format".to_owned(), "pt".to_owned())]);
        let entries = shapes.iter().map(|(name, shape)| (*name, Dtype::F32, shape.as_slice()));
        let header = header_bytes(entries, &metadata)?;
        let mut end = header.len() as u64;
        let tensors = model.tensors().iter().map(|tensor| {
            let start = end;
            // No overflow: the header has it as an offset.
            end += tensor.shape.iter().product::<u64>() * NUMBER_BYTES;
            Placed { source: tensor.source.clone(), range: start..end }
        });
        let tensors = tensors.collect();
        Ok(Self { gguf, texts, header, tensors, head_note: model.head_note() })
    }

    /// One sentence on what stands for the output head.
    pub fn head_note(&self) -> &str {
        &self.head_note
    }

    /// The file itself.
    pub fn gguf(&self) -> &Gguf<B> {
        &self.gguf
    }

    fn weights_len(&self) -> u64 {
        self.tensors.last().map_or(self.header.len() as u64, |tensor| tensor.range.end)
    }

    /// The bytes `range` of the weights.
    fn weights(&self, range: Range<u64>) -> Result<Vec<u8>> {
        let Range { start, end } = range;
        if start > end || end > self.weights_len() {
            return Err(outside_file(SINGLE_FILE, &range, self.weights_len()));
        }
        let len = usize::try_from(end - start).map_err(|_| {
            Error::capacity(format!("{SINGLE_FILE}: more bytes than this machine can address"))
        })?;
        let header_len = self.header.len() as u64;
        // Below the header's length, which is a usize.
        let header = start.min(header_len) as usize..end.min(header_len) as usize;
        let mut bytes = Vec::with_capacity(len.saturating_add(2 * NUMBER_BYTES as usize));
        bytes.extend(&self.header[header]);
        let first = self.tensors.partition_point(|tensor| tensor.range.end <= start);
        for tensor in &self.tensors[first..] {
            let part = start.max(tensor.range.start)..end.min(tensor.range.end);
            if part.is_empty() {
                break;
            }
            self.append(tensor, part, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Appends the bytes `part` of the weights, which lie within `tensor`.
    fn append(&self, tensor: &Placed, part: Range<u64>, bytes: &mut Vec<u8>) -> Result<()> {
        let within = part.start - tensor.range.start..part.end - tensor.range.start;
        let numbers = within.start / NUMBER_BYTES..within.end.div_ceil(NUMBER_BYTES);
        let values = self.gguf.read_f32(&tensor.source, numbers).map_err(foreign)?;
        let begin = bytes.len();
        bytes.extend(values.iter().flat_map(|value| value.to_le_bytes()));
        // A range may begin and end within a number.
        bytes.drain(begin..begin + (within.start % NUMBER_BYTES) as usize);
        bytes.truncate(begin + (within.end - within.start) as usize);
        Ok(())
    }
}

impl<B: Bytes> ModelFiles for GgufFiles<B> {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>> {
        if file == SINGLE_FILE {
            return self.weights(range.unwrap_or(0..self.weights_len()));
        }
        let text = self.texts.get(file).ok_or_else(|| missing_file(file))?;
        let Some(range) = range else { return Ok(text.clone()) };
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        let part = part.and_then(|(start, end)| text.get(start..end));
        part.map(<[u8]>::to_vec).ok_or_else(|| outside_file(file, &range, text.len() as u64))
    }

    async fn len(&self, file: &str) -> Result<Option<u64>> {
        if file == SINGLE_FILE {
            return Ok(Some(self.weights_len()));
        }
        Ok(self.texts.get(file).map(|text| text.len() as u64))
    }
}

/// An error of `conclave-gguf`.
fn foreign(error: conclave_gguf::Error) -> Error {
    use conclave_gguf::ErrorKind as Kind;
    let kind = match error.kind() {
        Kind::Io => ErrorKind::Io,
        Kind::Metadata => ErrorKind::Config,
        Kind::Tokenizer => ErrorKind::Tokenizer,
        Kind::Unsupported => ErrorKind::Unsupported,
        Kind::Input => ErrorKind::NotFound,
        _ => ErrorKind::Format,
    };
    Error::new(kind, error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Qwen2Config;
    use crate::weights::{Safetensors, WeightSource, read_f32};
    use pollster::block_on;

    const QWEN2: &[u8] = include_bytes!("../../gguf/tests/fixtures/qwen2.gguf");

    fn open(options: Options) -> GgufFiles<&'static [u8]> {
        GgufFiles::open(QWEN2, options).expect("it is a model")
    }

    fn text(files: &GgufFiles<&'static [u8]>, file: &str) -> String {
        String::from_utf8(block_on(files.read(file, None)).expect("it is there")).expect("it is a text")
    }

    #[test]
    fn its_configuration_is_read_as_that_of_a_directory() {
        for untied in [false, true] {
            let files = open(Options { untied });
            let config = text(&files, "config.json");
            let config = Qwen2Config::from_json(&config, Some(&text(&files, "generation_config.json")));
            let config = config.expect("it is a Qwen2");
            assert_eq!((config.vocab_size, config.hidden_size, config.num_hidden_layers), (264, 64, 2));
            assert_eq!(
                (config.tie_word_embeddings, config.eos_token_ids.as_slice()),
                (!untied, &[258, 260][..])
            );
        }
    }

    #[test]
    fn its_weights_are_those_of_the_file() {
        let files = open(Options { untied: true });
        let weights = block_on(Safetensors::open(&files)).expect("its header is in order");
        assert_eq!(weights.names().len(), 27);
        for (name, source, shape) in [
            ("model.embed_tokens.weight", "token_embd.weight", &[264, 64][..]),
            ("lm_head.weight", "output.weight", &[264, 64]),
            ("model.layers.1.mlp.down_proj.weight", "blk.1.ffn_down.weight", &[64, 96]),
            ("model.layers.0.self_attn.k_proj.bias", "blk.0.attn_k.bias", &[32]),
        ] {
            let count = shape.iter().product::<usize>() as u64;
            let expected = files.gguf().read_f32(source, 0..count).expect("it is there");
            assert_eq!(
                block_on(read_f32(&weights, name, shape, None)).expect("it is there"),
                expected,
                "{name}"
            );
            let row = block_on(weights.read(name, Some(3..5))).expect("rows").to_f32().expect("they are f32");
            let width = shape[1..].iter().product::<usize>();
            assert_eq!(row, expected[3 * width..5 * width], "{name}");
        }
    }

    #[test]
    fn any_range_is_that_of_the_whole() {
        let files = open(Options::default());
        let whole = block_on(files.read(SINGLE_FILE, None)).expect("it is there");
        let len = block_on(files.len(SINGLE_FILE)).expect("it is known").expect("it is there");
        assert_eq!(whole.len() as u64, len);
        let header = files.header.len() as u64;
        for (start, end) in [
            (0, 8),
            (3, header + 5),
            (header - 1, header + 1),
            (header + 1, header + 2),
            (header + 70_001, len - 3),
            (len, len),
        ] {
            let part = block_on(files.read(SINGLE_FILE, Some(start..end))).expect("it is there");
            assert_eq!(part, whole[start as usize..end as usize], "{start} to {end}");
        }
        let reversed = Range { start: 4, end: 3 };
        for range in [reversed, 0..len + 1, len + 1..len + 1] {
            assert_eq!(block_on(files.read(SINGLE_FILE, Some(range))).unwrap_err().kind(), ErrorKind::Format);
        }
        assert_eq!(block_on(files.read("config.json", Some(0..1))).expect("it is there"), b"{");
        assert_eq!(block_on(files.read("LICENSE", None)).unwrap_err().kind(), ErrorKind::NotFound);
    }

    #[test]
    fn what_is_wrong_with_a_file_is_told() {
        let error = GgufFiles::open(&QWEN2[..1000], Options::default()).expect_err("it is cut");
        assert_eq!(error.kind(), ErrorKind::Format);
        assert!(error.to_string().contains("download the file again"), "{error}");
    }
}
