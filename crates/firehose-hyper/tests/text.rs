//! Any text at all as a URL, a region, a proxy or a setting: nothing panics, and what comes out can
//! stand in a URL and in a header.

use std::collections::BTreeMap;

use firehose_hyper::{Endpoint, InvalidEndpoint, Proxies, Settings, Transport};
/// More than this takes time and finds nothing more.
const RUNS: u64 = 20_000;

/// Pieces of what is meant, and some that are odd.
const WORDS: [&str; 22] = [
    "http://",
    "https://",
    "socks5://",
    "user:canary@",
    "firehose.eu-west-1.amazonaws.com",
    "vpce-1.firehose.cn-north-1.vpce.amazonaws.com.cn",
    "firehose.",
    "[::1]",
    "127.0.0.1",
    "localhost",
    ":8443",
    "/",
    "eu-west-1",
    "true",
    "\r\nx: y",
    "%61",
    "10.0.0.0/8",
    ",",
    "*",
    "\u{e9}\u{0}",
    "?x#y",
    "@",
];

/// Numbers in no order, the same ones each time.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, end: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        usize::try_from(self.0 >> 33).unwrap_or_default() % end
    }

    /// Text that looks like what is meant, with something odd in it now and then.
    fn text(&mut self) -> String {
        let words = self.below(5);
        (0..words).map(|_| WORDS[self.below(WORDS.len())]).collect()
    }
}

/// Panics if an endpoint cannot stand where it is put.
fn check(endpoint: &Endpoint) {
    let url = endpoint.to_string();
    let uri: http::Uri = url.parse().unwrap_or_else(|error| panic!("{url:?}: {error}"));
    let host = uri.host().map(|host| host.trim_start_matches('[').trim_end_matches(']'));
    assert_eq!(host, Some(endpoint.host()), "{url:?}");
    assert!(endpoint.host().bytes().all(|byte| byte.is_ascii_graphic()), "{url:?}");
    let is_of_region = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-');
    assert!(endpoint.region().bytes().all(is_of_region), "{endpoint:?}");
    let again = Endpoint::from_url(&url, Some(endpoint.region()));
    assert_eq!(&again.unwrap_or_else(|error| panic!("{url:?}: {error}")), endpoint);
}

/// The variables that settings and proxies are read from.
const VARIABLES: [&str; 12] = [
    "ALL_PROXY",
    "AWS_ENDPOINT_URL",
    "AWS_ENDPOINT_URL_FIREHOSE",
    "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS",
    "AWS_MAX_ATTEMPTS",
    "AWS_REGION",
    "AWS_SDK_UA_APP_ID",
    "AWS_USE_DUALSTACK_ENDPOINT",
    "AWS_USE_FIPS_ENDPOINT",
    "HTTPS_PROXY",
    "HTTP_PROXY",
    "NO_PROXY",
];

#[test]
fn endpoints_are_legal_or_refused() {
    let (mut numbers, mut legal) = (Numbers(1), 0);
    for _ in 0..RUNS {
        let (url, region) = (numbers.text(), numbers.text());
        for region in [None, Some(&*region)] {
            match Endpoint::from_url(&url, region) {
                Ok(endpoint) => {
                    check(&endpoint);
                    legal += 1;
                }
                // A region is no secret, and is quoted.
                Err(InvalidEndpoint::Region { .. }) => {}
                Err(error) => assert!(!error.to_string().contains("canary"), "{url:?}: {error}"),
            }
        }
        for (fips, dualstack) in [(false, false), (true, false), (true, true)] {
            if let Ok(endpoint) = Endpoint::for_region(&region, fips, dualstack) {
                check(&endpoint);
            }
        }
    }
    assert!(legal > 100, "only {legal} texts were endpoints");
}

#[test]
fn settings_are_legal_or_refused() {
    let (mut numbers, mut legal) = (Numbers(2), 0);
    for _ in 0..RUNS {
        let variables: BTreeMap<_, _> =
            (0..3).map(|_| (VARIABLES[numbers.below(VARIABLES.len())], numbers.text())).collect();
        let Ok(settings) = Settings::from_env(|name| variables.get(name).cloned()) else {
            continue;
        };
        // A password has its place in a URL, and nowhere else.
        let has_canary = |name: &&str| variables.get(*name).is_some_and(|t| t.contains("canary"));
        let told = ["AWS_REGION", "AWS_SDK_UA_APP_ID"];
        let text = format!("{settings:?}");
        assert!(!text.contains("canary") || told.iter().any(has_canary), "{variables:?}: {text}");
        if let Ok(endpoint) = settings.endpoint() {
            check(&endpoint);
            legal += 1;
        }
    }
    assert!(legal > 20, "only {legal} settings made an endpoint");
}

#[test]
fn transports_can_be_made_of_whatever_is_legal() {
    let (mut numbers, mut legal) = (Numbers(3), 0);
    for _ in 0..RUNS {
        let (url, proxy, app_id) = (numbers.text(), numbers.text(), numbers.text());
        // The platform's certificates are of no interest here, and take their time.
        let Ok(endpoint) = Endpoint::from_url(&url, None) else { continue };
        if !endpoint.is_plain() {
            continue;
        }
        let proxies = Proxies::all(&proxy).unwrap_or_default();
        // A proxy with TLS needs a name that can stand in a certificate.
        let Ok(transport) = Transport::builder(endpoint).proxies(proxies).app_id(app_id).build()
        else {
            continue;
        };
        assert!(!format!("{transport:?}").contains("canary"));
        legal += 1;
    }
    assert!(legal > 20, "only {legal} transports could be made");
}
