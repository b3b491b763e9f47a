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

#[cfg(test)]
mod tests {
    use super::*;

    /// The first numbers of SplitMix64 as others publish them.
    #[test]
    fn numbers_are_those_of_splitmix64() {
        let mut jitter = Jitter::new(1_234_567);
        for number in [
            6_457_827_717_110_365_317,
            3_203_168_211_198_807_973,
            9_817_491_932_198_370_423,
            4_593_380_528_125_082_431,
            16_408_922_859_458_223_821,
        ] {
            assert_eq!(jitter.number(), number);
        }
    }

    #[test]
    fn fractions_are_the_upper_bits_of_numbers() {
        let (mut numbers, mut fractions) = (Jitter::new(7), Jitter::new(7));
        for _ in 0..100 {
            let (number, fraction) = (numbers.number(), fractions.fraction());
            assert!((0.0..1.0).contains(&fraction));
            let upper = fraction * 2_f64.powi(53);
            assert_eq!(format!("{upper}"), (number >> 11).to_string());
        }
    }
}
