//! The list of accepted records, one line of JSON for each.

use std::fs::{File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::path::PathBuf;

use firehose_proto::StreamName;

use super::DeliveryError;
use crate::destination::Accepted;

/// The longest line there can be has an id and two names; a partial one is shorter.
const LINE_BYTES_MAX: u64 = 1_024;

/// A file that lines are appended to.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    file: File,
    len: u64,
    lines: Vec<u8>,
}

impl Journal {
    /// Opens the file, or makes it; a last line that was not written to its end is taken away.
    pub(super) fn open(path: PathBuf) -> Result<Self, DeliveryError> {
        let opened = OpenOptions::new().read(true).append(true).create(true).open(&path);
        let mut file = opened.map_err(DeliveryError::at("open", &path))?;
        let len = whole_lines(&mut file).map_err(DeliveryError::at("read", &path))?;
        file.set_len(len).map_err(DeliveryError::at("shorten", &path))?;
        Ok(Self { path, file, len, lines: Vec::new() })
    }

    /// Appends the lines of all records, or none.
    pub(super) fn append(
        &mut self,
        stream: &StreamName,
        records: &Accepted<'_>,
        object: &str,
    ) -> Result<(), DeliveryError> {
        self.write_lines(stream, records, object);
        // Taking back what a former call could not is part of this one.
        let written = self.file.set_len(self.len).and_then(|()| self.file.write_all(&self.lines));
        if let Err(source) = written {
            let _ = self.file.set_len(self.len);
            return Err(DeliveryError::at("write to", &self.path)(source));
        }
        self.len += self.lines.len() as u64;
        Ok(())
    }

    fn write_lines(&mut self, stream: &StreamName, records: &Accepted<'_>, object: &str) {
        self.lines.clear();
        for record in records.iter() {
            // No character of a name or an id needs an escape.
            writeln!(
                self.lines,
                r#"{{"stream":"{stream}","record_id":"{}","bytes":{},"object":"{object}"}}"#,
                record.id,
                record.data.len()
            )
            .expect("a vector takes any bytes");
        }
    }
}

/// Returns the length of the file up to the end of its last whole line.
fn whole_lines(file: &mut File) -> io::Result<u64> {
    let len = file.metadata()?.len();
    let start = len.saturating_sub(LINE_BYTES_MAX);
    let mut tail = Vec::new();
    file.seek(SeekFrom::Start(start))?;
    file.read_to_end(&mut tail)?;
    Ok(match tail.iter().rposition(|byte| *byte == b'\n') {
        Some(at) => start + at as u64 + 1,
        None if start == 0 => 0,
        None => len,
    })
}

#[cfg(test)]
impl Journal {
    /// Puts another file below, as one that cannot be written.
    pub(super) fn with_file(self, file: File) -> Self {
        Self { file, ..self }
    }
}
