//! What the end of a request does to its records, whatever the end was.

use core::cell::Cell;
use core::time::Duration;

use firehose_proto::Failure;
use firehose_proto::retry::Class;

use super::pace::Waits;
use super::{Fate, Oracle, Place, Request};
use crate::sim::ending::{Meaning, Said};

impl Oracle {
    /// A request under way ended.
    pub(in crate::sim) fn ended(
        &mut self,
        now: u64,
        id: u64,
        meaning: &Meaning,
        asked: Option<Duration>,
    ) {
        self.now = now;
        self.end(id, meaning, asked);
        self.expire();
    }

    pub(super) fn end(&mut self, id: u64, meaning: &Meaning, asked: Option<Duration>) {
        let Some(request) = self.requests.remove(&id) else { return };
        let fraction = self.jitter.fraction();
        let (now, policy) = (self.now, self.rules.policy);
        let mut waits = Waits { now, policy, fraction, asked, known: Cell::new(None) };
        match meaning {
            Meaning::Each { said, is_inconsistent, has_duplicate, has_its_ids } => {
                self.stats.replies_inconsistent_count += u64::from(*is_inconsistent);
                self.stats.replies_duplicate_id += u64::from(*has_duplicate);
                self.end_each(&request, said, *has_its_ids, &waits);
            }
            Meaning::Fault(class) => {
                self.stats.faults += 1;
                let class = self.lower_bounds(&request, *class);
                self.end_whole(id, &request, class, &waits);
            }
            Meaning::Nonsense => {
                self.stats.replies_distrusted += 1;
                waits.asked = None;
                self.end_whole(id, &request, Class::Unknown, &waits);
            }
            Meaning::Unanswered(Failure::NotReady) => {
                self.end_whole(id, &request, Class::NotReady, &waits);
            }
            Meaning::Unanswered(Failure::Unsendable) => {
                self.end_whole(id, &request, Class::Unsendable, &waits);
            }
            Meaning::Unanswered(Failure::NotSent) => {
                self.end_whole(id, &request, Class::NotSent, &waits);
            }
            Meaning::Unanswered(Failure::OutcomeUnknown) => {
                self.end_whole(id, &request, Class::Unknown, &waits);
            }
        }
        self.spare.push(request.tickets);
    }

    fn end_each(&mut self, request: &Request, said: &[Said], is_known_id: bool, waits: &Waits) {
        let (mut stored, mut throttled) = (0, 0);
        for (ticket, said) in request.tickets.iter().zip(said) {
            match said.meaning() {
                None => {
                    stored += 1;
                    self.owe(*ticket, Fate::Delivered { is_known_id });
                }
                Some((class, is_doubtful)) => {
                    throttled += u64::from(class == Class::Throttled);
                    self.records[*ticket].may_be_stored |= is_doubtful;
                    *self.attempts_that(class) += 1;
                    self.not_stored(*ticket, class, waits);
                }
            }
        }
        self.pace.answered(request.tickets.len() as u64, stored, throttled, waits);
    }

    fn end_whole(&mut self, id: u64, request: &Request, class: Class, waits: &Waits) {
        let records = request.tickets.len();
        self.untold.setbacks.push_back((id, records, class));
        *self.attempts_that(class) += records as u64;
        self.pace.ended(records as u64, class, waits);
        for ticket in &request.tickets {
            self.not_stored(*ticket, class, waits);
        }
        if matches!(class, Class::StreamRejected | Class::Unsendable) {
            self.give_up_waiting(Fate::Rejected, Some(class));
        }
    }

    /// A refusal for the size of a request lowers the bounds, one for a single record's is final.
    fn lower_bounds(&mut self, request: &Request, class: Class) -> Class {
        if class != Class::TooLarge {
            return class;
        }
        if request.tickets.len() == 1 {
            return Class::Rejected;
        }
        self.bounds.bytes_max = self.bounds.bytes_max.min(request.data_bytes / 2);
        self.bounds.is_lowered = true;
        self.untold.bounds.push_back(self.bounds.bytes_max);
        class
    }

    /// Decides what becomes of a record after an attempt that did not store it.
    fn not_stored(&mut self, ticket: usize, class: Class, waits: &Waits) {
        self.note(ticket, class);
        let record = &mut self.records[ticket];
        let renews = class == Class::Renew && !record.renewed;
        record.renewed |= renews;
        if matches!(class, Class::Rejected | Class::StreamRejected | Class::Unsendable)
            || (class == Class::Renew && !renews)
        {
            self.owe(ticket, Fate::Rejected);
        } else if renews || matches!(class, Class::NotReady | Class::TooLarge) {
            record.attempts -= 1;
            self.again(ticket, class, waits);
        } else if record.attempts >= self.rules.attempts_max {
            self.owe(ticket, Fate::Exhausted);
        } else {
            self.again(ticket, class, waits);
        }
    }

    fn again(&mut self, ticket: usize, class: Class, waits: &Waits) {
        let record = &mut self.records[ticket];
        let due = waits.end(class, record.attempts);
        if due >= record.expires_at {
            self.owe(ticket, Fate::Expired);
            return;
        }
        record.due = due;
        record.place = Place::Waiting;
        *self.again.entry(due).or_default() += 1;
    }

    /// Notes how an attempt at a record ended.
    pub(super) fn note(&mut self, ticket: usize, class: Class) {
        let record = &mut self.records[ticket];
        record.last = Some(class);
        record.may_be_stored |= class == Class::Unknown;
    }

    fn attempts_that(&mut self, class: Class) -> &mut u64 {
        match class {
            Class::NotReady | Class::NotSent | Class::Unsendable => {
                &mut self.stats.attempts_not_sent
            }
            Class::Throttled => &mut self.stats.attempts_throttled,
            Class::Unknown => &mut self.stats.attempts_unknown,
            Class::Failed
            | Class::Rejected
            | Class::Renew
            | Class::StreamRejected
            | Class::TooLarge
            | _ => &mut self.stats.attempts_failed,
        }
    }
}
