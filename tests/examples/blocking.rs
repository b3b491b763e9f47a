//! The core without async: one thread, blocking sockets, no runtime, no signature.
//!
//! `cargo run -p firehose-tests --example blocking -- 127.0.0.1:4573 demo < README.md` puts stdin
//! into a stream of `firehose serve`.

use std::io::{self, BufRead, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant as Clock};

use firehose_proto::producer::{Config, Event, Output, Producer, PushError, Stats, Transmit};
use firehose_proto::wire::{CONTENT_TYPE, Operation, Response};
use firehose_proto::{Failure, Instant, StreamName};

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut args = std::env::args().skip(1);
    let (Some(address), Some(stream)) = (args.next(), args.next()) else {
        return Err("usage: blocking ADDRESS STREAM".into());
    };
    let lines = io::stdin().lock().split(b'\n');
    let records = lines.map(|line| line.map(|line| [line.as_slice(), b"\n"].concat()));
    let stats = put(address.parse()?, stream.parse()?, records)?;
    eprintln!("{} records delivered in {} requests", stats.records_delivered, stats.requests);
    Ok(())
}

/// Puts records into a stream and returns what became of them.
///
/// # Errors
///
/// If a record cannot be read. What goes wrong with the service is in the counts.
pub(crate) fn put(
    service: SocketAddr,
    stream: StreamName,
    records: impl Iterator<Item = io::Result<Vec<u8>>>,
) -> io::Result<Stats> {
    let mut driver = Blocking::new(service, stream);
    for record in records {
        let record = record?;
        while let Err(PushError::Full { .. }) = driver.producer.push(driver.now(), &record) {
            driver.step();
        }
    }
    driver.producer.close(driver.now());
    while !driver.producer.is_closed() {
        driver.step();
    }
    Ok(driver.producer.stats())
}

struct Blocking {
    producer: Producer,
    service: SocketAddr,
    origin: Clock,
}

impl Blocking {
    fn new(service: SocketAddr, stream: StreamName) -> Self {
        let producer = Producer::new(Instant::default(), Config::new(stream), 7);
        Self { producer, service, origin: Clock::now() }
    }

    fn now(&self) -> Instant {
        Instant::default() + self.origin.elapsed()
    }

    /// Does the one next thing that the core wants.
    fn step(&mut self) {
        match self.producer.poll_output() {
            Output::Transmit(transmit) => self.send(&transmit),
            Output::Event(Event::Settled(report)) => {
                for settled in report.iter().filter(|settled| settled.data().is_some()) {
                    eprintln!("{settled:?}");
                }
            }
            Output::Event(_) | Output::Cancel(_) => {}
            Output::Wait(until) => {
                let now = self.now();
                std::thread::sleep(until.map_or(Duration::ZERO, |until| until.since(now)));
                self.producer.handle_timeout(self.now());
            }
        }
    }

    /// Sends a request, waits for its answer, and tells the core how it went.
    fn send(&mut self, transmit: &Transmit) {
        let answer = self.exchange(transmit);
        let now = self.now();
        let known = match answer {
            Ok(response) => self.producer.handle_response(now, transmit.id, response),
            Err(failure) => self.producer.handle_failure(now, transmit.id, failure),
        };
        if let Err(late) = known {
            eprintln!("{late}");
        }
    }

    fn exchange(&self, transmit: &Transmit) -> Result<Response, Failure> {
        let span = transmit.deadline.since(self.now()).max(Duration::from_millis(1));
        let connect = TcpStream::connect_timeout(&self.service, span);
        let mut socket = connect.map_err(|_| Failure::NotSent)?;
        // From the first byte on, a blocking socket does not tell how much left.
        let mut talk = || {
            socket.set_read_timeout(Some(span))?;
            socket.set_write_timeout(Some(span))?;
            socket.write_all(head(self.service, transmit.body.len()).as_bytes())?;
            socket.write_all(&transmit.body)?;
            let mut answer = Vec::new();
            socket.read_to_end(&mut answer)?;
            Ok::<_, io::Error>(answer)
        };
        talk().ok().and_then(|answer| parse(&answer)).ok_or(Failure::OutcomeUnknown)
    }
}

fn head(host: SocketAddr, body_bytes: usize) -> String {
    let target = Operation::PutRecordBatch.target();
    format!(
        "POST / HTTP/1.1\r\nhost: {host}\r\ncontent-type: {CONTENT_TYPE}\r\nx-amz-target: {target}\r\n\
         content-length: {body_bytes}\r\nconnection: close\r\n\r\n"
    )
}

/// Reads an answer that ended with its connection, as far as this example needs it.
fn parse(answer: &[u8]) -> Option<Response> {
    let end = answer.windows(4).position(|window| window == b"\r\n\r\n")?;
    let mut lines = str::from_utf8(&answer[..end]).ok()?.split("\r\n");
    let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
    let response = Response::new(status, answer[end + 4..].to_vec());
    Some(
        lines
            .filter_map(|line| line.split_once(':'))
            .fold(response, |response, (name, value)| response.with_header(name, value.as_bytes())),
    )
}
