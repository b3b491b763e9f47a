//! An answer of 500 entries is read, and every identifier in it looked at.

use core::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::{Kind, RECORD_ID_BYTES, reply, with_headroom};
use firehose_proto::wire::Scratch;
use firehose_proto::wire::reply::{Field, Reply};
use serde::Deserialize;

const RECORDS: usize = 500;

const CASES: [(&str, Kind); 3] = [
    ("all-stored", Kind::Stored),
    ("tenth-failed", Kind::Refused { every: 10 }),
    ("strange", Kind::Strange),
];

fn read(c: &mut Criterion) {
    let mut group = c.benchmark_group("reply");
    for (case, kind) in CASES {
        let body = reply(RECORDS, kind);
        let id_bytes = kind.stored(RECORDS) * RECORD_ID_BYTES;
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut scratch = Scratch::new();
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter_batched(
                || with_headroom(&body),
                |body| {
                    let reply = Reply::parse(black_box(body), RECORDS, &mut scratch);
                    let reply = reply.expect("it can be read");
                    assert_eq!(ids(&reply), id_bytes);
                    reply
                },
                BatchSize::SmallInput,
            );
        });
        group.bench_function(BenchmarkId::new(case, "serde_json"), |b| {
            b.iter_batched(
                || with_headroom(&body),
                |body| {
                    let answer: Answer =
                        serde_json::from_slice(black_box(&body)).expect("it can be read");
                    assert_eq!(answer.ids(), id_bytes);
                    (answer, body)
                },
                BatchSize::SmallInput,
            );
        });
        #[cfg(feature = "rivals")]
        group.bench_function(BenchmarkId::new(case, "sdk"), |b| {
            use firehose_benches::sdk::{SerDe, answer};

            let (serde, answer) = (SerDe::new(), answer(body.clone().into()));
            b.iter(|| {
                let output = serde.read(black_box(&answer));
                let ids = output.request_responses().iter().filter_map(|entry| entry.record_id());
                assert_eq!(ids.map(str::len).sum::<usize>(), id_bytes);
                output
            });
        });
    }
    group.finish();
}

/// Returns the bytes of all identifiers together.
fn ids(reply: &Reply) -> usize {
    let ids = reply.entries().map(|entry| match entry.record_id {
        Field::Text(id) => id.len(),
        Field::Absent | Field::Malformed => 0,
    });
    ids.sum()
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Answer {
    failed_put_count: u64,
    request_responses: Vec<Entry>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Entry {
    record_id: Option<String>,
    error_code: Option<String>,
    error_message: Option<String>,
}

impl Answer {
    /// Returns the bytes of all identifiers together.
    fn ids(&self) -> usize {
        let failed = |entry: &&Entry| entry.error_code.is_some() && entry.error_message.is_some();
        let failed = self.request_responses.iter().filter(failed).count();
        assert_eq!(failed as u64, self.failed_put_count);
        let ids = self.request_responses.iter().filter_map(|entry| entry.record_id.as_ref());
        ids.map(String::len).sum()
    }
}

criterion_group!(benches, read);
criterion_main!(benches);
