//! What a producer tells, and what must hold when it has nothing more to say.

use base64_simd::STANDARD;
use firehose_proto::producer::{Event, Outcome, Producer, Report, Settled, Stats, Why};

use super::{Fate, Oracle, Phase, Place, Untold, held};
use crate::random::mix;
use crate::sim::ending::{id_tail, place};
use crate::sim::violation::{Violation, ensure};

impl Oracle {
    /// The producer asks to stop a request.
    pub(in crate::sim) fn cancelled(&mut self, id: u64) -> Result<(), Violation> {
        let expected = self.untold.cancels.pop_front();
        ensure!(expected == Some(id), "I8", "request {id} is cancelled instead of {expected:?}");
        Ok(())
    }

    /// The producer tells of something.
    pub(in crate::sim) fn told(&mut self, event: &Event) -> Result<(), Violation> {
        ensure!(self.phase != Phase::Closed, "I1", "{event:?} is told after the end");
        match event {
            Event::Closed => {
                let left = self.stats.records_undecided;
                let is_end = self.phase == Phase::Closing && left == 0;
                ensure!(is_end, "I1", "the end comes with {left} records left");
                self.phase = Phase::Closed;
            }
            Event::Setback(setback) => {
                let told = (setback.id.number(), setback.records, setback.class);
                let expected = self.untold.setbacks.pop_front();
                ensure!(expected == Some(told), "I17", "{told:?} is told instead of {expected:?}");
            }
            Event::Settled(report) => self.settled(report)?,
            Event::SizeBoundLowered { request_bytes_max } => {
                let (told, expected) = (*request_bytes_max, self.untold.bounds.pop_front());
                ensure!(
                    expected == Some(told),
                    "I5",
                    "the bound is {told} instead of {expected:?}"
                );
            }
            Event::Throttled(throttling) => {
                let is_sound = throttling.refused <= throttling.answered
                    && throttling.until.as_micros() == self.now;
                ensure!(is_sound, "I17", "{throttling:?} is told");
            }
            other => ensure!(false, "I17", "nobody knows what {other:?} means"),
        }
        Ok(())
    }

    fn settled(&mut self, report: &Report) -> Result<(), Violation> {
        ensure!(!report.is_empty(), "I1", "a report without a record");
        for settled in report.iter() {
            self.settled_record(&settled)?;
        }
        Ok(())
    }

    fn settled_record(&mut self, settled: &Settled<'_>) -> Result<(), Violation> {
        let ticket = place(settled.ticket());
        ensure!(ticket < self.records.len(), "I1", "record {ticket} was never pushed");
        let record = &mut self.records[ticket];
        let was = core::mem::replace(&mut record.place, Place::Decided);
        let Place::Owed(fate) = was else {
            ensure!(false, "I1", "record {ticket} has {settled:?} though {was:?}");
            return Ok(());
        };
        let (told, attempts) = (settled.attempts(), record.attempts);
        ensure!(told == attempts, "I7", "record {ticket} was sent {attempts} times, not {told}");
        match settled.outcome() {
            Outcome::Delivered { record_id, may_be_duplicate } => {
                let Fate::Delivered { is_known_id } = fate else {
                    ensure!(false, "I2", "record {ticket} is delivered, not {fate:?}");
                    return Ok(());
                };
                let is_its_own = !is_known_id || id_tail(record_id) == record.id_tail;
                ensure!(is_its_own, "I2", "record {ticket} has the id of another");
                self.delivered(ticket, may_be_duplicate)?;
            }
            Outcome::Failed { why, may_be_delivered } => {
                self.failed(ticket, fate, why, may_be_delivered)?;
                self.check_data(ticket, settled)?;
            }
        }
        self.untold.outcomes -= 1;
        self.stats.records_undecided -= 1;
        self.stats.bytes_held -= held(self.records[ticket].bytes);
        Ok(())
    }

    fn delivered(&mut self, ticket: usize, may_be_duplicate: bool) -> Result<(), Violation> {
        let record = &self.records[ticket];
        let (doubt, stored) = (record.may_be_stored, record.stored);
        ensure!(may_be_duplicate == doubt, "I4", "record {ticket}: doubt is {may_be_duplicate}");
        let is_true = stored == 1 || (stored > 1 && may_be_duplicate);
        ensure!(is_true, "I2", "record {ticket} is delivered and stored {stored} times");
        self.stats.records_delivered += 1;
        self.stats.records_maybe_doubled += u64::from(may_be_duplicate);
        self.figures.digest = mix(self.figures.digest ^ ticket as u64);
        Ok(())
    }

    fn failed(
        &mut self,
        ticket: usize,
        fate: Fate,
        why: Why<'_>,
        may_be_delivered: bool,
    ) -> Result<(), Violation> {
        let record = &self.records[ticket];
        let (is_right, count) = match why {
            Why::Abandoned { .. } => (fate == Fate::Abandoned, &mut self.stats.records_abandoned),
            Why::Exhausted { .. } => (fate == Fate::Exhausted, &mut self.stats.records_exhausted),
            Why::Expired { .. } => (fate == Fate::Expired, &mut self.stats.records_expired),
            Why::Rejected { .. } => (fate == Fate::Rejected, &mut self.stats.records_rejected),
            _ => (false, &mut self.stats.records_rejected),
        };
        ensure!(is_right, "I1", "record {ticket} is {why:?}, not {fate:?}");
        *count += 1;
        let (told, last) = (why.last().map(|cause| cause.class), record.last);
        ensure!(told == last, "I17", "record {ticket} ended with {told:?}, not {last:?}");
        let (doubt, stored) = (record.may_be_stored, record.stored);
        ensure!(may_be_delivered == doubt, "I4", "record {ticket}: doubt is {may_be_delivered}");
        let is_true = stored == 0 || may_be_delivered;
        ensure!(is_true, "I4", "record {ticket} is {why:?} for sure and stored {stored} times");
        self.stats.records_maybe_delivered += u64::from(may_be_delivered);
        self.figures.digest = mix(self.figures.digest ^ !(ticket as u64));
        Ok(())
    }

    /// What is given back of an undelivered record is the record.
    fn check_data(&mut self, ticket: usize, settled: &Settled<'_>) -> Result<(), Violation> {
        let given = settled.encoded();
        ensure!(given.is_some(), "I18", "record {ticket} is not given back");
        let data = given.map(|given| given.base64()).unwrap_or_default();
        self.base64.clear();
        self.base64.resize(self.payload.bytes_max() + 3, 0);
        let decoded = data.len() <= self.payload.bytes_max().div_ceil(3) * 4
            && STANDARD
                .decode(data, base64_simd::Out::from_slice(&mut self.base64))
                .is_ok_and(|data| self.payload.ticket_of(data) == Some(ticket as u64));
        ensure!(decoded, "I18", "what is given back is not record {ticket}");
        Ok(())
    }

    /// The producer has nothing more to say and waits. `is_thorough` asks for the costly checks.
    pub(in crate::sim) fn rests(
        &mut self,
        until: Option<u64>,
        producer: &Producer,
        is_thorough: bool,
    ) -> Result<(), Violation> {
        ensure!(self.untold == Untold::default(), "I1", "it keeps back {:?}", self.untold);
        self.stats.requests_in_flight = self.requests.len() as u64;
        self.check_stats(producer.stats())?;
        let is_over = self.phase == Phase::Closing && self.stats.records_undecided == 0;
        let is_closed = self.phase == Phase::Closed;
        ensure!(!is_over && producer.is_closed() == is_closed, "I1", "it does not tell of its end");
        self.check_wait(until)?;
        while self.records.get(self.oldest).is_some_and(|r| r.place == Place::Decided) {
            self.oldest += 1;
        }
        if is_thorough {
            let oldest = (self.oldest < self.records.len()).then_some(self.oldest);
            let told = producer.oldest_undecided().map(place);
            ensure!(told == oldest, "I1", "the oldest is {told:?} instead of {oldest:?}");
        }
        Ok(())
    }

    fn check_stats(&self, told: Stats) -> Result<(), Violation> {
        ensure!(told == self.stats, "I17", "it counts {told:?}, not {:?}", self.stats);
        let held_max = self.rules.buffer_bytes_max;
        let is_within = told.bytes_held <= held_max || told.records_undecided == 1;
        ensure!(is_within, "I9", "{} bytes are held, more than {held_max}", told.bytes_held);
        let is_empty = (told.bytes_held == 0) == (told.records_undecided == 0);
        ensure!(is_empty, "I9", "{} bytes are held without a record", told.bytes_held);
        Ok(())
    }

    /// It neither sleeps longer than anything allows, nor not at all.
    fn check_wait(&self, until: Option<u64>) -> Result<(), Violation> {
        let latest = self.latest_wait();
        let at = until.unwrap_or(u64::MAX);
        ensure!(at <= latest, "I16", "it sleeps until {until:?}, not {latest}");
        let is_ahead = at > self.now || self.overdue().is_some();
        ensure!(is_ahead, "I8", "it wants to be woken in the past, at {until:?}");
        Ok(())
    }

    fn latest_wait(&self) -> u64 {
        let cancel = self.requests.values().map(|request| request.cancel_at).min();
        let again = self.again.first_key_value().map(|(due, _)| *due);
        let fresh = self.fresh_ready_at();
        let send = again.into_iter().chain(fresh).min().map(|at| at.max(self.pace.paused_until));
        let send = send.filter(|_| self.requests.len() < self.pace.window());
        let expiry = self.rules.ttl.and_then(|_| {
            let waits = |ticket: &usize| self.records[*ticket].place == Place::Waiting;
            (self.expiring.max(self.oldest)..self.records.len()).find(waits)
        });
        let expiry = expiry.map(|ticket| self.records[ticket].expires_at);
        cancel.into_iter().chain(send).chain(expiry).min().unwrap_or(u64::MAX)
    }

    /// Returns when new records go at the latest.
    fn fresh_ready_at(&self) -> Option<u64> {
        let oldest = self.records.get(self.fresh)?;
        let is_full = self.records.len() - self.fresh >= self.bounds.records_max
            || self.fresh_bytes >= self.bounds.bytes_max;
        if is_full || self.fresh < self.flushed {
            return Some(oldest.pushed_at);
        }
        Some(oldest.pushed_at.saturating_add(self.rules.linger))
    }
}
