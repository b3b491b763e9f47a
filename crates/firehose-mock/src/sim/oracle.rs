//! What a producer must do, from what it is told alone: one entry per ticket, in a plain list.
//!
//! The oracle takes the requests as they come and knows from the way they end what becomes of each
//! record, when it may go again, and what has to be told. Here is what goes in, the ends of
//! requests are in `ended`; what comes out of the producer is checked in `sent` and in `told`. Names such as I3 are those of the list of promises:
//!
//! | name | promise |
//! |---|---|
//! | I1 | every accepted record is in one place, and gets one outcome |
//! | I2 | delivered is only what an answer of as many entries acknowledged, and what is stored |
//! | I3 | only what failed, was refused or is in doubt goes again |
//! | I4 | doubt is told where it is, and only there |
//! | I5 | each request is within the limits, each body as long as predicted |
//! | I6 | new records go in the order of their push, behind those that go again |
//! | I7 | no record is sent more often than allowed |
//! | I8 | waits are as planned, nothing is sent too late, nobody sleeps too long |
//! | I9 | no more is held than allowed, and nothing at the end |
//! | I16 | without faults everything is decided soon |
//! | I17 | the producer's counts are the oracle's |
//! | I18 | what the service stored for a record is the record |

mod ended;
mod pace;
mod sent;
mod tap;
mod told;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use firehose_proto::Failure;
use firehose_proto::producer::{Config, Stats};
use firehose_proto::retry::{Class, Policy};
use firehose_proto::wire::request::base64_len;

use super::ending::Meaning;
use super::payload::Payload;
use crate::random::SplitMix64;
use pace::{Pace, micros};

/// How long after its deadline a request is cancelled.
const CANCEL_GRACE_MICROS: u64 = 1_000_000;

const NEVER: u64 = u64::MAX;

pub(super) struct Oracle {
    rules: Rules,
    payload: Arc<Payload>,
    now: u64,
    phase: Phase,
    records: Vec<Record>,
    requests: BTreeMap<u64, Request>,
    next_request: u64,
    /// How many records may go again at which instant.
    again: BTreeMap<u64, usize>,
    /// The records from here on were never sent; all of them wait.
    fresh: usize,
    fresh_bytes: usize,
    /// The records before this one were looked at when their time was over.
    expiring: usize,
    /// The records before this one are decided.
    oldest: usize,
    /// The records before this one do not wait for others.
    flushed: usize,
    bounds: Bounds,
    pace: Pace,
    jitter: SplitMix64,
    untold: Untold,
    stats: Stats,
    figures: Seen,
    spare: Vec<Vec<usize>>,
    base64: Vec<u8>,
}

/// The settings of the producer, in numbers.
struct Rules {
    stream: String,
    policy: Policy,
    attempts_max: u8,
    linger: u64,
    timeout: u64,
    ttl: Option<u64>,
    buffer_bytes_max: u64,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Open,
    Closing,
    Closed,
}

/// What is known of a record.
struct Record {
    bytes: usize,
    pushed_at: u64,
    expires_at: u64,
    /// It does not go again before.
    due: u64,
    /// The id under which it was stored last.
    id_tail: u64,
    place: Place,
    attempts: u8,
    stored: u8,
    may_be_stored: bool,
    renewed: bool,
    last: Option<Class>,
}

/// Where a record is.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Place {
    Decided,
    /// Its outcome is certain and has to be told.
    Owed(Fate),
    Sent,
    Waiting,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Fate {
    Abandoned,
    /// With the id of which the service knows, or one that was made up.
    Delivered {
        is_known_id: bool,
    },
    Exhausted,
    Expired,
    Rejected,
}

struct Request {
    tickets: Vec<usize>,
    data_bytes: usize,
    cancel_at: u64,
}

#[derive(Clone, Copy)]
struct Bounds {
    records_max: usize,
    bytes_max: usize,
    is_lowered: bool,
}

/// What the producer has to tell before it rests.
#[derive(Debug, Default, Eq, PartialEq)]
struct Untold {
    bounds: VecDeque<usize>,
    cancels: VecDeque<u64>,
    outcomes: usize,
    setbacks: VecDeque<(u64, usize, Class)>,
}

/// What was seen that no count of the producer says.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(super) struct Seen {
    /// Records that the service stored more than once.
    pub(super) doubled: u64,
    /// Records that the service stored, each time counting.
    pub(super) stored: u64,
    /// Folds together what was sent, when, and what became of it.
    pub(super) digest: u64,
}

impl Oracle {
    pub(super) fn new(now: u64, config: &Config, seed: u64, payload: Arc<Payload>) -> Self {
        let limits = config.limits();
        Self {
            rules: Rules {
                stream: config.stream().as_str().to_owned(),
                policy: config.policy(),
                attempts_max: config.policy().attempts_max().get(),
                linger: micros(config.linger()),
                timeout: micros(config.request_timeout()),
                ttl: config.record_ttl().map(micros),
                buffer_bytes_max: config.buffer_bytes_max() as u64,
            },
            payload,
            now,
            phase: Phase::Open,
            records: Vec::new(),
            requests: BTreeMap::new(),
            next_request: 0,
            again: BTreeMap::new(),
            fresh: 0,
            fresh_bytes: 0,
            expiring: 0,
            oldest: 0,
            flushed: 0,
            bounds: Bounds {
                records_max: limits.records_max(),
                bytes_max: limits.request_bytes_max(),
                is_lowered: false,
            },
            pace: Pace::new(config),
            jitter: SplitMix64::new(seed),
            untold: Untold::default(),
            stats: Stats::default(),
            figures: Seen::default(),
            spare: Vec::new(),
            base64: Vec::new(),
        }
    }

    /// Returns whether the next record, of this size, is taken.
    pub(super) fn has_room(&self, bytes: usize) -> bool {
        let fits = self.stats.records_undecided == 0
            || self.stats.bytes_held + held(bytes) <= self.rules.buffer_bytes_max;
        fits && self.phase == Phase::Open
    }

    /// The next record was taken.
    pub(super) fn pushed(&mut self, now: u64, bytes: usize) {
        self.now = now;
        self.stats.records_accepted += 1;
        self.stats.bytes_accepted += bytes as u64;
        self.stats.records_undecided += 1;
        self.stats.bytes_held += held(bytes);
        self.fresh_bytes += bytes;
        self.records.push(Record {
            bytes,
            pushed_at: now,
            expires_at: self.rules.ttl.map_or(NEVER, |ttl| now.saturating_add(ttl)),
            due: 0,
            id_tail: 0,
            place: Place::Waiting,
            attempts: 0,
            stored: 0,
            may_be_stored: false,
            renewed: false,
            last: None,
        });
        self.expire();
    }

    pub(super) fn flushed(&mut self, now: u64) {
        self.now = now;
        self.flushed = self.records.len();
        self.expire();
    }

    pub(super) fn closed(&mut self, now: u64) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
        self.flushed(now);
    }

    /// Everything was given up.
    pub(super) fn abandoned(&mut self, now: u64) {
        self.now = now;
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
        for (id, request) in core::mem::take(&mut self.requests) {
            self.untold.cancels.push_back(id);
            for ticket in request.tickets {
                self.note(ticket, Class::Unknown);
                self.owe(ticket, Fate::Abandoned);
            }
        }
        self.give_up_waiting(Fate::Abandoned, None);
    }

    /// Time passed: requests whose time is over are cancelled, and may have been taken.
    pub(super) fn woken(&mut self, now: u64) {
        self.now = now;
        while let Some(id) = self.overdue() {
            self.untold.cancels.push_back(id);
            self.end(id, &Meaning::Unanswered(Failure::OutcomeUnknown), None);
        }
        self.expire();
    }

    fn overdue(&self) -> Option<u64> {
        self.requests.iter().find(|(_, r)| r.cancel_at <= self.now).map(|(id, _)| *id)
    }

    /// Returns whether a request was handed out and has not ended.
    pub(super) fn is_under_way(&self, id: u64) -> bool {
        self.requests.contains_key(&id)
    }

    fn owe(&mut self, ticket: usize, fate: Fate) {
        self.records[ticket].place = Place::Owed(fate);
        self.untold.outcomes += 1;
    }

    /// Every record that waits has its outcome.
    fn give_up_waiting(&mut self, fate: Fate, last: Option<Class>) {
        for ticket in self.oldest..self.records.len() {
            if self.records[ticket].place == Place::Waiting {
                self.records[ticket].last = last.or(self.records[ticket].last);
                self.owe(ticket, fate);
            }
        }
        self.again.clear();
        self.fresh = self.records.len();
        self.fresh_bytes = 0;
    }

    /// The records that wait though their time is over have their outcome. All live equally long.
    fn expire(&mut self) {
        while let Some(record) = self.records.get(self.expiring) {
            if record.expires_at > self.now {
                return;
            }
            let ticket = self.expiring;
            self.expiring += 1;
            if record.place != Place::Waiting {
                continue;
            }
            if ticket >= self.fresh {
                self.fresh = ticket + 1;
                self.fresh_bytes -= record.bytes;
            } else {
                let due = record.due;
                self.take_again(due, 1);
            }
            self.owe(ticket, Fate::Expired);
        }
    }

    fn take_again(&mut self, due: u64, records: usize) {
        if let Some(waiting) = self.again.get_mut(&due) {
            *waiting = waiting.saturating_sub(records);
            if *waiting == 0 {
                self.again.remove(&due);
            }
        }
    }

    pub(super) fn seen(&self) -> Seen {
        self.figures
    }

    /// Returns the number of records that have no outcome yet.
    pub(super) fn undecided(&self) -> u64 {
        self.stats.records_undecided
    }

    pub(super) fn pushed_count(&self) -> usize {
        self.records.len()
    }
}

/// The bytes that an undecided record of this size counts for.
fn held(data_bytes: usize) -> u64 {
    (base64_len(data_bytes) + 11) as u64
}
