//! The records to put: slices of one buffer in memory, so that they cost neither client anything.

use crate::Failed;
use std::ops::Range;

use bytes::Bytes;
use firehose_benches::records;
use firehose_proto::limits::REQUEST_BYTES_MAX;

/// The records start at so many different places of the buffer.
const PLACES: usize = 64 * 1_024;

/// Records without end.
pub(crate) struct Payload {
    bytes: Bytes,
    ranges: Ranges,
}

enum Ranges {
    /// Every record has this many bytes.
    Even(usize),
    /// The records in their order.
    Lines(Vec<Range<usize>>),
}

impl Payload {
    /// Makes random records of `size` bytes.
    pub(crate) fn random(size: usize) -> Self {
        let bytes = records(1, size + PLACES).swap_remove(0);
        Self { bytes: bytes.into(), ranges: Ranges::Even(size) }
    }

    /// Takes the lines of a text with their line ends.
    pub(crate) fn lines(bytes: Bytes) -> Result<Self, Failed> {
        let mut lines = Vec::new();
        let mut start = 0;
        for line in bytes.split_inclusive(|byte| *byte == b'\n') {
            lines.push(start..start + line.len());
            start += line.len();
        }
        if lines.is_empty() {
            return Err("there is no line in the payload".into());
        }
        Ok(Self { bytes, ranges: Ranges::Lines(lines) })
    }

    /// Returns the record at `index`, whatever that is; nothing is copied.
    pub(crate) fn record(&self, index: usize) -> Bytes {
        self.bytes.slice(self.range(index))
    }

    /// As [`record`](Self::record), borrowed.
    pub(crate) fn bytes(&self, index: usize) -> &[u8] {
        &self.bytes[self.range(index)]
    }

    /// Cuts the first `records` into full requests of at most `batch`; each is the index of its first
    /// record and their number.
    pub(crate) fn requests(&self, records: usize, batch: usize) -> Vec<(usize, usize)> {
        let (mut requests, mut start, mut bytes) = (Vec::new(), 0, 0);
        for index in 0..records {
            let more = self.range(index).len();
            if index - start == batch || (index > start && bytes + more > REQUEST_BYTES_MAX) {
                requests.push((start, index - start));
                (start, bytes) = (index, 0);
            }
            bytes += more;
        }
        if start < records {
            requests.push((start, records - start));
        }
        requests
    }

    fn range(&self, index: usize) -> Range<usize> {
        match &self.ranges {
            Ranges::Even(size) => {
                // An odd number of bytes apart, so that all places come up.
                let start = index.wrapping_mul(257) % PLACES;
                start..start + size
            }
            Ranges::Lines(lines) => lines[index % lines.len()].clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_come_again_and_again() {
        let payload = Payload::lines(Bytes::from_static(b"a\n\nlast")).unwrap();
        let records: Vec<_> = (0..4).map(|index| payload.record(index)).collect();
        assert_eq!(records, ["a\n", "\n", "last", "a\n"]);
        assert!(Payload::lines(Bytes::new()).is_err());
    }

    #[test]
    fn requests_are_as_full_as_can_be() {
        assert_eq!(Payload::random(1).requests(1_200, 500), [(0, 500), (500, 500), (1_000, 200)]);
        let large = Payload::random(1_024_000).requests(9, 500);
        assert_eq!(large, [(0, 4), (4, 4), (8, 1)]);
        assert_eq!(Payload::random(1).requests(0, 500), []);
    }

    #[test]
    fn random_records_differ() {
        let payload = Payload::random(100);
        assert_eq!(payload.record(70_000).len(), 100);
        assert_ne!(payload.bytes(0), payload.bytes(1));
        assert_eq!(payload.record(5), payload.bytes(5));
    }
}
