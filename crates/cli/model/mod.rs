//! `conclave model`: making, looking at, checking, measuring and rewriting model directories.

pub mod arguments;
pub mod bench;
mod check;
mod inspect;
pub mod write;

use std::io::IsTerminal;
use std::ops::ControlFlow;

use anyhow::{Context, Result};
use burn::tensor::Device;
use conclave_disk::stop;
use conclave_model::load::{LoadOptions, LoadProgress};
use conclave_model::open::ModelDirectory;
use conclave_model::qwen2_decoder::Qwen2Decoder;
use indicatif::{ProgressBar, ProgressStyle};

use crate::Outcome;
use crate::directory::ModelSource;
use crate::messages::{say, visible};
use arguments::{ModelArguments, ModelCommand};

/// Runs the command.
pub fn run(command: &ModelCommand) -> Result<Outcome> {
    match command {
        ModelCommand::Init(arguments) => write::init(arguments),
        ModelCommand::Inspect(arguments) => inspect::run(arguments),
        ModelCommand::Check(arguments) => check::run(arguments),
        ModelCommand::Bench(arguments) => bench::run(arguments),
        ModelCommand::Export(arguments) => write::export(arguments),
    }
}

/// A model with the device that is to compute it.
pub struct Opened {
    /// The directory, read but for its weights.
    pub directory: ModelDirectory<ModelSource>,
    /// The files themselves.
    pub files: ModelSource,
    /// The device.
    pub device: Device,
    /// How the weights are to be loaded.
    pub options: LoadOptions,
}

impl Opened {
    /// Loads the weights into a decoder that chooses among `num_tokens` ids.
    pub fn decoder(&self, num_tokens: usize) -> Result<Qwen2Decoder> {
        let bar = LoadBar::new(self.directory.config.num_parameters());
        let mut on_progress = bar.on_progress();
        let decoder = self.directory.decoder(num_tokens, &self.device, &self.options, &mut on_progress);
        pollster::block_on(decoder).with_context(|| format!("cannot load the model in {}", self.files.name()))
    }
}

/// Opens a model and a device.
pub fn open(arguments: &ModelArguments) -> Result<Opened> {
    let device = arguments.device.open(arguments.dtype)?;
    let files = ModelSource::open(&arguments.model)?;
    let directory = pollster::block_on(ModelDirectory::open(files.clone()))
        .with_context(|| format!("cannot open the model in {}", files.name()))?;
    say_notes(&directory);
    let options = LoadOptions { dtype: arguments.dtype.dtype(), ..LoadOptions::default() };
    Ok(Opened { directory, files, device, options })
}

/// Says what a person should know of a model that can be used all the same.
pub fn say_notes<F>(directory: &ModelDirectory<F>) {
    directory.notes.iter().for_each(|note| say(&visible(note)));
}

/// A progress bar on standard error, hidden where nobody watches.
pub fn progress_bar(length: u64, template: &str) -> ProgressBar {
    if !std::io::stderr().is_terminal() {
        return ProgressBar::hidden();
    }
    let bar = ProgressBar::new(length);
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

/// Progress of loading weights.
pub struct LoadBar(ProgressBar);

impl LoadBar {
    /// A bar of parameters.
    pub fn new(parameters: u64) -> Self {
        Self(progress_bar(parameters, "loading {bar:32} {percent}% ({eta} left)"))
    }

    /// What the loader is given.
    pub fn on_progress(&self) -> impl FnMut(LoadProgress) -> ControlFlow<()> + '_ {
        |progress| {
            self.0.set_position(progress.loaded);
            if stop::is_requested() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        }
    }
}

impl Drop for LoadBar {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
