//! What is secret is never printed: the command fails in all its ways, with keys in its environment
//! and a record in its input, and neither is in what it says.

use std::fs;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::Stdio;

use firehose_tests::canaries::{
    PASSWORD, PAYLOAD, SECRET_KEY, TOKEN, assert_silent, assert_silent_on,
};
use tempfile::tempdir;

use crate::support::{Serving, firehose};

/// Runs `put` with keys and a record, and looks at what it says and leaves.
fn check(folder: &Path, args: &[&str], statuses: &[i32]) -> String {
    fs::write(folder.join("in"), format!("{PAYLOAD}\nother\n")).unwrap();
    let mut said = String::new();
    for more in [[].as_slice(), &["--verbose"], &["--verbose", "--json"], &["--quiet"]] {
        let mut command = firehose(folder, &[&["put", "demo", "in"], args, more].concat());
        command.env("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE");
        command.env("AWS_SECRET_ACCESS_KEY", SECRET_KEY).env("AWS_SESSION_TOKEN", TOKEN);
        let output = command.stdin(Stdio::null()).output().unwrap();
        assert!(statuses.contains(&output.status.code().unwrap()), "{args:?}: {output:?}");
        let text = [output.stdout, output.stderr].concat();
        said.push_str(&String::from_utf8(text).unwrap());
    }
    assert_silent("the command", &said);
    assert!(!said.contains("Signature="), "{said}");
    if let Ok(failed) = fs::read_to_string(folder.join("demo.failed.jsonl")) {
        // It is there for the records, and for nothing else.
        assert_silent_on(&[SECRET_KEY, TOKEN, PASSWORD], "the failure file", &failed);
    }
    said
}

#[test]
fn runs_that_fail_tell_no_secret() {
    let folder = tempdir().unwrap();
    let free = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = free.local_addr().unwrap();
    drop(free);
    check(folder.path(), &["--endpoint-url", &format!("http://{address}")], &[3]);
    check(folder.path(), &["--endpoint-url", &format!("https://u:{PASSWORD}@{address}")], &[2]);
    check(folder.path(), &["--endpoint-url", &format!("https://{PASSWORD}@{address}/x")], &[2]);
    check(folder.path(), &["--endpoint-url", &format!("{PASSWORD}:x@{address}")], &[2]);
    check(folder.path(), &["--local", "in"], &[3]);
    for faults in ["refuse=1", "internal=1", "unavailable=1", "fail=1", "cut=1", "drop=1"] {
        let serving = Serving::start(folder.path(), &["--faults", faults]);
        let args = ["--endpoint-url", &serving.url, "--attempts", "2"];
        check(folder.path(), &args, &[1, 3]);
        serving.stop();
    }
}

#[test]
fn runs_that_succeed_tell_no_secret() {
    let folder = tempdir().unwrap();
    check(folder.path(), &["--local", "dir", "--ledger"], &[0]);
    let serving = Serving::start(folder.path(), &["--faults", "refuse=0.3,seed=1"]);
    check(folder.path(), &["--endpoint-url", &serving.url], &[0]);
    serving.stop();
}

/// Answers each request as the service answers a signature that it finds wrong: with the text that
/// it signed itself, in which the session token stands.
fn answer_with_canonical_text(listener: &TcpListener) {
    for stream in listener.incoming() {
        // A client that has left wants no answer.
        let _ = stream.and_then(answer_one);
    }
}

fn answer_one(mut stream: TcpStream) -> std::io::Result<()> {
    let mut request = Vec::new();
    let mut chunk = [0; 4_096];
    while !request.ends_with(b"]}") {
        let len = stream.read(&mut chunk)?;
        if len == 0 {
            return Ok(());
        }
        request.extend_from_slice(&chunk[..len]);
    }
    let head = String::from_utf8_lossy(&request);
    let header = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.to_ascii_lowercase().starts_with(name).then(|| line.to_owned()))
    };
    let (date, token) = (header("x-amz-date:"), header("x-amz-security-token:"));
    let message = format!(
        "The request signature we calculated does not match the signature you provided. Check your \
         AWS Secret Access Key and signing method.\\n\\nThe Canonical String for this request should \
         have been\\n'POST\\n/\\n\\n{}\\n{}\\n'",
        date.unwrap_or_default(),
        token.unwrap_or_default().replace(": ", ":"),
    );
    let body = format!(r#"{{"__type":"InvalidSignatureException","message":"{message}"}}"#);
    let length = body.len();
    let head = "HTTP/1.1 403 Forbidden\r\nconnection: close\r\ncontent-length: ";
    stream.write_all(format!("{head}{length}\r\n\r\n{body}").as_bytes())
}

#[test]
fn an_answer_that_repeats_the_token_is_not_repeated() {
    let folder = tempdir().unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || answer_with_canonical_text(&listener));
    let said = check(folder.path(), &["--endpoint-url", &url], &[3]);
    assert!(said.contains("InvalidSignatureException"), "{said}");
}
