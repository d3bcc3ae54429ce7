//! What a trainer is given besides its configuration, and what it gives back. Each trainer is one function:
//!
//! ```text
//! pub fn run(config: &RunConfig, start: &Start, model: Qwen2, sets, held_out, run_dir: &Path, observer: &mut dyn Observer)
//!     -> Result<Outcome, TrainError>
//! ```
//!
//! It begins with a rehearsal of its largest batch (not where it goes on from a checkpoint), evaluates, saves and stops
//! as the configuration and the observer say, and leaves the writing of a model directory to the host. The weights of step 0
//! (f32, on the run's device) are given away, so that nobody holds them beside those that are trained.

use conclave_model::config::Qwen2Config;
use conclave_model::qwen2::Qwen2;
use conclave_model::tokenizer::Tokenizer;

/// What a run begins with besides the weights.
pub struct Start {
    /// The shape of the model.
    pub config: Qwen2Config,
    /// The tokenizer that belongs to it.
    pub tokenizer: Tokenizer,
    /// Files that a model directory has besides its weights and shape, saved with every checkpoint: `tokenizer.json`.
    pub files: Vec<(String, Vec<u8>)>,
    /// Go on from the newest checkpoint of the run's folder, where there is one.
    pub resume: bool,
    /// Only rehearse, then return. Nothing is written, and `resume` does not matter.
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
