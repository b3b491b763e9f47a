//! An answer of 500 entries is judged, and every verdict looked at.

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::Kind;
use firehose_benches::core_case::Judge;

const RECORDS: usize = 500;

const CASES: [(&str, Kind); 3] = [
    ("all-stored", Kind::Stored),
    ("tenth-failed", Kind::Refused { every: 10 }),
    ("strange", Kind::Strange),
];

fn judge(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    for (case, kind) in CASES {
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut judge = Judge::new(RECORDS, kind);
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter(|| judge.judge());
        });
    }
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
