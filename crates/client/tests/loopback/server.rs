//! A server on this machine that says what a test wants it to say, in whatever pieces.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Request line and headers.
    pub head: String,
    /// The body.
    pub body: Value,
}

impl Received {
    /// The value of a header, whose name is in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        header(&self.head, name)
    }
}

/// What the server has seen so far.
#[derive(Default)]
pub struct Seen {
    pub requests: Mutex<Vec<Received>>,
}

/// A running server; it ends with the test.
pub struct Server {
    pub port: u16,
    pub seen: Arc<Seen>,
}

impl Server {
    /// Answers each connection in a thread of its own. `answer` gets the number of the request, from 0.
    pub fn start(answer: impl Fn(usize, &Received, &mut TcpStream) + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let port = listener.local_addr().expect("an address").port();
        let (seen, answer) = (Arc::new(Seen::default()), Arc::new(answer));
        let theirs = Arc::clone(&seen);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let (seen, answer) = (Arc::clone(&theirs), Arc::clone(&answer));
                std::thread::spawn(move || serve(stream.expect("a connection"), &seen, &*answer));
            }
        });
        Self { port, seen }
    }

    /// The address of the API.
    pub fn base_url(&self) -> String {
        format!("http://127.0.0.1:{}/v1", self.port)
    }

    /// How many requests came.
    pub fn count(&self) -> usize {
        self.seen.requests.lock().unwrap().len()
    }
}

fn serve(mut stream: TcpStream, seen: &Seen, answer: &(dyn Fn(usize, &Received, &mut TcpStream) + Sync)) {
    let Some(received) = receive(&stream) else { return };
    let number = {
        let mut requests = seen.requests.lock().unwrap();
        requests.push(received.clone());
        requests.len() - 1
    };
    answer(number, &received, &mut stream);
}

fn receive(stream: &TcpStream) -> Option<Received> {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let length = header(&head, "content-length")?.parse().ok()?;
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some(Received { head, body: serde_json::from_slice(&body).ok()? })
}

fn header<'h>(head: &'h str, name: &str) -> Option<&'h str> {
    let headers = head.lines().filter_map(|line| line.split_once(':'));
    let mut named = headers.filter(|(header, _)| header.eq_ignore_ascii_case(name));
    named.next().map(|(_, value)| value.trim())
}

/// Writes; a client that has left is no fault of a test.
pub fn write(stream: &mut TcpStream, text: &str) {
    let _ = stream.write_all(text.as_bytes()).and_then(|()| stream.flush());
}

/// A whole answer with a length.
pub fn respond(stream: &mut TcpStream, status: &str, headers: &str, body: &str) {
    write(stream, &format!("HTTP/1.1 {status}\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len()));
}

/// The head of a stream of events.
pub fn begin_stream(stream: &mut TcpStream) {
    write(stream, "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nTransfer-Encoding: chunked\r\n\r\n");
}

/// A chunk of a body.
pub fn chunk(stream: &mut TcpStream, text: &str) {
    write(stream, &format!("{:x}\r\n{text}\r\n", text.len()));
}

/// The event with a piece of text.
pub fn event(text: &str) -> String {
    format!(
        "data: {}\n\n",
        json!({"choices": [{"index": 0, "delta": {"content": text}, "finish_reason": null}]})
    )
}

/// The events that end an answer.
pub fn end() -> String {
    let last = json!({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}], "usage": {"completion_tokens": 2}});
    format!("data: {last}\n\ndata: [DONE]\n\n")
}

/// A whole streamed answer.
pub fn stream_text(stream: &mut TcpStream, pieces: &[&str]) {
    begin_stream(stream);
    for piece in pieces {
        chunk(stream, &event(piece));
    }
    chunk(stream, &end());
    write(stream, "0\r\n\r\n");
}

/// Says nothing more and waits until the client has gone.
pub fn hang(stream: &mut TcpStream) {
    let _ = stream.read(&mut [0]);
}
