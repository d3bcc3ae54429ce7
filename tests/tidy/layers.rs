//! Which crate may use which: read from the manifests.
//!
//! An edge is forbidden for a crate and for everything of the workspace that it uses, so that nothing comes in by a
//! detour. Development dependencies count for the names, not for the features: tests need a backend.

use std::collections::BTreeMap;

use toml::{Table, Value};

use super::{File, Problem};

/// What a crate must not use. A name that ends with `*` stands for all that begin so.
struct Layer {
    package: &'static str,
    never: &'static [&'static str],
    reason: &'static str,
}

const LAYERS: &[Layer] = &[
    Layer {
        package: "conclave-core",
        never: &[
            "conclave*",
            "burn*",
            "cubecl*",
            "wgpu*",
            "tokenizers",
            "tokio*",
            "futures*",
            "async-*",
            "pollster",
            "reqwest",
            "wasm-bindgen*",
            "js-sys",
            "web-sys",
        ],
        reason: "core is what can be decided without a GPU, a network, a clock or a model",
    },
    Layer {
        package: "conclave-client",
        never: &[
            "conclave",
            "conclave-model",
            "conclave-train",
            "conclave-web",
            "burn*",
            "wasm-bindgen*",
            "web-sys",
        ],
        reason: "the host passes in a Transport; the client knows neither the host nor a model",
    },
    Layer {
        package: "conclave-disk",
        never: &[
            "conclave",
            "conclave-client",
            "conclave-files",
            "conclave-train",
            "conclave-web",
            "burn-*",
            "clap",
            "tokio*",
            "wasm-bindgen*",
        ],
        reason: "how something is written is known here, and not what; the model's part is its seams for files",
    },
    Layer {
        package: "conclave-files",
        never: &[
            "conclave",
            "conclave-client",
            "conclave-kernels",
            "conclave-model",
            "conclave-train",
            "conclave-web",
            "burn*",
            "clap",
            "tokio*",
            "wasm-bindgen*",
        ],
        reason: "files are bytes that become sample sets; who opens them and who answers is another's business",
    },
    Layer {
        package: "conclave-gguf",
        never: &["conclave*", "burn*", "tokenizers", "tokio*", "clap", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "a GGUF is bytes that become numbers and texts; who opens it and what is made of it is another's business",
    },
    Layer {
        package: "conclave-hub",
        never: &["conclave*", "burn*", "clap", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "a hub has files by name; what they are is another's business",
    },
    Layer {
        package: "conclave-quantize",
        never: &["conclave*", "burn*", "tokenizers", "tokio*", "clap", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "how numbers are rounded is known here, and not whose they are",
    },
    Layer {
        package: "conclave-processor",
        never: &["conclave*", "burn*", "tokenizers", "tokio*", "clap", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "it computes a transformer without a tensor library, files or tokens' texts",
    },
    Layer {
        package: "conclave-model",
        never: &[
            "conclave",
            "conclave-client",
            "conclave-train",
            "conclave-web",
            "burn-*",
            "cubecl*",
            "wgpu*",
            "wasm-bindgen*",
            "js-sys",
            "web-sys",
        ],
        reason: "the host passes in the device and the files; the model names neither a backend nor a platform",
    },
    Layer {
        package: "conclave-kernels",
        never: &["conclave*", "wgpu*", "tokenizers", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "kernels know tensors and nothing of a model or a platform",
    },
    Layer {
        package: "conclave-train",
        never: &["conclave", "conclave-client", "conclave-web", "wasm-bindgen*", "js-sys", "web-sys"],
        reason: "training is native and takes its data from files",
    },
    Layer { package: "conclave", never: &["conclave-web"], reason: "one host does not use the other" },
    Layer {
        package: "conclave-web",
        never: &[
            "conclave",
            "conclave-disk",
            "conclave-hub",
            "conclave-train",
            "tokio*",
            "hyper*",
            "reqwest",
        ],
        reason: "the browser has its own network and event loop, and does not train",
    },
    Layer {
        package: "xtask",
        never: &["conclave*", "burn*"],
        reason: "a developer command starts within seconds, so it does not build the tensor library",
    },
];

/// Features of burn that choose a backend: the host's choice.
const BACKENDS: [&str; 14] = [
    "flex", "wgpu", "webgpu", "vulkan", "metal", "cuda", "rocm", "cpu", "ndarray", "tch", "candle", "remote",
    "router", "default",
];

/// Crates that are libraries over a tensor library of any backend.
const BACKEND_FREE: [&str; 2] = ["conclave-model", "conclave-train"];

/// A library with something for native hosts: only behind a feature of this name, which only the native host switches on.
const NATIVE_PART: (&str, &str) = ("conclave-client", "native");

/// Written for some backends: a library that has it as an optional dependency does not thereby choose one.
const KERNELS: &str = "conclave-kernels";

/// What such a feature is for, and no library has without one.
const NATIVE_NETWORK: [&str; 4] = ["reqwest", "hyper*", "tokio*", "rustls*"];

/// A dependency as a manifest has it.
struct Dependency {
    name: String,
    value: Value,
    is_development: bool,
}

impl Dependency {
    fn is_optional(&self) -> bool {
        self.value.get("optional").and_then(Value::as_bool) == Some(true)
    }

    fn features(&self) -> impl Iterator<Item = &str> {
        self.value.get("features").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str)
    }
}

struct Manifest<'a> {
    file: &'a File,
    table: Table,
    dependencies: Vec<Dependency>,
}

impl Manifest<'_> {
    /// The line of a key, or of the first mention of the name.
    fn line(&self, name: &str) -> usize {
        let text = self.file.text().unwrap_or_default();
        let is_key =
            |line: &&str| line.strip_prefix(name).is_some_and(|rest| rest.starts_with(['.', ' ', '=']));
        let found = text
            .lines()
            .position(|line| is_key(&line))
            .or_else(|| text.lines().position(|line| line.contains(name)));
        found.map_or(1, |index| index + 1)
    }

    fn problem(&self, name: &str, message: String) -> Problem {
        Problem::new(&self.file.path, self.line(name), message)
    }
}

/// All rules on manifests.
pub fn check(files: &[File]) -> Vec<Problem> {
    let mut problems = Vec::new();
    let mut manifests = BTreeMap::new();
    for file in files.iter().filter(|file| file.path == "Cargo.toml" || file.path.ends_with("/Cargo.toml")) {
        match file.text().map(str::parse::<Table>) {
            Some(Ok(table)) => {
                let dependencies = dependencies(&table);
                let name =
                    table.get("package").and_then(|package| package.get("name")).and_then(Value::as_str);
                let name = name.unwrap_or(&file.path).to_owned();
                manifests.insert(name, Manifest { file, table, dependencies });
            }
            _ => problems.push(Problem::new(&file.path, 1, "is not a manifest that can be read")),
        }
    }
    for (package, manifest) in &manifests {
        problems.extend(inherited(manifest));
        problems.extend(platform_sections(manifest));
        problems.extend(backends(package, manifest));
        problems.extend(native_parts(package, manifest));
        match LAYERS.iter().find(|layer| layer.package == package) {
            Some(layer) => problems.extend(edges(layer, &manifests)),
            None => {
                let message = format!(
                    "`{package}` has no row in LAYERS of tests/tidy/layers.rs: say what it must not use"
                );
                problems.push(manifest.problem("name", message));
            }
        }
    }
    problems
}

/// The dependencies of all sections, those of targets included.
fn dependencies(table: &Table) -> Vec<Dependency> {
    let targets = table.get("target").and_then(Value::as_table).into_iter().flat_map(Table::values);
    let mut found = Vec::new();
    for section in std::iter::once(table).chain(targets.filter_map(Value::as_table)) {
        for kind in ["dependencies", "build-dependencies", "dev-dependencies"] {
            for (name, value) in section.get(kind).and_then(Value::as_table).into_iter().flatten() {
                let (name, value) = (name.clone(), value.clone());
                found.push(Dependency { name, value, is_development: kind == "dev-dependencies" });
            }
        }
    }
    found
}

/// Forbidden names among what the crate uses, by itself or through others of the workspace.
fn edges(layer: &Layer, manifests: &BTreeMap<String, Manifest>) -> Vec<Problem> {
    let (mut problems, mut open, mut seen) =
        (Vec::new(), vec![layer.package.to_owned()], vec![layer.package.to_owned()]);
    while let Some(package) = open.pop() {
        let Some(manifest) = manifests.get(&package) else { continue };
        let is_itself = package == layer.package;
        // What is optional in another crate is its native part: `native_parts` sees to who switches that on.
        let counts =
            |dependency: &&Dependency| is_itself || !(dependency.is_development || dependency.is_optional());
        for dependency in manifest.dependencies.iter().filter(counts) {
            if let Some(pattern) = layer.never.iter().find(|pattern| matches(pattern, &dependency.name)) {
                let (name, user) = (&dependency.name, layer.package);
                let by = if is_itself { String::new() } else { format!(" (through `{package}`)") };
                let message =
                    format!("`{user}` must not use `{name}`{by}, by the rule `{pattern}`: {}", layer.reason);
                problems.push(manifest.problem(name, message));
            }
            let is_kernels = dependency.name == KERNELS && dependency.is_optional();
            if !dependency.is_development && !is_kernels && !seen.contains(&dependency.name) {
                seen.push(dependency.name.clone());
                open.push(dependency.name.clone());
            }
        }
    }
    problems
}

fn matches(pattern: &str, name: &str) -> bool {
    pattern.strip_suffix('*').map_or(pattern == name, |start| name.starts_with(start))
}

/// The network of native hosts in a library's own dependencies instead of its optional ones, and the feature with it
/// switched on by anyone but the native host.
fn native_parts(package: &str, manifest: &Manifest) -> Vec<Problem> {
    let (library, feature) = NATIVE_PART;
    let mut problems = Vec::new();
    for dependency in &manifest.dependencies {
        let name = &dependency.name;
        let is_network = NATIVE_NETWORK.iter().any(|pattern| matches(pattern, name));
        if package == library && is_network && !dependency.is_optional() {
            let message =
                format!("`{name}` is of native hosts: make it optional, behind the feature `{feature}`");
            problems.push(manifest.problem(name, message));
        }
        let switches = name == library && dependency.features().any(|switched| switched == feature);
        if switches && package != "conclave" {
            let message = format!("the feature `{feature}` of `{library}` is for the native host alone");
            problems.push(manifest.problem(name, message));
        }
    }
    let default = manifest.table.get("features").and_then(|features| features.get("default"));
    if package == library && default.is_some() {
        problems.push(
            manifest.problem("default", "no default features: hosts switch on what they use".to_owned()),
        );
    }
    problems
}

/// Dependencies with a version of their own instead of the workspace's.
fn inherited(manifest: &Manifest) -> Vec<Problem> {
    let own =
        |dependency: &&Dependency| dependency.value.get("workspace").and_then(Value::as_bool) != Some(true);
    let message = |name: &str| {
        format!(
            "`{name}` is not inherited: write it once in [workspace.dependencies] and `{name}.workspace = true` here"
        )
    };
    let owned = manifest.dependencies.iter().filter(own);
    owned.map(|dependency| manifest.problem(&dependency.name, message(&dependency.name))).collect()
}

/// Dependencies that only the browser has, outside its host.
fn platform_sections(manifest: &Manifest) -> Option<Problem> {
    let targets = manifest.table.get("target").and_then(Value::as_table)?;
    let target = targets.keys().find(|target| target.contains("wasm"))?;
    let message = format!("[target.'{target}'] belongs to web/: the platform is known only to hosts");
    // Vector instructions are of a platform, and so is what their tests need.
    let is_free = ["web/", "crates/processor/"].iter().any(|free| manifest.file.path.starts_with(free));
    (!is_free).then(|| manifest.problem(target, message))
}

/// A backend by name, in a library or for the whole workspace.
fn backends(package: &str, manifest: &Manifest) -> Option<Problem> {
    let workspace = manifest.table.get("workspace").and_then(|workspace| workspace.get("dependencies"));
    let shared = workspace.and_then(|dependencies| dependencies.get("burn"));
    let is_own = |dependency: &&Dependency| dependency.name == "burn" && !dependency.is_development;
    let own = manifest.dependencies.iter().find(is_own).map(|dependency| &dependency.value);
    let own = own.filter(|_| BACKEND_FREE.contains(&package));
    if shared.is_some_and(|burn| burn.get("default-features").and_then(Value::as_bool) != Some(false)) {
        let message = "burn's default features choose a backend for everyone: default-features = false";
        return Some(manifest.problem("burn", message.to_owned()));
    }
    let features =
        [shared, own].into_iter().flatten().filter_map(|burn| burn.get("features")?.as_array()).flatten();
    let backend = features.filter_map(Value::as_str).find(|feature| BACKENDS.contains(feature))?;
    let message = format!("burn's feature `{backend}` chooses a backend: only hosts (and tests) do");
    Some(manifest.problem("burn", message))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::places;

    fn found(manifests: &[(&str, &str)]) -> Vec<String> {
        places(check, manifests)
    }

    #[test]
    fn kernels_are_optional() {
        let kernels =
            "[package]\nname = \"conclave-kernels\"\n[dependencies]\nburn-cubecl.workspace = true\n";
        let model =
            "[package]\nname = \"conclave-model\"\n[dependencies]\nconclave-kernels = { workspace = true }\n";
        let optional = model.replace("true }", "true, optional = true }");
        let of = |model: &str| {
            found(&[("crates/kernels/Cargo.toml", kernels), ("crates/model/Cargo.toml", model)])
        };
        assert_eq!(of(model), ["crates/kernels/Cargo.toml:4"]);
        assert_eq!(of(&optional), [""; 0]);
    }

    #[test]
    fn a_forbidden_edge_is_found_in_every_section() {
        for section in
            ["dependencies", "dev-dependencies", "build-dependencies", "target.'cfg(unix)'.dependencies"]
        {
            let text = format!(
                "[package]\nname = \"conclave-core\"\n[{section}]\nserde.workspace = true\nburn-flex.workspace = true\n"
            );
            assert_eq!(
                found(&[("crates/core/Cargo.toml", &text)]),
                ["crates/core/Cargo.toml:5"],
                "{section}"
            );
        }
    }

    #[test]
    fn a_detour_is_found_and_development_dependencies_of_others_are_not() {
        let web = "[package]\nname = \"conclave-web\"\n[dependencies]\nconclave-client.workspace = true\n";
        let client =
            "[package]\nname = \"conclave-client\"\n[dependencies]\nconclave-train.workspace = true\n";
        let expected = ["crates/client/Cargo.toml:4", "crates/client/Cargo.toml:4"];
        assert_eq!(found(&[("web/Cargo.toml", web), ("crates/client/Cargo.toml", client)]), expected);
        let client = client.replace("[dependencies]", "[dev-dependencies]");
        assert_eq!(found(&[("web/Cargo.toml", web), ("crates/client/Cargo.toml", &client)]), [expected[0]]);
    }

    #[test]
    fn a_version_of_its_own_is_found() {
        let text = "[package]\nname = \"xtask\"\n[dependencies]\nanyhow = \"1\"\nserde = { workspace = true, features = [\"rc\"] }\n";
        assert_eq!(found(&[("crates/xtask/Cargo.toml", text)]), ["crates/xtask/Cargo.toml:4"]);
    }

    #[test]
    fn a_backend_in_a_library_is_found_and_in_its_tests_is_not() {
        let text = "[package]\nname = \"conclave-model\"\n[dependencies]\nburn = { workspace = true, features = [\"wgpu\"] }\n";
        assert_eq!(found(&[("crates/model/Cargo.toml", text)]), ["crates/model/Cargo.toml:4"]);
        assert_eq!(found(&[("crates/model/Cargo.toml", &text.replace("[dep", "[dev-dep"))]), [""; 0]);
        let root = "[workspace.dependencies]\nburn = { version = \"=0.22.1\", default-features = false, features = [\"flex\"] }\n[package]\nname = \"conclave\"\n";
        assert_eq!(found(&[("Cargo.toml", root)]), ["Cargo.toml:2"]);
        let root = root.replace("default-features = false, features = [\"flex\"]", "features = [\"std\"]");
        assert_eq!(found(&[("Cargo.toml", &root)]), ["Cargo.toml:2"]);
    }

    #[test]
    fn a_browser_section_is_found_outside_the_browser_host() {
        let text = "[package]\nname = \"conclave-web\"\n\n[target.'cfg(target_family = \"wasm\")'.dependencies]\njs-sys.workspace = true\n";
        assert_eq!(found(&[("web/Cargo.toml", text)]), [""; 0]);
        let text = text.replace("conclave-web", "conclave-client");
        assert_eq!(found(&[("crates/client/Cargo.toml", &text)]), ["crates/client/Cargo.toml:4"]);
    }

    #[test]
    fn the_network_of_native_hosts_is_optional_and_theirs_alone() {
        let client = |name: &str, value: &str| {
            format!(
                "[package]\nname = \"conclave-client\"\n[dependencies]\n{name} = {{ workspace = true{value} }}\n"
            )
        };
        for name in ["reqwest", "tokio"] {
            let always = client(name, "");
            assert_eq!(
                found(&[("crates/client/Cargo.toml", &always)]),
                ["crates/client/Cargo.toml:4"],
                "{name}"
            );
        }
        let optional = client("reqwest", ", optional = true");
        assert_eq!(found(&[("crates/client/Cargo.toml", &optional)]), [""; 0]);
        let with_default = format!("{optional}[features]\ndefault = [\"native\"]\n");
        assert_eq!(found(&[("crates/client/Cargo.toml", &with_default)]), ["crates/client/Cargo.toml:6"]);
        let host = |name: &str, value: &str| {
            format!(
                "[package]\nname = \"{name}\"\n[dependencies]\nconclave-client = {{ workspace = true{value} }}\n"
            )
        };
        let native = ", features = [\"native\"]";
        for (name, path, value, problems) in [
            ("conclave-web", "web/Cargo.toml", "", &[][..]),
            ("conclave-web", "web/Cargo.toml", native, &["web/Cargo.toml:4"]),
            ("conclave", "Cargo.toml", native, &[]),
        ] {
            let manifests = [(path, host(name, value)), ("crates/client/Cargo.toml", optional.clone())];
            let manifests = manifests.each_ref().map(|(path, text)| (*path, text.as_str()));
            assert_eq!(found(&manifests), problems, "{name}");
        }
    }

    #[test]
    fn a_crate_without_a_row_and_a_broken_manifest_are_found() {
        assert_eq!(
            found(&[("crates/other/Cargo.toml", "[package]\nname = \"conclave-other\"\n")]),
            ["crates/other/Cargo.toml:2"]
        );
        assert_eq!(found(&[("Cargo.toml", "[package\n")]), ["Cargo.toml:1"]);
    }
}
