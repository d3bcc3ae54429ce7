//! One file: from the hub into a blob, continued where an earlier attempt stopped, and checked before it gets its name.

use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_LENGTH, CONTENT_RANGE, HeaderMap};

use crate::checksum::{BlobId, Check, is_lfs_pointer};
use crate::environment::Hub;
use crate::error::{Again, ErrorKind, HubError, Result};
use crate::failure;
use crate::http::{Http, Request, header};
use crate::name::ModelName;
use crate::retry::Attempts;
use crate::store::{Incomplete, Lock, Store};
use crate::watch::Watch;

/// How often a lock of another process is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A file that is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wanted {
    /// Its name in the repository.
    pub path: String,
    /// What its blob is called.
    pub blob: BlobId,
    /// Its length.
    pub size: u64,
}

/// Where files come from and go to.
pub struct Download<'d> {
    pub hub: &'d Hub,
    pub http: &'d Http<'d>,
    pub store: &'d Store,
    pub name: &'d ModelName,
    pub commit: &'d str,
}

impl Download<'_> {
    /// Brings a file into the cache. When it fails, what is there of it stays, to be continued.
    pub async fn fetch(&self, wanted: &Wanted, watch: &mut Watch<'_>) -> Result<()> {
        let before = watch.done;
        watch.file.clone_from(&wanted.path);
        let _lock = self.lock(wanted, watch).await?;
        if !self.store.layout().has_blob(&wanted.blob, wanted.size) {
            let mut incomplete = self.store.open(&wanted.blob)?;
            if incomplete.length > wanted.size {
                incomplete.cut(0)?;
            }
            self.complete(wanted, &mut incomplete, before, watch).await?;
            match verify(wanted, &mut incomplete, watch)? {
                None => self.store.keep(&wanted.blob, incomplete)?,
                Some(damage) => {
                    self.store.discard(incomplete)?;
                    return Err(damage);
                }
            }
        }
        watch.done = before + wanted.size;
        watch.tell()
    }

    /// Waits until no other process writes the file.
    async fn lock(&self, wanted: &Wanted, watch: &mut Watch<'_>) -> Result<Lock> {
        let mut is_told = false;
        loop {
            if let Some(lock) = self.store.lock(&wanted.blob)? {
                return Ok(lock);
            }
            if !is_told {
                is_told = true;
                watch.note(&format!("another process is downloading `{}`; waiting for it", wanted.path))?;
            }
            watch.wait(tokio::time::sleep(LOOK_EVERY)).await?;
        }
    }

    /// Asks until all bytes are there.
    async fn complete(
        &self,
        wanted: &Wanted,
        incomplete: &mut Incomplete,
        before: u64,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let mut attempts = Attempts::new(self.hub.retry);
        while incomplete.length < wanted.size {
            let length = incomplete.length;
            watch.done = before + length;
            if let Err(error) = self.transfer(wanted, incomplete, before, watch).await {
                if incomplete.length > length {
                    attempts.succeeded();
                }
                attempts.wait(error, watch).await?;
            }
        }
        Ok(())
    }

    /// Asks once, from the first byte that is missing.
    async fn transfer(
        &self,
        wanted: &Wanted,
        incomplete: &mut Incomplete,
        before: u64,
        watch: &mut Watch<'_>,
    ) -> Result<()> {
        let request = file_request(self.hub, self.name, self.commit, &wanted.path, incomplete.length);
        let answer = self.http.get(&request, watch).await?;
        let (mut response, host) = (answer.response, answer.host);
        match response.status() {
            StatusCode::PARTIAL_CONTENT => {
                let range = header(response.headers(), CONTENT_RANGE.as_str()).unwrap_or_default();
                if !is_rest(range, incomplete.length, wanted.size) {
                    incomplete.cut(0)?;
                    return Err(broken(
                        wanted,
                        &host,
                        &format!("sent another part than was asked for ({range})"),
                    ));
                }
            }
            StatusCode::RANGE_NOT_SATISFIABLE => {
                incomplete.cut(0)?;
                return Err(broken(wanted, &host, "does not continue it"));
            }
            // The whole file, whatever was asked for.
            _ => incomplete.cut(0)?,
        }
        let length = content_length(response.headers());
        if length.is_some_and(|length| length != wanted.size - incomplete.length) {
            let text = length.unwrap_or_default().to_string();
            let expected = wanted.size - incomplete.length;
            return Err(broken(wanted, &host, &format!("sends {text} bytes where {expected} were expected")));
        }
        loop {
            let chunk = watch.wait(response.chunk()).await?;
            let Some(bytes) = chunk.map_err(|error| failure::of_answer(&error, &host))? else { break };
            if bytes.len() as u64 > wanted.size - incomplete.length {
                incomplete.cut(0)?;
                return Err(broken(wanted, &host, &format!("sent more than its {} bytes", wanted.size)));
            }
            incomplete.append(&bytes)?;
            watch.done = before + incomplete.length;
            watch.tell()?;
        }
        if incomplete.length < wanted.size {
            let message = format!(
                "the connection to `{host}` broke off at byte {} of `{}`",
                incomplete.length, wanted.path
            );
            return Err(HubError::new(ErrorKind::Network, message).again(Again::Soon));
        }
        Ok(())
    }
}

/// The request for a file at a commit.
pub fn file_request<'r>(
    hub: &Hub,
    name: &'r ModelName,
    commit: &str,
    path: &'r str,
    from: u64,
) -> Request<'r> {
    let parts = name.repository().split('/').chain(["resolve", commit]).chain(path.split('/'));
    let url = hub.url(&parts.collect::<Vec<_>>());
    Request { name, file: Some(path), url, from }
}

/// The length of a body, where the answer says it.
pub fn content_length(headers: &HeaderMap) -> Option<u64> {
    header(headers, CONTENT_LENGTH.as_str())?.parse().ok()
}

/// What is wrong with the bytes that are there, if anything is.
fn verify(wanted: &Wanted, incomplete: &mut Incomplete, watch: &mut Watch<'_>) -> Result<Option<HubError>> {
    let mut verifier = wanted.blob.verifier(wanted.size);
    let (mut is_first, mut is_pointer) = (true, false);
    incomplete.read(&mut |piece| {
        is_pointer |= is_first && is_lfs_pointer(piece);
        is_first = false;
        verifier.update(piece);
        watch.tell()
    })?;
    let path = &wanted.path;
    if is_pointer {
        let message = format!(
            "the hub sent a Git LFS pointer in place of `{path}`: the repository was uploaded without its large files. Pull \
             another revision or a copy"
        );
        return Ok(Some(HubError::new(ErrorKind::Answer, message)));
    }
    let checksum = if wanted.blob.check() == Check::Git { "git hash" } else { "sha256" };
    Ok(verifier.mismatch(&wanted.blob).map(|sum| {
        let expected = wanted.blob.as_str();
        let message = format!(
            "what arrived as `{path}` is damaged and was removed: its {checksum} is {sum}, expected {expected}. Pull again; if \
             that does not help, something between this machine and the hub changes the bytes"
        );
        HubError::new(ErrorKind::Checksum, message)
    }))
}

/// Whether a `Content-Range` is what is missing of a file: `bytes FIRST-LAST/SIZE`.
fn is_rest(range: &str, from: u64, size: u64) -> bool {
    let parse = || {
        let (span, total) = range.strip_prefix("bytes ")?.split_once('/')?;
        let (first, last) = span.split_once('-')?;
        let last: u64 = last.trim().parse().ok()?;
        let is_total = total.trim() == "*" || total.trim().parse() == Ok(size);
        Some(is_total && first.trim().parse() == Ok(from) && last.checked_add(1) == Some(size))
    };
    parse().unwrap_or(false)
}

fn broken(wanted: &Wanted, host: &str, what: &str) -> HubError {
    let message = format!(
        "`{host}` {what}, for `{}`: try again later, or see whether HF_ENDPOINT is a hub",
        wanted.path
    );
    HubError::new(ErrorKind::Answer, message).again(Again::Soon)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_the_rest_of_a_file() {
        assert!(is_rest("bytes 5-9/10", 5, 10) && is_rest("bytes 5-9/*", 5, 10));
        for wrong in [
            "",
            "bytes 0-9/10",
            "bytes 5-8/10",
            "bytes 5-9/11",
            "bytes */10",
            "items 5-9/10",
            "bytes 5-18446744073709551615/*",
        ] {
            assert!(!is_rest(wrong, 5, 10), "{wrong}");
        }
    }
}
