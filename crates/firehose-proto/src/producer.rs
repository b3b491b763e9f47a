//! Layer 4: the producer, a state machine over all of it.
//!
//! Records go in by [`push`](Producer::push); requests, events and deadlines come out by
//! [`poll_output`](Producer::poll_output); answers go in by `handle_*`. Every record that was
//! accepted ends in exactly one outcome, and the outcome says *maybe* where the truth is *maybe*.
//!
//! ```text
//! record    waiting ─▶ in a request ─▶ delivered
//!              ▲             │
//!              └── again ◀───┴───────▶ rejected, exhausted, expired, abandoned
//!
//! request   transmitted ─▶ answered, failed, or cancelled at its deadline
//! ```
//!
//! The way in is here; what an answer does to its records is in `settle`, the order in which records
//! wait in `backlog`, and how much may be under way in `window`.

mod backlog;
mod config;
mod error;
mod in_flight;
mod load;
mod output;
mod report;
mod settle;
mod stats;
mod throttling;
mod window;

use std::collections::VecDeque;

use core::fmt;
use core::time::Duration;

pub use config::Config;
pub use error::{PushError, UnknownRequest};
pub use output::{Event, Output, Setback, SetbackCause, Transmit};
pub use report::{Cause, Outcome, Report, Settled, Why};
pub use stats::Stats;
pub use throttling::Throttling;

use crate::batch::Parts;
use crate::ids::{RequestId, Ticket};
use crate::retry::{Failure, Jitter};
use crate::time::Instant;
use crate::wire::{Response, Scratch};

use backlog::Backlog;
use in_flight::InFlight;
use load::{Load, Pending, held_bytes};
use throttling::ThrottleWatch;
use window::Window;

/// How long after a request's deadline the adapter may still say how far it got.
const CANCEL_GRACE: Duration = Duration::from_secs(1);

/// A producer of one stream: takes records, plans requests, judges answers.
///
/// It does no IO and reads no clock. Whoever drives it calls `poll_output` until that says
/// [`Output::Wait`], does what it was told, and calls again after every input. Not calling between
/// two inputs costs latency, never correctness; calls too early or too often are harmless. Time never
/// runs backward inside: an instant before the last one counts as the last one.
///
/// ```
/// use firehose_proto::producer::{Config, Event, Outcome, Output, Producer};
/// use firehose_proto::wire::Response;
/// use firehose_proto::Instant;
///
/// let now = Instant::from_micros(0);
/// let mut producer = Producer::new(now, Config::new("demo".parse()?), 7);
/// let ticket = producer.push(now, b"hello\n")?;
/// producer.close(now);
///
/// let Output::Transmit(transmit) = producer.poll_output() else { panic!() };
/// assert!(transmit.body.ends_with(br#""Records":[{"Data":"aGVsbG8K"}]}"#));
///
/// // Somebody sends it, and the answer comes back.
/// let body = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"id-0"}]}"#;
/// producer.handle_response(now, transmit.id, Response::new(200, body.to_vec()))?;
///
/// let Output::Event(Event::Settled(report)) = producer.poll_output() else { panic!() };
/// let settled = report.iter().next().expect("one record");
/// let delivered = Outcome::Delivered { record_id: "id-0", may_be_duplicate: false };
/// assert_eq!((settled.ticket(), settled.outcome()), (ticket, delivered));
/// assert!(matches!(producer.poll_output(), Output::Event(Event::Closed)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Producer {
    config: Config,
    now: Instant,
    phase: Phase,
    backlog: Backlog,
    in_flight: InFlight,
    window: Window,
    throttle: ThrottleWatch,
    jitter: Jitter,
    scratch: Scratch,
    next_ticket: Ticket,
    next_request: RequestId,
    cancels: VecDeque<RequestId>,
    events: VecDeque<Event>,
    transmits: VecDeque<Transmit>,
    stats: Stats,
    /// When something is to be done next: as of the last time that all was done that could be.
    deadline: Option<(Instant, Deadline)>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    /// Takes records.
    Open,
    /// Takes none, and sends what it has.
    Closing,
    /// Takes none, and sends none.
    Stopping,
    /// Has decided all.
    Closed,
}

impl Producer {
    /// Makes a producer. `seed` decides the random part of its waits.
    pub fn new(now: Instant, config: Config, seed: u64) -> Self {
        Self {
            now,
            phase: Phase::Open,
            backlog: Backlog::new(config.stream().clone(), config.limits(), config.linger()),
            in_flight: InFlight::default(),
            window: Window::new(config.in_flight_max()),
            throttle: ThrottleWatch::new(config.throttle_notice()),
            jitter: Jitter::new(seed),
            scratch: Scratch::new(),
            next_ticket: Ticket::from_number(0),
            next_request: RequestId::from_number(0),
            cancels: VecDeque::new(),
            events: VecDeque::new(),
            transmits: VecDeque::new(),
            stats: Stats::default(),
            deadline: None,
            config,
        }
    }

    /// Takes a record: it is encoded before this returns, and has exactly one outcome from then on.
    ///
    /// # Errors
    ///
    /// [`PushError`] if the record is too large, if no more can be held now, or after
    /// [`close`](Self::close). The record is then as if it had never been pushed.
    pub fn push(&mut self, now: Instant, record: &[u8]) -> Result<Ticket, PushError> {
        self.push_parts(now, &[record])
    }

    /// Takes a record given in parts that together are its data, a line and its delimiter say (R13).
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub fn push_parts(&mut self, now: Instant, parts: &[&[u8]]) -> Result<Ticket, PushError> {
        self.now = self.now.max(now);
        let data = Parts::new(parts);
        let held = self.check_push(data.bytes())?;
        let ticket = self.next_ticket;
        self.next_ticket = ticket.next();
        let record = Pending {
            ticket,
            pushed_at: self.now,
            expires_at: self.config.record_ttl().map_or(Instant::FAR_FUTURE, |ttl| self.now + ttl),
            attempts: 0,
            may_be_stored: false,
            renewed: false,
            last: None,
        };
        let may_be_due = self.backlog.push(record, data);
        self.stats.records_accepted += 1;
        self.stats.bytes_accepted += data.bytes() as u64;
        self.stats.records_undecided += 1;
        self.stats.bytes_held += held;
        if may_be_due || self.deadline.is_some_and(|(at, _)| at <= self.now) {
            self.advance();
        }
        Ok(ticket)
    }

    /// Returns the bytes that a record of this size will be held for.
    fn check_push(&self, data_bytes: usize) -> Result<u64, PushError> {
        if self.phase != Phase::Open {
            return Err(PushError::Closed);
        }
        let bytes_max = self.config.limits().record_bytes_max();
        if data_bytes > bytes_max {
            return Err(PushError::RecordTooLarge { bytes: data_bytes, bytes_max });
        }
        let held = held_bytes(data_bytes) as u64;
        let bytes_max = self.config.buffer_bytes_max() as u64;
        if self.stats.records_undecided > 0 && self.stats.bytes_held + held > bytes_max {
            return Err(PushError::Full { bytes_held: self.stats.bytes_held, bytes_max });
        }
        Ok(held)
    }

    /// Lets everything that was pushed so far go without waiting for more.
    pub fn flush(&mut self, now: Instant) {
        self.now = self.now.max(now);
        self.backlog.flush(self.next_ticket);
        self.advance();
    }

    /// Takes no more records and lets what is there go; ends with [`Event::Closed`] once every
    /// record has its outcome.
    pub fn close(&mut self, now: Instant) {
        if self.phase == Phase::Open {
            self.phase = Phase::Closing;
        }
        self.flush(now);
    }

    /// Closes without another attempt: gives up what waits, and lets what is under way come to its
    /// end.
    pub fn stop(&mut self, now: Instant) {
        self.now = self.now.max(now);
        if self.phase != Phase::Closed {
            self.phase = Phase::Stopping;
        }
        self.give_up_waiting();
        self.advance();
    }

    /// Closes at once: gives every undecided record up and cancels what is under way.
    pub fn abandon(&mut self, now: Instant) {
        self.give_up_under_way();
        self.stop(now);
    }

    /// Takes the answer to a request.
    ///
    /// # Errors
    ///
    /// [`UnknownRequest`] if nobody waits for it: it was answered, failed or cancelled before.
    pub fn handle_response(
        &mut self,
        now: Instant,
        id: RequestId,
        response: Response,
    ) -> Result<(), UnknownRequest> {
        self.now = self.now.max(now);
        let Some(load) = self.in_flight.remove(id) else {
            return if canary!("late_answer_taken") { Ok(()) } else { Err(UnknownRequest { id }) };
        };
        self.settle_response(id, load, response);
        self.advance();
        Ok(())
    }

    /// Takes the news that a request ended without an answer.
    ///
    /// # Errors
    ///
    /// As [`handle_response`](Self::handle_response).
    pub fn handle_failure(
        &mut self,
        now: Instant,
        id: RequestId,
        failure: Failure,
    ) -> Result<(), UnknownRequest> {
        self.now = self.now.max(now);
        let load = self.in_flight.remove(id).ok_or(UnknownRequest { id })?;
        self.settle_failure(id, load, failure);
        self.advance();
        Ok(())
    }

    /// Lets time pass.
    pub fn handle_timeout(&mut self, now: Instant) {
        self.now = self.now.max(now);
        while let Some((id, load)) = self.in_flight.remove_overdue(self.now) {
            let failure = self.cancel(id);
            self.settle_failure(id, load, failure);
        }
        self.advance();
    }

    /// Takes a request back that is still waiting to be handed out, or asks to stop it.
    fn cancel(&mut self, id: RequestId) -> Failure {
        if let Some(at) = self.transmits.iter().position(|transmit| transmit.id == id) {
            self.transmits.remove(at);
            return Failure::NotSent;
        }
        self.cancels.push_back(id);
        Failure::OutcomeUnknown
    }

    /// Returns what to do next.
    pub fn poll_output(&mut self) -> Output {
        if let Some(id) = self.cancels.pop_front() {
            return Output::Cancel(id);
        }
        if let Some(event) = self.events.pop_front() {
            return Output::Event(event);
        }
        if let Some(transmit) = self.transmits.pop_front() {
            return Output::Transmit(transmit);
        }
        Output::Wait(self.deadline().map(|(at, _)| at))
    }

    /// Returns when the producer wants [`handle_timeout`](Self::handle_timeout) called, and why.
    pub fn deadline(&self) -> Option<(Instant, Deadline)> {
        self.deadline
    }

    /// Returns whether [`poll_output`](Self::poll_output) would give anything but
    /// [`Output::Wait`].
    pub fn has_output(&self) -> bool {
        !(self.cancels.is_empty() && self.events.is_empty() && self.transmits.is_empty())
    }

    /// Returns the oldest record that has no outcome yet: all before it are settled.
    pub fn oldest_undecided(&self) -> Option<Ticket> {
        self.backlog.tickets().chain(self.in_flight.tickets()).min()
    }

    /// Returns what was counted so far.
    pub fn stats(&self) -> Stats {
        Stats { requests_in_flight: self.in_flight.len() as u64, ..self.stats }
    }

    /// Returns how many full requests could be made of the records that were never sent.
    ///
    /// To hold more than a few gains nothing: who reads from a file stops here while there are.
    pub fn full_requests_waiting(&self) -> usize {
        self.backlog.full_requests()
    }

    /// Returns the settings.
    pub fn config(&self) -> &Config {
        &self.config
    }

    /// Returns whether the producer takes records: it was not told to close.
    pub fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    /// Returns whether the producer was closed and every record has its outcome.
    pub fn is_closed(&self) -> bool {
        self.phase == Phase::Closed
    }

    /// Does everything that can be done at this instant.
    fn advance(&mut self) {
        self.expire();
        while self.in_flight.len() < self.window.requests()
            && self.window.paused_until() <= self.now
            && let Some(load) = self.backlog.next(self.now)
        {
            self.transmit(load);
        }
        if matches!(self.phase, Phase::Closing | Phase::Stopping)
            && self.stats.records_undecided == 0
        {
            self.phase = Phase::Closed;
            self.events.push_back(Event::Closed);
        }
        self.deadline = self.next_deadline();
    }

    fn next_deadline(&self) -> Option<(Instant, Deadline)> {
        let request = self.in_flight.cancel_first_at();
        let send = (self.in_flight.len() < self.window.requests())
            .then(|| self.backlog.ready_at())
            .flatten()
            .map(|at| at.max(self.window.paused_until()));
        let expiry = Some(self.backlog.expires_first()).filter(|at| *at < Instant::FAR_FUTURE);
        let deadlines =
            [(request, Deadline::Request), (send, Deadline::Send), (expiry, Deadline::Expiry)];
        deadlines.into_iter().filter_map(|(at, why)| Some((at?, why))).min_by_key(|(at, _)| *at)
    }

    fn transmit(&mut self, load: Load) {
        let Some(mut load) = load.seal() else { return };
        let id = self.next_request;
        self.next_request = id.next();
        let attempt = load.count_attempt();
        let body = load.batch().body().clone();
        let records = load.batch().len();
        self.stats.requests += 1;
        self.stats.body_bytes += body.len() as u64;
        self.stats.attempts += records as u64;
        let deadline = self.now + self.config.request_timeout();
        self.transmits.push_back(Transmit { id, body, records, attempt, deadline });
        self.in_flight.push(id, load, deadline + CANCEL_GRACE);
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Producer")
            .field("stream", self.config.stream())
            .field("phase", &self.phase)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

/// Why a producer wants to be woken.
///
/// ```
/// use firehose_proto::producer::{Config, Deadline, Producer};
/// use firehose_proto::Instant;
///
/// let now = Instant::from_micros(0);
/// let mut producer = Producer::new(now, Config::new("demo".parse()?), 7);
/// producer.push(now, b"waits for others, 100 ms at most")?;
/// assert_eq!(producer.deadline(), Some((Instant::from_micros(100_000), Deadline::Send)));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Deadline {
    /// A waiting record's time is over.
    Expiry,
    /// A request's time is over.
    Request,
    /// Records may be sent: they have waited for others, or long enough after a failure.
    Send,
}

#[cfg(test)]
mod tests;
