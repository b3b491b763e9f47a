//! The async producer: a handle that is cheap to clone, around the core's state machine.
//!
//! A record is encoded on the thread that pushes it, under one short lock. The task that sends is
//! woken only when there is something to do.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::sync::Arc;

use firehose_proto::producer::{Config, Outcome, PushError, Settled, Stats};
use firehose_proto::{Instant, Ticket};
use tokio::sync::{mpsc, oneshot};

use crate::driver::Driver;
use crate::events::Events;
use crate::service::HttpService;
use crate::shared::{Shared, State};

/// The events that may wait to be read before the producer is held up.
const EVENTS_MAX: usize = 64;

/// Sends records to one stream, and tells what became of each.
///
/// Three ways to learn outcomes: wait for one record with [`put`](Self::put), read the events of
/// [`spawn_with_events`](Self::spawn_with_events), or look at the [`Stats`] that
/// [`close`](Self::close) gives.
///
/// Requests are sent on the runtime on which the producer was spawned; pushes may come from
/// anywhere. With small records a runtime of one thread, which may be one of its own, costs least;
/// with large ones several hash bodies side by side.
///
/// When the last clone is dropped, the producer takes no more records and sends what it has in the
/// background, as long as the runtime lives; to be sure, wait for `close`.
///
/// ```
/// use firehose_hyper::Producer;
/// use firehose_hyper::proto::producer::Config;
/// use firehose_mock::{InMemory, Service, Streams};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = InMemory::new(Service::new(Streams::Any, 7));
/// let producer = Producer::spawn(Config::new("demo".parse()?), service);
/// producer.push(b"hello\n").await?;
/// let delivered = producer.put(b"world\n").await?;
/// assert!(!delivered.may_be_duplicate);
/// assert_eq!(producer.close().await.records_delivered, 2);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Producer {
    shared: Arc<Shared>,
    /// Closes the producer when the last handle is gone.
    _last: Arc<CloseOnDrop>,
}

impl Producer {
    /// Starts a producer whose requests go through `service`.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn<S: HttpService>(config: Config, service: S) -> Self {
        Self::start(config, service, None)
    }

    /// As [`spawn`](Self::spawn), and gives its events.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime.
    pub fn spawn_with_events<S: HttpService>(config: Config, service: S) -> (Self, Events) {
        let (sender, receiver) = mpsc::channel(EVENTS_MAX);
        (Self::start(config, service, Some(sender)), Events::new(receiver))
    }

    fn start<S: HttpService>(
        config: Config,
        service: S,
        events: Option<mpsc::Sender<crate::Event>>,
    ) -> Self {
        let shared = Arc::new(Shared::new(config));
        tokio::spawn(Driver::new(Arc::clone(&shared), service, events).run());
        let last = Arc::new(CloseOnDrop(Arc::clone(&shared)));
        Self { shared, _last: last }
    }

    /// Takes a record if there is room for it; never waits.
    ///
    /// # Errors
    ///
    /// [`PushError`] if the record is too large, if there is no room now, or if the producer is
    /// closed. The record is then as if it had never been pushed.
    pub fn try_push(&self, record: &[u8]) -> Result<Ticket, PushError> {
        self.try_push_parts(&[record])
    }

    /// As [`try_push`](Self::try_push), for a record given in parts that together are its data.
    ///
    /// # Errors
    ///
    /// As [`try_push`](Self::try_push).
    pub fn try_push_parts(&self, parts: &[&[u8]]) -> Result<Ticket, PushError> {
        self.shared.with(|state, now| state.core.push_parts(now, parts))
    }

    /// Takes a record, waiting for room.
    ///
    /// If the future is dropped before it is ready, the record was not taken.
    ///
    /// # Errors
    ///
    /// [`PushError`] if the record is too large or the producer is closed.
    pub async fn push(&self, record: &[u8]) -> Result<Ticket, PushError> {
        self.push_parts(&[record]).await
    }

    /// As [`push`](Self::push), for a record given in parts that together are its data.
    ///
    /// # Errors
    ///
    /// As [`push`](Self::push).
    pub async fn push_parts(&self, parts: &[&[u8]]) -> Result<Ticket, PushError> {
        self.shared.when_room(|| unless_full(self.try_push_parts(parts))).await
    }

    /// Takes many records in their order, waiting until they are of [use](Self::ready). This costs
    /// less than one by one.
    ///
    /// If the future is dropped before it is ready, the first of them may have been taken and are
    /// then sent all the same.
    ///
    /// # Errors
    ///
    /// [`PushAllError`] if a record is too large or the producer is closed; it says how many records
    /// were taken before.
    ///
    /// ```
    /// # use firehose_hyper::Producer;
    /// # use firehose_hyper::proto::producer::Config;
    /// # use firehose_mock::{InMemory, Service, Streams};
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let service = InMemory::new(Service::new(Streams::Any, 7));
    /// let producer = Producer::spawn(Config::new("demo".parse()?), service);
    /// producer.push_all(&["one\n", "two\n", "three\n"]).await?;
    /// assert_eq!(producer.close().await.records_delivered, 3);
    /// # Ok(())
    /// # }
    /// ```
    pub async fn push_all<R: AsRef<[u8]>>(&self, records: &[R]) -> Result<(), PushAllError> {
        let mut taken = 0;
        while let Some(left) = records.get(taken..).filter(|left| !left.is_empty()) {
            self.ready().await;
            let (more, mut result) = self.shared.with(|state, now| push_some(state, now, left));
            taken += more;
            if let (Err(PushError::Full { .. }), Some(record)) = (result, left.get(more)) {
                result = self.push(record.as_ref()).await.map(drop);
                taken += usize::from(result.is_ok());
            }
            result.map_err(|error| PushAllError { taken, error })?;
        }
        Ok(())
    }

    /// Waits until more records are of use: there is much room, and not more waits to be sent than
    /// two full requests for each that may be under way at once. Ready as well once it is closed.
    ///
    /// Who has no end of records, a file say, asks now and then, and so holds few in memory. Pushes
    /// do not wait for this; [`push_all`](Self::push_all) does.
    ///
    /// Dropping the future gives up the waiting, nothing else.
    pub async fn ready(&self) {
        self.shared.when_of_use().await;
    }

    /// Takes a record, waiting for room, and waits for its outcome.
    ///
    /// If the future is dropped, the record may have been taken and is then sent all the same.
    ///
    /// # Errors
    ///
    /// [`PutError`] if the record was not taken or not delivered.
    pub async fn put(&self, record: &[u8]) -> Result<Delivered, PutError> {
        let try_put = || {
            unless_full(self.shared.with(|state, now| {
                let ticket = state.core.push(now, record)?;
                let (sender, receiver) = oneshot::channel();
                state.waiting.insert(ticket, sender);
                Ok(receiver)
            }))
        };
        let receiver = self.shared.when_room(try_put).await.map_err(PutError::NotTaken)?;
        // The driver decides every record before it ends, unless the runtime stops it.
        receiver.await.unwrap_or(Err(PutError::Stopped))
    }

    /// Sends everything pushed so far without waiting for more, and waits until each of these
    /// records has its outcome.
    ///
    /// Dropping the future gives up the waiting, nothing else.
    pub async fn flush(&self) {
        let flushed = self.shared.with(|state, now| {
            state.core.flush(now);
            state.core.stats().records_accepted
        });
        let flushed = Ticket::from_number(flushed);
        let settled = || {
            let state = self.shared.lock();
            let settled = state.core.oldest_undecided().is_none_or(|oldest| oldest >= flushed);
            (settled || state.finished).then_some(())
        };
        self.shared.when_changed(settled).await;
    }

    /// Takes no more records, waits until each has its outcome, and returns the final counts.
    ///
    /// Dropping the future gives up the waiting; the producer stays closed to new records and goes
    /// on sending.
    pub async fn close(&self) -> Stats {
        self.shared.with(|state, now| state.core.close(now));
        self.finished().await
    }

    /// As [`close`](Self::close), but after `timeout` gives up what is undecided: such records are
    /// reported as abandoned, with their data.
    ///
    /// Dropping the future gives up the waiting and with it the time limit; the producer stays closed
    /// to new records and goes on sending.
    pub async fn close_within(&self, timeout: Duration) -> Stats {
        match tokio::time::timeout(timeout, self.close()).await {
            Ok(stats) => stats,
            Err(_) => self.abandon().await,
        }
    }

    /// Takes no more records, gives up those that wait, lets the requests under way come to their
    /// end, and sends nothing again.
    ///
    /// Dropping the future gives up the waiting, nothing else; one that was never polled does nothing.
    pub async fn stop(&self) -> Stats {
        self.shared.with(|state, now| state.core.stop(now));
        self.finished().await
    }

    /// Gives up at once what is undecided: such records are reported as abandoned, with their data.
    ///
    /// Dropping the future gives up the waiting, nothing else; one that was never polled does nothing.
    pub async fn abandon(&self) -> Stats {
        self.shared.with(|state, now| state.core.abandon(now));
        self.finished().await
    }

    async fn finished(&self) -> Stats {
        let finished = || {
            let state = self.shared.lock();
            state.finished.then(|| state.core.stats())
        };
        self.shared.when_changed(finished).await
    }

    /// Returns what was counted so far.
    pub fn stats(&self) -> Stats {
        self.shared.lock().core.stats()
    }
}

impl fmt::Debug for Producer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Producer").field(&self.shared.lock().core).finish()
    }
}

/// The bytes of data after which [`Producer::push_all`] lets others at the core.
const TURN_BYTES: usize = 64 * 1_024;

/// Pushes as many of the records as may be pushed in one turn, and says how many that were.
fn push_some<R: AsRef<[u8]>>(
    state: &mut State,
    now: Instant,
    records: &[R],
) -> (usize, Result<(), PushError>) {
    let mut bytes = 0;
    for (taken, record) in records.iter().enumerate() {
        if bytes >= TURN_BYTES {
            return (taken, Ok(()));
        }
        bytes += record.as_ref().len();
        if let Err(error) = state.core.push(now, record.as_ref()) {
            return (taken, Err(error));
        }
    }
    (records.len(), Ok(()))
}

/// Says `None` where waiting may help.
fn unless_full<T>(result: Result<T, PushError>) -> Option<Result<T, PushError>> {
    match result {
        Err(PushError::Full { .. }) => None,
        other => Some(other),
    }
}

struct CloseOnDrop(Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.with(|state, now| state.core.close(now));
    }
}

pub(crate) fn outcome_of(settled: &Settled<'_>) -> Result<Delivered, PutError> {
    let attempts = settled.attempts();
    match settled.outcome() {
        Outcome::Delivered { record_id, may_be_duplicate } => {
            Ok(Delivered { record_id: record_id.to_owned(), attempts, may_be_duplicate })
        }
        Outcome::Failed { why, may_be_delivered } => {
            Err(PutError::Undelivered { why: why.to_string(), attempts, may_be_delivered })
        }
    }
}

/// A record that the service stored.
///
/// ```
/// use firehose_hyper::{Producer, PutError};
///
/// async fn put(producer: &Producer) -> Result<(), PutError> {
///     let delivered = producer.put(b"one record\n").await?;
///     println!("stored as {} after {} attempts", delivered.record_id, delivered.attempts);
///     Ok(())
/// }
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Delivered {
    /// The service's identifier of the record.
    pub record_id: String,
    /// How often it was sent.
    pub attempts: u8,
    /// An earlier attempt may have stored it as well.
    pub may_be_duplicate: bool,
}

/// Why not all records were taken.
///
/// ```
/// use firehose_hyper::{Producer, PushAllError};
///
/// async fn push(producer: &Producer, records: &[Vec<u8>]) {
///     if let Err(PushAllError { taken, error }) = producer.push_all(records).await {
///         println!("record {taken} was not taken: {error}");
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct PushAllError {
    /// The records before the one that was not taken; they are sent as any others.
    pub taken: usize,
    /// Why that one was not taken.
    pub error: PushError,
}

impl fmt::Display for PushAllError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "after {} records: {}", self.taken, self.error)
    }
}

impl Error for PushAllError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.error)
    }
}

/// Why a record was not delivered.
///
/// ```
/// use firehose_hyper::PutError;
///
/// let why = "exhausted: throttled".to_owned();
/// let error = PutError::Undelivered { why, attempts: 10, may_be_delivered: true };
/// assert_eq!(
///     error.to_string(),
///     "exhausted: throttled (attempts: 10; may be stored all the same)"
/// );
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PutError {
    /// The producer did not take it.
    NotTaken(PushError),
    /// The runtime stopped the producer before the record had an outcome.
    Stopped,
    /// It was given up.
    Undelivered {
        /// Why, and how the last attempt ended.
        why: String,
        /// How often it was sent.
        attempts: u8,
        /// Some attempt may have stored it all the same.
        may_be_delivered: bool,
    },
}

impl fmt::Display for PutError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotTaken(error) => error.fmt(f),
            Self::Stopped => f.write_str("the producer was stopped, the outcome is unknown"),
            Self::Undelivered { why, attempts, may_be_delivered } => {
                write!(f, "{why} (attempts: {attempts}")?;
                f.write_str(if *may_be_delivered { "; may be stored all the same)" } else { ")" })
            }
        }
    }
}

impl Error for PutError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::NotTaken(error) => Some(error),
            Self::Stopped | Self::Undelivered { .. } => None,
        }
    }
}
