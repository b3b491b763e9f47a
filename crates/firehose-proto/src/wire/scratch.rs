//! Memory that reading uses again.

use core::fmt;

use super::json::Parser;
use super::reply::{EntrySpans, Reply};

/// Buffers that reading uses again, so that a steady stream of answers allocates nothing for them.
///
/// ```
/// use firehose_proto::wire::Scratch;
/// use firehose_proto::wire::reply::Reply;
///
/// let mut scratch = Scratch::new();
/// for body in [r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#; 2] {
///     let reply = Reply::parse(body.into(), 1, &mut scratch)?;
///     assert_eq!(reply.len(), 1);
///     scratch.recycle(reply);
/// }
/// # Ok::<(), firehose_proto::wire::reply::ReplyError>(())
/// ```
pub struct Scratch {
    pub(super) parser: Parser,
    pub(super) entries: Vec<EntrySpans>,
}

impl Scratch {
    /// Makes empty buffers.
    pub fn new() -> Self {
        Self { parser: Parser::new(), entries: Vec::new() }
    }

    /// Takes the memory of an answer that is done with, and gives that of its body back.
    pub fn recycle(&mut self, reply: Reply) -> Vec<u8> {
        self.recycle_entries(reply).into_bytes()
    }

    /// As [`recycle`](Self::recycle), and keeps the text.
    pub(crate) fn recycle_entries(&mut self, reply: Reply) -> String {
        let (text, entries) = reply.into_parts();
        self.entries = entries;
        text
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
