//! A producer whose runtime ends before it: whoever still holds a handle hears of it.

#![expect(clippy::unwrap_used, reason = "what fails here fails the test")]

use std::future::pending;
use std::time::Duration;

use bytes::Bytes;
use firehose_hyper::proto::producer::{Config, PushError};
use firehose_hyper::{Failure, Producer, PutError};
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

#[test]
fn nobody_waits_for_a_producer_whose_runtime_has_ended() {
    type Answer = Result<http::Response<Vec<u8>>, Failure>;
    let never = tower::service_fn(|_: http::Request<Bytes>| pending::<Answer>());
    let (its, ours) = (runtime(), runtime());
    let producer = {
        let _entered = its.enter();
        Producer::spawn(Config::new("demo".parse().unwrap()), never)
    };
    let waiting = producer.clone();
    let waiting = ours.spawn(async move { waiting.put(b"one").await });
    ours.block_on(async { tokio::task::yield_now().await });
    assert_eq!(producer.stats().records_undecided, 1);
    drop(its);
    let told = async {
        assert_eq!(waiting.await.unwrap(), Err(PutError::Stopped));
        assert_eq!(producer.push(b"two").await, Err(PushError::Closed));
        producer.ready().await;
        producer.flush().await;
        let stats = producer.close().await;
        assert_eq!((stats.records_accepted, stats.records_undecided), (1, 0));
    };
    ours.block_on(async { timeout(Duration::from_secs(60), told).await }).unwrap();
}
