//! One row of a table: what the server does, and what the transport must make of it.

use std::sync::LazyLock;
use std::time::Duration;

use bytes::Bytes;
use firehose_hyper::{Endpoint, Failure, Phase, Timeouts, Transport, TransportError};
use http::{Request, Response};
use tokio::task::JoinSet;
use tower_service::Service;

use crate::certificates::{Certificate, trust};
use crate::server::{Over, Script, Server, echo};

/// The most bytes that the body of an answer may have here.
pub(crate) const ANSWER_BYTES_MAX: usize = 1_000;

/// More than the buffers between client and server take.
pub(crate) const LARGE: usize = 32 * 1_024 * 1_024;

/// For phases that a script lets run out of time.
pub(crate) const SHORT: Duration = Duration::from_millis(100);

/// For attempts that run out of time in a late phase, which even a busy machine reaches before.
pub(crate) const ATTEMPT: Duration = Duration::from_secs(1);

/// How many rows run at a time.
const AT_A_TIME: usize = 8;

/// Both sides of a plain connection and of one with TLS.
const BOTH: &[Over] = &[Over::Plain, Over::Tls(Certificate::Good)];

/// How an attempt must end.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum End {
    /// With an answer of this status and body.
    Answer(u16, &'static str),
    /// The service cannot have taken the request.
    NotSent(Why),
    /// The service may have taken the request.
    OutcomeUnknown(Why),
    /// The service cannot have taken the request, and another attempt would be no use.
    Permanent(Why),
}

/// Which error tells it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Why {
    Certificate,
    Connect,
    Handshake,
    Receive,
    Resolve,
    Send,
    Time(Phase),
    TooLarge,
}

/// Where the next request must go.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) enum Next {
    /// On no connection at all: it ends as the first.
    Fails,
    /// On a new connection.
    New,
    /// On the same connection.
    Same,
}

/// A fault and what must come of it.
#[derive(Clone)]
pub(crate) struct Row {
    /// The number of the fault in the matrix.
    pub(crate) matrix: u8,
    pub(crate) name: &'static str,
    script: Script,
    end: End,
    next: Next,
    over: &'static [Over],
    body_bytes: usize,
    timeouts: Timeouts,
    times: usize,
    says: &'static str,
}

impl Row {
    /// Makes a row for a small request, whose connection must not be used again.
    pub(crate) fn new(matrix: u8, name: &'static str, script: Script, end: End) -> Self {
        let (over, timeouts) = (BOTH, Timeouts::default());
        let (next, body_bytes, times, says) = (Next::New, 500, 1, "");
        Self { matrix, name, script, end, next, over, body_bytes, timeouts, times, says }
    }

    /// Expects that the connection is used again.
    pub(crate) fn same(self) -> Self {
        Self { next: Next::Same, ..self }
    }

    /// Expects that the next request ends as the first.
    pub(crate) fn for_good(self) -> Self {
        Self { next: Next::Fails, ..self }
    }

    pub(crate) fn over(self, over: &'static [Over]) -> Self {
        Self { over, ..self }
    }

    /// Sends more than can leave without being read.
    pub(crate) fn large(self) -> Self {
        Self { body_bytes: LARGE, ..self }
    }

    /// Sets time-outs that the script is meant to run into; the others are ample.
    pub(crate) fn within(self, set: impl FnOnce(Timeouts) -> Timeouts) -> Self {
        Self { timeouts: set(self.timeouts), ..self }
    }

    /// Repeats a row whose parts race.
    pub(crate) fn times(self, times: usize) -> Self {
        Self { times, ..self }
    }

    /// Expects these words in the error.
    pub(crate) fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }
}

/// Runs all rows of a table, some at a time; fails with the names of those that failed.
pub(crate) async fn check_all(rows: Vec<Row>) {
    let (mut running, mut failed) = (JoinSet::new(), Vec::new());
    for row in rows {
        for over in row.over {
            for _ in 0..row.times {
                if running.len() == AT_A_TIME {
                    failed.extend(running.join_next().await.unwrap().err());
                }
                running.spawn(check(row.clone(), *over));
            }
        }
    }
    while let Some(result) = running.join_next().await {
        failed.extend(result.err());
    }
    let failed: Vec<_> = failed.into_iter().map(|error| error.to_string()).collect();
    assert!(failed.is_empty(), "{failed:#?}");
}

async fn check(row: Row, over: Over) {
    let name = format!("{} {} over {over:?}", row.matrix, row.name);
    let server = Server::start(over, row.script.clone(), None);
    let mut transport = transport(&server, over, row.timeouts);
    let result = transport.call(request(body("first", row.body_bytes))).await;
    judge(&name, &row, &server, result);
    server.finish_script().await;
    let second = transport.call(request(body("second", 0))).await;
    let connection = match row.next {
        Next::Fails => {
            judge(&name, &row, &server, second);
            assert!(server.seen().requests.is_empty(), "{name}");
            return;
        }
        Next::New => 1,
        Next::Same => 0,
    };
    let answer = second.unwrap_or_else(|error| panic!("{name}: second request: {error:?}"));
    // The answer is the one to this request, whatever the first connection still had to say.
    let text = String::from_utf8_lossy(answer.body());
    assert_eq!(text, echo(connection, b"second"), "{name}");

    if row.next == Next::New {
        // The first connection is not only unused, but gone.
        server.ended(1).await;
    }
    let seen = server.seen();
    assert_eq!(seen.connections, connection + 1, "{name}: connections");
    let seconds = seen.requests.iter().filter(|(_, tag)| tag == b"second").count();
    assert_eq!(seconds, 1, "{name}: the second request was sent again");
    let firsts = seen.requests.iter().filter(|(_, tag)| tag == b"first").count();
    let is_untaken = matches!(row.end, End::NotSent(_) | End::Permanent(_));
    assert!(firsts <= usize::from(!is_untaken), "{name}: the server has the first request");
}

/// Compares how an attempt ended with what the row expects.
fn judge(
    name: &str,
    row: &Row,
    server: &Server,
    result: Result<Response<Vec<u8>>, TransportError>,
) {
    let error = match result {
        Ok(answer) => {
            let text = String::from_utf8_lossy(answer.body());
            let (status, body) = (answer.status().as_u16(), text.as_ref());
            let End::Answer(expected, part) = row.end else {
                panic!("{name}: expected {:?}, not {status} {body}", row.end);
            };
            assert_eq!((status, body), (expected, part), "{name}");
            return;
        }
        Err(error) => error,
    };
    let why = why(&error);
    let end = match error.failure() {
        Failure::NotSent => End::NotSent(why),
        Failure::OutcomeUnknown => End::OutcomeUnknown(why),
        Failure::Unsendable => End::Permanent(why),
        Failure::NotReady => panic!("{name}: nobody asked for credentials: {error:?}"),
    };
    assert_eq!(end, row.end, "{name}: {error:?}");
    let text = error.to_string();
    assert!(text.contains(&server.address.to_string()), "{name} names no peer: {text}");
    assert!(text.contains(row.says), "{name} does not say {:?}: {text}", row.says);
}

/// Returns the kind of an error.
pub(crate) fn why(error: &TransportError) -> Why {
    match error {
        TransportError::Certificate { .. } => Why::Certificate,
        TransportError::Connect { .. } => Why::Connect,
        TransportError::Handshake { .. } => Why::Handshake,
        TransportError::Receive { .. } => Why::Receive,
        TransportError::Resolve { .. } => Why::Resolve,
        TransportError::Send { written, length, .. } => {
            assert!(written < length, "{error:?}");
            Why::Send
        }
        TransportError::Timeout { phase, .. } => Why::Time(*phase),
        TransportError::TooLarge { bytes_max, .. } => {
            assert_eq!(*bytes_max, ANSWER_BYTES_MAX);
            Why::TooLarge
        }
        other @ (TransportError::Sign(_) | _) => panic!("nothing here leads to {other:?}"),
    }
}

/// Makes a transport to a server.
pub(crate) fn transport(server: &Server, over: Over, timeouts: Timeouts) -> Transport {
    let scheme = if over == Over::Plain { "http" } else { "https" };
    let endpoint = Endpoint::from_url(&format!("{scheme}://{}", server.address), None).unwrap();
    Transport::builder(endpoint)
        .tls(trust())
        .timeouts(timeouts)
        .answer_bytes_max(ANSWER_BYTES_MAX)
        .build()
        .unwrap()
}

/// Makes a request as the producer does.
pub(crate) fn request(body: Bytes) -> Request<Bytes> {
    Request::post("/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("x-amz-target", "Firehose_20150804.PutRecordBatch")
        .body(body)
        .unwrap()
}

/// Makes a body that can be told from others by its first word.
pub(crate) fn body(word: &str, fill_bytes: usize) -> Bytes {
    if fill_bytes == LARGE {
        return LARGE_BODY.clone();
    }
    format!("{word} {}", "x".repeat(fill_bytes)).into()
}

static LARGE_BODY: LazyLock<Bytes> =
    LazyLock::new(|| format!("first {}", "x".repeat(LARGE)).into());
