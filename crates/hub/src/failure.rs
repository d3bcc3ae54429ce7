//! What `reqwest` says went wrong with a connection, by our names and with a remedy.
//!
//! Its errors are nested: its own around hyper's, around those of sockets and of rustls. The innermost says most. Addresses are
//! taken out of them: a redirected one carries a signature that reads the file.

use std::error::Error;
use std::io;
use std::iter::successors;

use crate::error::{Again, ErrorKind, HubError};

const BROKEN_OFF: [io::ErrorKind; 4] = [
    io::ErrorKind::UnexpectedEof,
    io::ErrorKind::ConnectionReset,
    io::ErrorKind::ConnectionAborted,
    io::ErrorKind::BrokenPipe,
];

/// No client could be made: this machine has no certificates.
pub fn of_client(error: &reqwest::Error) -> HubError {
    let detail = innermost(error);
    HubError::new(
        ErrorKind::Tls,
        format!(
            "no encrypted connection can be made: {detail}. Install the certificates of the system (the package `ca-certificates`), or name them in SSL_CERT_FILE"
        ),
    )
}

/// No answer has begun.
pub fn of_request(error: &reqwest::Error, host: &str) -> HubError {
    if !error.is_connect() {
        return of_answer(error, host);
    }
    let detail = innermost(error);
    let network = |message: String| HubError::new(ErrorKind::Network, message).again(Again::Soon);
    match () {
        () if error.is_dns() => network(format!(
            "cannot find the host `{host}` ({detail}): is there a network, and is the address in HF_ENDPOINT right?"
        )),
        () if is_tls(error) => of_tls(host, &detail),
        // While a connection is made, only the handshake of TLS reads and writes.
        () if is_io(error, &BROKEN_OFF) => HubError::new(
            ErrorKind::Tls,
            format!(
                "no encrypted connection to `{host}` came about ({detail}): does it speak https, and does nothing on the way \
                 forbid it?"
            ),
        )
        .again(Again::Soon),
        () if error.is_timeout() => network(format!(
            "cannot reach `{host}` in time: is there a way out of this network (a proxy is named in HTTPS_PROXY)?"
        )),
        () if is_io(error, &[io::ErrorKind::ConnectionRefused]) => {
            network(format!("`{host}` refuses connections: is it a hub, and is it running?"))
        }
        () => network(format!(
            "cannot connect to `{host}` ({detail}): is there a network, or a proxy to be named in HTTPS_PROXY?"
        )),
    }
}

/// An answer broke off, or is none.
pub fn of_answer(error: &reqwest::Error, host: &str) -> HubError {
    let detail = innermost(error);
    match () {
        () if is_tls(error) && !is_io(error, &[io::ErrorKind::UnexpectedEof]) => of_tls(host, &detail),
        () if error.is_timeout() => {
            HubError::new(ErrorKind::Network, format!("`{host}` has sent nothing for a while"))
                .again(Again::Soon)
        }
        () => HubError::new(ErrorKind::Network, format!("the connection to `{host}` broke off ({detail})"))
            .again(Again::Soon),
    }
}

fn of_tls(host: &str, detail: &str) -> HubError {
    HubError::new(
        ErrorKind::Tls,
        format!(
            "the connection to `{host}` cannot be trusted ({detail}): is the clock of this machine right? Behind a proxy \
             that reads along, name its certificate in SSL_CERT_FILE"
        ),
    )
}

fn is_tls(error: &reqwest::Error) -> bool {
    causes(error).any(|cause| cause.is::<rustls::Error>())
}

fn is_io(error: &reqwest::Error, kinds: &[io::ErrorKind]) -> bool {
    causes(error).filter_map(|cause| cause.downcast_ref::<io::Error>()).any(|io| kinds.contains(&io.kind()))
}

/// What the innermost cause says; never the outermost, which names the address.
fn innermost(error: &reqwest::Error) -> String {
    causes(error).skip(1).last().map_or_else(|| "no more is known".to_owned(), ToString::to_string)
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
