//! What goes wrong on the way: each failure by its name, continued where that is possible, and nothing half taken for whole.

use std::io::{Read, Write};

use conclave_hub::ErrorKind;

use super::*;

const WEIGHTS: &str = "model.safetensors";

fn status(code: u16, headers: &str) -> Option<Fault> {
    Some(Fault::Status(code, headers.to_owned(), String::new()))
}

/// A pull that fails, and what it leaves: never a model.
fn failure(fixture: &Fixture) -> HubError {
    let error = fixture.pull(NAME).unwrap_err();
    assert_eq!(fixture.locate(NAME), None, "{error}");
    error
}

#[test]
fn cut_transfers_are_continued() {
    let fixture = Fixture::new(model(), |request, number| match number {
        0..6 if request.is_cdn => Some(Fault::Cut(10_000)),
        _ => None,
    });
    let pulled = fixture.pull(NAME).unwrap();
    assert_eq!(std::fs::read(pulled.path().join(WEIGHTS)).unwrap(), weights(300_000));
    // More often than failures in a row are allowed: each time something had arrived.
    assert_eq!(fixture.ranges(WEIGHTS), [0, 10_000, 20_000, 30_000, 40_000, 50_000, 60_000]);
}

#[test]
fn a_connection_that_brings_nothing_is_given_up() {
    let fixture = Fixture::new(model(), |request, _| request.is_cdn.then_some(Fault::Cut(0)));
    assert_eq!(failure(&fixture).kind(), ErrorKind::Network);
    assert_eq!(fixture.ranges(WEIGHTS).len(), 5);
}

#[test]
fn a_pull_that_was_stopped_goes_on_where_it_was() {
    // The first request for the weights brings a part, and then nothing more.
    let fixture = Fixture::new(model(), |request, number| {
        (request.is_cdn && number == 0).then_some(Fault::Stall(70_000))
    });
    let is_begun =
        |event: Event<'_>| matches!(event, Event::Progress { file: WEIGHTS, done, .. } if done >= 70_000);
    assert_eq!(fixture.pull_until(is_begun).unwrap_err().kind(), ErrorKind::Cancelled);
    assert_eq!(fixture.locate(NAME), None);
    assert!(fixture.blobs().iter().any(|blob| blob.ends_with(".incomplete")));
    let pulled = fixture.pull(NAME).unwrap();
    assert_eq!(std::fs::read(pulled.path().join(WEIGHTS)).unwrap(), weights(300_000));
    let ranges = fixture.ranges(WEIGHTS);
    assert!(ranges.len() == 2 && ranges[1] > 60_000, "{ranges:?}");
    assert!(!fixture.blobs().iter().any(|blob| blob.ends_with(".incomplete")));
}

#[test]
fn a_host_without_ranges_begins_again() {
    let fixture = Fixture::new(model(), |request, number| match number {
        0 if request.is_cdn => Some(Fault::Cut(10_000)),
        1 if request.is_cdn => Some(Fault::IgnoreRange),
        _ => None,
    });
    let pulled = fixture.pull(NAME).unwrap();
    assert_eq!(std::fs::read(pulled.path().join(WEIGHTS)).unwrap(), weights(300_000));
    assert_eq!(fixture.ranges(WEIGHTS), [0, 10_000]);
}

#[test]
fn damaged_bytes_are_removed() {
    let fixture =
        Fixture::new(model(), |request, number| (request.is_cdn && number == 0).then_some(Fault::Damage));
    let error = failure(&fixture);
    assert_eq!(error.kind(), ErrorKind::Checksum);
    assert!(
        error.to_string().contains("`model.safetensors` is damaged and was removed: its sha256 is"),
        "{error}"
    );
    assert_eq!(fixture.blobs().len(), 2, "the two small files");
    fixture.pull(NAME).unwrap();
    assert_eq!(fixture.ranges(WEIGHTS), [0, 0]);

    let small = Fixture::new(model(), |request, _| (request.file == "config.json").then_some(Fault::Damage));
    assert!(failure(&small).to_string().contains("its git hash is"));
}

#[test]
fn a_beginning_by_another_program_is_checked_too() {
    let fixture = Fixture::new(model(), |_, _| None);
    let blob = model().files.into_iter().find(|file| file.path == WEIGHTS).unwrap().blob;
    let folder = fixture.hub.cache.join("models--Owner--Tiny-Model/blobs");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join(format!("{blob}.incomplete")), b"other bytes").unwrap();
    assert_eq!(failure(&fixture).kind(), ErrorKind::Checksum);
    fixture.pull(NAME).unwrap();
    assert_eq!(fixture.ranges(WEIGHTS), [11, 0]);
}

#[test]
fn refusals_have_their_names() {
    let gated = || Repository { token: Some(TOKEN.to_owned()), ..model() };
    let check = |fixture: &Fixture, name: &str, kind: ErrorKind, words: &str| {
        let error = fixture.pull(name).unwrap_err();
        assert!(error.kind() == kind && error.to_string().contains(words), "{error}");
        assert!(!error.to_string().contains(TOKEN));
    };
    check(
        &Fixture::new(gated(), |_, _| None),
        NAME,
        ErrorKind::Unauthorized,
        "is gated: accept its conditions at http://127.0.0.1",
    );
    let mut other = Fixture::new(gated(), |_, _| None);
    other.hub.token = Some(Token::new("hf_another").unwrap());
    check(&other, NAME, ErrorKind::Forbidden, "with the account of the token (HF_TOKEN)");
    let fixture = Fixture::new(model(), |_, _| None);
    check(&fixture, "Owner/No-Model", ErrorKind::Unauthorized, "has no public model `Owner/No-Model`");
    check(&fixture, "Owner/Tiny-Model@v2", ErrorKind::NotFound, "has no revision `v2`");
    check(
        &fixture,
        "Owner/Tiny-Model/x.gguf",
        ErrorKind::NotFound,
        "has no file `x.gguf`; it has no GGUF file at all",
    );
    let gone = Fixture::new(model(), |request, _| {
        (request.file == "tokenizer.json").then(|| status(404, "")).flatten()
    });
    check(&gone, NAME, ErrorKind::NotFound, "lists the file `tokenizer.json`");
    let expired = Fixture::new(model(), |request, number| {
        (request.is_cdn && number == 0).then(|| status(403, "")).flatten()
    });
    expired.pull(NAME).expect("a signed address that has expired is asked for again");
}

#[test]
fn a_hub_that_wants_fewer_requests_is_waited_for_a_few_times() {
    let limited = |times: usize, seconds: u32| {
        Fixture::new(model(), move |request, number| {
            let is_limited = request.file.is_empty() && number < times;
            is_limited.then(|| status(429, &format!("Retry-After: {seconds}\r\n"))).flatten()
        })
    };
    limited(3, 0).pull(NAME).unwrap();
    let always = limited(usize::MAX, 0);
    assert_eq!(failure(&always).kind(), ErrorKind::RateLimited);
    assert_eq!(always.server.received().len(), 4);
    let long = limited(1, 3600);
    let error = failure(&long);
    assert!(error.to_string().contains("try again in 3600 s"), "{error}");
    assert_eq!(long.server.received().len(), 1);
}

#[test]
fn a_hub_out_of_order_is_asked_again() {
    let broken =
        |times| Fixture::new(model(), move |_, number| if number < times { status(503, "") } else { None });
    broken(2).pull(NAME).unwrap();
    let error = failure(&broken(usize::MAX));
    assert!(error.kind() == ErrorKind::Server && error.to_string().contains("503"), "{error}");
}

#[test]
fn what_is_no_file_is_refused() {
    let page = |of: &'static str| {
        Fixture::new(model(), move |request, _| {
            let headers = "Content-Type: text/html; charset=utf-8\r\n".to_owned();
            (request.file == of).then(|| Fault::Status(200, headers, "<html>Log in</html>".to_owned()))
        })
    };
    for of in ["", "config.json", WEIGHTS] {
        let error = failure(&page(of));
        assert!(error.kind() == ErrorKind::Answer && error.to_string().contains("web page"), "{error}");
    }
    let text = "version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 900\n";
    let files: [(&str, &[u8]); 2] = [("config.json", b"{}"), (WEIGHTS, text.as_bytes())];
    let pointer = Fixture::new(Repository::of_bytes(NAME, &files).unwrap(), |_, _| None);
    assert!(failure(&pointer).to_string().contains("Git LFS pointer in place of `model.safetensors`"));
    let longer = Fixture::new(model(), |request, _| {
        (request.file == "config.json").then(|| Fault::Status(200, String::new(), "x".repeat(99)))
    });
    assert!(failure(&longer).to_string().contains("sends 99 bytes where 23 were expected"));
}

#[test]
fn redirections_that_are_not_followed() {
    let to =
        |target: &'static str| Fixture::new(model(), move |_, _| Some(Fault::Redirect(target.to_owned())));
    for (target, words) in
        [("ftp://127.0.0.1/x", "neither https:// nor http://"), ("/again", "from one address to the next")]
    {
        let error = failure(&to(target));
        assert!(error.kind() == ErrorKind::Redirect && error.to_string().contains(words), "{error}");
    }
}

#[test]
fn too_little_room_is_said_before_a_byte_is_written() {
    let json = format!(
        r#"{{"sha": "{0}", "siblings": [{{"rfilename": "m.gguf", "size": 1, "lfs": {{"sha256": "{0}{1}", "size": {2}}}}}]}}"#,
        "a".repeat(40),
        "b".repeat(24),
        1_u64 << 60
    );
    let fixture = Fixture::new(model(), move |_, _| Some(Fault::Status(200, String::new(), json.clone())));
    let error = failure(&fixture);
    assert!(
        error.kind() == ErrorKind::NoRoom && error.to_string().contains("needs 1152921504.6 GB more"),
        "{error}"
    );
    assert_eq!((fixture.server.received().len(), fixture.blobs().len()), (1, 0));
}

#[cfg(target_os = "linux")]
#[test]
fn a_disk_that_fills_up_is_named() {
    let fixture = Fixture::new(model(), |_, _| None);
    let blob = model().files.into_iter().find(|file| file.path == WEIGHTS).unwrap().blob;
    let folder = fixture.hub.cache.join("models--Owner--Tiny-Model/blobs");
    std::fs::create_dir_all(&folder).unwrap();
    std::os::unix::fs::symlink("/dev/full", folder.join(format!("{blob}.incomplete"))).unwrap();
    let error = failure(&fixture);
    assert!(error.kind() == ErrorKind::NoRoom && error.to_string().contains("the disk is full"), "{error}");
}

#[test]
fn connections_that_cannot_be_made() {
    let fixture = Fixture::new(model(), |_, _| None);
    let at = |endpoint: &str| {
        let mut hub = Hub::new(endpoint, &fixture.hub.cache).unwrap();
        hub.retry = fixture.hub.retry;
        pull(&hub, &NAME.parse().unwrap(), &mut |_| ControlFlow::Continue(())).unwrap_err()
    };
    // A port that nobody listens at: it was free a moment ago.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let refused = at(&format!("http://127.0.0.1:{free}"));
    assert!(
        refused.kind() == ErrorKind::Network && refused.to_string().contains("refuses connections"),
        "{refused}"
    );
    for says in ["HTTP/1.1 400 Bad Request\r\n\r\n", ""] {
        let clear = at(&format!("https://127.0.0.1:{}", port_that_says(says)));
        assert_eq!(clear.kind(), ErrorKind::Tls, "{clear}");
    }
}

/// A port that answers whatever is sent with a text, and closes.
fn port_that_says(text: &'static str) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for mut stream in listener.incoming().flatten() {
            let _ = stream.read(&mut [0; 4096]).and_then(|_| stream.write_all(text.as_bytes()));
        }
    });
    port
}
