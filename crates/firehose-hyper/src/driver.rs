//! The task that does what the core says: sends, waits, and hands answers back.

use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use firehose_proto::producer::{self as core_producer, Output, Transmit};
use firehose_proto::wire::Operation;
use firehose_proto::{Failure, RequestId};
use tokio::sync::mpsc;
use tokio::time::Instant;

use crate::events::Event;
use crate::identity::Attempt;
use crate::observe;
use crate::service::{self, HttpService, Outgoing, SendError};
use crate::shared::{Shared, Turn};
use crate::under_way::{Ended, UnderWay};

pub(crate) struct Driver<S> {
    shared: Arc<Shared>,
    service: S,
    /// How often a record is sent at most.
    attempts_max: NonZeroU8,
    events: Option<mpsc::Sender<Event>>,
    under_way: UnderWay,
    /// The words of the transport on requests that just failed.
    errors: HashMap<RequestId, Arc<SendError>>,
}

impl<S: HttpService> Driver<S> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        service: S,
        events: Option<mpsc::Sender<Event>>,
    ) -> Self {
        let attempts_max = shared.with(|state, _| state.core.config().policy().attempts_max());
        let (under_way, errors) = (UnderWay::default(), HashMap::new());
        Self { shared, service, attempts_max, events, under_way, errors }
    }

    /// Runs until the producer is closed and everything is told.
    pub(crate) async fn run(mut self) {
        let mut turn = self.shared.turn(|_, _| ());
        loop {
            let mut events = Vec::new();
            for output in turn.outputs {
                match output {
                    Output::Cancel(id) => self.under_way.cancel(id),
                    Output::Event(event) => events.push(event),
                    Output::Transmit(transmit) => self.send(transmit),
                    Output::Wait(_) => {}
                }
            }
            if !events.is_empty() {
                self.shared.notify_changed();
            }
            for event in events {
                self.publish(event, turn.is_awaited).await;
            }
            self.errors.clear();
            if turn.is_closed {
                break;
            }
            turn = self.wait(turn.wake_at).await;
        }
        // Whoever waits for the end reads all events before.
        self.events = None;
    }

    /// Waits for an answer, for time to pass, or to be woken, and tells the core.
    async fn wait(&mut self, wake_at: Option<Instant>) -> Turn {
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.woken() => self.shared.turn(|_, _| ()),
            () = timer => self.shared.turn(|state, now| state.core.handle_timeout(now)),
            ended = self.under_way.next() => self.handle(ended),
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { id, body, records, attempt, deadline } = transmit;
        let attempt = Attempt::of(attempt, self.attempts_max);
        let deadline = self.shared.instant(deadline);
        let (operation, body_bytes) = (Operation::PutRecordBatch, body.len());
        let outgoing = Outgoing { operation, body, records, attempt, deadline };
        self.under_way.start(id, body_bytes, service::send(self.service.clone(), outgoing));
    }

    fn handle(&mut self, (id, ended): Ended) -> Turn {
        let errors = &mut self.errors;
        self.shared.turn(|state, now| {
            let known = match ended {
                Some(Ok(response)) => state.core.handle_response(now, id, response),
                Some(Err(error)) => {
                    let failure = error.failure();
                    errors.insert(id, Arc::new(error));
                    state.core.handle_failure(now, id, failure)
                }
                None => state.core.handle_failure(now, id, Failure::OutcomeUnknown),
            };
            if known.is_err() {
                // The core gave the request up before it ended; its records were decided then.
                errors.remove(&id);
            }
        })
    }

    /// Tells of an event; `is_awaited` says whether somebody waits for the outcome of a record.
    async fn publish(&mut self, event: core_producer::Event, is_awaited: bool) {
        let event = match event {
            core_producer::Event::Settled(report) => {
                observe::settled(&report);
                if is_awaited {
                    self.shared.tell(&report);
                }
                Event::Settled(report)
            }
            core_producer::Event::Setback(setback) => {
                observe::setback(&setback);
                let error = self.errors.get(&setback.id).cloned();
                Event::Setback { setback, error }
            }
            core_producer::Event::SizeBoundLowered { request_bytes_max } => {
                Event::SizeBoundLowered { request_bytes_max }
            }
            core_producer::Event::Throttled(throttling) => Event::Throttled(throttling),
            core_producer::Event::Closed | _ => return,
        };
        if let Some(events) = &self.events
            && self.under_way.meanwhile(events.send(event)).await.is_err()
        {
            self.events = None;
        }
    }
}

impl<S> Drop for Driver<S> {
    /// Ends the producer, also where the runtime drops the driver halfway.
    fn drop(&mut self) {
        self.shared.finish();
    }
}
