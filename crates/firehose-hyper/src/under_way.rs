//! The requests under way.
//!
//! Small requests are sent from within the driver's task: to hand one to another thread and its
//! answer back costs more than to hash, sign and write it. A large one, whose hash takes long, is a
//! task of its own, so that large requests use all cores.

use core::panic::AssertUnwindSafe;
use core::pin::pin;
use std::collections::{HashMap, VecDeque};

use firehose_proto::RequestId;
use firehose_proto::wire::Response;
use futures_util::FutureExt;
use futures_util::future::{AbortHandle, BoxFuture, abortable};
use futures_util::stream::{FuturesUnordered, StreamExt};
use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::JoinHandle;

use crate::service::SendError;

/// From this many bytes of body on a request is a task of its own: some 70 µs of hashing.
const LARGE_BYTES_MIN: usize = 128 * 1_024;

/// How a request ended; `None` if it was given up or its service panicked.
pub(crate) type Ended = (RequestId, Option<Result<Response, SendError>>);

/// Requests that have no answer yet.
#[derive(Default)]
pub(crate) struct UnderWay {
    requests: FuturesUnordered<BoxFuture<'static, Ended>>,
    handles: HashMap<RequestId, AbortHandle>,
    /// What ended while something else was waited for.
    ended: VecDeque<Ended>,
}

impl UnderWay {
    /// Takes a request whose body has so many bytes. It moves on in [`next`](Self::next) and
    /// [`meanwhile`](Self::meanwhile).
    pub(crate) fn start(
        &mut self,
        id: RequestId,
        body_bytes: usize,
        sent: impl Future<Output = Result<Response, SendError>> + Send + 'static,
    ) {
        let is_large = body_bytes >= LARGE_BYTES_MIN
            && Handle::current().runtime_flavor() != RuntimeFlavor::CurrentThread;
        let sent = if is_large {
            let mut task = Task(tokio::spawn(sent));
            async move { (&mut task.0).await.ok() }.boxed()
        } else {
            AssertUnwindSafe(sent).catch_unwind().map(Result::ok).boxed()
        };
        let (sent, handle) = abortable(sent);
        self.handles.insert(id, handle);
        self.requests.push(sent.map(move |ended| (id, ended.ok().flatten())).boxed());
    }

    /// Gives a request up.
    pub(crate) fn cancel(&self, id: RequestId) {
        if let Some(handle) = self.handles.get(&id) {
            handle.abort();
        }
    }

    /// Waits until a request ends; for ever if there is none.
    pub(crate) async fn next(&mut self) -> Ended {
        let ended = match self.ended.pop_front() {
            Some(ended) => ended,
            None => match self.requests.next().await {
                Some(ended) => ended,
                None => core::future::pending().await,
            },
        };
        self.handles.remove(&ended.0);
        ended
    }

    /// Waits for something else while the requests move on.
    pub(crate) async fn meanwhile<T>(&mut self, other: impl Future<Output = T>) -> T {
        let mut other = pin!(other);
        loop {
            tokio::select! {
                biased;
                result = &mut other => return result,
                Some(ended) = self.requests.next() => self.ended.push_back(ended),
            }
        }
    }
}

/// A task that ends when nobody waits for it any more.
struct Task<T>(JoinHandle<T>);

impl<T> Drop for Task<T> {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use core::future::{pending, ready};
    use core::time::Duration;
    use std::collections::BTreeMap;

    use firehose_proto::Failure::{self, NotSent};
    use tokio::sync::{mpsc, oneshot};
    use tokio::task::yield_now;
    use tokio::time::sleep;

    use super::*;

    type Sent = Result<Response, SendError>;

    const SIZES: [usize; 3] = [0, LARGE_BYTES_MIN - 1, LARGE_BYTES_MIN];

    fn id(number: u64) -> RequestId {
        RequestId::from_number(number)
    }

    async fn answer() -> Sent {
        yield_now().await;
        Ok(Response::new(200, Vec::new()))
    }

    fn end(ended: Option<Sent>) -> Option<Result<u16, Failure>> {
        ended.map(|sent| sent.map(|answer| answer.status()).map_err(|error| error.failure()))
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn every_end_is_told_once() {
        for bytes in SIZES {
            let mut under_way = UnderWay::default();
            under_way.start(id(1), bytes, answer());
            under_way.start(id(2), bytes, async { panic!("a layer of the user's") });
            under_way.start(id(3), bytes, pending());
            under_way.start(id(4), bytes, ready(Err(SendError::new(NotSent.into()))));
            under_way.cancel(id(3));
            under_way.cancel(id(9));
            let mut told = BTreeMap::new();
            for _ in 0..4 {
                let (id, ended) = under_way.next().await;
                told.insert(id.number(), end(ended));
            }
            let ends = [(1, Some(Ok(200))), (2, None), (3, None), (4, Some(Err(NotSent)))];
            assert_eq!(told, ends.into(), "{bytes} bytes");
            assert!(under_way.handles.is_empty());
        }
    }

    // A consumer of events that is slow must not make requests miss their deadline.
    #[tokio::test(start_paused = true)]
    async fn requests_move_on_while_something_else_is_waited_for() {
        let mut under_way = UnderWay::default();
        let (begun, mut begins) = mpsc::channel(1);
        under_way.start(id(1), 0, async move {
            begun.send(()).await.unwrap();
            answer().await
        });
        under_way.meanwhile(begins.recv()).await.unwrap();
        under_way.meanwhile(sleep(Duration::from_secs(1))).await;
        assert_eq!(under_way.ended.len(), 1);
        let (id, ended) = under_way.next().await;
        assert_eq!((id.number(), end(ended)), (1, Some(Ok(200))));
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn requests_end_with_the_driver() {
        for bytes in SIZES {
            let mut under_way = UnderWay::default();
            let (held, given_up) = oneshot::channel::<()>();
            under_way.start(id(1), bytes, async move {
                let _held = held;
                pending().await
            });
            under_way.meanwhile(yield_now()).await;
            drop(under_way);
            assert!(given_up.await.is_err(), "{bytes} bytes");
        }
    }
}
