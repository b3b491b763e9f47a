//! What faults of the connection make of records: the producer on the transport, and an emulator
//! that knows what was stored.

use std::net::SocketAddr;
use std::num::NonZeroU8;
use std::time::Duration;

use firehose_hyper::proto::StreamName;
use firehose_hyper::proto::producer::Config;
use firehose_hyper::proto::retry::{Backoff, Policy};
use firehose_hyper::{
    Connector, Delivered, Endpoint, Producer, PutError, Timeouts, Tls, Transport, TransportBuilder,
};
use firehose_mock::{EntryFault, Ledger, Service, Step as EmulatorStep, Streams};
use tokio::net::TcpSocket;

use crate::certificates::{Certificate, trust};
use crate::server::Step::{
    self, AfterExchange, AnswerCutBy, Close, Drop, Read, ReadRequest, Reset, Take, Write,
};
use crate::server::{Over, Script, Server, answer};

/// What the producer must say of a record, and how often the emulator must have it.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Said {
    Delivered { attempts: u8, may_be_duplicate: bool },
    Undelivered { attempts: u8, may_be_delivered: bool },
}

/// A fault, and what becomes of a record by it.
pub(crate) struct Row {
    pub(crate) matrix: u8,
    name: &'static str,
    script: Script,
    over: Over,
    said: Said,
    times_stored: u64,
    attempts_max: u8,
    /// Whether the request is larger than the buffers of its connection.
    is_large: bool,
    /// What the emulator does with the requests that it gets.
    emulator: Vec<EmulatorStep>,
}

impl Row {
    fn new(matrix: u8, name: &'static str, script: Script, said: Said, times_stored: u64) -> Self {
        let (over, is_large, emulator) = (Over::Plain, false, Vec::new());
        let attempts_max = 3;
        Self { matrix, name, script, over, said, times_stored, attempts_max, is_large, emulator }
    }

    fn large(self) -> Self {
        Self { is_large: true, ..self }
    }

    fn attempts_max(self, attempts_max: u8) -> Self {
        Self { attempts_max, ..self }
    }

    fn over(self, over: Over) -> Self {
        Self { over, ..self }
    }

    fn emulator(self, step: EmulatorStep) -> Self {
        Self { emulator: vec![step], ..self }
    }
}

/// The record came through with the second attempt, surely once or perhaps twice.
const ONCE: Said = Said::Delivered { attempts: 2, may_be_duplicate: false };
const PERHAPS_TWICE: Said = Said::Delivered { attempts: 2, may_be_duplicate: true };

pub(crate) fn rows() -> Vec<Row> {
    let unavailable = r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#;
    let refusal = fault("503 Slow Down", unavailable);
    let portal = fault("503 Slow Down", "<html>");
    let early = |answer| vec![Read(100), answer, AfterExchange];
    let first_fails = |fault| EmulatorStep::Entries(vec![(0, fault)]);
    let gone = |may_be_delivered| Said::Undelivered { attempts: 1, may_be_delivered };
    let html = Write(answer("<html>"));
    vec![
        Row::new(1, "an entry is refused", vec![], ONCE, 1)
            .emulator(first_fails(EntryFault::Unavailable)),
        Row::new(1, "an entry fails inside", vec![], PERHAPS_TWICE, 1)
            .emulator(first_fails(EntryFault::Internal)),
        Row::new(15, "HTML of a portal", vec![ReadRequest, html], PERHAPS_TWICE, 1),
        Row::new(24, "throttled", vec![ReadRequest, refusal.clone()], ONCE, 1),
        Row::new(24, "throttled by no known word", vec![ReadRequest, portal], PERHAPS_TWICE, 1),
        Row::new(34, "reset in the body", vec![Read(100_000), Reset], ONCE, 1).large(),
        Row::new(34, "dropped in the body", vec![Read(100_000), Drop], ONCE, 1).large(),
        Row::new(34, "never sent", vec![Read(100_000), Reset], gone(false), 0)
            .large()
            .attempts_max(1),
        Row::new(36, "throttled early", early(refusal), ONCE, 1).large(),
        Row::new(37, "reset after the request", vec![ReadRequest, Reset], PERHAPS_TWICE, 1),
        Row::new(37, "reset after it was stored", vec![ReadRequest, Take, Reset], PERHAPS_TWICE, 2),
        Row::new(38, "stored and never told", vec![ReadRequest, Take, Close], gone(true), 1)
            .attempts_max(1),
        Row::new(
            39,
            "answer cut",
            vec![ReadRequest, Take, AnswerCutBy(1), Close],
            PERHAPS_TWICE,
            2,
        )
        .over(Over::Tls(Certificate::Good)),
        Row::new(
            46,
            "answer stalls",
            vec![ReadRequest, Take, AnswerCutBy(1), AfterExchange],
            PERHAPS_TWICE,
            2,
        ),
        Row::new(31, "not trusted", vec![], gone(false), 0).over(Over::Tls(Certificate::WrongName)),
    ]
}

fn fault(status: &str, body: &str) -> Step {
    let head = format!("HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n", body.len());
    Write((head + body).into_bytes())
}

#[tokio::test]
async fn doubts_of_the_transport_reach_the_outcomes() {
    for row in rows() {
        check(row).await;
    }
}

async fn check(row: Row) {
    let name = format!("{} {}", row.matrix, row.name);
    let server = Server::start(row.over, row.script, Some(emulator(row.emulator)));
    let builder = transport(&server, row.over);
    let (builder, record) = if row.is_large {
        (builder.connector(narrow(server.address)), vec![b'x'; 1_000_000])
    } else {
        (builder, vec![b'x'; 10])
    };
    let producer = Producer::spawn(config(row.attempts_max), builder.build().unwrap());
    let said = match producer.put(&record).await {
        Ok(Delivered { attempts, may_be_duplicate, .. }) => {
            Said::Delivered { attempts, may_be_duplicate }
        }
        Err(PutError::Undelivered { attempts, may_be_delivered, .. }) => {
            Said::Undelivered { attempts, may_be_delivered }
        }
        Err(other) => panic!("{name}: {other:?}"),
    };
    assert_eq!(said, row.said, "{name}: {:?}", producer.stats());
    let stats = producer.close().await;
    assert_eq!(stats.records_undecided, 0, "{name}");
    let stored = server.emulator().ledger().times_accepted(&stream(), &record);
    assert_eq!(stored, row.times_stored, "{name}");
}

// Matrix 33: the request goes out on a new connection at once, and the record has had one attempt.
#[tokio::test]
async fn stale_connections_cost_no_attempt() {
    for end in [Close, Reset] {
        let script = vec![ReadRequest, Take, AnswerCutBy(0), AfterExchange, end];
        let server = Server::start(Over::Plain, script, Some(emulator(vec![])));
        let producer = Producer::spawn(config(1), transport(&server, Over::Plain).build().unwrap());
        producer.put(b"one").await.unwrap();
        server.finish_script().await;
        let delivered = producer.put(b"two").await.unwrap();
        assert_eq!((delivered.attempts, delivered.may_be_duplicate), (1, false));
        assert_eq!(server.seen().connections, 2);
        assert_eq!(producer.close().await.records_delivered, 2);
    }
}

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

fn emulator(steps: Vec<EmulatorStep>) -> Service {
    let mut service = Service::new(Streams::Any, 7).with_ledger(Ledger::keeping());
    service.script(steps);
    service
}

/// Makes settings that let a record go again at once.
fn config(attempts_max: u8) -> Config {
    let at_once = Backoff::new(Duration::from_millis(1), Duration::from_millis(1)).unwrap();
    let policy = Policy::default()
        .with_attempts_max(NonZeroU8::new(attempts_max).unwrap())
        .with_transient(at_once)
        .with_throttled(at_once);
    Config::new(stream()).with_policy(policy).with_linger(Duration::from_millis(1))
}

fn transport(server: &Server, over: Over) -> TransportBuilder {
    let (scheme, tls) = match over {
        Over::Plain => ("http", Tls::default()),
        Over::Raw | Over::Tls(_) => ("https", trust()),
    };
    let endpoint = Endpoint::from_url(&format!("{scheme}://{}", server.address), None).unwrap();
    // Only scripts that stall run into it.
    let timeouts = Timeouts::default().with_read_progress(Duration::from_millis(500));
    Transport::builder(endpoint).tls(tls).timeouts(timeouts)
}

/// Makes connections with a small send buffer, so that one large record cannot leave unread.
fn narrow(address: SocketAddr) -> Connector {
    Connector::from_fn(move || async move {
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(64 * 1_024)?;
        socket.connect(address).await
    })
}
