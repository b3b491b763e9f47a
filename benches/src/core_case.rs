//! Requests through the core within this process: encoded, answered, judged, settled, without a
//! socket, a hash or a signature.
//!
//! Answers are made beforehand. A producer's are handed in as bodies of their own, which its reports
//! keep.

use core::hint::black_box;
use core::mem;
use std::collections::BTreeMap;

use firehose_proto::batch::{Batch, Storage};
use firehose_proto::judge::{Judgement, Verdict};
use firehose_proto::producer::{Config, Event, Outcome, Output, Producer};
use firehose_proto::wire::{BODY_HEADROOM_BYTES, Response, Scratch};
use firehose_proto::{Instant, Limits, StreamName};

use crate::{Kind, reply, stream, with_headroom};

/// A size of request that figures are given for.
#[derive(Clone, Copy, Debug)]
pub struct Size {
    /// What it is called.
    pub name: &'static str,
    /// The records of a request.
    pub records: usize,
    /// The bytes of a record, before base64.
    pub record_bytes: usize,
}

impl Size {
    const fn new(name: &'static str, records: usize, record_bytes: usize) -> Self {
        Self { name, records, record_bytes }
    }
}

/// The sizes that figures are given for.
pub const SIZES: [Size; 5] = [
    Size::new("500x64B", 500, 64),
    Size::new("500x100B", 500, 100),
    Size::new("500x1KiB", 500, 1_024),
    Size::new("500x8KiB", 500, 8_192),
    Size::new("4x1000KiB", 4, 1_024_000),
];

/// Answers made beforehand, by the number of records that they are about.
#[derive(Debug)]
pub struct Answers {
    kind: Kind,
    made: BTreeMap<usize, Made>,
}

#[derive(Debug, Default)]
struct Made {
    body: Vec<u8>,
    copies: Vec<Vec<u8>>,
    /// The answers that were taken since the last preparation.
    taken: usize,
}

impl Answers {
    /// Makes answers that all say the same.
    pub fn new(kind: Kind) -> Self {
        Self { kind, made: BTreeMap::new() }
    }

    /// Makes copies, so that the next `count` answers on `records` records cost nothing.
    pub fn prepare(&mut self, records: usize, count: usize) {
        let made = self.made(records);
        while made.copies.len() < count {
            made.copies.push(with_headroom(&made.body));
        }
    }

    /// Makes as many copies as were taken since this was last called.
    pub fn prepare_again(&mut self) {
        for made in self.made.values_mut() {
            while made.copies.len() < made.taken {
                made.copies.push(with_headroom(&made.body));
            }
            made.taken = 0;
        }
    }

    /// Returns the body of an answer on `records` records.
    pub fn next(&mut self, records: usize) -> Vec<u8> {
        let made = self.made(records);
        made.taken += 1;
        made.copies.pop().unwrap_or_else(|| with_headroom(&made.body))
    }

    fn made(&mut self, records: usize) -> &mut Made {
        let kind = self.kind;
        self.made
            .entry(records)
            .or_insert_with(|| Made { body: reply(records, kind), ..Made::default() })
    }
}

/// Requests that are encoded in memory that is used again.
#[derive(Debug)]
pub struct Encoder {
    stream: StreamName,
    storage: Storage,
}

impl Encoder {
    /// Makes the memory.
    #[expect(clippy::new_without_default, reason = "it is not a value like others")]
    pub fn new() -> Self {
        Self { stream: stream(), storage: Storage::default() }
    }

    /// Encodes the records as the body of a request and returns its length.
    ///
    /// # Panics
    ///
    /// If the records do not fit one request.
    pub fn encode(&mut self, records: &[Vec<u8>]) -> usize {
        let storage = mem::take(&mut self.storage);
        let mut batch = Batch::new(&self.stream, Limits::default(), storage);
        for record in records {
            batch.add(black_box(record)).expect("the records fit one request");
        }
        let sealed = batch.seal().expect("it has records");
        let len = black_box(sealed.body()).len();
        self.storage = sealed.into_storage();
        len
    }
}

/// An answer that is judged again and again, in memory that is used again.
#[derive(Debug)]
pub struct Judge {
    records: usize,
    kind: Kind,
    scratch: Scratch,
    /// The answer as it came.
    original: Vec<u8>,
    /// The answer that is judged next.
    body: Vec<u8>,
}

impl Judge {
    /// Makes an answer on so many records, and the memory.
    pub fn new(records: usize, kind: Kind) -> Self {
        let original = reply(records, kind);
        let body = with_headroom(&original);
        Self { records, kind, scratch: Scratch::new(), original, body }
    }

    /// Judges the answer, looks at every verdict, and sees that those of stored records are as many
    /// as they should be.
    ///
    /// An answer of the usual form is only read, and is there for the next time. Another is written
    /// over, and the copy that is needed then counts.
    ///
    /// # Panics
    ///
    /// If the answer is not believed.
    pub fn judge(&mut self) {
        let response = Response::new(200, black_box(mem::take(&mut self.body)));
        let judgement = Judgement::of(response, self.records, &mut self.scratch);
        let Judgement::Records(judged) = black_box(judgement) else {
            panic!("the answer is not believed");
        };
        let is_stored = |verdict: &Verdict<'_>| matches!(verdict, Verdict::Stored { .. });
        let stored = judged.verdicts().filter(is_stored).count();
        assert_eq!(stored, self.kind.stored(self.records));
        self.body = self.scratch.recycle(judged.into_reply());
        if self.kind == Kind::Strange {
            self.body.clear();
            self.body.reserve(self.original.len() + BODY_HEADROOM_BYTES);
            self.body.extend_from_slice(&self.original);
        }
    }
}

/// A producer whose requests are answered at once, in virtual time.
#[derive(Debug)]
pub struct InProcess {
    now: Instant,
    producer: Producer,
    delivered: usize,
}

impl InProcess {
    /// Makes a producer with the default settings.
    #[expect(clippy::new_without_default, reason = "it is not a value like others")]
    pub fn new() -> Self {
        let now = Instant::from_micros(0);
        Self { now, producer: Producer::new(now, Config::new(stream()), 7), delivered: 0 }
    }

    /// Pushes records, and does all there is to do between two of them.
    ///
    /// # Panics
    ///
    /// If there is no room for a record.
    pub fn push(&mut self, records: &[Vec<u8>], answers: &mut Answers) {
        for record in records {
            self.producer.push(self.now, black_box(record)).expect("there is room for the record");
            if self.producer.has_output() {
                self.serve(answers);
            }
        }
    }

    /// Lets everything go that was pushed, waits out all waits, and returns how many records have
    /// been delivered in all.
    pub fn settle(&mut self, answers: &mut Answers) -> usize {
        self.producer.flush(self.now);
        self.serve(answers);
        while let Some((at, _)) = self.producer.deadline() {
            self.now = at;
            self.producer.handle_timeout(at);
            self.serve(answers);
        }
        self.delivered
    }

    /// Returns the number of requests that were made.
    pub fn requests(&self) -> u64 {
        self.producer.stats().requests
    }

    fn serve(&mut self, answers: &mut Answers) {
        loop {
            match self.producer.poll_output() {
                Output::Event(Event::Settled(report)) => {
                    let is_delivered = |outcome| matches!(outcome, Outcome::Delivered { .. });
                    self.delivered +=
                        report.iter().filter(|record| is_delivered(record.outcome())).count();
                }
                Output::Event(_) | Output::Cancel(_) => {}
                Output::Transmit(transmit) => {
                    let (id, records) = (transmit.id, black_box(transmit).records);
                    let response = Response::new(200, answers.next(records));
                    let known = self.producer.handle_response(self.now, id, response);
                    known.expect("the request is under way");
                }
                Output::Wait(_) => return,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::records;

    // What is measured again and again is each time the same.
    #[test]
    fn judging_leaves_the_answer_as_it_was() {
        for kind in [Kind::Stored, Kind::Refused { every: 10 }, Kind::Strange] {
            let mut judge = Judge::new(500, kind);
            for _ in 0..3 {
                judge.judge();
                assert!(judge.body == judge.original, "{kind:?}");
            }
        }
    }

    #[test]
    fn all_records_are_delivered() {
        // 11,111 attempts, and a few requests that are not full at the end.
        for (kind, requests) in [(Kind::Stored, 20..=20), (Kind::Refused { every: 10 }, 23..=28)] {
            let (mut producer, mut answers) = (InProcess::new(), Answers::new(kind));
            answers.prepare(500, 3);
            producer.push(&records(10_000, 10), &mut answers);
            assert_eq!(producer.settle(&mut answers), 10_000, "{kind:?}");
            let made = producer.requests();
            assert!(requests.contains(&made), "{made} requests, {kind:?}");
        }
    }
}
