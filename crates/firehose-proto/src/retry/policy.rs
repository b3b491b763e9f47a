//! How often a record is sent, and how long it waits in between.

use core::fmt;
use core::num::NonZeroU8;
use core::time::Duration;

use super::class::Class;

/// The most by which a wait that the service asks for may exceed the planned one.
const RETRY_AFTER_EXTRA_MAX: Duration = Duration::from_secs(5);

/// How a wait grows with the attempts: a base that doubles each time, up to a cap.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::retry::Backoff;
///
/// let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(20))?;
/// assert_eq!(backoff.ceiling(1), Duration::from_secs(1));
/// assert_eq!(backoff.ceiling(3), Duration::from_secs(4));
/// assert_eq!(backoff.ceiling(9), Duration::from_secs(20));
/// # Ok::<(), firehose_proto::retry::InvalidBackoff>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Backoff {
    base: Duration,
    cap: Duration,
}

impl Backoff {
    /// Makes a growth from its first ceiling and its last.
    ///
    /// # Errors
    ///
    /// [`InvalidBackoff`] if the base is zero or longer than the cap.
    pub const fn new(base: Duration, cap: Duration) -> Result<Self, InvalidBackoff> {
        if base.is_zero() || base.as_nanos() > cap.as_nanos() {
            return Err(InvalidBackoff { base, cap });
        }
        Ok(Self { base, cap })
    }

    /// Returns the longest wait after `attempts` attempts.
    pub fn ceiling(self, attempts: u8) -> Duration {
        let doublings = u32::from(attempts.saturating_sub(1)).min(31);
        self.base.saturating_mul(1 << doublings).min(self.cap)
    }

    /// Waits end on multiples of this span, so that records that wait alike go together.
    pub(crate) fn step(self) -> Duration {
        self.base / 2
    }
}

/// A base that is zero or longer than its cap.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::retry::Backoff;
///
/// let error = Backoff::new(Duration::ZERO, Duration::from_secs(1)).unwrap_err();
/// assert_eq!(error.to_string(), "a backoff's base is longer than 0 and at most its cap, not 0ns of 1s");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct InvalidBackoff {
    base: Duration,
    cap: Duration,
}

impl fmt::Display for InvalidBackoff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "a backoff's base is longer than 0 and at most its cap, not {:?} of {:?}",
            self.base, self.cap
        )
    }
}

impl core::error::Error for InvalidBackoff {}

/// How often a record is sent, and how long it waits in between.
///
/// The wait after attempt *n* is a random fraction of `min(cap, base × 2ⁿ⁻¹)` ("full jitter").
/// Where the service names a time to wait, that is taken instead, but never less than the planned
/// wait nor over 5 s more.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::retry::{Class, Policy};
///
/// let policy = Policy::default();
/// assert_eq!(policy.attempts_max().get(), 10);
/// assert_eq!(policy.delay(Class::Throttled, 2, 0.5, None), Duration::from_secs(1));
/// let asked = Some(Duration::from_secs(60));
/// assert_eq!(policy.delay(Class::Throttled, 2, 0.5, asked), Duration::from_secs(6));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Policy {
    attempts_max: NonZeroU8,
    not_ready: Backoff,
    throttled: Backoff,
    transient: Backoff,
}

impl Default for Policy {
    /// Ten attempts; 1 s to 20 s when throttled (R11), 1 s to 30 s while nothing can be sent, 100 ms
    /// to 20 s otherwise.
    fn default() -> Self {
        let cap = Duration::from_secs(20);
        Self {
            attempts_max: NonZeroU8::MIN.saturating_add(9),
            not_ready: Backoff { base: Duration::from_secs(1), cap: Duration::from_secs(30) },
            throttled: Backoff { base: Duration::from_secs(1), cap },
            transient: Backoff { base: Duration::from_millis(100), cap },
        }
    }
}

impl Policy {
    /// Sets how often a record is sent at most, the first time included.
    #[must_use]
    pub const fn with_attempts_max(mut self, attempts: NonZeroU8) -> Self {
        self.attempts_max = attempts;
        self
    }

    /// Sets the waits between looks whether something can be sent again: for new credentials, say.
    #[must_use]
    pub const fn with_not_ready(mut self, backoff: Backoff) -> Self {
        self.not_ready = backoff;
        self
    }

    /// Sets the waits after the service said that it is asked too much of.
    #[must_use]
    pub const fn with_throttled(mut self, backoff: Backoff) -> Self {
        self.throttled = backoff;
        self
    }

    /// Sets the waits after everything else that passes.
    #[must_use]
    pub const fn with_transient(mut self, backoff: Backoff) -> Self {
        self.transient = backoff;
        self
    }

    /// Returns how often a record is sent at most, the first time included.
    pub const fn attempts_max(&self) -> NonZeroU8 {
        self.attempts_max
    }

    /// Returns how waits of a class grow.
    pub const fn backoff(&self, class: Class) -> Backoff {
        match class {
            Class::NotReady => self.not_ready,
            Class::Throttled => self.throttled,
            Class::Failed
            | Class::NotSent
            | Class::Rejected
            | Class::Renew
            | Class::StreamRejected
            | Class::TooLarge
            | Class::Unknown
            | Class::Unsendable => self.transient,
        }
    }

    /// Returns how long to wait after `attempts` attempts of which the last ended in `class`.
    ///
    /// `fraction` is the random part, in `0.0..1.0`; what lies outside counts as the nearest, and
    /// what is no number as 0. `asked` is what the service wants. Nothing of a request that was too
    /// large or needed new credentials has to wait.
    pub fn delay(
        &self,
        class: Class,
        attempts: u8,
        fraction: f64,
        asked: Option<Duration>,
    ) -> Duration {
        if matches!(class, Class::Renew | Class::TooLarge) {
            return Duration::ZERO;
        }
        let planned = part(self.backoff(class).ceiling(attempts), fraction);
        match asked {
            Some(asked) => asked.clamp(planned, planned.saturating_add(RETRY_AFTER_EXTRA_MAX)),
            None => planned,
        }
    }
}

/// Returns a fraction of a span.
fn part(span: Duration, fraction: f64) -> Duration {
    if fraction.is_nan() {
        return Duration::ZERO;
    }
    // Rounding makes more of the longest spans than a span can hold.
    Duration::try_from_secs_f64(span.as_secs_f64() * fraction.clamp(0.0, 1.0))
        .map_or(span, |part| part.min(span))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_follow_class_and_attempt() {
        let policy = Policy::default();
        let millis = |class, attempts, fraction, asked: Option<u64>| {
            policy.delay(class, attempts, fraction, asked.map(Duration::from_millis)).as_millis()
        };
        assert_eq!(millis(Class::Throttled, 1, 1.0, None), 1_000);
        assert_eq!(millis(Class::Throttled, 1, 0.0, None), 0);
        assert_eq!(millis(Class::Throttled, 5, 1.0, None), 16_000);
        assert_eq!(millis(Class::Throttled, 6, 1.0, None), 20_000);
        assert_eq!(millis(Class::Throttled, 255, 1.0, None), 20_000);
        assert_eq!(millis(Class::NotReady, 0, 1.0, None), 1_000);
        assert_eq!(millis(Class::NotReady, 9, 1.0, None), 30_000);
        assert_eq!(millis(Class::Unknown, 1, 1.0, None), 100);
        assert_eq!(millis(Class::NotSent, 4, 1.0, None), 800);
        assert_eq!(millis(Class::Failed, 2, 0.5, None), 100);
        assert_eq!(millis(Class::TooLarge, 3, 1.0, None), 0);
        assert_eq!(millis(Class::Throttled, 1, 0.5, Some(0)), 500);
        assert_eq!(millis(Class::Throttled, 1, 0.5, Some(2_000)), 2_000);
        assert_eq!(millis(Class::Throttled, 1, 0.5, Some(u64::MAX)), 5_500);
    }

    #[test]
    fn each_kind_of_wait_is_a_setting_of_its_own() {
        let backoff = |secs| {
            let span = Duration::from_secs(secs);
            Backoff::new(span, span).unwrap()
        };
        let policy = Policy::default()
            .with_not_ready(backoff(2))
            .with_throttled(backoff(3))
            .with_transient(backoff(4));
        for (class, secs) in [
            (Class::Failed, 4),
            (Class::NotReady, 2),
            (Class::NotSent, 4),
            (Class::Throttled, 3),
            (Class::Unknown, 4),
        ] {
            assert_eq!(policy.delay(class, 1, 1.0, None), Duration::from_secs(secs), "{class}");
        }
    }

    #[test]
    fn no_span_and_no_fraction_is_too_much() {
        let longest = Backoff::new(Duration::MAX, Duration::MAX).unwrap();
        let policy = Policy::default().with_throttled(longest);
        let asked = Some(Duration::MAX);
        for (fraction, wait) in [
            (1.0, Duration::MAX),
            (f64::INFINITY, Duration::MAX),
            (0.0, Duration::ZERO),
            (-1.0, Duration::ZERO),
            (f64::NAN, Duration::ZERO),
        ] {
            assert_eq!(policy.delay(Class::Throttled, 9, fraction, None), wait, "{fraction}");
            let wait = wait.saturating_add(Duration::from_secs(5));
            assert_eq!(policy.delay(Class::Throttled, 9, fraction, asked), wait, "{fraction}");
        }
    }

    #[test]
    fn a_backoff_has_a_base_below_its_cap() {
        let second = Duration::from_secs(1);
        assert!(Backoff::new(second, second).is_ok());
        assert!(Backoff::new(Duration::ZERO, second).is_err());
        let error = Backoff::new(second, second / 2).unwrap_err();
        let text = "a backoff's base is longer than 0 and at most its cap, not 1s of 500ms";
        assert_eq!(error.to_string(), text);
    }

    #[test]
    fn waits_end_on_halves_of_the_base() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(3)).unwrap();
        assert_eq!(backoff.step(), Duration::from_millis(500));
    }
}
