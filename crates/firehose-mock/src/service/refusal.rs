//! Why a request is not taken, and how that is written: the service's error form.

use std::borrow::Cow;

use http::HeaderValue;

use crate::exchange::Answer;
use crate::faults::{INTERNAL, INTERNAL_MESSAGE, SLOW_DOWN, UNAVAILABLE};
use crate::service::answer::{ERROR_TYPE, write_text};

/// An error of the service for a whole request.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(crate) struct Refusal {
    pub(crate) status: u16,
    pub(crate) error_type: Cow<'static, str>,
    pub(crate) message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(
        status: u16,
        error_type: impl Into<Cow<'static, str>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self { status, error_type: error_type.into(), message: message.into() }
    }

    pub(crate) fn invalid_argument(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "InvalidArgumentException", message)
    }

    pub(crate) fn serialization(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(400, "SerializationException", message)
    }

    pub(crate) fn unknown_operation(status: u16, message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(status, "UnknownOperationException", message)
    }

    #[cfg(feature = "server")]
    pub(crate) fn too_large(bytes_max: usize) -> Self {
        let message = format!("the body has more than {bytes_max} bytes");
        Self::new(413, "RequestEntityTooLargeException", message)
    }

    pub(crate) const fn unavailable() -> Self {
        Self {
            status: 503,
            error_type: Cow::Borrowed(UNAVAILABLE),
            message: Cow::Borrowed(SLOW_DOWN),
        }
    }

    pub(crate) const fn internal() -> Self {
        Self {
            status: 500,
            error_type: Cow::Borrowed(INTERNAL),
            message: Cow::Borrowed(INTERNAL_MESSAGE),
        }
    }

    pub(crate) fn into_answer(self) -> Answer {
        let mut body = Vec::with_capacity(32 + self.error_type.len() + self.message.len());
        body.extend_from_slice(br#"{"__type":"#);
        write_text(&mut body, &self.error_type);
        body.extend_from_slice(br#","message":"#);
        write_text(&mut body, &self.message);
        body.push(b'}');
        let answer = Answer::new(self.status, body);
        // A script may name a type that no header can carry; the body says it all the same.
        match HeaderValue::from_str(&self.error_type) {
            Ok(error_type) => answer.with_header(ERROR_TYPE, error_type),
            Err(_) => answer,
        }
    }
}
