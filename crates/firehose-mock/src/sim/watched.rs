//! A producer and the oracle that watches it, in step.

use core::fmt;
use std::collections::VecDeque;
use std::sync::Arc;

use firehose_proto::producer::{Config, Output, Producer, PushError, Stats, Transmit};
use firehose_proto::{Instant, RequestId};

use super::ending::{Ending, News};
use super::oracle::{Oracle, Seen};
use super::payload::{HEAD_BYTES, Payload};
use super::violation::{Violation, ensure};

/// How many steps lie between two of the checks that cost most.
const THOROUGH_EVERY: u64 = 512;

/// A producer under watch: each input goes to it and to an oracle, and all that comes out of it is
/// held against what the oracle knows.
///
/// ```
/// use firehose_mock::sim::{Ending, Said, Watched};
/// use firehose_proto::producer::Config;
///
/// let mut watched = Watched::new(Config::new("demo".parse()?), 7, 16);
/// assert!(watched.push()?);
/// watched.close()?;
/// let sent = watched.take_sent().expect("a request");
/// watched.store(sent.id, 0, "0-0")?;
/// watched.end(sent.id, Ending::each(0, vec![Said::Stored]))?;
/// assert_eq!((watched.undecided(), watched.stats().records_delivered), (0, 1));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Watched {
    producer: Producer,
    oracle: Oracle,
    payload: Arc<Payload>,
    now: u64,
    until: Option<u64>,
    sent: VecDeque<Transmit>,
    steps: u64,
}

impl Watched {
    /// Makes a producer with these settings at the time 0, whose records have `record_bytes` bytes,
    /// at least 8.
    pub fn new(config: Config, seed: u64, record_bytes: usize) -> Self {
        Self::with_payload(config, seed, Arc::new(Payload::new(seed, record_bytes, record_bytes)))
    }

    pub(super) fn with_payload(config: Config, seed: u64, payload: Arc<Payload>) -> Self {
        let oracle = Oracle::new(0, &config, seed, Arc::clone(&payload));
        let producer = Producer::new(Instant::default(), config, seed);
        Self { producer, oracle, payload, now: 0, until: None, sent: VecDeque::new(), steps: 0 }
    }

    /// Lets the next inputs come at this time, in microseconds; time does not run backward.
    pub fn pass(&mut self, micros: u64) {
        self.now = self.now.max(micros);
    }

    /// Pushes the next record, and says whether it was taken: it is not if there is no room.
    ///
    /// # Errors
    ///
    /// [`Violation`] if the producer does something that it must not do.
    pub fn push(&mut self) -> Result<bool, Violation> {
        let is_taken = self.push_quietly()?;
        if is_taken {
            self.rest()?;
        }
        Ok(is_taken)
    }

    /// As [`push`](Self::push), but without a look at the producer if it has nothing to say.
    pub(super) fn push_quietly(&mut self) -> Result<bool, Violation> {
        let ticket = self.oracle.pushed_count() as u64;
        let head: [u8; HEAD_BYTES] = ticket.to_be_bytes();
        let filler = self.payload.filler(ticket);
        let bytes = HEAD_BYTES + filler.len();
        let is_room = self.oracle.has_room(bytes);
        let pushed = self.producer.push_parts(Instant::from_micros(self.now), &[&head, filler]);
        match pushed {
            Ok(given) => {
                ensure!(is_room, "I9", "record {ticket} is taken though there is no room");
                ensure!(given.number() == ticket, "I1", "record {ticket} is called {given:?}");
                self.oracle.pushed(self.now, bytes);
            }
            Err(PushError::Closed | PushError::Full { .. }) if !is_room => return Ok(false),
            Err(error) => ensure!(false, "I9", "record {ticket} is not taken: {error}"),
        }
        if self.producer.has_output() {
            self.rest()?;
        }
        Ok(true)
    }

    /// Lets everything go without waiting for more.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn flush(&mut self) -> Result<(), Violation> {
        self.producer.flush(Instant::from_micros(self.now));
        self.oracle.flushed(self.now);
        self.rest()
    }

    /// Takes no more records.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn close(&mut self) -> Result<(), Violation> {
        self.producer.close(Instant::from_micros(self.now));
        self.oracle.closed(self.now);
        self.rest()
    }

    /// Gives everything up.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn abandon(&mut self) -> Result<(), Violation> {
        self.producer.abandon(Instant::from_micros(self.now));
        self.oracle.abandoned(self.now);
        self.rest()
    }

    /// Wakes the producer, whether it wants that or not.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn wake(&mut self) -> Result<(), Violation> {
        self.producer.handle_timeout(Instant::from_micros(self.now));
        self.oracle.woken(self.now);
        self.rest()
    }

    /// Notes the truth: the service stored the record at an index of a request under way.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn store(&mut self, id: RequestId, index: usize, record: &str) -> Result<(), Violation> {
        let ticket = self.oracle.tickets(id.number()).get(index).copied();
        ensure!(ticket.is_some(), "I18", "request {id:?} has no record {index}");
        self.oracle.stored(ticket.unwrap_or_default(), super::ending::id_tail(record))
    }

    pub(super) fn stored(&mut self, ticket: usize, id_tail: u64) -> Result<(), Violation> {
        self.oracle.stored(ticket, id_tail)
    }

    /// Ends a request, which may have ended before.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn end(&mut self, id: RequestId, ending: Ending) -> Result<(), Violation> {
        let is_under_way = self.oracle.is_under_way(id.number());
        let now = Instant::from_micros(self.now);
        let taken = match ending.news {
            News::Failure(failure) => self.producer.handle_failure(now, id, failure),
            News::Response(response) => self.producer.handle_response(now, id, response),
        };
        ensure!(
            taken.is_ok() == is_under_way,
            "I1",
            "the end of {id:?} is {taken:?}; under way: {is_under_way}"
        );
        if is_under_way {
            self.oracle.ended(self.now, id.number(), &ending.meaning, ending.asked);
        }
        self.rest()
    }

    /// Takes the next request that was handed out.
    pub fn take_sent(&mut self) -> Option<Transmit> {
        self.sent.pop_front()
    }

    /// Returns the time at which the producer wants to be woken, in microseconds.
    pub fn until(&self) -> Option<u64> {
        self.until
    }

    /// Returns the number of records that have no outcome yet.
    pub fn undecided(&self) -> u64 {
        self.oracle.undecided()
    }

    /// Returns what the producer counted, which the oracle found right.
    pub fn stats(&self) -> Stats {
        self.producer.stats()
    }

    /// Returns whether the producer told of its end.
    pub fn is_closed(&self) -> bool {
        self.producer.is_closed()
    }

    pub(super) fn is_under_way(&self, id: RequestId) -> bool {
        self.oracle.is_under_way(id.number())
    }

    pub(super) fn now(&self) -> u64 {
        self.now
    }

    pub(super) fn seen(&self) -> Seen {
        self.oracle.seen()
    }

    pub(super) fn pushed_count(&self) -> usize {
        self.oracle.pushed_count()
    }

    /// Takes all output, and checks what must hold then.
    pub(super) fn rest(&mut self) -> Result<(), Violation> {
        loop {
            match self.producer.poll_output() {
                Output::Cancel(id) => self.oracle.cancelled(id.number())?,
                Output::Event(event) => self.oracle.told(&event)?,
                Output::Transmit(transmit) => {
                    self.oracle.sent(&transmit)?;
                    self.sent.push_back(transmit);
                }
                Output::Wait(until) => {
                    self.until = until.map(Instant::as_micros);
                    break;
                }
            }
        }
        self.steps += 1;
        let is_thorough = self.steps.is_multiple_of(THOROUGH_EVERY);
        self.oracle.rests(self.until, &self.producer, is_thorough)
    }
}

impl fmt::Debug for Watched {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Watched")
            .field("now", &self.now)
            .field("producer", &self.producer)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::super::ending::{Said, record_id};
    use super::*;

    /// One request with two records.
    fn two() -> (Watched, RequestId) {
        let mut watched = Watched::new(Config::new("demo".parse().unwrap()), 7, 16);
        assert!(watched.push().unwrap() && watched.push().unwrap());
        watched.close().unwrap();
        let id = watched.take_sent().unwrap().id;
        (watched, id)
    }

    fn check(stored: &[(usize, usize)], said: [Said; 2], rule: Option<&'static str>) {
        let (mut watched, id) = two();
        let stores = stored
            .iter()
            .try_for_each(|(index, named)| watched.store(id, *index, &record_id(0, *named)));
        let ended = stores.and_then(|()| watched.end(id, Ending::each(0, said.to_vec())));
        assert_eq!(ended.err().map(|violation| violation.rule()), rule, "{stored:?} {said:?}");
    }

    #[test]
    fn what_is_told_is_held_against_the_truth() {
        let (stored, odd) = (Said::Stored, Said::Odd);
        check(&[(0, 0), (1, 1)], [stored, stored], None);
        check(&[(0, 0)], [stored, odd], None);
        check(&[(0, 0)], [stored, stored], Some("I2"));
        check(&[(0, 1), (1, 0)], [stored, stored], Some("I2"));
        check(&[(0, 0), (0, 0)], [stored, odd], Some("I2"));
        check(&[(2, 2)], [odd, odd], Some("I18"));
    }

    #[test]
    fn a_request_ends_once() {
        let (mut watched, id) = two();
        watched.end(id, Ending::failed(firehose_proto::Failure::NotSent)).unwrap();
        watched.end(id, Ending::each(0, vec![Said::Stored; 2])).unwrap();
        assert_eq!(watched.undecided(), 2);
        assert_eq!(watched.store(id, 0, "late").unwrap_err().rule(), "I18");
    }
}
