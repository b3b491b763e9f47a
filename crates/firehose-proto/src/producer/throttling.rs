//! Throttling that lasts, and the event that tells of it.

use core::fmt;
use core::time::Duration;

use crate::time::Instant;

/// Throttling that has lasted for some time: the stream's throughput is probably exceeded (R11).
///
/// ```
/// use firehose_proto::producer::{Event, Producer};
///
/// fn tell(event: Event) {
///     if let Event::Throttled(throttling) = event {
///         // "throttled for 12 s: 340 of 2000 records refused; …"
///         eprintln!("{throttling}");
///     }
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Throttling {
    /// When the first record of this stretch was refused.
    pub since: Instant,
    /// When this was noticed.
    pub until: Instant,
    /// The records that were refused in this stretch.
    pub refused: u64,
    /// The records that were answered in this stretch, the refused among them.
    pub answered: u64,
}

impl fmt::Display for Throttling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { since, until, refused, answered } = self;
        write!(
            f,
            "throttled for {} s: {refused} of {answered} records refused; the stream's throughput is \
             probably exceeded, send less or ask for a higher quota",
            until.since(*since).as_secs()
        )
    }
}

/// Watches for throttling that lasts.
#[derive(Debug)]
pub(super) struct ThrottleWatch {
    notice: Duration,
    stretch: Option<Throttling>,
    told_at: Instant,
}

impl ThrottleWatch {
    pub(super) fn new(notice: Duration) -> Self {
        Self { notice, stretch: None, told_at: Instant::default() }
    }

    /// Notes an answer, and returns what is to be told. An answer without a refused record ends the
    /// stretch.
    pub(super) fn answered(
        &mut self,
        now: Instant,
        records: usize,
        refused: usize,
    ) -> Option<Throttling> {
        if refused == 0 {
            self.stretch = None;
            return None;
        }
        if self.stretch.is_none() {
            self.told_at = now;
        }
        let fresh = Throttling { since: now, until: now, refused: 0, answered: 0 };
        let stretch = self.stretch.get_or_insert(fresh);
        stretch.until = now;
        stretch.refused += refused as u64;
        stretch.answered += records as u64;
        if now.since(self.told_at) < self.notice {
            return None;
        }
        self.told_at = now;
        Some(*stretch)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R11
    #[test]
    fn tells_of_throttling_that_lasts() {
        let mut watch = ThrottleWatch::new(Duration::from_secs(10));
        let at = |secs: u64| Instant::from_micros(secs * 1_000_000);
        assert_eq!(watch.answered(at(1), 500, 5), None);
        assert_eq!(watch.answered(at(10), 500, 5), None);
        let told = watch.answered(at(11), 500, 40).unwrap();
        assert_eq!((told.since, told.refused, told.answered), (at(1), 50, 1_500));
        assert!(told.to_string().starts_with("throttled for 10 s: 50 of 1500 records refused"));
        assert_eq!(watch.answered(at(12), 500, 1), None);
        assert!(watch.answered(at(21), 500, 1).is_some());
        assert_eq!(watch.answered(at(22), 500, 0), None);
        assert_eq!(watch.answered(at(40), 500, 1), None);
        assert!(watch.answered(at(50), 500, 1).is_some());
    }
}
