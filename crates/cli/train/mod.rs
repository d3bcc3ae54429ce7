//! `conclave train`: the host of a training. It opens what the configuration names, hands it to a trainer, shows and
//! records what that reports, and writes the model in the end. How training works is in `conclave_train`.

pub mod arguments;
mod estimate;
mod evaluate;
mod folder;
mod plot;
mod publish;
mod ranker;
mod recorder;
mod start;

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use burn::tensor::Device;
use conclave_core::sample_set::SampleSet;
use conclave_disk::{stop, temporary_folder};
use conclave_model::qwen2::Qwen2;
use conclave_train::config::{ComputeDtype, Method, RunConfig};
use conclave_train::data::Sets;
use conclave_train::error::TrainError;
use conclave_train::flush_to_zero::flush_denormals_to_zero;
use conclave_train::start::{Outcome as Ended, Start};
use conclave_train::{grpo, paragator, sft};

use crate::device::{DeviceName, Precision};
use crate::messages::{say, visible};
use crate::model::bench::peak_memory;
use crate::{Outcome, UsageError};
use arguments::{TrainArguments, TrainCommand};
use folder::RunFolder;
use publish::publish;
use recorder::Recorder;
use start::{Model, held_out_sets, training_sets};

/// Runs the command.
pub fn run(command: &TrainCommand) -> Result<Outcome> {
    match command {
        TrainCommand::Sft(arguments) => train(Method::Sft, arguments),
        TrainCommand::Grpo(arguments) => train(Method::Grpo, arguments),
        TrainCommand::Paragator(arguments) => train(Method::Paragator, arguments),
        TrainCommand::Evaluate(arguments) => evaluate::run(arguments),
        TrainCommand::Plot(arguments) => plot::run(arguments),
        TrainCommand::Ranker(arguments) => ranker::run(arguments),
    }
}

fn train(method: Method, arguments: &TrainArguments) -> Result<Outcome> {
    let run = read_config(method, arguments)?;
    use_threads(&run)?;
    if arguments.dry_run {
        return estimate::dry_run(method, &run);
    }
    let precision = match run.train.dtype {
        ComputeDtype::F32 => Precision::F32,
        ComputeDtype::Bf16 => Precision::Bf16,
    };
    let device = arguments.device.open(precision)?;
    if arguments.rehearse {
        return rehearse(method, &run, &device);
    }
    let output = arguments.output.clone().unwrap_or_else(|| default_folder(&arguments.config));
    let (folder, resumed) = RunFolder::open(&output, arguments.resume, method)?;
    let (start, model, origin) = Model::open(&run)?.start(&device)?;
    let start = Start { resume: resumed, ..start };
    let sets = sets(method, &run, &start)?;
    if !resumed {
        folder.describe(method, &run)?;
    }
    let mut recorder = Recorder::new(folder.path(), resumed, run.train.steps, run.log.every, stop::listen()?);
    let ended = run_trainer(method, &run, &start, model, sets, folder.path(), &mut recorder);
    let evaluation = recorder.finish();
    let ended = ended?;
    let evaluation = evaluation?;
    // What changed since the run was begun was the trainer's to judge.
    folder.describe(method, &run)?;
    if ended.stopped {
        say(&format!("stopped behind step {}, and saved; to go on:", ended.step));
        say(&format!("  {}", command_to_go_on(method, arguments, &output)));
        return Ok(Outcome::Interrupted);
    }
    publish(folder.path(), method, &run, &start, origin, &ended, evaluation.as_ref())?;
    Ok(Outcome::Done)
}

/// The largest step, thrown away; nothing is written.
fn rehearse(method: Method, run: &RunConfig, device: &Device) -> Result<Outcome> {
    let folder = temporary_folder()?;
    let (start, model, _) = Model::open(run)?.start(device)?;
    let start = Start { rehearse_only: true, ..start };
    let mut recorder = Recorder::new(folder.path(), false, run.train.steps, 1, stop::listen()?);
    let sets = sets(method, run, &start)?;
    let ended = run_trainer(method, run, &start, model, sets, folder.path(), &mut recorder);
    recorder.finish()?;
    ended?;
    if let Some(bytes) = peak_memory() {
        say(&format!("largest memory of the process: {:.2} GiB", bytes as f64 / f64::from(1 << 30)));
    }
    Ok(Outcome::Done)
}

/// The sets to train on and those to measure on.
fn sets(method: Method, run: &RunConfig, start: &Start) -> Result<(Sets, Vec<SampleSet>)> {
    Ok((training_sets(method, run, &start.config, &start.tokenizer)?, held_out_sets(run)?))
}

fn run_trainer(
    method: Method,
    run: &RunConfig,
    start: &Start,
    model: Qwen2,
    (train, held_out): (Sets, Vec<SampleSet>),
    folder: &Path,
    observer: &mut Recorder,
) -> Result<Ended> {
    let ended = match method {
        Method::Sft => sft::run(run, start, model, train, held_out, folder, observer),
        Method::Grpo => grpo::run(run, start, model, train, held_out, folder, observer),
        Method::Paragator => paragator::run(run, start, model, train, held_out, folder, observer),
    };
    Ok(ended?)
}

/// `runs/NAME` of the configuration's file.
fn default_folder(config: &Path) -> PathBuf {
    Path::new("runs").join(config.file_stem().unwrap_or(config.as_os_str()))
}

/// The threads of the processor, before the first of them is used, with denormal numbers off in all of them.
fn use_threads(run: &RunConfig) -> Result<()> {
    if let Some(threads) = run.train.threads {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build_global()
            .with_context(|| format!("cannot start `train.threads` = {threads} threads"))?;
    }
    flush_denormals_to_zero();
    Ok(())
}

/// What to type to go on.
fn command_to_go_on(method: Method, arguments: &TrainArguments, output: &Path) -> String {
    let mut command = format!(
        "conclave train {} --config {} --output {} --resume",
        method.name(),
        quoted(&arguments.config.to_string_lossy()),
        quoted(&output.to_string_lossy())
    );
    for setting in &arguments.set {
        command += &format!(" --set {}", quoted(setting));
    }
    if arguments.device != DeviceName::Cpu {
        command += &format!(" --device {}", arguments.device.name());
    }
    visible(&command)
}

/// A word for a shell.
fn quoted(word: &str) -> String {
    let plain = |character: char| character.is_ascii_alphanumeric() || "_-./=:,+".contains(character);
    match word.chars().all(plain) {
        true => word.to_owned(),
        false => format!("'{}'", word.replace('\'', "'\\''")),
    }
}

/// The configuration of the file with what was set, checked. What is wrong with it is a wrong argument.
fn read_config(method: Method, arguments: &TrainArguments) -> Result<RunConfig> {
    let path = &arguments.config;
    if !path.exists() {
        let hint = "ready ones are in crates/train/configs";
        bail!("cannot read `{}`: it does not exist ({hint})", path.display());
    }
    let read = RunConfig::read(path, &arguments.set).and_then(|run| {
        run.validate(method).map_err(|error| match error {
            TrainError::Config(message) => TrainError::Config(format!("{}: {message}", path.display())),
            other => other,
        })?;
        Ok(run)
    });
    read.map_err(|error| match error {
        TrainError::Config(message) => anyhow::Error::new(UsageError(message)),
        TrainError::Io { .. } => anyhow::Error::new(error).context("cannot read the configuration"),
        other => anyhow::Error::new(other),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_to_go_on_can_be_typed() {
        let arguments = TrainArguments {
            config: "my runs/a.toml".into(),
            output: None,
            resume: false,
            set: vec!["train.steps=5".to_owned(), "data.num_candidates=[2, 3]".to_owned()],
            dry_run: false,
            rehearse: false,
            device: DeviceName::Cuda,
        };
        assert_eq!(
            command_to_go_on(Method::Sft, &arguments, &default_folder(&arguments.config)),
            "conclave train sft --config 'my runs/a.toml' --output runs/a --resume --set train.steps=5 \
             --set 'data.num_candidates=[2, 3]' --device cuda"
        );
        assert_eq!(quoted("it's"), "'it'\\''s'");
    }
}
