//! The task that does what the core says: sends, waits, and hands answers back.
//!
//! Each request is hashed, signed and sent in a task of its own, so that large bodies use all cores.

use std::collections::HashMap;
use std::num::NonZeroU8;
use std::sync::Arc;

use firehose_proto::producer::{self as core_producer, Output, Transmit};
use firehose_proto::wire::{Operation, Response};
use firehose_proto::{Failure, RequestId};
use tokio::sync::mpsc;
use tokio::task::{self, AbortHandle, JoinError, JoinSet};

use crate::events::Event;
use crate::identity::Attempt;
use crate::observe;
use crate::service::{self, HttpService, Outgoing, SendError};
use crate::shared::Shared;

pub(crate) struct Driver<S> {
    shared: Arc<Shared>,
    service: S,
    /// How often a record is sent at most.
    attempts_max: NonZeroU8,
    events: Option<mpsc::Sender<Event>>,
    sending: JoinSet<Result<Response, SendError>>,
    requests: HashMap<task::Id, (RequestId, AbortHandle)>,
    /// The words of the transport on requests that just failed.
    errors: HashMap<RequestId, Arc<SendError>>,
}

impl<S: HttpService> Driver<S> {
    pub(crate) fn new(
        shared: Arc<Shared>,
        service: S,
        events: Option<mpsc::Sender<Event>>,
    ) -> Self {
        let (sending, requests, errors) = (JoinSet::new(), HashMap::new(), HashMap::new());
        let attempts_max = shared.with(|state, _| state.core.config().policy().attempts_max());
        Self { shared, service, attempts_max, events, sending, requests, errors }
    }

    /// Runs until the producer is closed and everything is told.
    pub(crate) async fn run(mut self) {
        loop {
            let (outputs, wake_at) = self.shared.drain();
            let mut events = Vec::new();
            for output in outputs {
                match output {
                    Output::Cancel(id) => self.cancel(id),
                    Output::Event(event) => events.push(event),
                    Output::Transmit(transmit) => self.send(transmit),
                    Output::Wait(_) => {}
                }
            }
            if !events.is_empty() {
                self.shared.notify_changed();
            }
            for event in events {
                self.publish(event).await;
            }
            self.errors.clear();
            if self.shared.is_closed() {
                break;
            }
            self.wait(wake_at).await;
        }
        drop(self.events);
        self.shared.finish();
    }

    /// Waits for an answer, for time to pass, or to be woken.
    async fn wait(&mut self, wake_at: Option<tokio::time::Instant>) {
        let timer = async {
            match wake_at {
                Some(at) => tokio::time::sleep_until(at).await,
                None => core::future::pending().await,
            }
        };
        tokio::select! {
            () = self.shared.woken() => {}
            () = timer => self.shared.with(|state, now| state.core.handle_timeout(now)),
            Some(ended) = self.sending.join_next_with_id() => self.handle(ended),
        }
    }

    fn send(&mut self, transmit: Transmit) {
        let Transmit { id, body, records, attempt, deadline } = transmit;
        let attempt = Attempt::of(attempt, self.attempts_max);
        let deadline = self.shared.instant(deadline);
        let operation = Operation::PutRecordBatch;
        let outgoing = Outgoing { operation, body, records, attempt, deadline };
        let sent = service::send(self.service.clone(), outgoing);
        let handle = self.sending.spawn(sent);
        self.requests.insert(handle.id(), (id, handle));
    }

    fn cancel(&mut self, id: RequestId) {
        for (request, handle) in self.requests.values() {
            if *request == id {
                handle.abort();
            }
        }
    }

    fn handle(&mut self, ended: Result<(task::Id, Result<Response, SendError>), JoinError>) {
        let (task, result) = match ended {
            Ok((task, result)) => (task, Some(result)),
            Err(stopped) => (stopped.id(), None),
        };
        let Some((id, _)) = self.requests.remove(&task) else { return };
        let errors = &mut self.errors;
        let known = self.shared.with(|state, now| match result {
            Some(Ok(response)) => state.core.handle_response(now, id, response),
            Some(Err(error)) => {
                let failure = error.failure();
                errors.insert(id, Arc::new(error));
                state.core.handle_failure(now, id, failure)
            }
            None => state.core.handle_failure(now, id, Failure::OutcomeUnknown),
        });
        if known.is_err() {
            // The core gave the request up before it ended; its records were decided then.
            self.errors.remove(&id);
        }
    }

    async fn publish(&mut self, event: core_producer::Event) {
        let event = match event {
            core_producer::Event::Settled(report) => {
                observe::settled(&report);
                self.shared.tell(&report);
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
            && events.send(event).await.is_err()
        {
            self.events = None;
        }
    }
}
