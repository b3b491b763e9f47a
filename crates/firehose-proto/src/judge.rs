//! Layer 2: entry *i* is record *i*, or the answer is not believed.
//!
//! A record counts as stored on exactly one condition: the answer is a success, its list is exactly
//! as long as the request's, and the record's entry has a `RecordId` that is not empty and no
//! `ErrorCode` (R5, R7). `FailedPutCount` is compared, but nothing is ever concluded from it (R6).

use core::cmp::Ordering;
use core::fmt;

use crate::wire::fault::Fault;
use crate::wire::reply::{EntrySpans, Reply, ReplyError};
use crate::wire::{INTERNAL_FAILURE, Response, Scratch, Span};

/// What an answer is worth.
///
/// ```
/// use firehose_proto::judge::{Judgement, Verdict};
/// use firehose_proto::wire::{Response, Scratch};
///
/// let body = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"id-0"}]}"#;
/// let judge = |records| {
///     Judgement::of(Response::new(200, body.to_vec()), records, &mut Scratch::new())
/// };
/// let Judgement::Records(judged) = judge(1) else { panic!() };
/// assert_eq!(judged.verdict(0), Verdict::Stored { record_id: "id-0" });
/// // One entry for two records: nobody knows which one it is about.
/// assert!(matches!(judge(2), Judgement::Unknown(_)));
/// ```
#[derive(Clone, Debug)]
#[expect(clippy::exhaustive_enums, reason = "an answer is one of the three")]
pub enum Judgement {
    /// The service answered with an error: it holds for every record of the request.
    Fault(Fault),
    /// There is a verdict for each record.
    Records(Judged),
    /// The answer is not believed: every record of the request may or may not have been stored.
    Unknown(Distrust),
}

impl Judgement {
    /// Judges the answer to a `PutRecordBatch` of `records` records.
    pub fn of(response: Response, records: usize, scratch: &mut Scratch) -> Self {
        if !response.is_success() {
            return Self::Fault(Fault::read(response, scratch));
        }
        if response.is_content_encoded() {
            return Self::Unknown(Distrust::ContentEncoding);
        }
        match Reply::parse(response.into_body(), records, scratch) {
            Ok(reply) => Self::of_reply(reply, records),
            Err(error) => Self::Unknown(Distrust::Reply(error)),
        }
    }

    /// Judges an answer of success that was read already.
    pub fn of_reply(reply: Reply, records: usize) -> Self {
        let fits = match reply.len().cmp(&records) {
            Ordering::Less => canary!("accept_short_list"),
            Ordering::Equal => true,
            Ordering::Greater => canary!("accept_long_list"),
        };
        if !fits {
            return Self::Unknown(Distrust::EntryCount { entries: reply.len(), records });
        }
        let anomalies = Anomalies::of(&reply);
        Self::Records(Judged { reply, anomalies })
    }
}

/// Why an answer of success is not believed.
///
/// ```
/// use firehose_proto::judge::{Distrust, Judgement};
/// use firehose_proto::wire::{Response, Scratch};
///
/// let body = br#"{"FailedPutCount":0,"RequestResponses":[]}"#.to_vec();
/// let judgement = Judgement::of(Response::new(200, body), 1, &mut Scratch::new());
/// let Judgement::Unknown(distrust) = judgement else { panic!() };
/// assert_eq!(distrust, Distrust::EntryCount { entries: 0, records: 1 });
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Distrust {
    /// The body has a content encoding, which was never asked for.
    ContentEncoding,
    /// The number of results is not the number of records.
    EntryCount {
        /// The number of results.
        entries: usize,
        /// The number of records in the request.
        records: usize,
    },
    /// The body is not an answer of the service.
    Reply(ReplyError),
}

impl fmt::Display for Distrust {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::ContentEncoding => {
                f.write_str("the answer has a content encoding that was not asked for")
            }
            Self::EntryCount { entries, records } => {
                write!(f, "the answer has {entries} results for {records} records")
            }
            Self::Reply(error) => error.fmt(f),
        }
    }
}

impl core::error::Error for Distrust {}

/// An answer with as many entries as the request had records.
///
/// ```
/// use firehose_proto::judge::{Judgement, Verdict};
/// use firehose_proto::wire::{Response, Scratch};
///
/// let body = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"},{"ErrorCode":"X"}]}"#;
/// let judgement = Judgement::of(Response::new(200, body.to_vec()), 2, &mut Scratch::new());
/// let Judgement::Records(judged) = judgement else { panic!() };
/// assert!(matches!(judged.verdict(1), Verdict::Failed { code: "X", .. }));
/// // The count does not fit the entries, which is noticed and changes nothing.
/// assert!(judged.anomalies().inconsistent_count);
/// ```
#[derive(Clone, Debug)]
pub struct Judged {
    reply: Reply,
    anomalies: Anomalies,
}

impl Judged {
    /// Returns the verdict on the record at `index`, counted from 0; beyond the last it is unknown.
    pub fn verdict(&self, index: usize) -> Verdict<'_> {
        let text = self.reply.text();
        let entry = self.reply.spans().get(index);
        entry.map_or(Verdict::Unknown, |entry| VerdictSpans::of(entry, text).show(text))
    }

    /// Returns the verdicts in the order of the request.
    #[inline]
    pub fn verdicts(&self) -> impl ExactSizeIterator<Item = Verdict<'_>> {
        self.verdict_spans().map(|verdict| verdict.show(self.reply.text()))
    }

    /// Returns the verdicts in the order of the request, as parts of the reply's text.
    #[inline]
    pub(crate) fn verdict_spans(&self) -> impl ExactSizeIterator<Item = VerdictSpans> {
        let trusts = canary!("trust_failed_put_count") && self.reply.failed_put_count() == Some(0);
        self.reply.spans().iter().map(move |entry| match trusts {
            true => VerdictSpans::Stored { record_id: Span::default() },
            false => VerdictSpans::of(entry, self.reply.text()),
        })
    }

    /// Returns what does not fit together in the answer, though each entry can be believed.
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies
    }

    /// Returns the answer.
    pub fn reply(&self) -> &Reply {
        &self.reply
    }

    /// Gives the answer back, so that its memory can be used again.
    pub fn into_reply(self) -> Reply {
        self.reply
    }
}

/// What an answer says about one record.
///
/// ```
/// use firehose_proto::judge::Verdict;
///
/// /// Says whether a record has to go again.
/// fn goes_again(verdict: Verdict<'_>) -> bool {
///     !matches!(verdict, Verdict::Stored { .. })
/// }
/// assert!(goes_again(Verdict::Unknown));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "yes, no, or nobody knows")]
pub enum Verdict<'a> {
    /// The service did not store it, or says so.
    Failed {
        /// The service's `ErrorCode`, as it came.
        code: &'a str,
        /// The service's words on it.
        message: Option<&'a str>,
        /// It may have been stored all the same: the code is that of an internal failure (R10), or
        /// a `RecordId` stands beside it.
        may_be_stored: bool,
    },
    /// It is stored.
    Stored {
        /// The identifier that the service gave it.
        record_id: &'a str,
    },
    /// The entry says neither.
    Unknown,
}

/// A verdict whose texts are parts of the answer's.
#[derive(Clone, Copy)]
pub(crate) enum VerdictSpans {
    Failed { code: Span, message: Option<Span>, may_be_stored: bool },
    Stored { record_id: Span },
    Unknown,
}

impl VerdictSpans {
    /// Judges one entry.
    #[inline]
    fn of(entry: &EntrySpans, text: &str) -> Self {
        let (code, record_id) = (entry.error_code.text(), entry.record_id.text());
        match (code, record_id) {
            (None, Some(record_id))
                if entry.error_code.is_absent()
                    && (!record_id.is_empty() || canary!("empty_id_stored")) =>
            {
                Self::Stored { record_id }
            }
            (_, Some(record_id)) if canary!("error_with_id_stored") => Self::Stored { record_id },
            (Some(code), _) if !code.is_empty() => {
                let has_id = !entry.record_id.is_absent() && !record_id.is_some_and(Span::is_empty);
                let may_be_stored = has_id || code.of(text) == INTERNAL_FAILURE;
                Self::Failed { code, message: entry.error_message.text(), may_be_stored }
            }
            _ => Self::Unknown,
        }
    }

    #[inline]
    fn show(self, text: &str) -> Verdict<'_> {
        match self {
            Self::Failed { code, message, may_be_stored } => Verdict::Failed {
                code: code.of(text),
                message: message.map(|message| message.of(text)),
                may_be_stored,
            },
            Self::Stored { record_id } => Verdict::Stored { record_id: record_id.of(text) },
            Self::Unknown => Verdict::Unknown,
        }
    }
}

/// What does not fit together in an answer whose entries can be believed one by one.
///
/// ```
/// use firehose_proto::judge::Anomalies;
///
/// let anomalies = Anomalies::default();
/// assert!(!anomalies.duplicate_id && !anomalies.inconsistent_count);
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq)]
#[non_exhaustive]
pub struct Anomalies {
    /// Two records have the same `RecordId`.
    pub duplicate_id: bool,
    /// `FailedPutCount` is missing or not the number of entries with an `ErrorCode`.
    pub inconsistent_count: bool,
}

impl Anomalies {
    fn of(reply: &Reply) -> Self {
        Self {
            duplicate_id: has_duplicate_id(reply),
            inconsistent_count: reply.failed_put_count() != u64::try_from(reply.errors()).ok(),
        }
    }
}

/// The slots of the table below; a power of two, at least twice the records of a request.
const SLOTS: usize = 1_024;

/// An identifier in the table below.
#[derive(Clone, Copy)]
struct Slot {
    /// The number of its entry, counted from 1; 0 marks a free slot.
    number: u16,
    /// A part of its hash that did not choose the slot.
    tag: u16,
}

/// Looks each identifier up among the ones before it, in an open table on the stack.
fn has_duplicate_id(reply: &Reply) -> bool {
    let mut table = [Slot { number: 0, tag: 0 }; SLOTS];
    let mut steps = 0;
    for (number, entry) in (1..).zip(reply.spans().iter().take(SLOTS / 2)) {
        let id = id_of(entry, reply);
        if id.is_empty() {
            continue;
        }
        let (mut at, tag) = hash(id);
        while table[at].number > 0 {
            let earlier = reply.spans().get(usize::from(table[at].number) - 1);
            if table[at].tag == tag && earlier.is_some_and(|earlier| id_of(earlier, reply) == id) {
                return true;
            }
            at = (at + 1) % SLOTS;
            steps += 1;
            if steps > SLOTS {
                return has_duplicate_among_sorted(reply);
            }
        }
        table[at] = Slot { number, tag };
    }
    false
}

/// Sorts the identifiers: for those that were made to meet in the table above.
fn has_duplicate_among_sorted(reply: &Reply) -> bool {
    let mut ids = [""; SLOTS / 2];
    for (slot, entry) in ids.iter_mut().zip(reply.spans()) {
        *slot = id_of(entry, reply);
    }
    ids.sort_unstable();
    ids.windows(2).any(|pair| !pair[0].is_empty() && pair[0] == pair[1])
}

/// Returns the identifier in an entry, empty where there is none.
fn id_of<'a>(entry: &EntrySpans, reply: &'a Reply) -> &'a str {
    entry.record_id.text().map_or("", |id| id.of(reply.text()))
}

/// A cheap hash of an identifier's last 8 bytes, where those of one answer differ: a slot, and a tag.
#[expect(clippy::cast_possible_truncation, reason = "parts of a number are asked for")]
fn hash(id: &str) -> (usize, u16) {
    let tail = match id.as_bytes().last_chunk() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => id.bytes().fold(0, |tail, byte| tail << 8 | u64::from(byte)),
    };
    let hash = tail.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    ((hash >> 54) as usize % SLOTS, (hash >> 32) as u16)
}

#[cfg(test)]
mod tests;
