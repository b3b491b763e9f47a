//! Faults that come before or while the request is written, and right behind it.

use firehose_hyper::Phase;

use crate::check::End::{Answer, NotSent, OutcomeUnknown};
use crate::check::{ATTEMPT, Row, SHORT, Why, check_all};
use crate::server::Step::{
    AfterExchange, Close, Cut, Drop, Read, ReadBody, ReadHead, ReadRequest, Reset, Sip, Write,
};
use crate::server::answer;

const EARLY_413: &str = "HTTP/1.1 413 Payload Too Large\r\ncontent-length: 2\r\n\r\n{}";
const EARLY_503: &str = "HTTP/1.1 503 Slow Down\r\ncontent-length: 2\r\n\r\n{}";

#[tokio::test]
async fn faults_around_the_request_end_as_their_rows_say() {
    check_all(rows()).await;
}

pub(crate) fn rows() -> Vec<Row> {
    let mut rows = broken_off();
    rows.extend(answered_early());
    rows.extend(not_read());
    rows
}

fn write(text: &str) -> crate::server::Step {
    Write(text.into())
}

fn broken_off() -> Vec<Row> {
    let ok = || Write(answer("{}"));
    let good = Answer(200, "{}");
    let send = NotSent(Why::Send);
    let idle = |end| vec![ReadRequest, ok(), AfterExchange, end];
    vec![
        Row::new(33, "idle connection closed", idle(Close), good),
        Row::new(33, "idle connection cut", idle(Cut), good),
        Row::new(33, "idle connection reset", idle(Reset), good),
        Row::new(33, "closed right behind the answer", vec![ReadRequest, ok(), Close], good),
        Row::new(33, "reset right behind the answer", vec![ReadRequest, ok(), Reset], good),
        Row::new(34, "closed before the request", vec![Close, AfterExchange], send).large(),
        Row::new(34, "reset before the request", vec![Reset], send).large(),
        Row::new(34, "reset in the head", vec![Read(10), Reset], send).large(),
        Row::new(34, "reset in the body", vec![Read(100_000), Reset], send).large(),
        Row::new(34, "dropped in the body", vec![Read(100_000), Drop], send).large(),
        Row::new(34, "closed in the body", vec![Read(100_000), Close, AfterExchange], send).large(),
        Row::new(34, "cut in the body", vec![Read(100_000), Cut, AfterExchange], send).large(),
        Row::new(
            37,
            "reset after the request",
            vec![ReadRequest, Reset],
            OutcomeUnknown(Why::Receive),
        ),
        Row::new(
            38,
            "closed after the request",
            vec![ReadRequest, Close],
            OutcomeUnknown(Why::Receive),
        ),
        Row::new(38, "cut after the request", vec![ReadRequest, Cut], OutcomeUnknown(Why::Receive)),
    ]
}

// The server answers with most of the request unread; where it closes, a reset follows at once.
fn answered_early() -> Vec<Row> {
    let early = |text: &str, end| vec![Read(100), write(text), end];
    let send = NotSent(Why::Send);
    let (refused, unready) = (Answer(413, "{}"), Answer(503, "{}"));
    let read_on = vec![ReadHead, write(EARLY_503), AfterExchange, ReadBody];
    let half = "HTTP/1.1 413 P";
    let cut_short = "HTTP/1.1 413 P\r\ncontent-length: 9\r\n\r\nabc";
    let announced = "HTTP/1.1 503 S\r\nconnection: close\r\ncontent-length: 2\r\n\r\n{}";
    vec![
        Row::new(35, "early answer, dropped", early(EARLY_413, Drop), refused).large().times(5),
        Row::new(35, "early answer, reset", early(EARLY_413, Reset), refused).large().times(5),
        Row::new(35, "early answer, closed", early(EARLY_413, Close), refused).large(),
        Row::new(35, "half an early answer, reset", early(half, Reset), send).large(),
        Row::new(35, "early answer cut short", early(cut_short, Drop), send).large(),
        Row::new(36, "early answer, kept open", early(EARLY_503, AfterExchange), unready).large(),
        Row::new(36, "early answer, then the rest is read", read_on, unready).large(),
        Row::new(36, "early answer, close announced", early(announced, AfterExchange), unready)
            .large(),
        Row::new(41, "early garbage", early("garbage\r\n\r\n", AfterExchange), send).large(),
    ]
}

fn not_read() -> Vec<Row> {
    let writing = NotSent(Why::Time(Phase::Write));
    let stall = |bytes| vec![Read(bytes), AfterExchange];
    let early = vec![Read(100), write("HTTP/1.1 4"), AfterExchange];
    vec![
        Row::new(47, "nothing is read", stall(0), writing)
            .large()
            .within(|timeouts| timeouts.with_write_progress(SHORT)),
        Row::new(47, "reading stops", stall(100_000), writing)
            .large()
            .within(|timeouts| timeouts.with_write_progress(SHORT)),
        Row::new(47, "slow reading", vec![Sip], writing)
            .large()
            .within(|timeouts| timeouts.with_attempt(ATTEMPT)),
        Row::new(48, "deadline before the last byte", stall(100_000), writing)
            .large()
            .within(|timeouts| timeouts.with_attempt(ATTEMPT)),
        Row::new(48, "early answer stalls", early, NotSent(Why::Time(Phase::Read)))
            .large()
            .within(|timeouts| timeouts.with_read_progress(SHORT)),
        Row::new(
            48,
            "deadline after the last byte",
            vec![ReadRequest, AfterExchange],
            OutcomeUnknown(Why::Time(Phase::FirstByte)),
        )
        .within(|timeouts| timeouts.with_attempt(ATTEMPT)),
    ]
}
