//! One object: its name, its file while it is open, and its way to its place.

use core::fmt::Write as _;
use core::time::Duration;
use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use firehose_proto::StreamName;
use time::OffsetDateTime;
use uuid::{ContextV7, Timestamp, Uuid};

use super::DeliveryError;

/// The name of an object, which says its place too: `STREAM-1-YYYY-MM-DD-HH-MM-SS-UUID`.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) struct ObjectName {
    text: String,
    stream_bytes: usize,
}

impl ObjectName {
    pub(super) fn new(stream: &StreamName, time: SystemTime, context: &ContextV7) -> Self {
        let utc = OffsetDateTime::from(time);
        let since = time.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let moment = Timestamp::from_unix(context, since.as_secs(), since.subsec_nanos());
        let mut text = String::with_capacity(stream.as_str().len() + TAIL_BYTES);
        let (year, month, day) = utc.to_calendar_date();
        let (hour, minute, second) = utc.to_hms();
        write!(
            text,
            "{stream}-1-{year:04}-{:02}-{day:02}-{hour:02}-{minute:02}-{second:02}-{}",
            u8::from(month),
            Uuid::new_v7(moment)
        )
        .expect("a string takes any text");
        Self { text, stream_bytes: stream.as_str().len() }
    }

    /// Reads a name back, as after the end of the process that chose it.
    fn parse(text: &OsStr) -> Option<Self> {
        let text = text.to_str()?;
        let stream_bytes = text.len().checked_sub(TAIL_BYTES)?;
        let (stream, tail) = text.split_at_checked(stream_bytes)?;
        let is_time = |(at, byte): (usize, u8)| match at {
            4 | 7 | 10 | 13 | 16 | 19 => byte == b'-',
            _ => byte.is_ascii_digit(),
        };
        let (time, id) = tail.strip_prefix("-1-")?.split_at_checked(TIME_BYTES + 1)?;
        let sound = time.bytes().enumerate().all(is_time);
        let known = sound && StreamName::new(stream).is_ok() && Uuid::try_parse(id).is_ok();
        known.then(|| Self { text: text.to_owned(), stream_bytes })
    }

    pub(super) fn as_str(&self) -> &str {
        &self.text
    }

    /// Returns the directory that the object belongs into: `ROOT/STREAM/YYYY/MM/DD/HH`.
    fn directory(&self, root: &Path) -> PathBuf {
        let (stream, tail) = self.text.split_at(self.stream_bytes);
        let hour = &tail[3..3 + HOUR_BYTES];
        hour.split('-').fold(root.join(stream), |path, part| path.join(part))
    }
}

/// An object that still grows.
#[derive(Debug)]
pub(super) struct Object {
    name: ObjectName,
    path: PathBuf,
    file: File,
    len: u64,
    since: SystemTime,
    /// The file holds more than it should, because taking back a part failed.
    overlong: bool,
}

impl Object {
    pub(super) fn create(
        open: &Path,
        name: ObjectName,
        since: SystemTime,
    ) -> Result<Self, DeliveryError> {
        let path = open.join(name.as_str());
        let file = OpenOptions::new().append(true).create_new(true).open(&path);
        let file = file.map_err(DeliveryError::at("make the file", &path))?;
        Ok(Self { name, path, file, len: 0, since, overlong: false })
    }

    /// Appends all the bytes, or none.
    pub(super) fn append(&mut self, bytes: &[u8]) -> Result<(), DeliveryError> {
        self.mend()?;
        if let Err(source) = self.file.write_all(bytes) {
            self.shorten(self.len);
            return Err(DeliveryError::at("write to", &self.path)(source));
        }
        self.len += bytes.len() as u64;
        Ok(())
    }

    /// Takes back what lies behind `len`. If that fails it is tried again before anything else is
    /// done with the object.
    pub(super) fn shorten(&mut self, len: u64) {
        self.len = len;
        self.overlong = self.file.set_len(len).is_err();
    }

    /// Makes the object durable and moves it to its place. One without a byte is removed.
    pub(super) fn roll(&mut self, root: &Path) -> Result<(), DeliveryError> {
        self.mend()?;
        if self.is_empty() {
            return fs::remove_file(&self.path).map_err(DeliveryError::at("remove", &self.path));
        }
        self.file.sync_all().map_err(DeliveryError::at("write to", &self.path))?;
        place(root, &self.path, &self.name)
    }

    /// Removes the object. An empty one that cannot be removed goes when the directory is opened
    /// again.
    pub(super) fn discard(self) {
        let _ = fs::remove_file(&self.path);
    }

    pub(super) fn name(&self) -> &str {
        self.name.as_str()
    }

    pub(super) const fn len(&self) -> u64 {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Returns whether nothing is lost with the object.
    pub(super) const fn is_disposable(&self) -> bool {
        self.is_empty() && !self.overlong
    }

    /// Returns when the object's time is over.
    pub(super) fn due(&self, interval: Duration) -> SystemTime {
        self.since.checked_add(interval).unwrap_or(self.since)
    }

    pub(super) fn is_due(&self, now: SystemTime, interval: Duration) -> bool {
        now.duration_since(self.since).is_ok_and(|age| age >= interval)
    }

    fn mend(&mut self) -> Result<(), DeliveryError> {
        if self.overlong {
            let mended = self.file.set_len(self.len);
            mended.map_err(DeliveryError::at("shorten", &self.path))?;
            self.overlong = false;
        }
        Ok(())
    }
}

/// Moves the open objects of a process that was killed to their places.
pub(super) fn recover(root: &Path, open: &Path) -> Result<(), DeliveryError> {
    let listed = || DeliveryError::at("list", open);
    for entry in fs::read_dir(open).map_err(listed())? {
        let entry = entry.map_err(listed())?;
        let path = entry.path();
        let Some(name) = ObjectName::parse(&entry.file_name()) else { continue };
        let len = entry.metadata().map_err(DeliveryError::at("look at", &path))?.len();
        if len == 0 {
            fs::remove_file(&path).map_err(DeliveryError::at("remove", &path))?;
        } else {
            place(root, &path, &name)?;
        }
    }
    Ok(())
}

fn place(root: &Path, path: &Path, name: &ObjectName) -> Result<(), DeliveryError> {
    let directory = name.directory(root);
    fs::create_dir_all(&directory).map_err(DeliveryError::at("make the directory", &directory))?;
    let target = directory.join(name.as_str());
    fs::rename(path, &target).map_err(DeliveryError::at("move a complete object to", &target))
}

const TIME_BYTES: usize = "YYYY-MM-DD-HH-MM-SS".len();
const HOUR_BYTES: usize = "YYYY-MM-DD-HH".len();
const UUID_BYTES: usize = 36;
const TAIL_BYTES: usize = "-1-".len() + TIME_BYTES + "-".len() + UUID_BYTES;

#[cfg(test)]
impl Object {
    /// Puts another file below, as one that cannot be written, and gives the one that was there.
    pub(super) fn swap_file(&mut self, file: File) -> File {
        core::mem::replace(&mut self.file, file)
    }
}
