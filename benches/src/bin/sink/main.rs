//! A service on loopback that costs much less than any client: it counts records and answers.
//!
//! It prints one line of JSON with its URL when it listens, and one with its totals when it ends:
//! after so many requests, or when its standard input is closed.

mod answers;
mod exchange;
mod tls;
mod verify;

use core::time::Duration;
use std::error::Error;
use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use clap::Parser;
use firehose_benches::usage;
use rustls::{ServerConfig, ServerConnection, StreamOwned};

use answers::Answers;
use exchange::Peer;

/// Answers `PutRecordBatch` on loopback as cheaply as can be.
#[derive(Parser)]
struct Args {
    /// Speak TLS 1.3, and write the certificate of the authority to trust into this file.
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,

    /// The part of the records that is refused, at random.
    #[arg(long, default_value_t = 0.0, value_parser = part)]
    refuse: f64,

    /// The part of the requests that is refused as a whole, at random.
    #[arg(long, default_value_t = 0.0, value_parser = part)]
    errors: f64,

    /// How long to wait before each answer, in milliseconds.
    #[arg(long, default_value_t = 0)]
    latency_ms: u64,

    /// Parse and check every request, and compute a checksum of the records that are stored.
    #[arg(long)]
    verify: bool,

    /// End after so many requests.
    #[arg(long)]
    requests: Option<u64>,

    /// Decides what is refused.
    #[arg(long, default_value_t = 7)]
    seed: u64,
}

fn part(text: &str) -> Result<f64, String> {
    let part: f64 = text.parse().map_err(|error| format!("{error}"))?;
    if (0.0..=1.0).contains(&part) { Ok(part) } else { Err("it is from 0 to 1".to_owned()) }
}

/// What was done so far.
#[derive(Default)]
struct Totals {
    connections: AtomicU64,
    requests: AtomicU64,
    /// The requests that were refused as a whole.
    refused: AtomicU64,
    /// The requests that are not what they should be.
    bad: AtomicU64,
    records: AtomicU64,
    stored: AtomicU64,
    body_bytes: AtomicU64,
    checksum: AtomicU64,
}

impl Totals {
    fn add(counter: &AtomicU64, count: usize) {
        counter.fetch_add(count as u64, Ordering::Relaxed);
    }
}

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(bad) => failed(&format!("{bad} requests are not what they should be")),
        Err(error) => failed(&error.to_string()),
    }
}

fn failed(why: &str) -> ExitCode {
    // There is nobody left to tell if that fails as well.
    let _ = writeln!(io::stderr(), "sink: {why}");
    ExitCode::FAILURE
}

/// Serves until it is told to end, and returns how many requests were bad.
fn run(args: &Args) -> Result<u64, Box<dyn Error>> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let port = listener.local_addr()?.port();
    let tls = args.tls.as_deref().map(tls::config).transpose()?;
    let scheme = if tls.is_some() { "https" } else { "http" };
    tell(&serde_json::json!({
        "url": format!("{scheme}://localhost:{port}"),
        "ca": args.tls,
    }))?;

    let totals = Arc::new(Totals::default());
    let (end, ended) = mpsc::channel();
    watch_stdin(end.clone());
    let shared = Shared {
        answers: Arc::new(Answers::new(args.refuse, args.errors)),
        end,
        latency: Duration::from_millis(args.latency_ms),
        requests_max: args.requests.unwrap_or(u64::MAX),
        seed: args.seed,
        tls,
        totals: Arc::clone(&totals),
        verify: args.verify,
    };
    thread::spawn(move || accept(&listener, &shared));
    ended.recv()?;

    let count = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
    let bad = count(&totals.bad);
    tell(&serde_json::json!({
        "connections": count(&totals.connections),
        "requests": count(&totals.requests),
        "requests_refused": count(&totals.refused),
        "requests_bad": bad,
        "records": count(&totals.records),
        "records_stored": count(&totals.stored),
        "body_bytes": count(&totals.body_bytes),
        "checksum": args.verify.then(|| format!("{:016x}", count(&totals.checksum))),
        "cpu_s": usage::process_cpu().map(|cpu| cpu.as_secs_f64()),
    }))?;
    Ok(bad)
}

fn tell(line: &serde_json::Value) -> io::Result<()> {
    let mut out = io::stdout().lock();
    writeln!(out, "{line}")?;
    out.flush()
}

/// Ends when whoever started this program closes its standard input.
fn watch_stdin(end: mpsc::Sender<()>) {
    thread::spawn(move || {
        let mut ignored = [0; 64];
        while matches!(io::stdin().read(&mut ignored), Ok(1..)) {}
        // The other end is gone if the program ends already.
        let _ = end.send(());
    });
}

#[derive(Clone)]
struct Shared {
    answers: Arc<Answers>,
    end: mpsc::Sender<()>,
    latency: Duration,
    requests_max: u64,
    seed: u64,
    tls: Option<Arc<ServerConfig>>,
    totals: Arc<Totals>,
    verify: bool,
}

fn accept(listener: &TcpListener, shared: &Shared) {
    for stream in listener.incoming() {
        // A connection that is gone before it is accepted is no matter.
        let Ok(stream) = stream else { continue };
        let mut shared = shared.clone();
        shared.seed += shared.totals.connections.fetch_add(1, Ordering::Relaxed);
        thread::spawn(move || serve(stream, &shared));
    }
}

/// Serves one connection until its peer closes it.
fn serve(stream: TcpStream, shared: &Shared) {
    let served = match &shared.tls {
        None => stream.set_nodelay(true).and_then(|()| Peer::new(stream, shared).serve()),
        Some(config) => ServerConnection::new(Arc::clone(config))
            .map_err(io::Error::other)
            .and_then(|tls| stream.set_nodelay(true).map(|()| tls))
            .and_then(|tls| Peer::new(StreamOwned::new(tls, stream), shared).serve()),
    };
    if let Err(error) = served {
        // Clients may cut connections, above all at their end; who looks into a run wants to know.
        let _ = writeln!(io::stderr(), "sink: a connection ended: {error}");
    }
}
