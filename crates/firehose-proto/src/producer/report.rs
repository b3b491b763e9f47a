//! What became of records: one outcome for each, in the order of their request.

use core::fmt;

use super::load::Pending;
use crate::batch::Encoded;
use crate::ids::Ticket;
use crate::judge::Anomalies;
use crate::retry::Class;
use crate::wire::Span;
use crate::wire::fault::Fault;

/// The outcomes that one answer decided, or one moment at which records were given up.
///
/// Identifiers are read out of the answer that the report owns; the data of undelivered records is
/// there in base64 and decoded on demand. `Debug` shows neither.
///
/// ```
/// use firehose_proto::producer::Report;
///
/// let report = Report::default();
/// assert!(report.is_empty() && report.request_id().is_none());
/// ```
#[derive(Default)]
pub struct Report {
    /// The text of the answer, in which identifiers, codes and messages lie.
    text: String,
    anomalies: Anomalies,
    fault: Option<Fault>,
    request_id: Option<Box<str>>,
    entries: Vec<Entry>,
    undelivered: Vec<Undelivered>,
    /// The base64 of the undelivered records, one behind the other.
    base64: Vec<u8>,
}

struct Entry {
    ticket: Ticket,
    attempts: u8,
    /// It may be stored twice if it was delivered, and once if it was not.
    is_doubtful: bool,
    fate: Fate,
}

#[derive(Clone, Copy)]
enum Fate {
    /// With this identifier.
    Delivered(Span),
    /// With more in `undelivered`, at this index.
    Undelivered(u32),
}

#[derive(Clone, Copy)]
struct Undelivered {
    reason: Reason,
    last: Last,
    /// Where its base64 begins.
    start: usize,
    data_bytes: usize,
}

/// Why a record was given up.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Reason {
    Abandoned,
    Exhausted,
    Expired,
    Rejected,
}

/// How the last attempt at a record ended.
#[derive(Clone, Copy)]
pub(super) enum Last {
    /// In an earlier request; what is still known of it.
    Earlier(Option<Class>),
    /// In the request of this report, by its entry in the answer.
    Entry { class: Class, code: Option<Span>, message: Option<Span> },
    /// In the request of this report, as a whole.
    Request(Class),
}

impl Report {
    pub(super) fn new(request_id: Option<Box<str>>) -> Self {
        Self { request_id, ..Self::default() }
    }

    pub(super) fn reserve(&mut self, records: usize) {
        self.entries.reserve_exact(records);
    }

    /// Adds a record that was stored under the identifier that lies there in the answer's text.
    pub(super) fn delivered(&mut self, record: &Pending, record_id: Span) {
        self.push(record, Fate::Delivered(record_id));
    }

    pub(super) fn undelivered(
        &mut self,
        record: &Pending,
        reason: Reason,
        last: Last,
        encoded: Encoded<'_>,
    ) {
        let (start, data_bytes) = (self.base64.len(), encoded.data_bytes());
        self.base64.extend_from_slice(encoded.base64());
        let index = u32::try_from(self.undelivered.len()).unwrap_or(u32::MAX);
        self.undelivered.push(Undelivered { reason, last, start, data_bytes });
        self.push(record, Fate::Undelivered(index));
    }

    fn push(&mut self, record: &Pending, fate: Fate) {
        let &Pending { ticket, attempts, may_be_stored: is_doubtful, .. } = record;
        self.entries.push(Entry { ticket, attempts, is_doubtful, fate });
    }

    /// Takes the text of the answer, and what did not fit together in it.
    pub(super) fn set_answer(&mut self, text: String, anomalies: Anomalies) {
        self.text = text;
        self.anomalies = anomalies;
    }

    pub(super) fn set_fault(&mut self, fault: Fault) {
        self.fault = Some(fault);
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the records with their outcomes.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = Settled<'_>> {
        self.entries.iter().map(|entry| Settled { report: self, entry })
    }

    /// Returns the service's identifier of the request, by which AWS's support finds it.
    pub fn request_id(&self) -> Option<&str> {
        self.request_id.as_deref()
    }

    /// Returns the error that the service answered, where it refused the whole request.
    pub fn fault(&self) -> Option<&Fault> {
        self.fault.as_ref()
    }

    /// Returns what did not fit together in the answer.
    pub fn anomalies(&self) -> Anomalies {
        self.anomalies
    }
}

impl fmt::Debug for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Report")
            .field("records", &self.entries.len())
            .field("request_id", &self.request_id)
            .field("fault", &self.fault)
            .finish_non_exhaustive()
    }
}

/// A record that has its outcome.
///
/// ```
/// use firehose_proto::producer::{Outcome, Report};
///
/// /// Says which records are lost for sure, as far as the client can know.
/// fn lost(report: &Report) -> Vec<Vec<u8>> {
///     let certain = |outcome: &Outcome<'_>| {
///         matches!(outcome, Outcome::Failed { may_be_delivered: false, .. })
///     };
///     report.iter().filter(|r| certain(&r.outcome())).filter_map(|r| r.data()).collect()
/// }
/// assert!(lost(&Report::default()).is_empty());
/// ```
#[derive(Clone, Copy)]
pub struct Settled<'a> {
    report: &'a Report,
    entry: &'a Entry,
}

impl<'a> Settled<'a> {
    /// Returns the ticket that `push` gave.
    pub fn ticket(&self) -> Ticket {
        self.entry.ticket
    }

    /// Returns how often the record was sent, not counting attempts that were free of charge.
    pub fn attempts(&self) -> u8 {
        self.entry.attempts
    }

    /// Returns what became of the record.
    pub fn outcome(&self) -> Outcome<'a> {
        match self.entry.fate {
            Fate::Delivered(id) => Outcome::Delivered {
                record_id: id.of(&self.report.text),
                may_be_duplicate: self.entry.is_doubtful,
            },
            Fate::Undelivered(index) => {
                let Undelivered { reason, last, .. } = self.report.undelivered[index as usize];
                let may_be_delivered = self.entry.is_doubtful;
                Outcome::Failed { why: self.why(reason, last), may_be_delivered }
            }
        }
    }

    /// Returns the data of the record, unless it was delivered.
    pub fn data(&self) -> Option<Vec<u8>> {
        Some(self.encoded()?.decode())
    }

    /// Returns the data of the record in base64, unless it was delivered.
    pub fn encoded(&self) -> Option<Encoded<'a>> {
        let Fate::Undelivered(index) = self.entry.fate else { return None };
        let Undelivered { start, data_bytes, .. } = self.report.undelivered[index as usize];
        Encoded::within(&self.report.base64, start, data_bytes)
    }

    fn why(&self, reason: Reason, last: Last) -> Why<'a> {
        let last = self.cause(last);
        match reason {
            Reason::Abandoned => Why::Abandoned { last },
            Reason::Exhausted => Why::Exhausted { last },
            Reason::Expired => Why::Expired { last },
            Reason::Rejected => Why::Rejected { last },
        }
    }

    fn cause(&self, last: Last) -> Option<Cause<'a>> {
        let text = |span: Option<Span>| Some(span?.of(&self.report.text));
        let fault = self.report.fault.as_ref();
        Some(match last {
            Last::Earlier(class) => Cause { class: class?, code: None, message: None },
            Last::Entry { class, code, message } => {
                Cause { class, code: text(code), message: text(message) }
            }
            Last::Request(class) => Cause {
                class,
                code: fault.and_then(Fault::code),
                message: fault.and_then(Fault::message),
            },
        })
    }
}

impl fmt::Debug for Settled<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settled")
            .field("ticket", &self.ticket())
            .field("attempts", &self.attempts())
            .field("outcome", &self.outcome())
            .finish()
    }
}

/// What became of a record.
///
/// ```
/// use firehose_proto::producer::Outcome;
///
/// let outcome = Outcome::Delivered { record_id: "id-0", may_be_duplicate: false };
/// let is_certain = match outcome {
///     Outcome::Delivered { may_be_duplicate, .. } => !may_be_duplicate,
///     Outcome::Failed { may_be_delivered, .. } => !may_be_delivered,
/// };
/// assert!(is_certain);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a record is delivered or it is not")]
pub enum Outcome<'a> {
    /// The service said that it stored the record.
    Delivered {
        /// The service's identifier of the record.
        record_id: &'a str,
        /// An earlier attempt may have stored it as well (R10, R12).
        may_be_duplicate: bool,
    },
    /// The record was given up.
    Failed {
        /// Why.
        why: Why<'a>,
        /// Some attempt may have stored it all the same (R10).
        may_be_delivered: bool,
    },
}

/// Why a record was given up, and how the last attempt at it ended; none was made where there is no
/// cause.
///
/// ```
/// use firehose_proto::producer::Why;
///
/// let why = Why::Expired { last: None };
/// assert_eq!((why.name(), why.to_string().as_str()), ("expired", "expired"));
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Why<'a> {
    /// The producer was told to give up what it held.
    Abandoned {
        /// How the last attempt ended.
        last: Option<Cause<'a>>,
    },
    /// It was sent as often as the policy allows.
    Exhausted {
        /// How the last attempt ended.
        last: Option<Cause<'a>>,
    },
    /// Its time was over.
    Expired {
        /// How the last attempt ended.
        last: Option<Cause<'a>>,
    },
    /// The service refuses it for good.
    Rejected {
        /// How the last attempt ended, or the attempt at another record that decided for this one.
        last: Option<Cause<'a>>,
    },
}

impl<'a> Why<'a> {
    /// Returns one word for it: `abandoned`, `exhausted`, `expired` or `rejected`.
    pub fn name(&self) -> &'static str {
        match self {
            Self::Abandoned { .. } => "abandoned",
            Self::Exhausted { .. } => "exhausted",
            Self::Expired { .. } => "expired",
            Self::Rejected { .. } => "rejected",
        }
    }

    /// Returns how the last attempt ended.
    pub fn last(&self) -> Option<Cause<'a>> {
        match *self {
            Self::Abandoned { last }
            | Self::Exhausted { last }
            | Self::Expired { last }
            | Self::Rejected { last } => last,
        }
    }
}

impl fmt::Display for Why<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())?;
        match self.last() {
            Some(last) => write!(f, ": {last}"),
            None => Ok(()),
        }
    }
}

/// How an attempt ended.
///
/// ```
/// use firehose_proto::producer::{Cause, Outcome};
/// use firehose_proto::retry::Class;
///
/// /// Says whether a record was given up because the stream is asked too much of.
/// fn was_throttled(outcome: &Outcome<'_>) -> bool {
///     let Outcome::Failed { why, .. } = outcome else { return false };
///     why.last().is_some_and(|cause: Cause<'_>| cause.class == Class::Throttled)
/// }
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Cause<'a> {
    /// What it means.
    pub class: Class,
    /// The service's error code, if it gave one that is still known.
    pub code: Option<&'a str>,
    /// The service's words on it.
    pub message: Option<&'a str>,
}

impl fmt::Display for Cause<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.code {
            Some(code) => write!(f, "{}", code.escape_debug())?,
            None => write!(f, "{}", self.class)?,
        }
        if let Some(message) = self.message {
            write!(f, ": {}", message.escape_debug())?;
        }
        Ok(())
    }
}
