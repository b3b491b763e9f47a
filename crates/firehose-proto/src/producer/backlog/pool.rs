//! Where loads come from and where their memory goes.

use crate::ids::StreamName;
use crate::limits::Limits;
use crate::producer::load::{Load, LoadSize, LoadStorage};

/// The most memory of loads that is kept for use again.
const SPARE_BYTES_MAX: usize = 16 * 1_024 * 1_024;

/// Opens loads of a stream, in memory of those that came to their end.
pub(super) struct LoadPool {
    stream: StreamName,
    spare: Vec<LoadStorage>,
    spare_bytes: usize,
}

impl LoadPool {
    pub(super) fn new(stream: StreamName) -> Self {
        Self { stream, spare: Vec::new(), spare_bytes: 0 }
    }

    /// Opens a load that will probably grow to `size`.
    pub(super) fn open(&mut self, limits: Limits, size: LoadSize) -> Load {
        let mut storage = self.spare.pop().unwrap_or_default();
        self.spare_bytes -= storage.bytes();
        storage.reserve(size);
        Load::new(&self.stream, limits, storage)
    }

    /// Keeps memory for use again.
    pub(super) fn recycle(&mut self, storage: LoadStorage) {
        let spare_bytes = self.spare_bytes + storage.bytes();
        if spare_bytes <= SPARE_BYTES_MAX {
            self.spare_bytes = spare_bytes;
            self.spare.push(storage);
        }
    }
}
