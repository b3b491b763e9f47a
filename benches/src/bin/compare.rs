//! Compares the core with the AWS SDK within one process, part by part, and prints tables.
//!
//! The two take turns, and what is counted is the time of this thread on a CPU. The SDK hashes the
//! body in its call, the core does not: the same library's hash of the same body is measured beside
//! it and taken off. `cargo run --release -p firehose-benches --features rivals --bin compare`

use std::io::{self, Write};
use std::process::ExitCode;

use clap::Parser;

/// Compares the core with the AWS SDK within one process.
#[derive(Parser)]
struct Args {
    /// How often each takes its turn.
    #[arg(long, default_value_t = 9)]
    rounds: usize,

    /// How long a turn lasts at least, in milliseconds on a CPU.
    #[arg(long, default_value_t = 25)]
    turn_ms: u64,

    /// Only the sizes whose name contains this.
    #[arg(long, default_value = "")]
    size: String,
}

fn main() -> ExitCode {
    match compare(&Args::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // There is nobody left to tell if that fails as well.
            let _ = writeln!(io::stderr(), "compare: {error}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(not(feature = "rivals"))]
fn compare(_: &Args) -> Result<(), Box<dyn std::error::Error>> {
    Err("there is no rival in this build, add `--features rivals`".into())
}

#[cfg(feature = "rivals")]
use with_rivals::compare;

#[cfg(feature = "rivals")]
mod with_rivals {
    use core::hint::black_box;
    use core::time::Duration;
    use std::error::Error;
    use std::io::{self, Write};

    use bytes::Bytes;
    use firehose_benches::core_case::{Answers, Encoder, InProcess, Judge, SIZES, Size};
    use firehose_benches::sdk::{self, Call, SerDe};
    use firehose_benches::{Kind, records, reply, usage};
    use sha2::{Digest, Sha256};

    use super::Args;

    /// The operations that are timed together, so that the clock itself costs little.
    const GROUP: usize = 8;

    /// The ratios that are wanted, by size.
    type Wanted = [(&'static str, f64); 4];

    const ENCODE_AND_READ: Wanted =
        [("500x100B", 8.0), ("500x1KiB", 3.5), ("500x8KiB", 1.6), ("4x1000KiB", 1.4)];

    const PUSH_TO_SETTLED: Wanted =
        [("500x100B", 7.0), ("500x1KiB", 3.5), ("500x8KiB", 2.0), ("4x1000KiB", 1.8)];

    fn wanted(all: &Wanted, size: &str) -> String {
        let wanted = all.iter().find(|(name, _)| *name == size);
        wanted.map_or(String::new(), |(_, ratio)| ratio.to_string())
    }

    const ANSWERS: [(&str, Kind); 3] = [
        ("all stored", Kind::Stored),
        ("one in ten refused", Kind::Refused { every: 10 }),
        ("escapes and unknown members", Kind::Strange),
    ];

    type Result<T> = core::result::Result<T, Box<dyn Error>>;

    pub(super) fn compare(args: &Args) -> Result<()> {
        let turns =
            Turns { rounds: args.rounds.max(1), least: Duration::from_millis(args.turn_ms) };
        let sizes: Vec<Size> =
            SIZES.into_iter().filter(|size| size.name.contains(&args.size)).collect();
        let mut out = io::stdout().lock();
        writeln!(out, "µs of CPU for a request, median (min–max) of {} rounds\n", turns.rounds)?;
        writeln!(out, "| encode and read the answer | ours | SDK | SDK / ours | wanted |")?;
        writeln!(out, "|---|---|---|---|---|")?;
        for size in &sizes {
            let [ours, sdk] = encode_and_read(*size, turns)?;
            let ratio = Summary::of(ours.iter().zip(&sdk).map(|(ours, sdk)| sdk / ours));
            let [ours, sdk] = [ours, sdk].map(Summary::of);
            let wanted = wanted(&ENCODE_AND_READ, size.name);
            writeln!(out, "| {} | {ours} | {sdk} | {ratio:.2} | {wanted} |", size.name)?;
            out.flush()?;
        }
        writeln!(out, "\n| read an answer on 500 records | ours | SDK | SDK / ours |")?;
        writeln!(out, "|---|---|---|---|")?;
        for (name, kind) in ANSWERS {
            let [ours, sdk] = read(kind, turns)?;
            let ratio = Summary::of(ours.iter().zip(&sdk).map(|(ours, sdk)| sdk / ours));
            let [ours, sdk] = [ours, sdk].map(Summary::of);
            writeln!(out, "| {name} | {ours} | {sdk} | {ratio:.2} |")?;
            out.flush()?;
        }
        writeln!(
            out,
            "\n| from push to settled | ours | SDK's call | its hash | SDK less hash | that / ours | wanted |"
        )?;
        writeln!(out, "|---|---|---|---|---|---|---|")?;
        for size in &sizes {
            let [ours, sdk, hash] = push_to_settled(*size, turns)?;
            let rest: Vec<f64> = sdk.iter().zip(&hash).map(|(sdk, hash)| sdk - hash).collect();
            let ratio = Summary::of(ours.iter().zip(&rest).map(|(ours, rest)| rest / ours));
            let [ours, sdk, hash, rest] = [ours, sdk, hash, rest].map(Summary::of);
            let name = size.name;
            let wanted = wanted(&PUSH_TO_SETTLED, name);
            writeln!(out, "| {name} | {ours} | {sdk} | {hash} | {rest} | {ratio:.2} | {wanted} |")?;
            out.flush()?;
        }
        Ok(())
    }

    fn encode_and_read(size: Size, turns: Turns) -> Result<[Vec<f64>; 2]> {
        let records = records(size.records, size.record_bytes);
        let answer = reply(size.records, Kind::Stored);
        let mut encoder = Encoder::new();
        let mut judge = Judge::new(size.records, Kind::Stored);
        let mut ours = || {
            timed(|| {
                assert!(encoder.encode(black_box(&records)) > 0);
                judge.judge();
            })
        };
        let sdk_records = sdk::sdk_records(&records);
        let answer = sdk::answer(Bytes::from(answer));
        let mut serde = SerDe::new();
        let mut sdk = || {
            let mut prepared = vec![sdk_records.clone(); GROUP];
            timed(|| {
                let request = serde.encode(prepared.pop().unwrap_or_default());
                assert!(!sdk::body(black_box(&request)).is_empty());
                let output = serde.read(black_box(&answer));
                assert_eq!(sdk::stored(&output), size.records);
            })
        };
        turns.take([&mut ours, &mut sdk])
    }

    fn read(kind: Kind, turns: Turns) -> Result<[Vec<f64>; 2]> {
        const RECORDS: usize = 500;
        let answer = reply(RECORDS, kind);
        let mut judge = Judge::new(RECORDS, kind);
        let mut ours = || timed(|| judge.judge());
        let answer = sdk::answer(Bytes::from(answer));
        let serde = SerDe::new();
        let mut sdk = || {
            timed(|| {
                let output = serde.read(black_box(&answer));
                assert_eq!(sdk::stored(&output), kind.stored(RECORDS));
            })
        };
        turns.take([&mut ours, &mut sdk])
    }

    fn push_to_settled(size: Size, turns: Turns) -> Result<[Vec<f64>; 3]> {
        let records = records(size.records, size.record_bytes);
        let mut answers = Answers::new(Kind::Stored);
        let mut core = InProcess::new();
        let mut delivered = 0;
        let mut ours = || {
            answers.prepare(size.records, GROUP);
            timed(|| {
                core.push(black_box(&records), &mut answers);
                delivered += size.records;
                assert_eq!(core.settle(&mut answers), delivered);
            })
        };
        let sdk_records = sdk::sdk_records(&records);
        let call = Call::new(reply(size.records, Kind::Stored))?;
        let mut sdk = || {
            let mut prepared = vec![sdk_records.clone(); GROUP];
            timed(|| {
                let stored = call.put(prepared.pop().unwrap_or_default());
                assert_eq!(stored, size.records);
            })
        };
        let request = SerDe::new().encode(sdk_records.clone());
        let body = sdk::body(&request);
        let mut hash = || timed(|| _ = black_box(Sha256::digest(black_box(body))));
        turns.take([&mut ours, &mut sdk, &mut hash])
    }

    /// Times a group of operations.
    fn timed(mut operation: impl FnMut()) -> Result<Duration> {
        let now = || usage::thread_cpu().ok_or("the system does not tell the time of a thread");
        let began = now()?;
        for _ in 0..GROUP {
            operation();
        }
        Ok(now()?.saturating_sub(began))
    }

    /// How the measured take turns.
    #[derive(Clone, Copy)]
    struct Turns {
        rounds: usize,
        least: Duration,
    }

    impl Turns {
        /// Gives the microseconds of one operation, for each of the measured and each round. A round
        /// before the first is not counted.
        fn take<const N: usize>(
            self,
            mut measured: [&mut dyn FnMut() -> Result<Duration>; N],
        ) -> Result<[Vec<f64>; N]> {
            let mut micros = [const { Vec::new() }; N];
            for round in 0..=self.rounds {
                for (group, micros) in measured.iter_mut().zip(&mut micros) {
                    let (mut spent, mut operations) = (Duration::ZERO, 0_usize);
                    while spent < self.least || operations == 0 {
                        spent += group()?;
                        operations += GROUP;
                    }
                    if round > 0 {
                        micros.push(spent.as_secs_f64() * 1e6 / operations as f64);
                    }
                }
            }
            Ok(micros)
        }
    }

    /// Median, least and greatest.
    struct Summary {
        sorted: Vec<f64>,
    }

    impl Summary {
        fn of(values: impl IntoIterator<Item = f64>) -> Self {
            let mut sorted: Vec<f64> = values.into_iter().collect();
            sorted.sort_by(f64::total_cmp);
            Self { sorted }
        }
    }

    impl core::fmt::Display for Summary {
        fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
            let digits = f.precision().unwrap_or(1);
            let middle = self.sorted[self.sorted.len() / 2];
            let (least, greatest) = (self.sorted[0], self.sorted[self.sorted.len() - 1]);
            write!(f, "{middle:.digits$} ({least:.digits$}–{greatest:.digits$})")
        }
    }
}
