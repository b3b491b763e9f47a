//! What goes into the service and what comes out of it: a request, an answer, and its delivery.
//!
//! Nothing here knows sockets; the mapping to types of HTTP is the thinnest there can be.

use core::fmt;

use firehose_proto::wire::{CONTENT_TYPE, Operation};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};

/// A request as the service sees it: two headers and the body.
///
/// `Debug` prints the length of the body, not the body.
///
/// ```
/// use firehose_mock::Request;
///
/// let request = Request::put_record_batch(b"{}");
/// assert_eq!(request.target.as_deref(), Some("Firehose_20150804.PutRecordBatch"));
/// ```
#[derive(Clone, Default, Eq, PartialEq)]
pub struct Request {
    /// The header `X-Amz-Target`, which names the operation.
    pub target: Option<String>,
    /// The header `Content-Type`.
    pub content_type: Option<String>,
    /// The complete body.
    ///
    /// It is parsed in place; 64 bytes of spare capacity save growing it.
    pub body: Vec<u8>,
}

impl Request {
    /// Makes a well-formed request for `PutRecordBatch` with this body.
    pub fn put_record_batch(body: impl Into<Vec<u8>>) -> Self {
        Self::of(Operation::PutRecordBatch, body.into())
    }

    /// Makes a well-formed request for `PutRecord` with this body.
    pub fn put_record(body: impl Into<Vec<u8>>) -> Self {
        Self::of(Operation::PutRecord, body.into())
    }

    /// Makes a request from the headers that mean something to the service, and a body.
    pub fn from_headers(headers: &HeaderMap, body: Vec<u8>) -> Self {
        let text = |name: HeaderName| Some(headers.get(name)?.to_str().ok()?.to_owned());
        Self { target: text(TARGET), content_type: text(header::CONTENT_TYPE), body }
    }

    fn of(operation: Operation, body: Vec<u8>) -> Self {
        Self {
            target: Some(operation.target().to_owned()),
            content_type: Some(CONTENT_TYPE.to_owned()),
            body,
        }
    }
}

/// Whether an answer reaches the one who asked.
///
/// ```
/// use firehose_mock::{Answer, Disposition};
///
/// let lost = Answer::new(200, "{}").with_delivery(Disposition::CutAfter);
/// assert_eq!(lost.delivery, Disposition::CutAfter);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a request was taken or it was not")]
pub enum Disposition {
    /// The request was taken, then the connection is closed without an answer.
    CutAfter,
    /// The request was not taken, and the connection is closed without an answer.
    CutBefore,
    /// The answer is sent.
    #[default]
    Reply,
}

/// What the service says, and whether it is heard.
///
/// `Debug` prints the length of the body, not the body.
///
/// ```
/// use firehose_mock::{Answer, Disposition};
///
/// let odd = Answer::new(200, "{}");
/// assert_eq!((odd.status, odd.delivery), (200, Disposition::Reply));
/// ```
#[derive(Clone, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "scripts of tests build answers from their parts")]
pub struct Answer {
    /// The status; a number that HTTP does not know is sent as 500.
    pub status: u16,
    /// The headers, without those that HTTP itself adds.
    pub headers: HeaderMap,
    /// The complete body.
    pub body: Vec<u8>,
    /// Whether the answer is sent.
    pub delivery: Disposition,
}

impl Answer {
    /// Makes an answer without headers that is sent.
    pub fn new(status: u16, body: impl Into<Vec<u8>>) -> Self {
        Self { status, headers: HeaderMap::new(), body: body.into(), delivery: Disposition::Reply }
    }

    /// Adds a header, or replaces it.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Sets whether the answer is sent.
    #[must_use]
    pub fn with_delivery(mut self, delivery: Disposition) -> Self {
        self.delivery = delivery;
        self
    }
}

impl From<Answer> for http::Response<Vec<u8>> {
    fn from(answer: Answer) -> Self {
        let status = StatusCode::from_u16(answer.status);
        let mut response = Self::new(answer.body);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        *response.headers_mut() = answer.headers;
        response
    }
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request")
            .field("target", &self.target)
            .field("content_type", &self.content_type)
            .field("body_bytes", &self.body.len())
            .finish()
    }
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer")
            .field("status", &self.status)
            .field("headers", &self.headers)
            .field("body_bytes", &self.body.len())
            .field("delivery", &self.delivery)
            .finish()
    }
}

const TARGET: HeaderName = HeaderName::from_static("x-amz-target");
