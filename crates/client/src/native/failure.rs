//! What `reqwest` says went wrong, by our names.
//!
//! Its errors are nested: its own around hyper's, around those of sockets and of rustls. The innermost says most. Its own
//! may name the address, which is taken out of them first; who asked says it.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::error::ErrorKind;
use crate::transport::TransportError;

/// No client could be made: there are no certificates on this machine, or one that is passed in is none.
pub fn of_client(error: reqwest::Error) -> TransportError {
    named(ErrorKind::Tls, error)
}

/// No answer has begun.
pub fn of_request(error: reqwest::Error) -> TransportError {
    match () {
        // An address that passed as one of ours and is none all the same, such as `https://1.2.3.4.5/`.
        () if error.is_builder() => named(ErrorKind::Input, error),
        () if error.is_connect() => named(of_connecting(&error), error),
        () => of_answer(error),
    }
}

/// It broke off, or is none.
pub fn of_answer(error: reqwest::Error) -> TransportError {
    let is_parse = |cause: &(dyn Error + 'static)| cause.downcast_ref().is_some_and(hyper::Error::is_parse);
    let is_framing = is_io(&error, &[io::ErrorKind::InvalidInput, io::ErrorKind::InvalidData]);
    let is_malformed = causes(&error).any(is_parse) || (is_framing && !is_tls(&error));
    named(if is_malformed { ErrorKind::Malformed } else { ErrorKind::Disconnected }, error)
}

fn of_connecting(error: &reqwest::Error) -> ErrorKind {
    // While a connection is made, only the handshake of TLS reads and writes.
    let in_handshake = [
        io::ErrorKind::UnexpectedEof,
        io::ErrorKind::ConnectionReset,
        io::ErrorKind::ConnectionAborted,
        io::ErrorKind::BrokenPipe,
    ];
    match () {
        () if error.is_dns() => ErrorKind::UnknownHost,
        () if error.is_timeout() => ErrorKind::Timeout,
        () if is_io(error, &[io::ErrorKind::ConnectionRefused]) => ErrorKind::Refused,
        () if is_tls(error) || is_io(error, &in_handshake) => ErrorKind::Tls,
        () => ErrorKind::Network,
    }
}

fn named(kind: ErrorKind, error: reqwest::Error) -> TransportError {
    let error = error.without_url();
    let detail = causes(&error).last().map(ToString::to_string);
    // Of a refusal the name says everything.
    TransportError::new(kind, detail.filter(|_| kind != ErrorKind::Refused).unwrap_or_default())
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<rustls::Error>())
}

fn is_io(error: &reqwest::Error, kinds: &[io::ErrorKind]) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| kinds.contains(&io.kind()))
}

/// The error, what caused it, what caused that, and so on.
fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn Error + 'static)> {
    let error: &(dyn Error + 'static) = error;
    successors(Some(error), |&error| match error.downcast_ref::<io::Error>().and_then(io::Error::get_ref) {
        // What an error of sockets carries is not its `source`, which would be the one behind it.
        Some(carried) => Some(carried as &(dyn Error + 'static)),
        None => error.source(),
    })
}
