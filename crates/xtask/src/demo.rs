//! The demo in `www/`: `cargo xtask demo` builds all that it needs and serves it; as steps of the test run it is tested.

use std::net::{Ipv4Addr, TcpListener};
use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::stamp::{Fingerprint, unless_done};
use crate::steps::{Counts, Outcome, Steps, run as run_command};
use crate::tools::{ensure_node, root, target_directory};
use crate::{chromium, node, npm, package, wasm};

/// Where the demo is served when nothing else is said.
pub const PORT: u16 = 8787;

/// What of the repository the page is made of, beside the npm package.
const SOURCES: [&str; 9] = [
    "examples",
    "www/csp.ts",
    "www/index.html",
    "www/package-lock.json",
    "www/package.json",
    "www/public",
    "www/src",
    "www/tsconfig.json",
    "www/vite.config.ts",
];

/// The command: builds what is not built, then serves until it is ended.
pub fn run(port: u16) -> Result<bool> {
    ensure_node()?;
    // Better now than after minutes of building. The listener is closed at once, for the server.
    TcpListener::bind((Ipv4Addr::LOCALHOST, port)).map(drop).with_context(|| {
        format!("port {port} is not free: `cargo xtask demo --port NUMBER` takes another one")
    })?;
    let mut steps = Steps::default();
    let is_built = wasm::build_for_demo(&mut steps)
        && package::install(&mut steps)
        && steps.step("npm package: build", package::build)
        && install(&mut steps)
        && steps.step("demo: build", build);
    if !is_built {
        return Ok(steps.finish());
    }
    println!("\nThe demo is at http://127.0.0.1:{port}/ (Ctrl-C ends it)");
    serve(port)
}

/// The server is that of the demo itself, which sends the page's content security policy.
fn serve(port: u16) -> Result<bool> {
    let port = port.to_string();
    let mut server = Command::new("node");
    server.args(["node_modules/vite/bin/vite.js", "preview", "--strictPort", "--port", &port]);
    server.current_dir(folder());
    // In our place where that can be done, so that whoever ends this command ends the server.
    #[cfg(unix)]
    {
        use std::os::unix::process::CommandExt;
        let error = server.exec();
        bail!("cannot start `node`: {error}");
    }
    #[cfg(not(unix))]
    {
        let status = server.status().context("cannot start `node`")?;
        if !status.success() {
            bail!("the server ended with {status}");
        }
        Ok(true)
    }
}

/// Tests the demo, in a browser where there is one: first the page with a fake of the npm package, then where that is built
/// the page and the package as they are.
pub fn add_steps(steps: &mut Steps, is_package_built: bool) {
    if !install(steps) {
        return;
    }
    steps.step("demo: types, unit tests", |counts| scripts(&["types", "test"], counts));
    if is_package_built {
        steps.step("demo: build", build);
    }
    let chromium = steps.step("Chromium", chromium::ensure_browser);
    let browser = chromium::path().filter(|_| chromium);
    steps.step("demo: the page in Chromium", |counts| {
        let built = scripts(&["build:fake"], counts)?;
        match &browser {
            Some(browser) if built == Outcome::Passed => {
                let mut test = npm::npm(&folder());
                run_command(test.args(["run", "test:page"]).env("CHROME", browser), counts)
            }
            Some(_) => Ok(built),
            None => Ok(Outcome::Skipped("no Chromium".to_owned())),
        }
    });
    if is_package_built {
        steps.step("npm package in Chromium", |counts| browser_tests(browser.clone(), counts));
        steps.step("npm package from Vite, webpack, an import map", |counts| match &browser {
            Some(browser) => {
                // They drive Chromium by what is installed for the tests there.
                npm::install(&root().join("web/tests/browser"), counts)?;
                package::test_packed("web/tests/bundlers", &[("CHROME", browser.as_os_str())], counts)
            }
            None => Ok(Outcome::Skipped("no Chromium".to_owned())),
        });
    }
}

/// `web/tests/browser`: the package with its modules, in a browser. One file after the other: each has a browser that
/// computes on all cores.
fn browser_tests(browser: Option<PathBuf>, counts: &mut Counts) -> Result<Outcome> {
    let folder = root().join("web/tests/browser");
    let files = if folder.is_dir() { node::test_files(&folder)? } else { Vec::new() };
    if files.is_empty() {
        return Ok(Outcome::Skipped("there are no tests in web/tests/browser".to_owned()));
    }
    let Some(browser) = browser else { return Ok(Outcome::Skipped("no Chromium".to_owned())) };
    if folder.join("package-lock.json").exists() {
        let installed = npm::install(&folder, counts)?;
        if installed != Outcome::Passed {
            return Ok(installed);
        }
    }
    run_command(node::node_test(&files, &["--test-concurrency=1"]).env("CHROME", browser), counts)
}

/// Its dependencies.
pub fn install(steps: &mut Steps) -> bool {
    steps.step("demo: npm ci", |counts| npm::install(&folder(), counts))
}

/// Builds the page, unless it is built of the same.
fn build(counts: &mut Counts) -> Result<Outcome> {
    let mut sources = SOURCES.map(|path| root().join(path)).to_vec();
    sources.extend(["web/dist", "web/package.json"].map(|path| root().join(path)));
    let modules = wasm::BUILDS.iter().filter(|module| module.is_in_demo);
    sources.extend(modules.map(wasm::Build::directory_in_package));
    let inputs = Fingerprint::default().files(&sources)?;
    let stamp = target_directory().join("web/stamps/demo");
    unless_done(&stamp, inputs, &[folder().join("dist")], || scripts(&["build"], counts))
}

/// Runs scripts of the demo, up to the first that fails.
fn scripts(names: &[&str], counts: &mut Counts) -> Result<Outcome> {
    for name in names {
        let outcome = npm::script(&folder(), name, counts)?;
        if outcome != Outcome::Passed {
            return Ok(outcome);
        }
    }
    Ok(Outcome::Passed)
}

fn folder() -> PathBuf {
    root().join("www")
}
