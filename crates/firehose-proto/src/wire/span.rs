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
    pub(crate) fn new(start: usize, len: usize) -> Option<Self> {
        let len = u32::try_from(len).ok().filter(|len| *len < u32::MAX)?;
        Some(Self { start: u32::try_from(start).ok()?, len })
    }

    /// Finds where in `text` its part `part` lies.
    pub(crate) fn of(part: &str, text: &str) -> Option<Self> {
        Self::new(part.as_ptr().addr().checked_sub(text.as_ptr().addr())?, part.len())
    }

    /// Returns the part of `text`; a span that does not fit it gives an empty one.
    pub(crate) fn of_text(self, text: &str) -> &str {
        let start = self.start as usize;
        text.get(start..start.saturating_add(self.len as usize)).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn spans_are_found_and_read() {
        let text = "one two";
        let span = Span::of(&text[4..], text).unwrap();
        assert_eq!((span, span.of_text(text)), (Span::new(4, 3).unwrap(), "two"));
    }

    #[test]
    fn a_span_that_does_not_fit_is_empty() {
        assert_eq!(Span { start: 5, len: 3 }.of_text("abc"), "");
        assert_eq!(Span { start: u32::MAX, len: u32::MAX }.of_text("abc"), "");
        assert_eq!(Span { start: 1, len: 1 }.of_text("\u{e9}"), "");
        assert_eq!(Span::new(usize::MAX, 0), None);
    }
}
