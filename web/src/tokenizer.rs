//! The tokenizer of a model, from the bytes of its `tokenizer.json`.

use conclave_model::tokenizer;
use js_sys::{Array, Uint8Array, Uint32Array};
use wasm_bindgen::prelude::wasm_bindgen;
use wasm_bindgen::{JsCast, JsValue};

use crate::error;

/// Text to token ids and back.
#[wasm_bindgen]
pub struct Tokenizer(tokenizer::Tokenizer);

#[wasm_bindgen]
impl Tokenizer {
    /// Reads the bytes of a `tokenizer.json`.
    ///
    /// # Errors
    /// `input` for anything but bytes; `tokenizer` or `unsupported` for a file that cannot be used.
    #[wasm_bindgen(constructor)]
    pub fn new(
        #[wasm_bindgen(unchecked_param_type = "Uint8Array")] json: &JsValue,
    ) -> Result<Tokenizer, JsValue> {
        let Some(bytes) = json.dyn_ref::<Uint8Array>() else {
            return Err(error::input("json: expected the file's bytes, a Uint8Array"));
        };
        tokenizer::Tokenizer::from_json(&bytes.to_vec())
            .map(Tokenizer)
            .map_err(|error| error::from_model(&error))
    }

    /// Encodes text of others: whatever stands in it, no id is an added token's.
    ///
    /// # Errors
    /// `input` where `text` is not a string.
    #[wasm_bindgen(js_name = encodeUntrusted)]
    pub fn encode_untrusted(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] text: &JsValue,
    ) -> Result<Vec<u32>, JsValue> {
        self.0.encode_untrusted(&error::text(text, "text")?).map_err(|error| error::from_model(&error))
    }

    /// Encodes text of our own, such as a prompt's frame: the added tokens in it become their ids. Never for text of
    /// others.
    ///
    /// # Errors
    /// `input` where `text` is not a string.
    #[wasm_bindgen(js_name = encodeTrusted)]
    pub fn encode_trusted(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] text: &JsValue,
    ) -> Result<Vec<u32>, JsValue> {
        self.0.encode_trusted(&error::text(text, "text")?).map_err(|error| error::from_model(&error))
    }

    /// The text of `ids`, without special tokens. Ids that stand for nothing are left out.
    ///
    /// # Errors
    /// `input` where `ids` is not a `Uint32Array` or an array of whole numbers from 0 to 2^32 - 1.
    pub fn decode(
        &self,
        #[wasm_bindgen(unchecked_param_type = "Uint32Array | number[]")] ids: &JsValue,
    ) -> Result<String, JsValue> {
        Ok(self.0.decode(&read_ids(ids)?))
    }

    /// The id of a token by its content, such as `<|endoftext|>`; undefined where there is none.
    ///
    /// # Errors
    /// `input` where `content` is not a string.
    #[wasm_bindgen(js_name = tokenId)]
    pub fn token_id(
        &self,
        #[wasm_bindgen(unchecked_param_type = "string")] content: &JsValue,
    ) -> Result<Option<u32>, JsValue> {
        Ok(self.0.token_id(&error::text(content, "content")?))
    }

    /// Highest id + 1, added tokens included.
    #[wasm_bindgen(getter, js_name = vocabSize)]
    pub fn vocab_size(&self) -> usize {
        self.0.vocab_size()
    }
}

fn read_ids(ids: &JsValue) -> Result<Vec<u32>, JsValue> {
    if let Some(ids) = ids.dyn_ref::<Uint32Array>() {
        return Ok(ids.to_vec());
    }
    let Some(array) = ids.dyn_ref::<Array>() else {
        return Err(error::input("ids: expected a Uint32Array or an array of numbers"));
    };
    let whole = |number: f64| {
        (number.fract() == 0.0 && (0.0..=f64::from(u32::MAX)).contains(&number)).then_some(number as u32)
    };
    let id = |(index, value): (usize, JsValue)| {
        let id = value.as_f64().and_then(whole);
        id.ok_or_else(|| error::input(&format!("ids[{index}]: expected a whole number from 0 to 2^32 - 1")))
    };
    array.iter().enumerate().map(id).collect()
}
