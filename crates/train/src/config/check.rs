//! The checks of a whole configuration, before anything is loaded.

use super::{Method, RunConfig, SetSource, model::LORA_TARGETS};
use crate::error::TrainError;

/// Collects what is wrong, so that one run of the program shows all of it.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn require(&mut self, holds: bool, message: impl FnOnce() -> String) {
        if !holds {
            self.0.push(message());
        }
    }

    fn at_least_one(&mut self, key: &str, value: u64) {
        self.require(value >= 1, || format!("`{key}` is {value}, expected at least 1"));
    }

    fn share(&mut self, key: &str, value: f64) {
        self.require((0.0..=1.0).contains(&value), || format!("`{key}` is {value}, expected 0 to 1"));
    }

    fn not_negative(&mut self, key: &str, value: f64) {
        self.require(value >= 0.0 && value.is_finite(), || format!("`{key}` is {value}, expected 0 or more"));
    }
}

impl RunConfig {
    /// Checks what must hold for a run of `method`. Files are not opened.
    ///
    /// # Errors
    /// Names every key that is wrong, its value and what is expected.
    pub fn validate(&self, method: Method) -> Result<(), TrainError> {
        let mut problems = Problems::default();
        if let Err(error) = self.model.start() {
            problems.0.push(error.to_string());
        }
        if let Err(error) = self.optimizer.validate() {
            problems.0.push(error.to_string());
        }
        self.check_data(method, &mut problems);
        self.check_run(&mut problems);
        if method != Method::Sft {
            self.check_grpo(&mut problems);
        }
        if method == Method::Paragator {
            self.check_paragator(&mut problems);
        }
        if problems.0.is_empty() { Ok(()) } else { Err(TrainError::Config(problems.0.join("; "))) }
    }

    fn check_data(&self, method: Method, problems: &mut Problems) {
        let data = &self.data;
        problems.require(data.train.is_some(), || {
            "`data.train` is missing: give `{ arithmetic = { seed = 1 } }` or `{ files = [\"sets.jsonl\"] }`".to_owned()
        });
        problems.require(data.eval.is_some() || (self.eval.every == 0 && !self.eval.at_start), || {
            "`data.eval` is missing: give held-out sets, or `eval.every = 0` and `eval.at_start = false`"
                .to_owned()
        });
        for (key, source) in [("data.train", &data.train), ("data.eval", &data.eval)] {
            match source {
                Some(SetSource::Files(files)) => {
                    problems.require(!files.is_empty(), || format!("`{key}.files` names no file"));
                }
                Some(SetSource::Arithmetic(source)) => {
                    problems.require(source.problems != Some(0), || {
                        format!("`{key}.arithmetic.problems` is 0, expected at least 1")
                    });
                }
                None => {}
            }
        }
        if let (Some(SetSource::Arithmetic(train)), Some(SetSource::Arithmetic(eval))) =
            (&data.train, &data.eval)
        {
            problems.require(train.seed != eval.seed, || {
                format!("training and evaluation have the same problems: both have seed {}", train.seed)
            });
        }
        let fewest = usize::from(method != Method::Sft);
        check_candidates(problems, "data.num_candidates", &data.num_candidates, fewest);
        for (index, stage) in data.stages.iter().enumerate() {
            problems.at_least_one(&format!("data.stages[{index}].steps"), stage.steps);
            if let Some(numbers) = &stage.num_candidates {
                check_candidates(problems, &format!("data.stages[{index}].num_candidates"), numbers, fewest);
            }
            if let Some(size) = stage.batch_size {
                problems.at_least_one(&format!("data.stages[{index}].batch_size"), size as u64);
                problems.require(method == Method::Sft, || {
                    format!("`data.stages[{index}].batch_size` is for `conclave train sft`: take it out")
                });
            }
        }
        problems.share("data.truncation.probability", data.truncation.probability);
        problems.share("data.truncation.share", data.truncation.share);
    }

    fn check_run(&self, problems: &mut Problems) {
        let Self { train, prompt, schedule, eval, .. } = self;
        for (key, value) in [
            ("train.steps", train.steps),
            ("train.batch_size", train.batch_size as u64),
            ("train.gradient_accumulation", train.gradient_accumulation as u64),
            ("train.threads", train.threads.unwrap_or(1) as u64),
            ("prompt.max_new_tokens", prompt.max_new_tokens as u64),
            ("prompt.max_candidates", prompt.max_candidates.unwrap_or(1) as u64),
            ("checkpoint.keep_last", self.checkpoint.keep_last as u64),
            ("eval.problems", eval.problems),
            ("eval.permutations", u64::from(eval.permutations)),
            ("eval.batch_size", eval.batch_size as u64),
            ("log.every", self.log.every),
        ] {
            problems.at_least_one(key, value);
        }
        if let Some(context) = prompt.context_length {
            problems.require(context > prompt.max_new_tokens, || {
                format!(
                    "`prompt.context_length` is {context}, which leaves no room for a prompt beside {} new tokens",
                    prompt.max_new_tokens
                )
            });
        }
        problems.share("train.prompt_loss_weight", train.prompt_loss_weight);
        problems.share("schedule.decay_fraction", schedule.decay_fraction);
        problems.share("schedule.min_ratio", schedule.min_ratio);
        if let Some(lora) = &self.lora {
            problems.at_least_one("lora.rank", lora.rank as u64);
            problems.not_negative("lora.alpha", lora.alpha);
            problems.require(!lora.targets.is_empty(), || "`lora.targets` names no matrix".to_owned());
            for target in &lora.targets {
                problems.require(LORA_TARGETS.contains(&target.as_str()), || {
                    format!("`lora.targets` names `{target}`, expected some of {}", LORA_TARGETS.join(", "))
                });
            }
        }
    }

    fn check_grpo(&self, problems: &mut Problems) {
        let grpo = &self.grpo;
        for (key, value) in [
            ("grpo.prompts_per_step", grpo.prompts_per_step),
            ("grpo.rollout_batch_size", grpo.rollout_batch_size),
            ("grpo.num_iterations", grpo.num_iterations),
            ("grpo.max_new_tokens", self.rollout_tokens()),
        ] {
            problems.at_least_one(key, value as u64);
        }
        problems.require(grpo.group_size >= 2, || {
            format!(
                "`grpo.group_size` is {}, expected at least 2: a completion is compared with its group",
                grpo.group_size
            )
        });
        problems.require(grpo.temperature > 0.0 && grpo.temperature.is_finite(), || {
            format!("`grpo.temperature` is {}, expected a number above 0", grpo.temperature)
        });
        problems.require(grpo.loss_constant.is_none_or(|constant| constant > 0.0), || {
            "`grpo.loss_constant` must be above 0".to_owned()
        });
        problems.share("grpo.clip_epsilon", grpo.clip_epsilon);
        problems.not_negative("grpo.clip_epsilon_high", grpo.clip_epsilon_high);
        problems.not_negative("grpo.kl_coef", grpo.kl_coef);
        problems.share("grpo.format_reward", grpo.format_reward);
    }

    fn check_paragator(&self, problems: &mut Problems) {
        let paragator = &self.paragator;
        for (key, value) in [
            ("paragator.problems_per_step", paragator.problems_per_step),
            ("paragator.pass_k", paragator.pass_k),
            ("paragator.pool_size", paragator.pool_size),
            ("paragator.pools_per_problem", paragator.pools_per_problem),
            ("paragator.generator_max_new_tokens", paragator.generator_max_new_tokens.unwrap_or(1)),
        ] {
            problems.at_least_one(key, value as u64);
        }
        for (key, value) in [
            ("paragator.generator_group_size", paragator.generator_group_size),
            ("paragator.aggregator_group_size", paragator.aggregator_group_size),
        ] {
            problems.require(value >= 2, || format!("`{key}` is {value}, expected at least 2"));
        }
        for (key, value) in
            [("paragator.pass_k", paragator.pass_k), ("paragator.pool_size", paragator.pool_size)]
        {
            problems.require(
                value <= paragator.generator_group_size || !paragator.baseline.trains_generator(),
                || {
                    format!(
                        "`{key}` is {value}, more than the {} solutions of `paragator.generator_group_size`",
                        paragator.generator_group_size
                    )
                },
            );
        }
    }
}

fn check_candidates(problems: &mut Problems, key: &str, numbers: &[usize], fewest: usize) {
    problems.require(!numbers.is_empty(), || format!("`{key}` is empty, expected numbers such as [2, 3, 5]"));
    problems.require(numbers.iter().all(|&number| number >= fewest), || {
        format!("`{key}` has a 0, expected numbers from 1: only supervised training has examples without candidates")
    });
}
