//! The batches of `tests/data/batches.toml`: what a client sends, what is on the wire then, and
//! what comes of it. Here they are read and compared, not sent; `tests/data/README.md` defines the
//! format.

use std::path::Path;

use aws_lc_rs::digest::{SHA256, digest};
use base64_simd::STANDARD;
use firehose_proto::judge::{Judged, Verdict};
use firehose_proto::wire::fault::Fault;
use serde::Deserialize;

use crate::cases::fail;

/// The version of the format that is read here.
const FORMAT: u32 = 1;

/// The stream that exists.
pub const STREAM: &str = "demo";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    format: u32,
    batch: Vec<BatchCase>,
}

/// A batch, and what comes of it.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct BatchCase {
    /// The name of the case, which no other has.
    pub name: String,
    /// The requirements that it shows, as `R5`.
    pub requirements: Vec<String>,
    /// The name of the stream.
    pub stream: String,
    records: Vec<Repeated>,
    /// The length of the request's body in bytes, as the SDKs for Rust and JavaScript write it.
    pub body_bytes: usize,
    body_sha256: String,
    /// The limit that the batch exceeds: a client that keeps the limits does not send it.
    pub exceeds: Option<Exceeds>,
    /// What goes wrong in the emulator meanwhile, in the words of `firehose serve --faults`.
    pub faults: Option<String>,
    /// What becomes of the batch.
    pub outcome: Outcome,
    status: Option<u16>,
    error: Option<String>,
    message: Option<String>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Repeated {
    text: Option<String>,
    base64: Option<String>,
    bytes: Option<usize>,
    #[serde(default = "once")]
    times: usize,
}

const fn once() -> usize {
    1
}

/// A limit of the service.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Exceeds {
    /// The bytes of a record.
    RecordBytes,
    /// The number of records.
    Records,
    /// The bytes of all records.
    RequestBytes,
}

/// What becomes of a batch.
#[derive(Clone, Copy, Debug, Deserialize, Eq, PartialEq)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// All records are stored.
    Delivered,
    /// Some are stored, some are not.
    Partly,
    /// The call ends in an error; no record is stored.
    Refused,
}

/// An error's code and its message.
pub type CodeAndMessage = (String, String);

/// What a client made of the answer.
#[derive(Debug)]
pub enum Answer {
    /// The call ended in an error, with this status.
    Error(u16, CodeAndMessage),
    /// The call succeeded.
    Records {
        /// `FailedPutCount`.
        failed_put_count: u64,
        /// The error of each record that is not stored.
        entries: Vec<Option<CodeAndMessage>>,
    },
}

impl Answer {
    /// Takes the core's word for an error.
    pub fn of_fault(fault: &Fault) -> Self {
        let text = |text: Option<&str>| text.unwrap_or_default().to_owned();
        Self::Error(fault.status(), (text(fault.code()), text(fault.message())))
    }

    /// Takes the core's word for a success.
    ///
    /// # Panics
    ///
    /// If it does not believe an entry, or there is no `FailedPutCount`.
    pub fn of_records(judged: &Judged) -> Self {
        let entries = judged.verdicts().map(|verdict| match verdict {
            Verdict::Stored { .. } => None,
            Verdict::Failed { code, message, .. } => {
                Some((code.to_owned(), message.unwrap_or_default().to_owned()))
            }
            Verdict::Unknown => panic!("an entry is not believed"),
        });
        let entries = entries.collect();
        let Some(failed_put_count) = judged.reply().failed_put_count() else {
            panic!("there is no FailedPutCount")
        };
        Self::Records { failed_put_count, entries }
    }
}

impl BatchCase {
    /// Makes the records.
    ///
    /// # Panics
    ///
    /// If a record has not exactly one of text and base64, or its base64 is none.
    pub fn records(&self) -> Vec<Vec<u8>> {
        let mut records = Vec::new();
        for repeated in &self.records {
            let unit = match (&repeated.text, &repeated.base64) {
                (Some(text), None) => text.clone().into_bytes(),
                (None, Some(base64)) => {
                    let decoded = STANDARD.decode_to_vec(base64);
                    decoded.unwrap_or_else(|error| fail(&self.name, &error))
                }
                _ => panic!("{}: not exactly one of text and base64", self.name),
            };
            let bytes = repeated.bytes.unwrap_or(unit.len());
            let record: Vec<u8> = unit.iter().copied().cycle().take(bytes).collect();
            records.extend(std::iter::repeat_n(record, repeated.times));
        }
        records
    }

    /// Checks that a body is the one of this batch, byte for byte.
    ///
    /// # Panics
    ///
    /// If it is not.
    pub fn assert_body(&self, body: &[u8]) {
        assert_eq!(body.len(), self.body_bytes, "{}: another length", self.name);
        let hash: String =
            digest(&SHA256, body).as_ref().iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(hash, self.body_sha256, "{}: other bytes", self.name);
    }

    /// Checks that an answer is the documented one, and returns everything that is stored by it,
    /// one record behind the other.
    ///
    /// # Panics
    ///
    /// If it is another.
    pub fn assert_answer(&self, answer: &Answer) -> Vec<u8> {
        let Self { name, status, error, message, .. } = self;
        let is_expected = |code: &str, text: &str| {
            Some(code) == error.as_deref()
                && message.as_ref().is_some_and(|part| text.contains(part.as_str()))
        };
        let (failed_put_count, entries) = match answer {
            Answer::Error(got, (code, text)) => {
                assert_eq!(self.outcome, Outcome::Refused, "{name}: {answer:?}");
                assert_eq!(Some(*got), *status, "{name}: {answer:?}");
                assert!(is_expected(code, text), "{name}: {answer:?}");
                return Vec::new();
            }
            Answer::Records { failed_put_count, entries } => (*failed_put_count, entries),
        };
        let records = self.records();
        assert_eq!(entries.len(), records.len(), "{name}: an entry is missing, or one too many");
        let failed = entries.iter().flatten().count();
        assert_eq!(failed_put_count, failed as u64, "{name}: another FailedPutCount");
        match self.outcome {
            Outcome::Delivered => assert_eq!(failed, 0, "{name}"),
            Outcome::Partly => assert!((1..entries.len()).contains(&failed), "{name}: {failed}"),
            Outcome::Refused => panic!("{name}: a success, with {failed} records failed"),
        }
        for (code, text) in entries.iter().flatten() {
            assert!(is_expected(code, text), "{name}: {code}: {text}");
        }
        let paired = records.into_iter().zip(entries);
        paired.filter(|(_, error)| error.is_none()).flat_map(|(record, _)| record).collect()
    }
}

/// Returns the batches.
///
/// # Panics
///
/// If the file is not there or not of the format.
pub fn batches() -> Vec<BatchCase> {
    let name = "batches.toml";
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("data").join(name);
    let text = String::from_utf8(crate::read(&path)).unwrap_or_else(|error| fail(name, &error));
    let file: File = toml::from_str(&text).unwrap_or_else(|error| fail(name, &error));
    assert_eq!(file.format, FORMAT, "{name} is of another version");
    file.batch
}
