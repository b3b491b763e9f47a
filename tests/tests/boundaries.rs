//! The limits of the service from both sides: client and emulator draw the same lines.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use firehose_hyper::{CallError, Client};
use firehose_mock::{InMemory, Ledger, Request, Service, Streams};
use firehose_proto::StreamName;
use firehose_proto::batch::AddError;
use firehose_proto::judge::Verdict;
use firehose_proto::wire::request;

const MIB_4: usize = 4_194_304;
const RECORD: usize = 1_024_000;

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

fn emulator() -> InMemory {
    InMemory::new(Service::new(Streams::Any, 1).with_ledger(Ledger::keeping()))
}

/// Writes a body without asking whether it is within the limits.
fn unchecked_body(sizes: &[usize]) -> Vec<u8> {
    if sizes.is_empty() {
        return br#"{"DeliveryStreamName":"demo","Records":[]}"#.to_vec();
    }
    let mut body = Vec::new();
    request::begin(&mut body, &stream());
    for (index, size) in sizes.iter().enumerate() {
        if index > 0 {
            request::separator(&mut body);
        }
        request::data(&mut body, &[&vec![b'x'; *size]]);
    }
    request::end(&mut body);
    body
}

/// What the emulator says to records of these sizes: the number it stored, or its error.
fn ask_emulator(sizes: &[usize]) -> Result<u64, String> {
    let mut service = Service::new(Streams::Any, 1);
    let answer = service.handle(Request::put_record_batch(unchecked_body(sizes)));
    if answer.status == 200 {
        return Ok(service.ledger().totals().records_accepted);
    }
    Err(String::from_utf8_lossy(&answer.body).into_owned())
}

/// What the client says to the same, with the emulator behind it.
async fn ask_client(sizes: &[usize]) -> Result<usize, CallError> {
    let records: Vec<_> = sizes.iter().map(|size| vec![b'x'; *size]).collect();
    let answer = Client::new(emulator()).put_record_batch(&stream(), &records).await?;
    assert!(answer.verdicts().all(|verdict| matches!(verdict, Verdict::Stored { .. })));
    Ok(answer.reply().len())
}

async fn check(sizes: &[usize], is_allowed: bool) {
    let (count, bytes): (usize, usize) = (sizes.len(), sizes.iter().sum());
    let emulator = ask_emulator(sizes);
    let client = ask_client(sizes).await;
    if is_allowed {
        assert_eq!(emulator, Ok(count as u64), "{count} records, {bytes} bytes");
        assert_eq!(client.unwrap(), count);
    } else {
        let error = emulator.unwrap_err();
        assert!(error.contains("InvalidArgumentException"), "{error}");
        let refused = matches!(
            client,
            Err(CallError::NoRecords
                | CallError::Record {
                    error: AddError::Full | AddError::RecordTooLarge { .. },
                    ..
                })
        );
        assert!(refused, "{count} records, {bytes} bytes");
    }
}

// R1
#[tokio::test]
async fn a_request_has_1_to_500_records() {
    for (records, is_allowed) in [(0, false), (1, true), (499, true), (500, true), (501, false)] {
        check(&vec![1; records], is_allowed).await;
    }
}

// R2
#[tokio::test]
async fn a_record_has_0_to_1_024_000_bytes() {
    for (bytes, is_allowed) in
        [(0, true), (1, true), (RECORD - 1, true), (RECORD, true), (RECORD + 1, false)]
    {
        check(&[bytes], is_allowed).await;
        check(&[5, bytes, 7], is_allowed).await;
    }
}

// R3
#[tokio::test]
async fn a_request_has_4_mib_of_raw_data() {
    let rest = MIB_4 - 4 * RECORD;
    check(&[RECORD, RECORD, RECORD, RECORD, rest], true).await;
    check(&[RECORD, RECORD, RECORD, RECORD, rest + 1], false).await;
    check(&[RECORD, RECORD, RECORD, RECORD, rest, 0], true).await;
    let small = MIB_4 / 500;
    let mut sizes = vec![small; 500];
    sizes[0] += MIB_4 - 500 * small;
    check(&sizes, true).await;
    sizes[499] += 1;
    check(&sizes, false).await;
}

// R2, R7
#[tokio::test]
async fn a_single_record_has_the_same_limit() {
    let service = emulator();
    let client = Client::new(service.clone());
    for bytes in [0, 1, RECORD] {
        let id = client.put_record(&stream(), &vec![b'x'; bytes]).await.unwrap();
        assert!(!id.is_empty());
        assert_eq!(service.lock().ledger().times_accepted(&stream(), &vec![b'x'; bytes]), 1);
    }
    let error = client.put_record(&stream(), &vec![b'x'; RECORD + 1]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "record 0: the record has 1024001 bytes, the service takes at most 1024000"
    );
}

// R15
#[tokio::test]
async fn errors_of_the_call_are_errors() {
    let only = Streams::Only(["other".parse().unwrap()].into());
    let client = Client::new(InMemory::new(Service::new(only, 1)));
    let error = client.put_record_batch(&stream(), ["a"]).await.unwrap_err();
    assert_eq!(
        error.to_string(),
        "400 ResourceNotFoundException: Firehose demo under account 123456789012 not found."
    );
    assert!(client.put_record(&stream(), b"a").await.is_err());
}
