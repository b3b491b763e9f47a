//! A request is hashed and signed.

use core::hint::black_box;
use std::time::{Duration, SystemTime};

use bytes::Bytes;
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::core_case::SIZES;
use firehose_benches::{records, stream};
use firehose_hyper::{Credentials, Signer};
use firehose_proto::batch::{Batch, Storage};
use firehose_proto::{Limits, StreamName};
use http::Request;
use tokio::runtime::Builder;

fn sign(c: &mut Criterion) {
    let runtime = Builder::new_current_thread().enable_all().build().expect("it has no demands");
    let credentials =
        Credentials::new("AKIDEXAMPLE", "not a real secret key", None, None, "benchmark");
    let signer = Signer::new(credentials, "us-east-1");
    let at = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let mut group = c.benchmark_group("sign");
    // An empty body shows what the signature costs without the hash.
    let bodies = SIZES.map(|size| (size.name, body(&stream(), size.records, size.record_bytes)));
    for (case, body) in [("empty", Bytes::new())].into_iter().chain(bodies) {
        let sign = || {
            let mut request = request(&body);
            runtime.block_on(signer.sign(&mut request, at)).expect("it can be signed");
            request.headers().get("authorization").cloned().expect("it is signed")
        };
        let expected = sign();
        assert!(expected.as_bytes().starts_with(b"AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/"));
        group.throughput(Throughput::Bytes(body.len() as u64));
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter(|| assert_eq!(black_box(sign()), expected));
        });
        #[cfg(feature = "rivals")]
        group.bench_function(BenchmarkId::new(case, "sha2-only"), |b| {
            use sha2::{Digest, Sha256};

            let expected = Sha256::digest(&body);
            b.iter(|| assert_eq!(Sha256::digest(black_box(&body)), expected));
        });
    }
    group.finish();
}

fn request(body: &Bytes) -> Request<Bytes> {
    let request = Request::post("/")
        .header("content-type", "application/x-amz-json-1.1")
        .header("host", "firehose.us-east-1.amazonaws.com")
        .header("x-amz-target", "Firehose_20150804.PutRecordBatch");
    request.body(body.clone()).expect("the parts are legal")
}

fn body(stream: &StreamName, count: usize, len: usize) -> Bytes {
    let mut batch = Batch::new(stream, Limits::default(), Storage::default());
    for record in records(count, len) {
        batch.add(&record).expect("the records fit one request");
    }
    batch.seal().expect("it has records").body().clone()
}

criterion_group!(benches, sign);
criterion_main!(benches);
