//! What the caller hears while a pull goes on, and how it stops it.

use std::future::Future;
use std::ops::ControlFlow;
use std::pin::pin;
use std::time::Duration;

use crate::error::{ErrorKind, HubError, Result};

/// How often the caller is asked whether to stop while nothing arrives.
const TICK: Duration = Duration::from_millis(100);

/// What happens during a pull.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event<'e> {
    /// How far it is. This comes also while nothing arrives, ten times a second.
    Progress {
        /// The file at work, as the repository names it; empty before the first.
        file: &'e str,
        /// Bytes that are there, of all files.
        done: u64,
        /// Bytes of all files that were not in the cache.
        total: u64,
    },
    /// Something that a person may want to know: what is waited for, and why.
    Note(&'e str),
}

/// The caller.
pub(crate) struct Watch<'w> {
    on_event: &'w mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
    /// The file at work.
    pub file: String,
    /// Bytes that are there.
    pub done: u64,
    /// Bytes in all.
    pub total: u64,
}

impl<'w> Watch<'w> {
    pub fn new(on_event: &'w mut dyn FnMut(Event<'_>) -> ControlFlow<()>) -> Self {
        Self { on_event, file: String::new(), done: 0, total: 0 }
    }

    /// Tells how far it is.
    pub fn tell(&mut self) -> Result<()> {
        let progress = Event::Progress { file: &self.file, done: self.done, total: self.total };
        Self::go_on((self.on_event)(progress))
    }

    /// Tells something else.
    pub fn note(&mut self, text: &str) -> Result<()> {
        Self::go_on((self.on_event)(Event::Note(text)))
    }

    /// Waits for a future, and stops waiting when the caller wants an end.
    pub async fn wait<V>(&mut self, future: impl Future<Output = V>) -> Result<V> {
        let mut future = pin!(future);
        loop {
            match tokio::time::timeout(TICK, future.as_mut()).await {
                Ok(value) => return Ok(value),
                Err(_) => self.tell()?,
            }
        }
    }

    fn go_on(answer: ControlFlow<()>) -> Result<()> {
        match answer {
            ControlFlow::Continue(()) => Ok(()),
            ControlFlow::Break(()) => Err(HubError::new(
                ErrorKind::Cancelled,
                "the pull was stopped; what was downloaded is kept, and the same command goes on from there",
            )),
        }
    }
}
