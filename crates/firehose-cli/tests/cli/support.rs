//! Runs the command and the emulator as processes of their own.

use std::io::{BufRead, BufReader, Read, Write};
use std::path::Path;
use std::process::{Child, ChildStdout, Command, ExitStatus, Output, Stdio};

use serde_json::Value;

/// The command in a folder, with none of the caller's settings: no variable of AWS's, no profile, no
/// proxy, and no look whether this machine is one of AWS's own.
pub(crate) fn firehose(folder: &Path, args: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_firehose"));
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy().to_uppercase();
        if text.starts_with("AWS_") || text.ends_with("_PROXY") {
            command.env_remove(name);
        }
    }
    command.env("HOME", folder).env("AWS_EC2_METADATA_DISABLED", "true");
    command.args(args).current_dir(folder).stdin(Stdio::null());
    command
}

/// How a run of the command ended.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    pub(crate) fn of(output: Output) -> Self {
        Self {
            status: output.status.code().expect("it was not killed"),
            stdout: String::from_utf8(output.stdout).unwrap(),
            stderr: String::from_utf8(output.stderr).unwrap(),
        }
    }

    /// The JSON object on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

/// Runs the command to its end.
pub(crate) fn run(folder: &Path, args: &[&str]) -> Run {
    Run::of(firehose(folder, args).output().unwrap())
}

/// Runs the command to its end with something on stdin.
pub(crate) fn run_with_stdin(folder: &Path, args: &[&str], stdin: &[u8]) -> Run {
    let mut child = spawn_with_pipes(folder, args);
    let mut pipe = child.stdin.take().unwrap();
    std::thread::scope(|scope| {
        // A command that ends early closes its end; that is not what is tested.
        scope.spawn(move || drop(pipe.write_all(stdin)));
        Run::of(child.wait_with_output().unwrap())
    })
}

/// Starts the command with a pipe at each end.
pub(crate) fn spawn_with_pipes(folder: &Path, args: &[&str]) -> Child {
    let mut command = firehose(folder, args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Waits until something was accepted for delivery into a folder.
pub(crate) fn wait_for_an_open_object(folder: &Path) {
    let open = folder.join(".firehose/open");
    while std::fs::read_dir(&open).map_or(0, Iterator::count) == 0 {
        std::thread::yield_now();
    }
}

/// Asks a process to end.
pub(crate) fn terminate(child: &Child) {
    let status = Command::new("kill").arg("-TERM").arg(child.id().to_string()).status().unwrap();
    assert!(status.success());
}

/// The emulator in a process of its own.
pub(crate) struct Serving {
    child: Child,
    lines: BufReader<ChildStdout>,
    pub(crate) url: String,
    /// What it said when it was ready.
    pub(crate) ready: Value,
}

impl Serving {
    /// Starts it and waits until it is ready.
    pub(crate) fn start(folder: &Path, args: &[&str]) -> Self {
        let mut command = firehose(folder, &["serve", "--listen", "127.0.0.1:0"]);
        let mut child = command.args(args).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut ready = String::new();
        lines.read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let url = ready["url"].as_str().unwrap().to_owned();
        Self { child, lines, url, ready }
    }

    /// Asks it to end, and returns its status and its totals.
    pub(crate) fn stop(mut self) -> (ExitStatus, Value) {
        terminate(&self.child);
        let status = self.child.wait().unwrap();
        let mut totals = String::new();
        self.lines.read_to_string(&mut totals).unwrap();
        (status, serde_json::from_str(&totals).unwrap())
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        // It has ended already where it was stopped in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
