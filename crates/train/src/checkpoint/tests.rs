//! What is saved comes back to the bit; what is damaged, half written or superfluous does not get in the way; a process
//! may be killed at any time.

use std::fs;
use std::process::{Command, Stdio};
use std::time::Duration;

use conclave_model::files::ModelFiles;
use conclave_model::init::RandomWeights;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tempfile::{TempDir, tempdir};

use super::*;
use crate::gradients::Gradients;
use crate::optimizer::OptimizerKind;
use crate::parameters::{ParameterTensor, map, visit};

const KEEP_ALL: Retention = Retention { keep_last: 100, keep_best: 0 };

/// A run that can take steps: a model of one layer.
struct Run {
    model: Qwen2,
    config: Qwen2Config,
    optimizer: Optimizer,
}

fn optimizer_config() -> OptimizerConfig {
    OptimizerConfig { kind: OptimizerKind::Muon, lr: 1e-2, weight_decay: 0.1, ..OptimizerConfig::default() }
}

impl Run {
    fn new() -> Self {
        let config = Qwen2Config {
            hidden_size: 32,
            intermediate_size: 64,
            num_hidden_layers: 1,
            num_attention_heads: 2,
            num_key_value_heads: 1,
            tie_word_embeddings: false,
            ..Qwen2Config::tiny(64)
        };
        let (source, options) = (RandomWeights::new(&config, 1), LoadOptions::default());
        let going_on = &mut |_| ControlFlow::Continue(());
        let model = block_on(load(&config, &source, &Device::flex(), &options, going_on)).unwrap();
        Self { model, config, optimizer: Optimizer::new(&optimizer_config()) }
    }

    fn step(&mut self, seed: u64) {
        let mut rng = ChaCha8Rng::seed_from_u64(seed);
        let mut gradients = Gradients::new();
        visit(&self.model, |path, tensor| {
            let noise = rng.next_u32() as f32 / u32::MAX as f32;
            let rows = tensor.clone().into_rows() * noise + noise;
            gradients.add_one(path, tensor.with_rows(rows));
        });
        let (model, _) = self.optimizer.step(self.model.clone(), gradients, 1.0).unwrap();
        self.model = model;
    }

    fn contents(&self) -> Contents<'_> {
        Contents {
            model: &self.model,
            config: &self.config,
            optimizer: &self.optimizer,
            lora: None,
            prompt_variant: PromptVariant::Think,
            max_candidates: Some(8),
            novel_answers: true,
            files: &[("tokenizer.json", b"{}")],
        }
    }

    fn bits(&self) -> Vec<u32> {
        let mut bits = Vec::new();
        visit(&self.model, |_, tensor| {
            bits.extend(read_f32(tensor.into_rows()).unwrap().into_iter().map(f32::to_bits));
        });
        for (_, tensor) in self.optimizer.state() {
            bits.extend(read_f32(tensor).unwrap().into_iter().map(f32::to_bits));
        }
        bits
    }

    fn loaded(saved: &Saved) -> Self {
        let (config, model) = saved.model(&Device::flex()).unwrap();
        let optimizer = saved.optimizer(&optimizer_config(), &model).unwrap();
        Self { model, config, optimizer }
    }
}

fn progress(step: u64, score: Option<f64>) -> Progress {
    Progress {
        start: None,
        step,
        position: step * 16 + 3,
        seed: u64::MAX - 1,
        commit: "abc".to_owned(),
        config: json!({"train": {"steps": 10, "lr": 0.1}}),
        score,
        counters: [("num_tokens".to_owned(), 1234.5)].into(),
    }
}

/// The names in the folder of checkpoints, sorted.
fn names(directory: &TempDir) -> Vec<String> {
    let mut names = conclave_disk::entries(&directory.path().join(FOLDER)).unwrap();
    names.retain(|name| name != ".lock");
    names.sort();
    names
}

fn file(directory: &TempDir, step: u64, file: &str) -> PathBuf {
    directory.path().join(FOLDER).join(format!("step-{step:08}")).join(file)
}

/// A folder with whole checkpoints of these steps.
fn saved(steps: &[u64]) -> TempDir {
    let directory = tempdir().unwrap();
    let checkpoints = Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
    for &step in steps {
        checkpoints.save(&progress(step, None), &Run::new().contents()).unwrap();
    }
    directory
}

#[test]
fn a_run_goes_on_to_the_bit() {
    let directory = tempdir().unwrap();
    let mut whole = Run::new();
    (0..3).for_each(|seed| whole.step(seed));
    // Values that a text or a sum would not keep.
    whole.model = map(whole.model, |path, tensor| match path {
        "model.norm.weight" => {
            let odd = [-0.0, f32::MIN_POSITIVE, f32::MAX, 0.1];
            let values: Vec<f32> = (0..32).map(|index| odd[index % 4]).collect();
            ParameterTensor::Vector(burn::tensor::Tensor::from_data(values.as_slice(), &tensor.device()))
        }
        _ => tensor,
    });
    let checkpoints = Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
    assert!(checkpoints.latest().unwrap().saved.is_none());
    let path = checkpoints.save(&progress(3, Some(0.5)), &whole.contents()).unwrap();

    let found = latest(directory.path()).unwrap();
    assert!(found.skipped.is_empty());
    let saved = found.saved.unwrap();
    assert_eq!((&saved.path, &saved.progress), (&path, &progress(3, Some(0.5))));
    let mut resumed = Run::loaded(&saved);
    assert!(resumed.bits() == whole.bits() && resumed.config == whole.config);
    for run in [&mut whole, &mut resumed] {
        run.step(7);
        run.step(8);
    }
    assert!(resumed.bits() == whole.bits());
}

#[test]
fn a_checkpoint_is_a_model_directory() {
    let directory = saved(&[2]);
    let folder = Folder::new(&directory.path().join(FOLDER).join("step-00000002"));
    let opened = block_on(ModelDirectory::open(folder.clone())).unwrap();
    assert_eq!(opened.manifest.prompt_variant, PromptVariant::Think);
    assert_eq!((opened.manifest.max_candidates, opened.manifest.novel_answers), (Some(8), true));
    assert_eq!(opened.manifest.provenance["seed"], u64::MAX - 1);
    assert_eq!(opened.manifest.provenance["config"]["train"]["steps"], 10);
    for (file, expected) in &opened.manifest.files {
        assert_eq!(
            conclave_disk::sha256(&directory.path().join(FOLDER).join("step-00000002").join(file)).unwrap(),
            *expected
        );
    }
    assert!(opened.manifest.files.contains_key("model.safetensors"));
    assert_eq!(block_on(folder.read("tokenizer.json", None)).unwrap(), b"{}");
}

#[test]
fn what_is_damaged_is_skipped_and_reported() {
    type Damage = fn(&Path);
    let damages: [(&str, Damage); 6] = [
        ("checkpoint.json: No such file", |path| fs::remove_file(path.join("checkpoint.json")).unwrap()),
        ("checkpoint.json: EOF", |path| fs::write(path.join("checkpoint.json"), "{\"format\": 1,").unwrap()),
        ("does not name training.json", |path| {
            fs::write(path.join("checkpoint.json"), "{\"format\": 1, \"files\": {}}").unwrap();
        }),
        ("optimizer.safetensors: No such file", |path| {
            fs::remove_file(path.join("optimizer.safetensors")).unwrap()
        }),
        ("model.safetensors is not what was written", |path| {
            let file = path.join("model.safetensors");
            let mut bytes = fs::read(&file).unwrap();
            *bytes.last_mut().unwrap() ^= 1;
            fs::write(&file, bytes).unwrap();
        }),
        ("training.json is not what was written", |path| {
            let file = path.join("training.json");
            let text = fs::read_to_string(&file).unwrap();
            fs::write(&file, text.replace("\"position\": 51", "\"position\": 50")).unwrap();
        }),
    ];
    let directory = saved(&[1, 3]);
    let newest = directory.path().join(FOLDER).join("step-00000003");
    for (message, damage) in damages {
        damage(&newest);
        let found = latest(directory.path()).unwrap();
        assert_eq!(found.saved.map(|saved| saved.progress.step), Some(1));
        assert!(found.skipped.len() == 1 && found.skipped[0].contains(message), "{:?}", found.skipped);
        // The run that goes on from step 1 comes by here again.
        let checkpoints = Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
        checkpoints.save(&progress(3, None), &Run::new().contents()).unwrap();
        assert_eq!(latest(directory.path()).unwrap().saved.map(|saved| saved.progress.step), Some(3));
    }
    fs::write(file(&directory, 1, "config.json"), "{}").unwrap();
    fs::write(file(&directory, 3, "config.json"), "{}").unwrap();
    let found = latest(directory.path()).unwrap();
    assert!(found.saved.is_none() && found.skipped.len() == 2);
}

#[test]
fn the_newest_and_the_best_are_kept() {
    let directory = tempdir().unwrap();
    let run = Run::new();
    let checkpoints = Checkpoints::open(directory.path(), Retention { keep_last: 2, keep_best: 2 }).unwrap();
    let scores = [Some(0.5), Some(0.9), None, Some(0.7), Some(0.7), Some(0.1), None];
    for (step, score) in (1..).zip(scores) {
        checkpoints.save(&progress(step, score), &run.contents()).unwrap();
    }
    // The best (2), of two equals the newer (5), and the last two.
    assert_eq!(names(&directory), ["step-00000002", "step-00000005", "step-00000006", "step-00000007"]);
    assert_eq!(best(directory.path()).unwrap().map(|saved| saved.progress.step), Some(2));
    fs::remove_file(file(&directory, 2, "model.safetensors")).unwrap();
    assert_eq!(best(directory.path()).unwrap().map(|saved| saved.progress.step), Some(5));
}

#[test]
fn what_was_passed_over_does_not_push_out_what_is_saved_next() {
    let directory = saved(&[1, 2, 3]);
    for step in [2, 3] {
        fs::remove_file(file(&directory, step, "model.safetensors")).unwrap();
    }
    let retention = Retention { keep_last: 1, keep_best: 0 };
    let checkpoints = Checkpoints::open(directory.path(), retention).unwrap();
    let step = checkpoints.latest().unwrap().saved.unwrap().progress.step;
    checkpoints.put_aside_after(step).unwrap();
    assert_eq!(names(&directory), ["damaged-step-00000002", "damaged-step-00000003", "step-00000001"]);
    checkpoints.save(&progress(2, None), &Run::new().contents()).unwrap();
    assert_eq!(checkpoints.latest().unwrap().saved.unwrap().progress.step, 2);
    // A second one of the same step takes the place of the first.
    checkpoints.put_aside_after(1).unwrap();
    assert_eq!(names(&directory), ["damaged-step-00000002", "damaged-step-00000003"]);
    assert!(checkpoints.is_empty().unwrap());
}

#[test]
fn what_a_killed_process_left_is_cleaned() {
    let directory = saved(&[1, 2]);
    let folder = directory.path().join(FOLDER);
    // Killed while writing 3, while removing 0, between the two renames that replace 2, and behind those of 1.
    fs::create_dir(folder.join(".new-step-00000003")).unwrap();
    fs::write(folder.join(".new-step-00000003/model.safetensors"), "half").unwrap();
    fs::create_dir(folder.join(".gone-step-00000000")).unwrap();
    fs::rename(folder.join("step-00000002"), folder.join(".old-step-00000002")).unwrap();
    fs::create_dir(folder.join(".old-step-00000001")).unwrap();
    // Without the lock nothing is touched, and nothing of it is taken for a checkpoint.
    assert_eq!(latest(directory.path()).unwrap().saved.unwrap().progress.step, 1);
    drop(Checkpoints::open(directory.path(), KEEP_ALL).unwrap());
    assert_eq!(names(&directory), ["step-00000001", "step-00000002"]);
    assert_eq!(latest(directory.path()).unwrap().saved.unwrap().progress.step, 2);
}

#[test]
fn two_processes_do_not_share_a_run() {
    let directory = tempdir().unwrap();
    let first = Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
    let error = Checkpoints::open(directory.path(), KEEP_ALL).unwrap_err();
    assert!(error.to_string().contains("another run is writing"), "{error}");
    drop(first);
    Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
}

#[test]
fn a_failed_save_leaves_the_earlier_ones() {
    let directory = saved(&[1]);
    let run = Run::new();
    let checkpoints = Checkpoints::open(directory.path(), KEEP_ALL).unwrap();
    // A file of the model's own name cannot be written a second time.
    let files: &[(&str, &[u8])] = &[("config.json", b"{}")];
    let contents = Contents { files, ..run.contents() };
    assert!(checkpoints.save(&progress(2, None), &contents).is_err());
    assert_eq!(names(&directory), ["step-00000001"]);
}

/// Set for the process that is to be killed.
const CHILD: &str = "CONCLAVE_TEST_CHECKPOINTS";

/// Not a test by itself: saves without end, for the test below.
#[test]
fn child_saves_until_it_is_killed() {
    let Some(directory) = std::env::var_os(CHILD) else { return };
    let checkpoints =
        Checkpoints::open(Path::new(&directory), Retention { keep_last: 2, keep_best: 0 }).unwrap();
    let found = checkpoints.latest().unwrap();
    assert!(found.skipped.is_empty(), "{:?}", found.skipped);
    let mut run = found.saved.as_ref().map_or_else(Run::new, Run::loaded);
    let mut step = found.saved.map_or(0, |saved| saved.progress.step);
    loop {
        run.step(step);
        step += 1;
        checkpoints.save(&progress(step, None), &run.contents()).unwrap();
    }
}

#[test]
fn a_process_may_be_killed_at_any_time() {
    let directory = tempdir().unwrap();
    let program = std::env::current_exe().unwrap();
    let mut last = 0;
    for kill in 0..8 {
        let mut child = Command::new(&program)
            .args(["checkpoint::tests::child_saves_until_it_is_killed", "--exact", "--nocapture"])
            .env(CHILD, directory.path())
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        // Until it has saved something, and then to another point of its work each time.
        let step = || latest(directory.path()).unwrap().saved.map_or(0, |saved| saved.progress.step);
        let waited = (0..2000).any(|_| {
            std::thread::sleep(Duration::from_millis(5));
            step() > last
        });
        std::thread::sleep(Duration::from_micros(3_700 * kill));
        assert!(child.try_wait().unwrap().is_none(), "it ended by itself");
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(waited, "nothing was saved in ten seconds");
        let found = latest(directory.path()).unwrap();
        assert!(found.skipped.is_empty(), "{:?}", found.skipped);
        last = found.saved.unwrap().progress.step;
    }
    // The same steps without a break give the same bits.
    let mut whole = Run::new();
    (0..last).for_each(|step| whole.step(step));
    let resumed = Run::loaded(&latest(directory.path()).unwrap().saved.unwrap());
    assert!(resumed.bits() == whole.bits());
}
