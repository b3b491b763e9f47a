//! `firehose serve` as a tester uses it: over TLS, and to see what exactly a client sent.

use std::fs;
use std::net::TcpListener;
use std::path::Path;

use firehose_tests::{delivered, read, sorted_lines};
use rcgen::{CertificateParams, KeyPair};
use tempfile::tempdir;

use crate::support::{Run, Serving, firehose, run};

/// Puts a file into a server that speaks TLS, trusting this authority.
fn put(folder: &Path, url: &str, ca: &str) -> Run {
    let args = ["put", "demo", "in", "--endpoint-url", url, "--attempts", "1"];
    Run::of(firehose(folder, &args).env("AWS_CA_BUNDLE", ca).output().unwrap())
}

/// Starts a server that is to refuse that, and returns why.
fn refused(folder: &Path, args: &[&str], status: i32) -> String {
    let run = run(folder, &[&["serve", "--listen", "127.0.0.1:0"], args].concat());
    assert_eq!((run.status, run.stdout.as_str()), (status, ""), "{args:?}: {}", run.stderr);
    run.stderr
}

/// Writes a certificate that vouches for itself, with its key.
fn write_certificate(folder: &Path, name: &str) {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(["localhost".to_owned()]).unwrap();
    let certificate = params.self_signed(&key).unwrap().pem();
    fs::write(folder.join(format!("{name}.pem")), certificate).unwrap();
    fs::write(folder.join(format!("{name}.key")), key.serialize_pem()).unwrap();
}

#[test]
fn records_go_over_tls() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\ntwo\n").unwrap();
    let mut expected = String::new();
    for (args, ca) in [
        (["--dir", "dir", "--tls"].as_slice(), "dir/.firehose/ca.pem"),
        (&["--dir", "dir", "--tls", "--tls-ca", "there.pem"], "there.pem"),
    ] {
        let serving = Serving::start(folder.path(), args);
        assert!(serving.url.starts_with("https://127.0.0.1:"), "{}", serving.url);
        assert_eq!(serving.ready["ca"], ca);
        for url in [serving.url.clone(), serving.url.replace("127.0.0.1", "localhost")] {
            let run = put(folder.path(), &url, ca);
            assert_eq!(run.status, 0, "{run:?}");
            expected.push_str("one\ntwo\n");
        }
        let (status, totals) = serving.stop();
        assert!(status.success());
        assert_eq!(totals["records_accepted"], 4);
    }
    assert_eq!(delivered(&folder.path().join("dir"), "demo"), expected.as_bytes());
}

#[test]
fn connections_that_are_cut_within_tls_lose_nothing() {
    let folder = tempdir().unwrap();
    let text: String = (0..3_000).map(|line| format!("{line}\n")).collect();
    fs::write(folder.path().join("in"), &text).unwrap();
    let faults = "cut=0.2,drop=0.2,seed=5";
    let args = ["--dir", "dir", "--tls", "--tls-ca", "ca.pem", "--faults", faults];
    let serving = Serving::start(folder.path(), &args);
    let put = ["put", "demo", "in", "--endpoint-url", &serving.url, "--json"];
    let put = firehose(folder.path(), &put).env("AWS_CA_BUNDLE", "ca.pem").output().unwrap();
    let run = Run::of(put);
    assert_eq!(run.status, 0, "{run:?}");
    let (_, totals) = serving.stop();
    let cut = |name: &str| totals[name].as_u64().unwrap() > 0;
    assert!(cut("requests_cut") && cut("requests_dropped"), "{totals}");
    let bytes = delivered(&folder.path().join("dir"), "demo");
    let mut lines = sorted_lines(&bytes);
    let all = lines.len();
    lines.dedup();
    assert!(lines == sorted_lines(text.as_bytes()), "a record is lost, or one came from nowhere");
    let doubled = run.json()["stats"]["records_maybe_doubled"].as_u64().unwrap();
    assert!((all - lines.len()) as u64 <= doubled, "{} doubled, {doubled} told", all - lines.len());
}

#[test]
fn each_start_makes_another_authority() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\n").unwrap();
    let first = Serving::start(folder.path(), &["--tls", "--tls-ca", "first.pem"]);
    let second = Serving::start(folder.path(), &["--tls", "--tls-ca", "second.pem"]);
    assert_eq!(put(folder.path(), &first.url, "first.pem").status, 0);
    let run = put(folder.path(), &second.url, "first.pem");
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains("invalid peer certificate"), "{}", run.stderr);
    let (_, totals) = second.stop();
    assert_eq!(totals["requests"], 0);
}

#[test]
fn certificates_from_files_are_shown() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\n").unwrap();
    write_certificate(folder.path(), "ours");
    let args = ["--tls", "--tls-cert", "ours.pem", "--tls-key", "ours.key", "--dir", "dir"];
    let serving = Serving::start(folder.path(), &args);
    assert!(serving.ready.get("ca").is_none());
    assert!(!folder.path().join("dir/.firehose/ca.pem").exists());
    let url = serving.url.replace("127.0.0.1", "localhost");
    assert_eq!(put(folder.path(), &url, "ours.pem").status, 0);
    // The certificate is not for the address.
    assert_eq!(put(folder.path(), &serving.url, "ours.pem").status, 3);
    assert_eq!(serving.stop().1["records_accepted"], 1);
}

#[test]
fn tls_that_cannot_be_says_why() {
    let folder = tempdir().unwrap();
    write_certificate(folder.path(), "ours");
    write_certificate(folder.path(), "theirs");
    let files = |cert, key| ["--tls", "--tls-cert", cert, "--tls-key", key];
    for (args, status, says) in [
        (&["--tls"][..], 2, "<--dir <DIR>|--tls-ca <FILE>|--tls-cert <FILE>>"),
        (&["--tls-ca", "ca.pem"], 2, "--tls"),
        (&["--tls", "--tls-cert", "ours.pem"], 2, "--tls-key <FILE>"),
        (&["--tls", "--dir", "dir", "--tls-key", "ours.key"], 2, "--tls-cert <FILE>"),
        (
            &[&files("ours.pem", "ours.key")[..], &["--tls-ca", "ca.pem"]].concat(),
            2,
            "cannot be used with",
        ),
        (&files("none.pem", "ours.key"), 3, "cannot read none.pem, --tls-cert: "),
        (&files("ours.pem", "none.key"), 3, "cannot read none.key, --tls-key: "),
        (&files("ours.key", "ours.key"), 3, "with ours.key and ours.key: the certificates cannot"),
        (&files("ours.pem", "ours.pem"), 3, "with ours.pem and ours.pem: the private key cannot"),
        (&files("ours.pem", "theirs.key"), 3, "the private key does not fit the certificate"),
        (&["--tls", "--tls-ca", "none/ca.pem"], 3, "cannot write the authority to none/ca.pem: "),
    ] {
        let told = refused(folder.path(), args, status);
        assert!(told.contains(says), "{args:?}: {told}");
    }
}

#[test]
fn a_port_that_is_taken_leaves_the_authority_alone() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("ca.pem"), "of another server").unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = taken.local_addr().unwrap().to_string();
    let args = ["serve", "--listen", &address, "--tls", "--tls-ca", "ca.pem"];
    let run = run(folder.path(), &args);
    assert_eq!(run.status, 3, "{run:?}");
    assert!(run.stderr.contains(&format!("cannot listen on {address}: ")), "{}", run.stderr);
    assert_eq!(read(&folder.path().join("ca.pem")), b"of another server");
}

#[test]
fn bodies_are_kept_as_they_came() {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "one\ntwo\n").unwrap();
    let args = ["--bodies", "deep/bodies", "--faults", "unavailable=1,seed=1"];
    let serving = Serving::start(folder.path(), &args);
    let put = ["put", "demo", "in", "--endpoint-url", &serving.url, "--attempts", "2"];
    assert_eq!(run(folder.path(), &put).status, 1);
    serving.stop();
    let bodies = folder.path().join("deep/bodies");
    let body =
        br#"{"DeliveryStreamName":"demo","Records":[{"Data":"b25lCg=="},{"Data":"dHdvCg=="}]}"#;
    assert_eq!(read(&bodies.join("000001.json")), body);
    // What goes again is sent again.
    assert_eq!(read(&bodies.join("000002.json")), body);
    assert_eq!(fs::read_dir(&bodies).unwrap().count(), 2);
}

#[test]
fn bodies_of_two_runs_are_not_mixed() {
    let folder = tempdir().unwrap();
    fs::create_dir(folder.path().join("bodies")).unwrap();
    fs::write(folder.path().join("bodies/000001.json"), "{}").unwrap();
    let told = refused(folder.path(), &["--bodies", "bodies"], 3);
    assert!(told.contains("bodies is not empty: give --bodies an empty folder"), "{told}");
    let told = refused(folder.path(), &["--bodies", "bodies/000001.json"], 3);
    assert!(told.contains("cannot keep bodies in bodies/000001.json: "), "{told}");
}
