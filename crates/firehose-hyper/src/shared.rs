//! What the handles of a producer and its driver share: the core under one lock, the clock, and who
//! is woken when something changes.

use core::time::Duration;
use std::collections::BTreeMap;
use std::hash::{BuildHasher, RandomState};
use std::sync::{Mutex, MutexGuard, PoisonError};

use firehose_proto::producer::{self as core_producer, Config, Output};
use firehose_proto::{Instant, Ticket};
use tokio::sync::{Notify, oneshot};

use crate::producer::{Delivered, PutError, outcome_of};

/// What handles and driver share.
pub(crate) struct Shared {
    state: Mutex<State>,
    origin: tokio::time::Instant,
    /// Wakes the driver.
    driver: Notify,
    /// Wakes whoever waits for outcomes.
    changed: Notify,
    /// Wakes whoever waits for room.
    room: Notify,
    /// Wakes whoever has no end of records, when there is much room and little to be sent.
    need: Notify,
}

pub(crate) struct State {
    pub(crate) core: core_producer::Producer,
    /// Whoever waits for the outcome of a record.
    pub(crate) waiting: BTreeMap<Ticket, oneshot::Sender<Result<Delivered, PutError>>>,
    /// When the driver wakes by itself; the origin if it was woken already.
    asleep_until: Instant,
    /// Everything is decided and told.
    pub(crate) finished: bool,
}

/// What the driver has to do.
pub(crate) struct Turn {
    pub(crate) outputs: Vec<Output>,
    /// When it is the driver's turn again, if nothing happens before.
    pub(crate) wake_at: Option<tokio::time::Instant>,
    /// Somebody waits for the outcome of a record.
    pub(crate) is_awaited: bool,
    /// Everything is decided, and nothing comes after these outputs.
    pub(crate) is_closed: bool,
}

impl State {
    /// Returns whether more is there to be sent than will be soon.
    fn has_much_waiting(&self) -> bool {
        self.core.full_requests_waiting() / 2 >= self.core.config().in_flight_max().get()
    }

    /// Returns whether so little is there to be sent that whoever has more is to be woken.
    fn has_little_waiting(&self) -> bool {
        self.core.full_requests_waiting() <= self.core.config().in_flight_max().get()
    }

    /// Returns whether there is so much room that it is worth waking those who wait for it.
    fn has_much_room(&self) -> bool {
        let bytes_max = self.core.config().buffer_bytes_max() as u64;
        self.core.stats().bytes_held <= bytes_max - bytes_max / 8
    }
}

impl Shared {
    pub(crate) fn new(config: Config) -> Self {
        let seed = RandomState::new().hash_one("jitter");
        let core = core_producer::Producer::new(Instant::from_micros(0), config, seed);
        Self {
            state: Mutex::new(State {
                core,
                waiting: BTreeMap::new(),
                asleep_until: Instant::from_micros(0),
                finished: false,
            }),
            origin: tokio::time::Instant::now(),
            driver: Notify::new(),
            changed: Notify::new(),
            room: Notify::new(),
            need: Notify::new(),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn now(&self) -> Instant {
        let micros = self.origin.elapsed().as_micros();
        Instant::from_micros(u64::try_from(micros).unwrap_or(u64::MAX))
    }

    /// Returns the runtime's instant for one of the core's.
    pub(crate) fn instant(&self, at: Instant) -> tokio::time::Instant {
        let span = Duration::from_micros(at.as_micros());
        self.origin.checked_add(span).unwrap_or_else(|| self.origin + FAR)
    }

    /// Does something to the core, and wakes the driver if that gave it something to do.
    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut State, Instant) -> T) -> T {
        let mut state = self.lock();
        let result = act(&mut state, self.now());
        let earlier = || state.core.deadline().is_some_and(|(at, _)| at < state.asleep_until);
        if state.asleep_until > Instant::from_micros(0) && (state.core.has_output() || earlier()) {
            state.asleep_until = Instant::from_micros(0);
            self.driver.notify_one();
        }
        if !state.core.is_open() {
            // Whoever waits for room waits in vain.
            self.room.notify_waiters();
            self.need.notify_waiters();
        }
        result
    }

    /// Does something to the core, for the driver, and takes out of it all that it wants done.
    pub(crate) fn turn(&self, act: impl FnOnce(&mut State, Instant)) -> Turn {
        let mut state = self.lock();
        act(&mut state, self.now());
        let mut outputs = Vec::new();
        let until = loop {
            match state.core.poll_output() {
                Output::Wait(until) => break until,
                output @ (Output::Cancel(_) | Output::Event(_) | Output::Transmit(_)) => {
                    outputs.push(output);
                }
            }
        };
        state.asleep_until = until.unwrap_or(Instant::FAR_FUTURE);
        let (has_much_room, has_little) = (state.has_much_room(), state.has_little_waiting());
        let is_awaited = !state.waiting.is_empty();
        let is_closed = state.core.is_closed();
        drop(state);
        if has_much_room {
            self.room.notify_waiters();
            if has_little {
                self.need.notify_waiters();
            }
        }
        Turn { outputs, wake_at: until.map(|at| self.instant(at)), is_awaited, is_closed }
    }

    pub(crate) async fn woken(&self) {
        self.driver.notified().await;
    }

    /// Tells whoever waits for the outcomes of these records.
    pub(crate) fn tell(&self, report: &core_producer::Report) {
        let mut state = self.lock();
        for settled in report.iter() {
            if let Some(sender) = state.waiting.remove(&settled.ticket()) {
                // Whoever waited may be gone.
                let _ = sender.send(outcome_of(&settled));
            }
        }
    }

    /// Wakes whoever waits for outcomes.
    pub(crate) fn notify_changed(&self) {
        self.changed.notify_waiters();
    }

    /// Gives up what is undecided, and tells everybody that nothing happens any more.
    pub(crate) fn finish(&self) {
        self.with(|state, now| {
            state.core.abandon(now);
            state.finished = true;
            state.waiting.clear();
        });
        self.notify_changed();
    }

    /// Waits until `look` finds what it looks for, looking again when there is much room.
    pub(crate) async fn when_room<T>(&self, look: impl FnMut() -> Option<T>) -> T {
        when(&self.room, look).await
    }

    /// Waits until more records are of use.
    pub(crate) async fn when_of_use(&self) {
        when(&self.need, || {
            let state = self.lock();
            let is_of_use = state.has_much_room() && !state.has_much_waiting();
            (is_of_use || !state.core.is_open()).then_some(())
        })
        .await;
    }

    /// Waits until `look` finds what it looks for, looking again when something has changed.
    pub(crate) async fn when_changed<T>(&self, look: impl FnMut() -> Option<T>) -> T {
        when(&self.changed, look).await
    }
}

async fn when<T>(notify: &Notify, mut look: impl FnMut() -> Option<T>) -> T {
    // Most often it is there, and nothing has to be waited for.
    if let Some(found) = look() {
        return found;
    }
    loop {
        let mut notified = core::pin::pin!(notify.notified());
        notified.as_mut().enable();
        if let Some(found) = look() {
            return found;
        }
        notified.await;
    }
}

/// Farther than any deadline, and near enough to be added to any instant.
const FAR: Duration = Duration::from_secs(60 * 60 * 24 * 365);
