//! Answers of any shape, read strictly from simd-json's tape.
//!
//! Nothing is guessed: a known member that is there twice, a list that is missing or an answer that
//! is no object is an error. The texts that are kept are copied out of the answer.

use super::{EntrySpans, FieldSpan, Head, ReplyError};
use crate::wire::json::Value;
use crate::wire::span::Span;

/// What is kept of an answer.
pub(super) struct Kept {
    pub(super) text: String,
    pub(super) entries: Vec<EntrySpans>,
}

/// Reads the answer to a `PutRecordBatch` of `records` records.
pub(super) fn read_batch(
    root: Value<'_>,
    records: usize,
    kept: &mut Kept,
) -> Result<Head, ReplyError> {
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
    for element in list.elements() {
        kept.entry(element)?;
    }
    Ok(Head {
        failed_put_count: count.value.and_then(Value::as_u64),
        encrypted: encrypted.value.and_then(Value::as_bool),
    })
}

/// Reads the answer to a `PutRecord`.
pub(super) fn read_single(root: Value<'_>, kept: &mut Kept) -> Result<Head, ReplyError> {
    let mut encrypted = Once::new("Encrypted");
    for (key, value) in root.members().ok_or(ReplyError::NotObject)? {
        if key == "Encrypted" {
            encrypted.set(value)?;
        }
    }
    if kept.entry(root)?.record_id.is_absent() {
        return Err(ReplyError::MissingEntries);
    }
    Ok(Head { failed_put_count: Some(0), encrypted: encrypted.value.and_then(Value::as_bool) })
}

impl Kept {
    fn entry(&mut self, element: Value<'_>) -> Result<EntrySpans, ReplyError> {
        let mut entry = EntrySpans::MALFORMED;
        if let Some(members) = element.members() {
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
            entry = EntrySpans {
                record_id: self.field(record_id.value),
                error_code: self.field(error_code.value),
                error_message: self.field(error_message.value),
            };
        }
        self.entries.push(entry);
        Ok(entry)
    }

    fn field(&mut self, value: Option<Value<'_>>) -> FieldSpan {
        let Some(value) = value.filter(|value| !value.is_null()) else { return FieldSpan::ABSENT };
        let Some(text) = value.as_str() else { return FieldSpan::MALFORMED };
        let start = self.text.len();
        self.text.push_str(text);
        Span::new(start, text.len()).map_or(FieldSpan::MALFORMED, FieldSpan)
    }
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
}
