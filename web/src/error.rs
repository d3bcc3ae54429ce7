//! The one kind of error that JavaScript sees: an `Error` with `name` "ConclaveError" and a `code` to decide by.

#[cfg(feature = "client")]
use conclave_client::ClientError;
#[cfg(feature = "model")]
use conclave_model::{Error, ErrorKind};
use js_sys::Reflect;
use wasm_bindgen::JsValue;
use wasm_bindgen::prelude::wasm_bindgen;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What every function of this module throws. */
export interface ConclaveError extends Error {
  name: "ConclaveError";
  /** What sort of thing went wrong; the message says what was expected and where. */
  code: "input" | "io" | "not_found" | "format" | "config" | "tokenizer" | "shape" | "unsupported" | "not_finite"
    | "cancelled" | "capacity" | "device" | "other" | "no_webgpu" | "limits" | "device_lost" | "self_test"
    | "wrong_key" | "no_such_model" | "rate_limited" | "no_credit" | "connection_refused" | "unknown_host" | "tls" | "cors"
    | "network" | "disconnected" | "timeout" | "server_error" | "rejected" | "malformed_answer";
  /** What to do about it, where the place of the error knows. */
  remedy?: string;
}
"#;

/// An error of the model crate, for JavaScript.
#[cfg(feature = "model")]
pub fn from_model(error: &Error) -> JsValue {
    let code = match error.kind() {
        ErrorKind::Io => "io",
        ErrorKind::NotFound => "not_found",
        ErrorKind::Format => "format",
        ErrorKind::Config => "config",
        ErrorKind::Tokenizer => "tokenizer",
        ErrorKind::Shape => "shape",
        ErrorKind::Unsupported => "unsupported",
        ErrorKind::NotFinite => "not_finite",
        ErrorKind::Cancelled => "cancelled",
        ErrorKind::Capacity => "capacity",
        ErrorKind::Input => "input",
        ErrorKind::Device => "device",
        _ => "other",
    };
    new(code, &error.to_string())
}

/// An error of the client crate, for JavaScript: under its own code, with its remedy as a sentence.
#[cfg(feature = "client")]
pub fn from_client(error: &ClientError) -> JsValue {
    let value = new(&error.kind().code().replace('-', "_"), error.message());
    let mut remedy = error.remedy().chars();
    if let Some(first) = remedy.next() {
        let rest = remedy.as_str();
        let end = if rest.ends_with('?') { "" } else { "." };
        let sentence = format!("{}{rest}{end}", first.to_ascii_uppercase());
        // As below.
        let _set = Reflect::set(&value, &"remedy".into(), &sentence.into());
    }
    value
}

/// An argument is not what the function takes.
pub fn input(message: &str) -> JsValue {
    new("input", message)
}

/// The text of an argument that has to be a string; `name` is what the error calls it.
pub fn text(value: &JsValue, name: &str) -> Result<String, JsValue> {
    value.as_string().ok_or_else(|| input(&format!("{name}: expected a string")))
}

/// An error with one of the codes above.
pub fn new(code: &str, message: &str) -> JsValue {
    let error = js_sys::Error::new(message);
    error.set_name("ConclaveError");
    // Setting a property of a plain new object cannot fail.
    let _set = Reflect::set(&error, &"code".into(), &code.into());
    error.into()
}
