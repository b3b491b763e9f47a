//! Which proxy a connection goes through, and the way through it.
//!
//! Endpoints with TLS are reached through a tunnel (`CONNECT`), with TLS inside it, so a proxy sees
//! no request. Plain endpoints are asked for in absolute form, as all clients do it. Nothing that
//! fails before the tunnel stands can have reached the service.

use core::fmt;
use core::pin::pin;
use std::sync::Arc;

use bytes::Bytes;
use http::header::{HOST, PROXY_AUTHORIZATION};
use http::{HeaderValue, Method, Request, StatusCode, Uri};
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use hyper_util::rt::TokioIo;

use crate::connect::BoxIo;
use crate::endpoint::Endpoint;
use crate::error::{BoxError, TransportError};

/// The variables that name a proxy or an exception, the first of each that is set counts.
const HTTPS: [&str; 2] = ["HTTPS_PROXY", "https_proxy"];
const HTTP: [&str; 2] = ["HTTP_PROXY", "http_proxy"];
const ALL: [&str; 2] = ["ALL_PROXY", "all_proxy"];
const NO: [&str; 2] = ["NO_PROXY", "no_proxy"];

/// Set for a program that a web server runs: `HTTP_PROXY` may then be the header `Proxy` of a
/// stranger's request.
const CGI: &str = "REQUEST_METHOD";

/// Which endpoints are reached through which proxy; by default none is.
///
/// ```
/// use firehose_hyper::Proxies;
///
/// let lookup = |name: &str| (name == "HTTPS_PROXY").then(|| "http://proxy:3128".to_owned());
/// let proxies = Proxies::from_env(lookup)?;
/// assert!(Proxies::all("socks5://proxy").is_err());
/// # let _ = proxies;
/// # Ok::<(), firehose_hyper::InvalidProxy>(())
/// ```
#[derive(Clone, Default)]
pub struct Proxies {
    matcher: Option<Arc<Matcher>>,
    /// Endpoints on this machine are reached through it as well.
    is_for_loopback: bool,
}

impl Proxies {
    /// Uses no proxy.
    pub fn none() -> Self {
        Self::default()
    }

    /// Uses one proxy for every endpoint, those on this machine among them: an `http` or `https`
    /// URL, perhaps with a user name and a password in it.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] if it is no such URL.
    pub fn all(url: &str) -> Result<Self, InvalidProxy> {
        check(url, None)?;
        let matcher = Matcher::builder().all(url).build();
        Ok(Self { matcher: Some(Arc::new(matcher)), is_for_loopback: true })
    }

    /// Uses the proxies that the environment names, as curl does: `HTTPS_PROXY`, `HTTP_PROXY` for
    /// plain endpoints, `ALL_PROXY` for both, and `NO_PROXY` for exceptions; each in lower case as
    /// well. Empty ones count as absent. Endpoints on this machine are reached without a proxy.
    ///
    /// # Errors
    ///
    /// [`InvalidProxy`] if a variable holds no `http` or `https` URL.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, InvalidProxy> {
        let first = |names: [&'static str; 2]| {
            let set = |name| lookup(name).filter(|value| !value.trim().is_empty());
            names.into_iter().find_map(|name| Some((name, set(name)?)))
        };
        let is_cgi = lookup(CGI).is_some();
        let http = if is_cgi { None } else { first(HTTP) };
        let (https, all) = (first(HTTPS), first(ALL));
        for (name, url) in [&http, &https, &all].into_iter().flatten() {
            check(url, Some(name))?;
        }
        if http.is_none() && https.is_none() && all.is_none() {
            return Ok(Self::none());
        }
        let url = |found: Option<(&str, String)>| found.map(|(_, url)| url).unwrap_or_default();
        let builder = Matcher::builder().http(url(http)).https(url(https)).all(url(all));
        let matcher = builder.no(url(first(NO))).build();
        Ok(Self { matcher: Some(Arc::new(matcher)), is_for_loopback: false })
    }

    /// Returns the proxy through which an endpoint is reached.
    pub(crate) fn proxy_for(&self, endpoint: &Endpoint) -> Option<Proxy> {
        if endpoint.is_loopback() && !self.is_for_loopback {
            return None;
        }
        let uri: Uri = endpoint.to_string().parse().ok()?;
        let intercept = self.matcher.as_ref()?.intercept(&uri)?;
        Proxy::new(&intercept)
    }
}

impl fmt::Debug for Proxies {
    /// Leaves the URLs away: passwords stand in them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Proxies")
            .field("is_none", &self.matcher.is_none())
            .field("is_for_loopback", &self.is_for_loopback)
            .finish()
    }
}

/// A proxy, and what it is asked for.
#[derive(Clone)]
pub(crate) struct Proxy {
    pub(crate) host: Box<str>,
    pub(crate) port: u16,
    /// The way to the proxy has TLS itself.
    pub(crate) is_tls: bool,
    /// Host and port, as they stand in messages.
    pub(crate) peer: Arc<str>,
    pub(crate) authorization: Option<HeaderValue>,
}

impl Proxy {
    fn new(intercept: &Intercept) -> Option<Self> {
        let uri = intercept.uri();
        let is_tls = match uri.scheme_str()? {
            "http" => false,
            "https" => true,
            _ => return None,
        };
        // What is left of a user name after the first `@` was cut off is no host.
        if uri.authority()?.as_str().contains('@') {
            return None;
        }
        let host = uri.host()?.trim_start_matches('[').trim_end_matches(']');
        let port = uri.port_u16().unwrap_or(if is_tls { 443 } else { 80 });
        Some(Self {
            host: host.into(),
            port,
            is_tls,
            peer: format!("{}:{port}", uri.host()?).into(),
            authorization: intercept.basic_auth().cloned(),
        })
    }

    /// Makes the proxy connect to `target`, host and port. What comes back reaches it.
    pub(crate) async fn tunnel(&self, io: BoxIo, target: &str) -> Result<BoxIo, TransportError> {
        let failed = |source: BoxError| TransportError::Proxy { peer: self.peer.clone(), source };
        let mut request = Request::new(Empty::<Bytes>::new());
        *request.method_mut() = Method::CONNECT;
        *request.uri_mut() =
            target.parse().map_err(|error: http::uri::InvalidUri| failed(error.into()))?;
        let host = HeaderValue::try_from(target).map_err(|error| failed(error.into()))?;
        request.headers_mut().insert(HOST, host);
        if let Some(authorization) = &self.authorization {
            request.headers_mut().insert(PROXY_AUTHORIZATION, authorization.clone());
        }
        let (mut sender, connection) =
            http1::handshake(TokioIo::new(io)).await.map_err(|error| failed(error.into()))?;
        let mut connection = pin!(connection.with_upgrades());
        let mut asking = pin!(async {
            let answer =
                sender.send_request(request).await.map_err(|error| failed(error.into()))?;
            match answer.status() {
                status if status.is_success() => {}
                StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
                    return Err(TransportError::ProxyAuthentication { peer: self.peer.clone() });
                }
                status => {
                    let text = format!("it answered {status} instead of opening a tunnel");
                    return Err(failed(text.into()));
                }
            }
            hyper::upgrade::on(answer).await.map_err(|error| failed(error.into()))
        });
        let opened = tokio::select! {
            biased;
            opened = &mut asking => opened?,
            // It ends where the tunnel begins, or by an error that the answer tells better.
            _ = &mut connection => asking.await?,
        };
        Ok(Box::new(TokioIo::new(opened)))
    }
}

/// A proxy cannot be used.
///
/// ```
/// use firehose_hyper::Proxies;
///
/// let lookup = |name: &str| (name == "ALL_PROXY").then(|| "socks5://h:1080".to_owned());
/// let error = Proxies::from_env(lookup).unwrap_err();
/// assert!(error.to_string().contains("ALL_PROXY"));
/// ```
#[derive(Clone, Debug, Eq, PartialEq)]
pub struct InvalidProxy {
    /// The variable that names it. What it holds is not told: a password may be in it.
    variable: Option<&'static str>,
}

impl fmt::Display for InvalidProxy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.variable {
            Some(variable) => write!(f, "the proxy in {variable}")?,
            None => f.write_str("the proxy")?,
        }
        f.write_str(" is not a URL that begins with http:// or https://")
    }
}

impl core::error::Error for InvalidProxy {}

/// Checks that a proxy can be understood and used.
fn check(url: &str, variable: Option<&'static str>) -> Result<(), InvalidProxy> {
    let matcher = Matcher::builder().all(url).build();
    let intercept = matcher.intercept(&Uri::from_static("http://example.com/"));
    match intercept.as_ref().and_then(Proxy::new) {
        Some(_) => Ok(()),
        None => Err(InvalidProxy { variable }),
    }
}

/// Returns the error for an answer by which a proxy asks for a password, if it is one.
pub(crate) fn refusal(status: StatusCode, proxy: &Proxy) -> Option<TransportError> {
    (status == StatusCode::PROXY_AUTHENTICATION_REQUIRED)
        .then(|| TransportError::ProxyAuthentication { peer: proxy.peer.clone() })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Result<Proxies, InvalidProxy> {
        Proxies::from_env(|name| {
            let found = variables.iter().find(|(known, _)| *known == name);
            found.map(|(_, value)| (*value).to_owned())
        })
    }

    fn check_way(variables: &[(&str, &str)], url: &str, proxy: Option<&str>) {
        let endpoint = Endpoint::from_url(url, None).unwrap();
        let found = proxies(variables).unwrap().proxy_for(&endpoint);
        let found = found.as_ref().map(|proxy| &*proxy.peer);
        assert_eq!(found, proxy, "{variables:?} {url}");
    }

    #[test]
    fn the_environment_chooses_the_proxy() {
        let (https, http) = (("HTTPS_PROXY", "http://s:1"), ("http_proxy", "p:2"));
        check_way(&[https, http], "https://h", Some("s:1"));
        check_way(&[https, http], "http://h", Some("p:2"));
        check_way(&[https], "http://h", None);
        check_way(&[("https_proxy", "https://s")], "https://h", Some("s:443"));
        check_way(&[("ALL_PROXY", "http://[::1]:7")], "https://h", Some("[::1]:7"));
        check_way(&[("ALL_PROXY", "http://a:7"), ("HTTPS_PROXY", " ")], "https://h", Some("a:7"));
        check_way(&[https, ("NO_PROXY", ".example.org, 10.0.0.0/8")], "https://h", Some("s:1"));
        check_way(&[https, ("NO_PROXY", ".example.org")], "https://a.example.org", None);
        check_way(&[https, ("no_proxy", "10.0.0.0/8")], "https://10.1.2.3", None);
        check_way(&[https, ("no_proxy", "*")], "https://h", None);
        check_way(&[https, http], "https://127.0.0.1", None);
        check_way(&[https, http], "http://localhost:4566", None);
        check_way(&[("HTTP_PROXY", "p:2"), ("REQUEST_METHOD", "GET")], "http://h", None);
        check_way(&[], "https://h", None);
    }

    #[test]
    fn proxies_that_cannot_be_used_are_refused_without_their_password() {
        for url in [
            "socks5://u:canary@h:1",
            "http://a@u:canary@h",
            "ftp://u:canary@h",
            "http://",
            "::canary",
        ] {
            let error = proxies(&[("HTTPS_PROXY", url)]).unwrap_err();
            assert!(error.to_string().starts_with("the proxy in HTTPS_PROXY is not"), "{error}");
            assert!(!format!("{error:?} {error}").contains("canary"));
            assert!(Proxies::all(url).is_err());
        }
    }

    #[test]
    fn passwords_are_not_shown() {
        let proxies = Proxies::all("http://user:can%61ry@h:1").unwrap();
        let local = Endpoint::from_url("http://127.0.0.1:1", None).unwrap();
        let proxy = proxies.proxy_for(&local).unwrap();
        assert_eq!(proxy.authorization.as_ref().unwrap(), "Basic dXNlcjpjYW5hcnk=");
        assert!(!format!("{proxies:?} {:?}", proxy.authorization).contains("canary"));
    }
}
