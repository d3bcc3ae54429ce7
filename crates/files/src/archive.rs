//! inspect's `.eval` archives: a zip of one JSON file a sample, packed by deflate or Zstandard.

use std::io::{self, BufReader, Read, Seek};

use conclave_core::json_lines::{parse_json, utf8};
use flate2::read::DeflateDecoder;
use ruzstd::decoding::StreamingDecoder;
use zip::{CompressionMethod, ZipArchive};

use crate::elements::Element;

/// Bytes of one sample; more is no log but a bomb.
const MOST_BYTES: u64 = 2 << 30;

/// The samples of an archive one after another; nothing where it holds none.
///
/// # Errors
/// Of the reader, or where this is no archive.
pub fn samples<'a, R: Read + Seek + 'a>(
    reader: R,
) -> io::Result<Option<Box<dyn Iterator<Item = Element> + 'a>>> {
    let mut archive = ZipArchive::new(BufReader::new(reader)).map_err(io::Error::other)?;
    let mut names: Vec<String> = archive
        .file_names()
        .filter_map(|name| name.ok().map(std::borrow::Cow::into_owned))
        .filter(|name| is_sample(name))
        .collect();
    if names.is_empty() {
        return Ok(None);
    }
    // In the order of the samples, then of their epochs, as far as numbers say it.
    names.sort_by_key(|name| {
        let (id, epoch) = name.trim_end_matches(".json").rsplit_once("_epoch_").unwrap_or((name, "0"));
        let id = id.trim_start_matches("samples/");
        (epoch.parse::<u64>().unwrap_or_default(), id.parse::<u64>().unwrap_or(u64::MAX), id.to_owned())
    });
    let element = move |(at, name): (usize, String)| {
        let value = json(&mut archive, &name).and_then(|bytes| {
            let text = utf8(&bytes)?;
            parse_json(text).map_err(|error| format!("not JSON: {error}"))
        });
        Element {
            line: at as u64 + 1,
            name: None,
            value: value.map_err(|reason| format!("`{name}` of the archive: {reason}")),
        }
    };
    Ok(Some(Box::new(names.into_iter().enumerate().map(element))))
}

fn is_sample(name: &str) -> bool {
    name.starts_with("samples/") && name.ends_with(".json")
}

fn json<R: Read + Seek>(archive: &mut ZipArchive<R>, name: &str) -> Result<Vec<u8>, String> {
    let at = archive.index_for_name(name).ok_or("is not there")?;
    let file = archive.by_index_raw(at).map_err(|error| error.to_string())?;
    let method = file.compression();
    let mut bytes = Vec::new();
    let read = |reader: &mut dyn Read, bytes: &mut Vec<u8>| {
        reader.take(MOST_BYTES).read_to_end(bytes).map_err(|error| error.to_string())
    };
    if method == CompressionMethod::STORE {
        read(&mut { file }, &mut bytes)?;
    } else if method == CompressionMethod::DEFLATE {
        read(&mut DeflateDecoder::new(file), &mut bytes)?;
    } else if method == CompressionMethod::ZSTD {
        let mut decoder = StreamingDecoder::new(file).map_err(|error| format!("zstd: {error}"))?;
        read(&mut decoder, &mut bytes)?;
    } else {
        return Err(format!(
            "is packed by a method ({method:?}) other than deflate and Zstandard: unpack the archive"
        ));
    }
    Ok(bytes)
}
