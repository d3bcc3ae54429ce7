//! The loop, on a method that computes nothing: what is called when, what is told, what is saved.

use std::cell::RefCell;
use std::path::PathBuf;
use std::rc::Rc;

use tempfile::{TempDir, tempdir};

use super::*;
use crate::checkpoint::{best, latest};
use crate::config::BestMetric;
use crate::observer::Collected;
use crate::scripted::{bytes, small_model};

/// Notes what it is asked for, and says what it was told to say.
#[derive(Default)]
struct Script {
    calls: Rc<RefCell<Vec<String>>>,
    /// The loss of each step, the last for all others; without any, 1 / step.
    losses: Vec<f64>,
    /// The accuracy of each evaluation, the last for all others; without any, there is nothing to measure by.
    accuracies: RefCell<Vec<f64>>,
    grad_norm: Option<f64>,
    sampling_gap: Option<f64>,
    /// Evaluations fail.
    broken: bool,
    keeps_start: bool,
}

impl Script {
    fn note(&self, call: String) {
        self.calls.borrow_mut().push(call);
    }

    fn calls(&self) -> Vec<String> {
        self.calls.borrow().clone()
    }
}

impl Method for Script {
    fn keeps_start(&self, _: &RunConfig) -> bool {
        self.keeps_start
    }

    fn rehearse(&mut self, run: &Run<'_>, tell: &mut dyn FnMut(&str)) -> Result<()> {
        assert_eq!(run.start().is_ok(), self.keeps_start);
        tell("the largest part");
        self.note("rehearse".to_owned());
        run.rehearse_update(|| Ok(Gradients::new()))
    }

    fn step(&mut self, run: &mut Run<'_>, step: u64) -> Result<StepMetrics> {
        self.note(format!("step {step}"));
        run.num_tokens += 10;
        let told = self.losses.get(step as usize).or(self.losses.last()).copied();
        let mut metrics =
            StepMetrics::new(0).with(metric::LOSS, told.unwrap_or_else(|| 1.0 / (step + 1) as f64));
        if let Some(norm) = self.grad_norm {
            metrics.set(metric::GRAD_NORM, norm);
        }
        if let Some(gap) = self.sampling_gap {
            metrics.set(metric::SAMPLING_GAP_MEAN, gap);
        }
        Ok(metrics)
    }

    fn evaluate(&mut self, run: &Run<'_>) -> Result<Option<StepMetrics>> {
        self.note(format!("evaluate at {} tokens", run.num_tokens));
        if self.broken {
            return Err(TrainError::Data("set `a` does not fit".to_owned()));
        }
        let mut accuracies = self.accuracies.borrow_mut();
        let accuracy =
            if accuracies.len() > 1 { Some(accuracies.remove(0)) } else { accuracies.first().copied() };
        Ok(accuracy.map(|accuracy| StepMetrics::new(0).with(metric::EVAL_ACCURACY, accuracy)))
    }
}

struct Setup {
    config: RunConfig,
    start: Start,
    model: Qwen2,
    folder: TempDir,
    observer: Collected,
}

impl Setup {
    fn new(steps: u64) -> Self {
        let (model, shape) = small_model(1);
        let mut config = RunConfig::default();
        config.train.steps = steps;
        config.checkpoint.every = 0;
        config.eval.at_start = false;
        let start = Start {
            config: shape,
            tokenizer: bytes(),
            files: Vec::new(),
            resume: false,
            rehearse_only: false,
            commit: "abc".to_owned(),
        };
        Self { config, start, model, folder: tempdir().unwrap(), observer: Collected::default() }
    }

    fn run(&mut self, method: &mut Script) -> Result<Outcome> {
        let (config, start) = (&self.config, &self.start);
        run(config, start, self.model.clone(), self.folder.path(), &mut self.observer, method)
    }

    fn saved(&self) -> Option<u64> {
        let found = latest(self.folder.path()).unwrap();
        assert!(found.skipped.is_empty(), "{:?}", found.skipped);
        found.saved.map(|saved| saved.progress.step)
    }

    fn said(&self, part: &str) -> bool {
        self.observer.messages.iter().any(|message| message.contains(part))
    }

    /// The checkpoints that are there.
    fn kept(&self) -> Vec<u64> {
        let mut kept: Vec<u64> = std::fs::read_dir(self.folder.path().join("checkpoints"))
            .unwrap()
            .filter_map(|entry| entry.unwrap().file_name().to_str()?.strip_prefix("step-")?.parse().ok())
            .collect();
        kept.sort_unstable();
        kept
    }
}

fn steps(of: std::ops::Range<u64>) -> Vec<String> {
    of.map(|step| format!("step {step}")).collect()
}

#[test]
fn a_run_that_is_stopped_saves_and_goes_on() {
    let (mut setup, mut method) = (Setup::new(9), Script::default());
    setup.observer.stop_after = Some(4);
    let outcome = setup.run(&mut method).unwrap();
    assert_eq!((outcome.step, outcome.stopped, setup.saved()), (4, true, Some(4)));
    let expected = [vec!["rehearse".to_owned()], steps(0..4)].concat();
    assert_eq!(method.calls(), expected);
    let advice = "rehearsing the largest part; if the memory does not suffice, lower `train.batch_size`";
    assert!(setup.observer.messages[0].contains(advice), "{:?}", setup.observer.messages);

    setup.observer = Collected::default();
    setup.start.resume = true;
    let mut method = Script::default();
    let outcome = setup.run(&mut method).unwrap();
    assert_eq!((outcome.step, outcome.stopped, setup.saved()), (9, false, Some(9)));
    assert_eq!(
        method.calls(),
        [steps(4..9), vec!["evaluate at 90 tokens".to_owned()]].concat(),
        "not rehearsed again, and measured in the end"
    );
    assert!(setup.said("going on from step 4"));
    let seen: Vec<u64> = setup.observer.metrics.iter().map(|metrics| metrics.step).collect();
    assert_eq!(seen, [5, 6, 7, 8, 9]);
    assert_eq!(setup.observer.metrics[0].get(metric::NUM_TOKENS), Some(50.0));

    // Nothing is left to do.
    let mut method = Script::default();
    assert_eq!(setup.run(&mut method).unwrap().step, 9);
    assert!(method.calls().is_empty());
}

#[test]
fn without_a_checkpoint_a_resumed_run_begins() {
    let (mut setup, mut method) = (Setup::new(1), Script::default());
    setup.start.resume = true;
    setup.run(&mut method).unwrap();
    assert!(setup.said("there is no checkpoint yet: starting from step 0"));
    assert_eq!(method.calls(), ["rehearse", "step 0", "evaluate at 10 tokens"]);
}

#[test]
fn a_rehearsal_alone_leaves_nothing_behind() {
    let (mut setup, mut method) = (Setup::new(3), Script { keeps_start: true, ..Script::default() });
    setup.config.eval.at_start = true;
    for resume in [false, true] {
        (setup.start.rehearse_only, setup.start.resume) = (true, resume);
        let outcome = setup.run(&mut method).unwrap();
        assert_eq!((outcome.step, outcome.stopped), (0, false));
    }
    assert_eq!(method.calls(), ["rehearse", "rehearse"]);
    assert_eq!(std::fs::read_dir(setup.folder.path()).unwrap().count(), 0);
    assert!(setup.said("rehearsed in"));
}

#[test]
fn a_run_of_no_steps_does_nothing() {
    let (mut setup, mut method) = (Setup::new(0), Script::default());
    assert_eq!(setup.run(&mut method).unwrap().step, 0);
    assert_eq!((method.calls(), setup.saved()), (vec!["rehearse".to_owned()], None));
}

#[test]
fn a_new_run_does_not_mix_with_another() {
    let mut setup = Setup::new(2);
    setup.run(&mut Script::default()).unwrap();
    let error = setup.run(&mut Script::default()).unwrap_err().to_string();
    assert!(error.contains("checkpoints of another run") && error.contains("--resume"), "{error}");
    assert_eq!(setup.kept(), [2]);
}

#[test]
fn a_loss_that_is_no_number_ends_the_run_with_the_remedy() {
    for loss in [f64::NAN, f64::INFINITY] {
        let mut setup = Setup::new(9);
        setup.config.checkpoint.every = 2;
        let mut method = Script { losses: vec![1.0, 1.0, 1.0, 1.0, loss], ..Script::default() };
        let error = setup.run(&mut method).unwrap_err();
        assert!(matches!(error, TrainError::NotFinite(_)));
        let error = error.to_string();
        for part in [&format!("step 5: the loss is {loss}"), "`optimizer.lr`", "--resume"] {
            assert!(error.contains(part), "no {part} in {error}");
        }
        assert_eq!(setup.saved(), Some(4), "what was saved before stays");
    }
}

#[test]
fn a_gradient_that_is_no_number_is_told() {
    let mut setup = Setup::new(2);
    setup.run(&mut Script { grad_norm: Some(f64::INFINITY), ..Script::default() }).unwrap();
    assert!(setup.said("step 2: the norm of the gradient is inf, so the weights stay as they were"));
}

#[test]
fn a_sampler_unlike_the_trainer_is_told() {
    for (gap, is_told) in [(1e-6, false), (0.02, false), (0.3, true)] {
        let mut setup = Setup::new(1);
        setup.run(&mut Script { sampling_gap: Some(gap), ..Script::default() }).unwrap();
        assert_eq!(setup.said("step 1: log-probabilities of sampler and trainer are"), is_told);
        assert_eq!(setup.said("are 0.30 apart"), is_told);
    }
}

#[test]
fn evaluations_are_where_they_are_due() {
    let mut setup = Setup::new(7);
    (setup.config.eval.every, setup.config.eval.at_start) = (3, true);
    setup.config.checkpoint.keep_best = 0;
    let mut method = Script { accuracies: RefCell::new(vec![0.5]), ..Script::default() };
    setup.run(&mut method).unwrap();
    let measured = |metrics: &&StepMetrics| metrics.get(metric::EVAL_ACCURACY).is_some();
    let seen: Vec<u64> = setup.observer.metrics.iter().filter(measured).map(|metrics| metrics.step).collect();
    assert_eq!(seen, [0, 3, 6, 7]);
    let all: Vec<u64> = setup.observer.metrics.iter().map(|metrics| metrics.step).collect();
    assert_eq!(all, [0, 1, 2, 3, 4, 5, 6, 7], "beside the other numbers of a step");
    assert_eq!(setup.kept(), [7]);

    // A stop where an evaluation is due does not lose it.
    let mut setup = Setup::new(7);
    setup.config.eval.every = 3;
    setup.observer.stop_after = Some(3);
    setup.run(&mut Script { accuracies: RefCell::new(vec![0.5]), ..Script::default() }).unwrap();
    assert_eq!(setup.observer.metrics.last().unwrap().get(metric::EVAL_ACCURACY), Some(0.5));
}

#[test]
fn an_evaluation_that_fails_loses_no_step() {
    let mut setup = Setup::new(7);
    setup.config.eval.every = 5;
    let error = setup.run(&mut Script { broken: true, ..Script::default() }).unwrap_err().to_string();
    assert_eq!(error, "set `a` does not fit");
    assert_eq!(setup.saved(), Some(5));
    assert_eq!(setup.observer.metrics.len(), 5);
}

#[test]
fn the_best_by_the_metric_is_kept() {
    // Measured where no checkpoint is due: the best is saved all the same.
    let mut setup = Setup::new(9);
    (setup.config.eval.every, setup.config.checkpoint.every) = (2, 5);
    (setup.config.checkpoint.keep_last, setup.config.checkpoint.keep_best) = (1, 1);
    let accuracies = RefCell::new(vec![0.1, 0.9, 0.3, 0.5, 0.2]);
    setup.run(&mut Script { accuracies, ..Script::default() }).unwrap();
    assert_eq!(setup.kept(), [4, 9]);
    assert_eq!(best(setup.folder.path()).unwrap().unwrap().progress.score, Some(0.9));

    let mut setup = Setup::new(6);
    setup.config.checkpoint.every = 1;
    (setup.config.checkpoint.keep_last, setup.config.checkpoint.keep_best) = (1, 1);
    setup.config.checkpoint.best_metric = BestMetric::Loss;
    setup.run(&mut Script { losses: vec![3.0, 2.0, 0.5, 0.7, 2.5, 1.0], ..Script::default() }).unwrap();
    assert_eq!(setup.kept(), [3, 6], "of losses the smallest");
}

#[test]
fn damaged_checkpoints_are_passed_over_and_told() {
    let mut setup = Setup::new(8);
    setup.config.checkpoint.every = 2;
    setup.config.checkpoint.keep_last = 3;
    setup.observer.stop_after = Some(6);
    setup.run(&mut Script::default()).unwrap();
    assert_eq!(setup.kept(), [2, 4, 6]);
    let damage = |folder: &Path, step: u64| {
        let path: PathBuf = folder.join(format!("checkpoints/step-{step:08}"));
        std::fs::remove_file(path.join("model.safetensors")).unwrap();
    };
    damage(setup.folder.path(), 6);
    setup.observer = Collected { stop_after: Some(5), ..Collected::default() };
    setup.start.resume = true;
    setup.config.checkpoint.keep_last = 1;
    setup.run(&mut Script::default()).unwrap();
    assert!(setup.said("passed over, and put aside") && setup.said("going on from step 4"));
    assert_eq!(setup.kept(), [5], "the damaged one is not the newest that is kept");

    damage(setup.folder.path(), 5);
    let mut method = Script::default();
    let error = setup.run(&mut method).unwrap_err().to_string();
    assert!(
        error.contains("no checkpoint of the run is whole") && error.contains("step-00000005"),
        "{error}"
    );
    assert!(method.calls().is_empty(), "it does not begin anew behind one's back");
}

#[test]
fn a_run_that_needs_its_start_goes_on_from_that_alone() {
    for (keeps_start, is_refused) in [(true, true), (false, false)] {
        let mut setup = Setup::new(4);
        setup.observer.stop_after = Some(2);
        let script = || Script { keeps_start, ..Script::default() };
        setup.run(&mut script()).unwrap();
        setup.start.resume = true;
        let (first, other) = (setup.model.clone(), small_model(2).0);
        setup.model = other;
        setup.observer = Collected::default();
        let resumed = setup.run(&mut script());
        assert_eq!(resumed.is_err(), is_refused);
        if let Err(error) = resumed {
            assert!(error.to_string().contains("`model.path` names is not the one"), "{error}");
            setup.model = first;
            assert_eq!(setup.run(&mut script()).unwrap().step, 4);
        }
    }
}

#[test]
fn only_sets_that_can_be_graded_are_measured_by() {
    let set = |reference: Option<&str>| SampleSet {
        id: "a".into(),
        problem: "1 + 1".into(),
        reference_answer: reference.map(Into::into),
        candidates: Vec::new(),
        extra: Default::default(),
    };
    assert_eq!(gradable(vec![set(None), set(Some("2"))]).unwrap(), [set(Some("2"))]);
    assert!(gradable(Vec::new()).unwrap().is_empty());
    let error = gradable(vec![set(None), set(None)]).unwrap_err().to_string();
    assert!(error.contains("none of the 2 held-out sets"), "{error}");
}
