//! Where requests go: scheme, host and port, and the region they are signed for.
//!
//! An [`Endpoint`] that exists can stand in a URL, in a `Host` header and in a certificate check:
//! text is checked here, before it gets near any of them. Names are not resolved here.

mod partition;

use core::fmt;
use core::net::{IpAddr, Ipv6Addr};

use http::Uri;

use partition::{Partition, region_of_host};

/// The region that requests to a bare URL are signed for, if no other is named.
const DEFAULT_REGION: &str = "us-east-1";

/// The longest name of a region.
const REGION_BYTES_MAX: usize = 32;

/// The longest name of a host, and the longest label in it (RFC 1035).
const HOST_BYTES_MAX: usize = 253;
const LABEL_BYTES_MAX: usize = 63;

/// Where requests go, and the region they are signed for.
///
/// ```
/// use firehose_hyper::Endpoint;
///
/// let endpoint = Endpoint::from_region("eu-central-1")?;
/// assert_eq!(endpoint.to_string(), "https://firehose.eu-central-1.amazonaws.com");
///
/// let local = Endpoint::from_url("http://localhost:4566", None)?;
/// assert_eq!((local.host(), local.port(), local.region()), ("localhost", 4566, "us-east-1"));
/// assert!(local.is_plain() && local.is_loopback());
/// # Ok::<(), firehose_hyper::InvalidEndpoint>(())
/// ```
#[derive(Clone, Debug, Eq, Hash, PartialEq)]
pub struct Endpoint {
    plain: bool,
    host: Box<str>,
    port: u16,
    region: Box<str>,
}

impl Endpoint {
    /// Makes the service's own endpoint in a region.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint::Region`] if that cannot be the name of a region.
    pub fn from_region(region: &str) -> Result<Self, InvalidEndpoint> {
        Self::for_region(region, false, false)
    }

    /// Makes the service's own endpoint in a region: with `fips` the one whose cryptography is
    /// validated by FIPS 140, with `dualstack` the one that has IPv6 addresses as well.
    ///
    /// ```
    /// use firehose_hyper::Endpoint;
    ///
    /// let endpoint = Endpoint::for_region("us-gov-west-1", true, false)?;
    /// assert_eq!(endpoint.host(), "firehose-fips.us-gov-west-1.amazonaws.com");
    /// # Ok::<(), firehose_hyper::InvalidEndpoint>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint::Region`] if that cannot be the name of a region.
    pub fn for_region(region: &str, fips: bool, dualstack: bool) -> Result<Self, InvalidEndpoint> {
        let region = check_region(region)?;
        let host = Partition::of(region).host(region, fips, dualstack).into();
        Ok(Self { plain: false, host, port: 443, region: region.into() })
    }

    /// Reads an endpoint from a URL: `http` or `https`, a host, at most a port.
    ///
    /// Requests are signed for `region`. If there is none, the region in the name of the host
    /// counts, as it stands in those of the service and of a VPC's endpoints, else `us-east-1`.
    ///
    /// # Errors
    ///
    /// [`InvalidEndpoint`] says what is wrong with which part.
    pub fn from_url(url: &str, region: Option<&str>) -> Result<Self, InvalidEndpoint> {
        let region = region.map(check_region).transpose()?;
        // Before anything is told of the other parts: a password may look like any of them.
        if url.contains('@') {
            return Err(InvalidEndpoint::UserInfo);
        }
        if url.contains(['?', '#']) {
            return Err(InvalidEndpoint::Query);
        }
        let uri: Uri = url.parse().map_err(InvalidEndpoint::Syntax)?;
        let plain = match uri.scheme_str() {
            Some("http") => true,
            Some("https") => false,
            other => return Err(InvalidEndpoint::Scheme { scheme: other.map(Into::into) }),
        };
        if uri.path() != "/" {
            return Err(InvalidEndpoint::Path { path: uri.path().into() });
        }
        let authority = uri.authority().map_or("", |authority| authority.as_str());
        if authority.contains('@') {
            return Err(InvalidEndpoint::UserInfo);
        }
        let host = uri.host().unwrap_or_default();
        let port = match authority.strip_prefix(host).unwrap_or_default() {
            "" if plain => 80,
            "" => 443,
            text => check_port(text)?,
        };
        let host = check_host(host)?;
        let region = region.or_else(|| region_of_host(&host)).unwrap_or(DEFAULT_REGION).into();
        Ok(Self { plain, host, port, region })
    }

    /// Returns the name or address of the host, an IPv6 address without its brackets.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Returns the port.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the region that requests are signed for.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// Returns whether requests travel as plain text.
    pub fn is_plain(&self) -> bool {
        self.plain
    }

    /// Returns whether requests stay on this machine.
    pub fn is_loopback(&self) -> bool {
        match self.host.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => address.is_loopback(),
            Ok(IpAddr::V6(address)) => address.to_canonical().is_loopback(),
            Err(_) => &*self.host == "localhost" || self.host.ends_with(".localhost"),
        }
    }

    /// Returns what the `Host` header says: the port stands there only if it is unusual.
    pub(crate) fn host_header(&self) -> String {
        let usual = if self.plain { 80 } else { 443 };
        if self.port == usual { self.bracketed_host() } else { self.peer() }
    }

    /// Returns host and port, as they stand in messages.
    pub(crate) fn peer(&self) -> String {
        format!("{}:{}", self.bracketed_host(), self.port)
    }

    fn bracketed_host(&self) -> String {
        if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.to_string() }
    }
}

impl fmt::Display for Endpoint {
    /// Writes the endpoint as a URL.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}://{}", if self.plain { "http" } else { "https" }, self.host_header())
    }
}

/// Why text cannot be an endpoint.
///
/// ```
/// use firehose_hyper::Endpoint;
///
/// let error = Endpoint::from_url("ftp://localhost", None).unwrap_err();
/// assert!(error.to_string().contains("neither http nor https"));
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum InvalidEndpoint {
    /// The host is neither a name nor an address.
    Host {
        /// What stands in its place.
        host: Box<str>,
    },
    /// There is a path; all requests go to `/`.
    Path {
        /// The path.
        path: Box<str>,
    },
    /// The port is not a number from 1 to 65535.
    Port {
        /// What stands in its place.
        port: Box<str>,
    },
    /// There is a query or a fragment.
    Query,
    /// The region has other characters than `a-z`, `0-9` and `-`, or more than 32, or none.
    Region {
        /// What was given as the region.
        region: Box<str>,
    },
    /// The scheme is neither `http` nor `https`.
    Scheme {
        /// The scheme, if there is one.
        scheme: Option<Box<str>>,
    },
    /// The text is not a URL.
    Syntax(http::uri::InvalidUri),
    /// There is a user name or a password; credentials are given elsewhere.
    UserInfo,
}

impl fmt::Display for InvalidEndpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Host { host } => {
                write!(f, "the endpoint's host {host:?} is neither a name nor an address")
            }
            Self::Path { path } => {
                write!(f, "the endpoint has the path {path:?}, leave it away: requests go to /")
            }
            Self::Port { port } => {
                write!(f, "the endpoint's port {port:?} is not a number from 1 to 65535")
            }
            Self::Query => f.write_str("the endpoint has a query or a fragment, leave it away"),
            Self::Region { region } => {
                write!(f, "a region has 1 to {REGION_BYTES_MAX} of a-z, 0-9 and -, not {region:?}")
            }
            Self::Scheme { scheme: Some(scheme) } => {
                write!(f, "the endpoint's scheme {scheme:?} is neither http nor https")
            }
            Self::Scheme { scheme: None } => {
                f.write_str("the endpoint has no scheme, write http:// or https:// before its host")
            }
            Self::Syntax(source) => write!(f, "the endpoint is not a URL: {source}"),
            Self::UserInfo => {
                f.write_str("the endpoint has a user name, leave it away: set credentials instead")
            }
        }
    }
}

impl core::error::Error for InvalidEndpoint {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::Syntax(source) => Some(source),
            Self::Host { .. }
            | Self::Path { .. }
            | Self::Port { .. }
            | Self::Query
            | Self::Region { .. }
            | Self::Scheme { .. }
            | Self::UserInfo => None,
        }
    }
}

fn check_region(region: &str) -> Result<&str, InvalidEndpoint> {
    let legal = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    // A label of a host name neither begins nor ends with a hyphen.
    let edges = region.starts_with('-') || region.ends_with('-');
    if region.is_empty() || region.len() > REGION_BYTES_MAX || edges || !region.bytes().all(legal) {
        return Err(InvalidEndpoint::Region { region: region.into() });
    }
    Ok(region)
}

/// Checks what follows the host: a colon and a number.
fn check_port(text: &str) -> Result<u16, InvalidEndpoint> {
    let digits = text.strip_prefix(':').unwrap_or(text);
    match digits.parse() {
        Ok(port) if port != 0 && digits.bytes().all(|byte| byte.is_ascii_digit()) => Ok(port),
        _ => Err(InvalidEndpoint::Port { port: digits.into() }),
    }
}

/// Checks a host, takes the brackets of an IPv6 address away, and lowers the case of a name.
fn check_host(host: &str) -> Result<Box<str>, InvalidEndpoint> {
    if let Some(inner) = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')) {
        return match inner.parse::<Ipv6Addr>() {
            Ok(address) => Ok(address.to_string().into()),
            Err(_) => Err(InvalidEndpoint::Host { host: host.into() }),
        };
    }
    let is_label = |label: &str| {
        (1..=LABEL_BYTES_MAX).contains(&label.len())
            && label.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
    };
    if host.len() > HOST_BYTES_MAX || !host.split('.').all(is_label) {
        return Err(InvalidEndpoint::Host { host: host.into() });
    }
    Ok(host.to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_those_of_the_services_own_rules() {
        let rows = include_str!("../tests/data/endpoints.txt");
        let mut seen = 0;
        for row in rows.lines().filter(|row| !row.starts_with('#')) {
            let [region, fips, dualstack, url] = row.split(' ').collect::<Vec<_>>()[..] else {
                panic!("{row}");
            };
            let endpoint = Endpoint::for_region(region, fips == "fips", dualstack == "dualstack");
            let endpoint = endpoint.unwrap();
            assert_eq!(endpoint.to_string(), url, "{row}");
            assert_eq!((endpoint.region(), endpoint.port()), (region, 443));
            assert!(!endpoint.is_plain() && !endpoint.is_loopback());
            assert_eq!(Endpoint::from_url(url, None).unwrap(), endpoint);
            seen += 1;
        }
        assert_eq!(seen, 208);
    }

    #[test]
    fn requests_are_signed_for_the_region_in_the_host() {
        for (url, region) in [
            ("https://vpce-0a1b-c.firehose.eu-west-1.vpce.amazonaws.com", "eu-west-1"),
            ("https://vpce-1.firehose.cn-north-1.vpce.amazonaws.com.cn", "cn-north-1"),
            ("https://firehose-fips.us-gov-east-1.api.aws:8443", "us-gov-east-1"),
            ("https://firehose.eu-west-1.example.org", "us-east-1"),
            ("https://firehose.eu-west-1", "us-east-1"),
            ("https://firehose", "us-east-1"),
            ("http://127.0.0.1:4573", "us-east-1"),
        ] {
            assert_eq!(Endpoint::from_url(url, None).unwrap().region(), region, "{url}");
            assert_eq!(Endpoint::from_url(url, Some("sa-east-1")).unwrap().region(), "sa-east-1");
        }
    }

    #[test]
    fn regions_cannot_change_the_host() {
        let long = "a".repeat(33);
        for region in ["", "US-EAST-1", "us.evil.example/", "us-east-1\r\n", "-a", "a-", "é", &long]
        {
            for result in
                [Endpoint::from_region(region), Endpoint::from_url("http://h", Some(region))]
            {
                assert!(matches!(result, Err(InvalidEndpoint::Region { .. })), "{region:?}");
            }
        }
        assert!(Endpoint::from_region(&"a".repeat(32)).is_ok());
    }

    #[test]
    fn urls_are_taken_apart() {
        for (url, host, port, header, plain, loopback) in [
            ("http://127.0.0.1:4566", "127.0.0.1", 4566, "127.0.0.1:4566", true, true),
            ("http://127.0.0.1:80/", "127.0.0.1", 80, "127.0.0.1", true, true),
            ("https://[::1]:8443/", "::1", 8443, "[::1]:8443", false, true),
            ("http://[::ffff:127.0.0.1]", "::ffff:127.0.0.1", 80, "[::ffff:127.0.0.1]", true, true),
            (
                "HTTPS://Vpce-1.Example.COM",
                "vpce-1.example.com",
                443,
                "vpce-1.example.com",
                false,
                false,
            ),
            ("http://local_stack", "local_stack", 80, "local_stack", true, false),
            ("http://a.localhost:1", "a.localhost", 1, "a.localhost:1", true, true),
            ("http://localhost.example", "localhost.example", 80, "localhost.example", true, false),
        ] {
            let endpoint = Endpoint::from_url(url, Some("eu-west-1")).unwrap();
            assert_eq!((endpoint.host(), endpoint.port()), (host, port), "{url}");
            assert_eq!(endpoint.host_header(), header, "{url}");
            assert_eq!((endpoint.is_plain(), endpoint.is_loopback()), (plain, loopback), "{url}");
            assert_eq!(endpoint.region(), "eu-west-1");
        }
    }

    #[test]
    fn wrong_urls_are_refused() {
        let label = format!("http://{}.example", "a".repeat(64));
        for (url, message) in [
            (
                "localhost:4566",
                "the endpoint has no scheme, write http:// or https:// before its host",
            ),
            ("ftp://h", "the endpoint's scheme \"ftp\" is neither http nor https"),
            (
                "http://h/path",
                "the endpoint has the path \"/path\", leave it away: requests go to /",
            ),
            ("http://h/?x=1", "the endpoint has a query or a fragment, leave it away"),
            ("http://h/#x", "the endpoint has a query or a fragment, leave it away"),
            ("http://h:0", "the endpoint's port \"0\" is not a number from 1 to 65535"),
            ("http://h:65536", "the endpoint's port \"65536\" is not a number from 1 to 65535"),
            ("http://h:", "the endpoint's port \"\" is not a number from 1 to 65535"),
            ("http://a..b", "the endpoint's host \"a..b\" is neither a name nor an address"),
            (
                "http://user:canary@h",
                "the endpoint has a user name, leave it away: set credentials instead",
            ),
        ] {
            assert_eq!(Endpoint::from_url(url, None).unwrap_err().to_string(), message, "{url}");
        }
        for url in [
            "",
            "http://",
            "http://[::1",
            "http://[g::1]",
            "http://a%20b",
            "http://h h",
            "http:///x",
            &label,
        ] {
            assert!(Endpoint::from_url(url, None).is_err(), "{url}");
        }
    }
}
