//! A model on a device, for JavaScript: loaded, tested, and asked for one answer at a time.

use std::cell::RefCell;
use std::ops::ControlFlow;
use std::rc::Rc;

use conclave_core::SampleSet;
use conclave_core::kinds::{VoteOptions, kind_of};
use conclave_core::majority_vote;
use conclave_core::result::AggregateResult;
use conclave_core::router::{Policy, Route, route_set};
use conclave_model::aggregate::{AggregateOptions, Aggregator, Event};
use conclave_model::any_decoder::AnyDecoder;
use conclave_model::builtin;
use conclave_model::files::ModelFiles;
use conclave_model::generate::SamplingParams;
use conclave_model::load::LoadOptions;
use conclave_model::open::{ModelDirectory, read_tokenizer};
use conclave_model::self_test::{FILE_NAME as SELF_TEST, read_cases};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

use crate::answers::to_js;
use crate::callbacks::Callbacks;
use crate::device::OpenDevice;
use crate::error;
use crate::files::JsFiles;
use crate::pausing::{Pausing, Present};
use crate::proof::prove;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What a load is told, asks and tells. Everything but `device` may be left out. */
export interface EngineLoadOptions {
  device: "webgpu" | "cpu";
  onProgress?(stage: "weights" | "self-test", done: number, total: number): void;
  shouldStop?(): boolean;
  /** Called between steps; a promise is waited for, so that messages can arrive. */
  pause?(): Promise<void> | undefined;
  /** Called once when the GPU goes away. */
  onLost?(reason: string): void;
}

/** What an aggregation is told, asks and tells. Everything may be left out. */
export interface EngineAggregateOptions {
  policy?: "auto" | "always" | "vote";
  mode?: "generate" | "select";
  maxNewTokens?: number;
  onToken?(text: string): void;
  onPrompt?(done: number, total: number): void;
  shouldStop?(): boolean;
  pause?(): Promise<void> | undefined;
}
"#;

/// Share of words that the built-in model does not know, of a set that it was not asked about for that reason.
const UNKNOWN_WORDS: &str = "unknown_words";

/// Of the vocabulary; a shard is the largest piece of a model that the module's memory holds at once.
const MAX_SHARD_BYTES: usize = 16 << 20;

type Decoder = Pausing<AnyDecoder>;

/// One model on one device.
#[wasm_bindgen]
pub struct Engine {
    aggregator: Aggregator<Decoder>,
    present: Present,
    is_builtin: bool,
    info: Info,
    // Behind the model, whose tensors are dropped first.
    device: OpenDevice,
}

#[derive(Serialize)]
struct Info {
    device: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    adapter: Option<String>,
    parameters: u64,
    bytes: u64,
}

#[wasm_bindgen]
impl Engine {
    /// Loads a model from `files` and runs its known-answer test.
    ///
    /// # Errors
    /// `self_test` where the device computes wrongly; what is wrong with a file or the device; `cancelled`.
    pub async fn load(
        files: JsFiles,
        #[wasm_bindgen(unchecked_param_type = "EngineLoadOptions")] options: JsValue,
    ) -> Result<Engine, JsValue> {
        Self::open(files, false, Callbacks::new(options)).await
    }

    /// Loads the built-in model.
    ///
    /// # Errors
    /// As [`load`](Self::load).
    #[wasm_bindgen(js_name = loadBuiltin)]
    pub async fn load_builtin(
        #[wasm_bindgen(unchecked_param_type = "EngineLoadOptions")] options: JsValue,
    ) -> Result<Engine, JsValue> {
        let files = crate::builtin::files().await.map_err(|error| error::from_model(&error))?;
        Self::open(files, true, Callbacks::new(options)).await
    }

    /// Turns a sample set into one answer.
    ///
    /// # Errors
    /// `input` for what is no sample set or does not fit the model; `not_finite`; `device_lost`; `cancelled`.
    pub async fn aggregate(
        &mut self,
        set: JsValue,
        #[wasm_bindgen(unchecked_param_type = "EngineAggregateOptions")] options: JsValue,
    ) -> Result<JsValue, JsValue> {
        self.device.check()?;
        let callbacks = Callbacks::new(options);
        let set = read_set(set)?;
        let options = read_options(&callbacks)?;
        if let Some(result) = self.vote_on_unknown(&set, options.policy) {
            return to_js(&result);
        }
        *self.present.borrow_mut() = callbacks.clone();
        let mut on_event = |event: Event<'_>| tell(&callbacks, event);
        let result = self.aggregator.aggregate(&set, &options, &mut on_event).await;
        // Whatever came of it: a device that failed explains an error and spoils a result.
        self.device.check()?;
        to_js(&result.map_err(|error| error::from_model(&error))?)
    }

    /// The device, the number of parameters and the bytes of the files.
    ///
    /// # Errors
    /// None in practice.
    pub fn info(&self) -> Result<JsValue, JsValue> {
        to_js(&self.info)
    }
}

impl Engine {
    async fn open<F: ModelFiles>(files: F, is_builtin: bool, callbacks: Callbacks) -> Result<Self, JsValue> {
        let Some(name) = callbacks.text("device") else {
            return Err(error::input("device: expected \"webgpu\" or \"cpu\""));
        };
        let device = OpenDevice::open(&name, &callbacks).await?;
        let present: Present = Rc::new(RefCell::new(callbacks.clone()));
        let loaded = load_aggregator(files, &device, &callbacks, &present).await;
        device.check()?;
        let (aggregator, parameters, bytes) = loaded?;
        let info = Info { device: device.name, adapter: device.adapter.clone(), parameters, bytes };
        Ok(Self { aggregator, present, is_builtin, info, device })
    }

    /// The vote, where the model would be asked and is the built-in one, which knows no such words.
    fn vote_on_unknown(&self, set: &SampleSet, policy: Policy) -> Option<AggregateResult> {
        // Labels, records and the like are not for the model, which says so itself.
        let kind = kind_of(set, &VoteOptions::default());
        if !self.is_builtin || !kind.is_ok_and(|(kind, _)| kind.is_for_models()) {
            return None;
        }
        let vote = majority_vote(set);
        let share = builtin::unknown_share(self.aggregator.tokenizer(), set);
        if route_set(policy, set, &vote) == Route::Vote || share <= builtin::MAX_UNKNOWN_SHARE {
            return None;
        }
        let mut result = AggregateResult::from_vote(set, &vote);
        result.extra.insert(UNKNOWN_WORDS.to_owned(), json!((share * 1e3).round() / 1e3));
        Some(result)
    }
}

/// The model of a directory on a device, tested, with its parameters and the bytes of its files.
async fn load_aggregator<F: ModelFiles>(
    files: F,
    device: &OpenDevice,
    callbacks: &Callbacks,
    present: &Present,
) -> Result<(Aggregator<Decoder>, u64, u64), JsValue> {
    let failed = |error| error::from_model(&error);
    let directory = ModelDirectory::open(files).await.map_err(failed)?;
    let files = directory.weights.files();
    let has_reference = files.len(SELF_TEST).await.map_err(failed)?.is_some();
    if !has_reference {
        // Not this model, but at least the device.
        let builtin = crate::builtin::files().await.map_err(failed)?;
        let builtin = ModelDirectory::open(builtin).await.map_err(failed)?;
        load_tested(&builtin, device, callbacks, present).await?;
    }
    let mut bytes = 0;
    for file in directory.manifest.files.keys() {
        bytes += files.len(file).await.map_err(failed)?.unwrap_or(0);
    }
    let tokenizer = read_tokenizer(files, &directory.config).await.map_err(failed)?;
    let decoder = match has_reference {
        true => load_tested(&directory, device, callbacks, present).await?,
        false => load_decoder(&directory, tokenizer.vocab_size(), device, callbacks, present).await?,
    };
    let stop_ids = directory.config.eos_token_ids.clone();
    let parameters = directory.config.num_parameters();
    Ok((Aggregator::new(decoder, tokenizer, directory.manifest, stop_ids), parameters, bytes))
}

/// A model with a reference, loaded and held to it.
async fn load_tested<F: ModelFiles>(
    directory: &ModelDirectory<F>,
    device: &OpenDevice,
    callbacks: &Callbacks,
    present: &Present,
) -> Result<Decoder, JsValue> {
    let failed = |error| error::from_model(&error);
    let files = directory.weights.files();
    let cases = read_cases(files, SELF_TEST).await.map_err(failed)?;
    let tokenizer = read_tokenizer(files, &directory.config).await.map_err(failed)?;
    let mut decoder = load_decoder(directory, tokenizer.vocab_size(), device, callbacks, present).await?;
    // What was recorded was computed with activations that are not rounded.
    decoder.inner().set_exact(true);
    prove(&mut decoder, &cases, device.name, callbacks).await?;
    decoder.inner().set_exact(false);
    Ok(decoder)
}

async fn load_decoder<F: ModelFiles>(
    directory: &ModelDirectory<F>,
    num_tokens: usize,
    device: &OpenDevice,
    callbacks: &Callbacks,
    present: &Present,
) -> Result<Decoder, JsValue> {
    let mut on_progress = |progress: conclave_model::load::LoadProgress| {
        callbacks.progress("weights", progress.loaded, progress.total);
        stop_or_go(callbacks)
    };
    let load_options = LoadOptions {
        max_shard_bytes: MAX_SHARD_BYTES,
        quantized_on_processor: device.name == "cpu",
        ..LoadOptions::default()
    };
    let decoder = directory.decoder(num_tokens, &device.device, &load_options, &mut on_progress).await;
    let decoder = decoder.map_err(|error| error::from_model(&error))?;
    Ok(Pausing::new(decoder, present.clone()))
}

/// Passes an event on, and asks whether to go on.
fn tell(callbacks: &Callbacks, event: Event<'_>) -> ControlFlow<()> {
    match event {
        Event::Prompt { done, total } => {
            callbacks.call("onPrompt", &[(done as f64).into(), (total as f64).into()]);
        }
        Event::Text(text) => {
            callbacks.call("onToken", &[text.into()]);
        }
        Event::Scored { .. } => {}
    }
    stop_or_go(callbacks)
}

fn stop_or_go(callbacks: &Callbacks) -> ControlFlow<()> {
    if callbacks.should_stop() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

/// A sample set as in a file, save that candidates may be texts and the id may be left out.
fn read_set(set: JsValue) -> Result<SampleSet, JsValue> {
    let wrong = |reason: &str| error::input(&format!("set: {reason}"));
    let mut value: Value = serde_wasm_bindgen::from_value(set).map_err(|error| wrong(&error.to_string()))?;
    if let Some(fields) = value.as_object_mut() {
        fields.entry("id").or_insert_with(|| json!(""));
    }
    if let Some(candidates) = value.get_mut("candidates").and_then(Value::as_array_mut) {
        for candidate in candidates.iter_mut().filter(|candidate| candidate.is_string()) {
            *candidate = json!({ "text": candidate.take() });
        }
    }
    SampleSet::try_from(value).map_err(|reason| wrong(&reason))
}

fn read_options(callbacks: &Callbacks) -> Result<AggregateOptions, JsValue> {
    let max_new_tokens = callbacks.number("maxNewTokens").map_or(0, |number| number as usize);
    Ok(AggregateOptions {
        kind: None,
        policy: read_name(callbacks, "policy")?.unwrap_or_default(),
        mode: read_name(callbacks, "mode")?,
        variant: None,
        sampling: SamplingParams::greedy(max_new_tokens),
        permutation_seed: None,
    })
}

/// One of the names of an enumeration; nothing where it was left out.
fn read_name<T: DeserializeOwned>(callbacks: &Callbacks, option: &str) -> Result<Option<T>, JsValue> {
    let Some(name) = callbacks.text(option) else { return Ok(None) };
    let value = serde_json::from_value(Value::String(name));
    value.map(Some).map_err(|error| error::input(&format!("{option}: {error}")))
}
