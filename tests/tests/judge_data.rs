//! The cases of `tests/data`, judged by the core.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::collections::BTreeSet;
use std::time::Duration;

use firehose_proto::judge::{Judged, Judgement, Verdict};
use firehose_proto::retry::Class;
use firehose_proto::wire::{Response, Scratch};
use firehose_tests::cases::{Case, Kind, cases};

/// What the core says of a case, in the words of the data.
#[derive(Debug, Eq, PartialEq)]
struct Told {
    kind: Kind,
    ok: Vec<usize>,
    failed: Vec<usize>,
    doubtful: Vec<usize>,
    anomalies: Vec<String>,
    code: Option<String>,
    class: Option<String>,
    retryable: bool,
    throttling: bool,
    retry_after: Option<Duration>,
}

impl Told {
    fn nothing(kind: Kind) -> Self {
        Self {
            kind,
            ok: Vec::new(),
            failed: Vec::new(),
            doubtful: Vec::new(),
            anomalies: Vec::new(),
            code: None,
            class: None,
            retryable: false,
            throttling: false,
            retry_after: None,
        }
    }

    fn expected(case: &Case) -> Self {
        Self {
            kind: case.kind,
            ok: case.ok.clone(),
            failed: case.failed.clone(),
            doubtful: case.doubtful.clone(),
            anomalies: case.anomalies.clone(),
            code: case.code.clone(),
            class: case.class.clone(),
            retryable: case.retryable,
            throttling: case.throttling,
            retry_after: case.retry_after_ms.map(Duration::from_millis),
        }
    }

    fn of(case: &Case, scratch: &mut Scratch) -> Self {
        let response = Response::new(case.status, case.body());
        let response = case
            .headers
            .iter()
            .fold(response, |response, (name, value)| response.with_header(name, value.as_bytes()));
        match Judgement::of(response, case.n_records, scratch) {
            Judgement::Fault(fault) => {
                let class = Class::of_fault(&fault);
                // What is too large goes again in parts, and a single record has none.
                let is_hopeless = class == Class::TooLarge && case.n_records == 1;
                Self {
                    code: fault.code().map(Into::into),
                    class: Some(name(class)),
                    retryable: class.is_retryable() && !is_hopeless,
                    throttling: class == Class::Throttled,
                    retry_after: fault.retry_after(),
                    ..Self::nothing(Kind::Error)
                }
            }
            Judgement::Records(judged) => Self::of_records(&judged),
            Judgement::Unknown(_) => Self { retryable: true, ..Self::nothing(Kind::Unknown) },
        }
    }

    fn of_records(judged: &Judged) -> Self {
        let mut told = Self::nothing(Kind::Records);
        for (index, verdict) in judged.verdicts().enumerate() {
            assert_eq!(judged.verdict(index), verdict);
            match verdict {
                Verdict::Failed { code, may_be_stored, .. } => {
                    let class = Class::of_entry(code);
                    told.failed.push(index);
                    told.doubtful.extend(may_be_stored.then_some(index));
                    told.code.get_or_insert_with(|| code.to_owned());
                    told.class.get_or_insert_with(|| name(class));
                    told.retryable |= class.is_retryable();
                    told.throttling |= class == Class::Throttled;
                }
                Verdict::Stored { .. } => told.ok.push(index),
                Verdict::Unknown => told.retryable = true,
            }
        }
        let anomalies = judged.anomalies();
        for (is_there, name) in [
            (anomalies.duplicate_id, "duplicate_id"),
            (anomalies.inconsistent_count, "inconsistent_count"),
        ] {
            told.anomalies.extend(is_there.then(|| name.to_owned()));
        }
        told
    }
}

/// The word of the data for a class.
fn name(class: Class) -> String {
    let name = match class {
        Class::Failed => "failed",
        Class::Rejected => "rejected",
        Class::Renew => "renew",
        Class::StreamRejected => "stream_rejected",
        Class::Throttled => "throttled",
        Class::TooLarge => "too_large",
        Class::Unknown => "unknown",
        Class::NotSent | _ => panic!("no answer has the class {class:?}"),
    };
    name.to_owned()
}

// Each case names the requirements that it shows.
#[test]
fn every_case_is_judged_as_it_says() {
    // One scratch for all: what an answer leaves in it must not change the next verdict.
    let mut scratch = Scratch::new();
    let wrong: Vec<String> = cases()
        .iter()
        .filter_map(|case| {
            let (told, expected) = (Told::of(case, &mut scratch), Told::expected(case));
            (told != expected).then(|| format!("{}:\n  {told:?}\n  not {expected:?}", case.name))
        })
        .collect();
    assert!(wrong.is_empty(), "{} cases\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn verdicts_do_not_depend_on_what_was_judged_before() {
    let cases = cases();
    let judge = |case: &Case| Told::of(case, &mut Scratch::new());
    let fresh: Vec<_> = cases.iter().map(judge).collect();
    let mut scratch = Scratch::new();
    let backwards: Vec<_> = cases.iter().rev().map(|case| Told::of(case, &mut scratch)).collect();
    assert!(backwards.into_iter().rev().eq(fresh));
}

#[test]
fn cases_are_what_the_format_asks_for() {
    let cases = cases();
    let names: BTreeSet<_> = cases.iter().map(|case| &case.name).collect();
    assert_eq!(names.len(), cases.len(), "a name is there twice");
    for case in &cases {
        let Case { name, ok, failed, doubtful, n_records, .. } = case;
        assert!(!case.requirements.is_empty(), "{name} shows no requirement");
        let is_sorted = |indexes: &[usize]| indexes.is_sorted_by(|left, right| left < right);
        assert!(is_sorted(ok) && is_sorted(failed) && is_sorted(doubtful), "{name}");
        let is_there = |index: &usize| *index < *n_records;
        assert!(ok.iter().chain(failed).all(is_there), "{name} has an index beyond the records");
        assert!(!ok.iter().any(|index| failed.contains(index)), "{name} has a record twice");
        assert!(doubtful.iter().all(|index| failed.contains(index)), "{name}");
        let has_lists = !(ok.is_empty() && failed.is_empty() && case.anomalies.is_empty());
        assert!(case.kind == Kind::Records || !has_lists, "{name}");
        assert_eq!(case.class.is_some(), case.kind == Kind::Error || !failed.is_empty(), "{name}");
        assert!(case.kind != Kind::Unknown || (case.code.is_none() && case.retryable), "{name}");
    }
    for kind in [Kind::Error, Kind::Records, Kind::Unknown] {
        assert!(cases.iter().filter(|case| case.kind == kind).count() >= 50, "{kind:?}");
    }
}
