//! What the tests of the service share, and the form of its answers.

use std::sync::{Arc, Mutex};

use base64_simd::STANDARD;
use firehose_proto::wire::request;
use serde_json::{Value, json};

use super::*;
use crate::random::SplitMix64;

mod bodies;
mod course;

const DEMO: &str = "demo";

fn demo() -> StreamName {
    DEMO.parse().unwrap()
}

fn service() -> Service {
    Service::new(Streams::Any, 1).with_ledger(Ledger::keeping())
}

fn batch(name: &str, records: &[&[u8]]) -> Vec<u8> {
    let records: Vec<Value> =
        records.iter().map(|data| json!({ "Data": STANDARD.encode_to_string(data) })).collect();
    json!({ "DeliveryStreamName": name, "Records": records }).to_string().into_bytes()
}

fn body(answer: &Answer) -> Value {
    serde_json::from_slice(&answer.body).unwrap()
}

fn error_type(answer: &Answer) -> String {
    let error = body(answer);
    let error_type = error["__type"].as_str().unwrap();
    assert_eq!(answer.headers["x-amzn-errortype"], error_type);
    assert_eq!(error.as_object().unwrap().len(), 2);
    error_type.to_owned()
}

fn check_refused(answer: &Answer, status: u16, kind: &str, message: &str) {
    assert_eq!(answer.status, status, "{}", body(answer));
    assert_eq!(error_type(answer), kind);
    assert_eq!(body(answer)["message"], message);
}

#[test]
fn a_batch_is_answered_in_the_form_of_the_service() {
    let mut service = service();
    service.script([Step::Entries(vec![
        (1, EntryFault::Unavailable),
        (2, EntryFault::Internal),
        (3, EntryFault::Other { code: "Odd\"Code".into(), message: "a\nb".into() }),
        (9, EntryFault::Internal),
    ])]);
    let answer =
        service.handle(Request::put_record_batch(batch(DEMO, &[b"a", b"b", b"c", b"d", b""])));
    assert_eq!((answer.status, answer.delivery), (200, Disposition::Reply));
    let entries = body(&answer)["RequestResponses"].clone();
    let ids = [&entries[0]["RecordId"], &entries[4]["RecordId"]].map(|id| id.as_str().unwrap());
    assert!(ids[0].len() == 224 && ids[1].len() == 224 && ids[0] != ids[1]);
    let expected = format!(
        concat!(
            r#"{{"Encrypted":false,"FailedPutCount":3,"RequestResponses":[{{"RecordId":"{}"}},"#,
            r#"{{"ErrorCode":"ServiceUnavailableException","ErrorMessage":"Slow down."}},"#,
            r#"{{"ErrorCode":"InternalFailure","ErrorMessage":"{}"}},"#,
            r#"{{"ErrorCode":"Odd\"Code","ErrorMessage":"a\u000ab"}},"#,
            r#"{{"RecordId":"{}"}}]}}"#
        ),
        ids[0],
        crate::faults::INTERNAL_MESSAGE,
        ids[1]
    );
    assert_eq!(String::from_utf8_lossy(&answer.body), expected);
    let records: Vec<&[u8]> = service.ledger().records(&demo()).collect();
    assert_eq!(records, [&b"a"[..], b""]);
}

#[test]
fn every_answer_has_the_headers_of_the_service() {
    let mut service = service();
    let mut seen = BTreeSet::new();
    for request in [Request::put_record_batch(batch(DEMO, &[b"a"])), Request::default()] {
        let answer = service.handle(request);
        assert_eq!(answer.headers["content-type"], CONTENT_TYPE);
        assert_eq!(answer.headers["x-amz-id-2"].len(), 100);
        let id = answer.headers["x-amzn-requestid"].to_str().unwrap().to_owned();
        assert!(id.len() == 36 && seen.insert(id));
        assert_eq!(answer.headers.contains_key("x-amzn-errortype"), answer.status != 200);
    }
}

#[test]
fn a_single_record_is_answered_in_its_form() {
    let mut service = service();
    let put = || Request::put_record(request::put_record(&demo(), b"hello"));
    let answer = service.handle(put());
    let id = body(&answer)["RecordId"].as_str().unwrap().to_owned();
    let expected = format!(r#"{{"Encrypted":false,"RecordId":"{id}"}}"#);
    assert_eq!(answer.body, expected.as_bytes());
    for (fault, status, kind) in [
        (EntryFault::Unavailable, 503, "ServiceUnavailableException"),
        (EntryFault::Internal, 500, "InternalFailure"),
    ] {
        let message = fault.message().to_owned();
        service.script([Step::Entries(vec![(0, fault)])]);
        check_refused(&service.handle(put()), status, kind, &message);
    }
    assert_eq!(service.ledger().times_accepted(&demo(), b"hello"), 1);
    assert_eq!(service.ledger().totals().records_refused, 2);
}

#[test]
fn headers_that_are_wrong_are_refused() {
    let sound = Request::put_record_batch(batch(DEMO, &[b"a"]));
    let with = |target: Option<&str>, content_type: Option<&str>| Request {
        target: target.map(str::to_owned),
        content_type: content_type.map(str::to_owned),
        ..sound.clone()
    };
    let target = sound.target.as_deref();
    for (request, kind) in [
        (with(None, Some(CONTENT_TYPE)), "UnknownOperationException"),
        (with(Some("Firehose_20150804.ListAll"), Some(CONTENT_TYPE)), "UnknownOperationException"),
        (with(target, None), "SerializationException"),
        (with(target, Some("application/json")), "SerializationException"),
    ] {
        let answer = service().handle(request);
        assert_eq!((answer.status, error_type(&answer).as_str()), (400, kind));
    }
    let content_type = "Application/X-AMZ-JSON-1.1; charset=utf-8";
    assert_eq!(service().handle(with(target, Some(content_type))).status, 200);
}

#[test]
fn streams_that_do_not_exist_are_not_found() {
    let mut service = Service::new(Streams::Only([demo()].into()), 1);
    assert_eq!(service.handle(Request::put_record_batch(batch(DEMO, &[b"a"]))).status, 200);
    let answer = service.handle(Request::put_record_batch(batch("other", &[b"a"])));
    let message = "Firehose other under account 123456789012 not found.";
    check_refused(&answer, 400, "ResourceNotFoundException", message);
}
