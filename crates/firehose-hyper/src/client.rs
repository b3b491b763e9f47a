//! The documented operations, one call each: one request and what its answer is worth.
//!
//! Nothing is sent again here. Whoever wants that takes the [`Producer`](crate::Producer).

use core::error::Error;
use core::fmt;
use core::time::Duration;

use firehose_proto::StreamName;
use firehose_proto::batch::{AddError, Batch, Storage};
use firehose_proto::judge::{Distrust, Judged, Judgement, Verdict};
use firehose_proto::limits::{Limits, RECORD_BYTES_MAX};
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::reply::Reply;
use firehose_proto::wire::request::put_record;
use firehose_proto::wire::{Operation, Response, Scratch};
use tokio::time::Instant;

use crate::identity::Attempt;
use crate::service::{self, HttpService, Outgoing, SendError};

/// The time a call may take unless said otherwise: enough for a large request on a slow line.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Calls the service's operations, one request each.
///
/// ```
/// use firehose_hyper::Client;
/// use firehose_mock::{InMemory, Service, Streams};
/// use firehose_proto::judge::Verdict;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let client = Client::new(InMemory::new(Service::new(Streams::Any, 7)));
/// let answer = client.put_record_batch(&"demo".parse()?, ["one\n", "two\n"]).await?;
/// assert!(answer.verdicts().all(|verdict| matches!(verdict, Verdict::Stored { .. })));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Client<S> {
    service: S,
    timeout: Duration,
}

impl<S: HttpService> Client<S> {
    /// Makes a client that sends through `service`.
    pub fn new(service: S) -> Self {
        Self { service, timeout: TIMEOUT }
    }

    /// Sets how long a call may take. Default: 60 s.
    #[must_use]
    pub fn with_timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Puts 1 to 500 records in one request. The answer has a verdict for each; some may have
    /// failed though the call succeeded (R6).
    ///
    /// Dropping the future gives the request up; what became of it is then unknown.
    ///
    /// # Errors
    ///
    /// [`CallError`] if the records do not make a request, if it got no answer, or none that can be
    /// believed.
    pub async fn put_record_batch<R: AsRef<[u8]>>(
        &self,
        stream: &StreamName,
        records: impl IntoIterator<Item = R>,
    ) -> Result<Judged, CallError> {
        let mut batch = Batch::new(stream, Limits::default(), Storage::default());
        for (index, record) in records.into_iter().enumerate() {
            batch.add(record.as_ref()).map_err(|error| CallError::Record { index, error })?;
        }
        let sealed = batch.seal().ok_or(CallError::NoRecords)?;
        let body = sealed.body().clone();
        let response = self.call(Operation::PutRecordBatch, body, sealed.len()).await?;
        let request_id = response.request_id().map(Into::into);
        match Judgement::of(response, sealed.len(), &mut Scratch::new()) {
            Judgement::Fault(fault) => Err(CallError::Fault(fault)),
            Judgement::Records(judged) => Ok(judged),
            Judgement::Unknown(distrust) => Err(CallError::Unknown { distrust, request_id }),
        }
    }

    /// Puts one record and returns the identifier that the service gave it.
    ///
    /// Dropping the future gives the request up; what became of it is then unknown.
    ///
    /// # Errors
    ///
    /// As [`put_record_batch`](Self::put_record_batch).
    pub async fn put_record(&self, stream: &StreamName, data: &[u8]) -> Result<String, CallError> {
        if data.len() > RECORD_BYTES_MAX {
            let (bytes, bytes_max) = (data.len(), RECORD_BYTES_MAX);
            let error = AddError::RecordTooLarge { bytes, bytes_max };
            return Err(CallError::Record { index: 0, error });
        }
        let body = put_record(stream, data).into();
        let response = self.call(Operation::PutRecord, body, 1).await?;
        if !response.is_success() {
            return Err(CallError::Fault(Fault::read(response, &mut Scratch::new())));
        }
        let request_id = response.request_id().map(Into::into);
        let reply = match Reply::parse_put_record(response.into_body(), &mut Scratch::new()) {
            Ok(reply) => reply,
            Err(error) => {
                return Err(CallError::Unknown { distrust: Distrust::Reply(error), request_id });
            }
        };
        match Judgement::of_reply(reply, 1) {
            Judgement::Records(judged) => match judged.verdict(0) {
                Verdict::Stored { record_id } => Ok(record_id.to_owned()),
                Verdict::Failed { .. } | Verdict::Unknown => {
                    Err(CallError::NoRecordId { request_id })
                }
            },
            Judgement::Fault(fault) => Err(CallError::Fault(fault)),
            Judgement::Unknown(distrust) => Err(CallError::Unknown { distrust, request_id }),
        }
    }

    async fn call(
        &self,
        operation: Operation,
        body: bytes::Bytes,
        records: usize,
    ) -> Result<Response, CallError> {
        let deadline = Instant::now() + self.timeout;
        let attempt = Attempt::ONLY;
        let outgoing = Outgoing { operation, body, records, attempt, deadline };
        let sent = service::send(self.service.clone(), outgoing);
        sent.await.map_err(CallError::Send)
    }
}

/// Why a call did not end in an answer with verdicts.
#[derive(Debug)]
#[non_exhaustive]
pub enum CallError {
    /// The service answered with an error; it stored nothing unless the error is an internal one.
    Fault(Fault),
    /// The answer names no record; it may or may not have been stored.
    NoRecordId {
        /// The service's identifier of the request.
        request_id: Option<Box<str>>,
    },
    /// There is nothing to send: a request has at least one record (R1).
    NoRecords,
    /// A record does not fit into the request.
    Record {
        /// Its index, counted from 0.
        index: usize,
        /// What is wrong with it.
        error: AddError,
    },
    /// The request got no answer.
    Send(SendError),
    /// The answer is not believed; the records may or may not have been stored.
    Unknown {
        /// Why not.
        distrust: Distrust,
        /// The service's identifier of the request.
        request_id: Option<Box<str>>,
    },
}

impl CallError {
    /// Returns the service's identifier of the request, by which AWS's support finds it, if there
    /// was an answer that had one.
    pub fn request_id(&self) -> Option<&str> {
        match self {
            Self::Fault(fault) => fault.request_id(),
            Self::NoRecordId { request_id } | Self::Unknown { request_id, .. } => {
                request_id.as_deref()
            }
            Self::NoRecords | Self::Record { .. } | Self::Send(_) => None,
        }
    }
}

impl fmt::Display for CallError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fault(fault) => fault.fmt(f),
            Self::NoRecordId { .. } => f.write_str("the answer has no identifier for the record"),
            Self::NoRecords => f.write_str("a request has at least one record"),
            Self::Record { index, error } => write!(f, "record {index}: {error}"),
            Self::Send(error) => error.fmt(f),
            Self::Unknown { distrust, .. } => distrust.fmt(f),
        }
    }
}

impl Error for CallError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Send(error) => Some(error),
            Self::Record { error, .. } => Some(error),
            Self::Unknown { distrust, .. } => Some(distrust),
            Self::Fault(_) | Self::NoRecordId { .. } | Self::NoRecords => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use core::future::{Ready, ready};
    use core::task::{Context, Poll};

    use bytes::Bytes;
    use firehose_proto::Failure;

    use super::*;

    /// Answers every request with this body.
    #[derive(Clone)]
    struct Always(u16, &'static str);

    impl tower_service::Service<http::Request<Bytes>> for Always {
        type Response = http::Response<Vec<u8>>;
        type Error = Failure;
        type Future = Ready<Result<Self::Response, Failure>>;

        fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
            Poll::Ready(Ok(()))
        }

        fn call(&mut self, _: http::Request<Bytes>) -> Self::Future {
            let mut answer = http::Response::new(self.1.as_bytes().to_vec());
            *answer.status_mut() = http::StatusCode::from_u16(self.0).unwrap();
            let id = http::HeaderValue::from_static("the-id");
            answer.headers_mut().insert("x-amzn-requestid", id);
            ready(Ok(answer))
        }
    }

    #[tokio::test(start_paused = true)]
    async fn errors_keep_the_services_identifier() {
        let stream = "demo".parse().unwrap();
        for (status, body) in [(200, "{}"), (200, "<html>"), (400, "{}"), (503, "")] {
            let client = Client::new(Always(status, body));
            let error = client.put_record_batch(&stream, ["a"]).await.unwrap_err();
            assert_eq!(error.request_id(), Some("the-id"), "{error:?}");
            let error = client.put_record(&stream, b"a").await.unwrap_err();
            assert_eq!(error.request_id(), Some("the-id"), "{error:?}");
        }
        let none = client_without_records(&stream).await;
        assert!(matches!(none, CallError::NoRecords) && none.request_id().is_none());
    }

    async fn client_without_records(stream: &StreamName) -> CallError {
        let client = Client::new(Always(200, "{}"));
        client.put_record_batch::<&[u8]>(stream, []).await.unwrap_err()
    }
}
