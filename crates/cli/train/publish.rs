//! The end of a run: `model/` in its folder, a complete model directory that says how it was made.

use std::path::Path;

use anyhow::Result;
use conclave_disk::NewFolder;
use conclave_model::export::Export;
use conclave_model::manifest::{Manifest, Mode};
use conclave_model::module_weights::ModuleWeights;
use conclave_train::config::{Method, RunConfig};
use conclave_train::observer::StepMetrics;
use conclave_train::start::{Outcome, Start};
use serde_json::{Map, Value, json};

use crate::messages::say;
use crate::model::write::{object, write_directory};

/// The folder in that of the run.
const MODEL: &str = "model";

/// Largest file of weights.
const MAX_SHARD_SIZE: u64 = 4 << 30;

/// Writes the weights of `ended` as the folder's `model/`, in place of one that is there. `origin`: where the weights of
/// step 0 came from.
pub fn publish(
    folder: &Path,
    method: Method,
    run: &RunConfig,
    start: &Start,
    origin: Map<String, Value>,
    ended: &Outcome,
    evaluation: Option<&StepMetrics>,
) -> Result<()> {
    let files: Vec<(&str, &[u8])> =
        start.files.iter().map(|(file, bytes)| (file.as_str(), bytes.as_slice())).collect();
    let dtype = run.model.dtype.stored();
    let export = Export { config: &start.config, dtype, max_shard_size: MAX_SHARD_SIZE, files: &files };
    let provenance = json!({
        "made_by": format!("conclave train {}", method.name()),
        "commit": env!("CONCLAVE_COMMIT"),
        "seed": run.train.seed,
        "steps": ended.step,
        "evaluation": evaluation.map(StepMetrics::to_json),
        "config": run.to_json(method),
        "start": origin,
    });
    let manifest = Manifest {
        prompt_variant: run.prompt.variant,
        max_candidates: run.prompt.max_candidates,
        novel_answers: run.prompt.novel_answers,
        mode: Mode::Generate,
        provenance: object(provenance),
        ..Manifest::default()
    };
    write_directory(NewFolder::create(folder, MODEL)?, &export, &ModuleWeights::new(&ended.model), manifest)?;
    let target = folder.join(MODEL);
    say(&format!("`{}`: the model after step {}, with a self-test", target.display(), ended.step));
    Ok(())
}
