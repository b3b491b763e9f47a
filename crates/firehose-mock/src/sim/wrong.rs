//! Answers as they should not be: errors of the call, and answers of success that are wrong.
//!
//! None of them lies about a record: what says "stored" is stored, and what says "not stored" is
//! not, except where the documents leave that open.

use std::borrow::Cow;

use firehose_proto::retry::Class;
use firehose_proto::wire::Response;

use super::ending::{Count, Ending, Said, body};
use crate::random::SplitMix64;

/// Errors that pass.
const PASSING: [(u16, &str, Class); 11] = [
    (400, "LimitExceededException", Class::Throttled),
    (400, "ThrottlingException", Class::Throttled),
    (403, "ExpiredTokenException", Class::Renew),
    (429, "", Class::Throttled),
    (500, "", Class::Unknown),
    (500, "InternalFailure", Class::Unknown),
    (502, "", Class::Unknown),
    (503, "", Class::Unknown),
    (503, "ServiceUnavailableException", Class::Throttled),
    (503, "ServiceUnavailableException", Class::Throttled),
    (504, "", Class::Unknown),
];

/// Errors that do not pass, for the request or for the stream.
const LASTING: [(u16, &str, Class); 6] = [
    (302, "", Class::StreamRejected),
    (400, "ResourceNotFoundException", Class::StreamRejected),
    (400, "SerializationException", Class::Rejected),
    (400, "ValidationException", Class::Rejected),
    (400, "InvalidArgumentException", Class::Rejected),
    (403, "AccessDeniedException", Class::StreamRejected),
];

/// Refusals for size.
const TOO_LARGE: [(u16, &str, Class); 3] = [
    (413, "", Class::TooLarge),
    (413, "RequestEntityTooLargeException", Class::TooLarge),
    (431, "", Class::TooLarge),
];

/// Bodies of success that are no answer.
const NONSENSE: [&str; 9] = [
    "",
    "<html>captive</html>",
    "[]",
    "null",
    r#"{"FailedPutCount":0}"#,
    r#"{"FailedPutCount":0,"RequestResponses":null}"#,
    r#"{"FailedPutCount":0,"RequestResponses":[],"RequestResponses":[]}"#,
    r#"{"__type":"ServiceUnavailableException","message":"Slow down."}"#,
    "[[[[[[[[[[[[[[[[[[[[]]]]]]]]]]]]]]]]]]]]",
];

/// Makes an error that passes, and says whether the request may have been taken.
pub(super) fn passing(random: &mut SplitMix64) -> (Ending, bool) {
    let fault = pick(random, &PASSING);
    (error(random, fault), fault.2 == Class::Unknown)
}

/// Makes an error that does not pass.
pub(super) fn lasting(random: &mut SplitMix64) -> Ending {
    let fault = pick(random, &LASTING);
    error(random, fault)
}

/// Makes a refusal for size.
pub(super) fn too_large(random: &mut SplitMix64) -> Ending {
    let fault = pick(random, &TOO_LARGE);
    error(random, fault)
}

/// Writes an error in one of the forms that there are.
fn error(random: &mut SplitMix64, (status, code, class): (u16, &str, Class)) -> Ending {
    if code.is_empty() {
        let body = pick(random, &["", "<html>busy</html>", "{}", r#"{"message":"?"}"#]);
        return Ending::fault(Response::new(status, body.as_bytes().to_vec()), class);
    }
    match random.next() % 3 {
        0 => Ending::refused(status, code, class),
        1 => {
            let response = Response::new(status, Vec::new());
            Ending::fault(response.with_header("x-amzn-ErrorType", code.as_bytes()), class)
        }
        _ => {
            let body = format!(r#"{{"code":"{code}"}}"#).into_bytes();
            Ending::fault(Response::new(status, body), class)
        }
    }
}

/// Makes a wrong answer out of a right one. `ids` are those of the stored records, one behind the
/// other.
pub(super) fn answer(
    random: &mut SplitMix64,
    right: Response,
    mut said: Vec<Said>,
    ids: &str,
) -> Ending {
    let mut ids = list_ids(&said, ids);
    let records = said.len();
    let at = random.below(records);
    match random.next() % 8 {
        0 => {
            let count = pick(random, &Count::WRONG);
            let body = body(&said, count, |index| &*ids[index]);
            Ending::entries(Response::new(200, body), said, count)
        }
        1 | 2 => {
            let truth = said.clone();
            for _ in 0..=random.next() % 4 {
                let at = random.below(records);
                said[at] = senseless(random, truth[at]);
            }
            let body = body(&said, Count::Right, |index| &*ids[index]);
            Ending::entries(Response::new(200, body), said, Count::Right)
        }
        3 => {
            said.remove(at);
            ids.remove(at);
            Ending::nonsense(Response::new(200, body(&said, Count::Right, |index| &*ids[index])))
        }
        4 => {
            said.insert(at, Said::Stored);
            ids.insert(at, ids[at].clone());
            Ending::nonsense(Response::new(200, body(&said, Count::Right, |index| &*ids[index])))
        }
        5 => {
            let mut cut = right.into_body();
            cut.truncate(random.below(cut.len()));
            Ending::nonsense(Response::new(200, cut))
        }
        6 => {
            let is_encoded = random.next().is_multiple_of(4);
            let (status, body) = (pick(random, &[200, 200, 204]), pick(random, &NONSENSE));
            Ending::nonsense(if is_encoded {
                right.with_header("Content-Encoding", b"gzip")
            } else {
                Response::new(status, body.as_bytes().to_vec())
            })
        }
        _ => {
            let same = &*ids[at];
            let body = body(&said, Count::Right, |_| same);
            Ending::alike(Response::new(200, body), said)
        }
    }
}

/// Gives each record its id; those that were not stored have one that says so.
fn list_ids<'a>(said: &[Said], ids: &'a str) -> Vec<Cow<'a, str>> {
    let stored = said.iter().filter(|said| **said == Said::Stored).count();
    let id_bytes = ids.len().checked_div(stored).unwrap_or_default();
    let mut rest = ids;
    let mut next = |(index, said): (usize, &Said)| {
        if *said != Said::Stored {
            return Cow::Owned(format!("never-given-{index}"));
        }
        let (id, behind) = rest.split_at_checked(id_bytes).unwrap_or_default();
        rest = behind;
        Cow::Borrowed(id)
    };
    said.iter().enumerate().map(&mut next).collect()
}

/// Replaces an entry by one that says less.
fn senseless(random: &mut SplitMix64, was: Said) -> Said {
    match (random.next() % 3, was) {
        (0, Said::Stored) => Said::Internal,
        (0, Said::Internal | Said::Throttled) => Said::Odd,
        _ => pick(random, &Said::SENSELESS),
    }
}

fn pick<T: Copy>(random: &mut SplitMix64, choices: &[T]) -> T {
    choices[random.below(choices.len())]
}
