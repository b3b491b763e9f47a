//! What comes out of a producer.

use core::fmt;

use bytes::Bytes;

use super::report::Report;
use super::throttling::Throttling;
use crate::ids::RequestId;
use crate::judge::Distrust;
use crate::retry::{Class, Failure};
use crate::time::Instant;
use crate::wire::fault::Fault;

/// What a producer wants done next.
///
/// ```
/// use firehose_proto::producer::{Output, Producer};
///
/// /// One turn of a driver.
/// fn turn(producer: &mut Producer) -> Option<firehose_proto::Instant> {
///     loop {
///         match producer.poll_output() {
///             Output::Cancel(id) => println!("stop {id:?}"),
///             Output::Event(event) => println!("{event:?}"),
///             Output::Transmit(transmit) => println!("send {} bytes", transmit.body.len()),
///             Output::Wait(until) => return until,
///         }
///     }
/// }
/// ```
#[derive(Debug)]
#[expect(clippy::exhaustive_enums, reason = "an adapter must handle each of them")]
#[must_use]
pub enum Output {
    /// Stop this request: its time is over, its outcome counts as unknown, nobody waits for it.
    Cancel(RequestId),
    /// Something happened that the application may want to know.
    Event(Event),
    /// Send this request.
    Transmit(Transmit),
    /// Nothing now. Call [`handle_timeout`](super::Producer::handle_timeout) at the instant, if
    /// there is one, unless something else comes first.
    Wait(Option<Instant>),
}

/// A request to be sent: a `PutRecordBatch`.
///
/// `Debug` prints the length of the body, not the body.
///
/// ```
/// use firehose_proto::producer::{Config, Output, Producer};
/// use firehose_proto::Instant;
///
/// let now = Instant::from_micros(0);
/// let mut producer = Producer::new(now, Config::new("demo".parse()?), 7);
/// producer.push(now, b"one")?;
/// producer.flush(now);
/// let Output::Transmit(transmit) = producer.poll_output() else { panic!() };
/// assert_eq!((transmit.records, transmit.attempt), (1, 1));
/// assert_eq!(transmit.deadline.as_micros(), 60_000_000);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[must_use]
pub struct Transmit {
    /// The request, by which the answer is handed back.
    pub id: RequestId,
    /// The body. Drop every clone of it before the answer is handed back, so that its memory can
    /// be used again.
    pub body: Bytes,
    /// The number of records in it.
    pub records: usize,
    /// Which attempt this is for the record that was sent most often, counted from 1.
    pub attempt: u8,
    /// By then the adapter has stopped waiting and has said how far the request got.
    pub deadline: Instant,
}

impl fmt::Debug for Transmit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transmit")
            .field("id", &self.id)
            .field("body_bytes", &self.body.len())
            .field("records", &self.records)
            .field("attempt", &self.attempt)
            .field("deadline", &self.deadline)
            .finish()
    }
}

/// Something that happened.
///
/// ```
/// use firehose_proto::producer::{Event, Outcome};
///
/// /// Counts the records of an event that were not delivered.
/// fn undelivered(event: &Event) -> usize {
///     let Event::Settled(report) = event else { return 0 };
///     report.iter().filter(|s| matches!(s.outcome(), Outcome::Failed { .. })).count()
/// }
/// assert_eq!(undelivered(&Event::Closed), 0);
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// The producer was closed and every record has its outcome. It is the last event.
    Closed,
    /// A request as a whole came to nothing. What it means for its records is told by reports.
    Setback(Setback),
    /// The service refused a request for its size; requests are smaller from now on.
    SizeBoundLowered {
        /// The most data in a request from now on, before base64.
        request_bytes_max: usize,
    },
    /// Records have their outcomes.
    Settled(Report),
    /// Throttling lasts.
    Throttled(Throttling),
}

/// A request that as a whole came to nothing.
///
/// ```
/// use firehose_proto::producer::Event;
///
/// fn tell(event: &Event) {
///     if let Event::Setback(setback) = event {
///         // "request 7 of 500 records: throttled: 503 ServiceUnavailableException: Slow down."
///         eprintln!("{setback}");
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Setback {
    /// The request.
    pub id: RequestId,
    /// The service's identifier of it, where there was an answer that had one.
    pub request_id: Option<Box<str>>,
    /// The number of records in it.
    pub records: usize,
    /// What it means for each of them.
    pub class: Class,
    /// What came back.
    pub cause: SetbackCause,
}

impl fmt::Display for Setback {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "request {} of {} records: {}: ", self.id.number(), self.records, self.class)?;
        match &self.cause {
            SetbackCause::Distrust(distrust) => distrust.fmt(f),
            SetbackCause::Failure(failure) => failure.fmt(f),
            SetbackCause::Fault(fault) => fault.fmt(f),
        }
    }
}

/// What came back of a request that came to nothing.
///
/// ```
/// use firehose_proto::producer::SetbackCause;
///
/// /// Says whether there was an answer at all.
/// fn was_answered(cause: &SetbackCause) -> bool {
///     match cause {
///         SetbackCause::Distrust(_) | SetbackCause::Fault(_) => true,
///         SetbackCause::Failure(_) => false,
///     }
/// }
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an error, nonsense, or nothing")]
pub enum SetbackCause {
    /// An answer of success that is not believed.
    Distrust(Distrust),
    /// No answer.
    Failure(Failure),
    /// An error.
    Fault(Fault),
}
