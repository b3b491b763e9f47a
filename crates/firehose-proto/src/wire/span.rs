//! A part of a text, as two numbers.

/// Where in a text a part of it lies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Two spans that are parts of no text; [`new`](Self::new) makes neither.
    pub(super) const NOWHERE: Self = Self { start: 0, len: u32::MAX };
    pub(super) const NOT_TEXT: Self = Self { start: 1, len: u32::MAX };

    /// Makes a span, if its numbers fit: bodies are smaller than 4 GiB.
    pub(super) fn new(start: usize, len: usize) -> Option<Self> {
        let len = u32::try_from(len).ok().filter(|len| *len < u32::MAX)?;
        Some(Self { start: u32::try_from(start).ok()?, len })
    }

    pub(crate) fn is_empty(self) -> bool {
        self.len == 0
    }

    /// Returns the part of `text`; a span that does not fit gives an empty one.
    #[inline]
    pub(crate) fn of(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start.saturating_add(self.len as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_read() {
        let span = Span::new(4, 3).unwrap();
        assert_eq!((span.of("one two"), span.is_empty()), ("two", false));
        assert_eq!(Span::new(usize::MAX, 0), None);
        assert_eq!(Span::new(0, u32::MAX as usize), None);
    }

    #[test]
    fn a_span_that_does_not_fit_is_empty() {
        assert_eq!(Span { start: 5, len: 3 }.of("abc"), "");
        assert_eq!(Span { start: u32::MAX, len: u32::MAX }.of("abc"), "");
        assert_eq!(Span { start: 1, len: 1 }.of("\u{e9}"), "");
    }
}
