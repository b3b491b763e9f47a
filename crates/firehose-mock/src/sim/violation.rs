//! What a run breaks, in words.

use core::fmt;

/// A promise that the producer broke.
///
/// ```
/// use firehose_mock::sim::{Plan, Sim, Violation};
///
/// let result: Result<_, Violation> = Sim::run(&Plan::draw(1));
/// assert!(result.is_ok());
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Violation {
    pub(super) rule: &'static str,
    pub(super) what: String,
    pub(super) micros: u64,
    pub(super) seed: Option<u64>,
}

impl Violation {
    #[cold]
    pub(super) fn new(rule: &'static str, what: String) -> Self {
        Self { rule, what, micros: 0, seed: None }
    }

    /// Returns the name of the rule that was broken, one word.
    pub fn rule(&self) -> &'static str {
        self.rule
    }

    /// Returns the seed of the run, if it came from one.
    pub fn seed(&self) -> Option<u64> {
        self.seed
    }
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} broken after {} virtual microseconds: {}",
            self.rule, self.micros, self.what
        )?;
        if let Some(seed) = self.seed {
            let command = "cargo test -p firehose-tests --release --test sim -- replay";
            write!(f, " (replay it with: SIM_SEED={seed} {command})")?;
        }
        Ok(())
    }
}

impl core::error::Error for Violation {}

/// Breaks off with a [`Violation`] unless something holds.
macro_rules! ensure {
    ($holds:expr, $rule:literal, $($what:tt)+) => {
        if !$holds {
            return Err($crate::sim::violation::Violation::new($rule, format!($($what)+)));
        }
    };
}

pub(super) use ensure;
