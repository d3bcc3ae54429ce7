//! Groups, rewards and updates on a toy: answering 7, whatever is asked.

use std::path::Path;

use conclave_core::prompt::PromptVariant;
use conclave_core::sample_set::Candidate;
use conclave_model::generate::FinishReason;

use super::*;
use crate::advantage::ScaleRewards;
use crate::config::LossKind;
use crate::observer::Collected;
use crate::rollout::RolloutCost;
use crate::scripted::{random_model, toy_config, toy_tokenizer};

/// Sets of two candidates of which the second is right.
pub(crate) fn sets(count: usize) -> Vec<SampleSet> {
    let candidate = |text: &str| Candidate { text: text.to_owned(), ..Candidate::default() };
    let set = |index: usize| SampleSet {
        id: index.to_string(),
        problem: (index % 10).to_string(),
        reference_answer: Some("7".into()),
        candidates: vec![candidate("3"), candidate("7")],
        extra: Default::default(),
    };
    (0..count).map(set).collect()
}

/// Settings in which a random model finds its way within seconds.
pub(crate) fn toy_run(steps: u64) -> RunConfig {
    let mut config = RunConfig::default();
    config.data.num_candidates = vec![2];
    config.prompt.variant = PromptVariant::NoThink;
    config.prompt.max_new_tokens = 3;
    config.train.steps = steps;
    config.train.seed = 3;
    config.train.threads = Some(2);
    config.optimizer.lr = 1e-2;
    config.schedule.kind = crate::config::ScheduleKind::Constant;
    config.grpo.group_size = 12;
    config.grpo.prompts_per_step = 4;
    config.grpo.rollout_batch_size = 64;
    config.eval.at_start = false;
    config.eval.num_candidates = 2;
    config.checkpoint.every = 0;
    config
}

pub(crate) fn toy_start(seed: u64) -> (Start, Qwen2) {
    let config = toy_config();
    let model = random_model(&config, seed);
    let start = Start {
        config,
        tokenizer: toy_tokenizer(),
        files: Vec::new(),
        resume: false,
        rehearse_only: false,
        commit: "test".to_owned(),
    };
    (start, model)
}

fn train(config: &RunConfig, run_dir: &Path) -> Vec<StepMetrics> {
    let mut observer = Collected::default();
    let sets = Sets::memory(self::sets(20)).unwrap();
    let held_out = self::sets(10);
    let (start, model) = toy_start(1);
    run(config, &start, model, sets, held_out, run_dir, &mut observer).unwrap();
    assert!(observer.messages.iter().any(|message| message.contains("48 rollouts at once")), "{observer:?}");
    observer.metrics
}

fn mean_reward(metrics: &[StepMetrics]) -> f64 {
    metrics.iter().filter_map(|metrics| metrics.get(metric::REWARD)).sum::<f64>() / metrics.len() as f64
}

#[test]
fn the_reward_rises() {
    let folder = tempfile::tempdir().unwrap();
    let metrics = train(&toy_run(40), folder.path());
    let (first, last) = (mean_reward(&metrics[..5]), mean_reward(&metrics[35..]));
    assert!(first < 0.1 && last > 0.5, "{first} to {last}");
    for step in &metrics {
        let gap = step.get(metric::SAMPLING_GAP_MAX).unwrap();
        assert!(gap < 1e-3, "sampler and trainer are of the same weights: {gap}");
        assert!((step.get(metric::SAMPLING_RATIO_MEAN).unwrap() - 1.0).abs() < 1e-3);
    }
    let last = metrics.last().unwrap();
    assert!(last.get(metric::EVAL_ACCURACY).unwrap() > 0.5);
    assert_eq!(last.get(metric::CLIP_REGION_MEAN), Some(0.0), "one update is never clipped");
    for name in [metric::ENTROPY, metric::ROLLOUT_ENTROPY] {
        assert!(last.get(name).unwrap() < metrics[0].get(name).unwrap(), "{name}");
    }
    assert_eq!(last.get(metric::KL), None);
}

/// Everything is drawn by (seed, purpose, step), and the reference is the start again.
#[test]
fn a_stop_changes_nothing() {
    let mut config = toy_run(6);
    (config.grpo.num_iterations, config.grpo.kl_coef) = (2, 0.05);
    let pieces = |stops: &[Option<u64>]| {
        let folder = tempfile::tempdir().unwrap();
        let mut seen = Vec::new();
        for (piece, &stop_after) in stops.iter().enumerate() {
            let mut observer = Collected { stop_after, ..Collected::default() };
            let (start, model) = toy_start(1);
            let start = Start { resume: piece > 0, ..start };
            let sets = Sets::memory(self::sets(20)).unwrap();
            run(&config, &start, model, sets, self::sets(4), folder.path(), &mut observer).unwrap();
            seen.extend(observer.metrics);
        }
        let timeless = |metrics: &StepMetrics| {
            let numbers =
                metrics.iter().filter(|(name, _)| !name.contains("second") && *name != metric::STEP_TIME);
            (
                metrics.step,
                numbers.map(|(name, value)| (name.to_owned(), value.to_bits())).collect::<Vec<_>>(),
            )
        };
        let last = folder.path().join("checkpoints/step-00000006");
        let saved = ["model.safetensors", "optimizer.safetensors"]
            .map(|name| std::fs::read(last.join(name)).unwrap());
        (seen.iter().map(timeless).collect::<Vec<_>>(), saved)
    };
    let (expected, saved) = pieces(&[None]);
    let (found, resumed) = pieces(&[Some(2), Some(3), None]);
    assert_eq!(found, expected);
    assert!(saved == resumed);
}

#[test]
fn every_option_is_in_the_loop() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = toy_run(12);
    config.grpo.num_iterations = 3;
    config.grpo.kl_coef = 0.05;
    config.grpo.clip_epsilon = 0.01;
    config.grpo.clip_epsilon_high = 0.02;
    config.grpo.mask_truncated = true;
    config.grpo.scale_rewards = ScaleRewards::Batch;
    config.grpo.loss = LossKind::Dapo;
    config.grpo.temperature = 0.9;
    let metrics = train(&config, folder.path());
    assert!(metrics[0].get(metric::KL).unwrap() >= 0.0);
    assert!(metrics.iter().any(|step| step.get(metric::CLIP_REGION_MEAN).unwrap() > 0.0));
    assert!(metrics.last().unwrap().get(metric::KL).unwrap() > metrics[0].get(metric::KL).unwrap());
    assert!(metrics.iter().all(|step| step.get(metric::SAMPLING_GAP_MAX).unwrap() < 1e-3));
}

#[test]
fn groups_become_samples() {
    let rollout = |text: &str, finish_reason| Rollout {
        tokens: vec![9; text.len()],
        log_probs: vec![-0.5; text.len()],
        text: text.to_owned(),
        finish_reason,
    };
    let group = vec![
        rollout("7</answer>", FinishReason::Stop),
        rollout("3</answer>", FinishReason::Stop),
        rollout("33", FinishReason::Length),
        rollout("7.0</answer>", FinishReason::Stop),
    ];
    let mut config = GrpoConfig { format_reward: 0.2, mask_truncated: true, ..GrpoConfig::default() };
    let graded = vec![grade("<answer>", &sets(1)[0], &group).unwrap()];
    let rewards = rewards(&graded, &config);
    assert_eq!(rewards, [[1.0, 0.2, 0.0, 1.0].map(Reward).to_vec()]);
    let advantages = group_advantages(&rewards.concat(), ScaleRewards::None, 4);
    let prompts = [RolloutPrompt { tokens: &[1, 2, 3], stream: 0 }];
    let found = samples(&prompts, std::slice::from_ref(&group), &advantages, &config);
    let summary: Vec<(usize, f64, bool)> =
        found.iter().map(|s| (s.sequence.tokens.len(), s.advantage.0, s.masked)).collect();
    assert_eq!(
        summary.iter().map(|s| (s.0, (s.1 * 100.0).round(), s.2)).collect::<Vec<_>>(),
        [(13, 45.0, false), (13, -35.0, false), (5, -55.0, true), (15, 45.0, false)]
    );
    assert!(found.iter().all(|sample| sample.sequence.prompt_len == 3));
    let mut metrics = StepMetrics::new(1);
    note_rollouts(std::slice::from_ref(&group), &rewards, &RolloutCost::default(), "g/", &mut metrics);
    assert_eq!(metrics.get("g/rollout/entropy"), Some(0.5));
    config.mask_truncated = false;
    assert!(!samples(&prompts, &[group], &advantages, &config)[2].masked);

    let unknown = SampleSet { reference_answer: None, ..sets(1).remove(0) };
    assert!(grade("<answer>", &unknown, &[]).unwrap_err().to_string().contains("no `reference_answer`"));
}
