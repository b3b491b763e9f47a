//! Many records pushed at once: all are taken in their order, and who is not taken is named.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::future::pending;
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

#[tokio::test(start_paused = true)]
async fn nobody_waits_for_the_room_of_a_producer_that_is_closed() {
    type Answer = Result<http::Response<Vec<u8>>, Failure>;
    let never = tower::service_fn(|_: http::Request<Bytes>| pending::<Answer>());
    let producer = Producer::spawn(config().with_buffer_bytes_max(0), never);
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
