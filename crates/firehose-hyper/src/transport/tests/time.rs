//! Time-outs and deadlines of each phase, to the second, under virtual time.

use std::future::pending;
use std::io;
use std::time::Duration;

use aws_credential_types::provider::future;
use tokio::io::DuplexStream;

use super::script::{Script, Step};
use super::*;
use crate::credentials::ProvideCredentials;

use Step::{ReadBytes, ReadRequest, ReadToEnd, Sleep, Write};

fn secs(secs: u64) -> Duration {
    Duration::from_secs(secs)
}

/// Sends a request, with a deadline so many seconds from now if there is one, and checks the phase
/// and the second that its time ran out in.
async fn check(
    name: &str,
    transport: &mut Transport,
    deadline: Option<u64>,
    body_bytes: usize,
    expected: (Phase, u64, Failure),
) {
    let start = Instant::now();
    let mut request = request(vec![b'x'; body_bytes]);
    if let Some(deadline) = deadline {
        request.extensions_mut().insert(AttemptDeadline(start + secs(deadline)));
    }
    let error = transport.call(request).await.unwrap_err();
    let TransportError::Timeout { phase, failure, .. } = error else { panic!("{name}: {error:?}") };
    assert_eq!((phase, start.elapsed().as_secs(), failure), expected, "{name}");
    assert_eq!(error.to_string(), format!("timed out {phase} pipe.test:80"));
}

/// A script, the deadline in seconds if there is one, the size of the body, and what is expected.
type Case = (&'static str, Script, Option<u64>, usize, (Phase, u64, Failure));

async fn check_all(cases: Vec<Case>) {
    for (name, script, deadline, body_bytes, expected) in cases {
        // Pipes of 8 KiB, so that a large request cannot be written without a reader.
        let (connector, _log) = memory(vec![script], 8_192);
        check(name, &mut through(connector, None), deadline, body_bytes, expected).await;
    }
}

const LARGE: usize = 100_000;

fn write(text: &str) -> Step {
    Write(text.as_bytes().to_vec())
}

/// Does nothing for longer than any time-out.
fn idle() -> Step {
    Sleep(secs(99))
}

#[tokio::test(start_paused = true)]
async fn writing_has_its_time() {
    let expected = |phase, secs| (phase, secs, Failure::NotSent);
    // A few bytes each 10 s are progress: only the attempt's own limit ends it.
    let sips = (0..20).flat_map(|_| [Sleep(secs(10)), ReadBytes(10)]).collect();
    let stops = vec![Sleep(secs(3)), ReadBytes(9_000), idle()];
    let early = vec![ReadBytes(100), write("HTTP/1.1 4"), ReadBytes(10), idle()];
    check_all(vec![
        ("nothing is read", vec![idle()], None, LARGE, expected(Phase::Write, 15)),
        ("reading stops", stops, None, LARGE, expected(Phase::Write, 18)),
        ("slow reading", sips, None, LARGE, expected(Phase::Write, 60)),
        ("deadline", vec![idle()], Some(4), LARGE, expected(Phase::Write, 4)),
        ("an early answer stalls", early, None, LARGE, expected(Phase::Read, 15)),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_answer_has_its_time() {
    let expected = |phase, secs| (phase, secs, Failure::OutcomeUnknown);
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\n";
    let silent = || vec![ReadRequest, ReadToEnd];
    let stall_in_head = vec![ReadRequest, Sleep(secs(2)), write("HTTP"), ReadToEnd];
    let stall_in_body = vec![ReadRequest, write(head), Sleep(secs(2)), write("abc"), ReadToEnd];
    let headed = vec![ReadRequest, write(head), ReadToEnd];
    let drip = |start: &str, drop: &str| {
        let drops = (0..20).flat_map(|_| [Sleep(secs(10)), write(drop)]);
        [ReadRequest, write(start)].into_iter().chain(drops).collect::<Script>()
    };
    let slow_head = drip("HTTP/1.1 200 OK\r\nx: ", "y");
    let interim = drip("HTTP/1.1 100 C\r\n\r\n", "HTTP/1.1 100 C\r\n\r\n");
    check_all(vec![
        ("no answer", silent(), None, 9, expected(Phase::FirstByte, 30)),
        ("unread but written", vec![idle()], None, 9, expected(Phase::FirstByte, 30)),
        ("deadline before it", silent(), Some(4), 9, expected(Phase::FirstByte, 4)),
        ("stall in the head", stall_in_head, None, 9, expected(Phase::Read, 17)),
        ("stall in the body", stall_in_body, None, 9, expected(Phase::Read, 17)),
        ("deadline in the body", headed, Some(4), 9, expected(Phase::Read, 4)),
        ("slow head", slow_head, None, 9, expected(Phase::Read, 60)),
        ("interim answers", interim, Some(45), 9, expected(Phase::Read, 45)),
    ])
    .await;
}

#[tokio::test(start_paused = true)]
async fn slow_answers_that_come_in_time_are_answers() {
    let head = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n";
    let script = vec![
        ReadRequest,
        Sleep(secs(29)),
        Write(head.as_bytes().to_vec()),
        Sleep(secs(14)),
        Write(b"{".to_vec()),
        Sleep(secs(14)),
        Write(b"}".to_vec()),
        ReadToEnd,
    ];
    let (mut transport, _log) = over_pipes(vec![script], Timeouts::default());
    let start = Instant::now();
    assert_eq!(send(&mut transport, "x").await.unwrap().body(), b"{}");
    assert_eq!(start.elapsed().as_secs(), 57);
}

#[tokio::test(start_paused = true)]
async fn connecting_has_its_time() {
    let never = || Connector::from_fn(pending::<io::Result<DuplexStream>>);
    let expected = |phase, secs| (phase, secs, Failure::NotSent);
    check("time-out", &mut through(never(), None), None, 9, expected(Phase::Connect, 5)).await;
    check("deadline", &mut through(never(), None), Some(2), 9, expected(Phase::Connect, 2)).await;
    check("too late", &mut through(never(), None), Some(0), 9, expected(Phase::Connect, 0)).await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_sent_after_the_deadline() {
    let again = vec![ReadRequest, Write(OK.into()), ReadRequest, Write(OK.into())];
    let (mut transport, log) = over_pipes(vec![again], Timeouts::default());
    send(&mut transport, "one").await.unwrap();
    check("idle", &mut transport, Some(0), 9, (Phase::Connect, 0, Failure::NotSent)).await;
    send(&mut transport, "two").await.unwrap();
    assert_eq!(log.connections(), [0, 0]);
}

#[tokio::test(start_paused = true)]
async fn credentials_have_their_time() {
    let script = || vec![ReadRequest, Write(OK.into())];
    let signer = Signer::new(Never, "us-east-1");
    let (connector, log) = memory(vec![script(), script()], 1_024);
    let mut transport = through(connector, Some(signer));
    let expected = (Phase::Credentials, 2, Failure::NotReady);
    check("deadline", &mut transport, Some(2), 9, expected).await;
    let start = Instant::now();
    let error = send(&mut transport, "x").await.unwrap_err();
    assert!(matches!(error, TransportError::Sign(_)), "{error:?}");
    assert_eq!((start.elapsed().as_secs(), error.is_permanent()), (5, false));
    assert!(log.seen().is_empty());
}

fn through(connector: Connector, signer: Option<Signer>) -> Transport {
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let mut builder = Transport::builder(endpoint).connector(connector);
    if let Some(signer) = signer {
        builder = builder.signer(signer);
    }
    builder.build().unwrap()
}

/// Never gives credentials.
#[derive(Debug)]
struct Never;

impl ProvideCredentials for Never {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(pending())
    }
}
