//! A hub on this machine that serves a folder as a model: `loopback_hub DIR OWNER/NAME [PORT]`.
//!
//! It prints the address for HF_ENDPOINT on a line of its own, and serves until it is stopped.

#[allow(dead_code, reason = "tests and the example need different parts of it")]
#[path = "../tests/hub_server/mod.rs"]
mod hub_server;

use std::io::Write;
use std::path::Path;

use hub_server::{HubServer, Repository};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (folder, name, port) = match &arguments[..] {
        [folder, name] => (folder, name, 0),
        [folder, name, port] => (folder, name, port.parse()?),
        _ => return Err("usage: loopback_hub DIR OWNER/NAME [PORT]".into()),
    };
    let repository = Repository::of_folder(name, Path::new(folder))?;
    let server = HubServer::start(port, vec![repository], |_, _| None)?;
    println!("{}", server.endpoint());
    std::io::stdout().flush()?;
    loop {
        std::thread::park();
    }
}
