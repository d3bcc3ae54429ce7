//! The loop on a toy: writing 7, and taking it over.

use super::*;
use crate::grpo::tests::{sets, toy_run, toy_start};
use crate::observer::Collected;

fn toy(baseline: Baseline, steps: u64) -> RunConfig {
    let mut config = toy_run(steps);
    config.grpo.loss = crate::config::LossKind::DrGrpo;
    config.grpo.scale_rewards = crate::advantage::ScaleRewards::None;
    config.paragator.baseline = baseline;
    config.paragator.problems_per_step = 4;
    config.paragator.generator_group_size = 12;
    config.paragator.aggregator_group_size = 12;
    config.paragator.pass_k = 2;
    config.paragator.pool_size = 2;
    config.paragator.rounds = 1;
    config.eval.num_candidates = 3;
    config
}

fn train(config: &RunConfig) -> (Vec<StepMetrics>, Vec<String>) {
    let folder = tempfile::tempdir().unwrap();
    let mut observer = Collected::default();
    let problems = Sets::memory(sets(20)).unwrap();
    let (start, model) = toy_start(1);
    run(config, &start, model, problems, sets(5), folder.path(), &mut observer).unwrap();
    (observer.metrics, observer.messages)
}

#[test]
fn both_halves_learn() {
    let (metrics, messages) = train(&toy(Baseline::Joint, 40));
    let mean = |metrics: &[StepMetrics], name: &str| {
        metrics.iter().filter_map(|metrics| metrics.get(name)).sum::<f64>() / metrics.len() as f64
    };
    for name in ["generator/reward", "aggregator/reward"] {
        let (first, last) = (mean(&metrics[..5], name), mean(&metrics[35..], name));
        assert!(last > first + 0.2, "{name} from {first} to {last}");
    }
    let last = &metrics[39];
    assert!(last.get("generator/pass_at_k") >= last.get("generator/reward"));
    assert!(last.get(metric::SAMPLING_GAP_MAX).unwrap() < 1e-3);
    for name in ["eval_accuracy", "eval_round_0/pass_at_k", "eval_round_1/accuracy", "eval_round_1/oracle"] {
        assert!((0.0..=1.0).contains(&last.get(name).unwrap()), "{name}");
    }
    assert_eq!(last.get("eval_accuracy"), last.get("eval_round_1/accuracy"));
    let rehearsed = messages.iter().filter(|message| message.contains("rollouts at once")).count();
    assert_eq!(rehearsed, 2, "{messages:?}");
}

#[test]
fn a_context_that_is_not_there_is_refused() {
    let (start, model) = toy_start(1);
    let longest = start.config.max_position_embeddings;
    for (context, generator_tokens, part) in [
        (Some(longest + 1), None, format!("more than the {longest} of the model")),
        (None, Some(longest), format!("{longest} new tokens leave no room")),
    ] {
        let mut config = toy(Baseline::Joint, 1);
        config.prompt.context_length = context;
        config.paragator.generator_max_new_tokens = generator_tokens;
        let (folder, mut observer) = (tempfile::tempdir().unwrap(), Collected::default());
        let problems = Sets::memory(sets(2)).unwrap();
        let error =
            run(&config, &start, model.clone(), problems, sets(1), folder.path(), &mut observer).unwrap_err();
        assert!(error.to_string().contains(&part), "{error}");
    }
}

#[test]
fn pass_at_k_learns_otherwise_than_pass_at_1() {
    let norms = |baseline| {
        let (metrics, _) = train(&toy(baseline, 12));
        metrics.iter().map(|metrics| metrics.get(metric::GRAD_NORM).unwrap()).collect::<Vec<f64>>()
    };
    let (by_one, by_k) = (norms(Baseline::DrGrpo), norms(Baseline::PassAtK));
    // Until the first solution that is right they have the same groups and learn nothing from them.
    let first = by_one.iter().position(|norm| *norm > 0.0).unwrap();
    assert!(by_one[..first] == by_k[..first] && by_one[first] != by_k[first], "{by_one:?} {by_k:?}");
}

#[test]
fn the_baselines_leave_out_what_they_should() {
    let has = |metrics: &StepMetrics, prefix: &str| metrics.iter().any(|(name, _)| name.starts_with(prefix));
    let first = |baseline| {
        let mut config = toy(baseline, 2);
        // So that every completion goes through the network, also of groups that agree.
        config.grpo.kl_coef = 1e-3;
        train(&config).0.remove(0)
    };
    let generator_only = first(Baseline::DrGrpo);
    let by_pass_at_k = first(Baseline::PassAtK);
    for metrics in [&generator_only, &by_pass_at_k] {
        assert!(has(metrics, "generator/") && !has(metrics, "aggregator/"));
        assert_eq!(metrics.get(metric::REWARD), metrics.get("generator/reward"));
    }
    assert_eq!(generator_only.get("generator/reward"), by_pass_at_k.get("generator/reward"));
    let multitask = first(Baseline::OnlineMultitask);
    let offline = first(Baseline::Offline);
    let joint = first(Baseline::Joint);
    // The first step of each has the same weights and so the same rollouts; what is learned from them differs.
    for name in ["generator/reward", "aggregator/reward", "generator/completions/mean_length"] {
        assert_eq!(joint.get(name), multitask.get(name), "{name}");
        assert_eq!(joint.get(name), offline.get(name), "{name}");
    }
    assert!(
        offline.get(metric::NUM_TOKENS) < multitask.get(metric::NUM_TOKENS),
        "only aggregations are learned from"
    );
}
