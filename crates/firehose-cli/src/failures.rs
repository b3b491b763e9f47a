//! The failure file: every undelivered record as a line of JSON, with its reason and its data.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use base64_simd::STANDARD;
use firehose_proto::producer::{Outcome, Report, Settled};
use serde::Serialize;

/// Writes undelivered records; the file is made when the first one comes, unless it was asked for.
pub(crate) struct Failures {
    path: PathBuf,
    /// Nobody asked for the file, and it was not there before.
    is_made_here: bool,
    file: Option<BufWriter<File>>,
    written: u64,
    /// The first error of writing; nothing is written after it.
    error: Option<io::Error>,
}

/// A line of the file, but for its data.
#[derive(Serialize)]
struct Entry<'a> {
    reason: &'a str,
    message: &'a str,
    attempts: u8,
    may_be_delivered: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    input: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    position: Option<u64>,
}

impl Failures {
    /// Prepares a file that the user named; it is opened at once, so that it can be relied on.
    pub(crate) fn to(path: &Path) -> io::Result<Self> {
        let mut failures = Self::if_needed(path.to_owned());
        failures.open()?;
        failures.is_made_here = false;
        Ok(failures)
    }

    /// Prepares the file for the case that it is needed.
    pub(crate) fn if_needed(path: PathBuf) -> Self {
        Self { path, is_made_here: false, file: None, written: 0, error: None }
    }

    fn open(&mut self) -> io::Result<&mut BufWriter<File>> {
        let file = match self.file.take() {
            Some(file) => file,
            None => {
                let file = OpenOptions::new().create(true).append(true).open(&self.path)?;
                self.is_made_here = file.metadata()?.len() == 0;
                BufWriter::new(file)
            }
        };
        Ok(self.file.insert(file))
    }

    /// Writes the undelivered records of a report.
    pub(crate) fn write(&mut self, report: &Report) {
        for settled in report.iter() {
            let result = self.write_settled(&settled);
            self.note(result);
        }
        let result = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.note(result);
    }

    fn write_settled(&mut self, settled: &Settled<'_>) -> io::Result<()> {
        let Outcome::Failed { why, may_be_delivered } = settled.outcome() else { return Ok(()) };
        let Some(encoded) = settled.encoded() else { return Ok(()) };
        let entry = Entry {
            reason: why.name(),
            message: &why.to_string(),
            attempts: settled.attempts(),
            may_be_delivered,
            input: None,
            position: None,
        };
        self.begin(&entry)?;
        self.open()?.write_all(encoded.base64())?;
        self.end()
    }

    /// Writes a part of something that was too long for a record; its parts come one by one.
    pub(crate) fn write_too_long(
        &mut self,
        input: &str,
        position: u64,
        part: &[u8],
        is_first: bool,
        is_last: bool,
    ) {
        let result = self.write_part(input, position, part, is_first, is_last);
        self.note(result);
    }

    fn write_part(
        &mut self,
        input: &str,
        position: u64,
        part: &[u8],
        is_first: bool,
        is_last: bool,
    ) -> io::Result<()> {
        if is_first {
            self.begin(&Entry {
                reason: "too_large",
                message: "larger than a record may be, 1024000 bytes with its delimiter",
                attempts: 0,
                may_be_delivered: false,
                input: Some(input),
                position: Some(position),
            })?;
        }
        self.open()?.write_all(STANDARD.encode_to_string(part).as_bytes())?;
        if is_last { self.end() } else { Ok(()) }
    }

    fn begin(&mut self, entry: &Entry<'_>) -> io::Result<()> {
        let mut text = serde_json::to_vec(entry)?;
        text.pop();
        text.extend_from_slice(br#","data":""#);
        self.open()?.write_all(&text)
    }

    fn end(&mut self) -> io::Result<()> {
        self.open()?.write_all(b"\"}\n")?;
        self.written += 1;
        Ok(())
    }

    fn note(&mut self, result: io::Result<()>) {
        if let Err(error) = result {
            self.error.get_or_insert(error);
        }
    }

    /// Ends the writing. Where nothing was sent and the input can be read again, a file that nobody
    /// asked for is taken away.
    pub(crate) fn finish(mut self, can_be_put_again: bool) -> Written {
        let flushed = self.file.as_mut().map_or(Ok(()), Write::flush);
        self.note(flushed);
        if can_be_put_again && self.is_made_here && fs::remove_file(&self.path).is_ok() {
            return Written { path: None, error: None };
        }
        Written { path: (self.written > 0).then_some(self.path), error: self.error }
    }
}

/// What was written.
pub(crate) struct Written {
    /// The file, if anything is in it.
    pub(crate) path: Option<PathBuf>,
    /// Why records are missing in it.
    pub(crate) error: Option<io::Error>,
}
