//! A batch together with what is known of each of its records.

use crate::batch::{Batch, Encoded, Parts, Sealed, Storage};
use crate::ids::{StreamName, Ticket};
use crate::limits::Limits;
use crate::retry::Class;
use crate::time::Instant;
use crate::wire::request;

/// A record that is not decided yet.
#[derive(Clone, Copy)]
pub(super) struct Pending {
    pub(super) ticket: Ticket,
    pub(super) pushed_at: Instant,
    /// No attempt begins at or after this instant.
    pub(super) expires_at: Instant,
    /// How often it was sent, not counting attempts that were free of charge.
    pub(super) attempts: u8,
    /// Some attempt may have stored it.
    pub(super) may_be_stored: bool,
    /// Its free attempt after expired credentials is used up.
    pub(super) renewed: bool,
    /// How its last attempt ended.
    pub(super) last: Option<Class>,
}

/// The bytes that an undecided record counts for: its part of a body.
pub(super) fn held_bytes(data_bytes: usize) -> usize {
    request::base64_len(data_bytes) + request::RECORD_FRAME_BYTES
}

/// A batch that waits, filled from behind and emptied from the front.
pub(super) struct Load {
    batch: Batch,
    records: Vec<Pending>,
    /// The records before this index have been moved to another load.
    next: usize,
    /// The data of those, before base64.
    moved_bytes: usize,
    /// A record did not fit any more.
    is_closed: bool,
    /// No record expires earlier.
    expires_first: Instant,
}

/// Memory that loads hand on to each other.
#[derive(Default)]
pub(super) struct LoadStorage {
    batch: Storage,
    records: Vec<Pending>,
}

/// How much memory a load takes.
#[derive(Clone, Copy, Default)]
pub(super) struct LoadSize {
    records: usize,
    body_bytes: usize,
}

impl LoadStorage {
    /// Makes room for a load of this size, or one that is slightly larger.
    pub(super) fn reserve(&mut self, size: LoadSize) {
        let LoadSize { records, body_bytes } = size;
        self.batch.reserve(records, body_bytes + body_bytes / 16);
        self.records.reserve(records);
    }

    /// Returns the memory that it takes up.
    pub(super) fn bytes(&self) -> usize {
        self.batch.bytes() + self.records.capacity() * size_of::<Pending>()
    }
}

impl Load {
    pub(super) fn new(stream: &StreamName, limits: Limits, storage: LoadStorage) -> Self {
        Self {
            batch: Batch::new(stream, limits, storage.batch),
            records: storage.records,
            next: 0,
            moved_bytes: 0,
            is_closed: false,
            expires_first: Instant::FAR_FUTURE,
        }
    }

    /// Adds a new record, or says `false` if it does not fit.
    #[inline]
    pub(super) fn push(&mut self, record: Pending, data: Parts<'_>) -> bool {
        self.batch.add_data(data).is_ok_and(|_| self.note(record))
    }

    /// Adds a record of another request, or says `false` if it does not fit.
    pub(super) fn push_encoded(&mut self, record: Pending, encoded: Encoded<'_>) -> bool {
        self.batch.add_encoded(encoded).is_ok_and(|_| self.note(record))
    }

    #[inline]
    fn note(&mut self, record: Pending) -> bool {
        self.expires_first = self.expires_first.min(record.expires_at);
        self.records.push(record);
        true
    }

    /// Moves as many records as fit, from the front, to the end of `target`.
    pub(super) fn move_into(&mut self, target: &mut Self) {
        while let Some((record, encoded)) = self.front() {
            if !target.push_encoded(record, encoded) {
                break;
            }
            self.moved_bytes += encoded.data_bytes();
            self.next += 1;
        }
    }

    /// Takes out the records that may not be sent any more at `now`; the others move to `rest`.
    pub(super) fn expire(&mut self, now: Instant, rest: &mut Self, take: &mut Take<'_>) {
        self.drain(&mut |record, encoded| {
            if record.expires_at <= now {
                take(record, encoded);
            } else {
                // The records of one load always fit another.
                rest.push_encoded(record, encoded);
            }
        });
    }

    /// Takes out all records, from the front.
    pub(super) fn drain(&mut self, take: &mut Take<'_>) {
        while let Some((record, encoded)) = self.front() {
            take(record, encoded);
            self.moved_bytes += encoded.data_bytes();
            self.next += 1;
        }
    }

    fn front(&self) -> Option<(Pending, Encoded<'_>)> {
        let mut at = self.next;
        if canary!("spans_swapped") && (at ^ 1) < self.records.len() {
            at ^= 1;
        }
        Some((*self.records.get(self.next)?, self.batch.record(at)?))
    }

    /// Makes it a request. There is none if no record is left.
    pub(super) fn seal(mut self) -> Option<SealedLoad> {
        if canary!("last_record_lost") && self.records.len() > 1 {
            self.records.pop();
        }
        Some(SealedLoad { batch: self.batch.seal()?, records: self.records })
    }

    pub(super) fn into_storage(mut self) -> LoadStorage {
        self.records.clear();
        LoadStorage { batch: self.batch.into_storage(), records: self.records }
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        self.batch.set_limits(limits);
    }

    /// Returns whether it can be sent as it is: nothing was moved out, and it is within its limits,
    /// which may have been lowered since it was filled.
    pub(super) fn is_whole(&self) -> bool {
        let limits = self.batch.limits();
        let within = self.batch.len() <= limits.records_max()
            && self.batch.data_bytes() <= limits.request_bytes_max();
        self.next == 0 && (within || self.batch.len() == 1)
    }

    /// Notes that a record did not fit any more.
    pub(super) fn close(&mut self) {
        self.is_closed = true;
    }

    /// Returns whether it is a request to which nothing can be added.
    pub(super) fn is_full(&self) -> bool {
        self.is_closed && self.is_whole()
    }

    /// Returns how much memory it takes, with what was moved out.
    pub(super) fn size(&self) -> LoadSize {
        LoadSize { records: self.records.len(), body_bytes: self.batch.body_bytes() }
    }

    /// Returns the number of records that are left.
    pub(super) fn len(&self) -> usize {
        self.records.len() - self.next
    }

    /// Returns the oldest record that is left.
    pub(super) fn oldest(&self) -> Option<&Pending> {
        self.records.get(self.next)
    }

    /// Returns the records that are left, in their order.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.records.iter().skip(self.next).map(|record| record.ticket)
    }

    /// Returns an instant before which no record expires.
    pub(super) fn expires_first(&self) -> Instant {
        self.expires_first
    }

    /// Returns the data of the records that are left, before base64.
    pub(super) fn data_bytes(&self) -> usize {
        self.batch.data_bytes() - self.moved_bytes
    }
}

/// What is done with a record that leaves a load.
pub(super) type Take<'a> = dyn FnMut(Pending, Encoded<'_>) + 'a;

/// A request on its way, with what is known of each of its records.
pub(super) struct SealedLoad {
    batch: Sealed,
    records: Vec<Pending>,
}

impl SealedLoad {
    pub(super) fn batch(&self) -> &Sealed {
        &self.batch
    }

    /// Returns the records in the order of the request.
    pub(super) fn records(&self) -> impl Iterator<Item = (Pending, Encoded<'_>)> {
        let encoded = (0..).map_while(|index| self.batch.record(index));
        self.records.iter().copied().zip(encoded)
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.records.iter().map(|record| record.ticket)
    }

    /// Counts one attempt for each record, and returns the highest count.
    pub(super) fn count_attempt(&mut self) -> u8 {
        let mut highest = 0;
        for record in &mut self.records {
            if !canary!("attempts_never_counted") {
                record.attempts = record.attempts.saturating_add(1);
            }
            highest = highest.max(record.attempts);
        }
        if canary!("attempts_per_request") {
            self.records.iter_mut().for_each(|record| record.attempts = highest);
        }
        highest
    }

    /// Makes it wait again as it is, after `change` was made to each record.
    pub(super) fn reopen(self, mut change: impl FnMut(&mut Pending)) -> Load {
        let mut load = Load {
            batch: self.batch.reopen(),
            records: self.records,
            next: 0,
            moved_bytes: 0,
            is_closed: false,
            expires_first: Instant::FAR_FUTURE,
        };
        for record in &mut load.records {
            change(record);
            load.expires_first = load.expires_first.min(record.expires_at);
        }
        load
    }

    pub(super) fn into_storage(mut self) -> LoadStorage {
        self.records.clear();
        LoadStorage { batch: self.batch.into_storage(), records: self.records }
    }
}
