//! Sans-IO core of a client for Amazon Data Firehose's `PutRecordBatch`.
//!
//! The crate reads no clock, no randomness and no environment, does no IO, knows no runtime and logs
//! nothing. Time, seeds and bytes come in; bytes, deadlines and events go out. It never panics on
//! what comes from the network or the user.
//!
//! Its modules are layers, and each can be used without those above it:
//!
//! | layer | module | what it does |
//! |---|---|---|
//! | | [`time`], [`ids`], [`limits`] | instants, names and numbers, each once |
//! | 0 | [`wire`] | bytes and their meaning: requests, answers, errors |
//! | 1 | [`batch`] | records become the body of a request, once |
//! | 2 | [`judge`] | entry *i* is record *i*, or the answer is not believed |
//! | 3 | [`retry`] | what came back → its class → how long to wait |
//! | 4 | [`producer`] | the state machine over all of it |
//!
//! Numbers such as R5 name the sentences of the service's documentation in `docs/REQUIREMENTS.md`.
//!
//! Start at [`producer::Producer`], which shows the whole way of a record in its example; or at
//! [`batch::Batch`] and [`judge::Judgement`] if you have a retry loop of your own.

#![warn(clippy::exhaustive_enums)]

#[macro_use]
mod canary;

pub mod batch;
pub mod ids;
pub mod judge;
pub mod limits;
pub mod producer;
pub mod retry;
pub mod time;
pub mod wire;

#[cfg(canaries)]
#[doc(hidden)]
pub use canary::let_loose;
pub use ids::{InvalidStreamName, RequestId, StreamName, Ticket};
pub use limits::Limits;
pub use retry::Failure;
pub use time::Instant;
