//! What became of records: one outcome for each, in the order of their request.

use core::fmt;

use super::load::Pending;
use crate::batch::Encoded;
use crate::ids::Ticket;
use crate::judge::{Anomalies, Judged, Verdict};
use crate::retry::Class;
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
    judged: Option<Judged>,
    fault: Option<Fault>,
    request_id: Option<Box<str>>,
    entries: Vec<Entry>,
    /// The base64 of the undelivered records, one behind the other.
    undelivered: Vec<u8>,
}

struct Entry {
    ticket: Ticket,
    attempts: u8,
    fate: Fate,
}

#[derive(Clone, Copy)]
enum Fate {
    Delivered { entry: usize, may_be_duplicate: bool },
    Undelivered { reason: Reason, last: Last, may_be_delivered: bool, data: Data },
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
    Entry(usize, Class),
    /// In the request of this report, as a whole.
    Request(Class),
}

/// Where the data of an undelivered record lies.
#[derive(Clone, Copy)]
struct Data {
    start: usize,
    data_bytes: usize,
}

impl Report {
    pub(super) fn new(request_id: Option<Box<str>>) -> Self {
        Self { request_id, ..Self::default() }
    }

    pub(super) fn reserve(&mut self, records: usize) {
        self.entries.reserve_exact(records);
    }

    pub(super) fn delivered(&mut self, record: &Pending, entry: usize) {
        let fate = Fate::Delivered { entry, may_be_duplicate: record.may_be_stored };
        self.entries.push(Entry { ticket: record.ticket, attempts: record.attempts, fate });
    }

    pub(super) fn undelivered(
        &mut self,
        record: &Pending,
        reason: Reason,
        last: Last,
        encoded: Encoded<'_>,
    ) {
        let data = Data { start: self.undelivered.len(), data_bytes: encoded.data_bytes() };
        self.undelivered.extend_from_slice(encoded.base64());
        let may_be_delivered = record.may_be_stored;
        let fate = Fate::Undelivered { reason, last, may_be_delivered, data };
        self.entries.push(Entry { ticket: record.ticket, attempts: record.attempts, fate });
    }

    pub(super) fn set_judged(&mut self, judged: Judged) {
        self.judged = Some(judged);
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
        self.judged.as_ref().map(Judged::anomalies).unwrap_or_default()
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
            Fate::Delivered { entry, may_be_duplicate } => {
                let record_id = match self.verdict(entry) {
                    Some(Verdict::Stored { record_id }) => record_id,
                    Some(Verdict::Failed { .. } | Verdict::Unknown) | None => "",
                };
                Outcome::Delivered { record_id, may_be_duplicate }
            }
            Fate::Undelivered { reason, last, may_be_delivered, .. } => {
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
        match self.entry.fate {
            Fate::Delivered { .. } => None,
            Fate::Undelivered { data: Data { start, data_bytes }, .. } => {
                Encoded::within(&self.report.undelivered, start, data_bytes)
            }
        }
    }

    fn verdict(&self, entry: usize) -> Option<Verdict<'a>> {
        Some(self.report.judged.as_ref()?.verdict(entry))
    }

    fn why(&self, reason: Reason, last: Last) -> Why<'a> {
        match reason {
            Reason::Abandoned => Why::Abandoned { last: self.cause(last) },
            Reason::Exhausted => Why::Exhausted { last: self.cause(last) },
            Reason::Expired => Why::Expired { last: self.cause(last) },
            Reason::Rejected => Why::Rejected { last: self.cause(last) },
        }
    }

    fn cause(&self, last: Last) -> Option<Cause<'a>> {
        match last {
            Last::Earlier(class) => Some(Cause { class: class?, code: None, message: None }),
            Last::Request(class) => {
                let fault = self.report.fault.as_ref();
                Some(Cause {
                    class,
                    code: fault.and_then(Fault::code),
                    message: fault.and_then(Fault::message),
                })
            }
            Last::Entry(entry, class) => match self.verdict(entry) {
                Some(Verdict::Failed { code, message, .. }) => {
                    Some(Cause { class, code: Some(code), message })
                }
                Some(Verdict::Stored { .. } | Verdict::Unknown) | None => {
                    Some(Cause { class, code: None, message: None })
                }
            },
        }
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
