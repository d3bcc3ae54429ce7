//! The transport of native hosts: HTTP/1.1 over TCP, and TLS with the certificates of the machine.
//!
//! Why not an HTTP library: all of them switch on features of small crates that the tensor library uses too, which would
//! then be built a second time. What an answer in one connection takes is small: `http1` reads it, `connection` moves
//! the bytes, and here is how the two meet.
//!
//! 1. One connection a request, closed after it. An answer of a language model takes seconds, a handshake milliseconds.
//! 2. No redirection is followed, so that a key goes nowhere else; the caller sees the status.
//! 3. No proxy is used.
//! 4. Certificates are those of the machine; `SSL_CERT_FILE` and `SSL_CERT_DIR` name others.

mod connection;
mod http1;

use std::future::Future;
use std::io;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use rustls::{ClientConfig, RootCertStore};
use tokio::runtime::{Builder, Runtime};

use crate::error::ErrorKind;
use crate::transport::{Body, Request, Response, Transport, TransportError};
use connection::Connection;
use http1::{Decoder, head};

const USER_AGENT: &str = concat!("conclave/", env!("CARGO_PKG_VERSION"));

/// Bytes that are read at once.
const READ: usize = 16 << 10;

/// How connections are made.
#[derive(Clone, Debug)]
pub struct NativeOptions {
    /// The time that finding the host, connecting and the TLS handshake may take together.
    pub connect_timeout: Duration,
    /// Certificates to trust beside those of the machine, in DER.
    pub extra_roots: Vec<Vec<u8>>,
}

impl Default for NativeOptions {
    fn default() -> Self {
        Self { connect_timeout: Duration::from_secs(15), extra_roots: Vec::new() }
    }
}

/// Sockets and a clock, in one thread.
#[derive(Debug)]
pub struct Native {
    runtime: Runtime,
    options: NativeOptions,
    /// Read when the first encrypted connection is made.
    tls: OnceLock<Result<Arc<ClientConfig>, String>>,
}

impl Native {
    /// A transport.
    ///
    /// # Errors
    /// What the system reports when it gives no event queue.
    pub fn new(options: NativeOptions) -> io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_all().build()?;
        Ok(Self { runtime, options, tls: OnceLock::new() })
    }

    /// Runs a future that uses this transport, on this thread. It must not be called within another.
    pub fn block_on<V>(&self, future: impl Future<Output = V>) -> V {
        self.runtime.block_on(future)
    }

    fn tls(&self) -> Result<Arc<ClientConfig>, TransportError> {
        let config = self.tls.get_or_init(|| client_config(&self.options.extra_roots));
        config.clone().map_err(|detail| TransportError::new(ErrorKind::Tls, detail))
    }
}

fn client_config(extra_roots: &[Vec<u8>]) -> Result<Arc<ClientConfig>, String> {
    let mut roots = RootCertStore::empty();
    let found = rustls_native_certs::load_native_certs();
    let (mut trusted, _) = roots.add_parsable_certificates(found.certs);
    trusted += roots.add_parsable_certificates(extra_roots.iter().map(|der| der.as_slice().into())).0;
    if trusted == 0 {
        return Err("no certificates are found on this machine: install ca-certificates, or name a file in \
                    SSL_CERT_FILE"
            .to_owned());
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| error.to_string())?;
    Ok(Arc::new(config.with_root_certificates(roots).with_no_client_auth()))
}

impl Transport for Native {
    type Body = NativeBody;

    async fn post(&self, request: Request<'_>) -> Result<Response<NativeBody>, TransportError> {
        let tls = if request.url.is_https() { Some(self.tls()?) } else { None };
        let connecting = Connection::open(request.url, tls);
        let connected = tokio::time::timeout(self.options.connect_timeout, connecting).await;
        let seconds = self.options.connect_timeout.as_secs_f64();
        let late = |_| TransportError::new(ErrorKind::Timeout, format!("it took more than {seconds} s"));
        let mut connection = connected.map_err(late)??;
        // Its head is one write and its body another, so that no copy of the key is made beside that of the head.
        connection.write(head_of(&request).as_bytes()).await?;
        connection.write(request.body).await?;
        receive(connection).await
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

fn head_of(request: &Request<'_>) -> String {
    let path = if request.url.path().is_empty() { "/" } else { request.url.path() };
    let mut head = format!("POST {path} HTTP/1.1\r\nHost: {}\r\n", request.url.authority());
    head += &format!("User-Agent: {USER_AGENT}\r\nContent-Length: {}\r\n", request.body.len());
    head += "Content-Type: application/json\r\nAccept: text/event-stream, application/json\r\n";
    head += "Accept-Encoding: identity\r\nConnection: close\r\n";
    if let Some(key) = request.key {
        head += &format!("Authorization: Bearer {}\r\n", key.expose());
    }
    head + "\r\n"
}

/// Reads the head of the answer, past those that only announce it (1xx).
async fn receive(mut connection: Connection) -> Result<Response<NativeBody>, TransportError> {
    let mut received = Vec::new();
    loop {
        if let Some((head, length)) = head(&received)? {
            received.drain(..length);
            if (100..200).contains(&head.status) {
                continue;
            }
            let decoder = Decoder::new(&head)?;
            let body = NativeBody { connection, decoder, received };
            return Ok(Response { status: head.status, headers: head.headers, body });
        }
        if connection.read(&mut received, READ).await? == 0 {
            return Err(TransportError::new(ErrorKind::Disconnected, "before it said anything"));
        }
    }
}

/// The bytes of an answer. Dropped, it closes the connection.
#[derive(Debug)]
pub struct NativeBody {
    connection: Connection,
    decoder: Decoder,
    /// Read from the connection and not decoded yet.
    received: Vec<u8>,
}

impl Body for NativeBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let mut chunk = Vec::new();
        loop {
            self.decoder.decode(&self.received, &mut chunk)?;
            self.received.clear();
            if !chunk.is_empty() {
                return Ok(Some(chunk));
            }
            if self.decoder.is_done() {
                return Ok(None);
            }
            if self.connection.read(&mut self.received, READ).await? == 0 {
                return self.decoder.end().map(|()| None);
            }
        }
    }
}
