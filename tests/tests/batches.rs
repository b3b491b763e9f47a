//! The batches of `tests/data/batches.toml`, written by the core and answered by the emulator, both
//! without a wire.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;

use firehose_mock::{Faults, Ledger, Request, Service, Streams};
use firehose_proto::batch::{AddError, Batch, Storage};
use firehose_proto::judge::Judgement;
use firehose_proto::wire::{Response, Scratch, request};
use firehose_proto::{Limits, StreamName};
use firehose_tests::batches::{Answer, BatchCase, Exceeds, STREAM, batches};

/// Writes a body without regard to any limit.
fn write(case: &BatchCase) -> Vec<u8> {
    let mut body = Vec::new();
    request::begin(&mut body, &case.stream.parse().unwrap());
    for (index, record) in case.records().iter().enumerate() {
        if index > 0 {
            request::separator(&mut body);
        }
        request::data(&mut body, &[record]);
    }
    request::end(&mut body);
    body
}

#[test]
fn bodies_are_those_of_the_sdks() {
    for case in batches() {
        let body = write(&case);
        case.assert_body(&body);
        let mut batch =
            Batch::new(&case.stream.parse().unwrap(), Limits::default(), Storage::default());
        let records = case.records();
        let added = records.iter().try_for_each(|record| batch.add(record).map(drop));
        match (case.exceeds, added) {
            (None, Ok(())) => assert!(*batch.seal().unwrap().body() == body, "{}", case.name),
            // R1, R2, R3: what exceeds a limit is not sent.
            (Some(Exceeds::RecordBytes), Err(AddError::RecordTooLarge { .. })) => {}
            (Some(Exceeds::Records), Err(AddError::Full)) => assert_eq!(batch.len(), 500),
            (Some(Exceeds::RequestBytes), Err(AddError::Full)) => {
                assert_eq!(batch.len(), records.len() - 1);
            }
            (exceeds, added) => panic!("{}: {exceeds:?}, but {added:?}", case.name),
        }
    }
}

#[test]
fn the_emulator_answers_as_the_data_says() {
    let stream: StreamName = STREAM.parse().unwrap();
    for case in batches() {
        let faults: Faults = case.faults.as_deref().unwrap_or("refuse=0").parse().unwrap();
        let mut service = Service::new(Streams::Only([stream.clone()].into()), 1)
            .with_faults(faults)
            .with_ledger(Ledger::keeping());
        let answer = service.handle(Request::put_record_batch(write(&case)));
        let response = Response::new(answer.status, answer.body);
        let judged = Judgement::of(response, case.records().len(), &mut Scratch::new());
        let stored = case.assert_answer(&told(judged));
        let kept: Vec<u8> = service.ledger().records(&stream).flatten().copied().collect();
        assert!(kept == stored, "{}: what is stored is not what was told", case.name);
    }
}

fn told(judgement: Judgement) -> Answer {
    match judgement {
        Judgement::Fault(fault) => Answer::of_fault(&fault),
        Judgement::Records(judged) => Answer::of_records(&judged),
        Judgement::Unknown(distrust) => panic!("{distrust}"),
    }
}

#[test]
fn there_are_twelve_of_them_each_with_its_name() {
    let cases = batches();
    let names: BTreeSet<_> = cases.iter().map(|case| case.name.as_str()).collect();
    assert_eq!((names.len(), cases.len()), (12, 12));
    assert!(cases.iter().all(|case| !case.requirements.is_empty()));
}
