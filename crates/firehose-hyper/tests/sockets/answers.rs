//! Answers that are broken, slow, late, oversized, or odd but good.

use firehose_hyper::Phase;

use crate::certificates::Certificate;
use crate::check::End::{Answer, OutcomeUnknown};
use crate::check::{ANSWER_BYTES_MAX, ATTEMPT, End, Row, SHORT, Why, check_all};
use crate::server::Step::{
    AfterExchange, Close, Cut, Forever, ReadRequest, Reset, Write, WriteSlowly,
};
use crate::server::{Over, Script, Step, answer};

const HEAD: &str = "HTTP/1.1 200 OK\r\n";
const CHUNKED: &str = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
const LATE: End = OutcomeUnknown(Why::Time(Phase::Read));
const BROKEN: End = OutcomeUnknown(Why::Receive);
const GOOD: End = Answer(200, "{}");

#[tokio::test]
async fn broken_answers_end_as_their_rows_say() {
    let mut rows = cut_off();
    rows.extend(malformed());
    check_all(rows).await;
}

#[tokio::test]
async fn odd_answers_end_as_their_rows_say() {
    let mut rows = with_status();
    rows.extend(framed_oddly());
    rows.extend(too_large());
    check_all(rows).await;
}

#[tokio::test]
async fn slow_and_surplus_answers_end_as_their_rows_say() {
    let mut rows = slow();
    rows.extend(surplus());
    check_all(rows).await;
}

pub(crate) fn rows() -> Vec<Row> {
    [cut_off(), malformed(), with_status(), framed_oddly(), too_large(), slow(), surplus()].concat()
}

fn write(text: &str) -> Step {
    Write(text.into())
}

/// Reads the request and writes this behind it.
fn after(text: &str) -> Script {
    vec![ReadRequest, write(text)]
}

/// As [`after`], and then does one thing more.
fn after_then(text: &str, then: Step) -> Script {
    vec![ReadRequest, write(text), then]
}

fn cut_off() -> Vec<Row> {
    let head = "HTTP/1.1 200 O";
    let body = "HTTP/1.1 200 OK\r\ncontent-length: 9\r\n\r\nabc";
    let chunk = format!("{CHUNKED}5\r\nab");
    let chunks = format!("{CHUNKED}2\r\n{{}}\r\n");
    let old = "HTTP/1.0 200 OK\r\n\r\n{\"a\":";
    vec![
        Row::new(39, "closed in the head", after_then(head, Close), BROKEN),
        Row::new(39, "reset in the head", after_then(head, Reset), BROKEN),
        Row::new(39, "closed in the body", after_then(body, Close), BROKEN),
        Row::new(39, "cut in the body", after_then(body, Cut), BROKEN),
        Row::new(39, "reset in the body", after_then(body, Reset), BROKEN),
        Row::new(39, "closed in a chunk", after_then(&chunk, Close), BROKEN),
        Row::new(39, "reset in a chunk", after_then(&chunk, Reset), BROKEN),
        Row::new(39, "closed before the last chunk", after_then(&chunks, Close), BROKEN),
        // Only whoever reads the JSON sees that something is missing.
        Row::new(40, "HTTP/1.0, closed", after_then(old, Close), Answer(200, "{\"a\":")),
        Row::new(40, "HTTP/1.0, cut", after_then(old, Cut), Answer(200, "{\"a\":"))
            .over(&[Over::Plain]),
        Row::new(40, "HTTP/1.0, cut in TLS", after_then(old, Cut), BROKEN)
            .over(&[Over::Tls(Certificate::Good)]),
        Row::new(40, "HTTP/1.0, reset", after_then(old, Reset), BROKEN),
    ]
}

fn malformed() -> Vec<Row> {
    let headed = |lines: &str| after(&format!("{HEAD}{lines}\r\n"));
    let chunked = |text: &str| after(&format!("{CHUNKED}{text}"));
    let huge = format!("x: {}\r\n", "y".repeat(1_000_000));
    vec![
        Row::new(41, "two lengths", headed("content-length: 1\r\ncontent-length: 2\r\n"), BROKEN),
        Row::new(41, "negative length", headed("content-length: -1\r\n"), BROKEN),
        Row::new(
            41,
            "length of 2^64-1",
            headed("content-length: 18446744073709551615\r\n"),
            BROKEN,
        ),
        Row::new(41, "length of 2^64", headed("content-length: 18446744073709551616\r\n"), BROKEN),
        Row::new(41, "bad chunk size", chunked("zz\r\n{}\r\n0\r\n\r\n"), BROKEN),
        Row::new(41, "huge chunk size", chunked("fffffffffffffffff\r\n{}\r\n"), BROKEN),
        Row::new(41, "chunk longer than said", chunked("1\r\n{}\r\n0\r\n\r\n"), BROKEN),
        Row::new(41, "folded header", headed("x: y\r\n z\r\n"), BROKEN),
        Row::new(41, "NUL in a header", headed("x: y\0z\r\n"), BROKEN),
        Row::new(41, "status 99", after("HTTP/1.1 99 X\r\ncontent-length: 0\r\n\r\n"), BROKEN),
        Row::new(41, "no status", after("HTTP/1.1 OK\r\ncontent-length: 0\r\n\r\n"), BROKEN),
        Row::new(41, "garbage", after("\u{1}\u{2}\u{3}\r\n\r\n"), BROKEN),
        Row::new(41, "HTTP/2 preface", after("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), BROKEN),
        Row::new(41, "HTTP/2 settings", after("\0\0\0\u{4}\0\0\0\0\0"), BROKEN),
        Row::new(41, "TLS alert as an answer", after("\u{15}\u{3}\u{3}\0\u{2}\u{2}\u{28}"), BROKEN),
        Row::new(43, "huge head", headed(&huge), BROKEN),
        Row::new(43, "300 headers", headed(&"x: y\r\n".repeat(300)), BROKEN),
    ]
}

fn with_status() -> Vec<Row> {
    let html = "HTTP/1.1 200 OK\r\ncontent-type: text/html\r\ncontent-length: 6\r\n\r\n<html>";
    let gzip = "HTTP/1.1 200 OK\r\ncontent-encoding: gzip\r\ncontent-length: 2\r\n\r\n{}";
    let status = |status: &str| format!("HTTP/1.1 {status}\r\ncontent-length: 2\r\n\r\n{{}}");
    vec![
        Row::new(
            14,
            "no body",
            after("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n"),
            Answer(200, ""),
        )
        .same(),
        Row::new(15, "HTML of a portal", after(html), Answer(200, "<html>")).same(),
        Row::new(15, "announced as gzip", after(gzip), GOOD).same(),
        Row::new(19, "access denied", after(&status("403 Forbidden")), Answer(403, "{}")).same(),
        Row::new(24, "unavailable", after(&status("503 Slow Down")), Answer(503, "{}")).same(),
        Row::new(41, "status 999", after(&status("999 X")), Answer(999, "{}")).same(),
        Row::new(41, "204 with a body", after(&status("204 No Content")), Answer(204, "")),
        Row::new(
            41,
            "101 without being asked",
            after("HTTP/1.1 101 S\r\nupgrade: x\r\n\r\n"),
            Answer(101, ""),
        ),
    ]
}

fn framed_oddly() -> Vec<Row> {
    let headed = |lines: &str, body: &str| after(&format!("{HEAD}{lines}\r\n{body}"));
    let length = "content-length: 2\r\n";
    let both = "content-length: 2\r\ntransfer-encoding: chunked\r\n";
    let chunks = "1\r\n{\r\n1\r\n}\r\n0\r\n";
    let old_kept = "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ncontent-length: 2\r\n\r\n{}";
    vec![
        Row::new(41, "two equal lengths", headed(&length.repeat(2), "{}"), GOOD).same(),
        Row::new(
            41,
            "line ends without CR",
            after("HTTP/1.1 200 OK\ncontent-length: 2\n\n{}"),
            GOOD,
        )
        .same(),
        Row::new(41, "chunks", after(&format!("{CHUNKED}{chunks}\r\n")), GOOD).same(),
        Row::new(41, "trailers", after(&format!("{CHUNKED}{chunks}x: y\r\n\r\n")), GOOD).same(),
        Row::new(42, "length and chunks", headed(both, &format!("{chunks}\r\n")), GOOD),
        Row::new(
            40,
            "HTTP/1.0 with length",
            after("HTTP/1.0 200 OK\r\ncontent-length: 2\r\n\r\n{}"),
            GOOD,
        ),
        // To such a server hyper would send a header that is not counted.
        Row::new(50, "HTTP/1.0, kept", after(old_kept), GOOD),
        Row::new(
            50,
            "close announced",
            headed("connection: close\r\ncontent-length: 2\r\n", "{}"),
            GOOD,
        ),
        Row::new(
            50,
            "close announced in odd case",
            headed("Connection: Close\r\nContent-Length: 2\r\n", "{}"),
            GOOD,
        ),
        Row::new(50, "without length", after_then("HTTP/1.1 200 OK\r\n\r\n{}", Close), GOOD),
    ]
}

fn too_large() -> Vec<Row> {
    let full: &'static str = "x".repeat(ANSWER_BYTES_MAX).leak();
    let too_large = OutcomeUnknown(Why::TooLarge);
    let announced = |bytes: u64| after(&format!("{HEAD}content-length: {bytes}\r\n\r\n"));
    let chunk = format!("3e8\r\n{full}\r\n");
    let to_the_end = format!("{HEAD}\r\n{full}");
    vec![
        Row::new(11, "at the limit", vec![ReadRequest, Write(answer(full))], Answer(200, full))
            .same(),
        Row::new(11, "announced", announced(1_001), too_large),
        Row::new(11, "absurd", announced(1_844_674_407_370_955_161), too_large),
        Row::new(
            11,
            "chunks at the limit",
            after(&format!("{CHUNKED}{chunk}0\r\n\r\n")),
            Answer(200, full),
        )
        .same(),
        Row::new(
            11,
            "one chunk too many",
            after(&format!("{CHUNKED}{chunk}1\r\nx\r\n0\r\n\r\n")),
            too_large,
        ),
        Row::new(11, "to the end, at the limit", after_then(&to_the_end, Close), Answer(200, full)),
        Row::new(
            11,
            "to the end, endless",
            vec![ReadRequest, write(&to_the_end), Forever(vec![b'x'], true)],
            too_large,
        ),
    ]
}

fn slow() -> Vec<Row> {
    let stall = |text: &str| after_then(text, AfterExchange);
    let unanswered = OutcomeUnknown(Why::Time(Phase::FirstByte));
    let headed = format!("{HEAD}content-length: 9\r\n\r\n");
    let endless = |start: &str, more: &str, with_pauses| {
        vec![ReadRequest, write(start), Forever(more.into(), with_pauses)]
    };
    let interim = "HTTP/1.1 100 Continue\r\n\r\n";
    let slowly = vec![ReadRequest, WriteSlowly(answer("{}"))];
    let late = vec![ReadRequest, AfterExchange, Write(answer("late"))];
    let reading = |row: Row| row.within(|timeouts| timeouts.with_read_progress(SHORT));
    let waiting = |row: Row| row.within(|timeouts| timeouts.with_first_byte(SHORT));
    let attempt = |row: Row| row.within(|timeouts| timeouts.with_attempt(ATTEMPT));
    vec![
        attempt(Row::new(
            44,
            "flood of interim answers",
            endless("", &interim.repeat(50), false),
            LATE,
        )),
        attempt(Row::new(44, "drip of interim answers", endless("", interim, true), LATE)),
        attempt(Row::new(
            46,
            "head of single bytes",
            endless(&format!("{HEAD}x: "), "y", true),
            LATE,
        )),
        attempt(Row::new(
            46,
            "body of single bytes",
            endless(&format!("{CHUNKED}3e7\r\n"), "y", true),
            LATE,
        )),
        Row::new(46, "slow but whole", slowly, GOOD).same(),
        reading(Row::new(46, "stall in the head", stall("HTTP/1.1 2"), LATE)),
        reading(Row::new(46, "stall behind the head", stall(&headed), LATE)),
        reading(Row::new(46, "stall in the body", stall(&format!("{headed}abc")), LATE)),
        reading(Row::new(46, "stall behind an interim answer", stall(interim), LATE)),
        waiting(Row::new(46, "no answer", stall(""), unanswered)),
        waiting(Row::new(49, "answer after the time-out", late, unanswered)),
    ]
}

fn surplus() -> Vec<Row> {
    let twice = [answer("{}"), answer("other")].concat();
    let once_more =
        |more: Vec<u8>| vec![ReadRequest, Write(answer("{}")), AfterExchange, Write(more)];
    let interim = "HTTP/1.1 100 C\r\n\r\nHTTP/1.1 103 E\r\nlink: x\r\n\r\n";
    let heralded = [interim.as_bytes(), &answer("{}")].concat();
    vec![
        Row::new(44, "interim answers", vec![ReadRequest, Write(heralded)], GOOD).same(),
        Row::new(45, "answer behind the answer", vec![ReadRequest, Write(twice)], GOOD),
        Row::new(45, "answer while idle", once_more(answer("other")), GOOD),
        Row::new(
            45,
            "time-out told while idle",
            once_more(b"HTTP/1.1 408 T\r\nconnection: close\r\n\r\n".into()),
            GOOD,
        ),
        Row::new(
            45,
            "garbage behind the answer",
            after("HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}garbage"),
            GOOD,
        ),
        Row::new(45, "garbage while idle", once_more(b"garbage".into()), GOOD),
    ]
}
