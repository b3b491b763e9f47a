//! Answers of failure against a reading of the JSON that serde_json parsed.
//!
//! The bytes are three parts with a line end between them: the status in digits, with a `z` behind
//! it if the body has a content encoding; the value of the header `x-amzn-errortype`, none if it is
//! empty; the body.

use core::ops::RangeInclusive;

use firehose_proto::retry::Class;
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::{Response, Scratch};

use crate::input::Input;
use crate::json::Json;
use crate::reply::DEPTH_MAX;

const BODY_BYTES_MAX: usize = 64 * 1_024;
const TEXT_BYTES_MAX: usize = 1_024;

/// Reads and classifies an error twice: by the core, and by a plain reading of its parsed JSON.
///
/// # Panics
///
/// If the two differ in code, message or class, or if the error is not shown as one clean line.
pub fn fault(data: &[u8]) {
    let mut input = Input::new(data);
    let line = input.until(b'\n');
    let encoded = line.last() == Some(&b'z');
    let status = line.iter().filter(|byte| byte.is_ascii_digit());
    let status =
        status.fold(0_u16, |sum, digit| sum.wrapping_mul(10).wrapping_add(u16::from(digit - b'0')));
    let header = input.until(b'\n');
    let body = input.rest();

    let mut response = Response::new(status, body.to_vec());
    if !header.is_empty() {
        response = response.with_header("x-amzn-errortype", header);
    }
    if encoded {
        response = response.with_header("content-encoding", b"gzip");
    }
    let fault = Fault::read(response, &mut Scratch::new());

    let header = str::from_utf8(header).ok().and_then(bare);
    let json = Json::parse(body).filter(|_| !encoded && body.len() <= BODY_BYTES_MAX);
    let (code, message) = said(json.as_ref());
    let seen = (fault.code(), fault.message());
    let unread = json.is_some_and(|json| json.may_be_refused(body, DEPTH_MAX));
    if !(unread && seen == (header, None)) {
        assert_eq!(seen, (header.or(code.as_deref()), message.as_deref()));
    }
    assert_eq!(fault.status(), status);
    let class = class(status, fault.code().unwrap_or(""), fault.message().unwrap_or(""));
    assert_eq!(Class::of_fault(&fault), class, "{fault}");
    assert!(!fault.to_string().contains(char::is_control), "{fault:?} is shown raw");
}

/// Finds the code and the message in a body.
fn said(json: Option<&Json>) -> (Option<String>, Option<String>) {
    let text = |name| json?.members(name).find_map(Json::as_text);
    let code = text("__type").and_then(bare).or_else(|| text("code").and_then(bare));
    let message = text("message").or_else(|| text("Message")).map(shortened);
    (code.map(str::to_owned), message.map(str::to_owned))
}

/// The name in `namespace#Name:address`, if there is one.
fn bare(text: &str) -> Option<&str> {
    let name = text.split(':').next()?.split('#').next_back()?.trim();
    Some(shortened(name)).filter(|name| !name.is_empty())
}

fn shortened(text: &str) -> &str {
    let ends = text.char_indices().map(|(at, letter)| at + letter.len_utf8());
    &text[..ends.take_while(|end| *end <= TEXT_BYTES_MAX).last().unwrap_or(0)]
}

/// The class by what is known of the service: the plain statuses, the codes, the other statuses.
fn class(status: u16, code: &str, message: &str) -> Class {
    let is_signature = ["InvalidSignatureException", "SignatureDoesNotMatch"].contains(&code);
    let is_late = ["Signature expired", "Signature not yet current"]
        .iter()
        .any(|part| message.contains(part));
    let is_size = code == "InvalidArgumentException" && message.contains("Records size exceeds");
    match status {
        413 => Class::TooLarge,
        429 => Class::Throttled,
        _ if is_signature && is_late => Class::Renew,
        _ if is_size => Class::TooLarge,
        _ => match CODES.iter().find(|(_, codes)| codes.contains(&code)) {
            Some((class, _)) => *class,
            None => STATUSES
                .iter()
                .find(|(statuses, _)| statuses.contains(&status))
                .map_or(Class::Unknown, |(_, class)| *class),
        },
    }
}

/// The first range that holds a status gives its class.
const STATUSES: &[(RangeInclusive<u16>, Class)] = &[
    (300..=399, Class::StreamRejected),
    (401..=401, Class::StreamRejected),
    (403..=404, Class::StreamRejected),
    (407..=407, Class::StreamRejected),
    (408..=408, Class::Unknown),
    (414..=414, Class::TooLarge),
    (431..=431, Class::TooLarge),
    (400..=499, Class::Rejected),
];

const CODES: &[(Class, &[&str])] = &[
    (
        Class::Renew,
        &[
            "ExpiredToken",
            "ExpiredTokenException",
            "InvalidClientTokenId",
            "RequestExpired",
            "RequestInTheFuture",
            "RequestTimeTooSkewed",
            "UnrecognizedClientException",
        ],
    ),
    (Class::TooLarge, &["RequestEntityTooLarge", "RequestEntityTooLargeException"]),
    (
        Class::Rejected,
        &[
            "InvalidArgumentException",
            "SerializationException",
            "UnknownOperationException",
            "ValidationException",
        ],
    ),
    (
        Class::StreamRejected,
        &[
            "AccessDenied",
            "AccessDeniedException",
            "AuthFailure",
            "IncompleteSignature",
            "IncompleteSignatureException",
            "InvalidKMSResourceException",
            "InvalidSignatureException",
            "InvalidSourceException",
            "MissingAuthenticationToken",
            "MissingAuthenticationTokenException",
            "NotAuthorized",
            "OptInRequired",
            "ResourceNotFoundException",
            "SignatureDoesNotMatch",
        ],
    ),
    (
        Class::Unknown,
        &[
            "InternalFailure",
            "InternalServerError",
            "InternalServerException",
            "RequestTimeout",
            "RequestTimeoutException",
            "ServiceUnavailable",
        ],
    ),
    (
        Class::Throttled,
        &[
            "BandwidthLimitExceeded",
            "EC2ThrottledException",
            "KMSThrottlingException",
            "LimitExceeded",
            "LimitExceededException",
            "PriorRequestNotComplete",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "RequestThrottled",
            "RequestThrottledException",
            "ServiceUnavailableException",
            "SlowDown",
            "ThrottledException",
            "Throttling",
            "ThrottlingException",
            "TooManyRequestsException",
            "TransactionInProgressException",
        ],
    ),
];
