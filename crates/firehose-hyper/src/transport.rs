//! A service in tower's sense that takes a request and gives its answer over the network.
//!
//! One call is one attempt: nothing is repeated here, with two exceptions. A request that an idle
//! connection gave back unwritten, because the peer had closed it, goes out on a new one. And one
//! that was refused because this machine's clock is wrong goes out once more with the right date.

use core::fmt;
use core::pin::Pin;
use core::task::{Context, Poll};
use std::sync::Arc;
use std::time::SystemTime;

use bytes::Bytes;
use firehose_proto::Failure;
use firehose_proto::retry::Class;
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::{self, Scratch};
use http::header::{CONTENT_LENGTH, EXPECT, HOST, PROXY_AUTHORIZATION, TRANSFER_ENCODING};
use http::{HeaderValue, Method, Request, Response, Uri, Version};
use http_body_util::Full;
use tokio::time::{Instant, timeout_at};
use tower_service::Service;

use crate::connect::Connector;
use crate::connection::{Bounds, Connection, Ended, may_be_followed};
use crate::endpoint::Endpoint;
use crate::error::TransportError;
use crate::identity::{self, Attempt};
use crate::observe;
use crate::pool::Pool;
use crate::proxy::{self, Proxies, Proxy};
use crate::sign::{Generation, Signer};
use crate::skew::{Offset, Skew};
use crate::timeouts::{AttemptDeadline, Phase, Timeouts, from_now};
use crate::tls::{Tls, TlsError};

/// The largest body of an answer by default; one to 500 records has about 100 KiB.
const ANSWER_BYTES_MAX: usize = 4 * 1_024 * 1_024;

/// The most idle connections by default.
const IDLE_CONNECTIONS_MAX: usize = 32;

/// The largest error that is looked into for expired credentials.
const FAULT_BYTES_MAX: usize = 64 * 1_024;

/// Sends requests to an endpoint: signs them, keeps connections, and tells of each request that
/// got no answer whether the service may have taken it. Cheap to clone.
///
/// A request brings its headers `content-type` and `x-amz-target`, its body, and perhaps an
/// [`AttemptDeadline`]; the rest is set here. Redirects are answers like any other.
///
/// Dropping a call's future closes its connection. Unless it was never polled, the service may then
/// have taken the request or not.
///
/// ```no_run
/// use bytes::Bytes;
/// use firehose_hyper::{Endpoint, Signer, Transport, credentials};
/// use tower_service::Service;
///
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// let endpoint = Endpoint::from_region("eu-central-1")?;
/// let keys = credentials::from_env(|name| std::env::var(name).ok())?.ok_or("no credentials")?;
/// let signer = Signer::new(keys, endpoint.region());
/// let mut transport = Transport::builder(endpoint).signer(signer).build()?;
///
/// let request = http::Request::post("/")
///     .header("content-type", "application/x-amz-json-1.1")
///     .header("x-amz-target", "Firehose_20150804.PutRecord")
///     .body(Bytes::from_static(br#"{"DeliveryStreamName":"s","Record":{"Data":"aGk="}}"#))?;
/// let answer = transport.call(request).await?;
/// # let _ = answer;
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Transport {
    shared: Arc<Shared>,
}

impl Transport {
    /// Begins to set up a transport to an endpoint.
    pub fn builder(endpoint: Endpoint) -> TransportBuilder {
        TransportBuilder {
            endpoint,
            signer: None,
            tls: Tls::default(),
            proxies: Proxies::none(),
            connector: None,
            app_id: None,
            corrects_clock: true,
            timeouts: Timeouts::default(),
            answer_bytes_max: ANSWER_BYTES_MAX,
            idle_connections_max: IDLE_CONNECTIONS_MAX,
            clock: Arc::new(SystemTime::now),
        }
    }

    /// Returns where requests go.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }
}

impl Service<Request<Bytes>> for Transport {
    type Response = Response<Vec<u8>>;
    type Error = TransportError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), TransportError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Bytes>) -> Self::Future {
        let shared = Arc::clone(&self.shared);
        Box::pin(async move { shared.attempt(request).await })
    }
}

/// Sets up a [`Transport`].
///
/// ```
/// use std::time::Duration;
/// use firehose_hyper::{Endpoint, Timeouts, Transport};
///
/// let endpoint = Endpoint::from_url("http://127.0.0.1:4573", None)?;
/// let timeouts = Timeouts::default().with_first_byte(Duration::from_secs(60));
/// let transport = Transport::builder(endpoint).timeouts(timeouts).build()?;
/// assert!(transport.endpoint().is_loopback());
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone)]
pub struct TransportBuilder {
    endpoint: Endpoint,
    signer: Option<Signer>,
    tls: Tls,
    proxies: Proxies,
    connector: Option<Connector>,
    app_id: Option<Box<str>>,
    corrects_clock: bool,
    timeouts: Timeouts,
    answer_bytes_max: usize,
    idle_connections_max: usize,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl TransportBuilder {
    /// Signs requests; without a signer they go out unsigned, which only emulators take.
    #[must_use]
    pub fn signer(mut self, signer: Signer) -> Self {
        self.signer = Some(signer);
        self
    }

    /// Sets which certificates are trusted; those that the platform trusts.
    #[must_use]
    pub fn tls(mut self, tls: Tls) -> Self {
        self.tls = tls;
        self
    }

    /// Sets the proxies; none.
    #[must_use]
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = proxies;
        self
    }

    /// Names the application in the header `user-agent`: up to 50 characters that can stand in a
    /// token of HTTP, others become hyphens.
    #[must_use]
    pub fn app_id(mut self, app_id: impl Into<Box<str>>) -> Self {
        self.app_id = Some(app_id.into());
        self
    }

    /// Sets whether signatures are dated by the service's clock where that of this machine differs
    /// by four minutes or more; they are.
    #[must_use]
    pub fn correct_clock(mut self, is_wanted: bool) -> Self {
        self.corrects_clock = is_wanted;
        self
    }

    /// Makes connections another way than by TCP to the endpoint. TLS and proxies are then the
    /// connector's business.
    #[must_use]
    pub fn connector(mut self, connector: Connector) -> Self {
        self.connector = Some(connector);
        self
    }

    /// Sets how long each phase of an attempt may take.
    #[must_use]
    pub fn timeouts(mut self, timeouts: Timeouts) -> Self {
        self.timeouts = timeouts;
        self
    }

    /// Sets the most bytes that the body of an answer may have; 4 MiB.
    #[must_use]
    pub fn answer_bytes_max(mut self, bytes: usize) -> Self {
        self.answer_bytes_max = bytes;
        self
    }

    /// Sets the most connections that are kept for later; 32. Open ones that carry a request do
    /// not count.
    #[must_use]
    pub fn idle_connections_max(mut self, connections: usize) -> Self {
        self.idle_connections_max = connections;
        self
    }

    /// Sets the clock that dates signatures; the system's.
    #[must_use]
    pub fn clock(mut self, clock: impl Fn() -> SystemTime + Send + Sync + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes the transport. No connection is made yet.
    ///
    /// # Errors
    ///
    /// [`TlsError`] if the endpoint needs TLS and the certificates cannot be used.
    pub fn build(self) -> Result<Transport, TlsError> {
        if self.endpoint.is_plain() && !self.endpoint.is_loopback() {
            observe::plain(&self.endpoint);
        }
        let mut forward = None;
        let connector = match self.connector {
            Some(connector) => connector,
            None => {
                let proxy = self.proxies.proxy_for(&self.endpoint);
                forward = proxy.clone().filter(|_| self.endpoint.is_plain());
                Connector::through(&self.endpoint, &self.tls, proxy)?
            }
        };
        let uri = match forward {
            None => Uri::from_static("/"),
            Some(_) => Uri::try_from(format!("{}/", self.endpoint))
                .map_err(|_| TlsError::Host { host: self.endpoint.host().into() })?,
        };
        let host = HeaderValue::try_from(self.endpoint.host_header())
            .map_err(|_| TlsError::Host { host: self.endpoint.host().into() })?;
        let shared = Shared {
            peer: self.endpoint.peer().into(),
            host,
            uri,
            forward,
            agent: identity::agent(self.app_id.as_deref()),
            skew: self.corrects_clock.then(Skew::default),
            endpoint: self.endpoint,
            signer: self.signer,
            connector,
            pool: Pool::new(self.timeouts.idle(), self.idle_connections_max),
            timeouts: self.timeouts,
            answer_bytes_max: self.answer_bytes_max,
            clock: self.clock,
        };
        Ok(Transport { shared: Arc::new(shared) })
    }
}

impl fmt::Debug for TransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TransportBuilder")
            .field("endpoint", &self.endpoint)
            .field("signer", &self.signer)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

struct Shared {
    endpoint: Endpoint,
    peer: Arc<str>,
    host: HeaderValue,
    /// What requests ask for: `/`, or the whole URL where a proxy is to find the way.
    uri: Uri,
    /// The proxy that sees the requests, if there is one.
    forward: Option<Proxy>,
    agent: HeaderValue,
    /// How far the clock is off, unless nobody is to care.
    skew: Option<Skew>,
    signer: Option<Signer>,
    connector: Connector,
    pool: Pool,
    timeouts: Timeouts,
    answer_bytes_max: usize,
    clock: Arc<dyn Fn() -> SystemTime + Send + Sync>,
}

impl Shared {
    /// Sends a request and returns its answer.
    async fn attempt(
        &self,
        mut request: Request<Bytes>,
    ) -> Result<Response<Vec<u8>>, TransportError> {
        let deadline = match request.extensions_mut().remove() {
            Some(AttemptDeadline(deadline)) => deadline,
            None => from_now(self.timeouts.attempt()),
        };
        if deadline <= Instant::now() {
            return Err(self.timed_out(Phase::Connect, Failure::NotSent));
        }
        self.complete(&mut request);
        let timeouts = &self.timeouts;
        let bounds = Bounds { timeouts, deadline, answer_bytes_max: self.answer_bytes_max };
        // No connection is made in vain while there are no credentials.
        self.await_credentials(deadline).await?;
        let mut idle = self.pool.take().await;
        let mut was_redated = false;
        loop {
            let was_idle = idle.is_some();
            let mut connection = match idle.take() {
                Some(connection) => connection,
                None => self.connect(deadline).await?,
            };
            // The date of a signature is checked: it is made when the request can leave.
            let (began, sent_at) = (Instant::now(), (self.clock)());
            let offset = self.offset();
            let signed = self.sign(&mut request, offset.correct(sent_at), deadline).await?;
            let length = request_bytes(&request);
            let outgoing = request.clone().map(Full::new);
            match connection.exchange(outgoing, length, &bounds).await {
                Ok(answer) => {
                    let is_complete = connection.written() == length && may_be_followed(&answer);
                    if is_complete && connection.is_ready() {
                        self.pool.put(connection);
                    }
                    if let Some(proxy) = &self.forward
                        && let Some(error) = proxy::refusal(answer.status(), proxy)
                    {
                        return Err(error);
                    }
                    if let Some(skew) = &self.skew {
                        skew.learn(answer.headers(), sent_at, began.elapsed());
                    }
                    let may_be_misdated = self.note_refusal(&answer, signed);
                    if was_redated || !may_be_misdated || self.offset().is_near(offset) {
                        return Ok(answer);
                    }
                    was_redated = true;
                    idle = self.pool.take().await;
                }
                Err(Ended::Closed(_)) if was_idle => {}
                Err(ended) => return Err(self.error(ended, connection.written(), length)),
            }
        }
    }

    /// Sets what is the same in all requests, so that nothing else can be sent.
    fn complete(&self, request: &mut Request<Bytes>) {
        *request.method_mut() = Method::POST;
        *request.uri_mut() = self.uri.clone();
        *request.version_mut() = Version::HTTP_11;
        let attempt = request.extensions().get().copied().unwrap_or(Attempt::ONLY);
        let length = HeaderValue::from(request.body().len());
        let headers = request.headers_mut();
        headers.remove(EXPECT);
        headers.remove(TRANSFER_ENCODING);
        headers.insert(HOST, self.host.clone());
        headers.insert(CONTENT_LENGTH, length);
        attempt.write(headers, &self.agent);
        if let Some(authorization) = self.forward.as_ref().and_then(|p| p.authorization.clone()) {
            headers.insert(PROXY_AUTHORIZATION, authorization);
        }
    }

    async fn connect(&self, deadline: Instant) -> Result<Connection, TransportError> {
        let io = self.connector.connect(&self.peer, &self.timeouts, deadline).await?;
        Connection::new(io).await.map_err(|error| TransportError::Connect {
            peer: Arc::clone(&self.peer),
            source: std::io::Error::other(error),
        })
    }

    async fn await_credentials(&self, deadline: Instant) -> Result<(), TransportError> {
        let Some(signer) = &self.signer else { return Ok(()) };
        let at = self.offset().correct((self.clock)());
        match timeout_at(deadline, signer.load_credentials(at)).await {
            Ok(result) => result.map_err(TransportError::Sign),
            Err(_) => Err(self.timed_out(Phase::Credentials, Failure::NotReady)),
        }
    }

    /// Returns how far the clock is off, as far as somebody cares.
    fn offset(&self) -> Offset {
        self.skew.as_ref().map(Skew::offset).unwrap_or_default()
    }

    /// Signs a request and returns whose credentials it was signed with.
    async fn sign(
        &self,
        request: &mut Request<Bytes>,
        at: SystemTime,
        deadline: Instant,
    ) -> Result<Option<Generation>, TransportError> {
        let Some(signer) = &self.signer else { return Ok(None) };
        match timeout_at(deadline, signer.sign_as(request, at)).await {
            Ok(result) => result.map(Some).map_err(TransportError::Sign),
            Err(_) => Err(self.timed_out(Phase::Credentials, Failure::NotReady)),
        }
    }

    /// Forgets credentials that the service does not take any more; returns whether it refused the
    /// request with words that may mean a wrong date, and that nobody else understands so.
    fn note_refusal(&self, answer: &Response<Vec<u8>>, signed: Option<Generation>) -> bool {
        let (Some(signer), Some(generation)) = (&self.signer, signed) else { return false };
        let may_be_fault = matches!(answer.status().as_u16(), 400 | 403);
        if !may_be_fault || answer.body().len() > FAULT_BYTES_MAX {
            return false;
        }
        let mut response = wire::Response::new(answer.status().as_u16(), answer.body().clone());
        for (name, value) in answer.headers() {
            response = response.with_header(name.as_str(), value.as_bytes());
        }
        let fault = Fault::read(response, &mut Scratch::new());
        let code = fault.code().unwrap_or_default();
        match code {
            "ExpiredToken" | "ExpiredTokenException" => signer.expire(generation),
            "InvalidClientTokenId" | "UnrecognizedClientException" => signer.forget(generation),
            _ => {}
        }
        OF_DATES.contains(&code) && Class::of_fault(&fault) == Class::StreamRejected
    }

    /// Tells the end of an exchange by its phase and by the bytes that were written.
    fn error(&self, ended: Ended, written: u64, length: u64) -> TransportError {
        let peer = Arc::clone(&self.peer);
        match ended {
            Ended::Broken(source) | Ended::Closed(source) if written < length => {
                TransportError::Send { peer, written, length, source }
            }
            Ended::Broken(source) | Ended::Closed(source) => {
                TransportError::Receive { peer, source }
            }
            Ended::TimedOut(phase) => {
                let whole = written >= length;
                let failure = if whole { Failure::OutcomeUnknown } else { Failure::NotSent };
                self.timed_out(phase, failure)
            }
            Ended::TooLarge => TransportError::TooLarge { peer, bytes_max: self.answer_bytes_max },
        }
    }

    fn timed_out(&self, phase: Phase, failure: Failure) -> TransportError {
        TransportError::Timeout { peer: Arc::clone(&self.peer), phase, failure }
    }
}

impl fmt::Debug for Shared {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Shared")
            .field("endpoint", &self.endpoint)
            .field("signer", &self.signer)
            .field("connector", &self.connector)
            .field("pool", &self.pool)
            .field("timeouts", &self.timeouts)
            .finish_non_exhaustive()
    }
}

/// Returns the bytes of a request as HTTP/1.1 writes it, head and body.
fn request_bytes(request: &Request<Bytes>) -> u64 {
    let uri = request.uri().to_string();
    let line = "POST  HTTP/1.1\r\n".len() + uri.len();
    let header = |(name, value): (&http::HeaderName, &HeaderValue)| {
        name.as_str().len() + ": ".len() + value.len() + "\r\n".len()
    };
    let headers: usize = request.headers().iter().map(header).sum();
    (line + headers + "\r\n".len() + request.body().len()) as u64
}

/// The codes by which a service may mean that a signature has the wrong date. Those that say so
/// clearly are the core's to send again.
const OF_DATES: [&str; 4] =
    ["AccessDeniedException", "AuthFailure", "InvalidSignatureException", "SignatureDoesNotMatch"];

#[cfg(test)]
mod tests;
