//! What the transport learns from a refusal: that the clock is wrong, that credentials are too old.

use core::num::NonZeroU8;
use core::sync::atomic::{AtomicU64, Ordering};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::provider::future;
use firehose_proto::producer::Config;
use firehose_proto::retry::Policy;

use super::script::Step;
use super::*;
use crate::credentials::{Credentials, CredentialsError, ProvideCredentials};
use crate::{Event, Producer};

/// Mon, 23 Nov 2026 19:30:45 GMT
const NOW: u64 = 1_795_462_245;

fn at(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs)
}

fn answer(status: &str, date: u64, body: &str) -> Step {
    let date = httpdate::fmt_http_date(at(date));
    let length = body.len();
    Step::Write(
        format!("HTTP/1.1 {status}\r\ndate: {date}\r\ncontent-length: {length}\r\n\r\n{body}")
            .into(),
    )
}

fn refusal(code: &str, message: &str, date: u64) -> Step {
    let body = format!(r#"{{"__type":"{code}","message":"{message}"}}"#);
    answer("403 Forbidden", date, &body)
}

/// Credentials that are new each time.
#[derive(Clone, Debug, Default)]
struct Fresh(Arc<AtomicU64>);

impl ProvideCredentials for Fresh {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let id = format!("id{}", self.0.fetch_add(1, Ordering::Relaxed) + 1);
        future::ProvideCredentials::ready(Ok(Credentials::new(id, "secret", None, None, "test")))
    }
}

fn transport(script: Script, corrects_clock: bool) -> (Transport, Log) {
    let (connector, log) = memory(vec![script], 1_024);
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(Signer::new(Fresh::default(), "us-east-1"))
        .correct_clock(corrects_clock)
        .clock(|| at(NOW))
        .build();
    (transport.unwrap(), log)
}

/// The dates and the keys that requests were signed with.
fn signed(log: &Log) -> Vec<(String, String)> {
    let header = |head: &str, name: &str, end: char| {
        let (_, rest) = head.split_once(name).unwrap();
        rest.split(end).next().unwrap().to_owned()
    };
    let seen = log.seen();
    let of = |seen: &script::Seen| {
        let date = header(&seen.head, "x-amz-date: ", '\r');
        (date, header(&seen.head, "Credential=", '/'))
    };
    seen.iter().map(of).collect()
}

/// Sends two requests over what the script answers, and returns the statuses and the dates.
async fn dates(answers: Vec<Step>, corrects_clock: bool) -> (Vec<u16>, Vec<String>) {
    let script = answers.into_iter().flat_map(|answer| [Step::ReadRequest, answer]);
    let script = script.chain([Step::ReadToEnd]).collect();
    let (mut transport, log) = transport(script, corrects_clock);
    let mut statuses = Vec::new();
    for word in ["one", "two"] {
        statuses.push(send(&mut transport, word).await.unwrap().status().as_u16());
    }
    (statuses, signed(&log).into_iter().map(|(date, _)| date).collect())
}

const HERE: &str = "20261123T193045Z";
/// Ten minutes later.
const THERE: &str = "20261123T194045Z";

#[tokio::test(start_paused = true)]
async fn signatures_follow_the_services_clock() {
    let ok = || answer("200 OK", NOW + 600, "{}");
    let (statuses, seen) = dates(vec![ok(), ok()], true).await;
    assert_eq!((statuses, seen), (vec![200, 200], vec![HERE.to_owned(), THERE.to_owned()]));
    let (_, seen) = dates(vec![ok(), ok()], false).await;
    assert_eq!(seen, [HERE, HERE]);
}

// A refusal that may be meant for the date is answered by the right date, once.
#[tokio::test(start_paused = true)]
async fn refusals_for_a_wrong_date_are_mended_once() {
    for code in [
        "AccessDeniedException",
        "AuthFailure",
        "InvalidSignatureException",
        "SignatureDoesNotMatch",
    ] {
        let no = |date| refusal(code, "no", date);
        let ok = || answer("200 OK", NOW + 600, "{}");
        let (statuses, seen) = dates(vec![no(NOW + 600), ok(), ok()], true).await;
        assert_eq!((statuses, seen), (vec![200, 200], [HERE, THERE, THERE].map(Into::into).into()));
        // It was not the date.
        let (statuses, seen) = dates(vec![no(NOW + 600), no(NOW + 600), ok()], true).await;
        assert_eq!((statuses, seen), (vec![403, 200], [HERE, THERE, THERE].map(Into::into).into()));
        // The clock is right.
        let (statuses, seen) = dates(vec![no(NOW + 239), no(NOW)], true).await;
        assert_eq!((statuses, seen), (vec![403, 403], [HERE, HERE].map(Into::into).into()));
        // Nobody is to care.
        let (statuses, _) = dates(vec![no(NOW + 600), no(NOW + 600)], false).await;
        assert_eq!(statuses, [403, 403]);
    }
}

// What clearly speaks of the date is left to whoever counts attempts, with the right date next time.
#[tokio::test(start_paused = true)]
async fn clear_words_are_passed_on() {
    let late = refusal("InvalidSignatureException", "Signature expired: x", NOW + 600);
    let skewed = refusal("RequestTimeTooSkewed", "x", NOW + 600);
    let (statuses, seen) = dates(vec![late, skewed], true).await;
    assert_eq!((statuses, seen), (vec![403, 403], [HERE, THERE].map(Into::into).into()));
}

#[tokio::test(start_paused = true)]
async fn refused_credentials_are_replaced_for_the_next_request() {
    for (code, next) in [
        ("ExpiredTokenException", "id2"),
        ("ExpiredToken", "id2"),
        ("UnrecognizedClientException", "id2"),
        ("InvalidClientTokenId", "id2"),
        ("AccessDeniedException", "id1"),
        ("ResourceNotFoundException", "id1"),
    ] {
        let script = vec![
            Step::ReadRequest,
            refusal(code, "x", NOW),
            Step::ReadRequest,
            answer("200 OK", NOW, "{}"),
            Step::ReadToEnd,
        ];
        let (mut transport, log) = transport(script, true);
        assert_eq!(send(&mut transport, "one").await.unwrap().status(), 403);
        assert_eq!(send(&mut transport, "two").await.unwrap().status(), 200);
        let keys: Vec<_> = signed(&log).into_iter().map(|(_, key)| key).collect();
        assert_eq!(keys, ["id1", next], "{code}");
    }
}

/// Gives no credentials for some time.
#[derive(Debug)]
struct Later(AtomicU64);

impl ProvideCredentials for Later {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let left = self.0.load(Ordering::Relaxed);
        self.0.store(left.saturating_sub(1), Ordering::Relaxed);
        future::ProvideCredentials::ready(match left {
            0 => Ok(Credentials::new("id", "secret", None, None, "test")),
            _ => Err(CredentialsError::not_loaded("the drawer is empty")),
        })
    }
}

// Matrix 22: no credentials, no connection, no attempt; the records wait, and somebody is told.
#[tokio::test(start_paused = true)]
async fn records_wait_while_there_are_no_credentials() {
    let stored = r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#;
    let script = vec![Step::ReadRequest, answer("200 OK", NOW, stored), Step::ReadToEnd];
    let (connector, log) = memory(vec![script], 64 * 1_024);
    let endpoint = Endpoint::from_url("http://pipe.test", None).unwrap();
    let transport = Transport::builder(endpoint)
        .connector(connector)
        .signer(Signer::new(Later(AtomicU64::new(5)), "us-east-1"))
        .clock(|| at(NOW))
        .build()
        .unwrap();
    let policy = Policy::default().with_attempts_max(NonZeroU8::MIN);
    let config = Config::new("demo".parse().unwrap()).with_policy(policy);
    let (producer, mut events) = Producer::spawn_with_events(config, transport);
    let began = Instant::now();
    producer.push(b"one").await.unwrap();
    for _ in 0..5 {
        let Some(Event::Setback { setback, error }) = events.next().await else { panic!() };
        assert_eq!(setback.class, Class::NotReady);
        assert!(error.unwrap().to_string().contains("the drawer is empty"));
        assert!(log.seen().is_empty());
    }
    let Some(Event::Settled(report)) = events.next().await else { panic!() };
    assert_eq!(report.iter().next().unwrap().attempts(), 1);
    let waited = began.elapsed();
    assert!(waited > Duration::from_secs(2) && waited < Duration::from_secs(40), "{waited:?}");
    assert_eq!(producer.close().await.records_delivered, 1);
}
