//! Answers of success: what the service says of each record, before anyone believes it.
//!
//! Reading is strict about the shape, so that nothing is guessed: a duplicate of a known member, a
//! list that is not there or an answer that is no object is an error. What a single entry says is
//! kept as it is, also where it makes no sense; [`judge`](crate::judge) decides what it is worth.

use core::fmt;

use super::json::{NotJson, Scratch, Span, Value};

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
    body: Vec<u8>,
    entries: Vec<EntrySpans>,
    failed_put_count: Option<u64>,
    encrypted: Option<bool>,
}

impl Reply {
    /// Reads the answer to a `PutRecordBatch` of `records` records, in place (R5, R6, R7).
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
        let head = scratch.read(&mut body, |root| read_batch(root, records))??;
        Ok(head.with_body(body))
    }

    /// Reads the answer to a `PutRecord`, in place, as an answer with one entry.
    ///
    /// # Errors
    ///
    /// [`ReplyError`] if the bytes are not an answer.
    pub fn parse_put_record(mut body: Vec<u8>, scratch: &mut Scratch) -> Result<Self, ReplyError> {
        let head = scratch.read(&mut body, read_single)??;
        Ok(head.with_body(body))
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
        self.entries.iter().map(|entry| entry.show(&self.body))
    }

    /// Returns what the answer says of the record at `index`, counted from 0.
    pub fn entry(&self, index: usize) -> Option<Entry<'_>> {
        Some(self.entries.get(index)?.show(&self.body))
    }

    /// Returns `FailedPutCount`, if it is a whole number that is not negative.
    ///
    /// It is what the service counted, not the truth: look at the entries.
    pub fn failed_put_count(&self) -> Option<u64> {
        self.failed_put_count
    }

    /// Returns `Encrypted`: whether the stream's server-side encryption was on (R16).
    pub fn encrypted(&self) -> Option<bool> {
        self.encrypted
    }
}

impl fmt::Debug for Reply {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Reply")
            .field("entries", &self.entries.len())
            .field("failed_put_count", &self.failed_put_count)
            .field("encrypted", &self.encrypted)
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

/// An answer without its bytes.
#[derive(Default)]
struct Head {
    entries: Vec<EntrySpans>,
    failed_put_count: Option<u64>,
    encrypted: Option<bool>,
}

impl Head {
    fn with_body(self, body: Vec<u8>) -> Reply {
        let Self { entries, failed_put_count, encrypted } = self;
        Reply { body, entries, failed_put_count, encrypted }
    }
}

fn read_batch(root: Value<'_>, records: usize) -> Result<Head, ReplyError> {
    let mut count = Once::new("FailedPutCount");
    let mut encrypted = Once::new("Encrypted");
    let mut results = Once::new("RequestResponses");
    for (key, value) in root.members().ok_or(ReplyError::NotObject)? {
        match key {
            "Encrypted" => encrypted.set(value)?,
            "FailedPutCount" => count.set(value)?,
            "RequestResponses" => results.set(value)?,
            _ => {}
        }
    }
    let list = results.value.ok_or(ReplyError::MissingEntries)?;
    let len = list.array_len().ok_or(ReplyError::MissingEntries)?;
    if len > records && !canary!("accept_long_list") {
        return Err(ReplyError::TooManyEntries { entries: len, records });
    }
    let mut entries = Vec::with_capacity(len);
    for element in list.elements() {
        entries.push(EntrySpans::read(element)?);
    }
    Ok(Head {
        entries,
        failed_put_count: count.value.and_then(Value::as_u64),
        encrypted: encrypted.value.and_then(Value::as_bool),
    })
}

fn read_single(root: Value<'_>) -> Result<Head, ReplyError> {
    let mut encrypted = Once::new("Encrypted");
    for (key, value) in root.members().ok_or(ReplyError::NotObject)? {
        if key == "Encrypted" {
            encrypted.set(value)?;
        }
    }
    let entry = EntrySpans::read(root)?;
    if entry.record_id == FieldSpan::Absent {
        return Err(ReplyError::MissingEntries);
    }
    Ok(Head {
        entries: vec![entry],
        failed_put_count: Some(0),
        encrypted: encrypted.value.and_then(Value::as_bool),
    })
}

/// A member that may be there once.
struct Once<'a> {
    name: &'static str,
    value: Option<Value<'a>>,
}

impl<'a> Once<'a> {
    fn new(name: &'static str) -> Self {
        Self { name, value: None }
    }

    fn set(&mut self, value: Value<'a>) -> Result<(), ReplyError> {
        match self.value.replace(value) {
            None => Ok(()),
            Some(_) => Err(ReplyError::DuplicateMember { name: self.name }),
        }
    }

    fn text(&self) -> FieldSpan {
        match self.value {
            None => FieldSpan::Absent,
            Some(value) if value.is_null() => FieldSpan::Absent,
            Some(value) => value.as_span().map_or(FieldSpan::Malformed, FieldSpan::Text),
        }
    }
}

#[derive(Clone, Copy)]
struct EntrySpans {
    record_id: FieldSpan,
    error_code: FieldSpan,
    error_message: FieldSpan,
}

#[derive(Clone, Copy, Eq, PartialEq)]
enum FieldSpan {
    Absent,
    Malformed,
    Text(Span),
}

impl EntrySpans {
    const MALFORMED: Self = Self {
        record_id: FieldSpan::Malformed,
        error_code: FieldSpan::Malformed,
        error_message: FieldSpan::Malformed,
    };

    fn read(element: Value<'_>) -> Result<Self, ReplyError> {
        let Some(members) = element.members() else { return Ok(Self::MALFORMED) };
        let mut record_id = Once::new("RecordId");
        let mut error_code = Once::new("ErrorCode");
        let mut error_message = Once::new("ErrorMessage");
        for (key, value) in members {
            match key {
                "ErrorCode" => error_code.set(value)?,
                "ErrorMessage" => error_message.set(value)?,
                "RecordId" => record_id.set(value)?,
                _ => {}
            }
        }
        Ok(Self {
            record_id: record_id.text(),
            error_code: error_code.text(),
            error_message: error_message.text(),
        })
    }

    fn show<'a>(&self, body: &'a [u8]) -> Entry<'a> {
        Entry {
            record_id: self.record_id.show(body),
            error_code: self.error_code.show(body),
            error_message: match self.error_message.show(body) {
                Field::Text(text) => Some(text),
                Field::Absent | Field::Malformed => None,
            },
        }
    }
}

impl FieldSpan {
    fn show(self, body: &[u8]) -> Field<'_> {
        match self {
            Self::Absent => Field::Absent,
            Self::Malformed => Field::Malformed,
            Self::Text(span) => Field::Text(span.text(body)),
        }
    }
}
