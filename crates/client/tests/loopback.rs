//! Candidates from a real server on this machine, over real sockets: what arrives, how many at once, and what is left when
//! someone stops. The failures stand in `failures`, those of connections in `network`.

#[path = "loopback/failures.rs"]
mod failures;
#[path = "loopback/network.rs"]
mod network;
#[path = "loopback/server.rs"]
mod server;

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier, mpsc};
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
    assert_eq!(of_first.header("authorization"), Some(format!("Bearer {KEY}").as_str()), "{}", of_first.head);
    assert_eq!(of_first.header("content-type"), Some("application/json"), "{}", of_first.head);
    let expected = json!({
        "model": "m", "stream": true, "stream_options": {"include_usage": true}, "temperature": 0.5, "max_tokens": 64,
        "seed": 0, "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "1 + 1?"}],
    });
    assert_eq!(of_first.body, expected);
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
        let expected = concurrency.min(num_candidates);
        let (now, most) = (AtomicUsize::new(0), Arc::new(AtomicUsize::new(0)));
        let (theirs, all) = (Arc::clone(&most), Barrier::new(expected));
        let server = Server::start(move |_, _, stream| {
            theirs.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            // As many as are allowed come together; then there is time for more, if they came.
            all.wait();
            stream.set_read_timeout(Some(Duration::from_millis(30))).unwrap();
            let _ = std::io::Read::read(stream, &mut [0]);
            now.fetch_sub(1, Ordering::SeqCst);
            stream_text(stream, &["fine"]);
        });
        let (sampled, told) =
            sample(&server.base_url(), &SampleRequest { concurrency, ..request(num_candidates) });
        assert_eq!(sampled.candidates.len(), num_candidates, "{told}");
        assert_eq!(most.load(Ordering::SeqCst), expected);
    }
}

#[test]
fn stopping_keeps_what_has_arrived() {
    let (left, has_left) = mpsc::channel();
    let server = Server::start(move |_, received, stream| {
        if index(received) < 2 {
            return stream_text(stream, &["fine"]);
        }
        begin_stream(stream);
        chunk(stream, &event("half"));
        hang(stream);
        let _ = left.send(());
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
    // The connection is closed, so that the server writes no more, though nothing here waits for the network now.
    has_left.recv_timeout(Duration::from_secs(20)).expect("the server sees the end of its connection");

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
