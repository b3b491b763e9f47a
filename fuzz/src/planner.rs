//! The layer of retries alone: how attempts end, what that means for a record, and how long it
//! waits.
//!
//! The first bytes choose the policy and the seed; then each operation ends an attempt of one
//! record after the other, until it may not go again. The model knows the classes as a table and
//! computes waits in whole nanoseconds.

use core::num::NonZeroU8;
use core::time::Duration;

use firehose_proto::retry::{Backoff, Class, Failure, Jitter, Policy};
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::{Response, Scratch};

use crate::input::Input;

/// The most by which a wait that the service asks for may exceed the planned one.
const EXTRA_NANOS_MAX: u128 = 5_000_000_000;

/// More attempts than these are not taken from one input.
const STEPS_MAX: usize = 2_048;

/// Ends attempts as the bytes say, and holds what is planned then against a model.
///
/// # Panics
///
/// If a class means something else than its table says, if a wait is longer or shorter than
/// allowed, if waits do not grow up to their cap, or if the same seed gives other waits.
pub fn planner(data: &[u8]) {
    let waits = life(data);
    assert_eq!(waits, life(data), "the same seed gives other waits");
}

fn life(data: &[u8]) -> Vec<Duration> {
    let mut input = Input::new(data);
    let input = &mut input;
    let attempts_max = NonZeroU8::new(input.byte()).unwrap_or(NonZeroU8::MAX);
    let policy = Policy::default().with_attempts_max(attempts_max);
    let [mut throttled, mut transient] = [Growth::THROTTLED, Growth::TRANSIENT];
    let policy = throttled.choose(input).map_or(policy, |growth| policy.with_throttled(growth));
    let policy = transient.choose(input).map_or(policy, |growth| policy.with_transient(growth));
    assert_eq!(policy.attempts_max(), attempts_max);

    let seed = u64::from(input.byte()) * 0x0101_0101_0101_0101;
    let (mut jitter, mut random) = (Jitter::new(seed), Random { state: seed });
    let mut waits = Vec::new();
    let mut attempts = 0_u8;
    for _ in 0..STEPS_MAX {
        if input.is_empty() {
            break;
        }
        let (class, asked) = end(input);
        attempts += 1;
        let growth = if class == Class::Throttled { throttled } else { transient };
        let fraction = fraction(input, &mut jitter, &mut random);
        let wait = policy.delay(class, attempts, fraction, asked);
        growth.check(policy.backoff(class), class, attempts);
        check_wait(wait, class, growth.ceiling(attempts), fraction, asked);
        waits.push(wait);
        let goes_again = class.is_retryable() && attempts < policy.attempts_max().get();
        attempts = if goes_again { attempts } else { 0 };
    }
    waits
}

/// Draws the random part of a wait, or now and then takes another, which may be none.
fn fraction(input: &mut Input<'_>, jitter: &mut Jitter, random: &mut Random) -> f64 {
    match input.below(16) {
        0 => 0.0,
        1 => 1.0,
        2 => {
            f64::from_bits(input.take(8).iter().fold(0, |bits, byte| bits << 8 | u64::from(*byte)))
        }
        _ => {
            let (drawn, expected) = (jitter.fraction(), random.fraction());
            assert!((0.0..1.0).contains(&drawn) && drawn == expected, "{drawn}, not {expected}");
            drawn
        }
    }
}

/// Ends an attempt: what that means, and how long the service asks to wait.
fn end(input: &mut Input<'_>) -> (Class, Option<Duration>) {
    let (class, asked) = match input.below(3) {
        0 => {
            let (failure, expected) = input.pick(FAILURES);
            let class = Class::of_failure(failure);
            assert_eq!(class, expected);
            (class, None)
        }
        1 => {
            let (code, expected) = input.pick(ENTRIES);
            let class = Class::of_entry(code);
            assert_eq!(class, expected, "{code}");
            (class, None)
        }
        _ => {
            let (status, code, expected) = input.pick(FAULTS);
            let response =
                Response::new(status, Vec::new()).with_header("x-amzn-errortype", code.as_bytes());
            let (response, asked) = with_wait(input, response);
            let fault = Fault::read(response, &mut Scratch::new());
            assert_eq!(fault.retry_after(), asked);
            let class = Class::of_fault(&fault);
            assert_eq!(class, expected, "{fault}");
            (class, asked)
        }
    };
    let (_, is_retryable, may_be_stored) =
        MEANINGS.iter().find(|(known, ..)| *known == class).expect("all classes are in the table");
    assert_eq!(class.is_retryable(), *is_retryable, "{class}");
    assert_eq!(class.may_be_stored(), *may_be_stored, "{class}");
    (class, asked)
}

/// Lets the service ask for a wait, in a way that means something or not.
fn with_wait(input: &mut Input<'_>, response: Response) -> (Response, Option<Duration>) {
    let number = input.take(8).iter().fold(0, |sum, byte| sum << 8 | u64::from(*byte));
    let (name, value, millis) = match input.below(6) {
        0 => ("X-Amz-Retry-After", number.to_string(), 1),
        1 => ("retry-after", number.to_string(), 1_000),
        2 => ("x-amz-retry-after", format!("-{number}"), 1),
        3 => ("x-amz-retry-after", format!("{number}999999"), 1),
        4 => ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT".to_owned(), 1_000),
        _ => ("x-other", number.to_string(), 0),
    };
    // A number that 64 bits do not hold says nothing.
    let number = value.parse().ok().and_then(|number: u128| u64::try_from(number).ok());
    let asked = match millis {
        1 => number.map(Duration::from_millis),
        1_000 => number.map(Duration::from_secs),
        _ => None,
    };
    (response.with_header(name, value.as_bytes()), asked)
}

/// How waits grow, in whole nanoseconds.
#[derive(Clone, Copy)]
struct Growth {
    base: u128,
    cap: u128,
}

impl Growth {
    const THROTTLED: Self = Self { base: 1_000_000_000, cap: 20_000_000_000 };
    const TRANSIENT: Self = Self { base: 100_000_000, cap: 20_000_000_000 };

    /// Chooses a base and a cap; `None` and no change if there can be no such growth.
    fn choose(&mut self, input: &mut Input<'_>) -> Option<Backoff> {
        let (base, cap) = (span(input), span(input));
        let backoff = Backoff::new(base, cap);
        let is_legal = !base.is_zero() && base <= cap;
        assert_eq!(backoff.is_ok(), is_legal, "{base:?} up to {cap:?}");
        if is_legal {
            *self = Self { base: base.as_nanos(), cap: cap.as_nanos() };
        }
        backoff.ok()
    }

    /// The base, doubled with each attempt but the first, at most 31 times and up to the cap.
    fn ceiling(self, attempts: u8) -> u128 {
        (1..attempts).take(31).fold(self.base, |ceiling, _| (2 * ceiling).min(self.cap))
    }

    fn check(self, backoff: Backoff, class: Class, attempts: u8) {
        let ceiling = backoff.ceiling(attempts).as_nanos();
        assert_eq!(ceiling, self.ceiling(attempts), "{class} after {attempts} attempts");
        assert!(ceiling <= self.cap);
        assert!(backoff.ceiling(attempts.saturating_add(1)).as_nanos() >= ceiling);
    }
}

fn check_wait(wait: Duration, class: Class, ceiling: u128, fraction: f64, asked: Option<Duration>) {
    let nanos = wait.as_nanos();
    if matches!(class, Class::Renew | Class::TooLarge) {
        assert_eq!(nanos, 0, "{class} has nothing to wait for");
        return;
    }
    // A double has 53 bits, of which rounding takes some.
    let slack = 2 + (ceiling >> 48);
    let planned = scaled(ceiling, fraction);
    let least = asked.map_or(planned, |asked| {
        asked.as_nanos().clamp(planned, planned.saturating_add(EXTRA_NANOS_MAX))
    });
    let least = least.min(Duration::MAX.as_nanos());
    assert!(
        nanos.abs_diff(least) <= slack,
        "{wait:?} of {ceiling} ns × {fraction}, asked {asked:?}"
    );
    if asked.is_none() {
        assert!(nanos <= ceiling, "{wait:?} is longer than {ceiling} ns");
    }
}

/// Multiplies by a fraction; what is none counts as the nearest, and no number as 0.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to 2⁶⁰")]
fn scaled(nanos: u128, fraction: f64) -> u128 {
    const ONE: u128 = 1 << 60;
    if fraction >= 1.0 {
        return nanos;
    }
    // Below 2⁻⁶⁰ the product is less than the slack.
    let parts = if fraction > 0.0 { (fraction * ONE as f64) as u128 } else { 0 };
    let (whole, rest) = (nanos / ONE, nanos % ONE);
    whole * parts + rest * parts / ONE
}

/// Chooses a span, from none to the longest there is.
fn span(input: &mut Input<'_>) -> Duration {
    let unit = input.pick(&[
        Duration::from_millis(10),
        Duration::from_nanos(1),
        Duration::from_micros(1),
        Duration::from_secs(1),
        Duration::from_secs(1 << 32),
        Duration::MAX,
    ]);
    unit.saturating_mul(u32::from(input.byte()))
}

/// SplitMix64 as its paper writes it, in numbers that cannot overflow.
struct Random {
    state: u64,
}

impl Random {
    fn number(&mut self) -> u64 {
        const MODULUS: u128 = 1 << 64;
        let state = (u128::from(self.state) + 0x9e37_79b9_7f4a_7c15) % MODULUS;
        let mixed = (state ^ (state >> 30)) * 0xbf58_476d_1ce4_e5b9 % MODULUS;
        let mixed = (mixed ^ (mixed >> 27)) * 0x94d0_49bb_1331_11eb % MODULUS;
        let narrow = |number| u64::try_from(number).expect("less than the modulus");
        self.state = narrow(state);
        narrow(mixed ^ (mixed >> 31))
    }

    fn fraction(&mut self) -> f64 {
        (self.number() / (1 << 11)) as f64 / (1_u64 << 53) as f64
    }
}

/// Each class: whether its records may go again, and whether they may be stored.
const MEANINGS: [(Class, bool, bool); 8] = [
    (Class::Failed, true, false),
    (Class::NotSent, true, false),
    (Class::Rejected, false, false),
    (Class::Renew, true, false),
    (Class::StreamRejected, false, false),
    (Class::Throttled, true, false),
    (Class::TooLarge, true, false),
    (Class::Unknown, true, true),
];

const FAILURES: &[(Failure, Class)] =
    &[(Failure::NotSent, Class::NotSent), (Failure::OutcomeUnknown, Class::Unknown)];

const ENTRIES: &[(&str, Class)] = &[
    ("ServiceUnavailableException", Class::Throttled),
    ("InternalFailure", Class::Unknown),
    ("SlowDown", Class::Throttled),
    ("Odd", Class::Failed),
    ("", Class::Failed),
    ("ValidationException", Class::Failed),
];

const FAULTS: &[(u16, &str, Class)] = &[
    (503, "ServiceUnavailableException", Class::Throttled),
    (503, "", Class::Unknown),
    (500, "InternalFailure", Class::Unknown),
    (400, "ThrottlingException", Class::Throttled),
    (400, "ValidationException", Class::Rejected),
    (400, "Odd", Class::Rejected),
    (400, "ResourceNotFoundException", Class::StreamRejected),
    (403, "ExpiredTokenException", Class::Renew),
    (413, "", Class::TooLarge),
    (429, "", Class::Throttled),
    (301, "", Class::StreamRejected),
    (408, "", Class::Unknown),
];
