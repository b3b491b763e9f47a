//! Bodies of requests, read in place in one pass: the stream's name, and all data decoded.
//!
//! Here the constraints of single members are checked too, in the words of the service. What
//! concerns several of them, or the streams that exist, is the service's part.

use core::mem;
use core::ops::Range;

use base64_simd::STANDARD;
use firehose_proto::limits::{RECORD_BYTES_MAX, RECORDS_MAX, STREAM_NAME_BYTES_MAX};
use firehose_proto::wire::Operation;
use firehose_proto::{InvalidStreamName, StreamName};
use simd_json::{Buffers, INPUT_PADDING, Node, StaticNode, Tape, fill_tape_padded};

use crate::service::refusal::Refusal;

/// A request needs three levels; unknown members may have some of their own.
const DEPTH_MAX: usize = 32;

/// The most characters of a value that a message repeats.
const ECHO_CHARS_MAX: usize = 256;

/// The memory in which requests are read, used again for each.
pub(crate) struct Intake {
    buffers: Buffers,
    tape: Tape<'static>,
    data: Vec<u8>,
    spans: Vec<Range<usize>>,
    violations: Vec<String>,
}

impl Intake {
    pub(crate) fn new() -> Self {
        Self {
            buffers: Buffers::with_max_depth(0, DEPTH_MAX),
            tape: Tape(Vec::new()),
            data: Vec::new(),
            spans: Vec::new(),
            violations: Vec::new(),
        }
    }

    /// Reads the body of a request and checks each of its members.
    pub(crate) fn read(
        &mut self,
        operation: Operation,
        body: &mut Vec<u8>,
    ) -> Result<StreamName, Refusal> {
        self.data.clear();
        self.spans.clear();
        self.violations.clear();
        let len = body.len();
        body.resize(len + INPUT_PADDING, 0);
        // Decoding grows the vector by just what a record needs, which is a copy for each record
        // unless there is room for all of them.
        self.data.reserve(len / 4 * 3 + 3);
        let mut tape = mem::replace(&mut self.tape, Tape(Vec::new())).reset();
        let stream = match fill_tape_padded(body, len, &mut self.buffers, &mut tape) {
            Ok(()) => self.walk(operation, &tape.0),
            Err(_) => Err(Refusal::serialization("the body is not a JSON document")),
        };
        self.tape = tape.reset();
        stream
    }

    /// Returns the decoded data of all records, one behind the other.
    pub(crate) fn data(&self) -> &[u8] {
        &self.data
    }

    /// Returns where each record lies in the data.
    pub(crate) fn spans(&self) -> &[Range<usize>] {
        &self.spans
    }

    fn walk(&mut self, operation: Operation, nodes: &[Node<'_>]) -> Result<StreamName, Refusal> {
        let records_key = match operation {
            Operation::PutRecord => "Record",
            Operation::PutRecordBatch => "Records",
        };
        let (mut name, mut records) = (NULL, NULL);
        for (key, value) in members(nodes, "the body")? {
            // Of a key that stands twice the last one counts, as in the parsers of the service.
            match key {
                "DeliveryStreamName" => name = value,
                key if key == records_key => records = value,
                _ => {}
            }
        }
        let stream = self.name(name)?;
        match operation {
            Operation::PutRecord => self.record(records, "record")?,
            Operation::PutRecordBatch => self.records(records)?,
        }
        match stream {
            Some(stream) if self.violations.is_empty() => Ok(stream),
            _ => Err(self.validation_error()),
        }
    }

    /// Reads the stream's name; if there is none that can be one, says why in the violations.
    fn name(&mut self, value: &[Node<'_>]) -> Result<Option<StreamName>, Refusal> {
        const PATH: &str = "deliveryStreamName";
        let Some(name) = text(value, "DeliveryStreamName")? else {
            self.null_violation(PATH);
            return Ok(None);
        };
        let checked = StreamName::new(name);
        if name.is_empty() {
            self.length_violation("", PATH, "greater", 1);
        } else if name.chars().nth(STREAM_NAME_BYTES_MAX).is_some() {
            self.length_violation(name, PATH, "less", STREAM_NAME_BYTES_MAX);
        }
        if let Err(InvalidStreamName::Character { .. }) = checked {
            let rule = "Member must satisfy regular expression pattern: [a-zA-Z0-9_.-]+";
            self.violation(&quoted(name), PATH, rule);
        }
        Ok(checked.ok())
    }

    fn records(&mut self, value: &[Node<'_>]) -> Result<(), Refusal> {
        let elements = match value {
            [Node::Static(StaticNode::Null), ..] => {
                self.null_violation("records");
                return Ok(());
            }
            [Node::Array { len, .. }, elements @ ..] => Elements { nodes: elements, left: *len },
            _ => return Err(Refusal::serialization("Records is not a list")),
        };
        match elements.left {
            0 => self.violation("'[]'", "records", &length_rule("greater", 1)),
            1..=RECORDS_MAX => {}
            _ => self.violation("'[...]'", "records", &length_rule("less", RECORDS_MAX)),
        }
        // Records of which there are too many are not worth their decoding.
        for (index, element) in elements.enumerate().take(RECORDS_MAX) {
            let place = index + 1;
            match element {
                [Node::Static(StaticNode::Null), ..] => {
                    self.null_violation(&format!("records.{place}.member"));
                }
                _ => self.record_at(element, Place::Member(place))?,
            }
        }
        Ok(())
    }

    fn record(&mut self, value: &[Node<'_>], path: &str) -> Result<(), Refusal> {
        if let [Node::Static(StaticNode::Null), ..] = value {
            self.null_violation(path);
            return Ok(());
        }
        self.record_at(value, Place::Single)
    }

    fn record_at(&mut self, value: &[Node<'_>], place: Place) -> Result<(), Refusal> {
        let mut data = NULL;
        for (key, value) in members(value, "a record")? {
            if key == "Data" {
                data = value;
            }
        }
        let Some(data) = text(data, "Data")? else {
            self.null_violation(&place.data_path());
            return Ok(());
        };
        let start = self.data.len();
        STANDARD.decode_append(data, &mut self.data).map_err(|_| {
            Refusal::serialization(format!("the value at '{}' is not base64", place.data_path()))
        })?;
        let span = start..self.data.len();
        if span.len() > RECORD_BYTES_MAX {
            let len = span.len();
            let value = format!("'java.nio.HeapByteBuffer[pos=0 lim={len} cap={len}]'");
            let rule = length_rule("less", RECORD_BYTES_MAX);
            self.violation(&value, &place.data_path(), &rule);
        }
        self.spans.push(span);
        Ok(())
    }

    fn null_violation(&mut self, path: &str) {
        self.violation("null", path, "Member must not be null");
    }

    fn length_violation(&mut self, value: &str, path: &str, than: &str, bound: usize) {
        self.violation(&quoted(value), path, &length_rule(than, bound));
    }

    fn violation(&mut self, value: &str, path: &str, rule: &str) {
        let violation = format!("Value {value} at '{path}' failed to satisfy constraint: {rule}");
        self.violations.push(violation);
    }

    fn validation_error(&self) -> Refusal {
        let count = self.violations.len();
        let errors = if count == 1 { "error" } else { "errors" };
        let list = self.violations.join("; ");
        Refusal::invalid_argument(format!("{count} validation {errors} detected: {list}"))
    }
}

/// Where a record stands in its request.
#[derive(Clone, Copy)]
enum Place {
    /// Counted from 1, as the service does.
    Member(usize),
    Single,
}

impl Place {
    fn data_path(self) -> String {
        match self {
            Self::Member(place) => format!("records.{place}.member.data"),
            Self::Single => "record.data".to_owned(),
        }
    }
}

const NULL: &[Node<'static>] = &[Node::Static(StaticNode::Null)];

fn length_rule(than: &str, bound: usize) -> String {
    format!("Member must have length {than} than or equal to {bound}")
}

fn quoted(value: &str) -> String {
    let end = value.char_indices().nth(ECHO_CHARS_MAX).map_or(value.len(), |(at, _)| at);
    format!("'{}'", &value[..end])
}

/// Reads a string that may be null.
fn text<'b>(value: &[Node<'b>], what: &str) -> Result<Option<&'b str>, Refusal> {
    match value {
        [Node::String(text), ..] => Ok(Some(text)),
        [Node::Static(StaticNode::Null), ..] => Ok(None),
        _ => Err(Refusal::serialization(format!("{what} is not a string"))),
    }
}

/// Walks over the members of an object.
fn members<'t, 'b>(
    value: &'t [Node<'b>],
    what: &str,
) -> Result<impl Iterator<Item = (&'b str, &'t [Node<'b>])>, Refusal> {
    let [Node::Object { len, .. }, nodes @ ..] = value else {
        return Err(Refusal::serialization(format!("{what} is not an object")));
    };
    let mut parts = Elements { nodes, left: len * 2 };
    Ok(core::iter::from_fn(move || {
        let [Node::String(key), ..] = parts.next()? else { return None };
        Some((*key, parts.next()?))
    }))
}

/// Walks over values that stand behind each other on the tape.
struct Elements<'t, 'b> {
    nodes: &'t [Node<'b>],
    left: usize,
}

impl<'t, 'b> Iterator for Elements<'t, 'b> {
    type Item = &'t [Node<'b>];

    fn next(&mut self) -> Option<Self::Item> {
        self.left = self.left.checked_sub(1)?;
        let nodes = match self.nodes.first()? {
            Node::Array { count, .. } | Node::Object { count, .. } => count + 1,
            Node::Static(_) | Node::String(_) => 1,
        };
        let (value, rest) = self.nodes.split_at_checked(nodes)?;
        self.nodes = rest;
        Some(value)
    }
}
