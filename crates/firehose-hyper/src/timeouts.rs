//! How long each phase of an attempt may take. hyper has no time-outs of its own: all are here.

use core::fmt;
use core::time::Duration;

use tokio::time::Instant;

/// The instant by which an attempt must have ended, as an extension of its request.
///
/// Without it an attempt is bounded by [`Timeouts::attempt`].
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use firehose_hyper::AttemptDeadline;
/// use tokio::time::Instant;
///
/// let mut request = http::Request::post("/").body(Bytes::new())?;
/// let deadline = AttemptDeadline(Instant::now() + Duration::from_secs(10));
/// request.extensions_mut().insert(deadline);
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Ord, PartialEq, PartialOrd)]
pub struct AttemptDeadline(pub Instant);

/// How long each phase of an attempt may take.
///
/// A phase with *progress* in its name may take longer in all, as long as bytes keep moving.
///
/// ```
/// use std::time::Duration;
/// use firehose_hyper::Timeouts;
///
/// let timeouts = Timeouts::default().with_first_byte(Duration::from_secs(10));
/// assert_eq!(timeouts.first_byte(), Duration::from_secs(10));
/// assert_eq!(timeouts.connect(), Duration::from_secs(5));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct Timeouts {
    connect: Duration,
    handshake: Duration,
    write_progress: Duration,
    first_byte: Duration,
    read_progress: Duration,
    attempt: Duration,
    idle: Duration,
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(5),
            handshake: Duration::from_secs(5),
            write_progress: Duration::from_secs(15),
            first_byte: Duration::from_secs(30),
            read_progress: Duration::from_secs(15),
            attempt: Duration::from_secs(60),
            idle: IDLE_MAX,
        }
    }
}

impl Timeouts {
    /// Sets the time for name resolution and for connecting, all addresses together; 5 s.
    #[must_use]
    pub const fn with_connect(mut self, span: Duration) -> Self {
        self.connect = span;
        self
    }

    /// Sets the time for the TLS handshake, and for a proxy to open a tunnel; 5 s each.
    #[must_use]
    pub const fn with_handshake(mut self, span: Duration) -> Self {
        self.handshake = span;
        self
    }

    /// Sets the time in which at least one more byte of the request must leave; 15 s.
    #[must_use]
    pub const fn with_write_progress(mut self, span: Duration) -> Self {
        self.write_progress = span;
        self
    }

    /// Sets the time from the request's last byte to the answer's first; 30 s.
    #[must_use]
    pub const fn with_first_byte(mut self, span: Duration) -> Self {
        self.first_byte = span;
        self
    }

    /// Sets the time in which at least one more byte of the answer must come; 15 s.
    #[must_use]
    pub const fn with_read_progress(mut self, span: Duration) -> Self {
        self.read_progress = span;
        self
    }

    /// Sets the time for an attempt from start to end, if its request carries no
    /// [`AttemptDeadline`]; 60 s.
    #[must_use]
    pub const fn with_attempt(mut self, span: Duration) -> Self {
        self.attempt = span;
        self
    }

    /// Sets how long an unused connection is kept for the next request; 5 s, which is also the
    /// most: the service closes idle connections soon, and a request must not run into that.
    #[must_use]
    pub const fn with_idle(mut self, span: Duration) -> Self {
        let longer = span.as_nanos() > IDLE_MAX.as_nanos();
        self.idle = if longer { IDLE_MAX } else { span };
        self
    }

    /// Returns the time for name resolution and for connecting.
    pub const fn connect(&self) -> Duration {
        self.connect
    }

    /// Returns the time for the TLS handshake.
    pub const fn handshake(&self) -> Duration {
        self.handshake
    }

    /// Returns the time in which at least one more byte of the request must leave.
    pub const fn write_progress(&self) -> Duration {
        self.write_progress
    }

    /// Returns the time from the request's last byte to the answer's first.
    pub const fn first_byte(&self) -> Duration {
        self.first_byte
    }

    /// Returns the time in which at least one more byte of the answer must come.
    pub const fn read_progress(&self) -> Duration {
        self.read_progress
    }

    /// Returns the time for an attempt whose request carries no [`AttemptDeadline`].
    pub const fn attempt(&self) -> Duration {
        self.attempt
    }

    /// Returns how long an unused connection is kept.
    pub const fn idle(&self) -> Duration {
        self.idle
    }
}

/// The part of an attempt that a time-out ended.
///
/// ```
/// use firehose_hyper::Phase;
///
/// assert_ne!(Phase::Connect, Phase::FirstByte);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[non_exhaustive]
pub enum Phase {
    /// The name of the host was being resolved.
    Resolve,
    /// A connection was being made.
    Connect,
    /// The TLS handshake was going on.
    Handshake,
    /// A proxy was asked for a way to the peer.
    Proxy,
    /// Credentials were being loaded.
    Credentials,
    /// The request was being written.
    Write,
    /// The whole request was written, and no byte of an answer had come.
    FirstByte,
    /// The answer was being read.
    Read,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Resolve => "resolving the name of",
            Self::Connect => "connecting to",
            Self::Handshake => "in the TLS handshake with",
            Self::Proxy => "asking for a tunnel at the proxy",
            Self::Credentials => "loading credentials for",
            Self::Write => "writing the request to",
            Self::FirstByte => "waiting for the answer of",
            Self::Read => "reading the answer of",
        })
    }
}

/// Returns the instant `span` from now, but none later than `deadline`.
pub(crate) fn until(span: Duration, deadline: Instant) -> Instant {
    Instant::now().checked_add(span).map_or(deadline, |instant| instant.min(deadline))
}

/// Returns the instant `span` from now, or one in a far future if `span` is too long to count.
pub(crate) fn from_now(span: Duration) -> Instant {
    let now = Instant::now();
    now.checked_add(span).unwrap_or(now + FAR)
}

/// The longest that a connection may lie idle.
const IDLE_MAX: Duration = Duration::from_secs(5);

/// A year: longer than any attempt, and short enough to be added to any instant.
const FAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn idle_connections_are_never_kept_long() {
        let idle = |millis| Timeouts::default().with_idle(Duration::from_millis(millis)).idle();
        assert_eq!(idle(4_999), Duration::from_millis(4_999));
        assert_eq!(idle(5_001), Duration::from_secs(5));
    }

    #[tokio::test(start_paused = true)]
    async fn spans_too_long_to_count_do_no_harm() {
        let deadline = from_now(Duration::MAX);
        assert_eq!(until(Duration::MAX, deadline), deadline);
        assert_eq!(until(Duration::ZERO, deadline), Instant::now());
    }
}
