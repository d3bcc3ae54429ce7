//! The loop that every method shares: rehearse, evaluate, step, log, save, stop, and go on from a checkpoint.
//!
//! A [`Method`] says what a step is (`sft`, `grpo`, `paragator`); the [`Run`] is what it works with: the weights, the
//! optimizer, the workers. A step depends on the configuration, the weights, the optimizer's state and the number of the
//! step alone, so a run that goes on from a checkpoint does bit by bit what it would have done. Saving and going on is
//! `keeper`.

use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use conclave_core::sample_set::SampleSet;
use conclave_model::config::Qwen2Config;
use conclave_model::qwen2::Qwen2;
use conclave_model::qwen2_decoder::Qwen2Decoder;
use conclave_model::tokenizer::Tokenizer;

use crate::batch::{Batch, Targets};
use crate::config::RunConfig;
use crate::error::{Result, TrainError};
use crate::evaluate::{EvaluateOptions, Evaluated, distinguish, evaluate};
use crate::gradients::Gradients;
use crate::lora::Lora;
use crate::network::{ComputeOptions, Forward};
use crate::observer::{Observer, StepMetrics, metric};
use crate::optimizer::Optimizer;
use crate::rollout::rollout_decoder;
use crate::schedule::Schedule;
use crate::start::{Outcome, Start};
use crate::vocabulary::{Head, Scores};
use crate::workers::Workers;
use keeper::Keeper;

mod keeper;

/// Positions whose logits are held at once: 152k of them are 0.6 MB each in f32, a tiny vocabulary's next to nothing.
const HEAD_CHUNK: usize = 256;

/// What a way to train does that others do not.
pub trait Method {
    /// Whether the run keeps the weights of step 0 ([`Run::start()`]): they take as much memory as those that are trained.
    fn keeps_start(&self, _: &RunConfig) -> bool {
        false
    }

    /// What helps where the memory does not suffice, as the end of a sentence.
    fn memory_advice(&self) -> &'static str {
        "lower `train.batch_size` or `prompt.context_length`, or set `train.recompute = true`"
    }

    /// Computes, as large as they can become, the parts of a step that need memory; what comes out is thrown away. Tells
    /// what each part is before it begins: the system may end the process without another word.
    ///
    /// # Errors
    /// As a step.
    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()>;

    /// Does step `step` (from 0): one or more updates of the weights.
    ///
    /// # Errors
    /// Data that cannot be used, a device that fails.
    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics>;

    /// Measures the weights on held-out problems; none where there are none.
    ///
    /// # Errors
    /// A device that fails.
    fn evaluate(&mut self, run: &Run<'_>) -> Result<Option<StepMetrics>>;
}

/// What a method works with.
pub struct Run<'a> {
    /// Everything that decides the run.
    pub config: &'a RunConfig,
    /// The shape of the model.
    pub shape: &'a Qwen2Config,
    /// The model's tokenizer.
    pub tokenizer: &'a Tokenizer,
    /// The device.
    pub device: Device,
    /// The weights, f32.
    pub model: Qwen2,
    /// Those of step 0, where the method [keeps](Method::keeps_start) them, and for `lora`.
    start: Option<Qwen2>,
    /// Threads for the parts of a step.
    pub workers: Workers,
    /// Tokens that went forward and backward since step 0.
    pub num_tokens: u64,
    /// What is trained in place of the weights, which are `start` merged with it.
    lora: Option<Lora>,
    optimizer: Optimizer,
    schedule: Schedule,
}

impl<'a> Run<'a> {
    /// A run of `model` before its first step. `keeps_start`: [`start`](Self::start) is asked for.
    ///
    /// # Errors
    /// Where there are no threads to be had, or no matrix that `[lora]` names.
    pub fn new(config: &'a RunConfig, start: &'a Start, model: Qwen2, keeps_start: bool) -> Result<Self> {
        let lora = config.lora.as_ref().map(|lora| Lora::new(lora, &model, config.train.seed)).transpose()?;
        Ok(Self {
            config,
            shape: &start.config,
            tokenizer: &start.tokenizer,
            device: model.device(),
            start: (keeps_start || lora.is_some()).then(|| model.clone()),
            model,
            workers: Workers::new(config.train.threads.unwrap_or(1))?,
            num_tokens: 0,
            lora,
            optimizer: Optimizer::new(&config.optimizer),
            schedule: Schedule::new(&config.schedule, config.train.steps),
        })
    }

    /// The weights of step 0.
    ///
    /// # Errors
    /// Where nobody has asked for them to be kept.
    pub fn start(&self) -> Result<&Qwen2> {
        kept(&self.start)
    }

    /// How forward and backward passes compute.
    pub fn compute(&self) -> ComputeOptions {
        ComputeOptions { dtype: self.config.train.dtype.dtype(), recompute: self.config.train.recompute }
    }

    /// The head of a model of this run's shape.
    pub fn head<'m>(&self, model: &'m Qwen2, temperature: f64) -> Head<'m> {
        Head::new(model, self.tokenizer.vocab_size(), temperature, HEAD_CHUNK)
    }

    /// Decoders on weights of this run's shape, with the context that it trains for, which go side by side and share `rows`
    /// rows.
    pub fn decoders(&self, model: &Qwen2, rows: usize) -> Vec<Qwen2Decoder> {
        let count = self.workers.count();
        let limit = self.config.prompt.context_length.unwrap_or(usize::MAX);
        let max_position_embeddings = self.shape.max_position_embeddings.min(limit);
        let shape = Qwen2Config { max_position_embeddings, ..self.shape.clone() };
        let decoder = || rollout_decoder(model, &shape, self.tokenizer.vocab_size(), rows.div_ceil(count));
        std::iter::repeat_with(decoder).take(count).collect()
    }

    /// Scores the targets of each part under `model`, without a gradient, side by side.
    ///
    /// # Errors
    /// A device that fails, numbers that are not finite.
    pub fn score(&self, model: &Qwen2, parts: &[(Batch, Targets)], temperature: f64) -> Result<Vec<Scores>> {
        let head = self.head(model, temperature);
        let compute = ComputeOptions { recompute: true, ..self.compute() };
        let score = |(batch, targets): &(Batch, Targets)| {
            // With `recompute` the forward pass keeps no values for a backward pass, which a score does not need.
            let forward = Forward::new(model, self.shape, batch, compute);
            head.score(forward.normed(), &targets.positions, &targets.tokens)
        };
        self.workers.map(parts, score).into_iter().collect()
    }

    /// Goes forward and backward through each part, side by side: `coefficients` says for each part what d loss / d
    /// log-probability of each of its targets is. Gives the gradients of all parts together, and the scores of each.
    ///
    /// # Errors
    /// A device that fails, numbers that are not finite.
    pub fn gradients(
        &self,
        parts: &[(Batch, Targets, Vec<f32>)],
        temperature: f64,
    ) -> Result<(Gradients, Vec<Scores>)> {
        let head = self.head(&self.model, temperature);
        let one = |(batch, targets, coefficients): &(Batch, Targets, Vec<f32>)| {
            let forward = Forward::new(&self.model, self.shape, batch, self.compute());
            let (positions, tokens) = (&targets.positions, &targets.tokens);
            let (scores, found) =
                head.score_and_backward(forward.normed(), positions, tokens, coefficients)?;
            let (d_normed, mut gradients) = found.into_parts();
            gradients.add(forward.backward(d_normed));
            Ok::<_, TrainError>((gradients, scores))
        };
        let mut sum = Gradients::new();
        let mut scores = Vec::with_capacity(parts.len());
        self.workers.fold(parts, one, |part| {
            let (gradients, part_scores) = part?;
            sum.add(gradients);
            scores.push(part_scores);
            Ok(())
        })?;
        Ok((sum, scores))
    }

    /// Updates the weights at the learning rate of `step`, and notes norm and rate.
    ///
    /// # Errors
    /// Where the gradients do not fit the model or the device fails.
    pub fn update(&mut self, gradients: Gradients, step: u64, metrics: &mut StepMetrics) -> Result<()> {
        let factor = self.schedule.factor(step);
        let report = match &mut self.lora {
            None => {
                let (model, report) = self.optimizer.step(self.model.clone(), gradients, factor)?;
                self.model = model;
                report
            }
            Some(lora) => {
                let (moved, report) = lora.step(&mut self.optimizer, gradients, factor)?;
                self.model = moved.merge(kept(&self.start)?);
                *lora = moved;
                report
            }
        };
        metrics.set(metric::GRAD_NORM, report.grad_norm);
        metrics.set(metric::LEARNING_RATE, self.config.optimizer.lr * factor);
        Ok(())
    }

    /// Computes gradients and makes an update of them as [`update`](Self::update) does, and throws it away. The state of
    /// an optimizer is there from the beginning, as in every step but the first.
    ///
    /// # Errors
    /// Those of `gradients`, and as an update.
    pub fn rehearse_update(&self, gradients: impl FnOnce() -> Result<Gradients>) -> Result<()> {
        let mut optimizer = Optimizer::new(&self.config.optimizer);
        let update = |optimizer: &mut Optimizer, gradients: Gradients| match &self.lora {
            None => optimizer.step(self.model.clone(), gradients, 0.0).map(|_| ()),
            Some(lora) => {
                let (moved, _) = lora.step(optimizer, gradients, 0.0)?;
                drop(moved.merge(self.start()?));
                Ok(())
            }
        };
        update(&mut optimizer, Gradients::new())?;
        update(&mut optimizer, gradients()?)
    }

    /// Greedy answers to `sets` as `[eval]` says.
    ///
    /// # Errors
    /// As [`evaluate()`].
    pub fn evaluate_sets(&self, sets: &[SampleSet]) -> Result<Evaluated> {
        let eval = &self.config.eval;
        let options = EvaluateOptions {
            variant: self.config.prompt.variant,
            num_candidates: eval.num_candidates,
            max_new_tokens: self.config.rollout_tokens(),
            permutations: eval.permutations as usize,
            rows: eval.batch_size,
            seed: self.config.train.seed,
        };
        let stop_ids = &self.shape.eos_token_ids;
        let mut decoders = self.decoders(&self.model, eval.batch_size);
        evaluate(&self.workers, &mut decoders, self.tokenizer, stop_ids, sets, &options)
    }
}

fn kept(start: &Option<Qwen2>) -> Result<&Qwen2> {
    let gone = || TrainError::Config("the weights of step 0 are not kept in this run".to_owned());
    start.as_ref().ok_or_else(gone)
}

/// The numbers of an evaluation under their names in the log.
pub fn evaluation_metrics(evaluated: &Evaluated, metrics: &mut StepMetrics) {
    let report = &evaluated.report;
    let results = &report.results;
    for (name, figure) in [
        (metric::EVAL_ACCURACY, &results.accuracy),
        (metric::EVAL_MAJORITY, &results.sets.majority_first),
        (metric::EVAL_ORACLE, &results.sets.pass_at_k),
        (metric::EVAL_GAP_CLOSED, &results.gap_closed),
        (metric::EVAL_REGRESSIONS, &report.regression_rate),
        (metric::EVAL_FLIP_RATE, &results.flip_rate),
    ] {
        if let Some(figure) = figure {
            metrics.set(name, figure.value);
        }
    }
}

/// Those of `sets` that can be graded: what is not measured by must not be found out hours later.
///
/// # Errors
/// Sets of which none can be.
pub fn gradable(mut sets: Vec<SampleSet>) -> Result<Vec<SampleSet>> {
    let given = sets.len();
    sets.retain(|set| set.reference_answer.is_some());
    distinguish(&mut sets);
    match given > 0 && sets.is_empty() {
        true => Err(TrainError::Data(format!(
            "none of the {given} held-out sets (`data.eval`) has a `reference_answer`: there is nothing to measure by"
        ))),
        false => Ok(sets),
    }
}

/// Trains `model`, the weights of step 0 in f32, by `method`.
///
/// # Errors
/// Whatever stops a run: data, a device, a disk. What was saved before stays good.
pub fn run(
    config: &RunConfig,
    start: &Start,
    model: Qwen2,
    run_dir: &Path,
    observer: &mut dyn Observer,
    method: &mut dyn Method,
) -> Result<Outcome> {
    crate::flush_to_zero::flush_denormals_to_zero();
    crate::allocator::keep_freed_memory();
    let keeps_start = method.keeps_start(config);
    let mut run = Run::new(config, start, model, keeps_start)?;
    if let Some(lora) = &run.lora {
        observer.message(&lora.description(run.shape));
    }
    if start.rehearse_only {
        rehearse(&run, observer, method)?;
        return Ok(Outcome { model: run.model, step: 0, stopped: false });
    }
    let keeper = Keeper::new(config, run_dir, run.start.as_ref())?;
    let resumed = if start.resume { keeper.resume(&mut run, observer)? } else { keeper.begin()? };
    if resumed.is_none() {
        rehearse(&run, observer, method)?;
        if config.eval.at_start
            && let Some(metrics) = method.evaluate(&run)?
        {
            observer.step(&metrics);
        }
    }
    let mut step = resumed.unwrap_or(0);
    let mut stopped = false;
    while step < config.train.steps && !stopped {
        let (begun, tokens) = (Instant::now(), run.num_tokens);
        let mut metrics = method.step(&mut run, step).map_err(|error| in_step(step + 1, error))?;
        step += 1;
        metrics.step = step;
        let seconds = begun.elapsed().as_secs_f64();
        metrics.set(metric::NUM_TOKENS, run.num_tokens as f64);
        metrics.set(metric::TOKENS_PER_SECOND, (run.num_tokens - tokens) as f64 / seconds.max(1e-9));
        metrics.set(metric::STEP_TIME, seconds);
        check(&metrics, observer)?;
        let last = step == config.train.steps;
        let due = |every: u64| last || (every > 0 && step.is_multiple_of(every));
        // Also where the run is to stop here: whoever goes on has the same numbers as a run that did not stop.
        let evaluated = if due(config.eval.every) { method.evaluate(&run) } else { Ok(None) };
        let mut save = due(config.checkpoint.every) || evaluated.is_err();
        if let Ok(Some(evaluation)) = &evaluated {
            evaluation.iter().for_each(|(name, value)| metrics.set(name, value));
            // It may be the best, which would be lost otherwise.
            save |= config.checkpoint.keep_best > 0 && evaluation.get(best_metric(config)).is_some();
        }
        // The log first: a line that no checkpoint follows is replaced, one that is missing stays missing.
        observer.step(&metrics);
        stopped = observer.should_stop();
        if save || stopped {
            keeper.save(&run, start, step, &metrics)?;
        }
        evaluated?;
    }
    Ok(Outcome { model: run.model, step, stopped: step < config.train.steps })
}

/// A rehearsal with a word before and behind it.
fn rehearse(run: &Run<'_>, observer: &mut dyn Observer, method: &mut dyn Method) -> Result<()> {
    let (begun, advice) = (Instant::now(), method.memory_advice());
    let mut tell = |what: &str| {
        observer.message(&format!("rehearsing {what}; if the memory does not suffice, {advice}"));
    };
    method.rehearse(run, &mut tell)?;
    observer.message(&format!("rehearsed in {:.1} s", begun.elapsed().as_secs_f64()));
    Ok(())
}

fn best_metric(config: &RunConfig) -> &'static str {
    config.checkpoint.best_metric.name()
}

/// The error with what to do about it, where it is the training's own.
fn in_step(step: u64, error: TrainError) -> TrainError {
    match error {
        TrainError::NotFinite(what) => TrainError::NotFinite(format!(
            "step {step}: {what}. To go on: --resume with a lower `optimizer.lr` (`optimizer.muon_lr`) or \
             `optimizer.max_grad_norm`, from the last checkpoint, or from an earlier one by removing those behind it"
        )),
        other => other,
    }
}

/// Mean distance of the log-probabilities of sampler and trainer that rounding does not explain, not in bf16 either.
const SUSPICIOUS_GAP: f64 = 0.05;

/// A loss has to be a number. Worth telling are a gradient that is none, which the optimizer passed over, and completions that
/// the trainer finds much more or less probable than the sampler did: it then learns from what the policy did not do.
fn check(metrics: &StepMetrics, observer: &mut dyn Observer) -> Result<()> {
    let step = metrics.step;
    let wrong = |name: &str| metrics.get(name).filter(|value| !value.is_finite());
    if let Some(loss) = wrong(metric::LOSS) {
        return Err(in_step(step, TrainError::NotFinite(format!("the loss is {loss}"))));
    }
    if let Some(norm) = wrong(metric::GRAD_NORM) {
        observer.message(&format!(
            "step {step}: the norm of the gradient is {norm}, so the weights stay as they were; if this goes on, lower \
             `optimizer.lr`"
        ));
    }
    if let Some(gap) = metrics.get(metric::SAMPLING_GAP_MEAN).filter(|gap| *gap > SUSPICIOUS_GAP) {
        observer.message(&format!(
            "step {step}: log-probabilities of sampler and trainer are {gap:.2} apart in the mean, where the same weights give 1e-6 in \
             f32 and 1e-2 in bf16: what is learned is wrong. If it is so with `train.dtype = \"f32\"` too, this is a fault of the program"
        ));
    }
    Ok(())
}

#[cfg(test)]
mod tests;
