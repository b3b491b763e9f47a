//! Layer 1: records become the body of a request, once.
//!
//! [`Batch`] encodes each record straight into the body and remembers where it lies. Sealed, it is
//! the body to send; the records that have to go again are copied from there as they are, in base64,
//! into the next batch. No raw copy of a record is kept.

use core::fmt;

use base64_simd::STANDARD;
use bytes::{Bytes, BytesMut};

use crate::ids::StreamName;
use crate::limits::Limits;
use crate::wire::request;

/// A request in the making.
///
/// ```
/// use firehose_proto::batch::{AddError, Batch, Storage};
/// use firehose_proto::Limits;
///
/// let mut batch = Batch::new(&"demo".parse()?, Limits::default(), Storage::default());
/// batch.add(b"hello\n")?;
/// batch.add_parts(&[b"wor", b"ld", b"\n"])?;
/// let sealed = batch.seal().expect("it has records");
/// assert_eq!(
///     sealed.body(),
///     br#"{"DeliveryStreamName":"demo","Records":[{"Data":"aGVsbG8K"},{"Data":"d29ybGQK"}]}"#
///         .as_slice()
/// );
/// assert_eq!(sealed.record(1).unwrap().decode(), b"world\n");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Batch {
    body: Vec<u8>,
    spans: Vec<Span>,
    data_bytes: usize,
    limits: Limits,
}

impl Batch {
    /// Begins a request to `stream` in storage that may have been used before.
    pub fn new(stream: &StreamName, limits: Limits, storage: Storage) -> Self {
        let Storage { mut body, spans } = storage;
        request::begin(&mut body, stream);
        Self { body, spans, data_bytes: 0, limits }
    }

    /// Adds a record and returns its index.
    ///
    /// # Errors
    ///
    /// [`AddError`] if the record is too large for any request or for what is left of this one; the
    /// batch is then as before.
    pub fn add(&mut self, record: &[u8]) -> Result<usize, AddError> {
        self.add_parts(&[record])
    }

    /// Adds a record given in parts that together are its data, and returns its index.
    ///
    /// The parts are encoded as one (R14).
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_parts(&mut self, parts: &[&[u8]]) -> Result<usize, AddError> {
        self.add_data(Parts::new(parts))
    }

    #[inline]
    pub(crate) fn add_data(&mut self, data: Parts<'_>) -> Result<usize, AddError> {
        self.check(data.bytes)?;
        Ok(self.append(data.bytes, |body| request::data(body, data.parts)))
    }

    /// Adds a record of another request as it is there, in base64, and returns its index.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add).
    pub fn add_encoded(&mut self, record: Encoded<'_>) -> Result<usize, AddError> {
        self.check(record.data_bytes)?;
        Ok(self.append(record.data_bytes, |body| body.extend_from_slice(record.base64)))
    }

    /// Says whether a record of `data_bytes` bytes could be added now (R1, R2, R3).
    ///
    /// # Errors
    ///
    /// [`AddError`] if it could not.
    pub fn check(&self, data_bytes: usize) -> Result<(), AddError> {
        if data_bytes > self.limits.record_bytes_max() {
            let bytes_max = self.limits.record_bytes_max();
            return Err(AddError::RecordTooLarge { bytes: data_bytes, bytes_max });
        }
        let full = self.spans.len() >= self.limits.records_max()
            || self.data_bytes + data_bytes > self.limits.request_bytes_max();
        // A bound that the service's refusals lowered may lie below a record: it then goes alone.
        if full && !self.spans.is_empty() { Err(AddError::Full) } else { Ok(()) }
    }

    #[inline]
    fn append(&mut self, data_bytes: usize, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let index = self.spans.len();
        if index > 0 {
            request::separator(&mut self.body);
        }
        self.spans.push(Span::new(self.body.len(), data_bytes));
        write(&mut self.body);
        self.data_bytes += data_bytes;
        index
    }

    /// Ends the request. A batch without records gives none: a request never has 0 (R1).
    pub fn seal(mut self) -> Option<Sealed> {
        if self.spans.is_empty() {
            return None;
        }
        request::end(&mut self.body);
        let Self { body, spans, data_bytes, limits } = self;
        Some(Sealed { body: body.into(), spans, data_bytes, limits })
    }

    /// Returns the record at `index`, counted from 0, as it lies in the body.
    pub fn record(&self, index: usize) -> Option<Encoded<'_>> {
        self.spans.get(index)?.encoded(&self.body)
    }

    /// Returns the number of records.
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns whether there is no record.
    pub fn is_empty(&self) -> bool {
        self.spans.is_empty()
    }

    /// Returns the bytes of all records together, before base64.
    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Returns the bytes of the body so far.
    pub(crate) fn body_bytes(&self) -> usize {
        self.body.len()
    }

    /// Gives the storage back, empty.
    pub fn into_storage(self) -> Storage {
        let Self { mut body, mut spans, .. } = self;
        body.clear();
        spans.clear();
        Storage { body, spans }
    }

    /// Holds from now on; what is in the batch already stays.
    pub(crate) fn set_limits(&mut self, limits: Limits) {
        self.limits = limits;
    }

    /// Returns the limits that hold for records to come.
    pub fn limits(&self) -> Limits {
        self.limits
    }
}

impl fmt::Debug for Batch {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Batch")
            .field("records", &self.spans.len())
            .field("data_bytes", &self.data_bytes)
            .finish_non_exhaustive()
    }
}

/// The data of a record in parts, with the length that they have together.
#[derive(Clone, Copy)]
pub(crate) struct Parts<'a> {
    parts: &'a [&'a [u8]],
    bytes: usize,
}

impl<'a> Parts<'a> {
    pub(crate) fn new(parts: &'a [&'a [u8]]) -> Self {
        Self { parts, bytes: parts.iter().map(|part| part.len()).sum() }
    }

    pub(crate) fn bytes(self) -> usize {
        self.bytes
    }
}

/// Why a record does not go into a batch.
///
/// ```
/// use firehose_proto::batch::{AddError, Batch, Storage};
/// use firehose_proto::Limits;
///
/// let mut batch = Batch::new(&"demo".parse()?, Limits::default(), Storage::default());
/// let error = AddError::RecordTooLarge { bytes: 1_024_001, bytes_max: 1_024_000 };
/// assert_eq!(batch.add(&vec![0; 1_024_001]), Err(error));
/// # Ok::<(), firehose_proto::InvalidStreamName>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum AddError {
    /// The record does not fit with the ones that are there; it does fit into another batch.
    Full,
    /// The record is larger than the service takes (R2).
    RecordTooLarge {
        /// Its size in bytes, before base64.
        bytes: usize,
        /// The most a record may have.
        bytes_max: usize,
    },
}

impl fmt::Display for AddError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Full => f.write_str("the batch is full, seal it and begin another"),
            Self::RecordTooLarge { bytes, bytes_max } => {
                write!(f, "the record has {bytes} bytes, the service takes at most {bytes_max}")
            }
        }
    }
}

impl core::error::Error for AddError {}

/// A request that can be sent.
///
/// ```
/// use firehose_proto::batch::{Batch, Storage};
/// use firehose_proto::Limits;
///
/// let mut batch = Batch::new(&"demo".parse()?, Limits::default(), Storage::default());
/// batch.add(b"one")?;
/// let sealed = batch.seal().expect("it has a record");
/// assert_eq!((sealed.len(), sealed.data_bytes()), (1, 3));
/// // Open again, it takes more.
/// let mut batch = sealed.reopen();
/// batch.add(b"two")?;
/// assert_eq!(batch.len(), 2);
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
pub struct Sealed {
    body: Bytes,
    spans: Vec<Span>,
    data_bytes: usize,
    limits: Limits,
}

impl Sealed {
    /// Returns the body. Cloning it copies nothing.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Returns the record at `index`, counted from 0, as it lies in the body.
    pub fn record(&self, index: usize) -> Option<Encoded<'_>> {
        self.spans.get(index)?.encoded(&self.body)
    }

    /// Returns the number of records, at least one.
    #[expect(clippy::len_without_is_empty, reason = "it is never empty")]
    pub fn len(&self) -> usize {
        self.spans.len()
    }

    /// Returns the bytes of all records together, before base64.
    pub fn data_bytes(&self) -> usize {
        self.data_bytes
    }

    /// Makes it a batch again, to which records can be added. Nothing is copied if nobody else
    /// holds the body any more.
    pub fn reopen(self) -> Batch {
        let Self { body, spans, data_bytes, limits } = self;
        let mut body = into_vec(body);
        body.truncate(body.len() - request::END_BYTES);
        Batch { body, spans, data_bytes, limits }
    }

    /// Gives the storage back, empty. The body's is lost if somebody else still holds the body.
    pub fn into_storage(self) -> Storage {
        let Self { body, mut spans, .. } = self;
        let mut body = body.try_into_mut().unwrap_or_default();
        body.clear();
        spans.clear();
        Storage { body: body.into(), spans }
    }
}

/// Turns a body into a `Vec`, in place where the bytes have no other owner.
fn into_vec(body: Bytes) -> Vec<u8> {
    body.try_into_mut().unwrap_or_else(|shared| BytesMut::from(shared.as_ref())).into()
}

impl fmt::Debug for Sealed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sealed")
            .field("records", &self.spans.len())
            .field("body_bytes", &self.body.len())
            .finish_non_exhaustive()
    }
}

/// Memory that batches hand on to each other, so that a steady stream allocates nothing.
///
/// ```
/// use firehose_proto::batch::{Batch, Storage};
/// use firehose_proto::Limits;
///
/// let (stream, limits) = ("demo".parse()?, Limits::default());
/// let mut storage = Storage::default();
/// for record in ["one", "two"] {
///     let mut batch = Batch::new(&stream, limits, storage);
///     batch.add(record.as_bytes())?;
///     let sealed = batch.seal().expect("it has a record");
///     storage = sealed.into_storage();
/// }
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Default)]
pub struct Storage {
    body: Vec<u8>,
    spans: Vec<Span>,
}

impl Storage {
    /// Makes room for as many records and as many bytes of a body.
    pub(crate) fn reserve(&mut self, records: usize, body_bytes: usize) {
        self.spans.reserve(records);
        self.body.reserve(body_bytes);
    }

    /// Returns the memory that it takes up.
    pub(crate) fn bytes(&self) -> usize {
        self.body.capacity() + self.spans.capacity() * size_of::<Span>()
    }
}

impl fmt::Debug for Storage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Storage").field("body_bytes", &self.body.capacity()).finish_non_exhaustive()
    }
}

/// A record as it lies in a request's body. `Debug` prints its length only.
///
/// ```
/// use firehose_proto::batch::{Batch, Storage};
/// use firehose_proto::Limits;
///
/// let mut batch = Batch::new(&"demo".parse()?, Limits::default(), Storage::default());
/// batch.add(b"one")?;
/// let encoded = batch.record(0).expect("it was added");
/// assert_eq!((encoded.base64(), encoded.data_bytes()), (b"b25l".as_slice(), 3));
/// assert_eq!(encoded.decode(), b"one");
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Clone, Copy)]
pub struct Encoded<'a> {
    base64: &'a [u8],
    data_bytes: usize,
}

impl<'a> Encoded<'a> {
    /// Finds a record in text that is its base64 from `start` on.
    pub(crate) fn within(text: &'a [u8], start: usize, data_bytes: usize) -> Option<Self> {
        let base64 = text.get(start..start.checked_add(request::base64_len(data_bytes))?)?;
        Some(Self { base64, data_bytes })
    }

    /// Returns the base64 text.
    pub fn base64(self) -> &'a [u8] {
        self.base64
    }

    /// Returns the length of the data in bytes, before base64.
    pub fn data_bytes(self) -> usize {
        self.data_bytes
    }

    /// Returns the data.
    pub fn decode(self) -> Vec<u8> {
        // Only what `add_parts` encoded can be here, so it always decodes.
        STANDARD.decode_to_vec(self.base64).unwrap_or_default()
    }
}

impl fmt::Debug for Encoded<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Encoded").field("data_bytes", &self.data_bytes).finish_non_exhaustive()
    }
}

/// Where a record lies in a body: its first byte of base64, and the length of its data.
///
/// A body has less than 6 MB, which fits 32 bits.
#[derive(Clone, Copy)]
struct Span {
    start: u32,
    data_bytes: u32,
}

impl Span {
    #[expect(clippy::cast_possible_truncation, reason = "a body has less than 6 MB")]
    fn new(start: usize, data_bytes: usize) -> Self {
        Self { start: start as u32, data_bytes: data_bytes as u32 }
    }

    fn encoded(self, body: &[u8]) -> Option<Encoded<'_>> {
        Encoded::within(body, self.start as usize, self.data_bytes as usize)
    }
}

#[cfg(test)]
mod tests;
