//! What the environment and the profile say: region, endpoint, certificates, proxies, attempts.
//!
//! What the program says itself comes first, then a variable of this service, a general variable,
//! the profile, and last a default. No variable is read here but through the caller's `lookup`, and no
//! file but the certificates and, with the feature `aws-config`, the profile's.

#[cfg(feature = "aws-config")]
mod profile;

use core::fmt;
use core::num::NonZeroU8;
use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use firehose_proto::retry::Policy;

use crate::endpoint::{Endpoint, InvalidEndpoint};
use crate::error::{BoxError, Causes};
use crate::proxy::{InvalidProxy, Proxies};
use crate::tls::Tls;
use crate::transport::{Transport, TransportBuilder};

/// What the environment and the profile say.
///
/// ```
/// use firehose_hyper::Settings;
///
/// let lookup = |name: &str| match name {
///     "AWS_REGION" => Some("eu-west-1".to_owned()),
///     "AWS_USE_FIPS_ENDPOINT" => Some("true".to_owned()),
///     _ => None,
/// };
/// let settings = Settings::from_env(lookup)?;
/// let endpoint = settings.endpoint()?;
/// assert_eq!(endpoint.to_string(), "https://firehose-fips.eu-west-1.amazonaws.com");
/// // What the program says comes first.
/// let endpoint = settings.with_region("us-west-2").endpoint()?;
/// assert_eq!(endpoint.region(), "us-west-2");
/// # Ok::<(), firehose_hyper::SettingsError>(())
/// ```
#[derive(Clone)]
pub struct Settings {
    region: Option<Box<str>>,
    endpoint_url: Option<Box<str>>,
    is_fips: bool,
    is_dualstack: bool,
    ca_bundle: Option<PathBuf>,
    attempts_max: Option<NonZeroU8>,
    app_id: Option<Box<str>>,
    corrects_clock: bool,
    proxies: Proxies,
}

impl Settings {
    /// Reads the variables of the environment, which `lookup` knows; empty ones count as absent.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a variable holds what cannot stand there.
    pub fn from_env(lookup: impl Fn(&str) -> Option<String>) -> Result<Self, SettingsError> {
        Self::read(&Sources { lookup: &lookup, profile: BTreeMap::new() })
    }

    /// Reads the variables of the environment, and the profile for what they do not say: the one of
    /// this name, else that of `AWS_PROFILE`, else `default`.
    ///
    /// # Errors
    ///
    /// [`SettingsError`] if a variable or the profile holds what cannot stand there, if there is no
    /// profile of that name, or if its files cannot be read.
    #[cfg(feature = "aws-config")]
    pub async fn load(
        lookup: impl Fn(&str) -> Option<String>,
        profile: Option<&str>,
    ) -> Result<Self, SettingsError> {
        let profile = profile::load(&lookup, profile).await?;
        Self::read(&Sources { lookup: &lookup, profile })
    }

    fn read(sources: &Sources<'_>) -> Result<Self, SettingsError> {
        let text =
            |variables: &[&'static str], key| sources.find(variables, key).map(|found| found.text);
        sources.word("AWS_RETRY_MODE", "retry_mode", &["standard", "adaptive", "legacy"])?;
        let ignores_urls = sources
            .switch("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "ignore_configured_endpoint_urls")?;
        let url = text(&["AWS_ENDPOINT_URL_FIREHOSE", "AWS_ENDPOINT_URL"], "endpoint_url");
        Ok(Self {
            region: text(&["AWS_REGION", "AWS_DEFAULT_REGION"], "region").map(Into::into),
            endpoint_url: url.filter(|_| !ignores_urls).map(Into::into),
            is_fips: sources.switch("AWS_USE_FIPS_ENDPOINT", "use_fips_endpoint")?,
            is_dualstack: sources.switch("AWS_USE_DUALSTACK_ENDPOINT", "use_dualstack_endpoint")?,
            ca_bundle: text(&["AWS_CA_BUNDLE"], "ca_bundle").map(Into::into),
            attempts_max: sources.attempts("AWS_MAX_ATTEMPTS", "max_attempts")?,
            app_id: text(&["AWS_SDK_UA_APP_ID"], "sdk_ua_app_id").map(Into::into),
            corrects_clock: !sources.switch("AWS_DISABLE_CLOCK_SKEW_CORRECTION", "")?,
            proxies: Proxies::from_env(sources.lookup).map_err(SettingsError::Proxy)?,
        })
    }

    /// Sets the region.
    #[must_use]
    pub fn with_region(mut self, region: impl Into<Box<str>>) -> Self {
        self.region = Some(region.into());
        self
    }

    /// Sets the URL of the endpoint.
    #[must_use]
    pub fn with_endpoint_url(mut self, url: impl Into<Box<str>>) -> Self {
        self.endpoint_url = Some(url.into());
        self
    }

    /// Sets whether to use the endpoint whose cryptography is validated by FIPS 140.
    #[must_use]
    pub fn with_fips(mut self, is_wanted: bool) -> Self {
        self.is_fips = is_wanted;
        self
    }

    /// Sets whether to use the endpoint that has IPv6 addresses as well.
    #[must_use]
    pub fn with_dualstack(mut self, is_wanted: bool) -> Self {
        self.is_dualstack = is_wanted;
        self
    }

    /// Sets the file with the only trusted certificates.
    #[must_use]
    pub fn with_ca_bundle(mut self, path: impl Into<PathBuf>) -> Self {
        self.ca_bundle = Some(path.into());
        self
    }

    /// Sets how often a record is sent at most, the first time included.
    #[must_use]
    pub fn with_attempts_max(mut self, attempts: NonZeroU8) -> Self {
        self.attempts_max = Some(attempts);
        self
    }

    /// Returns the region, if one is set.
    pub fn region(&self) -> Option<&str> {
        self.region.as_deref()
    }

    /// Returns how often a record is sent at most, if that is set.
    pub fn attempts_max(&self) -> Option<NonZeroU8> {
        self.attempts_max
    }

    /// Returns the default policy with the attempts that are set.
    pub fn policy(&self) -> Policy {
        let policy = Policy::default();
        self.attempts_max.map_or(policy, |attempts| policy.with_attempts_max(attempts))
    }

    /// Returns where requests go.
    ///
    /// # Errors
    ///
    /// [`SettingsError::NoRegion`] if neither a region nor a URL is set,
    /// [`SettingsError::FixedEndpoint`] if there is a URL and FIPS or dualstack is asked for, and
    /// [`SettingsError::Endpoint`] if they make no endpoint.
    pub fn endpoint(&self) -> Result<Endpoint, SettingsError> {
        let endpoint = match (&self.endpoint_url, &self.region) {
            (Some(_), _) if self.is_fips || self.is_dualstack => {
                let wish = if self.is_fips { "FIPS" } else { "dualstack" };
                return Err(SettingsError::FixedEndpoint { wish });
            }
            (Some(url), region) => Endpoint::from_url(url, region.as_deref()),
            (None, Some(region)) => Endpoint::for_region(region, self.is_fips, self.is_dualstack),
            (None, None) => return Err(SettingsError::NoRegion),
        };
        endpoint.map_err(SettingsError::Endpoint)
    }

    /// Returns which certificates are trusted: those in the bundle, else what the platform trusts.
    ///
    /// # Errors
    ///
    /// [`SettingsError::CaBundle`] if the bundle cannot be read or used.
    pub fn tls(&self) -> Result<Tls, SettingsError> {
        let Some(path) = &self.ca_bundle else { return Ok(Tls::platform()) };
        let cannot = |source| SettingsError::CaBundle { path: path.clone(), source };
        let bundle = fs::read(path).map_err(|error| cannot(error.into()))?;
        Tls::from_pem(&bundle).map_err(|error| cannot(error.into()))
    }

    /// Begins to set up a transport by these settings. A signer is still to be added.
    ///
    /// # Errors
    ///
    /// As [`endpoint`](Self::endpoint) and [`tls`](Self::tls).
    pub fn transport(&self) -> Result<TransportBuilder, SettingsError> {
        let builder = Transport::builder(self.endpoint()?)
            .tls(self.tls()?)
            .proxies(self.proxies.clone())
            .correct_clock(self.corrects_clock);
        Ok(match &self.app_id {
            Some(app_id) => builder.app_id(app_id.clone()),
            None => builder,
        })
    }
}

impl fmt::Debug for Settings {
    /// Leaves the URL away: somebody may have written a password into it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Settings")
            .field("region", &self.region)
            .field("is_fips", &self.is_fips)
            .field("is_dualstack", &self.is_dualstack)
            .field("ca_bundle", &self.ca_bundle)
            .field("attempts_max", &self.attempts_max)
            .field("app_id", &self.app_id)
            .field("proxies", &self.proxies)
            .finish_non_exhaustive()
    }
}

/// Where settings are looked for.
struct Sources<'a> {
    lookup: &'a dyn Fn(&str) -> Option<String>,
    /// What the profile says, by the names of its own.
    profile: BTreeMap<&'static str, String>,
}

/// A setting as text, and where it stands.
struct Found {
    place: String,
    text: String,
}

impl Sources<'_> {
    /// Returns the first of the variables that is set, else what the profile has.
    fn find(&self, variables: &[&'static str], key: &'static str) -> Option<Found> {
        let in_env = variables.iter().find_map(|name| {
            let text = (self.lookup)(name).filter(|text| !text.trim().is_empty())?;
            Some(Found { place: (*name).to_owned(), text })
        });
        in_env.or_else(|| {
            let text = self.profile.get(key).filter(|text| !text.trim().is_empty())?;
            Some(Found { place: format!("{key} in the profile"), text: text.clone() })
        })
    }

    fn switch(&self, variable: &'static str, key: &'static str) -> Result<bool, SettingsError> {
        Ok(self.word(variable, key, &["true", "false"])?.as_deref() == Some("true"))
    }

    /// Returns a setting that is one of some words, in lower case.
    fn word(
        &self,
        variable: &'static str,
        key: &'static str,
        words: &[&str],
    ) -> Result<Option<String>, SettingsError> {
        let Some(Found { place, text }) = self.find(&[variable], key) else { return Ok(None) };
        let word = text.trim().to_ascii_lowercase();
        if words.contains(&&*word) {
            return Ok(Some(word));
        }
        Err(SettingsError::Value { place, text, expected: words.join(" or ") })
    }

    fn attempts(
        &self,
        variable: &'static str,
        key: &'static str,
    ) -> Result<Option<NonZeroU8>, SettingsError> {
        let Some(Found { place, text }) = self.find(&[variable], key) else { return Ok(None) };
        let attempts =
            text.trim().parse().map(|number: u32| u8::try_from(number).unwrap_or(u8::MAX));
        match attempts.ok().and_then(NonZeroU8::new) {
            Some(attempts) => Ok(Some(attempts)),
            None => {
                let expected = "a whole number from 1".to_owned();
                Err(SettingsError::Value { place, text, expected })
            }
        }
    }
}

/// Why settings make no sense.
///
/// ```
/// use firehose_hyper::{Settings, SettingsError};
///
/// let settings = Settings::from_env(|_| None)?;
/// assert!(matches!(settings.endpoint(), Err(SettingsError::NoRegion)));
/// # Ok::<(), SettingsError>(())
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub enum SettingsError {
    /// The certificates cannot be used.
    CaBundle {
        /// Their file.
        path: PathBuf,
        /// What is wrong with it.
        source: BoxError,
    },
    /// Region or URL make no endpoint.
    Endpoint(InvalidEndpoint),
    /// There is a URL, and also the wish for another kind of endpoint.
    FixedEndpoint {
        /// `FIPS` or `dualstack`.
        wish: &'static str,
    },
    /// There is no such profile.
    NoProfile {
        /// Its name.
        name: String,
    },
    /// There is neither a region nor a URL.
    NoRegion,
    /// The files with profiles cannot be used.
    Profile(BoxError),
    /// A proxy cannot be used.
    Proxy(InvalidProxy),
    /// A variable or a line of the profile holds what cannot stand there.
    Value {
        /// The variable, or the line of the profile.
        place: String,
        /// What it holds.
        text: String,
        /// What can stand there.
        expected: String,
    },
}

impl fmt::Display for SettingsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::CaBundle { path, source } => write!(
                f,
                "cannot use the certificates in {}: {}",
                path.display(),
                Causes(&**source)
            ),
            Self::Endpoint(error) => error.fmt(f),
            Self::FixedEndpoint { wish } => write!(
                f,
                "an endpoint URL and the wish for a {wish} endpoint are both set: leave one away, \
                 or write the {wish} endpoint's own URL"
            ),
            Self::NoProfile { name } => {
                write!(
                    f,
                    "there is no profile {name:?}, in neither ~/.aws/config nor \
                           ~/.aws/credentials"
                )
            }
            Self::NoRegion => {
                f.write_str("there is no region: set AWS_REGION, or name one or an endpoint's URL")
            }
            Self::Profile(source) => {
                write!(f, "cannot use the files with profiles: {}", Causes(&**source))
            }
            Self::Proxy(error) => error.fmt(f),
            Self::Value { place, text, expected } => {
                write!(f, "{place} is {text:?}, it can be {expected}")
            }
        }
    }
}

impl core::error::Error for SettingsError {
    fn source(&self) -> Option<&(dyn core::error::Error + 'static)> {
        match self {
            Self::CaBundle { source, .. } | Self::Profile(source) => Some(&**source),
            Self::Endpoint(error) => Some(error),
            Self::Proxy(error) => Some(error),
            Self::FixedEndpoint { .. }
            | Self::NoProfile { .. }
            | Self::NoRegion
            | Self::Value { .. } => None,
        }
    }
}

#[cfg(test)]
mod tests;
