//! The async producer against the emulator, in virtual time: nothing lost, every doubt told.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use firehose_hyper::{Event, Events, Producer};
use firehose_mock::{Faults, InMemory, Ledger, Service, Streams};
use firehose_proto::StreamName;
use firehose_proto::producer::{Config, Outcome, PushError, Stats};
use firehose_proto::retry::Jitter;
use firehose_tests::below;

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

fn emulator(faults: &str, seed: u64) -> InMemory {
    let faults: Faults = faults.parse().unwrap();
    let service = Service::new(Streams::Any, seed).with_faults(faults.with_seed(seed));
    InMemory::new(service.with_ledger(Ledger::keeping()))
}

/// Records of up to 2,000 bytes, each different from the others.
fn records(count: usize, seed: u64) -> Vec<Vec<u8>> {
    sized_records(count, 2_000, seed)
}

fn sized_records(count: usize, bytes_max: usize, seed: u64) -> Vec<Vec<u8>> {
    let mut random = Jitter::new(seed);
    (0..count)
        .map(|index| {
            let len = below(&mut random, bytes_max);
            let mut record = format!("{index}:").into_bytes();
            record.resize(record.len().max(len), b'x');
            record
        })
        .collect()
}

/// What the producer said of each record.
#[derive(Default)]
struct Told {
    delivered: BTreeSet<u64>,
    maybe_twice: BTreeSet<u64>,
    failed: BTreeMap<u64, (Vec<u8>, bool)>,
}

async fn listen(mut events: Events) -> Told {
    let mut told = Told::default();
    let mut ids = BTreeSet::new();
    while let Some(event) = events.next().await {
        let Event::Settled(report) = event else { continue };
        for settled in report.iter() {
            let ticket = settled.ticket().number();
            let is_new = match settled.outcome() {
                Outcome::Delivered { record_id, may_be_duplicate } => {
                    assert!(ids.insert(record_id.to_owned()), "an identifier was given twice");
                    if may_be_duplicate {
                        told.maybe_twice.insert(ticket);
                    }
                    told.delivered.insert(ticket) && !told.failed.contains_key(&ticket)
                }
                Outcome::Failed { may_be_delivered, .. } => {
                    let data = settled.data().unwrap();
                    told.failed.insert(ticket, (data, may_be_delivered)).is_none()
                        && !told.delivered.contains(&ticket)
                }
            };
            assert!(is_new, "record {ticket} has two outcomes");
        }
    }
    told
}

/// Pushes all records through a producer and returns what it said and counted.
async fn run(config: Config, service: InMemory, records: &[Vec<u8>]) -> (Told, Stats) {
    let (producer, events) = Producer::spawn_with_events(config, service);
    let listening = tokio::spawn(listen(events));
    for record in records {
        producer.push(record).await.unwrap();
    }
    let stats = producer.close().await;
    (listening.await.unwrap(), stats)
}

/// Compares what the producer said with what the emulator knows.
fn check_truth(told: &Told, service: &InMemory, records: &[Vec<u8>]) {
    let service = service.lock();
    for (ticket, record) in (0..).zip(records) {
        let times = service.ledger().times_accepted(&stream(), record);
        if let Some((data, may_be_delivered)) = told.failed.get(&ticket) {
            assert_eq!(data, record, "record {ticket} came back changed");
            assert!(times == 0 || *may_be_delivered, "record {ticket} is stored, none was told");
            continue;
        }
        assert!(told.delivered.contains(&ticket), "record {ticket} has no outcome");
        assert!(times >= 1, "record {ticket} is told to be delivered and is not");
        assert!(times == 1 || told.maybe_twice.contains(&ticket), "record {ticket} is doubled");
    }
}

#[tokio::test(start_paused = true)]
async fn without_faults_everything_arrives_once_and_in_order() {
    let records = records(5_000, 1);
    let service = emulator("seed=1", 1);
    let config = Config::new(stream()).with_in_flight_max(std::num::NonZeroUsize::MIN);
    let (told, stats) = run(config, service.clone(), &records).await;
    check_truth(&told, &service, &records);
    assert_eq!((stats.requests, stats.records_delivered), (10, 5_000));
    assert!(told.maybe_twice.is_empty());
    let service = service.lock();
    assert!(service.ledger().records(&stream()).eq(records.iter().map(Vec::as_slice)));
}

// R9, R10
#[tokio::test(start_paused = true)]
async fn with_faults_nothing_is_lost_and_every_doubt_is_told() {
    for seed in 0..3 {
        let records = sized_records(100_000, 60, seed);
        let service = emulator("refuse=0.1,unavailable=0.02,cut=0.01", seed);
        let (told, stats) = run(Config::new(stream()), service.clone(), &records).await;
        check_truth(&told, &service, &records);
        assert_eq!(stats.records_delivered, 100_000, "seed {seed}");
        assert_eq!(stats.records_maybe_doubled, told.maybe_twice.len() as u64);
        assert_eq!((stats.records_undecided, stats.bytes_held), (0, 0));
        // The least requests for so many attempts, and the ones that were refused as a whole.
        let totals = service.lock().ledger().totals();
        let refused = totals.requests_unavailable;
        let attempts = totals.records_accepted + totals.records_refused;
        let least = attempts.div_ceil(500) + refused;
        assert!(stats.requests * 100 <= least * 115, "seed {seed}: {} of {least}", stats.requests);
    }
}

// R10
#[tokio::test(start_paused = true)]
async fn under_heavy_faults_what_is_given_up_comes_back_whole() {
    for seed in 0..10 {
        let records = records(2_000, seed);
        let service = emulator("refuse=0.5,internal=0.1,cut=0.2,fail=0.2,drop=0.1", seed);
        let attempts = std::num::NonZeroU8::new(4).unwrap();
        let policy = firehose_proto::retry::Policy::default().with_attempts_max(attempts);
        let config = Config::new(stream()).with_policy(policy);
        let (told, stats) = run(config, service.clone(), &records).await;
        check_truth(&told, &service, &records);
        assert!(stats.records_exhausted > 0, "seed {seed}");
        assert_eq!(stats.records_delivered + stats.records_exhausted, 2_000);
    }
}

#[tokio::test(start_paused = true)]
async fn one_record_can_be_waited_for() {
    let producer = Producer::spawn(Config::new(stream()), emulator("seed=1", 1));
    let delivered = producer.put(b"one").await.unwrap();
    assert_eq!((delivered.attempts, delivered.may_be_duplicate), (1, false));
    let large = vec![0; 1_024_001];
    let error = producer.put(&large).await.unwrap_err().to_string();
    assert_eq!(error, "the record has 1024001 bytes, the service takes at most 1024000");
    producer.close().await;
    assert!(producer.put(b"late").await.unwrap_err().to_string().contains("closed"));
}

#[tokio::test(start_paused = true)]
async fn flushing_waits_for_what_was_pushed_before() {
    let config = Config::new(stream()).with_linger(Duration::from_secs(3_600));
    let service = emulator("refuse=0.2", 3);
    let producer = Producer::spawn(config, service.clone());
    for record in records(700, 3) {
        producer.push(&record).await.unwrap();
    }
    producer.flush().await;
    assert_eq!(producer.stats().records_delivered, 700);
    assert_eq!(service.lock().ledger().totals().records_accepted, 700);
    // With nothing to wait for it is ready at once.
    producer.flush().await;
}

#[tokio::test(start_paused = true)]
async fn room_is_waited_for() {
    let config =
        Config::new(stream()).with_buffer_bytes_max(10_000).with_linger(Duration::from_millis(5));
    let producer = Producer::spawn(config, emulator("seed=1", 1));
    let mut was_full = false;
    for record in records(500, 5) {
        if let Err(error) = producer.try_push(&record) {
            assert!(matches!(error, PushError::Full { .. }));
            was_full = true;
            producer.push(&record).await.unwrap();
        }
        assert!(producer.stats().bytes_held <= 10_000);
    }
    assert!(was_full);
    assert_eq!(producer.close().await.records_delivered, 500);
}

#[tokio::test(start_paused = true)]
async fn closing_within_a_time_hands_the_rest_back() {
    let service = emulator("unavailable=1", 1);
    let (producer, events) = Producer::spawn_with_events(Config::new(stream()), service.clone());
    let listening = tokio::spawn(listen(events));
    let records = records(1_200, 1);
    for record in &records {
        producer.push(record).await.unwrap();
    }
    let started = tokio::time::Instant::now();
    let stats = producer.close_within(Duration::from_secs(5)).await;
    assert!(started.elapsed() < Duration::from_secs(6));
    assert_eq!(stats.records_abandoned, 1_200);
    let told = listening.await.unwrap();
    check_truth(&told, &service, &records);
    assert!(told.failed.values().all(|(_, may_be_delivered)| !may_be_delivered));
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_sends_what_is_there() {
    let service = emulator("refuse=0.3", 1);
    let (producer, events) = Producer::spawn_with_events(Config::new(stream()), service.clone());
    for record in records(100, 1) {
        producer.push(&record).await.unwrap();
    }
    drop(producer);
    assert_eq!(listen(events).await.delivered.len(), 100);
}

#[tokio::test(start_paused = true)]
async fn events_that_nobody_wants_hold_nothing_up() {
    let (producer, events) =
        Producer::spawn_with_events(Config::new(stream()), emulator("seed=1", 1));
    drop(events);
    for record in records(60_000, 1) {
        producer.push(&record[..1]).await.unwrap();
    }
    assert_eq!(producer.close().await.records_delivered, 60_000);
}
