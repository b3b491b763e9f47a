//! Records are pushed, sent, answered and settled within the process, in virtual time, without a
//! hash and a socket.

use core::cell::RefCell;
use core::hint::black_box;

use criterion::{BatchSize, BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use firehose_benches::core_case::{Answers, InProcess};
use firehose_benches::{Kind, records};

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
        let answers = RefCell::new(Answers::new(kind));
        let run = || {
            let (mut producer, mut answers) = (InProcess::new(), answers.borrow_mut());
            producer.push(black_box(&records), &mut answers);
            assert_eq!(producer.settle(&mut answers), RECORDS);
        };
        // The first run tells which answers are needed.
        run();
        group.bench_function(BenchmarkId::new(case, "ours"), |b| {
            let prepare = || answers.borrow_mut().prepare_again();
            b.iter_batched(prepare, |()| run(), BatchSize::PerIteration);
        });
    }
    group.finish();
}

criterion_group!(benches, settle);
criterion_main!(benches);
