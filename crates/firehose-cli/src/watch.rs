//! Follows the events of the producer: keeps what was not delivered, tells the user, and notices
//! when going on is of no use.

use std::sync::{Arc, Mutex};

use firehose_hyper::{Advice, Endpoint, Event, Events, Failure, Producer, SendError};
use firehose_proto::StreamName;
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
    pub(crate) stream: StreamName,
    pub(crate) endpoint: Endpoint,
    /// Credentials that have expired may be followed by newer ones.
    pub(crate) renews: bool,
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
    /// The user was told that records wait for something outside.
    is_waiting: bool,
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
                    self.state.is_waiting = false;
                    if report.iter().any(|settled| is_of_no_use(&settled)) {
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
        let text = self.text(setback, error);
        if setback.class == Class::NotReady && self.renews && !self.state.is_waiting {
            self.state.is_waiting = true;
            self.progress.say(&format!("records wait: {text}"));
        } else if self.is_verbose {
            let (records, class) = (setback.records, setback.class);
            let id = setback.request_id.as_deref().map(str::escape_debug);
            let id = id.map(|id| format!(" (request id {id})")).unwrap_or_default();
            self.progress.say(&format!("a request of {records} records was {class}{id}: {text}"));
        }
        self.state.last = text;
        if self.is_hopeless(setback, error) {
            self.give_up();
        }
    }

    /// Returns what came back of a request, and what to do about it.
    fn text(&self, setback: &Setback, error: Option<&SendError>) -> String {
        let advice = Advice::new(&self.stream, &self.endpoint);
        let (text, advice) = match (error, &setback.cause) {
            (Some(error), _) => (error.to_string(), advice.on_failure(error)),
            (None, SetbackCause::Fault(fault)) => (fault.to_string(), advice.on_fault(fault)),
            (None, SetbackCause::Distrust(distrust)) => (distrust.to_string(), None),
            (None, SetbackCause::Failure(failure)) => (failure.to_string(), None),
        };
        match advice {
            Some(advice) => format!("{text}; {advice}"),
            None => text,
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
        setback.class.is_of_stream()
            || (setback.class == Class::NotReady && !self.renews)
            || self.local.as_ref().is_some_and(Local::is_broken)
            || unreachable
    }
}

/// Returns whether a record was given up for a reason that others would share. Either its last
/// attempt did not even get to the service: nobody is there any more. Or its credentials were refused
/// twice, and the provider has no better ones.
fn is_of_no_use(settled: &Settled<'_>) -> bool {
    match settled.outcome() {
        Outcome::Failed { why: Why::Exhausted { last: Some(last) }, .. } => {
            last.class == Class::NotSent
        }
        Outcome::Failed { why: Why::Rejected { last: Some(last) }, .. } => {
            last.class == Class::Renew
        }
        Outcome::Delivered { .. } | Outcome::Failed { .. } => false,
    }
}
