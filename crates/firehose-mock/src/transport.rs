//! The service as a transport inside the process: no socket, the same answers.
//!
//! It is what a client is given in tests of an application, in place of a connection.

use core::future::{Ready, ready};
use core::task::{Context, Poll};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use firehose_proto::Failure;
use firehose_proto::wire::BODY_HEADROOM_BYTES;
use http::{Method, request::Parts};

use crate::exchange::{Answer, Disposition, Request};
use crate::service::{Refusal, Service};

/// A transport that ends in a service of this process. Clones share the service.
///
/// ```
/// use bytes::Bytes;
/// use firehose_mock::{InMemory, Service, Streams};
/// use tower_service::Service as _;
///
/// let mut transport = InMemory::new(Service::new(Streams::Any, 1));
/// let request = http::Request::post("http://firehose.local/")
///     .header("content-type", "application/x-amz-json-1.1")
///     .header("x-amz-target", "Firehose_20150804.PutRecord")
///     .body(Bytes::from(r#"{"DeliveryStreamName":"demo","Record":{"Data":""}}"#))?;
/// let response = transport.call(request).into_inner()?;
/// assert_eq!(response.status(), 200);
/// assert_eq!(transport.lock().ledger().totals().records_accepted, 1);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Debug)]
pub struct InMemory {
    service: Arc<Mutex<Service>>,
}

impl InMemory {
    /// Makes a transport to this service.
    pub fn new(service: Service) -> Self {
        Self { service: Arc::new(Mutex::new(service)) }
    }

    /// Returns the service for the time of the guard, to look at its ledger or to extend its
    /// script. Requests wait meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Service> {
        lock(&self.service)
    }
}

impl From<Arc<Mutex<Service>>> for InMemory {
    fn from(service: Arc<Mutex<Service>>) -> Self {
        Self { service }
    }
}

impl tower_service::Service<http::Request<Bytes>> for InMemory {
    type Response = http::Response<Vec<u8>>;
    type Error = Failure;
    type Future = Ready<Result<Self::Response, Failure>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let (head, body) = request.into_parts();
        let mut service = self.lock();
        let answer = match head_refusal(&head) {
            Some(refusal) => service.refuse(refusal),
            None => service.handle(Request::from_headers(&head.headers, with_headroom(body))),
        };
        ready(deliver(answer))
    }
}

/// Locks even after a panic of another holder: what the service keeps is sound after each step.
pub(crate) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Says why the head of a request cannot be one of the service's operations, if so.
pub(crate) fn head_refusal(head: &Parts) -> Option<Refusal> {
    if head.uri.path() != "/" {
        return Some(Refusal::unknown_operation(404, "every operation has the path /"));
    }
    if head.method != Method::POST {
        return Some(Refusal::unknown_operation(405, "every operation has the method POST"));
    }
    None
}

/// Takes a body for parsing in place, without a copy where nobody else holds it and there is room.
fn with_headroom(body: Bytes) -> Vec<u8> {
    match body.try_into_mut() {
        Ok(body) => Vec::from(body),
        Err(shared) => {
            let mut body = Vec::with_capacity(shared.len() + BODY_HEADROOM_BYTES);
            body.extend_from_slice(&shared);
            body
        }
    }
}

fn deliver(answer: Answer) -> Result<http::Response<Vec<u8>>, Failure> {
    match answer.delivery {
        Disposition::CutAfter => Err(Failure::OutcomeUnknown),
        Disposition::CutBefore => Err(Failure::NotSent),
        Disposition::Reply => Ok(answer.into()),
    }
}

#[cfg(test)]
mod tests {
    use tower_service::Service as _;

    use super::*;
    use crate::faults::Step;
    use crate::service::Streams;

    const BODY: &str = r#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#;

    fn call(
        transport: &mut InMemory,
        method: Method,
        target: &'static str,
    ) -> Result<u16, Failure> {
        let mut request = http::Request::new(Bytes::from_static(BODY.as_bytes()));
        *request.method_mut() = method;
        *request.uri_mut() = http::Uri::from_static(target);
        for (name, value) in [
            ("content-type", "application/x-amz-json-1.1"),
            ("x-amz-target", "Firehose_20150804.PutRecord"),
        ] {
            request.headers_mut().insert(name, http::HeaderValue::from_static(value));
        }
        Ok(transport.call(request).into_inner()?.status().as_u16())
    }

    #[test]
    fn cuts_say_how_far_the_request_got() {
        let mut transport = InMemory::new(Service::new(Streams::Any, 1));
        for (step, result, accepted) in [
            (Step::CutAfter, Err(Failure::OutcomeUnknown), 1),
            (Step::CutBefore, Err(Failure::NotSent), 1),
            (Step::Take, Ok(200), 2),
            (Step::Raw(Answer::new(599, "x")), Ok(599), 2),
            (Step::Raw(Answer::new(7, "x")), Ok(500), 2),
        ] {
            transport.lock().script([step]);
            let got = call(&mut transport, Method::POST, "http://localhost/");
            assert_eq!(got, result);
            assert_eq!(transport.lock().ledger().totals().records_accepted, accepted);
        }
    }

    #[test]
    fn other_requests_than_operations_are_refused() {
        let mut transport = InMemory::new(Service::new(Streams::Any, 1));
        for (method, path, status) in
            [(Method::GET, "/", 405), (Method::POST, "/x", 404), (Method::POST, "/", 200)]
        {
            assert_eq!(call(&mut transport, method, path), Ok(status));
        }
        assert_eq!(transport.lock().ledger().totals().requests_refused, 2);
    }

    #[test]
    fn bodies_are_taken_whole_whoever_holds_them() {
        let shared = Bytes::from(BODY.as_bytes().to_vec());
        let part = shared.slice(5..20);
        assert_eq!(with_headroom(part), BODY.as_bytes()[5..20]);
        assert_eq!(with_headroom(shared), BODY.as_bytes());
        assert_eq!(with_headroom(Bytes::new()), b"");
    }

    #[test]
    fn a_panic_elsewhere_does_not_stop_the_service() {
        let mut transport = InMemory::new(Service::new(Streams::Any, 1));
        let held = transport.clone();
        let panicked = std::thread::spawn(move || {
            let _guard = held.lock();
            panic!("in a test, while the service is held");
        });
        assert!(panicked.join().is_err());
        assert_eq!(call(&mut transport, Method::POST, "/"), Ok(200));
    }
}
