//! One connection: requests in, answers out, by blocking reads and writes.

use core::time::Duration;
use std::io::{self, Read, Write};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::thread;

use firehose_proto::retry::Jitter;
use memchr::memmem::{self, Finder};

use crate::answers::{self, Answer, RECORDS_MAX};
use crate::verify::{self, Checked};
use crate::{Shared, Totals};

/// The largest head of a request.
const HEAD_BYTES_MAX: usize = 16 * 1_024;

/// The largest body of a request: 4 MiB in base64 and the frames of 500 records.
const BODY_BYTES_MAX: usize = 6 * 1_024 * 1_024;

/// The least room for a read.
const READ_BYTES: usize = 64 * 1_024;

/// One end of a connection.
pub(crate) struct Peer<'a, S> {
    stream: S,
    shared: &'a Shared,
    random: Jitter,
    data: Finder<'static>,
    /// What was read; of it the first `filled` bytes.
    buffer: Vec<u8>,
    filled: usize,
}

impl<'a, S: Read + Write> Peer<'a, S> {
    pub(crate) fn new(stream: S, shared: &'a Shared) -> Self {
        Self {
            stream,
            shared,
            random: Jitter::new(shared.seed),
            data: Finder::new(r#""Data""#),
            buffer: Vec::new(),
            filled: 0,
        }
    }

    /// Answers requests until the client closes the connection.
    pub(crate) fn serve(&mut self) -> io::Result<()> {
        while let Some(head) = self.read_head()? {
            let end = head + self.body_len(head)?;
            while self.filled < end {
                if self.read_some(end)? == 0 {
                    return Err(io::ErrorKind::UnexpectedEof.into());
                }
            }
            self.answer(head, end)?;
            self.buffer.copy_within(end..self.filled, 0);
            self.filled -= end;
        }
        Ok(())
    }

    /// Reads until there is a whole head, and returns its length; `None` at the end.
    fn read_head(&mut self) -> io::Result<Option<usize>> {
        loop {
            let filled = &self.buffer[..self.filled];
            if let Some(at) = memmem::find(filled, b"\r\n\r\n") {
                return Ok(Some(at + 4));
            }
            if self.filled > HEAD_BYTES_MAX {
                return Err(io::Error::other("the head of a request has no end"));
            }
            if self.read_some(self.filled + READ_BYTES)? == 0 {
                let whole = self.filled == 0;
                return if whole { Ok(None) } else { Err(io::ErrorKind::UnexpectedEof.into()) };
            }
        }
    }

    /// Reads what there is, up to `end` at least; returns how much it was, 0 at the end.
    fn read_some(&mut self, end: usize) -> io::Result<usize> {
        let end = end.max(self.filled + READ_BYTES);
        if self.buffer.len() < end {
            self.buffer.resize(end, 0);
        }
        let read = self.stream.read(&mut self.buffer[self.filled..]);
        // A client that is done may close a connection of TLS without saying so.
        let read = match read {
            Err(error) if error.kind() == io::ErrorKind::UnexpectedEof && self.filled == 0 => 0,
            read => read?,
        };
        self.filled += read;
        Ok(read)
    }

    fn body_len(&self, head: usize) -> io::Result<usize> {
        let length = verify::header(&self.buffer[..head], "content-length");
        let length: usize = length
            .and_then(|text| text.parse().ok())
            .ok_or_else(|| io::Error::other("a request has no length"))?;
        if length <= BODY_BYTES_MAX { Ok(length) } else { Err(io::Error::other("too large")) }
    }

    fn answer(&mut self, head: usize, end: usize) -> io::Result<()> {
        let totals = Arc::clone(&self.shared.totals);
        let (head, body) = (&self.buffer[..head], &self.buffer[head..end]);
        let checked = if self.shared.verify {
            verify::check(head, body)
        } else {
            Ok(Checked::counted(self.data.find_iter(body).count()))
        };
        let requests = 1 + totals.requests.fetch_add(1, Ordering::Relaxed);
        Totals::add(&totals.body_bytes, body.len());
        if self.shared.latency > Duration::ZERO {
            thread::sleep(self.shared.latency);
        }
        match checked.and_then(|checked| {
            let fits = (1..=RECORDS_MAX).contains(&checked.records());
            if fits { Ok(checked) } else { Err("not 1 to 500 records".to_owned()) }
        }) {
            Ok(checked) => {
                let answer = self.shared.answers.answer(checked.records(), &mut self.random);
                Self::count(&totals, &checked, &answer);
                self.stream.write_all(answer.bytes())?;
            }
            Err(why) => {
                Totals::add(&totals.bad, 1);
                self.stream.write_all(&answers::bad(&why))?;
            }
        }
        self.stream.flush()?;
        if requests >= self.shared.requests_max {
            // The other end is gone if the program ends already.
            let _ = self.shared.end.send(());
        }
        Ok(())
    }

    fn count(totals: &Totals, checked: &Checked, answer: &Answer) {
        Totals::add(&totals.records, checked.records());
        let stored = match answer {
            Answer::AllStored(_) => checked.records(),
            Answer::Mixed(_, stored) => stored.iter().filter(|stored| **stored).count(),
            Answer::Refused(_) => {
                Totals::add(&totals.refused, 1);
                0
            }
        };
        Totals::add(&totals.stored, stored);
        let checksum = checked.checksum(|index| match answer {
            Answer::AllStored(_) => true,
            Answer::Mixed(_, stored) => stored[index],
            Answer::Refused(_) => false,
        });
        totals.checksum.fetch_add(checksum, Ordering::Relaxed);
    }
}
