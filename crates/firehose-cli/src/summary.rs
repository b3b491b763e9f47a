//! What the command says at its end: a line for a person, an object for a program, a status.

use std::path::PathBuf;

use firehose_proto::StreamName;
use firehose_proto::producer::Stats;
use indicatif::{HumanBytes, HumanCount};
use serde::Serialize;

use crate::feed::Fed;
use crate::signals::Signal;

/// The version of the JSON object; a member that changes its meaning raises it.
const FORMAT: u32 = 1;

/// The end of `firehose put`.
#[derive(Debug, Serialize)]
pub(crate) struct Summary {
    format: u32,
    pub(crate) stream: StreamName,
    pub(crate) exit_status: u8,
    pub(crate) seconds: f64,
    /// What was read.
    pub(crate) input: Fed,
    /// What became of it.
    pub(crate) stats: Stats,
    /// The failure file, if it has anything of this run.
    pub(crate) failed_to: Option<PathBuf>,
    /// The folder of the delivered objects, with `--local`.
    pub(crate) delivered_to: Option<PathBuf>,
    /// Why undelivered records are missing in the failure file.
    pub(crate) failed_to_error: Option<String>,
    /// What went wrong beside single records.
    pub(crate) error: Option<String>,
}

impl Summary {
    pub(crate) fn new(stream: StreamName) -> Self {
        Self {
            format: FORMAT,
            stream,
            exit_status: 0,
            seconds: 0.0,
            input: Fed::default(),
            stats: Stats::default(),
            delivered_to: None,
            failed_to: None,
            failed_to_error: None,
            error: None,
        }
    }

    /// Returns the records of the input that were not delivered.
    pub(crate) fn undelivered(&self) -> u64 {
        self.stats.records_undelivered() + self.input.too_large
    }

    /// Returns whether nothing of the input can be at the destination.
    pub(crate) fn is_untouched(&self) -> bool {
        self.stats.records_delivered == 0 && self.stats.records_maybe_delivered == 0
    }

    /// Sets the exit status that fits.
    pub(crate) fn decide_status(&mut self, signal: Option<Signal>) {
        let failed = self.error.is_some() || self.undelivered() > 0;
        self.exit_status = match signal {
            Some(signal) => signal.exit_status(),
            None if !failed => 0,
            None if self.error.is_some() && self.is_untouched() => 3,
            None => 1,
        };
    }

    /// Returns what a person wants to know, a line each.
    pub(crate) fn lines(&self) -> Vec<String> {
        let mut lines = Vec::new();
        lines.extend(self.error.as_ref().map(|error| format!("{}: {error}", self.stream)));
        let is_plain = self.error.is_some() && self.is_untouched();
        if !is_plain {
            lines.push(self.delivered_line());
        }
        if self.undelivered() > 0 && !(is_plain && self.failed_to.is_none()) {
            lines.push(self.undelivered_line());
        }
        lines.extend(self.failed_to_error.clone());
        if !self.input.is_complete && self.input.bytes > 0 {
            let bytes = HumanCount(self.input.bytes);
            lines.push(format!("the input was read up to byte {bytes} only"));
        }
        let doubled = self.stats.records_maybe_doubled;
        if doubled > 0 {
            let doubled = HumanCount(doubled);
            lines.push(format!("{doubled} delivered records may be stored more than once"));
        }
        lines
    }

    fn delivered_line(&self) -> String {
        let Self { stream, stats, seconds, .. } = self;
        let all = stats.records_accepted + self.input.too_large;
        if all == 0 {
            return format!("{stream}: the input is empty, nothing was sent");
        }
        let delivered = stats.records_delivered;
        let records = if delivered == all {
            format!("{} ({})", count(all, "record"), HumanBytes(stats.bytes_accepted))
        } else {
            format!("{} of {}", HumanCount(delivered), count(all, "record"))
        };
        let requests = count(stats.requests, "request");
        let place = match &self.delivered_to {
            Some(path) => format!(" to {}", path.display()),
            None => String::new(),
        };
        format!("{stream}: {records} delivered{place} in {requests}, {seconds:.2} s")
    }

    fn undelivered_line(&self) -> String {
        let Self { stats, input, .. } = self;
        let parts = [
            (input.too_large, "too large"),
            (stats.records_rejected, "rejected"),
            (stats.records_exhausted, "given up after the last attempt"),
            (stats.records_expired, "expired"),
            (stats.records_abandoned, "abandoned"),
        ];
        let parts: Vec<_> = parts
            .into_iter()
            .filter(|(count, _)| *count > 0)
            .map(|(count, what)| format!("{} {what}", HumanCount(count)))
            .collect();
        let mut line =
            format!("{} not delivered: {}", HumanCount(self.undelivered()), parts.join(", "));
        if stats.records_maybe_delivered > 0 {
            let maybe = HumanCount(stats.records_maybe_delivered);
            line.push_str(&format!("; {maybe} of these may be stored all the same"));
        }
        if let Some(path) = &self.failed_to {
            line.push_str(&format!("; see {}", path.display()));
        }
        line
    }
}

/// Says how many of a thing there are.
fn count(number: u64, thing: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{} {thing}{plural}", HumanCount(number))
}
