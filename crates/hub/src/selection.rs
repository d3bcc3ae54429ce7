//! Which files of a repository a model needs.
//!
//! A model directory is what Hugging Face's libraries write: `config.json`, a tokenizer, and the weights as one safetensors file or
//! as shards with an index. Where a repository has no such weights, one GGUF file of it is the model.

use std::collections::BTreeSet;

use serde::Deserialize;

use crate::error::{ErrorKind, HubError, Result};
use crate::listing::Listing;
use crate::name::{ModelName, is_safe_path};

/// The configuration, which makes a folder a model directory.
pub const CONFIG: &str = "config.json";
/// The weights in one file.
pub const WEIGHTS: &str = "model.safetensors";
/// Which shard has which tensor.
pub const INDEX: &str = "model.safetensors.index.json";
/// Weights in one shard, as some programs call them; they need no index.
pub const ONLY_SHARD: &str = "model-00001-of-00001.safetensors";

/// What goes with the weights, where a repository has it.
const COMPANIONS: [&str; 9] = [
    "generation_config.json",
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "conclave.json",
    "selftest.safetensors",
    "LICENSE",
];

/// A tokenizer in two files, for repositories without `tokenizer.json`.
const PAIR: [&str; 2] = ["vocab.json", "merges.txt"];

/// The files to pull.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Selection {
    /// These, the weights last.
    Directory(Vec<String>),
    /// These, and then the shards that the index names.
    Sharded(Vec<String>),
    /// One GGUF file.
    Gguf(String),
}

/// Chooses the files of a model.
///
/// # Errors
/// [`ErrorKind::Selection`] and [`ErrorKind::NotFound`], with what the repository has instead.
pub fn select(listing: &Listing, name: &ModelName) -> Result<Selection> {
    if let Some(file) = name.file() {
        return named_gguf(listing, name, file);
    }
    let has = |path: &str| listing.find(path).is_some();
    let shards = shard_names(listing);
    let weights = [WEIGHTS, INDEX, ONLY_SHARD].into_iter().find(|&path| has(path));
    match weights {
        Some(weights) if has(CONFIG) => {
            let mut files = vec![CONFIG.to_owned()];
            files.extend(COMPANIONS.into_iter().filter(|&path| has(path)).map(ToOwned::to_owned));
            if !has("tokenizer.json") && PAIR.iter().all(|&path| has(path)) {
                files.extend(PAIR.map(ToOwned::to_owned));
            }
            files.push(weights.to_owned());
            Ok(if weights == INDEX { Selection::Sharded(files) } else { Selection::Directory(files) })
        }
        None if has("adapter_config.json") => Err(refused(
            name,
            "is an adapter (adapter_config.json), which is no model without its base: merge it into its base first, and pull or name \
             the merged one",
        )),
        None if !shards.is_empty() => Err(refused(
            name,
            &format!(
                "has shards ({}) and no {INDEX}, which says what is in them: look for another revision",
                shards[0]
            ),
        )),
        Some(_) => {
            Err(refused(name, &format!("has weights and no {CONFIG}: pull the model that they belong to")))
        }
        None => only_gguf(listing, name),
    }
}

/// The shards that an index names.
///
/// # Errors
/// [`ErrorKind::Selection`] for what is no index.
pub fn shards_of_index(index: &[u8]) -> Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Index {
        weight_map: std::collections::BTreeMap<String, String>,
    }
    let broken = |why: String| HubError::new(ErrorKind::Selection, format!("{INDEX} is broken: {why}"));
    let index: Index = serde_json::from_slice(index).map_err(|error| broken(error.to_string()))?;
    let shards: BTreeSet<String> = index.weight_map.into_values().collect();
    if let Some(shard) = shards.iter().find(|shard| !is_safe_path(shard) || !shard.ends_with(".safetensors"))
    {
        return Err(broken(format!(
            "it names the shard `{shard}`, which is not the name of a safetensors file"
        )));
    }
    if shards.is_empty() {
        Err(broken("it names no shard".to_owned()))
    } else {
        Ok(shards.into_iter().collect())
    }
}

fn refused(name: &ModelName, why: &str) -> HubError {
    HubError::new(ErrorKind::Selection, format!("`{}` {why}", name.repository()))
}

fn shard_names(listing: &Listing) -> Vec<&str> {
    let is_shard =
        |path: &str| path.starts_with("model-") && path.ends_with(".safetensors") && path.contains("-of-");
    listing.files.iter().map(|file| file.path.as_str()).filter(|path| is_shard(path)).collect()
}

fn is_gguf(path: &str) -> bool {
    path.to_ascii_lowercase().ends_with(".gguf")
}

/// Whether a GGUF file is one of several that are a model together: `...-00001-of-00003.gguf`.
fn is_split(path: &str) -> bool {
    let stem = &path[..path.len().saturating_sub(".gguf".len())];
    let is_number = |text: &str| text.len() == 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    let Some((rest, of)) = stem.rsplit_once("-of-") else { return false };
    rest.rsplit_once('-').is_some_and(|(_, part)| is_number(part) && is_number(of) && of != "00001")
}

fn named_gguf(listing: &Listing, name: &ModelName, file: &str) -> Result<Selection> {
    if is_split(file) {
        return Err(refused(
            name,
            &format!(
                "has `{file}` as one of several files that are a model together: they are not read. Choose a quantisation in one \
                 file, or join them first with `llama-gguf-split --merge`"
            ),
        ));
    }
    if listing.find(file).is_some() {
        return Ok(Selection::Gguf(file.to_owned()));
    }
    let ggufs = gguf_files(listing);
    let has = if ggufs.is_empty() {
        "no GGUF file at all".to_owned()
    } else {
        format!("only {}", ggufs.join(", "))
    };
    let message = format!("`{}` has no file `{file}`; it has {has}", name.repository());
    Err(HubError::new(ErrorKind::NotFound, message))
}

fn only_gguf(listing: &Listing, name: &ModelName) -> Result<Selection> {
    let files: Vec<&str> =
        listing.files.iter().map(|file| file.path.as_str()).filter(|path| is_gguf(path)).collect();
    match files[..] {
        [] => Err(nothing_to_read(listing, name)),
        [file] => named_gguf(listing, name, file),
        _ => Err(refused(
            name,
            &format!(
                "holds several GGUF files: name one of them with --file: {}",
                gguf_files(listing).join(", ")
            ),
        )),
    }
}

fn nothing_to_read(listing: &Listing, name: &ModelName) -> HubError {
    let other = listing.files.iter().find(|file| {
        [".bin", ".pt", ".pth", ".h5", ".msgpack", ".onnx", ".ckpt"]
            .iter()
            .any(|end| file.path.ends_with(end))
    });
    match other {
        Some(file) => refused(
            name,
            &format!(
                "has its weights as `{}` alone, a format that is not read: look for a revision or a copy with {WEIGHTS}",
                file.path
            ),
        ),
        None => refused(
            name,
            &format!("has neither {WEIGHTS} (or shards and their index) nor a GGUF file: is it a model?"),
        ),
    }
}

/// The GGUF files that can be chosen, with their sizes.
fn gguf_files(listing: &Listing) -> Vec<String> {
    let files = listing.files.iter().filter(|file| is_gguf(&file.path) && !is_split(&file.path));
    files
        .map(|file| match file.size {
            Some(size) => format!("{} ({})", file.path, size_text(size)),
            None => file.path.clone(),
        })
        .collect()
}

/// A number of bytes as people write it.
pub fn size_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} bytes"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.0} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::listing::RemoteFile;

    fn choose(name: &str, files: &[&str]) -> Result<Selection> {
        let files =
            files.iter().map(|&path| RemoteFile { path: path.to_owned(), size: Some(2_000_000), blob: None });
        select(&Listing { commit: "c".repeat(40), files: files.collect() }, &ModelName::parse(name).unwrap())
    }

    #[test]
    fn a_model_directory_is_taken_without_the_rest() {
        let check = |files: &[&str], expected: &[&str]| {
            let expected = expected.iter().map(|&file| file.to_owned()).collect();
            assert_eq!(choose("a/b", files).unwrap(), Selection::Directory(expected));
        };
        check(
            &[
                "model.safetensors",
                "README.md",
                "tokenizer.json",
                "config.json",
                "vocab.json",
                "merges.txt",
                "x.gguf",
            ],
            &["config.json", "tokenizer.json", "model.safetensors"],
        );
        check(
            &["config.json", "vocab.json", "merges.txt", "model-00001-of-00001.safetensors"],
            &["config.json", "vocab.json", "merges.txt", "model-00001-of-00001.safetensors"],
        );
        let sharded = choose(
            "a/b",
            &["config.json", "model.safetensors.index.json", "model-00001-of-00002.safetensors"],
        );
        assert_eq!(
            sharded.unwrap(),
            Selection::Sharded(vec!["config.json".to_owned(), "model.safetensors.index.json".to_owned()])
        );
    }

    #[test]
    fn one_gguf_is_taken_and_of_several_one_is_named() {
        assert_eq!(choose("a/b", &["README.md", "m.gguf"]).unwrap(), Selection::Gguf("m.gguf".to_owned()));
        assert_eq!(
            choose("a/b/n.gguf", &["m.gguf", "n.gguf"]).unwrap(),
            Selection::Gguf("n.gguf".to_owned())
        );
        for (name, files, kind, words) in [
            ("a/b", &["m.gguf", "n.gguf"][..], ErrorKind::Selection, "--file: m.gguf (2 MB), n.gguf (2 MB)"),
            ("a/b/o.gguf", &["m.gguf"][..], ErrorKind::NotFound, "only m.gguf (2 MB)"),
            ("a/b/o.gguf", &["config.json"][..], ErrorKind::NotFound, "no GGUF file at all"),
            ("a/b", &["m-00001-of-00002.gguf"][..], ErrorKind::Selection, "llama-gguf-split"),
            (
                "a/b",
                &["pytorch_model.bin", "config.json"][..],
                ErrorKind::Selection,
                "`pytorch_model.bin` alone",
            ),
            (
                "a/b",
                &["adapter_config.json", "adapter_model.safetensors"][..],
                ErrorKind::Selection,
                "merge it",
            ),
            (
                "a/b",
                &["config.json", "model-00001-of-00002.safetensors"][..],
                ErrorKind::Selection,
                "no model.safetensors.index.json",
            ),
            ("a/b", &["model.safetensors"][..], ErrorKind::Selection, "no config.json"),
            ("a/b", &["README.md"][..], ErrorKind::Selection, "is it a model?"),
        ] {
            let error = choose(name, files).unwrap_err();
            assert!(error.kind() == kind && error.to_string().contains(words), "{error}");
        }
    }

    #[test]
    fn an_index_names_its_shards_once() {
        let index = br#"{"metadata": {}, "weight_map": {"a": "2.safetensors", "b": "1.safetensors", "c": "2.safetensors"}}"#;
        assert_eq!(shards_of_index(index).unwrap(), ["1.safetensors", "2.safetensors"]);
        for wrong in [
            "",
            "{}",
            r#"{"weight_map": {}}"#,
            r#"{"weight_map": {"a": "../x.safetensors"}}"#,
            r#"{"weight_map": {"a": "x.bin"}}"#,
        ] {
            assert!(shards_of_index(wrong.as_bytes()).is_err(), "{wrong}");
        }
    }
}
