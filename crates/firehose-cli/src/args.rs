//! The command line: every option with its unit and its default.

use std::net::SocketAddr;
use std::num::{NonZeroU8, NonZeroUsize};
use std::path::PathBuf;

use clap::{ArgGroup, Args, Parser, Subcommand, ValueEnum};
use firehose_mock::Faults;
use firehose_proto::StreamName;

/// Put records into Amazon Data Firehose streams
#[derive(Debug, Parser)]
#[command(name = "firehose", version, arg_required_else_help = true)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Put the lines of files, or of stdin, into a stream
    Put(PutArgs),
    /// Serve an emulator of the service
    Serve(ServeArgs),
    /// Judge answers of the service: JSON lines from stdin, verdicts to stdout
    #[command(long_about = JUDGE_ABOUT, after_long_help = JUDGE_AFTER_HELP)]
    Judge,
}

const JUDGE_ABOUT: &str = "\
Judge answers of the service: JSON lines from stdin, verdicts to stdout

A line of stdin is an answer to a PutRecordBatch and the number of records in that request. Each \
line gets one line on stdout, in the same order and without waiting for the next.";

const JUDGE_AFTER_HELP: &str = r#"A line in, with the body in base64:
  {"name":"a","n_records":2,"status":200,"headers":[["x-amzn-RequestId","1"]],"body_b64":"e30="}

A line out:
  {"name":"a","kind":"unknown","ok":[],"failed":[],"code":null,"retryable":true,"throttling":false}

  name        what stood in the line, if it was text; else null
  kind        records: there is a verdict for each record; error: the service refused the whole
              request; unknown: the answer is not believed, each record may or may not be stored;
              invalid: the line makes no sense, and a last member, error, says why
  ok, failed  indexes of stored and of failed records, counted from 0; of a record in neither list
              it is unknown whether it is stored. Both are empty unless the kind is records
  code        the error's code, or that of the first failed record
  retryable   some record is to be sent again
  throttling  the service asks for less

n_records is a whole number from 1 to 4294967295, status one from 100 to 999. headers may be missing.
Of a line with more than 16777216 bytes the rest is skipped; it is invalid.

Exit status: 0 at the end of the input, or when nobody reads the verdicts any more."#;

const PUT_AFTER_HELP: &str = "\
Exit status: 0 all delivered; 1 some records not, they are in the failure file; 2 usage; \
3 nothing could be sent; 130 or 143 after a signal, with a flush first.

Examples:
  firehose put demo --local delivered app.log     deliver into a directory, without an account
  firehose put logs app.log --region eu-west-1    deliver to AWS, with credentials from wherever
                                                  AWS's own tools would find them
  tail -f app.log | firehose put logs --region eu-west-1 --linger 1000";

#[derive(Args, Debug)]
#[command(after_help = PUT_AFTER_HELP)]
pub(crate) struct PutArgs {
    /// The name of the stream: 1 to 64 of a-z A-Z 0-9 _ . -
    pub(crate) stream: StreamName,

    /// Files to put, in this order; - is stdin, as is no file at all
    #[arg(value_name = "FILE")]
    pub(crate) files: Vec<PathBuf>,

    /// Deliver through an embedded service of this process into DIR: no account, no network
    #[arg(long, value_name = "DIR", help_heading = "Where to",
          conflicts_with_all = ["endpoint_url", "region", "profile", "ca_bundle"])]
    pub(crate) local: Option<PathBuf>,

    /// Write a line for each record to DIR/.firehose/ledger.jsonl, with --local
    #[arg(long, help_heading = "Where to", requires = "local")]
    pub(crate) ledger: bool,

    /// URL of the service, real or emulated [env: AWS_ENDPOINT_URL_FIREHOSE, AWS_ENDPOINT_URL]
    #[arg(long, value_name = "URL", help_heading = "Where to")]
    pub(crate) endpoint_url: Option<String>,

    /// Region of the service [env: AWS_REGION, AWS_DEFAULT_REGION]
    #[arg(long, value_name = "REGION", help_heading = "Where to")]
    pub(crate) region: Option<String>,

    /// Profile that settings and credentials are taken from [env: AWS_PROFILE]
    #[arg(long, value_name = "NAME", help_heading = "Where to")]
    pub(crate) profile: Option<String>,

    /// Certificates (PEM) that are trusted instead of the system's [env: AWS_CA_BUNDLE]
    #[arg(long, value_name = "FILE", help_heading = "Where to")]
    pub(crate) ca_bundle: Option<PathBuf>,

    /// How input is cut into records
    #[arg(long, value_enum, default_value_t = Split::Lines, help_heading = "Records")]
    pub(crate) split: Split,

    /// What stands at the end of a record
    #[arg(long, value_enum, default_value_t = Delimiter::Newline, help_heading = "Records")]
    pub(crate) delimiter: Delimiter,

    /// Where undelivered records go, as JSON lines; appended. Where this is not given and the input
    /// could not be put again without doubling records, STREAM.failed.jsonl
    #[arg(long, value_name = "FILE", help_heading = "Records")]
    pub(crate) failed_to: Option<PathBuf>,

    // R17: no order is promised across requests under way at once.
    /// Requests under way at once [default: 4; with --local 1, which keeps the order]
    #[arg(long, value_name = "N", help_heading = "Sending")]
    pub(crate) in_flight: Option<NonZeroUsize>,

    /// Milliseconds that a record waits for others to fill its request
    #[arg(long, value_name = "MS", default_value_t = 100, help_heading = "Sending")]
    pub(crate) linger: u64,

    /// Times that a record is sent at most [env: AWS_MAX_ATTEMPTS] [default: 10]
    #[arg(long, value_name = "N", help_heading = "Sending")]
    pub(crate) attempts: Option<NonZeroU8>,

    /// Seconds after which a record is given up [default: never]
    #[arg(long, value_name = "S", help_heading = "Sending")]
    pub(crate) ttl: Option<u64>,

    /// Print one JSON object on stdout at the end
    #[arg(long, help_heading = "Report")]
    pub(crate) json: bool,

    /// Print nothing on stderr but errors
    #[arg(long, short, help_heading = "Report", conflicts_with = "verbose")]
    pub(crate) quiet: bool,

    /// Print what happens to requests
    #[arg(long, short, help_heading = "Report")]
    pub(crate) verbose: bool,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Split {
    /// At each line end
    Lines,
    /// At each NUL byte, as `find -print0` writes
    Nul,
    /// Not at all: each file is a record
    Whole,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq, ValueEnum)]
pub(crate) enum Delimiter {
    /// A line end: the record keeps its own, one is added where it has none
    Newline,
    /// What the input has, to the byte
    Keep,
    /// Nothing: without the line end or NUL byte
    Strip,
}

const SERVE_AFTER_HELP: &str = r#"When it is ready it prints one line of JSON:
  {"url":"https://127.0.0.1:4573","ca":"delivered/.firehose/ca.pem","streams":["logs"]}
ca is there if --tls made an authority: clients are to trust that file. Its keys are made anew at
each start and written nowhere. A signal ends the server; then it prints one line of JSON with what
it counted.

Examples:
  firehose serve --dir delivered --stream logs --faults refuse=0.1,cut=0.01
  firehose serve --tls --tls-ca ca.pem --bodies bodies
  AWS_CA_BUNDLE=ca.pem firehose put logs app.log --endpoint-url https://localhost:4573

Exit status: 0 after a signal; 2 usage; 3 it could not start."#;

#[derive(Args, Debug)]
#[command(after_help = SERVE_AFTER_HELP)]
#[command(group(ArgGroup::new("authority").args(["dir", "tls_ca", "tls_cert"]).multiple(true)))]
pub(crate) struct ServeArgs {
    /// Address to listen on; port 0 lets the system choose
    #[arg(long, value_name = "ADDR", default_value = "127.0.0.1:4573")]
    pub(crate) listen: SocketAddr,

    /// Directory into which accepted records are delivered [default: they are counted only]
    #[arg(long, value_name = "DIR")]
    pub(crate) dir: Option<PathBuf>,

    /// A stream that exists; may be given several times [default: every name does]
    #[arg(long = "stream", value_name = "NAME")]
    pub(crate) streams: Vec<StreamName>,

    /// What goes wrong at random, as `refuse=0.1,internal=0.01,unavailable=0.02,fail=0.01,cut=0.01,drop=0.01,seed=7`:
    /// rates of entries refused or failed, of calls answered 503 or 500, of connections cut after
    /// the request was taken or dropped before
    #[arg(long, value_name = "RATES")]
    pub(crate) faults: Option<Faults>,

    /// Bytes after which a delivered object is complete
    #[arg(long, value_name = "BYTES", default_value_t = 5 * 1024 * 1024, requires = "dir")]
    pub(crate) buffer_bytes: u64,

    /// Seconds after which a delivered object is complete
    #[arg(long, value_name = "S", default_value_t = 300, requires = "dir")]
    pub(crate) buffer_seconds: u64,

    /// Write a line for each record to DIR/.firehose/ledger.jsonl
    #[arg(long, requires = "dir")]
    pub(crate) ledger: bool,

    /// Write the body of each request, as it came, to DIR/000001.json and so on, in the order of
    /// arrival; DIR must be empty or new
    #[arg(long, value_name = "DIR")]
    pub(crate) bodies: Option<PathBuf>,

    /// Speak HTTPS, with a certificate for localhost, 127.0.0.1, ::1 and the address of --listen
    #[arg(long, help_heading = "TLS", requires = "authority")]
    pub(crate) tls: bool,

    /// Where the certificate of the authority is written, for clients to trust
    /// [default: DIR/.firehose/ca.pem]
    #[arg(
        long,
        value_name = "FILE",
        help_heading = "TLS",
        requires = "tls",
        conflicts_with = "tls_cert"
    )]
    pub(crate) tls_ca: Option<PathBuf>,

    /// Use these certificates instead, as PEM, the server's own first
    #[arg(long, value_name = "FILE", help_heading = "TLS", requires_all = ["tls", "tls_key"])]
    pub(crate) tls_cert: Option<PathBuf>,

    /// The private key of the certificate, as PEM
    #[arg(long, value_name = "FILE", help_heading = "TLS", requires_all = ["tls", "tls_cert"])]
    pub(crate) tls_key: Option<PathBuf>,
}
