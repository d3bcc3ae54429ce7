//! The transport of native hosts: `reqwest`, and what is settled about it.
//!
//! 1. One connection a request, closed after it, and HTTP/1.1. An answer of a language model takes seconds, a handshake
//!    milliseconds. A connection that breaks costs one candidate, and none comes from a pool whose other end is gone.
//! 2. No redirection is followed, so that a key goes nowhere else; the caller sees the status.
//! 3. Proxies are those of the environment (`HTTPS_PROXY`, `NO_PROXY`, ...) and of the system. This machine is reached
//!    without one: a key may go to it in the clear, and a proxy would be somebody else.
//! 4. The platform verifies certificates; on Linux `SSL_CERT_FILE` and `SSL_CERT_DIR` name others. The cryptography is
//!    ring's, where the host has not chosen for the whole process.

mod failure;

use std::fmt;
use std::future::Future;
use std::io;
use std::sync::OnceLock;
use std::time::Duration;

use reqwest::header::{ACCEPT, ACCEPT_ENCODING, CONNECTION, CONTENT_TYPE};
use reqwest::{Certificate, Client, ClientBuilder, redirect};
use tokio::runtime::{Builder, Runtime};

use crate::endpoint::HttpUrl;
use crate::transport::{Body, Request, Response, Transport, TransportError};

const USER_AGENT: &str = concat!("conclave/", env!("CARGO_PKG_VERSION"));

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

/// Sockets and a clock.
pub struct Native {
    runtime: Runtime,
    options: NativeOptions,
    /// One for each kind of address, made when the first of it is asked: the certificates of a machine take time to read.
    clients: [OnceLock<Result<Client, TransportError>>; 4],
}

impl fmt::Debug for Native {
    // Clients know the proxies, which may have passwords.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Native").field("options", &self.options).finish_non_exhaustive()
    }
}

impl Native {
    /// A transport.
    ///
    /// # Errors
    /// What the system reports when it gives no thread or no event queue.
    pub fn new(options: NativeOptions) -> io::Result<Self> {
        // An error says that the host has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        // In a thread of their own, connections that are dropped are closed also while nobody waits for an answer.
        let mut builder = Builder::new_multi_thread();
        let runtime = builder.worker_threads(1).thread_name("conclave-network").enable_all().build()?;
        Ok(Self { runtime, options, clients: Default::default() })
    }

    /// Runs a future that uses this transport, on this thread. It must not be called within another.
    pub fn block_on<V>(&self, future: impl Future<Output = V>) -> V {
        self.runtime.block_on(future)
    }

    fn client(&self, url: &HttpUrl) -> Result<&Client, TransportError> {
        let kind = 2 * usize::from(url.is_https()) + usize::from(url.is_loopback());
        self.clients[kind].get_or_init(|| self.options.client(url)).as_ref().map_err(Clone::clone)
    }
}

impl NativeOptions {
    /// A client for addresses of the kind of `url`.
    fn client(&self, url: &HttpUrl) -> Result<Client, TransportError> {
        let roots = self.extra_roots.iter().map(|der| Certificate::from_der(der));
        let roots = roots.collect::<Result<Vec<_>, _>>().map_err(failure::of_client)?;
        let client = match self.builder(url).tls_certs_merge(roots.clone()).build() {
            // A machine without certificates can still do without encryption.
            Err(_) if !url.is_https() => self.builder(url).tls_certs_only(roots).build(),
            client => client,
        };
        client.map_err(failure::of_client)
    }

    fn builder(&self, url: &HttpUrl) -> ClientBuilder {
        let builder = Client::builder()
            .user_agent(USER_AGENT)
            .connect_timeout(self.connect_timeout)
            .redirect(redirect::Policy::none())
            .pool_max_idle_per_host(0)
            .http1_only();
        if url.is_loopback() { builder.no_proxy() } else { builder }
    }
}

impl Transport for Native {
    type Body = NativeBody;

    async fn post(&self, request: Request<'_>) -> Result<Response<NativeBody>, TransportError> {
        let mut asked = self
            .client(request.url)?
            .post(request.url.to_string())
            .header(CONTENT_TYPE, "application/json")
            .header(ACCEPT, "text/event-stream, application/json")
            .header(ACCEPT_ENCODING, "identity")
            .header(CONNECTION, "close")
            .body(request.body.to_vec());
        if let Some(key) = request.key {
            // Marked as sensitive: no log of theirs shows it.
            asked = asked.bearer_auth(key.expose());
        }
        let response = asked.send().await.map_err(failure::of_request)?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let headers = response.headers().iter();
        let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
        Ok(Response { status: response.status().as_u16(), headers, body: NativeBody(response) })
    }

    async fn sleep(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }
}

/// The bytes of an answer. Dropped, it closes the connection.
#[derive(Debug)]
pub struct NativeBody(reqwest::Response);

impl Body for NativeBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let chunk = self.0.chunk().await.map_err(failure::of_answer)?;
        Ok(chunk.map(|bytes| bytes.to_vec()))
    }
}
