//! Signatures against one computed by hand, and the life of credentials.

use std::future::pending;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::UNIX_EPOCH;

use aws_credential_types::provider::future;
use aws_lc_rs::hmac;

use super::*;

const TARGET: &str = "Firehose_20150804.PutRecordBatch";
const BODY: &[u8] = br#"{"DeliveryStreamName":"s","Records":[{"Data":""}]}"#;

fn at(secs: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_secs(secs)
}

fn request() -> http::Request<Bytes> {
    http::Request::post("/")
        .header("user-agent", "not signed")
        .header("content-length", BODY.len())
        .header("content-type", "application/x-amz-json-1.1")
        .header("host", "127.0.0.1:4566")
        .header("x-amz-target", TARGET)
        .body(Bytes::from_static(BODY))
        .unwrap()
}

/// Computes the `Authorization` header step by step, as the signature's specification has it.
fn by_hand(secret: &str, token: Option<&str>, day: &str, time: &str) -> String {
    let sha256 = |bytes: &[u8]| hex(crate::hash::one(bytes));
    let mac = |key: &[u8], text: &str| {
        hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), text.as_bytes()).as_ref().to_vec()
    };
    let token_line = token.map(|token| format!("x-amz-security-token:{token}\n"));
    let names = match token {
        Some(_) => "content-type;host;x-amz-date;x-amz-security-token;x-amz-target",
        None => "content-type;host;x-amz-date;x-amz-target",
    };
    let canonical = format!(
        "POST\n/\n\ncontent-type:application/x-amz-json-1.1\nhost:127.0.0.1:4566\n\
         x-amz-date:{time}\n{}x-amz-target:{TARGET}\n\n{names}\n{}",
        token_line.unwrap_or_default(),
        sha256(BODY)
    );
    let scope = format!("{day}/eu-west-1/firehose/aws4_request");
    let to_sign = format!("AWS4-HMAC-SHA256\n{time}\n{scope}\n{}", sha256(canonical.as_bytes()));
    let mut key = mac(format!("AWS4{secret}").as_bytes(), day);
    for part in ["eu-west-1", "firehose", "aws4_request"] {
        key = mac(&key, part);
    }
    let signature = hex(mac(&key, &to_sign));
    format!(
        "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/{scope}, SignedHeaders={names}, \
         Signature={signature}"
    )
}

#[tokio::test(start_paused = true)]
async fn signatures_are_those_of_the_specification() {
    for token in [None, Some("session/token+canary==")] {
        let credentials =
            Credentials::new("AKIDEXAMPLE", "canary/key", token.map(Into::into), None, "test");
        let signer = Signer::new(credentials, "eu-west-1");
        let mut request = request();
        // Signing twice leaves the second signature only.
        signer.sign(&mut request, at(0)).await.unwrap();
        signer.sign(&mut request, at(1_795_462_245)).await.unwrap();
        let headers = request.headers();
        assert_eq!(headers["x-amz-date"], "20261123T193045Z");
        let expected = by_hand("canary/key", token, "20261123", "20261123T193045Z");
        assert_eq!(headers["authorization"], expected);
        assert_eq!(headers.get_all("authorization").iter().count(), 1);
        let sent = headers.get("x-amz-security-token").map(|value| value.to_str().unwrap());
        assert_eq!(sent, token);
        let printed = format!("{headers:?} {signer:?}");
        assert!(!printed.contains("canary") && !printed.contains("Signature"), "{printed}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_stand_in_a_header_is_an_error() {
    let credentials = Credentials::new("id", "secret", Some("a\nb".into()), None, "test");
    let error = Signer::new(credentials, "r").sign(&mut request(), at(0)).await.unwrap_err();
    assert!(matches!(error, SignError::Request(_)) && error.is_permanent());
    assert_eq!(error.failure(), Failure::Unsendable);
}

#[tokio::test(start_paused = true)]
async fn a_hash_is_kept_for_the_very_body_only() {
    let credentials = Credentials::new("id", "secret", None, None, "test");
    let signer = Signer::new(credentials, "r");
    let fresh = |body: &Bytes| {
        let mut request = request();
        *request.body_mut() = body.clone();
        request
    };
    let (body, other) = (Bytes::from(BODY.to_vec()), Bytes::from(vec![b'x'; BODY.len()]));
    let mut request = fresh(&body);
    signer.sign(&mut request, at(0)).await.unwrap();
    // What was kept is what is used: a wrong hash shows.
    request.extensions_mut().get_mut::<Hashed>().unwrap().hash = "0".repeat(64);
    signer.sign(&mut request, at(0)).await.unwrap();
    let mut anew = fresh(&body);
    signer.sign(&mut anew, at(0)).await.unwrap();
    assert_ne!(request.headers()["authorization"], anew.headers()["authorization"]);
    // Another body of the same length, an equal one elsewhere, and a part of it are hashed anew.
    for body in [other, Bytes::from(BODY.to_vec()), body.slice(..9)] {
        *request.body_mut() = body.clone();
        signer.sign(&mut request, at(0)).await.unwrap();
        let mut anew = fresh(&body);
        signer.sign(&mut anew, at(0)).await.unwrap();
        assert_eq!(request.headers()["authorization"], anew.headers()["authorization"]);
        request.extensions_mut().get_mut::<Hashed>().unwrap().hash = "0".repeat(64);
    }
}

/// Gives the credentials `id1`, `id2` and so on, or fails, and counts how often it was asked.
#[derive(Clone, Debug, Default)]
struct Provider {
    asked: Arc<AtomicUsize>,
    failing: Arc<Mutex<Option<&'static str>>>,
    /// How long its credentials are good for, in seconds.
    life: Option<u64>,
    clock: Arc<Mutex<u64>>,
}

impl ProvideCredentials for Provider {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async move {
            let asked = self.asked.fetch_add(1, Ordering::Relaxed) + 1;
            let failing = *self.failing.lock().unwrap();
            match failing {
                Some("hang") => pending().await,
                Some("missing") => Err(CredentialsError::not_loaded("none in the drawer")),
                Some(text) => Err(CredentialsError::provider_error(text)),
                None => {
                    tokio::task::yield_now().await;
                    let expiry = self.life.map(|life| at(*self.clock.lock().unwrap() + life));
                    Ok(Credentials::new(format!("id{asked}"), "secret", None, expiry, "test"))
                }
            }
        })
    }
}

/// Lets what goes on in the background come to its end.
async fn settle() {
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(LOAD_TIMEOUT).await;
    for _ in 0..10 {
        tokio::task::yield_now().await;
    }
}

/// Signs at an instant and returns whose credentials signed.
async fn signed_by(signer: &Signer, provider: &Provider, secs: u64) -> Result<String, SignError> {
    *provider.clock.lock().unwrap() = secs;
    let mut request = request();
    signer.sign(&mut request, at(secs)).await?;
    let header = request.headers()["authorization"].to_str().unwrap();
    let after = header.split_once("Credential=").unwrap().1;
    let id = after.split_once('/').unwrap().0.to_owned();
    settle().await;
    Ok(id)
}

#[tokio::test(start_paused = true)]
async fn credentials_are_renewed_before_they_expire() {
    for (life, seen) in [
        // One hour: renewed 5 minutes before its end, while the old ones are still used.
        (Some(3_600), [(0, "id1"), (3_299, "id1"), (3_300, "id1"), (3_301, "id2")]),
        // Two minutes: renewed after half of them.
        (Some(120), [(0, "id1"), (59, "id1"), (60, "id1"), (119, "id2")]),
        // No date: asked again after 15 minutes.
        (None, [(0, "id1"), (899, "id1"), (900, "id1"), (1_799, "id2")]),
        // Nobody asked in time: new ones are waited for.
        (Some(120), [(0, "id1"), (59, "id1"), (120, "id2"), (121, "id2")]),
    ] {
        let provider = Provider { life, ..Provider::default() };
        let signer = Signer::new(provider.clone(), "r");
        for (secs, id) in seen {
            assert_eq!(signed_by(&signer, &provider, secs).await.unwrap(), id, "{life:?} {secs}");
        }
        signer.forget_credentials();
        assert_eq!(signed_by(&signer, &provider, 1).await.unwrap(), "id3");
    }
}

#[tokio::test(start_paused = true)]
async fn a_failing_provider_leaves_the_old_credentials_until_they_expire() {
    for failure in ["hang", "missing", "no route to the provider"] {
        let provider = Provider { life: Some(3_600), ..Provider::default() };
        let signer = Signer::new(provider.clone(), "r");
        signed_by(&signer, &provider, 0).await.unwrap();
        *provider.failing.lock().unwrap() = Some(failure);
        for secs in [3_300, 3_301, 3_329, 3_330, 3_599] {
            assert_eq!(signed_by(&signer, &provider, secs).await.unwrap(), "id1");
        }
        // At 3300, 3330 and 3599, not for each request.
        assert_eq!(provider.asked.load(Ordering::Relaxed), 4);
        let error = signed_by(&signer, &provider, 3_600).await.unwrap_err();
        assert!(!error.is_permanent() && error.failure() == Failure::NotReady);
        let part = match failure {
            "hang" => "5",
            "missing" => "none in the drawer",
            text => text,
        };
        assert!(error.to_string().contains(part), "{error}");
        *provider.failing.lock().unwrap() = None;
        assert!(signed_by(&signer, &provider, 3_601).await.is_ok());
    }
}

#[tokio::test(start_paused = true)]
async fn requests_at_the_same_time_ask_the_provider_once() {
    let provider = Provider::default();
    let signer = Signer::new(provider.clone(), "r");
    let (one, two, three) = tokio::join!(
        signed_by(&signer, &provider, 1),
        signed_by(&signer, &provider, 1),
        signed_by(&signer, &provider, 1)
    );
    assert_eq!([one.unwrap(), two.unwrap(), three.unwrap()], ["id1", "id1", "id1"]);
    assert_eq!(provider.asked.load(Ordering::Relaxed), 1);
}

#[tokio::test(start_paused = true)]
async fn credentials_whose_time_is_over_sign_nothing() {
    let provider = Provider { life: Some(0), ..Provider::default() };
    let signer = Signer::new(provider.clone(), "r");
    let error = signed_by(&signer, &provider, 5).await.unwrap_err();
    assert!(matches!(error, SignError::Expired) && error.failure() == Failure::NotReady);
    assert!(signer.load_credentials(at(5)).await.is_err());
    let provider = Provider { life: Some(60), ..Provider::default() };
    let signer = Signer::new(provider, "r");
    assert!(signer.load_credentials(at(5)).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn only_the_credentials_that_were_refused_are_forgotten() {
    let provider = Provider::default();
    let signer = Signer::new(provider.clone(), "r");
    let first = signer.sign_as(&mut request(), at(1)).await.unwrap();
    signer.forget(first);
    let second = signer.sign_as(&mut request(), at(1)).await.unwrap();
    // The news of an older request that was refused for the first ones.
    signer.forget(first);
    assert_eq!(signer.sign_as(&mut request(), at(1)).await.unwrap(), second);
    assert_eq!(provider.asked.load(Ordering::Relaxed), 2);
}

#[tokio::test(start_paused = true)]
async fn credentials_that_the_service_calls_expired_are_not_taken_again() {
    let keys = |token: &str| Credentials::new("id", "secret", Some(token.into()), None, "test");
    let signer = Signer::new(keys("old"), "r");
    let generation = signer.sign_as(&mut request(), at(1)).await.unwrap();
    signer.expire(generation);
    for _ in 0..2 {
        let error = signer.sign_as(&mut request(), at(1)).await.unwrap_err();
        assert!(matches!(error, SignError::Expired), "{error:?}");
    }
    // Newer ones are.
    let provider = Provider::default();
    let signer = Signer::new(provider.clone(), "r");
    for id in ["id1", "id2"] {
        assert_eq!(signed_by(&signer, &provider, 1).await.unwrap(), id);
        let generation = signer.sign_as(&mut request(), at(1)).await.unwrap();
        signer.expire(generation);
    }
}
