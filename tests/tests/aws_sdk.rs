//! The SDK of AWS for Rust beside this client: what it sends and gets from `firehose serve --tls`,
//! and where it sends to. It takes minutes to build, hence the feature `aws-sdk`.

#![cfg(unix)]
#![allow(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::env::consts::EXE_SUFFIX;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use aws_sdk_firehose::config::endpoint::{DefaultResolver, Params, ResolveEndpoint as _};
use aws_sdk_firehose::config::retry::RetryConfig;
use aws_sdk_firehose::config::{BehaviorVersion, Credentials, Region};
use aws_sdk_firehose::error::{ProvideErrorMetadata as _, SdkError};
use aws_sdk_firehose::operation::put_record_batch::PutRecordBatchError;
use aws_sdk_firehose::primitives::Blob;
use aws_sdk_firehose::types::Record;
use aws_smithy_http_client::tls::rustls_provider::CryptoMode;
use aws_smithy_http_client::tls::{Provider, TlsContext, TrustStore};
use firehose_hyper::{CallError, Client, Endpoint, Tls, Transport};
use firehose_tests::batches::{Answer, BatchCase, STREAM, batches};
use firehose_tests::regions::partitions;
use firehose_tests::{delivered, read};
use serde_json::Value;
use tempfile::{TempDir, tempdir};

#[tokio::test]
async fn every_batch_is_answered_as_documented_and_sent_alike() {
    for case in batches() {
        let emulator = Emulator::start(&case);
        let answer = put_by_sdk(&emulator, &case).await;
        let theirs = emulator.stop();
        let stored = case.assert_answer(&answer);
        assert!(theirs.delivered == stored, "{}: other records are stored", case.name);
        let [body] = theirs.bodies.as_slice() else {
            panic!("{}: {} requests", case.name, theirs.bodies.len())
        };
        case.assert_body(body);

        let emulator = Emulator::start(&case);
        let answer = put(&emulator, &case).await;
        let ours = emulator.stop();
        // R1, R2, R3: what exceeds a limit does not even leave.
        assert_eq!(answer.is_none(), case.exceeds.is_some(), "{}", case.name);
        let stored = answer.map(|answer| case.assert_answer(&answer)).unwrap_or_default();
        assert!(ours.delivered == stored, "{}: other records are stored", case.name);
        let sent: &[_] = if case.exceeds.is_some() { &[] } else { &theirs.bodies };
        assert!(ours.bodies == sent, "{}: the two bodies differ", case.name);
    }
}

async fn put_by_sdk(emulator: &Emulator, case: &BatchCase) -> Answer {
    let records = case.records().into_iter().map(|data| {
        let record = Record::builder().data(Blob::new(data));
        record.build().unwrap()
    });
    let call = emulator.sdk().put_record_batch();
    let call = call.delivery_stream_name(&case.stream).set_records(Some(records.collect()));
    match call.send().await {
        Ok(output) => Answer::Records {
            failed_put_count: output.failed_put_count().try_into().unwrap(),
            entries: output.request_responses().iter().map(error_of).collect(),
        },
        Err(SdkError::ServiceError(error)) => {
            let status = error.raw().status().as_u16();
            let message = error.err().message().unwrap_or_default().to_owned();
            Answer::Error(status, (documented_name(error.err()).to_owned(), message))
        }
        Err(error) => panic!("{}: {error:?}", case.name),
    }
}

/// The error of an entry; an entry without one has an identifier (R7).
fn error_of(
    entry: &aws_sdk_firehose::types::PutRecordBatchResponseEntry,
) -> Option<(String, String)> {
    let Some(code) = entry.error_code() else {
        assert!(entry.record_id().is_some_and(|id| !id.is_empty()), "{entry:?}");
        return None;
    };
    assert_eq!(entry.record_id(), None);
    Some((code.to_owned(), entry.error_message().unwrap_or_default().to_owned()))
}

/// The name of a documented error, by the type that the SDK makes of it (R15).
fn documented_name(error: &PutRecordBatchError) -> &'static str {
    if error.is_invalid_argument_exception() {
        "InvalidArgumentException"
    } else if error.is_resource_not_found_exception() {
        "ResourceNotFoundException"
    } else {
        panic!("no data expects {error:?}")
    }
}

/// Puts a batch with this client; nothing where it refuses it itself.
async fn put(emulator: &Emulator, case: &BatchCase) -> Option<Answer> {
    let stream = case.stream.parse().unwrap();
    match emulator.client().put_record_batch(&stream, case.records()).await {
        Ok(judged) => Some(Answer::of_records(&judged)),
        Err(CallError::Fault(fault)) => Some(Answer::of_fault(&fault)),
        Err(CallError::Record { .. }) => None,
        Err(error) => panic!("{}: {error}", case.name),
    }
}

#[tokio::test]
async fn every_region_has_the_endpoint_that_the_sdk_resolves() {
    let resolver = DefaultResolver::new();
    let mut compared = 0;
    for partition in partitions() {
        for region in partition.regions.iter().chain(&partition.unlisted) {
            for (fips, dualstack) in [(false, false), (false, true), (true, false), (true, true)] {
                let ours = Endpoint::for_region(region, fips, dualstack).unwrap();
                let params = Params::builder().region(region).use_fips(fips);
                let params = params.use_dual_stack(dualstack).build().unwrap();
                let theirs = resolver.resolve_endpoint(&params).await.unwrap();
                let which = format!("{region}, FIPS {fips}, dualstack {dualstack}");
                assert_eq!(ours.to_string(), theirs.url(), "{which}");
                compared += 1;
            }
        }
    }
    assert!(compared >= 50, "only {compared} endpoints were compared");
}

/// The command `firehose serve --tls` for one batch.
struct Emulator {
    child: Child,
    folder: TempDir,
    url: String,
    authority: Vec<u8>,
}

/// What a batch left behind.
struct Left {
    bodies: Vec<Vec<u8>>,
    delivered: Vec<u8>,
}

impl Emulator {
    fn start(case: &BatchCase) -> Self {
        let folder = tempdir().unwrap();
        let mut command = Command::new(firehose());
        command.args(["serve", "--listen", "127.0.0.1:0", "--tls", "--stream", STREAM]);
        command.args(["--dir", "dir", "--bodies", "bodies"]).current_dir(folder.path());
        if let Some(faults) = &case.faults {
            command.args(["--faults", faults]);
        }
        let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
        let mut ready = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut ready).unwrap();
        let ready: Value = serde_json::from_str(&ready).unwrap();
        let authority = read(&folder.path().join(ready["ca"].as_str().unwrap()));
        Self { child, folder, url: ready["url"].as_str().unwrap().to_owned(), authority }
    }

    /// The SDK's client, which sends nothing again.
    fn sdk(&self) -> aws_sdk_firehose::Client {
        let trusted = TrustStore::empty().with_pem_certificate(self.authority.clone());
        let context = TlsContext::builder().with_trust_store(trusted).build().unwrap();
        let http = aws_smithy_http_client::Builder::new()
            .tls_provider(Provider::Rustls(CryptoMode::AwsLc))
            .tls_context(context)
            .build_https();
        let config = aws_sdk_firehose::Config::builder()
            .behavior_version(BehaviorVersion::v2026_01_12())
            .region(Region::new("us-east-1"))
            .endpoint_url(&self.url)
            .credentials_provider(Credentials::new("AKIDEXAMPLE", "no secret", None, None, "test"))
            .retry_config(RetryConfig::disabled())
            .http_client(http)
            .build();
        aws_sdk_firehose::Client::from_conf(config)
    }

    /// This client.
    fn client(&self) -> Client<Transport> {
        let endpoint = Endpoint::from_url(&self.url, None).unwrap();
        let tls = Tls::from_pem(&self.authority).unwrap();
        Client::new(Transport::builder(endpoint).tls(tls).build().unwrap())
    }

    /// Ends the command and collects what it leaves.
    fn stop(mut self) -> Left {
        let id = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &id]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
        let bodies = fs::read_dir(self.folder.path().join("bodies")).unwrap();
        let mut paths: Vec<_> = bodies.map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        Left {
            bodies: paths.iter().map(|path| read(path)).collect(),
            delivered: delivered(&self.folder.path().join("dir"), STREAM),
        }
    }
}

impl Drop for Emulator {
    fn drop(&mut self) {
        // It has ended already where it was stopped in good order.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The command that was built: the one that the environment names, or that lies beside this test.
fn firehose() -> PathBuf {
    let beside = || {
        let test = std::env::current_exe().unwrap();
        test.ancestors().nth(2).unwrap().join(format!("firehose{EXE_SUFFIX}"))
    };
    let path = std::env::var_os("FIREHOSE_BIN").map_or_else(beside, PathBuf::from);
    // It runs in a folder of its own, to which a relative path would lead from elsewhere.
    path.canonicalize().unwrap_or_else(|error| {
        panic!("no command at {}: {error}; cargo build -p firehose-cli", path.display())
    })
}
