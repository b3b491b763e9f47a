//! Delivery into a directory, as the service delivers to S3: objects under the stream's name and
//! the hour (R18).
//!
//! An object is the raw data of its records, nothing added between them. While it grows it lies in
//! `.firehose/open/`; it moves to its place when it is complete, so whatever lies under a stream's
//! name is complete, whenever one looks. Of a process that was killed the open objects are moved
//! when the directory is opened again; such an object may end within a request that was never
//! answered.

use core::error::Error;
use core::fmt;
use core::time::Duration;
use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::SystemTime;

use firehose_proto::StreamName;
use uuid::ContextV7;

use crate::destination::{Accepted, Destination};
use crate::transport::lock;

mod journal;
mod object;
#[cfg(test)]
mod tests;

use journal::Journal;
use object::{Object, ObjectName};

/// When an object is complete: at this size or this age, whichever comes first.
///
/// ```
/// use std::time::Duration;
/// use firehose_mock::Buffering;
///
/// let small = Buffering { bytes_max: 1_024, interval: Duration::from_secs(1) };
/// assert!(small.bytes_max < Buffering::default().bytes_max);
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_structs, reason = "the service's two buffering hints")]
pub struct Buffering {
    /// An object is complete before a request's records would make it larger than this. One request
    /// alone may.
    pub bytes_max: u64,
    /// An object is complete this long after its first record.
    pub interval: Duration,
}

impl Default for Buffering {
    /// Takes the service's defaults: 5 MiB and 300 seconds.
    fn default() -> Self {
        Self { bytes_max: 5 * 1_024 * 1_024, interval: Duration::from_secs(300) }
    }
}

/// A destination that writes objects `DIR/STREAM/YYYY/MM/DD/HH/STREAM-1-YYYY-MM-DD-HH-MM-SS-UUID`.
///
/// The time in a name is that of the object's first record, in UTC; names of a stream sort in the
/// order of writing. The directory belongs to one process at a time.
///
/// ```
/// use std::time::SystemTime;
/// use firehose_mock::{Buffering, Directory, Request, Service, Streams};
///
/// let dir = tempfile::tempdir()?;
/// let directory = Directory::open(dir.path(), Buffering::default(), SystemTime::now)?.shared();
/// let mut service =
///     Service::new(Streams::Any, 1).with_destination(Box::new(directory.clone()));
/// let body = br#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8="}}"#;
/// service.handle(Request::put_record(body));
/// directory.lock().finish()?;
/// assert!(dir.path().join("demo").is_dir());
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Directory {
    root: PathBuf,
    buffering: Buffering,
    clock: Box<dyn Fn() -> SystemTime + Send>,
    latest: SystemTime,
    context: ContextV7,
    objects: BTreeMap<StreamName, Object>,
    journal: Option<Journal>,
    staging: Vec<u8>,
    /// Held as long as the directory is open; the lock ends with the file.
    _lock: File,
}

impl Directory {
    /// Opens a directory for delivery, and makes it if need be. Open objects of a process that was
    /// killed move to their places.
    ///
    /// # Errors
    ///
    /// If the directory cannot be made or written, or if another process has it open.
    pub fn open(
        root: impl Into<PathBuf>,
        buffering: Buffering,
        clock: impl Fn() -> SystemTime + Send + 'static,
    ) -> Result<Self, DeliveryError> {
        let root = root.into();
        let open = root.join(OWN).join("open");
        fs::create_dir_all(&open).map_err(DeliveryError::at("make the directory", &open))?;
        let lock = lock_file(&root.join(OWN).join("lock"))?;
        object::recover(&root, &open)?;
        Ok(Self {
            root,
            buffering,
            clock: Box::new(clock),
            latest: SystemTime::UNIX_EPOCH,
            context: ContextV7::new(),
            objects: BTreeMap::new(),
            journal: None,
            staging: Vec::new(),
            _lock: lock,
        })
    }

    /// Also appends a line of JSON for each accepted record to `DIR/.firehose/ledger.jsonl`: its
    /// stream, its id, its bytes, and the name of the object that holds it.
    ///
    /// # Errors
    ///
    /// If the file cannot be opened for writing.
    pub fn with_ledger(mut self) -> Result<Self, DeliveryError> {
        self.journal = Some(Journal::open(self.root.join(OWN).join("ledger.jsonl"))?);
        Ok(self)
    }

    /// Makes a handle that can be given to a service and kept.
    pub fn shared(self) -> Shared {
        Shared { directory: Arc::new(Mutex::new(self)) }
    }

    /// Completes the objects whose time is over.
    ///
    /// # Errors
    ///
    /// If an object cannot be moved to its place; it stays open then.
    pub fn roll_due(&mut self) -> Result<(), DeliveryError> {
        let now = self.now();
        let interval = self.buffering.interval;
        self.roll_where(|object| object.is_due(now, interval))
    }

    /// Completes all objects. The directory can be used further.
    ///
    /// # Errors
    ///
    /// If an object cannot be moved to its place; it stays open then, and the others are completed.
    pub fn finish(&mut self) -> Result<(), DeliveryError> {
        self.roll_where(|_| true)
    }

    /// Returns when [`roll_due`](Self::roll_due) has something to do, if any object is open.
    pub fn next_due(&self) -> Option<SystemTime> {
        self.objects.values().map(|object| object.due(self.buffering.interval)).min()
    }

    /// Writes the records of one request, all or none.
    ///
    /// # Errors
    ///
    /// If the stream's name cannot be that of a directory, or something cannot be written. What was
    /// written of the request is taken back.
    pub fn write(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), DeliveryError> {
        if matches!(stream.as_str(), "." | ".." | OWN) {
            return Err(DeliveryError::Name { stream: stream.clone() });
        }
        let now = self.now();
        self.staging.clear();
        records.iter().for_each(|record| self.staging.extend_from_slice(record.data));
        let mut object = match self.objects.remove(stream) {
            Some(object) if self.must_roll(&object, now) => {
                self.roll(stream, object)?;
                self.create(stream, now)?
            }
            Some(object) => object,
            None => self.create(stream, now)?,
        };
        let written = self.write_to(&mut object, stream, records);
        if written.is_err() && object.is_disposable() {
            object.discard();
        } else {
            self.objects.insert(stream.clone(), object);
        }
        written
    }

    fn must_roll(&self, object: &Object, now: SystemTime) -> bool {
        let bytes = object.len() + self.staging.len() as u64;
        let is_full = !object.is_empty() && bytes > self.buffering.bytes_max;
        is_full || object.is_due(now, self.buffering.interval)
    }

    fn create(&self, stream: &StreamName, now: SystemTime) -> Result<Object, DeliveryError> {
        let name = ObjectName::new(stream, now, &self.context);
        Object::create(&self.root.join(OWN).join("open"), name, now)
    }

    fn write_to(
        &mut self,
        object: &mut Object,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), DeliveryError> {
        let len = object.len();
        object.append(&self.staging)?;
        let Some(journal) = &mut self.journal else { return Ok(()) };
        journal.append(stream, records, object.name()).inspect_err(|_| object.shorten(len))
    }

    fn roll_where(&mut self, ready: impl Fn(&Object) -> bool) -> Result<(), DeliveryError> {
        let mut result = Ok(());
        for (stream, object) in core::mem::take(&mut self.objects) {
            if !ready(&object) {
                self.objects.insert(stream, object);
            } else if let Err(error) = self.roll(&stream, object) {
                result = result.and(Err(error));
            }
        }
        result
    }

    /// Moves an object to its place; if it cannot, keeps it open.
    fn roll(&mut self, stream: &StreamName, mut object: Object) -> Result<(), DeliveryError> {
        let rolled = object.roll(&self.root);
        if rolled.is_err() {
            self.objects.insert(stream.clone(), object);
        }
        rolled
    }

    /// Reads the clock. Time never flows backward inside.
    fn now(&mut self) -> SystemTime {
        self.latest = self.latest.max((self.clock)());
        self.latest
    }
}

impl Destination for Directory {
    fn accept(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        Ok(self.write(stream, records)?)
    }
}

impl fmt::Debug for Directory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Directory")
            .field("root", &self.root)
            .field("buffering", &self.buffering)
            .field("objects", &self.objects)
            .finish_non_exhaustive()
    }
}

/// A directory in shared hands: one handle goes to the service, another stays with the owner, who
/// completes objects. See [`Directory`].
///
/// ```
/// use std::time::SystemTime;
/// use firehose_mock::{Buffering, Directory};
///
/// let dir = tempfile::tempdir()?;
/// let shared = Directory::open(dir.path(), Buffering::default(), SystemTime::now)?.shared();
/// assert!(shared.lock().next_due().is_none());
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Clone, Debug)]
pub struct Shared {
    directory: Arc<Mutex<Directory>>,
}

impl Shared {
    /// Returns the directory for the time of the guard. The service waits meanwhile.
    pub fn lock(&self) -> MutexGuard<'_, Directory> {
        lock(&self.directory)
    }
}

impl Destination for Shared {
    fn accept(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
    ) -> Result<(), Box<dyn Error + Send + Sync>> {
        self.lock().accept(stream, records)
    }
}

/// Why records could not be delivered.
///
/// ```
/// use std::time::SystemTime;
/// use firehose_mock::{Buffering, DeliveryError, Directory};
///
/// let dir = tempfile::tempdir()?;
/// let open = || Directory::open(dir.path(), Buffering::default(), SystemTime::now);
/// let first = open()?;
/// assert!(matches!(open(), Err(DeliveryError::Busy { .. })));
/// # drop(first);
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum DeliveryError {
    /// Another process delivers into the directory.
    Busy {
        /// The file that the other process has locked.
        path: PathBuf,
    },
    /// The system refused something.
    Io {
        /// What was tried.
        action: &'static str,
        /// The file or directory.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The name of a stream cannot be the name of a directory.
    Name {
        /// The stream.
        stream: StreamName,
    },
}

impl DeliveryError {
    fn at(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        move |source| Self::Io { action, path: path.to_owned(), source }
    }
}

impl fmt::Display for DeliveryError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Busy { path } => write!(
                f,
                "another process delivers into this directory and holds {} (end it, or give \
                 another directory)",
                path.display()
            ),
            Self::Io { action, path, source } => write!(
                f,
                "cannot {action} {}: {source} (check that the directory is writable and that there \
                 is space left)",
                path.display()
            ),
            Self::Name { stream } => write!(
                f,
                "the stream {stream} cannot be delivered, its name is no name for a directory \
                 (take another name)"
            ),
        }
    }
}

impl Error for DeliveryError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        match self {
            Self::Io { source, .. } => Some(source),
            Self::Busy { .. } | Self::Name { .. } => None,
        }
    }
}

impl From<DeliveryError> for io::Error {
    fn from(error: DeliveryError) -> Self {
        let kind = match &error {
            DeliveryError::Busy { .. } => io::ErrorKind::ResourceBusy,
            DeliveryError::Io { source, .. } => source.kind(),
            DeliveryError::Name { .. } => io::ErrorKind::InvalidInput,
        };
        Self::new(kind, error)
    }
}

fn lock_file(path: &Path) -> Result<File, DeliveryError> {
    let file = File::create(path).map_err(DeliveryError::at("open", path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(DeliveryError::Busy { path: path.to_owned() }),
        Err(fs::TryLockError::Error(source)) => Err(DeliveryError::at("lock", path)(source)),
    }
}

/// What the destination keeps for itself; no stream can have this name here.
const OWN: &str = ".firehose";
