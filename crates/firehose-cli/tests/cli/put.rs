//! `firehose put` as a user runs it: files in, delivered bytes out, and what it says when it cannot.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::Path;

use firehose_tests::{delivered, read, samples, sorted_lines, with_last_newline};
use serde_json::Value;
use tempfile::tempdir;

use crate::support::{
    Run, Serving, run, run_with_stdin, spawn_with_pipes, wait_for_an_open_object,
};

/// Puts a file through the embedded service and returns what was delivered.
fn put_local(folder: &Path, file: &str, delimiter: &str) -> (Run, Vec<u8>) {
    let dir = format!("{file}.{delimiter}");
    let put = ["put", "demo", file, "--local", &dir, "--delimiter", delimiter];
    let run = run(folder, &[put.as_slice(), &["--json", "--ledger"]].concat());
    assert_eq!(run.status, 0, "{run:?}");
    let bytes = delivered(&folder.join(&dir), "demo");
    (run, bytes)
}

/// The lines of the ledger, by the identifier of the record.
fn ledger(folder: &Path) -> BTreeMap<String, Value> {
    let text = String::from_utf8(read(&folder.join(".firehose/ledger.jsonl"))).unwrap();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let count = lines.len();
    let by_id: BTreeMap<_, _> = lines
        .into_iter()
        .map(|line| (line["record_id"].as_str().unwrap().to_owned(), line))
        .collect();
    assert_eq!(by_id.len(), count, "an identifier is in the ledger twice");
    by_id
}

#[test]
fn every_sample_is_delivered_to_the_byte() {
    let folder = tempdir().unwrap();
    for sample in samples() {
        fs::write(folder.path().join(&sample.name), &sample.bytes).unwrap();
        let lines = sorted_lines(&sample.bytes).len();
        let expected = with_last_newline(&sample.bytes);
        for (delimiter, expected) in [("keep", &sample.bytes), ("newline", &expected)] {
            let (run, bytes) = put_local(folder.path(), &sample.name, delimiter);
            assert!(bytes == *expected, "{} with --delimiter {delimiter}", sample.name);
            let stats = &run.json()["stats"];
            assert_eq!(stats["records_delivered"], lines);
            assert_eq!(stats["requests"], lines.div_ceil(500));
            let dir = folder.path().join(format!("{}.{delimiter}", sample.name));
            assert_eq!(ledger(&dir).len(), lines, "{}", sample.name);
        }
    }
}

#[test]
fn every_sample_goes_over_a_socket() {
    let folder = tempdir().unwrap();
    for sample in samples() {
        fs::write(folder.path().join(&sample.name), &sample.bytes).unwrap();
        let dir = format!("{}.dir", sample.name);
        let serving =
            Serving::start(folder.path(), &["--dir", &dir, "--stream", "demo", "--ledger"]);
        let put = ["put", "demo", &sample.name, "--endpoint-url", &serving.url, "--json"];
        let run = run(folder.path(), &put);
        assert_eq!(run.status, 0, "{run:?}");
        let (status, totals) = serving.stop();
        assert!(status.success());
        let lines = sorted_lines(&sample.bytes).len();
        assert_eq!(totals["records_accepted"], lines);
        assert_eq!(ledger(&folder.path().join(&dir)).len(), lines);
        let bytes = delivered(&folder.path().join(&dir), "demo");
        let expected = with_last_newline(&sample.bytes);
        assert!(sorted_lines(&bytes) == sorted_lines(&expected), "{}", sample.name);
    }
}

#[test]
fn several_files_and_stdin_are_put_in_order() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("a"), "1\n2").unwrap();
    fs::write(folder.path().join("b"), "5\n").unwrap();
    let args = ["put", "demo", "a", "-", "b", "--local", "dir"];
    let run = run_with_stdin(folder.path(), &args, b"3\n4");
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(delivered(&folder.path().join("dir"), "demo"), b"1\n2\n3\n4\n5\n");
    assert_eq!(
        run.stderr.split(" in ").next(),
        Some("firehose: demo: 5 records (10 B) delivered to dir/demo")
    );
}

// R2
#[test]
fn lines_that_are_too_long_go_to_the_failure_file() {
    let folder = tempdir().unwrap();
    let long = "x".repeat(3_000_000);
    fs::write(folder.path().join("in"), format!("one\n{long}\ntwo\n{long}")).unwrap();
    let args = ["put", "demo", "in", "--local", "dir", "--failed-to", "failed", "--json"];
    let run = run(folder.path(), &args);
    assert_eq!(run.status, 1, "{run:?}");
    assert_eq!(delivered(&folder.path().join("dir"), "demo"), b"one\ntwo\n");
    assert_eq!(run.json()["input"]["too_large"], 2);
    assert!(run.stderr.contains("2 not delivered: 2 too large; see failed"), "{}", run.stderr);
    let text = String::from_utf8(read(&folder.path().join("failed"))).unwrap();
    let entries: Vec<Value> =
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let expected = [(4, format!("{long}\n")), (3_000_009, long)];
    assert_eq!(entries.len(), expected.len());
    for (entry, (position, data)) in entries.iter().zip(expected) {
        assert_eq!((&entry["reason"], &entry["input"]), (&"too_large".into(), &"in".into()));
        assert_eq!(entry["position"], position);
        assert_eq!(entry["may_be_delivered"], false);
        let base64 = entry["data"].as_str().unwrap();
        assert!(base64_simd::STANDARD.decode_to_vec(base64).unwrap() == data.as_bytes());
    }
}

/// Runs the command with input that cannot be put, and compares status and words. Nothing may be
/// left behind.
fn check_refused(args: &[&str], status: i32, words: &str) {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "a\nb\n").unwrap();
    let run = run(folder.path(), &[&["put"], args].concat());
    assert_eq!(run.status, status, "{args:?}: {run:?}");
    assert!(run.stderr.contains(words), "{args:?}: {}", run.stderr);
    let left: Vec<_> =
        fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(left, ["in"], "{args:?}");
}

#[test]
fn what_cannot_be_put_is_told_in_a_line() {
    check_refused(&["demo", "nosuch", "--local", "dir"], 3, "cannot read nosuch: No such file");
    check_refused(&["demo", ".", "--local", "dir"], 3, "cannot read .: it is a directory");
    check_refused(&["demo", "in", "nosuch", "--local", "dir"], 3, "cannot read nosuch");
    check_refused(&["a b", "in", "--local", "dir"], 2, "a stream name has only letters");
    check_refused(&["", "in", "--local", "dir"], 2, "at least one character");
    check_refused(&[&"n".repeat(65), "in", "--local", "dir"], 2, "at most 64 characters");
    check_refused(&["demo", "in", "--endpoint-url", "ftp://x"], 2, "neither http nor https");
    check_refused(&["demo", "in", "--endpoint-url", "http://"], 2, "endpoint");
    check_refused(&["demo", "in", "--region", "no where"], 2, "region");
    check_refused(&["demo", "in"], 2, "--local DIR, --endpoint-url URL or --region REGION");
    check_refused(&["demo", "in", "--region", "eu-west-1"], 3, "AWS_ACCESS_KEY_ID");
    check_refused(&["demo", "in", "--attempts", "0"], 2, "--attempts");
    check_refused(&["demo", "in", "--local", "in"], 3, "in/.firehose");
    check_refused(
        &["demo", "in", "--local", "dir", "--failed-to", "no/where"],
        3,
        "cannot write no/where",
    );
}

#[test]
fn nobody_there_is_told_in_a_line() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    let words = format!("demo: cannot connect to {address}: Connection refused");
    check_refused(&["demo", "in", "--endpoint-url", &format!("http://{address}")], 3, &words);
}

// R15
#[test]
fn a_stream_that_is_not_there_is_told_in_a_line() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--stream", "other"]);
    let words = "demo: 400 ResourceNotFoundException: Firehose demo under account";
    check_refused(&["demo", "in", "--endpoint-url", &serving.url], 3, words);
    // Several requests are under way when the first is refused.
    fs::write(folder.path().join("many"), "line\n".repeat(20_000)).unwrap();
    let refused = run(folder.path(), &["put", "demo", "many", "--endpoint-url", &serving.url]);
    assert_eq!(refused.status, 3, "{refused:?}");
    assert_eq!(refused.stderr.matches("400 ResourceNotFoundException").count(), 1);
    let advice = "there is no stream demo in us-east-1 in this account";
    assert_eq!(refused.stderr.matches(advice).count(), 1, "{}", refused.stderr);
    assert_eq!(refused.stderr.matches("demo").count(), 3, "{}", refused.stderr);
    assert!(!folder.path().join("demo.failed.jsonl").exists());
    // What came from stdin cannot be read again, so it is kept.
    let args = ["put", "demo", "--endpoint-url", &serving.url];
    let run = run_with_stdin(folder.path(), &args, b"precious\n");
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains(words) && run.stderr.contains("see demo.failed.jsonl"), "{run:?}");
    let failed = String::from_utf8(read(&folder.path().join("demo.failed.jsonl"))).unwrap();
    let entry: Value = serde_json::from_str(&failed).unwrap();
    assert_eq!((&entry["reason"], &entry["attempts"]), (&"rejected".into(), &1.into()));
    assert_eq!(entry["data"], "cHJlY2lvdXMK");
    assert_eq!(serving.stop().1["records_accepted"], 0);
}

// R1
#[test]
fn empty_input_sends_nothing() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("empty"), "").unwrap();
    let serving = Serving::start(folder.path(), &[]);
    let run =
        run(folder.path(), &["put", "demo", "empty", "--endpoint-url", &serving.url, "--json"]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(run.json()["stats"]["requests"], 0);
    assert!(run.stderr.contains("the input is empty, nothing was sent"));
    assert_eq!(serving.stop().1["requests"], 0);
}

// R9, R10
#[test]
fn faults_lose_nothing_and_doubt_is_counted() {
    let folder = tempdir().unwrap();
    let text: String = (0..20_000).map(|line| format!("line {line}\n")).collect();
    fs::write(folder.path().join("in"), &text).unwrap();
    let faults = "internal=0.05,cut=0.1,drop=0.1,fail=0.05,seed=5";
    let serving = Serving::start(folder.path(), &["--dir", "dir", "--faults", faults]);
    // One in four attempts comes to nothing: ten in a row happen to some of so many records.
    let args = ["put", "demo", "in", "--endpoint-url", &serving.url, "--json", "--attempts", "50"];
    let run = run(folder.path(), &args);
    assert_eq!(run.status, 0, "{run:?}");
    serving.stop();
    let bytes = delivered(&folder.path().join("dir"), "demo");
    let mut lines = sorted_lines(&bytes);
    let all = lines.len();
    lines.dedup();
    assert!(lines == sorted_lines(text.as_bytes()), "a record is lost, or one came from nowhere");
    let doubled = run.json()["stats"]["records_maybe_doubled"].as_u64().unwrap();
    assert!((all - lines.len()) as u64 <= doubled, "{} doubled, {doubled} told", all - lines.len());
}

#[test]
fn what_is_given_up_is_in_the_failure_file() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "a\nb\n").unwrap();
    let serving = Serving::start(folder.path(), &["--faults", "refuse=1,seed=1"]);
    let args = ["put", "demo", "in", "--endpoint-url", &serving.url, "--attempts", "1"];
    let run = run(folder.path(), &args);
    assert_eq!(run.status, 1, "{run:?}");
    let failed = String::from_utf8(read(&folder.path().join("demo.failed.jsonl"))).unwrap();
    let expected = r#"{"reason":"exhausted","message":"exhausted: ServiceUnavailableException: Slow down.","attempts":1,"may_be_delivered":false,"data":"YQo="}"#;
    assert_eq!(failed.lines().next(), Some(expected));
    assert_eq!(failed.lines().count(), 2);
}

#[test]
fn a_service_that_goes_away_is_given_up() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--dir", "dir"]);
    let args = ["put", "demo", "--endpoint-url", &serving.url, "--attempts", "2", "--json"];
    let mut child = spawn_with_pipes(folder.path(), &args);
    let mut stdin = child.stdin.take().unwrap();
    stdin.write_all(&b"first\n".repeat(500)).unwrap();
    wait_for_an_open_object(&folder.path().join("dir"));
    serving.stop();
    stdin.write_all(b"second\n").unwrap();
    drop(stdin);
    let run = Run::of(child.wait_with_output().unwrap());
    assert_eq!(run.status, 1, "{run:?}");
    assert!(run.stderr.contains("demo: cannot connect to 127.0.0.1"), "{}", run.stderr);
    assert!(run.stderr.contains("500 of 501 records delivered"), "{}", run.stderr);
    let failed = String::from_utf8(read(&folder.path().join("demo.failed.jsonl"))).unwrap();
    assert!(
        failed.starts_with(r#"{"reason":"exhausted","message":"exhausted: not sent""#),
        "{failed}"
    );
}
