//! A Chromium for the tests of pages: the one that `CHROME` names, an installed one, or Debian's, which we install as root.

use std::env;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::debian;
use crate::steps::{Counts, Outcome};
use crate::tools::{is_ci, works};

/// Without a font there is no text to see. What the browser only recommends is left out.
const PACKAGES: [&str; 2] = ["chromium", "fonts-liberation"];

/// What it is called where it is installed.
const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];

/// Where macOS has its programs, of which none is in `PATH`.
const APPLICATIONS: [&str; 2] = [
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
    "/Applications/Chromium.app/Contents/MacOS/Chromium",
];

/// Makes sure that there is one. Without it the tests in it are skipped, which on CI is a failure.
pub fn ensure_browser(counts: &mut Counts) -> Result<Outcome> {
    if let Some(chrome) = env::var_os("CHROME") {
        let chrome = PathBuf::from(chrome);
        ensure!(is_browser(&chrome), "CHROME is `{}`, which does not start", chrome.display());
    }
    if path().is_none() && debian::install(&PACKAGES, counts)? {
        ensure!(path().is_some(), "the packages are installed, but there is still no Chromium");
    }
    if let Some(path) = path() {
        println!("{}", path.display());
        return Ok(Outcome::Passed);
    }
    let reason = format!(
        "no Chromium, so the tests in a browser are NOT run; install Chromium or Chrome (on Debian: apt-get install {}), \
         or set CHROME to its path",
        PACKAGES.join(" ")
    );
    ensure!(!is_ci(), "{reason}");
    Ok(Outcome::Skipped(reason))
}

/// The browser's program.
pub fn path() -> Option<PathBuf> {
    if let Some(chrome) = env::var_os("CHROME") {
        return Some(PathBuf::from(chrome)).filter(|chrome| is_browser(chrome));
    }
    let folders = env::var_os("PATH").unwrap_or_default();
    let in_folder = |folder: PathBuf| NAMES.map(|name| folder.join(name));
    let installed = env::split_paths(&folders).flat_map(in_folder);
    installed.chain(APPLICATIONS.map(PathBuf::from)).find(|program| is_browser(program))
}

/// Ubuntu has a program of that name that only says how to install the browser.
fn is_browser(program: &Path) -> bool {
    program.is_file() && works(&program.to_string_lossy(), &["--version"])
}
