//! What a signal does: a flush and a report first, and an end at once for those who insist.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::Stdio;

use firehose_tests::delivered;
use serde_json::Value;
use tempfile::tempdir;

use crate::support::{Serving, firehose, spawn_with_pipes, terminate, wait_for_an_open_object};

#[test]
fn a_signal_flushes_and_reports() {
    let folder = tempdir().unwrap();
    let args = ["put", "demo", "--local", "dir", "--json", "--linger", "3600000", "--verbose"];
    let mut child = spawn_with_pipes(folder.path(), &args);
    let mut stdin = child.stdin.take().unwrap();
    // 500 records make a request, which shows in the directory that the reader is at work.
    let lines: String = (0..501).map(|line| format!("{line}\n")).collect();
    stdin.write_all(lines.as_bytes()).unwrap();
    wait_for_an_open_object(&folder.path().join("dir"));
    terminate(&child);
    let output = child.wait_with_output().unwrap();
    drop(stdin);
    assert_eq!(output.status.code(), Some(143));
    let summary: Value = serde_json::from_slice(&output.stdout).unwrap();
    let stats = &summary["stats"];
    assert_eq!(stats["records_delivered"], stats["records_accepted"]);
    let accepted = stats["records_accepted"].as_u64().unwrap();
    assert!((500..=501).contains(&accepted), "{accepted}");
    let bytes = delivered(&folder.path().join("dir"), "demo");
    assert!(lines.as_bytes().starts_with(&bytes) && bytes.len() >= 1_890);
}

#[test]
fn a_second_signal_ends_at_once() {
    let folder = tempdir().unwrap();
    std::fs::write(folder.path().join("in"), "a\n").unwrap();
    let serving = Serving::start(folder.path(), &["--faults", "unavailable=1,seed=1"]);
    let args = ["put", "demo", "in", "--endpoint-url", &serving.url, "--verbose"];
    let mut command = firehose(folder.path(), &args);
    let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
    let refused = lines.find(|line| line.as_ref().unwrap().contains("was throttled"));
    assert!(refused.is_some());
    terminate(&child);
    let told = lines.find(|line| line.as_ref().unwrap().contains("once more"));
    assert!(told.is_some());
    terminate(&child);
    assert_eq!(child.wait().unwrap().code(), Some(143));
}

#[test]
fn the_emulator_ends_in_good_order() {
    let folder = tempdir().unwrap();
    let serving = Serving::start(folder.path(), &["--dir", "dir"]);
    let address = serving.url.trim_start_matches("http://").to_owned();
    let body = r#"{"DeliveryStreamName":"demo","Record":{"Data":"aGVsbG8K"}}"#;
    let mut connection = std::net::TcpStream::connect(address).unwrap();
    let head = format!(
        "POST / HTTP/1.1\r\nhost: x\r\nx-amz-target: Firehose_20150804.PutRecord\r\n\
         content-type: application/x-amz-json-1.1\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        body.len()
    );
    connection.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    connection.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    let (status, totals) = serving.stop();
    assert!(status.success());
    assert_eq!(totals["records_accepted"], 1);
    assert_eq!(delivered(&folder.path().join("dir"), "demo"), b"hello\n");
}
