//! Follows the events of the producer: keeps what was not delivered, tells the user, and notices
//! when going on is of no use.

use std::sync::{Arc, Mutex};

use firehose_hyper::{Event, Events, Failure, Producer, SendError};
use firehose_proto::producer::{Setback, SetbackCause};
use firehose_proto::retry::Class;
use tokio::sync::oneshot;

use crate::failures::Failures;
use crate::feed::lock;
use crate::local::Local;
use crate::progress::Progress;

/// After so many requests in a row that never got to the service, and none that did, it is given up.
const NOT_SENT_MAX: u32 = 3;

/// What the watcher works with.
pub(crate) struct Watcher {
    pub(crate) producer: Producer,
    pub(crate) failures: Arc<Mutex<Failures>>,
    pub(crate) progress: Progress,
    pub(crate) is_verbose: bool,
    pub(crate) local: Option<Local>,
    /// Is told when going on is of no use.
    pub(crate) hopeless: Option<oneshot::Sender<()>>,
    pub(crate) state: State,
}

/// What the watcher has seen.
#[derive(Default)]
pub(crate) struct State {
    /// Requests in a row that never got to the service.
    not_sent: u32,
    /// Why going on is of no use.
    cause: Option<String>,
}

impl Watcher {
    /// Follows the events to their end; returns why going on was of no use, if it was.
    pub(crate) async fn run(mut self, mut events: Events) -> Option<String> {
        while let Some(event) = events.next().await {
            match event {
                Event::Settled(report) => {
                    lock(&self.failures).write(&report);
                    self.progress.delivered(self.producer.stats().records_delivered);
                }
                Event::Setback { setback, error } => self.set_back(&setback, error.as_deref()),
                Event::SizeBoundLowered { request_bytes_max } => self.progress.say(&format!(
                    "the service refused a request for its size; \
                     requests have at most {request_bytes_max} bytes from now on"
                )),
                Event::Throttled(throttling) => self.progress.say(&throttling.to_string()),
                _ => {}
            }
        }
        self.state.cause
    }

    fn set_back(&mut self, setback: &Setback, error: Option<&SendError>) {
        let text = match error {
            Some(error) => error.to_string(),
            None => cause(setback),
        };
        if self.is_verbose {
            let (records, class) = (setback.records, setback.class);
            self.progress.say(&format!("a request of {records} records was {class}: {text}"));
        }
        if self.is_hopeless(setback, error)
            && let Some(hopeless) = self.hopeless.take()
        {
            self.state.cause = Some(text);
            // Nobody listens any more if the end was near anyway.
            let _ = hopeless.send(());
        }
    }

    fn is_hopeless(&mut self, setback: &Setback, error: Option<&SendError>) -> bool {
        if error.is_some_and(|error| error.failure() == Failure::NotSent) {
            self.state.not_sent += 1;
        } else {
            self.state.not_sent = 0;
        }
        let unreachable =
            self.state.not_sent >= NOT_SENT_MAX && self.producer.stats().records_delivered == 0;
        setback.class == Class::StreamRejected
            || error.is_some_and(SendError::is_permanent)
            || self.local.as_ref().is_some_and(Local::is_broken)
            || unreachable
    }
}

/// What came back of a request, without the words of the transport.
fn cause(setback: &Setback) -> String {
    match &setback.cause {
        SetbackCause::Distrust(distrust) => distrust.to_string(),
        SetbackCause::Failure(failure) => failure.to_string(),
        SetbackCause::Fault(fault) => fault.to_string(),
    }
}
