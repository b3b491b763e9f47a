//! The settings of a producer.

use core::num::NonZeroUsize;
use core::time::Duration;

use crate::ids::StreamName;
use crate::limits::Limits;
use crate::retry::Policy;

/// The settings of a [`Producer`](super::Producer); every value is one that it can work with.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::producer::Config;
///
/// let config = Config::new("demo".parse()?)
///     .with_linger(Duration::from_millis(20))
///     .with_record_ttl(Some(Duration::from_secs(300)));
/// assert_eq!(config.stream().as_str(), "demo");
/// assert_eq!(config.in_flight_max().get(), 4);
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Debug)]
pub struct Config {
    stream: StreamName,
    limits: Limits,
    policy: Policy,
    linger: Duration,
    in_flight_max: NonZeroUsize,
    buffer_bytes_max: usize,
    request_timeout: Duration,
    record_ttl: Option<Duration>,
    throttle_notice: Duration,
}

impl Config {
    /// Makes the default settings for a stream.
    pub fn new(stream: StreamName) -> Self {
        Self {
            stream,
            limits: Limits::default(),
            policy: Policy::default(),
            linger: Duration::from_millis(100),
            in_flight_max: NonZeroUsize::MIN.saturating_add(3),
            buffer_bytes_max: 16 * 1_024 * 1_024,
            request_timeout: Duration::from_secs(60),
            record_ttl: None,
            throttle_notice: Duration::from_secs(10),
        }
    }

    /// Sets what a request may carry. Default: what the service allows.
    #[must_use]
    pub fn with_limits(mut self, limits: Limits) -> Self {
        self.limits = limits;
        self
    }

    /// Sets how often a record is sent and how long it waits in between.
    #[must_use]
    pub fn with_policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Sets how long a record waits at most for others to fill its request. Default: 100 ms.
    #[must_use]
    pub fn with_linger(mut self, linger: Duration) -> Self {
        self.linger = linger;
        self
    }

    /// Sets how many requests may be under way at once. Default: 4.
    #[must_use]
    pub fn with_in_flight_max(mut self, requests: NonZeroUsize) -> Self {
        self.in_flight_max = requests;
        self
    }

    /// Sets how many bytes of undecided records, encoded, are held at most. Default: 16 MiB,
    /// three of the largest requests. More is of use where more of those are to be under way at
    /// once, or where pushes must not wait while the service does not answer.
    ///
    /// A single record is always taken when nothing else is held, whatever the number.
    #[must_use]
    pub fn with_buffer_bytes_max(mut self, bytes: usize) -> Self {
        self.buffer_bytes_max = bytes;
        self
    }

    /// Sets how long a request may take before its outcome counts as unknown. Default: 60 s, long
    /// enough for a large request on a slow line, since sending it again may double it (R12).
    #[must_use]
    pub fn with_request_timeout(mut self, timeout: Duration) -> Self {
        self.request_timeout = timeout;
        self
    }

    /// Sets how long after its push a record may still be sent. Default: without end.
    #[must_use]
    pub fn with_record_ttl(mut self, ttl: Option<Duration>) -> Self {
        self.record_ttl = ttl;
        self
    }

    /// Sets how long throttling lasts before an event tells of it, and how often one does then.
    /// Default: 10 s.
    #[must_use]
    pub fn with_throttle_notice(mut self, after: Duration) -> Self {
        self.throttle_notice = after;
        self
    }

    /// Returns the stream.
    pub fn stream(&self) -> &StreamName {
        &self.stream
    }

    /// Returns what a request may carry.
    pub fn limits(&self) -> Limits {
        self.limits
    }

    /// Returns how often a record is sent and how long it waits in between.
    pub fn policy(&self) -> Policy {
        self.policy
    }

    /// Returns how long a record waits at most for others to fill its request.
    pub fn linger(&self) -> Duration {
        self.linger
    }

    /// Returns how many requests may be under way at once.
    pub fn in_flight_max(&self) -> NonZeroUsize {
        self.in_flight_max
    }

    /// Returns how many bytes of undecided records, encoded, are held at most.
    pub fn buffer_bytes_max(&self) -> usize {
        self.buffer_bytes_max
    }

    /// Returns how long a request may take.
    pub fn request_timeout(&self) -> Duration {
        self.request_timeout
    }

    /// Returns how long after its push a record may still be sent.
    pub fn record_ttl(&self) -> Option<Duration> {
        self.record_ttl
    }

    /// Returns how long throttling lasts before an event tells of it.
    pub fn throttle_notice(&self) -> Duration {
        self.throttle_notice
    }
}
