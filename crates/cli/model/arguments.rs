//! The flags of `conclave model`.

use std::path::PathBuf;

use clap::{Args, Subcommand};
use conclave_hub::ModelName;
use conclave_model::builtin;

use crate::arguments::EXIT_CODES;
use crate::device::{DeviceName, Precision};

/// The commands of `conclave model`.
#[derive(Debug, Subcommand)]
pub enum ModelCommand {
    /// Download a model by its name, into the cache that other programs share
    Pull(PullArguments),
    /// Make a model of random weights
    Init(InitArguments),
    /// Show what a model directory holds
    Inspect(InspectArguments),
    /// Run the known-answer test: logits and greedy tokens against recorded ones
    Check(CheckArguments),
    /// Measure prefill and decode speed
    Bench(BenchArguments),
    /// Rewrite a model directory in another precision or shard size
    Export(ExportArguments),
    /// Make a model directory of a GGUF of llama.cpp (Qwen2 or Qwen3)
    Import(ImportArguments),
    /// Make a model directory with weights of 4 or 8 bits
    Quantize(QuantizeArguments),
}

/// Where a model is and what computes it.
#[derive(Args, Clone, Debug)]
pub struct ModelArguments {
    /// Model directory: config.json, tokenizer.json and model.safetensors (or shards); or a .gguf file; or the name of a
    /// model that `conclave model pull` has brought; or `builtin`, the small model within this program, which knows
    /// arithmetic word problems
    #[arg(long, value_name = "DIR", default_value = builtin::NAME)]
    pub model: PathBuf,

    /// What computes
    #[arg(long, value_enum, default_value_t = DeviceName::Cpu)]
    pub device: DeviceName,

    /// Precision to hold the weights and compute in
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub dtype: Precision,
}

/// How a model directory is written.
#[derive(Args, Debug)]
pub struct WriteArguments {
    /// Directory to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,

    /// Precision of the weights
    #[arg(long, value_enum, default_value_t = Precision::F32)]
    pub dtype: Precision,

    /// Tensor bytes a file at most, such as 500MB or 2GiB
    #[arg(long, value_name = "SIZE", value_parser = parse_size, default_value = "4GiB")]
    pub max_shard_size: u64,
}

/// `conclave model pull`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct PullArguments {
    /// Name on the hub, such as Qwen/Qwen2.5-0.5B-Instruct; behind an `@` a branch, a tag or a commit
    #[arg(value_name = "NAME[@REVISION]")]
    pub name: ModelName,

    /// The GGUF file to take, of a repository that holds several
    #[arg(long, value_name = "NAME.gguf")]
    pub file: Option<String>,
}

/// `conclave model init`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct InitArguments {
    /// Shape: qwen2.5-0.5b, qwen2.5-1.5b, qwen2.5-3b, qwen3-0.6b or tiny
    #[arg(long, value_name = "NAME")]
    pub preset: String,

    /// tokenizer.json, or the same gzipped
    #[arg(long, value_name = "FILE")]
    pub tokenizer: PathBuf,

    /// Seed of the weights
    #[arg(long, default_value_t = 0)]
    pub seed: u64,

    /// Where and how to write.
    #[command(flatten)]
    pub write: WriteArguments,
}

/// `conclave model inspect`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct InspectArguments {
    /// Model directory, the name of a model that was pulled, or `builtin`
    #[arg(long, value_name = "DIR", default_value = builtin::NAME)]
    pub model: PathBuf,

    /// Check the sha256 of every file that conclave.json names
    #[arg(long)]
    pub verify: bool,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `conclave model check`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct CheckArguments {
    /// The model and the device.
    #[command(flatten)]
    pub model: ModelArguments,

    /// Reference: safetensors with NAME.ids, NAME.logits, NAME.greedy [default: the model's selftest.safetensors]
    #[arg(long, value_name = "FILE")]
    pub reference: Option<PathBuf>,

    /// Largest difference of a logit that passes [default: 1e-4 on cpu, 1e-3 on a GPU; 0.05 in f16, 0.4 in bf16]
    #[arg(long, value_name = "X", value_parser = parse_tolerance)]
    pub tolerance: Option<f64>,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `conclave model bench`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct BenchArguments {
    /// The model and the device.
    #[command(flatten)]
    pub model: ModelArguments,

    /// Tokens of the prompt [default: 512, or what the context has room for]
    #[arg(long, value_name = "P", value_parser = clap::value_parser!(u32).range(1..))]
    pub prompt_tokens: Option<u32>,

    /// Tokens decoded after it
    #[arg(long, value_name = "N", default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    pub new_tokens: u32,

    /// Print JSON
    #[arg(long)]
    pub json: bool,
}

/// `conclave model export`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct ExportArguments {
    /// Model directory to read, the name of a model that was pulled, or `builtin`
    #[arg(long, value_name = "DIR", default_value = builtin::NAME)]
    pub model: PathBuf,

    /// Where and how to write.
    #[command(flatten)]
    pub write: WriteArguments,
}

/// `conclave model import`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct ImportArguments {
    /// GGUF file, in one piece, of F32, F16, BF16, Q8_0, Q4_0, Q4_1, Q5_0, Q5_1, Q2_K to Q6_K or IQ4_NL
    #[arg(value_name = "FILE.gguf")]
    pub file: PathBuf,

    /// Keep the output head and the embedding apart even where they are two copies of one matrix
    #[arg(long)]
    pub untied: bool,

    /// Replace the model directory that --out names
    #[arg(long)]
    pub force: bool,

    /// Where and how to write.
    #[command(flatten)]
    pub write: WriteArguments,
}

/// `conclave model quantize`.
#[derive(Args, Debug)]
#[command(after_help = EXIT_CODES)]
pub struct QuantizeArguments {
    /// Model directory to read, or `builtin`
    #[arg(long, value_name = "DIR", default_value = builtin::NAME)]
    pub model: PathBuf,

    /// Bits of a weight
    #[arg(long, value_parser = bits)]
    pub bits: u8,

    /// Bits of a weight of the head, which may be the embedding too [default: as --bits]
    #[arg(long, value_name = "BITS", value_parser = bits)]
    pub head_bits: Option<u8>,

    /// Sample sets whose prompts show which inputs matter
    #[arg(long, value_name = "SETS", num_args = 1..)]
    pub calibrate: Vec<PathBuf>,

    /// 0: least squared error; 1: weighted by the inputs [default: 0, with --calibrate 1]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u8).range(0..=1))]
    pub level: Option<u8>,

    /// Directory to write, new or empty
    #[arg(long, value_name = "DIR")]
    pub out: PathBuf,
}

fn bits(text: &str) -> Result<u8, String> {
    match text {
        "4" => Ok(4),
        "8" => Ok(8),
        _ => Err("must be 4 or 8".to_owned()),
    }
}

fn parse_tolerance(text: &str) -> Result<f64, String> {
    match text.parse::<f64>() {
        Ok(value) if value >= 0.0 && value.is_finite() => Ok(value),
        _ => Err("must be a number such as 1e-4".to_owned()),
    }
}

/// A number of bytes with an optional unit.
pub fn parse_size(text: &str) -> Result<u64, String> {
    let unit_at = text.find(|character: char| !character.is_ascii_digit()).unwrap_or(text.len());
    let (number, unit) = text.split_at(unit_at);
    let factor = match unit.trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kb" => 1000,
        "mb" => 1_000_000,
        "gb" => 1_000_000_000,
        "kib" => 1 << 10,
        "mib" => 1 << 20,
        "gib" => 1 << 30,
        _ => return Err("expected a number of bytes such as 500MB or 2GiB".to_owned()),
    };
    match number.parse::<u64>().ok().and_then(|number| number.checked_mul(factor)) {
        Some(0) | None => Err("expected a number of bytes such as 500MB or 2GiB".to_owned()),
        Some(size) => Ok(size),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_have_units() {
        assert_eq!(parse_size("32MiB"), Ok(32 << 20));
        assert_eq!(parse_size("5 gb"), Ok(5_000_000_000));
        assert_eq!(parse_size("1000"), Ok(1000));
        for wrong in ["", "0", "MB", "1.5GB", "-1", "99999999999999999999", "100000000000gib"] {
            assert!(parse_size(wrong).is_err(), "{wrong}");
        }
    }
}
