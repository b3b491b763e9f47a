//! What the world says to a request, written from fuzzed bytes together with what it means.

use core::fmt::Write as _;
use core::time::Duration;

use firehose_proto::retry::Class;
use firehose_proto::wire::Response;

use crate::input::Input;

/// An answer, and what the producer has to make of it.
pub(super) struct Answer {
    pub(super) response: Response,
    pub(super) meaning: Meaning,
    /// How long the service asks to wait.
    pub(super) asked: Option<Duration>,
}

pub(super) enum Meaning {
    /// An answer of success that is believed.
    Entries { entries: Vec<Entry>, inconsistent_count: bool, duplicate_id: bool },
    /// An error that holds for all records.
    Fault(Class),
    /// An answer of success that is not believed.
    Nonsense,
}

pub(super) enum Entry {
    Not { class: Class, may_be_stored: bool },
    Stored(String),
}

impl Answer {
    /// An answer with an entry for each of `records`, each as its byte says.
    pub(super) fn entries(input: &mut Input<'_>, request: u64, records: usize) -> Self {
        let style = input.byte();
        let same_id = style & 1 == 1;
        let mut entries: Vec<_> =
            (0..records).map(|index| entry(input.byte(), request, index)).collect();
        if same_id {
            for entry in &mut entries {
                if let Entry::Stored(id) = entry {
                    "same".clone_into(id);
                }
            }
        }
        let stored = entries.iter().filter(|entry| matches!(entry, Entry::Stored(_))).count();
        let coded = entries.iter().filter(|entry| code_of(entry).is_some()).count();
        let count = if style & 2 == 2 { 0 } else { coded };
        let response = Response::new(200, body(&entries, count));
        let (response, asked) = with_wait(response, style >> 2);
        let meaning = Meaning::Entries {
            inconsistent_count: count != coded,
            duplicate_id: same_id && stored > 1,
            entries,
        };
        Self { response, meaning, asked }
    }

    /// An answer that says that everything is stored.
    pub(super) fn all_stored(request: u64, records: usize) -> Self {
        let entries: Vec<_> =
            (0..records).map(|index| Entry::Stored(format!("{request}-{index}"))).collect();
        let response = Response::new(200, body(&entries, 0));
        let meaning = Meaning::Entries { entries, inconsistent_count: false, duplicate_id: false };
        Self { response, meaning, asked: None }
    }

    /// An error of the call.
    pub(super) fn fault(input: &mut Input<'_>) -> Self {
        let (status, code, class) = input.pick(FAULTS);
        let response =
            Response::new(status, b"{}".to_vec()).with_header("x-amzn-errortype", code.as_bytes());
        let (response, asked) = with_wait(response, input.byte());
        Self { response, meaning: Meaning::Fault(class), asked }
    }

    /// An answer of success that does not answer.
    pub(super) fn nonsense(input: &mut Input<'_>, request: u64, records: usize) -> Self {
        let stored = |records| Self::all_stored(request, records).response.into_body();
        let response = match input.below(7) {
            0 => Response::new(200, stored(records - 1)),
            1 => Response::new(200, stored(records + 1)),
            2 => Response::new(200, stored(records)).with_header("content-encoding", b"gzip"),
            3 => Response::new(200, Vec::new()),
            4 => Response::new(204, b"[]".to_vec()),
            5 => Response::new(200, input.take(8).to_vec()),
            _ => Response::new(200, br#"{"FailedPutCount":0}"#.to_vec()),
        };
        Self { response, meaning: Meaning::Nonsense, asked: None }
    }
}

const FAULTS: &[(u16, &str, Class)] = &[
    (503, "ServiceUnavailableException", Class::Throttled),
    (500, "InternalFailure", Class::Unknown),
    (413, "", Class::TooLarge),
    (403, "ExpiredTokenException", Class::Renew),
    (400, "ValidationException", Class::Rejected),
    (400, "ResourceNotFoundException", Class::StreamRejected),
    (503, "", Class::Unknown),
    (302, "", Class::StreamRejected),
    (429, "", Class::Throttled),
];

const UNAVAILABLE: &str = "ServiceUnavailableException";
const INTERNAL: &str = "InternalFailure";
const ODD: &str = "Odd";

fn entry(choice: u8, request: u64, index: usize) -> Entry {
    let not = |class, may_be_stored| Entry::Not { class, may_be_stored };
    match choice % 9 {
        0..=2 => Entry::Stored(format!("{request}-{index}")),
        3 => not(Class::Throttled, false),
        4 => not(Class::Throttled, true),
        5 => not(Class::Unknown, true),
        6 => not(Class::Failed, false),
        7 => not(Class::Failed, true),
        // Neither an identifier nor an error.
        _ => not(Class::Unknown, false),
    }
}

fn code_of(entry: &Entry) -> Option<&'static str> {
    match entry {
        Entry::Stored(_) | Entry::Not { class: Class::Unknown, may_be_stored: false } => None,
        Entry::Not { class: Class::Unknown, .. } => Some(INTERNAL),
        Entry::Not { class: Class::Throttled, .. } => Some(UNAVAILABLE),
        Entry::Not { .. } => Some(ODD),
    }
}

fn body(entries: &[Entry], failed: usize) -> Vec<u8> {
    let mut body = format!(r#"{{"FailedPutCount":{failed},"RequestResponses":["#);
    for (index, entry) in entries.iter().enumerate() {
        let comma = if index == 0 { "" } else { "," };
        let written = match (entry, code_of(entry)) {
            (Entry::Stored(id), _) => write!(body, r#"{comma}{{"RecordId":"{id}"}}"#),
            (Entry::Not { may_be_stored, .. }, Some(code)) => {
                // An identifier beside an error is doubt, where the code itself is none.
                if *may_be_stored && code != INTERNAL {
                    write!(body, r#"{comma}{{"ErrorCode":"{code}","RecordId":"x{index}"}}"#)
                } else {
                    write!(body, r#"{comma}{{"ErrorCode":"{code}"}}"#)
                }
            }
            (Entry::Not { .. }, None) => write!(body, "{comma}{{}}"),
        };
        written.expect("a string takes any text");
    }
    body.push_str("]}");
    body.into_bytes()
}

fn with_wait(response: Response, choice: u8) -> (Response, Option<Duration>) {
    match choice % 8 {
        5 => (response.with_header("x-amz-retry-after", b"0"), Some(Duration::ZERO)),
        6 => (response.with_header("x-amz-retry-after", b"700"), Some(Duration::from_millis(700))),
        7 => (response.with_header("retry-after", b"86400"), Some(Duration::from_secs(86_400))),
        _ => (response, None),
    }
}
