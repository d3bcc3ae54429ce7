//! The transport of pages, workers, Node.js, Deno and workerd: the global `fetch`, read as it streams, and `setTimeout`.
//!
//! 1. Dropping is aborting: what is dropped aborts its `AbortController` or clears its timer.
//! 2. Browsers do not say why a `fetch` failed, so that no page learns what is in a network. Only whether the server is
//!    there at all can be found out, and with it whether CORS is to blame. Other hosts say more.
//! 3. The key is in one header of one request: not in the address, and not in the request that finds out about CORS. No
//!    redirection is followed, and no cookies are sent.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::iter::successors;
use std::pin::Pin;
use std::rc::Rc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use conclave_client::{Body, ErrorKind, HttpUrl, Request, Response, Transport, TransportError};
use js_sys::{Array, Object, Promise, Reflect, Uint8Array};
use wasm_bindgen::prelude::{Closure, wasm_bindgen};
use wasm_bindgen::{JsCast, JsValue};
use wasm_bindgen_futures::JsFuture;

// Not of `web-sys`: its types are those of browsers, and its features reach the graphics library.
#[wasm_bindgen]
unsafe extern "C" {
    #[wasm_bindgen(catch, js_name = fetch)]
    fn js_fetch(url: &str, init: &Object) -> Result<Promise, JsValue>;

    /// The result is a number, save in Node.js.
    #[wasm_bindgen(js_name = setTimeout)]
    fn set_timeout(callback: &Closure<dyn FnMut()>, milliseconds: f64) -> JsValue;

    #[wasm_bindgen(js_name = clearTimeout)]
    fn clear_timeout(timer: &JsValue);

    type AbortController;

    #[wasm_bindgen(constructor, catch)]
    fn new() -> Result<AbortController, JsValue>;

    #[wasm_bindgen(method, getter)]
    fn signal(this: &AbortController) -> JsValue;

    #[wasm_bindgen(method)]
    fn abort(this: &AbortController);

    /// A `Response`.
    type JsResponse;

    #[wasm_bindgen(method, getter)]
    fn status(this: &JsResponse) -> u16;

    #[wasm_bindgen(method, getter, js_name = type)]
    fn kind(this: &JsResponse) -> Option<String>;

    #[wasm_bindgen(method, getter)]
    fn headers(this: &JsResponse) -> JsValue;

    #[wasm_bindgen(method, getter)]
    fn body(this: &JsResponse) -> Option<JsStream>;

    /// A `ReadableStream`.
    type JsStream;

    #[wasm_bindgen(method, catch, js_name = getReader)]
    fn get_reader(this: &JsStream) -> Result<JsReader, JsValue>;

    /// A `ReadableStreamDefaultReader`.
    type JsReader;

    #[wasm_bindgen(method, catch)]
    fn read(this: &JsReader) -> Result<Promise, JsValue>;
}

/// The host's `fetch` and clock.
#[derive(Debug, Default)]
pub struct Fetch {
    /// The origin of the page, where there is a page: only there is anything kept from us.
    origin: Option<String>,
}

impl Fetch {
    /// The transport of this host.
    pub fn new() -> Self {
        let location = get(&js_sys::global(), "location");
        Self { origin: get(&location, "origin").as_string() }
    }

    fn init(&self, method: &str, request: &Underway) -> Object {
        let init = Object::new();
        set(&init, "method", method);
        set(&init, "signal", request.0.signal());
        // What workerd refuses to be told, and what goes without saying elsewhere than in a page.
        if self.origin.is_some() {
            set(&init, "credentials", "omit");
            set(&init, "cache", "no-store");
            set(&init, "referrerPolicy", "no-referrer");
        }
        init
    }

    /// Whether the browser gives a page of `origin` an answer from `url` only where the server agrees.
    fn is_elsewhere(&self, url: &HttpUrl) -> bool {
        // A page without an origin, such as a file, calls its own `null`, which is nobody's.
        self.origin.as_ref().is_some_and(|origin| match HttpUrl::parse(origin) {
            Ok(page) => {
                (page.is_https(), page.host(), page.port()) != (url.is_https(), url.host(), url.port())
            }
            Err(_) => true,
        })
    }

    /// Why there is no answer. Where it is from elsewhere, the server is asked for one that nobody reads, which needs no
    /// consent: whoever gives that is there, and it was the consent that lacked.
    async fn no_answer(&self, url: &HttpUrl, error: &JsValue) -> TransportError {
        let found = of_request(error);
        if found.kind == ErrorKind::Network && self.is_elsewhere(url) {
            let Ok(probe) = Underway::new() else { return found };
            let init = self.init("HEAD", &probe);
            set(&init, "mode", "no-cors");
            if let Ok(promise) = js_fetch(&url.to_string(), &init)
                && JsFuture::from(promise).await.is_ok()
            {
                return TransportError::new(ErrorKind::Cors, found.detail);
            }
        }
        found
    }
}

impl Transport for Fetch {
    type Body = FetchBody;

    async fn post(&self, request: Request<'_>) -> Result<Response<FetchBody>, TransportError> {
        let underway = Underway::new().map_err(|error| of_request(&error))?;
        let headers = Object::new();
        set(&headers, "Content-Type", "application/json");
        set(&headers, "Accept", "text/event-stream, application/json");
        if let Some(key) = request.key {
            set(&headers, "Authorization", format!("Bearer {}", key.expose()));
        }
        let init = self.init("POST", &underway);
        set(&init, "headers", headers);
        set(&init, "body", Uint8Array::from(request.body));
        set(&init, "redirect", "manual");

        let answer = match js_fetch(&request.url.to_string(), &init) {
            Ok(promise) => JsFuture::from(promise).await,
            Err(error) => Err(error),
        };
        let response: JsResponse = match answer {
            Ok(response) => response.unchecked_into(),
            Err(error) => return Err(self.no_answer(request.url, &error).await),
        };
        if response.kind().as_deref() == Some("opaqueredirect") {
            return Err(TransportError::new(ErrorKind::NotFound, ""));
        }
        let reader = response.body().map(|body| body.get_reader()).transpose();
        let reader = reader.map_err(|error| of_answer(&error))?;
        let headers = Array::from(&response.headers());
        let headers = headers.iter().map(|header| {
            let part = |index: u32| Reflect::get_u32(&header, index).ok().and_then(|part| part.as_string());
            (part(0).unwrap_or_default(), part(1).unwrap_or_default())
        });
        let (status, headers) = (response.status(), headers.collect());
        Ok(Response { status, headers, body: FetchBody { reader, _request: underway } })
    }

    async fn sleep(&self, duration: Duration) {
        Timer::new(duration).await;
    }
}

/// The bytes of an answer. Dropped, it closes the connection.
pub struct FetchBody {
    reader: Option<JsReader>,
    _request: Underway,
}

impl Body for FetchBody {
    async fn chunk(&mut self) -> Result<Option<Vec<u8>>, TransportError> {
        let Some(reader) = &self.reader else { return Ok(None) };
        let failed = |error: JsValue| of_answer(&error);
        let step = JsFuture::from(reader.read().map_err(failed)?).await.map_err(failed)?;
        if get(&step, "done").is_truthy() {
            self.reader = None;
            return Ok(None);
        }
        match get(&step, "value").dyn_into::<Uint8Array>() {
            Ok(bytes) => Ok(Some(bytes.to_vec())),
            Err(_) => Err(TransportError::new(ErrorKind::Malformed, "a piece of the answer is not bytes")),
        }
    }
}

/// A request and its answer. Dropped before its end, it is aborted; behind it that changes nothing.
struct Underway(AbortController);

impl Underway {
    fn new() -> Result<Self, JsValue> {
        AbortController::new().map(Self)
    }
}

impl Drop for Underway {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Ready when the time is over. Not a promise: one whose timer is cleared would never be settled, and never be freed.
struct Timer {
    state: Rc<TimerState>,
    id: JsValue,
    _callback: Closure<dyn FnMut()>,
}

#[derive(Default)]
struct TimerState {
    is_over: Cell<bool>,
    waiting: RefCell<Option<Waker>>,
}

impl Timer {
    fn new(duration: Duration) -> Self {
        let state = Rc::new(TimerState::default());
        let shared = Rc::clone(&state);
        let callback = Closure::new(move || {
            shared.is_over.set(true);
            if let Some(waker) = shared.waiting.take() {
                waker.wake();
            }
        });
        // A longer time would count as none: timers have 31 bits.
        let milliseconds = (duration.as_secs_f64() * 1e3).ceil().min(f64::from(i32::MAX));
        let id = set_timeout(&callback, milliseconds);
        Self { state, id, _callback: callback }
    }
}

impl Future for Timer {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if self.state.is_over.get() {
            return Poll::Ready(());
        }
        self.state.waiting.replace(Some(context.waker().clone()));
        Poll::Pending
    }
}

impl Drop for Timer {
    fn drop(&mut self) {
        clear_timeout(&self.id);
    }
}

/// How hosts that say why call it: codes of Node.js and workerd, by how they begin or what they contain.
const CODES: [(&str, ErrorKind); 13] = [
    ("ECONNREFUSED", ErrorKind::Refused),
    ("ENOTFOUND", ErrorKind::UnknownHost),
    ("EAI_AGAIN", ErrorKind::UnknownHost),
    ("UND_ERR_CONNECT_TIMEOUT", ErrorKind::Timeout),
    ("ETIMEDOUT", ErrorKind::Timeout),
    ("CERT", ErrorKind::Tls),
    ("UNABLE_TO_", ErrorKind::Tls),
    ("ERR_SSL", ErrorKind::Tls),
    ("EPROTO", ErrorKind::Tls),
    ("HPE_", ErrorKind::Malformed),
    ("ECONNRESET", ErrorKind::Disconnected),
    ("EPIPE", ErrorKind::Disconnected),
    ("UND_ERR_SOCKET", ErrorKind::Disconnected),
];

/// The same in the words of Deno, which has no codes.
const WORDS: [(&str, ErrorKind); 5] = [
    ("Connection refused", ErrorKind::Refused),
    ("dns error", ErrorKind::UnknownHost),
    ("invalid peer certificate", ErrorKind::Tls),
    ("connection closed before message completed", ErrorKind::Disconnected),
    ("Connection reset", ErrorKind::Disconnected),
];

/// No answer has begun.
fn of_request(error: &JsValue) -> TransportError {
    let kind = kind_of(error).unwrap_or(ErrorKind::Network);
    // Of a refusal the name says everything.
    let detail = if kind == ErrorKind::Refused { String::new() } else { words(error) };
    TransportError::new(kind, detail)
}

/// It broke off, or is none.
fn of_answer(error: &JsValue) -> TransportError {
    let kind = kind_of(error).filter(|kind| *kind == ErrorKind::Malformed);
    TransportError::new(kind.unwrap_or(ErrorKind::Disconnected), words(error))
}

fn kind_of(error: &JsValue) -> Option<ErrorKind> {
    causes(error).find_map(|cause| {
        let named = |name: &str, table: &[(&str, ErrorKind)]| {
            let text = get(&cause, name).as_string()?;
            table.iter().find(|(part, _)| text.contains(part)).map(|(_, kind)| *kind)
        };
        named("code", &CODES).or_else(|| named("message", &WORDS))
    })
}

/// What the innermost says that says anything.
fn words(error: &JsValue) -> String {
    let said = causes(error).filter_map(|cause| get(&cause, "message").as_string());
    said.filter(|message| !message.is_empty()).last().unwrap_or_default()
}

/// The error, what caused it, what caused that, within reason.
fn causes(error: &JsValue) -> impl Iterator<Item = JsValue> {
    successors(Some(error.clone()), |error| Some(get(error, "cause")).filter(JsValue::is_object)).take(4)
}

/// A property; undefined where there is none, or nothing that could have one.
fn get(value: &JsValue, name: &str) -> JsValue {
    Reflect::get(value, &name.into()).unwrap_or(JsValue::UNDEFINED)
}

/// Sets a property of a plain object of our own, which cannot fail.
fn set(object: &Object, name: &str, value: impl Into<JsValue>) {
    let _set = Reflect::set(object, &name.into(), &value.into());
}
