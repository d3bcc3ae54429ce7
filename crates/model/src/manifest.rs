//! `conclave.json`: what a model directory says of itself beyond the Hugging Face files.
//!
//! It names the prompt and mode that the model was trained for, where it came from, and the sha256 of every file.

use std::collections::BTreeMap;

use conclave_core::prompt::PromptVariant;
use serde::{Deserialize, Serialize};

use crate::error::{Error, ErrorKind};
use crate::files::{ModelFiles, read_text};

/// Name of the file.
pub const FILE_NAME: &str = "conclave.json";

/// Bytes of the file at most.
const MAX_BYTES: u64 = 16 << 20;

/// The version of the format that this release writes.
const FORMAT: u32 = 1;

/// How the aggregator answers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Mode {
    /// Writes the answer.
    #[default]
    Generate,
    /// Chooses among the answers of the candidates by their probability.
    Select,
}

/// The contents of `conclave.json`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Manifest {
    /// Version of this format.
    pub format: u32,
    /// The prompt that the model was trained on.
    #[serde(default = "default_variant")]
    pub prompt_variant: PromptVariant,
    /// The mode that it answers in by default.
    #[serde(default)]
    pub mode: Mode,
    /// Candidates that a prompt shows at most: of a set that has more, those that are chosen by class
    /// ([`choose_by_class`](conclave_core::prompt::choose_by_class)). For a model that was trained on few and reads many badly.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_candidates: Option<usize>,
    /// Whether an answer that it writes and no candidate has is taken, where it saw all candidates. Else the vote stands in for it, as
    /// such answers are seldom right; a model has to earn this.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub novel_answers: bool,
    /// What made the model: commit, configuration, seed.
    #[serde(default)]
    pub provenance: serde_json::Map<String, serde_json::Value>,
    /// Lower-case hexadecimal sha256 of every other file of the directory, by name.
    #[serde(default)]
    pub files: BTreeMap<String, String>,
}

fn default_variant() -> PromptVariant {
    PromptVariant::NoThink
}

impl Default for Manifest {
    fn default() -> Self {
        Self {
            format: FORMAT,
            prompt_variant: default_variant(),
            mode: Mode::default(),
            max_candidates: None,
            novel_answers: false,
            provenance: serde_json::Map::new(),
            files: BTreeMap::new(),
        }
    }
}

impl Manifest {
    /// Reads the directory's manifest; a directory without one has the default.
    ///
    /// # Errors
    ///
    /// A file that is not JSON of this form, or of a later format.
    pub async fn read<F: ModelFiles>(files: &F) -> Result<Self, Error> {
        let Some(text) = read_text(files, FILE_NAME, MAX_BYTES).await? else {
            return Ok(Self::default());
        };
        let manifest: Self = serde_json::from_str(&text)
            .map_err(|error| Error::new(ErrorKind::Format, format!("cannot read {FILE_NAME}: {error}")))?;
        if manifest.format > FORMAT {
            return Err(Error::new(
                ErrorKind::Unsupported,
                format!(
                    "{FILE_NAME} has format {}, this release reads up to {FORMAT}: use a newer release",
                    manifest.format
                ),
            ));
        }
        Ok(manifest)
    }
}
