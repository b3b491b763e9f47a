//! Records become the body of a request.

use core::hint::black_box;

use base64_simd::STANDARD;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::core_case::{Encoder, SIZES};
use firehose_benches::{records, stream};
use firehose_proto::batch::{Batch, Storage};
use firehose_proto::{Limits, StreamName};
use serde::Serialize;

fn encode(c: &mut Criterion) {
    let stream = stream();
    let mut group = c.benchmark_group("encode");
    for size in SIZES {
        let records = records(size.records, size.record_bytes);
        let expected = by_serde_json(&stream, &records);
        assert!(by_core(&stream, &records) == expected, "the two write different bodies");
        group.throughput(Throughput::Bytes((size.records * size.record_bytes) as u64));
        let mut core = Encoder::new();
        group.bench_function(BenchmarkId::new(size.name, "ours"), |b| {
            b.iter(|| assert_eq!(core.encode(black_box(&records)), expected.len()));
        });
        group.bench_function(BenchmarkId::new(size.name, "serde_json"), |b| {
            b.iter(|| {
                let body = black_box(by_serde_json(&stream, black_box(&records)));
                assert_eq!(body.len(), expected.len());
            });
        });
        #[cfg(feature = "rivals")]
        rivals::encode(&mut group, size.name, &records, &expected);
    }
    group.finish();
}

fn by_core(stream: &StreamName, records: &[Vec<u8>]) -> Vec<u8> {
    let mut batch = Batch::new(stream, Limits::default(), Storage::default());
    for record in records {
        batch.add(record).expect("the records fit one request");
    }
    batch.seal().expect("it has records").body().to_vec()
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

#[cfg(feature = "rivals")]
mod rivals {
    use core::hint::black_box;

    use base64::Engine;
    use base64::engine::general_purpose::STANDARD;
    use criterion::measurement::WallTime;
    use criterion::{BatchSize, BenchmarkGroup, BenchmarkId};
    use firehose_benches::sdk::{self, SerDe};
    use firehose_benches::stream;

    pub(super) fn encode(
        group: &mut BenchmarkGroup<'_, WallTime>,
        case: &str,
        records: &[Vec<u8>],
        expected: &[u8],
    ) {
        assert!(by_base64(records).as_bytes() == expected, "base64 writes another body");
        group.bench_function(BenchmarkId::new(case, "base64"), |b| {
            b.iter(|| assert_eq!(black_box(by_base64(black_box(records))).len(), expected.len()));
        });
        let (mut serde, records) = (SerDe::new(), sdk::sdk_records(records));
        assert!(
            sdk::body(&serde.encode(records.clone())) == expected,
            "the SDK sends another body"
        );
        group.bench_function(BenchmarkId::new(case, "sdk"), |b| {
            b.iter_batched(
                || records.clone(),
                |records| {
                    let request = serde.encode(black_box(records));
                    assert_eq!(sdk::body(&request).len(), expected.len());
                    request
                },
                BatchSize::SmallInput,
            );
        });
    }

    /// The frames by hand and the data by the crate base64, into one text that grows.
    fn by_base64(records: &[Vec<u8>]) -> String {
        let mut body = format!(r#"{{"DeliveryStreamName":"{}","Records":["#, stream());
        for (index, record) in records.iter().enumerate() {
            if index > 0 {
                body.push(',');
            }
            body.push_str(r#"{"Data":""#);
            STANDARD.encode_string(record, &mut body);
            body.push_str(r#""}"#);
        }
        body.push_str("]}");
        body
    }
}

criterion_group!(benches, encode);
criterion_main!(benches);
