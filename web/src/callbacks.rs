//! The options object of a call: plain values to read, and functions to tell and to ask.

#[cfg(feature = "model")]
use conclave_model::Error;
#[cfg(feature = "model")]
use js_sys::Promise;
use js_sys::{Array, Function, Reflect};
use wasm_bindgen::{JsCast, JsValue};
#[cfg(feature = "model")]
use wasm_bindgen_futures::JsFuture;

/// An options object. Everything in it may be missing.
#[derive(Clone, Debug)]
pub struct Callbacks(JsValue);

impl Callbacks {
    /// Of the object that JavaScript passed.
    pub fn new(options: JsValue) -> Self {
        Self(options)
    }

    /// A property; undefined where there is none, or its getter throws.
    pub fn get(&self, name: &str) -> JsValue {
        Reflect::get(&self.0, &name.into()).unwrap_or(JsValue::UNDEFINED)
    }

    /// A text property.
    pub fn text(&self, name: &str) -> Option<String> {
        self.get(name).as_string()
    }

    /// A number property.
    pub fn number(&self, name: &str) -> Option<f64> {
        self.get(name).as_f64()
    }

    /// Calls a function of the object. One that is missing or throws gives undefined: nobody here could handle it.
    pub fn call(&self, name: &str, arguments: &[JsValue]) -> JsValue {
        let Ok(function) = self.get(name).dyn_into::<Function>() else { return JsValue::UNDEFINED };
        let list: Array = Array::new();
        for argument in arguments {
            list.push(argument);
        }
        function.apply(&self.0, &list).unwrap_or(JsValue::UNDEFINED)
    }

    /// Tells of progress.
    pub fn progress(&self, stage: &str, done: u64, total: u64) {
        self.call("onProgress", &[stage.into(), (done as f64).into(), (total as f64).into()]);
    }

    /// Whether the caller wants to stop.
    pub fn should_stop(&self) -> bool {
        self.call("shouldStop", &[]).is_truthy()
    }

    /// Lets the host's messages in, if it has been long enough, and fails where one of them was to stop.
    ///
    /// # Errors
    /// `Cancelled`.
    #[cfg(feature = "model")]
    pub async fn pause(&self) -> Result<(), Error> {
        if let Ok(promise) = self.call("pause", &[]).dyn_into::<Promise>() {
            // A pause that fails is over, too.
            let _over = JsFuture::from(promise).await;
        }
        if self.should_stop() { Err(Error::cancelled()) } else { Ok(()) }
    }
}
