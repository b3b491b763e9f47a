//! The bodies of requests, written straight into a buffer of the caller.
//!
//! A body is the compact JSON that the AWS SDKs for Rust, Go and JavaScript send, byte for byte:
//! `{"DeliveryStreamName":"…","Records":[{"Data":"…"},…]}`. Each record costs 11 bytes of frame and
//! its data in base64, so the length of a body is known before a byte of it is written. Here stands
//! nothing of limits; they are kept by [`Batch`](crate::batch::Batch).

use base64_simd::STANDARD;

use crate::ids::StreamName;

const HEAD: &[u8] = br#"{"DeliveryStreamName":""#;
const RECORDS: &[u8] = br#"","Records":[{"Data":""#;
const RECORD_NEXT: &[u8] = br#""},{"Data":""#;
const RECORDS_END: &[u8] = br#""}]}"#;
const RECORD: &[u8] = br#"{"Data":""#;
const RECORD_END: &[u8] = br#""}"#;
const SINGLE: &[u8] = br#"","Record":"#;
const SINGLE_END: &[u8] = b"}";

/// The bytes of a `PutRecordBatch` body that belong neither to the stream's name nor to records.
pub const FRAME_BYTES: usize = HEAD.len() + RECORDS.len() + RECORDS_END.len() - RECORD_FRAME_BYTES;

/// The bytes of frame around a record's base64 data.
pub const RECORD_FRAME_BYTES: usize = RECORD.len() + RECORD_END.len();

/// The bytes that [`end`] writes.
pub(crate) const END_BYTES: usize = RECORDS_END.len();

const _: () = assert!(FRAME_BYTES == 38 && RECORD_FRAME_BYTES == 11);

/// Returns the length of `data_bytes` bytes in base64, padding included.
pub const fn base64_len(data_bytes: usize) -> usize {
    data_bytes.div_ceil(3) * 4
}

/// Returns the length of a `PutRecordBatch` body in bytes.
///
/// ```
/// use firehose_proto::wire::request::body_len;
///
/// assert_eq!(body_len("big".len(), [1_024_000]), 1_365_388);
/// ```
pub fn body_len(name_bytes: usize, record_bytes: impl IntoIterator<Item = usize>) -> usize {
    let mut len = FRAME_BYTES + name_bytes;
    let mut comma = 0;
    for bytes in record_bytes {
        len += comma + RECORD_FRAME_BYTES + base64_len(bytes);
        comma = 1;
    }
    len
}

/// Writes the start of a `PutRecordBatch` body, up to the data of its first record: there is at
/// least one (R1).
pub fn begin(body: &mut Vec<u8>, stream: &StreamName) {
    body.extend_from_slice(HEAD);
    body.extend_from_slice(stream.as_str().as_bytes());
    body.extend_from_slice(RECORDS);
}

/// Writes the end of a `PutRecordBatch` body, behind the data of its last record.
pub fn end(body: &mut Vec<u8>) {
    body.extend_from_slice(RECORDS_END);
}

/// Writes the data of a record, given in parts.
///
/// The parts are encoded as one: base64 strings are never joined (R14).
#[inline]
pub fn data(body: &mut Vec<u8>, parts: &[&[u8]]) {
    match parts {
        [whole] => STANDARD.encode_append(whole, body),
        parts => joined(body, parts),
    }
}

/// Writes what stands between the data of two records.
#[inline]
pub fn separator(body: &mut Vec<u8>) {
    body.extend_from_slice(RECORD_NEXT);
}

/// Returns the body of a `PutRecord` request.
///
/// ```
/// use firehose_proto::wire::request::put_record;
///
/// let body = put_record(&"demo".parse()?, b"hello");
/// assert_eq!(body, br#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#);
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
pub fn put_record(stream: &StreamName, data: &[u8]) -> Vec<u8> {
    let name = stream.as_str().as_bytes();
    let frame = HEAD.len() + SINGLE.len() + RECORD_FRAME_BYTES + SINGLE_END.len();
    let mut body = Vec::with_capacity(frame + name.len() + base64_len(data.len()));
    body.extend_from_slice(HEAD);
    body.extend_from_slice(name);
    body.extend_from_slice(SINGLE);
    body.extend_from_slice(RECORD);
    self::data(&mut body, &[data]);
    body.extend_from_slice(RECORD_END);
    body.extend_from_slice(SINGLE_END);
    body
}

/// Writes the parts of one record's data in base64, carrying the bytes that do not yet fill a group
/// of three from one part to the next.
fn joined(body: &mut Vec<u8>, parts: &[&[u8]]) {
    let Some((last, init)) = parts.split_last() else { return };
    let mut carry = Carry::default();
    for part in init {
        let whole = carry.take(body, part);
        STANDARD.encode_append(whole, body);
    }
    let rest = carry.fill(body, last);
    if carry.len == 0 {
        STANDARD.encode_append(rest, body);
    } else {
        STANDARD.encode_append(&carry.bytes[..carry.len], body);
    }
}

/// Up to two bytes that wait for the rest of their group of three.
#[derive(Default)]
struct Carry {
    bytes: [u8; 3],
    len: usize,
}

impl Carry {
    /// Completes the waiting group from the front of `part`, writes it, and returns what is left.
    fn fill<'a>(&mut self, body: &mut Vec<u8>, part: &'a [u8]) -> &'a [u8] {
        if self.len == 0 {
            return part;
        }
        let (front, rest) = part.split_at(part.len().min(3 - self.len));
        self.bytes[self.len..self.len + front.len()].copy_from_slice(front);
        self.len += front.len();
        if self.len == 3 {
            STANDARD.encode_append(self.bytes, body);
            self.len = 0;
        }
        rest
    }

    /// As [`fill`](Self::fill), but keeps what does not fill a group; returns the whole groups.
    fn take<'a>(&mut self, body: &mut Vec<u8>, part: &'a [u8]) -> &'a [u8] {
        let rest = self.fill(body, part);
        let (whole, left) = rest.split_at(rest.len() - rest.len() % 3);
        if !left.is_empty() {
            self.bytes[..left.len()].copy_from_slice(left);
            self.len = left.len();
        }
        whole
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn encode(parts: &[&[u8]]) -> Vec<u8> {
        let mut body = Vec::new();
        data(&mut body, parts);
        body
    }

    // R14: parts of a record are never encoded apart.
    #[test]
    fn parts_are_encoded_as_one() {
        let whole: Vec<u8> = (0..64).collect();
        for len in 0..24 {
            let expected = STANDARD.encode_to_string(&whole[..len]).into_bytes();
            for first in 0..=len {
                for second in first..=len {
                    let parts = [&whole[..first], &whole[first..second], &whole[second..len]];
                    assert_eq!(encode(&parts), expected, "{len} bytes cut at {first} and {second}");
                }
            }
        }
        assert_eq!(encode(&[]), b"");
    }

    #[test]
    fn lengths_are_exact() {
        let stream: StreamName = "demo".parse().unwrap();
        for sizes in [vec![0], vec![1], vec![2, 3], vec![4, 0, 5, 1_000]] {
            let mut body = Vec::new();
            begin(&mut body, &stream);
            for (index, size) in sizes.iter().enumerate() {
                if index > 0 {
                    separator(&mut body);
                }
                data(&mut body, &[&vec![7; *size]]);
            }
            end(&mut body);
            assert_eq!(body.len(), body_len(4, sizes.iter().copied()), "{sizes:?}");
        }
    }
}
