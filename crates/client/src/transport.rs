//! The seam to the platform: a request sent, its answer in chunks, and time that passes.
//!
//! A native host implements [`Transport`] with `reqwest` (feature `native`), a browser over `fetch` and `setTimeout`. What
//! an answer means, how long to wait and when to ask again is decided above it.
//!
//! The futures have no `Send` bound: those of a browser hold JS values, and everything runs in the task of the caller.
//! **Dropping is aborting**: whoever drops the future of [`Transport::post`] or a [`Body`] wants the connection closed
//! (a browser calls `AbortController.abort`), and of [`Transport::sleep`] the timer cleared. Timeouts and cancellation
//! need nothing else.

use std::fmt;
use std::time::Duration;

use crate::endpoint::HttpUrl;
use crate::error::{ClientError, ErrorKind, quote};
use crate::secret::Secret;

/// A `POST` of JSON.
#[derive(Debug)]
pub struct Request<'a> {
    /// Where to; `Display` gives the address as text.
    pub url: &'a HttpUrl,
    /// What goes into the header `Authorization: Bearer ...`, and nowhere else. A transport must not log it, and must
    /// not follow a redirection.
    pub key: Option<&'a Secret>,
    /// JSON in UTF-8, for the headers `Content-Type: application/json` and `Accept: text/event-stream, application/json`.
    pub body: &'a [u8],
}

/// An answer whose body is still coming. Any status is an answer.
#[derive(Debug)]
pub struct Response<B> {
    /// The status: 200, 404, ...
    pub status: u16,
    /// Names and values; in a browser those that CORS lets through.
    pub headers: Vec<(String, String)>,
    /// The rest.
    pub body: B,
}

impl<B> Response<B> {
    /// The value of the first header of this name, in any case.
    pub fn header(&self, name: &str) -> Option<&str> {
        let header = self.headers.iter().find(|(header, _)| header.eq_ignore_ascii_case(name));
        header.map(|(_, value)| value.as_str())
    }
}

/// The bytes of an answer, as they come.
#[allow(async_fn_in_trait)]
pub trait Body {
    /// The next chunk, of any size; `None` at the end.
    ///
    /// # Errors
    /// Where the connection breaks before the end.
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError>;
}

/// The network and the clock of a host.
#[allow(async_fn_in_trait)]
pub trait Transport {
    /// The bytes of an answer.
    type Body: Body;

    /// Sends a request and waits for the head of its answer.
    ///
    /// # Errors
    /// Where no answer comes; an answer that says no is none of these.
    async fn post(&self, request: Request<'_>) -> Result<Response<Self::Body>, TransportError>;

    /// Waits.
    async fn sleep(&self, duration: Duration);
}

/// Why there is no answer, or not all of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TransportError {
    /// What sort of thing went wrong: `Refused`, `UnknownHost`, `Tls`, `Cors`, `Network`, `Disconnected`, `Timeout`,
    /// `Malformed`, `NotFound` for a redirection that the platform hides, or `Input` for an address that it does not take.
    pub kind: ErrorKind,
    /// What the platform says.
    pub detail: String,
}

impl TransportError {
    /// An error of `kind`.
    pub fn new(kind: ErrorKind, detail: impl fmt::Display) -> Self {
        Self { kind, detail: detail.to_string() }
    }

    /// The same in the words of this crate. `at` is the address, and `key` what must not be in the detail.
    pub(crate) fn at(&self, at: &HttpUrl, key: Option<&Secret>) -> ClientError {
        let what = match self.kind {
            ErrorKind::Refused => format!("nothing listens at {at}"),
            ErrorKind::UnknownHost => format!("cannot find the host of {at}"),
            ErrorKind::Tls => format!("no encrypted connection to {at}"),
            ErrorKind::Cors => format!("{at} does not let this page read its answers"),
            ErrorKind::NotFound => format!("{at} redirects to somewhere else"),
            ErrorKind::Timeout => format!("no connection to {at} in time"),
            ErrorKind::Disconnected => format!("{at} broke off its answer"),
            ErrorKind::Malformed => format!("{at} does not speak HTTP as it should"),
            _ => format!("cannot reach {at}"),
        };
        let detail = quote(&self.detail, key);
        let message = if detail.is_empty() { what } else { format!("{what} ({detail})") };
        ClientError::new(self.kind, message)
    }
}
