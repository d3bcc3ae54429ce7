//! Requests to a hub: redirections followed by hand, and the token kept at home.
//!
//! 1. A redirection from https to http is refused, and one to anything else too.
//! 2. The token goes to the address of the hub (scheme, host and port) and, once a redirection has led away from it, nowhere.
//! 3. Proxies are those of the environment and of the system; this machine is reached without one.

use std::cell::OnceCell;
use std::time::Duration;

use reqwest::header::{ACCEPT_ENCODING, CONTENT_TYPE, HeaderMap, LOCATION, RANGE};
use reqwest::{Client, ClientBuilder, Method, Response, Url, redirect};

use crate::environment::{Hub, is_loopback};
use crate::error::{ErrorKind, HubError, Result};
use crate::failure;
use crate::name::ModelName;
use crate::status::{Asked, refusal};
use crate::watch::Watch;

const USER_AGENT: &str = concat!("conclave/", env!("CARGO_PKG_VERSION"));
const CONNECT_TIMEOUT: Duration = Duration::from_secs(15);
/// How long a connection may be silent.
const READ_TIMEOUT: Duration = Duration::from_secs(60);
const MAX_REDIRECTS: usize = 10;

/// A request for something of a model.
#[derive(Clone, Debug)]
pub struct Request<'r> {
    /// The model, for messages.
    pub name: &'r ModelName,
    /// The file that is asked for; without one, the list of files.
    pub file: Option<&'r str>,
    /// Where.
    pub url: Url,
    /// The first byte that is wanted.
    pub from: u64,
}

/// An answer of success.
#[derive(Debug)]
pub struct Answer {
    /// The headers of the hub itself, also where it sent us elsewhere for the bytes.
    pub hub_headers: HeaderMap,
    /// What came in the end. Of a question for headers alone it may still be a redirection.
    pub response: Response,
    /// The host that it came from.
    pub host: String,
}

/// Connections to a hub and to where it redirects.
pub struct Http<'h> {
    hub: &'h Hub,
    /// Through the proxy, and without one.
    clients: [OnceCell<Client>; 2],
}

impl<'h> Http<'h> {
    pub fn new(hub: &'h Hub) -> Self {
        // An error says that the host has chosen already.
        let _ = rustls::crypto::ring::default_provider().install_default();
        Self { hub, clients: Default::default() }
    }

    /// Asks for bytes.
    pub async fn get(&self, request: &Request<'_>, watch: &mut Watch<'_>) -> Result<Answer> {
        let answer = self.send(Method::GET, request, watch).await?;
        // Not the file but a page about it: a captive portal, the login of a proxy, a wrong endpoint.
        let is_page = header(answer.response.headers(), CONTENT_TYPE.as_str())
            .is_some_and(|kind| kind.to_ascii_lowercase().starts_with("text/html"));
        if is_page { Err(web_page(&answer.host)) } else { Ok(answer) }
    }

    /// Asks for the headers that a hub gives a file, and for no byte of it.
    pub async fn head(&self, request: &Request<'_>, watch: &mut Watch<'_>) -> Result<HeaderMap> {
        Ok(self.send(Method::HEAD, request, watch).await?.hub_headers)
    }

    async fn send(&self, method: Method, request: &Request<'_>, watch: &mut Watch<'_>) -> Result<Answer> {
        let mut url = request.url.clone();
        let mut is_hub = true;
        let mut hub_headers = None;
        for _ in 0..=MAX_REDIRECTS {
            let host = url.host_str().unwrap_or_default().to_owned();
            let mut asked = self.client(&url)?.request(method.clone(), url.clone());
            asked = asked.header(ACCEPT_ENCODING, "identity");
            if request.from > 0 {
                asked = asked.header(RANGE, format!("bytes={}-", request.from));
            }
            if let Some(token) = self.hub.sendable_token().filter(|_| is_hub) {
                // Marked as sensitive by this: no log shows it.
                asked = asked.bearer_auth(token.expose());
            }
            let sent = watch.wait(asked.send()).await?;
            let response = sent.map_err(|error| failure::of_request(&error, &host))?;
            let status = response.status();
            let location =
                status.is_redirection().then(|| header(response.headers(), LOCATION.as_str())).flatten();
            let Some(location) = location else {
                // 416: the caller knows what it asked for.
                if !status.is_success() && status.as_u16() != 416 {
                    let asked = Asked { name: request.name, file: request.file, host: &host, is_hub };
                    return Err(refusal(self.hub, &asked, status.as_u16(), response.headers()));
                }
                let hub_headers = hub_headers.unwrap_or_else(|| response.headers().clone());
                return Ok(Answer { hub_headers, response, host });
            };
            let target = redirected(&url, location)?;
            let is_away = !is_same_origin(&target, &self.hub.endpoint);
            if is_away && is_hub {
                // What the hub says of a file stands in the answer that sends us away.
                hub_headers = Some(response.headers().clone());
                if method == Method::HEAD {
                    return Ok(Answer { hub_headers: response.headers().clone(), response, host });
                }
            }
            is_hub &= !is_away;
            url = target;
        }
        Err(HubError::new(
            ErrorKind::Redirect,
            format!("`{}` sends us from one address to the next ({MAX_REDIRECTS} times)", self.hub.host()),
        ))
    }

    fn client(&self, url: &Url) -> Result<&Client> {
        let is_loopback = is_loopback(url);
        let place = &self.clients[usize::from(is_loopback)];
        if let Some(client) = place.get() {
            return Ok(client);
        }
        let builder = || if is_loopback { builder().no_proxy() } else { builder() };
        let client = match builder().build() {
            // A machine without certificates can still do without encryption.
            Err(_) if url.scheme() == "http" => builder().tls_certs_only([]).build(),
            client => client,
        };
        let client = client.map_err(|error| failure::of_client(&error))?;
        Ok(place.get_or_init(|| client))
    }
}

fn builder() -> ClientBuilder {
    Client::builder()
        .user_agent(USER_AGENT)
        .connect_timeout(CONNECT_TIMEOUT)
        .read_timeout(READ_TIMEOUT)
        .redirect(redirect::Policy::none())
        .pool_max_idle_per_host(0)
        .http1_only()
}

/// The value of a header, if it is text.
pub fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim)
}

/// The error for a page where a file was expected.
pub fn web_page(host: &str) -> HubError {
    HubError::new(
        ErrorKind::Answer,
        format!(
            "`{host}` answered with a web page: a network that wants a login first, a proxy, or an HF_ENDPOINT that is no \
             hub. Open https://{host} in a browser of this machine to see it"
        ),
    )
}

fn redirected(from: &Url, location: &str) -> Result<Url> {
    let host = from.host_str().unwrap_or_default();
    let refused = |what: &str| {
        let message = format!("`{host}` redirects {what}, which is not followed: is HF_ENDPOINT right?");
        HubError::new(ErrorKind::Redirect, message)
    };
    let target = from.join(location).map_err(|_| refused("to something that is not an address"))?;
    match target.scheme() {
        "https" => Ok(target),
        "http" if from.scheme() == "http" => Ok(target),
        "http" => Err(refused("from https:// to http://")),
        _ => Err(refused("to something that is neither https:// nor http://")),
    }
}

fn is_same_origin(left: &Url, right: &Url) -> bool {
    left.origin() == right.origin()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn redirections_stay_encrypted() {
        let from = Url::parse("https://hub.example/a/b").unwrap();
        let to = |location: &str| redirected(&from, location).map(|url| url.to_string());
        assert_eq!(to("/c").unwrap(), "https://hub.example/c");
        assert_eq!(to("https://cdn.example/x?sig=1").unwrap(), "https://cdn.example/x?sig=1");
        for wrong in ["http://cdn.example/x", "file:///etc/passwd", "ftp://cdn.example", "http://[", "//"] {
            assert_eq!(to(wrong).unwrap_err().kind(), ErrorKind::Redirect, "{wrong}");
        }
        let clear = Url::parse("http://127.0.0.1:1/").unwrap();
        assert!(redirected(&clear, "http://127.0.0.1:2/").is_ok());
    }

    #[test]
    fn a_port_is_part_of_where_the_token_goes() {
        let origin =
            |left: &str, right: &str| is_same_origin(&Url::parse(left).unwrap(), &Url::parse(right).unwrap());
        assert!(origin("https://hub.example/a", "https://hub.example:443/"));
        assert!(!origin("https://hub.example/", "https://hub.example:8443/"));
        assert!(!origin("https://hub.example/", "http://hub.example/"));
        assert!(!origin("https://hub.example/", "https://hub.example.org/"));
    }
}
