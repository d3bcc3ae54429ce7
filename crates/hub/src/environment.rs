//! Which hub, with which token, into which cache: read once from the environment, by the names that other programs use.

use std::ffi::OsString;
use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use reqwest::Url;

use crate::error::{ErrorKind, HubError, Result};
use crate::retry::RetryOptions;

const DEFAULT_ENDPOINT: &str = "https://huggingface.co";

/// A hub and the cache for it.
#[derive(Clone, Debug)]
pub struct Hub {
    /// The address, without a slash at its end.
    pub(crate) endpoint: Url,
    /// What the hub knows the user by.
    pub token: Option<Token>,
    /// The folder with a `models--OWNER--NAME` for each model.
    pub cache: PathBuf,
    /// Whether the network is forbidden.
    pub is_offline: bool,
    /// How often what failed is tried again.
    pub retry: RetryOptions,
}

/// A token of a hub. `Debug` does not show it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl Token {
    /// A token, without the white space around it.
    ///
    /// # Errors
    /// [`ErrorKind::Environment`] for a text that no header can carry. The message does not quote it.
    pub fn new(text: &str) -> Result<Self> {
        let text = text.trim();
        if text.is_empty() || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
            let message = "the token for the hub (HF_TOKEN, or the file `token` in HF_HOME) has blanks, line breaks or \
                           characters that no token has: was more copied than the token?";
            return Err(HubError::new(ErrorKind::Environment, message));
        }
        Ok(Self(text.to_owned()))
    }

    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("[token]")
    }
}

impl Hub {
    /// A hub at an address, with a cache in a folder; without a token.
    ///
    /// # Errors
    /// [`ErrorKind::Environment`] for what is not the address of a hub.
    pub fn new(endpoint: &str, cache: impl Into<PathBuf>) -> Result<Self> {
        Ok(Self {
            endpoint: parse_endpoint(endpoint)?,
            token: None,
            cache: cache.into(),
            is_offline: false,
            retry: RetryOptions::default(),
        })
    }

    /// The hub of this process's environment:
    /// `HF_ENDPOINT`; `HF_TOKEN`, else the file at `HF_TOKEN_PATH` or `token` in `HF_HOME` (none of them under
    /// `HF_HUB_DISABLE_IMPLICIT_TOKEN`); `HF_HUB_CACHE`, else `hub` in `HF_HOME`, which is `~/.cache/huggingface` where nothing
    /// else is said; `HF_HUB_OFFLINE`.
    ///
    /// # Errors
    /// [`ErrorKind::Environment`] for a variable that cannot be used.
    pub fn from_environment() -> Result<Self> {
        Self::from_variables(&|name| std::env::var_os(name))
    }

    /// As [`Hub::from_environment`], with variables from elsewhere.
    ///
    /// # Errors
    /// As there.
    pub fn from_variables(variable: &dyn Fn(&str) -> Option<OsString>) -> Result<Self> {
        let variables = Variables(variable);
        let home = variables.hub_home()?;
        let cache = variables.path("HF_HUB_CACHE").or_else(|| variables.path("HUGGINGFACE_HUB_CACHE"));
        let endpoint = variables.text("HF_ENDPOINT")?;
        let mut hub = Self::new(
            endpoint.as_deref().unwrap_or(DEFAULT_ENDPOINT),
            cache.unwrap_or_else(|| home.join("hub")),
        )?;
        hub.is_offline = variables.is_on("HF_HUB_OFFLINE");
        hub.token = variables.token(&home)?;
        Ok(hub)
    }

    /// The address of the hub, as messages name it.
    pub fn endpoint(&self) -> &str {
        self.endpoint.as_str().trim_end_matches('/')
    }

    /// The host of the hub, as messages name it.
    pub(crate) fn host(&self) -> &str {
        self.endpoint.host_str().unwrap_or_default()
    }

    /// An address of the hub; each part is escaped.
    pub(crate) fn url(&self, parts: &[&str]) -> Url {
        let mut url = self.endpoint.clone();
        // `parse_endpoint` lets only addresses pass that have a path.
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(parts);
        }
        url
    }

    /// The token, where the connection to the hub keeps it secret.
    pub(crate) fn sendable_token(&self) -> Option<&Token> {
        let is_secret = self.endpoint.scheme() == "https" || is_loopback(&self.endpoint);
        self.token.as_ref().filter(|_| is_secret)
    }
}

/// Whether an address is this machine, by its name or its number.
pub(crate) fn is_loopback(url: &Url) -> bool {
    let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']);
    host == "localhost"
        || host.ends_with(".localhost")
        || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

fn parse_endpoint(text: &str) -> Result<Url> {
    // What is wrong is not quoted: it may have a password.
    let refused = |why: &str| {
        let message = format!("HF_ENDPOINT {why} (expected an address such as {DEFAULT_ENDPOINT})");
        HubError::new(ErrorKind::Environment, message)
    };
    let url = Url::parse(text.trim()).map_err(|_| refused("is not an address"))?;
    match () {
        () if !matches!(url.scheme(), "http" | "https") => {
            Err(refused("begins with neither http:// nor https://"))
        }
        () if url.host_str().is_none_or(str::is_empty) => Err(refused("names no host")),
        () if !url.username().is_empty() || url.password().is_some() => {
            Err(refused("has a user name or a password: leave it out"))
        }
        () if url.query().is_some() || url.fragment().is_some() => Err(refused("has a query: leave it out")),
        () => Ok(url),
    }
}

struct Variables<'v>(&'v dyn Fn(&str) -> Option<OsString>);

impl Variables<'_> {
    /// An empty variable is none.
    fn get(&self, name: &str) -> Option<OsString> {
        (self.0)(name).filter(|value| !value.is_empty())
    }

    fn text(&self, name: &str) -> Result<Option<String>> {
        let unreadable = |_| HubError::new(ErrorKind::Environment, format!("{name} is not text in UTF-8"));
        self.get(name).map(OsString::into_string).transpose().map_err(unreadable)
    }

    fn is_on(&self, name: &str) -> bool {
        let value = self.get(name).and_then(|value| value.into_string().ok()).unwrap_or_default();
        ["1", "on", "yes", "true"].contains(&value.to_ascii_lowercase().as_str())
    }

    fn home(&self) -> Option<PathBuf> {
        self.get("HOME").or_else(|| self.get("USERPROFILE")).map(PathBuf::from)
    }

    /// A path; `~` is the home directory, as in the other programs that read these variables.
    fn path(&self, name: &str) -> Option<PathBuf> {
        let path = PathBuf::from(self.get(name)?);
        match (path.strip_prefix("~"), self.home()) {
            (Ok(rest), Some(home)) => Some(home.join(rest)),
            _ => Some(path),
        }
    }

    fn hub_home(&self) -> Result<PathBuf> {
        if let Some(home) = self.path("HF_HOME") {
            return Ok(home);
        }
        let cache = self.path("XDG_CACHE_HOME").or_else(|| Some(self.home()?.join(".cache")));
        let message = "no home directory is known, so there is no cache for models: set HF_HOME to a folder";
        Ok(cache.ok_or_else(|| HubError::new(ErrorKind::Environment, message))?.join("huggingface"))
    }

    fn token(&self, home: &Path) -> Result<Option<Token>> {
        if self.is_on("HF_HUB_DISABLE_IMPLICIT_TOKEN") {
            return Ok(None);
        }
        for name in ["HF_TOKEN", "HUGGING_FACE_HUB_TOKEN"] {
            if let Some(text) = self.text(name)?.filter(|text| !text.trim().is_empty()) {
                return Token::new(&text).map(Some);
            }
        }
        let path = self.path("HF_TOKEN_PATH").unwrap_or_else(|| home.join("token"));
        match std::fs::read_to_string(path) {
            Ok(text) if !text.trim().is_empty() => Token::new(&text).map(Some),
            // Most models need none.
            _ => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hub(variables: &[(&str, &str)]) -> Result<Hub> {
        Hub::from_variables(&|name| {
            variables.iter().find(|(variable, _)| *variable == name).map(|(_, value)| OsString::from(value))
        })
    }

    #[test]
    fn variables_have_an_order() {
        let cache = |variables: &[(&str, &str)]| hub(variables).unwrap().cache;
        assert_eq!(cache(&[("HOME", "/h")]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("USERPROFILE", "/h")]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x")]), Path::new("/x/huggingface/hub"));
        assert_eq!(
            cache(&[("HOME", "/h"), ("XDG_CACHE_HOME", "/x"), ("HF_HOME", "/y")]),
            Path::new("/y/hub")
        );
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "/y"), ("HF_HUB_CACHE", "~/z")]), Path::new("/h/z"));
        assert_eq!(cache(&[("HOME", "/h"), ("HF_HOME", "")]), Path::new("/h/.cache/huggingface/hub"));
        assert_eq!(hub(&[]).unwrap_err().kind(), ErrorKind::Environment);
        assert!(hub(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "1")]).unwrap().is_offline);
        assert!(!hub(&[("HOME", "/h"), ("HF_HUB_OFFLINE", "0")]).unwrap().is_offline);
    }

    #[test]
    fn the_token_is_the_variables_else_the_files() {
        let folder = tempfile::tempdir().unwrap();
        let home = folder.path().to_str().unwrap();
        assert_eq!(hub(&[("HF_HOME", home)]).unwrap().token, None);
        std::fs::write(folder.path().join("token"), "hf_file\n").unwrap();
        let token = |more: (&str, &str)| hub(&[("HF_HOME", home), more]).unwrap().token;
        assert_eq!(token(("HF_TOKEN", "")).unwrap().expose(), "hf_file");
        assert_eq!(token(("HF_TOKEN", " hf_variable ")).unwrap().expose(), "hf_variable");
        assert_eq!(token(("HF_HUB_DISABLE_IMPLICIT_TOKEN", "1")), None);
        let error = hub(&[("HF_HOME", home), ("HF_TOKEN", "two secrets")]).unwrap_err();
        assert!(error.kind() == ErrorKind::Environment && !error.to_string().contains("secrets"));
        let hub = hub(&[("HF_HOME", home)]).unwrap();
        assert!(!format!("{hub:?}").contains("hf_file"));
    }

    #[test]
    fn a_token_goes_nowhere_in_the_clear() {
        let sent = |endpoint: &str| {
            let hub = Hub { token: Some(Token::new("hf_x").unwrap()), ..Hub::new(endpoint, "").unwrap() };
            hub.sendable_token().is_some()
        };
        assert!(sent("https://example.org") && sent("http://127.0.0.1:8000") && sent("http://[::1]:1"));
        assert!(sent("http://localhost/hub"));
        assert!(!sent("http://example.org") && !sent("http://127.0.0.1.example.org"));
    }

    #[test]
    fn addresses_are_made_of_escaped_parts() {
        let hub = Hub::new("https://example.org/mirror/", "").unwrap();
        assert_eq!(
            hub.url(&["a", "b", "resolve", "refs/pr/1", "x y.json"]).as_str(),
            "https://example.org/mirror/a/b/resolve/refs%2Fpr%2F1/x%20y.json"
        );
        for wrong in
            ["example.org", "ftp://example.org", "https://u:secret@example.org", "https://e.org/?a", ""]
        {
            let error = Hub::new(wrong, "").unwrap_err();
            assert!(
                error.kind() == ErrorKind::Environment && !error.to_string().contains("secret"),
                "{wrong}"
            );
        }
    }
}
