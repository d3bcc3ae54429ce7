//! Models pulled from a hub on this machine.

#[path = "pull/broken.rs"]
mod broken;
#[allow(dead_code, reason = "tests and the example need different parts of it")]
mod hub_server;
#[path = "pull/whole.rs"]
mod whole;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::path::Path;
use std::time::Duration;

use conclave_hub::{Event, Hub, HubError, ModelName, Pulled, RetryOptions, Token, locate, pull};
use hub_server::{Fault, HubServer, Received, Repository};
use tempfile::TempDir;

const NAME: &str = "Owner/Tiny-Model";
const TOKEN: &str = "hf_abcdefghijklmnop";

/// A hub and an empty cache.
struct Fixture {
    server: HubServer,
    hub: Hub,
    _folder: TempDir,
}

impl Fixture {
    fn new(
        repository: Repository,
        faults: impl Fn(&Received, usize) -> Option<Fault> + Send + Sync + 'static,
    ) -> Self {
        let server = HubServer::start(0, vec![repository], faults).unwrap();
        let folder = tempfile::tempdir().unwrap();
        let mut hub = Hub::new(&server.endpoint(), folder.path().join("hub")).unwrap();
        hub.retry = RetryOptions { pause: Duration::from_millis(1), ..hub.retry };
        Self { server, hub, _folder: folder }
    }

    fn with_token(mut self) -> Self {
        self.hub.token = Some(Token::new(TOKEN).unwrap());
        self
    }

    fn pull(&self, name: &str) -> Result<Pulled, HubError> {
        pull(&self.hub, &name.parse()?, &mut |_| ControlFlow::Continue(()))
    }

    /// Pulls until `stop` says so.
    fn pull_until(&self, stop: impl Fn(Event<'_>) -> bool) -> Result<Pulled, HubError> {
        let mut on_event =
            |event: Event<'_>| if stop(event) { ControlFlow::Break(()) } else { ControlFlow::Continue(()) };
        pull(&self.hub, &NAME.parse()?, &mut on_event)
    }

    fn locate(&self, name: &str) -> Option<Pulled> {
        locate(&self.hub, &name.parse::<ModelName>().unwrap()).unwrap()
    }

    /// The first bytes that were asked for of a file, at the host of large files, request by request.
    fn ranges(&self, file: &str) -> Vec<u64> {
        let all = self.server.received();
        all.iter().filter(|one| one.is_cdn && one.file == file).map(|one| one.from).collect()
    }

    /// Names of files in the folder of blobs.
    fn blobs(&self) -> Vec<String> {
        let folder = self.hub.cache.join("models--Owner--Tiny-Model/blobs");
        let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
        entries.map(|entry| entry.file_name().into_string().unwrap()).collect()
    }
}

/// Bytes that are not all the same.
fn weights(length: usize) -> Vec<u8> {
    (0..length).map(|place| (place * 31 % 251) as u8).collect()
}

fn model() -> Repository {
    let weights = weights(300_000);
    let files: [(&str, &[u8]); 5] = [
        ("README.md", b"# A model"),
        ("config.json", br#"{"model_type": "qwen2"}"#),
        ("model.safetensors", &weights),
        ("pytorch_model.bin", b"a pickle"),
        ("tokenizer.json", b"{}"),
    ];
    Repository::of_bytes(NAME, &files).unwrap()
}

fn sharded() -> Repository {
    let index = br#"{"weight_map": {"a": "model-00001-of-00002.safetensors", "b": "model-00002-of-00002.safetensors"}}"#;
    let (one, two) = (weights(1000), weights(2000));
    let files: [(&str, &[u8]); 4] = [
        ("config.json", b"{}"),
        ("model-00001-of-00002.safetensors", &one),
        ("model-00002-of-00002.safetensors", &two),
        ("model.safetensors.index.json", index),
    ];
    Repository::of_bytes(NAME, &files).unwrap()
}

/// Names and lengths of the files of a folder.
fn lengths(folder: &Path) -> BTreeMap<String, u64> {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let length = |path: &Path| std::fs::metadata(path).unwrap().len();
    entries.map(|entry| (entry.file_name().into_string().unwrap(), length(&entry.path()))).collect()
}
