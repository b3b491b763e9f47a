//! How fast a producer may go, computed anew from the sentences of the design: an answer narrows
//! the window by half the fraction that was throttled, a clean one widens it by one request per
//! window; a request of which nothing was stored counts as a setback, and some setbacks pause.

use core::cell::Cell;
use core::time::Duration;

use firehose_proto::producer::Config;
use firehose_proto::retry::{Class, Policy};

/// A request at once, in the steps in which the window moves.
const ONE: u64 = 1_000;

/// The most that the service may add to a planned wait.
const ASKED_EXTRA_MAX: Duration = Duration::from_secs(5);

#[derive(Debug)]
pub(super) struct Pace {
    widest: u64,
    width: u64,
    setbacks: u8,
    pub(super) paused_until: u64,
}

impl Pace {
    pub(super) fn new(config: &Config) -> Self {
        let widest = config.in_flight_max().get() as u64 * ONE;
        Self { widest, width: widest, setbacks: 0, paused_until: 0 }
    }

    /// Returns how many requests may be under way.
    pub(super) fn window(&self) -> usize {
        usize::try_from(self.width / ONE).map_or(usize::MAX, |requests| requests.max(1))
    }

    /// An answer that says something of each record.
    pub(super) fn answered(&mut self, records: u64, stored: u64, throttled: u64, waits: &Waits) {
        self.turn(records, throttled);
        if stored > 0 {
            self.setbacks = 0;
            return;
        }
        self.setbacks = self.setbacks.saturating_add(1);
        if throttled > 0 {
            self.pause(waits.end(Class::Throttled, self.setbacks));
        }
    }

    /// A request of which every record ended alike.
    pub(super) fn ended(&mut self, records: u64, class: Class, waits: &Waits) {
        if class == Class::NotReady {
            // Of requests under way together only the first lengthens the wait.
            if self.paused_until <= waits.now {
                self.setbacks = self.setbacks.saturating_add(1);
                self.pause(waits.end(class, self.setbacks));
            }
            return;
        }
        let is_setback = matches!(
            class,
            Class::Failed
                | Class::NotSent
                | Class::StreamRejected
                | Class::Throttled
                | Class::Unknown
                | Class::Unsendable
        );
        if !is_setback {
            return;
        }
        self.turn(records, records);
        self.setbacks = self.setbacks.saturating_add(1);
        let pauses = matches!(
            class,
            Class::NotSent | Class::StreamRejected | Class::Throttled | Class::Unsendable
        );
        if pauses {
            self.pause(waits.end(class, self.setbacks));
        }
    }

    fn turn(&mut self, records: u64, throttled: u64) {
        self.width = match throttled {
            0 => (self.width + ONE / (self.width / ONE).max(1)).min(self.widest),
            _ => (self.width - self.width * throttled / (2 * records)).max(ONE),
        };
    }

    fn pause(&mut self, until: u64) {
        self.paused_until = self.paused_until.max(until);
    }
}

/// The waits that follow on one answer: all have the same random part.
pub(super) struct Waits {
    pub(super) now: u64,
    pub(super) policy: Policy,
    pub(super) fraction: f64,
    pub(super) asked: Option<Duration>,
    /// The last end that was computed; most records of an answer have the same.
    pub(super) known: Cell<Option<(Class, u8, u64)>>,
}

impl Waits {
    /// Returns the end of the wait after an attempt, which is on a common instant.
    pub(super) fn end(&self, class: Class, attempts: u8) -> u64 {
        if let Some((known_class, known_attempts, end)) = self.known.get()
            && (known_class, known_attempts) == (class, attempts)
        {
            return end;
        }
        let end = self.compute_end(class, attempts);
        self.known.set(Some((class, attempts, end)));
        end
    }

    fn compute_end(&self, class: Class, attempts: u8) -> u64 {
        if matches!(class, Class::Renew | Class::TooLarge) {
            return self.now;
        }
        let backoff = self.policy.backoff(class);
        let planned = backoff.ceiling(attempts).mul_f64(self.fraction);
        let wait = match self.asked {
            Some(asked) => asked.clamp(planned, planned + ASKED_EXTRA_MAX),
            None => planned,
        };
        if wait.is_zero() {
            return self.now;
        }
        let step = (micros(backoff.ceiling(1)) / 2).max(1);
        (self.now + micros(wait)).div_ceil(step) * step
    }
}

/// Returns a span in whole microseconds.
pub(super) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}
