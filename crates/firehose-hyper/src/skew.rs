//! How far the clock of this machine is off, by the clock of the service.
//!
//! A signature is good for five minutes before and after its date. Each answer says what time it is
//! at the service; where that differs by more than four minutes, signatures are dated by it.

use core::sync::atomic::{AtomicI64, Ordering};
use core::time::Duration;
use std::time::SystemTime;

use http::HeaderMap;
use http::header::{AGE, DATE};

/// A smaller difference is none.
const SKEW_MIN_MILLIS: u64 = 4 * 60 * 1_000;

/// After a longer exchange nobody knows when its answer was dated.
const EXCHANGE_MAX: Duration = Duration::from_secs(15 * 60);

/// What is added to the time of this machine.
#[derive(Debug, Default)]
pub(crate) struct Skew {
    millis: AtomicI64,
}

/// A correction as it was at some time.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Offset {
    millis: i64,
}

impl Offset {
    /// Returns the time at the service when it is `local` here.
    pub(crate) fn correct(self, local: SystemTime) -> SystemTime {
        let span = Duration::from_millis(self.millis.unsigned_abs());
        let corrected =
            if self.millis < 0 { local.checked_sub(span) } else { local.checked_add(span) };
        corrected.unwrap_or(local)
    }

    /// Returns whether a signature with one correction is as good as one with the other.
    pub(crate) fn is_near(self, other: Self) -> bool {
        self.millis.abs_diff(other.millis) < SKEW_MIN_MILLIS
    }
}

impl Skew {
    /// Returns what is added at present.
    pub(crate) fn offset(&self) -> Offset {
        Offset { millis: self.millis.load(Ordering::Relaxed) }
    }

    /// Takes the date of an answer whose request was signed at `sent`, by the clock of this machine,
    /// and that took so long.
    pub(crate) fn learn(&self, headers: &HeaderMap, sent: SystemTime, took: Duration) {
        // An answer with an age comes out of a cache.
        if took > EXCHANGE_MAX || headers.contains_key(AGE) {
            return;
        }
        let text = headers.get(DATE).and_then(|value| value.to_str().ok());
        let there = text.and_then(|text| httpdate::parse_http_date(text).ok());
        let (Some(there), Some(here)) = (there, sent.checked_add(took / 2)) else { return };
        let (span, sign) = match there.duration_since(here) {
            Ok(ahead) => (ahead, 1),
            Err(behind) => (behind.duration(), -1),
        };
        let millis = i64::try_from(span.as_millis()).unwrap_or(i64::MAX) * sign;
        let millis = if millis.unsigned_abs() < SKEW_MIN_MILLIS { 0 } else { millis };
        self.millis.store(millis, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use std::time::UNIX_EPOCH;

    use http::HeaderValue;

    use super::*;

    const NOW: u64 = 1_795_462_245; // Mon, 23 Nov 2026 19:30:45 GMT

    fn at(secs: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(secs)
    }

    fn headers(secs: u64) -> HeaderMap {
        let text = httpdate::fmt_http_date(at(secs));
        HeaderMap::from_iter([(DATE, HeaderValue::try_from(text).unwrap())])
    }

    /// Checks what is learnt from an answer that took so many seconds: the correction after it.
    fn check(date: u64, sent: u64, took: u64, corrected: u64) {
        let skew = Skew::default();
        skew.learn(&headers(date), at(sent), Duration::from_secs(took));
        assert_eq!(skew.offset().correct(at(sent)), at(corrected));
        assert_eq!(skew.offset().is_near(Offset::default()), sent == corrected);
    }

    #[test]
    fn differences_of_four_minutes_and_more_are_corrected() {
        check(NOW, NOW, 0, NOW);
        check(NOW + 239, NOW, 0, NOW);
        check(NOW + 240, NOW, 0, NOW + 240);
        check(NOW - 239, NOW, 0, NOW);
        check(NOW - 240, NOW, 0, NOW - 240);
        check(NOW + 86_400, NOW, 0, NOW + 86_400);
        // The answer was dated half way: 300 s ahead of the start, 200 s ahead of the middle.
        check(NOW + 300, NOW, 200, NOW);
        check(NOW + 900, NOW, 900, NOW + 450);
        check(NOW + 90_000, NOW, 901, NOW);
    }

    #[test]
    fn a_clock_that_is_set_right_is_believed_again() {
        let skew = Skew::default();
        skew.learn(&headers(NOW + 600), at(NOW), Duration::ZERO);
        let wrong = skew.offset();
        skew.learn(&headers(NOW + 601), at(NOW), Duration::ZERO);
        assert!(skew.offset().is_near(wrong));
        skew.learn(&headers(NOW + 602), at(NOW + 602), Duration::ZERO);
        assert!(!skew.offset().is_near(wrong));
        assert_eq!(skew.offset(), Offset::default());
    }

    #[test]
    fn dates_that_say_nothing_are_left_alone() {
        let skew = Skew::default();
        let mut aged = headers(NOW + 600);
        aged.insert(AGE, HeaderValue::from_static("1"));
        let odd = HeaderMap::from_iter([(DATE, HeaderValue::from_static("yesterday"))]);
        for headers in [aged, odd, HeaderMap::new()] {
            skew.learn(&headers, at(NOW), Duration::ZERO);
            assert_eq!(skew.offset(), Offset::default());
        }
    }
}
