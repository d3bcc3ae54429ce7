//! Developer commands that are more than one command: `cargo xtask COMMAND`.
//!
//! One file a command. Here is only the choice between them; what a step of a command is (run, shown, timed, counted)
//! stands in [`steps`], and what need not be done again in [`stamp`]. Nothing here depends on the tensor library, so that a
//! command starts within seconds.

mod bench;
mod bench_train;
mod bench_web;
mod chromium;
mod debian;
mod demo;
mod deny;
mod lint;
mod node;
mod npm;
mod optimise;
mod package;
mod peers;
mod real;
mod stamp;
mod steps;
mod test;
mod tools;
mod vulkan;
mod wasm;

use std::process::ExitCode;

use steps::Steps;

const HELP: &str = "\
Usage: cargo xtask COMMAND

Commands:
  demo            Builds the demo with the npm package and the wasm modules in it, and serves it on
                  http://127.0.0.1:8787 (--port NUMBER: on another port); what has not changed is not built again
                  (its modules are compiled quickly, save where those of `wasm` are there and up to date)
  test            All tests: native, wasm, the npm package, the demo, in a browser
  lint            Format, clippy (native and wasm), licences, sizes; builds what is measured where it is not built
  test lint       Both, with one summary: what .ci/run runs
  wasm            Builds the wasm modules (full, cpu, client, vote) with their bindings, and tests them under Node.js
  package         Builds, tests and packs the npm package with modules optimised for size, into target/web/packed
  sizes           Optimises the modules for size, prints what a page downloads, and fails above the budget
  deny            Checks licences, bans and sources of all dependencies (needs cargo-deny)
  bench [ARGS]    Runs the benchmarks; ARGS go to the benchmark program (a filter, --save-baseline NAME, ...)
  bench train     Training's tokens per second beside PyTorch's, in turns (--quick: one short round of a test build,
                  to see that it works)
  bench web       The npm package in Chromium: time to the first token, time to encode a token, kernels (or PARTS:
                  first-token encoding kernels)
  peers NAME [ARGS]
                  Tries the command line with a program of others (sympy, ray, hyperqueue); ARGS go to the script that
                  does so
  real            Pulls, imports, quantises, checks and asks a real model, from a hub on this machine
  help            Prints this

Environment:
  CI=true                      What cannot be tested is a failure instead of a warning
  CHROME=PROGRAM               The Chromium or Chrome for the tests in a browser
  CONCLAVE_PROPTEST_CASES=N    Inputs for each property test (`test` sets 100000 unless it is set)
  CONCLAVE_REAL_MODEL=DIR      The model of `real`: a model directory, or a folder with one GGUF
  CONCLAVE_REAL_SETS=FILE      Sample sets that `real` calibrates on, at least 16
  CARGO_TARGET_DIR=DIR         Where builds go
";

fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let (command, rest) = match arguments.split_first() {
        Some((command, rest)) => (command.as_str(), rest),
        None => ("help", &[] as &[String]),
    };
    let done = match (command, rest) {
        ("demo", []) => demo::run(demo::PORT),
        ("demo", [option, port]) if option == "--port" => match port.parse() {
            Ok(port) => demo::run(port),
            Err(_) => return wrong(&format!("`{port}` is no port")),
        },
        ("demo", _) => return wrong("`demo` takes nothing but --port NUMBER"),
        ("test" | "lint", _) => return checks(&arguments),
        ("wasm", []) => wasm::run(),
        ("package", []) => package::run_package(),
        ("sizes", []) => package::run_sizes(),
        ("deny", []) => deny::run(),
        ("bench", [what, options @ ..]) if what == "train" => match options {
            [] => bench_train::run(false),
            [option] if option == "--quick" => bench_train::run(true),
            _ => return wrong("`bench train` takes nothing but --quick"),
        },
        ("bench", [what, parts @ ..]) if what == "web" => {
            match parts.iter().find(|part| !bench_web::PARTS.contains(&part.as_str())) {
                None => bench_web::run(parts),
                Some(part) => {
                    let known = bench_web::PARTS.join(", ");
                    return wrong(&format!("`bench web` has no part `{part}`, only {known}"));
                }
            }
        }
        ("bench", arguments) => bench::run(arguments),
        ("peers", names) => {
            let known = peers::PEERS.each_ref().map(|peer| peer.name).join(", ");
            let Some((name, arguments)) = names.split_first() else {
                return wrong(&format!("`peers` takes the name of a peer: {known}"));
            };
            match peers::PEERS.iter().find(|peer| peer.name == name) {
                Some(peer) => peer.run(arguments),
                None => return wrong(&format!("there is no peer `{name}`, only {known}")),
            }
        }
        ("real", []) => real::run(),
        ("help" | "--help" | "-h", _) => {
            print!("{HELP}");
            Ok(true)
        }
        ("wasm" | "package" | "sizes" | "deny", _) => {
            return wrong(&format!("`{command}` takes no arguments"));
        }
        _ => return wrong(&format!("there is no command `{command}`")),
    };
    match done {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

/// `test`, `lint`, or both in the order in which they are named: all is run, whatever fails, and summed up once.
fn checks(names: &[String]) -> ExitCode {
    let mut commands: Vec<fn(&mut Steps)> = Vec::new();
    for name in names {
        commands.push(match name.as_str() {
            "test" => test::add_steps,
            "lint" => lint::add_steps,
            _ => return wrong(&format!("`test` and `lint` take no arguments but each other, not `{name}`")),
        });
    }
    let mut steps = Steps::default();
    for add_steps in commands {
        add_steps(&mut steps);
    }
    if steps.finish() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// Exit code 2: the arguments are wrong.
fn wrong(reason: &str) -> ExitCode {
    eprintln!("error: {reason}\n\n{HELP}");
    ExitCode::from(2)
}
