//! A layer of one's own between the producer and what carries its requests: this one counts attempts
//! and bytes, and refuses to send more than it was allowed. Any layer of tower's goes the same way.
//!
//! Run it by `cargo run -p firehose-hyper --example layer`.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use bytes::Bytes;
use firehose_hyper::proto::producer::Config;
use firehose_hyper::{Attempt, Failure, Producer};
use firehose_mock::{InMemory, Service, Streams};
use tower::ServiceBuilder;
use tower::layer::layer_fn;

/// What went through.
#[derive(Debug, Default)]
pub struct Counts {
    /// Attempts, the refused ones among them.
    pub attempts: AtomicUsize,
    /// The bytes of their bodies.
    pub bytes: AtomicUsize,
}

/// The service that the layer puts around another one.
#[derive(Clone)]
struct Counted<S> {
    inner: S,
    counts: Arc<Counts>,
    attempts_max: usize,
}

impl<S> tower_service::Service<http::Request<Bytes>> for Counted<S>
where
    S: tower_service::Service<http::Request<Bytes>, Error: Into<Box<dyn Error + Send + Sync>>>,
    S::Future: Send + 'static,
{
    type Response = S::Response;
    type Error = Box<dyn Error + Send + Sync>;
    type Future = Pin<Box<dyn Future<Output = Result<S::Response, Self::Error>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), Self::Error>> {
        self.inner.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        let attempts = self.counts.attempts.fetch_add(1, Ordering::Relaxed) + 1;
        self.counts.bytes.fetch_add(request.body().len(), Ordering::Relaxed);
        if let Some(attempt) = request.extensions().get::<Attempt>() {
            eprintln!("attempt {} of {}", attempt.number, attempt.max);
        }
        if attempts > self.attempts_max {
            // Nothing has left, and nothing will: what waits is given back at once.
            return Box::pin(async { Err(Failure::Unsendable.into()) });
        }
        let answer = self.inner.call(request);
        Box::pin(async { answer.await.map_err(Into::into) })
    }
}

/// Puts some records through the layer, and returns how many came through and what was counted.
///
/// # Errors
///
/// If the producer does not take a record.
pub async fn run(
    records: usize,
    attempts_max: usize,
) -> Result<(u64, Arc<Counts>), Box<dyn Error>> {
    let counts = Arc::new(Counts::default());
    let count = Arc::clone(&counts);
    // To the real service, put the layer around a `Transport`.
    let service = ServiceBuilder::new()
        .layer(layer_fn(|inner| Counted { inner, counts: Arc::clone(&count), attempts_max }))
        .service(InMemory::new(Service::new(Streams::Any, 7)));
    let producer = Producer::spawn(Config::new("demo".parse()?), service);
    for record in 0..records {
        producer.push(format!("record {record}\n").as_bytes()).await?;
    }
    let stats = producer.close().await;
    Ok((stats.records_delivered, counts))
}

#[tokio::main(flavor = "current_thread")]
#[allow(dead_code, reason = "the test of this example has another beginning")]
async fn main() -> Result<(), Box<dyn Error>> {
    let (delivered, counts) = run(1_200, 10).await?;
    eprintln!("{delivered} records delivered: {counts:?}");
    Ok(())
}
