//! What a run is made of: settings, shape of the load, and how often what goes wrong.

use core::num::{NonZeroU8, NonZeroUsize};
use core::ops::RangeInclusive;
use core::time::Duration;

use firehose_proto::producer::Config;
use firehose_proto::retry::{Backoff, Policy};
use firehose_proto::{Limits, StreamName};

use crate::random::{SplitMix64, mix};

/// How often what goes wrong, each from 0 to 1.
///
/// ```
/// use firehose_mock::sim::Rates;
///
/// let mut rates = Rates::default();
/// rates.refuse = 0.1;
/// assert_ne!(rates, Rates::default());
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Rates {
    /// Of records: `ServiceUnavailableException`.
    pub refuse: f64,
    /// Of records: `InternalFailure`.
    pub internal: f64,
    /// Of requests: lost before the service, and known to be.
    pub not_sent: f64,
    /// Of requests: not sent for want of something outside, credentials say.
    pub not_ready: f64,
    /// Of requests: lost before the service, with silence or without knowing.
    pub lost: f64,
    /// Of requests: taken, and the answer lost.
    pub cut: f64,
    /// Of requests: taken, and the answer comes when nobody waits for it any more.
    pub late: f64,
    /// Of requests: an error that passes, taken or not where the error leaves that open.
    pub fault: f64,
    /// Of requests: an error that does not pass, or one for size.
    pub deny: f64,
    /// Of requests: not sent, because none ever can be.
    pub unsendable: f64,
    /// Of requests: an answer of success that is wrong.
    pub wrong: f64,
}

/// What is done in a run, and what goes wrong.
///
/// ```
/// use firehose_mock::sim::{Plan, Rates, Sim};
///
/// let mut rates = Rates::default();
/// rates.cut = 0.5;
/// let plan = Plan::new(3, 100, 8..=40).with_rates(rates);
/// let figures = Sim::run(&plan)?;
/// assert_eq!((figures.records, figures.delivered), (100, 100));
/// # Ok::<(), firehose_mock::sim::Violation>(())
/// ```
#[derive(Clone, Debug)]
pub struct Plan {
    pub(super) seed: u64,
    pub(super) config: Config,
    pub(super) records: usize,
    pub(super) record_bytes: RangeInclusive<usize>,
    pub(super) rates: Rates,
    /// The length of the ids that the service gives; the real one's have 224 bytes.
    pub(super) record_id_bytes: usize,
    /// The service refuses requests with more data than this.
    pub(super) size_bound: Option<usize>,
    /// How long a request and its answer take, in microseconds.
    pub(super) latency: RangeInclusive<u64>,
    /// How many records are pushed at once, and how long it takes until the next are.
    pub(super) burst: usize,
    pub(super) burst_gap: u64,
    /// How much too late the producer may be woken.
    pub(super) lag: u64,
    /// After so many records everything is given up.
    pub(super) abandon_after: Option<usize>,
    /// The faults last until everything is decided.
    pub(super) is_stormy_to_the_end: bool,
    /// After each burst the producer is flushed with this probability.
    pub(super) flush: f64,
}

impl Plan {
    /// Makes a run without faults, of the default settings.
    pub fn new(seed: u64, records: usize, record_bytes: RangeInclusive<usize>) -> Self {
        Self {
            seed,
            config: Config::new(stream()),
            records,
            record_bytes,
            rates: Rates::default(),
            record_id_bytes: 11,
            size_bound: None,
            latency: 5_000..=50_000,
            burst: 500,
            burst_gap: 1_000,
            lag: 0,
            abandon_after: None,
            is_stormy_to_the_end: true,
            flush: 0.0,
        }
    }

    /// Sets the settings of the producer.
    #[must_use]
    pub fn with_config(mut self, config: Config) -> Self {
        self.config = config;
        self
    }

    /// Sets how often what goes wrong.
    #[must_use]
    pub fn with_rates(mut self, rates: Rates) -> Self {
        self.rates = rates;
        self
    }

    /// Draws a run: some are without faults, some brutal; some are of many small records, some of a
    /// few in odd shapes.
    pub fn draw(seed: u64) -> Self {
        let mut draw = Draw { random: SplitMix64::new(mix(seed)) };
        let shape = if draw.chance(0.6) { draw.bulk() } else { draw.oddity() };
        let Shape { records, records_max, record_bytes, buffer_bytes, burst } = shape;
        let record_bytes_max = *record_bytes.end();
        let mut plan = Self::new(seed, records, record_bytes);
        plan.rates = draw.rates();
        plan.config =
            draw.config(records_max, record_bytes_max).with_buffer_bytes_max(buffer_bytes);
        if draw.chance(0.15) {
            let request_bytes = records_max * record_bytes_max / 2;
            let bound = request_bytes / draw.between(2, 6);
            plan.size_bound = Some(bound.max(record_bytes_max + 3));
        }
        let latency = draw.pick(&[100, 5_000, 20_000, 300_000]);
        plan.latency = latency..=latency * draw.pick(&[1, 2, 10]);
        plan.burst = burst;
        plan.burst_gap = draw.pick(&[0, 100, 5_000, 200_000]);
        plan.lag = draw.pick(&[0, 0, 0, 3_000]);
        plan.record_id_bytes = draw.pick(&[11, 11, 11, 11, 11, 11, 30, 224]);
        plan.is_stormy_to_the_end = draw.chance(0.3);
        plan.flush = draw.pick(&[0.0, 0.0, 0.02, 0.5]);
        if draw.chance(0.05) {
            plan.abandon_after = Some(draw.between(1, records));
        }
        plan
    }

    /// Returns the seed of the run.
    pub fn seed(&self) -> u64 {
        self.seed
    }
}

/// What is pushed, and into what.
struct Shape {
    records: usize,
    records_max: usize,
    record_bytes: RangeInclusive<usize>,
    buffer_bytes: usize,
    burst: usize,
}

struct Draw {
    random: SplitMix64,
}

impl Draw {
    fn between(&mut self, min: usize, max: usize) -> usize {
        min + self.random.below(max - min + 1)
    }

    fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.between(0, choices.len() - 1)]
    }

    fn chance(&mut self, rate: f64) -> bool {
        self.random.fraction() < rate
    }

    /// Many small records in large requests.
    fn bulk(&mut self) -> Shape {
        let records_max = self.pick(&[500, 500, 300, 100]);
        Shape {
            records: self.between(5_000, 30_000),
            records_max,
            record_bytes: 8..=self.pick(&[8, 24, 40]),
            buffer_bytes: self.pick(&[100_000, 200_000, 1_000_000]),
            burst: self.pick(&[100, 500, 2_000]),
        }
    }

    /// A few records of any shape.
    fn oddity(&mut self) -> Shape {
        let records_max = self.pick(&[500, 100, 20, 3, 2, 1]);
        let (min, max) = self.pick(&[(8, 40), (8, 40), (24, 24), (8, 200), (100, 3_000)]);
        Shape {
            records: self.between(1, 400),
            records_max,
            record_bytes: min..=max,
            buffer_bytes: self.pick(&[32 * 1_024 * 1_024, 100_000, 3_000, 500, 0]),
            burst: self.pick(&[1, 7, 100]),
        }
    }

    fn rates(&mut self) -> Rates {
        let mut rates = Rates::default();
        let brutality = self.pick(&[0, 1, 1, 1, 2, 2, 2, 3]);
        let top = [0.0, 0.4, 0.08, 0.25][brutality];
        let kinds = [
            &mut rates.refuse,
            &mut rates.internal,
            &mut rates.not_sent,
            &mut rates.lost,
            &mut rates.cut,
            &mut rates.late,
            &mut rates.fault,
            &mut rates.wrong,
        ];
        let only = self.between(0, kinds.len() - 1);
        for (index, rate) in kinds.into_iter().enumerate() {
            if brutality != 1 || index == only {
                *rate = self.random.fraction() * top;
            }
        }
        if brutality > 0 && self.chance(0.3) {
            rates.deny = self.random.fraction() * 0.05;
        }
        rates.not_ready = rates.not_sent / 4.0;
        rates.unsendable = rates.deny / 4.0;
        rates
    }

    fn config(&mut self, records_max: usize, record_bytes_max: usize) -> Config {
        let request_bytes = if self.chance(0.2) {
            record_bytes_max * self.between(1, records_max)
        } else {
            4 * 1_024 * 1_024
        };
        let limits = Limits::default()
            .with_records_max(records_max)
            .and_then(|limits| limits.with_record_bytes_max(record_bytes_max))
            .and_then(|limits| limits.with_request_bytes_max(request_bytes))
            .expect("what is drawn is within what the service allows");
        let attempts = self.pick(&[10, 10, 10, 5, 3, 2, 1, 255]);
        let in_flight = self.between(1, 8);
        let millis = Duration::from_millis;
        Config::new(stream())
            .with_limits(limits)
            .with_policy(self.policy().with_attempts_max(nonzero(attempts)))
            .with_in_flight_max(NonZeroUsize::new(in_flight).unwrap_or(NonZeroUsize::MIN))
            .with_linger(millis(self.pick(&[0, 1, 20, 100, 100])))
            .with_request_timeout(millis(self.pick(&[60_000, 5_000, 500, 100])))
            .with_record_ttl(
                self.pick(&[None, None, None, None, Some(5), Some(300), Some(20_000)]).map(millis),
            )
            .with_throttle_notice(millis(self.pick(&[10_000, 500, 0])))
    }

    fn policy(&mut self) -> Policy {
        let mut backoff = || {
            let base = Duration::from_micros(self.pick(&[1, 50_000, 100_000, 1_000_000]));
            Backoff::new(base, base * self.pick(&[1, 8, 200]))
        };
        match (backoff(), backoff()) {
            (Ok(throttled), Ok(transient)) => {
                Policy::default().with_throttled(throttled).with_transient(transient)
            }
            (Err(_), _) | (_, Err(_)) => Policy::default(),
        }
    }
}

fn nonzero(number: u8) -> NonZeroU8 {
    NonZeroU8::new(number).unwrap_or(NonZeroU8::MIN)
}

fn stream() -> StreamName {
    StreamName::new("simulated").expect("a legal name")
}
