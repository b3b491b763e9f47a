//! Reads the inputs on a thread of its own and pushes their records.

use std::fs::File;
use std::io::{self, Read, Stdin};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use firehose_hyper::Producer;
use firehose_proto::producer::PushError;
use serde::Serialize;
use tokio::runtime::Handle;

use crate::args::{Delimiter, Split};
use crate::failures::Failures;
use crate::input::{Cutter, Piece};
use crate::progress::Progress;

/// An input that was opened.
pub(crate) struct Input {
    name: String,
    source: Source,
}

enum Source {
    File(File),
    Stdin(Stdin),
}

impl Read for Source {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::File(file) => file.read(room),
            Self::Stdin(stdin) => stdin.lock().read(room),
        }
    }
}

impl Input {
    /// Opens all inputs, so that none is found missing half-way.
    pub(crate) fn open_all(files: &[PathBuf]) -> Result<Vec<Self>, String> {
        if files.is_empty() {
            return Ok(vec![Self::stdin()]);
        }
        files.iter().map(|path| Self::open(path)).collect()
    }

    fn open(path: &Path) -> Result<Self, String> {
        if path.as_os_str() == "-" {
            return Ok(Self::stdin());
        }
        let cannot = |error: io::Error| format!("cannot read {}: {error}", path.display());
        let file = File::open(path).map_err(cannot)?;
        if file.metadata().map_err(cannot)?.is_dir() {
            return Err(format!("cannot read {}: it is a directory", path.display()));
        }
        Ok(Self { name: path.display().to_string(), source: Source::File(file) })
    }

    fn stdin() -> Self {
        Self { name: "-".to_owned(), source: Source::Stdin(io::stdin()) }
    }

    /// Returns the bytes to be read, if that is known.
    pub(crate) fn len(&self) -> Option<u64> {
        match &self.source {
            Source::File(file) => {
                let metadata = file.metadata().ok()?;
                metadata.is_file().then_some(metadata.len())
            }
            Source::Stdin(_) => None,
        }
    }

    /// Returns whether the same can be read once more.
    pub(crate) fn is_regular(&self) -> bool {
        self.len().is_some()
    }
}

/// What was read.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub(crate) struct Fed {
    /// Bytes of the input that became records or were too long for one.
    pub(crate) bytes: u64,
    /// Records that were pushed.
    pub(crate) records: u64,
    /// Pieces of the input that were too long for a record.
    pub(crate) too_large: u64,
    /// The input was read to its end.
    pub(crate) is_complete: bool,
}

/// The bytes of input after which others see how far it got, and it waits if much is unsent.
const TURN_BYTES: u64 = 64 * 1_024;

/// Reads inputs and pushes what they contain.
pub(crate) struct Feeder {
    pub(crate) split: Split,
    pub(crate) delimiter: Delimiter,
    pub(crate) producer: Producer,
    pub(crate) failures: Arc<Mutex<Failures>>,
    pub(crate) progress: Progress,
    /// Set when no more is to be read.
    pub(crate) stop: Arc<AtomicBool>,
    /// Where to wait for room.
    pub(crate) runtime: Handle,
    pub(crate) fed: Arc<Mutex<Fed>>,
}

impl Feeder {
    /// Reads until the end, until told to stop, or until something cannot be read.
    pub(crate) fn run(&self, inputs: Vec<Input>) -> Result<(), String> {
        for Input { name, source } in inputs {
            let mut cutter = Cutter::new(source, self.split, self.delimiter);
            match self.feed(&name, &mut cutter) {
                Ok(true) => {}
                Ok(false) => return Ok(()),
                Err(error) => return Err(format!("cannot read on in {name}: {error}")),
            }
        }
        lock(&self.fed).is_complete = true;
        Ok(())
    }

    /// Returns whether to go on with the next input.
    fn feed(&self, name: &str, cutter: &mut Cutter<Source>) -> io::Result<bool> {
        let mut position = 0;
        let mut is_first = true;
        let mut fed = Fed::default();
        while !self.stop.load(Ordering::Relaxed) {
            if fed.bytes >= TURN_BYTES || !cutter.is_ready() {
                self.tell(&mut fed);
                self.runtime.block_on(self.producer.ready());
            }
            let bytes = match cutter.next()? {
                None => break,
                Some(Piece::Record(parts)) => {
                    if !self.push(parts, &mut fed) {
                        self.tell(&mut fed);
                        return Ok(false);
                    }
                    parts[0].len()
                }
                Some(Piece::TooLong { part, is_last }) => {
                    let mut failures = lock(&self.failures);
                    failures.write_too_long(name, position, part, is_first, is_last);
                    fed.too_large += u64::from(is_last);
                    is_first = is_last;
                    part.len()
                }
            };
            position += bytes as u64;
            fed.bytes += bytes as u64;
        }
        self.tell(&mut fed);
        Ok(!self.stop.load(Ordering::Relaxed))
    }

    /// Returns whether the record was taken.
    fn push(&self, parts: [&[u8]; 2], fed: &mut Fed) -> bool {
        let taken = match self.producer.try_push_parts(&parts) {
            Err(PushError::Full { .. }) => {
                self.tell(fed);
                self.runtime.block_on(self.producer.push_parts(&parts)).is_ok()
            }
            other => other.is_ok(),
        };
        fed.records += u64::from(taken);
        taken
    }

    /// Adds to what everybody may see, which costs too much for each record.
    fn tell(&self, fed: &mut Fed) {
        let Fed { bytes, records, too_large, .. } = std::mem::take(fed);
        let mut all = lock(&self.fed);
        all.bytes += bytes;
        all.records += records;
        all.too_large += too_large;
        drop(all);
        self.progress.read(bytes);
    }
}

pub(crate) fn lock<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
