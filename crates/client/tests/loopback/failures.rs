//! Failures of servers, each by its name: refusals, answers that are none or break off, and silence.

use std::net::TcpStream;
use std::sync::Barrier;
use std::time::Duration;

use conclave_client::{ErrorKind, SampleRequest, Timeouts};

use crate::server::{Server, begin_stream, chunk, event, hang, respond, write};
use crate::{KEY, kinds, request, sample};

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
        (|s| write(s, "SSH-2.0-OpenSSH_9\r\n"), ErrorKind::Malformed, "does not speak HTTP"),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n"),
            ErrorKind::Malformed,
            "chunk",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip\r\n\r\n\u{1f}\u{1}"),
            ErrorKind::Malformed,
            "no `choices`",
        ),
        (
            |s| write(s, &format!("HTTP/1.1 200 OK\r\nA: {}", "x".repeat(1 << 20))),
            ErrorKind::Malformed,
            "does not speak HTTP",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello"),
            ErrorKind::Malformed,
            "does not speak HTTP",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\ndata: {"),
            ErrorKind::Disconnected,
            "broke off",
        ),
        (
            |s| write(s, "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\ndata: {"),
            ErrorKind::Disconnected,
            "broke off",
        ),
        (|_| {}, ErrorKind::Disconnected, "before message completed"),
    ];
    for (number, &(answer, kind, part)) in cases.iter().enumerate() {
        let server = Server::start(move |_, _, stream| answer(stream));
        let (sampled, told) = sample(&server.base_url(), &request(1));
        assert_eq!(kinds(&sampled), [(0, kind)], "case {number}: {told}");
        assert!(told.contains(part), "case {number}: no `{part}` in {told}");
        let retried = matches!(kind, ErrorKind::Server) && !told.contains("no memory");
        let retried = retried || told.contains("message completed") || (part == "wait" && number == 8);
        assert_eq!(server.count(), if retried { 5 } else { 1 }, "case {number}: {told}");
    }
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
fn what_all_would_run_into_is_run_into_once() {
    // Both of the first two are there before one of them is refused.
    let both = Barrier::new(2);
    let server = Server::start(move |_, _, stream| {
        both.wait();
        respond(stream, "401 Unauthorized", "", "{}");
    });
    let (sampled, told) = sample(&server.base_url(), &SampleRequest { concurrency: 2, ..request(9) });
    assert_eq!(sampled.failures.len(), 9, "{told}");
    assert!(kinds(&sampled).iter().all(|(_, kind)| *kind == ErrorKind::WrongKey), "{told}");
    assert_eq!(server.count(), 2);
}
