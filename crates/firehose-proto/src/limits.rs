//! The service's numbers, each once, with the requirement it comes from.

use core::fmt;

use serde::Serialize;

/// The most records in a request (R1).
pub const RECORDS_MAX: usize = 500;

/// The most bytes in a record, before base64: 1,000 KiB (R2). A record of 0 bytes is legal.
pub const RECORD_BYTES_MAX: usize = 1_000 * 1_024;

/// The most bytes in a request, all its records together, before base64: 4 MiB (R3).
///
/// The service does not publish whether a request of exactly this size is taken. [`Limits`] makes
/// it a setting, and a producer lowers its bound when the service refuses a request for its size.
pub const REQUEST_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// The most characters in the name of a stream (R4).
pub const STREAM_NAME_BYTES_MAX: usize = 64;

const _: () = assert!(RECORD_BYTES_MAX <= REQUEST_BYTES_MAX);

/// What a request may carry. Values that exist are within what the service allows.
///
/// ```
/// use firehose_proto::limits::Limits;
///
/// let limits = Limits::default();
/// assert_eq!((limits.records_max(), limits.request_bytes_max()), (500, 4_194_304));
/// let careful = limits.with_request_bytes_max(4_000_000)?;
/// assert!(careful.with_records_max(501).is_err());
/// # Ok::<(), firehose_proto::limits::InvalidLimits>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq, Serialize)]
pub struct Limits {
    records_max: usize,
    record_bytes_max: usize,
    request_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            records_max: RECORDS_MAX,
            record_bytes_max: RECORD_BYTES_MAX,
            request_bytes_max: REQUEST_BYTES_MAX,
        }
    }
}

impl Limits {
    /// Sets the most records in a request, 1 to 500 (R1).
    ///
    /// # Errors
    ///
    /// [`InvalidLimits::Records`] if the number is outside that range.
    pub const fn with_records_max(mut self, records: usize) -> Result<Self, InvalidLimits> {
        if records == 0 || records > RECORDS_MAX {
            return Err(InvalidLimits::Records { records });
        }
        self.records_max = records;
        Ok(self)
    }

    /// Sets the most bytes in a record before base64, at most 1,024,000 (R2).
    ///
    /// # Errors
    ///
    /// [`InvalidLimits::RecordBytes`] if the number is larger than the service allows, or larger
    /// than a request may be.
    pub const fn with_record_bytes_max(mut self, bytes: usize) -> Result<Self, InvalidLimits> {
        if bytes > RECORD_BYTES_MAX || bytes > self.request_bytes_max {
            return Err(InvalidLimits::RecordBytes { bytes });
        }
        self.record_bytes_max = bytes;
        Ok(self)
    }

    /// Sets the most bytes in a request before base64, at most 4,194,304 (R3).
    ///
    /// # Errors
    ///
    /// [`InvalidLimits::RequestBytes`] if the number is larger than the service allows, or too
    /// small for one record of the largest allowed size.
    pub const fn with_request_bytes_max(mut self, bytes: usize) -> Result<Self, InvalidLimits> {
        if bytes > REQUEST_BYTES_MAX || bytes < self.record_bytes_max {
            return Err(InvalidLimits::RequestBytes { bytes });
        }
        self.request_bytes_max = bytes;
        Ok(self)
    }

    /// Returns the most records in a request.
    pub const fn records_max(&self) -> usize {
        self.records_max
    }

    /// Returns the most bytes in a record, before base64.
    pub const fn record_bytes_max(&self) -> usize {
        self.record_bytes_max
    }

    /// Returns the most bytes in a request, before base64.
    pub const fn request_bytes_max(&self) -> usize {
        self.request_bytes_max
    }

    /// Lowers the bounds so that a request of this shape, which the service found too large, would
    /// be cut in two.
    ///
    /// Here alone a request's bound may fall below a record's: a record larger than the bound then
    /// goes alone, and the service has the last word on it.
    pub(crate) fn lower_below(&mut self, records: usize, request_bytes: usize) {
        if request_bytes > 1 {
            self.request_bytes_max = self.request_bytes_max.min(request_bytes / 2);
            if canary!("bound_lowered_too_far") {
                self.request_bytes_max /= 2;
            }
        } else {
            self.records_max = self.records_max.min(records / 2).max(1);
        }
    }
}

/// Why a number cannot be a limit: it is outside what the service allows.
///
/// ```
/// use firehose_proto::limits::{InvalidLimits, Limits};
///
/// let error = Limits::default().with_records_max(501).unwrap_err();
/// assert_eq!(error, InvalidLimits::Records { records: 501 });
/// assert_eq!(error.to_string(), "a request has 1 to 500 records, not 501");
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum InvalidLimits {
    /// A record cannot be this large.
    RecordBytes {
        /// The size asked for, in bytes before base64.
        bytes: usize,
    },
    /// A request cannot have this many records.
    Records {
        /// The number asked for.
        records: usize,
    },
    /// A request cannot be this large, or could not hold one record if it were this small.
    RequestBytes {
        /// The size asked for, in bytes before base64.
        bytes: usize,
    },
}

impl fmt::Display for InvalidLimits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::RecordBytes { bytes } => write!(
                f,
                "a record has at most {RECORD_BYTES_MAX} bytes and fits into a request, {bytes} is too many"
            ),
            Self::Records { records } => {
                write!(f, "a request has 1 to {RECORDS_MAX} records, not {records}")
            }
            Self::RequestBytes { bytes } => write!(
                f,
                "a request has at most {REQUEST_BYTES_MAX} bytes and holds the largest record, \
                 {bytes} is out of range"
            ),
        }
    }
}

impl core::error::Error for InvalidLimits {}

#[cfg(test)]
mod tests {
    use super::*;

    // R1, R2, R3, from both sides.
    #[test]
    fn limits_are_checked() {
        let limits = Limits::default();
        assert!(limits.with_records_max(1).is_ok());
        assert!(limits.with_records_max(500).is_ok());
        assert_eq!(limits.with_records_max(0), Err(InvalidLimits::Records { records: 0 }));
        assert_eq!(limits.with_records_max(501), Err(InvalidLimits::Records { records: 501 }));
        assert!(limits.with_record_bytes_max(1_024_000).is_ok());
        assert!(limits.with_record_bytes_max(1_024_001).is_err());
        assert!(limits.with_request_bytes_max(4_194_304).is_ok());
        assert!(limits.with_request_bytes_max(4_194_305).is_err());
        assert!(limits.with_request_bytes_max(1_024_000).is_ok());
        assert!(limits.with_request_bytes_max(1_023_999).is_err());
    }

    #[test]
    fn refusals_of_limits_say_why() {
        let limits = Limits::default();
        for (refused, text) in [
            (limits.with_records_max(0), "a request has 1 to 500 records, not 0"),
            (
                limits.with_record_bytes_max(1_024_001),
                "a record has at most 1024000 bytes and fits into a request, 1024001 is too many",
            ),
            (
                limits.with_request_bytes_max(9),
                "a request has at most 4194304 bytes and holds the largest record, 9 is out of \
                 range",
            ),
        ] {
            assert_eq!(refused.unwrap_err().to_string(), text);
        }
    }

    #[test]
    fn lowering_always_makes_progress() {
        let mut limits = Limits::default();
        let mut bytes = REQUEST_BYTES_MAX;
        while bytes > 1 {
            limits.lower_below(500, bytes);
            assert!(limits.request_bytes_max() < bytes);
            bytes = limits.request_bytes_max();
        }
        limits.lower_below(500, 0);
        assert_eq!(limits.records_max(), 250);
    }
}
