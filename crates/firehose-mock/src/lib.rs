//! The service side of Amazon Data Firehose's `PutRecordBatch` and `PutRecord`, for tests.
//!
//! What a client must cope with happens here on purpose, and the ledger knows the truth after it:
//!
//! - [`Service`] is the service without a wire: it enforces every documented limit in the service's
//!   own words, and what it does follows from its seed alone.
//! - [`Faults`] lets entries fail, refuses calls and cuts connections at random; a script of
//!   [`Step`]s does so request by request.
//! - [`Ledger`] keeps account of what was accepted, and how often.
//! - [`Destination`] takes the accepted records.
//! - [`InMemory`] is a transport for a client in the same process.
//! - [`sim`] runs a producer, a bad network and the service in virtual time, and checks what the
//!   producer promises after each step.
//!
//! With the feature `server`, on by default, come `Server`, the same over HTTP/1.1 on a socket, and
//! `Directory`, a destination that writes objects as the service writes them to S3. The feature
//! `tls` adds `ServerTls`, which makes a server speak HTTPS.
//!
//! ```
//! use firehose_mock::{Ledger, Request, Service, Streams};
//! use firehose_proto::StreamName;
//!
//! let mut service = Service::new(Streams::Any, 42).with_ledger(Ledger::keeping());
//! let body = br#"{"DeliveryStreamName":"demo","Records":[{"Data":"YQ=="},{"Data":"Yg=="}]}"#;
//! let answer = service.handle(Request::put_record_batch(body));
//! assert_eq!(answer.status, 200);
//!
//! let demo: StreamName = "demo".parse()?;
//! let records: Vec<&[u8]> = service.ledger().records(&demo).collect();
//! assert_eq!(records, [b"a", b"b"]);
//! assert_eq!(service.ledger().accepted_more_than_once(&demo), 0);
//! # Ok::<(), firehose_proto::InvalidStreamName>(())
//! ```

mod destination;
mod exchange;
mod faults;
mod ledger;
mod random;
mod service;
pub mod sim;
mod transport;

#[cfg(feature = "server")]
mod delivery;
#[cfg(feature = "server")]
mod server;

#[cfg(feature = "server")]
pub use delivery::{Buffering, DeliveryError, Directory, Shared};
pub use destination::{Accepted, AcceptedRecord, Destination};
pub use exchange::{Answer, Disposition, Request};
pub use faults::{EntryFault, Fault, Faults, InvalidFaults, Step};
pub use ledger::{Ledger, StreamTotals, Totals};
#[cfg(feature = "tls")]
pub use server::tls::{ServerTls, ServerTlsError};
#[cfg(feature = "server")]
pub use server::{Server, serve_connection};
pub use service::{Service, Streams};
pub use transport::InMemory;
