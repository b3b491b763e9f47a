//! An answer of 500 entries is judged, and every verdict looked at.

use core::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::core_case::EncodeAndJudge;
use firehose_benches::{Kind, reply};

const RECORDS: usize = 500;

const CASES: [(&str, Kind); 3] = [
    ("all-stored", Kind::Stored),
    ("tenth-failed", Kind::Refused { every: 10 }),
    ("strange", Kind::Strange),
];

fn judge(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    for (case, kind) in CASES {
        let answer = reply(RECORDS, kind);
        let stored = kind.stored(RECORDS);
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut core = EncodeAndJudge::new();
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter(|| assert_eq!(core.judge(RECORDS, black_box(&answer)), stored));
        });
    }
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
