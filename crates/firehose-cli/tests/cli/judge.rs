//! `firehose judge` as the author of another client uses it: in bulk, line by line, and with input
//! that means harm.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::process::{Child, ChildStdin, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use base64_simd::STANDARD;
use firehose_tests::cases::{Case, cases};
use serde_json::{Value, json};
use tempfile::tempdir;

use crate::support::{firehose, run_with_stdin};

/// How long a verdict may take on the slowest of machines.
const PATIENCE: Duration = Duration::from_secs(120);

fn question(case: &Case) -> Value {
    json!({
        "name": case.name,
        "n_records": case.n_records,
        "status": case.status,
        "headers": case.headers,
        "body_b64": STANDARD.encode_to_string(case.body()),
    })
}

fn expected(case: &Case) -> Value {
    json!({
        "name": case.name,
        "kind": case.kind.name(),
        "ok": case.ok,
        "failed": case.failed,
        "code": case.code,
        "retryable": case.retryable,
        "throttling": case.throttling,
    })
}

/// Judges an input and returns the answers.
fn judge(input: &[u8]) -> Vec<Value> {
    let folder = tempdir().unwrap();
    let run = run_with_stdin(folder.path(), &["judge"], input);
    assert_eq!((run.status, run.stderr.as_str()), (0, ""));
    run.stdout.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn every_case_of_the_data_has_its_verdict() {
    let cases = cases();
    let input = cases.iter().fold(String::new(), |mut input, case| {
        writeln!(input, "{}", question(case)).unwrap();
        input
    });
    let answers = judge(input.as_bytes());
    assert_eq!(answers.len(), cases.len());
    for (case, answer) in cases.iter().zip(answers) {
        assert_eq!(answer, expected(case));
    }
}

/// A line that is judged, with what another member has in place of the usual.
fn with(member: &str, value: Value) -> String {
    let mut line =
        json!({"name": "n", "n_records": 1, "status": 503, "headers": [], "body_b64": ""});
    line[member] = value;
    line.to_string()
}

fn without(member: &str) -> String {
    let mut line: Value = serde_json::from_str(&with("name", "n".into())).unwrap();
    line.as_object_mut().unwrap().remove(member);
    line.to_string()
}

const GOOD: &str = r#"{"name":"good","n_records":1,"status":503,"headers":[],"body_b64":""}"#;

#[test]
fn lines_that_make_no_sense_cost_only_themselves() {
    let huge = Value::from(u64::MAX);
    let invalid: Vec<(Vec<u8>, Option<&str>, &str)> = [
        (String::new(), None, "not a JSON object"),
        ("x".to_owned(), None, "not a JSON object"),
        ("{".to_owned(), None, "not a JSON object"),
        ("null".to_owned(), None, "not a JSON object"),
        (r#"["n",1,503,[],""]"#.to_owned(), None, "not a JSON object"),
        ("[".repeat(1_000_000), None, "not a JSON object"),
        (format!("{GOOD}{GOOD}"), None, "not a JSON object"),
        (GOOD.replace(r#""status":"#, r#""status":1,"status":"#), None, "each member once"),
        ("{}".to_owned(), None, "n_records"),
        (without("n_records"), Some("n"), "n_records"),
        (with("n_records", 0.into()), Some("n"), "n_records"),
        (with("n_records", (-1).into()), Some("n"), "n_records"),
        (with("n_records", 1.5.into()), Some("n"), "n_records"),
        (with("n_records", 1e300.into()), Some("n"), "n_records"),
        (with("n_records", (1_u64 << 32).into()), Some("n"), "n_records"),
        (with("n_records", huge.clone()), Some("n"), "n_records"),
        (with("n_records", "1".into()), Some("n"), "n_records"),
        (GOOD.replace(":1,", &format!(":{},", "9".repeat(10_000))), Some("good"), "n_records"),
        (without("status"), Some("n"), "status"),
        (with("status", 99.into()), Some("n"), "status"),
        (with("status", 1_000.into()), Some("n"), "status"),
        (with("status", (-200).into()), Some("n"), "status"),
        (with("status", huge), Some("n"), "status"),
        (with("status", "200".into()), Some("n"), "status"),
        (with("headers", json!({"a": "b"})), Some("n"), "headers"),
        (with("headers", json!([["a"]])), Some("n"), "headers"),
        (with("headers", json!([["a", "b", "c"]])), Some("n"), "headers"),
        (with("headers", json!([["a", 1]])), Some("n"), "headers"),
        (with("headers", json!([["a", null]])), Some("n"), "headers"),
        (without("body_b64"), Some("n"), "body_b64"),
        (with("body_b64", Value::Null), Some("n"), "body_b64"),
        (with("body_b64", 7.into()), Some("n"), "body_b64"),
        (with("body_b64", "!!!!".into()), Some("n"), "body_b64"),
        (with("body_b64", "YQ".into()), Some("n"), "body_b64"),
        (with("body_b64", "YQ=".into()), Some("n"), "body_b64"),
        (with("body_b64", "_-8=".into()), Some("n"), "body_b64"),
        (with("body_b64", "YQ==\n".into()), Some("n"), "body_b64"),
    ]
    .map(|(line, name, error)| (line.into_bytes(), name, error))
    .into();
    let not_text: [&[u8]; 4] =
        [b"\xff", b"{\"name\":\"\xff\"}", b"\xef\xbb\xbf{}", b"{\"name\":\"a\0\"}"];
    let not_text = not_text.map(|line| (line.to_vec(), None, "not a JSON object"));
    let all: Vec<_> = invalid.into_iter().chain(not_text).collect();
    let input: Vec<u8> = all
        .iter()
        .flat_map(|(line, ..)| [line.as_slice(), GOOD.as_bytes()])
        .flat_map(line_of)
        .collect();
    let answers = judge(&input);
    assert_eq!(answers.len(), 2 * all.len());
    for ((line, name, error), pair) in all.iter().zip(answers.chunks(2)) {
        let line = String::from_utf8_lossy(&line[..line.len().min(100)]);
        assert_eq!(
            (&pair[0]["kind"], &pair[0]["name"]),
            (&"invalid".into(), &json!(name)),
            "{line}"
        );
        assert!(pair[0]["error"].as_str().unwrap().contains(error), "{line}: {}", pair[0]);
        assert_eq!(
            (&pair[1]["kind"], &pair[1]["name"]),
            (&"error".into(), &"good".into()),
            "{line}"
        );
    }
}

fn line_of(text: &[u8]) -> Vec<u8> {
    [text, b"\n"].concat()
}

#[test]
fn a_name_is_given_back_only_if_it_is_text() {
    for (name, given_back) in [
        (json!("\u{65e5}\n\"\\\0"), json!("\u{65e5}\n\"\\\0")),
        (json!(""), json!("")),
        (json!(7), Value::Null),
        (json!(["n"]), Value::Null),
        (json!({"n": "n"}), Value::Null),
        (Value::Null, Value::Null),
    ] {
        let answers = judge(with("name", name).as_bytes());
        assert_eq!((&answers[0]["kind"], &answers[0]["name"]), (&"error".into(), &given_back));
    }
    assert_eq!(judge(without("name").as_bytes())[0]["name"], Value::Null);
    let lone_surrogate = GOOD.replace("good", "\\ud800");
    assert_eq!(judge(lone_surrogate.as_bytes())[0]["name"], Value::Null);
}

#[test]
fn forms_of_lines_that_mean_the_same_are_taken() {
    let spaced = GOOD.replace(':', " :\t").replace(',', " , ");
    let turned = r#"{"body_b64":"","more":[{}],"status":503,"n_records":1,"name":"good"}"#;
    let escaped = GOOD.replace("status", "st\\u0061tus");
    for line in [&*format!("{GOOD}\r\n"), &format!("  {GOOD}"), GOOD, &spaced, turned, &escaped] {
        let answers = judge(line.as_bytes());
        assert_eq!(answers, judge(GOOD.as_bytes()), "{line}");
    }
    let most = judge(with("n_records", u32::MAX.into()).as_bytes());
    assert_eq!(most[0]["kind"], "error");
    assert!(judge(b"").is_empty());
}

/// The command under way, spoken to line by line.
struct Conversation {
    child: Child,
    stdin: ChildStdin,
    answers: mpsc::Receiver<String>,
}

impl Conversation {
    fn begin() -> Self {
        let folder = tempdir().unwrap();
        let mut command = firehose(folder.path(), &["judge"]);
        command.stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stdin = child.stdin.take().unwrap();
        let stdout = BufReader::new(child.stdout.take().unwrap());
        let (sender, answers) = mpsc::channel();
        std::thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                if sender.send(line).is_err() {
                    break;
                }
            }
        });
        Self { child, stdin, answers }
    }

    fn say(&mut self, bytes: &[u8]) {
        self.stdin.write_all(bytes).unwrap();
        self.stdin.flush().unwrap();
    }

    fn hear(&self) -> Value {
        let answer = self.answers.recv_timeout(PATIENCE).expect("there is a verdict in time");
        serde_json::from_str(&answer).unwrap()
    }

    /// The most memory that the command ever had, in KiB, where the system tells.
    fn peak_kib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        line.split_whitespace().nth(1)?.parse().ok()
    }

    fn end(self) {
        let Self { mut child, stdin, answers } = self;
        drop(stdin);
        assert!(child.wait().unwrap().success());
        assert_eq!(answers.recv_timeout(PATIENCE), Err(mpsc::RecvTimeoutError::Disconnected));
    }
}

#[test]
fn each_verdict_comes_before_the_next_line() {
    let mut conversation = Conversation::begin();
    for number in 0..100 {
        let line = GOOD.replace("good", &number.to_string());
        // A part of the next line must not hold the verdict back.
        conversation.say(format!("{line}\n{{\"name\":").as_bytes());
        assert_eq!(conversation.hear()["name"], number.to_string());
        conversation.say(b"7}\n");
        assert_eq!(conversation.hear()["kind"], "invalid");
    }
    conversation.end();
}

#[test]
fn lines_without_bound_take_bounded_memory() {
    let mut conversation = Conversation::begin();
    let hostile = [
        (r#"{"name":""#, "x", 100, false),
        ("", "[", 100, false),
        ("", "\"", 100, false),
        (r#"{"x":""#, "\\", 100, false),
        (r#"{"n_records":1,"status":200,"name":"n","body_b64":""#, "W1tb", 12, true),
        (r#"{"n_records":1,"status":200,"name":"n","body_b64":"WzEs"#, "MSwx", 12, true),
    ];
    for (start, unit, megabytes, is_judged) in hostile {
        let chunk = unit.repeat(1_000_000 / unit.len());
        conversation.say(start.as_bytes());
        for _ in 0..megabytes {
            conversation.say(chunk.as_bytes());
        }
        conversation.say(if is_judged { b"\"}\n" } else { b"\n" });
        let answer = conversation.hear();
        assert_eq!(answer["kind"], if is_judged { "unknown" } else { "invalid" }, "{start}{unit}");
        conversation.say(line_of(GOOD.as_bytes()).as_slice());
        assert_eq!(conversation.hear()["name"], "good");
    }
    match conversation.peak_kib() {
        Some(kib) => assert!(kib < 400 * 1_024, "{kib} KiB for lines of at most 16 MiB"),
        None => eprintln!("skipped: this system does not tell how much memory a process took"),
    }
    conversation.end();
}

#[test]
fn a_reader_that_leaves_ends_it_quietly() {
    let folder = tempdir().unwrap();
    let mut command = firehose(folder.path(), &["judge"]);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().unwrap();
    drop(child.stdout.take());
    let mut stdin = child.stdin.take().unwrap();
    let line = line_of(GOOD.as_bytes());
    // It ends at the latest when the pipe to it is full of lines that it does not read.
    while stdin.write_all(&line).is_ok() {}
    let output = child.wait_with_output().unwrap();
    assert!(output.status.success() && output.stderr.is_empty(), "{output:?}");
}
