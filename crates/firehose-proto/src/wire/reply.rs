//! Answers of success: what the service says of each record, before anyone believes it.
//!
//! Answers of the shape that the service really gives are read by `usual`, all others by `strict`;
//! both say the same of what both can read. What a single entry says is kept as it is, also where it
//! makes no sense; [`judge`](crate::judge) decides what it is worth.

mod strict;
mod usual;

use core::fmt;

use super::json::{NotJson, Value};
use super::scratch::Scratch;
use super::span::Span;

use strict::Kept;

/// An answer to `PutRecordBatch` or `PutRecord`, owning its bytes.
///
/// `Debug` prints counts, not identifiers.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::{Field, Reply};
///
/// let body = br#"{"Encrypted":false,"FailedPutCount":1,"RequestResponses":[{"RecordId":"id-0"},
///     {"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}]}"#;
/// let reply = Reply::parse(body.to_vec(), 2, &mut Scratch::new())?;
/// let entries: Vec<_> = reply.entries().collect();
/// assert_eq!(entries[0].record_id, Field::Text("id-0"));
/// assert_eq!(entries[1].error_code, Field::Text("ServiceUnavailableException"));
/// assert_eq!((reply.failed_put_count(), reply.encrypted()), (Some(1), Some(false)));
/// # Ok::<(), firehose_proto::wire::reply::ReplyError>(())
/// ```
#[derive(Clone)]
pub struct Reply {
    /// What the spans of the entries are parts of.
    text: String,
    entries: Vec<EntrySpans>,
    head: Head,
}

impl Reply {
    /// Reads the answer to a `PutRecordBatch` of `records` records (R5, R6, R7).
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if the bytes are not an answer, or if it has more entries than there were
    /// records.
    pub fn parse(
        mut body: Vec<u8>,
        records: usize,
        scratch: &mut Scratch,
    ) -> Result<Self, ReplyError> {
        let mut entries = core::mem::take(&mut scratch.entries);
        if let Some(head) = usual::read(&body, records, &mut entries) {
            match String::from_utf8(body) {
                Ok(text) => return Ok(Self { text, entries, head }),
                Err(error) => body = error.into_bytes(),
            }
        }
        Self::parse_strictly(body, entries, scratch, |root, kept| {
            strict::read_batch(root, records, kept)
        })
    }

    /// Reads the answer to a `PutRecord`, as an answer with one entry.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if the bytes are not an answer.
    pub fn parse_put_record(body: Vec<u8>, scratch: &mut Scratch) -> Result<Self, ReplyError> {
        let entries = core::mem::take(&mut scratch.entries);
        Self::parse_strictly(body, entries, scratch, strict::read_single)
    }

    fn parse_strictly(
        mut body: Vec<u8>,
        mut entries: Vec<EntrySpans>,
        scratch: &mut Scratch,
        read: impl FnOnce(Value<'_>, &mut Kept) -> Result<Head, ReplyError>,
    ) -> Result<Self, ReplyError> {
        entries.clear();
        let mut kept = Kept { text: String::new(), entries };
        let head = scratch.parser.read(&mut body, |root| read(root, &mut kept))??;
        Ok(Self { text: kept.text, entries: kept.entries, head })
    }

    /// Returns the number of entries.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns what the answer says of each record, in the order of the request.
    pub fn entries(&self) -> impl ExactSizeIterator<Item = Entry<'_>> {
        self.entries.iter().map(|entry| entry.show(&self.text))
    }

    /// Returns what the answer says of the record at `index`, counted from 0.
    pub fn entry(&self, index: usize) -> Option<Entry<'_>> {
        Some(self.entries.get(index)?.show(&self.text))
    }

    /// Returns what the answer says of each record, as parts of [`text`](Self::text).
    pub(crate) fn spans(&self) -> &[EntrySpans] {
        &self.entries
    }

    /// Returns the text in which identifiers, codes and messages lie.
    pub(crate) fn text(&self) -> &str {
        &self.text
    }

    /// Returns the number of entries with an error.
    pub(crate) fn errors(&self) -> usize {
        self.entries.iter().filter(|entry| !entry.error_code.is_absent()).count()
    }

    /// Takes the answer apart into its text, and memory for other answers.
    pub(super) fn into_parts(self) -> (String, Vec<EntrySpans>) {
        (self.text, self.entries)
    }

    /// Returns `FailedPutCount`, if it is a whole number that is not negative.
    ///
    /// It is what the service counted, not the truth: look at the entries.
    pub fn failed_put_count(&self) -> Option<u64> {
        self.head.failed_put_count
    }

    /// Returns `Encrypted`: whether the stream's server-side encryption was on (R16).
    pub fn encrypted(&self) -> Option<bool> {
        self.head.encrypted
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("entries", &self.entries.len())
            .field("failed_put_count", &self.head.failed_put_count)
            .field("encrypted", &self.head.encrypted)
            .finish_non_exhaustive()
    }
}

/// What an answer says of one record.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::{Field, Reply};
///
/// let body = br#"{"RequestResponses":[{"ErrorCode":"X","ErrorMessage":"why"}]}"#.to_vec();
/// let reply = Reply::parse(body, 1, &mut Scratch::new())?;
/// let entry = reply.entry(0).expect("there is one");
/// assert_eq!((entry.record_id, entry.error_message), (Field::Absent, Some("why")));
/// # Ok::<(), firehose_proto::wire::reply::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Entry<'a> {
    /// The identifier under which the record was stored.
    pub record_id: Field<'a>,
    /// Why the record was not stored.
    pub error_code: Field<'a>,
    /// The service's words on it.
    pub error_message: Option<&'a str>,
}

/// A member of an entry.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::{Field, Reply};
///
/// let body = br#"{"RequestResponses":[{"RecordId":7,"ErrorCode":null}]}"#.to_vec();
/// let reply = Reply::parse(body, 1, &mut Scratch::new())?;
/// let entry = reply.entry(0).expect("there is one");
/// assert_eq!((entry.record_id, entry.error_code), (Field::Malformed, Field::Absent));
/// # Ok::<(), firehose_proto::wire::reply::ReplyError>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a member is there as text, otherwise, or not at all")]
pub enum Field<'a> {
    /// The member is missing or null.
    Absent,
    /// The member is there but is not text, or the entry is not an object.
    Malformed,
    /// The text of the member, which may be empty.
    Text(&'a str),
}

/// Why bytes are not an answer of the service.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::{Reply, ReplyError};
///
/// let parse = |body: &str| Reply::parse(body.into(), 1, &mut Scratch::new()).err();
/// assert_eq!(parse("{}"), Some(ReplyError::MissingEntries));
/// assert_eq!(parse("<html>"), Some(ReplyError::NotJson));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum ReplyError {
    /// A member that has a meaning is there twice.
    DuplicateMember {
        /// The name of the member.
        name: &'static str,
    },
    /// The list of results, or the identifier of the only record, is missing.
    MissingEntries,
    /// The bytes are not JSON, or nested too deeply.
    NotJson,
    /// The JSON is not an object.
    NotObject,
    /// There are more results than there were records.
    TooManyEntries {
        /// The number of results.
        entries: usize,
        /// The number of records in the request.
        records: usize,
    },
}

impl fmt::Display for ReplyError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::DuplicateMember { name } => write!(f, "the answer has {name} twice"),
            Self::MissingEntries => f.write_str("the answer has no results of records"),
            Self::NotJson => f.write_str("the answer is not JSON"),
            Self::NotObject => f.write_str("the answer is not a JSON object"),
            Self::TooManyEntries { entries, records } => {
                write!(f, "the answer has {entries} results for {records} records")
            }
        }
    }
}

impl core::error::Error for ReplyError {}

impl From<NotJson> for ReplyError {
    fn from(_: NotJson) -> Self {
        Self::NotJson
    }
}

/// What an answer says beside its entries.
#[derive(Clone, Copy, Default)]
struct Head {
    failed_put_count: Option<u64>,
    encrypted: Option<bool>,
}

/// What an entry says, as parts of the answer's text.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct EntrySpans {
    pub(crate) record_id: FieldSpan,
    pub(crate) error_code: FieldSpan,
    pub(crate) error_message: FieldSpan,
}

impl EntrySpans {
    const ABSENT: Self = Self::of(FieldSpan::ABSENT);
    const MALFORMED: Self = Self::of(FieldSpan::MALFORMED);

    const fn of(field: FieldSpan) -> Self {
        Self { record_id: field, error_code: field, error_message: field }
    }

    #[inline]
    fn show<'a>(&self, text: &'a str) -> Entry<'a> {
        Entry {
            record_id: self.record_id.show(text),
            error_code: self.error_code.show(text),
            error_message: match self.error_message.show(text) {
                Field::Text(text) => Some(text),
                Field::Absent | Field::Malformed => None,
            },
        }
    }
}

/// A [`Field`] as a part of the answer's text. Two spans that no text has stand for the others: that
/// makes an entry small, and most entries are only looked at for what is absent.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) struct FieldSpan(Span);

impl FieldSpan {
    const ABSENT: Self = Self(Span::NOWHERE);
    const MALFORMED: Self = Self(Span::NOT_TEXT);

    #[inline]
    pub(crate) fn is_absent(self) -> bool {
        self == Self::ABSENT
    }

    /// Returns where the text of the member lies, which may be empty.
    #[inline]
    pub(crate) fn text(self) -> Option<Span> {
        Some(self.0).filter(|_| self != Self::ABSENT && self != Self::MALFORMED)
    }

    #[inline]
    fn show(self, text: &str) -> Field<'_> {
        match self {
            Self::ABSENT => Field::Absent,
            Self::MALFORMED => Field::Malformed,
            Self(span) => Field::Text(span.of(text)),
        }
    }
}
