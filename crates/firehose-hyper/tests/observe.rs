//! What observers are told of attempts, and what they are never told.

#![cfg(all(feature = "metrics", feature = "tracing"))]
#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeMap;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};

use firehose_hyper::Producer;
use firehose_hyper::proto::producer::Config;
use firehose_mock::{Faults, InMemory, Service, Streams};
use metrics::{
    Counter, CounterFn, Gauge, Histogram, HistogramFn, Key, KeyName, Metadata, Recorder,
    SharedString, Unit,
};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};

/// What a record holds and nobody may be told.
const CANARY: &str = "a-record-that-is-nobody's-business";

/// Lines of what was told.
#[derive(Clone, Default)]
struct Told(Arc<Mutex<Vec<String>>>);

impl Told {
    fn add(&self, line: String) {
        self.0.lock().unwrap().push(line);
    }
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        self.0.push_str(&format!(" {field}={value:?}"));
    }
}

impl Subscriber for Told {
    fn enabled(&self, metadata: &tracing::Metadata<'_>) -> bool {
        metadata.target().starts_with("firehose_hyper")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let mut line = Line(format!("span {}", span.metadata().name()));
        span.record(&mut line);
        self.add(line.0);
        Id::from_u64(1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        let mut line = Line("record".to_owned());
        values.record(&mut line);
        self.add(line.0);
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut line = Line(event.metadata().level().to_string());
        event.record(&mut line);
        self.add(line.0);
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// Sums of what was counted, by name and labels.
#[derive(Clone, Default)]
struct Sums(Arc<Mutex<BTreeMap<String, f64>>>);

struct Sum(Sums, String);

impl Sum {
    fn of(sums: &Sums, key: &Key) -> Arc<Self> {
        let labels = key.labels().map(|label| format!(" {}={}", label.key(), label.value()));
        Arc::new(Self(sums.clone(), key.name().to_owned() + &labels.collect::<String>()))
    }

    fn add(&self, value: f64) {
        *self.0.0.lock().unwrap().entry(self.1.clone()).or_default() += value;
    }
}

impl CounterFn for Sum {
    fn increment(&self, value: u64) {
        self.add(value as f64);
    }

    fn absolute(&self, _: u64) {}
}

impl HistogramFn for Sum {
    fn record(&self, value: f64) {
        self.add(value);
    }
}

impl Recorder for Sums {
    fn describe_counter(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_gauge(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn describe_histogram(&self, _: KeyName, _: Option<Unit>, _: SharedString) {}

    fn register_counter(&self, key: &Key, _: &Metadata<'_>) -> Counter {
        Counter::from_arc(Sum::of(self, key))
    }

    fn register_gauge(&self, _: &Key, _: &Metadata<'_>) -> Gauge {
        Gauge::noop()
    }

    fn register_histogram(&self, key: &Key, _: &Metadata<'_>) -> Histogram {
        Histogram::from_arc(Sum::of(self, key))
    }
}

/// Puts two records into a service with these faults; returns what was told and what was counted.
fn observe(faults: &str, attempts: u8) -> (Vec<String>, BTreeMap<String, f64>) {
    let (told, sums) = (Told::default(), Sums::default());
    let runtime =
        tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
    let faults: Faults = faults.parse().unwrap();
    metrics::with_local_recorder(&sums, || {
        tracing::subscriber::with_default(told.clone(), || {
            runtime.unwrap().block_on(async {
                let service = Service::new(Streams::Any, 7).with_faults(faults);
                let policy = firehose_hyper::proto::retry::Policy::default()
                    .with_attempts_max(attempts.try_into().unwrap());
                let config = Config::new("demo".parse().unwrap()).with_policy(policy);
                let producer = Producer::spawn(config, InMemory::new(service));
                for _ in 0..2 {
                    producer.push(CANARY.as_bytes()).await.unwrap();
                }
                producer.close().await;
            });
        });
    });
    let (told, sums) = (told.0.lock().unwrap().clone(), sums.0.lock().unwrap().clone());
    let all = told.join("\n");
    assert!(!all.contains(CANARY) && !all.contains("YS1yZWNvcmQ"), "{all}");
    (told, sums)
}

#[test]
fn attempts_are_spans_and_counts() {
    let (told, sums) = observe("", 3);
    let span = "span attempt rpc.system=\"aws-api\" rpc.service=\"Firehose\" \
                rpc.method=\"PutRecordBatch\" attempt=1 records=2 bytes=";
    assert!(told[0].starts_with(span), "{told:?}");
    assert_eq!(told[1], "record status=200", "{told:?}");
    assert!(told[2].starts_with("record aws.request_id=\""), "{told:?}");
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(sums["firehose.attempts outcome=200"], 1.0);
    assert_eq!(sums["firehose.records.delivered"], 2.0);
    assert!(sums["firehose.attempt.body_bytes"] > 100.0);
    assert!(sums.contains_key("firehose.attempt.seconds"));
}

#[test]
fn what_goes_wrong_is_told_and_counted() {
    let (told, sums) = observe("unavailable=1", 2);
    let count = |start: &str| told.iter().filter(|line| line.starts_with(start)).count();
    assert_eq!((count("span attempt"), count("DEBUG"), count("WARN")), (2, 2, 1), "{told:?}");
    assert_eq!(count("record status=503"), 2, "{told:?}");
    assert_eq!(sums["firehose.attempts outcome=503"], 2.0);
    assert_eq!(sums["firehose.setbacks class=throttled"], 2.0);
    assert_eq!(sums["firehose.records.undelivered reason=exhausted"], 2.0);
    let (told, sums) = observe("drop=1", 1);
    assert!(told.iter().any(|line| line.contains("no answer")), "{told:?}");
    assert_eq!(sums["firehose.attempts outcome=NotSent"], 1.0);
}
