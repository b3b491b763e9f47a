//! What goes wrong on purpose: at random with given rates, or step by step as a script says.
//!
//! Here is only what may happen; the service makes it happen.

use core::fmt;
use core::str::FromStr;

use crate::exchange::Answer;
use crate::random::SplitMix64;

/// A kind of fault that happens at random.
///
/// ```
/// use firehose_mock::{Fault, Faults};
///
/// let faults = Faults::none().with_rate(Fault::Refuse, 0.1)?;
/// assert_eq!(faults.rate(Fault::Refuse), 0.1);
/// # Ok::<(), firehose_mock::InvalidFaults>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "each kind has a word of its own in the text form")]
pub enum Fault {
    /// An entry fails with `ServiceUnavailableException`, "Slow down.": the word `refuse`.
    Refuse,
    /// An entry fails with `InternalFailure`: the word `internal`.
    Internal,
    /// The call is answered 503 `ServiceUnavailableException` and not taken: the word
    /// `unavailable`.
    Unavailable,
    /// The call is answered 500 `InternalFailure` and not taken: the word `fail`.
    Fail,
    /// The call is taken, and the connection closed without an answer: the word `cut`.
    Cut,
    /// The call is not taken, and the connection closed without an answer: the word `drop`.
    Drop,
}

impl Fault {
    /// Lists every kind, in the order of the text form.
    pub const ALL: [Self; 6] =
        [Self::Refuse, Self::Internal, Self::Unavailable, Self::Fail, Self::Cut, Self::Drop];

    /// Returns the word for this kind in the text form.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Refuse => "refuse",
            Self::Internal => "internal",
            Self::Unavailable => "unavailable",
            Self::Fail => "fail",
            Self::Cut => "cut",
            Self::Drop => "drop",
        }
    }

    const fn is_of_entry(self) -> bool {
        matches!(self, Self::Refuse | Self::Internal)
    }
}

/// How often what goes wrong: a rate for each kind of fault, and perhaps a seed.
///
/// The kinds exclude each other, so the rates of the two kinds for entries add up to 1 at most, and
/// so do those of the four kinds for calls.
///
/// ```
/// use firehose_mock::{Fault, Faults};
///
/// let faults: Faults = "refuse=0.1,unavailable=0.02,seed=7".parse()?;
/// assert_eq!(faults.rate(Fault::Refuse), 0.1);
/// assert_eq!(faults.seed(), Some(7));
/// assert_eq!(faults.to_string(), "refuse=0.1,unavailable=0.02,seed=7");
/// # Ok::<(), firehose_mock::InvalidFaults>(())
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Faults {
    rates: [f64; Fault::ALL.len()],
    seed: Option<u64>,
}

impl Faults {
    /// Makes faults that never happen; its text is `none`.
    pub const fn none() -> Self {
        Self { rates: [0.0; Fault::ALL.len()], seed: None }
    }

    /// Sets how often a kind of fault happens, 0 to 1.
    ///
    /// # Errors
    ///
    /// [`InvalidFaults::Rate`] if the rate is outside that range, [`InvalidFaults::Sum`] if it and
    /// the rates of the kinds that it excludes add up to more than 1.
    pub fn with_rate(mut self, fault: Fault, rate: f64) -> Result<Self, InvalidFaults> {
        if !(0.0..=1.0).contains(&rate) {
            return Err(InvalidFaults::Rate { word: fault.word(), rate });
        }
        self.rates[fault as usize] = rate;
        let alike = Fault::ALL.into_iter().filter(|k| k.is_of_entry() == fault.is_of_entry());
        let sum: f64 = alike.map(|kind| self.rate(kind)).sum();
        if sum > 1.0 + f64::EPSILON {
            return Err(InvalidFaults::Sum { word: fault.word(), sum });
        }
        Ok(self)
    }

    /// Sets the seed from which the faults are drawn, instead of the service's.
    #[must_use]
    pub const fn with_seed(mut self, seed: u64) -> Self {
        self.seed = Some(seed);
        self
    }

    /// Returns how often a kind of fault happens.
    pub const fn rate(&self, fault: Fault) -> f64 {
        self.rates[fault as usize]
    }

    /// Returns the seed, if one was given.
    pub const fn seed(&self) -> Option<u64> {
        self.seed
    }

    /// Draws what happens to a call.
    pub(crate) fn draw_call(&self, random: &mut SplitMix64) -> Option<Fault> {
        self.draw([Fault::Unavailable, Fault::Fail, Fault::Cut, Fault::Drop], random)
    }

    /// Draws what happens to an entry.
    pub(crate) fn draw_entry(&self, random: &mut SplitMix64) -> Option<EntryFault> {
        let fault = self.draw([Fault::Refuse, Fault::Internal], random)?;
        Some(if fault == Fault::Refuse { EntryFault::Unavailable } else { EntryFault::Internal })
    }

    fn draw<const N: usize>(&self, kinds: [Fault; N], random: &mut SplitMix64) -> Option<Fault> {
        let mut left = random.fraction();
        kinds.into_iter().find(|kind| {
            left -= self.rate(*kind);
            left < 0.0
        })
    }
}

impl fmt::Display for Faults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rates = Fault::ALL.into_iter().filter(|fault| self.rate(*fault) > 0.0);
        let mut parts: Vec<String> =
            rates.map(|fault| format!("{}={}", fault.word(), self.rate(fault))).collect();
        parts.extend(self.seed.map(|seed| format!("seed={seed}")));
        f.write_str(if parts.is_empty() { "none" } else { "" })?;
        f.write_str(&parts.join(","))
    }
}

impl FromStr for Faults {
    type Err = InvalidFaults;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let mut faults = Self::none();
        if text == "none" {
            return Ok(faults);
        }
        for part in text.split(',').map(str::trim).filter(|part| !part.is_empty()) {
            let unreadable = || InvalidFaults::Part { part: part.to_owned() };
            let (word, value) = part.split_once('=').ok_or_else(unreadable)?;
            if word == "seed" {
                faults.seed = Some(value.parse().map_err(|_| unreadable())?);
                continue;
            }
            let fault = Fault::ALL.into_iter().find(|fault| fault.word() == word);
            let rate = value.parse().map_err(|_| unreadable())?;
            faults = faults.with_rate(fault.ok_or_else(unreadable)?, rate)?;
        }
        Ok(faults)
    }
}

/// Why a text or a number does not say how often what goes wrong.
///
/// ```
/// use firehose_mock::{Faults, InvalidFaults};
///
/// let error = "refuse=2".parse::<Faults>().unwrap_err();
/// assert!(matches!(error, InvalidFaults::Rate { .. }));
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum InvalidFaults {
    /// A part of the text is not a known word with a number.
    Part {
        /// The part as it was given.
        part: String,
    },
    /// A rate is outside 0 to 1.
    Rate {
        /// The word of the fault.
        word: &'static str,
        /// The rate as it was given.
        rate: f64,
    },
    /// The rates of faults that exclude each other add up to more than 1.
    Sum {
        /// The word of the fault whose rate was too much.
        word: &'static str,
        /// The sum of the rates.
        sum: f64,
    },
}

impl fmt::Display for InvalidFaults {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Part { part } => write!(
                f,
                "cannot read the fault {part:?} (write refuse, internal, unavailable, fail, cut or \
                 drop, `=` and a rate from 0 to 1, or seed= and a whole number)"
            ),
            Self::Rate { word, rate } => {
                write!(f, "the rate of {word} is from 0 to 1, not {rate} (1 is always)")
            }
            Self::Sum { word, sum } => write!(
                f,
                "with {word} the rates of faults that exclude each other add up to {sum} (lower \
                 them to 1 at most)"
            ),
        }
    }
}

impl core::error::Error for InvalidFaults {}

/// How a single record of a request fails.
///
/// ```
/// use firehose_mock::EntryFault;
///
/// assert_eq!(EntryFault::Unavailable.code(), "ServiceUnavailableException");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum EntryFault {
    /// `InternalFailure`.
    Internal,
    /// Any code and message, such as no service was seen to send.
    Other {
        /// The error's code.
        code: String,
        /// The error's message.
        message: String,
    },
    /// `ServiceUnavailableException` with "Slow down.".
    Unavailable,
}

impl EntryFault {
    /// Returns the error's code as it stands in an entry.
    pub fn code(&self) -> &str {
        match self {
            Self::Internal => INTERNAL,
            Self::Other { code, .. } => code,
            Self::Unavailable => UNAVAILABLE,
        }
    }

    /// Returns the error's message as it stands in an entry.
    pub fn message(&self) -> &str {
        match self {
            Self::Internal => INTERNAL_MESSAGE,
            Self::Other { message, .. } => message,
            Self::Unavailable => SLOW_DOWN,
        }
    }

    /// Returns the status of the answer if the record was alone in a `PutRecord`.
    pub(crate) const fn status(&self) -> u16 {
        match self {
            Self::Internal | Self::Other { .. } => 500,
            Self::Unavailable => 503,
        }
    }
}

/// What a script says about one request.
///
/// ```
/// use firehose_mock::{EntryFault, Request, Service, Step, Streams};
///
/// let mut service = Service::new(Streams::Any, 1);
/// service.script([Step::Entries(vec![(1, EntryFault::Internal)]), Step::Take]);
/// let body = br#"{"DeliveryStreamName":"s","Records":[{"Data":""},{"Data":""}]}"#;
/// service.handle(Request::put_record_batch(body));
/// assert_eq!(service.ledger().totals().records_refused, 1);
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// The request is taken, and the connection is closed without an answer.
    CutAfter,
    /// The request is not taken, and the connection is closed without an answer.
    CutBefore,
    /// The records at these places, counted from 0, fail; the others are taken. Places that the
    /// request does not have are passed over.
    Entries(Vec<(usize, EntryFault)>),
    /// The request is not looked at, and this answer is given as it is.
    Raw(Answer),
    /// The request is not looked at, and an error is answered in the service's form.
    Status {
        /// The status of the answer.
        status: u16,
        /// The error's type.
        error_type: String,
        /// The error's message.
        message: String,
    },
    /// The request is taken without a fault.
    Take,
    /// The request is taken, and this answer is given as it is: what a service would say that lies.
    TakeThen(Answer),
}

pub(crate) const INTERNAL: &str = "InternalFailure";
pub(crate) const INTERNAL_MESSAGE: &str =
    "The request processing has failed because of an unknown error, exception or failure.";
pub(crate) const UNAVAILABLE: &str = "ServiceUnavailableException";
pub(crate) const SLOW_DOWN: &str = "Slow down.";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_are_read_and_written() {
        for (text, written) in [
            ("", "none"),
            ("none", "none"),
            ("seed=3", "seed=3"),
            (" drop=1 ,refuse=0.25,", "refuse=0.25,drop=1"),
            ("refuse=0.5,internal=0.5", "refuse=0.5,internal=0.5"),
            ("unavailable=.1,fail=1e-3,cut=0", "unavailable=0.1,fail=0.001"),
        ] {
            let faults: Faults = text.parse().unwrap();
            assert_eq!(faults.to_string(), written, "{text}");
            assert_eq!(written.parse::<Faults>(), Ok(faults), "{text}");
        }
    }

    #[test]
    fn bad_texts_say_what_is_wrong() {
        for (text, part) in [
            ("refuse", "cannot read the fault \"refuse\""),
            ("refused=0.1", "\"refused=0.1\""),
            ("refuse=0.1;cut=0.1", "\"refuse=0.1;cut=0.1\""),
            ("refuse=often", "\"refuse=often\""),
            ("seed=-1", "\"seed=-1\""),
            ("refuse=1.1", "the rate of refuse is from 0 to 1, not 1.1"),
            ("cut=-0.1", "the rate of cut is from 0 to 1"),
            ("cut=NaN", "the rate of cut is from 0 to 1"),
            ("cut=0.6,drop=0.6", "with drop the rates"),
            ("refuse=1,internal=0.1", "with internal the rates"),
        ] {
            let error = text.parse::<Faults>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn faults_come_as_often_as_asked() {
        let faults: Faults = "refuse=0.25,internal=0.05,unavailable=0.1,drop=0.3".parse().unwrap();
        let mut random = SplitMix64::new(1);
        let entries: Vec<_> = (0..10_000).map(|_| faults.draw_entry(&mut random)).collect();
        let calls: Vec<_> = (0..10_000).map(|_| faults.draw_call(&mut random)).collect();
        let entry = |fault| entries.iter().filter(|drawn| **drawn == fault).count();
        let call = |fault| calls.iter().filter(|drawn| **drawn == fault).count();
        for (count, around) in [
            (entry(Some(EntryFault::Unavailable)), 2_500),
            (entry(Some(EntryFault::Internal)), 500),
            (call(Some(Fault::Unavailable)), 1_000),
            (call(Some(Fault::Drop)), 3_000),
            (call(None), 6_000),
        ] {
            assert!(count.abs_diff(around) < 200, "{count} instead of {around}");
        }
        assert_eq!(call(Some(Fault::Cut)) + call(Some(Fault::Fail)), 0);
    }
}
