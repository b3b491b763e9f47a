//! How a request ends, together with what that means: made here from the meaning, never read back.

use core::time::Duration;
use std::io::Write as _;

use firehose_proto::retry::Class;
use firehose_proto::wire::{BODY_HEADROOM_BYTES, Response};
use firehose_proto::{Failure, Ticket};

use crate::random::SplitMix64;

/// What an answer says of one record.
///
/// ```
/// use firehose_mock::sim::{Ending, Said};
///
/// let ending = Ending::each(3, vec![Said::Stored, Said::Throttled, Said::Nothing]);
/// # let _ = ending;
/// ```
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
#[expect(clippy::exhaustive_enums, reason = "a table to choose from")]
pub enum Said {
    /// An empty `ErrorCode` beside an id: neither yes nor no.
    EmptyCode,
    /// An id without a character.
    EmptyId,
    /// `InternalFailure`: it may have been stored.
    Internal,
    /// Neither an id nor an error.
    Nothing,
    /// An id that is null.
    NullId,
    /// An id that is a number.
    NumberId,
    /// A code that no document knows.
    Odd,
    /// A code that no document knows, and an id beside it.
    OddWithId,
    /// An id.
    Stored,
    /// `ServiceUnavailableException`.
    Throttled,
}

impl Said {
    /// The ways of an entry to make no sense.
    pub(super) const SENSELESS: [Self; 6] = [
        Self::EmptyCode,
        Self::EmptyId,
        Self::Nothing,
        Self::NullId,
        Self::NumberId,
        Self::OddWithId,
    ];

    /// Returns what it means for a record that is not known to be stored, and whether the entry
    /// itself casts doubt on that.
    pub(super) const fn meaning(self) -> Option<(Class, bool)> {
        match self {
            Self::Stored => None,
            Self::Throttled => Some((Class::Throttled, false)),
            Self::Odd => Some((Class::Failed, false)),
            Self::OddWithId => Some((Class::Failed, true)),
            Self::EmptyCode
            | Self::EmptyId
            | Self::Internal
            | Self::Nothing
            | Self::NullId
            | Self::NumberId => Some((Class::Unknown, true)),
        }
    }

    const fn has_code(self) -> bool {
        matches!(
            self,
            Self::EmptyCode | Self::Internal | Self::Odd | Self::OddWithId | Self::Throttled
        )
    }

    fn write(self, body: &mut Vec<u8>, id: &str) {
        let (before, id, after) = match self {
            Self::EmptyCode => (r#"{"RecordId":""#, id, r#"","ErrorCode":""}"#),
            Self::EmptyId => (r#"{"RecordId":""}"#, "", ""),
            Self::Internal => (r#"{"ErrorCode":"InternalFailure"}"#, "", ""),
            Self::Nothing => ("{}", "", ""),
            Self::NullId => (r#"{"RecordId":null}"#, "", ""),
            Self::NumberId => (r#"{"RecordId":7}"#, "", ""),
            Self::Odd => (r#"{"ErrorCode":"Odd","ErrorMessage":"?"}"#, "", ""),
            Self::OddWithId => (r#"{"ErrorCode":"Odd","RecordId":""#, id, r#""}"#),
            Self::Stored => (r#"{"RecordId":""#, id, r#""}"#),
            Self::Throttled => (r#"{"ErrorCode":"ServiceUnavailableException"}"#, "", ""),
        };
        body.extend_from_slice(before.as_bytes());
        body.extend_from_slice(id.as_bytes());
        body.extend_from_slice(after.as_bytes());
    }
}

/// How a request ends: what the producer is told, and what that means.
///
/// ```
/// use firehose_mock::sim::Ending;
/// use firehose_proto::Failure;
/// use firehose_proto::retry::Class;
///
/// let refused = Ending::refused(503, "ServiceUnavailableException", Class::Throttled);
/// let lost = Ending::failed(Failure::OutcomeUnknown);
/// # let _ = (refused, lost);
/// ```
#[derive(Debug)]
pub struct Ending {
    pub(super) news: News,
    pub(super) meaning: Meaning,
    pub(super) asked: Option<Duration>,
}

/// What the producer is told.
#[derive(Debug)]
pub(super) enum News {
    Failure(Failure),
    Response(Response),
}

/// What it means.
#[derive(Clone, Debug)]
pub(super) enum Meaning {
    /// Something of each record.
    Each {
        said: Vec<Said>,
        is_inconsistent: bool,
        has_duplicate: bool,
        /// The ids are those that the service gave.
        has_its_ids: bool,
    },
    /// An error that holds for all records.
    Fault(Class),
    /// An answer of success that is not believed.
    Nonsense,
    /// No answer.
    Unanswered(Failure),
}

impl Ending {
    /// The request gets no answer.
    pub fn failed(failure: Failure) -> Self {
        Self { news: News::Failure(failure), meaning: Meaning::Unanswered(failure), asked: None }
    }

    /// The request is refused as a whole; `class` says what the error means.
    pub fn refused(status: u16, code: &str, class: Class) -> Self {
        let body = format!(r#"{{"__type":"{code}","message":"simulated"}}"#);
        Self::fault(Response::new(status, body.into_bytes()), class)
    }

    /// The request is answered entry by entry, with ids that [`record_id`] makes.
    pub fn each(request: u64, said: Vec<Said>) -> Self {
        let ids: Vec<String> = (0..said.len()).map(|index| record_id(request, index)).collect();
        let body = body(&said, Count::Right, |index| &ids[index]);
        Self::entries(Response::new(200, body), said, Count::Right)
    }

    /// The answer that the service itself gave.
    pub(super) fn right(response: Response, said: Vec<Said>) -> Self {
        Self::entries(response, said, Count::Right)
    }

    /// An answer whose ids are all the same.
    pub(super) fn alike(response: Response, said: Vec<Said>) -> Self {
        let has_id =
            |said: &&Said| matches!(said, Said::Stored | Said::EmptyCode | Said::OddWithId);
        let has_duplicate = said.iter().filter(has_id).count() > 1;
        let meaning =
            Meaning::Each { said, is_inconsistent: false, has_duplicate, has_its_ids: false };
        Self { news: News::Response(response), meaning, asked: None }
    }

    pub(super) fn entries(response: Response, said: Vec<Said>, count: Count) -> Self {
        let is_inconsistent = count.of(&said) != Some(coded(&said));
        let meaning =
            Meaning::Each { said, is_inconsistent, has_duplicate: false, has_its_ids: true };
        Self { news: News::Response(response), meaning, asked: None }
    }

    pub(super) fn fault(response: Response, class: Class) -> Self {
        let meaning = Meaning::Fault(class);
        Self { news: News::Response(response), meaning, asked: None }
    }

    pub(super) fn nonsense(response: Response) -> Self {
        Self { news: News::Response(response), meaning: Meaning::Nonsense, asked: None }
    }

    /// Adds a header by which the service asks to wait.
    pub(super) fn asking(mut self, random: &mut SplitMix64) -> Self {
        let (name, value, asked) = ASKED[random.below(ASKED.len())];
        if let News::Response(response) = self.news {
            self.news = News::Response(response.with_header(name, value.as_bytes()));
            self.asked = asked;
        }
        self
    }
}

/// Headers that ask to wait, and how long they ask.
const ASKED: [(&str, &str, Option<Duration>); 6] = [
    ("x-amz-retry-after", "0", Some(Duration::ZERO)),
    ("x-amz-retry-after", "700", Some(Duration::from_millis(700))),
    ("x-amz-retry-after", "-1", None),
    ("retry-after", "2", Some(Duration::from_secs(2))),
    ("retry-after", "86400", Some(Duration::from_secs(86_400))),
    ("retry-after", "Wed, 21 Oct 2026 07:28:00 GMT", None),
];

/// Returns the id that [`Ending::each`] gives to the record at an index of a request.
pub fn record_id(request: u64, index: usize) -> String {
    format!("{request}-{index}")
}

/// Names an id by its last characters.
pub(super) fn id_tail(id: &str) -> u64 {
    let bytes = id.as_bytes();
    match bytes.last_chunk::<8>() {
        Some(tail) => u64::from_le_bytes(*tail),
        None => bytes.iter().fold(1, |tail, byte| tail << 8 | u64::from(*byte)),
    }
}

/// What an answer says in `FailedPutCount`.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Count {
    All,
    Negative,
    Missing,
    None,
    Right,
    Text,
}

impl Count {
    pub(super) const WRONG: [Self; 5] =
        [Self::All, Self::Negative, Self::Missing, Self::None, Self::Text];

    fn of(self, said: &[Said]) -> Option<usize> {
        match self {
            Self::All => Some(said.len()),
            Self::Missing | Self::Negative | Self::Text => None,
            Self::None => Some(0),
            Self::Right => Some(coded(said)),
        }
    }

    fn write(self, body: &mut Vec<u8>, said: &[Said]) {
        let written = match (self, self.of(said)) {
            (_, Some(count)) => write!(body, r#""FailedPutCount":{count},"#),
            (Self::Negative, None) => write!(body, r#""FailedPutCount":-1,"#),
            (Self::Text, None) => write!(body, r#""FailedPutCount":"0","#),
            (_, None) => Ok(()),
        };
        written.expect("a vector takes any bytes");
    }
}

fn coded(said: &[Said]) -> usize {
    said.iter().filter(|said| said.has_code()).count()
}

/// Writes an answer of success.
pub(super) fn body<'a>(said: &[Said], count: Count, id: impl Fn(usize) -> &'a str) -> Vec<u8> {
    let mut body = Vec::with_capacity(64 + said.len() * 260 + BODY_HEADROOM_BYTES);
    body.push(b'{');
    count.write(&mut body, said);
    body.extend_from_slice(br#""RequestResponses":["#);
    for (index, said) in said.iter().enumerate() {
        if index > 0 {
            body.push(b',');
        }
        said.write(&mut body, id(index));
    }
    body.extend_from_slice(b"]}");
    body
}

/// Returns the place of a ticket in a list of records.
pub(super) fn place(ticket: Ticket) -> usize {
    usize::try_from(ticket.number()).unwrap_or(usize::MAX)
}
