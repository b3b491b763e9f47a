//! What reports, events and errors say.

use super::*;

/// Pushes records in one request and takes the report on how it ended.
fn report(records: &[&str], response: Response) -> Report {
    let policy = Policy::default().with_attempts_max(NonZeroU8::MIN);
    let mut w = world(config().with_policy(policy));
    for record in records {
        w.push(record);
    }
    w.flush();
    let (id, _) = w.request();
    w.producer.handle_response(w.now, id, response).unwrap();
    loop {
        match w.producer.poll_output() {
            Output::Event(Event::Settled(report)) => return report,
            Output::Wait(_) => panic!("nothing is settled"),
            Output::Cancel(_) | Output::Event(_) | Output::Transmit(_) => {}
        }
    }
}

#[test]
fn a_report_tells_what_the_answer_said_of_each() {
    let body = r#"{"FailedPutCount":9,"RequestResponses":[
        {"RecordId":"same"},{"RecordId":"same"},
        {"ErrorCode":"Odd\n","ErrorMessage":"not\ttoday"},{"ErrorCode":"InternalFailure"},{}]}"#;
    let response =
        Response::new(200, body.as_bytes().to_vec()).with_header("x-amzn-requestid", b"r-1");
    let report = report(&["a", "b", "c", "d", "e"], response);
    assert_eq!((report.len(), report.is_empty()), (5, false));
    assert_eq!((report.request_id(), report.fault().is_none()), (Some("r-1"), true));
    let anomalies = report.anomalies();
    assert!(anomalies.duplicate_id && anomalies.inconsistent_count);
    let text = r#"Report { records: 5, request_id: Some("r-1"), fault: None, .. }"#;
    assert_eq!(format!("{report:?}"), text);

    let mut told = Vec::new();
    for settled in report.iter() {
        told.push(match settled.outcome() {
            Outcome::Delivered { record_id, .. } => {
                assert!(settled.encoded().is_none() && settled.data().is_none());
                record_id.to_owned()
            }
            Outcome::Failed { why, may_be_delivered } => {
                let data = settled.data().unwrap();
                format!("{why}, {may_be_delivered}: {}", data.escape_ascii())
            }
        });
    }
    assert_eq!(
        told,
        [
            "same",
            "same",
            r"exhausted: Odd\n: not\ttoday, false: c",
            "exhausted: InternalFailure, true: d",
            "exhausted: unanswered, may have been stored, true: e",
        ]
    );
    let first = format!("{:?}", report.iter().next().unwrap());
    assert!(first.starts_with("Settled { ticket: Ticket(0), attempts: 1, outcome: Delivered {"));
}

#[test]
fn a_report_tells_the_error_that_holds_for_all() {
    let response =
        Response::new(400, br#"{"__type":"ValidationException","message":"no"}"#.to_vec());
    let report = report(&["a"], response);
    assert_eq!(report.fault().unwrap().to_string(), "400 ValidationException: no");
    assert_eq!(report.anomalies(), crate::judge::Anomalies::default());
    let settled = report.iter().next().unwrap();
    let Outcome::Failed { why, .. } = settled.outcome() else { panic!("{settled:?}") };
    assert_eq!(why.to_string(), "rejected: ValidationException: no");
    assert_eq!(why.last().unwrap().class, Class::Rejected);
}

#[test]
fn what_was_never_sent_has_no_cause() {
    let mut w = world(config().with_record_ttl(Some(Duration::ZERO)));
    let ticket = w.producer.push(w.now, b"a").unwrap();
    w.producer.handle_timeout(w.now);
    let Output::Event(Event::Settled(report)) = w.producer.poll_output() else { panic!() };
    let settled = report.iter().next().unwrap();
    assert_eq!((settled.ticket(), settled.attempts()), (ticket, 0));
    let Outcome::Failed { why, may_be_delivered } = settled.outcome() else { panic!() };
    assert_eq!((why, why.to_string().as_str()), (Why::Expired { last: None }, "expired"));
    assert!(!may_be_delivered);
    assert_eq!(w.producer.stats().records_undelivered(), 1);
}

#[test]
fn no_output_shows_a_record() {
    let mut w = world(config());
    w.push("secret");
    assert!(!w.producer.has_output());
    w.producer.flush(w.now);
    assert!(w.producer.has_output());
    let Output::Transmit(transmit) = w.producer.poll_output() else { panic!() };
    let text = format!("{transmit:?}");
    assert!(text.starts_with("Transmit { id: RequestId(0), body_bytes: 61, records: 1,"), "{text}");
    let text = format!("{:?}", w.producer);
    assert!(text.starts_with(r#"Producer { stream: StreamName("demo"), phase: Open,"#), "{text}");
    assert!(!text.contains("secret") && !text.contains("c2VjcmV0"), "{text}");
    assert_eq!(w.producer.config().stream().as_str(), "demo");
}

#[test]
fn refusals_say_what_to_do() {
    for (error, text) in [
        (PushError::Closed, "the producer is closed and takes no more records"),
        (
            PushError::Full { bytes_held: 7, bytes_max: 8 },
            "7 of 8 bytes are held, try again when records are settled",
        ),
        (
            PushError::RecordTooLarge { bytes: 3, bytes_max: 2 },
            "the record has 3 bytes, the service takes at most 2",
        ),
    ] {
        assert_eq!(error.to_string(), text);
    }
    let unknown = UnknownRequest { id: RequestId::from_number(9) };
    assert_eq!(unknown.to_string(), "nobody waits for an answer to request 9");
}

#[test]
fn waits_follow_the_policy_that_was_set() {
    let second = Duration::from_secs(1);
    let backoff = crate::retry::Backoff::new(second, second).unwrap();
    let mut w = world(config().with_policy(Policy::default().with_transient(backoff)));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.reply(id, "x");
    let answered = w.now;
    w.step();
    // Waits end on halves of the base.
    assert!(w.now.as_micros().is_multiple_of(500_000) && w.now > answered);
    assert!(w.now <= answered + second + second / 2);
}
