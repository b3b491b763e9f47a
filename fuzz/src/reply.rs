//! Answers of success against a reading of the JSON that serde_json parsed.
//!
//! The first byte gives the number of records (a digit gives itself), the rest is the body.

use std::collections::BTreeSet;

use firehose_proto::judge::{Distrust, Judgement, Verdict};
use firehose_proto::wire::reply::{Field, Reply, ReplyError};
use firehose_proto::wire::{INTERNAL_FAILURE, Response, Scratch};

use crate::input::Input;
use crate::json::Json;

/// The deepest nesting that the core reads.
pub(crate) const DEPTH_MAX: usize = 8;

/// Judges an answer of success twice: by the core, and by a plain reading of its parsed JSON.
///
/// # Panics
///
/// If the two differ: in a verdict, in what is said against the answer, in the anomalies.
pub fn reply(data: &[u8]) {
    let mut input = Input::new(data);
    let records = records(input.byte());
    let body = input.rest();
    let json = Json::parse(body);
    let mut scratch = Scratch::new();
    let judgement = Judgement::of(Response::new(200, body.to_vec()), records, &mut scratch);
    let not_json = Err(Distrust::Reply(ReplyError::NotJson));
    let said = match &judgement {
        Judgement::Records(judged) => Ok(Said {
            verdicts: judged.verdicts().collect(),
            failed_put_count: judged.reply().failed_put_count(),
            encrypted: judged.reply().encrypted(),
            inconsistent_count: judged.anomalies().inconsistent_count,
            duplicate_id: judged.anomalies().duplicate_id,
        }),
        Judgement::Unknown(distrust) => Err(*distrust),
        Judgement::Fault(fault) => panic!("an answer of success became the error {fault}"),
    };
    match &json {
        Some(json) if said == not_json => {
            assert!(json.may_be_refused(body, DEPTH_MAX), "the core does not read {json:?}");
        }
        Some(json) => {
            let mut expected = Said::expected(json, records);
            if let (Ok(expected), Ok(said)) = (&mut expected, &said)
                && json.members("FailedPutCount").any(|count| matches!(count, Json::MinusZero))
            {
                expected.failed_put_count = said.failed_put_count;
                expected.inconsistent_count = said.inconsistent_count;
            }
            assert_eq!(said, expected);
        }
        None => assert_eq!(said, not_json, "the core reads what is not JSON"),
    }
    check_single(body, json.as_ref(), &mut scratch);
    check_scratch(&mut scratch);
}

fn records(byte: u8) -> usize {
    if byte & 0x40 == 0 { usize::from(byte % 16) } else { usize::from(byte) * 2 }
}

/// What an answer says, as far as it is believed.
#[derive(Debug, Eq, PartialEq)]
struct Said<'a> {
    verdicts: Vec<Verdict<'a>>,
    failed_put_count: Option<u64>,
    encrypted: Option<bool>,
    inconsistent_count: bool,
    duplicate_id: bool,
}

impl<'a> Said<'a> {
    fn expected(json: &'a Json, records: usize) -> Result<Self, Distrust> {
        let entries = entries(json, records).map_err(Distrust::Reply)?;
        if entries.len() != records {
            return Err(Distrust::EntryCount { entries: entries.len(), records });
        }
        let failed_put_count = json.members("FailedPutCount").find_map(Json::as_whole);
        let failed = entries.iter().filter(|entry| has(entry, "ErrorCode")).count() as u64;
        let ids: Vec<_> = entries.iter().filter_map(|entry| stated(entry, "RecordId")).collect();
        Ok(Self {
            verdicts: entries.iter().map(verdict).collect(),
            failed_put_count,
            encrypted: json.members("Encrypted").find_map(Json::as_bool),
            inconsistent_count: failed_put_count != Some(failed),
            duplicate_id: ids.iter().collect::<BTreeSet<_>>().len() < ids.len(),
        })
    }
}

/// Finds the list of results, and checks that nothing with a meaning is there twice.
fn entries(json: &Json, records: usize) -> Result<&[Json], ReplyError> {
    let members = json.as_object().ok_or(ReplyError::NotObject)?;
    refuse_twice(members, &["Encrypted", "FailedPutCount", "RequestResponses"])?;
    let list = json.members("RequestResponses").next().and_then(Json::as_list);
    let list = list.ok_or(ReplyError::MissingEntries)?;
    if list.len() > records {
        return Err(ReplyError::TooManyEntries { entries: list.len(), records });
    }
    for entry in list {
        let members = entry.as_object().unwrap_or_default();
        refuse_twice(members, &["ErrorCode", "ErrorMessage", "RecordId"])?;
    }
    Ok(list)
}

/// Refuses the member of a known name that is the first to repeat an earlier one.
fn refuse_twice(members: &[(String, Json)], known: &[&'static str]) -> Result<(), ReplyError> {
    for (index, (key, _)) in members.iter().enumerate() {
        let Some(name) = known.iter().find(|name| *name == key) else { continue };
        if members[..index].iter().any(|(earlier, _)| earlier == key) {
            return Err(ReplyError::DuplicateMember { name });
        }
    }
    Ok(())
}

/// Says whether a member of an entry is there and not null; of what is no object, everything is.
fn has(entry: &Json, name: &str) -> bool {
    entry.as_object().is_none() || entry.members(name).any(|value| !value.is_null())
}

/// Returns the text of a member that is not empty.
fn stated<'a>(entry: &'a Json, name: &'a str) -> Option<&'a str> {
    entry.members(name).find_map(Json::as_text).filter(|text| !text.is_empty())
}

fn verdict(entry: &Json) -> Verdict<'_> {
    let record_id = stated(entry, "RecordId");
    match (stated(entry, "ErrorCode"), record_id) {
        (Some(code), _) => {
            let empty = entry.members("RecordId").any(|id| id.as_text() == Some(""));
            let may_be_stored = code == INTERNAL_FAILURE || (has(entry, "RecordId") && !empty);
            let message = entry.members("ErrorMessage").find_map(Json::as_text);
            Verdict::Failed { code, message, may_be_stored }
        }
        (None, Some(record_id)) if !has(entry, "ErrorCode") => Verdict::Stored { record_id },
        (None, _) => Verdict::Unknown,
    }
}

/// Reads the same body as an answer to `PutRecord`.
fn check_single(body: &[u8], json: Option<&Json>, scratch: &mut Scratch) {
    let Ok(reply) = Reply::parse_put_record(body.to_vec(), scratch) else { return };
    let json = json.expect("the core reads JSON only");
    assert!(reply.len() == 1 && has(json, "RecordId"));
    let text = json.members("RecordId").find_map(Json::as_text);
    assert_eq!(
        reply.entry(0).map(|e| e.record_id),
        Some(text.map_or(Field::Malformed, Field::Text))
    );
}

/// Checks that nothing of a body is left in buffers that are used again.
fn check_scratch(scratch: &mut Scratch) {
    let body = br#"{"FailedPutCount":1,"RequestResponses":[{"RecordId":"a"},{"ErrorCode":"b"}]}"#;
    let judgement = Judgement::of(Response::new(200, body.to_vec()), 2, scratch);
    let Judgement::Records(judged) = judgement else { panic!("{judgement:?}") };
    assert_eq!(judged.verdict(0), Verdict::Stored { record_id: "a" });
    let failed = Verdict::Failed { code: "b", message: None, may_be_stored: false };
    assert_eq!(judged.verdict(1), failed);
}
