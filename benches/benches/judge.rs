//! An answer of 500 entries is judged, and every verdict looked at.

use core::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::{Kind, reply, with_headroom};
use firehose_proto::judge::{Judgement, Verdict};
use firehose_proto::wire::{Response, Scratch};

const RECORDS: usize = 500;

const CASES: [(&str, Kind); 3] = [
    ("all-stored", Kind::Stored),
    ("tenth-failed", Kind::Refused { every: 10 }),
    ("strange", Kind::Strange),
];

fn judge(c: &mut Criterion) {
    let mut group = c.benchmark_group("judge");
    for (case, kind) in CASES {
        let body = reply(RECORDS, kind);
        let stored = kind.stored(RECORDS);
        group.throughput(Throughput::Elements(RECORDS as u64));
        let mut scratch = Scratch::new();
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            b.iter_batched(
                || Response::new(200, with_headroom(&body)),
                |response| {
                    let judgement = Judgement::of(black_box(response), RECORDS, &mut scratch);
                    let Judgement::Records(judged) = &judgement else {
                        panic!("the answer is not believed");
                    };
                    let is_stored =
                        |verdict: &Verdict<'_>| matches!(verdict, Verdict::Stored { .. });
                    assert_eq!(judged.verdicts().filter(is_stored).count(), stored);
                    judgement
                },
                BatchSize::SmallInput,
            );
        });
    }
    group.finish();
}

criterion_group!(benches, judge);
criterion_main!(benches);
