//! `conclave model import`: a model directory from a GGUF of llama.cpp.
//!
//! The GGUF is read as a directory ([`GgufFiles`]) and written as `export` writes one, tensor by tensor.

use std::path::Path;

use anyhow::{Context, Result};
use conclave_disk::{NewFolder, stop};
use conclave_model::export::Export;
use conclave_model::files::ModelFiles;
use conclave_model::gguf::Options;
use conclave_model::manifest::Manifest;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use serde_json::json;

use super::arguments::ImportArguments;
use super::write::{object, write_directory};
use crate::directory::open_gguf;
use crate::messages::say;
use crate::{Outcome, UsageError};

/// Runs the command.
pub fn run(arguments: &ImportArguments) -> Result<Outcome> {
    let write = &arguments.write;
    let name = arguments.file.display();
    let files = open_gguf(&arguments.file, Options { untied: arguments.untied })?;
    let failure = || format!("cannot import `{name}`");
    let directory = pollster::block_on(ModelDirectory::open(&files)).with_context(failure)?;
    // Before anything is written: a vocabulary that cannot be used ends here.
    pollster::block_on(read_tokenizer(&files, &directory.config)).with_context(failure)?;
    say(&format!("`{name}`: {}", files.head_note()));
    let tokenizer = pollster::block_on(files.read("tokenizer.json", None))?;
    let source = arguments.file.file_name().unwrap_or_default().to_string_lossy();
    let provenance = json!({"made_by": "conclave model import", "commit": env!("CONCLAVE_COMMIT"),
        "file": source, "dtype": write.dtype.name(), "head": files.head_note()});
    let manifest = Manifest { provenance: object(provenance), ..Manifest::default() };
    let export = Export {
        config: &directory.config,
        dtype: write.dtype.stored(),
        max_shard_size: write.max_shard_size,
        files: &[("tokenizer.json", tokenizer.as_slice())],
    };
    stop::listen()?;
    let sink = new_folder(&write.out, arguments.force, &arguments.file)?;
    write_directory(sink, &export, &directory.weights, manifest).with_context(failure)?;
    let (parameters, dtype) = (directory.config.num_parameters(), write.dtype.name());
    say(&format!("`{}`: {parameters} parameters in {dtype}, with a self-test", write.out.display()));
    Ok(Outcome::Done)
}

/// The folder to write: new, or with `--force` in place of the model that is there, which stays until the new one is
/// whole.
fn new_folder(out: &Path, force: bool, file: &Path) -> Result<NewFolder> {
    if !force || !out.exists() {
        return Ok(NewFolder::create_alone(out)?);
    }
    let name = out.display();
    // A home directory by mistake, or the folder the file lies in, is not to be replaced.
    if !out.join("config.json").is_file() {
        return Err(UsageError(format!(
            "`{name}` has no config.json, so it is no model to be replaced: --force replaces model directories only"
        ))
        .into());
    }
    let whole = out.canonicalize().with_context(|| format!("cannot read `{name}`"))?;
    if file.canonicalize().is_ok_and(|file| file.starts_with(&whole)) {
        return Err(UsageError(format!(
            "`{}` lies in `{name}`, which --force would replace: name another directory with --out",
            file.display()
        ))
        .into());
    }
    let (Some(folder), Some(last)) = (whole.parent(), whole.file_name()) else {
        return Err(UsageError(format!("cannot replace `{name}`: name another directory with --out")).into());
    };
    Ok(NewFolder::create(folder, last)?)
}
