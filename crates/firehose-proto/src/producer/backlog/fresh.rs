//! Records that were never sent, in the order in which they were pushed.

use std::collections::VecDeque;

use crate::batch::Parts;
use crate::ids::Ticket;
use crate::limits::Limits;
use crate::producer::load::{Load, LoadSize, LoadStorage, Pending};
use crate::time::Instant;

/// Loads of fresh records, of which the last is open, and what they hold together.
#[derive(Default)]
pub(super) struct Fresh {
    loads: VecDeque<Load>,
    records: usize,
    data_bytes: usize,
}

impl Fresh {
    /// Adds a record to the open load, or to one that is opened for it, probably of the size of the
    /// one before. Returns whether one was.
    #[inline]
    pub(super) fn push(
        &mut self,
        record: Pending,
        data: Parts<'_>,
        open: impl FnOnce(LoadSize) -> Load,
    ) -> bool {
        self.records += 1;
        self.data_bytes += data.bytes();
        let mut size = LoadSize::default();
        if let Some(load) = self.loads.back_mut() {
            if load.push(record, data) {
                return false;
            }
            load.close();
            size = load.size();
        }
        let mut load = open(size);
        load.push(record, data);
        self.loads.push_back(load);
        true
    }

    /// Returns whether the last record, of this size, was the one that filled a request.
    #[inline]
    pub(super) fn has_just_filled(&self, limits: Limits, data_bytes: usize) -> bool {
        let bytes_max = limits.request_bytes_max();
        self.records == limits.records_max()
            || (self.data_bytes >= bytes_max && self.data_bytes - data_bytes < bytes_max)
    }

    pub(super) fn push_front(&mut self, load: Load) {
        self.count_in(&load);
        self.loads.push_front(load);
    }

    pub(super) fn push_back(&mut self, load: Load) {
        self.count_in(&load);
        self.loads.push_back(load);
    }

    fn count_in(&mut self, load: &Load) {
        self.records += load.len();
        self.data_bytes += load.data_bytes();
    }

    pub(super) fn pop_front(&mut self) -> Option<Load> {
        let load = self.loads.pop_front()?;
        self.count_out(&load);
        Some(load)
    }

    fn count_out(&mut self, load: &Load) {
        self.records -= load.len();
        self.data_bytes -= load.data_bytes();
    }

    /// Moves as many records as fit, from the front, to the end of `target`. Returns the memory of a
    /// load that became empty.
    pub(super) fn move_into(&mut self, target: &mut Load) -> Option<LoadStorage> {
        let load = self.loads.front_mut()?;
        let (records, data_bytes) = (load.len(), load.data_bytes());
        load.move_into(target);
        self.records -= records - load.len();
        self.data_bytes -= data_bytes - load.data_bytes();
        if load.len() > 0 { None } else { self.loads.pop_front().map(Load::into_storage) }
    }

    pub(super) fn is_empty(&self) -> bool {
        self.loads.is_empty()
    }

    /// Takes all loads out.
    pub(super) fn take(&mut self) -> VecDeque<Load> {
        core::mem::take(self).loads
    }

    /// Returns whether what is there fills a request.
    pub(super) fn fills_a_request(&self, limits: Limits) -> bool {
        self.records >= limits.records_max()
            || self.data_bytes >= limits.request_bytes_max()
            || self.loads.front().is_some_and(Load::is_full)
    }

    /// Returns how many full requests could be made of what is there.
    pub(super) fn full_requests(&self, limits: Limits) -> usize {
        let by_records = self.records / limits.records_max().max(1);
        by_records.max(self.data_bytes / limits.request_bytes_max().max(1))
    }

    /// Returns the oldest record.
    pub(super) fn oldest(&self) -> Option<&Pending> {
        self.loads.front()?.oldest()
    }

    /// Returns an instant before which no record expires.
    pub(super) fn expires_first(&self) -> Instant {
        self.loads.front().map_or(Instant::FAR_FUTURE, Load::expires_first)
    }

    pub(super) fn tickets(&self) -> impl Iterator<Item = Ticket> {
        self.loads.iter().flat_map(Load::tickets)
    }

    pub(super) fn set_limits(&mut self, limits: Limits) {
        for load in &mut self.loads {
            load.set_limits(limits);
        }
    }
}
