//! Records are pushed, sent, answered and settled within the process, in virtual time.
//!
//! The answers are made beforehand; what is timed of them is the copy that the producer takes.

use core::hint::black_box;
use std::collections::BTreeMap;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::{Kind, records, reply, stream, with_headroom};
use firehose_proto::Instant;
use firehose_proto::producer::{Config, Event, Outcome, Output, Producer, Transmit};
use firehose_proto::wire::Response;

const RECORDS: usize = 10_000;

const CASES: [(&str, Kind); 3] = [
    ("none-refused", Kind::Stored),
    ("hundredth-refused", Kind::Refused { every: 100 }),
    ("tenth-refused", Kind::Refused { every: 10 }),
];

fn settle(c: &mut Criterion) {
    let records = records(RECORDS, 100);
    let mut group = c.benchmark_group("producer");
    group.throughput(Throughput::Elements(RECORDS as u64));
    for (case, kind) in CASES {
        let mut service = Service { kind, replies: BTreeMap::new() };
        // The first run makes the answers.
        run(&records, &mut service);
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter(|| assert_eq!(run(black_box(&records), &mut service), RECORDS));
        });
    }
    group.finish();
}

/// Pushes all records and drives them to their outcomes; returns how many were delivered.
fn run(records: &[Vec<u8>], service: &mut Service) -> usize {
    let mut now = Instant::from_micros(0);
    let mut producer = Producer::new(now, Config::new(stream()), 7);
    let mut delivered = 0;
    for record in records {
        producer.push(now, record).expect("there is room for the record");
        if producer.has_output() {
            delivered += serve(&mut producer, now, service);
        }
    }
    producer.close(now);
    loop {
        delivered += serve(&mut producer, now, service);
        let Some((at, _)) = producer.deadline() else { break };
        now = at;
        producer.handle_timeout(now);
    }
    assert!(producer.is_closed());
    delivered
}

/// Does all there is to do now; returns how many records were delivered.
fn serve(producer: &mut Producer, now: Instant, service: &mut Service) -> usize {
    let mut delivered = 0;
    loop {
        match producer.poll_output() {
            Output::Event(Event::Settled(report)) => {
                let is_delivered = |outcome| matches!(outcome, Outcome::Delivered { .. });
                delivered += report.iter().filter(|record| is_delivered(record.outcome())).count();
            }
            Output::Event(_) | Output::Cancel(_) => {}
            Output::Transmit(transmit) => {
                let id = transmit.id;
                let response = service.answer(transmit);
                producer.handle_response(now, id, response).expect("the request is under way");
            }
            Output::Wait(_) => return delivered,
        }
    }
}

/// Answers requests of the same size alike.
struct Service {
    kind: Kind,
    replies: BTreeMap<usize, Vec<u8>>,
}

impl Service {
    fn answer(&mut self, transmit: Transmit) -> Response {
        let records = black_box(transmit).records;
        let body = self.replies.entry(records).or_insert_with(|| reply(records, self.kind));
        Response::new(200, with_headroom(body))
    }
}

criterion_group!(benches, settle);
criterion_main!(benches);
