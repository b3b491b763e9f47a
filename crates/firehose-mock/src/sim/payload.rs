//! The data of the simulated records: a record carries its ticket, and all its bytes follow from
//! that, so whoever sees some bytes can say which record they are, and whether all of it.

use crate::random::{SplitMix64, mix};

/// The ticket at the front of each record.
pub(super) const HEAD_BYTES: usize = 8;

/// How far apart the fillers of records can begin.
const POOL_SPARE_BYTES: usize = 256;

/// The data of every record of a run.
#[derive(Debug)]
pub(super) struct Payload {
    salt: u64,
    bytes_min: usize,
    bytes_max: usize,
    pool: Vec<u8>,
}

impl Payload {
    /// Makes the data of records that have from `bytes_min` to `bytes_max` bytes, but never fewer
    /// than a ticket has.
    pub(super) fn new(salt: u64, bytes_min: usize, bytes_max: usize) -> Self {
        let bytes_min = bytes_min.max(HEAD_BYTES);
        let bytes_max = bytes_max.max(bytes_min);
        let mut random = SplitMix64::new(salt);
        let words = (bytes_max + POOL_SPARE_BYTES).div_ceil(8);
        let pool = (0..words).flat_map(|_| random.next().to_le_bytes()).collect();
        Self { salt, bytes_min, bytes_max, pool }
    }

    /// Returns the length of the largest record there can be.
    pub(super) fn bytes_max(&self) -> usize {
        self.bytes_max
    }

    /// Returns the length of a record.
    #[cfg(test)]
    pub(super) fn len(&self, ticket: u64) -> usize {
        self.len_by(self.hash(ticket))
    }

    /// Returns what follows the ticket in a record's data.
    pub(super) fn filler(&self, ticket: u64) -> &[u8] {
        let hash = self.hash(ticket);
        let start = (hash >> 32) as usize % POOL_SPARE_BYTES;
        &self.pool[start..start + self.len_by(hash) - HEAD_BYTES]
    }

    /// Returns the ticket of the record that has just this data.
    pub(super) fn ticket_of(&self, data: &[u8]) -> Option<u64> {
        let (head, filler) = data.split_first_chunk::<HEAD_BYTES>()?;
        let ticket = u64::from_be_bytes(*head);
        (filler == self.filler(ticket)).then_some(ticket)
    }

    fn len_by(&self, hash: u64) -> usize {
        let span = (self.bytes_max - self.bytes_min + 1) as u64;
        self.bytes_min + ((u64::from(low(hash)) * span) >> 32) as usize
    }

    fn hash(&self, ticket: u64) -> u64 {
        mix(self.salt.wrapping_add(ticket.wrapping_mul(0x9e37_79b9_7f4a_7c15)))
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the lower half is what is wanted")]
const fn low(number: u64) -> u32 {
    number as u32
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn records_are_known_by_their_bytes() {
        let payload = Payload::new(7, 0, 40);
        let mut lens = Vec::new();
        for ticket in 0..2_000_u64 {
            let mut data = ticket.to_be_bytes().to_vec();
            data.extend_from_slice(payload.filler(ticket));
            assert_eq!(data.len(), payload.len(ticket));
            assert_eq!(payload.ticket_of(&data), Some(ticket));
            lens.push(data.len());
            data.push(0);
            assert_eq!(payload.ticket_of(&data), None);
            data[7] ^= 1;
            assert_eq!(payload.ticket_of(&data[..lens[lens.len() - 1]]), None);
        }
        assert_eq!((lens.iter().min(), lens.iter().max()), (Some(&8), Some(&40)));
        assert_eq!(payload.ticket_of(&[0; 7]), None);
    }
}
