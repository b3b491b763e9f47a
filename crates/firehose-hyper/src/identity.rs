//! Who sends a request, and which attempt it is: headers by which AWS's support and its metrics tell
//! clients and retries apart. None of them is signed, as in most of AWS's own SDKs.

use core::num::NonZeroU8;

use http::header::USER_AGENT;
use http::{HeaderMap, HeaderName, HeaderValue};
use uuid::Uuid;

const INVOCATION_ID: HeaderName = HeaderName::from_static("amz-sdk-invocation-id");
const SDK_REQUEST: HeaderName = HeaderName::from_static("amz-sdk-request");

/// The longest identifier of an application; AWS's tools warn of longer ones.
const APP_ID_BYTES_MAX: usize = 50;

/// Which attempt a request is, as an extension of it. Without one a request says that it is the
/// first of one.
///
/// ```
/// use bytes::Bytes;
/// use firehose_hyper::Attempt;
///
/// let mut request = http::Request::post("/").body(Bytes::new())?;
/// request.extensions_mut().insert(Attempt { number: 2, max: 10 });
/// # Ok::<(), http::Error>(())
/// ```
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
pub struct Attempt {
    /// Counted from 1, for the record that was sent most often.
    pub number: u8,
    /// How often a record is sent at most.
    pub max: u8,
}

impl Attempt {
    /// The only attempt at a request.
    pub(crate) const ONLY: Self = Self { number: 1, max: 1 };

    pub(crate) fn of(number: u8, max: NonZeroU8) -> Self {
        Self { number, max: max.get() }
    }

    /// Writes the headers that name a request. An identifier that is there stays.
    pub(crate) fn write(self, headers: &mut HeaderMap, agent: &HeaderValue) {
        headers.entry(USER_AGENT).or_insert_with(|| agent.clone());
        let text = format!("attempt={}; max={}", self.number, self.max.max(self.number));
        if let Ok(value) = HeaderValue::try_from(text) {
            headers.insert(SDK_REQUEST, value);
        }
        let id = Uuid::new_v4().to_string();
        if let Ok(value) = HeaderValue::try_from(id) {
            headers.entry(INVOCATION_ID).or_insert(value);
        }
    }
}

/// Returns what the header `user-agent` says: this crate, the system, and the application, if it
/// named itself. What cannot stand there becomes a hyphen.
pub(crate) fn agent(app_id: Option<&str>) -> HeaderValue {
    let mut text = format!("{AGENT} os/{}", std::env::consts::OS);
    if let Some(app_id) = app_id.filter(|id| !id.is_empty()) {
        let is_token = |c: char| c.is_ascii_alphanumeric() || "!#$%&'*+-.^_`|~".contains(c);
        let clean = app_id.chars().take(APP_ID_BYTES_MAX);
        text.push_str(" app/");
        text.extend(clean.map(|c| if is_token(c) { c } else { '-' }));
    }
    HeaderValue::try_from(text).unwrap_or(HeaderValue::from_static(AGENT))
}

const AGENT: &str = concat!("firehose-hyper/", env!("CARGO_PKG_VERSION"));

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn agents_name_the_application() {
        let plain = format!("{AGENT} os/{}", std::env::consts::OS);
        assert_eq!(agent(None), plain);
        assert_eq!(agent(Some("")), plain);
        assert_eq!(agent(Some("log-mover/1 é\n")), format!("{plain} app/log-mover-1---"));
        let long = "a".repeat(60);
        assert_eq!(agent(Some(&long)), format!("{plain} app/{}", &long[..50]));
    }

    #[test]
    fn requests_are_named_once() {
        let mut headers = HeaderMap::new();
        Attempt { number: 2, max: 10 }.write(&mut headers, &agent(None));
        assert_eq!(headers["amz-sdk-request"], "attempt=2; max=10");
        let id = headers["amz-sdk-invocation-id"].clone();
        assert!(Uuid::parse_str(id.to_str().unwrap()).is_ok());
        Attempt { number: 3, max: 1 }.write(&mut headers, &agent(Some("other")));
        assert_eq!(headers["amz-sdk-request"], "attempt=3; max=3");
        assert_eq!(headers["amz-sdk-invocation-id"], id);
        assert_eq!(headers["user-agent"], agent(None));
    }
}
