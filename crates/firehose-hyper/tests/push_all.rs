//! Many records pushed at once: all are taken in their order, and who is not taken is named.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::future::pending;
use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use firehose_hyper::proto::limits::RECORD_BYTES_MAX;
use firehose_hyper::proto::producer::{Config, PushError};
use firehose_hyper::{Failure, Producer, PushAllError};
use firehose_mock::{InMemory, Ledger, Service, Streams};
use tokio::time::Instant;

fn emulator() -> (Arc<Mutex<Service>>, InMemory) {
    let service =
        Arc::new(Mutex::new(Service::new(Streams::Any, 7).with_ledger(Ledger::keeping())));
    (Arc::clone(&service), InMemory::from(service))
}

fn config() -> Config {
    Config::new("demo".parse().unwrap())
}

#[tokio::test(start_paused = true)]
async fn more_than_there_is_room_for_is_taken_in_time() {
    let (service, transport) = emulator();
    let producer = Producer::spawn(config().with_buffer_bytes_max(20_000), transport);
    let records: Vec<String> = (0..5_000).map(|index| format!("{index:0100}")).collect();
    producer.push_all(&records).await.unwrap();
    let stats = producer.close().await;
    assert_eq!((stats.records_accepted, stats.records_delivered), (5_000, 5_000));
    let service = service.lock().unwrap();
    let stored = |record: &String| {
        service.ledger().times_accepted(&"demo".parse().unwrap(), record.as_bytes()) == 1
    };
    assert!(records.iter().all(stored));
}

#[tokio::test(start_paused = true)]
async fn the_record_that_is_not_taken_is_named() {
    let (_, transport) = emulator();
    let producer = Producer::spawn(config(), transport);
    let too_large = vec![0; RECORD_BYTES_MAX + 1];
    let records = [b"one".as_slice(), b"two", &too_large, b"four"];
    let PushAllError { taken, error } = producer.push_all(&records).await.unwrap_err();
    let bytes = too_large.len();
    assert_eq!(taken, 2);
    assert_eq!(error, PushError::RecordTooLarge { bytes, bytes_max: RECORD_BYTES_MAX });
    producer.push_all(&[""; 0]).await.unwrap();
    assert_eq!(producer.close().await.records_delivered, 2);
    let closed = PushAllError { taken: 0, error: PushError::Closed };
    assert_eq!(producer.push_all(&["late"]).await, Err(closed));
}

/// A producer of whose requests none comes to an end.
fn never_answered(config: Config) -> Producer {
    type Answer = Result<http::Response<Vec<u8>>, Failure>;
    Producer::spawn(config, tower::service_fn(|_: http::Request<Bytes>| pending::<Answer>()))
}

#[tokio::test(start_paused = true)]
async fn no_more_is_taken_than_is_of_use() {
    let producer = never_answered(config().with_in_flight_max(NonZeroUsize::MIN));
    producer.ready().await;
    let records = vec![[b'x'; 100]; 10_000];
    let pushing = producer.clone();
    let pushing = tokio::spawn(async move { pushing.push_all(&records).await });
    for _ in 0..20 {
        tokio::task::yield_now().await;
    }
    // One request is under way, two wait, and a turn of 64 KiB may have begun before.
    let taken = producer.stats().records_accepted;
    assert!((1_500..1_500 + 656).contains(&taken), "{taken} records");
    // Who pushes one by one is not held up, and who waits hears of the end.
    producer.try_push(b"one").unwrap();
    let waiting = producer.clone();
    let waiting = tokio::spawn(async move { waiting.ready().await });
    tokio::task::yield_now().await;
    assert!(!waiting.is_finished());
    producer.abandon().await;
    waiting.await.unwrap();
    let closed = PushAllError { taken: usize::try_from(taken).unwrap(), error: PushError::Closed };
    assert_eq!(pushing.await.unwrap(), Err(closed));
}

#[tokio::test(start_paused = true)]
async fn a_record_larger_than_the_room_waits_for_all_others() {
    let (_, transport) = emulator();
    let producer = Producer::spawn(config().with_buffer_bytes_max(1_000), transport);
    producer.push_all(&[[b'x'; 900]; 3]).await.unwrap();
    assert_eq!(producer.close().await.records_delivered, 3);
}

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_room_of_a_producer_that_is_closed() {
    let producer = never_answered(config().with_buffer_bytes_max(0));
    producer.push(b"one").await.unwrap();
    let began = Instant::now();
    let waiting = producer.clone();
    let waiting = tokio::spawn(async move { waiting.push_all(&["two"]).await });
    tokio::task::yield_now().await;
    let closing = tokio::spawn(async move { producer.close().await });
    let closed = PushAllError { taken: 0, error: PushError::Closed };
    assert_eq!(waiting.await.unwrap(), Err(closed));
    assert_eq!(began.elapsed().as_secs(), 0);
    closing.abort();
}
