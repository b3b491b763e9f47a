//! What a producer counts.

use serde::Serialize;

/// Counts since a producer was made, as plain integers.
///
/// At every moment `records_accepted` is the sum of `records_delivered`, the four kinds of
/// undelivered, and `records_undecided`.
///
/// ```
/// use firehose_proto::producer::Stats;
///
/// let stats = Stats::default();
/// assert_eq!(stats.records_undelivered(), 0);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Stats {
    /// Records that `push` accepted.
    pub records_accepted: u64,
    /// Bytes of data in those, before base64.
    pub bytes_accepted: u64,
    /// Records of which the service said that it stored them.
    pub records_delivered: u64,
    /// Delivered records that may be stored more than once.
    pub records_maybe_doubled: u64,
    /// Undelivered records that may be stored all the same.
    pub records_maybe_delivered: u64,
    /// Records given up because the producer was told to.
    pub records_abandoned: u64,
    /// Records given up after the last attempt that the policy allows.
    pub records_exhausted: u64,
    /// Records given up because their time was over.
    pub records_expired: u64,
    /// Records that the service refused for good.
    pub records_rejected: u64,
    /// Records that have no outcome yet.
    pub records_undecided: u64,
    /// Bytes that these take up, encoded.
    pub bytes_held: u64,
    /// Requests handed out to be sent.
    pub requests: u64,
    /// Requests handed out that are not decided yet.
    pub requests_in_flight: u64,
    /// Bytes in the bodies of all requests.
    pub body_bytes: u64,
    /// Records in all requests, one that goes again counting again.
    pub attempts: u64,
    /// Attempts that the service refused because it is asked too much of.
    pub attempts_throttled: u64,
    /// Attempts that the service failed for another reason that may pass.
    pub attempts_failed: u64,
    /// Attempts that may have stored the record and did not say so.
    pub attempts_unknown: u64,
    /// Attempts that never got as far as the service.
    pub attempts_not_sent: u64,
    /// Answers that were errors of the call.
    pub faults: u64,
    /// Answers of success that were not believed.
    pub replies_distrusted: u64,
    /// Answers whose `FailedPutCount` did not fit their entries.
    pub replies_inconsistent_count: u64,
    /// Answers that gave two records the same identifier.
    pub replies_duplicate_id: u64,
}

impl Stats {
    /// Returns how many records ended without being delivered.
    pub const fn records_undelivered(&self) -> u64 {
        self.records_abandoned
            + self.records_exhausted
            + self.records_expired
            + self.records_rejected
    }
}
