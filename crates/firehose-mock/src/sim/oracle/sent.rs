//! What a producer sends, and what the service makes of it.

use firehose_proto::producer::Transmit;

use super::{CANCEL_GRACE_MICROS, Oracle, Phase, Place, Request, tap};
use crate::random::mix;
use crate::sim::violation::{Violation, ensure};

impl Oracle {
    /// The producer hands a request out.
    pub(in crate::sim) fn sent(&mut self, transmit: &Transmit) -> Result<(), Violation> {
        let id = transmit.id.number();
        ensure!(id == self.next_request, "I1", "request {id} follows on {}", self.next_request);
        self.next_request += 1;
        ensure!(self.phase != Phase::Closed, "I1", "request {id} is sent after the end");
        let deadline = transmit.deadline.as_micros();
        let deadline_expected = self.now.saturating_add(self.rules.timeout);
        ensure!(deadline == deadline_expected, "I8", "request {id} has until {deadline}");
        let window = self.pace.window();
        ensure!(self.requests.len() < window, "I8", "request {id} is one more than {window}");
        let pause = self.pace.paused_until;
        ensure!(pause <= self.now, "I8", "request {id} is sent in a pause until {pause}");

        let mut tickets = self.spare.pop().unwrap_or_default();
        tickets.clear();
        let bytes_of = |ticket: usize| self.records.get(ticket).map(|record| record.bytes);
        let stream = self.rules.stream.as_str();
        let data_bytes = tap::tickets(&transmit.body, stream, bytes_of, &mut tickets)?;
        let request = Request {
            tickets,
            data_bytes,
            cancel_at: deadline.saturating_add(CANCEL_GRACE_MICROS),
        };
        self.check_limits(transmit, &request)?;
        let attempts = self.take_records(&request.tickets)?;
        ensure!(attempts == transmit.attempt, "I7", "request {id} says {}", transmit.attempt);
        self.check_filled(id, &request)?;

        let stats = &mut self.stats;
        stats.requests += 1;
        stats.body_bytes += transmit.body.len() as u64;
        stats.attempts += request.tickets.len() as u64;
        let shape =
            request.tickets.iter().fold(id, |sum, ticket| sum.wrapping_mul(31) ^ *ticket as u64);
        self.figures.digest = mix(self.figures.digest ^ shape.wrapping_add(self.now));
        self.requests.insert(id, request);
        Ok(())
    }

    fn check_limits(&self, transmit: &Transmit, request: &Request) -> Result<(), Violation> {
        let (id, records) = (transmit.id.number(), request.tickets.len());
        ensure!(transmit.records == records, "I5", "request {id} has {records} records");
        let records_max = self.bounds.records_max;
        ensure!(
            (1..=records_max).contains(&records),
            "I5",
            "request {id} has {records} records, more than {records_max}"
        );
        let (bytes, bytes_max) = (request.data_bytes, self.bounds.bytes_max);
        ensure!(
            bytes <= bytes_max || records == 1,
            "I5",
            "request {id} has {bytes} bytes, more than {bytes_max}"
        );
        Ok(())
    }

    /// Takes the records of a request out of those that wait, and returns the highest attempt.
    fn take_records(&mut self, tickets: &[usize]) -> Result<u8, Violation> {
        let first_due = self.again.first_key_value().map(|(due, _)| *due);
        let (mut highest, mut last_due, mut alike) = (0, None, 0);
        let fresh_before = self.fresh;
        for ticket in tickets {
            let record = &mut self.records[*ticket];
            let place = record.place;
            ensure!(place == Place::Waiting, "I3", "record {ticket} is sent though {place:?}");
            ensure!(record.expires_at > self.now, "I8", "record {ticket} is sent too late");
            let attempts_max = self.rules.attempts_max;
            ensure!(record.attempts < attempts_max, "I7", "record {ticket} is sent once too often");
            record.attempts += 1;
            record.place = Place::Sent;
            highest = highest.max(record.attempts);
            if *ticket >= fresh_before {
                ensure!(*ticket == self.fresh, "I6", "record {ticket} before {}", self.fresh);
                self.fresh += 1;
                self.fresh_bytes -= record.bytes;
                continue;
            }
            let due = record.due;
            ensure!(self.fresh == fresh_before, "I6", "record {ticket} goes again behind new ones");
            ensure!(due <= self.now, "I8", "record {ticket} goes again before {due}");
            if last_due != Some(due) {
                let before = last_due.or(first_due).unwrap_or(due);
                ensure!(
                    before <= due && (last_due.is_some() || before == due),
                    "I6",
                    "record {ticket}, due at {due}, does not go again in its turn, {before}"
                );
                if let Some(before) = last_due {
                    self.take_again(before, alike);
                }
                (last_due, alike) = (Some(due), 0);
            }
            alike += 1;
        }
        if let Some(due) = last_due {
            self.take_again(due, alike);
        }
        if last_due.is_none() {
            let is_turn = first_due.is_none_or(|due| due > self.now);
            ensure!(is_turn, "I6", "record {} goes before what is due again", tickets[0]);
            self.check_ready(tickets[0])?;
        }
        Ok(highest)
    }

    /// A request that begins with a new record has a reason to go.
    fn check_ready(&self, ticket: usize) -> Result<(), Violation> {
        // A load that was full does not begin to wait again when its records expire.
        let is_loose = self.rules.ttl.is_some() || self.bounds.is_lowered;
        let since = self.records[ticket].pushed_at;
        let has_waited = since.saturating_add(self.rules.linger) <= self.now;
        let is_ready = ticket < self.flushed || has_waited || self.fresh_fill(ticket);
        ensure!(is_ready || is_loose, "I8", "record {ticket} does not wait for others");
        Ok(())
    }

    /// Says whether what was new before `ticket` was sent fills a request.
    fn fresh_fill(&self, ticket: usize) -> bool {
        let records = self.records.len() - ticket;
        let sent: usize = self.records[ticket..self.fresh].iter().map(|r| r.bytes).sum();
        let next = self.records.get(self.fresh).map_or(0, |record| record.bytes);
        records >= self.bounds.records_max
            || sent + self.fresh_bytes >= self.bounds.bytes_max
            || (self.fresh < self.records.len() && sent + next > self.bounds.bytes_max)
    }

    /// A request has room for none of the records that wait and may go.
    fn check_filled(&self, id: u64, request: &Request) -> Result<(), Violation> {
        let waits_again = self.again.first_key_value().is_some_and(|(due, _)| *due <= self.now);
        let next_bytes = if waits_again {
            self.payload.bytes_max()
        } else if self.fresh < self.records.len() {
            self.records[self.fresh].bytes
        } else {
            return Ok(());
        };
        let has_room = request.tickets.len() < self.bounds.records_max
            && request.data_bytes + next_bytes <= self.bounds.bytes_max;
        ensure!(!has_room, "I8", "request {id} has room for a record that waits");
        Ok(())
    }

    /// Returns the records of a request under way.
    pub(in crate::sim) fn tickets(&self, id: u64) -> &[usize] {
        self.requests.get(&id).map(|request| request.tickets.as_slice()).unwrap_or_default()
    }

    /// The service stored a record.
    pub(in crate::sim) fn stored(&mut self, ticket: usize, id_tail: u64) -> Result<(), Violation> {
        let record = self.records.get_mut(ticket);
        ensure!(record.is_some(), "I18", "record {ticket} is stored and was never pushed");
        let Some(record) = record else { return Ok(()) };
        let place = record.place;
        ensure!(place == Place::Sent, "I18", "record {ticket} is stored though {place:?}");
        record.stored = record.stored.saturating_add(1);
        record.id_tail = id_tail;
        self.figures.stored += 1;
        self.figures.doubled += u64::from(record.stored == 2);
        Ok(())
    }
}
