//! How often memory is asked for in a steady stream of requests: counts, no times.

use core::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use firehose_benches::core_case::{Answers, EncodeAndJudge, InProcess};
use firehose_benches::{Kind, records};

/// What is wanted at most for a request from push to settled, whatever its number of records.
const TARGET: u64 = 2;

/// What holds now, for a request; lower it when less is needed.
const ENCODE_MAX: u64 = 1;
const JUDGE_MAX: u64 = 1;
const SETTLE_MAX: u64 = TARGET + 1;

/// The same where one record in ten is refused, from the first request to the last.
const AGAIN_MAX: u64 = 40;

/// The requests before the count begins: buffers have found their size by then.
const WARM_UP: usize = 32;

/// The requests that are counted.
const COUNTED: usize = 64;

#[test]
fn encoding_uses_its_memory_again() {
    for (count, len) in [(500, 100), (500, 1_024), (4, 1_024_000), (1, 1)] {
        let (mut core, records) = (EncodeAndJudge::new(), records(count, len));
        let used = steady(|| assert!(black_box(core.encode(&records)) > count * len));
        check(&format!("encode {count} x {len} B"), used, ENCODE_MAX);
    }
}

#[test]
fn judging_uses_its_memory_again() {
    for (records, kind) in
        [(500, Kind::Stored), (500, Kind::Refused { every: 10 }), (1, Kind::Stored)]
    {
        let (mut core, mut answers) = (EncodeAndJudge::new(), Answers::new(kind));
        answers.prepare(records, WARM_UP + COUNTED);
        let used = steady(|| {
            let answer = answers.next(records);
            assert_eq!(core.judge(records, answer), kind.stored(records));
        });
        check(&format!("judge {records}, {kind:?}"), used, JUDGE_MAX);
    }
}

#[test]
fn a_producer_uses_its_memory_again() {
    for (count, len) in [(500, 100), (500, 1_024), (4, 1_024_000)] {
        let (mut producer, mut answers) = (InProcess::new(), Answers::new(Kind::Stored));
        answers.prepare(count, WARM_UP + COUNTED);
        let records = records(count, len);
        let mut delivered = 0;
        let used = steady(|| {
            producer.push(&records, &mut answers);
            delivered += count;
            assert_eq!(producer.settle(&mut answers), delivered);
        });
        check(&format!("settle {count} x {len} B"), used, SETTLE_MAX);
    }
}

#[test]
fn a_producer_that_sends_again_asks_for_little_memory_for_each_record() {
    const REQUESTS: usize = 200;
    let kind = Kind::Refused { every: 10 };
    let (mut producer, mut answers) = (InProcess::new(), Answers::new(kind));
    answers.prepare(500, 2 * REQUESTS);
    let records = records(500 * REQUESTS, 100);
    let used = measure(|| {
        producer.push(&records, &mut answers);
        assert_eq!(producer.settle(&mut answers), records.len());
    });
    let requests = producer.requests();
    print("settle, one in ten refused", used, requests);
    let count = used.count_total;
    assert!(count <= AGAIN_MAX * requests, "{count} in {requests} requests");
}

/// Counts what an operation needs once it has been done often.
fn steady(mut operation: impl FnMut()) -> AllocationInfo {
    for _ in 0..WARM_UP {
        operation();
    }
    measure(|| {
        for _ in 0..COUNTED {
            operation();
        }
    })
}

fn check(what: &str, used: AllocationInfo, most: u64) {
    print(what, used, COUNTED as u64);
    let count = used.count_total;
    assert!(count <= most * COUNTED as u64, "{what}: {count} in {COUNTED} requests");
}

#[expect(clippy::print_stdout, reason = "the numbers are what `--nocapture` is for")]
fn print(what: &str, used: AllocationInfo, requests: u64) {
    let (count, bytes) = (used.count_total as f64, used.bytes_total as f64);
    let requests = requests as f64;
    println!("| {what} | {:.2} | {:.0} |", count / requests, bytes / requests);
}
