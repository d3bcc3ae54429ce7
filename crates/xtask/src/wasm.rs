//! The wasm modules of `conclave-web`, and `cargo xtask wasm`: four builds by what is in them, their bindings, and their
//! tests under Node.js.
//!
//! A build is made in the target directory, where all clones on a machine may share it, and copied into `web/wasm`, where
//! the npm package looks for it. What of it is optimised for size is [`crate::optimise`]'s.
//!
//! The demo alone takes quick builds, in a folder and with stamps of their own. Every command copies what it made into
//! `web/wasm` anew, so what lies there is always of the command that was run last.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use wasm_bindgen_cli_support::Bindgen;

use crate::node;
use crate::stamp::{Fingerprint, copy_changed, is_done, unless_done};
use crate::steps::{Counts, Outcome, Steps, run as run_command};
use crate::tools::{WASM, cargo, ensure_wasm_target, output, root, target_directory};

/// Always by package: in a build of the whole workspace the features of the native host would be switched on too.
const PACKAGE: [&str; 4] = ["--package", "conclave-web", "--target", WASM];

/// What the modules are made of.
const SOURCES: [&str; 22] = [
    ".cargo/config.toml",
    "Cargo.lock",
    "Cargo.toml",
    "crates/client/Cargo.toml",
    "crates/client/src",
    "crates/core/Cargo.toml",
    "crates/core/src",
    "crates/gguf/Cargo.toml",
    "crates/gguf/src",
    "crates/kernels/Cargo.toml",
    "crates/kernels/src",
    "crates/model/Cargo.toml",
    "crates/model/assets",
    "crates/model/src",
    "crates/processor/Cargo.toml",
    "crates/processor/src",
    "crates/quantize/Cargo.toml",
    "crates/quantize/src",
    "crates/xtask/src/wasm.rs",
    "rust-toolchain.toml",
    "web/Cargo.toml",
    "web/src",
];

/// What wasm-bindgen makes of a module.
const BINDINGS: [&str; 4] =
    ["conclave_web.d.ts", "conclave_web.js", "conclave_web_bg.wasm", "conclave_web_bg.wasm.d.ts"];

/// The built-in model in one file, as `conclave_model::builtin::unpack` reads it.
const BUILTIN: &str = "builtin.bin";

/// The profile in `Cargo.toml` of modules for a look at the demo: soon compiled, and larger than what is published.
const QUICK: &str = "quick";

/// One build of the module.
pub struct Build {
    /// Its folder in `web/wasm`.
    pub name: &'static str,
    step: &'static str,
    features: &'static [&'static str],
    /// The profile in `Cargo.toml` of what is published.
    profile: &'static str,
    /// Whether the demo's page loads it. (Where there is no WebGPU, `full` computes on the processor.)
    pub is_in_demo: bool,
    /// Whether the tests under Node.js are of this one.
    is_for_node: bool,
    /// Whether the built-in model lies beside it.
    has_builtin_beside: bool,
}

/// All builds: for browsers and Deno, for hosts without WebGPU, for candidates of live APIs, for votes alone.
pub static BUILDS: [Build; 4] = [
    Build {
        name: "full",
        step: "wasm, full",
        features: &["--no-default-features", "--features", "webgpu,cpu"],
        profile: "small",
        is_in_demo: true,
        is_for_node: false,
        has_builtin_beside: true,
    },
    Build {
        name: "cpu",
        step: "wasm, cpu",
        features: &["--no-default-features", "--features", "cpu,client,builtin"],
        profile: "release",
        is_in_demo: false,
        is_for_node: true,
        has_builtin_beside: false,
    },
    Build {
        name: "client",
        step: "wasm, client",
        features: &["--no-default-features", "--features", "client"],
        profile: "small",
        is_in_demo: true,
        is_for_node: false,
        has_builtin_beside: false,
    },
    Build {
        name: "vote",
        step: "wasm, vote",
        features: &["--no-default-features"],
        profile: "small",
        is_in_demo: true,
        is_for_node: false,
        has_builtin_beside: false,
    },
];

/// The command by itself.
pub fn run() -> Result<bool> {
    let mut steps = Steps::default();
    add_steps(&mut steps);
    Ok(steps.finish())
}

/// Builds and tests; returns whether all was built.
pub fn add_steps(steps: &mut Steps) -> bool {
    let is_built = build(steps);
    if is_built {
        steps.step("wasm under Node.js", node::test);
    }
    is_built
}

/// Builds all modules as they are published, those that are not built already; returns whether they are there.
pub fn build(steps: &mut Steps) -> bool {
    BUILDS.iter().all(|build| steps.step(build.step, |counts| build.make(build.profile, counts)))
}

/// Builds the modules that the demo's page loads, and those quickly; returns whether they are there. What is published is
/// taken where it is built already.
pub fn build_for_demo(steps: &mut Steps) -> bool {
    BUILDS.iter().filter(|build| build.is_in_demo).all(|build| {
        steps.step(build.step, |counts| {
            let profile = if build.is_made(build.profile)? { build.profile } else { QUICK };
            build.make(profile, counts)
        })
    })
}

/// With everything, with nothing, and without what takes the place of something; in one profile, so that the dependencies are
/// checked once.
pub fn clippy(counts: &mut Counts) -> Result<Outcome> {
    ensure_wasm_target()?;
    let without_builtin = &["--no-default-features", "--features", "webgpu,cpu,client"][..];
    for features in [&[][..], &["--no-default-features"], without_builtin] {
        let mut clippy = cargo(&["clippy", "--release"]);
        clippy.args(PACKAGE).args(features).args(["--", "-D", "warnings"]);
        if run_command(&mut clippy, counts)? != Outcome::Passed {
            return Ok(Outcome::Failed);
        }
    }
    Ok(Outcome::Passed)
}

/// Where the bindings for Node.js are written: of what has no WebGPU, which is what the package has for Node.js.
pub fn bindings_directory() -> PathBuf {
    target_directory().join("web/node")
}

impl Build {
    /// The module that is published, with its bindings in the target directory.
    pub fn module(&self) -> PathBuf {
        self.directory(self.profile).join("conclave_web_bg.wasm")
    }

    /// The same where the npm package has it, which may be the optimised one.
    pub fn module_in_package(&self) -> PathBuf {
        self.directory_in_package().join("conclave_web_bg.wasm")
    }

    /// Whether a model can run on it.
    pub fn has_model(&self) -> bool {
        matches!(self.name, "full" | "cpu")
    }

    /// Where the npm package has it.
    pub fn directory_in_package(&self) -> PathBuf {
        root().join("web/wasm").join(self.name)
    }

    /// Where it is built in a profile.
    fn directory(&self, profile: &str) -> PathBuf {
        let folder = target_directory().join("web");
        if profile == self.profile { folder.join(self.name) } else { folder.join(profile).join(self.name) }
    }

    /// All that a build in a profile writes.
    fn outputs(&self, profile: &str) -> Vec<PathBuf> {
        let mut outputs = vec![self.directory(profile)];
        outputs.extend((self.is_for_node && profile == self.profile).then(bindings_directory));
        outputs
    }

    /// The stamp of a build in a profile.
    fn stamp(&self, profile: &str) -> PathBuf {
        let folder = target_directory().join("web/stamps");
        if profile == self.profile {
            folder.join(self.name)
        } else {
            folder.join(format!("{}-{profile}", self.name))
        }
    }

    /// All that a build in a profile is made of.
    fn inputs(&self, profile: &str) -> Result<Fingerprint> {
        let sources = SOURCES.map(|path| root().join(path));
        let mut inputs = Fingerprint::default().text(&output("rustc", &["--version"])?).files(&sources)?;
        inputs = inputs.text(profile);
        for flag in self.features {
            inputs = inputs.text(flag);
        }
        Ok(inputs.text(&std::env::var("RUSTFLAGS").unwrap_or_default()))
    }

    /// Whether it is built in a profile, of the present sources.
    fn is_made(&self, profile: &str) -> Result<bool> {
        Ok(is_done(&self.stamp(profile), self.inputs(profile)?, &self.outputs(profile)))
    }

    /// Builds it in a profile where that is not done, and has the npm package take this build.
    fn make(&self, profile: &str, counts: &mut Counts) -> Result<Outcome> {
        let (stamp, outputs) = (self.stamp(profile), self.outputs(profile));
        let outcome = unless_done(&stamp, self.inputs(profile)?, &outputs, || self.compile(profile, counts))?;
        if outcome == Outcome::Passed {
            let built = self.directory(profile);
            for file in BINDINGS.into_iter().chain(self.has_builtin_beside.then_some(BUILTIN)) {
                copy_changed(&built.join(file), &self.directory_in_package().join(file))?;
            }
            let size = fs::metadata(built.join("conclave_web_bg.wasm"))?.len() as f64 / 1e6;
            println!(
                "web/wasm/{}: {size:.1} MB, profile `{profile}`, not compressed or optimised for size",
                self.name
            );
        }
        Ok(outcome)
    }

    /// Builds the module and writes its bindings at once: the next build has the same name.
    fn compile(&self, profile: &str, counts: &mut Counts) -> Result<Outcome> {
        ensure_wasm_target()?;
        // Cargo writes a library of this kind to one place whatever its features are. Were it still there, cargo could take
        // the module of another build for this one, when it has built this one before.
        let built = target_directory().join(WASM).join(profile);
        let module = built.join("deps/conclave_web.wasm");
        match fs::remove_file(&module) {
            Err(error) if error.kind() != ErrorKind::NotFound => {
                return Err(error).with_context(|| format!("cannot remove `{}`", module.display()));
            }
            _ => {}
        }
        let mut build = cargo(&["rustc", "--profile", profile]);
        build.args(PACKAGE).args(self.features);
        if !self.has_model() {
            // Beside an rlib cargo runs no LTO, which makes these smaller by a twelfth. With a model it takes very long.
            build.args(["--crate-type", "cdylib"]);
        }
        let outcome = run_command(&mut build, counts)?;
        if outcome == Outcome::Passed {
            let module = built.join("conclave_web.wasm");
            let directory = self.directory(profile);
            bind(&module, &directory, false)?;
            if self.has_builtin_beside {
                pack_builtin(&directory.join(BUILTIN))?;
            }
            if self.is_for_node && profile == self.profile {
                bind(&module, &bindings_directory(), true)?;
            }
        }
        Ok(outcome)
    }
}

/// Writes all files of the built-in model but its card into one.
fn pack_builtin(out: &Path) -> Result<()> {
    let folder = root().join("crates/model/assets/tiny");
    let mut names = Vec::new();
    for file in folder.read_dir().with_context(|| format!("cannot read `{}`", folder.display()))? {
        names.push(file?.file_name().to_string_lossy().into_owned());
    }
    names.retain(|name| !name.ends_with(".md"));
    names.sort();
    let mut packed = Vec::new();
    for name in names {
        let path = folder.join(&name);
        let bytes = fs::read(&path).with_context(|| format!("cannot read `{}`", path.display()))?;
        packed.extend(format!("{name} {}\n", bytes.len()).bytes());
        packed.extend(bytes);
    }
    fs::write(out, packed).with_context(|| format!("cannot write `{}`", out.display()))
}

/// What the command line of wasm-bindgen does, by the library that is pinned to the version of the crate.
fn bind(module: &Path, out: &Path, for_node: bool) -> Result<()> {
    if out.exists() {
        fs::remove_dir_all(out).with_context(|| format!("cannot remove `{}`", out.display()))?;
    }
    let mut bindgen = Bindgen::new();
    bindgen.input_path(module).typescript(true);
    if for_node {
        bindgen.nodejs(true)?;
    } else {
        // Without a path given to it `init` loads the module beside the bindings, in a form that bundlers know.
        bindgen.web(true)?.omit_default_module_path(false);
    }
    bindgen.generate(out).with_context(|| format!("cannot make the bindings of {}", module.display()))?;
    let mut files = Vec::new();
    for file in out.read_dir().with_context(|| format!("cannot read `{}`", out.display()))? {
        files.push(file?.file_name().to_string_lossy().into_owned());
    }
    files.sort();
    ensure!(files == BINDINGS, "the bindings are {files:?}, but the npm package contains {BINDINGS:?}");
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The crates of ours among the dependencies in a manifest.
    fn own_crates(manifest: &str) -> Vec<String> {
        let text = fs::read_to_string(root().join(manifest)).expect("a manifest");
        let dependencies = text.split("[dev-dependencies]").next().unwrap_or_default();
        let names = dependencies.lines().filter_map(|line| line.split(['.', ' ', '=']).next());
        names.filter_map(|name| name.strip_prefix("conclave-")).map(str::to_owned).collect()
    }

    #[test]
    fn all_crates_in_the_modules_are_looked_at_for_changes() {
        let (mut open, mut seen) = (own_crates("web/Cargo.toml"), Vec::new());
        assert!(open.contains(&"core".to_owned()));
        while let Some(name) = open.pop() {
            let manifest = format!("crates/{name}/Cargo.toml");
            for path in [manifest.clone(), format!("crates/{name}/src")] {
                assert!(SOURCES.contains(&path.as_str()), "SOURCES is without {path}");
            }
            seen.push(name);
            open.extend(own_crates(&manifest).into_iter().filter(|name| !seen.contains(name)));
        }
        for path in SOURCES {
            assert!(root().join(path).exists(), "there is no {path}");
        }
    }
}
