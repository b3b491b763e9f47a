//! `firehose judge`: answers of the service in, verdicts out, a line of JSON each; for authors of
//! other clients, who can hold theirs against it.
//!
//! What a line says is decided by the core alone. Here a line is read with bounded memory, and
//! nothing that stands in one keeps the next from being read.

use std::io::{self, BufRead, BufReader, BufWriter, Read, Write};
use std::process::ExitCode;

use base64_simd::STANDARD;
use firehose_proto::judge::{Judged, Judgement, Verdict};
use firehose_proto::retry::Class;
use firehose_proto::wire::fault::Fault;
use firehose_proto::wire::{Response, Scratch};
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::say;

/// The longest line that is read, without its end; of a longer one the rest is skipped. An answer
/// to 500 records has about 160 KiB in base64.
const LINE_BYTES_MAX: usize = 16 * 1024 * 1024;

/// The bytes that are read at once.
const READ_BYTES: usize = 64 * 1024;

/// The statuses that HTTP can say.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=999;

pub(crate) fn run() -> ExitCode {
    match judge_lines(io::stdin(), io::stdout()) {
        Ok(()) => ExitCode::SUCCESS,
        // Nobody wants the rest.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
        Err(error) => {
            say(&format!("cannot go on judging: {error}"));
            ExitCode::FAILURE
        }
    }
}

/// Judges line by line, to the end of the input. What was judged is written out before more is
/// waited for, so that a program can wait for a verdict before it writes the next line.
fn judge_lines(source: impl Read, sink: impl Write) -> io::Result<()> {
    let mut lines = Lines::new(source);
    let mut sink = BufWriter::new(sink);
    let mut scratch = Scratch::new();
    while let Some(line) = lines.next(|| sink.flush())? {
        let answer = match line {
            Line::Whole(text) => Answer::to(text, &mut scratch),
            Line::TooLong => Answer::invalid(None, TOO_LONG),
        };
        serde_json::to_writer(&mut sink, &answer)?;
        sink.write_all(b"\n")?;
    }
    sink.flush()
}

/// Cuts a source into lines.
struct Lines<R> {
    source: BufReader<R>,
    line: Vec<u8>,
}

/// A line, without its end.
enum Line<'a> {
    TooLong,
    Whole(&'a [u8]),
}

impl<R: Read> Lines<R> {
    fn new(source: R) -> Self {
        Self { source: BufReader::with_capacity(READ_BYTES, source), line: Vec::new() }
    }

    /// Returns the next line, or nothing at the end; calls `before_wait` before each read that may
    /// have to wait.
    fn next(
        &mut self,
        mut before_wait: impl FnMut() -> io::Result<()>,
    ) -> io::Result<Option<Line<'_>>> {
        self.line.clear();
        let mut len = 0;
        loop {
            if self.source.buffer().is_empty() {
                before_wait()?;
            }
            let bytes = match self.source.fill_buf() {
                Ok(bytes) => bytes,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                Err(error) => return Err(error),
            };
            if bytes.is_empty() && len == 0 {
                return Ok(None);
            }
            let end = memchr::memchr(b'\n', bytes);
            let part = &bytes[..end.unwrap_or(bytes.len())];
            let is_last = end.is_some() || bytes.is_empty();
            let room = LINE_BYTES_MAX - self.line.len();
            self.line.extend_from_slice(&part[..part.len().min(room)]);
            len += part.len();
            let used = part.len() + usize::from(end.is_some());
            self.source.consume(used);
            if is_last {
                let is_whole = len <= LINE_BYTES_MAX;
                return Ok(Some(if is_whole { Line::Whole(&self.line) } else { Line::TooLong }));
            }
        }
    }
}

/// A line of the input whose members nobody has looked at yet, so that the name can be given back
/// where another member makes no sense. Members of other names are passed over.
#[derive(Deserialize)]
struct Question<'a> {
    #[serde(borrow)]
    name: Option<&'a RawValue>,
    #[serde(borrow)]
    n_records: Option<&'a RawValue>,
    #[serde(borrow)]
    status: Option<&'a RawValue>,
    #[serde(borrow)]
    headers: Option<&'a RawValue>,
    #[serde(borrow)]
    body_b64: Option<&'a RawValue>,
}

impl Question<'_> {
    /// Reads the number of records and the answer to them.
    fn read(&self) -> Result<(usize, Response), &'static str> {
        let records: u32 = parse(self.n_records).ok_or(BAD_RECORDS)?;
        let records = usize::try_from(records).ok().filter(|records| *records > 0);
        let status = parse(self.status).filter(|status| STATUSES.contains(status));
        let headers = match self.headers {
            Some(headers) => parse(Some(headers)).ok_or(BAD_HEADERS)?,
            None => Vec::<(String, String)>::new(),
        };
        let body: String = parse(self.body_b64).ok_or(BAD_BODY)?;
        let body = STANDARD.decode_to_vec(body).map_err(|_| BAD_BODY)?;
        let response = Response::new(status.ok_or(BAD_STATUS)?, body);
        let response = headers
            .iter()
            .fold(response, |response, (name, value)| response.with_header(name, value.as_bytes()));
        Ok((records.ok_or(BAD_RECORDS)?, response))
    }
}

fn parse<'a, T: Deserialize<'a>>(member: Option<&'a RawValue>) -> Option<T> {
    serde_json::from_str(member?.get()).ok()
}

const TOO_LONG: &str = "the line is too long, it may have 16777216 bytes";
const NOT_OBJECT: &str = "the line is not a JSON object with each member once";
const BAD_RECORDS: &str = "n_records is not a whole number from 1 to 4294967295";
const BAD_STATUS: &str = "status is not a whole number from 100 to 999";
const BAD_HEADERS: &str = "headers is not a list of pairs of texts";
const BAD_BODY: &str = "body_b64 is not text in base64 of the standard alphabet with its padding";

/// A line of the output.
#[derive(Serialize)]
struct Answer {
    name: Option<String>,
    kind: &'static str,
    /// The stored records, counted from 0.
    ok: Vec<usize>,
    /// The failed records; those in neither list may or may not be stored.
    failed: Vec<usize>,
    /// The code of the first failed entry, or of the error.
    code: Option<String>,
    /// Some record is to be sent again.
    retryable: bool,
    /// The service asks for less.
    throttling: bool,
    /// Why the line could not be judged.
    #[serde(skip_serializing_if = "Option::is_none")]
    error: Option<&'static str>,
}

impl Answer {
    /// Says of an answer that it is not believed; the start of all others.
    fn unknown(name: Option<String>) -> Self {
        Self {
            name,
            kind: "unknown",
            ok: Vec::new(),
            failed: Vec::new(),
            code: None,
            retryable: true,
            throttling: false,
            error: None,
        }
    }

    /// Says of a line that it cannot be judged.
    fn invalid(name: Option<String>, error: &'static str) -> Self {
        Self { kind: "invalid", retryable: false, error: Some(error), ..Self::unknown(name) }
    }

    fn to(line: &[u8], scratch: &mut Scratch) -> Self {
        // serde would take a list for an object.
        let is_object = line.trim_ascii_start().starts_with(b"{");
        let question: Question<'_> = match serde_json::from_slice(line) {
            Ok(question) if is_object => question,
            Ok(_) | Err(_) => return Self::invalid(None, NOT_OBJECT),
        };
        let name = parse(question.name);
        let (records, response) = match question.read() {
            Ok(read) => read,
            Err(error) => return Self::invalid(name, error),
        };
        match Judgement::of(response, records, scratch) {
            Judgement::Fault(fault) => Self::unknown(name).with_fault(&fault, records),
            Judgement::Records(judged) => Self::unknown(name).with_verdicts(&judged),
            Judgement::Unknown(_) => Self::unknown(name),
        }
    }

    fn with_fault(self, fault: &Fault, records: usize) -> Self {
        let class = Class::of_fault(fault);
        // What is too large goes again in parts, and a single record has none.
        let is_hopeless = class == Class::TooLarge && records == 1;
        Self {
            kind: "error",
            code: fault.code().map(Into::into),
            retryable: class.is_retryable() && !is_hopeless,
            throttling: class == Class::Throttled,
            ..self
        }
    }

    fn with_verdicts(mut self, judged: &Judged) -> Self {
        self.kind = "records";
        self.retryable = false;
        for (index, verdict) in judged.verdicts().enumerate() {
            match verdict {
                Verdict::Failed { code, .. } => {
                    let class = Class::of_entry(code);
                    self.failed.push(index);
                    self.code.get_or_insert_with(|| code.to_owned());
                    self.retryable |= class.is_retryable();
                    self.throttling |= class == Class::Throttled;
                }
                Verdict::Stored { .. } => self.ok.push(index),
                Verdict::Unknown => self.retryable = true,
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::slow::Slow;

    /// The lengths of the lines of an input; nothing where a line is too long.
    fn lines(input: &[u8], step: usize) -> Vec<Option<usize>> {
        let mut lines = Lines::new(Slow { rest: input, step });
        let mut lengths = Vec::new();
        while let Some(line) = lines.next(|| Ok(())).unwrap() {
            lengths.push(match line {
                Line::TooLong => None,
                Line::Whole(text) => Some(text.len()),
            });
            assert!(lines.line.len() <= LINE_BYTES_MAX);
        }
        lengths
    }

    #[test]
    fn lines_are_cut_however_they_come() {
        let check = |input: &str, expected: &[usize]| {
            for step in [1, 2, 7, 100_000] {
                let lengths: Vec<_> = lines(input.as_bytes(), step).into_iter().flatten().collect();
                assert_eq!(lengths, expected, "{input:?} in steps of {step}");
            }
        };
        check("", &[]);
        check("\n", &[0]);
        check("a\n", &[1]);
        check("a\nbc", &[1, 2]);
        check("a\n\nbc\n", &[1, 0, 2]);
        check("abcdefghij\r\nk", &[11, 1]);
    }

    #[test]
    fn a_line_that_is_too_long_costs_only_itself() {
        let input = |len: usize| [b"a\n".to_vec(), vec![b'x'; len], b"\nb".to_vec()].concat();
        for (len, expected) in [
            (LINE_BYTES_MAX, Some(LINE_BYTES_MAX)),
            (LINE_BYTES_MAX + 1, None),
            (3 * LINE_BYTES_MAX, None),
        ] {
            assert_eq!(lines(&input(len), usize::MAX), [Some(1), expected, Some(1)], "{len}");
        }
        assert_eq!(lines(&vec![b'x'; LINE_BYTES_MAX + 1], usize::MAX), [None]);
        assert!(TOO_LONG.contains(&LINE_BYTES_MAX.to_string()));
    }
}
