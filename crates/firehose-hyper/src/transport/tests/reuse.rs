//! What is sent, and which connections are used again (I22).

use std::io::{Read, Write as _};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, UNIX_EPOCH};

use super::script::Step;
use super::*;
use crate::credentials::{Credentials, ProvideCredentials};

use aws_credential_types::provider::future;

use Step::{ReadRequest, ReadToEnd, Write};

#[tokio::test(start_paused = true)]
async fn requests_are_complete_and_nothing_more() {
    let script = vec![ReadRequest, Write(OK.into()), ReadToEnd];
    let (mut transport, log) = over_pipes(vec![script], Timeouts::default());
    let mut request = request("{\"a\":1}");
    request.headers_mut().insert("transfer-encoding", HeaderValue::from_static("chunked"));
    request.headers_mut().insert("expect", HeaderValue::from_static("100-continue"));
    *request.uri_mut() = Uri::from_static("http://elsewhere.test/path?query");
    *request.method_mut() = Method::GET;
    let answer = transport.call(request).await.unwrap();
    assert_eq!((answer.status().as_u16(), &answer.body()[..]), (200, &b"{}"[..]));
    assert!(answer.body().capacity() >= 2 + wire::BODY_HEADROOM_BYTES);
    let seen = log.seen().remove(0);
    let mut lines: Vec<&str> = seen.head.trim_end().split("\r\n").collect();
    assert_eq!(lines.remove(0), "POST / HTTP/1.1");
    lines.sort_unstable();
    let id = lines.remove(0);
    assert!(id.starts_with("amz-sdk-invocation-id: ") && id.len() == 59, "{id}");
    let version = env!("CARGO_PKG_VERSION");
    let agent = format!("user-agent: firehose-hyper/{version} os/{}", std::env::consts::OS);
    assert_eq!(
        lines,
        [
            "amz-sdk-request: attempt=1; max=1",
            "content-length: 7",
            "content-type: application/x-amz-json-1.1",
            "host: pipe.test",
            &agent,
            "x-amz-target: Firehose_20150804.PutRecordBatch",
        ]
    );
    assert_eq!(seen.body, b"{\"a\":1}");
}

#[tokio::test]
async fn signatures_are_made_for_the_request_that_leaves() {
    let scripts = vec![vec![ReadRequest, Write(OK.into()), ReadToEnd]];
    let (connector, log) = memory(scripts, 1_024);
    let endpoint = Endpoint::from_url("http://h.test:81", Some("eu-west-1")).unwrap();
    let credentials = Credentials::new("AKID", "canary", Some("canary".into()), None, "test");
    let signer = Signer::new(credentials, endpoint.region());
    let mut transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(signer)
        .clock(|| UNIX_EPOCH + Duration::from_secs(1_795_462_245))
        .build()
        .unwrap();
    assert!(!format!("{transport:?}").contains("canary"));
    send(&mut transport, "x").await.unwrap();
    let head = log.seen().remove(0).head;
    assert!(head.contains("\r\nx-amz-date: 20261123T193045Z\r\n"), "{head}");
    assert!(head.contains(
        "authorization: AWS4-HMAC-SHA256 \
         Credential=AKID/20261123/eu-west-1/firehose/aws4_request, \
         SignedHeaders=content-type;host;x-amz-date;x-amz-security-token;x-amz-target, Signature="
    ));
    assert!(head.contains("\r\nhost: h.test:81\r\n"), "{head}");
}

// The runtime is kept busy while the peer closes, so that it has not looked at its sockets when the
// next request begins.
#[tokio::test]
async fn a_close_that_has_arrived_is_seen_before_a_request_is_written() {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap();
    let endpoint = Endpoint::from_url(&format!("http://{}", listener.local_addr().unwrap()), None);
    let (closed_sender, closed) = std::sync::mpsc::channel();
    let server = std::thread::spawn(move || {
        for _ in 0..2 {
            let (mut stream, _) = listener.accept().unwrap();
            let mut request = Vec::new();
            while !request.ends_with(b"\r\n\r\nbody") {
                let mut byte = [0];
                stream.read_exact(&mut byte).unwrap();
                request.extend(byte);
            }
            stream.write_all(OK).unwrap();
            drop(stream);
            closed_sender.send(()).unwrap();
        }
    });
    let mut transport = Transport::builder(endpoint.unwrap()).build().unwrap();
    for _ in 0..2 {
        assert_eq!(send(&mut transport, "body").await.unwrap().status(), 200);
        closed.recv().unwrap();
    }
    server.join().unwrap();
}

/// Closes the other end of the idle connection when it is asked for credentials the second time:
/// after the connection was found to be open, before the request goes out.
#[derive(Debug)]
struct Saboteur {
    asked: AtomicUsize,
    close: Mutex<Option<tokio::sync::oneshot::Sender<()>>>,
}

impl ProvideCredentials for Saboteur {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let asked = self.asked.fetch_add(1, Ordering::Relaxed);
        if asked == 1 {
            self.close.lock().unwrap().take().unwrap().send(()).unwrap();
        }
        let expiry = UNIX_EPOCH + Duration::from_secs(if asked == 0 { 5 } else { 100 });
        future::ProvideCredentials::new(async move {
            // Time for the other end to close.
            tokio::time::sleep(Duration::from_millis(1)).await;
            Ok(Credentials::new("id", "secret", None, Some(expiry), "test"))
        })
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_given_back_unwritten_goes_out_on_a_new_connection() {
    let (close, closed) = tokio::sync::oneshot::channel();
    let closed = Mutex::new(Some(closed));
    let log = Log::new();
    let (shared, count) = (log.clone(), AtomicUsize::new(0));
    let connector = Connector::from_fn(move || {
        let (client, mut server) = tokio::io::duplex(1_024);
        let (log, closed) = (shared.clone(), closed.lock().unwrap().take());
        let connection = count.fetch_add(1, Ordering::Relaxed);
        async move {
            tokio::spawn(async move {
                let script = vec![ReadRequest, Write(OK.into())];
                log.play(&mut server, script, connection).await;
                if let Some(closed) = closed {
                    closed.await.unwrap();
                }
            });
            Ok(client)
        }
    });
    let looks = AtomicUsize::new(0);
    let saboteur = Saboteur { asked: AtomicUsize::new(0), close: Mutex::new(Some(close)) };
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let mut transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(Signer::new(saboteur, "us-east-1"))
        // They expire between the look for credentials and the second signature.
        .clock(move || {
            let looks = looks.fetch_add(1, Ordering::Relaxed);
            UNIX_EPOCH + Duration::from_secs(if looks < 3 { 0 } else { 10 })
        })
        .build()
        .unwrap();
    for body in ["one", "two"] {
        assert_eq!(send(&mut transport, body).await.unwrap().status(), 200);
    }
    assert_eq!(log.connections(), [0, 1]);
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_in_time() {
    for (wait, expected) in [(4_999, [0, 0]), (5_000, [0, 1])] {
        let again = vec![ReadRequest, Write(OK.into()), ReadRequest, Write(OK.into()), ReadToEnd];
        let (mut transport, log) = over_pipes(vec![again.clone(), again], Timeouts::default());
        send(&mut transport, "one").await.unwrap();
        tokio::time::sleep(Duration::from_millis(wait)).await;
        send(&mut transport, "two").await.unwrap();
        assert_eq!(log.connections(), expected, "{wait}");
    }
}

#[tokio::test(start_paused = true)]
async fn idle_connections_are_closed_without_another_request() {
    let script = vec![ReadRequest, Write(OK.into()), ReadToEnd];
    let (mut transport, log) = over_pipes(vec![script], Timeouts::default());
    send(&mut transport, "one").await.unwrap();
    let start = Instant::now();
    log.ended(1).await;
    assert_eq!(start.elapsed().as_secs(), 5);
}

#[tokio::test(start_paused = true)]
async fn spare_connections_are_not_kept() {
    let script = |pause| {
        let pause = Step::Sleep(Duration::from_millis(pause));
        vec![ReadRequest, pause, Write(OK.into()), ReadToEnd]
    };
    for (idle_max, left) in [(0, 2), (1, 1), (2, 0)] {
        let (connector, log) = memory(vec![script(1), script(2)], 1_024);
        let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
        let transport = Transport::builder(endpoint)
            .connector(connector)
            .idle_connections_max(idle_max)
            .build()
            .unwrap();
        let (mut one, mut two) = (transport.clone(), transport.clone());
        let (first, second) = tokio::join!(send(&mut one, "1"), send(&mut two, "2"));
        assert!(first.is_ok() && second.is_ok());
        let start = Instant::now();
        log.ended(left).await;
        assert!(start.elapsed() < Duration::from_secs(1), "{idle_max}");
        log.ended(2).await;
        assert_eq!(start.elapsed().as_secs() >= 4, left < 2, "{idle_max}");
    }
}

#[tokio::test(start_paused = true)]
async fn expired_credentials_are_asked_for_anew() {
    let fault = |status: &str, body: &str| {
        let length = body.len();
        let text = format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\n\r\n{body}");
        Write(text.into_bytes())
    };
    for (answer, asked) in [
        (fault("400 Bad Request", r#"{"__type":"ExpiredTokenException"}"#), 2),
        (fault("403 Forbidden", r#"{"__type":"com.amazon#ExpiredToken"}"#), 2),
        (fault("400 Bad Request", r#"{"__type":"ValidationException"}"#), 1),
        (Write(OK.into()), 1),
    ] {
        let script = vec![ReadRequest, answer, ReadRequest, Write(OK.into()), ReadToEnd];
        let (connector, _log) = memory(vec![script], 1_024);
        let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
        let provider = Arc::new(Counted::default());
        let shared: Arc<dyn ProvideCredentials> = provider.clone();
        let mut transport = Transport::builder(endpoint)
            .connector(connector)
            .signer(Signer::new(shared, "us-east-1"))
            .build()
            .unwrap();
        send(&mut transport, "one").await.unwrap();
        send(&mut transport, "two").await.unwrap();
        assert_eq!(provider.asked.load(Ordering::Relaxed), asked);
    }
}

/// Counts how often it is asked.
#[derive(Debug, Default)]
struct Counted {
    asked: AtomicUsize,
}

impl ProvideCredentials for Counted {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let id = format!("i{}", self.asked.fetch_add(1, Ordering::Relaxed));
        future::ProvideCredentials::ready(Ok(Credentials::new(id, "s", None, None, "test")))
    }
}
