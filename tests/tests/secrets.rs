//! What is secret is never printed: records, keys, tokens and signatures are looked for in the
//! `Debug` and `Display` of everything public that could hold them.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::error::Error;
use std::fmt::Debug;
use std::sync::{Arc, Mutex};
use std::time::{Duration, SystemTime};

use base64_simd::STANDARD;
use bytes::Bytes;
use firehose_hyper::{
    Client, Connector, Credentials, Endpoint, HttpService, Producer, Signer, Timeouts, Tls,
    Transport,
};
use firehose_mock::{
    Accepted, Answer, Buffering, Destination, Directory, EntryFault, InMemory, Ledger, Request,
    Server, Service, Step, Streams,
};
use firehose_proto::batch::{Batch, Storage};
use firehose_proto::judge::Judgement;
use firehose_proto::producer::{Config, Event, Output, Producer as CoreProducer};
use firehose_proto::wire::{Response, Scratch, request};
use firehose_proto::{Failure, Instant, Limits, StreamName};
use firehose_tests::canaries::{
    PASSWORD, PAYLOAD, SECRET_KEY, TOKEN, USER, assert_silent, check, check_error, check_shown,
};

fn stream() -> StreamName {
    "demo".parse().unwrap()
}

const NOW: Instant = Instant::from_micros(1_000_000);

#[test]
fn a_canary_is_found_in_all_its_forms() {
    let bytes = PAYLOAD.as_bytes();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    for text in [
        format!("a {PAYLOAD} b"),
        format!("{bytes:?}"),
        format!("{:#?}", bytes.to_vec()),
        format!("{:?}", Bytes::from_static(bytes)),
        format!("{:?}", body().to_vec()),
        STANDARD.encode_to_string(bytes),
        STANDARD.encode_to_string(format!("{PAYLOAD}\n")),
        hexadecimal,
    ] {
        let found = std::panic::catch_unwind(|| assert_silent("text", &text)).is_err();
        assert!(found, "{text}");
    }
    assert_silent("nothing", "canary");
}

#[test]
fn batches_tell_no_data() {
    let mut batch = Batch::new(&stream(), Limits::default(), Storage::default());
    batch.add(PAYLOAD.as_bytes()).unwrap();
    check("batch", &batch);
    check_shown("batch's error", &batch.add(&vec![0; 1_024_001]).unwrap_err());
    let sealed = batch.seal().unwrap();
    check("sealed batch", &sealed);
    let encoded = sealed.record(0).unwrap();
    assert_eq!(encoded.decode(), PAYLOAD.as_bytes());
    check("encoded record", &encoded);
    check("storage", &sealed.into_storage());
}

#[test]
fn answers_tell_no_body() {
    let body = format!(r#"{{"RequestResponses":[{{"RecordId":"{PAYLOAD}"}}]}}"#).into_bytes();
    let response = Response::new(200, body).with_header("Set-Cookie", TOKEN.as_bytes());
    check("response", &response);
    let mut scratch = Scratch::new();
    let judgement = Judgement::of(response, 1, &mut scratch);
    check("judgement", &judgement);
    let Judgement::Records(judged) = judgement else { panic!() };
    check("judged answer", &judged);
    check("reply", judged.reply());
    check("scratch", &scratch);
    // Nonsense is described, not shown.
    for body in [PAYLOAD.to_owned(), format!(r#"{{"{PAYLOAD}":1}}"#)] {
        let judgement = Judgement::of(Response::new(200, body.into_bytes()), 1, &mut scratch);
        check("distrust", &judgement);
        let Judgement::Unknown(distrust) = judgement else { panic!() };
        check_error("distrust", &distrust);
    }
    // An error's members that mean nothing are not kept.
    let body = format!(r#"{{"__type":"X","message":"m","other":"{PAYLOAD}"}}"#).into_bytes();
    let Judgement::Fault(fault) = Judgement::of(Response::new(400, body), 1, &mut scratch) else {
        panic!()
    };
    check_shown("fault", &fault);
}

/// Gives a producer one record, answers its request, and looks at everything it says.
fn drive_core(answer: impl Fn(&mut CoreProducer, firehose_proto::RequestId)) {
    let mut producer = CoreProducer::new(NOW, Config::new(stream()), 7);
    producer.push(NOW, PAYLOAD.as_bytes()).unwrap();
    check("producer", &producer);
    check_error("push's error", &producer.push(NOW, &vec![0; 1_024_001]).unwrap_err());
    producer.flush(NOW);
    loop {
        let output = producer.poll_output();
        check("output", &output);
        match output {
            Output::Transmit(transmit) => {
                check("transmit", &transmit);
                let id = transmit.id;
                drop(transmit);
                answer(&mut producer, id);
                check_error(
                    "late answer",
                    &producer.handle_failure(NOW, id, Failure::NotSent).unwrap_err(),
                );
                check("producer", &producer);
            }
            Output::Event(Event::Settled(report)) => {
                for settled in report.iter() {
                    check("settled record", &settled);
                    check("outcome", &settled.outcome());
                    check("encoded record", &settled.encoded());
                }
            }
            Output::Event(Event::Setback(setback)) => check_shown("setback", &setback),
            Output::Event(Event::Throttled(throttling)) => check_shown("throttling", &throttling),
            Output::Cancel(_) | Output::Event(_) => {}
            Output::Wait(_) => {
                producer.abandon(NOW);
                if producer.is_closed() && !producer.has_output() {
                    break;
                }
            }
        }
    }
    check("stats", &producer.stats());
    check("producer", &producer);
}

#[test]
fn a_producer_of_the_core_tells_no_data() {
    let respond = |status, body: &'static str| {
        move |producer: &mut CoreProducer, id| {
            let response = Response::new(status, body.as_bytes().to_vec());
            producer.handle_response(NOW, id, response).unwrap();
        }
    };
    drive_core(respond(200, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#));
    drive_core(respond(200, r#"{"FailedPutCount":1,"RequestResponses":[{"ErrorCode":"X"}]}"#));
    drive_core(respond(200, "{}"));
    for (status, body) in [
        (400, r#"{"__type":"ValidationException"}"#),
        (403, r#"{"__type":"ExpiredTokenException"}"#),
        (413, ""),
        (503, r#"{"__type":"ServiceUnavailableException"}"#),
    ] {
        drive_core(respond(status, body));
    }
    for failure in [Failure::NotSent, Failure::OutcomeUnknown] {
        drive_core(move |producer, id| producer.handle_failure(NOW, id, failure).unwrap());
    }
}

fn keys() -> Credentials {
    Credentials::new("AKIDEXAMPLE", SECRET_KEY, Some(TOKEN.to_owned()), None, "test")
}

fn body() -> Bytes {
    let mut body = Vec::new();
    request::begin(&mut body, &stream());
    request::data(&mut body, &[PAYLOAD.as_bytes()]);
    request::end(&mut body);
    body.into()
}

#[tokio::test(start_paused = true)]
async fn signed_headers_tell_no_key_and_no_signature() {
    check("credentials", &keys());
    let signer = Signer::new(keys(), "us-east-1");
    let mut request = http::Request::post("/").header("host", "localhost").body(body()).unwrap();
    signer.sign(&mut request, SystemTime::UNIX_EPOCH + Duration::from_hours(24)).await.unwrap();
    // The signer holds the keys by now.
    check("signer", &signer);
    let headers = request.headers();
    check("signed headers", headers);
    for name in ["authorization", "x-amz-security-token"] {
        assert!(headers[name].is_sensitive(), "{name}");
    }
    let (_, signature) =
        headers["authorization"].to_str().unwrap().split_once("Signature=").unwrap();
    assert_eq!(signature.len(), 64);
    assert!(!format!("{headers:?} {signer:?}").contains(signature));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_signed_is_not_shown() {
    for (secret, token) in [
        (SECRET_KEY.to_owned(), format!("{TOKEN}\n")),
        (SECRET_KEY.to_owned(), format!("{TOKEN}\u{7f}")),
        (format!("{SECRET_KEY}\0"), format!("{TOKEN}\0")),
    ] {
        let keys = Credentials::new("AKIDEXAMPLE", secret, Some(token), None, "test");
        let signer = Signer::new(keys, "us-east-1");
        let mut request =
            http::Request::post("/").header("host", "localhost").body(body()).unwrap();
        let error = signer.sign(&mut request, SystemTime::UNIX_EPOCH).await.unwrap_err();
        check_error("signing", &error);
        check("unsigned headers", request.headers());
    }
}

#[test]
fn endpoints_tell_no_user_and_no_password() {
    for place in
        ["host", "host:99999", "host/path", "host?query", "host#part", "", ":1", "[::1", "ho st"]
    {
        for scheme in ["https://", "http://", "ftp://", "//", ""] {
            let url = format!("{scheme}{USER}:{PASSWORD}@{place}");
            check_error(&url.replace("canary", ""), &Endpoint::from_url(&url, None).unwrap_err());
        }
    }
    // Characters that a password may have and an address has a meaning for.
    for odd in ["/", "?", "#", ":", "@", "%", " ", "[", "\\"] {
        for password in [format!("a{odd}{PASSWORD}"), format!("{PASSWORD}{odd}a")] {
            let url = format!("https://{USER}:{password}@host");
            check_error(&url.replace("canary", ""), &Endpoint::from_url(&url, None).unwrap_err());
        }
    }
}

/// Sends a record through a service in each way there is, and looks at all that is said of it.
async fn send_all<S: HttpService + Debug>(service: S) {
    check("service", &service);
    let client = Client::new(service.clone()).with_timeout(Duration::from_secs(5));
    check("client", &client);
    match client.put_record_batch(&stream(), [PAYLOAD]).await {
        Ok(judged) => check("judged answer", &judged),
        Err(error) => check_error("call", &error),
    }
    if let Err(error) = client.put_record(&stream(), PAYLOAD.as_bytes()).await {
        check_error("call", &error);
    }
    let config = Config::new(stream()).with_linger(Duration::ZERO);
    check("config", &config);
    let (producer, mut events) = Producer::spawn_with_events(config, service);
    producer.push(PAYLOAD.as_bytes()).await.unwrap();
    check("producer", &producer);
    let waiting = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.put(PAYLOAD.as_bytes()).await })
    };
    let closing = {
        let producer = producer.clone();
        tokio::spawn(async move { producer.close_within(Duration::from_millis(300)).await })
    };
    while let Some(event) = events.next().await {
        check("event", &event);
        check("events", &events);
        if let firehose_hyper::Event::Setback { setback, error } = &event {
            check_shown("setback", setback);
            if let Some(error) = error {
                check_error("setback", &**error);
            }
        }
    }
    match waiting.await.unwrap() {
        Ok(delivered) => check("delivered", &delivered),
        Err(error) => check_error("put", &error),
    }
    check("stats", &closing.await.unwrap());
    check("producer", &producer);
}

fn transport(url: &str) -> firehose_hyper::TransportBuilder {
    let endpoint = Endpoint::from_url(url, None).unwrap();
    check_shown("endpoint", &endpoint);
    let tls = Tls::platform();
    check("tls", &tls);
    let builder = Transport::builder(endpoint)
        .tls(tls)
        .timeouts(Timeouts::default())
        .signer(Signer::new(keys(), "us-east-1"));
    check("transport builder", &builder);
    builder
}

#[tokio::test]
async fn a_transport_tells_nothing_however_it_ends() {
    // Nobody is there.
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", free.local_addr().unwrap());
    drop(free);
    send_all(transport(&url).build().unwrap()).await;
    // Somebody is there and hangs up, or says no, or takes it.
    for step in [
        Step::CutAfter,
        Step::CutBefore,
        Step::Take,
        Step::Entries(vec![(0, EntryFault::Internal)]),
        Step::Raw(Answer::new(200, "{}")),
        Step::Raw(Answer::new(413, "")),
        Step::Status {
            status: 403,
            error_type: "InvalidSignatureException".into(),
            message: "The request signature we calculated does not match".into(),
        },
    ] {
        let mut service = Service::new(Streams::Any, 7);
        service.script(std::iter::repeat_n(step, 50));
        let service = Arc::new(Mutex::new(service));
        let server = Server::bind("127.0.0.1:0".parse().unwrap(), service).unwrap();
        check("server", &server);
        let url = format!("http://{}", server.local_addr());
        let serving = tokio::spawn(server.run(std::future::pending()));
        send_all(transport(&url).build().unwrap()).await;
        serving.abort();
    }
    // There is somebody, but it is no server.
    let connector = Connector::from_fn(|| async {
        Err::<tokio::net::TcpStream, _>(std::io::Error::other("no"))
    });
    check("connector", &connector);
    send_all(transport("https://localhost").connector(connector).build().unwrap()).await;
}

#[tokio::test(start_paused = true)]
async fn the_emulator_inside_the_process_tells_nothing() {
    for step in [Step::Take, Step::CutAfter, Step::Entries(vec![(0, EntryFault::Unavailable)])] {
        let mut service = Service::new(Streams::Any, 7).with_ledger(Ledger::keeping());
        service.script(std::iter::repeat_n(step, 50));
        let service = InMemory::new(service);
        send_all(service.clone()).await;
        check("service", &*service.lock());
        check("ledger", service.lock().ledger());
    }
}

/// A destination that looks at what it is given.
struct Looking;

impl Destination for Looking {
    fn accept(
        &mut self,
        _: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        check("accepted records", records);
        records.iter().for_each(|record| check("accepted record", &record));
        Ok(())
    }
}

#[test]
fn the_emulator_tells_no_data() {
    let looking = Service::new(Streams::Any, 7).with_destination(Box::new(Looking));
    let folder = std::env::temp_dir().join(format!("secrets-{}", std::process::id()));
    let directory = Directory::open(&folder, Buffering::default(), SystemTime::now).unwrap();
    let shared = directory.with_ledger().unwrap().shared();
    let writing = Service::new(Streams::Any, 7).with_destination(Box::new(shared.clone()));
    for mut service in [looking.with_ledger(Ledger::keeping()), writing] {
        let request = Request::put_record_batch(body());
        check("request", &request);
        let answer = service.handle(request);
        assert_eq!(answer.status, 200);
        check("answer", &answer);
        let broken =
            format!(r#"{{"DeliveryStreamName":"demo","{PAYLOAD}":[{{"Data":"{PAYLOAD}"}}]}}"#);
        let answer = service.handle(Request::put_record_batch(broken));
        check("refusal", &answer);
        assert_silent("refusal", &String::from_utf8(answer.body).unwrap());
        check("service", &service);
    }
    check("directory", &shared);
    check("directory", &*shared.lock());
    drop(shared);
    std::fs::remove_dir_all(folder).unwrap();
    check("step", &Step::Raw(Answer::new(200, PAYLOAD)));
    check("step", &Step::TakeThen(Answer::new(200, PAYLOAD)));
}
