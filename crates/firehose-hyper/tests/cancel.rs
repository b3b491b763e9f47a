//! Futures that are dropped midway (I21): whatever is dropped after whatever number of polls, each
//! record that was taken still gets exactly one outcome, and the outcome is true.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::future::{Future, pending, poll_fn};
use std::num::{NonZeroU8, NonZeroUsize};
use std::ops::RangeInclusive;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use firehose_hyper::proto::StreamName;
use firehose_hyper::proto::judge::Verdict;
use firehose_hyper::proto::limits::Limits;
use firehose_hyper::proto::producer::{Config, Outcome, Stats};
use firehose_hyper::proto::retry::{Backoff, Policy};
use firehose_hyper::{
    Client, Connector, Endpoint, Event, Events, Failure, HttpService, Producer, Transport,
};
use firehose_mock::{EntryFault, InMemory, Ledger, Service, Step, Streams, serve_connection};

/// Several times longer than anything here takes, under virtual time.
const POLLS_MAX: usize = 2_000;

const TICK: Duration = Duration::from_millis(1);

/// What an operation gives once it is ready: how many records it has taken.
type Operating<'a> = Pin<Box<dyn Future<Output = u64> + 'a>>;

/// An operation of the producer, and how many records it may have taken when it is dropped.
type Operation = (&'static str, fn(&Producer) -> Operating<'_>, RangeInclusive<u64>);

const OPERATIONS: [Operation; 10] = [
    ("push", |producer| Box::pin(async { u64::from(producer.push(MINE).await.is_ok()) }), 0..=0),
    (
        "push_parts",
        |producer| {
            Box::pin(async {
                let (one, two) = MINE.split_at(3);
                u64::from(producer.push_parts(&[one, two]).await.is_ok())
            })
        },
        0..=0,
    ),
    (
        "push_all",
        |producer| {
            Box::pin(async {
                assert!(producer.push_all(&[MINE, MINE]).await.is_ok());
                2
            })
        },
        0..=2,
    ),
    (
        "put",
        |producer| {
            Box::pin(async {
                assert!(producer.put(MINE).await.is_ok());
                1
            })
        },
        0..=1,
    ),
    ("ready", |producer| none(producer.ready()), 0..=0),
    ("flush", |producer| none(producer.flush()), 0..=0),
    ("close", |producer| none(producer.close()), 0..=0),
    ("close_within", |producer| none(producer.close_within(20 * TICK)), 0..=0),
    ("stop", |producer| none(producer.stop()), 0..=0),
    ("abandon", |producer| none(producer.abandon()), 0..=0),
];

fn none<'a, T>(operation: impl Future<Output = T> + 'a) -> Operating<'a> {
    Box::pin(async {
        operation.await;
        0
    })
}

/// The record of the operation that is dropped.
const MINE: &[u8] = &[b'm'; 300];

/// The record that comes after it.
const NEXT: &[u8] = &[b'n'; 300];

#[tokio::test(start_paused = true)]
async fn dropped_operations_leave_each_record_its_outcome() {
    for (name, operation, taken_if_dropped) in OPERATIONS {
        let mut polls = 0;
        loop {
            let near = emulator();
            let slow = Slow(InMemory::from(Arc::clone(&near)));
            let name = format!("{name} after {polls} polls");
            let over_memory =
                check(&name, operation, taken_if_dropped.clone(), polls, slow, near).await;
            let far = emulator();
            let transport = over_pipes(&far);
            let name = format!("{name} over a pipe");
            let over_pipe =
                check(&name, operation, taken_if_dropped.clone(), polls, transport, far).await;
            if over_memory && over_pipe {
                break;
            }
            polls += 1;
            assert!(polls < POLLS_MAX, "{name} never ends");
        }
        assert!(polls > 1, "{name} was dropped nowhere");
    }
}

/// Drops an operation after some polls and checks what becomes of all records; returns whether the
/// operation was ready before.
async fn check(
    name: &str,
    operation: fn(&Producer) -> Operating<'_>,
    taken_if_dropped: RangeInclusive<u64>,
    polls: usize,
    service: impl HttpService,
    emulator: Arc<Mutex<Service>>,
) -> bool {
    let (producer, events) = Producer::spawn_with_events(config(), service);
    let listening = tokio::spawn(listen(events));
    let mut records = fill(&producer);
    let before = producer.stats().records_accepted;

    let ready = drop_after(polls, operation(&producer)).await;
    let stats = producer.stats();
    let taken = stats.records_accepted - before;
    match ready {
        Some(expected) => assert_eq!(taken, expected, "{name}"),
        None => assert!(taken_if_dropped.contains(&taken), "{name}: {taken} taken"),
    }
    assert_conserved(name, stats);
    records.extend((0..taken).map(|_| MINE.to_vec()));
    // Refused by a producer that the operation closed.
    if producer.push(NEXT).await.is_ok() {
        records.push(NEXT.to_vec());
    }

    let stats = producer.close().await;
    assert_conserved(name, stats);
    assert_eq!((stats.records_undecided, stats.bytes_held), (0, 0), "{name}");
    let told = listening.await.unwrap();
    assert_eq!(stats.records_accepted, records.len() as u64, "{name}");
    assert_eq!(told.len(), records.len(), "{name}: outcomes");
    let emulator = emulator.lock().unwrap();
    for (ticket, record) in (0..).zip(&records) {
        let twins = records.iter().filter(|other| *other == record).count() as u64 - 1;
        let times = emulator.ledger().times_accepted(&stream(), record).saturating_sub(twins);
        let is_true = match told[&ticket] {
            Told::Delivered { may_be_duplicate } => times == 1 || times > 1 && may_be_duplicate,
            Told::Undelivered { may_be_delivered } => times == 0 || may_be_delivered,
        };
        assert!(is_true, "{name}: {:?}, but stored {times} times", told[&ticket]);
    }
    if taken == 0 {
        assert_eq!(emulator.ledger().times_accepted(&stream(), MINE), 0, "{name}");
    }
    ready.is_some()
}

fn assert_conserved(name: &str, stats: Stats) {
    let decided = stats.records_delivered + stats.records_undelivered();
    assert_eq!(stats.records_accepted, decided + stats.records_undecided, "{name}: {stats:?}");
}

/// Pushes records until there is room for no more; returns them.
fn fill(producer: &Producer) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    loop {
        let record = vec![u8::try_from(records.len()).unwrap(); 300];
        if producer.try_push(&record).is_err() {
            assert!(records.len() > 4, "too few records for several requests");
            return records;
        }
        records.push(record);
    }
}

/// What was told of a record.
#[derive(Clone, Copy, Debug)]
enum Told {
    Delivered { may_be_duplicate: bool },
    Undelivered { may_be_delivered: bool },
}

async fn listen(mut events: Events) -> BTreeMap<u64, Told> {
    let mut told = BTreeMap::new();
    while let Some(event) = events.next().await {
        note(&mut told, event);
    }
    told
}

fn note(told: &mut BTreeMap<u64, Told>, event: Event) {
    let Event::Settled(report) = event else { return };
    for settled in report.iter() {
        let outcome = match settled.outcome() {
            Outcome::Delivered { may_be_duplicate, .. } => Told::Delivered { may_be_duplicate },
            Outcome::Failed { may_be_delivered, .. } => Told::Undelivered { may_be_delivered },
        };
        let earlier = told.insert(settled.ticket().number(), outcome);
        assert!(earlier.is_none(), "{settled:?} has two outcomes, the other is {earlier:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_waits_for_events_lose_none() {
    for polls in 1..20 {
        let service = Slow(InMemory::from(emulator()));
        let (producer, mut events) = Producer::spawn_with_events(config(), service);
        let records = fill(&producer);
        drop(producer);
        let mut told = BTreeMap::new();
        // What comes after the last poll finds a future that waits for it and is dropped.
        loop {
            match drop_after(polls, events.next()).await {
                Some(Some(event)) => note(&mut told, event),
                Some(None) => break,
                None => {}
            }
        }
        assert_eq!(told.len(), records.len(), "{polls} polls");
    }
}

#[tokio::test(start_paused = true)]
async fn dropped_calls_are_not_repeated_and_mix_with_no_other() {
    let first = vec![b'1'; 20_000];
    for is_batch in [false, true] {
        for is_over_pipe in [false, true] {
            let name = format!("batch: {is_batch}, over a pipe: {is_over_pipe}");
            let (mut polls, mut stored) = (0, 0);
            loop {
                let emulator = quiet_emulator();
                let ready = if is_over_pipe {
                    call_twice(is_batch, polls, &first, over_pipes(&emulator)).await
                } else {
                    let slow = Slow(InMemory::from(Arc::clone(&emulator)));
                    call_twice(is_batch, polls, &first, slow).await
                };
                let emulator = emulator.lock().unwrap();
                let times = emulator.ledger().times_accepted(&stream(), &first);
                assert!(times <= 1, "{name}: stored {times} times");
                assert_eq!(emulator.ledger().times_accepted(&stream(), NEXT), 1, "{name}");
                if ready {
                    assert_eq!(times, 1, "{name}");
                    break;
                }
                stored += times;
                polls += 1;
                assert!(polls < POLLS_MAX, "{name} never ends");
            }
            // Drops on both sides of the moment at which the service takes the record were seen.
            let stored = usize::try_from(stored).unwrap();
            assert!((1..polls).contains(&stored), "{name}: {stored} of {polls} stored");
        }
    }
}

/// Drops a call after some polls and makes another; returns whether the first was ready before.
async fn call_twice(
    is_batch: bool,
    polls: usize,
    first: &[u8],
    service: impl HttpService + Sync,
) -> bool {
    let client = Client::new(service);
    let stream = stream();
    let call = async {
        if is_batch {
            client.put_record_batch(&stream, [first]).await.unwrap();
        } else {
            client.put_record(&stream, first).await.unwrap();
        }
    };
    let ready = drop_after(polls, call).await;
    // The answer to another call would not be believed: it is about one record.
    let judged = client.put_record_batch(&stream, [NEXT, MINE]).await.unwrap();
    assert!(judged.verdicts().all(|verdict| matches!(verdict, Verdict::Stored { .. })));
    // Time for anything that might still be under way.
    tokio::time::sleep(Duration::from_secs(120)).await;
    ready.is_some()
}

/// Polls a future so many times and drops it; returns what it gave if it was ready before.
///
/// A poll that nobody asked for does no harm, and with each the world around is a little further.
async fn drop_after<F: Future>(polls: usize, future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        let polled = poll_fn(|cx| Poll::Ready(future.as_mut().poll(cx))).await;
        if let Poll::Ready(output) = polled {
            return Some(output);
        }
        tokio::time::sleep(TICK).await;
    }
    None
}

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

/// Makes settings of small requests, little room, and short waits.
fn config() -> Config {
    let short = Backoff::new(2 * TICK, 4 * TICK).unwrap();
    let policy = Policy::default()
        .with_attempts_max(NonZeroU8::MAX)
        .with_transient(short)
        .with_throttled(short);
    Config::new(stream())
        .with_limits(Limits::default().with_records_max(2).unwrap())
        .with_policy(policy)
        .with_linger(3 * TICK)
        .with_in_flight_max(NonZeroUsize::MIN)
        .with_buffer_bytes_max(3_000)
}

/// Makes an emulator whose first requests go wrong in several ways.
fn emulator() -> Arc<Mutex<Service>> {
    let emulator = quiet_emulator();
    let unavailable = Step::Status {
        status: 503,
        error_type: "ServiceUnavailableException".into(),
        message: "Slow down.".into(),
    };
    emulator.lock().unwrap().script([
        Step::Entries(vec![(0, EntryFault::Internal)]),
        Step::CutAfter,
        unavailable,
        Step::CutBefore,
        Step::Entries(vec![(1, EntryFault::Unavailable)]),
    ]);
    emulator
}

fn quiet_emulator() -> Arc<Mutex<Service>> {
    Arc::new(Mutex::new(Service::new(Streams::Any, 7).with_ledger(Ledger::keeping())))
}

/// Makes a transport to an emulator behind pipes that take a request in many pieces.
fn over_pipes(emulator: &Arc<Mutex<Service>>) -> Transport {
    let emulator = Arc::clone(emulator);
    let connector = Connector::from_fn(move || {
        let (client, server) = tokio::io::duplex(256);
        tokio::spawn(serve_connection(server, Arc::clone(&emulator), pending()));
        async { Ok(client) }
    });
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    Transport::builder(endpoint).connector(connector).build().unwrap()
}

/// An emulator at some distance: requests and answers take their time.
#[derive(Clone)]
struct Slow(InMemory);

impl tower_service::Service<http::Request<Bytes>> for Slow {
    type Response = http::Response<Vec<u8>>;
    type Error = Failure;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Failure>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Failure>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let mut service = self.0.clone();
        Box::pin(async move {
            tokio::time::sleep(2 * TICK).await;
            let answer = service.call(request).await;
            tokio::time::sleep(2 * TICK).await;
            answer
        })
    }
}
