//! Faults that no socket shows in a sure order, and requests that cannot even be signed.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::script::Step;
use super::*;

use Step::ReadRequest;

/// A stream whose reset is seen by a write first: only then can what the peer said be read.
struct ResetWhileWriting {
    room: usize,
    said: &'static [u8],
}

impl AsyncRead for ResetWhileWriting {
    fn poll_read(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.room > 0 {
            return Poll::Pending;
        }
        buffer.put_slice(std::mem::take(&mut self.said));
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for ResetWhileWriting {
    fn poll_write(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        if self.room == 0 {
            return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into()));
        }
        let taken = bytes.len().min(self.room);
        self.room -= taken;
        Poll::Ready(Ok(taken))
    }

    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }
}

#[tokio::test(start_paused = true)]
async fn early_answers_are_read_though_a_write_failed_first() {
    let early = b"HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\n{}";
    for (said, status) in [(&early[..], Some(413)), (&early[..30], None), (b"", None)] {
        let connector =
            Connector::from_fn(move || async move { Ok(ResetWhileWriting { room: 1_000, said }) });
        let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
        let mut transport = Transport::builder(endpoint).connector(connector).build().unwrap();
        let result = send(&mut transport, vec![b'x'; 10_000]).await;
        let Some(status) = status else {
            let error = result.unwrap_err();
            assert!(matches!(error, TransportError::Send { written: 1_000, .. }), "{error:?}");
            // Not what reading said: the reset is the cause.
            assert!(error.to_string().ends_with("bytes written: connection reset"), "{error}");
            continue;
        };
        assert_eq!(result.unwrap().status(), status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_that_is_closed_at_once_is_an_error() {
    // Only an idle connection may be replaced silently, else this would go on for ever.
    let made = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&made);
    let connector = Connector::from_fn(move || {
        count.fetch_add(1, Ordering::Relaxed);
        let (client, _server) = tokio::io::duplex(1_024);
        async { Ok(client) }
    });
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let mut transport = Transport::builder(endpoint).connector(connector).build().unwrap();
    let error = send(&mut transport, "x").await.unwrap_err();
    let TransportError::Send { written: 0, length, .. } = &error else { panic!("{error:?}") };
    assert!(*length > 0);
    assert_eq!(error.failure(), Failure::NotSent);
    assert_eq!(made.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn missing_credentials_may_come_yet() {
    let (connector, log) = memory(vec![vec![ReadRequest]], 1_024);
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let mut transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(Signer::new(NoCredentials, "us-east-1"))
        .build()
        .unwrap();
    let error = send(&mut transport, "x").await.unwrap_err();
    assert!(matches!(error, TransportError::Sign(_)), "{error:?}");
    assert!(!error.is_permanent());
    assert_eq!(error.failure(), Failure::NotReady);
    let text = error.to_string();
    assert!(text.starts_with("cannot sign the request: no credentials: "), "{text}");
    assert!(text.ends_with("the drawer is empty"), "{text}");
    assert!(log.seen().is_empty());
}

#[derive(Debug)]
struct NoCredentials;

impl crate::credentials::ProvideCredentials for NoCredentials {
    fn provide_credentials<'a>(
        &'a self,
    ) -> aws_credential_types::provider::future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let error = crate::credentials::CredentialsError::not_loaded("the drawer is empty");
        aws_credential_types::provider::future::ProvideCredentials::ready(Err(error))
    }
}
