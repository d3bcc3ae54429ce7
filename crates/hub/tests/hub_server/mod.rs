//! A hub on this machine: it behaves as Hugging Face's does towards a program that downloads a model, and misbehaves where a test
//! wants it to.
//!
//! Two ports: the hub lists files and answers small ones itself; for large ones it redirects, with the headers that describe them,
//! to the second port, which stands for the host of large files (CDN) and knows ranges. What both were asked is kept.

mod connection;
mod repository;

use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex, PoisonError};

use serde_json::{Value, json};

pub use connection::{Head, Reply};
pub use repository::{Repository, StoredFile};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Whether it came to the second port.
    pub is_cdn: bool,
    /// `GET` or `HEAD`.
    pub method: String,
    /// The path, with its query.
    pub target: String,
    /// The name of the file that is asked for; empty for a list.
    pub file: String,
    /// The value of `Authorization`.
    pub authorization: Option<String>,
    /// The first byte that is asked for.
    pub from: u64,
}

/// What goes wrong with an answer.
#[derive(Clone, Debug)]
pub enum Fault {
    /// A status, with headers (each ended with `\r\n`) and a body.
    Status(u16, String, String),
    /// The connection is closed after so many bytes of the body.
    Cut(u64),
    /// So many bytes, and then silence until the client leaves.
    Stall(u64),
    /// Other bytes than were promised, of the same number.
    Damage,
    /// The whole file, whatever part was asked for.
    IgnoreRange,
    /// A redirection to another address.
    Redirect(String),
}

type Faults = dyn Fn(&Received, usize) -> Option<Fault> + Send + Sync;

/// A running hub; it ends with the process.
pub struct HubServer {
    /// The port of the hub.
    pub port: u16,
    state: Arc<State>,
}

struct State {
    repositories: Vec<Repository>,
    faults: Box<Faults>,
    cdn_port: u16,
    received: Mutex<Vec<Received>>,
}

impl HubServer {
    /// Serves repositories on a port, or on any for 0. `faults` says what goes wrong with a request, whose number (from 0) is among
    /// those for the same thing at the same port.
    pub fn start(
        port: u16,
        repositories: Vec<Repository>,
        faults: impl Fn(&Received, usize) -> Option<Fault> + Send + Sync + 'static,
    ) -> std::io::Result<Self> {
        let (hub, cdn) = (TcpListener::bind(("127.0.0.1", port))?, TcpListener::bind("127.0.0.1:0")?);
        let (port, cdn_port) = (hub.local_addr()?.port(), cdn.local_addr()?.port());
        let received = Mutex::default();
        let state = Arc::new(State { repositories, faults: Box::new(faults), cdn_port, received });
        listen(hub, Arc::clone(&state), false);
        listen(cdn, Arc::clone(&state), true);
        Ok(Self { port, state })
    }

    /// What HF_ENDPOINT is set to.
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }

    /// What was asked so far.
    pub fn received(&self) -> Vec<Received> {
        self.state.received.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

fn listen(listener: TcpListener, state: Arc<State>, is_cdn: bool) {
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let state = Arc::clone(&state);
            std::thread::spawn(move || serve(&stream, &state, is_cdn));
        }
    });
}

/// Answers the one request of a connection. A client that has left is no fault of the server.
fn serve(stream: &TcpStream, state: &State, is_cdn: bool) {
    let Some(head) = Head::read(stream) else { return };
    let received = Received {
        is_cdn,
        file: file_of(&head.target, is_cdn),
        authorization: head.header("authorization").map(ToOwned::to_owned),
        from: head.range_from(),
        method: head.method.clone(),
        target: head.target.clone(),
    };
    let number = {
        let mut all = state.received.lock().unwrap_or_else(PoisonError::into_inner);
        let is_same = |other: &&Received| other.is_cdn == is_cdn && other.file == received.file;
        let number = all.iter().filter(is_same).count();
        all.push(received.clone());
        number
    };
    let fault = (state.faults)(&received, number);
    let reply = Reply { stream, is_head: head.method == "HEAD", fault };
    let _ = match (&reply.fault, is_cdn) {
        (Some(Fault::Status(status, headers, body)), _) => reply.text(*status, headers, body),
        (Some(Fault::Redirect(target)), _) => reply.text(302, &format!("Location: {target}\r\n"), ""),
        (_, true) => from_cdn(state, &reply, &received),
        (_, false) => from_hub(state, &reply, &received),
    };
}

/// `/OWNER/NAME/resolve/COMMIT/FILE` of the hub, `/blobs/OWNER/NAME/FILE` of the other; as this program asks, without escapes.
fn file_of(target: &str, is_cdn: bool) -> String {
    let path = target.split('?').next().unwrap_or_default();
    if is_cdn {
        return path.splitn(5, '/').nth(4).unwrap_or_default().to_owned();
    }
    let file = path.split_once("/resolve/").and_then(|(_, rest)| rest.split_once('/'));
    file.map_or_else(String::new, |(_, file)| file.to_owned())
}

fn from_hub(state: &State, reply: &Reply<'_>, received: &Received) -> std::io::Result<()> {
    let path = received.target.split('?').next().unwrap_or_default();
    let (name, revision) = match path.strip_prefix("/api/models/") {
        Some(rest) => {
            let split = rest.split_once("/revision/").or_else(|| rest.split_once("/tree/"));
            split.unwrap_or((rest, "main"))
        }
        None => path.trim_start_matches('/').split_once("/resolve/").unwrap_or_default(),
    };
    let revision = revision.strip_suffix(received.file.as_str()).unwrap_or(revision).trim_end_matches('/');
    let repository = state.repositories.iter().find(|repository| repository.name.eq_ignore_ascii_case(name));
    let Some(repository) = repository else {
        return reply.text(401, "X-Error-Code: RepoNotFound\r\n", "Repository not found");
    };
    if repository.name != name {
        // As the hub does for a name in other letters: relative, and without a word about the file.
        let target = received.target.replace(name, &repository.name);
        return reply.text(307, &format!("Location: {target}\r\n"), "");
    }
    let bearer = repository.token.as_ref().map(|token| format!("Bearer {token}"));
    match (bearer, &received.authorization) {
        (Some(bearer), Some(sent)) if &bearer != sent => {
            return reply.text(403, "X-Error-Code: GatedRepo\r\n", "Access to this model is restricted");
        }
        (Some(_), None) => {
            return reply.text(401, "X-Error-Code: GatedRepo\r\n", "Access to this model is restricted");
        }
        _ => {}
    }
    if !["main", &repository.commit].contains(&revision) {
        return reply.text(404, "X-Error-Code: RevisionNotFound\r\n", "Revision not found");
    }
    if path.starts_with("/api/") && path.contains("/tree/") {
        return reply.json(&tree(repository));
    }
    if path.starts_with("/api/") {
        return reply.json(&listing(repository));
    }
    let Some(file) = repository.files.iter().find(|file| file.path == received.file) else {
        return reply.text(404, "X-Error-Code: EntryNotFound\r\n", "Entry not found");
    };
    let commit = format!("X-Repo-Commit: {}\r\n", repository.commit);
    if !file.is_large {
        return reply.file(file, received.from, &format!("{commit}ETag: \"{}\"\r\n", file.blob));
    }
    let address =
        format!("http://127.0.0.1:{}/blobs/{}/{}?signature=x", state.cdn_port, repository.name, file.path);
    let (blob, size) = (&file.blob, file.size);
    let linked = format!("X-Linked-Etag: \"{blob}\"\r\nX-Linked-Size: {size}\r\nLocation: {address}\r\n");
    reply.text(302, &format!("{commit}{linked}"), "Found. Redirecting")
}

fn from_cdn(state: &State, reply: &Reply<'_>, received: &Received) -> std::io::Result<()> {
    let name = received.target.splitn(5, '/').skip(2).take(2).collect::<Vec<_>>().join("/");
    let repository = state.repositories.iter().find(|repository| repository.name == name);
    let file =
        repository.and_then(|repository| repository.files.iter().find(|file| file.path == received.file));
    match file {
        // The names of versions here are others than the hub's.
        Some(file) => reply.file(file, received.from, "ETag: \"of-the-cdn\"\r\nAccept-Ranges: bytes\r\n"),
        None => reply.text(404, "", "Not found"),
    }
}

fn listing(repository: &Repository) -> Value {
    let sibling = |file: &StoredFile| match (repository.has_blobs, file.is_large) {
        (false, _) => json!({"rfilename": file.path}),
        (true, false) => json!({"rfilename": file.path, "size": file.size, "blobId": file.blob}),
        (true, true) => json!({"rfilename": file.path, "size": file.size, "blobId": "0".repeat(40),
            "lfs": {"sha256": file.blob, "size": file.size, "pointerSize": 134}}),
    };
    let siblings: Vec<Value> = repository.files.iter().map(sibling).collect();
    json!({"id": repository.name, "sha": repository.commit, "private": false,
        "gated": repository.token.is_some(), "siblings": siblings})
}

/// The same list in the form that Python's `huggingface_hub` asks for; this program does not.
fn tree(repository: &Repository) -> Value {
    let entry = |file: &StoredFile| match file.is_large {
        false => json!({"type": "file", "path": file.path, "size": file.size, "oid": file.blob}),
        true => json!({"type": "file", "path": file.path, "size": file.size, "oid": "0".repeat(40),
            "lfs": {"oid": file.blob, "size": file.size, "pointerSize": 134}}),
    };
    repository.files.iter().map(entry).collect()
}
