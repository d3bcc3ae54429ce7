//! What a trainer is given besides its configuration, and what it gives back. Each trainer is one function:
//!
//! ```text
//! pub fn run(config: &RunConfig, start: Start, sets, device: &Device, run_dir: &Path, observer: &mut dyn Observer)
//!     -> Result<Outcome, TrainError>
//! ```
//!
//! It begins with a rehearsal of its largest batch (not where it goes on from a checkpoint), evaluates, saves and stops
//! as the configuration and the observer say, and leaves the writing of a model directory to the host.

use conclave_model::config::Qwen2Config;
use conclave_model::qwen2::Qwen2;
use conclave_model::tokenizer::Tokenizer;

/// What a run begins with.
pub struct Start {
    /// The weights of step 0, f32, on the run's device without autodiff.
    pub model: Qwen2,
    /// Their shape.
    pub config: Qwen2Config,
    /// The tokenizer that belongs to them.
    pub tokenizer: Tokenizer,
    /// Files that a model directory has besides its weights and shape, saved with every checkpoint: `tokenizer.json`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Go on from the newest checkpoint of the run's folder, where there is one.
    pub resume: bool,
    /// Only rehearse, then return.
    pub rehearse_only: bool,
    /// The commit of the program, for the checkpoints.
    pub commit: String,
}

/// What a run ends in.
#[derive(Debug)]
pub struct Outcome {
    /// The weights after `step`.
    pub model: Qwen2,
    /// Steps done since the start, those before a resumption included.
    pub step: u64,
    /// Whether the observer stopped it before its last step.
    pub stopped: bool,
}
