//! Follows the events of the producer: keeps what was not delivered, tells the user, and notices
//! when going on is of no use.

use std::sync::{Arc, Mutex};

use firehose_hyper::{Event, Events, Failure, Producer, SendError};
use firehose_proto::producer::{Outcome, Setback, SetbackCause, Settled, Why};
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
    /// What came back of the last request that came to nothing.
    last: String,
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
                    if report.iter().any(|settled| never_got_there(&settled)) {
                        self.give_up();
                    }
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
        self.state.last = text;
        if self.is_hopeless(setback, error) {
            self.give_up();
        }
    }

    fn give_up(&mut self) {
        if let Some(hopeless) = self.hopeless.take() {
            self.state.cause = Some(self.state.last.clone());
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

/// Returns whether a record was given up after its last attempt, and that one did not even get to
/// the service: nobody is there any more.
fn never_got_there(settled: &Settled<'_>) -> bool {
    match settled.outcome() {
        Outcome::Failed { why: Why::Exhausted { last: Some(last) }, .. } => {
            last.class == Class::NotSent
        }
        Outcome::Delivered { .. } | Outcome::Failed { .. } => false,
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
