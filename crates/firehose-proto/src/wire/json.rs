//! Reading JSON in place: simd-json's tape, walked without building a value.
//!
//! simd-json leaves the text of every string inside the bytes it was given, so a string is
//! remembered as a [`Span`] of the body and read later. None of its types leaves this module.

use core::fmt;

use simd_json::{Buffers, Node, StaticNode, Tape, fill_tape_padded};

use super::BODY_HEADROOM_BYTES;

const _: () = assert!(BODY_HEADROOM_BYTES == simd_json::INPUT_PADDING);

/// The deepest nesting that is read; an answer of the service needs three.
const DEPTH_MAX: usize = 8;

/// Buffers that parsing uses again, so that a steady stream of answers allocates nothing for them.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::Reply;
///
/// let mut scratch = Scratch::new();
/// let body = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#;
/// let reply = Reply::parse(body.to_vec(), 1, &mut scratch)?;
/// assert_eq!(reply.len(), 1);
/// # Ok::<(), firehose_proto::wire::reply::ReplyError>(())
/// ```
pub struct Scratch {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Scratch {
    /// Makes empty buffers.
    pub fn new() -> Self {
        Self { buffers: Buffers::with_max_depth(0, DEPTH_MAX), tape: Tape(Vec::new()) }
    }

    /// Parses the whole of `body` in place and shows its value to `read`.
    ///
    /// Afterwards `body` holds the texts of its strings, but is not JSON any more.
    pub(crate) fn read<T>(
        &mut self,
        body: &mut Vec<u8>,
        read: impl FnOnce(Value<'_>) -> T,
    ) -> Result<T, NotJson> {
        let len = body.len();
        body.resize(len + BODY_HEADROOM_BYTES, 0);
        let origin = body.as_ptr().addr();
        let mut tape = core::mem::replace(&mut self.tape, Tape(Vec::new()));
        let result = match fill_tape_padded(body, len, &mut self.buffers, &mut tape) {
            Ok(()) => Ok(read(Value { nodes: &tape.0, origin })),
            Err(_) => Err(NotJson),
        };
        self.tape = tape.reset();
        body.truncate(len);
        result
    }
}

impl Default for Scratch {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Scratch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Scratch").finish_non_exhaustive()
    }
}

/// The bytes are not one JSON value, or it is nested too deeply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct NotJson;

/// Where in a body a text lies.
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
pub(crate) struct Span {
    start: u32,
    len: u32,
}

impl Span {
    /// Returns the text; a span that does not fit the body gives an empty one.
    pub(crate) fn text(self, body: &[u8]) -> &str {
        let start = self.start as usize;
        let bytes = body.get(start..start.saturating_add(self.len as usize)).unwrap_or_default();
        str::from_utf8(bytes).unwrap_or_default()
    }
}

/// A value of the document: the first of `nodes`, with what belongs to it behind it.
#[derive(Clone, Copy)]
pub(crate) struct Value<'a> {
    nodes: &'a [Node<'a>],
    origin: usize,
}

impl<'a> Value<'a> {
    /// Returns the members of an object, in their order.
    pub(crate) fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
        let Some(Node::Object { len, .. }) = self.nodes.first() else { return None };
        let mut rest = self.after(1);
        Some((0..*len).map_while(move |_| {
            let Some(Node::String(key)) = rest.nodes.first() else { return None };
            let value = rest.after(1);
            rest = value.after(value.node_count());
            Some((*key, value))
        }))
    }

    /// Returns the number of elements of an array.
    pub(crate) fn array_len(self) -> Option<usize> {
        match self.nodes.first() {
            Some(Node::Array { len, .. }) => Some(*len),
            _ => None,
        }
    }

    /// Returns the elements of an array, in their order; of another value, none.
    pub(crate) fn elements(self) -> impl Iterator<Item = Self> {
        let mut rest = self.after(1);
        (0..self.array_len().unwrap_or(0)).map(move |_| {
            let element = rest;
            rest = element.after(element.node_count());
            element
        })
    }

    pub(crate) fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Static(StaticNode::Null)))
    }

    pub(crate) fn as_bool(self) -> Option<bool> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    pub(crate) fn as_u64(self) -> Option<u64> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::U64(value))) => Some(*value),
            Some(Node::Static(StaticNode::I64(value))) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(crate) fn as_str(self) -> Option<&'a str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// Returns where in the body a string lies.
    pub(crate) fn as_span(self) -> Option<Span> {
        let text = self.as_str()?;
        let start = u32::try_from(text.as_ptr().addr().checked_sub(self.origin)?).ok()?;
        Some(Span { start, len: u32::try_from(text.len()).ok()? })
    }

    /// The number of nodes that make up this value.
    fn node_count(self) -> usize {
        match self.nodes.first() {
            Some(Node::Array { count, .. } | Node::Object { count, .. }) => count + 1,
            Some(Node::Static(_) | Node::String(_)) | None => 1,
        }
    }

    fn after(self, nodes: usize) -> Self {
        Self { nodes: self.nodes.get(nodes..).unwrap_or_default(), origin: self.origin }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_over_nested_values() {
        let mut body = br#"{"a":[1,[2,{"b":[]}],"x\ny"],"c":{"d":null},"e":true}"#.to_vec();
        let len = body.len();
        let mut scratch = Scratch::new();
        let span = scratch
            .read(&mut body, |root| {
                let members: Vec<_> = root.members().unwrap().collect();
                assert_eq!(members.iter().map(|m| m.0).collect::<Vec<_>>(), ["a", "c", "e"]);
                assert_eq!(members[0].1.array_len(), Some(3));
                let elements: Vec<_> = members[0].1.elements().collect();
                assert_eq!(elements[0].as_u64(), Some(1));
                assert_eq!(elements[1].array_len(), Some(2));
                assert_eq!(members[2].1.as_bool(), Some(true));
                elements[2].as_span().unwrap()
            })
            .unwrap();
        assert_eq!(span.text(&body), "x\ny");
        assert_eq!(body.len(), len);
    }

    #[test]
    fn depth_is_bounded() {
        let mut scratch = Scratch::new();
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(scratch.read(&mut nested(DEPTH_MAX - 1), |_| ()).is_ok());
        assert_eq!(scratch.read(&mut nested(DEPTH_MAX + 2), |_| ()), Err(NotJson));
        assert_eq!(scratch.read(&mut nested(1_000_000), |_| ()), Err(NotJson));
        assert_eq!(scratch.read(&mut Vec::new(), |_| ()), Err(NotJson));
    }

    #[test]
    fn a_span_that_does_not_fit_is_empty() {
        assert_eq!(Span { start: 5, len: 3 }.text(b"abc"), "");
        assert_eq!(Span { start: u32::MAX, len: u32::MAX }.text(b"abc"), "");
    }
}
