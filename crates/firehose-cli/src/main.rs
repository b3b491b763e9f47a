//! The command `firehose`: puts files or stdin into a stream, serves an emulator, and judges
//! answers.

mod args;
mod failures;
mod feed;
mod input;
mod judge;
mod local;
mod progress;
mod put;
mod remote;
mod serve;
mod signals;
#[cfg(test)]
mod slow;
mod summary;
mod watch;

use std::process::ExitCode;

use clap::Parser as _;

use args::{Cli, Command};

fn main() -> ExitCode {
    match Cli::parse().command {
        Command::Judge => judge::run(),
        Command::Put(args) => put::run(&args),
        Command::Serve(args) => serve::run(&args),
    }
}

/// Writes a line for a person to stderr.
fn say(line: &str) {
    eprintln!("firehose: {line}");
}
