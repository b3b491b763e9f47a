//! The progress bar, on stderr, if that is a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Shows how far reading and delivering have come. Cheap to clone.
#[derive(Clone)]
pub(crate) struct Progress {
    bar: ProgressBar,
    is_quiet: bool,
}

impl Progress {
    /// Makes a bar for so many bytes of input, or one without an end.
    pub(crate) fn new(bytes: Option<u64>, is_quiet: bool) -> Self {
        let target =
            if is_quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        let template = match bytes {
            Some(_) => "{bar:30} {bytes}/{total_bytes} {bytes_per_sec} {msg} {eta} left",
            None => "{spinner} {bytes} {bytes_per_sec} {msg} {elapsed}",
        };
        let style = ProgressStyle::with_template(template);
        let style = style.unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(bytes, target).with_style(style);
        bar.enable_steady_tick(Duration::from_millis(200));
        Self { bar, is_quiet }
    }

    /// Notes bytes that were read.
    pub(crate) fn read(&self, bytes: u64) {
        self.bar.inc(bytes);
    }

    /// Shows how many records have been delivered.
    pub(crate) fn delivered(&self, records: u64) {
        self.bar.set_message(format!("{records} delivered"));
    }

    /// Writes a line above the bar.
    pub(crate) fn say(&self, line: &str) {
        if !self.is_quiet {
            self.bar.suspend(|| crate::say(line));
        }
    }

    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}
