//! The files of a model as JavaScript holds them: in a browser's storage, or in memory. Their bytes were checked there.

use std::ops::Range;

use conclave_model::Error;
use conclave_model::files::{ModelFiles, missing_file, outside_file};
use js_sys::{Promise, Uint8Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

#[wasm_bindgen(typescript_custom_section)]
const TYPES: &str = r#"
/** What a model is read from. */
export interface EngineFiles {
  /** Bytes of a file; undefined where there is no such file. */
  len(file: string): Promise<number | undefined>;
  /** Bytes `start` to `end` of a file. */
  read(file: string, start: number, end: number): Promise<Uint8Array>;
}
"#;

#[wasm_bindgen]
unsafe extern "C" {
    /// The object that JavaScript passes.
    #[wasm_bindgen(typescript_type = "EngineFiles")]
    pub type JsFiles;

    #[wasm_bindgen(method, catch, js_name = len)]
    fn js_len(this: &JsFiles, file: &str) -> Result<Promise, JsValue>;

    #[wasm_bindgen(method, catch, js_name = read)]
    fn js_read(this: &JsFiles, file: &str, start: f64, end: f64) -> Result<Promise, JsValue>;
}

impl ModelFiles for JsFiles {
    async fn read(&self, file: &str, range: Option<Range<u64>>) -> Result<Vec<u8>, Error> {
        let len = self.len(file).await?.ok_or_else(|| missing_file(file))?;
        let range = range.unwrap_or(0..len);
        if range.start > range.end || range.end > len {
            return Err(outside_file(file, &range, len));
        }
        let failed = |error: JsValue| Error::io(format!("cannot read {file}: {}", message(&error)));
        let promise = self.js_read(file, range.start as f64, range.end as f64).map_err(failed)?;
        let bytes = JsFuture::from(promise).await.map_err(failed)?;
        let bytes = bytes
            .dyn_into::<Uint8Array>()
            .map_err(|_| Error::io(format!("{file}: expected its bytes as a Uint8Array")))?;
        if u64::from(bytes.length()) != range.end - range.start {
            return Err(outside_file(file, &range, range.start + u64::from(bytes.length())));
        }
        Ok(bytes.to_vec())
    }

    async fn len(&self, file: &str) -> Result<Option<u64>, Error> {
        let failed = |error: JsValue| Error::io(format!("cannot find {file}: {}", message(&error)));
        let promise = self.js_len(file).map_err(failed)?;
        let len = JsFuture::from(promise).await.map_err(failed)?;
        Ok(len.as_f64().map(|len| len as u64))
    }
}

/// The text of what was thrown.
/// What an error of JavaScript says.
pub(crate) fn message(error: &JsValue) -> String {
    match error.dyn_ref::<js_sys::Error>() {
        Some(error) => String::from(error.message()),
        None => format!("{error:?}"),
    }
}
