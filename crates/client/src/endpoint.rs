//! Where requests go: addresses without secrets in them, and which of them may see a key.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::error::{ClientError, ErrorKind, Result};
use crate::secret::Secret;

const MAX_URL: usize = 2048;

/// The path of the one dialect, below the base URL.
const CHAT: &str = "/chat/completions";

/// An address `http[s]://host[:port][/path]`: ASCII, without credentials, query or fragment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpUrl {
    is_https: bool,
    host: String,
    port: Option<u16>,
    path: String,
}

impl HttpUrl {
    /// Reads an address.
    ///
    /// # Errors
    /// [`ErrorKind::Input`], which quotes nothing that may be a secret.
    pub fn parse(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.len() > MAX_URL || !text.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\') {
            return Err(refused(
                "has blanks, backslashes or characters beyond ASCII, or is longer than an address is: write a host \
                 of other letters in its `xn--` form",
            ));
        }
        let Some((scheme, rest)) = text.split_once("://") else {
            return Err(refused("does not begin with http:// or https://"));
        };
        let is_https = scheme.eq_ignore_ascii_case("https");
        if !is_https && !scheme.eq_ignore_ascii_case("http") {
            return Err(refused("is neither http:// nor https://"));
        }
        if rest.contains(['?', '#']) {
            return Err(refused(
                "has a query or a fragment: leave it out; a key goes into the key's own place",
            ));
        }
        let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
        if authority.contains('@') {
            return Err(refused("has a user name or a password: leave it out"));
        }
        let (host, port) = host_and_port(authority)
            .ok_or_else(|| refused("has no host, or a port that is not a number from 1 to 65535"))?;
        Ok(Self { is_https, host, port, path: path.trim_end_matches('/').to_owned() })
    }

    /// Whether the connection is encrypted.
    pub fn is_https(&self) -> bool {
        self.is_https
    }

    /// The host, in lower case; an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// The port, also where the address names none.
    pub fn port(&self) -> u16 {
        self.port.unwrap_or(if self.is_https { 443 } else { 80 })
    }

    /// The path, empty for the root.
    pub fn path(&self) -> &str {
        &self.path
    }

    /// Host and port as a `Host` header has them.
    pub fn authority(&self) -> String {
        let host = if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        self.port.map_or(host.clone(), |port| format!("{host}:{port}"))
    }

    /// Whether it is this machine, by its name or its number.
    pub fn is_loopback(&self) -> bool {
        let host = self.host.strip_suffix('.').unwrap_or(&self.host);
        host == "localhost"
            || host.ends_with(".localhost")
            || host.parse::<Ipv4Addr>().is_ok_and(|address| address.is_loopback())
            || host.parse::<Ipv6Addr>().is_ok_and(|address| address.is_loopback())
    }

    fn with_path(&self, path: String) -> Self {
        Self { path, ..self.clone() }
    }
}

impl fmt::Display for HttpUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.is_https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority(), self.path)
    }
}

fn refused(what: &str) -> ClientError {
    let example = "expected an address such as https://api.openai.com/v1 or http://127.0.0.1:11434/v1";
    ClientError::new(ErrorKind::Input, format!("the base URL {what} ({example})"))
}

fn host_and_port(authority: &str) -> Option<(String, Option<u16>)> {
    let (host, port) = if let Some(rest) = authority.strip_prefix('[') {
        let (host, port) = rest.split_once(']')?;
        host.parse::<Ipv6Addr>().ok()?;
        (host, if port.is_empty() { None } else { Some(port.strip_prefix(':')?) })
    } else {
        let (host, port) =
            authority.split_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
        let is_name = |byte: u8| byte.is_ascii_alphanumeric() || b"-._".contains(&byte);
        if host.is_empty() || !host.bytes().all(is_name) {
            return None;
        }
        (host, port)
    };
    let port = match port {
        None | Some("") => None,
        Some(digits) if digits.bytes().all(|byte| byte.is_ascii_digit()) => {
            Some(digits.parse().ok().filter(|&port: &u16| port > 0)?)
        }
        Some(_) => return None,
    };
    Some((host.to_ascii_lowercase(), port))
}

/// A server that speaks the dialect, and the key for it.
#[derive(Clone, Debug)]
pub struct Endpoint {
    base: HttpUrl,
    chat: HttpUrl,
    key: Option<Secret>,
}

impl Endpoint {
    /// The API at `base_url`, which usually ends in `/v1`; a `/chat/completions` behind it does no harm.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for an address that is none, that holds the key, or that would send it in the clear.
    pub fn new(base_url: &str, key: Option<Secret>) -> Result<Self> {
        let endpoint = Self::new_with_key_in_the_clear(base_url, key)?;
        if endpoint.key.is_some() && !endpoint.base.is_https && !endpoint.base.is_loopback() {
            return Err(ClientError::new(
                ErrorKind::Input,
                format!(
                    "{} would send the key over the network in the clear: use https://, leave the key out, or allow it",
                    endpoint.base
                ),
            ));
        }
        Ok(endpoint)
    }

    /// The same where a key may be sent without encryption, on a network that is trusted.
    ///
    /// # Errors
    /// [`ErrorKind::Input`] for an address that is none, or that holds the key.
    pub fn new_with_key_in_the_clear(base_url: &str, key: Option<Secret>) -> Result<Self> {
        if key.as_ref().is_some_and(|key| key.redact(base_url) != base_url && key.expose().len() > 7) {
            return Err(refused("has the key in it: leave it out there"));
        }
        let mut base = HttpUrl::parse(base_url)?;
        if let Some(path) = base.path.strip_suffix(CHAT) {
            base = base.with_path(path.trim_end_matches('/').to_owned());
        }
        let chat = base.with_path(format!("{}{CHAT}", base.path));
        Ok(Self { base, chat, key })
    }

    /// The address without the path of the dialect.
    pub fn base(&self) -> &HttpUrl {
        &self.base
    }

    /// Where chats are completed.
    pub fn chat(&self) -> &HttpUrl {
        &self.chat
    }

    /// The key.
    pub fn key(&self) -> Option<&Secret> {
        self.key.as_ref()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const KEY: &str = "sk-1234567890abcdef";

    #[test]
    fn addresses_are_read() {
        for (text, chat, host, port) in [
            (
                "https://api.openai.com/v1",
                "https://api.openai.com/v1/chat/completions",
                "api.openai.com",
                443,
            ),
            (
                " HTTP://LocalHost:11434/v1/ ",
                "http://localhost:11434/v1/chat/completions",
                "localhost",
                11434,
            ),
            ("http://[::1]:8080", "http://[::1]:8080/chat/completions", "::1", 8080),
            ("https://h/a/chat/completions", "https://h/a/chat/completions", "h", 443),
        ] {
            let endpoint = Endpoint::new(text, None).unwrap();
            assert_eq!(endpoint.chat().to_string(), chat);
            assert_eq!((endpoint.base().host(), endpoint.base().port()), (host, port), "{text}");
        }
    }

    #[test]
    fn other_addresses_are_refused_without_quoting_them() {
        for (text, part) in [
            ("api.openai.com/v1", "does not begin with"),
            ("ftp://host/v1", "neither http://"),
            ("file:///etc/passwd", "neither http://"),
            ("https://me:hunter2@host/v1", "password"),
            ("https://hunter2@host/v1", "password"),
            ("https://host/v1?key=hunter2", "query"),
            ("https://host/v1#hunter2", "fragment"),
            ("https:///v1", "no host"),
            ("https://host:0/v1", "port"),
            ("https://host:65536/v1", "port"),
            ("https://host:+80/v1", "port"),
            ("https://[::1/v1", "no host"),
            ("https://[hunter2]/v1", "no host"),
            ("https://hö.st/v1", "xn--"),
            ("https://host\\@hunter2/v1", "backslashes"),
            ("https://host/v1 hunter2", "blanks"),
            ("", "does not begin with"),
        ] {
            let error = Endpoint::new(text, None).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Input, "{text}");
            assert!(
                error.to_string().contains(part) && !error.to_string().contains("hunter2"),
                "{text}: {error}"
            );
        }
    }

    #[test]
    fn a_key_goes_in_the_clear_to_this_machine_only() {
        let key = || Some(Secret::new(KEY).unwrap());
        for here in ["http://localhost/v1", "http://api.localhost", "http://127.8.0.1:1", "http://[::1]"] {
            assert!(Endpoint::new(here, key()).is_ok(), "{here}");
        }
        for away in [
            "http://127.0.0.1.example.org",
            "http://localhost.example.org",
            "http://10.0.0.1/v1",
            "http://127.1",
        ] {
            let error = Endpoint::new(away, key()).unwrap_err();
            assert!(
                error.to_string().contains("in the clear") && !error.to_string().contains(KEY),
                "{error}"
            );
            assert!(Endpoint::new(away, None).is_ok());
            assert!(Endpoint::new_with_key_in_the_clear(away, key()).is_ok());
        }
        assert!(Endpoint::new("https://10.0.0.1/v1", key()).is_ok());
        let error = Endpoint::new(&format!("https://host/{KEY}/v1"), key()).unwrap_err();
        assert!(
            error.to_string().contains("has the key in it") && !error.to_string().contains(KEY),
            "{error}"
        );
        assert!(!format!("{:?}", Endpoint::new("https://host/v1", key()).unwrap()).contains(KEY));
    }
}
