//! One connection, and one exchange on it: a request goes out, an answer comes in.
//!
//! hyper's half that moves the bytes is driven from within the exchange, not by a task of its own.
//! So a caller that is dropped at any point takes the connection with it, and whether the request
//! was written whole is known at each step.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll, Waker};
use std::sync::Arc;

use bytes::Bytes;
use firehose_proto::wire::BODY_HEADROOM_BYTES;
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response, Version};
use http_body_util::{BodyExt, Full};
use hyper::body::{Body, Incoming};
use hyper::client::conn::{TrySendError, http1};
use hyper_util::rt::TokioIo;
use tokio::time::{Instant, sleep_until};

use crate::connect::BoxIo;
use crate::counting::{Counters, Counting};
use crate::error::BoxError;
use crate::timeouts::{Phase, Timeouts, until};

/// The largest head of an answer; the service's own have less than 1 KiB.
const HEAD_BYTES_MAX: usize = 64 * 1_024;

type Driver = http1::Connection<TokioIo<Counting<BoxIo>>, Full<Bytes>>;

/// A connection with at most one request on it.
pub(crate) struct Connection {
    sender: http1::SendRequest<Full<Bytes>>,
    /// Moves the bytes; `None` once the connection has ended.
    driver: Option<Driver>,
    /// Why the connection ended, if it did so by an error.
    driver_error: Option<hyper::Error>,
    counters: Arc<Counters>,
}

/// What bounds an exchange.
pub(crate) struct Bounds<'a> {
    pub(crate) timeouts: &'a Timeouts,
    pub(crate) deadline: Instant,
    pub(crate) answer_bytes_max: usize,
}

/// How an exchange ended without an answer.
pub(crate) enum Ended {
    /// The connection ended.
    Broken(BoxError),
    /// The connection was closed before a byte was written.
    Closed(BoxError),
    /// A time-out or the deadline passed.
    TimedOut(Phase),
    /// The answer is larger than allowed.
    TooLarge,
}

impl Connection {
    /// Puts HTTP/1.1 on a stream.
    pub(crate) async fn new(io: BoxIo) -> hyper::Result<Self> {
        let counters = Arc::new(Counters::default());
        let io = TokioIo::new(Counting::new(io, Arc::clone(&counters)));
        let (sender, driver) =
            http1::Builder::new().max_header_size(HEAD_BYTES_MAX).handshake(io).await?;
        Ok(Self { sender, driver: Some(driver), driver_error: None, counters })
    }

    /// Sends a request and collects its answer, with spare capacity behind the body.
    pub(crate) async fn exchange(
        &mut self,
        request: Request<Full<Bytes>>,
        length: u64,
        bounds: &Bounds<'_>,
    ) -> Result<Response<Vec<u8>>, Ended> {
        self.counters.reset();
        let sent = self.sender.try_send_request(request);
        let mut answer = pin!(receive(sent, bounds.answer_bytes_max));
        let mut alarm = pin!(sleep_until(bounds.deadline));
        let mut progress = Progress::new(length);
        let ended = poll_fn(|cx| {
            self.drive(cx);
            if let Poll::Ready(result) = answer.as_mut().poll(cx) {
                return Poll::Ready(result);
            }
            if progress.update(&self.counters) {
                let span = progress.limit(bounds.timeouts);
                alarm.as_mut().reset(until(span, bounds.deadline));
            }
            alarm.as_mut().poll(cx).map(|()| Err(Ended::TimedOut(progress.phase())))
        });
        match ended.await {
            Err(Ended::Broken(source)) => Err(Ended::Broken(self.cause(source))),
            // A request that is given back is resent: its bytes have the last word on that.
            Err(Ended::Closed(source)) if self.counters.written() > 0 => {
                Err(Ended::Broken(self.cause(source)))
            }
            result => result,
        }
    }

    /// Returns the bytes written since the last request began.
    pub(crate) fn written(&self) -> u64 {
        self.counters.written()
    }

    /// Returns whether another request can go this way: the connection is open, and nothing is on
    /// it that was not asked for.
    pub(crate) fn is_ready(&mut self) -> bool {
        // Nobody waits for what comes later, until the next exchange does.
        let mut cx = Context::from_waker(Waker::noop());
        self.drive(&mut cx);
        let is_ready = matches!(self.sender.poll_ready(&mut cx), Poll::Ready(Ok(())));
        is_ready && self.driver.is_some()
    }

    /// Moves what bytes can be moved.
    fn drive(&mut self, cx: &mut Context<'_>) {
        let Some(driver) = &mut self.driver else { return };
        if let Poll::Ready(result) = Pin::new(driver).poll(cx) {
            self.driver = None;
            self.driver_error = result.err();
        }
    }

    /// Finds what really ended the connection: the error of a write, which reading outlived, else
    /// what the driver says, else what the answer says.
    fn cause(&mut self, answer_error: BoxError) -> BoxError {
        if let Some(error) = self.counters.take_write_error() {
            return error.into();
        }
        self.driver_error.take().map_or(answer_error, Into::into)
    }
}

/// Returns whether another request may follow on the connection: the answer leaves no doubt about
/// where it ends, and is of HTTP/1.1. To a server of HTTP/1.0 hyper would send a header more, and
/// its bytes would be missing from the count of what is written.
pub(crate) fn may_be_followed<B>(answer: &Response<B>) -> bool {
    let headers = answer.headers();
    answer.version() == Version::HTTP_11
        && !(headers.contains_key(CONTENT_LENGTH) && headers.contains_key(TRANSFER_ENCODING))
}

/// Waits for an answer and collects it.
async fn receive(
    sent: impl Future<Output = Result<Response<Incoming>, TrySendError<Request<Full<Bytes>>>>>,
    bytes_max: usize,
) -> Result<Response<Vec<u8>>, Ended> {
    let response = match sent.await {
        Ok(response) => response,
        Err(mut error) => {
            let unwritten = error.take_message().is_some();
            let source = error.into_error().into();
            return Err(if unwritten { Ended::Closed(source) } else { Ended::Broken(source) });
        }
    };
    let (parts, mut body) = response.into_parts();
    let announced = usize::try_from(body.size_hint().lower()).unwrap_or(usize::MAX);
    if announced > bytes_max {
        return Err(Ended::TooLarge);
    }
    let mut bytes = Vec::with_capacity(announced + BODY_HEADROOM_BYTES);
    while let Some(frame) = body.frame().await {
        let Ok(data) = frame.map_err(|error| Ended::Broken(error.into()))?.into_data() else {
            continue; // Trailers say nothing to us.
        };
        if data.len() > bytes_max - bytes.len() {
            return Err(Ended::TooLarge);
        }
        bytes.extend_from_slice(&data);
    }
    bytes.reserve(BODY_HEADROOM_BYTES);
    Ok(Response::from_parts(parts, bytes))
}

/// How far an exchange has come, by the bytes that moved.
struct Progress {
    length: u64,
    written: u64,
    read: u64,
    started: bool,
}

impl Progress {
    fn new(length: u64) -> Self {
        Self { length, written: 0, read: 0, started: false }
    }

    /// Takes the counts over; returns whether they moved, as they do at the start.
    fn update(&mut self, counters: &Counters) -> bool {
        let (written, read) = (counters.written(), counters.read());
        let moved = !self.started || (written, read) != (self.written, self.read);
        *self = Self { length: self.length, written, read, started: true };
        moved
    }

    fn phase(&self) -> Phase {
        if self.read > 0 {
            Phase::Read
        } else if self.written < self.length {
            Phase::Write
        } else {
            Phase::FirstByte
        }
    }

    /// Returns how long the present phase may go on without progress.
    fn limit(&self, timeouts: &Timeouts) -> core::time::Duration {
        if self.read > 0 {
            timeouts.read_progress()
        } else if self.written < self.length {
            timeouts.write_progress()
        } else {
            timeouts.first_byte()
        }
    }
}
