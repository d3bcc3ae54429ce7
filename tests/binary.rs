//! Running the built binary, and the files that it is given.

use std::io::Write;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};
use tempfile::TempDir;

/// What a run of the binary left behind.
#[derive(Debug)]
pub struct Run {
    /// The exit code; -1 when a signal ended it.
    pub code: i32,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

/// Runs the built binary in `directory`.
pub fn conclave(directory: &Path, arguments: &[&str], stdin: &[u8]) -> Run {
    let mut command = Command::new(env!("CARGO_BIN_EXE_conclave"));
    command.args(arguments);
    finish(command, directory, stdin)
}

/// Runs the built binary in `directory` with arguments that have no blanks in them.
pub fn conclave_line(directory: &Path, line: &str) -> Run {
    conclave(directory, &line.split_whitespace().collect::<Vec<_>>(), b"")
}

/// Runs `command` in `directory` to its end.
pub fn finish(mut command: Command, directory: &Path, stdin: &[u8]) -> Run {
    command.current_dir(directory);
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("spawn");
    let mut pipe = child.stdin.take().expect("stdin");
    let stdin = stdin.to_vec();
    // In a thread, so that neither side waits for the other; it fails when the child reads nothing, as it may.
    let writer = std::thread::spawn(move || drop(pipe.write_all(&stdin)));
    let output = child.wait_with_output().expect("wait");
    writer.join().expect("the writer");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}

/// Starts the built binary in `directory`, with pipes, with arguments that have no blanks in them.
pub fn start(directory: &Path, line: &str) -> Child {
    Command::new(env!("CARGO_BIN_EXE_conclave"))
        .args(line.split_whitespace())
        .current_dir(directory)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("spawn")
}

/// Waits for the end of a process that was started.
pub fn ended(child: Child) -> Run {
    let output = child.wait_with_output().expect("wait");
    Run {
        code: output.status.code().unwrap_or(-1),
        stdout: String::from_utf8(output.stdout).expect("UTF-8 on standard output"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8 on standard error"),
    }
}

/// Sends a signal, such as `INT`.
pub fn signal(process: u32, name: &str) {
    let sent = Command::new("kill").args([format!("-{name}"), process.to_string()]).status().expect("kill");
    assert!(sent.success(), "kill -{name} {process}");
}

/// Waits until `done`, at most a minute.
#[track_caller]
pub fn wait_until(what: &str, done: impl Fn() -> bool) {
    let begun = Instant::now();
    while !done() {
        assert!(begun.elapsed() < Duration::from_secs(60), "waited for a minute: {what}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Names of what is in a directory, sorted.
pub fn names(directory: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(directory).expect("a directory");
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

impl Run {
    /// The same, having ended like this and said all of these; nothing may panic or colour its text.
    #[track_caller]
    pub fn expect(self, what: &str, code: i32, parts: &[&str]) -> Self {
        assert_eq!(self.code, code, "conclave {what}: {self:?}");
        for part in parts {
            assert!(self.stderr.contains(part), "conclave {what}: no `{part}` in {self:?}");
        }
        assert!(!self.stderr.contains("panicked"), "conclave {what}: {self:?}");
        assert!(!self.stdout.contains('\u{1b}') && !self.stderr.contains('\u{1b}'), "coloured: {self:?}");
        self
    }

    /// The lines of standard output as JSON.
    pub fn rows(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect(line)).collect()
    }
}

/// A line with a set whose candidates answer like this.
pub fn set(id: &str, reference: &str, answers: &[&str]) -> String {
    let candidates: Vec<Value> =
        answers.iter().map(|answer| json!({"text": format!("So \\boxed{{{answer}}}.")})).collect();
    json!({"id": id, "problem": "?", "reference_answer": reference, "candidates": candidates}).to_string()
        + "\n"
}

/// A line with a pair.
pub fn pair(reference: &str, prediction: &str) -> String {
    json!({"reference": reference, "prediction": prediction}).to_string() + "\n"
}

/// The same, zipped.
pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// A new directory with these files.
pub fn directory(files: &[(&str, &[u8])]) -> TempDir {
    let directory = tempfile::tempdir().expect("a temporary directory");
    for (name, bytes) in files {
        std::fs::write(directory.path().join(name), bytes).expect(name);
    }
    directory
}
