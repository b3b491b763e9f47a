//! Cuts a stream of bytes into records, with bounded memory whatever its lines are like.

use std::io::{self, Read};

use firehose_proto::limits::RECORD_BYTES_MAX;
use memchr::memchr;

use crate::args::{Delimiter, Split};

/// The bytes that are read at once.
const READ_BYTES: usize = 1024 * 1024;

/// The most that is looked at for the end of a record: a record, and a line end that is cut off.
const LOOK_BYTES: usize = RECORD_BYTES_MAX + 2;

/// What is too long is handed out in parts whose lengths, but for the last, are a multiple of this.
pub(crate) const PART_MULTIPLE: usize = 3;

/// A piece of the input.
#[derive(Debug, Eq, PartialEq)]
pub(crate) enum Piece<'a> {
    /// A record, in two parts: its bytes in the input, and a delimiter that was added.
    Record([&'a [u8]; 2]),
    /// Bytes of something that is too long for a record, as they stand in the input.
    TooLong { part: &'a [u8], is_last: bool },
}

/// Reads a source piece by piece.
pub(crate) struct Cutter<R> {
    source: R,
    split: Split,
    delimiter: Delimiter,
    buffer: Vec<u8>,
    /// What is in the buffer and not handed out yet.
    start: usize,
    end: usize,
    /// Up to here there is no delimiter, but for the one that was found.
    searched: usize,
    /// The end of the next record, its delimiter included, once it was found.
    found: Option<usize>,
    at_end: bool,
    /// The first part of something too long has been handed out.
    inside_too_long: bool,
}

impl<R: Read> Cutter<R> {
    pub(crate) fn new(source: R, split: Split, delimiter: Delimiter) -> Self {
        Self {
            source,
            split,
            delimiter,
            buffer: vec![0; READ_BYTES + LOOK_BYTES],
            start: 0,
            end: 0,
            searched: 0,
            found: None,
            at_end: false,
            inside_too_long: false,
        }
    }

    /// Returns whether the next piece is here, so that [`next`](Self::next) will not wait for the
    /// source.
    pub(crate) fn is_ready(&mut self) -> bool {
        self.found = self.found.or_else(|| self.find_delimiter());
        self.found.is_some()
    }

    /// Returns the next piece, or nothing at the end of the source.
    pub(crate) fn next(&mut self) -> io::Result<Option<Piece<'_>>> {
        loop {
            if self.is_ready()
                && let Some(end) = self.found.take()
            {
                return Ok(Some(self.cut(end, true)));
            }
            if self.at_end {
                if self.start == self.end && !self.inside_too_long {
                    return Ok(None);
                }
                return Ok(Some(self.cut(self.end, false)));
            }
            let len = self.end - self.start;
            if len > LOOK_BYTES || (self.inside_too_long && len >= READ_BYTES) {
                return Ok(Some(self.cut_part(len - len % PART_MULTIPLE)));
            }
            self.read()?;
        }
    }

    /// Returns the end of the next record, its delimiter included.
    fn find_delimiter(&mut self) -> Option<usize> {
        let needle = match self.split {
            Split::Lines => b'\n',
            Split::Nul => 0,
            Split::Whole => return None,
        };
        let found = memchr(needle, &self.buffer[self.searched..self.end]);
        let end = found.map(|at| self.searched + at + 1);
        self.searched = end.unwrap_or(self.end);
        end
    }

    /// Hands out everything up to `end`.
    fn cut(&mut self, end: usize, is_delimited: bool) -> Piece<'_> {
        let start = std::mem::replace(&mut self.start, end);
        let bytes = &self.buffer[start..end];
        if std::mem::take(&mut self.inside_too_long) {
            return Piece::TooLong { part: bytes, is_last: true };
        }
        let parts = record(bytes, is_delimited, self.split, self.delimiter);
        if parts[0].len() + parts[1].len() > RECORD_BYTES_MAX {
            return Piece::TooLong { part: bytes, is_last: true };
        }
        Piece::Record(parts)
    }

    /// Hands out the next part of something whose end is not in sight.
    fn cut_part(&mut self, len: usize) -> Piece<'_> {
        let start = self.start;
        self.start += len;
        self.searched = self.searched.max(self.start);
        self.inside_too_long = true;
        Piece::TooLong { part: &self.buffer[start..start + len], is_last: false }
    }

    fn read(&mut self) -> io::Result<()> {
        if self.buffer.len() - self.end < READ_BYTES {
            self.buffer.copy_within(self.start..self.end, 0);
            self.searched -= self.start;
            self.end -= self.start;
            self.start = 0;
        }
        let room = &mut self.buffer[self.end..];
        match self.source.read(room) {
            Ok(0) => self.at_end = true,
            Ok(len) => self.end += len,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
        Ok(())
    }
}

/// Makes a record of the bytes up to and including a delimiter, if there was one.
fn record(bytes: &[u8], is_delimited: bool, split: Split, delimiter: Delimiter) -> [&[u8]; 2] {
    let bare = if is_delimited { &bytes[..bytes.len() - 1] } else { bytes };
    match (delimiter, split) {
        (Delimiter::Keep, _) => [bytes, b""],
        (Delimiter::Newline, Split::Lines | Split::Whole) => with_newline(bytes),
        (Delimiter::Newline, Split::Nul) => with_newline(bare),
        (Delimiter::Strip, Split::Lines) if is_delimited => {
            [bare.strip_suffix(b"\r").unwrap_or(bare), b""]
        }
        (Delimiter::Strip, Split::Lines | Split::Nul | Split::Whole) => [bare, b""],
    }
}

fn with_newline(bytes: &[u8]) -> [&[u8]; 2] {
    [bytes, if bytes.ends_with(b"\n") { b"" } else { b"\n" }]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slow::Slow;

    /// Cuts an input; what is too long becomes one entry that says so.
    fn cut(input: &[u8], step: usize, split: Split, delimiter: Delimiter) -> Vec<Vec<u8>> {
        let mut cutter = Cutter::new(Slow { rest: input, step }, split, delimiter);
        let mut records = Vec::new();
        let mut too_long = 0;
        while let Some(piece) = cutter.next().unwrap() {
            match piece {
                Piece::Record(parts) => records.push(parts.concat()),
                Piece::TooLong { part, is_last } => {
                    assert!(is_last || part.len() % PART_MULTIPLE == 0);
                    too_long += part.len();
                    if is_last {
                        records.push(format!("too long: {too_long}").into_bytes());
                        too_long = 0;
                    }
                }
            }
        }
        assert_eq!(too_long, 0);
        records
    }

    fn check(input: &str, split: Split, delimiter: Delimiter, expected: &[&str]) {
        for step in [1, 2, 3, 7, 1_000] {
            let records = cut(input.as_bytes(), step, split, delimiter);
            let records: Vec<_> = records.iter().map(|r| str::from_utf8(r).unwrap()).collect();
            assert_eq!(records, expected, "{input:?} in steps of {step}");
        }
    }

    // R13
    #[test]
    fn lines_keep_their_ends_and_the_last_gets_one() {
        let (lines, newline) = (Split::Lines, Delimiter::Newline);
        check("", lines, newline, &[]);
        check("a\nb\n", lines, newline, &["a\n", "b\n"]);
        check("a\nb", lines, newline, &["a\n", "b\n"]);
        check("a\r\nb", lines, newline, &["a\r\n", "b\n"]);
        check("\n\na", lines, newline, &["\n", "\n", "a\n"]);
    }

    #[test]
    fn input_can_be_kept_or_stripped() {
        check("a\r\n\nb", Split::Lines, Delimiter::Keep, &["a\r\n", "\n", "b"]);
        check("a\r\n\nb\r", Split::Lines, Delimiter::Strip, &["a", "", "b\r"]);
        check("a\0b\n\0c", Split::Nul, Delimiter::Newline, &["a\n", "b\n", "c\n"]);
        check("a\0\0c", Split::Nul, Delimiter::Keep, &["a\0", "\0", "c"]);
        check("a\0b\r\n\0", Split::Nul, Delimiter::Strip, &["a", "b\r\n"]);
        check("a\nb", Split::Whole, Delimiter::Newline, &["a\nb\n"]);
        check("a\nb\n", Split::Whole, Delimiter::Strip, &["a\nb\n"]);
        check("a\nb", Split::Whole, Delimiter::Keep, &["a\nb"]);
        check("", Split::Whole, Delimiter::Newline, &[]);
    }

    // R2
    #[test]
    fn what_is_too_long_is_told_and_the_rest_goes_on() {
        let line = |len: usize| [vec![b'x'; len], b"\n".to_vec()].concat();
        for (len, fits) in [
            (RECORD_BYTES_MAX - 2, true),
            (RECORD_BYTES_MAX - 1, true),
            (RECORD_BYTES_MAX, false),
            (RECORD_BYTES_MAX + 1, false),
            (RECORD_BYTES_MAX + 2, false),
            (READ_BYTES + RECORD_BYTES_MAX, false),
            (7 * READ_BYTES + 1, false),
        ] {
            let input = [b"a\n".to_vec(), line(len), b"b\n".to_vec()].concat();
            let middle = if fits { line(len) } else { format!("too long: {}", len + 1).into() };
            for step in [100_003, READ_BYTES, usize::MAX] {
                let records = cut(&input, step, Split::Lines, Delimiter::Newline);
                assert!(records == [b"a\n".to_vec(), middle.clone(), b"b\n".to_vec()], "{len}");
            }
        }
    }

    #[test]
    fn a_limit_counts_what_is_sent() {
        let longest = vec![b'x'; RECORD_BYTES_MAX];
        let one = |delimiter| cut(&longest, usize::MAX, Split::Whole, delimiter).remove(0);
        assert_eq!(one(Delimiter::Keep), longest);
        assert_eq!(one(Delimiter::Newline), b"too long: 1024000");
        let line = [longest.as_slice(), b"\r\n"].concat();
        assert!(cut(&line, usize::MAX, Split::Lines, Delimiter::Strip) == [longest]);
    }
}
