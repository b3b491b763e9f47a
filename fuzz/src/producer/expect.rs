//! What comes out of the producer, held against the model.

use firehose_proto::Instant;
use firehose_proto::producer::{
    Event, Outcome, Output, Report, Setback, Settled, Stats, Transmit, Why,
};
use firehose_proto::retry::Class;
use firehose_proto::wire::request::body_len;

use super::model::{Bounds, CANCEL_GRACE, Due, Model, Place, Request, Untold, held};
use super::settings::{DELAY_MAX, STREAM};
use crate::encoder::records_of;

impl Model {
    /// Takes all output that there was, and the producer's own counts after it.
    pub(super) fn take(&mut self, outputs: Vec<Output>, stats: Stats) {
        let handed_out =
            outputs.iter().filter(|output| matches!(output, Output::Transmit(_))).count() as u64;
        self.phantoms = stats.requests - self.handed_out - handed_out;
        self.handed_out += handed_out;
        for output in outputs {
            match output {
                Output::Cancel(id) => {
                    assert!(self.untold.cancels.remove(&id.number()), "{id:?} is cancelled");
                }
                Output::Event(event) => self.take_event(event),
                Output::Transmit(transmit) => self.take_transmit(&transmit),
                Output::Wait(_) => {}
            }
        }
        self.doomed = false;
        self.check_nothing_is_due();
        self.check_stats(stats);
    }

    fn take_event(&mut self, event: Event) {
        assert!(!self.closed, "{event:?} after the last event");
        match event {
            Event::Closed => {
                assert!(self.closing && self.undecided.is_empty());
                self.closed = true;
            }
            Event::Setback(setback) => self.take_setback(&setback),
            Event::Settled(report) => self.take_report(&report),
            Event::SizeBoundLowered { request_bytes_max } => {
                assert_eq!(self.untold.bounds.remove(0), request_bytes_max);
            }
            Event::Throttled(throttling) => {
                assert!(throttling.refused > 0 && throttling.refused <= throttling.answered);
                assert!(throttling.since <= throttling.until && throttling.until <= self.now);
            }
            other => panic!("the model does not know {other:?}"),
        }
    }

    fn take_setback(&mut self, setback: &Setback) {
        let seen = (setback.records, setback.class);
        match self.untold.setbacks.remove(&setback.id.number()) {
            Some(expected) => assert_eq!(seen, expected),
            None => {
                // Its time was over before it was handed out.
                assert_eq!(setback.class, Class::NotSent);
                self.stats.attempts_not_sent += setback.records as u64;
            }
        }
    }

    fn take_transmit(&mut self, transmit: &Transmit) {
        let id = transmit.id.number();
        assert!(!self.closed && id >= self.next_request);
        self.next_request = id + 1;
        let records = records_of(&transmit.body, STREAM);
        let bounds = *self.bounds.iter().rfind(|bounds| bounds.from <= id).expect("the first");
        let data_bytes = check_limits(bounds, transmit, &records);
        let planned_at = planned_at(transmit, self.config.request_timeout().as_micros());
        assert!(planned_at <= self.now);
        let find = |data: &Vec<u8>| self.undecided.get(data).copied().expect("it is undecided");
        let tickets: Vec<usize> = records.iter().map(find).collect();
        self.check_order(&tickets);
        self.check_linger(&tickets, planned_at, bounds);
        let attempts_max = u64::from(self.config.policy().attempts_max().get());
        let mut highest = 0;
        for index in &tickets {
            let record = &mut self.records[*index];
            assert_eq!(record.place, Place::Waiting, "record {index} is sent again");
            assert!(planned_at < record.expires_at, "record {index} is sent too late");
            assert!(planned_at >= record.not_before, "record {index} is sent too early");
            record.place = Place::Sent(id);
            record.attempts += 1;
            assert!(record.attempts <= attempts_max, "record {index} is sent too often");
            highest = highest.max(record.attempts);
        }
        self.check_attempts(transmit.attempt, highest);
        self.stats.requests += 1;
        self.stats.body_bytes += transmit.body.len() as u64;
        self.stats.attempts += tickets.len() as u64;
        self.requests.insert(id, Request { tickets, data_bytes, deadline: transmit.deadline });
        assert!(self.requests.len() <= self.config.in_flight_max().get());
    }

    /// Records that go again stand in front of fresh ones, which go in the order of their push.
    fn check_order(&mut self, tickets: &[usize]) {
        let is_fresh = |index: &&usize| self.records[**index].last.is_none();
        let fresh: Vec<usize> = tickets.iter().filter(is_fresh).copied().collect();
        if self.phantoms == 0 {
            assert!(tickets.ends_with(&fresh), "{tickets:?} of which {fresh:?} are fresh");
            assert!(
                fresh.is_sorted() && fresh.first().copied() > self.newest_sent || fresh.is_empty()
            );
        }
        self.newest_sent = self.newest_sent.max(fresh.last().copied());
    }

    /// A request of fresh records alone goes when it is full, when it is flushed, or when its first
    /// record has waited long enough.
    fn check_linger(&self, tickets: &[usize], planned_at: Instant, bounds: Bounds) {
        let is_fresh = |index: &usize| self.records[*index].last.is_none();
        let oldest = tickets[0];
        let over = self.records[oldest].pushed_at + self.config.linger() <= planned_at;
        if self.phantoms > 0 || over || oldest < self.flushed || !tickets.iter().all(is_fresh) {
            return;
        }
        let data_bytes: usize = tickets.iter().map(|index| self.records[*index].data.len()).sum();
        let next = tickets[tickets.len() - 1] + 1;
        let next_bytes = self.records.get(next).map_or(0, |record| record.data.len());
        let is_full = tickets.len() == bounds.records_max
            || data_bytes >= bounds.request_bytes_max
            || data_bytes + next_bytes > bounds.request_bytes_max;
        assert!(is_full, "{} records go before their time", tickets.len());
    }

    /// Attempts that were planned and never handed out count, but are not known record by record.
    fn check_attempts(&self, told: u8, known: u64) {
        let told = u64::from(told);
        let range = known..=known + self.phantoms;
        assert!(range.contains(&told), "{told} attempts instead of {range:?}");
    }

    fn take_report(&mut self, report: &Report) {
        assert!(!report.is_empty());
        for settled in report.iter() {
            self.take_settled(&settled);
        }
    }

    fn take_settled(&mut self, settled: &Settled<'_>) {
        let index = usize::try_from(settled.ticket().number()).expect("a number of a record");
        let place = core::mem::replace(&mut self.records[index].place, Place::Decided);
        let record = &self.records[index];
        self.check_attempts(settled.attempts(), record.attempts);
        match settled.outcome() {
            Outcome::Delivered { record_id, may_be_duplicate } => {
                assert_eq!(place, Place::Due(Due::Delivered(record_id.to_owned())));
                assert_eq!(may_be_duplicate, record.may_be_stored);
                assert_eq!(settled.data(), None);
                self.stats.records_delivered += 1;
                self.stats.records_maybe_doubled += u64::from(may_be_duplicate);
            }
            Outcome::Failed { why, may_be_delivered } => {
                assert_eq!(may_be_delivered, record.may_be_stored);
                assert_eq!(settled.data().as_ref(), Some(&record.data));
                self.check_why(index, &place, why, settled.attempts());
                self.stats.records_maybe_delivered += u64::from(may_be_delivered);
            }
        }
        let data = &self.records[index].data;
        self.stats.records_undecided -= 1;
        self.stats.bytes_held -= held(data);
        self.undecided.remove(data);
    }

    fn check_why(&mut self, index: usize, place: &Place, why: Why<'_>, attempts: u8) {
        let record = &self.records[index];
        let waits = *place == Place::Waiting;
        let (fits, count) = match why {
            Why::Abandoned { .. } => {
                let fits = *place == Place::Due(Due::Abandoned) || (waits && self.given_up);
                (fits, &mut self.stats.records_abandoned)
            }
            Why::Exhausted { .. } => {
                let all = attempts == self.config.policy().attempts_max().get();
                let fits = *place == Place::Due(Due::Exhausted) || (waits && self.phantoms > 0);
                (fits && all, &mut self.stats.records_exhausted)
            }
            Why::Expired { .. } => {
                let over = record.expires_at <= self.now;
                let in_vain = record.last.is_some() || self.phantoms > 0;
                // A request that nobody saw may have come to nothing just now.
                let failed_at = if self.phantoms > 0 { self.now } else { record.answered_at };
                let soon = in_vain && record.expires_at <= failed_at + DELAY_MAX;
                (waits && (over || soon), &mut self.stats.records_expired)
            }
            Why::Rejected { .. } => {
                let fits = *place == Place::Due(Due::Rejected) || (waits && self.doomed);
                (fits, &mut self.stats.records_rejected)
            }
            other => panic!("the model does not know {other:?}"),
        };
        assert!(fits, "record {index} is {place:?} and ends as {why:?}");
        *count += 1;
        if self.phantoms == 0 && !self.doomed {
            assert_eq!(why.last().map(|cause| cause.class), record.last);
        }
    }

    /// After all output was taken, everything that was certain has been told.
    fn check_nothing_is_due(&self) {
        assert_eq!(self.untold, Untold::default());
        for index in self.undecided.values() {
            let record = &self.records[*index];
            let told = matches!(record.place, Place::Sent(_) | Place::Waiting);
            assert!(told, "record {index} is {:?}", record.place);
            let over =
                self.woken && record.place == Place::Waiting && record.expires_at <= self.now;
            assert!(!over, "record {index} outlives its time");
        }
    }

    fn check_stats(&mut self, told: Stats) {
        self.stats.requests_in_flight = self.requests.len() as u64;
        if self.phantoms > 0 {
            self.stats.requests = told.requests;
            self.stats.attempts = told.attempts;
            self.stats.body_bytes = told.body_bytes;
        }
        assert_eq!(told, self.stats);
    }

    pub(super) fn undecided(&self) -> usize {
        self.undecided.len()
    }

    pub(super) fn now(&self) -> Instant {
        self.now
    }

    pub(super) fn is_closing(&self) -> bool {
        self.closing
    }

    /// Returns whether the last event was told.
    pub(super) fn is_closed(&self) -> bool {
        assert_eq!(self.closed, self.closing && self.undecided.is_empty());
        self.closed
    }

    /// Checks when the producer wants to be woken: not later than anything that must happen then,
    /// and not at once if it was woken just now.
    pub(super) fn check_deadline(&self, until: Option<Instant>) {
        let waiting = self.undecided.values().map(|index| &self.records[*index]);
        let waiting = waiting.filter(|record| record.place == Place::Waiting);
        let expiry = waiting.map(|record| record.expires_at);
        let cancel = self.requests.values().map(|request| request.deadline + CANCEL_GRACE);
        let needed = expiry.chain(cancel).min();
        assert!(until.is_some() || needed.is_none(), "nothing happens any more");
        let until = until.unwrap_or(Instant::FAR_FUTURE);
        assert!(needed.is_none_or(|needed| until <= needed), "it sleeps beyond {needed:?}");
        assert!(!self.woken || until > self.now, "woken, it wants to be woken at once");
    }
}

/// Checks a body against the bounds that held when it was planned; returns the bytes of its data.
fn check_limits(bounds: Bounds, transmit: &Transmit, records: &[Vec<u8>]) -> usize {
    let sizes = || records.iter().map(Vec::len);
    let data_bytes = sizes().sum();
    assert_eq!(transmit.records, records.len());
    assert!((1..=bounds.records_max).contains(&records.len()), "{} records", records.len());
    assert!(data_bytes <= bounds.request_bytes_max || records.len() == 1, "{data_bytes} bytes");
    assert_eq!(transmit.body.len(), body_len(STREAM.len(), sizes()));
    data_bytes
}

/// The moment at which a request was planned.
fn planned_at(transmit: &Transmit, timeout_micros: u128) -> Instant {
    let timeout = u64::try_from(timeout_micros).expect("a timeout below hours");
    Instant::from_micros(transmit.deadline.as_micros() - timeout)
}
