//! Refusals of a hub: what each status means, and what to do about it.

use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::environment::Hub;
use crate::error::{Again, ErrorKind, HubError};
use crate::name::ModelName;

/// What was asked for.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The model.
    pub name: &'a ModelName,
    /// A file of it; without one, the list of its files.
    pub file: Option<&'a str>,
    /// The host that answers: the hub, or where it has sent us.
    pub host: &'a str,
    /// Whether the hub itself answers.
    pub is_hub: bool,
}

impl Asked<'_> {
    fn what(&self) -> String {
        let model = format!("`{}`", self.name.repository());
        self.file.map_or(model.clone(), |file| format!("`{file}` of {model}"))
    }
}

/// The error for an answer without success.
pub fn refusal(hub: &Hub, asked: &Asked<'_>, status: u16, headers: &HeaderMap) -> HubError {
    match status {
        // A signed address that has expired, most likely: the hub gives a new one.
        401 | 403 if !asked.is_hub => HubError::new(
            ErrorKind::Forbidden,
            format!("`{}`, where the hub sent us for {}, answered {status}", asked.host, asked.what()),
        )
        .again(Again::Soon),
        401 => HubError::new(ErrorKind::Unauthorized, unauthorized(hub, asked, headers)),
        403 => HubError::new(ErrorKind::Forbidden, forbidden(hub, asked, headers)),
        404 | 410 => HubError::new(ErrorKind::NotFound, not_found(hub, asked, headers)),
        429 => limited(asked, headers),
        408 | 500.. => HubError::new(
            ErrorKind::Server,
            format!("`{}` answered {status}: it is out of order; try again later", asked.host),
        )
        .again(Again::Soon),
        _ => HubError::new(
            ErrorKind::Answer,
            format!(
                "`{}` answered {status} when it was asked for {}: is it a hub?",
                asked.host,
                asked.what()
            ),
        ),
    }
}

fn is_gated(headers: &HeaderMap) -> bool {
    code(headers) == "GatedRepo"
}

/// The hub's own word for what is wrong.
fn code(headers: &HeaderMap) -> &str {
    headers.get("x-error-code").and_then(|code| code.to_str().ok()).unwrap_or_default()
}

fn page(hub: &Hub, name: &ModelName) -> String {
    format!("{}/{}", hub.endpoint(), name.repository())
}

fn unauthorized(hub: &Hub, asked: &Asked<'_>, headers: &HeaderMap) -> String {
    let (model, host) = (format!("`{}`", asked.name.repository()), hub.host());
    let page = page(hub, asked.name);
    match (&hub.token, hub.sendable_token()) {
        (Some(_), None) => format!(
            "`{host}` wants a token for {model}, and none was sent, because the connection is not encrypted: use an \
             https:// address in HF_ENDPOINT"
        ),
        (None, _) if is_gated(headers) => format!(
            "{model} is gated: accept its conditions at {page}, then set HF_TOKEN to a token of that account that may read it"
        ),
        // Hubs do not tell whether a model does not exist or is private.
        (None, _) => format!(
            "`{host}` has no public model {model}: is its name right? If it is private or gated, set HF_TOKEN to a token that \
             may read it"
        ),
        (Some(_), Some(_)) => format!(
            "`{host}` does not take the token for {model}: it may have expired. Set HF_TOKEN to another one, or unset it for a \
             public model"
        ),
    }
}

fn forbidden(hub: &Hub, asked: &Asked<'_>, headers: &HeaderMap) -> String {
    let (model, page) = (format!("`{}`", asked.name.repository()), page(hub, asked.name));
    if is_gated(headers) || hub.sendable_token().is_none() {
        return format!(
            "{model} is gated: accept its conditions at {page} with the account of the token (HF_TOKEN), and wait where they \
             have to be granted"
        );
    }
    format!(
        "the token may not read {model}: give it the right to (a fine-grained token lists its repositories), or accept the conditions at {page}"
    )
}

fn not_found(hub: &Hub, asked: &Asked<'_>, headers: &HeaderMap) -> String {
    let (name, host) = (asked.name, hub.host());
    let model = name.repository();
    match (asked.file, code(headers)) {
        (_, "RevisionNotFound") => revision_not_found(name, host),
        (_, "RepoNotFound") => format!(
            "`{host}` has no model `{model}` that can be seen with {}: is its name right?",
            if hub.sendable_token().is_some() { "this token" } else { "no token" }
        ),
        (Some(file), _) if asked.is_hub => {
            format!(
                "`{host}` lists the file `{file}` of `{model}` and does not have it; try again, or another revision"
            )
        }
        (Some(file), _) => {
            format!("`{}`, where the hub sent us, does not have `{file}` of `{model}`", asked.host)
        }
        // A hub that does not say which of the two it is.
        (None, _) => format!(
            "`{host}` has no model `{model}`, or it has no revision `{}`: is the name right?",
            name.revision()
        ),
    }
}

fn revision_not_found(name: &ModelName, host: &str) -> String {
    format!(
        "`{}` on `{host}` has no revision `{}`: name a branch, a tag or a commit behind the `@`",
        name.repository(),
        name.revision()
    )
}

fn limited(asked: &Asked<'_>, headers: &HeaderMap) -> HubError {
    let wait = retry_after(headers);
    let when = wait.map_or_else(|| "later".to_owned(), |wait| format!("in {} s", wait.as_secs()));
    HubError::new(
        ErrorKind::RateLimited,
        format!(
            "`{}` wants fewer requests (429): try again {when}; with a token (HF_TOKEN) it may allow more",
            asked.host
        ),
    )
    .again(Again::Limited(wait))
}

/// Seconds to wait: `Retry-After: 30`, or the `t` of `RateLimit: "api";r=0;t=30`.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = |name: &str| headers.get(name)?.to_str().ok();
    let after = text(RETRY_AFTER.as_str()).and_then(|value| value.trim().parse().ok());
    let reset =
        || text("ratelimit")?.split(';').find_map(|part| part.trim().strip_prefix("t=")?.parse().ok());
    after.or_else(reset).map(Duration::from_secs)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::environment::Token;

    fn said(hub: &Hub, file: Option<&str>, status: u16, headers: &[(&'static str, &str)]) -> HubError {
        let name = ModelName::parse("a/b@v9").unwrap();
        let headers =
            headers.iter().map(|(name, value)| (name.parse().unwrap(), value.parse().unwrap())).collect();
        refusal(hub, &Asked { name: &name, file, host: "hub.example", is_hub: true }, status, &headers)
    }

    #[test]
    fn each_refusal_has_its_remedy() {
        let hub = Hub::new("https://hub.example", "").unwrap();
        let known = Hub { token: Some(Token::new("hf_x").unwrap()), ..hub.clone() };
        let clear = Hub { token: known.token.clone(), ..Hub::new("http://hub.example", "").unwrap() };
        let gated = [("x-error-code", "GatedRepo")];
        for (hub, file, status, headers, kind, word) in [
            (&hub, None, 401, &[][..], ErrorKind::Unauthorized, "is its name right?"),
            (&hub, None, 401, &gated[..], ErrorKind::Unauthorized, "https://hub.example/a/b"),
            (&known, None, 401, &[][..], ErrorKind::Unauthorized, "expired"),
            (&clear, None, 401, &[][..], ErrorKind::Unauthorized, "not encrypted"),
            (&known, None, 403, &gated[..], ErrorKind::Forbidden, "accept its conditions"),
            (&known, None, 403, &[][..], ErrorKind::Forbidden, "fine-grained"),
            (
                &hub,
                None,
                404,
                &[("x-error-code", "RevisionNotFound")][..],
                ErrorKind::NotFound,
                "no revision `v9`",
            ),
            (&hub, None, 404, &[("x-error-code", "RepoNotFound")][..], ErrorKind::NotFound, "no model `a/b`"),
            (&hub, None, 404, &[][..], ErrorKind::NotFound, "no revision `v9`"),
            (&hub, Some("x.json"), 404, &[][..], ErrorKind::NotFound, "`x.json`"),
            (&hub, None, 418, &[][..], ErrorKind::Answer, "418"),
        ] {
            let error = said(hub, file, status, headers);
            assert!(error.kind() == kind && error.to_string().contains(word), "{status} {error}");
            assert_eq!(error.again, Again::Never);
        }
        assert_eq!(said(&hub, None, 503, &[]).again, Again::Soon);
    }

    #[test]
    fn a_hub_says_how_long_to_wait() {
        let hub = Hub::new("https://hub.example", "").unwrap();
        let wait = |headers: &[(&'static str, &str)]| said(&hub, None, 429, headers).again;
        let seconds = |seconds| Again::Limited(Some(Duration::from_secs(seconds)));
        assert_eq!(wait(&[("retry-after", "7")]), seconds(7));
        assert_eq!(wait(&[("ratelimit", "\"api\";r=0;t=35")]), seconds(35));
        assert_eq!(wait(&[("retry-after", "Fri, 31 Dec 1999 23:59:59 GMT")]), Again::Limited(None));
    }
}
