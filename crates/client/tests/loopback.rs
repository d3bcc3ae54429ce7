//! Candidates from a real server on this machine, over real sockets: what arrives, and each failure by its name.

#[path = "loopback/server.rs"]
mod server;

use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use conclave_client::native::{Native, NativeOptions};
use conclave_client::{
    Cancel, Endpoint, ErrorKind, Event, Retries, SampleRequest, Sampled, Secret, Timeouts, sample_candidates,
};
use serde_json::{Value, json};
use server::{Received, Server, begin_stream, chunk, end, event, hang, respond, stream_text, write};

const KEY: &str = "sk-not-a-real-key-0123456789";

fn transport() -> Native {
    Native::new(NativeOptions::default()).unwrap()
}

fn request(num_candidates: usize) -> SampleRequest {
    let short = Duration::from_millis(1);
    SampleRequest {
        timeouts: Timeouts { idle: Duration::from_secs(20), total: Duration::from_secs(40) },
        retries: Retries { first_delay: short, ..Retries::default() },
        ..SampleRequest::new("m", "1 + 1?", num_candidates)
    }
}

/// What came of it, and every word that was told on the way.
fn sample(base_url: &str, request: &SampleRequest) -> (Sampled, String) {
    let endpoint = Endpoint::new(base_url, Some(Secret::new(KEY).unwrap())).unwrap();
    let mut told = format!("{endpoint:?}\n");
    let (native, cancel) = (transport(), Cancel::new());
    let mut on_event = |event: Event<'_>| told += &format!("{event:?}\n");
    let sampled = native.block_on(sample_candidates(&native, &endpoint, request, &cancel, &mut on_event));
    let failures = sampled.failures.iter().map(|failure| failure.error.to_string());
    told += &failures.collect::<Vec<_>>().join("\n");
    told += &format!("{sampled:?}");
    assert!(!told.contains(KEY), "the key is told: {told}");
    (sampled, told)
}

fn texts(sampled: &Sampled) -> Vec<(usize, &str)> {
    sampled.candidates.iter().map(|(index, candidate)| (*index, candidate.text.as_str())).collect()
}

fn kinds(sampled: &Sampled) -> Vec<(usize, ErrorKind)> {
    sampled.failures.iter().map(|failure| (failure.index, failure.error.kind())).collect()
}

/// The seed of a request tells which candidate it is for.
fn index(received: &Received) -> u64 {
    received.body["seed"].as_u64().unwrap()
}

#[test]
fn candidates_arrive_in_any_pieces() {
    let server = Server::start(|_, received, stream| match index(received) {
        0 => stream_text(stream, &["1 + 1 ", "= é", "2"]),
        1 => {
            // Byte by byte, with line ends of all kinds and a comment.
            begin_stream(stream);
            let text = format!(": hello\r\n\r\n{}{}", event("zwei é角😀").replace('\n', "\r"), end());
            for byte in text.as_bytes() {
                write(stream, "1\r\n");
                let _ = std::io::Write::write_all(stream, &[*byte, b'\r', b'\n']);
            }
            write(stream, "0\r\n\r\n");
        }
        2 => {
            let whole = json!({"model": "m-2024", "choices": [{"message": {"content": "two"}, "finish_reason": "length"}]});
            respond(stream, "200 OK", "Content-Type: application/json\r\n", &whole.to_string());
        }
        // The end of the connection ends the answer; no blank line, no [DONE].
        _ => {
            let text = event("deux") + end().split("data: [DONE]").next().unwrap().trim_end();
            write(stream, &format!("HTTP/1.1 200 OK\r\n\r\n{text}"));
        }
    });
    let request = SampleRequest {
        seed: Some(0),
        temperature: Some(0.5),
        max_tokens: Some(64),
        system: Some("Be brief.".to_owned()),
        ..request(4)
    };
    let (sampled, told) = sample(&server.base_url(), &request);
    assert_eq!(texts(&sampled), [(0, "1 + 1 = é2"), (1, "zwei é角😀"), (2, "two"), (3, "deux")], "{told}");
    let [first, _, third, _] = sampled.candidates.as_slice() else { panic!("{told}") };
    assert_eq!((first.1.model.as_deref(), first.1.finish_reason.as_deref()), (Some("m"), Some("stop")));
    assert_eq!((&first.1.usage, &first.1.extra["seed"]), (&Some(json!({"completion_tokens": 2})), &json!(0)));
    assert_eq!(third.1.model.as_deref(), Some("m-2024"));
    assert!(third.1.is_truncated());
    for part in ["Started { index: 3 }", "Token { index: 0, text: \"= é\" }", "Done { index: 2"] {
        assert!(told.contains(part), "no `{part}` in {told}");
    }

    let requests = server.seen.requests.lock().unwrap();
    let of_first = requests.iter().find(|received| index(received) == 0).unwrap();
    assert!(of_first.head.starts_with("POST /v1/chat/completions HTTP/1.1\r\n"), "{}", of_first.head);
    assert!(of_first.head.contains(&format!("\r\nAuthorization: Bearer {KEY}\r\n")), "{}", of_first.head);
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5, "max_tokens": 64,
        "seed": 0, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}],
    });
    assert_eq!(of_first.body, expected);
}

#[test]
fn each_failure_has_a_name() {
    type Answer = fn(&mut TcpStream);
    let cases: &[(Answer, ErrorKind, &str)] = &[
        (
            |s| {
                respond(
                    s,
                    "401 Unauthorized",
                    "",
                    &format!("{{\"error\":{{\"message\":\"bad key {KEY}\"}}}}"),
                )
            },
            ErrorKind::WrongKey,
            "\"bad key [key]\"",
        ),
        (|s| respond(s, "403 Forbidden", "", "no"), ErrorKind::WrongKey, "check the key"),
        (
            |s| respond(s, "404 Not Found", "", r#"{"error":{"message":"The model `m` does not exist"}}"#),
            ErrorKind::NoSuchModel,
            "the model `m`",
        ),
        (|s| respond(s, "404 Not Found", "", "404 page not found"), ErrorKind::NotFound, "/v1"),
        (|s| respond(s, "302 Found", "Location: http://127.0.0.1:9/\r\n", ""), ErrorKind::NotFound, "(302)"),
        (|s| respond(s, "402 Payment Required", "", "{}"), ErrorKind::NoCredit, "credit"),
        (
            |s| respond(s, "400 Bad Request", "", r#"{"error":{"message":"too hot"}}"#),
            ErrorKind::Rejected,
            "too hot",
        ),
        (
            |s| respond(s, "429 Too Many Requests", "Retry-After: 3600\r\n", "{}"),
            ErrorKind::RateLimited,
            "wait",
        ),
        (|s| respond(s, "429 Too Many Requests", "Retry-After: 0\r\n", "{}"), ErrorKind::RateLimited, "wait"),
        (
            |s| respond(s, "500 Internal Server Error", "", "\u{1b}[31mboom\u{7}"),
            ErrorKind::Server,
            "\"[31mboom\"",
        ),
        (
            |s| respond(s, "503 Service Unavailable", "", "<html>"),
            ErrorKind::Server,
            "(503), and says: \"a page of HTML\"",
        ),
        (|s| respond(s, "200 OK", "", ""), ErrorKind::Malformed, "is empty"),
        (|s| respond(s, "200 OK", "", "<html>"), ErrorKind::Malformed, "a page of HTML"),
        (|s| respond(s, "200 OK", "", r#"{"hello":1}"#), ErrorKind::Malformed, "no `choices`"),
        (|s| respond(s, "200 OK", "", "data: {]\n\n"), ErrorKind::Malformed, "not JSON: \"{]\""),
        (
            |s| respond(s, "200 OK", "", "data: {\"error\":{\"message\":\"no memory\"}}\n\n"),
            ErrorKind::Server,
            "no memory",
        ),
        (|s| write(s, "SSH-2.0-OpenSSH_9\r\n"), ErrorKind::Malformed, "HTTP/"),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ErrorKind::Malformed,
            "chunk",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n"),
            ErrorKind::Malformed,
            "encoding",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndata: {"),
            ErrorKind::Disconnected,
            "broke off",
        ),
        (|_| {}, ErrorKind::Disconnected, "before it said anything"),
    ];
    for (number, &(answer, kind, part)) in cases.iter().enumerate() {
        let server = Server::start(move |_, _, stream| answer(stream));
        let (sampled, told) = sample(&server.base_url(), &request(1));
        assert_eq!(kinds(&sampled), [(0, kind)], "case {number}: {told}");
        assert!(told.contains(part), "case {number}: no `{part}` in {told}");
        let retried = matches!(kind, ErrorKind::Server) && !told.contains("no memory");
        let retried = retried || told.contains("said anything") || (part == "wait" && number == 8);
        assert_eq!(server.count(), if retried { 5 } else { 1 }, "case {number}: {told}");
    }
}

#[test]
fn failures_of_the_network_have_names() {
    // A port that was free a moment ago.
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let (sampled, told) = sample(&format!("http://127.0.0.1:{port}/v1"), &request(3));
    assert_eq!(kinds(&sampled), [0, 1, 2].map(|index| (index, ErrorKind::Refused)), "{told}");
    assert!(told.contains("is the server running"), "{told}");

    let (sampled, told) = sample("https://nowhere.invalid/v1", &request(1));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::UnknownHost)], "{told}");

    let plain = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = plain.local_addr().unwrap().port();
    std::thread::spawn(move || write(&mut plain.accept().unwrap().0, "HTTP/1.1 400 Bad Request\r\n\r\n"));
    let native =
        Native::new(NativeOptions { extra_roots: vec![CERTIFICATE.to_vec()], ..NativeOptions::default() });
    let (sampled, told) = sample_with(&native.unwrap(), &format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Tls)], "{told}");
}

#[test]
fn a_server_that_says_nothing_is_left() {
    let timeouts = Timeouts { idle: Duration::from_millis(150), total: Duration::from_secs(30) };
    let request_of = |timeouts| SampleRequest { timeouts, ..request(1) };
    let silent = Server::start(|_, _, stream| hang(stream));
    let (sampled, told) = sample(&silent.base_url(), &request_of(timeouts));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Timeout)], "{told}");
    assert!(told.contains("has not answered for 0.15 s"), "{told}");

    let half = Server::start(|_, _, stream| {
        begin_stream(stream);
        chunk(stream, &event("half"));
        hang(stream);
    });
    let (sampled, told) = sample(&half.base_url(), &request_of(timeouts));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Timeout)], "{told}");
    assert!(told.contains("has sent nothing for 0.15 s"), "{told}");
    assert_eq!(sampled.failures[0].partial.as_ref().unwrap().text, "half");

    // Always a little more, never an end: it stops when its client leaves.
    let endless = Server::start(|_, _, stream| {
        begin_stream(stream);
        stream.set_read_timeout(Some(Duration::from_millis(5))).unwrap();
        while std::io::Read::read(stream, &mut [0]).is_err() {
            chunk(stream, &event("."));
        }
    });
    let total = Duration::from_millis(300);
    let (sampled, told) = sample(&endless.base_url(), &request_of(Timeouts { total, ..timeouts }));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Timeout)], "{told}");
    assert!(told.contains("not done with its answer after 0.3 s"), "{told}");

    let busy = Server::start(|_, _, stream| respond(stream, "429 Busy", "Retry-After: 30\r\n", "{}"));
    let (sampled, _) = sample(&busy.base_url(), &request_of(Timeouts { total, ..timeouts }));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Timeout)]);
}

#[test]
fn a_failure_costs_one_candidate() {
    let server = Server::start(|_, received, stream| match index(received) {
        1 => respond(stream, "500 Oops", "", "{}"),
        3 => {
            begin_stream(stream);
            chunk(stream, &event("the answer is "));
        }
        5 => respond(stream, "404 Not Found", "", r#"{"error":"model 'm' not found"}"#),
        _ => stream_text(stream, &["fine"]),
    });
    let request = SampleRequest { seed: Some(0), concurrency: 1, ..request(7) };
    let (sampled, told) = sample(&server.base_url(), &request);
    assert_eq!(texts(&sampled), [0, 2, 4, 6].map(|index| (index, "fine")), "{told}");
    let expected = [(1, ErrorKind::Server), (3, ErrorKind::Disconnected), (5, ErrorKind::NoSuchModel)];
    assert_eq!(kinds(&sampled), expected, "{told}");
    assert_eq!(sampled.failures[1].partial.as_ref().unwrap().text, "the answer is ");
    assert!(!sampled.is_cancelled());
}

#[test]
fn what_all_would_run_into_is_run_into_once() {
    let server = Server::start(|_, _, stream| respond(stream, "401 Unauthorized", "", "{}"));
    let (sampled, told) = sample(&server.base_url(), &SampleRequest { concurrency: 2, ..request(9) });
    assert_eq!(sampled.failures.len(), 9, "{told}");
    assert!(kinds(&sampled).iter().all(|(_, kind)| *kind == ErrorKind::WrongKey), "{told}");
    assert_eq!(server.count(), 2);
}

#[test]
fn a_busy_server_is_asked_again() {
    let server = Server::start(|number, _, stream| match number {
        0 => respond(stream, "429 Too Many Requests", "Retry-After: 0\r\n", "{}"),
        1 => respond(stream, "503 Service Unavailable", "", "{}"),
        2 => {}
        _ => stream_text(stream, &["at last"]),
    });
    let (sampled, told) = sample(&server.base_url(), &request(1));
    assert_eq!(texts(&sampled), [(0, "at last")], "{told}");
    assert_eq!((told.matches("Retrying").count(), server.count()), (3, 4), "{told}");
}

#[test]
fn what_a_server_does_not_know_is_not_sent_again() {
    let server = Server::start(|_, received, stream| {
        for (field, status) in [("stream_options", "422"), ("max_tokens", "400")] {
            if received.body.get(field).is_some() {
                let words = format!("{{\"error\":\"unknown: {field}, use max_completion_tokens\"}}");
                return respond(stream, &format!("{status} Refused"), "", &words);
            }
        }
        stream_text(stream, &["fine"]);
    });
    let request = SampleRequest { max_tokens: Some(7), concurrency: 1, ..request(3) };
    let (sampled, told) = sample(&server.base_url(), &request);
    assert_eq!(texts(&sampled), [0, 1, 2].map(|index| (index, "fine")), "{told}");
    assert_eq!(server.count(), 5);
    let last: Value = server.seen.requests.lock().unwrap()[4].body.clone();
    assert_eq!((&last["max_completion_tokens"], &last["stream_options"]), (&json!(7), &Value::Null));
}

#[test]
fn no_more_requests_than_allowed_at_the_same_time() {
    for (concurrency, num_candidates) in [(1, 4), (3, 9), (64, 5)] {
        let server = Server::start(|_, _, stream| {
            // Long enough for others to come, if they did.
            stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
            let _ = std::io::Read::read(stream, &mut [0]);
            stream_text(stream, &["fine"]);
        });
        let (sampled, told) =
            sample(&server.base_url(), &SampleRequest { concurrency, ..request(num_candidates) });
        assert_eq!(sampled.candidates.len(), num_candidates, "{told}");
        assert_eq!(server.seen.most.load(Ordering::SeqCst), concurrency.min(num_candidates));
    }
}

#[test]
fn stopping_keeps_what_has_arrived() {
    let server = Server::start(|_, received, stream| {
        if index(received) < 2 {
            return stream_text(stream, &["fine"]);
        }
        begin_stream(stream);
        chunk(stream, &event("half"));
        hang(stream);
    });
    let endpoint = Endpoint::new(&server.base_url(), None).unwrap();
    let request = SampleRequest { seed: Some(0), concurrency: 1, ..request(5) };
    let (native, cancel) = (transport(), Cancel::new());
    let stop = cancel.clone();
    let mut on_event = |event: Event<'_>| {
        if let Event::Token { index: 2, .. } = event {
            // From another thread, as a signal would.
            let stop = stop.clone();
            std::thread::spawn(move || stop.cancel());
        }
    };
    let sampled = native.block_on(sample_candidates(&native, &endpoint, &request, &cancel, &mut on_event));
    assert_eq!(texts(&sampled), [(0, "fine"), (1, "fine")]);
    assert_eq!(kinds(&sampled), [2, 3, 4].map(|index| (index, ErrorKind::Cancelled)));
    assert_eq!(sampled.failures[0].partial.as_ref().unwrap().text, "half");
    assert!(sampled.is_cancelled());
    assert_eq!(server.count(), 3);

    let sampled = native.block_on(sample_candidates(&native, &endpoint, &request, &cancel, &mut |_| {}));
    assert_eq!((sampled.candidates.len(), sampled.failures.len(), server.count()), (0, 5, 3));
}

#[test]
fn what_cannot_be_sent_is_refused_before_it_is() {
    let server = Server::start(|_, _, stream| stream_text(stream, &["fine"]));
    for wrong in [
        SampleRequest { model: " ".to_owned(), ..request(2) },
        SampleRequest { temperature: Some(f64::NAN), ..request(2) },
    ] {
        let (sampled, told) = sample(&server.base_url(), &wrong);
        assert_eq!(kinds(&sampled), [(0, ErrorKind::Input), (1, ErrorKind::Input)], "{told}");
    }
    assert_eq!(server.count(), 0);
}

/// A certificate of `localhost` and `127.0.0.1`, which only these tests trust, and its key.
const CERTIFICATE: &[u8] = include_bytes!("loopback/localhost.cert.der");
const CERTIFICATE_KEY: &[u8] = include_bytes!("loopback/localhost.key.der");

fn sample_with(native: &Native, base_url: &str) -> (Sampled, String) {
    let endpoint = Endpoint::new(base_url, None).unwrap();
    let cancel = Cancel::new();
    let sampled = native.block_on(sample_candidates(native, &endpoint, &request(1), &cancel, &mut |_| {}));
    let told = format!("{sampled:?}");
    (sampled, told)
}

/// Answers two connections over TLS.
fn tls_server() -> u16 {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = rustls::ServerConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let key = rustls::pki_types::PrivateKeyDer::try_from(CERTIFICATE_KEY).unwrap();
    let config = config.unwrap().with_no_client_auth().with_single_cert(vec![CERTIFICATE.into()], key);
    let config = Arc::new(config.unwrap());
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::spawn(move || {
        for stream in listener.incoming().take(2) {
            let connection = rustls::ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = rustls::StreamOwned::new(connection, stream.unwrap());
            let mut received = Vec::new();
            while !received.windows(6).any(|end| end == b"1 + 1?") {
                let mut bytes = [0; 1024];
                match std::io::Read::read(&mut stream, &mut bytes) {
                    Ok(read) if read > 0 => received.extend_from_slice(&bytes[..read]),
                    _ => break,
                }
            }
            // Closed without the goodbye of TLS, as many do.
            let answer = format!("HTTP/1.1 200 OK\r\n\r\n{}{}", event("over TLS"), end());
            let _ = std::io::Write::write_all(&mut stream, answer.as_bytes());
        }
    });
    port
}

#[test]
fn a_connection_is_encrypted_to_a_server_that_is_trusted() {
    let port = tls_server();
    let trusting = NativeOptions { extra_roots: vec![CERTIFICATE.to_vec()], ..NativeOptions::default() };
    let (sampled, told) =
        sample_with(&Native::new(trusting).unwrap(), &format!("https://localhost:{port}/v1"));
    assert_eq!(texts(&sampled), [(0, "over TLS")], "{told}");
    let (sampled, told) = sample_with(&transport(), &format!("https://127.0.0.1:{port}/v1"));
    assert_eq!(kinds(&sampled), [(0, ErrorKind::Tls)], "{told}");
}
