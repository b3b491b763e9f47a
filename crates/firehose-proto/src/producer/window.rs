//! How much may be under way: the number of requests at once, and pauses of the whole stream.
//!
//! The service says "slower" record by record inside answers of success. Each such answer narrows
//! the window by half the fraction that was refused, each clean one widens it by one request per
//! window; an answer in which nothing was stored pauses the stream, since what is new would fare no
//! better than what was refused.

use core::num::NonZeroUsize;

use crate::time::Instant;

/// Thousandths, so that the window moves in small steps without fractions.
const ONE: usize = 1_000;

#[derive(Debug)]
pub(super) struct Window {
    milli_max: usize,
    milli: usize,
    paused_until: Instant,
    /// Requests in a row of which nothing was stored.
    setbacks: u8,
}

impl Window {
    pub(super) fn new(requests_max: NonZeroUsize) -> Self {
        let milli = requests_max.get().saturating_mul(ONE);
        Self { milli_max: milli, milli, paused_until: Instant::default(), setbacks: 0 }
    }

    /// Returns how many requests may be under way at once, at least one.
    pub(super) fn requests(&self) -> usize {
        (self.milli / ONE).max(1)
    }

    /// Returns the instant before which nothing may be sent.
    pub(super) fn paused_until(&self) -> Instant {
        self.paused_until
    }

    /// Notes an answer in which `refused` of `records` records were throttled.
    pub(super) fn answered(&mut self, records: usize, refused: usize) {
        if refused == 0 && canary!("window_never_opens") {
            return;
        }
        if refused == 0 {
            self.milli = (self.milli + ONE / self.requests()).min(self.milli_max);
        } else {
            let narrower = self.milli - self.milli * refused / (2 * records.max(refused));
            self.milli = narrower.max(ONE);
        }
    }

    /// Notes that something of a request was stored.
    pub(super) fn progress(&mut self) {
        self.setbacks = 0;
    }

    /// Notes that nothing of a request was stored, and returns how often that was so in a row.
    pub(super) fn setback(&mut self) -> u8 {
        self.setbacks = self.setbacks.saturating_add(1);
        self.setbacks
    }

    pub(super) fn pause_until(&mut self, until: Instant) {
        let until = if canary!("pause_forever") { Instant::FAR_FUTURE } else { until };
        self.paused_until = self.paused_until.max(until);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn narrows_by_what_was_refused_and_widens_slowly() {
        let mut window = Window::new(NonZeroUsize::new(4).unwrap());
        window.answered(500, 500);
        assert_eq!(window.requests(), 2);
        window.answered(500, 500);
        window.answered(500, 500);
        assert_eq!(window.requests(), 1);
        window.answered(500, 0);
        assert_eq!(window.requests(), 2);
        window.answered(500, 0);
        assert_eq!(window.requests(), 2);
        window.answered(500, 0);
        assert_eq!(window.requests(), 3);
        for _ in 0..100 {
            window.answered(500, 0);
        }
        assert_eq!(window.requests(), 4);
        window.answered(500, 50);
        assert_eq!(window.requests(), 3);
    }

    #[test]
    fn pauses_only_grow() {
        let mut window = Window::new(NonZeroUsize::MIN);
        window.pause_until(Instant::from_micros(5));
        window.pause_until(Instant::from_micros(3));
        assert_eq!(window.paused_until(), Instant::from_micros(5));
        assert_eq!((window.setback(), window.setback()), (1, 2));
        window.progress();
        assert_eq!(window.setback(), 1);
    }
}
