//! Layer 0: bytes and their meaning, without state.
//!
//! [`request`] writes the bodies of `PutRecordBatch` and `PutRecord`, [`reply`] reads the answers
//! that succeed, [`fault`] those that do not. The protocol is AWS JSON 1.1 (R20).

pub mod fault;
mod json;
pub mod reply;
pub mod request;
mod response;
mod scratch;
mod span;

pub use response::{BODY_HEADROOM_BYTES, Response};
pub use scratch::Scratch;
pub(crate) use span::Span;

/// The media type of requests and answers, for the header `Content-Type` (R20).
pub const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

/// The name under which requests are signed with AWS Signature Version 4 (R20).
pub const SIGNING_NAME: &str = "firehose";

/// The error of a record or a call after which a write may or may not have happened (R8, R10).
pub const INTERNAL_FAILURE: &str = "InternalFailure";

/// The error of a record or a call that the service is asked too much of (R8, R11).
pub const SERVICE_UNAVAILABLE: &str = "ServiceUnavailableException";

/// The operations of the service that this crate speaks.
///
/// ```
/// use firehose_proto::wire::Operation;
///
/// assert_eq!(Operation::PutRecordBatch.target(), "Firehose_20150804.PutRecordBatch");
/// assert_eq!(Operation::from_target("Firehose_20150804.PutRecord"), Some(Operation::PutRecord));
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "the two operations that put records")]
pub enum Operation {
    /// One record in a request.
    PutRecord,
    /// 1 to 500 records in a request.
    PutRecordBatch,
}

impl Operation {
    /// Returns the value of the header `X-Amz-Target`.
    pub const fn target(self) -> &'static str {
        match self {
            Self::PutRecord => "Firehose_20150804.PutRecord",
            Self::PutRecordBatch => "Firehose_20150804.PutRecordBatch",
        }
    }

    /// Finds the operation that the header `X-Amz-Target` names.
    pub fn from_target(target: &str) -> Option<Self> {
        [Self::PutRecord, Self::PutRecordBatch]
            .into_iter()
            .find(|operation| operation.target() == target)
    }
}

#[cfg(test)]
mod tests;
