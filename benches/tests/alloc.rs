//! How often memory is asked for in a steady stream of requests: counts, no times.
//!
//! `cargo test -p firehose-benches --test alloc -- --nocapture` prints them as a table in Markdown.

use core::fmt::Write;
use core::hint::black_box;

use allocation_counter::{AllocationInfo, measure};
use firehose_benches::core_case::{Answers, Encoder, InProcess, Judge};
use firehose_benches::{Kind, records};

/// What is wanted at most for a request from push to settled, whatever its number of records.
const TARGET: u64 = 2;

/// What holds now, for a request; lower it when less is needed.
const ENCODE_MAX: u64 = 1;
const JUDGE_MAX: u64 = 0;
const SETTLE_MAX: u64 = TARGET;

/// The same where one record in ten is refused, from the first request to the last.
const AGAIN_MAX: u64 = 5;

/// The requests before the count begins: buffers have found their size by then.
const WARM_UP: usize = 32;

/// The requests that are counted.
const COUNTED: usize = 64;

/// A part of the work, and what it needed.
struct Row {
    what: String,
    used: AllocationInfo,
    requests: u64,
    most: u64,
}

#[test]
#[expect(clippy::print_stdout, reason = "the numbers are what `--nocapture` is for")]
fn memory_is_used_again() {
    let sizes = [(500, 100), (500, 1_024), (4, 1_024_000), (1, 1)];
    let kinds = [Kind::Stored, Kind::Refused { every: 10 }];
    let encoded = sizes.into_iter().map(|(count, len)| encode(count, len));
    let judged = kinds.into_iter().map(judge);
    let settled = sizes.into_iter().map(|(count, len)| settle(count, len));
    let rows: Vec<Row> = encoded.chain(judged).chain(settled).chain([settle_again()]).collect();

    let mut table =
        "\n| for a request | allocations | at most | bytes |\n|---|---|---|---|\n".to_owned();
    for Row { what, used, requests, most } in &rows {
        let each = |total: u64| total as f64 / *requests as f64;
        let (count, bytes) = (each(used.count_total), each(used.bytes_total));
        writeln!(table, "| {what} | {count:.2} | {most} | {bytes:.0} |").unwrap();
    }
    println!("{table}");
    let too_many = |row: &&Row| row.used.count_total > row.most * row.requests;
    let too_many: Vec<_> = rows.iter().filter(too_many).map(|row| &row.what).collect();
    assert!(too_many.is_empty(), "too many allocations: {too_many:?}\n{table}");
}

fn encode(count: usize, len: usize) -> Row {
    let (mut core, records) = (Encoder::new(), records(count, len));
    let used = steady(|| assert!(black_box(core.encode(&records)) > count * len));
    row(format!("encode {count} × {len} B"), used, ENCODE_MAX)
}

fn judge(kind: Kind) -> Row {
    let mut core = Judge::new(500, kind);
    let used = steady(|| core.judge());
    row(format!("judge 500, {} stored", kind.stored(500)), used, JUDGE_MAX)
}

fn settle(count: usize, len: usize) -> Row {
    let (mut producer, mut answers) = (InProcess::new(), Answers::new(Kind::Stored));
    answers.prepare(count, WARM_UP + COUNTED);
    let records = records(count, len);
    let mut delivered = 0;
    let used = steady(|| {
        producer.push(&records, &mut answers);
        delivered += count;
        assert_eq!(producer.settle(&mut answers), delivered);
    });
    row(format!("push to settled, {count} × {len} B"), used, SETTLE_MAX)
}

/// A whole run in which records are sent again.
fn settle_again() -> Row {
    let (records, mut answers) = (records(100_000, 100), Answers::new(Kind::Refused { every: 10 }));
    let run = |answers: &mut Answers| {
        let mut producer = InProcess::new();
        producer.push(&records, answers);
        assert_eq!(producer.settle(answers), records.len());
        producer.requests()
    };
    // The first run tells which answers are needed.
    let requests = run(&mut answers);
    answers.prepare_again();
    let used = measure(|| assert_eq!(run(&mut answers), requests));
    let what = "the same, 500 × 100 B, one in ten refused, with the start".to_owned();
    Row { what, used, requests, most: AGAIN_MAX }
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

fn row(what: String, used: AllocationInfo, most: u64) -> Row {
    Row { what, used, requests: COUNTED as u64, most }
}
