//! The core's own instant: a count of microseconds that the caller chooses.
//!
//! The crate never reads a clock. An integer can be written into a test, a trace or a C call,
//! which the standard library's instant cannot.

use core::fmt;
use core::ops::Add;
use core::time::Duration;

use serde::{Deserialize, Serialize};

/// A point in time, in microseconds since an origin that the caller chooses.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::Instant;
///
/// let start = Instant::from_micros(5);
/// assert_eq!((start + Duration::from_secs(1)).as_micros(), 1_000_005);
/// assert_eq!(start.since(start + Duration::from_secs(1)), Duration::ZERO);
/// ```
#[derive(
    Clone, Copy, Debug, Default, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize,
)]
#[serde(transparent)]
pub struct Instant {
    micros: u64,
}

impl Instant {
    /// The latest instant there is; a deadline that never comes.
    pub const FAR_FUTURE: Self = Self { micros: u64::MAX };

    /// Makes the instant that lies `micros` microseconds after the origin.
    pub const fn from_micros(micros: u64) -> Self {
        Self { micros }
    }

    /// Returns the microseconds since the origin.
    pub const fn as_micros(self) -> u64 {
        self.micros
    }

    /// Returns the time from `earlier` to `self`, or zero if `earlier` is not earlier.
    pub const fn since(self, earlier: Self) -> Duration {
        Duration::from_micros(self.micros.saturating_sub(earlier.micros))
    }

    /// Rounds up to the next multiple of `step` since the origin.
    pub(crate) fn round_up(self, step: Duration) -> Self {
        let step = micros(step).max(1);
        let steps = self.micros.div_ceil(step);
        Self::from_micros(steps.saturating_mul(step))
    }
}

impl Add<Duration> for Instant {
    type Output = Self;

    /// Adds a span; the sum stops at [`Instant::FAR_FUTURE`].
    fn add(self, span: Duration) -> Self {
        Self::from_micros(self.micros.saturating_add(micros(span)))
    }
}

impl fmt::Display for Instant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{:06} s", self.micros / 1_000_000, self.micros % 1_000_000)
    }
}

/// Returns a span in whole microseconds; one too long to count becomes the longest there is.
pub(crate) fn micros(span: Duration) -> u64 {
    u64::try_from(span.as_micros()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sums_stop_at_the_far_future() {
        assert_eq!(Instant::FAR_FUTURE + Duration::from_secs(1), Instant::FAR_FUTURE);
        assert_eq!(Instant::from_micros(1) + Duration::MAX, Instant::FAR_FUTURE);
    }

    #[test]
    fn instants_are_shown_in_seconds() {
        assert_eq!(Instant::from_micros(61_000_005).to_string(), "61.000005 s");
    }

    #[test]
    fn rounding_up_keeps_multiples() {
        let step = Duration::from_micros(50);
        for (micros, rounded) in [(0, 0), (1, 50), (49, 50), (50, 50), (51, 100)] {
            assert_eq!(Instant::from_micros(micros).round_up(step).as_micros(), rounded);
        }
        assert_eq!(Instant::from_micros(7).round_up(Duration::ZERO).as_micros(), 7);
    }
}
