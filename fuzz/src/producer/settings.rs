//! The settings of a producer, chosen by fuzzed bytes.

use core::num::{NonZeroU8, NonZeroUsize};
use core::time::Duration;

use firehose_proto::Limits;
use firehose_proto::producer::Config;
use firehose_proto::retry::Policy;

use crate::input::Input;

pub(super) const STREAM: &str = "demo";

/// The longest wait of the default policy, with what the service may add to it, and the rounding.
pub(super) const DELAY_MAX: Duration = Duration::from_secs(26);

/// Reads settings of which most make something happen soon.
pub(super) fn config(input: &mut Input<'_>) -> Config {
    let records_max = input.pick(&[500, 1, 2, 3, 10]);
    let record_bytes = input.pick(&[64, 3, 16, 1_000]);
    let spare = input.pick(&[0, 10, 100, 100_000]);
    let limits = Limits::default().with_records_max(records_max);
    let limits = limits.and_then(|limits| limits.with_record_bytes_max(record_bytes));
    let limits = limits.and_then(|limits| limits.with_request_bytes_max(record_bytes + spare));
    let attempts = NonZeroU8::new(input.pick(&[10, 1, 2, 3])).unwrap_or(NonZeroU8::MIN);
    let in_flight = NonZeroUsize::new(input.pick(&[4, 1, 2, 3])).unwrap_or(NonZeroUsize::MIN);
    Config::new(STREAM.parse().expect("a legal name"))
        .with_limits(limits.expect("within what the service allows"))
        .with_policy(Policy::default().with_attempts_max(attempts))
        .with_in_flight_max(in_flight)
        .with_linger(Duration::from_millis(input.pick(&[100, 0, 5, u64::MAX])))
        .with_buffer_bytes_max(input.pick(&[32 * 1_024 * 1_024, 0, 100, 1_000]))
        .with_request_timeout(Duration::from_millis(input.pick(&[60_000, 0, 10, 1_000])))
        .with_record_ttl(
            input
                .pick(&[None, Some(0), Some(50), Some(2_000), Some(30_000)])
                .map(Duration::from_millis),
        )
        .with_throttle_notice(Duration::from_millis(input.pick(&[10_000, 0, 100])))
}
