//! Several candidates for one problem, drawn at once.
//!
//! [`sample_candidates`] sends one request a candidate, some at a time, and tells what happens as it happens. A failure
//! costs the candidate that it happened to and no other; only one that every further request would run into (a wrong key,
//! no such model, nothing listening) is not run into again by those that have not begun.

use std::cell::RefCell;
use std::future::Future;
use std::time::Duration;

use conclave_core::sample_set::Candidate;

use crate::cancel::Cancel;
use crate::chat::refusal::{Asked, MAX_REFUSAL, of_status};
use crate::chat::{Accepted, AnswerReader, Delta, body, seed};
use crate::concurrent::{First, first, run_all};
use crate::endpoint::Endpoint;
use crate::error::{ClientError, ErrorKind, Result};
use crate::retry::{Backoff, Retries, retry_after};
use crate::transport::{Body, Request, Response, Transport, TransportError};

/// The field of a candidate with the seed that was asked for.
pub const SEED: &str = "seed";

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct SampleRequest {
    /// The model's name, as the server knows it.
    pub model: String,
    /// The problem, as the user's message.
    pub problem: String,
    /// What stands before it, as the system's message.
    pub system: Option<String>,
    /// How many candidates.
    pub num_candidates: usize,
    /// Candidates that are there already and not asked for, by their index.
    pub skip: Vec<usize>,
    /// The temperature; the server's own where none is given.
    pub temperature: Option<f64>,
    /// Tokens of a candidate at most.
    pub max_tokens: Option<u32>,
    /// Seed of the first candidate; the others have those after it. Servers may ignore it.
    pub seed: Option<u64>,
    /// Requests at the same time, at most.
    pub concurrency: usize,
    /// How long to wait.
    pub timeouts: Timeouts,
    /// How often to ask a server that is busy.
    pub retries: Retries,
}

impl SampleRequest {
    /// `num_candidates` candidates of `model` for `problem`, with everything else as the server has it.
    pub fn new(model: impl Into<String>, problem: impl Into<String>, num_candidates: usize) -> Self {
        Self {
            model: model.into(),
            problem: problem.into(),
            system: None,
            num_candidates,
            skip: Vec::new(),
            temperature: None,
            max_tokens: None,
            seed: None,
            concurrency: 8,
            timeouts: Timeouts::default(),
            retries: Retries::default(),
        }
    }

    /// Refuses what cannot be sent. [`sample_candidates`] does so too, once for each candidate.
    ///
    /// # Errors
    /// [`ErrorKind::Input`].
    pub fn check(&self) -> Result<()> {
        let message = if self.model.trim().is_empty() {
            "the model has no name: give the one that the server lists"
        } else if self.temperature.is_some_and(|temperature| !(0.0..=100.0).contains(&temperature)) {
            "the temperature must be a number from 0 to 100"
        } else {
            return Ok(());
        };
        Err(ClientError::new(ErrorKind::Input, message))
    }
}

/// How long to wait. The time that connecting may take is the transport's own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Timeouts {
    /// Without a sign of the server: until its answer begins, and between two pieces of it. A server that loads a model
    /// first, or does not stream, takes its time.
    pub idle: Duration,
    /// For one candidate from its first request to its end, waiting and asking again included.
    pub total: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self { idle: Duration::from_secs(120), total: Duration::from_secs(900) }
    }
}

/// What happens to candidate `index`, as it happens.
#[derive(Clone, Copy, Debug)]
pub enum Event<'a> {
    /// The first request for it is sent.
    Started {
        /// Which.
        index: usize,
    },
    /// A piece of its reasoning, where the server keeps that apart.
    Reasoning {
        /// Which.
        index: usize,
        /// The new part.
        text: &'a str,
    },
    /// A piece of its text.
    Token {
        /// Which.
        index: usize,
        /// The new part.
        text: &'a str,
    },
    /// The server is busy; the request is sent again after a while.
    Retrying {
        /// Which.
        index: usize,
        /// How long it waits.
        after: Duration,
        /// What the server said.
        error: &'a ClientError,
    },
    /// It is there.
    Done {
        /// Which.
        index: usize,
        /// The whole of it.
        candidate: &'a Candidate,
    },
    /// It will not be there.
    Failed {
        /// Which.
        index: usize,
        /// Why.
        error: &'a ClientError,
    },
}

/// A candidate that did not arrive.
#[derive(Clone, Debug, PartialEq)]
pub struct Failure {
    /// Which, from 0.
    pub index: usize,
    /// Why.
    pub error: ClientError,
    /// What there was of it, where it broke off in the middle: a text without an end, which is no candidate.
    pub partial: Option<Candidate>,
}

/// What came of a request for candidates: each index that was asked for is in one of the two lists.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sampled {
    /// Those that arrived, with their indices, in order.
    pub candidates: Vec<(usize, Candidate)>,
    /// Those that did not, in order.
    pub failures: Vec<Failure>,
}

impl Sampled {
    /// The candidates alone, in order.
    pub fn into_candidates(self) -> Vec<Candidate> {
        self.candidates.into_iter().map(|(_, candidate)| candidate).collect()
    }

    /// Whether the caller stopped it before all was done.
    pub fn is_cancelled(&self) -> bool {
        self.failures.iter().any(|failure| failure.error.kind() == ErrorKind::Cancelled)
    }
}

/// Asks `endpoint` for candidates and waits for all of them, or for `cancel`. What has arrived by then is returned.
pub async fn sample_candidates<T: Transport>(
    transport: &T,
    endpoint: &Endpoint,
    request: &SampleRequest,
    cancel: &Cancel,
    on_event: &mut dyn FnMut(Event<'_>),
) -> Sampled {
    let run = Run {
        transport,
        endpoint,
        request,
        cancel,
        on_event: RefCell::new(on_event),
        state: RefCell::new(State { lasting: request.check().err(), ..State::default() }),
    };
    let wanted: Vec<usize> =
        (0..request.num_candidates).filter(|index| !request.skip.contains(index)).collect();
    run_all(wanted.len(), request.concurrency, |place| run.candidate(wanted[place])).await;
    let mut sampled = run.state.into_inner().sampled;
    sampled.candidates.sort_by_key(|(index, _)| *index);
    sampled.failures.sort_by_key(|failure| failure.index);
    sampled
}

/// What all candidates of a call share.
struct Run<'a, T> {
    transport: &'a T,
    endpoint: &'a Endpoint,
    request: &'a SampleRequest,
    cancel: &'a Cancel,
    on_event: RefCell<&'a mut dyn FnMut(Event<'_>)>,
    state: RefCell<State>,
}

#[derive(Default)]
struct State {
    sampled: Sampled,
    /// A failure that all further requests would run into.
    lasting: Option<ClientError>,
    accepted: Accepted,
}

/// What a server that does not answer says, and how long it wants to be left alone.
struct Refused {
    error: ClientError,
    /// `None` where asking again makes no sense.
    again: Option<Option<Duration>>,
}

impl<T: Transport> Run<'_, T> {
    fn tell(&self, event: Event<'_>) {
        (self.on_event.borrow_mut())(event);
    }

    fn asked(&self) -> Asked<'_> {
        Asked { url: self.endpoint.chat(), model: &self.request.model, key: self.endpoint.key() }
    }

    /// One candidate, from its first request to its place in a list.
    async fn candidate(&self, index: usize) {
        let known = self.state.borrow().lasting.clone();
        let known = if self.cancel.is_cancelled() { Some(ClientError::cancelled()) } else { known };
        if let Some(error) = known {
            return self.failed(index, error, None);
        }
        self.tell(Event::Started { index });
        let mut reader = AnswerReader::new(self.asked());
        let total = self.request.timeouts.total;
        let work = within(self.transport, total, self.answer(index, &mut reader));
        let outcome = match first(self.cancel.cancelled(), work).await {
            First::A(()) => Err(ClientError::cancelled()),
            First::B(Some(outcome)) => outcome,
            First::B(None) => Err(self.timeout("is not done with its answer after", total)),
        };
        match outcome {
            Ok(()) => self.arrived(index, reader.candidate()),
            Err(error) => {
                let partial = reader.candidate();
                self.failed(index, error, (!reader.is_empty()).then_some(partial));
            }
        }
    }

    fn arrived(&self, index: usize, mut candidate: Candidate) {
        if let Some(seed) = seed(self.request, index) {
            candidate.extra.insert(SEED.to_owned(), seed.into());
        }
        self.tell(Event::Done { index, candidate: &candidate });
        self.state.borrow_mut().sampled.candidates.push((index, candidate));
    }

    fn failed(&self, index: usize, error: ClientError, partial: Option<Candidate>) {
        self.tell(Event::Failed { index, error: &error });
        let mut state = self.state.borrow_mut();
        // Where something has arrived, the endpoint is in order, and the failure was of this candidate alone.
        if error.kind().is_lasting() && state.lasting.is_none() && state.sampled.candidates.is_empty() {
            state.lasting = Some(error.clone());
        }
        state.sampled.failures.push(Failure { index, error, partial });
    }

    /// Asks until there is an answer or no sense in asking again, and reads it.
    async fn answer(&self, index: usize, reader: &mut AnswerReader<'_>) -> Result<()> {
        let mut backoff = Backoff::new(&self.request.retries, index);
        let response = loop {
            let accepted = self.state.borrow().accepted;
            match self.ask(index, accepted).await {
                Ok(Some(response)) => break response,
                // It was asked for something it does not know; now that is known.
                Ok(None) => continue,
                Err(Refused { error, again }) => {
                    let Some(after) = again.and_then(|asked| backoff.next(asked)) else { return Err(error) };
                    self.tell(Event::Retrying { index, after, error: &error });
                    self.transport.sleep(after).await;
                }
            }
        };
        self.read(index, response.body, reader).await
    }

    /// One request. `None` where the server refused it for a reason that will not come again.
    async fn ask(&self, index: usize, accepted: Accepted) -> Result<Option<Response<T::Body>>, Refused> {
        let body = body(self.request, index, accepted);
        let request = Request { url: self.endpoint.chat(), key: self.endpoint.key(), body: &body };
        let idle = self.request.timeouts.idle;
        let response = match within(self.transport, idle, self.transport.post(request)).await {
            Some(Ok(response)) => response,
            Some(Err(error)) => {
                // The server was there, and hung up before it said anything: many do that when they are busy.
                let again = (error.kind == ErrorKind::Disconnected).then_some(None);
                return Err(Refused { error: self.broken(&error), again });
            }
            None => {
                return Err(Refused { error: self.timeout("has not answered for", idle), again: None });
            }
        };
        let status = response.status;
        if (200..300).contains(&status) {
            return Ok(Some(response));
        }
        let after = retry_after(response.header("retry-after"));
        let words = self.refusal(response.body).await;
        if let Some(learnt) = accepted.learn(status, &words, self.request) {
            self.state.borrow_mut().accepted = learnt;
            return Ok(None);
        }
        let error = of_status(self.asked(), status, &words);
        let again = matches!(error.kind(), ErrorKind::RateLimited | ErrorKind::Server).then_some(after);
        Err(Refused { error, again })
    }

    /// The words of a refusal, as far as they come.
    async fn refusal(&self, mut body: T::Body) -> String {
        let mut bytes = Vec::new();
        while bytes.len() < MAX_REFUSAL {
            match within(self.transport, self.request.timeouts.idle, body.chunk()).await {
                Some(Ok(Some(chunk))) => bytes.extend_from_slice(&chunk),
                _ => break,
            }
        }
        bytes.truncate(MAX_REFUSAL);
        String::from_utf8_lossy(&bytes).into_owned()
    }

    async fn read(&self, index: usize, mut body: T::Body, reader: &mut AnswerReader<'_>) -> Result<()> {
        let idle = self.request.timeouts.idle;
        let mut each = |delta: Delta<'_>| match delta {
            Delta::Text(text) => self.tell(Event::Token { index, text }),
            Delta::Reasoning(text) => self.tell(Event::Reasoning { index, text }),
        };
        while !reader.is_done() {
            match within(self.transport, idle, body.chunk()).await {
                Some(Ok(Some(chunk))) => reader.push(&chunk, &mut each)?,
                Some(Ok(None)) => break,
                Some(Err(error)) => return Err(self.broken(&error)),
                None => return Err(self.timeout("has sent nothing for", idle)),
            }
        }
        reader.finish(&mut each)
    }

    fn broken(&self, error: &TransportError) -> ClientError {
        error.at(self.endpoint.chat(), self.endpoint.key())
    }

    fn timeout(&self, what: &str, limit: Duration) -> ClientError {
        let message = format!("{} {what} {} s", self.endpoint.chat(), limit.as_secs_f64());
        ClientError::new(ErrorKind::Timeout, message)
    }
}

/// What `future` gives, or `None` where it takes longer than `limit`.
async fn within<T: Transport, V>(
    transport: &T,
    limit: Duration,
    future: impl Future<Output = V>,
) -> Option<V> {
    match first(future, transport.sleep(limit)).await {
        First::A(value) => Some(value),
        First::B(()) => None,
    }
}
