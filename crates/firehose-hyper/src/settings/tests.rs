//! Which setting wins, and what cannot stand where.

use super::*;

fn lookup<'a>(variables: &'a [(&'a str, &'a str)]) -> impl Fn(&str) -> Option<String> + 'a {
    |name| {
        let found = variables.iter().find(|(known, _)| *known == name);
        found.map(|(_, value)| (*value).to_owned())
    }
}

fn settings(variables: &[(&str, &str)], profile: &[(&'static str, &str)]) -> Settings {
    read(variables, profile).unwrap()
}

fn read(
    variables: &[(&str, &str)],
    profile: &[(&'static str, &str)],
) -> Result<Settings, SettingsError> {
    let profile = profile.iter().map(|(key, text)| (*key, (*text).to_owned())).collect();
    Settings::read(&Sources { lookup: &lookup(variables), profile })
}

const REGION: (&str, &str) = ("AWS_REGION", "eu-west-1");
const DEFAULT_REGION: (&str, &str) = ("AWS_DEFAULT_REGION", "eu-west-2");
const OWN_URL: (&str, &str) = ("AWS_ENDPOINT_URL_FIREHOSE", "https://own.example");
const URL: (&str, &str) = ("AWS_ENDPOINT_URL", "https://all.example");
const IGNORE: (&str, &str) = ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "True");
const FIPS: (&str, &str) = ("AWS_USE_FIPS_ENDPOINT", "true");
const DUALSTACK: (&str, &str) = ("AWS_USE_DUALSTACK_ENDPOINT", "true");

#[test]
fn the_endpoint_is_the_most_special_one() {
    let in_profile: &[_] = &[("region", "sa-east-1"), ("endpoint_url", "https://profile.example")];
    for (variables, profile, url, region) in [
        (&[REGION, DEFAULT_REGION][..], &[][..], "firehose.eu-west-1.amazonaws.com", "eu-west-1"),
        (&[DEFAULT_REGION], &[], "firehose.eu-west-2.amazonaws.com", "eu-west-2"),
        (
            &[DEFAULT_REGION, ("AWS_REGION", " ")],
            &[],
            "firehose.eu-west-2.amazonaws.com",
            "eu-west-2",
        ),
        (&[OWN_URL, URL, REGION], in_profile, "own.example", "eu-west-1"),
        (&[URL, REGION], in_profile, "all.example", "eu-west-1"),
        (&[URL], in_profile, "all.example", "sa-east-1"),
        (&[], in_profile, "profile.example", "sa-east-1"),
        (&[IGNORE, OWN_URL, URL], in_profile, "firehose.sa-east-1.amazonaws.com", "sa-east-1"),
        (&[REGION, FIPS], &[], "firehose-fips.eu-west-1.amazonaws.com", "eu-west-1"),
        (&[REGION, DUALSTACK], &[], "firehose.eu-west-1.api.aws", "eu-west-1"),
        (
            &[REGION],
            &[("use_fips_endpoint", "true"), ("use_dualstack_endpoint", "TRUE")],
            "firehose-fips.eu-west-1.api.aws",
            "eu-west-1",
        ),
        (
            &[REGION, ("AWS_USE_FIPS_ENDPOINT", "false")],
            &[("use_fips_endpoint", "true")],
            "firehose.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
        (
            &[REGION, IGNORE],
            &[("ignore_configured_endpoint_urls", "false"), ("endpoint_url", "https://p.example")],
            "firehose.eu-west-1.amazonaws.com",
            "eu-west-1",
        ),
    ] {
        let endpoint = settings(variables, profile).endpoint().unwrap();
        assert_eq!((endpoint.host(), endpoint.region()), (url, region), "{variables:?}");
    }
}

#[test]
fn what_the_program_says_comes_first() {
    let found = settings(&[REGION, URL, IGNORE, ("AWS_MAX_ATTEMPTS", "3")], &[]);
    let own = found.with_region("us-west-2").with_endpoint_url("http://127.0.0.1:1");
    let endpoint = own.endpoint().unwrap();
    assert_eq!(
        (endpoint.to_string().as_str(), endpoint.region()),
        ("http://127.0.0.1:1", "us-west-2")
    );
    assert_eq!(own.policy().attempts_max().get(), 3);
    let fips = settings_of_region().with_fips(true).with_dualstack(true).endpoint().unwrap();
    assert_eq!(fips.host(), "firehose-fips.eu-west-1.api.aws");
    let plain = settings(&[REGION, FIPS], &[]).with_fips(false).endpoint().unwrap();
    assert_eq!(plain.host(), "firehose.eu-west-1.amazonaws.com");
    assert_eq!(own.with_attempts_max(NonZeroU8::MIN).policy().attempts_max().get(), 1);
}

fn settings_of_region() -> Settings {
    settings(&[REGION], &[])
}

#[test]
fn attempts_count_the_first() {
    let attempts = |variables: &[(&str, &str)], profile: &[(&'static str, &str)]| {
        settings(variables, profile).policy().attempts_max().get()
    };
    assert_eq!(attempts(&[], &[]), 10);
    assert_eq!(attempts(&[("AWS_MAX_ATTEMPTS", "1")], &[("max_attempts", "7")]), 1);
    assert_eq!(attempts(&[], &[("max_attempts", "7")]), 7);
    assert_eq!(attempts(&[("AWS_MAX_ATTEMPTS", "1000")], &[]), 255);
}

#[test]
fn what_makes_no_sense_is_told_with_its_place() {
    for (variable, key, text, message) in [
        ("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint", "yes", "\"yes\", it can be true or false"),
        ("AWS_MAX_ATTEMPTS", "max_attempts", "0", "\"0\", it can be a whole number from 1"),
        ("AWS_MAX_ATTEMPTS", "max_attempts", "-1", "\"-1\", it can be a whole number from 1"),
        (
            "AWS_RETRY_MODE",
            "retry_mode",
            "often",
            "\"often\", it can be standard or adaptive or legacy",
        ),
    ] {
        let error = read(&[(variable, text)], &[]).unwrap_err().to_string();
        assert_eq!(error, format!("{variable} is {message}"));
        let error = read(&[], &[(key, text)]).unwrap_err().to_string();
        assert_eq!(error, format!("{key} in the profile is {message}"));
    }
    let error = read(&[("HTTPS_PROXY", "socks5://h")], &[]).unwrap_err();
    assert!(matches!(error, SettingsError::Proxy(_)));
}

#[test]
fn endpoints_that_cannot_be_are_refused() {
    let error = |variables: &[(&str, &str)]| settings(variables, &[]).endpoint().unwrap_err();
    assert!(matches!(error(&[]), SettingsError::NoRegion));
    assert!(matches!(error(&[("AWS_REGION", "EU")]), SettingsError::Endpoint(_)));
    assert!(error(&[URL, FIPS]).to_string().contains("FIPS"));
    assert!(error(&[URL, DUALSTACK]).to_string().contains("dualstack"));
    let missing = settings(&[("AWS_CA_BUNDLE", "no-such-file.pem")], &[]).tls().unwrap_err();
    assert!(missing.to_string().starts_with("cannot use the certificates in no-such-file.pem: "));
}

#[test]
fn passwords_in_urls_are_not_shown() {
    let url = ("AWS_ENDPOINT_URL", "https://user:canary@h");
    let settings = settings(&[url, ("HTTPS_PROXY", "http://user:canary@h")], &[]);
    let error = settings.endpoint().unwrap_err();
    assert!(!format!("{settings:?} {error:?} {error}").contains("canary"));
}
