//! Random numbers from a seed, for waits that do not fall together.

/// A source of numbers that look random and depend on the seed alone (SplitMix64).
///
/// ```
/// use firehose_proto::retry::Jitter;
///
/// let (mut a, mut b) = (Jitter::new(7), Jitter::new(7));
/// assert_eq!(a.fraction(), b.fraction());
/// assert!(a.fraction() < 1.0);
/// ```
#[derive(Clone, Debug)]
pub struct Jitter {
    state: u64,
}

impl Jitter {
    /// Makes the source that belongs to `seed`.
    pub const fn new(seed: u64) -> Self {
        Self { state: seed }
    }

    /// Returns the next number.
    pub const fn number(&mut self) -> u64 {
        self.state = self.state.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.state;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Returns the next number in `0.0..1.0`.
    #[expect(clippy::cast_precision_loss, reason = "53 bits fit a double")]
    pub const fn fraction(&mut self) -> f64 {
        const BITS: u32 = 53;
        (self.number() >> (u64::BITS - BITS)) as f64 / (1_u64 << BITS) as f64
    }
}
