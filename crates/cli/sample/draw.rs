//! Drawing candidates: flags become a request, the key is found, and what failed is said.

use std::io::Read;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use conclave_client::native::{Native, NativeOptions};
use conclave_client::{
    Cancel, ClientError, Endpoint, ErrorKind, Event, Failure, SampleRequest, Sampled, Secret, Timeouts,
    sample_candidates,
};
use conclave_core::sample_set::{Candidate, SampleSet};
use indicatif::ProgressBar;
use serde_json::{Value, json};

use super::arguments::{ApiArguments, KEY_VARIABLE};
use crate::UsageError;
use crate::interrupt::cancel_on_signal;
use crate::messages::{count, say, visible_clipped};

/// The field of a set that says which of its candidates did not arrive.
pub const FAILURES: &str = "failures";

/// Characters of a failure that a message shows.
const SHOWN_FAILURE: usize = 600;

/// Most bytes of a file with a key.
const MAX_KEY_FILE: u64 = 64 << 10;

/// Draws candidates from one API.
pub struct Drawer {
    native: Native,
    endpoint: Endpoint,
    /// What is asked for each problem, without the problem.
    request: SampleRequest,
    cancel: Cancel,
}

impl Drawer {
    /// Reads the flags and the key, and listens to Ctrl-C.
    pub fn open(arguments: &ApiArguments) -> Result<Self> {
        let key = key(arguments)?;
        let endpoint = match arguments.allow_http_key {
            true => Endpoint::new_with_key_in_the_clear(&arguments.base_url, key),
            false => Endpoint::new(&arguments.base_url, key),
        };
        let endpoint = endpoint.map_err(in_the_clear)?;
        let native = Native::new(NativeOptions::default()).context("cannot use the network")?;
        Ok(Self { native, endpoint, request: request(arguments), cancel: cancel_on_signal()? })
    }

    /// The address that errors and settings name.
    pub fn base_url(&self) -> String {
        self.endpoint.base().to_string()
    }

    /// The candidates for one problem but for those that are `there` already, with these; those of a wish to stop are
    /// included. `arrived` is told of each new one as it arrives, and may end the drawing; `bar` shows how it goes.
    pub fn draw(
        &self,
        problem: &str,
        there: Vec<(usize, Candidate)>,
        bar: &ProgressBar,
        arrived: &mut dyn FnMut(usize, &Candidate) -> Result<()>,
    ) -> Result<Sampled> {
        let skip = there.iter().map(|(index, _)| *index).collect();
        let request = SampleRequest { problem: problem.to_owned(), skip, ..self.request.clone() };
        let mut progress = Progress { done: there.len(), ..Progress::default() };
        let mut failure = None;
        let mut on_event = |event: Event<'_>| {
            if let Event::Done { index, candidate } = event
                && let Err(error) = arrived(index, candidate)
            {
                failure.get_or_insert(error);
                self.cancel.cancel();
            }
            progress.add(&event);
            bar.set_message(format!("· {} of {}{}", progress.done, request.num_candidates, progress.rest()));
        };
        let (native, endpoint, cancel) = (&self.native, &self.endpoint, &self.cancel);
        let drawing = sample_candidates(native, endpoint, &request, cancel, &mut on_event);
        let mut sampled = self.native.block_on(drawing);
        if let Some(error) = failure {
            return Err(error);
        }
        sampled.candidates.extend(there);
        sampled.candidates.sort_by_key(|(index, _)| *index);
        Ok(sampled)
    }
}

/// What the bar says of the candidates of a problem.
#[derive(Default)]
struct Progress {
    done: usize,
    failed: usize,
    characters: usize,
    waits: bool,
}

impl Progress {
    fn add(&mut self, event: &Event<'_>) {
        self.waits = matches!(event, Event::Retrying { .. });
        match event {
            Event::Done { .. } => self.done += 1,
            Event::Failed { .. } => self.failed += 1,
            Event::Token { text, .. } | Event::Reasoning { text, .. } => {
                self.characters += text.chars().count();
            }
            _ => {}
        }
    }

    fn rest(&self) -> String {
        let failed = if self.failed > 0 { format!(", {} failed", self.failed) } else { String::new() };
        let waits = if self.waits { ", the API is busy" } else { "" };
        format!("{failed}, {}{waits}", count(self.characters as u64, "character"))
    }
}

fn request(arguments: &ApiArguments) -> SampleRequest {
    SampleRequest {
        system: Some(arguments.system.clone()).filter(|system| !system.trim().is_empty()),
        temperature: arguments.temperature,
        max_tokens: arguments.max_tokens,
        seed: arguments.seed,
        concurrency: arguments.concurrency as usize,
        timeouts: Timeouts { idle: Duration::from_secs(arguments.timeout), ..Timeouts::default() },
        ..SampleRequest::new(&arguments.model, "", arguments.num_candidates as usize)
    }
}

/// What decides the candidates, by name. The key is not among it.
pub fn settings(arguments: &ApiArguments, drawer: &Drawer) -> Value {
    json!({
        "base_url": drawer.base_url(),
        "model": arguments.model,
        "num_candidates": arguments.num_candidates,
        "temperature": arguments.temperature,
        "max_tokens": arguments.max_tokens,
        "seed": arguments.seed,
        "system": arguments.system,
    })
}

/// Puts what was drawn into its set, behind the candidates that are there.
pub fn fill(set: &mut SampleSet, sampled: Sampled) {
    let failures: Vec<Value> = sampled.failures.iter().map(recorded).collect();
    set.extra.shift_remove(FAILURES);
    if !failures.is_empty() {
        set.extra.insert(FAILURES.to_owned(), failures.into());
    }
    set.candidates.extend(sampled.into_candidates());
}

fn recorded(failure: &Failure) -> Value {
    json!({
        "candidate": failure.index,
        "code": failure.error.kind().code(),
        "error": failure.error.message(),
    })
}

/// Says what failed, each reason once.
pub fn report(what: &str, failures: &[Failure]) {
    let mut reasons: Vec<(&ClientError, u64)> = Vec::new();
    for failure in failures.iter().filter(|failure| failure.error.kind() != ErrorKind::Cancelled) {
        match reasons.iter_mut().find(|(error, _)| *error == &failure.error) {
            Some((_, number)) => *number += 1,
            None => reasons.push((&failure.error, 1)),
        }
    }
    for (error, number) in reasons {
        let reason = visible_clipped(&error.to_string(), SHOWN_FAILURE);
        say(&format!("{what}{} failed: {reason}", count(number, "candidate")));
    }
}

/// The error of a run that got nothing: what the API said, or would have.
pub fn nothing(failures: &[Failure]) -> anyhow::Error {
    match failures.first() {
        Some(Failure { error, .. }) if error.kind() == ErrorKind::Input => in_the_clear(error.clone()),
        Some(Failure { error, .. }) => anyhow::Error::new(error.clone()),
        None => anyhow::anyhow!("no candidate was asked for"),
    }
}

/// What the client refuses to send is a wrong argument.
fn in_the_clear(error: ClientError) -> anyhow::Error {
    let hint = if error.message().contains("in the clear") { " with --allow-http-key" } else { "" };
    anyhow::Error::new(UsageError(format!("{error}{hint}")))
}

/// The key, from where the flags say. No message quotes what may be one.
fn key(arguments: &ApiArguments) -> Result<Option<Secret>> {
    if arguments.no_key {
        return Ok(None);
    }
    if let Some(path) = &arguments.key_file {
        return key_in(path).map(Some);
    }
    let name = arguments.key_env.as_deref().unwrap_or(KEY_VARIABLE);
    // Asked of names alone: `var_os` panics at others, and someone may have given the key itself.
    let is_name = !name.is_empty() && !name.contains(['=', '\0']);
    let value = if is_name { std::env::var_os(name) } else { None };
    match value.filter(|value| !value.is_empty()) {
        None if arguments.key_env.is_some() => Err(usage(
            "the environment variable that --key-env names is not set: give the name of a variable that holds the key \
             (not the key itself)",
        )),
        None => Ok(None),
        Some(value) => match value.to_str().map(Secret::new) {
            Some(Ok(key)) => Ok(Some(key)),
            Some(Err(error)) => Err(usage(&format!("the environment variable with the key: {error}"))),
            None => Err(usage("the environment variable with the key: it is not UTF-8")),
        },
    }
}

fn key_in(path: &Path) -> Result<Secret> {
    let name = format!("`{}`", path.display());
    let mut text = String::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_KEY_FILE).read_to_string(&mut text));
    read.with_context(|| format!("cannot read the key in {name}"))?;
    match Secret::new(&text) {
        Ok(key) => Ok(key),
        Err(error) => bail!("cannot use the key in {name}: {error}"),
    }
}

fn usage(message: &str) -> anyhow::Error {
    anyhow::Error::new(UsageError(message.to_owned()))
}
