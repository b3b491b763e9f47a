//! Answers as a whole: why they are not believed, and identifiers that were made to meet.

use super::*;

fn of(records: usize, response: Response) -> Judgement {
    Judgement::of(response, records, &mut Scratch::new())
}

/// An answer that gives these identifiers.
fn ids<'a>(ids: impl IntoIterator<Item = &'a str>) -> (usize, String) {
    let entries: Vec<_> = ids.into_iter().map(|id| format!(r#"{{"RecordId":"{id}"}}"#)).collect();
    let list = entries.join(",");
    (entries.len(), format!(r#"{{"FailedPutCount":0,"RequestResponses":[{list}]}}"#))
}

// R5
#[test]
fn distrust_says_why() {
    let (_, body) = ids(["a", "b"]);
    let answer = || Response::new(200, body.clone().into_bytes());
    for (records, response, text) in [
        (3, answer(), "the answer has 2 results for 3 records"),
        (
            2,
            answer().with_header("content-encoding", b"gzip"),
            "the answer has a content encoding that was not asked for",
        ),
        (2, Response::new(200, b"[]".to_vec()), "the answer is not a JSON object"),
    ] {
        let Judgement::Unknown(distrust) = of(records, response) else { panic!("{text}") };
        assert_eq!(distrust.to_string(), text);
    }
}

// R5
#[test]
fn an_answer_that_was_read_before_has_to_fit_all_the_same() {
    let (_, body) = ids(["a", "b"]);
    let reply = Reply::parse(body.into_bytes(), 2, &mut Scratch::new()).unwrap();
    for records in [0, 1, 3, 500] {
        let judgement = Judgement::of_reply(reply.clone(), records);
        let Judgement::Unknown(distrust) = judgement else { panic!("{records}") };
        assert_eq!(distrust, Distrust::EntryCount { entries: 2, records });
    }
    let Judgement::Records(judged) = Judgement::of_reply(reply, 2) else { panic!("2 of 2") };
    assert_eq!(judged.reply().len(), 2);
    assert_eq!(judged.verdict(1), Verdict::Stored { record_id: "b" });
    assert_eq!(judged.verdict(2), Verdict::Unknown);
}

/// Says whether an answer that gives these identifiers is said to give one twice.
fn is_double(given: &[String]) -> bool {
    let (records, body) = ids(given.iter().map(String::as_str));
    let Judgement::Records(judged) = of(records, Response::new(200, body.into_bytes())) else {
        panic!("{records} of {records}")
    };
    assert!(!judged.anomalies().inconsistent_count);
    judged.anomalies().duplicate_id
}

#[test]
fn an_identifier_that_is_given_twice_is_found_wherever_it_stands() {
    for tail in ["", "-0123456789abcdef"] {
        // Those with a tail that is the same all fall into one place of a table of hashes.
        let given: Vec<_> = (0..500).map(|number| format!("{number}{tail}")).collect();
        assert!(!is_double(&given), "{tail}");
        for (one, other) in [(0, 1), (0, 499), (498, 499), (250, 251)] {
            let mut given = given.clone();
            given[other] = given[one].clone();
            assert!(is_double(&given), "{tail}: {one} and {other}");
        }
    }
}

#[test]
fn identifiers_may_meet_anywhere() {
    // Each tail leads to a place of its own, the first and the last of all places among them.
    for tail in 10_000..15_000 {
        let given: Vec<_> = (0..3).map(|number| format!("{number}-0123456789{tail}")).collect();
        assert!(!is_double(&given), "{tail}");
    }
}

#[test]
fn short_and_empty_identifiers_are_told_apart() {
    let given = |ids: &[&str]| ids.iter().map(|id| (*id).to_owned()).collect::<Vec<_>>();
    assert!(!is_double(&given(&["a", "ab", "b", "", ""])));
    assert!(is_double(&given(&["a", "ab", "a"])));
    // Many that meet, and empty ones between them.
    let mut many: Vec<_> = (0..100).map(|number| format!("{number}-0123456789abcdef")).collect();
    many.extend(given(&["", ""]));
    assert!(!is_double(&many));
}

#[cfg(canaries)]
#[test]
fn bugs_that_are_let_loose_show_here() {
    use crate::canary::let_loose;

    let verdicts = |body: &str| judge(1, body);
    let failed = r#"{"FailedPutCount":0,"RequestResponses":[{"ErrorCode":"X","RecordId":"a"}]}"#;
    let empty = r#"{"FailedPutCount":0,"RequestResponses":[{"RecordId":""}]}"#;
    for (bug, body) in [
        ("trust_failed_put_count", failed),
        ("error_with_id_stored", failed),
        ("empty_id_stored", empty),
    ] {
        assert!(!verdicts(body).starts_with('S'), "{bug}");
        let_loose(bug);
        assert!(verdicts(body).starts_with('S'), "{bug}");
        let_loose("");
    }
}
