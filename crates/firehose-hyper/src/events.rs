//! What a producer tells the application.

use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;

use firehose_proto::producer::{Report, Setback, Throttling};
use futures_core::Stream;
use tokio::sync::mpsc;

use crate::service::SendError;

/// Something that happened.
///
/// ```
/// use firehose_hyper::Event;
///
/// fn tell(event: &Event) {
///     match event {
///         Event::Settled(report) => println!("{} records have their outcomes", report.len()),
///         Event::Setback { setback, error } => println!("{setback} {error:?}"),
///         other => println!("{other:?}"),
///     }
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum Event {
    /// A request as a whole came to nothing. What it means for its records is told by reports.
    Setback {
        /// Which request, and what it means.
        setback: Setback,
        /// The transport's words, where there was no answer.
        error: Option<Arc<SendError>>,
    },
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

/// The events of a producer, in their order; it ends when the producer is closed and everything is
/// told.
///
/// Events that nobody reads hold the producer up, so that memory stays bounded: read them in a task
/// of their own, or drop this.
///
/// It is a `futures_core::Stream` as well.
///
/// ```
/// use firehose_hyper::proto::producer::Config;
/// use firehose_hyper::{Event, Producer};
/// use firehose_mock::{InMemory, Service, Streams};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let service = InMemory::new(Service::new(Streams::Any, 7));
/// let (producer, mut events) = Producer::spawn_with_events(Config::new("demo".parse()?), service);
/// producer.push(b"hello\n").await?;
/// drop(producer);
/// let Some(Event::Settled(report)) = events.next().await else { panic!() };
/// assert_eq!(report.len(), 1);
/// assert!(events.next().await.is_none());
/// # Ok(())
/// # }
/// ```
#[derive(Debug)]
pub struct Events {
    receiver: mpsc::Receiver<Event>,
}

impl Events {
    pub(crate) fn new(receiver: mpsc::Receiver<Event>) -> Self {
        Self { receiver }
    }

    /// Waits for the next event. Dropping the future loses none.
    pub async fn next(&mut self) -> Option<Event> {
        self.receiver.recv().await
    }
}

impl Stream for Events {
    type Item = Event;

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Event>> {
        self.receiver.poll_recv(context)
    }
}
