//! The requests that were handed out and have no answer yet.

use super::load::SealedLoad;
use crate::ids::{RequestId, Ticket};
use crate::time::Instant;

/// Requests in the order in which they were handed out. They are few, so looking through them is
/// cheap, and their memory is used again.
#[derive(Default)]
pub(super) struct InFlight {
    exchanges: Vec<Exchange>,
}

/// A request that was handed out.
struct Exchange {
    id: RequestId,
    load: SealedLoad,
    /// From then on nobody waits for the answer.
    cancel_at: Instant,
}

impl InFlight {
    /// Adds a request, newer than all that are there.
    pub(super) fn push(&mut self, id: RequestId, load: SealedLoad, cancel_at: Instant) {
        self.exchanges.push(Exchange { id, load, cancel_at });
    }

    pub(super) fn remove(&mut self, id: RequestId) -> Option<SealedLoad> {
        let at = self.exchanges.iter().position(|exchange| exchange.id == id)?;
        Some(self.exchanges.remove(at).load)
    }

    /// Takes out the oldest request for whose answer nobody waits any more at `now`.
    pub(super) fn remove_overdue(&mut self, now: Instant) -> Option<(RequestId, SealedLoad)> {
        let at = self.exchanges.iter().position(|exchange| exchange.cancel_at <= now)?;
        let Exchange { id, load, .. } = self.exchanges.remove(at);
        Some((id, load))
    }

    /// Takes out the oldest request.
    pub(super) fn remove_first(&mut self) -> Option<(RequestId, SealedLoad)> {
        self.remove_overdue(Instant::FAR_FUTURE)
    }

    /// Returns when the first request is overdue.
    pub(super) fn cancel_first_at(&self) -> Option<Instant> {
        self.exchanges.iter().map(|exchange| exchange.cancel_at).min()
    }

    pub(super) fn len(&self) -> usize {
        self.exchanges.len()
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.exchanges.iter().flat_map(|exchange| exchange.load.tickets())
    }
}
