//! Layer 3: what an answer means for its records, and when they may be sent again.
//!
//! Three tables without state: [`Class`] from what came back, [`Policy`] from the class to a wait,
//! [`Jitter`] from a seed to the random part of it.

mod class;
mod jitter;
mod policy;

pub use class::{Class, Failure};
pub use jitter::Jitter;
pub use policy::{Backoff, InvalidBackoff, Policy};
