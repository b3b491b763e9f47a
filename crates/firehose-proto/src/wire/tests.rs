//! The operation that puts one record, and what is the same for both.

use super::*;
use crate::wire::reply::{Field, Reply, ReplyError};
use crate::wire::request::put_record;

#[test]
fn operations_have_targets() {
    for operation in [Operation::PutRecord, Operation::PutRecordBatch] {
        assert_eq!(Operation::from_target(operation.target()), Some(operation));
    }
    assert_eq!(Operation::from_target("Firehose_20150804.putrecord"), None);
}

#[test]
fn one_record_is_written() {
    let name = "demo".parse().unwrap();
    for (data, body) in [
        (&b""[..], r#"{"DeliveryStreamName":"demo","Record":{"Data":""}}"#),
        (b"hello", r#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#),
    ] {
        let written = put_record(&name, data);
        assert_eq!(str::from_utf8(&written).unwrap(), body);
        assert_eq!(written.capacity(), written.len());
    }
}

/// Reads the answer to one record.
fn single(body: &str) -> Result<Reply, ReplyError> {
    Reply::parse_put_record(body.as_bytes().to_vec(), &mut Scratch::default())
}

#[test]
fn the_answer_to_one_record_is_read() {
    let reply = single(r#"{"x":[1],"Encrypted":true,"RecordId":"id"}"#).unwrap();
    assert_eq!((reply.len(), reply.is_empty()), (1, false));
    assert_eq!((reply.encrypted(), reply.failed_put_count()), (Some(true), Some(0)));
    assert_eq!(reply.entry(0).unwrap().record_id, Field::Text("id"));
    assert!(reply.entry(1).is_none());
    let text = "Reply { entries: 1, failed_put_count: Some(0), encrypted: Some(true), .. }";
    assert_eq!(format!("{reply:?}"), text);
    assert_eq!(single(r#"{"RecordId":"a","Encrypted":7}"#).unwrap().encrypted(), None);
}

#[test]
fn what_is_no_answer_to_one_record_is_refused() {
    for (body, text) in [
        ("[]", "the answer is not a JSON object"),
        (r#"{"Encrypted":true,"RecordId":"a","Encrypted":true}"#, "the answer has Encrypted twice"),
    ] {
        assert_eq!(single(body).unwrap_err().to_string(), text);
    }
    assert!(single("{}").is_err() && single("{").is_err());
}

#[test]
fn memory_shows_nothing_of_what_it_held() {
    assert_eq!(format!("{:?}", Scratch::default()), "Scratch { .. }");
}
