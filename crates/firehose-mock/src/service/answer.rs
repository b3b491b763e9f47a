//! What answers are made of: bodies of success, text in JSON, ids and headers.

use std::io::Write as _;

use firehose_proto::wire::CONTENT_TYPE;
use http::{HeaderMap, HeaderName, HeaderValue, header};

use crate::faults::EntryFault;
use crate::random::{SplitMix64, mix};

/// The length of a record's id, as long as those of the real service.
pub(crate) const RECORD_ID_BYTES: usize = 224;

pub(crate) const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const EXTENDED_ID: HeaderName = HeaderName::from_static("x-amz-id-2");

const ALPHABET: &[u8; 64] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
/// The part of a record's id in which it differs from the others; no id is shorter.
const COUNTER_BYTES: usize = 11;
const EXTENDED_ID_BYTES: usize = 100;
const ENTRY_FRAME_BYTES: usize = 16;

const _: () = assert!(COUNTER_BYTES * 6 >= 64);

/// Makes the ids of records and requests; none is made twice.
#[derive(Debug)]
pub(crate) struct Ids {
    random: SplitMix64,
    prefix: String,
    made: u64,
}

impl Ids {
    pub(crate) fn new(seed: u64) -> Self {
        let mut random = SplitMix64::new(mix(!seed));
        let mut prefix = String::with_capacity(RECORD_ID_BYTES);
        push_random(&mut prefix, RECORD_ID_BYTES - COUNTER_BYTES, &mut random);
        Self { random, prefix, made: 0 }
    }

    /// Makes the ids of records shorter than those of the real service.
    pub(crate) fn shorten(&mut self, record_id_bytes: usize) {
        self.prefix.truncate(record_id_bytes.saturating_sub(COUNTER_BYTES));
    }

    /// Returns the length of a record's id.
    pub(crate) fn record_id_bytes(&self) -> usize {
        self.prefix.len() + COUNTER_BYTES
    }

    /// Appends the next record's id.
    pub(crate) fn push_record_id(&mut self, ids: &mut String) {
        ids.push_str(&self.prefix);
        push_digits(ids, COUNTER_BYTES, mix(self.made));
        self.made += 1;
    }

    /// Adds the headers that every answer of the service has.
    pub(crate) fn stamp(&mut self, headers: &mut HeaderMap) {
        headers.insert(REQUEST_ID, value(self.request_id()));
        let mut extended = String::with_capacity(EXTENDED_ID_BYTES);
        push_random(&mut extended, EXTENDED_ID_BYTES, &mut self.random);
        headers.insert(EXTENDED_ID, value(extended));
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    }

    /// Makes a UUID of version 4.
    fn request_id(&mut self) -> String {
        let (high, low) = (self.random.next(), self.random.next());
        format!(
            "{:08x}-{:04x}-4{:03x}-{:04x}-{:012x}",
            high >> 32,
            (high >> 16) & 0xffff,
            high & 0x0fff,
            0x8000 | (low >> 48) & 0x3fff,
            low & 0xffff_ffff_ffff
        )
    }
}

fn value(id: String) -> HeaderValue {
    HeaderValue::try_from(id).expect("ids consist of visible ASCII")
}

fn push_random(text: &mut String, bytes: usize, random: &mut SplitMix64) {
    let mut left = bytes;
    while left > 0 {
        let digits = left.min(10);
        push_digits(text, digits, random.next());
        left -= digits;
    }
}

/// Appends the lowest digits of a number to the base of 64.
fn push_digits(text: &mut String, digits: usize, mut number: u64) {
    let mut buffer = [b'A'; COUNTER_BYTES];
    let buffer = &mut buffer[..digits];
    for digit in &mut *buffer {
        *digit = ALPHABET[(number & 63) as usize];
        number >>= 6;
    }
    text.push_str(str::from_utf8(buffer).expect("the digits are ASCII"));
}

/// Writes the answer to a `PutRecordBatch`: an id, or a fault, for each record.
///
/// The ids, of `id_bytes` each, stand behind each other in `ids`, one for each record without a
/// fault.
pub(crate) fn batch_body(faults: &[Option<EntryFault>], ids: &str, id_bytes: usize) -> Vec<u8> {
    let failed = faults.iter().flatten().count();
    let mut body = Vec::with_capacity(64 + ids.len() + faults.len() * (ENTRY_FRAME_BYTES + 1));
    body.extend_from_slice(br#"{"Encrypted":false,"FailedPutCount":"#);
    write!(body, "{failed}").expect("a vector takes any bytes");
    body.extend_from_slice(br#","RequestResponses":["#);
    let mut ids = ids;
    for (index, fault) in faults.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        if let Some(fault) = fault {
            write_fault(&mut body, fault);
        } else {
            let (id, rest) = ids.split_at(id_bytes);
            ids = rest;
            write_id(&mut body, br#"{"RecordId":""#, id);
        }
    }
    body.extend_from_slice(b"]}");
    body
}

/// Writes the answer to a `PutRecord`.
pub(crate) fn single_body(id: &str) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 + id.len());
    write_id(&mut body, br#"{"Encrypted":false,"RecordId":""#, id);
    body
}

fn write_id(body: &mut Vec<u8>, frame: &[u8], id: &str) {
    body.extend_from_slice(frame);
    body.extend_from_slice(id.as_bytes());
    body.extend_from_slice(br#""}"#);
}

fn write_fault(body: &mut Vec<u8>, fault: &EntryFault) {
    body.extend_from_slice(br#"{"ErrorCode":"#);
    write_text(body, fault.code());
    body.extend_from_slice(br#","ErrorMessage":"#);
    write_text(body, fault.message());
    body.push(b'}');
}

/// Writes a text as a string of JSON.
pub(crate) fn write_text(body: &mut Vec<u8>, text: &str) {
    body.push(b'"');
    let is_plain = |byte: u8| byte >= 0x20 && byte != b'"' && byte != b'\\';
    if text.bytes().all(is_plain) {
        body.extend_from_slice(text.as_bytes());
        body.push(b'"');
        return;
    }
    for byte in text.bytes() {
        match byte {
            b'"' | b'\\' => body.extend_from_slice(&[b'\\', byte]),
            0..0x20 => write!(body, "\\u{byte:04x}").expect("a vector takes any bytes"),
            0x20.. => body.push(byte),
        }
    }
    body.push(b'"');
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn record_ids_look_real_and_differ() {
        let mut ids = Ids::new(7);
        let mut seen = BTreeSet::new();
        for _ in 0..10_000 {
            let mut id = String::new();
            ids.push_record_id(&mut id);
            assert_eq!(id.len(), RECORD_ID_BYTES);
            assert!(id.bytes().all(|byte| ALPHABET.contains(&byte)), "{id}");
            assert!(seen.insert(id));
        }
        let mut other = String::new();
        Ids::new(8).push_record_id(&mut other);
        assert!(seen.insert(other), "another seed gives other ids");
    }

    #[test]
    fn request_ids_are_uuids() {
        let mut ids = Ids::new(1);
        for _ in 0..100 {
            let id = ids.request_id();
            let parts: Vec<usize> = id.split('-').map(str::len).collect();
            assert_eq!(parts, [8, 4, 4, 4, 12], "{id}");
            assert_eq!(&id[14..15], "4", "{id}");
            assert!("89ab".contains(&id[19..20]), "{id}");
        }
    }

    #[test]
    fn texts_are_escaped() {
        let text = "a \"b\" \\ \n\u{7f} caf\u{e9} \u{1f600}\u{0}";
        let mut body = Vec::new();
        write_text(&mut body, text);
        assert_eq!(serde_json::from_slice::<String>(&body).unwrap(), text);
    }
}
