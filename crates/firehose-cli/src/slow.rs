//! A source for tests that gives its bytes in small steps.

use std::io::{self, Read};

/// A source that gives at most `step` bytes at once.
pub(crate) struct Slow<'a> {
    pub(crate) rest: &'a [u8],
    pub(crate) step: usize,
}

impl Read for Slow<'_> {
    fn read(&mut self, room: &mut [u8]) -> io::Result<usize> {
        let len = self.rest.len().min(self.step).min(room.len());
        room[..len].copy_from_slice(&self.rest[..len]);
        self.rest = &self.rest[len..];
        Ok(len)
    }
}
