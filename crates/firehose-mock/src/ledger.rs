//! What the service accepted and how it answered: the truth that a client's report is held against.

use core::fmt;
use std::collections::BTreeMap;
use std::sync::Arc;

use firehose_proto::StreamName;
use serde::Serialize;

use crate::destination::Accepted;
use crate::exchange::{Answer, Disposition};

/// The account of a service: requests by how they ended, and accepted records by stream.
///
/// ```
/// use firehose_mock::{Ledger, Request, Service, Streams};
///
/// let mut service = Service::new(Streams::Any, 1).with_ledger(Ledger::keeping());
/// let body = br#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#;
/// service.handle(Request::put_record(body));
///
/// let ledger = service.ledger();
/// assert_eq!(ledger.times_accepted(&"demo".parse()?, b"hello"), 1);
/// assert_eq!(ledger.totals().bytes_accepted, 5);
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Debug)]
pub struct Ledger {
    keeping: bool,
    totals: Totals,
    streams: BTreeMap<StreamName, StreamAccount>,
}

impl Ledger {
    /// Makes a ledger of numbers only, whose memory does not grow with the records.
    pub fn counting() -> Self {
        Self { keeping: false, totals: Totals::default(), streams: BTreeMap::new() }
    }

    /// Makes a ledger that keeps every different record, and the order of acceptance.
    pub fn keeping() -> Self {
        let totals = Totals { records_doubled: Some(0), ..Totals::default() };
        Self { keeping: true, totals, streams: BTreeMap::new() }
    }

    /// Returns whether records are kept, not only counted.
    pub const fn is_keeping(&self) -> bool {
        self.keeping
    }

    /// Returns the numbers over all streams.
    pub const fn totals(&self) -> Totals {
        self.totals
    }

    /// Returns the numbers of one stream; all zero if nothing came for it.
    pub fn stream_totals(&self, stream: &StreamName) -> StreamTotals {
        self.streams.get(stream).map(|account| account.totals).unwrap_or_default()
    }

    /// Walks over the streams for which something was accepted or refused, by name.
    pub fn streams(&self) -> impl Iterator<Item = &StreamName> {
        self.streams.keys()
    }

    /// Returns how often a record with just this data was accepted.
    ///
    /// # Panics
    ///
    /// If the ledger only counts.
    pub fn times_accepted(&self, stream: &StreamName, data: &[u8]) -> u64 {
        self.assert_keeping();
        let times = self.streams.get(stream).and_then(|account| account.times.get(data));
        times.copied().unwrap_or_default()
    }

    /// Walks over the records of a stream in the order of acceptance, each as often as accepted.
    ///
    /// # Panics
    ///
    /// If the ledger only counts.
    pub fn records<'a>(&'a self, stream: &StreamName) -> impl Iterator<Item = &'a [u8]> + use<'a> {
        self.assert_keeping();
        self.streams.get(stream).into_iter().flat_map(|account| account.order.iter().map(|r| &**r))
    }

    /// Returns how many different records were accepted more than once.
    ///
    /// # Panics
    ///
    /// If the ledger only counts.
    pub fn accepted_more_than_once(&self, stream: &StreamName) -> u64 {
        self.assert_keeping();
        let Some(account) = self.streams.get(stream) else { return 0 };
        count(account.times.values().filter(|times| **times > 1).count())
    }

    /// Notes how a request ended.
    pub(crate) fn note_answer(&mut self, answer: &Answer) {
        let totals = &mut self.totals;
        totals.requests += 1;
        let ending = match (answer.delivery, answer.status) {
            (Disposition::CutAfter, _) => &mut totals.requests_cut,
            (Disposition::CutBefore, _) => &mut totals.requests_dropped,
            (Disposition::Reply, 200..=299) => &mut totals.requests_succeeded,
            (Disposition::Reply, 503) => &mut totals.requests_unavailable,
            (Disposition::Reply, 500..) => &mut totals.requests_failed,
            (Disposition::Reply, _) => &mut totals.requests_refused,
        };
        *ending += 1;
    }

    /// Notes what became of the records of a request that was taken.
    pub(crate) fn note_records(
        &mut self,
        stream: &StreamName,
        accepted: &Accepted<'_>,
        refused: usize,
    ) {
        if !self.streams.contains_key(stream) {
            self.streams.insert(stream.clone(), StreamAccount::default());
        }
        let Some(account) = self.streams.get_mut(stream) else { return };
        let (records, bytes) = (count(accepted.len()), count(accepted.bytes()));
        account.totals.requests_taken += 1;
        account.totals.records_accepted += records;
        account.totals.records_refused += count(refused);
        account.totals.bytes_accepted += bytes;
        self.totals.records_accepted += records;
        self.totals.records_refused += count(refused);
        self.totals.bytes_accepted += bytes;
        if self.keeping {
            let doubled: u64 = accepted.iter().map(|record| account.keep(record.data)).sum();
            self.totals.records_doubled = self.totals.records_doubled.map(|sum| sum + doubled);
        }
    }

    fn assert_keeping(&self) {
        assert!(self.keeping, "this ledger only counts; give the service `Ledger::keeping()`");
    }
}

/// The numbers over all streams.
///
/// Every request is counted once under `requests` and once under the way it ended.
///
/// ```
/// use firehose_mock::{Service, Streams, Totals};
///
/// let service = Service::new(Streams::Any, 1);
/// assert_eq!(service.ledger().totals(), Totals::default());
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct Totals {
    /// All requests.
    pub requests: u64,
    /// Requests that were answered with a status of success.
    pub requests_succeeded: u64,
    /// Requests that were refused for what they were, with a status of 4xx.
    pub requests_refused: u64,
    /// Requests that were answered with status 503.
    pub requests_unavailable: u64,
    /// Requests that were answered with another status of 5xx.
    pub requests_failed: u64,
    /// Requests that were taken and got no answer.
    pub requests_cut: u64,
    /// Requests that were not taken and got no answer.
    pub requests_dropped: u64,
    /// Records that were accepted, repeated ones included.
    pub records_accepted: u64,
    /// Records that failed alone in a request that was taken.
    pub records_refused: u64,
    /// Bytes of the accepted records, before base64.
    pub bytes_accepted: u64,
    /// Records that were accepted although one with the same data had been accepted before; known
    /// only if the ledger keeps records.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub records_doubled: Option<u64>,
}

/// The numbers of one stream.
///
/// ```
/// use firehose_mock::{Service, StreamTotals, Streams};
///
/// let service = Service::new(Streams::Any, 1);
/// let totals = service.ledger().stream_totals(&"demo".parse()?);
/// assert_eq!(totals, StreamTotals::default());
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Copy, Debug, Default, Eq, PartialEq, Serialize)]
#[non_exhaustive]
pub struct StreamTotals {
    /// Requests that were taken, whether their answer was sent or not.
    pub requests_taken: u64,
    /// Records that were accepted, repeated ones included.
    pub records_accepted: u64,
    /// Records that failed alone in a request that was taken.
    pub records_refused: u64,
    /// Bytes of the accepted records, before base64.
    pub bytes_accepted: u64,
}

#[derive(Clone, Default)]
struct StreamAccount {
    totals: StreamTotals,
    times: BTreeMap<Arc<[u8]>, u64>,
    order: Vec<Arc<[u8]>>,
}

impl StreamAccount {
    /// Keeps a record; returns 1 if the same data was there before, else 0.
    fn keep(&mut self, data: &[u8]) -> u64 {
        if let Some((kept, _)) = self.times.get_key_value(data) {
            let kept = Arc::clone(kept);
            self.order.push(Arc::clone(&kept));
            self.times.entry(kept).and_modify(|times| *times += 1);
            return 1;
        }
        let kept: Arc<[u8]> = data.into();
        self.order.push(Arc::clone(&kept));
        self.times.insert(kept, 1);
        0
    }
}

impl fmt::Debug for StreamAccount {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StreamAccount")
            .field("totals", &self.totals)
            .field("records_kept", &self.order.len())
            .finish_non_exhaustive()
    }
}

fn count(number: usize) -> u64 {
    number as u64
}
