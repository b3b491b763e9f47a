//! Records become the body of a request.

use core::hint::black_box;
use core::mem;

use base64_simd::STANDARD;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::{records, stream};
use firehose_proto::batch::{Batch, Storage};
use firehose_proto::{Limits, StreamName};
use serde::Serialize;

const CASES: [(&str, usize, usize); 5] = [
    ("500x64B", 500, 64),
    ("500x100B", 500, 100),
    ("500x1KiB", 500, 1_024),
    ("500x8KiB", 500, 8_192),
    ("4x1000KiB", 4, 1_024_000),
];

fn encode(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("encode");
    for (case, count, len) in CASES {
        let records = records(count, len);
        let expected = by_serde_json(&stream, &records);
        group.throughput(Throughput::Bytes((count * len) as u64));
        let mut storage = Storage::default();
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter(|| {
                let batch = filled(&stream, &records, mem::take(&mut storage));
                let sealed = batch.seal().expect("it has records");
                assert_eq!(black_box(sealed.body()).len(), expected.len());
                storage = sealed.into_storage();
            });
        });
        let sealed = filled(&stream, &records, storage).seal().expect("it has records");
        assert!(sealed.body() == &expected, "the two write different bodies");
        group.bench_function(BenchmarkId::new(case, "serde_json"), |b| {
            b.iter(|| {
                let body = black_box(by_serde_json(&stream, black_box(&records)));
                assert_eq!(body.len(), expected.len());
            });
        });
    }
    group.finish();
}

fn filled(stream: &StreamName, records: &[Vec<u8>], storage: Storage) -> Batch {
    let mut batch = Batch::new(stream, Limits::default(), storage);
    for record in records {
        batch.add(black_box(record)).expect("the records fit one request");
    }
    batch
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Request<'a> {
    delivery_stream_name: &'a str,
    records: Vec<Record>,
}

#[derive(Serialize)]
#[serde(rename_all = "PascalCase")]
struct Record {
    data: String,
}

/// A text for each record, then the whole of it.
fn by_serde_json(stream: &StreamName, records: &[Vec<u8>]) -> Vec<u8> {
    let records =
        records.iter().map(|record| Record { data: STANDARD.encode_to_string(record) }).collect();
    let request = Request { delivery_stream_name: stream.as_str(), records };
    serde_json::to_vec(&request).expect("strings are JSON")
}

criterion_group!(benches, encode);
criterion_main!(benches);
