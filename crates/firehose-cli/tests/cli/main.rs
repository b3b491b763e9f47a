//! The command as a user runs it.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod configuration;
mod credentials;
mod judge;
mod put;
mod secrets;
mod serve;
#[cfg(unix)]
mod signals;
mod support;
