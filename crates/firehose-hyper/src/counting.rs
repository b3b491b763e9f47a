//! A stream that counts its bytes, below HTTP and above TLS.
//!
//! How many bytes of a request the stream took decides whether the service may have it; errors of
//! the layers above do not tell. Above TLS the count errs on the safe side: bytes that TLS took may
//! never have left.

use core::pin::Pin;
use core::sync::atomic::{AtomicU64, Ordering};
use core::task::{Context, Poll, ready};
use std::io::{self, IoSlice};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// What a [`Counting`] stream has seen since the request began.
///
/// Stream and reader of the counts run in one task, so the order of the atomics does not matter.
#[derive(Debug, Default)]
pub(crate) struct Counters {
    written: AtomicU64,
    read: AtomicU64,
    write_error: Mutex<Option<io::Error>>,
}

impl Counters {
    /// Begins to count a request.
    pub(crate) fn reset(&self) {
        self.written.store(0, Ordering::Relaxed);
        self.read.store(0, Ordering::Relaxed);
    }

    /// Returns the bytes that the stream took.
    pub(crate) fn written(&self) -> u64 {
        self.written.load(Ordering::Relaxed)
    }

    /// Returns the bytes that the stream gave.
    pub(crate) fn read(&self) -> u64 {
        self.read.load(Ordering::Relaxed)
    }

    /// Takes the error that ended writing.
    pub(crate) fn take_write_error(&self) -> Option<io::Error> {
        self.write_error.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn set_write_error(&self, error: io::Error) {
        *self.write_error.lock().unwrap_or_else(PoisonError::into_inner) = Some(error);
    }
}

/// A stream that counts, and that lets its reader read on when writing has failed.
///
/// A service that refuses a request before it has read all of it answers and closes. Writing then
/// fails while the answer already lies in the socket. HTTP above would give up at the failed write;
/// so the failure is kept here, writing seems to stall, and reading goes on to the answer or to the
/// end of the stream.
#[derive(Debug)]
pub(crate) struct Counting<T> {
    io: T,
    counters: Arc<Counters>,
    write_failed: bool,
}

impl<T> Counting<T> {
    pub(crate) fn new(io: T, counters: Arc<Counters>) -> Self {
        Self { io, counters, write_failed: false }
    }

    /// Keeps the error of a write and makes the caller look at the read half once more.
    fn hold<R>(&mut self, error: io::Error, cx: &Context<'_>) -> Poll<io::Result<R>> {
        self.counters.set_write_error(error);
        self.write_failed = true;
        cx.waker().wake_by_ref();
        Poll::Pending
    }

    fn count(&mut self, result: io::Result<usize>, cx: &Context<'_>) -> Poll<io::Result<usize>> {
        match result {
            Ok(bytes) => {
                self.counters.written.fetch_add(bytes as u64, Ordering::Relaxed);
                Poll::Ready(Ok(bytes))
            }
            Err(error) => self.hold(error, cx),
        }
    }
}

impl<T: AsyncRead + Unpin> AsyncRead for Counting<T> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut self.io).poll_read(cx, buffer))?;
        let bytes = buffer.filled().len() - before;
        self.counters.read.fetch_add(bytes as u64, Ordering::Relaxed);
        Poll::Ready(Ok(()))
    }
}

impl<T: AsyncWrite + Unpin> AsyncWrite for Counting<T> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let result = ready!(Pin::new(&mut self.io).poll_write(cx, bytes));
        self.count(result, cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        slices: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        if self.write_failed {
            return Poll::Pending;
        }
        let result = ready!(Pin::new(&mut self.io).poll_write_vectored(cx, slices));
        self.count(result, cx)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Pending;
        }
        match ready!(Pin::new(&mut self.io).poll_flush(cx)) {
            Ok(()) => Poll::Ready(Ok(())),
            Err(error) => self.hold(error, cx),
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        if self.write_failed {
            return Poll::Ready(Ok(()));
        }
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use core::future::poll_fn;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn bytes_are_counted_both_ways() {
        let (client, mut server) = tokio::io::duplex(8);
        let counters = Arc::new(Counters::default());
        let mut stream = Counting::new(client, Arc::clone(&counters));
        server.write_all(b"abc").await.unwrap();
        let mut buffer = [0; 8];
        assert_eq!(stream.read(&mut buffer).await.unwrap(), 3);
        // The pipe takes 8 of these.
        assert_eq!(stream.write(&[0; 20]).await.unwrap(), 8);
        assert_eq!((counters.written(), counters.read()), (8, 3));
        counters.reset();
        assert_eq!((counters.written(), counters.read()), (0, 0));
    }

    #[tokio::test]
    async fn an_answer_can_be_read_after_a_failed_write() {
        let (client, mut server) = tokio::io::duplex(64);
        let counters = Arc::new(Counters::default());
        let mut stream = Counting::new(client, Arc::clone(&counters));
        server.write_all(b"too large").await.unwrap();
        drop(server);
        poll_fn(|cx| {
            assert!(Pin::new(&mut stream).poll_write(cx, b"more").is_pending());
            assert!(Pin::new(&mut stream).poll_flush(cx).is_pending());
            Poll::Ready(())
        })
        .await;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).await.unwrap();
        assert_eq!(answer, b"too large");
        assert_eq!(counters.written(), 0);
        let error = counters.take_write_error().unwrap();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        stream.shutdown().await.unwrap();
    }
}
