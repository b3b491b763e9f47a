//! Async client and producer for Amazon Data Firehose's `PutRecordBatch`.
//!
//! [`Producer`] takes records, sends them in full requests, sends again what failed, and tells what
//! became of each. [`Client`] calls the documented operations, one request each. Both send through
//! any [`HttpService`]: [`Transport`] over the network, the emulator's in-memory transport in tests,
//! or either below layers of your own.
//!
//! What is decided about records is decided in [`proto`], the sans-IO core. Here are the clock, the
//! sockets and the signature.
//!
//! To the service itself, by what environment and default say:
//!
//! ```no_run
//! use firehose_hyper::proto::producer::Config;
//! use firehose_hyper::{Producer, Settings, Signer, credentials};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let env = |name: &str| std::env::var(name).ok();
//! let settings = Settings::from_env(env)?;
//! let keys = credentials::from_env(env)?.ok_or("no credentials")?;
//! let signer = Signer::new(keys, settings.endpoint()?.region());
//! let transport = settings.transport()?.signer(signer).build()?;
//! let config = Config::new("logs".parse()?).with_policy(settings.policy());
//! let producer = Producer::spawn(config, transport);
//! producer.push(b"hello\n").await?;
//! # Ok(())
//! # }
//! ```
//!
//! With the feature `aws-config`, `Settings::load` reads the profile as well, and
//! `credentials::default_chain` finds credentials as AWS's own SDKs do.
//!
//! | module | what it does |
//! | --- | --- |
//! | [`producer`], [`events`] | the handle that takes records, and what it tells |
//! | [`client`] | one call, one request |
//! | [`service`] | what carries a request |
//! | [`endpoint`] | where requests go, and the region they are signed for |
//! | [`credentials`], [`sign`] | who signs, and AWS Signature Version 4 |
//! | [`connect`], [`tls`] | from an endpoint to a stream of bytes |
//! | [`proxy`] | the way through a proxy |
//! | [`settings`] | what the environment and the profile say |
//! | [`advice`] | what the user can do about an error |
//! | [`identity`] | who sends, and which attempt it is |
//! | [`timeouts`] | how long each phase of an attempt may take |
//! | [`transport`] | one attempt: connect or reuse, sign, send, read |
//! | [`error`] | how an attempt ended without an answer, and what that leaves in doubt |

pub mod advice;
pub mod client;
pub mod connect;
mod connection;
mod counting;
pub mod credentials;
mod driver;
pub mod endpoint;
pub mod error;
pub mod events;
mod hash;
pub mod identity;
mod observe;
mod pool;
pub mod producer;
pub mod proxy;
pub mod service;
pub mod settings;
mod shared;
pub mod sign;
mod skew;
pub mod timeouts;
pub mod tls;
pub mod transport;
mod under_way;

pub use firehose_proto as proto;
pub use firehose_proto::Failure;

pub use advice::Advice;
pub use client::{CallError, Client};
pub use connect::Connector;
pub use credentials::{Credentials, ProvideCredentials};
pub use endpoint::{Endpoint, InvalidEndpoint};
pub use error::TransportError;
pub use events::{Event, Events};
pub use identity::Attempt;
pub use producer::{Delivered, Producer, PushAllError, PutError};
pub use proxy::{InvalidProxy, Proxies};
pub use service::{HttpService, SendError};
pub use settings::{Settings, SettingsError};
pub use sign::{SignError, Signer};
pub use timeouts::{AttemptDeadline, Phase, Timeouts};
pub use tls::{Tls, TlsError};
pub use transport::{Transport, TransportBuilder};

/// Runs the example of the README.
#[cfg(doctest)]
#[doc = include_str!("../../../README.md")]
struct Readme;
