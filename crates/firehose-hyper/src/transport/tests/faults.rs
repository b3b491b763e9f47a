//! Servers that break off: what the transport says of each, and what that leaves in doubt.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpListener;

use super::script::{Script, Step};
use super::*;

use Step::{ReadBytes, ReadRequest, ReadToEnd, Reset, Write};

/// More than the buffers of a loopback connection take.
const LARGE: usize = 16 * 1_024 * 1_024;

/// What an attempt is expected to end as.
#[derive(Debug)]
enum End {
    Answer(u16),
    /// Some bytes of the request are still unwritten.
    Send,
    Receive,
    TooLarge,
}

async fn check(name: &str, script: Script, body_bytes: usize, end: End) {
    let (address, log) = tcp(vec![script]).await;
    let endpoint = Endpoint::from_url(&format!("http://{address}"), None).unwrap();
    let mut transport = Transport::builder(endpoint).answer_bytes_max(1_000).build().unwrap();
    let result = send(&mut transport, vec![b'x'; body_bytes]).await;
    match (result, end) {
        (Ok(answer), End::Answer(status)) => assert_eq!(answer.status(), status, "{name}"),
        (Err(error), end) => {
            let text = error.to_string();
            assert!(text.contains(&address.to_string()), "{name}: {text}");
            let failure = error.failure();
            match (&error, end) {
                (TransportError::Send { written, length, .. }, End::Send) => {
                    assert!(written < length && *length > body_bytes as u64, "{name}: {text}");
                    assert_eq!(failure, Failure::NotSent, "{name}");
                }
                (TransportError::Receive { .. }, End::Receive)
                | (TransportError::TooLarge { .. }, End::TooLarge) => {
                    assert_eq!(failure, Failure::OutcomeUnknown, "{name}");
                }
                (_, end) => panic!("{name}: expected {end:?}, not {error:?}"),
            }
        }
        (Ok(answer), end) => panic!("{name}: expected {end:?}, not {answer:?}"),
    }
    // Nothing of it is kept: the server sees the end of the connection.
    log.ended(1).await;
}

fn write(text: &str) -> Step {
    Write(text.as_bytes().to_vec())
}

#[tokio::test]
async fn connections_that_break_while_the_request_is_written() {
    for (name, script) in [
        ("reset in the head", vec![ReadBytes(10), Reset]),
        ("reset in the body", vec![ReadBytes(100_000), Reset]),
        ("closed in the body", vec![ReadBytes(100_000)]),
        ("half an answer and a reset", vec![ReadBytes(100), write("HTTP/1.1 413 P"), Reset]),
        (
            "an answer cut short",
            vec![ReadBytes(100), write("HTTP/1.1 413 P\r\ncontent-length: 9\r\n\r\nabc")],
        ),
        ("garbage", vec![ReadBytes(100), write("garbage\r\n\r\n"), ReadToEnd]),
    ] {
        check(name, script, LARGE, End::Send).await;
    }
}

#[tokio::test]
async fn connections_that_break_after_the_request() {
    let head = "HTTP/1.1 200 OK\r\n";
    let after = |text: &str| vec![ReadRequest, write(text)];
    let after_reset = |text: &str| vec![ReadRequest, write(text), Reset];
    for (name, script) in [
        ("closed", vec![ReadRequest]),
        ("reset", vec![ReadRequest, Reset]),
        ("closed in the head", after("HTTP/1.1 200 O")),
        ("reset in the head", after_reset("HTTP/1.1 200 O")),
        ("closed in the body", after(&format!("{head}content-length: 9\r\n\r\nabc"))),
        ("reset in the body", after_reset(&format!("{head}content-length: 9\r\n\r\nabc"))),
        ("closed in a chunk", after(&format!("{head}transfer-encoding: chunked\r\n\r\n5\r\nab"))),
        ("bad chunk", after(&format!("{head}transfer-encoding: chunked\r\n\r\nzz\r\nab"))),
        ("two lengths", after(&format!("{head}content-length: 1\r\ncontent-length: 2\r\n\r\nab"))),
        ("negative length", after(&format!("{head}content-length: -1\r\n\r\n"))),
        ("no status", after("HTTP/1.1 99 X\r\n\r\n")),
        ("garbage", after("\u{1}\u{2}\u{3}")),
        ("HTTP/2", after("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n")),
        ("huge head", after(&format!("{head}x: {}\r\n\r\n", "y".repeat(100_000)))),
        ("many headers", after(&format!("{head}{}\r\n", "x: y\r\n".repeat(300)))),
    ] {
        check(name, script, 1_000, End::Receive).await;
    }
}

#[tokio::test]
async fn answers_that_are_too_large() {
    let chunk = format!("3e8\r\n{}\r\n", "x".repeat(1_000));
    let chunked = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
    let to_the_end = "HTTP/1.1 200 OK\r\n\r\n";
    for (name, text, end) in [
        ("announced", "HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n".into(), End::TooLarge),
        (
            "absurd",
            "HTTP/1.1 200 OK\r\ncontent-length: 1844674407370955161\r\n\r\n".into(),
            End::TooLarge,
        ),
        ("chunked", format!("{chunked}{chunk}1\r\nx\r\n0\r\n\r\n"), End::TooLarge),
        ("chunked, at the limit", format!("{chunked}{chunk}0\r\n\r\n"), End::Answer(200)),
        ("to the end", format!("{to_the_end}{}", "x".repeat(1_001)), End::TooLarge),
        (
            "to the end, at the limit",
            format!("{to_the_end}{}", "x".repeat(1_000)),
            End::Answer(200),
        ),
    ] {
        check(name, vec![ReadRequest, write(&text)], 1_000, end).await;
    }
}

// The server answers and closes with most of the request unread, so that the kernel sends a reset
// right behind the answer.
#[tokio::test]
async fn early_answers_are_read() {
    let early = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\n{}";
    for _ in 0..20 {
        check("closed", vec![ReadBytes(100), write(early)], LARGE, End::Answer(413)).await;
        check("reset", vec![ReadBytes(100), write(early), Reset], LARGE, End::Answer(413)).await;
    }
    let kept = vec![ReadBytes(100), write(early), ReadToEnd];
    check("kept open", kept, LARGE, End::Answer(413)).await;
}

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

#[tokio::test]
async fn redirects_are_answers() {
    let elsewhere = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let location = elsewhere.local_addr().unwrap();
    let text = format!(
        "HTTP/1.1 307 Temporary Redirect\r\nlocation: http://{location}/\r\ncontent-length: 0\r\n\r\n"
    );
    check("redirect", vec![ReadRequest, write(&text)], 1_000, End::Answer(307)).await;
    let visit = std::future::poll_fn(|cx| Poll::Ready(elsewhere.poll_accept(cx).is_ready()));
    assert!(!visit.await);
}

#[tokio::test]
async fn refused_connections_name_the_peer_and_the_cause() {
    let listener = TcpListener::bind(("127.0.0.1", 0)).await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let endpoint = Endpoint::from_url(&format!("http://{address}"), None).unwrap();
    let mut transport = Transport::builder(endpoint).build().unwrap();
    let error = send(&mut transport, "x").await.unwrap_err();
    let text = error.to_string();
    assert!(
        text.starts_with(&format!("cannot connect to {address}: Connection refused")),
        "{text}"
    );
    assert_eq!(error.failure(), Failure::NotSent);
    assert!(!error.is_permanent());
    assert!(std::error::Error::source(&error).is_some());
}

#[tokio::test]
async fn each_address_of_a_name_is_tried() {
    // `localhost` is often ::1 first, where nothing listens.
    let script = vec![ReadRequest, Write(OK.into())];
    let (address, _log) = tcp(vec![script]).await;
    let url = format!("http://localhost:{}", address.port());
    let endpoint = Endpoint::from_url(&url, None).unwrap();
    let mut transport = Transport::builder(endpoint).build().unwrap();
    assert_eq!(send(&mut transport, "x").await.unwrap().status(), 200);
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
async fn missing_credentials_are_permanent() {
    let (connector, log) = memory(vec![vec![ReadRequest]], 1_024);
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let mut transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(Signer::new(NoCredentials, "us-east-1"))
        .build()
        .unwrap();
    let error = send(&mut transport, "x").await.unwrap_err();
    assert!(matches!(error, TransportError::Sign(_)), "{error:?}");
    assert!(error.is_permanent());
    assert_eq!(error.failure(), Failure::NotSent);
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
