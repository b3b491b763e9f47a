//! Answers of failure: which error, in the service's words.
//!
//! The type of an error stands in the header `x-amzn-errortype`, else in the body's `__type`, else
//! in its `code`. The order matters here: two errors of this service have a member named `code` that
//! means something else (R15).

use core::fmt;
use core::time::Duration;

use super::json::Value;
use super::response::Response;
use super::scratch::Scratch;

/// The longest error body that is looked into; the service's own have some hundred bytes.
const BODY_BYTES_MAX: usize = 64 * 1_024;

/// The longest message that is kept.
const MESSAGE_BYTES_MAX: usize = 1_024;

/// What stands in a message before the request as the service would have signed it.
const REPEATED_REQUEST: &str = "The Canonical String for this request";

/// An answer whose status is not one of success.
///
/// ```
/// use firehose_proto::wire::{Response, Scratch};
/// use firehose_proto::wire::fault::Fault;
///
/// let body = br#"{"__type":"com.amazon#ResourceNotFoundException","message":"no such stream"}"#;
/// let fault = Fault::read(Response::new(400, body.to_vec()), &mut Scratch::new());
/// assert_eq!(fault.code(), Some("ResourceNotFoundException"));
/// assert_eq!(fault.to_string(), "400 ResourceNotFoundException: no such stream");
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct Fault {
    status: u16,
    code: Option<Box<str>>,
    message: Option<Box<str>>,
    request_id: Option<Box<str>>,
    retry_after: Option<Duration>,
}

impl Fault {
    /// Reads an answer as an error. This never fails: a body that says nothing leaves the status.
    pub fn read(response: Response, scratch: &mut Scratch) -> Self {
        let status = response.status();
        let retry_after = response.retry_after();
        let request_id = response.request_id().map(Into::into);
        let header = response.error_type().and_then(sanitize).map(Into::into);
        let encoded = response.is_content_encoded();
        let mut body = response.into_body();
        let mut said = Said::default();
        if !encoded && body.len() <= BODY_BYTES_MAX {
            said = scratch.parser.read(&mut body, Said::read).unwrap_or_default();
        }
        Self { status, code: header.or(said.code), message: said.message, request_id, retry_after }
    }

    /// Returns the status code.
    pub fn status(&self) -> u16 {
        self.status
    }

    /// Returns the type of the error without its name space, `ResourceNotFoundException` say.
    pub fn code(&self) -> Option<&str> {
        self.code.as_deref()
    }

    /// Returns the service's words, at most 1 KiB of them.
    pub fn message(&self) -> Option<&str> {
        self.message.as_deref()
    }

    /// Returns the service's identifier of the request.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns how long the service asks to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        self.retry_after
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.status)?;
        if let Some(code) = self.code() {
            write!(f, " {}", code.escape_debug())?;
        }
        if let Some(message) = self.message() {
            write!(f, ": {}", message.escape_debug())?;
        }
        Ok(())
    }
}

/// What the body of an error says.
#[derive(Default)]
struct Said {
    code: Option<Box<str>>,
    message: Option<Box<str>>,
}

impl Said {
    fn read(root: Value<'_>) -> Self {
        let (mut kind, mut code, mut lower, mut upper) = (None, None, None, None);
        for (key, value) in root.members().into_iter().flatten() {
            match key {
                "__type" => kind = kind.or(value.as_str()),
                "code" => code = code.or(value.as_str()),
                "message" => lower = lower.or(value.as_str()),
                "Message" => upper = upper.or(value.as_str()),
                _ => {}
            }
        }
        Self {
            code: kind.and_then(sanitize).or_else(|| code.and_then(sanitize)).map(Into::into),
            message: lower
                .or(upper)
                .map(|text| cut(without_request(text), MESSAGE_BYTES_MAX).into()),
        }
    }
}

/// Takes the name out of `namespace#Name:uri`.
fn sanitize(text: &str) -> Option<&str> {
    let text = text.split_once(':').map_or(text, |(before, _)| before);
    let text = text.rsplit_once('#').map_or(text, |(_, after)| after).trim();
    (!text.is_empty()).then(|| cut(text, MESSAGE_BYTES_MAX))
}

/// Leaves away the part of a message in which the service repeats what it would have signed: the
/// session token stands there.
fn without_request(message: &str) -> &str {
    message.split_once(REPEATED_REQUEST).map_or(message, |(words, _)| words.trim_end())
}

/// Cuts a text to at most `bytes_max` bytes, at the border of a character.
fn cut(text: &str, bytes_max: usize) -> &str {
    let mut end = text.len().min(bytes_max);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    &text[..end]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(header: Option<&str>, body: &str, code: Option<&str>, message: Option<&str>) {
        let mut response = Response::new(400, body.as_bytes().to_vec());
        if let Some(value) = header {
            response = response.with_header("x-amzn-ErrorType", value.as_bytes());
        }
        let fault = Fault::read(response, &mut Scratch::new());
        assert_eq!((fault.code(), fault.message()), (code, message), "{header:?} {body}");
    }

    // R15: header, then `__type`, then `code`.
    #[test]
    fn the_code_is_found_where_it_counts() {
        let kms = r#"{"__type":"InvalidKMSResourceException","code":"Disabled","message":"m"}"#;
        check(None, kms, Some("InvalidKMSResourceException"), Some("m"));
        check(Some("X"), kms, Some("X"), Some("m"));
        check(Some("ns#X:http://y/"), "", Some("X"), None);
        check(None, r#"{"code":"C","Message":"M"}"#, Some("C"), Some("M"));
        check(None, r#"{"__type":"a#b#X"}"#, Some("X"), None);
        check(None, r#"{"\u005f_type":"X"}"#, Some("X"), None);
        check(None, r#"{"__type":7,"code":"C"}"#, Some("C"), None);
        check(None, r#"{"nested":{"__type":"X"}}"#, None, None);
        check(None, r#"{"__type":"X","message":null,"Message":"M"}"#, Some("X"), Some("M"));
        check(Some(" "), r#"{"__type":"X"}"#, Some("X"), None);
    }

    #[test]
    fn bodies_of_others_leave_the_status() {
        for body in ["", "<html>busy</html>", "[]", "\"x\"", "{", "{}{}", "null"] {
            check(None, body, None, None);
        }
        check(Some("X"), "<html>", Some("X"), None);
    }

    #[test]
    fn long_texts_are_cut() {
        let body = format!(r#"{{"message":"{}"}}"#, "\u{e9}".repeat(1_000));
        let fault = Fault::read(Response::new(500, body.into_bytes()), &mut Scratch::new());
        assert_eq!(fault.message().unwrap().len(), 1_024);
        let body = format!(r#"{{"message":"x{}"}}"#, "\u{e9}".repeat(1_000));
        let fault = Fault::read(Response::new(500, body.into_bytes()), &mut Scratch::new());
        assert_eq!(fault.message().unwrap().len(), 1_023);
        let body = format!(r#"{{"message":"{}"}}"#, "x".repeat(BODY_BYTES_MAX));
        let fault = Fault::read(Response::new(500, body.into_bytes()), &mut Scratch::new());
        assert_eq!(fault.message(), None);
    }
}
