//! Puts so many records into a service by this client, by the AWS SDK or by the least that a client
//! can be, and prints one line of JSON with what that took.
//!
//! All get the same records from memory, and send some requests before the clocks start, so that
//! connections are open and every thread has done what it does once.

mod floor;
mod ours;
mod payload;
mod sdk;

use core::num::NonZeroUsize;
use std::error::Error;
use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Instant;

use clap::{Parser, ValueEnum};
use firehose_benches::{checksum, usage};
use firehose_hyper::{Credentials, Signer};
use serde::Serialize;
use tokio::runtime::{Builder, Runtime};

use payload::Payload;

/// Puts records into a service, and prints what that took.
#[derive(Parser)]
struct Args {
    /// Who sends.
    #[arg(long)]
    client: Client,

    /// Where to.
    #[arg(long, value_name = "URL")]
    endpoint: String,

    /// The only authority to trust, if the endpoint speaks TLS.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,

    /// How many records.
    #[arg(long)]
    records: usize,

    /// The bytes of a record.
    #[arg(long, default_value_t = 1_024)]
    size: usize,

    /// Take the lines of this file, again and again, in place of random records.
    #[arg(long, value_name = "FILE", conflicts_with = "size")]
    payload: Option<PathBuf>,

    /// The requests under way at once.
    #[arg(long, default_value = "4")]
    concurrency: NonZeroUsize,

    /// The most records of a request.
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u16).range(1..=500))]
    batch: u16,

    /// The threads of the runtime; one thread is the runtime that has no others. Default: what
    /// tokio takes, one for each core.
    #[arg(long)]
    threads: Option<NonZeroUsize>,

    /// The most bytes of undecided records that this client holds. Default: the client's own.
    #[arg(long)]
    buffer_bytes: Option<usize>,

    /// Compute a checksum of all records, those sent before the clocks start included: it is that of
    /// the sink if all are delivered.
    #[arg(long)]
    checksum: bool,
}

/// The requests that are sent before the clocks start, for each that may be under way at once.
const WARM_UP: usize = 8;

#[derive(Clone, Copy, Serialize, ValueEnum)]
#[serde(rename_all = "lowercase")]
enum Client {
    /// The least that a client can do, on one thread.
    Floor,
    /// The producer of this repository over its transport.
    Ours,
    /// The AWS SDK, as its users write it.
    Sdk,
}

/// How it went.
struct Sent {
    requests: u64,
    delivered: u64,
}

/// The clocks of the part that sends.
struct Clocks {
    wall: Instant,
    cpu: Option<core::time::Duration>,
}

impl Clocks {
    fn start() -> Self {
        Self { wall: Instant::now(), cpu: usage::process_cpu() }
    }

    fn stop(self, sent: Sent) -> Run {
        let cpu = self.cpu.zip(usage::process_cpu());
        let cpu_s = cpu.map(|(began, ended)| ended.saturating_sub(began).as_secs_f64());
        Run { sent, wall_s: self.wall.elapsed().as_secs_f64(), cpu_s }
    }
}

/// What the part that sends took: the process's time on a CPU, user and system.
struct Run {
    sent: Sent,
    wall_s: f64,
    cpu_s: Option<f64>,
}

type Failed = Box<dyn Error + Send + Sync>;

type Told = Result<Run, Failed>;

fn main() -> ExitCode {
    match run(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if that fails as well.
            let _ = writeln!(io::stderr(), "load: {error}");
            ExitCode::FAILURE
        }
    }
}

fn run(args: &Args) -> Result<(), Failed> {
    let payload = Arc::new(match &args.payload {
        Some(file) => Payload::lines(read(file)?.into())?,
        None => Payload::random(args.size),
    });
    let authority = args.ca.as_deref().map(read).transpose()?;
    let requests = Arc::new(payload.requests(args.records, args.batch.into()));
    let warm_up = requests.len().min(WARM_UP * args.concurrency.get());
    let first: usize = requests[..warm_up].iter().map(|(_, records)| records).sum();
    let runtime = runtime(args.threads)?;
    let Run { sent, wall_s, cpu_s } = match args.client {
        Client::Floor => {
            runtime.block_on(floor::run(args, &payload, &requests, warm_up, authority))?
        }
        Client::Ours => runtime.block_on(ours::run(args, &payload, first, authority))?,
        Client::Sdk => runtime.block_on(sdk::run(args, &payload, &requests, warm_up, authority))?,
    };
    if sent.delivered != args.records as u64 {
        return Err(format!("{} of {} records delivered", sent.delivered, args.records).into());
    }
    let data_bytes: usize = (0..args.records).map(|index| payload.record(index).len()).sum();
    let records = args.records as f64;
    let sum = || {
        let indices = (0..first).chain(0..args.records);
        let checksums = indices.map(|index| checksum(payload.bytes(index)));
        format!("{:016x}", checksums.fold(0_u64, u64::wrapping_add))
    };
    let line = serde_json::json!({
        "client": args.client,
        "records": args.records,
        "records_first": first,
        "data_bytes": data_bytes,
        "concurrency": args.concurrency,
        "threads": args.threads,
        "wall_s": wall_s,
        "cpu_s": cpu_s,
        "peak_rss_bytes": usage::peak_rss_bytes(),
        "records_per_s": records / wall_s,
        "mb_per_s": data_bytes as f64 / 1e6 / wall_s,
        "cpu_ns_per_record": cpu_s.map(|cpu_s| cpu_s * 1e9 / records),
        "requests": sent.requests,
        "requests_per_full": sent.requests as f64 / requests.len() as f64,
        "checksum": args.checksum.then(sum),
    });
    writeln!(io::stdout().lock(), "{line}")?;
    Ok(())
}

/// Makes a signer whose signatures are as dear as any.
fn signer() -> Signer {
    let credentials =
        Credentials::new("AKIDEXAMPLE", "not a real secret key", None, None, "benchmark");
    Signer::new(credentials, "us-east-1")
}

fn read(file: &Path) -> Result<Vec<u8>, Failed> {
    fs::read(file).map_err(|error| format!("cannot read {}: {error}", file.display()).into())
}

fn runtime(threads: Option<NonZeroUsize>) -> io::Result<Runtime> {
    match threads.map(NonZeroUsize::get) {
        None => Builder::new_multi_thread().enable_all().build(),
        Some(1) => Builder::new_current_thread().enable_all().build(),
        Some(threads) => Builder::new_multi_thread().worker_threads(threads).enable_all().build(),
    }
}
