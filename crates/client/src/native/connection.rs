//! A connection, encrypted or not: opened, written and read, each failure by its name.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::Arc;

use rustls::ClientConfig;
use rustls::pki_types::ServerName;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpStream, lookup_host};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use crate::endpoint::HttpUrl;
use crate::error::ErrorKind;
use crate::transport::TransportError;

trait Stream: AsyncRead + AsyncWrite + Unpin {}
impl Stream for TcpStream {}
impl Stream for TlsStream<TcpStream> {}

/// A connection to a server.
pub struct Connection(Box<dyn Stream>);

impl std::fmt::Debug for Connection {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Connection")
    }
}

impl Connection {
    /// Connects to the server of `url`, encrypted where a configuration for it is given.
    pub async fn open(url: &HttpUrl, tls: Option<Arc<ClientConfig>>) -> Result<Self, TransportError> {
        let stream = connect(url).await?;
        // Small writes go out at once; where that cannot be had it is only slower.
        let _ = stream.set_nodelay(true);
        let Some(config) = tls else { return Ok(Self(Box::new(stream))) };
        let name = ServerName::try_from(url.host().to_owned());
        let name = name.map_err(|error| TransportError::new(ErrorKind::Tls, error))?;
        let stream = TlsConnector::from(config).connect(name, stream).await;
        let stream = stream.map_err(|error| TransportError::new(ErrorKind::Tls, error))?;
        Ok(Self(Box::new(stream)))
    }

    /// Writes all of it.
    pub async fn write(&mut self, mut bytes: &[u8]) -> Result<(), TransportError> {
        while !bytes.is_empty() {
            let written = poll_fn(|context| Pin::new(&mut self.0).poll_write(context, bytes)).await;
            match written.map_err(broken)? {
                0 => return Err(TransportError::new(ErrorKind::Disconnected, "it takes no request")),
                written => bytes = &bytes[written..],
            }
        }
        poll_fn(|context| Pin::new(&mut self.0).poll_flush(context)).await.map_err(broken)
    }

    /// Reads what is there, at most `length` bytes, onto the end of `bytes`; 0 is the end.
    pub async fn read(&mut self, bytes: &mut Vec<u8>, length: usize) -> Result<usize, TransportError> {
        let before = bytes.len();
        bytes.resize(before + length, 0);
        let mut buffer = ReadBuf::new(&mut bytes[before..]);
        let outcome = poll_fn(|context| Pin::new(&mut self.0).poll_read(context, &mut buffer)).await;
        let read = buffer.filled().len();
        bytes.truncate(before + read);
        match outcome {
            Ok(()) => Ok(read),
            // An end without a goodbye. Whether it is too early is for the reader of the body to say.
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(0),
            Err(error) => Err(broken(error)),
        }
    }
}

async fn connect(url: &HttpUrl) -> Result<TcpStream, TransportError> {
    let addresses = lookup_host((url.host(), url.port())).await;
    let addresses = addresses.map_err(|error| TransportError::new(ErrorKind::UnknownHost, error))?;
    let mut failure = None;
    for address in addresses {
        match TcpStream::connect(address).await {
            Ok(stream) => return Ok(stream),
            Err(error) => failure = Some(error),
        }
    }
    Err(match failure {
        None => TransportError::new(ErrorKind::UnknownHost, "it has no address"),
        Some(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => TransportError::new(ErrorKind::Refused, ""),
            io::ErrorKind::TimedOut => TransportError::new(ErrorKind::Timeout, error),
            _ => TransportError::new(ErrorKind::Network, error),
        },
    })
}

fn broken(error: io::Error) -> TransportError {
    TransportError::new(ErrorKind::Disconnected, error)
}
