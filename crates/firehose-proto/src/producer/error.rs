//! What a producer does not take.

use core::fmt;

use crate::ids::RequestId;

/// Why a record was not taken.
///
/// ```
/// use firehose_proto::producer::{Config, Producer, PushError};
/// use firehose_proto::Instant;
///
/// let now = Instant::from_micros(0);
/// let config = Config::new("demo".parse()?).with_buffer_bytes_max(20);
/// let mut producer = Producer::new(now, config, 7);
/// producer.push(now, b"one")?;
/// let full = PushError::Full { bytes_held: 15, bytes_max: 20 };
/// assert_eq!(producer.push(now, b"two"), Err(full));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum PushError {
    /// The producer was closed.
    Closed,
    /// As much is held as may be. Try again after the next event.
    Full {
        /// The bytes that are held, encoded.
        bytes_held: u64,
        /// The bytes that may be held.
        bytes_max: u64,
    },
    /// The record is larger than the service takes (R2).
    RecordTooLarge {
        /// Its size in bytes, before base64.
        bytes: usize,
        /// The most a record may have.
        bytes_max: usize,
    },
}

impl fmt::Display for PushError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Closed => f.write_str("the producer is closed and takes no more records"),
            Self::Full { bytes_held, bytes_max } => write!(
                f,
                "{bytes_held} of {bytes_max} bytes are held, try again when records are settled"
            ),
            Self::RecordTooLarge { bytes, bytes_max } => {
                write!(f, "the record has {bytes} bytes, the service takes at most {bytes_max}")
            }
        }
    }
}

impl core::error::Error for PushError {}

/// Nobody waits for this request: it was answered, failed or cancelled before, or never made.
///
/// ```
/// use firehose_proto::producer::{Config, Producer, UnknownRequest};
/// use firehose_proto::{Failure, Instant, RequestId};
///
/// let now = Instant::from_micros(0);
/// let mut producer = Producer::new(now, Config::new("demo".parse()?), 7);
/// let id = RequestId::from_number(9);
/// let answer = producer.handle_failure(now, id, Failure::NotSent);
/// assert_eq!(answer, Err(UnknownRequest { id }));
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub struct UnknownRequest {
    /// The request.
    pub id: RequestId,
}

impl fmt::Display for UnknownRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "nobody waits for an answer to request {}", self.id.number())
    }
}

impl core::error::Error for UnknownRequest {}
