//! The producer against answers written by hand, in virtual time.

mod told;

use core::num::{NonZeroU8, NonZeroUsize};

use super::*;
use crate::limits::{Limits, RECORD_BYTES_MAX};
use crate::retry::{Class, Policy};

/// A producer, the time, and what came out of it.
struct World {
    producer: Producer,
    now: Instant,
    sent: VecDeque<Transmit>,
    cancelled: Vec<u64>,
    events: Vec<String>,
    /// One line per settled record: ticket, attempts, outcome, and the data if there is any.
    outcomes: Vec<String>,
}

fn config() -> Config {
    Config::new("demo".parse().unwrap())
}

fn world(config: Config) -> World {
    let now = Instant::from_micros(1_000_000);
    World {
        producer: Producer::new(now, config, 7),
        now,
        sent: VecDeque::new(),
        cancelled: Vec::new(),
        events: Vec::new(),
        outcomes: Vec::new(),
    }
}

impl World {
    fn push(&mut self, record: &str) -> u64 {
        let ticket = self.producer.push(self.now, record.as_bytes()).unwrap();
        self.drain();
        ticket.number()
    }

    fn drain(&mut self) -> Option<Instant> {
        loop {
            match self.producer.poll_output() {
                Output::Cancel(id) => self.cancelled.push(id.number()),
                Output::Event(event) => self.note(&event),
                Output::Transmit(transmit) => self.sent.push_back(transmit),
                Output::Wait(until) => return until,
            }
        }
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Closed => self.events.push("closed".to_owned()),
            Event::Setback(setback) => self.events.push(setback.to_string()),
            Event::SizeBoundLowered { request_bytes_max } => {
                self.events.push(format!("bound {request_bytes_max}"));
            }
            Event::Throttled(throttling) => self.events.push(throttling.to_string()),
            Event::Settled(report) => self.outcomes.extend(report.iter().map(|s| line(&s))),
        }
    }

    /// Lets time pass up to the producer's next deadline.
    fn step(&mut self) {
        let until = self.drain().expect("there is nothing to wait for");
        assert!(until > self.now, "a deadline lies in the past");
        self.now = until;
        self.producer.handle_timeout(self.now);
        self.drain();
    }

    fn flush(&mut self) {
        self.producer.flush(self.now);
        self.drain();
    }

    /// Takes the oldest request that was sent: its id and the records in it.
    fn request(&mut self) -> (RequestId, Vec<String>) {
        let transmit = self.sent.pop_front().expect("nothing was sent");
        (transmit.id, records_of(&transmit.body))
    }

    fn answer(&mut self, id: RequestId, status: u16, body: &str) {
        let response = Response::new(status, body.as_bytes().to_vec());
        self.producer.handle_response(self.now, id, response).unwrap();
        self.drain();
    }

    /// Answers with one letter per record: `s` stored, `t` throttled, `i` internal failure, `x`
    /// another error, `?` neither.
    fn reply(&mut self, id: RequestId, entries: &str) {
        let body = reply_body(entries);
        self.answer(id, 200, &body);
    }

    fn fail(&mut self, id: RequestId, failure: Failure) {
        self.producer.handle_failure(self.now, id, failure).unwrap();
        self.drain();
    }

    fn undecided(&self) -> u64 {
        self.producer.stats().records_undecided
    }
}

fn line(settled: &Settled<'_>) -> String {
    let (ticket, attempts) = (settled.ticket().number(), settled.attempts());
    match settled.outcome() {
        Outcome::Delivered { may_be_duplicate, .. } => {
            format!(
                "{ticket} delivered after {attempts}{}",
                if may_be_duplicate { " maybe twice" } else { "" }
            )
        }
        Outcome::Failed { why, may_be_delivered } => {
            let data = String::from_utf8(settled.data().unwrap()).unwrap();
            let maybe = if may_be_delivered { " maybe delivered" } else { "" };
            format!("{ticket} {} after {attempts}{maybe}: {data}", why.name())
        }
    }
}

fn records_of(body: &[u8]) -> Vec<String> {
    let text = str::from_utf8(body).unwrap();
    text.split(r#"{"Data":""#)
        .skip(1)
        .map(|rest| rest.split('"').next().unwrap())
        .map(|data| String::from_utf8(base64_simd::STANDARD.decode_to_vec(data).unwrap()).unwrap())
        .collect()
}

fn reply_body(entries: &str) -> String {
    let failed = entries.chars().filter(|c| matches!(c, 't' | 'i' | 'x')).count();
    let entries: Vec<_> = entries
        .chars()
        .enumerate()
        .map(|(index, letter)| match letter {
            's' => format!(r#"{{"RecordId":"id-{index}"}}"#),
            't' => r#"{"ErrorCode":"ServiceUnavailableException"}"#.to_owned(),
            'i' => r#"{"ErrorCode":"InternalFailure"}"#.to_owned(),
            'x' => r#"{"ErrorCode":"Odd","ErrorMessage":"odd"}"#.to_owned(),
            _ => "{}".to_owned(),
        })
        .collect();
    format!(r#"{{"FailedPutCount":{failed},"RequestResponses":[{}]}}"#, entries.join(","))
}

#[test]
fn a_record_waits_for_others_but_not_for_long() {
    let mut w = world(config().with_linger(Duration::from_millis(50)));
    w.push("a");
    assert!(w.sent.is_empty());
    assert_eq!(w.producer.deadline().unwrap().1, Deadline::Send);
    let pushed = w.now;
    w.push("b");
    w.step();
    assert_eq!(w.now, pushed + Duration::from_millis(50));
    assert_eq!(w.request().1, ["a", "b"]);
}

#[test]
fn a_full_request_goes_at_once() {
    let mut w = world(config());
    for _ in 0..500 {
        w.push("x");
    }
    assert_eq!(w.request().1.len(), 500);
    assert!(w.sent.is_empty());
}

#[test]
fn flushing_does_not_wait_and_closing_ends() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let (id, records) = w.request();
    assert_eq!(records, ["a"]);
    w.push("b");
    assert!(w.sent.is_empty());
    w.producer.close(w.now);
    w.drain();
    assert_eq!(w.producer.push(w.now, b"c"), Err(PushError::Closed));
    w.reply(id, "s");
    let (id, _) = w.request();
    assert!(!w.producer.is_closed());
    w.reply(id, "s");
    assert_eq!(w.outcomes, ["0 delivered after 1", "1 delivered after 1"]);
    assert_eq!(w.events, ["closed"]);
    assert!(w.producer.is_closed());
    assert_eq!(w.producer.stats().bytes_held, 0);
    w.producer.close(w.now);
    w.drain();
    assert_eq!(w.events, ["closed"]);
}

#[test]
fn closing_without_records_sends_nothing() {
    let mut w = world(config());
    w.producer.close(w.now);
    assert_eq!(w.drain(), None);
    assert!(w.sent.is_empty());
    assert_eq!(w.events, ["closed"]);
}

// R9
#[test]
fn only_what_failed_goes_again_in_front_of_what_is_new() {
    let mut w = world(config().with_linger(Duration::from_secs(10)));
    for record in ["a", "b", "c", "d"] {
        w.push(record);
    }
    w.flush();
    let (id, _) = w.request();
    w.reply(id, "stst");
    assert_eq!(w.outcomes, ["0 delivered after 1", "2 delivered after 1"]);
    w.push("e");
    w.push("f");
    assert!(w.sent.is_empty());
    w.step();
    let (id, records) = w.request();
    assert_eq!(records, ["b", "d", "e", "f"]);
    w.reply(id, "ssts");
    w.step();
    assert_eq!(w.request().1, ["e"]);
}

// R10
#[test]
fn doubt_is_told() {
    for (how, doubt) in [("i", true), ("?", true), ("x", false), ("t", false)] {
        let mut w = world(config());
        w.push("a");
        w.flush();
        let (id, _) = w.request();
        w.reply(id, how);
        w.step();
        let (id, _) = w.request();
        w.reply(id, "s");
        let maybe = if doubt { " maybe twice" } else { "" };
        assert_eq!(w.outcomes, [format!("0 delivered after 2{maybe}")], "{how}");
    }
}

// R10
#[test]
fn a_lost_answer_casts_doubt_and_a_lost_request_does_not() {
    for (failure, doubt) in [(Failure::OutcomeUnknown, " maybe twice"), (Failure::NotSent, "")] {
        let mut w = world(config());
        w.push("a");
        w.flush();
        let (id, _) = w.request();
        w.fail(id, failure);
        w.step();
        let (id, records) = w.request();
        assert_eq!(records, ["a"]);
        w.reply(id, "s");
        assert_eq!(w.outcomes, [format!("0 delivered after 2{doubt}")]);
    }
}

// R5
#[test]
fn an_answer_that_does_not_fit_decides_nothing() {
    for body in [reply_body("s"), reply_body("sss"), "{}".to_owned(), String::new()] {
        let mut w = world(config());
        w.push("a");
        w.push("b");
        w.flush();
        let (id, _) = w.request();
        w.answer(id, 200, &body);
        assert!(w.outcomes.is_empty());
        w.step();
        let (id, records) = w.request();
        assert_eq!(records, ["a", "b"]);
        w.reply(id, "ss");
        let expected = ["0 delivered after 2 maybe twice", "1 delivered after 2 maybe twice"];
        assert_eq!(w.outcomes, expected);
        assert_eq!(w.producer.stats().replies_distrusted, 1);
    }
}

#[test]
fn attempts_come_to_an_end_and_the_data_is_given_back() {
    let policy = Policy::default().with_attempts_max(NonZeroU8::new(3).unwrap());
    for (letters, doubt) in [(["t", "x", "x"], ""), (["x", "i", "t"], " maybe delivered")] {
        let mut w = world(config().with_policy(policy));
        w.push("precious");
        w.flush();
        for letter in letters {
            let (id, _) = w.request();
            w.reply(id, letter);
            if w.undecided() > 0 {
                w.step();
            }
        }
        assert_eq!(w.outcomes, [format!("0 exhausted after 3{doubt}: precious")]);
        assert!(w.sent.is_empty());
        assert_eq!(w.producer.stats().bytes_held, 0);
    }
}

// R12
#[test]
fn a_request_ends_at_its_deadline_and_a_late_answer_is_not_taken() {
    let mut w = world(config().with_request_timeout(Duration::from_secs(3)));
    w.push("a");
    w.flush();
    let deadline = w.sent[0].deadline;
    assert_eq!(deadline, w.now + Duration::from_secs(3));
    let (late, _) = w.request();
    assert_eq!(w.producer.deadline(), Some((deadline + CANCEL_GRACE, Deadline::Request)));
    w.step();
    assert_eq!(w.cancelled, [late.number()]);
    let response = Response::new(200, reply_body("s").into_bytes());
    assert_eq!(w.producer.handle_response(w.now, late, response), Err(UnknownRequest { id: late }));
    w.step();
    let (id, _) = w.request();
    w.reply(id, "s");
    assert_eq!(w.outcomes, ["0 delivered after 2 maybe twice"]);
}

#[test]
fn a_request_that_was_never_handed_out_casts_no_doubt() {
    let mut w = world(config().with_request_timeout(Duration::from_secs(3)));
    w.producer.push(w.now, b"a").unwrap();
    w.producer.flush(w.now);
    w.now = w.now + Duration::from_secs(10);
    w.producer.handle_timeout(w.now);
    w.drain();
    assert!(w.cancelled.is_empty());
    while w.sent.is_empty() {
        w.step();
    }
    let (id, _) = w.request();
    w.reply(id, "s");
    assert_eq!(w.outcomes, ["0 delivered after 2"]);
}

#[test]
fn a_record_does_not_outlive_its_time() {
    let ttl = Some(Duration::from_secs(2));
    let one = NonZeroUsize::MIN;
    let mut w = world(config().with_record_ttl(ttl).with_in_flight_max(one));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.push("b");
    w.now = w.now + Duration::from_millis(1_999);
    w.push("c");
    w.step();
    assert_eq!(w.outcomes, ["1 expired after 0: b"]);
    w.reply(id, "t");
    assert_eq!(w.outcomes[1..], ["0 expired after 1: a"]);
    let (id, records) = {
        while w.sent.is_empty() {
            w.step();
        }
        w.request()
    };
    assert_eq!(records, ["c"]);
    w.reply(id, "s");
    assert_eq!(w.undecided(), 0);
}

#[test]
fn what_is_left_of_a_full_request_waits_for_others_again() {
    let limits = Limits::default().with_records_max(3).unwrap();
    let config = config()
        .with_limits(limits)
        .with_in_flight_max(NonZeroUsize::MIN)
        .with_linger(Duration::from_secs(3_600))
        .with_record_ttl(Some(Duration::from_millis(50)));
    let mut w = world(config);
    for record in ["a", "b", "c", "d", "e"] {
        w.push(record);
    }
    w.now = w.now + Duration::from_millis(40);
    w.push("f");
    w.push("g");
    w.now = w.now + Duration::from_millis(15);
    w.producer.handle_timeout(w.now);
    w.drain();
    assert_eq!(w.outcomes.len(), 2);
    let (id, records) = w.request();
    assert_eq!(records, ["a", "b", "c"]);
    w.reply(id, "sss");
    assert!(w.sent.is_empty(), "two records do not fill a request");
}

#[test]
fn what_is_held_is_bounded() {
    let one = held_bytes(3);
    let mut w = world(config().with_buffer_bytes_max(2 * one));
    w.push("one");
    w.push("two");
    let full = PushError::Full { bytes_held: 2 * one as u64, bytes_max: 2 * one as u64 };
    assert_eq!(w.producer.push(w.now, b"six"), Err(full));
    w.flush();
    assert_eq!(w.producer.push(w.now, b"six"), Err(full));
    let (id, _) = w.request();
    w.reply(id, "ss");
    assert_eq!(w.producer.stats().bytes_held, 0);
    assert_eq!(w.push("six"), 2);
    // A single record is taken whatever the bound.
    let mut w = world(config().with_buffer_bytes_max(0));
    w.push("one");
    assert!(w.producer.push(w.now, b"").is_err());
}

// R1, R3: what is under way does not count, records that do not fill a request neither.
#[test]
fn full_requests_that_wait_are_counted() {
    let limits = Limits::default().with_records_max(2).unwrap();
    let mut w = world(config().with_limits(limits).with_in_flight_max(NonZeroUsize::MIN));
    let waiting = ["a", "b", "c", "d", "e", "f", "g"].map(|record| {
        w.push(record);
        w.producer.full_requests_waiting()
    });
    assert_eq!(waiting, [0, 0, 0, 1, 1, 2, 2]);
    // By their size: four records of 1,000 KiB are under way, four more and a fifth wait.
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    let large = vec![b'x'; RECORD_BYTES_MAX];
    let waiting = [(); 9].map(|()| {
        w.producer.push(w.now, &large).unwrap();
        w.producer.full_requests_waiting()
    });
    assert_eq!(waiting, [0, 0, 0, 0, 0, 0, 0, 0, 1]);
}

// R2
#[test]
fn a_record_too_large_is_refused_and_nothing_else() {
    let mut w = world(config());
    let large = vec![b'x'; RECORD_BYTES_MAX + 1];
    let refused = PushError::RecordTooLarge { bytes: large.len(), bytes_max: RECORD_BYTES_MAX };
    assert_eq!(w.producer.push(w.now, &large), Err(refused));
    assert!(w.producer.push(w.now, &large[1..]).is_ok());
    assert!(w.producer.push(w.now, b"").is_ok());
    w.flush();
    assert_eq!(w.request().1.len(), 2);
}

// R3
#[test]
fn a_request_refused_for_its_size_is_cut_in_two() {
    let errors = [
        (413, ""),
        (
            400,
            r#"{"__type":"InvalidArgumentException","message":"Records size exceeds 4 MB limit"}"#,
        ),
    ];
    for (status, body) in errors {
        let mut w = world(config());
        for _ in 0..8 {
            w.push(&"x".repeat(100));
        }
        w.flush();
        let (id, _) = w.request();
        w.answer(id, status, body);
        assert!(w.events.contains(&"bound 400".to_owned()), "{:?}", w.events);
        let (first, records) = w.request();
        assert_eq!(records.len(), 4);
        let (second, records) = w.request();
        assert_eq!(records.len(), 4);
        w.reply(first, "ssss");
        w.answer(second, status, body);
        let (third, records) = w.request();
        assert_eq!(records.len(), 2);
        let (fourth, _) = w.request();
        w.reply(third, "ss");
        w.reply(fourth, "ss");
        assert_eq!(w.outcomes.len(), 8);
        assert!(
            w.outcomes.iter().all(|line| line.ends_with("delivered after 1")),
            "{:?}",
            w.outcomes
        );
        // The bound stays.
        for _ in 0..3 {
            w.push(&"y".repeat(100));
        }
        w.flush();
        assert_eq!(w.request().1.len(), 2);
    }
}

#[test]
fn a_single_record_that_is_too_large_for_the_service_is_rejected() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.answer(id, 413, "");
    assert_eq!(w.outcomes, ["0 rejected after 1: a"]);
}

#[test]
fn empty_records_are_cut_in_two_by_number() {
    let mut w = world(config());
    for _ in 0..4 {
        w.push("");
    }
    w.flush();
    let (id, _) = w.request();
    w.answer(id, 413, "");
    assert_eq!((w.request().1.len(), w.request().1.len()), (2, 2));
}

// R15
#[test]
fn a_stream_that_is_not_there_ends_everything_that_waits() {
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.push("b");
    w.answer(id, 400, r#"{"__type":"ResourceNotFoundException","message":"not found"}"#);
    assert_eq!(w.outcomes, ["0 rejected after 1: a", "1 rejected after 0: b"]);
    // What comes later is tried, but not at once.
    w.push("c");
    w.flush();
    assert!(w.sent.is_empty());
    w.step();
    assert_eq!(w.request().1, ["c"]);
}

// R15
#[test]
fn a_request_rejected_for_its_content_ends_only_itself() {
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.push("b");
    w.flush();
    w.answer(id, 400, r#"{"__type":"InvalidArgumentException","message":"bad"}"#);
    assert_eq!(w.outcomes, ["0 rejected after 1: a"]);
    assert_eq!(w.request().1, ["b"]);
}

#[test]
fn expired_credentials_cost_nothing_once() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let body = r#"{"__type":"ExpiredTokenException","message":"expired"}"#;
    let (id, _) = w.request();
    w.answer(id, 403, body);
    let (id, records) = w.request();
    assert_eq!(records, ["a"]);
    w.answer(id, 403, body);
    assert_eq!(w.outcomes, ["0 rejected after 1: a"]);
}

// R11
#[test]
fn a_throttled_request_pauses_the_stream() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    let body = r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#;
    let answered = w.now;
    w.answer(id, 503, body);
    w.push("b");
    w.flush();
    assert!(w.sent.is_empty(), "fresh records wait as well");
    w.step();
    assert!(w.now > answered && w.now <= answered + Duration::from_millis(1_500));
    let (id, records) = w.request();
    assert_eq!(records, ["a", "b"]);
    w.reply(id, "ss");
    assert_eq!(w.outcomes, ["0 delivered after 2", "1 delivered after 1"]);
    assert_eq!(w.producer.stats().records_maybe_doubled, 0);
}

// R11
#[test]
fn throttling_that_lasts_is_told() {
    let mut w = world(config().with_throttle_notice(Duration::from_secs(3)));
    w.push("a");
    w.flush();
    while w.events.iter().all(|event| !event.starts_with("throttled")) {
        let (id, _) = w.request();
        w.reply(id, "t");
        w.step();
    }
    let told = w.events.last().unwrap();
    assert!(told.contains("the stream's throughput is probably exceeded"), "{told}");
}

#[test]
fn what_the_service_asks_to_wait_is_waited() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    let body = r#"{"__type":"ThrottlingException"}"#.as_bytes().to_vec();
    let response = Response::new(400, body).with_header("x-amz-retry-after", b"3000");
    w.producer.handle_response(w.now, id, response).unwrap();
    let answered = w.now;
    w.step();
    assert_eq!(w.now, answered + Duration::from_secs(3));
}

#[test]
fn giving_up_hands_everything_back() {
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.push("b");
    w.producer.abandon(w.now);
    w.drain();
    assert_eq!(w.outcomes, ["0 abandoned after 1 maybe delivered: a", "1 abandoned after 0: b"]);
    assert_eq!(
        (w.cancelled.as_slice(), w.events.as_slice()),
        ([0].as_slice(), ["closed".to_owned()].as_slice())
    );
    assert!(w.producer.handle_failure(w.now, id, Failure::NotSent).is_err());
}

#[test]
fn stopping_sends_nothing_again_but_hears_the_answers() {
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    w.push("a");
    w.push("b");
    w.flush();
    let (id, _) = w.request();
    w.push("c");
    w.producer.stop(w.now);
    w.drain();
    assert_eq!(w.outcomes, ["2 abandoned after 0: c"]);
    assert!(w.events.is_empty() && w.cancelled.is_empty());
    assert_eq!(w.producer.push(w.now, b"d"), Err(PushError::Closed));
    w.reply(id, "st");
    assert_eq!(w.outcomes[1..], ["0 delivered after 1", "1 abandoned after 1: b"]);
    assert_eq!(w.events, ["closed"]);
}

#[test]
fn everything_before_the_oldest_undecided_is_settled() {
    let mut w = world(config().with_linger(Duration::from_secs(10)));
    let oldest = |w: &World| w.producer.oldest_undecided().map(Ticket::number);
    assert_eq!(oldest(&w), None);
    w.push("a");
    w.push("b");
    w.push("c");
    assert_eq!(oldest(&w), Some(0));
    w.flush();
    let (id, _) = w.request();
    w.push("d");
    w.reply(id, "sts");
    assert_eq!(oldest(&w), Some(1));
    w.step();
    assert_eq!(oldest(&w), Some(1));
    let (id, _) = w.request();
    w.reply(id, "ss");
    assert_eq!(oldest(&w), None);
}

#[test]
fn no_more_requests_are_under_way_than_allowed() {
    let limits = Limits::default().with_records_max(1).unwrap();
    let mut w =
        world(config().with_limits(limits).with_in_flight_max(NonZeroUsize::new(2).unwrap()));
    for record in ["a", "b", "c", "d"] {
        w.push(record);
    }
    assert_eq!(w.sent.len(), 2);
    let (id, _) = w.request();
    w.reply(id, "s");
    assert_eq!(w.sent.len(), 2);
}

#[test]
fn a_setback_names_its_cause() {
    let mut w = world(config());
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.answer(id, 500, r#"{"__type":"InternalFailure","message":"oh"}"#);
    let expected =
        "request 0 of 1 records: unanswered, may have been stored: 500 InternalFailure: oh";
    assert_eq!(w.events, [expected]);
    assert_eq!(w.producer.stats().attempts_unknown, 1);
    assert_eq!(Class::Unknown.to_string(), "unanswered, may have been stored");
}

#[test]
fn what_cannot_be_sent_yet_waits_free_of_charge_and_longer_each_time() {
    let policy = Policy::default().with_attempts_max(NonZeroU8::MIN);
    let mut w = world(config().with_policy(policy));
    w.push("a");
    w.flush();
    let mut looks = Vec::new();
    for _ in 0..8 {
        let (id, records) = w.request();
        assert_eq!(records, ["a"]);
        let asked = w.now;
        w.fail(id, Failure::NotReady);
        while w.sent.is_empty() {
            w.step();
        }
        looks.push(w.now.since(asked));
    }
    assert!(looks.iter().all(|wait| *wait <= Duration::from_millis(30_500)), "{looks:?}");
    assert!(looks.iter().any(|wait| *wait > Duration::from_secs(5)), "{looks:?}");
    assert_eq!(
        w.events[0],
        "request 0 of 1 records: not sent, it waits until that is possible: \
                             the request cannot be sent yet"
    );
    let (id, _) = w.request();
    w.reply(id, "s");
    assert_eq!(w.outcomes, ["0 delivered after 1"]);
}

#[test]
fn requests_that_cannot_be_sent_yet_count_once_if_they_were_under_way_together() {
    let limits = Limits::default().with_records_max(1).unwrap();
    let mut w = world(config().with_limits(limits));
    for record in ["a", "b", "c", "d"] {
        w.push(record);
    }
    w.flush();
    let ids: Vec<_> = w.sent.drain(..).map(|transmit| transmit.id).collect();
    assert_eq!(ids.len(), 4);
    for id in ids {
        w.fail(id, Failure::NotReady);
    }
    // One setback makes a wait of at most 1 s, four would make one of 8 s.
    let asked = w.now;
    while w.sent.is_empty() {
        w.step();
    }
    assert!(w.now.since(asked) <= Duration::from_millis(1_500));
}

#[test]
fn what_waits_for_something_outside_still_expires() {
    let ttl = Duration::from_secs(3);
    let mut w = world(config().with_record_ttl(Some(ttl)));
    w.push("a");
    w.flush();
    while w.undecided() > 0 {
        if let Some(transmit) = w.sent.pop_front() {
            w.fail(transmit.id, Failure::NotReady);
        } else {
            w.step();
        }
    }
    assert_eq!(w.outcomes, ["0 expired after 0: a"]);
}

#[test]
fn setbacks_keep_the_services_identifier() {
    for (status, body) in [(503, "{}"), (200, "{}"), (200, "<html>")] {
        let mut producer = Producer::new(Instant::from_micros(0), config(), 7);
        producer.push(Instant::from_micros(0), b"a").unwrap();
        producer.flush(Instant::from_micros(0));
        let Output::Transmit(transmit) = producer.poll_output() else { panic!() };
        let response = Response::new(status, body.as_bytes().to_vec());
        let response = response.with_header("x-amzn-requestid", b"the-id");
        producer.handle_response(Instant::from_micros(0), transmit.id, response).unwrap();
        let Output::Event(Event::Setback(setback)) = producer.poll_output() else { panic!() };
        assert_eq!(setback.request_id.as_deref(), Some("the-id"), "{status} {body}");
    }
}

#[test]
fn what_can_never_be_sent_is_given_back_with_all_that_waits() {
    let mut w = world(config().with_in_flight_max(NonZeroUsize::MIN));
    w.push("a");
    w.flush();
    let (id, _) = w.request();
    w.push("b");
    w.fail(id, Failure::Unsendable);
    assert_eq!(w.outcomes, ["0 rejected after 1: a", "1 rejected after 0: b"]);
    assert_eq!(
        w.events,
        ["request 0 of 1 records: not sent, and cannot be: \
                           the request cannot be sent"]
    );
}
