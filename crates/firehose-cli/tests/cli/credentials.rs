//! Where the command finds credentials and settings, and what it does while it finds none: from a
//! service that writes down who signed what.

#![cfg(feature = "aws-config")]

use std::collections::BTreeMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
#[cfg(unix)]
use std::path::Path;
use std::sync::{Arc, Mutex};

use firehose_tests::canaries::{SECRET_KEY, TOKEN, assert_silent};
use tempfile::{TempDir, tempdir};

use crate::support::{Run, firehose};

/// The headers of a request.
type Head = BTreeMap<String, String>;

/// A server of HTTP that answers each request as told, and keeps their heads.
struct Endpoint {
    url: String,
    heads: Arc<Mutex<Vec<Head>>>,
}

impl Endpoint {
    fn start(answer: impl Fn(usize, &Head, &[u8]) -> (u16, String) + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let heads: Arc<Mutex<Vec<Head>>> = Arc::default();
        let log = Arc::clone(&heads);
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                let Some((head, body, mut stream)) = read(stream.unwrap()) else { continue };
                let count = log.lock().unwrap().len();
                let (status, text) = answer(count, &head, &body);
                log.lock().unwrap().push(head);
                let length = text.len();
                let answer = format!(
                    "HTTP/1.1 {status} X\r\ncontent-type: application/json\r\nconnection: close\r\n\
                     content-length: {length}\r\n\r\n{text}"
                );
                // Whoever asked may be gone.
                let _ = stream.write_all(answer.as_bytes());
            }
        });
        Self { url, heads }
    }

    /// A service that stores everything.
    fn service() -> Self {
        Self::start(|_, _, body| (200, stored(body)))
    }

    fn heads(&self) -> Vec<Head> {
        self.heads.lock().unwrap().clone()
    }

    /// Whose keys the requests were signed with.
    fn keys(&self) -> Vec<String> {
        let key = |head: &Head| {
            let (_, rest) = head.get("authorization")?.split_once("Credential=")?;
            Some(rest.split('/').next()?.to_owned())
        };
        self.heads().iter().map(|head| key(head).unwrap_or_default()).collect()
    }
}

fn read(stream: TcpStream) -> Option<(Head, Vec<u8>, TcpStream)> {
    let mut reader = BufReader::new(stream);
    let mut head = Head::new();
    let mut line = String::new();
    if reader.read_line(&mut line).ok()? == 0 {
        return None;
    }
    head.insert(":line".to_owned(), line.trim_end().to_owned());
    loop {
        line.clear();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(": ") else { break };
        head.insert(name.to_ascii_lowercase(), value.to_owned());
    }
    let length = head.get("content-length").map_or(0, |text| text.parse().unwrap());
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    Some((head, body, reader.into_inner()))
}

fn stored(body: &[u8]) -> String {
    let records = String::from_utf8_lossy(body).matches("\"Data\"").count();
    let entries = vec![r#"{"RecordId":"id"}"#; records].join(",");
    format!(r#"{{"FailedPutCount":0,"RequestResponses":[{entries}]}}"#)
}

fn fault(code: &str) -> String {
    format!(r#"{{"__type":"{code}","message":"no"}}"#)
}

/// Puts one line with these variables, options and files of a profile.
fn put(env: &[(&str, &str)], args: &[&str], files: &[(&str, &str)]) -> (Run, TempDir) {
    let folder = tempdir().unwrap();
    fs::write(folder.path().join("in"), "line\n").unwrap();
    fs::create_dir(folder.path().join(".aws")).unwrap();
    for (name, text) in files {
        fs::write(folder.path().join(".aws").join(name), text).unwrap();
    }
    let mut command = firehose(folder.path(), &[&["put", "demo", "in"], args].concat());
    let run = Run::of(command.envs(env.iter().copied()).output().unwrap());
    assert_silent("the command", &format!("{run:?}"));
    (run, folder)
}

fn check_signed(run: &Run, service: &Endpoint, key: &str, token: Option<&str>) {
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(service.keys(), [key], "{run:?}");
    let heads = service.heads();
    assert_eq!(heads[0].get("x-amz-security-token").map(String::as_str), token);
    let signed = heads[0]["authorization"].contains("x-amz-security-token");
    assert_eq!(signed, token.is_some(), "{heads:?}");
}

const PROFILES: &str = "\
[default]
region = sa-east-1
[profile other]
region = ap-south-1
sdk_ua_app_id = mover
max_attempts = 2
services = local
[services local]
firehose =
  endpoint_url = URL
";

fn keys(profile: &str, id: &str) -> String {
    format!("[{profile}]\naws_access_key_id = {id}\naws_secret_access_key = {SECRET_KEY}\n")
}

#[test]
fn profiles_give_credentials_and_settings() {
    let config = |service: &Endpoint| PROFILES.replace("URL", &service.url);
    let stored = keys("default", "AKIDDEFAULT") + &keys("other", "AKIDOTHER");
    for (env, args, key) in [
        (&[][..], &["--profile", "other"][..], "AKIDOTHER"),
        (&[("AWS_PROFILE", "other")], &[], "AKIDOTHER"),
        // Named on the command line it goes before keys in the environment, else behind them.
        (
            &[("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)],
            &["--profile", "other"],
            "AKIDOTHER",
        ),
        (
            &[
                ("AWS_ACCESS_KEY_ID", "AKIDENV"),
                ("AWS_SECRET_ACCESS_KEY", SECRET_KEY),
                ("AWS_PROFILE", "other"),
            ],
            &[],
            "AKIDENV",
        ),
    ] {
        let service = Endpoint::service();
        let files = [("config", &*config(&service)), ("credentials", &*stored)];
        let (run, _folder) = put(env, args, &files);
        check_signed(&run, &service, key, None);
        let head = &service.heads()[0];
        assert!(head["authorization"].contains("/ap-south-1/firehose/"), "{head:?}");
        assert!(head["user-agent"].ends_with(" app/mover"), "{head:?}");
        assert_eq!(head["amz-sdk-request"], "attempt=1; max=2");
    }
}

#[test]
fn options_go_before_variables_and_those_before_the_profile() {
    let service = Endpoint::service();
    let url = service.url.as_str();
    let region = |service: &Endpoint, env: &[(&str, &str)], args: &[&str]| {
        let files = [
            ("config", "[default]\nregion = sa-east-1\n"),
            ("credentials", &*keys("default", "AKIDDEFAULT")),
        ];
        let args = [&["--endpoint-url", url, "--profile", "default"], args].concat();
        let (run, _folder) = put(env, &args, &files);
        assert_eq!(run.status, 0, "{run:?}");
        let head = service.heads().pop().unwrap();
        head["authorization"].split('/').nth(2).unwrap().to_owned()
    };
    assert_eq!(region(&service, &[], &[]), "sa-east-1");
    let variable = [("AWS_DEFAULT_REGION", "eu-west-2")];
    assert_eq!(region(&service, &variable, &[]), "eu-west-2");
    let variables = [("AWS_DEFAULT_REGION", "eu-west-2"), ("AWS_REGION", "eu-west-1")];
    assert_eq!(region(&service, &variables, &[]), "eu-west-1");
    assert_eq!(region(&service, &variables, &["--region", "eu-west-3"]), "eu-west-3");
}

#[test]
fn containers_give_credentials_with_a_token() {
    let service = Endpoint::service();
    let answer = format!(
        r#"{{"AccessKeyId":"AKIDCONTAINER","SecretAccessKey":"{SECRET_KEY}","Token":"{TOKEN}",
            "Expiration":"2099-01-01T00:00:00Z"}}"#
    );
    let container = Endpoint::start(move |_, _, _| (200, answer.clone()));
    let url = format!("{}/keys", container.url);
    let env = [
        ("AWS_CONTAINER_CREDENTIALS_FULL_URI", url.as_str()),
        ("AWS_CONTAINER_AUTHORIZATION_TOKEN", "let me in"),
    ];
    let (run, _folder) = put(&env, &["--endpoint-url", &service.url], &[]);
    check_signed(&run, &service, "AKIDCONTAINER", Some(TOKEN));
    let asked = container.heads();
    assert_eq!((asked.len(), asked[0][":line"].as_str()), (1, "GET /keys HTTP/1.1"));
    assert_eq!(asked[0]["authorization"], "let me in");
}

/// Writes credentials as a program prints them, and a profile that runs such a program.
#[cfg(unix)]
fn process(folder: &Path, id: &str, expiry: &str) -> String {
    let text = format!(
        r#"{{"Version":1,"AccessKeyId":"{id}","SecretAccessKey":"{SECRET_KEY}",
            "SessionToken":"{TOKEN}","Expiration":"{expiry}"}}"#
    );
    let path = folder.join("credentials.json");
    fs::write(&path, text).unwrap();
    format!("[profile process]\ncredential_process = cat {}\n", path.display())
}

#[cfg(unix)]
#[test]
fn processes_give_credentials() {
    let service = Endpoint::service();
    let folder = tempdir().unwrap();
    let config = process(folder.path(), "AKIDPROCESS", "2099-01-01T00:00:00Z");
    let args = ["--endpoint-url", &service.url, "--profile", "process"];
    let (run, _folder) = put(&[], &args, &[("config", &config)]);
    check_signed(&run, &service, "AKIDPROCESS", Some(TOKEN));
}

#[cfg(unix)]
#[test]
fn without_good_credentials_nothing_begins() {
    let folder = tempdir().unwrap();
    let old = process(folder.path(), "AKIDPROCESS", "2001-01-01T00:00:00Z");
    let remote = ["--region", "eu-west-1"];
    let advice = "set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE";
    for (args, config, status, part) in [
        (&remote[..], "", 3, advice),
        (&remote[..], "", 3, "demo: no credentials: "),
        (&["--region", "eu-west-1", "--profile", "process"], &*old, 3, "expired"),
        (&["--region", "eu-west-1", "--profile", "nobody"], "", 2, "no profile \"nobody\""),
        (&["--profile", "process"], &*old, 2, "where to?"),
    ] {
        let (run, folder) = put(&[], args, &[("config", config)]);
        assert_eq!(run.status, status, "{args:?}: {run:?}");
        assert!(run.stderr.contains(part), "{args:?}: {run:?}");
        assert_eq!(run.stderr.trim_end().lines().count(), 1, "{args:?}: {run:?}");
        assert!(!folder.path().join("demo.failed.jsonl").exists());
    }
}

#[test]
fn requests_to_this_machine_need_no_credentials() {
    let service = Endpoint::service();
    let args = ["--endpoint-url", &service.url];
    let files = [("config", "[profile other]\n")];
    for env in [&[][..], &[("AWS_PROFILE", "other")]] {
        let (run, _folder) = put(env, &args, &files);
        assert_eq!(run.status, 0, "{run:?}");
        assert!(run.stderr.contains("requests to this machine are not signed"), "{run:?}");
    }
    assert_eq!(service.keys(), ["", ""]);
    // A profile that is asked for has to be good.
    let (run, _folder) = put(&[], &[&args[..], &["--profile", "other"]].concat(), &files);
    assert_eq!(run.status, 3, "{run:?}");
}

#[cfg(unix)]
#[test]
fn sources_of_credentials_that_fail_tell_no_secret() {
    let remote = ["--region", "eu-west-1"];
    let half = format!(r#"{{"Version":1,"AccessKeyId":"AKID","SecretAccessKey":"{SECRET_KEY}""#);
    let answer = half.clone();
    let container = Endpoint::start(move |_, _, _| (200, answer.clone()));
    let env = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str())];
    let (run, _folder) = put(&env, &remote, &[]);
    assert_eq!(run.status, 3, "{run:?}");
    let (run, _folder) = put(&[("AWS_SECRET_ACCESS_KEY", SECRET_KEY)], &remote, &[]);
    assert_eq!(run.status, 3, "{run:?}");
    let part = "AWS_SECRET_ACCESS_KEY is set but AWS_ACCESS_KEY_ID is not, set both or none";
    assert!(run.stderr.contains(part), "{run:?}");
    let folder = tempdir().unwrap();
    let config = process(folder.path(), "AKID", "");
    fs::write(folder.path().join("credentials.json"), half).unwrap();
    let args = [&remote[..], &["--profile", "process"]].concat();
    let (run, _folder) = put(&[], &args, &[("config", &config)]);
    assert_eq!(run.status, 3, "{run:?}");
}

// Matrix 20: credentials that expire under way are replaced at once, and the record goes again.
#[test]
fn expired_credentials_are_replaced_and_cost_no_attempt() {
    let service = Endpoint::start(|count, _, body| match count {
        0 => (403, fault("ExpiredTokenException")),
        _ => (200, stored(body)),
    });
    let container = Endpoint::start(|count, _, _| {
        let text = format!(
            r#"{{"AccessKeyId":"AKID{count}","SecretAccessKey":"{SECRET_KEY}","Token":"{TOKEN}",
                "Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        (200, text)
    });
    let env = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str())];
    let args = ["--endpoint-url", &service.url, "--attempts", "1"];
    let (run, _folder) = put(&env, &args, &[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(service.keys(), ["AKID0", "AKID1"]);
}

// Matrix 22: while there are none, records wait and the user is told.
#[test]
fn records_wait_for_credentials() {
    let service = Endpoint::start(|count, _, body| match count {
        0 => (403, fault("ExpiredTokenException")),
        _ => (200, stored(body)),
    });
    let container = Endpoint::start(|count, _, _| {
        if (1..=4).contains(&count) {
            return (500, "{}".to_owned());
        }
        let text = format!(
            r#"{{"AccessKeyId":"AKID{count}","SecretAccessKey":"{SECRET_KEY}","Token":"{TOKEN}",
                "Expiration":"2099-01-01T00:00:00Z"}}"#
        );
        (200, text)
    });
    let env = [("AWS_CONTAINER_CREDENTIALS_FULL_URI", container.url.as_str())];
    let args = ["--endpoint-url", &service.url, "--attempts", "1"];
    let (run, _folder) = put(&env, &args, &[]);
    assert_eq!(run.status, 0, "{run:?}");
    assert_eq!(service.keys().len(), 2, "{run:?}");
    assert_eq!(run.stderr.matches("records wait: cannot sign the request").count(), 1, "{run:?}");
}

#[test]
fn refused_credentials_end_the_run_with_advice() {
    for (code, status, part) in [
        ("ExpiredTokenException", 3, "the credentials have expired: get new ones"),
        ("AccessDeniedException", 3, "let the caller do firehose:PutRecordBatch on"),
        ("InvalidKMSResourceException", 3, "kms:GenerateDataKey"),
        ("UnrecognizedClientException", 3, "the access key is unknown in us-east-1"),
    ] {
        let service = Endpoint::start(move |_, _, _| (400, fault(code)));
        let env = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
        let (run, _folder) = put(&env, &["--endpoint-url", &service.url], &[]);
        assert_eq!(run.status, status, "{code}: {run:?}");
        assert!(run.stderr.contains(part), "{code}: {run:?}");
    }
}

#[test]
fn proxies_of_the_environment_are_used_and_named() {
    let proxy = Endpoint::service();
    let keys = [("AWS_ACCESS_KEY_ID", "AKIDENV"), ("AWS_SECRET_ACCESS_KEY", SECRET_KEY)];
    let env = [&keys[..], &[("HTTP_PROXY", proxy.url.as_str())]].concat();
    let args = ["--endpoint-url", "http://firehose.invalid:8080"];
    let (run, _folder) = put(&env, &args, &[]);
    check_signed(&run, &proxy, "AKIDENV", None);
    let head = &proxy.heads()[0];
    assert_eq!(head[":line"], "POST http://firehose.invalid:8080/ HTTP/1.1");
    assert_eq!(head["host"], "firehose.invalid:8080");
    assert!(run.stderr.contains("without encryption"), "{run:?}");
    // One that wants a password ends the run.
    let proxy = Endpoint::start(|_, _, _| (407, String::new()));
    for (variable, url) in
        [("HTTP_PROXY", "http://firehose.invalid"), ("HTTPS_PROXY", "https://firehose.invalid")]
    {
        let env = [&keys[..], &[(variable, proxy.url.as_str())]].concat();
        let (run, _folder) = put(&env, &["--endpoint-url", url], &[]);
        assert_eq!(run.status, 3, "{run:?}");
        assert!(run.stderr.contains("wants a user name and a password (407)"), "{run:?}");
        assert!(run.stderr.contains("http://USER:PASSWORD@HOST:PORT"), "{run:?}");
    }
    let env = [&keys[..], &[("HTTPS_PROXY", "socks5://h")]].concat();
    let (run, _folder) = put(&env, &["--region", "eu-west-1"], &[]);
    assert_eq!(run.status, 2, "{run:?}");
    assert!(run.stderr.contains("the proxy in HTTPS_PROXY is not a URL"), "{run:?}");
}
