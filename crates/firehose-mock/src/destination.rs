//! Where accepted records go, as the service sees it: a trait and what is handed over.

use core::error::Error;
use core::fmt;
use core::ops::Range;

use firehose_proto::StreamName;

/// Takes the records that the service accepts, before the answer that says so is made.
///
/// ```
/// use std::error::Error;
/// use firehose_mock::{Accepted, Destination, Service, Streams};
/// use firehose_proto::StreamName;
///
/// struct Print;
///
/// impl Destination for Print {
///     fn accept(
///         &mut self,
///         stream: &StreamName,
///         records: &Accepted<'_>,
///     ) -> Result<(), Box<dyn Error + Send + Sync>> {
///         println!("{stream}: {} records, {} bytes", records.len(), records.bytes());
///         Ok(())
///     }
/// }
///
/// let service = Service::new(Streams::Any, 1).with_destination(Box::new(Print));
/// # let _ = service;
/// ```
pub trait Destination {
    /// Takes the records of one request, all or none.
    ///
    /// # Errors
    ///
    /// Any error makes the service answer 500 `InternalFailure`; none of the records counts as
    /// accepted then.
    fn accept(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>>;
}

/// The records of one request that the service accepts, in the order of the request.
///
/// ```
/// use firehose_mock::Accepted;
///
/// fn total(records: &Accepted<'_>) -> usize {
///     records.iter().map(|record| record.data.len()).sum()
/// }
/// ```
#[derive(Clone, Copy)]
pub struct Accepted<'a> {
    pub(crate) data: &'a [u8],
    pub(crate) spans: &'a [Range<usize>],
    pub(crate) ids: &'a str,
    pub(crate) id_bytes: usize,
}

impl<'a> Accepted<'a> {
    /// Returns the number of records.
    pub const fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there is no record.
    pub const fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the bytes of all records together.
    pub fn bytes(&self) -> usize {
        self.spans.iter().map(Range::len).sum()
    }

    /// Walks over the records.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = AcceptedRecord<'a>> + use<'a> {
        let Self { data, spans, ids, id_bytes } = *self;
        spans.iter().enumerate().map(move |(index, span)| AcceptedRecord {
            id: &ids[index * id_bytes..(index + 1) * id_bytes],
            data: &data[span.clone()],
        })
    }
}

/// One accepted record.
///
/// ```
/// use firehose_mock::AcceptedRecord;
///
/// fn show(record: &AcceptedRecord<'_>) -> String {
///     format!("{} ({} bytes)", record.id, record.data.len())
/// }
/// ```
#[derive(Clone, Copy, Eq, PartialEq)]
#[non_exhaustive]
pub struct AcceptedRecord<'a> {
    /// The id that the answer gives it.
    pub id: &'a str,
    /// Its data, decoded.
    pub data: &'a [u8],
}

impl fmt::Debug for Accepted<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Accepted")
            .field("records", &self.len())
            .field("bytes", &self.bytes())
            .finish_non_exhaustive()
    }
}

impl fmt::Debug for AcceptedRecord<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AcceptedRecord")
            .field("id", &self.id)
            .field("bytes", &self.data.len())
            .finish()
    }
}
