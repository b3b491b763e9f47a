//! Bodies of requests against the records that went in, read back by a JSON parser and a plain
//! base64.
//!
//! Four bytes choose the limits and the stream's name; then come operations: a record in parts, a
//! record of the last sealed request once more, an end of the request, a sealed request opened again.

use firehose_proto::batch::{AddError, Batch, Sealed, Storage};
use firehose_proto::wire::request::{body_len, put_record};
use firehose_proto::{Limits, StreamName};

use crate::base64;
use crate::input::Input;
use crate::json::Json;

/// More than this is not encoded for one input.
const BYTES_MAX: usize = 6 * 1_024 * 1_024;

/// Fills batches as the bytes say, and reads every body back.
///
/// # Panics
///
/// If a body does not hold exactly the records that were taken, is not as long as predicted, or
/// breaks a limit; or if a record is taken or refused that should not be.
pub fn encoder(data: &[u8]) {
    let mut input = Input::new(data);
    let limits = limits(&mut input);
    let name = &"stream-.9_".repeat(7)[..1 + input.below(64)];
    let stream = StreamName::new(name).expect("a legal name");
    let batch = Batch::new(&stream, limits, Storage::default());
    let mut bench = Bench { stream, limits, batch, records: Vec::new(), last: None };
    let mut left = BYTES_MAX;
    while !input.is_empty() && left > 0 {
        match input.below(8) {
            0..4 => left = left.saturating_sub(bench.add(&mut input)),
            4 | 5 => left = left.saturating_sub(bench.add_again(input.below(256))),
            6 => bench.seal(),
            _ => bench.reopen(),
        }
    }
    bench.seal();
    assert_single(&bench.stream, &data[..data.len().min(64)]);
}

fn limits(input: &mut Input<'_>) -> Limits {
    let records = input.pick(&[500, 1, 2, 3, 7, 100]);
    // The largest are rare, since they take a thousand times as long.
    let record_bytes = match input.byte() {
        255 => 1_024_000,
        choice => [64, 0, 1, 2, 3, 1_000][usize::from(choice % 6)],
    };
    let spare = input.pick(&[0, 1, 2, 100, 3_170_304]);
    let limits = Limits::default().with_records_max(records);
    let limits = limits.and_then(|limits| limits.with_record_bytes_max(record_bytes));
    let limits = limits.and_then(|limits| limits.with_request_bytes_max(record_bytes + spare));
    limits.expect("within what the service allows")
}

/// A batch and what should be in it.
struct Bench {
    stream: StreamName,
    limits: Limits,
    batch: Batch,
    records: Vec<Vec<u8>>,
    last: Option<(Sealed, Vec<Vec<u8>>)>,
}

impl Bench {
    /// Adds a record, cut into parts; returns the bytes that this took.
    fn add(&mut self, input: &mut Input<'_>) -> usize {
        let bytes_max = self.limits.record_bytes_max();
        let len = match input.byte() {
            255 => bytes_max + 1,
            254 => bytes_max,
            len => usize::from(len).min(bytes_max),
        };
        let first = input.byte();
        let mut record: Vec<u8> = (0..=u8::MAX).map(|at| first.wrapping_add(at)).collect();
        record = record[..251].repeat(len / 251 + 1);
        record.truncate(len);
        let (mut parts, mut rest) = (Vec::new(), &record[..]);
        for _ in 0..input.below(4) {
            let (part, after) = rest.split_at(input.below(256).min(rest.len()));
            parts.push(part);
            rest = after;
        }
        parts.push(rest);
        let expected = self.expected(len);
        assert_eq!(self.batch.check(len), expected.map(|_| ()));
        assert_eq!(self.batch.add_parts(&parts), expected);
        self.note(expected, record);
        len
    }

    /// Adds a record of the last sealed request as it is there; returns the bytes that this took.
    fn add_again(&mut self, choice: usize) -> usize {
        let Some((sealed, records)) = &self.last else { return 0 };
        let index = choice % records.len();
        let encoded = sealed.record(index).expect("a record of this request");
        let expected = self.expected(encoded.data_bytes());
        assert_eq!(self.batch.add_encoded(encoded), expected);
        let record = records[index].clone();
        let len = record.len();
        self.note(expected, record);
        len
    }

    /// Says what becomes of a record of this length.
    fn expected(&self, len: usize) -> Result<usize, AddError> {
        let bytes_max = self.limits.record_bytes_max();
        let sum = len + self.records.iter().map(Vec::len).sum::<usize>();
        if len > bytes_max {
            Err(AddError::RecordTooLarge { bytes: len, bytes_max })
        } else if self.records.len() == self.limits.records_max()
            || sum > self.limits.request_bytes_max()
        {
            Err(AddError::Full)
        } else {
            Ok(self.records.len())
        }
    }

    fn note(&mut self, taken: Result<usize, AddError>, record: Vec<u8>) {
        if taken.is_ok() {
            self.records.push(record);
        }
        assert_eq!((self.batch.len(), self.batch.is_empty()), self.len());
        assert_eq!(self.batch.data_bytes(), self.records.iter().map(Vec::len).sum::<usize>());
    }

    fn len(&self) -> (usize, bool) {
        (self.records.len(), self.records.is_empty())
    }

    /// Ends the request, checks it, and begins another in the memory of the one before it.
    fn seal(&mut self) {
        let last = self.last.take();
        let storage = last.map(|(sealed, _)| sealed.into_storage()).unwrap_or_default();
        let next = Batch::new(&self.stream, self.limits, storage);
        let batch = core::mem::replace(&mut self.batch, next);
        let records = core::mem::take(&mut self.records);
        let sealed = batch.seal();
        assert_eq!(sealed.is_some(), !records.is_empty());
        self.last = sealed.map(|sealed| {
            self.assert_sealed(&sealed, &records);
            (sealed, records)
        });
    }

    /// Opens the last request again, in place of the one that was open.
    fn reopen(&mut self) {
        if let Some((sealed, records)) = self.last.take() {
            self.batch = sealed.reopen();
            self.records = records;
        }
    }

    fn assert_sealed(&self, sealed: &Sealed, records: &[Vec<u8>]) {
        let name = self.stream.as_str();
        assert_eq!(sealed.body().len(), body_len(name.len(), records.iter().map(Vec::len)));
        assert!((1..=self.limits.records_max()).contains(&sealed.len()));
        assert!(sealed.data_bytes() <= self.limits.request_bytes_max());
        assert_eq!(records_of(sealed.body(), name), records);
        for (index, record) in records.iter().enumerate() {
            let encoded = sealed.record(index).expect("as many as were taken");
            assert_eq!((encoded.data_bytes(), &encoded.decode()), (record.len(), record));
        }
        assert!(sealed.record(records.len()).is_none());
    }
}

fn assert_single(stream: &StreamName, record: &[u8]) {
    let body = Json::parse(&put_record(stream, record)).expect("the body is JSON");
    assert_eq!(body.as_object().map(<[_]>::len), Some(2));
    let name = body.members("DeliveryStreamName").find_map(Json::as_text);
    assert_eq!(name, Some(stream.as_str()));
    let record_of = body.members("Record").next().expect("the body has a record");
    assert_eq!(data_of(record_of), record);
}

/// Reads the body of a `PutRecordBatch` back: its records, in their order.
pub(crate) fn records_of(body: &[u8], stream: &str) -> Vec<Vec<u8>> {
    let body = Json::parse(body).expect("the body is JSON");
    let Some([(name_key, name), (records_key, records)]) = body.as_object() else {
        panic!("the body has not two members: {body:?}");
    };
    assert_eq!([name_key, records_key], ["DeliveryStreamName", "Records"]);
    assert_eq!(name.as_text(), Some(stream));
    records.as_list().expect("the records are a list").iter().map(data_of).collect()
}

fn data_of(record: &Json) -> Vec<u8> {
    let Some([(key, data)]) = record.as_object() else { panic!("a record is odd: {record:?}") };
    assert_eq!(key, "Data");
    data.as_text().and_then(base64::decode).expect("the data is base64")
}
