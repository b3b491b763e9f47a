//! The records that wait for their turn: those that go again first, fresh ones behind.
//!
//! Fresh records lie encoded in loads, of which the last is open. A request is, where that is
//! possible, such a load as it is; where records go again, it begins with those and is filled up
//! with fresh ones, copied from the front of the oldest load.

mod fresh;
mod pool;

use std::collections::VecDeque;

use core::time::Duration;

use super::load::{Load, LoadSize, LoadStorage, Pending, SealedLoad, Take};
use crate::batch::{Encoded, Parts};
use crate::ids::{StreamName, Ticket};
use crate::limits::Limits;
use crate::time::Instant;

use fresh::Fresh;
use pool::LoadPool;

pub(super) struct Backlog {
    limits: Limits,
    linger: Duration,
    fresh: Fresh,
    /// Sorted by when they may go.
    again: VecDeque<Again>,
    /// Fresh records before this one go without waiting for others.
    flush_before: Ticket,
    pool: LoadPool,
}

/// Records that go again at the same instant.
struct Again {
    due: Instant,
    load: Load,
}

impl Backlog {
    pub(super) fn new(stream: StreamName, limits: Limits, linger: Duration) -> Self {
        Self {
            limits,
            linger,
            fresh: Fresh::default(),
            again: VecDeque::new(),
            flush_before: Ticket::from_number(0),
            pool: LoadPool::new(stream),
        }
    }

    /// Takes a new record, whose size was checked. Returns whether [`ready_at`](Self::ready_at) or
    /// [`expires_first`](Self::expires_first) may have changed.
    #[inline]
    pub(super) fn push(&mut self, record: Pending, data: Parts<'_>) -> bool {
        let (pool, limits) = (&mut self.pool, self.limits);
        let was_opened = self.fresh.push(record, data, |size| pool.open(limits, size));
        was_opened || self.fresh.has_just_filled(limits, data.bytes())
    }

    /// Takes a record that goes again, not before `due`.
    pub(super) fn push_again(&mut self, due: Instant, record: Pending, encoded: Encoded<'_>) {
        let at = self.again.partition_point(|again| again.due <= due);
        let last = at.checked_sub(1).and_then(|last| self.again.get_mut(last));
        let last = last.filter(|again| again.due == due);
        if last.is_some_and(|again| again.load.push_encoded(record, encoded)) {
            return;
        }
        let mut load = self.open();
        load.push_encoded(record, encoded);
        self.again.insert(at, Again { due, load });
    }

    /// Takes a whole request that goes again, not before `due`.
    pub(super) fn push_load_again(&mut self, due: Instant, mut load: Load) {
        load.set_limits(self.limits);
        let at = self.again.partition_point(|again| again.due <= due);
        self.again.insert(at, Again { due, load });
    }

    /// Lets every record before `ticket` go without waiting for others.
    pub(super) fn flush(&mut self, ticket: Ticket) {
        if !canary!("never_flush") {
            self.flush_before = ticket;
        }
    }

    /// Returns what is to be sent at `now`, if anything: records that go again first, filled up
    /// with fresh ones.
    pub(super) fn next(&mut self, now: Instant) -> Option<Load> {
        let is_early = canary!("fresh_before_again") && !self.fresh.is_empty();
        let mut load = if !is_early && self.again.front().is_some_and(|again| again.due <= now) {
            let Again { due, load } = self.again.pop_front()?;
            self.whole(load, |backlog, rest| {
                backlog.again.push_front(Again { due, load: rest });
            })
        } else if self.fresh_ready_at().is_some_and(|at| at <= now) {
            let load = self.fresh.pop_front()?;
            self.whole(load, |backlog, rest| backlog.fresh.push_front(rest))
        } else {
            return None;
        };
        if !canary!("requests_not_filled") {
            self.fill(now, &mut load);
        }
        Some(load)
    }

    /// Returns `load` if it can be sent as it is, else a copy of as much as fits a request; the
    /// rest is put `back`.
    fn whole(&mut self, mut load: Load, back: impl FnOnce(&mut Self, Load)) -> Load {
        if load.is_whole() {
            return load;
        }
        let mut whole = self.open();
        load.move_into(&mut whole);
        if load.len() > 0 {
            back(self, load);
        } else {
            self.recycle(load.into_storage());
        }
        whole
    }

    /// Fills a request up with what waits.
    fn fill(&mut self, now: Instant, target: &mut Load) {
        while let Some(again) = self.again.front_mut().filter(|again| again.due <= now) {
            again.load.move_into(target);
            if again.load.len() > 0 {
                return;
            }
            self.drop_front_again();
        }
        while let Some(storage) = self.fresh.move_into(target) {
            self.pool.recycle(storage);
        }
    }

    fn drop_front_again(&mut self) {
        if let Some(again) = self.again.pop_front() {
            self.recycle(again.load.into_storage());
        }
    }

    /// Returns when the next request may go, not counting how many are under way.
    pub(super) fn ready_at(&self) -> Option<Instant> {
        let again = self.again.front().map(|again| again.due);
        [again, self.fresh_ready_at()].into_iter().flatten().min()
    }

    /// Fresh records go when they fill a request, when they are flushed, and when the oldest has
    /// waited long enough.
    fn fresh_ready_at(&self) -> Option<Instant> {
        let oldest = self.fresh.oldest()?;
        if oldest.ticket < self.flush_before || self.fresh.fills_a_request(self.limits) {
            return Some(oldest.pushed_at);
        }
        Some(oldest.pushed_at + self.linger)
    }

    /// Returns how many full requests could be made of the fresh records.
    pub(super) fn full_requests(&self) -> usize {
        self.fresh.full_requests(self.limits)
    }

    /// Returns all records that wait, in no order.
    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        let again = self.again.iter().flat_map(|again| again.load.tickets());
        self.fresh.tickets().chain(again)
    }

    /// Returns an instant before which no waiting record expires.
    pub(super) fn expires_first(&self) -> Instant {
        let again = self.again.iter().map(|again| again.load.expires_first());
        again.fold(self.fresh.expires_first(), Instant::min)
    }

    /// Takes out the records that may not be sent any more at `now`.
    pub(super) fn expire(&mut self, now: Instant, take: &mut Take<'_>) {
        for load in self.fresh.take() {
            if let Some(left) = self.without_expired(load, now, take) {
                self.fresh.push_back(left);
            }
        }
        for Again { due, load } in core::mem::take(&mut self.again) {
            let left = self.without_expired(load, now, take);
            self.again.extend(left.map(|load| Again { due, load }));
        }
    }

    /// Returns what is left of a load, if anything.
    fn without_expired(
        &mut self,
        mut load: Load,
        now: Instant,
        take: &mut Take<'_>,
    ) -> Option<Load> {
        if load.expires_first() > now {
            return Some(load);
        }
        let mut rest = self.pool.open(Limits::default(), load.size());
        load.expire(now, &mut rest, take);
        rest.set_limits(self.limits);
        self.recycle(load.into_storage());
        (rest.len() > 0).then_some(rest)
    }

    /// Takes everything out.
    pub(super) fn drain(&mut self, take: &mut Take<'_>) {
        for Again { mut load, .. } in core::mem::take(&mut self.again) {
            load.drain(take);
            self.recycle(load.into_storage());
        }
        for mut load in self.fresh.take() {
            load.drain(take);
            self.recycle(load.into_storage());
        }
    }

    /// Lowers the bounds so that a request of this shape, found too large, would be cut in two.
    pub(super) fn lower_limits(&mut self, request: &SealedLoad) {
        self.limits.lower_below(request.batch().len(), request.batch().data_bytes());
        self.fresh.set_limits(self.limits);
        for again in &mut self.again {
            again.load.set_limits(self.limits);
        }
    }

    pub(super) fn limits(&self) -> Limits {
        self.limits
    }

    /// Keeps memory for use again.
    pub(super) fn recycle(&mut self, storage: LoadStorage) {
        self.pool.recycle(storage);
    }

    fn open(&mut self) -> Load {
        self.pool.open(self.limits, LoadSize::default())
    }
}
