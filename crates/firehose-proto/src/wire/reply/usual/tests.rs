//! What one reader says, the other must say.

use super::super::{Entry, Reply, Scratch, strict};
use super::*;

/// What an answer says, whoever read it.
#[derive(Debug, PartialEq)]
struct Said<'a> {
    entries: Vec<Entry<'a>>,
    failed_put_count: Option<u64>,
    encrypted: Option<bool>,
}

impl<'a> Said<'a> {
    fn of(reply: &'a Reply) -> Self {
        let entries = reply.entries().collect();
        let (failed_put_count, encrypted) = (reply.failed_put_count(), reply.encrypted());
        Self { entries, failed_put_count, encrypted }
    }
}

fn usually(text: &str, records: usize) -> Option<Reply> {
    let mut entries = Vec::new();
    let head = read(text.as_bytes(), records, &mut entries)?;
    Some(Reply { text: text.into(), entries, head })
}

fn strictly(text: &str, records: usize) -> Option<Reply> {
    let read = |root: crate::wire::json::Value<'_>, kept: &mut strict::Kept| {
        strict::read_batch(root, records, kept)
    };
    Reply::parse_strictly(text.into(), Vec::new(), &mut Scratch::new(), read).ok()
}

/// Checks that nothing else is said than strict reading says, and returns whether anything is.
fn check(text: &str, records: usize) -> bool {
    let Some(usual) = usually(text, records) else { return false };
    let strict = strictly(text, records).unwrap_or_else(|| panic!("{text} is no answer"));
    assert_eq!(Said::of(&usual), Said::of(&strict), "{text}");
    true
}

const USUAL: [&str; 9] = [
    r#"{"Encrypted":false,"FailedPutCount":0,"RequestResponses":[{"RecordId":"ab"},{"RecordId":"cd"}]}"#,
    r#"{"FailedPutCount":1,"RequestResponses":[{"RecordId":"ab"},{"ErrorCode":"X","ErrorMessage":"Slow down."}]}"#,
    r#"{"RequestResponses":[{"ErrorMessage":"m","ErrorCode":"X"},{"RecordId":"a"}],"FailedPutCount":1}"#,
    r#"{"RequestResponses":[{"RecordId":"abc"},{"RecordId":"a"},{"RecordId":"abcde"}]}"#,
    r#"{"RequestResponses":[{"RecordId":"a","ErrorCode":"X"},{"ErrorCode":"X","RecordId":"b"}]}"#,
    r#"{"FailedPutCount":999999999999999999,"RequestResponses":[]}"#,
    r#"{"RequestResponses":[{"RecordId":""},{"ErrorCode":""},{"ErrorMessage":"only"}],"Encrypted":true}"#,
    "{\"RequestResponses\":[{\"RecordId\":\"\u{e9}\u{1f525}\"},{\"RecordId\":\"\u{7f}[]{},:\"}]}",
    r#"{"RequestResponses":[{"RecordId":"a,b"},{"RecordId":"},{"},{"RecordId":"a:b"}]}"#,
];

#[test]
fn usual_answers_are_read() {
    for text in USUAL {
        assert!(check(text, 3), "{text}");
    }
}

#[test]
fn other_answers_are_left_to_strict_reading() {
    for text in [
        "",
        "{}",
        "[]",
        r#"{"RequestResponses":[]} "#,
        r#"{ "RequestResponses":[]}"#,
        r#"{"RequestResponses":[]}}"#,
        r#"{"RequestResponses":[],}"#,
        r#"{"RequestResponses":null}"#,
        r#"{"FailedPutCount":0}"#,
        r#"{"RequestResponses":[],"RequestResponses":[]}"#,
        r#"{"Encrypted":true,"RequestResponses":[],"Encrypted":true}"#,
        r#"{"FailedPutCount":0,"RequestResponses":[],"FailedPutCount":0}"#,
        r#"{"FailedPutCount":00,"RequestResponses":[]}"#,
        r#"{"FailedPutCount":-1,"RequestResponses":[]}"#,
        r#"{"FailedPutCount":1.0,"RequestResponses":[]}"#,
        r#"{"FailedPutCount":1e3,"RequestResponses":[]}"#,
        r#"{"FailedPutCount":1000000000000000000,"RequestResponses":[]}"#,
        r#"{"FailedPutCount":,"RequestResponses":[]}"#,
        r#"{"Encrypted":null,"RequestResponses":[]}"#,
        r#"{"Other":1,"RequestResponses":[]}"#,
        r#"{"RequestResponses":[{}]}"#,
        r#"{"RequestResponses":[null]}"#,
        r#"{"RequestResponses":[{"RecordId":null}]}"#,
        r#"{"RequestResponses":[{"RecordId":7}]}"#,
        r#"{"RequestResponses":[{"RecordId":"a"},]}"#,
        r#"{"RequestResponses":[{"RecordId":"a",}]}"#,
        r#"{"RequestResponses":[{"RecordId":"a","RecordId":"b"}]}"#,
        r#"{"RequestResponses":[{"RecordId":"a","Other":"b"}]}"#,
        r#"{"RequestResponses":[{"RecordId":"\u0041"}]}"#,
        r#"{"RequestResponses":[{"RecordId":"a\/b"}]}"#,
        "{\"RequestResponses\":[{\"RecordId\":\"a\nb\"}]}",
        "{\"RequestResponses\":[{\"RecordId\":\"a\0b\"}]}",
        r#"{"RequestResponses":[{"RecordId":"a"},{"RecordId":"b"},{"RecordId":"c"},{"RecordId":"d"}]}"#,
        // A quote that a jump to the expected end of an identifier leaves behind.
        r#"{"RequestResponses":[{"RecordId":"abcdef"},{"RecordId":"a"b"cd"}]}"#,
        r#"{"RequestResponses":[{"RecordId":"012345678901234567"},{"RecordId":"a"},{"RecordId":"b"}]}"#,
    ] {
        assert!(!check(text, 3), "{text}");
    }
}

/// Every answer that differs from a usual one in one byte, or is cut, or has a part twice.
#[test]
fn answers_that_are_almost_usual_mean_the_same_to_both() {
    const BYTES: &[u8] = b"\0\n !\"',-/019:AE[\\]aeflnrstu{}~\x7f\x80\xc3\xff";
    let mut read = 0;
    for text in USUAL {
        for at in 0..text.len() {
            let mut check = |bytes: Vec<u8>| {
                if let Ok(text) = String::from_utf8(bytes) {
                    read += usize::from(check(&text, 3));
                }
            };
            for byte in BYTES {
                let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at..]);
                check([before, &[*byte], &after[1..]].concat());
                check([before, &[*byte], after].concat());
            }
            for len in 1..=30.min(text.len() - at) {
                let (before, after) = (&text.as_bytes()[..at], &text.as_bytes()[at..]);
                check([before, &after[len..]].concat());
                check([before, &after[..len], after].concat());
            }
        }
    }
    assert!(read > 1_000, "only {read} of them were read");
}

#[test]
fn quotes_are_counted_wherever_they_stand() {
    let borders = [LANES, COUNTED_BYTES_MAX, 2 * COUNTED_BYTES_MAX];
    let around = borders.iter().flat_map(|at| [at - 1, *at, at + 1]);
    for len in [0, 1, 40_000].into_iter().chain(around) {
        let mut text = vec![b'"'; len];
        assert_eq!(count_quotes(&text), Some(len));
        for at in [0, len / 2, len.saturating_sub(1)] {
            let Some(byte) = text.get_mut(at) else { continue };
            *byte = b'a';
            assert_eq!(count_quotes(&text), Some(len - 1));
            for odd in [b'\\', 0x1f, 0] {
                text[at] = odd;
                assert_eq!(count_quotes(&text), None, "{odd} at {at} of {len}");
            }
            text[at] = b'"';
        }
    }
}
