//! What the producer should do, from the operations alone: for each record where it is, for each
//! request what is in it.
//!
//! The model plans nothing. It takes the requests as they come, knows from the answers what must
//! become of their records, and checks in `expect` that this and nothing else is told.

use std::collections::{BTreeMap, BTreeSet};

use core::time::Duration;

use firehose_proto::producer::{Config, Stats};
use firehose_proto::retry::Class;
use firehose_proto::wire::request::base64_len;
use firehose_proto::{Instant, Ticket};

use super::answer::{Entry, Meaning};

/// How long after its deadline a request is cancelled.
pub(super) const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// The most that a wait which the service asks for adds to the planned one.
const ASKED_MAX: Duration = Duration::from_secs(5);

pub(super) struct Model {
    pub(super) config: Config,
    pub(super) now: Instant,
    /// The last input was a wake-up.
    pub(super) woken: bool,
    /// Records before this one need not wait for others.
    pub(super) flushed: usize,
    pub(super) closing: bool,
    pub(super) closed: bool,
    /// What waited at some moment was given up, unless its time was over before.
    pub(super) given_up: bool,
    /// The stream was rejected while requests may have been planned that are not known yet.
    pub(super) doomed: bool,
    pub(super) records: Vec<Record>,
    /// The records without an outcome, by their data, of which no two have the same.
    pub(super) undecided: BTreeMap<Vec<u8>, usize>,
    /// The requests that were handed out and have not ended.
    pub(super) requests: BTreeMap<u64, Request>,
    ended: Vec<u64>,
    /// From which request on which bounds hold.
    pub(super) bounds: Vec<Bounds>,
    pub(super) next_request: u64,
    /// The last record that was sent for the first time.
    pub(super) newest_sent: Option<usize>,
    /// Requests that were handed out in all.
    pub(super) handed_out: u64,
    /// Requests that were planned and ended before they were handed out.
    pub(super) phantoms: u64,
    pub(super) untold: Untold,
    pub(super) stats: Stats,
}

pub(super) struct Record {
    pub(super) data: Vec<u8>,
    pub(super) pushed_at: Instant,
    pub(super) expires_at: Instant,
    /// How often it was handed out, without attempts that were free of charge.
    pub(super) attempts: u64,
    pub(super) may_be_stored: bool,
    pub(super) renewed: bool,
    pub(super) last: Option<Class>,
    pub(super) answered_at: Instant,
    /// It is not planned again before.
    pub(super) not_before: Instant,
    pub(super) place: Place,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Place {
    Decided,
    /// Its outcome is certain and has to be told.
    Due(Due),
    Sent(u64),
    /// It waits, or is in a request that was not handed out yet.
    Waiting,
}

#[derive(Debug, Eq, PartialEq)]
pub(super) enum Due {
    Abandoned,
    Delivered(String),
    Exhausted,
    Rejected,
}

pub(super) struct Request {
    pub(super) tickets: Vec<usize>,
    pub(super) data_bytes: usize,
    pub(super) deadline: Instant,
}

#[derive(Clone, Copy)]
pub(super) struct Bounds {
    pub(super) from: u64,
    pub(super) records_max: usize,
    pub(super) request_bytes_max: usize,
}

/// What the producer has to tell.
#[derive(Debug, Default, Eq, PartialEq)]
pub(super) struct Untold {
    pub(super) bounds: Vec<usize>,
    pub(super) cancels: BTreeSet<u64>,
    pub(super) setbacks: BTreeMap<u64, (usize, Class)>,
}

impl Model {
    pub(super) fn new(now: Instant, config: &Config) -> Self {
        let limits = config.limits();
        let bounds = Bounds {
            from: 0,
            records_max: limits.records_max(),
            request_bytes_max: limits.request_bytes_max(),
        };
        Self {
            config: config.clone(),
            now,
            woken: false,
            flushed: 0,
            closing: false,
            closed: false,
            given_up: false,
            doomed: false,
            records: Vec::new(),
            undecided: BTreeMap::new(),
            requests: BTreeMap::new(),
            ended: Vec::new(),
            bounds: vec![bounds],
            next_request: 0,
            newest_sent: None,
            handed_out: 0,
            phantoms: 0,
            untold: Untold::default(),
            stats: Stats::default(),
        }
    }

    /// Notes the time of an input.
    pub(super) fn passes(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.woken = false;
    }

    /// Makes the data of the next record, different from that of every other that is undecided.
    pub(super) fn next_record(&self, size: u8) -> Vec<u8> {
        let bytes_max = self.config.limits().record_bytes_max();
        let len = match size {
            0..4 if !self.undecided.contains_key(&[][..]) => return Vec::new(),
            252..255 => bytes_max,
            255 => bytes_max + 1,
            _ => usize::from(size).clamp(3, bytes_max),
        };
        let number = self.records.len().to_le_bytes();
        number.into_iter().take(3).chain(core::iter::repeat(size)).take(len).collect()
    }

    pub(super) fn pushed(&mut self, data: Vec<u8>) {
        let ttl = self.config.record_ttl();
        self.stats.records_accepted += 1;
        self.stats.bytes_accepted += data.len() as u64;
        self.stats.records_undecided += 1;
        self.stats.bytes_held += held(&data);
        self.undecided.insert(data.clone(), self.records.len());
        self.records.push(Record {
            data,
            pushed_at: self.now,
            expires_at: ttl.map_or(Instant::FAR_FUTURE, |ttl| self.now + ttl),
            attempts: 0,
            may_be_stored: false,
            renewed: false,
            last: None,
            answered_at: self.now,
            not_before: self.now,
            place: Place::Waiting,
        });
    }

    /// What was pushed so far goes without waiting for more.
    pub(super) fn flushed(&mut self) {
        self.flushed = self.records.len();
    }

    pub(super) fn closes(&mut self) {
        self.closing = true;
        self.flushed();
    }

    /// Everything is given up: what was handed out may have been stored.
    pub(super) fn abandoned(&mut self) {
        self.closing = true;
        self.given_up = true;
        for index in self.undecided.values() {
            let record = &mut self.records[*index];
            if let Place::Sent(_) = record.place {
                record.note(Class::Unknown);
                record.place = Place::Due(Due::Abandoned);
            }
        }
        let requests = core::mem::take(&mut self.requests);
        self.untold.cancels.extend(requests.keys());
        self.ended.extend(requests.into_keys());
    }

    /// Time passed: the requests whose time is over are cancelled, and may have been taken.
    pub(super) fn woken(&mut self) {
        self.woken = true;
        let overdue = |request: &Request| request.deadline + CANCEL_GRACE <= self.now;
        let ids: Vec<_> =
            self.requests.iter().filter(|(_, r)| overdue(r)).map(|(id, _)| *id).collect();
        for id in ids {
            self.untold.cancels.insert(id);
            self.failed(id, Class::Unknown, true);
        }
    }

    /// A request was answered. `planned` requests were planned before that; `clean` says that all
    /// of them are known.
    pub(super) fn answered(
        &mut self,
        id: u64,
        meaning: Meaning,
        asked: Option<Duration>,
        planned: u64,
        clean: bool,
    ) {
        match meaning {
            Meaning::Entries { entries, inconsistent_count, duplicate_id } => {
                self.stats.replies_inconsistent_count += u64::from(inconsistent_count);
                self.stats.replies_duplicate_id += u64::from(duplicate_id);
                self.answered_each(id, entries, asked);
            }
            Meaning::Nonsense => {
                self.stats.replies_distrusted += 1;
                self.failed(id, Class::Unknown, clean);
            }
            Meaning::Fault(class) => {
                self.stats.faults += 1;
                let class = self.lower_bounds(id, class, planned);
                self.end_whole(id, class, asked);
                if class == Class::StreamRejected {
                    self.reject_waiting(class, clean);
                }
            }
        }
    }

    fn answered_each(&mut self, id: u64, entries: Vec<Entry>, asked: Option<Duration>) {
        let request = self.end(id);
        for (index, entry) in request.tickets.into_iter().zip(entries) {
            match entry {
                Entry::Stored(record_id) => {
                    self.records[index].place = Place::Due(Due::Delivered(record_id));
                }
                Entry::Not { class, may_be_stored } => {
                    self.records[index].may_be_stored |= may_be_stored;
                    self.count_attempts(class, 1);
                    self.not_stored(index, class, asked);
                }
            }
        }
    }

    /// A request ended without an answer that is believed.
    pub(super) fn failed(&mut self, id: u64, class: Class, clean: bool) {
        self.end_whole(id, class, None);
        if class == Class::Unsendable {
            self.reject_waiting(class, clean);
        }
    }

    fn end_whole(&mut self, id: u64, class: Class, asked: Option<Duration>) {
        let tickets = self.end(id).tickets;
        self.untold.setbacks.insert(id, (tickets.len(), class));
        self.count_attempts(class, tickets.len() as u64);
        for index in tickets {
            self.not_stored(index, class, asked);
        }
    }

    fn end(&mut self, id: u64) -> Request {
        self.ended.push(id);
        self.requests.remove(&id).expect("only requests under way are ended")
    }

    /// A refusal for the size of a request lowers the bounds, one for a single record's is final.
    fn lower_bounds(&mut self, id: u64, class: Class, planned: u64) -> Class {
        if class != Class::TooLarge {
            return class;
        }
        let request = &self.requests[&id];
        if request.tickets.len() == 1 {
            return Class::Rejected;
        }
        let mut bounds = self.bounds[self.bounds.len() - 1];
        bounds.from = planned;
        if request.data_bytes > 1 {
            bounds.request_bytes_max = bounds.request_bytes_max.min(request.data_bytes / 2);
        } else {
            bounds.records_max = bounds.records_max.min(request.tickets.len() / 2).max(1);
        }
        self.bounds.push(bounds);
        self.untold.bounds.push(bounds.request_bytes_max);
        class
    }

    /// Decides what becomes of a record after an attempt that did not store it.
    fn not_stored(&mut self, index: usize, class: Class, asked: Option<Duration>) {
        let now = self.now;
        let attempts_max = u64::from(self.config.policy().attempts_max().get());
        let record = &mut self.records[index];
        record.note(class);
        record.answered_at = now;
        let free = matches!(class, Class::NotReady | Class::TooLarge)
            || (class == Class::Renew && !record.renewed);
        record.renewed |= class == Class::Renew;
        record.attempts -= u64::from(free);
        record.place = if !class.is_retryable() || (class == Class::Renew && !free) {
            Place::Due(Due::Rejected)
        } else if record.attempts >= attempts_max && !free {
            Place::Due(Due::Exhausted)
        } else {
            Place::Waiting
        };
        if !free {
            record.not_before = now + asked.unwrap_or_default().min(ASKED_MAX);
        }
    }

    /// The whole stream is of no use: what waits is rejected with the request that told so.
    fn reject_waiting(&mut self, class: Class, clean: bool) {
        self.doomed |= !clean;
        if !clean {
            return;
        }
        for index in self.undecided.values() {
            let record = &mut self.records[*index];
            if record.place == Place::Waiting {
                record.place = Place::Due(Due::Rejected);
                record.last = Some(class);
            }
        }
    }

    fn count_attempts(&mut self, class: Class, attempts: u64) {
        let stats = &mut self.stats;
        *match class {
            Class::NotReady | Class::NotSent | Class::Unsendable => &mut stats.attempts_not_sent,
            Class::Throttled => &mut stats.attempts_throttled,
            Class::Unknown => &mut stats.attempts_unknown,
            Class::Failed
            | Class::Rejected
            | Class::Renew
            | Class::StreamRejected
            | Class::TooLarge => &mut stats.attempts_failed,
            other => panic!("the model does not know {other:?}"),
        } += attempts;
    }

    /// Chooses a request that was handed out and has not ended: its id and its records.
    pub(super) fn in_flight(&self, choice: u8) -> Option<(u64, usize)> {
        let at = usize::from(choice).checked_rem(self.requests.len())?;
        self.requests.iter().nth(at).map(|(id, request)| (*id, request.tickets.len()))
    }

    /// Chooses a request that has ended.
    pub(super) fn ended(&self, choice: u8) -> Option<u64> {
        let at = usize::from(choice).checked_rem(self.ended.len())?;
        self.ended.get(at).copied()
    }

    pub(super) fn next_ticket(&self) -> Ticket {
        Ticket::from_number(self.records.len() as u64)
    }

    pub(super) fn oldest_undecided(&self) -> Option<Ticket> {
        self.undecided.values().min().map(|index| Ticket::from_number(*index as u64))
    }
}

impl Record {
    /// Notes how an attempt ended.
    fn note(&mut self, class: Class) {
        self.last = Some(class);
        self.may_be_stored |= class.may_be_stored();
    }
}

/// The bytes that an undecided record counts for.
pub(super) fn held(data: &[u8]) -> u64 {
    (base64_len(data.len()) + 11) as u64
}
