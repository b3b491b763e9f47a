//! Bodies of fuzz targets: each takes bytes, and panics where the code and its model disagree.
//!
//! They are plain functions, so that the corpus is replayed by `cargo test` on stable; under
//! `fuzz_targets` stands one line for each that hands it to libFuzzer:
//!
//! ```text
//! mkdir -p found/reply
//! cargo +nightly fuzz run --features libfuzzer reply found/reply fuzz/corpus/reply
//! ```
//!
//! What is new goes into the first folder named, so that the corpus of the repository stays small.
//!
//! | target | what the bytes are | the oracle |
//! |---|---|---|
//! | [`encoder()`] | records, where they are cut, which go again | the records, a JSON parser, a plain base64 |
//! | [`fault()`] | status, error header and body of an answer | a reading of the parsed JSON |
//! | [`http()`] | what servers say on their connections, and when | a slow and strict reading of what they said |
//! | [`planner()`] | a policy, and how attempts end | a table, and waits in whole nanoseconds |
//! | [`producer()`] | operations of the application and the world | a model without order or memory of its own |
//! | [`reply()`] | the number of records, the body of an answer | a reading of the parsed JSON |
//! | [`service()`] | headers and body of a request | a reading of the parsed JSON, the ledger |
//!
//! An input that finds something becomes a test with a name beside the replay of the corpus.

mod base64;
mod encoder;
mod fault;
mod http;
mod input;
mod json;
mod planner;
mod producer;
mod reply;
mod service;

pub use encoder::encoder;
pub use fault::fault;
pub use http::http;
pub use planner::planner;
pub use producer::producer;
pub use reply::reply;
pub use service::service;

/// A target: its name, which is that of its folder in the corpus, and its body.
///
/// ```
/// let names: Vec<_> = firehose_fuzz::TARGETS.iter().map(|(name, _)| *name).collect();
/// assert_eq!(names, ["encoder", "fault", "http", "planner", "producer", "reply", "service"]);
/// for (_, body) in firehose_fuzz::TARGETS {
///     body(b"");
/// }
/// ```
pub type Target = (&'static str, fn(&[u8]));

/// All targets, by name.
pub const TARGETS: [Target; 7] = [
    ("encoder", encoder),
    ("fault", fault),
    ("http", http),
    ("planner", planner),
    ("producer", producer),
    ("reply", reply),
    ("service", service),
];
