//! What carries a request: any `tower_service::Service` of the right types.
//!
//! [`Transport`](crate::Transport) is one, the emulator's in-memory transport is another, and layers
//! of the user's own may lie between. Here a request of the core becomes one of HTTP, and back.

use core::error::Error;
use core::fmt;
use core::future::poll_fn;

use bytes::Bytes;
use firehose_proto::Failure;
use firehose_proto::wire::{CONTENT_TYPE, Operation, Response};
use http::header::{self, HeaderValue};
use tower_service::Service;

use crate::error::{BoxError, TransportError};
use crate::timeouts::AttemptDeadline;

/// A service that sends a request of HTTP and gives the whole answer.
///
/// The request is a `POST` to `/` with its body, `Content-Type` and `X-Amz-Target`, and an
/// [`AttemptDeadline`] among its extensions. An error of which nothing better is known counts as an
/// unknown outcome; a [`TransportError`] or a [`Failure`] in its chain of sources says more.
///
/// ```
/// use firehose_hyper::{HttpService, Transport};
/// use firehose_mock::InMemory;
///
/// fn is_one<S: HttpService>() {}
/// is_one::<Transport>();
/// is_one::<InMemory>();
/// ```
pub trait HttpService:
    Service<
        http::Request<Bytes>,
        Response = http::Response<Vec<u8>>,
        Error: Into<Box<dyn Error + Send + Sync>>,
        Future: Send + 'static,
    > + Clone
    + Send
    + 'static
{
}

impl<S> HttpService for S where
    S: Service<
            http::Request<Bytes>,
            Response = http::Response<Vec<u8>>,
            Error: Into<Box<dyn Error + Send + Sync>>,
            Future: Send + 'static,
        > + Clone
        + Send
        + 'static
{
}

/// An attempt that got no answer.
///
/// ```
/// use firehose_hyper::{Failure, SendError};
///
/// /// Says whether the records of a failed attempt may be stored.
/// fn may_be_stored(error: &SendError) -> bool {
///     error.failure() == Failure::OutcomeUnknown
/// }
/// ```
#[derive(Debug)]
pub struct SendError {
    failure: Failure,
    permanent: bool,
    source: BoxError,
}

impl SendError {
    fn new(source: BoxError) -> Self {
        let (failure, permanent) = judge(&*source);
        Self { failure, permanent, source }
    }

    /// Returns whether the service may have taken the request.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// Returns whether another attempt would fail in the same way: for a certificate that is not
    /// trusted, say.
    pub fn is_permanent(&self) -> bool {
        self.permanent
    }
}

impl fmt::Display for SendError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.source.fmt(f)
    }
}

impl Error for SendError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.source.source()
    }
}

/// Looks for somebody in the chain of sources who knows how far the request got.
fn judge(error: &(dyn Error + 'static)) -> (Failure, bool) {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(known) = error.downcast_ref::<TransportError>() {
            return (known.failure(), known.is_permanent());
        }
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return (*failure, false);
        }
        next = error.source();
    }
    (Failure::OutcomeUnknown, false)
}

/// Sends one request and waits for its answer.
pub(crate) async fn send<S: HttpService>(
    mut service: S,
    operation: Operation,
    body: Bytes,
    deadline: tokio::time::Instant,
) -> Result<Response, SendError> {
    let wrap = |error: S::Error| SendError::new(error.into());
    poll_fn(|context| service.poll_ready(context)).await.map_err(wrap)?;
    let answer = service.call(request(operation, body, deadline)).await.map_err(wrap)?;
    let (head, body) = answer.into_parts();
    let response = Response::new(head.status.as_u16(), body);
    Ok(head.headers.iter().fold(response, |response, (name, value)| {
        response.with_header(name.as_str(), value.as_bytes())
    }))
}

fn request(
    operation: Operation,
    body: Bytes,
    deadline: tokio::time::Instant,
) -> http::Request<Bytes> {
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert("x-amz-target", HeaderValue::from_static(operation.target()));
    request.extensions_mut().insert(AttemptDeadline(deadline));
    request
}
