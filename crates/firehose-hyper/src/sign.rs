//! AWS Signature Version 4, and the credentials that it is made with.
//!
//! Credentials are renewed in the background before they expire; a provider that fails meanwhile
//! does no harm. The time of the signature is an argument; no clock is read here.

use core::fmt;
use core::sync::atomic::{AtomicU64, Ordering};
use core::time::Duration;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::SystemTime;

use aws_sigv4::http_request::{
    SignableBody, SignableRequest, SigningInstructions, SigningSettings, sign,
};
use aws_sigv4::sign::v4;
use bytes::Bytes;
use firehose_proto::Failure;
use firehose_proto::wire::SIGNING_NAME;
use http::header::{AUTHORIZATION, CONTENT_TYPE, HOST};
use http::{HeaderName, HeaderValue};

use crate::credentials::{
    Credentials, CredentialsError, ProvideCredentials, SharedCredentialsProvider,
};
use crate::error::{BoxError, Causes};
use crate::hash::Hasher;

/// The headers of a request that are signed, besides those that signing adds.
static SIGNED: [HeaderName; 3] = [CONTENT_TYPE, HOST, HeaderName::from_static("x-amz-target")];

/// How long before their expiry credentials are renewed.
const RENEW_BEFORE: Duration = Duration::from_secs(5 * 60);

/// How long credentials that name no expiry are used before the provider is asked again.
const RENEW_UNDATED: Duration = Duration::from_secs(15 * 60);

/// How long after a failure to renew credentials the provider is asked again.
const RENEW_AGAIN: Duration = Duration::from_secs(30);

/// How long a provider may take by default.
const LOAD_TIMEOUT: Duration = Duration::from_secs(5);

/// Signs requests with AWS Signature Version 4; cheap to clone.
///
/// ```
/// use bytes::Bytes;
/// use firehose_hyper::{Signer, credentials::Credentials};
/// use std::time::{Duration, SystemTime};
///
/// # #[tokio::main(flavor = "current_thread", start_paused = true)]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let credentials = Credentials::new("AKIDEXAMPLE", "not a real key", None, None, "example");
/// let signer = Signer::new(credentials, "us-east-1");
/// let mut request = http::Request::post("/")
///     .header("host", "firehose.us-east-1.amazonaws.com")
///     .body(Bytes::from_static(b"{}"))?;
/// signer.sign(&mut request, SystemTime::UNIX_EPOCH + Duration::from_secs(86_400)).await?;
/// assert_eq!(request.headers()["x-amz-date"], "19700102T000000Z");
/// assert!(request.headers()["authorization"].is_sensitive());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Signer {
    shared: Arc<Shared>,
    load_timeout: Duration,
}

struct Shared {
    provider: SharedCredentialsProvider,
    region: Box<str>,
    cached: Mutex<Option<Cached>>,
    /// The credentials of which the service last said that they have expired.
    expired: Mutex<Option<Credentials>>,
    /// Held while the provider is asked.
    loading: Arc<tokio::sync::Mutex<()>>,
    /// How often the provider gave credentials.
    loads: AtomicU64,
    hasher: Hasher,
}

/// Tells credentials from those that the provider gives later.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(crate) struct Generation(u64);

impl Signer {
    /// Makes a signer for a region that asks `provider` for credentials when it needs them.
    pub fn new(provider: impl ProvideCredentials + 'static, region: impl Into<Box<str>>) -> Self {
        let shared = Shared {
            provider: SharedCredentialsProvider::new(provider),
            region: region.into(),
            cached: Mutex::new(None),
            expired: Mutex::new(None),
            loading: Arc::default(),
            loads: AtomicU64::new(0),
            hasher: Hasher::new(),
        };
        Self { shared: Arc::new(shared), load_timeout: LOAD_TIMEOUT }
    }

    /// Sets how long the provider may take; 5 s.
    #[must_use]
    pub fn with_load_timeout(mut self, span: Duration) -> Self {
        self.load_timeout = span;
        self
    }

    /// Gets credentials that are good at `at`, so that missing ones are noticed before there is
    /// anything to sign.
    ///
    /// # Errors
    ///
    /// [`SignError`] if the provider gives none that are still good.
    pub async fn load_credentials(&self, at: SystemTime) -> Result<(), SignError> {
        self.credentials(at).await.map(drop)
    }

    /// Signs a request as of `at`, replacing an earlier signature.
    ///
    /// Signed are the headers `content-type`, `host`, `x-amz-target` and those that signing adds:
    /// `x-amz-date`, and `x-amz-security-token` with temporary credentials.
    ///
    /// The hash of the body is kept with the request, for when it is signed again.
    ///
    /// # Errors
    ///
    /// [`SignError::Credentials`] if the provider gives none, [`SignError::Expired`] if it only gives
    /// old ones, [`SignError::Request`] if a header to sign is not text.
    pub async fn sign(
        &self,
        request: &mut http::Request<Bytes>,
        at: SystemTime,
    ) -> Result<(), SignError> {
        self.sign_as(request, at).await.map(drop)
    }

    /// Signs a request and returns whose credentials it was signed with.
    pub(crate) async fn sign_as(
        &self,
        request: &mut http::Request<Bytes>,
        at: SystemTime,
    ) -> Result<Generation, SignError> {
        let Cached { credentials, generation, .. } = self.credentials(at).await?;
        let hash = self.payload_hash(request).await;
        let instructions = instructions(request, hash, credentials, &self.shared.region, at)?;
        for name in [AUTHORIZATION, HeaderName::from_static("x-amz-security-token")] {
            request.headers_mut().remove(name);
        }
        for (name, text) in instructions.headers() {
            let name = HeaderName::try_from(name).map_err(SignError::request)?;
            let mut value = HeaderValue::try_from(text).map_err(SignError::request)?;
            // Printed headers must not give away a usable signature or token.
            value.set_sensitive(name != "x-amz-date");
            request.headers_mut().insert(name, value);
        }
        Ok(generation)
    }

    /// Returns the hash of a request's body, computed at most once.
    async fn payload_hash(&self, request: &mut http::Request<Bytes>) -> String {
        let body = request.body();
        if let Some(known) = request.extensions().get::<Hashed>()
            && core::ptr::eq(&raw const known.body[..], &raw const body[..])
        {
            return known.hash.clone();
        }
        let body = body.clone();
        let hash = hex(self.shared.hasher.sha256(&body).await);
        request.extensions_mut().insert(Hashed { body, hash: hash.clone() });
        hash
    }

    /// Forgets the credentials, so that the next request asks the provider.
    ///
    /// This is for an answer that says that they have expired.
    pub fn forget_credentials(&self) {
        *self.shared.cached() = None;
    }

    /// Forgets these credentials, unless newer ones have come in the meantime.
    pub(crate) fn forget(&self, generation: Generation) {
        self.shared.cached().take_if(|cached| cached.generation == generation);
    }

    /// Forgets these credentials, and takes them from the provider no more: the service says that
    /// they have expired, whatever the provider says.
    pub(crate) fn expire(&self, generation: Generation) {
        let is_it = |cached: &mut Cached| cached.generation == generation;
        if let Some(cached) = self.shared.cached().take_if(is_it) {
            *self.shared.expired() = Some(cached.credentials);
        }
    }

    /// Returns credentials that are good at `at`, asking the provider at most once at a time.
    async fn credentials(&self, at: SystemTime) -> Result<Cached, SignError> {
        let usable = || self.shared.cached().clone().filter(|cached| cached.is_usable(at));
        if let Some(cached) = usable() {
            if !cached.is_fresh(at) {
                self.renew(at);
            }
            return Ok(cached);
        }
        let _loading = self.shared.loading.lock().await;
        // Another request may have got them while this one waited.
        match usable() {
            Some(cached) => Ok(cached),
            None => self.shared.load(self.load_timeout, at).await,
        }
    }

    /// Renews the credentials in the background; the old ones are used until then.
    fn renew(&self, at: SystemTime) {
        let Ok(loading) = Arc::clone(&self.shared.loading).try_lock_owned() else { return };
        let (shared, load_timeout) = (Arc::clone(&self.shared), self.load_timeout);
        tokio::spawn(async move {
            let _loading = loading;
            if shared.load(load_timeout, at).await.is_err()
                && let Some(cached) = &mut *shared.cached()
            {
                cached.renew_at = at + RENEW_AGAIN;
            }
        });
    }
}

impl Shared {
    /// Asks the provider.
    async fn load(&self, timeout: Duration, at: SystemTime) -> Result<Cached, SignError> {
        let loading = self.provider.provide_credentials();
        let credentials = match tokio::time::timeout(timeout, loading).await {
            Ok(result) => result.map_err(SignError::Credentials)?,
            Err(_) => {
                return Err(SignError::Credentials(CredentialsError::provider_timed_out(timeout)));
            }
        };
        let generation = Generation(self.loads.fetch_add(1, Ordering::Relaxed));
        let cached = Cached::new(credentials, generation, at);
        let has_expired = self.expired().as_ref().is_some_and(|old| is_same(old, &cached));
        if has_expired || !cached.is_usable(at) {
            return Err(SignError::Expired);
        }
        *self.cached() = Some(cached.clone());
        Ok(cached)
    }

    fn cached(&self) -> std::sync::MutexGuard<'_, Option<Cached>> {
        self.cached.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn expired(&self) -> std::sync::MutexGuard<'_, Option<Credentials>> {
        self.expired.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns whether the service could not tell these from those.
fn is_same(old: &Credentials, new: &Cached) -> bool {
    let new = &new.credentials;
    old.access_key_id() == new.access_key_id() && old.session_token() == new.session_token()
}

impl fmt::Debug for Signer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signer").field("region", &self.shared.region).finish_non_exhaustive()
    }
}

/// Why a request could not be signed.
///
/// ```
/// use firehose_hyper::SignError;
///
/// /// Says whether it is of use to wait for credentials.
/// fn may_come_later(error: &SignError) -> bool {
///     !error.is_permanent()
/// }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SignError {
    /// There are no credentials.
    Credentials(CredentialsError),
    /// There are credentials, but their time is over and the provider has no newer ones.
    Expired,
    /// The request cannot be signed.
    Request(BoxError),
}

impl SignError {
    /// Returns whether another attempt would fail the same way. Credentials may come later; a
    /// request that cannot be signed stays so.
    pub fn is_permanent(&self) -> bool {
        self.failure() == Failure::Unsendable
    }

    pub(crate) fn failure(&self) -> Failure {
        match self {
            Self::Credentials(_) | Self::Expired => Failure::NotReady,
            Self::Request(_) => Failure::Unsendable,
        }
    }

    fn request(error: impl Into<BoxError>) -> Self {
        Self::Request(error.into())
    }
}

impl fmt::Display for SignError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Credentials(error) => write!(f, "no credentials: {}", Causes(error)),
            Self::Expired => {
                f.write_str("the credentials have expired and there are no newer ones")
            }
            Self::Request(error) => write!(f, "{}", Causes(&**error)),
        }
    }
}

impl core::error::Error for SignError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Credentials(error) => Some(error),
            Self::Expired => None,
            Self::Request(error) => Some(&**error),
        }
    }
}

/// Credentials, and until when they are used without asking for newer ones.
#[derive(Clone)]
struct Cached {
    credentials: Credentials,
    generation: Generation,
    renew_at: SystemTime,
}

impl Cached {
    fn new(credentials: Credentials, generation: Generation, at: SystemTime) -> Self {
        let renew_at = match credentials.expiry() {
            // Half of what is left, where the whole is short: else each request would renew them.
            Some(expiry) => {
                let left = expiry.duration_since(at).unwrap_or_default();
                at + left - RENEW_BEFORE.min(left / 2)
            }
            None => at + RENEW_UNDATED,
        };
        Self { credentials, generation, renew_at }
    }

    fn is_fresh(&self, at: SystemTime) -> bool {
        at < self.renew_at
    }

    fn is_usable(&self, at: SystemTime) -> bool {
        self.credentials.expiry().is_none_or(|expiry| at < expiry)
    }
}

/// Computes the headers that sign a request.
fn instructions(
    request: &http::Request<Bytes>,
    hash: String,
    credentials: Credentials,
    region: &str,
    at: SystemTime,
) -> Result<SigningInstructions, SignError> {
    let identity = credentials.into();
    let params = v4::SigningParams::builder()
        .identity(&identity)
        .region(region)
        .name(SIGNING_NAME)
        .time(at)
        .settings(SigningSettings::default())
        .build()
        .map_err(SignError::request)?
        .into();
    let hash = SignableBody::Precomputed(hash);
    let mut headers = Vec::with_capacity(SIGNED.len());
    for name in &SIGNED {
        if let Some(value) = request.headers().get(name) {
            headers.push((name.as_str(), value.to_str().map_err(SignError::request)?));
        }
    }
    let method = request.method().as_str();
    let signable = SignableRequest::new(method, request.uri().path(), headers.into_iter(), hash)
        .map_err(SignError::request)?;
    let (instructions, _signature) =
        sign(signable, &params).map_err(SignError::request)?.into_parts();
    Ok(instructions)
}

/// The hash of a body, as an extension of its request. It holds the body as well: as long as that
/// lives, a body at the same place is the same.
#[derive(Clone)]
struct Hashed {
    body: Bytes,
    hash: String,
}

/// Writes bytes as lower-case hexadecimal digits.
fn hex(bytes: impl AsRef<[u8]>) -> String {
    const DIGITS: &[u8; 16] = b"0123456789abcdef";
    let digit = |value: u8| char::from(DIGITS[usize::from(value)]);
    bytes.as_ref().iter().flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
}

#[cfg(test)]
mod tests;
