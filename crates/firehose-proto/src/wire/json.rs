//! Reading JSON in place: simd-json's tape, walked without building a value.
//!
//! None of simd-json's types leaves this module.

use simd_json::{Buffers, Node, StaticNode, Tape, fill_tape_padded};

use super::BODY_HEADROOM_BYTES;

const _: () = assert!(BODY_HEADROOM_BYTES == simd_json::INPUT_PADDING);

/// The deepest nesting that is read; an answer of the service needs three.
const DEPTH_MAX: usize = 8;

/// The largest body whose buffers are kept; they have about fifteen times its size.
const KEPT_BYTES_MAX: usize = 1_024 * 1_024;

/// Parses, in buffers that are used again.
pub(super) struct Parser {
    buffers: Buffers,
    tape: Tape<'static>,
}

impl Parser {
    pub(super) fn new() -> Self {
        Self { buffers: Buffers::with_max_depth(0, DEPTH_MAX), tape: Tape(Vec::new()) }
    }

    /// Parses the whole of `body` in place and shows its value to `read`.
    ///
    /// Afterwards `body` is not JSON any more.
    pub(super) fn read<T>(
        &mut self,
        body: &mut Vec<u8>,
        read: impl FnOnce(Value<'_>) -> T,
    ) -> Result<T, NotJson> {
        let len = body.len();
        body.resize(len + BODY_HEADROOM_BYTES, 0);
        let mut tape = core::mem::replace(&mut self.tape, Tape(Vec::new()));
        let result = match fill_tape_padded(body, len, &mut self.buffers, &mut tape) {
            Ok(()) => Ok(read(Value { nodes: &tape.0 })),
            Err(_) => Err(NotJson),
        };
        self.tape = tape.reset();
        if len > KEPT_BYTES_MAX {
            *self = Self::new();
        }
        body.truncate(len);
        result
    }
}

/// The bytes are not one JSON value, or it is nested too deeply.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct NotJson;

/// A value of the document: the first of `nodes`, with what belongs to it behind it.
#[derive(Clone, Copy)]
pub(super) struct Value<'a> {
    nodes: &'a [Node<'a>],
}

impl<'a> Value<'a> {
    /// Returns the members of an object, in their order.
    pub(super) fn members(self) -> Option<impl Iterator<Item = (&'a str, Self)>> {
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
    pub(super) fn array_len(self) -> Option<usize> {
        match self.nodes.first() {
            Some(Node::Array { len, .. }) => Some(*len),
            _ => None,
        }
    }

    /// Returns the elements of an array, in their order; of another value, none.
    pub(super) fn elements(self) -> impl Iterator<Item = Self> {
        let mut rest = self.after(1);
        (0..self.array_len().unwrap_or(0)).map(move |_| {
            let element = rest;
            rest = element.after(element.node_count());
            element
        })
    }

    pub(super) fn is_null(self) -> bool {
        matches!(self.nodes.first(), Some(Node::Static(StaticNode::Null)))
    }

    pub(super) fn as_bool(self) -> Option<bool> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::Bool(value))) => Some(*value),
            _ => None,
        }
    }

    pub(super) fn as_u64(self) -> Option<u64> {
        match self.nodes.first() {
            Some(Node::Static(StaticNode::U64(value))) => Some(*value),
            Some(Node::Static(StaticNode::I64(value))) => u64::try_from(*value).ok(),
            _ => None,
        }
    }

    pub(super) fn as_str(self) -> Option<&'a str> {
        match self.nodes.first() {
            Some(Node::String(text)) => Some(text),
            _ => None,
        }
    }

    /// The number of nodes that make up this value.
    fn node_count(self) -> usize {
        match self.nodes.first() {
            Some(Node::Array { count, .. } | Node::Object { count, .. }) => count + 1,
            Some(Node::Static(_) | Node::String(_)) | None => 1,
        }
    }

    fn after(self, nodes: usize) -> Self {
        Self { nodes: self.nodes.get(nodes..).unwrap_or_default() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn walks_over_nested_values() {
        let mut body = br#"{"a":[1,[2,{"b":[]}],"x\ny"],"c":{"d":null},"e":true}"#.to_vec();
        let len = body.len();
        let mut parser = Parser::new();
        let text = parser
            .read(&mut body, |root| {
                let members: Vec<_> = root.members().unwrap().collect();
                assert_eq!(members.iter().map(|m| m.0).collect::<Vec<_>>(), ["a", "c", "e"]);
                assert_eq!(members[0].1.array_len(), Some(3));
                let elements: Vec<_> = members[0].1.elements().collect();
                assert_eq!(elements[0].as_u64(), Some(1));
                assert_eq!(elements[1].array_len(), Some(2));
                assert_eq!(members[2].1.as_bool(), Some(true));
                elements[2].as_str().unwrap().to_owned()
            })
            .unwrap();
        assert_eq!(text, "x\ny");
        assert_eq!(body.len(), len);
    }

    #[test]
    fn depth_is_bounded() {
        let mut parser = Parser::new();
        let nested = |depth| [vec![b'['; depth], vec![b']'; depth]].concat();
        assert!(parser.read(&mut nested(DEPTH_MAX - 1), |_| ()).is_ok());
        assert_eq!(parser.read(&mut nested(DEPTH_MAX + 2), |_| ()), Err(NotJson));
        assert_eq!(parser.read(&mut nested(1_000_000), |_| ()), Err(NotJson));
        assert_eq!(parser.read(&mut Vec::new(), |_| ()), Err(NotJson));
    }
}
