//! The rows of the judgement table, each as one answer.

mod whole;

use super::*;

/// Judges a body for `records` records and writes the verdicts down: `S` stored, `F` failed, `D`
/// failed with doubt, `?` unknown; a whole answer that is not believed is `unknown`.
fn judge(records: usize, body: &str) -> String {
    let response = Response::new(200, body.as_bytes().to_vec());
    match Judgement::of(response, records, &mut Scratch::new()) {
        Judgement::Fault(fault) => fault.to_string(),
        Judgement::Unknown(_) => "unknown".to_owned(),
        Judgement::Records(judged) => {
            let mut text: String = judged.verdicts().map(letter).collect();
            if judged.anomalies().inconsistent_count {
                text.push_str(" count");
            }
            if judged.anomalies().duplicate_id {
                text.push_str(" id");
            }
            text
        }
    }
}

fn letter(verdict: Verdict<'_>) -> char {
    match verdict {
        Verdict::Failed { may_be_stored: false, .. } => 'F',
        Verdict::Failed { may_be_stored: true, .. } => 'D',
        Verdict::Stored { .. } => 'S',
        Verdict::Unknown => '?',
    }
}

fn check(cases: &[(usize, &str, &str)]) {
    for (records, body, expected) in cases {
        assert_eq!(judge(*records, body), *expected, "{records} records: {body}");
    }
}

// R5, R6, R7
#[test]
fn entries_decide_and_the_count_does_not() {
    check(&[
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#, "S"),
        (
            2,
            r#"{"RequestResponses":[{"RecordId":"a"},{"ErrorCode":"X"}],"FailedPutCount":1}"#,
            "SF",
        ),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"ErrorCode":"X"}]}"#, "F count"),
        (1, r#"{"FailedPutCount":1,"RequestResponses":[{"RecordId":"a"}]}"#, "S count"),
        (1, r#"{"RequestResponses":[{"RecordId":"a"}]}"#, "S count"),
        (1, r#"{"FailedPutCount":"0","RequestResponses":[{"RecordId":"a"}]}"#, "S count"),
        (1, r#"{"FailedPutCount":-1,"RequestResponses":[{"RecordId":"a"}]}"#, "S count"),
    ]);
}

// R5
#[test]
fn a_list_of_another_length_says_nothing() {
    check(&[
        (2, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#, "unknown"),
        (
            1,
            r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"},{"RecordId":"b"}]}"#,
            "unknown",
        ),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[]}"#, "unknown"),
        (1, r#"{"FailedPutCount":0,"RequestResponses":null}"#, "unknown"),
        (1, r#"{"FailedPutCount":0,"RequestResponses":{"RecordId":"a"}}"#, "unknown"),
        (1, r#"{"FailedPutCount":0}"#, "unknown"),
        (1, r#"{"failedPutCount":0,"requestResponses":[{"RecordId":"a"}]}"#, "unknown"),
    ]);
}

#[test]
fn an_entry_is_believed_only_if_it_is_plain() {
    let entry = |entry: &str| {
        let body = format!(r#"{{"FailedPutCount":0,"RequestResponses":[{entry}]}}"#);
        judge(1, &body).chars().next().unwrap()
    };
    for (text, expected) in [
        (r#"{"RecordId":"a","ErrorCode":"X"}"#, 'D'),
        (r#"{"RecordId":"a","ErrorCode":null}"#, 'S'),
        (r#"{"RecordId":"a","ErrorMessage":"odd"}"#, 'S'),
        (r#"{"ErrorCode":"InternalFailure"}"#, 'D'),
        (r#"{"ErrorCode":"X","RecordId":null}"#, 'F'),
        (r#"{"ErrorCode":"","RecordId":"a"}"#, '?'),
        (r#"{"ErrorCode":7,"RecordId":"a"}"#, '?'),
        (r#"{"ErrorCode":"X","RecordId":7}"#, 'D'),
        (r#"{"ErrorCode":"X","RecordId":""}"#, 'F'),
        (r#"{"RecordId":""}"#, '?'),
        (r#"{"RecordId":7}"#, '?'),
        (r#"{"RecordId":["a"]}"#, '?'),
        (r#"{"RecordId":null}"#, '?'),
        ("{}", '?'),
        ("null", '?'),
        ("true", '?'),
        (r#""a""#, '?'),
        (r#"["a"]"#, '?'),
    ] {
        assert_eq!(entry(text), expected, "{text}");
    }
}

#[test]
fn an_answer_that_cannot_be_read_says_nothing() {
    let entry = r#"{"RecordId":"a"}"#;
    let deep =
        format!(r#"{{"RequestResponses":[{entry}],"x":{}{}}}"#, "[".repeat(9), "]".repeat(9));
    check(&[
        (1, "", "unknown"),
        (1, "{}", "unknown"),
        (1, "[0,true,[]]", "unknown"),
        (1, "<html></html>", "unknown"),
        (1, r#"{"__type":"ServiceUnavailableException"}"#, "unknown"),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]"#, "unknown"),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}x"#, "unknown"),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}{}"#, "unknown"),
        (
            1,
            "\u{feff}{\"FailedPutCount\":0,\"RequestResponses\":[{\"RecordId\":\"a\"}]}",
            "unknown",
        ),
        (1, r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"\ud800"}]}"#, "unknown"),
        (1, r#"{"RequestResponses":[{"RecordId":"a"}],"RequestResponses":[]}"#, "unknown"),
        (1, r#"{"RequestResponses":[{"RecordId":"a","RecordId":"b"}]}"#, "unknown"),
        (1, &deep, "unknown"),
    ]);
    let broken =
        [br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":""#.as_slice(), b"\xff\"}]}"];
    let response = Response::new(200, broken.concat());
    assert!(matches!(Judgement::of(response, 1, &mut Scratch::new()), Judgement::Unknown(_)));
    let good = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#.to_vec();
    let response = Response::new(200, good).with_header("Content-Encoding", b"gzip");
    assert!(matches!(Judgement::of(response, 1, &mut Scratch::new()), Judgement::Unknown(_)));
}

#[test]
fn an_identifier_given_twice_is_noticed() {
    let reply = |ids: &[String]| {
        let entries: Vec<_> = ids.iter().map(|id| format!(r#"{{"RecordId":"{id}"}}"#)).collect();
        format!(r#"{{"FailedPutCount":0,"RequestResponses":[{}]}}"#, entries.join(","))
    };
    let mut ids: Vec<_> = (0..500).map(|index| format!("shard-{index:030}")).collect();
    assert_eq!(judge(500, &reply(&ids)), "S".repeat(500));
    ids[499] = ids[0].clone();
    assert_eq!(judge(500, &reply(&ids)), format!("{} id", "S".repeat(500)));
}

#[test]
fn other_successes_with_the_shape_are_read() {
    for status in [200, 201, 202, 206, 299] {
        let body = br#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":"a"}]}"#.to_vec();
        let judgement = Judgement::of(Response::new(status, body), 1, &mut Scratch::new());
        assert!(matches!(judgement, Judgement::Records(_)), "{status}");
    }
    let none = Judgement::of(Response::new(204, Vec::new()), 1, &mut Scratch::new());
    assert!(matches!(none, Judgement::Unknown(_)));
}
