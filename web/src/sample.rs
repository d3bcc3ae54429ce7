//! Candidates of a live API, for JavaScript: drawn by the client crate, told as they come, stopped by an `AbortSignal`.

use std::time::Duration;

use conclave_client::chat::SYSTEM;
use conclave_client::{
    Cancel, ClientError, Endpoint, Event, SampleRequest, Secret, sample_candidates as sample,
};
use conclave_core::Candidate;
use js_sys::{Array, JSON};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};

use crate::callbacks::Callbacks;
use crate::error;
use crate::fetch::Fetch;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** A candidate that an API wrote. */
export interface SampledCandidate {
  text: string;
  model?: string;
  finish_reason?: string;
  /** Tokens as the API counts them. */
  usage?: Record<string, unknown>;
  /** What it thought before, where the API keeps that apart. */
  reasoning?: string;
}

/** What is asked of an OpenAI-compatible API. */
export interface SampleOptions {
  baseUrl: string;
  apiKey?: string;
  model: string;
  problem: string;
  numCandidates: number;
  concurrency?: number;
  temperature?: number;
  maxTokens?: number;
  /** Milliseconds without a sign of the API after which a candidate is given up. */
  timeoutMs?: number;
  signal?: AbortSignal;
  onCandidate?(index: number, candidate: SampledCandidate): void;
  onToken?(index: number, text: string): void;
  onFailure?(index: number, error: ConclaveError): void;
}
"#;

/// As many as a page, or an API, can bear.
const MAX_CANDIDATES: f64 = 10_000.0;
const MAX_CONCURRENCY: f64 = 1_000.0;
/// Browsers open no more connections to a server that speaks HTTP/1.1, and what waits for one would seem to be silent.
const CONCURRENCY: u32 = 6;
/// The longest time that timers know.
const MAX_MILLISECONDS: f64 = i32::MAX as f64;

/// Asks an API for several answers to one problem at once. Gives those that arrived, in order; of the others
/// `onFailure` is told. Behind an abort nothing is told any more.
///
/// # Errors
/// `input` for what cannot be sent; `cancelled` where the signal stopped it before all was done.
#[wasm_bindgen(js_name = sampleCandidates, unchecked_return_type = "SampledCandidate[]")]
pub async fn sample_candidates(
    #[wasm_bindgen(unchecked_param_type = "SampleOptions")] options: JsValue,
) -> Result<JsValue, JsValue> {
    let options = Callbacks::new(options);
    let failed = |error| error::from_client(&error);
    let key = text(&options, "apiKey")?.map(|key| Secret::new(&key)).transpose().map_err(failed)?;
    let endpoint = Endpoint::new(&required(&options, "baseUrl")?, key).map_err(failed)?;
    let request = read_request(&options)?;
    request.check().map_err(failed)?;

    let cancel = Cancel::new();
    let _listening = Listening::start(options.get("signal"), &cancel)?;
    let mut on_event = |event: Event<'_>| tell(&options, &cancel, event);
    let sampled = sample(&Fetch::new(), &endpoint, &request, &cancel, &mut on_event).await;
    if sampled.is_cancelled() {
        return Err(error::from_client(&ClientError::cancelled()));
    }
    let candidates: Array = Array::new();
    for candidate in sampled.into_candidates() {
        candidates.push(&plain(&candidate)?);
    }
    Ok(candidates.into())
}

fn tell(options: &Callbacks, cancel: &Cancel, event: Event<'_>) {
    if cancel.is_cancelled() {
        return;
    }
    let (name, index, what) = match event {
        Event::Token { index, text } => ("onToken", index, text.into()),
        // A text is always a value of JavaScript.
        Event::Done { index, candidate } => ("onCandidate", index, plain(candidate).unwrap_or_default()),
        Event::Failed { index, error } => ("onFailure", index, error::from_client(error)),
        Event::Started { .. } | Event::Reasoning { .. } | Event::Retrying { .. } => return,
    };
    options.call(name, &[(index as f64).into(), what]);
}

/// A candidate as a plain object. By way of its text: a server may count what no number of JavaScript can hold, or call
/// a field `__proto__`.
fn plain(candidate: &Candidate) -> Result<JsValue, JsValue> {
    let text = serde_json::to_string(candidate).map_err(|error| error::new("other", &error.to_string()))?;
    JSON::parse(&text)
}

fn read_request(options: &Callbacks) -> Result<SampleRequest, JsValue> {
    let (model, problem) = (required(options, "model")?, required(options, "problem")?);
    let Some(count) = whole(options, "numCandidates", MAX_CANDIDATES)? else {
        return Err(error::input("numCandidates: expected a whole number"));
    };
    let mut request = SampleRequest::new(model, problem, count as usize);
    request.system = Some(SYSTEM.to_owned());
    request.temperature = number(options, "temperature")?;
    request.max_tokens = whole(options, "maxTokens", f64::from(u32::MAX))?;
    request.concurrency = whole(options, "concurrency", MAX_CONCURRENCY)?.unwrap_or(CONCURRENCY) as usize;
    if let Some(milliseconds) = whole(options, "timeoutMs", MAX_MILLISECONDS)? {
        request.timeouts.idle = Duration::from_millis(u64::from(milliseconds));
    }
    Ok(request)
}

/// An option; nothing where it was left out.
fn given(options: &Callbacks, name: &str) -> Option<JsValue> {
    Some(options.get(name)).filter(|value| !value.is_undefined() && !value.is_null())
}

fn text(options: &Callbacks, name: &str) -> Result<Option<String>, JsValue> {
    given(options, name).map(|value| error::text(&value, name)).transpose()
}

fn required(options: &Callbacks, name: &str) -> Result<String, JsValue> {
    error::text(&options.get(name), name)
}

fn number(options: &Callbacks, name: &str) -> Result<Option<f64>, JsValue> {
    let wrong = || error::input(&format!("{name}: expected a number"));
    given(options, name).map(|value| value.as_f64().ok_or_else(wrong)).transpose()
}

/// A whole number from 1 to `most`.
fn whole(options: &Callbacks, name: &str, most: f64) -> Result<Option<u32>, JsValue> {
    let Some(number) = number(options, name)? else { return Ok(None) };
    if number.fract() == 0.0 && (1.0..=most).contains(&number) {
        return Ok(Some(number as u32));
    }
    Err(error::input(&format!("{name}: expected a whole number from 1 to {most}, not {number}")))
}

#[wasm_bindgen]
unsafe extern "C" {
    /// An `AbortSignal`, or what looks like one.
    type JsSignal;

    #[wasm_bindgen(method, catch, js_name = addEventListener)]
    fn add_event_listener(
        this: &JsSignal,
        event: &str,
        callback: &Closure<dyn FnMut()>,
    ) -> Result<(), JsValue>;

    #[wasm_bindgen(method, catch, js_name = removeEventListener)]
    fn remove_event_listener(
        this: &JsSignal,
        event: &str,
        callback: &Closure<dyn FnMut()>,
    ) -> Result<(), JsValue>;
}

const ABORT: &str = "abort";

/// Passes a signal's wish on, until it is dropped: signals may live for ever.
struct Listening {
    signal: JsSignal,
    callback: Closure<dyn FnMut()>,
}

impl Listening {
    /// Of the option `signal`.
    fn start(signal: JsValue, cancel: &Cancel) -> Result<Option<Self>, JsValue> {
        if signal.is_undefined() || signal.is_null() {
            return Ok(None);
        }
        // A wish that was uttered before is not uttered again.
        if Callbacks::new(signal.clone()).get("aborted").is_truthy() {
            cancel.cancel();
        }
        let (signal, wish) = (signal.unchecked_into::<JsSignal>(), cancel.clone());
        let callback = Closure::new(move || wish.cancel());
        let added = signal.add_event_listener(ABORT, &callback);
        added.map_err(|_| error::input("signal: expected an AbortSignal"))?;
        Ok(Some(Self { signal, callback }))
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        // Whoever could be told can also be told no more.
        let _removed = self.signal.remove_event_listener(ABORT, &self.callback);
    }
}
