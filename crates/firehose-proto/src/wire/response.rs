//! An answer of HTTP as the core needs it: status, body, and the few headers that mean something.

use core::fmt;
use core::time::Duration;

/// The spare bytes behind a body that let it be parsed in place without a copy.
///
/// An adapter that reads bodies into a `Vec` with this much capacity to spare saves the core from
/// growing it.
pub const BODY_HEADROOM_BYTES: usize = 64;

/// The answer to a request.
///
/// Headers are offered one by one; the core keeps those that it knows and ignores the rest.
/// `Debug` prints the length of the body, not the body.
///
/// ```
/// use core::time::Duration;
/// use firehose_proto::wire::Response;
///
/// let response = Response::new(503, b"{}".to_vec())
///     .with_header("X-Amzn-ErrorType", b"ServiceUnavailableException")
///     .with_header("x-amz-retry-after", b"1500")
///     .with_header("Server", b"whatever");
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.error_type(), Some("ServiceUnavailableException"));
/// assert_eq!(response.retry_after(), Some(Duration::from_millis(1500)));
/// ```
#[derive(Clone, Eq, PartialEq)]
pub struct Response {
    status: u16,
    body: Vec<u8>,
    error_type: Option<Box<str>>,
    request_id: Option<Box<str>>,
    retry_after_millis: Option<u64>,
    retry_after_secs: Option<u64>,
    content_encoded: bool,
}

impl Response {
    /// Makes an answer without headers from its status and its complete body.
    pub fn new(status: u16, body: Vec<u8>) -> Self {
        Self {
            status,
            body,
            error_type: None,
            request_id: None,
            retry_after_millis: None,
            retry_after_secs: None,
            content_encoded: false,
        }
    }

    /// Offers a header; its name may be in any case. A value that cannot be understood counts as
    /// absent.
    #[must_use]
    pub fn with_header(mut self, name: &str, value: &[u8]) -> Self {
        let Ok(text) = str::from_utf8(value) else { return self };
        let text = text.trim();
        if name.eq_ignore_ascii_case("x-amzn-errortype") {
            self.error_type = Some(text.into());
        } else if name.eq_ignore_ascii_case("x-amzn-requestid") {
            self.request_id = Some(text.into());
        } else if name.eq_ignore_ascii_case("x-amz-retry-after") {
            self.retry_after_millis = text.parse().ok().or(self.retry_after_millis);
        } else if name.eq_ignore_ascii_case("retry-after") {
            self.retry_after_secs = text.parse().ok().or(self.retry_after_secs);
        } else if name.eq_ignore_ascii_case("content-encoding") {
            self.content_encoded = !text.is_empty() && !text.eq_ignore_ascii_case("identity");
        }
        self
    }

    /// Returns the status code.
    pub const fn status(&self) -> u16 {
        self.status
    }

    /// Returns whether the status is one of success, 200 to 299.
    pub const fn is_success(&self) -> bool {
        matches!(self.status, 200..=299)
    }

    /// Returns the body.
    pub fn body(&self) -> &[u8] {
        &self.body
    }

    /// Gives the body back.
    pub fn into_body(self) -> Vec<u8> {
        self.body
    }

    /// Returns the value of `x-amzn-errortype`, as it came.
    pub fn error_type(&self) -> Option<&str> {
        self.error_type.as_deref()
    }

    /// Returns the value of `x-amzn-requestid`, by which AWS's support finds the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Takes the value of `x-amzn-requestid` out.
    pub(crate) fn take_request_id(&mut self) -> Option<Box<str>> {
        self.request_id.take()
    }

    /// Returns how long the service asks to wait: `x-amz-retry-after` in milliseconds, else
    /// `retry-after` in seconds. A date or a negative number counts as absent.
    pub fn retry_after(&self) -> Option<Duration> {
        match (self.retry_after_millis, self.retry_after_secs) {
            (Some(millis), _) => Some(Duration::from_millis(millis)),
            (None, Some(secs)) => Some(Duration::from_secs(secs)),
            (None, None) => None,
        }
    }

    /// Returns whether the body has a content encoding, which was never asked for.
    pub const fn is_content_encoded(&self) -> bool {
        self.content_encoded
    }
}

impl fmt::Debug for Response {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Response")
            .field("status", &self.status)
            .field("body_bytes", &self.body.len())
            .field("error_type", &self.error_type)
            .field("request_id", &self.request_id)
            .field("retry_after", &self.retry_after())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_that_make_no_sense_count_as_absent() {
        for (name, value, wait) in [
            ("x-amz-retry-after", "250", Some(Duration::from_millis(250))),
            ("x-amz-retry-after", "-1", None),
            ("x-amz-retry-after", "soon", None),
            ("retry-after", "2", Some(Duration::from_secs(2))),
            ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
        ] {
            let response = Response::new(503, Vec::new()).with_header(name, value.as_bytes());
            assert_eq!(response.retry_after(), wait, "{name}: {value}");
        }
        let both = Response::new(503, Vec::new())
            .with_header("retry-after", b"9")
            .with_header("x-amz-retry-after", b"1");
        assert_eq!(both.retry_after(), Some(Duration::from_millis(1)));
    }

    #[test]
    fn headers_count_whatever_their_case() {
        let response = Response::new(200, Vec::new())
            .with_header("X-AMZN-REQUESTID", b" r-1 ")
            .with_header("Content-Encoding", b"gzip")
            .with_header("x-amzn-errortype", b"\xff");
        assert_eq!(response.request_id(), Some("r-1"));
        assert!(response.is_content_encoded());
        assert_eq!(response.error_type(), None);
        assert!(!response.with_header("content-encoding", b"identity").is_content_encoded());
    }

    #[test]
    fn debug_shows_no_body() {
        let response = Response::new(200, b"secret".to_vec());
        assert_eq!(response.body(), b"secret");
        assert!(!format!("{response:?}").contains("secret"));
    }
}
