//! What the benchmarks work on: records, and answers of the service in the form it gives them.
//!
//! Everything follows from its arguments, so that two runs time the same bytes. The benchmarks are
//! named `group/case/implementation`, and each asserts the answer that it times. `cargo bench -p
//! firehose-benches -- --test` runs each of them once.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`core_case`] | requests through the core within this process, in virtual time |
//! | [`usage`] | what this process and this thread have used |
//! | `sdk` | the AWS SDK within this process; with the feature `rivals` |
//!
//! The programs `sink` and `load` measure whole clients over loopback; `compare` and `count` measure
//! parts.

pub mod core_case;
#[cfg(feature = "rivals")]
pub mod sdk;
pub mod usage;

use std::hash::{DefaultHasher, Hasher};

use firehose_proto::StreamName;
use firehose_proto::retry::Jitter;
use firehose_proto::wire::BODY_HEADROOM_BYTES;

/// The length of a record's identifier, as the service makes them.
pub const RECORD_ID_BYTES: usize = 224;

/// Returns the name that all requests carry.
pub fn stream() -> StreamName {
    "benchmark".parse().expect("a legal name")
}

/// Returns `count` records of `len` bytes each that look random and are always the same.
///
/// ```
/// let records = firehose_benches::records(2, 64);
/// assert!(records[0].len() == 64 && records[0] != records[1]);
/// assert_eq!(records, firehose_benches::records(2, 64));
/// ```
pub fn records(count: usize, len: usize) -> Vec<Vec<u8>> {
    let mut random = Jitter::new(len as u64);
    let mut record = || {
        let mut record = Vec::with_capacity(len + 8);
        while record.len() < len {
            record.extend_from_slice(&random.number().to_le_bytes());
        }
        record.truncate(len);
        record
    };
    (0..count).map(|_| record()).collect()
}

/// Returns a number that follows from the bytes of a record, the same in all programs of one build;
/// a sum of these tells whether two sets of records are the same, whatever their order.
pub fn checksum(record: &[u8]) -> u64 {
    let mut hasher = DefaultHasher::new();
    hasher.write(record);
    hasher.finish()
}

/// What an answer says of its records.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub enum Kind {
    /// All are stored.
    Stored,
    /// The last of every so many is refused because the service is asked too much of.
    Refused {
        /// How many that is.
        every: usize,
    },
    /// All are stored, and the answer is one that no service was seen to give: identifiers with
    /// escapes, members that nobody knows, white space.
    Strange,
}

impl Kind {
    /// Returns the number of records that are stored, of this many.
    pub fn stored(self, records: usize) -> usize {
        (0..records).filter(|index| !self.refuses(*index)).count()
    }

    fn refuses(self, index: usize) -> bool {
        matches!(self, Self::Refused { every } if index % every == every - 1)
    }
}

/// Returns the body of an answer to a request of `records` records, with the spare capacity that
/// lets it be read in place.
///
/// ```
/// use firehose_benches::{Kind, reply};
///
/// let body = reply(2, Kind::Refused { every: 2 });
/// assert!(body.starts_with(br#"{"Encrypted":false,"FailedPutCount":1,"RequestResponses":["#));
/// assert!(body.ends_with(br#""ErrorMessage":"Slow down."}]}"#));
/// ```
pub fn reply(records: usize, kind: Kind) -> Vec<u8> {
    let failed = records - kind.stored(records);
    let entries: Vec<String> = (0..records).map(|index| entry(index, kind)).collect();
    let text = match kind {
        Kind::Stored | Kind::Refused { .. } => format!(
            r#"{{"Encrypted":false,"FailedPutCount":{failed},"RequestResponses":[{}]}}"#,
            entries.join(",")
        ),
        Kind::Strange => format!(
            "{{ \"Region\": {{\"Name\": \"x\", \"Zones\": [1, 2.5]}},\n  \"RequestResponses\": [\n{}\n  ],\n  \"FailedPutCount\": {failed}\n}}\n",
            entries.join(",\n")
        ),
    };
    with_headroom(text.as_bytes())
}

/// Copies a body into memory with the spare capacity that lets it be read in place, as an adapter
/// does that collects it from a connection.
pub fn with_headroom(body: &[u8]) -> Vec<u8> {
    let mut copy = Vec::with_capacity(body.len() + BODY_HEADROOM_BYTES);
    copy.extend_from_slice(body);
    copy
}

/// An entry of a record that is refused because the service is asked too much of.
pub const REFUSED_ENTRY: &str =
    r#"{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}"#;

/// Returns the entry of the record at `index`, where it is stored.
pub fn stored_entry(index: usize) -> String {
    format!(r#"{{"RecordId":"{index:0>RECORD_ID_BYTES$}"}}"#)
}

fn entry(index: usize, kind: Kind) -> String {
    if kind.refuses(index) {
        return REFUSED_ENTRY.to_owned();
    }
    match kind {
        Kind::Stored | Kind::Refused { .. } => stored_entry(index),
        Kind::Strange => {
            // As long as any other identifier once its two escapes are read.
            let id = format!("{index:0>width$}", width = RECORD_ID_BYTES - 2);
            format!(r#"    {{ "Shard": null, "RecordId": "\u0041\/{id}", "Sequence": {index} }}"#)
        }
    }
}

#[cfg(test)]
mod tests {
    use firehose_proto::judge::{Anomalies, Judgement, Verdict};
    use firehose_proto::wire::{Response, Scratch};

    use super::*;

    #[test]
    fn replies_are_what_they_say() {
        for kind in [Kind::Stored, Kind::Refused { every: 10 }, Kind::Strange] {
            let response = Response::new(200, reply(500, kind));
            let Judgement::Records(judged) = Judgement::of(response, 500, &mut Scratch::new())
            else {
                panic!("{kind:?} is not believed");
            };
            assert_eq!(judged.anomalies(), Anomalies::default(), "{kind:?}");
            let mut stored = 0;
            for verdict in judged.verdicts() {
                if let Verdict::Stored { record_id } = verdict {
                    assert_eq!(record_id.len(), RECORD_ID_BYTES, "{kind:?}");
                    stored += 1;
                }
            }
            assert_eq!(stored, kind.stored(500), "{kind:?}");
        }
    }
}
