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
use crate::identity::Attempt;
use crate::observe::Observed;
use crate::timeouts::AttemptDeadline;

/// A service that sends a request of HTTP and gives the whole answer.
///
/// The request is a `POST` to `/` with its body, `Content-Type` and `X-Amz-Target`, and an
/// [`AttemptDeadline`] and an [`Attempt`] among its extensions. An error of which nothing better is known counts as an
/// unknown outcome; a [`TransportError`] or a [`Failure`] in its chain of sources says more.
///
/// Layers of tower go between the producer and a transport; `examples/layer.rs` has one.
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
    source: BoxError,
}

impl SendError {
    pub(crate) fn new(source: BoxError) -> Self {
        let failure = judge(&*source);
        Self { failure, source }
    }

    /// Returns what the transport itself said, if it is this crate's, however many layers lie
    /// between.
    pub fn transport_error(&self) -> Option<&TransportError> {
        causes(&*self.source).find_map(|error| error.downcast_ref())
    }

    /// Returns whether the service may have taken the request, and whether it is of any use to try
    /// again.
    pub fn failure(&self) -> Failure {
        self.failure
    }

    /// Returns whether another attempt would fail in the same way: for a certificate that is not
    /// trusted, say.
    pub fn is_permanent(&self) -> bool {
        self.failure == Failure::Unsendable
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
fn judge(error: &(dyn Error + 'static)) -> Failure {
    let mut known = causes(error).filter_map(|error| {
        let failure = error.downcast_ref::<TransportError>().map(TransportError::failure);
        failure.or_else(|| error.downcast_ref::<Failure>().copied())
    });
    known.next().unwrap_or(Failure::OutcomeUnknown)
}

/// Returns an error and all that caused it.
fn causes<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    core::iter::successors(Some(error), |error: &&'a (dyn Error + 'static)| (*error).source())
}

/// A request on its way out.
pub(crate) struct Outgoing {
    pub(crate) operation: Operation,
    pub(crate) body: Bytes,
    pub(crate) records: usize,
    pub(crate) attempt: Attempt,
    pub(crate) deadline: tokio::time::Instant,
}

/// Sends one request and waits for its answer.
pub(crate) async fn send<S: HttpService>(
    service: S,
    outgoing: Outgoing,
) -> Result<Response, SendError> {
    let observed = Observed::begin(&outgoing);
    let result = observed.within(exchange(service, outgoing)).await;
    observed.end(&result);
    result
}

async fn exchange<S: HttpService>(
    mut service: S,
    outgoing: Outgoing,
) -> Result<Response, SendError> {
    let wrap = |error: S::Error| SendError::new(error.into());
    poll_fn(|context| service.poll_ready(context)).await.map_err(wrap)?;
    let answer = service.call(request(outgoing)).await.map_err(wrap)?;
    let (head, body) = answer.into_parts();
    let response = Response::new(head.status.as_u16(), body);
    Ok(head.headers.iter().fold(response, |response, (name, value)| {
        response.with_header(name.as_str(), value.as_bytes())
    }))
}

fn request(outgoing: Outgoing) -> http::Request<Bytes> {
    let Outgoing { operation, body, attempt, deadline, .. } = outgoing;
    let mut request = http::Request::new(body);
    *request.method_mut() = http::Method::POST;
    let headers = request.headers_mut();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static(CONTENT_TYPE));
    headers.insert("x-amz-target", HeaderValue::from_static(operation.target()));
    request.extensions_mut().insert(AttemptDeadline(deadline));
    request.extensions_mut().insert(attempt);
    request
}
