//! What arrives: whole models, once, and whose token was seen where.

use std::sync::Mutex;
use std::sync::mpsc::channel;

use conclave_hub::ErrorKind;

use super::*;

#[test]
fn a_model_is_pulled_once_and_found_without_the_network() {
    let fixture = Fixture::new(model(), |_, _| None);
    assert_eq!(fixture.locate(NAME), None);
    let pulled = fixture.pull(NAME).unwrap();
    let Pulled::Directory(folder) = &pulled else { panic!("{pulled:?}") };
    let expected = [("config.json", 23), ("model.safetensors", 300_000), ("tokenizer.json", 2)];
    assert_eq!(lengths(folder), expected.map(|(file, length)| (file.to_owned(), length)).into());
    assert_eq!(std::fs::read(folder.join("model.safetensors")).unwrap(), weights(300_000));
    assert_eq!(fixture.locate(NAME), Some(pulled.clone()));

    let asked = fixture.server.received().len();
    assert_eq!(fixture.pull(NAME).unwrap(), pulled);
    assert_eq!(fixture.server.received().len(), asked + 1, "only the list is asked for again");
    assert_eq!(fixture.locate(NAME), Some(pulled), "and nothing for finding it");
    assert_eq!(fixture.server.received().len(), asked + 1);
}

#[test]
fn a_revision_is_pulled_beside_the_others() {
    let repository = model();
    let commit = repository.commit.clone();
    let fixture = Fixture::new(repository, |_, _| None);
    let pulled = fixture.pull(&format!("{NAME}@{commit}")).unwrap();
    assert_eq!(fixture.locate(NAME), None, "nobody pulled `main`");
    assert_eq!(fixture.locate(&format!("{NAME}@{commit}")), Some(pulled.clone()));
    assert_eq!(fixture.pull(NAME).unwrap(), pulled);
}

#[test]
fn the_token_stays_at_the_hub() {
    let fixture =
        Fixture::new(Repository { token: Some(TOKEN.to_owned()), ..model() }, |_, _| None).with_token();
    fixture.pull(NAME).unwrap();
    let bearer = format!("Bearer {TOKEN}");
    let received = fixture.server.received();
    assert!(received.iter().any(|request| request.is_cdn), "the weights come from the other port");
    for request in received {
        let expected = (!request.is_cdn).then_some(bearer.as_str());
        assert_eq!(request.authorization.as_deref(), expected, "{}", request.target);
    }
}

#[test]
fn shards_are_those_of_the_index() {
    let fixture = Fixture::new(sharded(), |_, _| None);
    let pulled = fixture.pull(NAME).unwrap();
    assert_eq!(lengths(pulled.path()).len(), 4);
    assert_eq!(fixture.locate(NAME), Some(pulled.clone()));
    // A cache from which something was taken is no model.
    std::fs::remove_file(pulled.path().join("model-00002-of-00002.safetensors")).unwrap();
    assert_eq!(fixture.locate(NAME), None);
    assert_eq!(fixture.pull(NAME).unwrap(), pulled);
}

#[test]
fn a_hub_without_checksums_in_its_list_is_asked_for_each_file() {
    let fixture = Fixture::new(Repository { has_blobs: false, ..model() }, |_, _| None);
    let pulled = fixture.pull(NAME).unwrap();
    assert_eq!(std::fs::read(pulled.path().join("model.safetensors")).unwrap(), weights(300_000));
    let heads = fixture.server.received().into_iter().filter(|request| request.method == "HEAD");
    assert!(heads.inspect(|request| assert!(!request.is_cdn)).count() == 3);
}

#[test]
fn another_spelling_is_followed_to_the_name() {
    let fixture = Fixture::new(model(), |_, _| None).with_token();
    fixture.pull("owner/tiny-model").unwrap();
    let elsewhere =
        fixture.server.received().into_iter().any(|one| one.is_cdn && one.authorization.is_some());
    assert!(!elsewhere && fixture.locate("owner/tiny-model").is_some());
}

#[test]
fn one_gguf_of_several_is_pulled_by_its_name() {
    let files: [(&str, &[u8]); 3] = [("README.md", b""), ("m-q4_0.gguf", b"four"), ("m-q8_0.gguf", b"eight")];
    let fixture = Fixture::new(Repository::of_bytes(NAME, &files).unwrap(), |_, _| None);
    let error = fixture.pull(NAME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Selection);
    assert!(error.to_string().ends_with("--file: m-q4_0.gguf (4 bytes), m-q8_0.gguf (5 bytes)"), "{error}");
    let pulled = fixture.pull(&format!("{NAME}/m-q4_0.gguf")).unwrap();
    assert_eq!(std::fs::read(pulled.path()).unwrap(), b"four");
    assert_eq!(fixture.locate(NAME), Some(pulled.clone()), "the only one that was pulled");
    fixture.pull(&format!("{NAME}/m-q8_0.gguf")).unwrap();
    let several = locate(&fixture.hub, &NAME.parse().unwrap()).unwrap_err();
    assert!(
        several.to_string().ends_with(": Owner/Tiny-Model/m-q4_0.gguf, Owner/Tiny-Model/m-q8_0.gguf"),
        "{several}"
    );
    assert_eq!(fixture.locate(&format!("{NAME}/m-q4_0.gguf")), Some(pulled));
}

#[test]
fn two_pulls_at_once_download_once() {
    let (sender, receiver) = channel();
    let receiver = Mutex::new(receiver);
    // The weights come when one of the two has said that it waits for the other.
    let fixture = Fixture::new(model(), move |request, _| {
        if request.is_cdn {
            receiver.lock().unwrap().recv_timeout(Duration::from_secs(60)).expect("the other pull waits");
        }
        None
    });
    let pulled = std::thread::scope(|scope| {
        let one = || {
            fixture.pull_until(|event| {
                if matches!(event, Event::Note(text) if text.contains("`model.safetensors`")) {
                    sender.send(()).unwrap();
                }
                false
            })
        };
        [scope.spawn(one), scope.spawn(one)].map(|thread| thread.join().unwrap().unwrap())
    });
    assert_eq!(pulled[0], pulled[1]);
    assert_eq!(fixture.ranges("model.safetensors"), [0]);
    assert_eq!(std::fs::read(pulled[0].path().join("model.safetensors")).unwrap(), weights(300_000));
}

#[test]
fn progress_reaches_its_total() {
    let fixture = Fixture::new(model(), |_, _| None);
    let last = Mutex::new((0, 0));
    fixture
        .pull_until(|event| {
            if let Event::Progress { done, total, .. } = event {
                let mut last = last.lock().unwrap();
                assert!(done >= last.0 && done <= total);
                *last = (done, total);
            }
            false
        })
        .unwrap();
    assert_eq!(last.into_inner().unwrap(), (300_025, 300_025));
}

#[test]
fn offline_is_without_a_request() {
    let mut fixture = Fixture::new(model(), |_, _| None);
    fixture.hub.is_offline = true;
    let error = fixture.pull(NAME).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Offline);
    assert!(error.to_string().contains("`conclave model pull Owner/Tiny-Model`"), "{error}");
    assert_eq!(fixture.server.received().len(), 0);
    fixture.hub.is_offline = false;
    let pulled = fixture.pull(NAME).unwrap();
    let asked = fixture.server.received().len();
    fixture.hub.is_offline = true;
    assert_eq!(fixture.pull(NAME).unwrap(), pulled);
    assert_eq!(fixture.server.received().len(), asked);
}
