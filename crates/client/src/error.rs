//! The one error type of this crate: what went wrong, where, and what to do about it.
//!
//! An error has a [`kind`](ClientError::kind) to decide by, a [`code`](ErrorKind::code) for hosts of other languages, a
//! message and a [`remedy`](ErrorKind::remedy). No message has the key in it: what servers say is quoted by [`quote`].

use std::fmt;

use crate::secret::Secret;

/// Characters of a server's own words that an error quotes.
pub const MAX_QUOTE: usize = 300;

/// What sort of thing went wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// What the caller passed in cannot be sent: an address, a key, a number.
    Input,
    /// The server does not accept the key, or wants one (401, 403).
    WrongKey,
    /// The server does not have the model.
    NoSuchModel,
    /// There is no such API at this address (404, 405, or a redirection elsewhere).
    NotFound,
    /// Too many requests, also after waiting (429).
    RateLimited,
    /// The account has nothing left to pay with (402, or 429 that says so).
    NoCredit,
    /// Nothing listens at this address.
    Refused,
    /// The name of the host is not known.
    UnknownHost,
    /// No encrypted connection came about.
    Tls,
    /// The server is there, but does not let a page of another origin read its answers (browsers only).
    Cors,
    /// The network failed in a way that the host cannot tell; in a browser this may be CORS too.
    Network,
    /// The connection ended in the middle of an answer.
    Disconnected,
    /// Nothing came for too long.
    Timeout,
    /// The server failed (5xx, or an error within the answer).
    Server,
    /// The server does not accept the request (other 4xx).
    Rejected,
    /// The answer is not what the dialect promises.
    Malformed,
    /// The caller asked to stop.
    Cancelled,
}

impl ErrorKind {
    /// All of them.
    pub const ALL: [ErrorKind; 17] = [
        Self::Input,
        Self::WrongKey,
        Self::NoSuchModel,
        Self::NotFound,
        Self::RateLimited,
        Self::NoCredit,
        Self::Refused,
        Self::UnknownHost,
        Self::Tls,
        Self::Cors,
        Self::Network,
        Self::Disconnected,
        Self::Timeout,
        Self::Server,
        Self::Rejected,
        Self::Malformed,
        Self::Cancelled,
    ];

    /// A short name that does not change: for rows, and for hosts of other languages.
    pub fn code(self) -> &'static str {
        match self {
            Self::Input => "input",
            Self::WrongKey => "wrong-key",
            Self::NoSuchModel => "no-such-model",
            Self::NotFound => "not-found",
            Self::RateLimited => "rate-limited",
            Self::NoCredit => "no-credit",
            Self::Refused => "connection-refused",
            Self::UnknownHost => "unknown-host",
            Self::Tls => "tls",
            Self::Cors => "cors",
            Self::Network => "network",
            Self::Disconnected => "disconnected",
            Self::Timeout => "timeout",
            Self::Server => "server-error",
            Self::Rejected => "rejected",
            Self::Malformed => "malformed-answer",
            Self::Cancelled => "cancelled",
        }
    }

    /// What to do about it; empty where the message says so itself.
    pub fn remedy(self) -> &'static str {
        match self {
            Self::Input | Self::Cancelled => "",
            Self::WrongKey => "check the key, and that it is one of this server",
            Self::NoSuchModel => "check the name of the model against the server's list (GET /models)",
            Self::NotFound => "check the base URL: most end in /v1",
            Self::RateLimited => "ask for fewer at once, or wait",
            Self::NoCredit => "add credit to the account, or use another key",
            Self::Refused => "is the server running, and is the port right?",
            Self::UnknownHost => "check the name of the host and the network",
            Self::Tls => "check the host, the certificates of this machine, and whether it should be http://",
            Self::Cors => {
                "let the server send CORS headers for this page's origin (Ollama: OLLAMA_ORIGINS), or ask it through a \
                 server of your own"
            }
            Self::Network => {
                "is the server running? In a browser it must also allow this page by CORS headers, and a page from \
                 https:// cannot call http:// elsewhere than on this machine"
            }
            Self::Disconnected => "ask again; a server that does this often may be out of memory",
            Self::Timeout => "ask again, or allow more time",
            Self::Server => "ask again later; the server's log knows more",
            Self::Rejected => "change what the server names",
            Self::Malformed => "is it the base URL of an OpenAI-compatible API?",
        }
    }

    /// Whether the next request to the same endpoint would fail in the same way.
    pub fn is_lasting(self) -> bool {
        matches!(
            self,
            Self::Input
                | Self::WrongKey
                | Self::NoSuchModel
                | Self::NotFound
                | Self::NoCredit
                | Self::Refused
                | Self::UnknownHost
                | Self::Tls
                | Self::Cors
        )
    }
}

/// An error of this crate. `Display` gives the message and the remedy.
#[derive(Clone, PartialEq, Eq)]
pub struct ClientError {
    kind: ErrorKind,
    message: String,
}

/// `Result` with this crate's [`ClientError`].
pub type Result<T, E = ClientError> = std::result::Result<T, E>;

impl ClientError {
    /// An error of `kind`; the message says what happened and where.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self { kind, message: message.into() }
    }

    /// [`ErrorKind::Cancelled`].
    pub fn cancelled() -> Self {
        Self::new(ErrorKind::Cancelled, "cancelled by the caller")
    }

    /// What sort of thing went wrong.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// What happened and where, without the remedy.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// What to do about it; empty where the message says so itself.
    pub fn remedy(&self) -> &'static str {
        self.kind.remedy()
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.remedy() {
            "" => f.write_str(&self.message),
            remedy => write!(f, "{}: {remedy}", self.message),
        }
    }
}

impl fmt::Debug for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.kind, self.message)
    }
}

impl std::error::Error for ClientError {}

/// What a server said, fit to be quoted: one line, bounded, without control characters and without the key.
pub fn quote(text: &str, key: Option<&Secret>) -> String {
    // Controls go first: they could stand within the key. The key goes before the text is cut: half of it is too much.
    let line: String = text.chars().filter(|character| !is_control(*character)).collect();
    let line = line.split_whitespace().collect::<Vec<_>>().join(" ");
    let line = key.map_or(line.clone(), |key| key.redact(&line));
    if line.chars().count() <= MAX_QUOTE {
        return line;
    }
    line.chars().take(MAX_QUOTE).chain(['…']).collect()
}

/// Controls but for those that are white space, and characters that reorder or hide the text around them.
fn is_control(character: char) -> bool {
    let is_break = matches!(character, '\n' | '\r' | '\t');
    (character.is_control() && !is_break)
        || matches!(character, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2060}'..='\u{206f}'
            | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e0fff}')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quotes_are_bounded_and_without_controls() {
        assert_eq!(quote("a\n  b\tc\u{1b}[31m\u{202e}d", None), "a b c[31md");
        let long = quote(&"é".repeat(1000), None);
        assert_eq!(long.chars().count(), MAX_QUOTE + 1);
        assert!(long.ends_with('…'));
    }

    #[test]
    fn a_key_in_a_quote_is_redacted_even_when_torn() {
        let key = Secret::new("sk-1234567890abcdef").unwrap();
        let said = quote("Incorrect key sk-12345\u{0}67890abc\u{200b}def given", Some(&key));
        assert_eq!(said, "Incorrect key [key] given");
        // At the cut, too.
        let said = quote(&format!("{}sk-1234567890abcdef", "x".repeat(MAX_QUOTE - 4)), Some(&key));
        assert!(!said.contains("sk-1"), "{said}");
    }

    #[test]
    fn codes_are_different_and_failures_have_remedies() {
        let codes: std::collections::HashSet<_> = ErrorKind::ALL.iter().map(|kind| kind.code()).collect();
        assert_eq!(codes.len(), ErrorKind::ALL.len());
        for kind in ErrorKind::ALL {
            let needs_none = matches!(kind, ErrorKind::Input | ErrorKind::Cancelled);
            assert_eq!(kind.remedy().is_empty(), needs_none, "{kind:?}");
        }
        let error = ClientError::new(ErrorKind::Refused, "nothing listens at http://127.0.0.1:1");
        assert_eq!(
            error.to_string(),
            "nothing listens at http://127.0.0.1:1: is the server running, and is the port right?"
        );
    }
}
