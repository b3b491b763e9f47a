//! Requests to the emulated service against a reading of the JSON that serde_json parsed.
//!
//! Three bytes choose the headers, the faults and the streams; the rest is the body, which is sent
//! twice.

use std::collections::BTreeSet;

use firehose_mock::{Answer, Disposition, Faults, Ledger, Request, Service, Streams, Totals};
use firehose_proto::StreamName;
use firehose_proto::limits::{RECORD_BYTES_MAX, RECORDS_MAX, REQUEST_BYTES_MAX};
use firehose_proto::wire::Operation;

use crate::base64;
use crate::input::Input;
use crate::json::Json;

/// The deepest nesting that the service reads.
const DEPTH_MAX: usize = 32;

/// Gives the service a request, and holds its answer against what it says that it accepted.
///
/// # Panics
///
/// If an answer is no legal JSON or contradicts itself, if the ledger holds other records than the
/// answer says, or if a legal request is refused or an illegal one taken.
pub fn service(data: &[u8]) {
    let mut input = Input::new(data);
    let mut request = headers(input.byte());
    let faults: Faults = input.pick(FAULTS).parse().expect("faults that can be read");
    let demo: StreamName = "demo".parse().expect("a legal name");
    let only = input.flag();
    let streams = if only { Streams::Only([demo].into()) } else { Streams::Any };
    request.body = input.rest().to_vec();
    let legal = Legal::read(&request, only);
    let mut service = Service::new(streams, 7).with_faults(faults).with_ledger(Ledger::keeping());
    for _ in 0..2 {
        let before = service.ledger().totals();
        let answer = service.handle(request.clone());
        let now = service.ledger().totals();
        check_counted(before, now);
        let heard = Heard::of(&answer);
        let sound = faults == Faults::none();
        match &legal {
            Some(legal) => heard.check_taken(legal, service.ledger(), before, sound),
            None => heard.check_refused(&request.body, before, now, sound),
        }
    }
}

const FAULTS: &[&str] = &[
    "none",
    "refuse=0.5",
    "internal=1",
    "refuse=0.3,internal=0.3,seed=3",
    "unavailable=1",
    "fail=1",
    "cut=1",
    "drop=1",
    "unavailable=0.25,fail=0.25,cut=0.25,drop=0.25",
];

/// Makes a request without a body: most often a good one.
fn headers(choice: u8) -> Request {
    let batch = Request::put_record_batch([]);
    let single = Request::put_record([]);
    match choice % 10 {
        0 => Request { target: None, ..batch },
        1 => Request { target: Some("Firehose_20150804.ListAll".to_owned()), ..batch },
        2 => Request { content_type: None, ..batch },
        3 => Request { content_type: Some("application/json".to_owned()), ..single },
        4 | 5 => single,
        _ => batch,
    }
}

/// A request that the service takes, if nothing goes wrong.
struct Legal {
    single: bool,
    /// The JSON is such that a stricter parser may refuse it.
    doubtful: bool,
    stream: StreamName,
    records: Vec<Vec<u8>>,
}

impl Legal {
    fn read(request: &Request, only_demo: bool) -> Option<Self> {
        let operation = Operation::from_target(request.target.as_deref()?)?;
        request.content_type.as_ref().filter(|kind| kind.starts_with("application/x-amz-json"))?;
        let json = Json::parse(&request.body)?;
        let last = |name| json.members(name).next_back();
        let stream = StreamName::new(last("DeliveryStreamName")?.as_text()?).ok()?;
        let single = operation == Operation::PutRecord;
        let records: Vec<_> = if single {
            vec![data_of(last("Record")?)?]
        } else {
            last("Records")?.as_list()?.iter().map(data_of).collect::<Option<_>>()?
        };
        let sizes = || records.iter().map(Vec::len);
        let legal = (1..=RECORDS_MAX).contains(&records.len())
            && sizes().all(|bytes| bytes <= RECORD_BYTES_MAX)
            && sizes().sum::<usize>() <= REQUEST_BYTES_MAX
            && (!only_demo || stream.as_str() == "demo");
        let doubtful = json.may_be_refused(&request.body, DEPTH_MAX);
        legal.then_some(Self { single, doubtful, stream, records })
    }
}

fn data_of(record: &Json) -> Option<Vec<u8>> {
    record.members("Data").next_back()?.as_text().and_then(base64::decode)
}

/// Every request counts once, and once by how it ended.
fn check_counted(before: Totals, now: Totals) {
    assert_eq!(now.requests, before.requests + 1);
    let endings = now.requests_succeeded
        + now.requests_refused
        + now.requests_unavailable
        + now.requests_failed
        + now.requests_cut
        + now.requests_dropped;
    assert_eq!(endings, now.requests);
}

/// What an answer says: for each record whether it was stored, or an error.
struct Heard {
    status: u16,
    delivery: Disposition,
    stored: Vec<bool>,
}

impl Heard {
    fn of(answer: &Answer) -> Self {
        let (status, delivery) = (answer.status, answer.delivery);
        if delivery == Disposition::CutBefore {
            return Self { status, delivery, stored: Vec::new() };
        }
        let json = Json::parse(&answer.body).expect("the answer is JSON");
        for name in ["x-amzn-requestid", "x-amz-id-2", "content-type"] {
            assert!(answer.headers.contains_key(name), "{name} is missing");
        }
        if status == 200 {
            return Self { status, delivery, stored: stored(&json) };
        }
        let kind = json.members("__type").next().and_then(Json::as_text).expect("a type");
        assert!(json.members("message").any(|text| text.as_text().is_some()));
        assert_eq!(answer.headers["x-amzn-errortype"], kind);
        assert!((400..600).contains(&status), "the status of an error is {status}");
        Self { status, delivery, stored: Vec::new() }
    }

    /// The request was legal: what was not refused by chance lies in the ledger, in its order.
    fn check_taken(&self, legal: &Legal, ledger: &Ledger, before: Totals, sound: bool) {
        let now = ledger.totals();
        let taken = now.records_accepted - before.records_accepted;
        if self.status != 200 {
            let expected =
                if sound { legal.doubtful } else { self.status >= 500 || legal.doubtful };
            assert!(expected && taken == 0, "status {}", self.status);
            return;
        }
        assert_eq!(self.stored.len(), legal.records.len());
        assert!(!sound || self.stored.iter().all(|stored| *stored));
        let records = legal.records.iter().zip(&self.stored);
        let expected: Vec<&[u8]> =
            records.filter(|(_, stored)| **stored).map(|(record, _)| &record[..]).collect();
        let all: Vec<&[u8]> = ledger.records(&legal.stream).collect();
        assert_eq!(taken, expected.len() as u64);
        assert_eq!(all[all.len() - expected.len()..], expected);
        let bytes: usize = expected.iter().map(|record| record.len()).sum();
        assert_eq!(now.bytes_accepted - before.bytes_accepted, bytes as u64);
        let refused = (self.stored.len() - expected.len()) as u64;
        assert_eq!(now.records_refused - before.records_refused, refused);
        let (older, newer) = all.split_at(all.len() - expected.len());
        let known: BTreeSet<_> = older.iter().collect();
        let fresh: BTreeSet<_> = newer.iter().filter(|record| !known.contains(record)).collect();
        let doubled = now.records_doubled.zip(before.records_doubled).map(|(now, old)| now - old);
        assert_eq!(doubled, Some((expected.len() - fresh.len()) as u64));
        assert!(!legal.single || self.stored == [true]);
    }

    /// The request was not legal: nothing of it is in the ledger.
    fn check_refused(&self, body: &[u8], before: Totals, now: Totals, sound: bool) {
        assert_eq!(now.records_accepted, before.records_accepted, "{}", body.escape_ascii());
        assert_eq!(now.records_refused, before.records_refused);
        assert_ne!(self.status, 200, "{}", body.escape_ascii());
        assert!(!sound || (self.status == 400 && self.delivery == Disposition::Reply));
    }
}

/// Reads an answer of success: for each record whether it has an id, which no other has.
fn stored(json: &Json) -> Vec<bool> {
    assert!(json.members("Encrypted").any(|value| value.as_bool() == Some(false)));
    let mut ids = BTreeSet::new();
    let mut is_stored = |entry: &Json| {
        let id = entry.members("RecordId").find_map(Json::as_text);
        let code = entry.members("ErrorCode").find_map(Json::as_text);
        let message = entry.members("ErrorMessage").find_map(Json::as_text);
        assert!(id.is_none() == code.is_some() && code.is_some() == message.is_some());
        assert!(id.is_none_or(|id| id.len() == 224 && ids.insert(id.to_owned())));
        id.is_some()
    };
    let Some(list) = json.members("RequestResponses").next() else {
        return vec![is_stored(json)];
    };
    let stored: Vec<_> = list.as_list().expect("a list").iter().map(is_stored).collect();
    let failed = stored.iter().filter(|stored| !**stored).count() as u64;
    assert_eq!(json.members("FailedPutCount").find_map(Json::as_whole), Some(failed));
    stored
}
