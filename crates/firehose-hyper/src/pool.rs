//! Connections that lie idle until the next request.
//!
//! A connection gets here only after a complete answer to a completely written request, and lies
//! here for seconds at most. The one used last is used first, so that spare ones grow old and go.

use core::fmt;
use core::time::Duration;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use tokio::time::{Instant, sleep_until};

use crate::connection::Connection;

/// A stack of idle connections.
pub(crate) struct Pool {
    idle: Arc<Mutex<Idle>>,
    idle_span: Duration,
    idle_max: usize,
}

#[derive(Default)]
struct Idle {
    /// Oldest first.
    stack: Vec<(Instant, Connection)>,
    /// Whether a task waits to close the oldest.
    is_swept: bool,
}

impl Pool {
    /// Makes a pool of at most `idle_max` connections, each for at most `idle_span`.
    pub(crate) fn new(idle_span: Duration, idle_max: usize) -> Self {
        Self { idle: Arc::default(), idle_span, idle_max }
    }

    /// Takes the connection that was used last, if it still stands.
    pub(crate) async fn take(&self) -> Option<Connection> {
        loop {
            let (since, mut connection) = self.lock().stack.pop()?;
            if since.elapsed() >= self.idle_span {
                continue;
            }
            // The runtime looks at its sockets before it comes back here, so that a close that has
            // arrived is seen now and not after the request is written.
            tokio::task::yield_now().await;
            if connection.is_ready() {
                return Some(connection);
            }
        }
    }

    /// Keeps a connection for the next request.
    pub(crate) fn put(&self, connection: Connection) {
        if self.idle_max == 0 || self.idle_span.is_zero() {
            return;
        }
        let mut idle = self.lock();
        if idle.stack.len() >= self.idle_max {
            idle.stack.remove(0);
        }
        idle.stack.push((Instant::now(), connection));
        if !idle.is_swept {
            idle.is_swept = true;
            tokio::spawn(sweep(Arc::downgrade(&self.idle), self.idle_span));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Idle> {
        lock(&self.idle)
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Pool").field("idle", &self.lock().stack.len()).finish_non_exhaustive()
    }
}

/// Closes connections that have lain idle too long; ends when none are left.
async fn sweep(idle: Weak<Mutex<Idle>>, span: Duration) {
    loop {
        let Some(idle) = idle.upgrade() else { return };
        let wake_at = {
            let mut idle = lock(&idle);
            let now = Instant::now();
            idle.stack.retain(|(since, _)| now.saturating_duration_since(*since) < span);
            let Some((oldest, _)) = idle.stack.first() else {
                idle.is_swept = false;
                return;
            };
            *oldest + span
        };
        drop(idle);
        sleep_until(wake_at).await;
    }
}

fn lock(idle: &Mutex<Idle>) -> MutexGuard<'_, Idle> {
    idle.lock().unwrap_or_else(PoisonError::into_inner)
}
