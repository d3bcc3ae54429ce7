//! Supervised fine-tuning learns, and says of which tokens.

use conclave_core::prompt::PromptVariant;
use conclave_model::config::Qwen2Config;
use conclave_model::tokenizer::Tokenizer;

use super::*;
use crate::batch::Sequence;
use crate::config::{ArithmeticSource, ScheduleKind, TargetKind};
use crate::observer::Collected;
use crate::scripted::random_model;

#[test]
fn weights_are_of_the_completion_and_by_option_of_the_prompt() {
    let long = Sequence { tokens: vec![5, 6, 7, 8], prompt_len: 2 };
    let short = Sequence { tokens: vec![9, 3], prompt_len: 1 };
    let batch = Batch::new(&[&long, &short]);
    let (found, in_completion) = targets(&batch, 0.0);
    assert_eq!((found.tokens.as_slice(), in_completion), ([7, 8, 3].as_slice(), vec![true; 3]));
    // Also where both count the same.
    for prompt_weight in [0.3, 1.0] {
        let (found, in_completion) = targets(&batch, prompt_weight);
        assert_eq!(found.tokens, [6, 7, 8, 3]);
        assert_eq!(in_completion, [false, true, true, true]);
    }
}

/// The metrics of a run of a very small model that is to write the answer behind its candidates.
fn train(steps: u64, lr: f64) -> Vec<StepMetrics> {
    let json = include_bytes!("../../../model/assets/tiny/tokenizer.json");
    let tokenizer = Tokenizer::from_json(json).unwrap();
    let shape = Qwen2Config {
        hidden_size: 32,
        intermediate_size: 64,
        num_hidden_layers: 2,
        num_attention_heads: 2,
        num_key_value_heads: 1,
        eos_token_ids: vec![0],
        ..Qwen2Config::tiny(tokenizer.vocab_size())
    };
    let mut config = RunConfig::default();
    config.train.steps = steps;
    config.train.batch_size = 4;
    config.train.prompt_loss_weight = 1.0;
    config.optimizer.lr = lr;
    config.schedule.kind = ScheduleKind::Constant;
    config.data.num_candidates = vec![1];
    config.data.target = TargetKind::Answer;
    config.prompt.variant = PromptVariant::Compact;
    config.prompt.max_new_tokens = 16;
    config.checkpoint.every = 0;
    let model = random_model(&shape, 1);
    let start = Start {
        config: shape,
        tokenizer,
        files: Vec::new(),
        resume: false,
        rehearse_only: false,
        commit: String::new(),
    };
    let (mut observer, folder) = (Collected::default(), tempfile::tempdir().unwrap());
    let sets = Sets::arithmetic(&ArithmeticSource { seed: 1, ..ArithmeticSource::default() }).unwrap();
    run(&config, &start, model, sets, Vec::new(), folder.path(), &mut observer).unwrap();
    assert!(
        observer.messages[0].contains("rehearsing a batch of 4 sequences of "),
        "{:?}",
        observer.messages
    );
    assert!(observer.messages[0].contains("raise `train.gradient_accumulation`"));
    observer.metrics
}

fn mean(metrics: &[StepMetrics], name: &str) -> f64 {
    metrics.iter().map(|metrics| metrics.get(name).unwrap()).sum::<f64>() / metrics.len() as f64
}

#[test]
fn the_loss_falls() {
    const STEPS: usize = 150;
    let metrics = train(STEPS as u64, 1e-2);
    assert_eq!(metrics.len(), STEPS);
    // A model that knows nothing gives every token the same chance.
    let [loss, completion] =
        [metric::LOSS, metric::COMPLETION_LOSS].map(|name| metrics[0].get(name).unwrap());
    let uniform = 60f64.ln();
    assert!((loss - uniform).abs() < 0.2 && (completion - uniform).abs() < 0.2, "{loss} {completion}");
    let last = &metrics[STEPS - 5..];
    assert!(mean(last, metric::LOSS) < 0.5 * loss, "{}", mean(last, metric::LOSS));
    assert!(
        mean(last, metric::COMPLETION_LOSS) < 0.4 * completion,
        "{}",
        mean(last, metric::COMPLETION_LOSS)
    );
    assert_ne!(mean(last, metric::LOSS), mean(last, metric::COMPLETION_LOSS));
    assert!(mean(last, metric::ENTROPY) < 0.5 * metrics[0].get(metric::ENTROPY).unwrap());

    let idle = train(4, 0.0);
    let fallen = idle[0].get(metric::LOSS).unwrap() - idle[3].get(metric::LOSS).unwrap();
    assert!(fallen.abs() < 0.2, "it is the updates that lower the loss: {fallen}");
}
