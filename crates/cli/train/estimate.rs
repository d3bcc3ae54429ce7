//! `--dry-run`: what a run would take, without loading a weight. Tokens are counted on the first examples; memory is
//! reckoned from shapes, and `--rehearse` measures it.

use anyhow::Result;
use conclave_model::config::Qwen2Config;
use conclave_train::config::{ComputeDtype, Method, RunConfig};
use conclave_train::data::{Curriculum, Examples};
use conclave_train::optimizer::OptimizerKind;

use super::start::{Model, preparation, training_sets};
use crate::Outcome;
use crate::messages::{count, say};
use crate::output::Output;

/// Examples that are prepared to count tokens.
const EXAMPLES: u64 = 200;

/// Tokens whose logits are held at once, as in `conclave_train::trainer`.
const VOCABULARY_CHUNK: u64 = 256;

/// What the first examples are like.
struct Lengths {
    /// Examples looked at.
    examples: u64,
    /// Tokens of prompts and targets together.
    prompt: u64,
    completion: u64,
    /// Tokens of the longest.
    longest_prompt: usize,
    longest: usize,
}

/// Prints the configuration on standard output, and on standard error what it comes to.
pub fn dry_run(method: Method, run: &RunConfig) -> Result<Outcome> {
    let model = Model::open(run)?;
    // First, so that nothing is printed where the data cannot be read.
    let lengths = lengths(method, run, &model)?;
    let mut output = Output::standard_output();
    output.line(run.to_toml(method).trim_end())?;
    output.finish()?;
    say(&format!("model: {} parameters", grouped(model.config.num_parameters())));
    let sequences = sequences_of_a_step(method, run);
    let total = run.train.steps.saturating_mul(sequences.mean.round() as u64);
    let mean = |tokens: u64| tokens as f64 / lengths.examples as f64;
    let completion = match method {
        Method::Sft => format!("{:.0} of target", mean(lengths.completion)),
        _ => format!("up to {} of completion", run.rollout_tokens()),
    };
    let what = match method {
        Method::Paragator => "problem",
        _ => "prompt",
    };
    say(&format!(
        "sequences: {:.0} tokens of {what} and {completion} each; the longest prompt has {} ({})",
        mean(lengths.prompt),
        lengths.longest_prompt,
        match method {
            Method::Paragator => "a pool that fills the context".to_owned(),
            _ => format!("first {}", count(lengths.examples, "example")),
        }
    ));
    let (tokens, bound) = match method {
        Method::Sft => (mean(lengths.prompt + lengths.completion), "about "),
        Method::Grpo => (mean(lengths.prompt) + run.rollout_tokens() as f64, "at most about "),
        Method::Paragator => (lengths.longest as f64, "at most "),
    };
    say(&format!(
        "run: {}, {} {}, {bound}{} tokens",
        count(run.train.steps, "step"),
        grouped(total),
        if method == Method::Sft { "sequences" } else { "completions" },
        grouped((total as f64 * tokens) as u64),
    ));
    let longest = match method {
        Method::Sft => lengths.longest,
        _ => lengths.longest_prompt + run.rollout_tokens(),
    };
    let memory = Memory::reckon(method, run, &model.config, sequences.at_once, longest as u64);
    say(&format!("memory: {}", memory.text()));
    Ok(Outcome::Done)
}

fn lengths(method: Method, run: &RunConfig, model: &Model) -> Result<Lengths> {
    let sets = training_sets(method, run, &model.config, &model.tokenizer)?;
    let seen = EXAMPLES.min(sets.epoch_len().unwrap_or(EXAMPLES)).max(1);
    let preparation = preparation(method, run, &model.config)?;
    let mut lengths = Lengths { examples: seen, prompt: 0, completion: 0, longest_prompt: 0, longest: 0 };
    if method == Method::Paragator {
        let room = preparation.context_length.saturating_sub(run.rollout_tokens());
        for position in 0..seen {
            let set = sets.get(run.train.seed, position, 0)?;
            lengths.prompt += model.tokenizer.count(&set.problem) as u64;
        }
        // A pool of long solutions fills the context.
        lengths.longest_prompt = room;
        lengths.longest = preparation.context_length;
        return Ok(lengths);
    }
    let examples = Examples::new(sets, &model.tokenizer, preparation, run.train.seed);
    // The numbers of candidates of the last stage, which is most of a run.
    for example in examples.range(0..seen, &run.data.num_candidates)? {
        let (prompt, all) = (example.sequence.prompt_len, example.sequence.tokens.len());
        lengths.prompt += prompt as u64;
        lengths.completion += (all - prompt) as u64;
        lengths.longest_prompt = lengths.longest_prompt.max(prompt);
        lengths.longest = lengths.longest.max(all);
    }
    Ok(lengths)
}

/// Sequences of one step.
struct Sequences {
    /// Over the run, in the mean: stages differ.
    mean: f64,
    /// Of one forward and backward pass at most.
    at_once: u64,
}

fn sequences_of_a_step(method: Method, run: &RunConfig) -> Sequences {
    let (grpo, paragator) = (&run.grpo, &run.paragator);
    match method {
        Method::Sft => {
            let curriculum =
                Curriculum::new(&run.data, run.train.batch_size, run.train.gradient_accumulation);
            let end = curriculum.at(run.train.steps.saturating_sub(1)).positions.end;
            let sizes = run.data.stages.iter().filter_map(|stage| stage.batch_size);
            let at_once = sizes.chain([run.train.batch_size]).max().unwrap_or(1) as u64;
            Sequences { mean: end as f64 / run.train.steps.max(1) as f64, at_once }
        }
        Method::Grpo => {
            let step = (grpo.prompts_per_step * grpo.group_size) as u64;
            Sequences { mean: step as f64, at_once: step.min(run.train.batch_size as u64) }
        }
        Method::Paragator => {
            let aggregations = paragator.pools_per_problem * paragator.aggregator_group_size;
            let step = (paragator.problems_per_step * (paragator.generator_group_size + aggregations)) as u64;
            Sequences { mean: step as f64, at_once: step.min(run.train.batch_size as u64) }
        }
    }
}

/// Bytes that a run needs on its device, by what they are for.
struct Memory {
    weights: u64,
    gradients: u64,
    optimizer: u64,
    activations: u64,
    rollouts: u64,
}

impl Memory {
    /// For `rows` sequences of `longest` tokens in a forward and backward pass.
    ///
    /// Weights are f32, with a copy in the compute type and, for the KL, one of the start. AdamW keeps two numbers a
    /// parameter, Muon one. Autodiff keeps per token and layer about what follows; with `train.recompute` the input of
    /// every layer, and the rest of one layer only.
    fn reckon(method: Method, run: &RunConfig, model: &Qwen2Config, rows: u64, longest: u64) -> Self {
        let parameters = model.num_parameters();
        let size = match run.train.dtype {
            ComputeDtype::F32 => 4,
            ComputeDtype::Bf16 => 2,
        };
        let copy = if size == 4 { 0 } else { parameters * size };
        let reference = if method != Method::Sft && run.grpo.kl_coef > 0.0 { parameters * 4 } else { 0 };
        let [hidden, inner, layers, heads, vocabulary, kv] = [
            model.hidden_size,
            model.intermediate_size,
            model.num_hidden_layers,
            model.num_attention_heads,
            model.vocab_size,
            model.kv_size(),
        ]
        .map(|size| size as u64);
        let tables = vocabulary * hidden * if model.tie_word_embeddings { 1 } else { 2 };
        let per_parameter = match run.optimizer.kind {
            OptimizerKind::AdamW => 8 * parameters,
            OptimizerKind::Muon => 8 * tables + 4 * (parameters - tables),
        };
        // Norms, projections, rotated queries and keys, scores and their softmax, gate, up and their product.
        let layer = 9 * hidden + 4 * kv + 5 * inner + 3 * heads * longest;
        let kept = if run.train.recompute { layers * hidden + layer } else { layers * layer };
        let tokens = rows * longest;
        let logits = VOCABULARY_CHUNK.min(tokens) * vocabulary * 4 * 3;
        let rollout_rows =
            if method == Method::Sft { run.eval.batch_size } else { run.grpo.rollout_batch_size };
        let rollouts = rollout_rows as u64 * longest * 2 * kv * layers * size;
        Self {
            weights: parameters * 4 + copy + reference,
            gradients: parameters * 4,
            optimizer: per_parameter,
            activations: tokens * kept * size + logits,
            rollouts,
        }
    }

    fn text(&self) -> String {
        let Self { weights, gradients, optimizer, activations, rollouts } = *self;
        // Rollouts and passes do not overlap.
        let total = weights + optimizer + (gradients + activations).max(rollouts);
        format!(
            "about {}: weights {}, optimizer {}, gradients {}, activations {}; rollouts {} (--rehearse measures it)",
            size(total),
            size(weights),
            size(optimizer),
            size(gradients),
            size(activations),
            size(rollouts)
        )
    }
}

/// Bytes in words.
fn size(bytes: u64) -> String {
    match bytes {
        0..1_048_576 => format!("{} KiB", bytes.div_ceil(1024)),
        1_048_576..1_073_741_824 => format!("{:.0} MiB", bytes as f64 / 1_048_576.0),
        _ => format!("{:.1} GiB", bytes as f64 / 1_073_741_824.0),
    }
}

/// 1234567 as 1,234,567.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_sizes() {
        assert_eq!([0, 999, 1000, 1_234_567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!([1, 5 << 20, 3 << 30].map(size), ["1 KiB", "5 MiB", "3.0 GiB"]);
    }

    #[test]
    fn adamw_in_f32_takes_sixteen_bytes_a_parameter() {
        let model = Qwen2Config::qwen2_5_0_5b();
        let memory = Memory::reckon(Method::Sft, &RunConfig::default(), &model, 1, 1);
        let fixed = memory.weights + memory.gradients + memory.optimizer;
        assert_eq!(fixed, 16 * model.num_parameters());
    }
}
