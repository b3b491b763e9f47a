//! Decisions read from fuzzed bytes.

/// Bytes that are read from the front; where they end, everything further is 0.
pub(crate) struct Input<'a> {
    bytes: &'a [u8],
}

impl<'a> Input<'a> {
    pub(crate) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.bytes.is_empty()
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.take(1).first().copied().unwrap_or_default()
    }

    pub(crate) fn flag(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    /// Reads a number below `bound`, which is at most 256.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        usize::from(self.byte()) % bound.max(1)
    }

    pub(crate) fn pick<T: Copy>(&mut self, choices: &[T]) -> T {
        choices[self.below(choices.len())]
    }

    /// Reads up to `len` bytes.
    pub(crate) fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.bytes.split_at(len.min(self.bytes.len()));
        self.bytes = rest;
        taken
    }

    /// Reads the bytes before the next `end`, which is skipped, or all there are.
    pub(crate) fn until(&mut self, end: u8) -> &'a [u8] {
        let at = self.bytes.iter().position(|byte| *byte == end);
        let taken = self.take(at.unwrap_or(self.bytes.len()));
        self.take(1);
        taken
    }

    pub(crate) fn rest(self) -> &'a [u8] {
        self.bytes
    }
}
