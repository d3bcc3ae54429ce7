//! Pulling a model: list, choose, look for room, download, link.

use std::ops::ControlFlow;

use tokio::runtime::Builder;

use crate::cache::{Layout, Pulled, in_snapshot, locate, read_index};
use crate::checksum::BlobId;
use crate::download::{Download, Wanted, content_length, file_request};
use crate::environment::Hub;
use crate::error::{ErrorKind, HubError, Result};
use crate::failure;
use crate::http::{Http, Request, header, web_page};
use crate::listing::{Listing, RemoteFile};
use crate::name::{ModelName, is_commit};
use crate::retry::Attempts;
use crate::selection::{INDEX, Selection, select, shards_of_index, size_text};
use crate::store::Store;
use crate::watch::{Event, Watch};

/// The longest list of files that is read.
const MAX_LISTING: usize = 32 << 20;

/// Brings a model into the cache, and says where it is. What is there already is not asked for again.
///
/// `on_event` hears how far it is, at least ten times a second, and stops it with `Break`. It blocks; within an async runtime it
/// must run on a thread of its own.
///
/// # Errors
/// A [`HubError`], whose message says what to do. What was downloaded until then stays, and the next pull goes on from there.
pub fn pull(
    hub: &Hub,
    name: &ModelName,
    on_event: &mut dyn FnMut(Event<'_>) -> ControlFlow<()>,
) -> Result<Pulled> {
    if hub.is_offline {
        return locate(hub, name)?.ok_or_else(|| {
            let message = format!(
                "`{name}` is not in the cache `{}`, and HF_HUB_OFFLINE forbids the network: unset it, then `{}`",
                hub.cache.display(),
                name.pull_command()
            );
            HubError::new(ErrorKind::Offline, message)
        });
    }
    let runtime = Builder::new_current_thread().enable_all().build();
    let failed =
        |error| HubError::new(ErrorKind::Network, format!("the system gives no event queue: {error}"));
    let mut watch = Watch::new(on_event);
    runtime.map_err(failed)?.block_on(pull_with(hub, name, &mut watch))
}

async fn pull_with(hub: &Hub, name: &ModelName, watch: &mut Watch<'_>) -> Result<Pulled> {
    let http = Http::new(hub);
    let listing = list(hub, &http, name, watch).await?;
    let store = Store::new(Layout::new(&hub.cache, name));
    let download = Download { hub, http: &http, store: &store, name, commit: &listing.commit };
    let selection = select(&listing, name)?;
    let paths = match &selection {
        Selection::Directory(paths) | Selection::Sharded(paths) => paths.as_slice(),
        Selection::Gguf(path) => std::slice::from_ref(path),
    };
    let mut wanted = resolve(&download, &listing, paths, watch).await?;
    if let (Selection::Sharded(_), Some(index)) = (&selection, wanted.last()) {
        // What else is needed stands in the index.
        fetch_all(&download, std::slice::from_ref(index), watch).await?;
        let bytes = read_index(&store.layout().blob(&index.blob)).unwrap_or_default();
        wanted.extend(resolve(&download, &listing, &shards_of_index(&bytes)?, watch).await?);
    }
    fetch_all(&download, &wanted, watch).await?;
    // Only now, so that a snapshot is there with all of its files or not at all; the weights are last.
    for file in &wanted {
        store.link(&listing.commit, &file.path, &file.blob)?;
    }
    if !is_commit(name.revision()) {
        store.write_ref(name.revision(), &listing.commit)?;
    }
    let snapshot = store.layout().snapshot(&listing.commit);
    match selection {
        Selection::Gguf(path) => Ok(Pulled::Gguf(snapshot.join(path))),
        _ => in_snapshot(&snapshot, name)?.ok_or_else(|| {
            let message = format!("`{}` was changed while it was written: pull again", snapshot.display());
            HubError::new(ErrorKind::Disk, message)
        }),
    }
}

/// Asks for the files of the model at its revision.
async fn list(hub: &Hub, http: &Http<'_>, name: &ModelName, watch: &mut Watch<'_>) -> Result<Listing> {
    let parts = ["api", "models"].into_iter().chain(name.repository().split('/'));
    let mut url = hub.url(&parts.chain(["revision", name.revision()]).collect::<Vec<_>>());
    url.set_query(Some("blobs=true"));
    let request = Request { name, file: None, url, from: 0 };
    let mut attempts = Attempts::new(hub.retry);
    loop {
        match list_once(http, &request, watch).await {
            Ok(listing) => return Ok(listing),
            Err(error) => attempts.wait(error, watch).await?,
        }
    }
}

async fn list_once(http: &Http<'_>, request: &Request<'_>, watch: &mut Watch<'_>) -> Result<Listing> {
    let answer = http.get(request, watch).await?;
    let (mut response, host) = (answer.response, answer.host);
    let mut bytes = Vec::new();
    loop {
        let chunk = watch.wait(response.chunk()).await?;
        let Some(chunk) = chunk.map_err(|error| failure::of_answer(&error, &host))? else { break };
        bytes.extend_from_slice(&chunk);
        if bytes.len() > MAX_LISTING {
            let message = format!("`{host}` answered with a list of files that has no end: is it a hub?");
            return Err(HubError::new(ErrorKind::Answer, message));
        }
    }
    if bytes.trim_ascii_start().starts_with(b"<") {
        return Err(web_page(&host));
    }
    Listing::parse(&bytes, &host)
}

/// What the files of these names are called as blobs, and how long they are; where the list does not say it, the hub is asked.
async fn resolve(
    download: &Download<'_>,
    listing: &Listing,
    paths: &[String],
    watch: &mut Watch<'_>,
) -> Result<Vec<Wanted>> {
    let mut wanted = Vec::new();
    for path in paths {
        let file = listing.find(path).ok_or_else(|| {
            let model = download.name.repository();
            let message =
                format!("`{model}` has no file `{path}`, which its {INDEX} names: try another revision");
            HubError::new(ErrorKind::NotFound, message)
        })?;
        wanted.push(match file {
            RemoteFile { path, size: Some(size), blob: Some(blob) } => {
                Wanted { path: path.clone(), blob: blob.clone(), size: *size }
            }
            RemoteFile { path, .. } => ask(download, path, watch).await?,
        });
    }
    Ok(wanted)
}

/// Asks for the headers of a file.
async fn ask(download: &Download<'_>, path: &str, watch: &mut Watch<'_>) -> Result<Wanted> {
    let Download { hub, http, name, commit, .. } = *download;
    let request = file_request(hub, name, commit, path, 0);
    let mut attempts = Attempts::new(hub.retry);
    let headers = loop {
        match http.head(&request, watch).await {
            Ok(headers) => break headers,
            Err(error) => attempts.wait(error, watch).await?,
        }
    };
    let etag = header(&headers, "x-linked-etag").or_else(|| header(&headers, "etag"));
    let size = header(&headers, "x-linked-size").and_then(|size| size.parse().ok());
    match (etag.and_then(BlobId::parse), size.or_else(|| content_length(&headers))) {
        (Some(blob), Some(size)) => Ok(Wanted { path: path.to_owned(), blob, size }),
        _ => Err(HubError::new(
            ErrorKind::Answer,
            format!(
                "`{}` says neither how long `{path}` is nor which version (etag): is HF_ENDPOINT a hub?",
                hub.host()
            ),
        )),
    }
}

/// Downloads what is missing, if there is room for it.
async fn fetch_all(download: &Download<'_>, wanted: &[Wanted], watch: &mut Watch<'_>) -> Result<()> {
    let layout = download.store.layout();
    let is_missing = |file: &&Wanted| !layout.has_blob(&file.blob, file.size);
    let missing: Vec<&Wanted> = wanted.iter().filter(is_missing).collect();
    let sum = |bytes: &dyn Fn(&Wanted) -> u64| {
        missing.iter().fold(0, |sum: u64, file| sum.saturating_add(bytes(file)))
    };
    let begun = |file: &Wanted| file.size.saturating_sub(layout.begun(&file.blob));
    check_room(download, sum(&begun))?;
    watch.total = watch.done.saturating_add(sum(&|file| file.size));
    for file in missing {
        download.fetch(file, watch).await?;
    }
    Ok(())
}

fn check_room(download: &Download<'_>, needed: u64) -> Result<()> {
    match download.store.free_bytes() {
        Some(free) if free < needed => Err(HubError::new(
            ErrorKind::NoRoom,
            format!(
                "`{}` needs {} more, and the disk of `{}` has {} free: make room, or name a cache elsewhere with HF_HUB_CACHE",
                download.name,
                size_text(needed),
                download.hub.cache.display(),
                size_text(free)
            ),
        )),
        _ => Ok(()),
    }
}
