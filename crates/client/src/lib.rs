//! Candidates from black-box language models, over a transport that the host provides.
//!
//! [`sample_candidates`] asks an OpenAI-compatible API for several answers to one problem at once and gives what arrived,
//! and why the rest did not. Here are the dialect ([`chat`], streamed through [`sse`]), the addresses it may be spoken to
//! ([`endpoint`]), the key ([`secret`]), the named failures ([`error`]) and the seam to the platform ([`transport`]).
//! What does not live here: sockets and `fetch`, which hosts bring (the feature `native` has those of native
//! hosts); files; what an answer is (`conclave-core`).
//!
//! Decisions:
//! 1. One candidate a request: every server knows that, few know `n`, and a failure costs one candidate.
//! 2. What a server sends is untrusted and bounded: lines, events, whole answers, and the part of an error that is quoted.
//! 3. The key is in one place of memory ([`Secret`]) and one header. It is in no address, error or candidate.

pub mod cancel;
pub mod chat;
mod concurrent;
pub mod endpoint;
pub mod error;
#[cfg(feature = "native")]
pub mod native;
pub mod retry;
pub mod sample;
pub mod secret;
pub mod sse;
pub mod transport;

pub use cancel::Cancel;
pub use endpoint::{Endpoint, HttpUrl};
pub use error::{ClientError, ErrorKind};
pub use retry::Retries;
pub use sample::{Event, Failure, SampleRequest, Sampled, Timeouts, sample_candidates};
pub use secret::Secret;
pub use transport::{Body, Request, Response, Transport, TransportError};
