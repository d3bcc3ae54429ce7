//! What a run begins with, opened: the model that is trained, its tokenizer and other files, and the sample sets.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use conclave_core::arithmetic::{Numbers, Options, Solver, sample_set};
use conclave_core::sample_set::SampleSet;
use conclave_model::config::Qwen2Config;
use conclave_model::init::RandomWeights;
use conclave_model::load::{LoadOptions, load};
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::qwen2::Qwen2;
use conclave_model::tokenizer::Tokenizer;
use conclave_train::config::{Method, ModelStart, NumberRange, RunConfig, SetSource, Solvers, TargetKind};
use conclave_train::data::{Curriculum, Preparation, Sets, filter};
use conclave_train::start::Start;
use serde_json::{Map, Value, json};

use crate::directory::ModelSource;
use crate::input::{Source, Tally};
use crate::messages::{count, say};
use crate::model::write::{copied_files, read_tokenizer_file};
use crate::model::{LoadBar, say_notes};
use crate::sets::read_sets;

/// A model that is to be trained, read but for its weights.
pub struct Model {
    /// Its shape.
    pub config: Qwen2Config,
    /// Its tokenizer.
    pub tokenizer: Tokenizer,
    files: Vec<(String, Vec<u8>)>,
    provenance: Map<String, Value>,
    weights: Weights,
}

enum Weights {
    Directory(Box<ModelDirectory<ModelSource>>),
    Random(RandomWeights),
}

impl Model {
    /// Opens what `[model]` names.
    pub fn open(run: &RunConfig) -> Result<Self> {
        match run.model.start()? {
            ModelStart::Directory(path) => Self::directory(path),
            ModelStart::Preset { preset, tokenizer } => {
                let shape = |tokenizer: &Tokenizer| {
                    let mut config = Qwen2Config::preset(preset, tokenizer.vocab_size())?;
                    run.model.shape.apply(&mut config);
                    config.validate()?;
                    Ok(config)
                };
                Self::random(tokenizer, run.train.seed, json!(preset), shape)
            }
            ModelStart::Config { config, tokenizer } => {
                let shape = |_: &Tokenizer| {
                    let text = std::fs::read_to_string(config)
                        .with_context(|| format!("cannot read `{}`", config.display()))?;
                    let config = Qwen2Config::from_json(&text, None);
                    Ok(config?)
                };
                Self::random(tokenizer, run.train.seed, json!(config), shape)
            }
        }
    }

    fn directory(path: &Path) -> Result<Self> {
        let name = path.display();
        let directory = ModelSource::open(path)?;
        let tokenizer_and_config = |directory: &ModelSource| {
            let opened = pollster::block_on(ModelDirectory::open(directory.clone()))?;
            let tokenizer = pollster::block_on(read_tokenizer(directory, &opened.config))?;
            anyhow::Ok((opened, tokenizer))
        };
        let (opened, tokenizer) =
            tokenizer_and_config(&directory).with_context(|| format!("cannot open the model in `{name}`"))?;
        say_notes(&opened);
        let mut provenance = Map::new();
        provenance.insert("model".to_owned(), json!(path));
        if !opened.manifest.provenance.is_empty() {
            provenance.insert("of".to_owned(), Value::Object(opened.manifest.provenance.clone()));
        }
        let files = copied_files(&directory)?.into_iter().map(|(file, bytes)| (file.to_owned(), bytes));
        Ok(Self {
            config: opened.config.clone(),
            tokenizer,
            files: files.collect(),
            provenance,
            weights: Weights::Directory(Box::new(opened)),
        })
    }

    fn random(
        tokenizer_path: &Path,
        seed: u64,
        shape_name: Value,
        shape: impl FnOnce(&Tokenizer) -> Result<Qwen2Config>,
    ) -> Result<Self> {
        let json = read_tokenizer_file(tokenizer_path)?;
        let tokenizer = Tokenizer::from_json(&json)
            .with_context(|| format!("cannot use `{}` as a tokenizer", tokenizer_path.display()))?;
        let mut config = shape(&tokenizer).context("cannot use [model] as the shape of a model")?;
        if config.eos_token_ids.is_empty() {
            config.eos_token_ids.extend(tokenizer.token_id("<|endoftext|>"));
        }
        tokenizer.check_fits(&config)?;
        let mut provenance = Map::new();
        provenance.insert("random".to_owned(), json!({"shape": shape_name, "seed": seed}));
        let weights = Weights::Random(RandomWeights::new(&config, seed));
        Ok(Self { config, tokenizer, files: vec![("tokenizer.json".to_owned(), json)], provenance, weights })
    }

    /// What a trainer begins with: the weights on the device in f32, the rest, and where it all came from, for what is made
    /// of it.
    pub fn start(self, device: &Device) -> Result<(Start, Qwen2, Map<String, Value>)> {
        let weights = self.load(device)?;
        let start = Start {
            config: self.config,
            tokenizer: self.tokenizer,
            files: self.files,
            resume: false,
            rehearse_only: false,
            commit: env!("CONCLAVE_COMMIT").to_owned(),
        };
        Ok((start, weights, self.provenance))
    }

    fn load(&self, device: &Device) -> Result<Qwen2> {
        let bar = LoadBar::new(self.config.num_parameters());
        let (options, mut on_progress) = (LoadOptions::default(), bar.on_progress());
        let loaded = match &self.weights {
            Weights::Directory(directory) => {
                let weights = &directory.weights;
                pollster::block_on(load(&self.config, weights, device, &options, &mut on_progress))
            }
            Weights::Random(weights) => {
                pollster::block_on(load(&self.config, weights, device, &options, &mut on_progress))
            }
        };
        loaded.context("cannot load the model that the run begins with")
    }
}

/// The sets that can be trained on, with a word on what was left out.
pub fn training_sets(
    method: Method,
    run: &RunConfig,
    config: &Qwen2Config,
    tokenizer: &Tokenizer,
) -> Result<Sets> {
    let sets = match &run.data.train {
        Some(SetSource::Arithmetic(source)) => Sets::arithmetic(source)?,
        // ParaGator makes its candidates itself: those of a set, if any, say nothing about it.
        Some(SetSource::Files(files)) if method == Method::Paragator => {
            let mut sets = read(files)?;
            sets.retain(|set| set.reference_answer.is_some());
            say(&format!("data: {} with a reference answer", count(sets.len() as u64, "problem")));
            return Ok(Sets::memory(sets)?);
        }
        Some(SetSource::Files(files)) => Sets::memory(read(files)?)?,
        None => bail!("`data.train` is missing"),
    };
    if method == Method::Paragator {
        return Ok(sets);
    }
    let most = Curriculum::new(&run.data, 1, 1).most_candidates();
    let preparation = preparation(method, run, config)?;
    let (sets, report) = filter(sets, &run.data.filters, &preparation, tokenizer, most)?;
    say(&format!("data: {report}"));
    Ok(sets)
}

/// How a set becomes an example. Reinforcement learning needs no target but the answer that it rewards.
pub fn preparation(method: Method, run: &RunConfig, config: &Qwen2Config) -> Result<Preparation> {
    let preparation = Preparation::new(&run.data, &run.prompt, config)?;
    Ok(match method {
        Method::Sft => preparation,
        _ => Preparation { max_new_tokens: run.rollout_tokens(), target: TargetKind::Answer, ..preparation },
    })
}

/// The sets to measure on: the first `eval.problems`, each with `eval.num_candidates` or, where a trainer shows fewer or
/// asks for more, what it needs.
pub fn held_out_sets(run: &RunConfig) -> Result<Vec<SampleSet>> {
    let mut sets = match &run.data.eval {
        Some(SetSource::Arithmetic(source)) => {
            let solvers = match source.solvers {
                Solvers::Standard => vec![Solver::STANDARD],
                Solvers::Mixed => Solver::MIXED.to_vec(),
            };
            let numbers = match source.numbers {
                NumberRange::Standard => Numbers::Standard,
                NumberRange::Small => Numbers::Small,
            };
            // The control sees no candidates, and the vote beside it some.
            let num_candidates = run.eval.num_candidates.max(1);
            let options = Options { num_candidates, solvers, numbers };
            let problems = source.problems.unwrap_or(run.eval.problems).min(run.eval.problems);
            (0..problems).map(|index| sample_set(source.seed, index, &options)).collect()
        }
        Some(SetSource::Files(files)) => read(files)?,
        None => Vec::new(),
    };
    if run.data.eval.is_some() {
        sets.retain(|set| set.reference_answer.is_some());
        sets.truncate(usize::try_from(run.eval.problems).unwrap_or(usize::MAX));
        if sets.is_empty() {
            bail!("`data.eval` has no set with a reference_answer: there is nothing to measure by");
        }
    }
    Ok(sets)
}

/// The sets of all files. A line that cannot be read is an error here: a run that leaves out what it was given is another
/// run.
fn read(files: &[PathBuf]) -> Result<Vec<SampleSet>> {
    let mut tally = Tally::default();
    let mut sets = Vec::new();
    read_sets(&Source::resolve(files)?, &conclave_files::Options::default(), &mut tally, |set| {
        sets.push(set);
        Ok(())
    })?;
    if tally.finish() != crate::Outcome::Done {
        bail!("not every line of the sample sets could be read: mend or remove what is named above");
    }
    say(&format!("{} from {}", count(sets.len() as u64, "set"), count(files.len() as u64, "file")));
    Ok(sets)
}
