//! Tokens per second of supervised steps and of rollouts, for the built-in model's shape on the CPU.
//!
//! `cargo bench -p conclave-train --bench train` prints both. With `--serve FOLDER` it is one side of `cargo xtask bench
//! train`: it writes the model and the tokens into the folder for the other side, says `ready`, and then measures what each
//! line of its input asks for: `sft 3` (steps) or `rollout 2`; it answers `TOKENS SECONDS VALUE`, where the value is the loss
//! of the last step or the mean log-probability of the tokens chosen. `crates/xtask/scripts/bench_train.py` is the other side.

use std::fs::File;
use std::io::{BufRead, BufWriter, Write};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::time::Instant;

use burn::tensor::Device;
use conclave_model::config::Qwen2Config;
use conclave_model::export::{Export, ModelSink, write_model};
use conclave_model::generate::Stops;
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::qwen2::Qwen2;
use conclave_model::safetensors::Dtype;
use conclave_model::tokenizer::Tokenizer;
use conclave_train::Result;
use conclave_train::batch::{Batch, Sequence};
use conclave_train::config::{OptimizerKind, RunConfig, ScheduleKind};
use conclave_train::observer::{StepMetrics, metric};
use conclave_train::rollout::{RolloutOptions, RolloutPrompt};
use conclave_train::sft;
use conclave_train::start::Start;
use conclave_train::trainer::Run;

/// Sequences of a supervised step, and their length. All tokens but the first are targets.
const ROWS: usize = 16;
const SEQ: usize = 256;

/// Rollouts: prompts, completions of each, tokens of a prompt and of a completion.
const PROMPTS: usize = 8;
const GROUP: usize = 8;
const PROMPT_TOKENS: usize = 200;
const NEW_TOKENS: usize = 64;

const TOKENIZER: &[u8] = include_bytes!("../../model/assets/tiny/tokenizer.json");

/// What was done.
struct Measured {
    tokens: usize,
    seconds: f64,
    value: f64,
}

fn run_config() -> RunConfig {
    let mut config = RunConfig::default();
    config.train.steps = 1_000_000;
    config.train.threads = std::thread::available_parallelism().ok().map(usize::from);
    config.schedule.kind = ScheduleKind::Constant;
    (config.optimizer.kind, config.optimizer.lr) = (OptimizerKind::AdamW, 1e-3);
    config
}

fn start() -> Result<(Start, Qwen2, RandomWeights)> {
    let tokenizer = Tokenizer::from_json(TOKENIZER)?;
    // As in `configs/tiny-sft.toml`.
    let config = Qwen2Config { num_key_value_heads: 4, ..Qwen2Config::tiny(tokenizer.vocab_size()) };
    let weights = RandomWeights::new(&config, 1);
    let going_on = &mut |_| ControlFlow::Continue(());
    let model =
        pollster::block_on(load(&config, &weights, &Device::flex(), &LoadOptions::default(), going_on))?;
    let (resume, rehearse_only) = (false, false);
    let start = Start { config, tokenizer, files: Vec::new(), resume, rehearse_only, commit: String::new() };
    Ok((start, model, weights))
}

/// Tokens of a generator that every language can write down, for the sequences of a batch.
fn tokens(vocab_size: usize) -> Vec<u32> {
    let mut state = 1u32;
    let next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) % vocab_size as u32
    };
    std::iter::repeat_with(next).take(ROWS * SEQ).collect()
}

/// Both measurements, on a run that goes on from one to the next.
struct Bench<'a> {
    run: Run<'a>,
    batch: Batch,
    prompts: Vec<Vec<u32>>,
    rollouts: u64,
}

impl<'a> Bench<'a> {
    fn new(run: Run<'a>, tokens: &[u32]) -> Self {
        let sequence = |row: &[u32]| Sequence { tokens: row.to_vec(), prompt_len: 1 };
        let sequences: Vec<Sequence> = tokens.chunks(SEQ).map(sequence).collect();
        let batch = Batch::new(&sequences.iter().collect::<Vec<_>>());
        let prompts = tokens.chunks(SEQ).take(PROMPTS).map(|row| row[..PROMPT_TOKENS].to_vec()).collect();
        Self { run, batch, prompts, rollouts: 0 }
    }

    fn sft(&mut self, steps: usize) -> Result<Measured> {
        let begun = Instant::now();
        let mut value = 0.0;
        for _ in 0..steps {
            let (gradients, seen) = sft::gradients(&self.run, std::slice::from_ref(&self.batch))?;
            self.run.update(gradients, 0, &mut StepMetrics::default())?;
            value = seen.get(metric::LOSS).unwrap_or(f64::NAN);
        }
        Ok(Measured { tokens: steps * ROWS * SEQ, seconds: begun.elapsed().as_secs_f64(), value })
    }

    fn rollout(&mut self, times: usize) -> Result<Measured> {
        let begun = Instant::now();
        let (run, mut sum, mut count) = (&self.run, 0.0, 0);
        for _ in 0..times {
            self.rollouts += 1;
            let options = RolloutOptions {
                group_size: GROUP,
                temperature: 1.0,
                max_new_tokens: NEW_TOKENS,
                rows: PROMPTS * GROUP,
                seed: self.rollouts,
                purpose: 0,
            };
            let prompts: Vec<RolloutPrompt> =
                (0..).zip(&self.prompts).map(|(stream, tokens)| RolloutPrompt { tokens, stream }).collect();
            // Nothing stops a completion: all are of the same length.
            let (groups, _) = run.roll_out(&run.model, &prompts, &Stops::default(), &options)?;
            for log_prob in groups.iter().flatten().flat_map(|rollout| &rollout.log_probs) {
                sum += f64::from(*log_prob);
                count += 1;
            }
        }
        let seconds = begun.elapsed().as_secs_f64();
        Ok(Measured { tokens: count, seconds, value: sum / count as f64 })
    }
}

/// Files of a folder.
struct Folder {
    path: PathBuf,
    open: Option<BufWriter<File>>,
}

impl Folder {
    fn failure(error: std::io::Error) -> conclave_model::Error {
        conclave_model::Error::io(error.to_string())
    }
}

impl ModelSink for Folder {
    fn create(&mut self, file: &str) -> conclave_model::Result<()> {
        self.open = Some(BufWriter::new(File::create(self.path.join(file)).map_err(Self::failure)?));
        Ok(())
    }

    fn write(&mut self, bytes: &[u8]) -> conclave_model::Result<()> {
        self.open.as_mut().map_or(Ok(()), |file| file.write_all(bytes)).map_err(Self::failure)
    }

    fn finish(&mut self) -> conclave_model::Result<()> {
        self.open.take().map_or(Ok(()), |mut file| file.flush()).map_err(Self::failure)
    }
}

/// Writes what the other side begins with.
fn write_start(folder: &Path, start: &Start, weights: &RandomWeights, tokens: &[u32]) -> Result<()> {
    let mut sink = Folder { path: folder.to_owned(), open: None };
    let export = Export { config: &start.config, dtype: Dtype::F32, max_shard_size: u64::MAX, files: &[] };
    let going_on = &mut |_| ControlFlow::Continue(());
    pollster::block_on(write_model(&export, weights, &mut sink, going_on))?;
    let tokens: Vec<String> = tokens.iter().map(u32::to_string).collect();
    sink.create("tokens.txt")?;
    sink.write(tokens.join(" ").as_bytes())?;
    Ok(sink.finish()?)
}

/// Answers requests until there are no more.
fn serve(bench: &mut Bench<'_>) -> Result<()> {
    println!("ready");
    for line in std::io::stdin().lock().lines().map_while(std::result::Result::ok) {
        let (what, count) = line.split_once(' ').unwrap_or((line.as_str(), "1"));
        let count = count.parse().unwrap_or(1);
        let measured = if what == "sft" { bench.sft(count)? } else { bench.rollout(count)? };
        println!("{} {} {}", measured.tokens, measured.seconds, measured.value);
    }
    Ok(())
}

fn main() -> Result<()> {
    conclave_train::flush_to_zero::flush_denormals_to_zero();
    conclave_train::allocator::keep_freed_memory();
    let config = run_config();
    let (start, model, weights) = start()?;
    let tokens = tokens(start.tokenizer.vocab_size());
    let mut bench = Bench::new(Run::new(&config, &start, model, false)?, &tokens);
    // One of each, unmeasured: pools and caches are filled.
    bench.sft(1)?;
    bench.rollout(1)?;
    let arguments: Vec<String> = std::env::args().collect();
    if let Some(place) = arguments.iter().position(|argument| argument == "--serve") {
        let folder = arguments.get(place + 1).map(PathBuf::from).unwrap_or_default();
        write_start(&folder, &start, &weights, &tokens)?;
        return serve(&mut bench);
    }
    for (name, measured) in [("sft", bench.sft(5)?), ("rollout", bench.rollout(3)?)] {
        println!("{name:8} {:10.0} tokens/s", measured.tokens as f64 / measured.seconds);
    }
    Ok(())
}
