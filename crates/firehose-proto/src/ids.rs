//! Names and numbers that tell things apart: streams, records, requests.

use core::fmt;
use core::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::STREAM_NAME_BYTES_MAX;

/// The name of a Firehose stream: 1 to 64 characters of `[a-zA-Z0-9_.-]` (R4).
///
/// None of these characters needs an escape in JSON, so a name that exists can be written into a
/// request as it is.
///
/// ```
/// use firehose_proto::StreamName;
///
/// let name: StreamName = "logs.web-1".parse()?;
/// assert_eq!(name.as_str(), "logs.web-1");
/// assert!("arn:aws:firehose".parse::<StreamName>().is_err());
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(try_from = "String", into = "String")]
pub struct StreamName(Box<str>);

impl StreamName {
    /// Checks a name and takes it.
    ///
    /// # Errors
    ///
    /// [`InvalidStreamName`] says what is wrong with it: empty, too long, or a character that the
    /// service does not allow.
    pub fn new(name: &str) -> Result<Self, InvalidStreamName> {
        if name.is_empty() {
            return Err(InvalidStreamName::Empty);
        }
        if let Some(found) = name.chars().find(|c| !is_name_char(*c)) {
            return Err(InvalidStreamName::Character { found });
        }
        if name.len() > STREAM_NAME_BYTES_MAX {
            return Err(InvalidStreamName::TooLong { bytes: name.len() });
        }
        Ok(Self(name.into()))
    }

    /// Returns the name as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_name_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '.' | '-')
}

impl AsRef<str> for StreamName {
    fn as_ref(&self) -> &str {
        self.as_str()
    }
}

impl fmt::Display for StreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl From<StreamName> for String {
    fn from(name: StreamName) -> Self {
        name.0.into()
    }
}

impl FromStr for StreamName {
    type Err = InvalidStreamName;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        Self::new(name)
    }
}

impl TryFrom<String> for StreamName {
    type Error = InvalidStreamName;

    fn try_from(name: String) -> Result<Self, Self::Error> {
        Self::new(&name)
    }
}

/// Why a text is not a stream's name.
///
/// ```
/// use firehose_proto::{InvalidStreamName, StreamName};
///
/// assert_eq!(StreamName::new(""), Err(InvalidStreamName::Empty));
/// assert_eq!(StreamName::new("a b"), Err(InvalidStreamName::Character { found: ' ' }));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidStreamName {
    /// A character outside `[a-zA-Z0-9_.-]`.
    Character {
        /// The first such character.
        found: char,
    },
    /// No character at all.
    Empty,
    /// More than 64 characters.
    TooLong {
        /// The length of the text in bytes.
        bytes: usize,
    },
}

impl fmt::Display for InvalidStreamName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Character { found } => write!(
                f,
                "a stream name has only letters, digits, `_`, `.` and `-`, not {found:?} \
                 (give the name of the stream, not its ARN)"
            ),
            Self::Empty => f.write_str("a stream name has at least one character"),
            Self::TooLong { bytes } => write!(
                f,
                "a stream name has at most {STREAM_NAME_BYTES_MAX} characters, this one has {bytes}"
            ),
        }
    }
}

impl core::error::Error for InvalidStreamName {}

/// A record that a producer accepted; the first has number 0, none is used twice.
///
/// ```
/// use firehose_proto::Ticket;
///
/// assert!(Ticket::from_number(1) < Ticket::from_number(2));
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct Ticket(u64);

impl Ticket {
    /// Makes the ticket with this number, as after a way through another language.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of the ticket.
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

/// A request that a producer wants sent; none is used twice.
///
/// ```
/// use firehose_proto::RequestId;
///
/// assert_eq!(RequestId::from_number(7).number(), 7);
/// ```
#[derive(Clone, Copy, Debug, Deserialize, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[serde(transparent)]
pub struct RequestId(u64);

impl RequestId {
    /// Makes the id with this number, as after a way through another language.
    pub const fn from_number(number: u64) -> Self {
        Self(number)
    }

    /// Returns the number of the request.
    pub const fn number(self) -> u64 {
        self.0
    }

    pub(crate) const fn next(self) -> Self {
        Self(self.0 + 1)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // R4, from both sides.
    #[test]
    fn names_are_checked() {
        let longest = "a".repeat(STREAM_NAME_BYTES_MAX);
        for good in ["a", "A.b_c-9", longest.as_str()] {
            assert_eq!(StreamName::new(good).unwrap().as_str(), good);
        }
        let cases = [
            ("", InvalidStreamName::Empty),
            ("a b", InvalidStreamName::Character { found: ' ' }),
            ("caf\u{e9}", InvalidStreamName::Character { found: '\u{e9}' }),
            ("arn:aws", InvalidStreamName::Character { found: ':' }),
            (&"a".repeat(65), InvalidStreamName::TooLong { bytes: 65 }),
        ];
        for (bad, why) in cases {
            assert_eq!(StreamName::new(bad), Err(why));
        }
    }

    // R4
    #[test]
    fn refusals_of_names_say_why() {
        for (name, text) in [
            ("", "a stream name has at least one character"),
            (
                "arn:aws",
                "a stream name has only letters, digits, `_`, `.` and `-`, not ':' (give the name \
                 of the stream, not its ARN)",
            ),
            (&"a".repeat(65), "a stream name has at most 64 characters, this one has 65"),
        ] {
            let refused = StreamName::try_from(name.to_owned()).unwrap_err();
            assert_eq!(refused.to_string(), text);
        }
    }

    #[test]
    fn names_are_texts() {
        let name = StreamName::try_from("demo".to_owned()).unwrap();
        assert_eq!((name.as_ref(), name.to_string().as_str()), ("demo", "demo"));
        assert_eq!(String::from(name), "demo");
    }
}
