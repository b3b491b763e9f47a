//! Does one part of the work of a request so many times, for a tool that counts instructions.
//!
//! `benches/instructions` runs it twice and takes the difference, so that what is done before and
//! after does not count.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Parser, ValueEnum};
use firehose_benches::core_case::{Answers, Encoder, InProcess, Judge, SIZES};
use firehose_benches::{Kind, records};

/// Does one part of the work of a request so many times.
#[derive(Parser)]
struct Args {
    /// Which part.
    part: Part,

    /// The size of the request, as `500x1KiB`.
    size: String,

    /// How many times.
    times: usize,

    /// One record in so many is refused.
    #[arg(long)]
    refuse_every: Option<usize>,
}

#[derive(Clone, Copy, ValueEnum)]
enum Part {
    /// Encode the records.
    Encode,
    /// Judge an answer.
    Judge,
    /// From push to settled.
    Settle,
}

fn main() -> ExitCode {
    let args = Args::parse();
    let Some(size) = SIZES.iter().find(|size| size.name == args.size) else {
        let names: Vec<_> = SIZES.iter().map(|size| size.name).collect();
        // There is nobody left to tell if that fails as well.
        let _ = writeln!(io::stderr(), "count: the sizes are {}", names.join(", "));
        return ExitCode::from(2);
    };
    let kind = args.refuse_every.map_or(Kind::Stored, |every| Kind::Refused { every });
    let records = records(size.records, size.record_bytes);
    match args.part {
        Part::Encode => {
            let mut core = Encoder::new();
            for _ in 0..args.times {
                assert!(core.encode(&records) > size.records * size.record_bytes);
            }
        }
        Part::Judge => {
            let mut core = Judge::new(size.records, kind);
            for _ in 0..args.times {
                core.judge();
            }
        }
        Part::Settle => {
            let (mut core, mut answers) = (InProcess::new(), Answers::new(kind));
            for _ in 0..args.times {
                core.push(&records, &mut answers);
            }
            assert_eq!(core.settle(&mut answers), args.times * size.records);
        }
    }
    ExitCode::SUCCESS
}
