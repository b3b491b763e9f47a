//! From what came back, or did not, to the class that decides what happens next.

use core::fmt;

use serde::Serialize;

use crate::wire::fault::Fault;
use crate::wire::{INTERNAL_FAILURE, SERVICE_UNAVAILABLE};

/// What the end of an attempt means for a record.
///
/// ```
/// use firehose_proto::retry::Class;
///
/// let class = Class::of_entry("ServiceUnavailableException");
/// assert_eq!(class, Class::Throttled);
/// assert!(class.is_retryable() && !class.may_be_stored());
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd, Serialize)]
#[non_exhaustive]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// The service did not store the record, for a reason that may pass.
    Failed,
    /// The request was not sent, and none can be until something outside is mended, credentials
    /// that are missing say. It may go again then, free of charge.
    NotReady,
    /// The request never got as far as the service.
    NotSent,
    /// The service refuses the request for what it contains; the same again is no use.
    Rejected,
    /// Refused for expired credentials or a wrong clock: once these are mended, the same may go
    /// again, once and free of charge.
    Renew,
    /// The service refuses everything for this stream from this caller.
    StreamRejected,
    /// Refused because the service is asked too much of (R11).
    Throttled,
    /// Refused for its size; its halves may be taken.
    TooLarge,
    /// The record may or may not have been stored (R10).
    Unknown,
    /// The request was not sent, and none of this stream ever will be the way things are set up.
    Unsendable,
}

impl Class {
    /// Returns whether the record may be sent again.
    pub const fn is_retryable(self) -> bool {
        !matches!(self, Self::Rejected | Self::StreamRejected | Self::Unsendable)
    }

    /// Returns whether every other record of the stream would fare the same now.
    pub const fn is_of_stream(self) -> bool {
        matches!(self, Self::StreamRejected | Self::Unsendable)
    }

    /// Returns whether the record may have been stored all the same.
    pub const fn may_be_stored(self) -> bool {
        matches!(self, Self::Unknown)
    }

    /// Classifies a record by its `ErrorCode` in an answer of success (R8, R10, R11).
    pub fn of_entry(code: &str) -> Self {
        match code {
            INTERNAL_FAILURE if !canary!("internal_failure_certain") => Self::Unknown,
            _ if is_throttling(code) => Self::Throttled,
            _ => Self::Failed,
        }
    }

    /// Classifies a request by how its transport ended.
    pub const fn of_failure(failure: Failure) -> Self {
        match failure {
            Failure::NotReady => Self::NotReady,
            Failure::NotSent => Self::NotSent,
            Failure::OutcomeUnknown => Self::Unknown,
            Failure::Unsendable => Self::Unsendable,
        }
    }

    /// Classifies a request by the error that the service answered (R10, R11, R15, R19).
    ///
    /// The code has the first word, except where the status is plain; without a code that means
    /// something, the status decides, and what could have been stored is [`Unknown`](Self::Unknown).
    pub fn of_fault(fault: &Fault) -> Self {
        match fault.status() {
            413 => return Self::TooLarge,
            429 => return Self::Throttled,
            _ => {}
        }
        let message = fault.message().unwrap_or_default();
        let by_code = fault.code().and_then(|code| of_code(code, message));
        by_code.unwrap_or_else(|| of_status(fault.status()))
    }
}

fn of_code(code: &str, message: &str) -> Option<Class> {
    let class = match code {
        "ExpiredToken"
        | "ExpiredTokenException"
        | "InvalidClientTokenId"
        | "RequestExpired"
        | "RequestInTheFuture"
        | "RequestTimeTooSkewed"
        | "UnrecognizedClientException" => Class::Renew,
        "InvalidSignatureException" | "SignatureDoesNotMatch" if blames_clock(message) => {
            Class::Renew
        }
        "InvalidArgumentException" if message.contains("Records size exceeds") => Class::TooLarge,
        "RequestEntityTooLarge" | "RequestEntityTooLargeException" => Class::TooLarge,
        "InvalidArgumentException"
        | "SerializationException"
        | "UnknownOperationException"
        | "ValidationException" => Class::Rejected,
        "AccessDenied"
        | "AccessDeniedException"
        | "AuthFailure"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidKMSResourceException"
        | "InvalidSignatureException"
        | "InvalidSourceException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "NotAuthorized"
        | "OptInRequired"
        | "ResourceNotFoundException"
        | "SignatureDoesNotMatch" => Class::StreamRejected,
        INTERNAL_FAILURE
        | "InternalServerError"
        | "InternalServerException"
        | "RequestTimeout"
        | "RequestTimeoutException"
        | "ServiceUnavailable" => Class::Unknown,
        _ if is_throttling(code) => Class::Throttled,
        _ => return None,
    };
    Some(class)
}

/// Says whether a signature is refused for its date alone.
fn blames_clock(message: &str) -> bool {
    message.contains("Signature expired") || message.contains("Signature not yet current")
}

/// The codes by which AWS services say "slower", the service's own first.
fn is_throttling(code: &str) -> bool {
    matches!(
        code,
        SERVICE_UNAVAILABLE
            | "BandwidthLimitExceeded"
            | "EC2ThrottledException"
            | "KMSThrottlingException"
            | "LimitExceeded"
            | "LimitExceededException"
            | "PriorRequestNotComplete"
            | "ProvisionedThroughputExceededException"
            | "RequestLimitExceeded"
            | "RequestThrottled"
            | "RequestThrottledException"
            | "SlowDown"
            | "ThrottledException"
            | "Throttling"
            | "ThrottlingException"
            | "TooManyRequestsException"
            | "TransactionInProgressException"
    )
}

fn of_status(status: u16) -> Class {
    match status {
        300..=399 | 401 | 403 | 404 | 407 => Class::StreamRejected,
        414 | 431 => Class::TooLarge,
        408 => Class::Unknown,
        400..=499 => Class::Rejected,
        _ => Class::Unknown,
    }
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Failed => "not stored",
            Self::NotReady => "not sent, it waits until that is possible",
            Self::NotSent => "not sent",
            Self::Rejected => "rejected",
            Self::Renew => "refused for expired credentials or a wrong clock",
            Self::StreamRejected => "rejected for the whole stream",
            Self::Throttled => "throttled",
            Self::TooLarge => "refused for its size",
            Self::Unknown => "unanswered, may have been stored",
            Self::Unsendable => "not sent, and cannot be",
        })
    }
}

/// How a request ended that got no answer: how far it came decides whether its records may have
/// been stored.
///
/// It is an error of its own, so that a transport can use it where it has nothing more to say.
///
/// ```
/// use firehose_proto::Failure;
///
/// assert_ne!(Failure::NotSent, Failure::OutcomeUnknown);
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
#[expect(clippy::exhaustive_enums, reason = "it may have got there, or may yet, or cannot")]
pub enum Failure {
    /// As [`NotSent`](Self::NotSent), and nothing can be sent until something outside is mended:
    /// there are no credentials, or they have expired and new ones cannot be had. Records wait for
    /// it, and no attempt is counted.
    NotReady,
    /// The service cannot have taken the request: its last byte never left.
    NotSent,
    /// The service may have taken the request (R10).
    OutcomeUnknown,
    /// As [`NotSent`](Self::NotSent), and another attempt would end the same way: the peer's
    /// certificate is not trusted, or a proxy asks for a password. Nothing waits for that.
    Unsendable,
}

impl Failure {
    /// Returns whether the service may have taken the request.
    pub const fn may_be_taken(self) -> bool {
        matches!(self, Self::OutcomeUnknown)
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotReady => "the request cannot be sent yet",
            Self::NotSent => "the request was not sent",
            Self::OutcomeUnknown => "the request got no answer and may have been taken",
            Self::Unsendable => "the request cannot be sent",
        })
    }
}

impl core::error::Error for Failure {}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::{Response, Scratch};

    fn check(status: u16, code: &str, message: &str, class: Class) {
        let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
        let fault = Fault::read(Response::new(status, body.into_bytes()), &mut Scratch::new());
        assert_eq!(Class::of_fault(&fault), class, "{fault}");
    }

    // R10, R11, R15, R19
    #[test]
    fn faults_are_classified() {
        check(503, "ServiceUnavailableException", "Slow down.", Class::Throttled);
        check(500, "ServiceUnavailableException", "", Class::Throttled);
        check(400, "ThrottlingException", "", Class::Throttled);
        check(429, "", "", Class::Throttled);
        check(429, "ValidationException", "", Class::Throttled);
        check(503, "", "", Class::Unknown);
        check(503, "ServiceUnavailable", "", Class::Unknown);
        check(500, "InternalFailure", "", Class::Unknown);
        check(400, "InternalFailure", "", Class::Unknown);
        check(502, "", "", Class::Unknown);
        check(101, "", "", Class::Unknown);
        check(408, "", "", Class::Unknown);
        check(413, "", "", Class::TooLarge);
        check(431, "", "", Class::TooLarge);
        check(400, "InvalidArgumentException", "Records size exceeds 4 MB limit", Class::TooLarge);
        check(400, "InvalidArgumentException", "bad", Class::Rejected);
        check(400, "RequestEntityTooLarge", "", Class::TooLarge);
        check(400, "RequestEntityTooLargeException", "", Class::TooLarge);
        check(400, "SerializationException", "", Class::Rejected);
        // The code has the first word, not the status.
        check(500, "SerializationException", "", Class::Rejected);
        check(400, "Nonsense", "", Class::Rejected);
        check(400, "ResourceNotFoundException", "", Class::StreamRejected);
        check(400, "InvalidKMSResourceException", "", Class::StreamRejected);
        check(403, "AccessDeniedException", "", Class::StreamRejected);
        check(307, "", "", Class::StreamRejected);
        check(407, "", "", Class::StreamRejected);
        check(403, "ExpiredTokenException", "", Class::Renew);
        check(403, "InvalidSignatureException", "Signature expired: now", Class::Renew);
        check(403, "SignatureDoesNotMatch", "Signature not yet current: now", Class::Renew);
        check(403, "InvalidSignatureException", "wrong", Class::StreamRejected);
    }

    #[test]
    fn failures_are_classified() {
        for (failure, class, is_retryable, is_of_stream) in [
            (Failure::NotReady, Class::NotReady, true, false),
            (Failure::NotSent, Class::NotSent, true, false),
            (Failure::OutcomeUnknown, Class::Unknown, true, false),
            (Failure::Unsendable, Class::Unsendable, false, true),
        ] {
            assert_eq!(Class::of_failure(failure), class);
            assert_eq!(class.is_retryable(), is_retryable, "{class}");
            assert_eq!(class.is_of_stream(), is_of_stream, "{class}");
            assert_eq!(class.may_be_stored(), failure.may_be_taken(), "{class}");
        }
    }

    // R8
    #[test]
    fn entries_are_classified() {
        assert_eq!(Class::of_entry("ServiceUnavailableException"), Class::Throttled);
        assert_eq!(Class::of_entry("InternalFailure"), Class::Unknown);
        assert_eq!(Class::of_entry("SomethingNew"), Class::Failed);
    }

    #[test]
    fn failures_and_classes_are_named() {
        assert_eq!(Failure::NotSent.to_string(), "the request was not sent");
        let text = "the request got no answer and may have been taken";
        assert_eq!(Failure::OutcomeUnknown.to_string(), text);
        let classes = [
            (Class::Failed, "not stored"),
            (Class::NotSent, "not sent"),
            (Class::Rejected, "rejected"),
            (Class::Renew, "refused for expired credentials or a wrong clock"),
            (Class::StreamRejected, "rejected for the whole stream"),
            (Class::Throttled, "throttled"),
            (Class::TooLarge, "refused for its size"),
            (Class::Unknown, "unanswered, may have been stored"),
        ];
        for (class, name) in classes {
            assert_eq!(class.to_string(), name);
            let is_final = matches!(class, Class::Rejected | Class::StreamRejected);
            assert_eq!(class.is_retryable(), !is_final, "{class}");
            assert_eq!(class.may_be_stored(), class == Class::Unknown, "{class}");
        }
        assert_eq!(Class::of_failure(Failure::NotSent), Class::NotSent);
        assert_eq!(Class::of_failure(Failure::OutcomeUnknown), Class::Unknown);
    }
}
