//! Answers that mean harm: however large and odd they are, judging them takes time and memory in
//! proportion to their bytes, and ends in a verdict.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::process::Command;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use firehose_proto::judge::{Distrust, Judgement};
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::reply::ReplyError;
use firehose_proto::wire::{BODY_HEADROOM_BYTES, Response, Scratch};

/// A shape of body: what stands at its start, what is repeated, what ends it.
#[derive(Clone, Copy, Debug)]
struct Shape {
    name: &'static str,
    start: &'static str,
    unit: &'static str,
    end: &'static str,
}

const fn shape(
    name: &'static str,
    start: &'static str,
    unit: &'static str,
    end: &'static str,
) -> Shape {
    Shape { name, start, unit, end }
}

const LIST: &str = r#"{"FailedPutCount":0,"RequestResponses":["#;

/// None of these is believed as the answer to two records.
const SHAPES: [Shape; 20] = [
    shape("brackets", "", "[", ""),
    shape("closing brackets", "", "]", ""),
    shape("empty lists", LIST, "[],", "[]]}"),
    shape("braces", "", "{", ""),
    shape("objects in objects", "", r#"{"a":"#, ""),
    shape("quotes", "", "\"", ""),
    shape("empty texts", LIST, r#""","#, r#"""]}"#),
    shape("backslashes", "", "\\", ""),
    shape("text of backslashes", "{\"a\":\"", "\\\\", "\"}"),
    shape("text of escapes", "{\"a\":\"", "\\u0041", "\"}"),
    shape("text without end", "{\"a\":\"", "x", ""),
    shape("empty entries", LIST, "{},", "{}]}"),
    shape("nulls", LIST, "null,", "null]}"),
    shape("numbers", LIST, "1,", "1]}"),
    shape("digits", r#"{"FailedPutCount":"#, "1", "}"),
    shape("decimals", r#"{"FailedPutCount":0."#, "1", "}"),
    shape("members", "{", r#""x":0,"#, r#""x":0}"#),
    shape("commas", "[", ",", "]"),
    shape("white space", "", " ", ""),
    shape("no text", "", "\u{fffd}", ""),
];

impl Shape {
    /// Makes a body of about this many bytes, with no memory but its own.
    fn body(self, bytes: usize) -> Vec<u8> {
        let bytes = bytes.next_multiple_of(self.unit.len());
        let len = self.start.len() + bytes + self.end.len();
        let mut body = Vec::with_capacity(len + BODY_HEADROOM_BYTES);
        body.extend_from_slice(self.start.as_bytes());
        body.extend_from_slice(self.unit.as_bytes());
        let mut repeated = self.unit.len();
        while repeated < bytes {
            let more = repeated.min(bytes - repeated);
            body.extend_from_within(self.start.len()..self.start.len() + more);
            repeated += more;
        }
        body.extend_from_slice(self.end.as_bytes());
        body
    }
}

/// An answer of 500 identifiers that differ nowhere but in one place before their long common end.
fn alike_identifiers(bytes: usize) -> Vec<u8> {
    let filler = "x".repeat(bytes / RECORDS);
    let entry = |number| format!(r#"{{"RecordId":"{filler}{number:03}{:016}"}}"#, 0);
    let entries: Vec<_> = (0..RECORDS).map(entry).collect();
    format!("{LIST}{}]}}", entries.join(",")).into_bytes()
}

/// The records of a full request.
const RECORDS: usize = 500;

fn judge(status: u16, body: Vec<u8>, records: usize) -> Judgement {
    Judgement::of(Response::new(status, body), records, &mut Scratch::new())
}

/// Held by the one test that measures, so that tests do not disturb each other.
static MEASURING: Mutex<()> = Mutex::new(());

/// Returns the shortest of several runs on a copy of the body.
fn time(body: &[u8], run: impl Fn(Vec<u8>)) -> Duration {
    let once = || {
        let mut copy = Vec::with_capacity(body.len() + BODY_HEADROOM_BYTES);
        copy.extend_from_slice(body);
        let started = Instant::now();
        run(copy);
        started.elapsed()
    };
    (0..5).map(|_| once()).min().unwrap()
}

/// Checks that eight times the bytes take less than 24 times as long, where quadratic work would
/// take 64 times as long: far from both, so that a busy machine does not decide, and with several
/// chances besides.
fn check_linear(name: &str, make: impl Fn(usize) -> Vec<u8>, run: impl Fn(Vec<u8>)) {
    const BYTES: usize = 100_000;
    const CHANCES: usize = 5;
    let _alone = MEASURING.lock();
    let (small, large) = (make(BYTES), make(8 * BYTES));
    let mut seen = Vec::new();
    for _ in 0..CHANCES {
        // What takes next to no time is not measured by its noise.
        let (short, long) = (time(&small, &run).max(FLOOR), time(&large, &run));
        if long < 24 * short {
            return;
        }
        seen.push((short, long));
    }
    panic!("{name}: eight times the bytes take more than 24 times as long: {seen:?}");
}

/// A time that says nothing about how it would grow.
const FLOOR: Duration = Duration::from_micros(200);

#[test]
fn success_without_sense_takes_linear_time() {
    for shape in SHAPES {
        check_linear(
            shape.name,
            |bytes| shape.body(bytes),
            |body| {
                let judgement = judge(200, body, 2);
                assert!(
                    matches!(judgement, Judgement::Unknown(_)),
                    "{}: {judgement:?}",
                    shape.name
                );
            },
        );
    }
}

#[test]
fn believed_answers_take_linear_time() {
    let judge_all = |body| assert!(matches!(judge(200, body, RECORDS), Judgement::Records(_)));
    check_linear("identifiers that are nearly alike", alike_identifiers, judge_all);
    let message = shape("message", r#"{"RequestResponses":[{"ErrorMessage":""#, "x", r#""}]}"#);
    check_linear(
        message.name,
        |bytes| message.body(bytes),
        |body| assert!(matches!(judge(200, body, 1), Judgement::Records(_))),
    );
    // A caller of the core may ask about any number of records.
    let entries = |bytes| shape("entries", LIST, "{},", "{}]}").body(bytes);
    let run = |body: Vec<u8>| {
        let records = (body.len() - LIST.len() - "]}".len()).div_ceil("{},".len());
        assert!(matches!(judge(200, body, records), Judgement::Records(_)));
    };
    check_linear("as many empty entries as records", entries, run);
}

#[test]
fn identifiers_cost_what_their_bytes_cost() {
    let _alone = MEASURING.lock();
    let bytes = 4_000_000;
    let run = |body: Vec<u8>| assert!(matches!(judge(200, body, RECORDS), Judgement::Records(_)));
    let alike = alike_identifiers(bytes);
    let different: Vec<_> = {
        let filler = "x".repeat(bytes / RECORDS);
        let entry = |number| format!(r#"{{"RecordId":"{number:03}{filler}{number:016}"}}"#);
        let entries: Vec<_> = (0..RECORDS).map(entry).collect();
        format!("{LIST}{}]}}", entries.join(",")).into_bytes()
    };
    let mut seen = Vec::new();
    for _ in 0..5 {
        let (plain, hostile) = (time(&different, run), time(&alike, run));
        if hostile < 10 * plain {
            return;
        }
        seen.push((plain, hostile));
    }
    panic!("identifiers made to collide take more than 10 times as long: {seen:?}");
}

#[test]
fn errors_without_sense_take_linear_time() {
    for shape in SHAPES {
        check_linear(
            shape.name,
            |bytes| shape.body(bytes),
            |body| {
                let Judgement::Fault(fault) = judge(500, body, 2) else { panic!("{shape:?}") };
                assert_eq!((fault.code(), fault.message()), (None, None), "{}", shape.name);
            },
        );
        // As large as a body may be to be looked into at all.
        let body = shape.body(60_000);
        assert!(matches!(judge(500, body, 2), Judgement::Fault(_)), "{}", shape.name);
    }
}

#[test]
fn headers_of_a_megabyte_are_taken_or_left() {
    let names =
        ["x-amzn-ErrorType", "x-amzn-RequestId", "x-amz-retry-after", "Retry-After", "X-Other"];
    let units = ["x", "1", " ", "#", ":", "\u{e9}", "a#", "\0"];
    for (name, unit) in names.into_iter().flat_map(|name| units.map(|unit| (name, unit))) {
        let read = |value: Vec<u8>| {
            let response = Response::new(503, Vec::new()).with_header(name, &value);
            let fault = Fault::read(response, &mut Scratch::new());
            assert!(fault.code().is_none_or(|code| code.len() <= 1_024), "{name} of {unit:?}");
            assert_eq!(fault.retry_after(), None, "{name} of {unit:?}");
            assert!(fault.to_string().len() < 8 * 1_024, "{name} of {unit:?}");
        };
        read(unit.repeat(1_000_000).into_bytes());
        check_linear(name, |bytes| unit.repeat(bytes / unit.len()).into_bytes(), read);
    }
    let many = (0..1_000_000).fold(Response::new(503, Vec::new()), |response, number| {
        response.with_header("x-amzn-ErrorType", format!("Code{number}").as_bytes())
    });
    assert_eq!(many.error_type(), Some("Code999999"));
}

/// The bytes of a body that is judged in a process of its own.
const LARGE: usize = 100_000_000;

/// The bodies that are judged in a process of their own: shape, bytes, status.
fn large() -> Vec<(Shape, usize, u16)> {
    let named = |name: &str| SHAPES.into_iter().find(|shape| shape.name == name).unwrap();
    let large = ["brackets", "quotes", "backslashes"];
    let mut bodies: Vec<_> = large.map(|name| (named(name), LARGE, 200)).into();
    bodies.push((named("text of backslashes"), LARGE / 10, 200));
    bodies.push((named("brackets"), LARGE, 500));
    // 10^7 entries, and 10^6 lists in each other.
    bodies.push((named("empty entries"), 30_000_000, 200));
    bodies.push((named("empty entries"), 30_000_000, 400));
    bodies.push((named("numbers"), 30_000_000, 200));
    bodies.push((shape("nested lists", "", "[", "]"), 1_000_000, 200));
    bodies
}

/// What a process of its own is told to judge, as the index in [`large`].
const WHICH: &str = "HOSTILE_BODY";

#[test]
fn large_bodies_take_bounded_memory_and_time() {
    if peak_kib().is_none() {
        eprintln!("skipped: this system does not tell how much memory a process took");
        return;
    }
    let _alone = MEASURING.lock();
    for (index, (shape, bytes, status)) in large().into_iter().enumerate() {
        let mut command = Command::new(std::env::current_exe().unwrap());
        command.args(["--ignored", "--exact", "judge_one_large_body", "--nocapture"]);
        let output = command.env(WHICH, index.to_string()).output().unwrap();
        let text = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{shape:?}, {status}: {output:?}");
        let line = text.lines().find_map(|line| line.split_once("judged: ")).unwrap().1;
        let numbers: Vec<u64> = line.split(' ').map(|number| number.parse().unwrap()).collect();
        let [kib, millis] = numbers[..] else { panic!("{line}") };
        eprintln!("{} of {bytes} bytes, status {status}: {kib} KiB, {millis} ms", shape.name);
        let kib_max = (MEMORY_FACTOR * bytes as u64) / 1_024 + 16 * 1_024;
        assert!(kib < kib_max, "{shape:?}, {status}: {kib} KiB for {bytes} bytes");
        assert!(millis < 20_000, "{shape:?}, {status}: {millis} ms for {bytes} bytes");
    }
}

/// The bytes that judging may take for each byte of a body, beside the body: a node of the parser
/// has 24 for at least 2 of the body, and each place where something begins or ends has 4.
const MEMORY_FACTOR: u64 = 20;

/// Says how many KiB beside the body, and how many milliseconds, one of the large bodies took.
#[test]
#[ignore = "is run by `large_bodies_take_bounded_memory_and_time` in a process of its own"]
fn judge_one_large_body() {
    let index: usize = std::env::var(WHICH).map_or(0, |index| index.parse().unwrap());
    let (shape, bytes, status) = large()[index];
    let body = shape.body(bytes);
    let before = peak_kib().unwrap_or_default();
    let started = Instant::now();
    match judge(status, body, 2) {
        Judgement::Fault(fault) => assert_eq!((fault.status(), fault.code()), (status, None)),
        Judgement::Records(judged) => panic!("{judged:?}"),
        Judgement::Unknown(distrust) => assert_eq!(distrust, expected(shape)),
    }
    let millis = started.elapsed().as_millis();
    // The system counts in strides, so that the second figure may be the smaller one.
    let kib = peak_kib().unwrap_or_default().saturating_sub(before);
    eprintln!("judged: {kib} {millis}");
}

fn expected(shape: Shape) -> Distrust {
    Distrust::Reply(match shape.name {
        "empty entries" => ReplyError::TooManyEntries { entries: 10_000_001, records: 2 },
        "numbers" => ReplyError::TooManyEntries { entries: 15_000_001, records: 2 },
        "text of backslashes" => ReplyError::MissingEntries,
        _ => ReplyError::NotJson,
    })
}

/// The most memory that this process ever had, in KiB, where the system tells.
fn peak_kib() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    line.split_whitespace().nth(1)?.parse().ok()
}
