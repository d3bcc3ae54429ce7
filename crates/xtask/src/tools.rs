//! Where the tools and folders are: cargo, rustup, Node.js, the workspace, the target directory. What they are used for
//! stands in the commands.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, ensure};

/// The target of the browser and edge host.
pub const WASM: &str = "wasm32-unknown-unknown";

/// The oldest Node.js that is tested; it is also what `wasm32` is built for (simd128, no relaxed-simd).
const OLDEST_NODE: u32 = 20;

/// The root of the workspace.
pub fn root() -> PathBuf {
    // Cargo says at run time whose program this is. Where two checkouts share a target directory, the one compiled in may
    // be the other's.
    let here =
        std::env::var_os("CARGO_MANIFEST_DIR").map_or(env!("CARGO_MANIFEST_DIR").into(), PathBuf::from);
    here.ancestors().nth(2).unwrap_or(&here).to_owned()
}

/// Whether this is a CI run, where what cannot be tested is a failure.
pub fn is_ci() -> bool {
    std::env::var("CI").is_ok_and(|value| !matches!(value.as_str(), "" | "0" | "false"))
}

/// `cargo ARGUMENTS`, to be run at the root of the workspace.
pub fn cargo(arguments: &[&str]) -> Command {
    // Cargo sets CARGO for what it runs; this is the same toolchain then.
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| OsString::from("cargo")));
    command.args(arguments).current_dir(root());
    // What `cargo run` set for this program is not meant for the builds that it starts.
    for name in ["CARGO_MANIFEST_DIR", "CARGO_MANIFEST_PATH", "CARGO_PKG_NAME", "CARGO_PKG_VERSION"] {
        command.env_remove(name);
    }
    command
}

/// Where cargo puts what it builds.
pub fn target_directory() -> PathBuf {
    // Relative paths are relative to where cargo is started, which for our builds is the root.
    root().join(std::env::var_os("CARGO_TARGET_DIR").unwrap_or_else(|| OsString::from("target")))
}

/// Whether `program ARGUMENTS` can be started and succeeds; its output is dropped.
pub fn works(program: &str, arguments: &[&str]) -> bool {
    Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok_and(|status| status.success())
}

/// What a program prints, without the line end.
pub fn output(program: &str, arguments: &[&str]) -> Result<String> {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(root())
        .output()
        .with_context(|| format!("cannot start `{program}`"))?;
    ensure!(output.status.success(), "`{program} {}` failed", arguments.join(" "));
    Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_owned())
}

/// Node.js is there and new enough.
pub fn ensure_node() -> Result<()> {
    let version = output("node", &["--version"])
        .with_context(|| format!("Node.js {OLDEST_NODE} or newer is needed: https://nodejs.org"))?;
    let major = version.trim_start_matches('v').split('.').next().and_then(|major| major.parse::<u32>().ok());
    ensure!(
        major.is_some_and(|major| major >= OLDEST_NODE),
        "Node.js {OLDEST_NODE} or newer is needed, not {version}: https://nodejs.org"
    );
    Ok(())
}

/// Installs the standard library for [`WASM`] where it is missing. (`rust-toolchain.toml` names it, but rustup only
/// looks there when it installs the toolchain.)
pub fn ensure_wasm_target() -> Result<()> {
    let sysroot = PathBuf::from(output("rustc", &["--print", "sysroot"])?);
    if sysroot.join("lib/rustlib").join(WASM).is_dir() {
        return Ok(());
    }
    println!("$ rustup target add {WASM}");
    output("rustup", &["target", "add", WASM])
        .map(drop)
        .with_context(|| format!("Rust's standard library for {WASM} is needed: `rustup target add {WASM}`"))
}
